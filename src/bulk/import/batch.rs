//! What goes out in one request: resources as text, and the request made of them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::bulk::import::BundleKind;
use crate::bulk::import::long::Leave;
use crate::bulk::import::order::names::is_urn;
use crate::bulk::import::piece::{Action, Item};

/// The two halves of a batch that was refused as a whole.
#[derive(Debug)]
pub struct Split {
    /// Items in the larger one.
    pub half: usize,
    taken: AtomicUsize,
}

impl Split {
    /// Halves of which the larger has so many items.
    pub fn new(half: usize) -> Self {
        Self {
            half,
            taken: AtomicUsize::new(0),
        }
    }

    /// Notes that one was taken; whether both were.
    pub fn is_taken(&self) -> bool {
        self.taken.fetch_add(1, Ordering::Relaxed) == 1
    }
}

/// Resources that go together.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the batch"
)]
pub struct Batch {
    pub items: Vec<Item>,
    pub text: Bytes,
    /// The texts as they were read.
    original: Bytes,
    /// Whether `text` is already the body of the request for exactly these items.
    is_body: bool,
    /// Failures so far that say nothing about the resources.
    pub attempts: u32,
    /// Whether its references were led to where they go.
    pub is_resolved: bool,
    /// Whether those that lead nowhere were counted.
    pub is_counted: bool,
    /// Whether it was cut out of a bundle at which the server broke down.
    pub is_suspect: bool,
    /// The bundle that it is a half of, when that was refused as a whole.
    pub split: Option<Arc<Split>>,
    /// The leave to hold a long resource.
    pub long: Option<Arc<Leave>>,
}

impl Batch {
    /// A batch of items whose places are in `text`.
    pub fn new(mut items: Vec<Item>, text: Vec<u8>) -> Self {
        for item in &mut items {
            item.origin = item.place.clone();
        }
        let text = Bytes::from(text);
        Self {
            items,
            original: text.clone(),
            text,
            is_body: false,
            attempts: 0,
            is_resolved: false,
            is_counted: false,
            is_suspect: false,
            split: None,
            long: None,
        }
    }

    /// The text of an item.
    pub fn text_of(&self, item: &Item) -> &[u8] {
        &self.text[item.place.clone()]
    }

    /// The text of an item as it was read.
    pub fn original_of(&self, item: &Item) -> &[u8] {
        &self.original[item.origin.clone()]
    }

    /// Puts other texts in the place of those there, one for each item.
    pub fn put_texts(&mut self, mut texts: Vec<Vec<u8>>) {
        let (mut text, mut is_whole) = (Vec::new(), false);
        if let [only] = &mut texts[..] {
            // Of a long one there is no room for many copies.
            is_whole = self.original[..] == only[..];
            text = std::mem::take(only);
            self.items[0].place = 0..text.len();
        } else {
            text.reserve_exact(texts.iter().map(Vec::len).sum());
            for (item, new) in self.items.iter_mut().zip(&texts) {
                let start = text.len();
                text.extend_from_slice(new);
                item.place = start..text.len();
            }
        }
        self.text = if is_whole {
            self.original.clone()
        } else {
            text.into()
        };
        self.is_body = false;
    }

    /// Whether all of it may be sent again.
    pub fn may_be_repeated(&self) -> bool {
        self.items.iter().all(|item| item.action.may_be_repeated())
    }

    /// The part of the batch with these items.
    #[must_use]
    pub fn part(&self, items: Vec<Item>) -> Self {
        Self {
            items,
            text: self.text.clone(),
            original: self.original.clone(),
            is_body: false,
            split: None,
            long: self.long.clone(),
            ..*self
        }
    }

    /// Takes out the items that a condition holds for.
    #[must_use]
    pub fn split_off(&mut self, condition: impl FnMut(&Item) -> bool) -> Self {
        let (taken, left): (Vec<Item>, Vec<Item>) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(condition);
        self.is_body &= taken.is_empty();
        self.items = left;
        self.part(taken)
    }

    /// The items from `at` on as a batch of their own.
    #[must_use]
    pub fn split_at(&mut self, at: usize) -> Self {
        let rest = self.items.split_off(at.min(self.items.len()));
        self.is_body &= rest.is_empty();
        self.part(rest)
    }

    /// The body of the request: the resources byte for byte inside a Bundle (FHIR R4 §3.1.0.11).
    pub fn body(&mut self, kind: BundleKind) -> Bytes {
        if self.is_body {
            return self.text.clone();
        }
        if kind == BundleKind::None {
            // The resource is the body, as it lies there.
            if let Some(item) = self.items.first_mut() {
                self.text = self.text.slice(item.place.clone());
                item.place = 0..self.text.len();
            }
            self.is_body = true;
            return self.text.clone();
        }
        let length: usize = self
            .items
            .iter()
            .map(|item| item.place.len() + item.url.len() + 96)
            .sum();
        let mut body = Vec::with_capacity(length + 64);
        body.extend_from_slice(br#"{"resourceType":"Bundle","type":""#);
        body.extend_from_slice(kind.name().as_bytes());
        body.extend_from_slice(br#"","entry":["#);
        for (at, item) in self.items.iter_mut().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            entry(&mut body, item, &self.text, kind);
        }
        body.extend_from_slice(b"]}");
        self.text = body.into();
        self.is_body = true;
        self.text.clone()
    }
}

fn entry(body: &mut Vec<u8>, item: &mut Item, text: &[u8], kind: BundleKind) {
    let mut head = String::with_capacity(item.url.len() + 64);
    head.push('{');
    // Over HTTP it means something only where the server leads references to it, and to resources that keep their id.
    let posts = matches!(item.action, Action::Post | Action::ConditionalPost(_));
    let is_said = |url: &&String| is_urn(url) || posts && kind == BundleKind::Transaction;
    let full_url = item.full_url.as_ref().or(item.made_up_url.as_ref());
    if let Some(full_url) = full_url.filter(is_said) {
        let _ = write!(head, "\"fullUrl\":{},", quoted(full_url));
    }
    let _ = write!(
        head,
        "\"request\":{{\"method\":\"{}\",\"url\":{}",
        item.action.method(),
        quoted(&item.url)
    );
    if let Action::ConditionalPost(query) = &item.action {
        let _ = write!(head, ",\"ifNoneExist\":{}", quoted(query));
    }
    head.push('}');
    body.extend_from_slice(head.as_bytes());
    if item.action == Action::Delete {
        item.place = 0..0;
    } else {
        body.extend_from_slice(br#","resource":"#);
        let start = body.len();
        body.extend_from_slice(&text[item.place.clone()]);
        item.place = start..body.len();
    }
    body.push(b'}');
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_holds_the_bytes_of_its_resources_and_parts_of_it_too() {
        let mut batch = Batch::new(
            vec![Item::of_test(0, 0..10), Item::of_test(1, 10..19)],
            br#"{"a":1.00}{"b":1e2}"#.to_vec(),
        );
        batch.items[1].action = Action::ConditionalPost("a=\"".into());
        let body = batch.body(BundleKind::Batch);
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"PUT","url":"Patient/0"},"resource":{"a":1.00}},{"request":{"method":"POST","url":"Patient/1","ifNoneExist":"a=\""},"resource":{"b":1e2}}]}"#
        );
        assert_eq!(batch.text_of(&batch.items[1]), br#"{"b":1e2}"#);
        let mut rest = batch.split_at(1);
        assert_eq!(rest.body(BundleKind::None), &br#"{"b":1e2}"#[..]);
        assert!(batch.body(BundleKind::Transaction).starts_with(br#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Patient/0"},"resource":{"a":1.00}}]"#));
    }
}
