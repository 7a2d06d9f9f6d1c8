//! `docs/servers.md` names tests that there are, and all that run against HAPI and Keycloak.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The functions marked as tests in `tests/it/real`.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/real");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in text.split("#[test]\n").skip(1) {
            let name = part
                .split("fn ")
                .nth(1)
                .and_then(|rest| rest.split('(').next());
            names.insert(name.unwrap().to_owned());
        }
    }
    names
}

#[test]
fn each_flow_of_a_server_has_a_test_that_exists_and_none_is_left_out() {
    let page = include_str!("../../../docs/servers.md");
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut named = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        let in_cell: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
        assert!(!in_cell.is_empty(), "no test: {row}");
        named.extend(in_cell.into_iter().map(str::to_owned));
    }
    let tests = tests();
    let gone: Vec<&String> = named.difference(&tests).collect();
    assert!(gone.is_empty(), "docs/servers.md names no tests: {gone:#?}");
    let of_servers = |name: &&String| name.starts_with("hapi_") || name.starts_with("keycloak_");
    let missing: Vec<&String> = tests.difference(&named).filter(of_servers).collect();
    assert!(missing.is_empty(), "docs/servers.md lacks: {missing:#?}");
}
