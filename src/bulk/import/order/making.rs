//! Items made of pieces: where and how each is sent.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::bulk::import::order::extensions;
use crate::bulk::import::order::feed::Feed;
use crate::bulk::import::order::matching;
use crate::bulk::import::order::names::{Scope, is_urn, uuid_of};
use crate::bulk::import::order::own::Own;
use crate::bulk::import::order::references::Target;
use crate::bulk::import::order::survey;
use crate::bulk::import::order::way::{Goes, Way};
use crate::bulk::import::piece::{Action, Item, Unsent};
use crate::bulk::import::read::line::{self, Head};
use crate::bulk::import::{ImportError, Method};
use crate::fhir::id::Id;

/// Makes items of pieces.
pub(super) struct Maker<'a> {
    feed: &'a Feed,
    last_type: Arc<str>,
}

impl<'a> Maker<'a> {
    /// A maker of items for this feed.
    pub(super) fn new(feed: &'a Feed) -> Self {
        Self {
            feed,
            last_type: "".into(),
        }
    }

    pub(super) fn item(&mut self, resource_type: &str, action: Action) -> Item {
        if *self.last_type != *resource_type {
            self.last_type = resource_type.into();
        }
        Item {
            ordinal: 0,
            file: 0,
            line: 0,
            resource_type: Arc::clone(&self.last_type),
            id: None,
            action,
            url: String::new(),
            full_url: None,
            made_up_url: None,
            bundle: 0,
            is_entry: false,
            place: 0..0,
            origin: 0..0,
            is_provisional: false,
            key: 0,
            unsent: None,
        }
    }

    pub(super) fn deletion(&mut self, url: String) -> Item {
        let mut item = self.item(line::type_of_url(&url), Action::Delete);
        if let Err(problem) = line::deletable(&url, self.feed.options.deletes_by_search) {
            item.unsent = Some(Unsent::Bad(problem));
        } else if self.feed.options.method == Method::Validate {
            item.unsent = Some(Unsent::Bad("a deletion cannot be validated".into()));
        }
        // Of one resource it is, however it is deleted.
        let (path, _) = url.split_once('?').unwrap_or((&url, ""));
        item.key = if path.contains('/') {
            hash(&path)
        } else {
            hash(&url)
        };
        item.url = url;
        item
    }

