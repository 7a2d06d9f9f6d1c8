//! What `medplum bulk import` takes, and the options that it makes of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bulk::import::order::matching::Template;
use crate::bulk::import::server_side::ServerSide;
use crate::bulk::import::{BundleKind, Chosen, Method, Options, Order, Wanted};
use crate::commands::bulk::fetching::parallel;
use crate::exit::Failure;
use crate::fhir::asynchronous::Patience;

/// What a conditional write looks for when nothing else is said.
const USUAL_MATCH: &str = "identifier={identifier.system}|{identifier.value}";

/// How long a server may say "not now" when nothing else is said.
const USUAL_WAIT: Duration = Duration::from_secs(600);

/// Import NDJSON files and Bundles in bulk, with the ids they have
///
/// Exit code 0 means that every resource is on the server. Those that it refused are in rejects.ndjson with the reason
/// in rejects.outcomes.ndjson, and `medplum bulk import rejects.ndjson` tries them again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk import -p example export\n\
        \x20 medplum bulk import -p example rejects.ndjson")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ImportArgs {
    /// Files (.ndjson, .jsonl, .json, also .gz), folders, patterns, the folder of an export, or - for stdin (NDJSON, also .gz)
    #[arg(value_name = "SOURCES", required_unless_present = "target_directory")]
    sources: Vec<PathBuf>,
    /// How resources are written
    #[arg(long, value_enum, value_name = "METHOD", default_value = "put")]
    method: MethodArg,
    /// What resources travel in
    #[arg(long, value_enum, value_name = "KIND", default_value = "batch")]
    bundle: BundleArg,
    /// Resources in one bundle [default: 50; 25 in transactions]
    #[arg(long, visible_alias = "num-resources-per-request", value_name = "N", value_parser = bundle_size)]
    bundle_size: Option<usize>,
    /// Search that tells which resource is the same; `Type?` before it makes it one for that type [default with
    /// --method conditional: identifier={identifier.system}|{identifier.value}]
    #[arg(long = "match", value_name = "TEMPLATE", value_parser = Template::parse)]
    templates: Vec<Template>,
    /// Read first, and leave resources alone that the server has with the same content
    #[arg(long)]
    skip_unchanged: bool,
    /// What goes first: what is pointed at, or as it comes [default: auto; given for what is read once (stdin, pipes), and for
    /// post transactions, which lead references by id only with this flag or --match]
    #[arg(long, value_enum, value_name = "ORDER")]
    order: Option<OrderArg>,
    /// Requests at a time, at most [default: 4; 1 for post transactions]
    #[arg(long, value_name = "N", value_parser = parallel)]
    parallel: Option<usize>,
    /// File for what was refused or is unknown [default: rejects.ndjson; invalid.ndjson with --validate]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Send deletions that name a search, such as Patient?identifier=1, and not one resource
    #[arg(long, conflicts_with = "server_side")]
    delete_by_search: bool,
    /// Go on with an import that was ended early
    #[arg(long, conflicts_with = "restart")]
    resume: bool,
    /// Forget an import that was ended early, and begin anew
    #[arg(long)]
    restart: bool,
    /// Read and count only; nothing is sent
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Send each resource to $validate; nothing is written
    #[arg(long, conflicts_with_all = ["dry_run", "skip_unchanged", "server_side"])]
    validate: bool,
    /// Let the server fetch the files itself: SOURCES are URLs, or TYPE=URL
    #[arg(long, conflicts_with_all = ["dry_run", "skip_unchanged", "resume", "target_directory"])]
    pub(super) server_side: bool,
    /// Mode of a server-side import, for Azure: InitialLoad, IncrementalLoad
    #[arg(long, value_name = "MODE", requires = "server_side")]
    import_mode: Option<String>,
    /// Longest time that the server may say "not now" (429, 503) and nothing else, or that a server-side import may take, such as
    /// 2h [default: 10m; none with --server-side]
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration)]
    max_wait: Option<Duration>,
    /// Add data-absent-reason to ExplanationOfBenefit where provider or productOrService are missing
    #[arg(long)]
    add_extensions_for_missing_values: bool,
    /// Folder that SOURCES are relative to
    #[arg(short = 'd', long, value_name = "DIR")]
    target_directory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// PUT Type/id: ids and references hold
    Put,
    /// POST Type: the server gives new ids; with --match only where it finds none
    Post,
    /// PUT Type?search: the server finds the resource, or makes one with a new id
    Conditional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BundleArg {
    /// Each entry stands for itself
    Batch,
    /// All or nothing
    Transaction,
    /// One request for each resource
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    Auto,
    Given,
}

