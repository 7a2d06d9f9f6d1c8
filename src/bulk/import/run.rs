//! A whole import: what there is, the reading side, the sending side, the report.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::bulk::import::order::deferred::Deferred;
use crate::bulk::import::order::feed::{Event, Feed};
use crate::bulk::import::settle::deliver;
use crate::bulk::import::settle::engine::{Engine, base_of};
use crate::bulk::import::settle::rejects::Rejects;
use crate::bulk::import::settle::report::{ByType, Report};
use crate::bulk::import::settle::state::request::Request;
use crate::bulk::import::settle::state::{Opened, State};
use crate::bulk::import::source::Source;
use crate::bulk::import::{ImportError, Observer, Options, Then, Wanted};
use crate::fhir::Client;
use crate::place;

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
    /// One that an earlier run ended.
    fn before(mut report: Report) -> Self {
        report.rejects = report.rejects.filter(|path| place::leads_somewhere(path));
        Self {
            report,
            stopped: None,
            is_resumable: false,
            was_finished: true,
        }
    }

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
// Long because it is the phases in their order.
pub async fn run(
    client: &Client,
    options: Options,
    observer: &dyn Observer,
    interrupted: impl Future<Output = ()>,
) -> Result<Ended, ImportError> {
    let started = Instant::now();
    tokio::pin!(interrupted);
    deliver::stays_here(&options)?;
    let completed = State::complete(Path::new("."), &options.rejects)?;
    let source = Source::open(options, Some(base_of(client)), observer)?;
    if let (Some(report), true, Wanted::Resume) =
        (completed, source.is_read_once, source.options.wanted)
    {
        // All that was left of it was to put its rejects where they belong.
        return Ok(Ended::before(report));
    }
    let (mut state, mut rejects) = match begin(client, &source)? {
        Begun::Ready(both) => *both,
        Begun::Finished(ended) => return Ok(*ended),
    };
    let surveyed = tokio::select! {
        surveyed = source.look() => surveyed,
        () = &mut interrupted => Err(ImportError::Interrupted),
    };
    let mut known = match surveyed {
        Ok(known) => known,
        Err(error) => {
            // What stopped it is what counts.
            let _ = rejects.give_up(&state.request);
            return Err(unbegun(&state, error));
        }
    };
    let learned = state.learned(|name, target| known.index.insert(name, target));
    learned.map_err(|error| unbegun(&state, error))?;
    let before = std::mem::take(&mut state.before);
    let index = Arc::new(Mutex::new(std::mem::take(&mut known.index)));
    // What is read once is gone then.
    let deferred =
        (!source.is_read_once && source.options.method.gives_ids()).then(Arc::<Deferred>::default);
    let feed = Feed {
        done: before.done,
        lost: before.lost,
        deferred: deferred.clone(),
        ..source.feed(&known, &index)
    };
    let tally = feed.tally.clone();
    let links = known.survey.as_ref().map(|survey| survey.links);
    let mut engine = Engine::new(
        client,
        &source.options,
        &source.inputs,
        observer,
        state,
        rejects,
        index,
        known.naming,
    );
    engine.deferred = deferred;
    let all_links = known.links();
    let mut read_once = None;
    let totals = known.survey.map(|survey| survey.totals);
    let total = totals.as_ref().map(|totals| totals.values().sum());
    engine.settled_before(all_links, before.types, total);
    let stopped = engine.run(read(feed), interrupted).await.err();
    if matches!(stopped, Some(ImportError::Interrupted)) && source.is_read_once {
        let read = tally.read.lock().map(|read| read.clone());
        read_once = Some(read.unwrap_or_default());
    }
    Ok(finish(engine, stopped, totals, &source, |report| {
        source.report(report, links, &tally);
        if let Some(read) = &read_once {
            add_unsent(&mut report.types, read);
        }
        report.elapsed = started.elapsed();
    }))
}

/// What stopped an import before anything was sent. One that was gone on with can be gone on with again.
fn unbegun(state: &State, error: ImportError) -> ImportError {
    if state.is_resumed {
        return error;
    }
    state.forget();
    error.with(Then::Again)
}

enum Begun {
    Ready(Box<(State, Rejects)>),
    Finished(Box<Ended>),
}

