//! `bulk export` from the manifest to the disk: names, rights, bytes, tokens, checks, and what is reported.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, gzip, ndjson, outcome};
use crate::support::readings::lines;
use crate::support::{Answer, Bulk};

const DELETED: &str = concat!(
    r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/9"}}]}"#,
    "\n"
);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// B10: `error` and `deleted` were ignored.
#[test]
fn output_deleted_and_error_files_each_have_their_folder() {
    let bulk = Bulk::with_three_files();
    bulk.file("deleted", "Bundle", "/files/d", ndjson(DELETED));
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("information")),
    );
    bulk.export(&[]).ok();
    let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    assert_eq!(
        bulk.files(),
        [
            file("Condition_files_c.ndjson", CONDITIONS),
            file("Observation_files_o.ndjson", OBSERVATIONS),
            file("Patient_files_p.ndjson", PATIENTS),
            file("deleted/Bundle_files_d.ndjson", DELETED),
            file(
                "errors/OperationOutcome_files_e.ndjson",
                &outcome("information")
            ),
        ]
    );
}

/// B5: a target folder that was not there meant "is created", exit 0 and no file.
#[test]
fn each_file_is_named_on_stdout_by_its_absolute_path_and_is_there() {
    let bulk = Bulk::with_three_files();
    let out = bulk.medplum.path("a/b/out");
    let run = bulk
        .medplum
        .run([
            "bulk",
            "export",
            "-p",
            "site",
            "-d",
            "a/b/../b/out",
            "--parallel",
            "1",
        ])
        .ok();
    let paths: Vec<_> = run
        .stdout
        .lines()
        .map(|line| line.strip_suffix(" is created").unwrap())
        .collect();
    assert_eq!(paths.len(), 3, "{run}");
    for (path, name) in paths.iter().zip([
        "Patient_files_p",
        "Observation_files_o",
        "Condition_files_c",
    ]) {
        assert!(
            Path::new(path).is_absolute() && Path::new(path).is_file(),
            "{run}"
        );
        let expected = fs::canonicalize(out.join(format!("{name}.ndjson"))).unwrap();
        assert_eq!(fs::canonicalize(path).unwrap(), expected);
    }
}

#[test]
fn without_a_folder_files_go_where_the_user_is() {
    let bulk = Bulk::with_three_files();
    let run = bulk.medplum.run(["bulk", "export", "-p", "site"]).ok();
    let path = fs::canonicalize(bulk.medplum.path(""))
        .unwrap()
        .join("Patient_files_p.ndjson");
    assert!(
        run.stdout
            .contains(&format!("{} is created\n", path.display())),
        "{run}"
    );
    assert_eq!(bulk.medplum.read("Patient_files_p.ndjson"), PATIENTS);
}

/// Each run of characters outside `A-Z a-z 0-9` in `{type}_{URL path}` is one `_`.
#[test]
fn files_have_the_names_that_the_medplum_cli_gives() {
    let bulk = Bulk::open();
    for target in [
        "/files/a/b-c.d.ndjson",
        "/files//x__y",
        "/files/%7Bid%7D",
        "/files/job/1?X-Sig=a%2Fb",
    ] {
        let from = target.len();
        let text = lines("Patient", from..from + 1);
        bulk.file("output", "Patient", target, ndjson(text));
    }
    bulk.export(&[]).ok();
    assert_eq!(
        bulk.names(),
        [
            "Patient_files_7Bid_7D.ndjson",
            "Patient_files_a_b_c_d_ndjson.ndjson",
            "Patient_files_job_1.ndjson",
            "Patient_files_x_y.ndjson",
        ]
    );
}

