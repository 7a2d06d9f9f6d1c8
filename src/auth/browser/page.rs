//! The pages that a browser shows after a sign-in: plain HTML that loads nothing.

use std::fmt::Write as _;

use super::super::random::unguessable;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1.0625rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}\
h1{font-size:1.5rem;margin:0 0 .75rem}\
h1::before{display:inline-block;width:1.6em}\
.yes h1::before{content:'\u{2713}';color:#18794e}\
.no h1::before{content:'\u{2715}';color:#c62a2f}\
p{margin:.5rem 0;overflow-wrap:anywhere}\
.small{opacity:.75;font-size:.9375rem}";

/// One page with its status.
#[derive(Debug)]
pub(super) struct Page {
    status: &'static str,
    good: bool,
    title: &'static str,
    lines: Vec<String>,
    /// Where the browser goes on.
    location: Option<String>,
}

/// It worked.
pub(super) fn signed_in(server: &str, profile: &str) -> Page {
    Page {
        status: "200 OK",
        good: true,
        title: "You are signed in",
        location: None,
        lines: vec![
            format!("medplum is signed in to {server} as profile {profile}."),
            "You can close this window and go back to the terminal.".into(),
        ],
    }
}

/// It did not work.
pub(super) fn not_signed_in(reason: &str) -> Page {
    Page {
        status: "400 Bad Request",
        good: false,
        title: "You are not signed in",
        location: None,
        lines: vec![
            format!("medplum could not sign in: {reason}."),
            "Nothing was changed. The terminal says what to try next.".into(),
        ],
    }
}

/// An answer that nobody here waits for.
pub(super) fn does_not_belong(reason: &str) -> Page {
    Page {
        status: "400 Bad Request",
        good: false,
        title: "This is not the sign-in that medplum waits for",
        location: None,
        lines: vec![
            format!("The answer was refused: {reason}."),
            "If you did not start this yourself, close the window. Otherwise go on in the window that medplum \
             opened; it still waits."
                .into(),
        ],
    }
}

/// A request that is no answer at all.
pub(super) fn refused(status: &'static str) -> Page {
    Page {
        status,
        good: false,
        title: "There is nothing here",
        location: None,
        lines: vec!["medplum waits here for a sign-in only.".into()],
    }
}

/// The way to the server's own page.
pub(super) fn onward(target: &url::Url) -> Page {
    Page {
        status: "302 Found",
        good: true,
        title: "On the way to the sign-in",
        location: Some(target.to_string()),
        lines: Vec::new(),
    }
}

/// Somebody was there before.
pub(super) fn begun_already() -> Page {
    Page {
        status: "410 Gone",
        good: false,
        title: "This sign-in has begun already",
        location: None,
        lines: vec![
            "Its address was opened a second time, so medplum has given it up: somebody else may have been first.".into(),
            "Run the same command again.".into(),
        ],
    }
}

impl Page {
    #[cfg(test)]
    pub(super) fn status(&self) -> &str {
        self.status
    }

    /// The whole HTTP answer.
    pub(super) fn response(&self) -> String {
        let nonce = unguessable::<16>();
        let body = self.html(&nonce);
        let location = self.location.iter().map(|url| format!("Location: {url}"));
        let mut headers = vec![
            "Content-Type: text/html; charset=utf-8".to_owned(),
            format!("Content-Length: {}", body.len()),
            format!(
                "Content-Security-Policy: default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'"
            ),
            // The address holds the code.
            "Referrer-Policy: no-referrer".to_owned(),
            "Cache-Control: no-store".to_owned(),
            "X-Content-Type-Options: nosniff".to_owned(),
            "Cross-Origin-Opener-Policy: same-origin".to_owned(),
            "Connection: close".to_owned(),
        ];
        headers.extend(location);
        format!(
            "HTTP/1.1 {}\r\n{}\r\n\r\n{body}",
            self.status,
            headers.join("\r\n")
        )
    }

    fn html(&self, nonce: &str) -> String {
        let class = if self.good { "yes" } else { "no" };
        let mut lines = String::new();
        for (at, line) in self.lines.iter().enumerate() {
            let class = if at == 0 { "" } else { " class=\"small\"" };
            // The server's words may repeat what it was told.
            let words = escaped(&crate::secret::mask(line));
            let _ = writeln!(lines, "<p{class}>{words}</p>");
        }
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} - medplum</title>\n\
             <style nonce=\"{nonce}\">{STYLE}</style>\n<body class=\"{class}\">\n<h1>{title}</h1>\n{lines}</body>\n</html>\n",
            title = self.title,
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_text_and_nothing_is_loaded() {
        let response = not_signed_in("<script src=//evil.example></script>").response();
        assert!(
            response.contains("&lt;script src=//evil.example&gt;"),
            "{response}"
        );
        assert!(response.contains("default-src 'none'"), "{response}");
        assert!(
            !response.contains("<script") && !response.contains("<link"),
            "{response}"
        );
        assert!(
            !response.contains("href") && !response.contains("url("),
            "{response}"
        );
    }
}
