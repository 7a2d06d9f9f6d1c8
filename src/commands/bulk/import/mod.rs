//! `medplum bulk import`

mod arguments;
mod json;
mod refused;
mod server_side;
mod shown;
mod watcher;

use super::interrupt::{interrupts, report_file_size_limit_as_an_error};
use crate::bulk::import::{self, Method};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::words::number_of;
pub(super) use arguments::ImportArgs;
use refused::partial;
use shown::{Run, show};
use watcher::Watcher;

pub(super) async fn run(context: &Context, args: ImportArgs) -> anyhow::Result<()> {
    if args.server_side {
        return server_side::run(context, args.into_server_side()?).await;
    }
    let dry_run = args.dry_run;
    let options = args.into_options()?;
    let is_like_medplum = options.is_like_medplum();
    let watcher = Watcher::new(context.output.clone());
    if dry_run {
        let report = import::dry_run(options, &watcher).await?;
        context.output.progress.clear();
        show(context, &report, Run::Dry, is_like_medplum)?;
        let refused = report.total().refused;
        if refused > 0 {
            return Err(Failure::new(
                exit::PARTIAL,
                format!("{} cannot be sent", number_of(refused, "line")),
            )
            .into());
        }
        return Ok(());
    }
    let client = context.fhir()?;
    let base = crate::secret::url_for_people(&client.profile.fhir_base);
    context.output.note(&format!("Importing into {base}"));
    report_file_size_limit_as_an_error();
    let interrupted = interrupts()?;
    let is_validation = options.method == Method::Validate;
    let result = import::run(&client, options, &watcher, interrupted).await;
    context.output.progress.clear();
    let ended = result?;
    if ended.was_finished {
        context
            .output
            .note("This import was finished before; nothing was left to do.");
    }
    watcher.count_the_rest();
    show(context, &ended.report, Run::Real, is_like_medplum)?;
    let is_partial = ended.is_partial();
    if let Some(stopped) = ended.stopped {
        if ended.is_resumable {
            context
                .output
                .warn("The import is not complete. Run the same command with --resume to go on.");
        }
        return Err(anyhow::Error::new(stopped));
    }
    if is_partial {
        return Err(partial(&ended.report, is_validation, &watcher).into());
    }
    Ok(())
}
