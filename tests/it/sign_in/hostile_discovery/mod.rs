//! A FHIR server that says lies about endpoints: whatever it names, the client's proof, codes and tokens go to the token
//! endpoint in use and to its server alone.
//!
//! The whole product is run by the real binary: every field of a discovery document × where a lie may lead × every way to
//! sign in × every command that sends a credential, with `--token-url` and without. One document lies in many fields, so
//! that a command tries many pairs at once. (`keys` sends no credential: it reads files, and with `--check` a public key
//! set.)

mod cell;
mod document;
mod identity;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cell::Cell;
use document::Document;
use identity::Identity;
use world::World;

/// Commands that wait for something side by side cost no time.
const WORKERS: usize = 12;

/// What asks for endpoints: signing in, asking about a token, looking for faults, giving tokens back.
const ASKING: &[&str] = &["login", "whoami", "doctor", "logout"];
/// What else sends a credential; who is no person needs no login first.
const SENDING: &[&str] = &["login", "get", "put", "token", "export", "import", "remove"];

fn cells(is_pinned: bool) -> Vec<Cell> {
    let asking = Document::every_second()
        .into_iter()
        .map(|one| (one, ASKING));
    let sending = Document::throughout().into_iter().map(|one| (one, SENDING));
    let mut cells = Vec::new();
    for (document, commands) in asking.chain(sending) {
        for identity in Identity::ALL {
            cells.push(Cell {
                name: format!("cell-{}", cells.len()),
                document: document.clone(),
                identity,
                is_pinned,
                commands,
            });
        }
    }
    cells
}

/// Runs all cells, many at a time. The leaks come first: what they lead to is a lesser fault.
fn run_all(is_pinned: bool) {
    let (world, cells) = (World::new(), cells(is_pinned));
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let complained = cell.run(&world);
                    complaints.lock().unwrap().extend(complained);
                }
            });
        }
    });
    let came = world.came();
    let of = |cell: &Cell| came.get(&cell.name).map_or(&[][..], Vec::as_slice);
    let leaks: Vec<_> = cells
        .iter()
        .flat_map(|cell| cell.leaks(&world, of(cell)))
        .collect();
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
    let strays = came.get("nobody's").map_or(0, Vec::len);
    assert_eq!(strays, 0, "{:?}", came.get("nobody's"));
    let complaints = complaints.into_inner().unwrap();
    assert!(
        complaints.is_empty(),
        "{}:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
    let missing: Vec<_> = cells
        .iter()
        .flat_map(|cell| cell.missing(&world, of(cell)))
        .collect();
    assert!(
        missing.is_empty(),
        "{}:\n{}",
        missing.len(),
        missing.join("\n")
    );
}

#[test]
fn with_a_token_url_nothing_of_ours_goes_where_a_document_lies() {
    run_all(true);
}

/// The FHIR server may then name a token endpoint on another server, over https; all others follow its origin.
#[test]
fn without_a_token_url_all_endpoints_follow_the_one_that_is_named() {
    run_all(false);
}
