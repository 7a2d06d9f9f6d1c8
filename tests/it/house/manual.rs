//! The reference and the man pages in `docs` are what the program says of itself.

use std::fs;
use std::path::Path;

use crate::support::Medplum;

#[test]
fn the_reference_and_the_man_pages_are_what_the_program_says() {
    let medplum = Medplum::new();
    let made = medplum.path("docs");
    let _ = medplum
        .run(["manual", "--out", made.to_str().unwrap()])
        .ok();
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut names = vec!["cli.md".to_owned()];
    for folder in [&made, &there] {
        for entry in fs::read_dir(folder.join("man")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            names.push(format!("man/{name}"));
        }
    }
    assert!(names.len() > 50, "{names:?}");
    for name in names {
        let text = |folder: &Path| fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            text(&made) == text(&there),
            "docs/{name} is stale; make it anew and commit it: cargo run -q -- manual"
        );
    }
}
