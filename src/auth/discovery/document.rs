//! What servers say of themselves: the few fields that are used, read without building the rest. Such a document comes
//! before any sign-in, so it must cost no more than what is kept of it.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A list in a document that is longer is cut.
const MOST: usize = 2000;

/// A SMART configuration (SMART App Launch 2.2), or the document of an issuer (RFC 8414 §2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    pub issuer: Text,
    pub authorization_endpoint: Text,
    pub token_endpoint: Text,
    pub revocation_endpoint: Text,
    pub introspection_endpoint: Text,
    pub userinfo_endpoint: Text,
    pub device_authorization_endpoint: Text,
    pub pushed_authorization_request_endpoint: Text,
    pub mtls_endpoint_aliases: Aliases,
    pub require_pushed_authorization_requests: Flag,
    pub authorization_response_iss_parameter_supported: Flag,
    pub token_endpoint_auth_methods_supported: Texts,
    pub token_endpoint_auth_signing_alg_values_supported: Texts,
    pub scopes_supported: Texts,
    pub capabilities: Texts,
}

/// The part of a CapabilityStatement that is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Statement {
    #[serde(rename = "resourceType")]
    pub resource_type: Text,
    #[serde(rename = "fhirVersion")]
    pub fhir_version: Text,
    pub software: Software,
    pub rest: Few<Rest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Software {
    pub name: Text,
    pub version: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rest {
    pub security: Security,
    pub resource: Few<Resource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Security {
    pub extension: Few<Extension>,
}

/// An extension with the extensions in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Extension {
    pub url: Text,
    #[serde(rename = "valueUri")]
    pub value_uri: Text,
    pub extension: Few<Self>,
}

/// A type that a server has, and what can be done with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resource {
    #[serde(rename = "type")]
    pub kind: Text,
    pub interaction: Option<Few<Interaction>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Interaction {
    pub code: Text,
}

/// The first of a list, [`MOST`] at most.
#[derive(Debug)]
pub struct Few<T>(pub Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MOST {
                    match list.next_element()? {
                        Some(element) => kept.push(element),
                        None => return Ok(Few(kept)),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Few(kept))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// A text; any other value counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Seen")]
pub struct Text(Option<String>);

/// The texts of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Seen")]
pub struct Texts(pub Option<Vec<String>>);

/// Whether it says `true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Seen")]
pub struct Flag(pub bool);

/// Endpoints for clients that show a certificate (RFC 8705 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Seen")]
pub struct Aliases {
    pub token_endpoint: Text,
}

impl Text {
    /// The text, unless it is empty.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

/// A value of any kind, as far as it is of use.
enum Seen {
    Text(String),
    Flag(bool),
    List(Vec<String>),
    Object(Vec<(String, String)>),
    Other,
}

impl From<Seen> for Text {
    fn from(seen: Seen) -> Self {
        Self(match seen {
            Seen::Text(text) => Some(text),
            _ => None,
        })
    }
}

impl From<Seen> for Texts {
    fn from(seen: Seen) -> Self {
        Self(match seen {
            Seen::List(texts) => Some(texts),
            _ => None,
        })
    }
}

impl From<Seen> for Flag {
    fn from(seen: Seen) -> Self {
        Self(matches!(seen, Seen::Flag(true)))
    }
}

impl From<Seen> for Aliases {
    fn from(seen: Seen) -> Self {
        let Seen::Object(members) = seen else {
            return Self::default();
        };
        let mut members = members.into_iter();
        let token = members.find(|(name, _)| name == "token_endpoint");
        Self {
            token_endpoint: Text(token.map(|(_, url)| url)),
        }
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Seen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Seen, E> {
                Ok(Seen::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Seen, E> {
                Ok(Seen::Flag(flag))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
                Ok(Seen::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Seen, E> {
                Ok(Seen::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
                Ok(Seen::Other)
            }

            fn visit_unit<E>(self) -> Result<Seen, E> {
                Ok(Seen::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
                let mut texts = Vec::new();
                while let Some(seen) = list.next_element::<Seen>()? {
                    match seen {
                        Seen::Text(text) if texts.len() < MOST => texts.push(text),
                        _ => {}
                    }
                }
                Ok(Seen::List(texts))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
                let mut members = Vec::new();
                while let Some((name, seen)) = map.next_entry::<String, Seen>()? {
                    match seen {
                        Seen::Text(text) if members.len() < MOST => members.push((name, text)),
                        _ => {}
                    }
                }
                Ok(Seen::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_another_kind_count_as_absent() {
        let document: Document = serde_json::from_str(
            r#"{"token_endpoint":["x"],"issuer":"i","revocation_endpoint":1.5,"mtls_endpoint_aliases":"no",
            "scopes_supported":["a",1,{"b":[null]},"c"],"capabilities":{},"unknown":[[[{}]]],
            "require_pushed_authorization_requests":"true","authorization_response_iss_parameter_supported":true}"#,
        )
        .unwrap();
        assert_eq!(document.token_endpoint.get(), None);
        assert_eq!(document.issuer.get(), Some("i"));
        assert_eq!(document.mtls_endpoint_aliases, Aliases::default());
        let scopes = document.scopes_supported.0.unwrap();
        assert_eq!(scopes, ["a", "c"]);
        assert_eq!(document.capabilities.0, None);
        assert!(!document.require_pushed_authorization_requests.0);
        assert!(document.authorization_response_iss_parameter_supported.0);
    }

    #[test]
    fn long_lists_are_cut() {
        let list = "{\"rest\":[".to_owned() + &"{},".repeat(MOST * 2) + "{}]}";
        let statement: Statement = serde_json::from_str(&list).unwrap();
        assert_eq!(statement.rest.0.len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn no_document_makes_it_panic(text in "\\PC{0,80}") {
            let _ = serde_json::from_str::<Document>(&text);
            let _ = serde_json::from_str::<Document>(&format!("{{\"token_endpoint\":{text}}}"));
            let _ = serde_json::from_str::<Statement>(&format!("{{\"rest\":[{text}]}}"));
        }
    }
}