/// B4: the query was no part of the name, so files overwrote each other.
#[test]
fn files_that_differ_only_in_query_case_or_signs_do_not_overwrite_each_other() {
    let bulk = Bulk::open();
    let targets = [
        "/files/a?part=1",
        "/files/a?part=2",
        "/files/A?part=3",
        "/files/a/?part=4",
        "/files/a_2?part=5",
    ];
    for (number, target) in targets.iter().enumerate() {
        let line = format!("{{\"resourceType\":\"Patient\",\"id\":\"{number}\"}}\n");
        bulk.file("output", "Patient", target, ndjson(line));
    }
    let run = bulk.export(&[]).ok();
    let files = bulk.files();
    assert_eq!(files.len(), 5, "{run}");
    let mut names: Vec<_> = files.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5, "{names:?}");
    let mut contents: Vec<_> = files.into_iter().map(|(_, bytes)| bytes).collect();
    contents.sort();
    contents.dedup();
    assert_eq!(contents.len(), 5);
    // Suffixes are in manifest order.
    let name =
        |stem: &str| fs::read_to_string(bulk.medplum.path(&format!("out/{stem}.ndjson"))).unwrap();
    assert!(name("Patient_files_a").contains(r#""id":"0""#));
    assert!(name("Patient_files_a_2").contains(r#""id":"1""#));
}

#[test]
fn names_are_safe_whatever_the_manifest_says() {
    let bulk = Bulk::open();
    let long = format!("/files/{}", "long".repeat(200));
    bulk.file("output", "Patient", &long, ndjson(PATIENTS));
    for resource_type in ["../../evil", "/etc/evil", ".hidden", "a\u{0}b"] {
        let url = bulk.server.url("/files/p");
        bulk.entry("output", json!({"type": resource_type, "url": url}));
    }
    bulk.server.on("GET", "/files/p", ndjson(PATIENTS));
    bulk.export(&["--no-verify"]).ok();
    let names = bulk.names();
    assert_eq!(names.len(), 5);
    for name in names {
        let plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
        assert!(
            plain && !name.starts_with('.') && name.len() < 255,
            "{name}"
        );
    }
}

#[test]
fn numbered_names_count_within_their_type() {
    let bulk = Bulk::with_three_files();
    bulk.file(
        "output",
        "Patient",
        "/files/p2",
        ndjson(lines("Patient", 10..12)),
    );
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("information")),
    );
    bulk.export(&["--file-names", "numbered"]).ok();
    assert_eq!(
        bulk.names(),
        [
            "1.Condition.ndjson",
            "1.Observation.ndjson",
            "1.Patient.ndjson",
            "2.Patient.ndjson",
            "errors/1.OperationOutcome.ndjson",
        ]
    );
}

#[test]
fn files_and_new_folders_are_for_their_owner_alone() {
    let bulk = Bulk::with_three_files();
    bulk.file("deleted", "Bundle", "/files/d", ndjson(DELETED));
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("information")),
    );
    bulk.medplum
        .run(["bulk", "export", "-p", "site", "-d", "new/out"])
        .ok();
    for folder in [
        "new",
        "new/out",
        "new/out/deleted",
        "new/out/errors",
        "new/out/.medplum-export",
    ] {
        let path = bulk.medplum.path(folder);
        assert_eq!(mode(&path), 0o700, "{folder}");
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{}", path.display());
        }
    }
    // A folder that was there keeps the rights that somebody gave it.
    let bulk = Bulk::with_three_files();
    let out = bulk.medplum.path("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o750)).unwrap();
    bulk.export(&[]).ok();
    assert_eq!(mode(&out), 0o750);
}

/// Digits, spaces, line ends and order are the server's: nothing is read and written anew.
#[test]
fn bytes_are_kept_as_they_came() {
    for body in [
        "{\"resourceType\":\"Patient\",\"x\":1.00,\"y\":1e2,\"z\":12345678901234567890,\"w\":-0.0}\n",
        "{\"resourceType\":\"Patient\",\"id\":\"1\"}\r\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\r\n",
        "{\"resourceType\":\"Patient\",\"id\":\"no last newline\"}",
        "{ \"id\" : \"1\" ,\t\"resourceType\" : \"Patient\" }\n\n{\"resourceType\":\"Patient\"}\n\n",
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"M\\u00fcller Müller \u{1f600}\"}]}\n",
        "\u{feff}{\"resourceType\":\"Patient\"}\n",
        "",
    ] {
        for wire in [
            |a: Answer| a,
            Answer::gzip,
            Answer::chunked,
            Answer::until_close,
            |a: Answer| a.gzip().chunked(),
        ] {
            let bulk = Bulk::open();
            bulk.file("output", "Patient", "/files/p", wire(ndjson(body)));
            bulk.export(&[]).ok();
            let expected = (
                "Patient_files_p.ndjson".to_owned(),
                body.as_bytes().to_vec(),
            );
            assert_eq!(bulk.files(), [expected]);
        }
    }
}

/// BCDA ends a file that is stored compressed with an empty member.
#[test]
fn all_members_of_a_gzip_body_are_one_file() {
    let (one, two) = PATIENTS.split_at(PATIENTS.find('\n').unwrap() + 10);
    for members in [
        vec![PATIENTS],
        vec![one, two],
        vec![PATIENTS, ""],
        vec!["", one, "", two, ""],
    ] {
        let bulk = Bulk::open();
        let wire = members
            .iter()
            .flat_map(|member| gzip(member.as_bytes()))
            .collect::<Vec<_>>();
        bulk.file(
            "output",
            "Patient",
            "/files/p",
            ndjson(wire).header("Content-Encoding", "gzip").chunked(),
        );
        bulk.manifest(|manifest| manifest["output"][0]["count"] = json!(2));
        bulk.export(&[]).ok();
        assert_eq!(
            bulk.medplum.read("out/Patient_files_p.ndjson"),
            PATIENTS,
            "{members:?}"
        );
        let offered = bulk.server.request_to("/files/p");
        // AB2D knows nothing but the bare token.
        assert_eq!(offered.header("Accept-Encoding"), Some("gzip"));
    }
}

