//! What lies in one transaction: the server leads references to the full URLs of its entries (FHIR R4 §3.1.0.11.2).

use std::collections::{HashMap, HashSet};
use std::io;

use crate::bulk::import::order::names::{Scope, folded, made_up};
use crate::bulk::import::piece::Item;

/// The names in a transaction that its server knows where to lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The full URLs that its entries have, how each is spelled there, and where it is a name.
    urls: HashMap<String, (String, Scope)>,
    /// A full URL for each `Type/id` that is a name by itself.
    names: HashMap<String, String>,
}

impl Own {
    /// The names of these items; `by_id` is whether `Type/id` is one. Of two items of one id it is the later one's.
    pub fn of<'a>(items: impl Iterator<Item = &'a Item>, by_id: bool) -> Self {
        let mut own = Self::default();
        for item in items {
            let url = item.full_url.clone();
            own.urls.extend(url.map(|url| entry(url, item.scope())));
            if let (true, Some(name)) = (by_id, name_of(item)) {
                let url = item.full_url.clone().unwrap_or_else(|| made_up(&name));
                own.names.insert(name, url);
            }
        }
        own
    }

    /// Entries of one Bundle with these full URLs.
    #[cfg(test)]
    pub(super) fn with(scope: Scope, urls: &[&str]) -> Self {
        let urls = urls.iter().map(|url| entry((*url).to_owned(), scope));
        Self {
            urls: urls.collect(),
            ..Self::default()
        }
    }

    /// The full URL of an entry of the transaction, as it is spelled there; of another Bundle, only where that is the only
    /// one.
    ///
    /// # Errors
    /// What `is_ambiguous` says.
    pub fn leads(
        &self,
        scope: Scope,
        url: &str,
        is_ambiguous: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<Option<&str>> {
        let Some((spelled, own)) = self.urls.get(&*folded(url)) else {
            return Ok(None);
        };
        let leads = *own == scope || !is_ambiguous()?;
        Ok(leads.then_some(spelled))
    }

    /// Whether an entry of another Bundle has this full URL, to which the server would lead what is sent as it is.
    pub fn misleads(&self, scope: Scope, url: &str) -> bool {
        let own = self.urls.get(&*folded(url));
        own.is_some_and(|(_, own)| *own != scope)
    }

    /// Whether full URLs are names at all.
    pub fn has_urls(&self) -> bool {
        !self.urls.is_empty()
    }

    /// The full URL that stands for `Type/id`, where that lies in the transaction.
    pub fn url_of(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(String::as_str)
    }

    /// Gives the items their full URLs that were made up and are pointed at.
    pub fn put_on(items: &mut [Item], wanted: &HashSet<String>) {
        let mut left = wanted.clone();
        for item in items.iter_mut().rev() {
            item.made_up_url = name_of(item)
                .filter(|_| item.full_url.is_none() && !left.is_empty())
                .map(|name| made_up(&name))
                .filter(|url| left.remove(url));
        }
    }
}

fn entry(url: String, scope: Scope) -> (String, (String, Scope)) {
    (folded(&url).into_owned(), (url, scope))
}

fn name_of(item: &Item) -> Option<String> {
    let id = item.id.as_deref()?;
    Some(format!("{}/{id}", item.resource_type))
}