fn bundle_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=10_000) => Ok(number),
        _ => Err("write a number from 1 to 10000".into()),
    }
}

impl ImportArgs {
    pub(super) fn into_server_side(self) -> Result<ServerSide, Failure> {
        let urls = self.sources.into_iter().map(|source| {
            let text = source.into_os_string().into_string();
            text.map_err(|name| Failure::usage(format!("{} is no URL", name.display())))
        });
        Ok(ServerSide {
            inputs: urls.collect::<Result<_, _>>()?,
            mode: self.import_mode,
            patience: Patience {
                max_wait: self.max_wait,
                ..Patience::default()
            },
        })
    }

    /// What tells which resource is the same, where the method looks for one.
    fn templates_for(&self, method: Method) -> Result<Vec<Template>, Failure> {
        let mut templates = self.templates.clone();
        match method {
            Method::Conditional if templates.is_empty() => {
                templates.push(Template::parse(USUAL_MATCH).map_err(Failure::usage)?);
            }
            Method::Put if !templates.is_empty() => {
                return Err(Failure::usage(
                    "--match goes with --method conditional or post",
                ));
            }
            _ => {}
        }
        if self.skip_unchanged && method != Method::Put {
            return Err(Failure::usage("--skip-unchanged goes with --method put"));
        }
        Ok(templates)
    }

    pub(super) fn into_options(self) -> Result<Options, Failure> {
        // The Medplum CLI sends one transaction after the other.
        let like_medplum = self.method == MethodArg::Post && self.bundle == BundleArg::Transaction;
        let method = match self.method {
            _ if self.validate => Method::Validate,
            MethodArg::Put => Method::Put,
            MethodArg::Post => Method::Post,
            MethodArg::Conditional => Method::Conditional,
        };
        let templates = self.templates_for(method)?;
        let (sources, folder) = match (self.sources.is_empty(), self.target_directory) {
            (true, Some(folder)) => (vec![folder], None),
            (_, folder) => (self.sources, folder),
        };
        // What is only not valid is no reason to hold up an import.
        let usual = if method == Method::Validate {
            "invalid.ndjson"
        } else {
            "rejects.ndjson"
        };
        Ok(Options {
            sources,
            folder,
            method,
            bundle: match self.bundle {
                // Few servers take operations inside of Bundles.
                _ if method == Method::Validate => BundleKind::None,
                BundleArg::Batch => BundleKind::Batch,
                BundleArg::Transaction => BundleKind::Transaction,
                BundleArg::None => BundleKind::None,
            },
            bundle_size: self.bundle_size.unwrap_or(match self.bundle {
                // As the Medplum CLI does; a transaction that fails takes all of it along.
                BundleArg::Transaction => 25,
                _ => 50,
            }),
            templates,
            skip_unchanged: self.skip_unchanged,
            order: match self.order {
                None => Order::Usual,
                Some(OrderArg::Auto) => Order::Auto,
                Some(OrderArg::Given) => Order::Given,
            },
            max_wait: self.max_wait.unwrap_or(USUAL_WAIT),
            parallel: self.parallel.unwrap_or(if like_medplum { 1 } else { 4 }),
            rejects_are: match self.rejects {
                Some(_) => Chosen::ByUser,
                None => Chosen::AsUsual,
            },
            rejects: self.rejects.unwrap_or_else(|| usual.into()),
            wanted: match (self.resume, self.restart) {
                (true, _) => Wanted::Resume,
                (_, true) => Wanted::Restart,
                _ => Wanted::New,
            },
            deletes_by_search: self.delete_by_search,
            add_extensions: self.add_extensions_for_missing_values,
        })
    }
}
