//! What is imported: the files, the first pass over them, and the reading side that it makes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::order::feed::{Feed, Tally};
use crate::bulk::import::order::links::{Links, Scan};
use crate::bulk::import::order::names::Naming;
use crate::bulk::import::order::references::Index;
use crate::bulk::import::order::survey::{self, Survey};
use crate::bulk::import::read::asked::Asked;
use crate::bulk::import::read::folder;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::settle::deliver::outcomes_path;
use crate::bulk::import::settle::report::Report;
use crate::bulk::import::{BundleKind, ImportError, Method, Observer, Options, Order};
use crate::words;

/// What is read, and what is known of it before anything is sent.
pub(super) struct Source {
    pub inputs: Arc<Vec<Input>>,
    pub options: Arc<Options>,
    /// Whether some of it can be read once only, so that there is no first pass.
    pub is_read_once: bool,
    /// Whether what is pointed at goes first.
    pub is_ordered: bool,
    /// The FHIR base of the server, where there is one.
    base: Option<String>,
}

/// What the first pass found.
pub(super) struct Known {
    pub survey: Option<Survey>,
    pub index: Index,
    pub naming: Naming,
}

impl Known {
    /// The references there are; of what was not read yet, all kinds.
    pub(super) fn links(&self) -> Links {
        let all = Links {
            has_urns: true,
            has_relative: true,
            ..Links::default()
        };
        self.survey.as_ref().map_or(all, |survey| survey.links)
    }
}

impl Source {
    /// What the names stand for.
    pub(super) fn open(
        options: Options,
        base: Option<String>,
        observer: &dyn Observer,
    ) -> Result<Self, ImportError> {
        let inputs = inputs(&options, observer)?;
        let once = inputs.iter().find(|input| input.is_read_once);
        let is_ordered = match (options.order, once) {
            (Order::Auto, Some(input)) => {
                return Err(ImportError::BadRequest(format!(
                    "{} is read once, so it needs --order given",
                    if input.path.is_none() {
                        "stdin".into()
                    } else {
                        input.name()
                    }
                )));
            }
            (Order::Given, _) | (Order::Usual, Some(_)) => false,
            (Order::Usual, None) => !options.is_like_medplum(),
            (Order::Auto, None) => true,
        };
        if let Some(input) = once.filter(|input| input.path.is_some()) {
            observer.notice(&format!(
                "{} is no plain file: it is read once, in the order given, and cannot be gone on with.",
                input.name()
            ));
        }
        Ok(Self {
            is_read_once: once.is_some(),
            inputs: Arc::new(inputs),
            options: Arc::new(options),
            is_ordered,
            base,
        })
    }

    /// The first pass, where there can be one.
    pub(super) async fn look(&self) -> Result<Known, ImportError> {
        if self.is_read_once {
            return Ok(Known {
                survey: None,
                index: Index::default(),
                naming: Naming::of(&self.options, false),
            });
        }
        let (inputs, options) = (Arc::clone(&self.inputs), Arc::clone(&self.options));
        let scan = Scan::new(self.base.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let survey = survey::survey(&inputs, &scan)?;
            let links = survey.links;
            let naming = Naming::of(&options, links.has_source);
            let is_needed = if options.method.gives_ids() {
                options.method == Method::Conditional
                    || links.has_urns
                    || naming.by_id && (links.has_relative || links.has_source)
            } else {
                links.has_urns || links.has_source
            };
            let index = if is_needed {
                survey::index(&inputs, naming)?
            } else {
                Index::default()
            };
            Ok(Known {
                survey: Some(survey),
                index,
                naming,
            })
        });
        let known: Known = looking.await.unwrap_or(Err(ImportError::Interrupted))?;
        let survey = known.survey.as_ref();
        match survey.and_then(|survey| survey.rewritten.as_deref()) {
            Some(name) if self.is_ordered => Err(ImportError::BadRequest(format!(
                "{} is deleted and then written again, and with all deletions last it would be gone: import one \
                 source after the other, or all in the order given with --order given",
                words::shortened(name)
            ))),
            _ => Ok(known),
        }
    }

    /// The reading side, before anything was settled.
    pub(super) fn feed(&self, known: &Known, index: &Arc<Mutex<Index>>) -> Feed {
        let survey = known.survey.as_ref();
        let links = known.links();
        // With ids that are known beforehand, so are the resources that references lead to.
        let resolves_early =
            !self.options.method.gives_ids() && (links.has_urns || links.has_source);
        Feed {
            inputs: Arc::clone(&self.inputs),
            ranks: survey
                .filter(|_| self.is_ordered)
                .map(|survey| survey.ranks.clone()),
            options: Arc::clone(&self.options),
            done: Intervals::default(),
            lost: Intervals::default(),
            deferred: None,
            index: resolves_early.then(|| Arc::clone(index)),
            index_grows: self.is_read_once,
            naming: known.naming,
            scan: Scan::new(self.base.clone()),
            tally: Tally::default(),
            long: Arc::default(),
        }
    }

    /// Puts into a report what was counted while all was read.
    pub(super) fn report(&self, report: &mut Report, links: Option<Links>, tally: &Tally) {
        let read = tally.links.lock().map(|links| *links).unwrap_or_default();
        let links = links.unwrap_or(read);
        report.files = self.inputs.len() as u64;
        report.bytes = tally.bytes.load(Ordering::Relaxed);
        report.dangling += tally.dangling.load(Ordering::Relaxed);
        report.lost_conditions += links.lost_conditions;
        report.absolute += links.absolute + tally.absolute.load(Ordering::Relaxed);
        if self.options.bundle != BundleKind::Transaction {
            report.conditional += links.conditional;
        }
    }
}

/// What becomes of what the entries of Bundles ask for.
fn asked(options: &Options) -> Asked {
    match options.method {
        Method::Put => Asked::Ids,
        Method::Post if options.templates.is_empty() => Asked::Anew,
        Method::Post | Method::Conditional => Asked::Matched,
        Method::Validate => Asked::Nothing,
    }
}

/// What the names stand for.
fn inputs(options: &Options, observer: &dyn Observer) -> Result<Vec<Input>, ImportError> {
    let own = [options.rejects.clone(), outcomes_path(&options.rejects)];
    let own: &[_] = if options.sources.contains(&options.rejects) {
        &own[1..]
    } else {
        &own
    };
    folder::list(
        &options.sources,
        options.folder.as_deref(),
        own,
        asked(options),
        &mut |text| observer.notice(text),
    )
}
