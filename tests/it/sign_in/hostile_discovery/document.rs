//! Discovery documents that lie: which of their fields, and where each lie leads.

use serde_json::{Value, json};

use super::identity::Identity;
use super::world::World;

/// Every field of a document that names an endpoint.
pub(super) const FIELDS: [&str; 9] = [
    "token_endpoint",
    "authorization_endpoint",
    "revocation_endpoint",
    "device_authorization_endpoint",
    "introspection_endpoint",
    "userinfo_endpoint",
    "pushed_authorization_request_endpoint",
    "mtls_endpoint_aliases",
    "issuer",
];

/// Where a field leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// The identity provider, as it should be.
    Honest,
    /// Another host, which is the FHIR server itself.
    OtherOrigin,
    /// Another port of the identity provider's host.
    OtherPort,
    /// The identity provider's host without TLS.
    Http,
    /// The identity provider, which sends on to another server.
    Redirect,
}

pub(super) const LIES: [Lead; 4] = [
    Lead::OtherOrigin,
    Lead::OtherPort,
    Lead::Http,
    Lead::Redirect,
];

/// Where each field leads, in the order of [`FIELDS`].
#[derive(Clone, Debug)]
pub(super) struct Document([Lead; 9]);

impl Document {
    /// Every second field lies, beginning with the first or the second one. The eight of them hold each lie of each field
    /// once, and honest fields beside it.
    pub(super) fn every_second() -> Vec<Self> {
        let halves = [0, 1].map(|half| [0, 1, 2, 3].map(|turn| (half, turn)));
        let lead = |half, turn, at: usize| {
            if at % 2 == half {
                LIES[(at / 2 + turn) % 4]
            } else {
                Lead::Honest
            }
        };
        let make = |(half, turn)| Self(std::array::from_fn(|at| lead(half, turn, at)));
        halves.into_iter().flatten().map(make).collect()
    }

    /// Every field lies; the four of them hold each lie of each field once.
    pub(super) fn throughout() -> Vec<Self> {
        let make = |turn| Self(std::array::from_fn(|at| LIES[(at + turn) % 4]));
        (0..4).map(make).collect()
    }

    /// The lead of a field.
    pub(super) fn lead(&self, field: &str) -> Lead {
        let at = FIELDS.iter().position(|name| *name == field);
        self.0[at.unwrap()]
    }

    /// As it is served for a cell.
    pub(super) fn json(&self, world: &World, cell: &str, identity: Identity) -> Value {
        let mut document = json!({});
        for field in FIELDS {
            let url = world.url(self.lead(field), cell, field);
            document[field] = match field {
                "mtls_endpoint_aliases" => json!({"token_endpoint": url}),
                _ => url.into(),
            };
        }
        document["require_pushed_authorization_requests"] = identity.pushes().into();
        document
    }
}
