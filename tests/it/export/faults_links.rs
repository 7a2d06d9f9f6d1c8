//! The table of faults, its rows where tokens and links go stale and files lie elsewhere: each takes more than one
//! wrong answer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::faults::At::Elsewhere;
use super::faults::How::Servers;
use super::faults::{ALL, Fault, OTHERS, check_all, file};
use crate::support::bulk::{OBSERVATIONS, STATUS};
use crate::support::{Answer, Bulk, Server};

/// Answers the first request for the Observation file with this, and takes all tokens back.
fn revoking(bulk: &Bulk, answer: Answer) {
    let (tokens, done) = (bulk.tokens.clone(), AtomicBool::new(false));
    bulk.server.guard(move |request| {
        let is_first = request.path() == "/files/o" && !done.swap(true, Ordering::SeqCst);
        is_first.then(|| {
            tokens.revoke();
            answer.clone()
        })
    });
}

/// The Observation file on another host, with what that host answers to whoever sends a token, and to others.
fn on_another_host(bulk: &Bulk, with_token: Answer, without: Answer) -> Vec<Server> {
    let host = Server::start();
    bulk.server
        .on("GET", "/files/o", Answer::redirect(307, &host.url("/o")));
    host.handler(move |request| {
        let answer = match request.header("Authorization") {
            Some(_) => &with_token,
            None => &without,
        };
        Some(answer.clone())
    });
    vec![host]
}

fn only_one_mechanism() -> Answer {
    let words = "<Error><Message>Only one auth mechanism allowed</Message></Error>";
    Answer::new(400, "application/xml", words)
}

/// The Observation file's link is answered like this until the status page was read again, after the first time.
/// With `moved` the page then names another link, and the first one stays dead.
fn expired_link(bulk: &Bulk, answer: Answer, moved: bool) {
    let (asked, fresh) = (AtomicBool::new(false), Mutex::new(false));
    let page = bulk.manifest_text();
    let moved_page = page.replace("/files/o", "/files/o?signature=2");
    bulk.server.guard(move |request| {
        let mut fresh = fresh.lock().unwrap();
        match (request.method.as_str(), request.path()) {
            ("GET", STATUS) => {
                *fresh = asked.load(Ordering::SeqCst);
                let page = if *fresh && moved { &moved_page } else { &page };
                Some(Answer::new(200, "application/json", page))
            }
            ("GET", "/files/o") => {
                asked.store(true, Ordering::SeqCst);
                let alive = *fresh && (!moved || request.target.contains("signature=2"));
                Some(if alive { file() } else { answer.clone() })
            }
            _ => None,
        }
    });
}

#[rustfmt::skip]
fn faults() -> Vec<Fault> {
    vec![
        ("the token expires in mid-file", Elsewhere, Servers(|bulk| {
            revoking(bulk, file().reset_after(OBSERVATIONS.len() / 2));
            Vec::new()
        }), 0, ALL, ""),
        ("the token expires before the file", Elsewhere, Servers(|bulk| {
            revoking(bulk, Answer::outcome(401, "expired", "the token has expired"));
            Vec::new()
        }), 0, ALL, ""),
        ("307 to another origin, which refuses tokens", Elsewhere, Servers(|bulk| {
            on_another_host(bulk, only_one_mechanism(), file())
        }), 0, ALL, ""),
        ("307 to another origin, which wants a token", Elsewhere, Servers(|bulk| {
            on_another_host(bulk, file(), Answer::outcome(401, "login", "a token is needed here"))
        }), 5, OTHERS, "a token is needed here"),
        ("307 to another origin, whose signature is no good", Elsewhere, Servers(|bulk| {
            on_another_host(bulk, file(), Answer::new(403, "application/xml", "<Error><Code>SignatureDoesNotMatch</Code></Error>"))
        }), 5, OTHERS, "403"),
        ("307 to another origin, which is not there", Elsewhere, Servers(|bulk| {
            let gone = Server::start().url("/o");
            bulk.server.on("GET", "/files/o", Answer::redirect(307, &gone));
            Vec::new()
        }), 5, OTHERS, ""),
        ("the file is on another host, which refuses tokens", Elsewhere, Servers(|bulk| {
            bulk.manifest(|m| m["requiresAccessToken"] = json!(false));
            on_another_host(bulk, only_one_mechanism(), file())
        }), 0, ALL, ""),
    ]
}

#[rustfmt::skip]
fn expired_links() -> Vec<Fault> {
    vec![
        ("a link that is 403 until the status is read again", Elsewhere, Servers(|bulk| {
            expired_link(bulk, expired(403), false);
            Vec::new()
        }), 0, ALL, ""),
        ("a link that is 403 for ever, and another at the status page", Elsewhere, Servers(|bulk| {
            expired_link(bulk, expired(403), true);
            Vec::new()
        }), 0, ALL, ""),
        ("a link that is 404 until the status is read again", Elsewhere, Servers(|bulk| {
            expired_link(bulk, expired(404), false);
            Vec::new()
        }), 0, ALL, ""),
        ("a link that is 404 for ever, and another at the status page", Elsewhere, Servers(|bulk| {
            expired_link(bulk, expired(404), true);
            Vec::new()
        }), 0, ALL, ""),
        ("a link that is 410, and another at the status page", Elsewhere, Servers(|bulk| {
            expired_link(bulk, expired(410), true);
            Vec::new()
        }), 0, ALL, ""),
    ]
}

fn expired(status: u16) -> Answer {
    let words = "<Error><Message>Request has expired</Message></Error>";
    Answer::new(status, "application/xml", words)
}

#[test]
fn every_fault_of_tokens_and_hosts_ends_as_the_table_says() {
    check_all(faults(), &[]);
}

/// Bulk Data 3.0: the status page may give fresh links. Links are read again in the same run.
#[test]
fn every_link_that_expired_is_asked_for_again_at_the_status_page() {
    check_all(expired_links(), &[]);
}
