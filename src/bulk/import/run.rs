//! A whole import: what there is, the reading side, the sending side, the report.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::order::deferred::Deferred;
use crate::bulk::import::order::feed::{Event, Feed};
use crate::bulk::import::order::references::{Index, Naming};
use crate::bulk::import::order::survey::{self, Survey};
use crate::bulk::import::read::folder;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::settle::engine::Engine;
use crate::bulk::import::settle::rejects::{self, Rejects, outcomes_path};
use crate::bulk::import::settle::report::{ByType, Report};
use crate::bulk::import::settle::state::{Opened, Request, State};
use crate::bulk::import::{ImportError, Method, Observer, Options};
use crate::fhir::Client;

/// Batches that are read ahead.
const AHEAD: usize = 2;

/// How an import ended.
#[derive(Debug)]
pub struct Ended {
    pub report: Report,
    /// What stopped it, if it did not get to its end.
    pub stopped: Option<ImportError>,
    /// Whether `--resume` can go on.
    pub is_resumable: bool,
    /// Whether an earlier run had settled it all.
    pub was_finished: bool,
}

/// The report as it stands when a run ended, however it did.
impl Ended {
    /// Whether something was refused or is unknown.
    pub fn is_partial(&self) -> bool {
        let total = self.report.total();
        total.refused + total.unknown > 0
    }