    pub(super) fn resource<'t>(
        &mut self,
        scope: Scope,
        text: &'t [u8],
        full_url: Option<String>,
    ) -> Result<(Item, Cow<'t, [u8]>), ImportError> {
        let head = match Head::read(text) {
            Ok(head) => head,
            Err(problem) => {
                let mut item = self.item(&line::type_name(text), Action::Post);
                item.full_url = full_url;
                item.unsent = Some(Unsent::Bad(problem));
                return Ok((item, Cow::Borrowed(text)));
            }
        };
        let mut item = self.item(&head.resource_type, Action::Put);
        item.id = head.id.as_deref().map(Into::into);
        item.full_url = full_url.filter(|url| !self.feed.naming.keeps_ids || is_urn(url));
        item.bundle = scope.bundle;
        if self.feed.index_grows {
            self.note(scope, &head, item.full_url.as_deref())?;
            self.count_links(text);
        }
        let mut text = self.resolved(scope, text)?;
        if self.feed.options.add_extensions && *item.resource_type == *"ExplanationOfBenefit" {
            text = Cow::Owned(extensions::added(text.into_owned()));
        }
        if let Err(problem) = self.address(&mut item, &mut text)? {
            item.unsent = Some(Unsent::Bad(problem));
        }
        Ok((item, text))
    }

    /// Sets where and how an item is sent, or says why it cannot be.
    fn address(
        &self,
        item: &mut Item,
        text: &mut Cow<[u8]>,
    ) -> Result<Result<(), String>, ImportError> {
        if self.feed.options.method == Method::Put
            && item.id.is_none()
            && self.is_ambiguous(item)?
        {
            return Ok(Err(
                "it has no id, and other files have other resources under its fullUrl".into(),
            ));
        }
        Ok(self.url(item, text))
    }

    /// Whether other files have resources under the same full URL.
    fn is_ambiguous(&self, item: &Item) -> Result<bool, ImportError> {
        let (Some(index), Some(urn)) = (&self.feed.index, &item.full_url) else {
            return Ok(false);
        };
        let index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // As if from no file of its own.
        let found = index.find(Scope::NONE, urn);
        found
            .map(|found| found == Target::Ambiguous)
            .map_err(ImportError::temporary)
    }

    /// Sets where and how an item is sent.
    fn url(&self, item: &mut Item, text: &mut Cow<[u8]>) -> Result<(), String> {
        let options = &self.feed.options;
        let kind = &item.resource_type;
        match options.method {
            Method::Put => {
                if item.id.is_none() {
                    let uuid = item.full_url.as_deref().and_then(uuid_of);
                    let uuid = uuid.ok_or(
                        "it has no id to be written under; --method post lets the server give one",
                    )?;
                    *text = Cow::Owned(line::with_id(text, uuid));
                    item.id = Some(uuid.into());
                }
                item.full_url = None;
                let id = Id::parse(item.id.as_deref().unwrap_or_default());
                let id = id.map_err(|problem| problem.to_string())?;
                item.url = format!("{kind}/{}", id.segment());
                item.key = hash(&item.url);
            }
            Method::Conditional => {
                let query = matching::query(&options.templates, kind, text)?;
                item.url = format!("{kind}?{query}");
                item.key = hash(&item.url);
                item.action = Action::ConditionalPut;
            }
            Method::Post => {
                item.url = kind.to_string();
                item.action = Action::Post;
                if !options.templates.is_empty() {
                    let query = matching::query(&options.templates, kind, text)?;
                    item.key = hash(&(&item.url, &query));
                    item.action = Action::ConditionalPost(query);
                }
            }
            Method::Validate => {
                item.url = format!("{kind}/$validate");
                item.action = Action::Validate;
                item.key = hash(&(&item.url, &item.id));
            }
        }
        Ok(())
    }

    fn count_links(&self, text: &[u8]) {
        let links = self.feed.scan.links(text, None);
        let mut all = self
            .feed
            .tally
            .links
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.add(links);
    }

    /// Notes where `urn:uuid` in later resources lead.
    fn note(&self, scope: Scope, head: &Head, full_url: Option<&str>) -> Result<(), ImportError> {
        let Some(index) = &self.feed.index else {
            return Ok(());
        };
        let mut index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        survey::note(&mut index, scope, head, full_url, self.feed.naming)
            .map_err(ImportError::temporary)
    }

    /// The text with its `urn:uuid` led to resources, where that is known already.
    fn resolved<'t>(&self, scope: Scope, text: &'t [u8]) -> Result<Cow<'t, [u8]>, ImportError> {
        let Some(index) = &self.feed.index else {
            return Ok(Cow::Borrowed(text));
        };
        let source = self.feed.inputs[scope.file].source.as_deref();
        let needs_leading = self.feed.scan.may_lead(text, source);
        let (true, Ok(words)) = (needs_leading, std::str::from_utf8(text)) else {
            return Ok(Cow::Borrowed(text));
        };
        let index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let way = Way {
            scope,
            base: NO_BASE,
            source,
            full_url: None,
            own: &Own::default(),
            relative: false,
            ids_change: false,
            goes: Goes::Out,
        };
        let led = index.lead(words, &way).map_err(ImportError::temporary)?;
        self.feed
            .tally
            .dangling
            .fetch_add(led.dangling, Ordering::Relaxed);
        self.feed
            .tally
            .absolute
            .fetch_add(led.absolute, Ordering::Relaxed);
        Ok(Cow::Owned(led.text.into_bytes()))
    }
}

/// What no reference begins with.
const NO_BASE: &str = "\n";

/// A key by which items are about the same.
pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