/// A file that is stored as gzip, without Content-Encoding, is not NDJSON; nobody is to find that out later.
#[test]
fn compressed_bytes_that_are_not_declared_are_refused() {
    let bulk = Bulk::open();
    bulk.file(
        "output",
        "Patient",
        "/files/p",
        ndjson(gzip(PATIENTS.as_bytes())),
    );
    bulk.export(&[]).fails(5).says("line 1");
    assert_eq!(bulk.names(), [""; 0]);
}

/// B6: a file was held in memory twice; one of 512 MB was too much. The limit is on what the process may allocate.
#[test]
fn memory_does_not_grow_with_the_file() {
    let bulk = Bulk::open();
    let line = format!(
        "{{\"resourceType\":\"Patient\",\"text\":\"{}\"}}\n",
        "x".repeat(16 << 10)
    );
    let body = line.repeat(6 << 10);
    assert!(body.len() > 96 << 20);
    bulk.file("output", "Patient", "/files/p", ndjson(&body));
    let run = bulk
        .medplum
        .shell("ulimit -d 65536 && TOKIO_WORKER_THREADS=2 exec medplum bulk export -p site -d out --file-names medplum");
    run.ok();
    let file = fs::metadata(bulk.medplum.path("out/Patient_files_p.ndjson")).unwrap();
    assert_eq!(file.len(), body.len() as u64);
}

/// B7: all files were asked for at once. Here the number is the user's; with one the order is the manifest's.
#[test]
fn one_file_at_a_time_comes_in_the_order_of_the_manifest() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--parallel", "1"]).ok();
    let files: Vec<_> = bulk
        .server
        .lines()
        .into_iter()
        .filter(|line| line.contains("/files/"))
        .collect();
    assert_eq!(files, ["GET /files/p", "GET /files/o", "GET /files/c"]);
    // HAPI wraps what is asked for in another way into a Binary; AB2D refuses it.
    let accept = bulk.server.request_to("/files/p");
    assert_eq!(accept.header("Accept"), Some("application/fhir+ndjson"));
}

#[test]
fn five_hundred_files_all_arrive() {
    let bulk = Bulk::open();
    for number in 0..500 {
        let line = format!("{{\"resourceType\":\"Patient\",\"id\":\"{number}\"}}\n");
        bulk.file(
            "output",
            "Patient",
            &format!("/files/{number}"),
            ndjson(line),
        );
    }
    let run = bulk.export(&["--parallel", "16"]).ok();
    assert_eq!(run.stdout.lines().count(), 500);
    let files = bulk.files();
    assert_eq!(files.len(), 500);
    for number in 0..500 {
        let line = format!("{{\"resourceType\":\"Patient\",\"id\":\"{number}\"}}\n");
        let file = (format!("Patient_files_{number}.ndjson"), line.into_bytes());
        assert!(files.contains(&file), "{number}");
    }
}

/// With `organizeOutputBy` a file is named by what it is about, and holds whatever belongs to that.
#[test]
fn a_file_that_is_organized_by_patient_may_hold_any_type() {
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/o", ndjson(OBSERVATIONS));
    bulk.export(&["--organize-output-by", "Patient"]).ok();
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/o", ndjson(OBSERVATIONS));
    bulk.export(&[]).fails(5);
}

#[test]
fn files_are_named_by_type_and_number_unless_something_else_is_asked_for() {
    let bulk = Bulk::with_three_files();
    bulk.file(
        "output",
        "Patient",
        "/files/p2",
        ndjson(lines("Patient", 10..12)),
    );
    bulk.file("deleted", "Bundle", "/files/d", ndjson(DELETED));
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("information")),
    );
    bulk.server.on("GET", "/files/p2", Answer::empty(404));
    let export = "medplum bulk export -p site -d out";
    bulk.medplum.shell(export).fails(5);
    let manifest = |name: &str| -> serde_json::Value {
        serde_json::from_str(&bulk.medplum.read(&format!("{name}/manifest.json"))).unwrap()
    };
    assert_eq!(manifest("out")["complete"], false);
    bulk.server
        .on("GET", "/files/p2", ndjson(lines("Patient", 10..12)));
    // Gone on with by another name style: the files keep the names they have.
    bulk.medplum
        .shell(&format!("{export} --file-names numbered"))
        .ok();
    assert_eq!(manifest("out")["complete"], true);
    let files = bulk.medplum.shell("cd out; ls -d *.ndjson */*.ndjson").ok();
    assert_eq!(
        files.stdout.lines().collect::<Vec<_>>(),
        [
            "Condition.00001.ndjson",
            "Observation.00001.ndjson",
            "Patient.00001.ndjson",
            "Patient.00002.ndjson",
            "deleted/Bundle.00001.ndjson",
            "errors/OperationOutcome.00001.ndjson",
            "log.ndjson",
        ]
    );
    let data = bulk.medplum.shell("cat out/[A-Z]*.ndjson | wc -l").ok();
    let counted = CONDITIONS.lines().count() + OBSERVATIONS.lines().count();
    let counted = counted + 2 * PATIENTS.lines().count();
    assert_eq!(data.stdout.trim(), counted.to_string());
}