    /// The report.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Runs an import. `interrupted` ends it early.
///
/// # Errors
/// It could not begin. What stops it later is in [`Ended`].
pub async fn run(
    client: &Client,
    options: Options,
    observer: &dyn Observer,
    interrupted: impl Future<Output = ()>,
) -> Result<Ended, ImportError> {
    let started = Instant::now();
    tokio::pin!(interrupted);
    State::complete(Path::new("."))?;
    let options = Arc::new(options);
    let inputs = Arc::new(inputs(&options, observer)?);
    let has_stdin = inputs.iter().any(|input| input.path.is_none());
    if has_stdin && options.resume {
        return Err(ImportError::BadRequest(
            "what came from stdin cannot be resumed: it is gone".into(),
        ));
    }
    let request = Request::new(client.profile.fhir_base.as_str(), &options, &inputs)?;
    // With `--restart`, what the forgotten import rejected goes too; what another one left stops it before that.
    let was_ours = options.restart && State::writes_rejects_to(Path::new("."), &options.rejects);
    if options.restart && !was_ours {
        rejects::check(&options.rejects, &inputs)?;
    }
    let opened = State::open(Path::new("."), request, options.resume, options.restart)?;
    let mut state = match opened {
        Opened::Ready(state) => *state,
        Opened::Finished(report) => {
            let mut report = *report;
            report.rejects = report.rejects.filter(|path| path.exists());
            return Ok(Ended {
                report,
                stopped: None,
                is_resumable: false,
                was_finished: true,
            });
        }
    };
    let before = std::mem::take(&mut state.before);
    let rejects = Rejects::new(
        &options.rejects,
        &inputs,
        state.folder(),
        before.rejects,
        state.is_resumed || was_ours,
    )
    .inspect_err(|_| {
        if !state.is_resumed {
            state.forget();
        }
    })?;
    let surveyed = tokio::select! {
        surveyed = look(Arc::clone(&inputs), Arc::clone(&options), has_stdin) => surveyed,
        () = &mut interrupted => Err(ImportError::Interrupted),
    };
    let (survey, mut index) = surveyed.inspect_err(|_| {
        if !state.is_resumed {
            state.forget();
        }
    })?;
    state.learned(|name, target| index.insert(name, target))?;
    let index = Arc::new(Mutex::new(index));
    let (dangling, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    // stdin is gone once it was read.
    let deferred = (!has_stdin && options.method.gives_ids()).then(Arc::<Deferred>::default);
    let feed = Feed {
        inputs: Arc::clone(&inputs),
        ranks: survey
            .as_ref()
            .filter(|_| options.ordered)
            .map(|survey| survey.ranks.clone()),
        options: Arc::clone(&options),
        done: before.done,
        lost: before.lost,
        deferred: deferred.clone(),
        index: resolves_early(&options, survey.as_ref()).then(|| Arc::clone(&index)),
        index_grows: has_stdin,
        dangling: Arc::clone(&dangling),
        bytes: Arc::clone(&bytes),
    };
    let has_urns = survey.as_ref().is_none_or(|survey| survey.has_urns);
    let totals = survey.map(|survey| survey.totals);
    let mut engine = Engine::new(client, &options, &inputs, observer, state, rejects, index);
    engine.deferred = deferred;
    engine.settled_before(
        has_urns,
        before.types,
        totals.as_ref().map(|totals| totals.values().sum()),
    );
    let events = read(feed);
    let stopped = engine.run(events, interrupted).await.err();
    finish(engine, stopped, totals, has_stdin, |report| {
        report.files = inputs.len() as u64;
        report.bytes = bytes.load(Ordering::Relaxed);
        report.dangling += dangling.load(Ordering::Relaxed);
        report.elapsed = started.elapsed();
    })
}

/// Makes the report, and leaves the state as a resume needs it.
fn finish(
    engine: Engine,
    mut stopped: Option<ImportError>,
    totals: Option<std::collections::BTreeMap<String, u64>>,
    has_stdin: bool,
    complete: impl FnOnce(&mut Report),
) -> Result<Ended, ImportError> {
    let (mut report, mut state, mut rejects) = engine.into_parts();
    complete(&mut report);
    if let Some(totals) = totals {
        add_unsent(&mut report.types, &totals);
    }
    let settled_nothing = report.types.values().all(|counts| {
        counts.created + counts.updated + counts.unchanged + counts.deleted + counts.unknown == 0
    });
    let useless = matches!(
        stopped,
        Some(
            ImportError::NoClientIds(_)
                | ImportError::NoBundles { .. }
                | ImportError::NoValidation(_)
        )
    );
    let is_resumable = stopped.is_some() && !has_stdin && !(useless && settled_nothing);
    if is_resumable {
        report.rejects = rejects.so_far();
    } else if stopped.is_some() {
        state.forget();
        // A file that was read stays as it is: nothing of it is settled.
        report.rejects = rejects.end()?.filter(|_| !rejects.replace_input());
    } else {
        report.rejects = rejects.end()?;
        stopped = state.finish(&report, rejects.replace_input()).err();
    }
    Ok(Ended {
        report,
        stopped,
        is_resumable,
        was_finished: false,
    })
}

/// What was not settled was not sent.
fn add_unsent(types: &mut ByType, totals: &std::collections::BTreeMap<String, u64>) {
    for (name, total) in totals {
        let counts = types.entry(name.clone()).or_default();
        counts.not_sent = total.saturating_sub(counts.all() - counts.not_sent);
    }
}

/// With ids that are known beforehand, so are the resources that `urn:uuid` lead to.
fn resolves_early(options: &Options, survey: Option<&Survey>) -> bool {
    survey.is_none_or(|survey| survey.has_urns)
        && matches!(options.method, Method::Put | Method::Validate)
}

/// What the names stand for.
fn inputs(options: &Options, observer: &dyn Observer) -> Result<Vec<Input>, ImportError> {
    let own = [options.rejects.clone(), outcomes_path(&options.rejects)];
    let own: &[_] = if options
        .sources
        .iter()
        .any(|name| Path::new(name) == options.rejects)
    {
        &own[1..]
    } else {
        &own
    };
    folder::list(
        &options.sources,
        options.folder.as_deref(),
        own,
        options.method == Method::Post && options.templates.is_empty(),
        &mut |text| observer.notice(text),
    )
}

/// The first pass, where there can be one.
async fn look(
    inputs: Arc<Vec<Input>>,
    options: Arc<Options>,
    has_stdin: bool,
) -> Result<(Option<Survey>, Index), ImportError> {
    if has_stdin {
        return Ok((None, Index::default()));
    }
    let looking = tokio::task::spawn_blocking(move || {
        let survey = survey::survey(&inputs)?;
        let gives_ids = options.method.gives_ids();
        let relative = options.method == Method::Conditional;
        let index = if resolves_early(&options, Some(&survey))
            || relative
            || gives_ids && survey.has_urns
        {
            survey::index(&inputs, Naming::of(&options))?
        } else {
            Index::default()
        };
        Ok((Some(survey), index))
    });
    looking.await.unwrap_or(Err(ImportError::Interrupted))
}

/// Starts the reading side.
fn read(feed: Feed) -> mpsc::Receiver<Event> {
    let (sender, events) = mpsc::channel(AHEAD);
    std::thread::spawn(move || feed.run(&sender));
    events
}

/// Reads everything and counts, without a server.
///
/// # Errors
/// An input cannot be read.
pub async fn dry_run(options: Options, observer: &dyn Observer) -> Result<Report, ImportError> {
    let started = Instant::now();
    let options = Arc::new(options);
    let inputs = Arc::new(inputs(&options, observer)?);
    let has_stdin = inputs.iter().any(|input| input.path.is_none());
    let (survey, index) = look(Arc::clone(&inputs), Arc::clone(&options), has_stdin).await?;
    let (dangling, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let feed = Feed {
        inputs: Arc::clone(&inputs),
        ranks: survey
            .as_ref()
            .filter(|_| options.ordered)
            .map(|survey| survey.ranks.clone()),
        options: Arc::clone(&options),
        done: Intervals::default(),
        lost: Intervals::default(),
        deferred: None,
        index: resolves_early(&options, survey.as_ref()).then(|| Arc::new(Mutex::new(index))),
        index_grows: has_stdin,
        dangling: Arc::clone(&dangling),
        bytes: Arc::clone(&bytes),
    };
    let mut report = Report {
        files: inputs.len() as u64,
        ..Report::default()
    };
    let mut events = read(feed);
    while let Some(event) = events.recv().await {
        match event {
            Event::Failed(error) => return Err(error),
            Event::Barrier(sender) => drop(sender.send(())),
            Event::Batch(batch) => {
                for item in &batch.items {
                    let counts = report
                        .types
                        .entry(item.resource_type.to_string())
                        .or_default();
                    match &item.unsent {
                        None => counts.not_sent += 1,
                        Some(crate::bulk::import::piece::Unsent::Bad(problem)) => {
                            counts.refused += 1;
                            observer.rejected(&inputs[item.file].place_of(item), problem);
                        }
                        Some(crate::bulk::import::piece::Unsent::Lost) => counts.unknown += 1,
                    }
                }
            }
        }
    }
    report.bytes = bytes.load(Ordering::Relaxed);
    report.dangling = dangling.load(Ordering::Relaxed);
    report.elapsed = started.elapsed();
    Ok(report)
}
