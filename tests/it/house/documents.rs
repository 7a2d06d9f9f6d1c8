//! The README and the pages of `docs`: their commands run as they are printed, and their links lead somewhere.
//!
//! A block of commands runs against the sandbox, in one folder for each page and from top to bottom, as a reader pastes
//! it. One that cannot has the reason above it: `<!-- needs a vendor -->`, or `<!-- run elsewhere: WHERE -->`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Medplum;
use crate::support::sandbox::Sandbox;

/// What a page takes for granted: files of the reader's, profiles that an earlier page made.
const BEFORE: [(&str, &str); 6] = [
    (
        "README.md",
        "printf %s SECRET > secret.txt
         printf '{\"resourceType\": \"Encounter\", \"status\": \"planned\", \"class\": {\"code\": \"AMB\"}}' > encounter.json
         printf '{\"resourceType\": \"Patient\", \"id\": \"123\"}' > patient.json
         for name in a b c; do medplum put -p example Patient/123 '{\"resourceType\": \"Patient\", \"id\": \"123\", \"gender\": \"other\", \"birthDate\": \"2000-01-01\", \"language\": \"'$name'\"}'; done",
    ),
    ("docs/export.md", ""),
    (
        "docs/import.md",
        "medplum bulk export -p example -e Group/all -d export",
    ),
    (
        "docs/networks-and-secrets.md",
        "for name in site epic clinic; do medplum profile set $name --base-url https://api.example.com; done",
    ),
    (
        "docs/sign-in.md",
        "medplum profile set clinic --base-url https://api.example.com --client-id ID --client-secret SECRET",
    ),
    ("docs/troubleshooting.md", ""),
];

/// The names are those that a wrong one is answered with.
#[test]
fn every_auth_type_stands_in_help_in_the_recipes_and_in_the_page_on_signing_in() {
    let medplum = Medplum::new();
    let args = ["get", "x", "--base-url", "http://127.0.0.1:1"];
    let run = medplum.run(args.iter().chain(&["--auth-type", "nonsense"]));
    let run = run.fails(2);
    let names = run.stderr.split("known are ").nth(1).unwrap().trim();
    let names: Vec<_> = names.split(", ").collect();
    assert!(names.len() >= 7, "{run}");
    let options = medplum.run(["help", "options"]).ok().stdout;
    let recipes = medplum.run(["help", "auth"]).ok().stdout;
    let page = fs::read_to_string(root().join("docs/sign-in.md")).unwrap();
    for name in names {
        assert!(options.contains(name), "{name} in help options");
        assert!(recipes.contains(name), "{name} in help auth");
        assert!(
            page.contains(&format!("| `{name}` |")),
            "{name} in sign-in.md"
        );
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and all pages of `docs`, by their path in the project.
fn pages() -> Vec<String> {
    let mut pages = vec![
        "README.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "SECURITY.md".to_owned(),
    ];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new(&name).extension().is_some_and(|end| end == "md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    pages
}

/// The blocks of commands that run.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut above = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "```bash" {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let is_marked =
                above == "<!-- needs a vendor -->" || above.starts_with("<!-- run elsewhere: ");
            if !is_marked {
                blocks.push(block.join("\n"));
            }
        }
        if !line.is_empty() {
            above = line;
        }
    }
    blocks
}

#[test]
fn every_block_of_commands_in_the_documents_runs() {
    let maker = Medplum::new();
    let sandbox = Sandbox::start(&maker, &["--patients", "5"]);
    let base = sandbox.fact("baseUrl").trim_end_matches('/');
    let mut count = 0;
    for page in pages() {
        let blocks = blocks(&page);
        if blocks.is_empty() {
            continue;
        }
        let before = BEFORE.iter().find(|(name, _)| *name == page);
        let (_, before) =
            before.unwrap_or_else(|| panic!("{page} has commands, and no row in BEFORE"));
        let medplum = Medplum::new();
        let example = format!(
            "medplum profile set example --base-url {base} --fhir-url-path {} --client-id {} --client-secret {}",
            sandbox.fact("fhirUrlPath"),
            sandbox.fact("clientId"),
            sandbox.fact("clientSecret"),
        );
        for block in [&example, *before]
            .into_iter()
            .map(str::to_owned)
            .chain(blocks)
        {
            let block = block
                .replace("https://api.example.com", base)
                .replace("MY_CLIENT_ID", sandbox.fact("clientId"))
                .replace("SECRET", sandbox.fact("clientSecret"));
            let run = medplum.shell(&format!("set -e -o pipefail\n{block}"));
            assert_eq!(run.code, 0, "{page}:\n{block}\n{run}");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} blocks ran");
}

/// The targets of Markdown links that are files of this project.
fn targets(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_a_file_or_a_heading() {
    let mut count = 0;
    for page in pages() {
        let path = root().join(&page);
        let text = fs::read_to_string(&path).unwrap();
        for target in targets(&text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let leads_to: PathBuf = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(leads_to.exists(), "{page}: no {target}");
            if !heading.is_empty() {
                let words = heading.replace('-', " ");
                let there = fs::read_to_string(&leads_to).unwrap().to_lowercase();
                let mut headings = there.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| line.trim_start_matches(['#', ' ']) == words),
                    "{page}: no heading for {target}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 15, "only {count} links");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(
        readme.lines().count() <= 150,
        "the README is long again: its text belongs into docs"
    );
    for page in pages() {
        let is_named = page == "README.md" || readme.contains(&format!("]({page})"));
        assert!(is_named, "the README does not name {page}");
    }
}
