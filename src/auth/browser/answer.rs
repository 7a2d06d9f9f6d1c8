//! What comes back from the authorize endpoint (RFC 6749 §4.1.2), by the browser or pasted.

use url::{Url, form_urlencoded};

use crate::foreign::Foreign;
use crate::profile::urls;
use crate::secret::{self, Secret};

/// The one answer that is waited for.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    pub(super) state: Secret,
    /// The issuer, when discovery named one: an answer that names another is no answer (RFC 9207).
    pub(super) issuer: Option<String>,
    /// Whether the server says that it names itself in every answer (RFC 9207 §3): one that does not is no answer of it.
    pub(super) must_name_issuer: bool,
    /// Where the code goes.
    pub(super) token_url: Url,
    /// Whether the issuer says itself that this is its token endpoint, or the user named that.
    pub(super) is_vouched: bool,
}

/// The answer to this login.
#[derive(Debug)]
pub(super) enum Answer {
    Code(Secret),
    Denied {
        code: Foreign,
        words: Option<Foreign>,
    },
    Bad(Foreign),
}

impl Awaited {
    /// Reads the query of a redirect.
    ///
    /// # Errors
    /// It belongs to no login or to another one, and why; the wait goes on.
    pub(super) fn read(&self, query: &str) -> Result<Answer, &'static str> {
        let all = |name: &str| -> Vec<String> {
            form_urlencoded::parse(query.as_bytes())
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .collect()
        };
        match all("state").as_slice() {
            [] => return Err("it has no state"),
            [state] if state == self.state.expose() => {}
            _ => return Err("its state is not the one of this login"),
        }
        let one = |name: &str| {
            let mut values = all(name);
            let value = values.pop().filter(|value| !value.is_empty());
            if values.is_empty() {
                Ok(value)
            } else {
                Err(format!("`{name}` came twice"))
            }
        };
        Ok(self
            .answer(one)
            .unwrap_or_else(|reason| Answer::Bad(reason.into())))
    }

    fn may_be_of(&self, issuer: &str) -> bool {
        let is_at = |issuer: Url| urls::same_origin(&issuer, &self.token_url);
        self.is_vouched || Url::parse(issuer).is_ok_and(is_at)
    }

    fn answer(
        &self,
        one: impl Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<Answer, String> {
        match (one("iss")?, &self.issuer) {
            (Some(issuer), Some(expected)) if issuer != *expected => {
                return Err(format!("it comes from {issuer}, not from {expected}"));
            }
            // A document can claim anybody's name, and lead to that server's page (RFC 9207 §1): the code is for another one.
            (Some(issuer), _) if !self.may_be_of(&issuer) => {
                return Err(format!(
                    "it comes from {issuer}, which does not say that {} is its token endpoint",
                    secret::url_for_people(&self.token_url)
                ));
            }
            (None, Some(expected)) if self.must_name_issuer => {
                return Err(format!(
                    "it does not say that it comes from {expected}, as that server's answers do (iss)"
                ));
            }
            _ => {}
        }
        if let Some(code) = one("error")? {
            let words = one("error_description")?.or(one("error_uri")?);
            return Ok(Answer::Denied {
                code: code.into(),
                words: words.map(Foreign::from),
            });
        }
        match one("code")? {
            Some(code) => Ok(Answer::Code(Secret::new(code))),
            None => Err("it holds neither a code nor an error".into()),
        }
    }
}

/// The query in a line that a person pasted: a whole redirect URL, or what stands after its `?`.
pub(super) fn pasted_query(line: &str) -> Option<&str> {
    let line = line.trim().trim_matches(['"', '\'', '<', '>']);
    let line = line.split('#').next().unwrap_or_default();
    let query = line.split_once('?').map_or(line, |(_, query)| query);
    query.contains('=').then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> String {
        let awaited = Awaited {
            state: Secret::public("s-1"),
            issuer: Some("https://i.example".into()),
            must_name_issuer: query.contains("&must"),
            token_url: Url::parse("https://i.example/token").unwrap(),
            is_vouched: false,
        };
        match awaited.read(query) {
            Err(reason) => format!("not ours: {reason}"),
            Ok(Answer::Code(code)) => format!("code {}", code.expose()),
            Ok(Answer::Denied { code, words }) => {
                format!("denied {code} {}", words.unwrap_or_default())
            }
            Ok(Answer::Bad(reason)) => format!("bad: {reason}"),
        }
    }

    #[test]
    fn only_the_right_state_ends_the_wait() {
        for query in [
            "",
            "code=c",
            "code=c&state=",
            "code=c&state=s-2",
            "code=c&state=s-1&state=s-1",
            "code=c&State=s-1",
            "error=access_denied",
            "error=access_denied&state=x",
        ] {
            assert!(
                read(query).starts_with("not ours"),
                "{query}: {}",
                read(query)
            );
        }
        assert_eq!(read("state=s-1&code=a%2Bb"), "code a+b");
        assert_eq!(
            read("state=s-1&code=c&iss=https%3A%2F%2Fi.example"),
            "code c"
        );
        assert_eq!(
            read("error=access_denied&error_description=No+thanks&state=s-1"),
            "denied access_denied No thanks"
        );
        for query in [
            "state=s-1",
            "state=s-1&code=a&code=b",
            "state=s-1&code=c&iss=x",
            "state=s-1&code=c&must",
            "state=s-1&error=access_denied&must",
        ] {
            assert!(read(query).starts_with("bad: "), "{query}: {}", read(query));
        }
    }

    #[test]
    fn a_pasted_line_may_be_the_whole_address_or_its_end() {
        let query = Some("code=c&state=s");
        for line in [
            "http://localhost:9615/?code=c&state=s",
            " 'http://localhost:9615?code=c&state=s#_=_' \r",
            "code=c&state=s",
            "?code=c&state=s",
        ] {
            assert_eq!(pasted_query(line), query, "{line}");
        }
        assert_eq!(pasted_query("yes"), None);
    }
}