/// Opens the state, and the rejects, which have to have a place before anything is sent.
fn begin(client: &Client, source: &Source) -> Result<Begun, ImportError> {
    let options = &source.options;
    if source.is_read_once && options.wanted == Wanted::Resume {
        return Err(ImportError::BadRequest(
            "what came from stdin, or from what is no plain file, cannot be resumed: it is gone"
                .into(),
        ));
    }
    let request = Request::new(client, options, &source.inputs, source.is_ordered)?;
    if options.wanted != Wanted::Resume {
        deliver::check(&options.rejects, &source.inputs)?;
    }
    let again = |error: ImportError| match options.wanted {
        Wanted::Resume => error,
        Wanted::New | Wanted::Restart => error.with(Then::Again),
    };
    let opened = State::open(Path::new("."), client, request, options.wanted);
    let state = match opened.map_err(again)? {
        Opened::Ready(state) => *state,
        Opened::Finished(report) => {
            return Ok(Begun::Finished(Box::new(Ended::before(*report))));
        }
    };
    let checked = if state.is_resumed {
        deliver::check(&options.rejects, &source.inputs)
    } else {
        Ok(())
    };
    let rejects = checked
        .and_then(|()| Rejects::begin(&options.rejects, state.place(), state.before.rejects))
        .map_err(|error| unbegun(&state, error))?;
    Ok(Begun::Ready(Box::new((state, rejects))))
}

/// Makes the report, and leaves the state as a resume needs it.
// Long because it is one flat choice of how an import can end.
fn finish(
    engine: Engine,
    mut stopped: Option<ImportError>,
    totals: Option<BTreeMap<String, u64>>,
    source: &Source,
    complete: impl FnOnce(&mut Report),
) -> Ended {
    let (mut report, mut state, mut rejects) = engine.into_parts();
    complete(&mut report);
    if let Some(totals) = totals {
        let settled = report.total().all() - report.total().not_sent;
        let counted = totals.values().sum();
        if stopped.is_none() && settled != counted {
            stopped = Some(ImportError::Contradiction { counted, settled });
        }
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
    let mut is_resumable =
        stopped.is_some() && !source.is_read_once && !(useless && settled_nothing);
    (report.rejects, report.outcomes) = rejects.so_far().unzip();
    let replaces_input = deliver::is_among(&source.options.rejects, &source.inputs);
    if is_resumable {
        // What stopped it is what counts.
        let _ = rejects.give_up(&state.request);
    } else if stopped.is_some() && replaces_input {
        // A file that was read stays as it is: nothing of it is settled.
        (report.rejects, report.outcomes) = (None, None);
        let _ = rejects.give_up(&state.request);
        state.forget();
    } else {
        let delivered = deliver_all(&mut report, &mut state, &mut rejects, source);
        is_resumable = matches!(delivered, Err(ImportError::Disk { .. })) && !source.is_read_once;
        let is_kept = matches!(
            delivered,
            Err(ImportError::Undeliverable { .. } | ImportError::Misplaced { .. })
        );
        if (stopped.is_some() || delivered.is_err()) && !is_resumable && !is_kept {
            state.forget();
        }
        stopped = stopped.or(delivered.err());
    }
    if source.is_read_once {
        stopped = stopped.map(|error| error.with(Then::Nothing));
    }
    Ended {
        report,
        stopped,
        is_resumable,
        was_finished: false,
    }
}

/// Notes that all is settled, and puts the rejects where they belong; the report says where they are then.
fn deliver_all(
    report: &mut Report,
    state: &mut State,
    rejects: &mut Rejects,
    source: &Source,
) -> Result<(), ImportError> {
    let kept = (report.rejects.clone(), report.outcomes.clone());
    (report.rejects, report.outcomes) = rejects.paths().unzip();
    let settled = state.settled(report);
    let delivered = if settled.is_err() && !source.is_read_once {
        // It is gone on with.
        let _ = rejects.give_up(&state.request);
        settled
    } else {
        // What was read once cannot be gone on with: the rejects are all that there is.
        let delivered = rejects.deliver(&state.request);
        if delivered.is_ok() {
            return settled.and_then(|()| state.placed());
        }
        delivered
    };
    (report.rejects, report.outcomes) = kept;
    delivered
}

/// What was not settled was not sent.
fn add_unsent(types: &mut ByType, totals: &BTreeMap<String, u64>) {
    for (name, total) in totals {
        let counts = types.entry(name.clone()).or_default();
        counts.not_sent = total.saturating_sub(counts.all() - counts.not_sent);
    }
}

/// Starts the reading side.
pub(super) fn read(feed: Feed) -> mpsc::Receiver<Event> {
    let (sender, events) = mpsc::channel(AHEAD);
    std::thread::spawn(move || feed.run(&sender));
    events
}
