//! What becomes of an item: its references lead where their targets lie now, or it waits, or it is lost.

use std::sync::{Arc, PoisonError};

use super::Engine;
use crate::bulk::import::batch::Batch;
use crate::bulk::import::order::deferred::Stage;
use crate::bulk::import::order::extensions;
use crate::bulk::import::order::names::{is_relative, is_urn};
use crate::bulk::import::order::own::Own;
use crate::bulk::import::order::references::{Index, Target};
use crate::bulk::import::order::way::{Goes, Way};
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::{BundleKind, ImportError, Method};

/// What becomes of an item now.
pub(super) enum Fate {
    /// It can be sent with this text and at this URL.
    Ready {
        text: Vec<u8>,
        url: Option<String>,
        /// References that lead to nothing that is imported, and those to the server that it came from.
        lost: (u64, u64),
        is_provisional: bool,
        /// Full URLs made up for this transaction that it points at.
        within: Vec<String>,
    },
    /// What it points at is still to come.
    Waits,
    /// What it points at will not come.
    Lost(String),
}

impl Engine<'_> {
    /// What becomes of each item. In a transaction the server leads full URLs of what really goes along.
    pub(super) fn fates(&self, batch: &Batch) -> Result<Vec<Fate>, ImportError> {
        let index = Arc::clone(&self.index);
        let index = index.lock().unwrap_or_else(PoisonError::into_inner);
        let by_id = self.options.method == Method::Post && self.naming.by_id;
        let own_of = |fates: Option<&[Fate]>| {
            let goes =
                |at: usize| fates.is_none_or(|fates| matches!(fates[at], Fate::Ready { .. }));
            let items = batch.items.iter().enumerate().filter(|(at, _)| goes(*at));
            Own::of(items.map(|(_, item)| item), by_id)
        };
        let mut own = match self.options.bundle {
            BundleKind::Transaction => own_of(None),
            _ => Own::default(),
        };
        loop {
            let fates = batch
                .items
                .iter()
                .map(|item| self.fate(batch, item, &own, &index));
            let fates = fates.collect::<Result<Vec<_>, _>>()?;
            if own == Own::default() {
                return Ok(fates);
            }
            let left = own_of(Some(&fates));
            if left == own {
                return Ok(fates);
            }
            own = left;
        }
    }

    fn fate(
        &self,
        batch: &Batch,
        item: &Item,
        own: &Own,
        index: &Index,
    ) -> Result<Fate, ImportError> {
        if self.deferred_keys.contains(&item.key) {
            return Ok(Fate::Waits);
        }
        let stage = self
            .deferred
            .as_ref()
            .map_or(Stage::Wait, |deferred| deferred.stage());
        if item.action == Action::Delete {
            return fate_of_deletion(item, stage, index);
        }
        let original = batch.original_of(item);
        let ready = |text: Vec<u8>, lost, is_provisional| Fate::Ready {
            text: self.as_sent(text),
            url: None,
            lost,
            is_provisional,
            within: Vec::new(),
        };
        let Ok(text) = std::str::from_utf8(original) else {
            return Ok(ready(original.to_owned(), (0, 0), false));
        };
        let way = Way {
            scope: item.scope(),
            base: &self.base,
            source: self.inputs[item.file].source.as_deref(),
            full_url: item.full_url.as_deref(),
            own,
            relative: self.naming.by_id,
            ids_change: true,
            goes: Goes::Out,
        };
        let led = index.lead(text, &way).map_err(ImportError::temporary)?;
        let several = "is the fullUrl of several resources in other Bundles";
        let failed = led.failed.map(|target| (target, "was not taken"));
        if let Some((target, why)) = failed.or(led.misled.map(|target| (target, several))) {
            return Ok(Fate::Lost(format!("it points at {target}, which {why}")));
        }
        Ok(match (led.coming, stage) {
            (None, _) => {
                let mut fate = ready(led.text.into_bytes(), (led.dangling, led.absolute), false);
                if let Fate::Ready { within, .. } = &mut fate {
                    *within = led.within;
                }
                fate
            }
            (Some(_), Stage::Wait) => Fate::Waits,
            (Some(_), Stage::Provisional) => ready(led.text.into_bytes(), (0, 0), true),
            (Some(target), Stage::Last) => Fate::Lost(never_comes(self.options.method, &target)),
        })
    }

    /// A text without the id that the server is to find or give.
    fn as_sent(&self, text: Vec<u8>) -> Vec<u8> {
        match self.options.method {
            Method::Conditional => extensions::without_id(&text),
            _ => text,
        }
    }
}

/// Why what an item points at is not there when all is read.
fn never_comes(method: Method, target: &str) -> String {
    match method {
        Method::Post if is_urn(target) => format!(
            "it points at {target}, and that at it in turn; within one --bundle transaction the server links them"
        ),
        Method::Post => format!(
            "it points at {target}, and that at it in turn; --method conditional writes such circles, and so does \
             --bundle transaction where one of --bundle-size holds them all"
        ),
        _ => format!(
            "it points at {target}, and the server did not say under which id that lies now"
        ),
    }
}

/// Whether a search says by which id it finds something: `_id=1`, `subject=Patient/1` (FHIR R4 §3.1.1.4.12).
fn names_an_id(query: &str) -> bool {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let is_id = |value: &str| is_relative(&value.replace("%2F", "/").replace("%2f", "/"));
    pairs.any(|(name, value)| name == "_id" || value.split(',').any(is_id))
}

/// Ids of the input are others here, where they may be those of somebody else.
fn fate_of_deletion(item: &Item, stage: Stage, index: &Index) -> Result<Fate, ImportError> {
    let ready = |url| Fate::Ready {
        text: Vec::new(),
        url,
        lost: (0, 0),
        is_provisional: false,
        within: Vec::new(),
    };
    let (path, query) = match item.url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*item.url, None),
    };
    if let Some(query) = query.filter(|_| !path.contains('/')) {
        let words = "it searches by an id of the input, and the server gives its own ids";
        return Ok(if names_an_id(query) {
            Fate::Lost(words.into())
        } else {
            ready(None)
        });
    }
    let with_query = |target: String| match query {
        Some(query) => format!("{target}?{query}"),
        None => target,
    };
    let found = index.find(item.scope(), path);
    Ok(match found.map_err(ImportError::temporary)? {
        Target::At(target) => ready(Some(with_query(target))),
        Target::Coming if stage == Stage::Wait => Fate::Waits,
        _ => Fate::Lost(
            "the server gives its own ids, and which of them this resource has is not known".into(),
        ),
    })
}
