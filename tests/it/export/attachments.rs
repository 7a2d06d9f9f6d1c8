//! `bulk export --attachments`: what resources point to is fetched by the rules for tokens, whole or not at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::bulk::{PATIENTS, ndjson};
use crate::support::{Answer, Bulk, Server};

const PDF: &[u8] = b"%PDF-1.7 \xff\x00 a letter";
const TEXT: &str = "Well.\n";

/// A site whose Binaries want the token, as all of its FHIR server does.
fn site() -> Bulk {
    let bulk = Bulk::open();
    let tokens = bulk.tokens.clone();
    bulk.server.guard(move |request| {
        request.path().strip_prefix("/fhir/R4/Binary/")?;
        let is_good = tokens.accepts(request.header("Authorization"));
        (!is_good).then(|| Answer::outcome(401, "login", "a good token is needed"))
    });
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk
}

/// A line of a DocumentReference with these attachments. Its digits and spaces are those no writer would choose.
fn document(id: &str, attachments: &[Value]) -> String {
    let content: Vec<String> = attachments
        .iter()
        .map(|attachment| format!("{{ \"attachment\": {attachment}}}"))
        .collect();
    format!(
        "{{ \"resourceType\":\"DocumentReference\",\"id\":\"{id}\",\"x\":1.00,\"content\":[{}]}}\n",
        content.join(",")
    )
}

fn raw(content_type: &str, body: impl AsRef<[u8]>) -> Answer {
    Answer::new(200, content_type, body)
}

/// A Binary in JSON, its members in the order servers write them.
fn binary(content_type: &str, body: &[u8]) -> Answer {
    let data = STANDARD.encode(body);
    Answer::json(
        200,
        format!(
            "{{\"resourceType\":\"Binary\",\"id\":\"2\",\"contentType\":\"{content_type}\",\"data\":\"{data}\"}}"
        ),
    )
}

fn index(bulk: &Bulk) -> Vec<Value> {
    let text = bulk.medplum.read("out/attachments.ndjson");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// All files as text, attachments by their names without the hash, which is another one on every port.
fn listing(bulk: &Bulk) -> Vec<String> {
    let files = bulk.files().into_iter();
    let shown = files.map(|(name, bytes)| {
        let name = match name.rsplit_once('_') {
            Some((stem, _)) if name.starts_with("attachments/") => stem,
            _ => name.as_str(),
        };
        format!("{name}: {}", String::from_utf8(bytes).unwrap())
    });
    shown
        .filter(|text| !text.starts_with("attachments.ndjson"))
        .collect()
}

fn attachments(bulk: &Bulk) -> Vec<(String, Vec<u8>)> {
    let mut files = bulk.files();
    files.retain(|(name, _)| name.starts_with("attachments/"));
    files
}

#[test]
fn attachments_are_files_of_their_own_and_the_resources_stay_as_they_are() {
    let bulk = site();
    let other = Server::start();
    let documents = document(
        "1",
        &[
            json!({"contentType": "application/pdf", "url": "Binary/1", "size": PDF.len()}),
            json!({"contentType": "text/plain; charset=utf-8", "url": other.url("/t?sig=SIGNATURE")}),
        ],
    ) + &document(
        "2",
        &[json!({"contentType": "application/pdf", "data": "QQ=="})],
    ) + &document(
        "3",
        &[json!({"contentType": "application/pdf", "url": bulk.server.url("/fhir/R4/Binary/1")})],
    );
    let report = r#"{"resourceType":"DiagnosticReport","id":"r","presentedForm":[{"contentType":"text/html","url":"Binary/2"}]}"#;
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(&documents),
    );
    bulk.file("output", "DiagnosticReport", "/files/r", ndjson(report));
    let html = b"<!DOCTYPE html><p>fine</p>";
    bulk.server.on(
        "GET",
        "/fhir/R4/Binary/1",
        raw("application/pdf", PDF).gzip(),
    );
    bulk.server
        .on("GET", "/fhir/R4/Binary/2", binary("text/html", html));
    other.on("GET", "/t?sig=SIGNATURE", raw("text/plain", TEXT));

    let run = bulk.export(&["--attachments", "download"]).ok();
    let run = run.says("3 attachments");
    let files = attachments(&bulk);
    let contents: Vec<&[u8]> = files.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(contents, [PDF, html.as_slice(), TEXT.as_bytes()], "{run}");
    for (file, suffix) in files.iter().zip([".pdf", ".html", ".txt"]) {
        assert!(file.0.strip_suffix(suffix).is_some(), "{}", file.0);
    }
    // No byte of a resource is another one.
    let exported = bulk.files();
    let of = |name: &str| {
        &exported
            .iter()
            .find(|(n, _)| n.starts_with(name))
            .unwrap()
            .1
    };
    assert_eq!(*of("DocumentReference"), documents.as_bytes());
    assert_eq!(*of("DiagnosticReport"), report.as_bytes());
    // The same Binary is fetched once, and both resources are told of it.
    assert_eq!(bulk.server.requests_to("/fhir/R4/Binary/1").len(), 1);
    let index = index(&bulk);
    let paths = index.iter().map(|entry| entry["path"].as_str().unwrap());
    let names = [&files[0].0, &files[2].0, &files[0].0, &files[1].0];
    assert_eq!(paths.collect::<Vec<_>>(), names);
    assert_eq!(index[2]["resource"], "DocumentReference/3");
    assert_eq!(
        (&index[0]["line"], &index[2]["line"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(index[0]["bytes"], PDF.len());
    assert!(
        !bulk
            .medplum
            .read("out/attachments.ndjson")
            .contains("SIGNATURE")
    );
    // A server that a resource names gets no token.
    assert_eq!(other.request_to("/t").header("Authorization"), None);
    let accept = bulk.server.request_to("/fhir/R4/Binary/1");
    assert!(
        accept
            .header("Accept")
            .unwrap()
            .starts_with("application/pdf,")
    );
}

#[test]
fn attachments_go_into_their_resources_and_no_other_byte_changes() {
    for compress in [false, true] {
        let bulk = site();
        let before = document(
            "1",
            &[json!({"contentType": "application/pdf", "url": "Binary/1"})],
        ) + &document(
            "2",
            &[json!({"contentType": "text/plain", "url": "Binary/2"})],
        );
        bulk.file("output", "DocumentReference", "/files/d", ndjson(&before));
        bulk.server
            .on("GET", "/fhir/R4/Binary/1", raw("application/pdf", PDF));
        bulk.server.on(
            "GET",
            "/fhir/R4/Binary/2",
            binary("text/plain", TEXT.as_bytes()),
        );
        let mut args = vec!["--attachments", "inline"];
        args.extend(compress.then_some("--compress"));
        bulk.export(&args).ok().says("2 attachments");
        let put = |text: &str, data: &[u8]| {
            format!("{{\"data\":\"{}\",{}", STANDARD.encode(data), &text[1..])
        };
        let first = json!({"contentType": "application/pdf", "url": "Binary/1"}).to_string();
        let second = json!({"contentType": "text/plain", "url": "Binary/2"}).to_string();
        let after = before
            .replace(&first, &put(&first, PDF))
            .replace(&second, &put(&second, TEXT.as_bytes()));
        let (_, bytes) = bulk
            .files()
            .into_iter()
            .find(|(name, _)| name.starts_with("Doc"))
            .unwrap();
        let bytes = if compress {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(bytes.as_slice());
            std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
            plain
        } else {
            bytes
        };
        assert_eq!(String::from_utf8(bytes).unwrap(), after);
        // What is kept for reading tells of the file that is there now.
        let manifest: Value =
            serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
        let entry = &manifest["output"][1];
        let digest = blake3::hash(after.as_bytes()).to_hex();
        assert_eq!(entry["digest"]["value"], digest.as_str());
        assert_eq!(bulk.deletes(), 1);
    }
}

#[test]
fn only_wanted_types_and_sizes_are_fetched() {
    let bulk = site();
    let documents = document(
        "1",
        &[
            json!({"contentType": "application/pdf", "url": "Binary/1"}),
            json!({"contentType": "image/png", "url": "Binary/2"}),
            json!({"contentType": "text/plain", "url": "Binary/3", "size": 2_000_000}),
            json!({"contentType": "text/plain", "url": "Binary/4"}),
            json!({"contentType": "text/plain", "url": "urn:oid:1.2"}),
            json!({"contentType": "text/plain", "url": "#inside"}),
            json!({"url": "Binary/5"}),
        ],
    );
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(&documents),
    );
    bulk.server
        .on("GET", "/fhir/R4/Binary/1", raw("application/pdf", PDF));
    // It is larger than the resource says.
    bulk.server.on(
        "GET",
        "/fhir/R4/Binary/4",
        raw("text/plain", vec![b'x'; 1_500_000]),
    );
    bulk.server
        .on("GET", "/fhir/R4/Binary/5", raw("image/png", "png"));
    let args = [
        "--attachments",
        "download",
        "--attachment-types",
        "application/pdf,text/*",
        "--attachment-max-size",
        "1MB",
    ];
    bulk.export(&args)
        .ok()
        .says("1 attachment,")
        .says("6 left out");
    assert_eq!(attachments(&bulk).len(), 1);
    for unwanted in ["2", "3"] {
        let path = format!("/fhir/R4/Binary/{unwanted}");
        assert_eq!(bulk.server.requests_to(&path).len(), 0);
    }
    let why: Vec<String> = index(&bulk)
        .iter()
        .map(|entry| entry["leftOut"].to_string())
        .collect();
    for (why, part) in why.iter().zip([
        "null",
        "image/png",
        "1000000",
        "1000000",
        "no web address",
        "contained",
        "image/png",
    ]) {
        assert!(why.contains(part), "{why} {part}");
    }
}

#[test]
fn what_is_no_attachment_is_missing_and_a_later_run_fetches_that_alone() {
    let bulk = site();
    let text = |n: &str| json!({"contentType": "text/plain", "url": format!("Binary/{n}")});
    let mut hashed = text("4");
    // SHA-1 of "Well.\n" is another one.
    hashed["hash"] = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=".into();
    let documents = document("1", &[text("1"), text("2"), text("3"), hashed, text("5")]);
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(&documents),
    );
    let on = |n: &str, answers: &[Answer]| {
        bulk.server
            .on_sequence("GET", &format!("/fhir/R4/Binary/{n}"), answers.to_vec());
    };
    on("1", &[raw("text/plain", TEXT)]);
    on(
        "2",
        &[
            raw("text/html", "<html>Please sign in</html>"),
            raw("text/plain", TEXT),
        ],
    );
    on(
        "3",
        &[
            Answer::outcome(404, "not-found", "no such Binary"),
            raw("text/plain", TEXT),
        ],
    );
    let broken = raw("text/plain", TEXT);
    on("4", &[broken.clone(), broken]);
    on(
        "5",
        &[
            Answer::outcome(200, "exception", "not now"),
            raw("text/plain", TEXT),
        ],
    );
    let run = bulk
        .command(&["--attachments", "download", "--retries", "0"])
        .run()
        .fails(5)
        .says("4 attachments are missing")
        .says("web page")
        .says("no such Binary")
        .says("SHA-1")
        .says("no Binary");
    assert_eq!(attachments(&bulk).len(), 1, "{run}");
    assert_eq!(bulk.deletes(), 0, "the job may be needed again");
    assert!(index(&bulk)[2]["missing"].as_str().unwrap().contains("404"));

    bulk.server.forget();
    let args = ["--attachments", "download", "--no-verify", "--retries", "0"];
    bulk.export(&args).ok().says("5 attachments");
    assert_eq!(attachments(&bulk).len(), 5);
    assert_eq!(bulk.server.requests_to("/fhir/R4/Binary/1").len(), 0);
    assert_eq!(
        (bulk.server.requests_to("/files/d").len(), bulk.deletes()),
        (0, 1)
    );
}

#[test]
fn an_export_ends_without_attachments_that_nobody_can_have() {
    let bulk = site();
    let documents = document(
        "1",
        &[json!({"contentType": "text/plain", "url": "Binary/1"})],
    );
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(&documents),
    );
    for mode in ["download", "inline"] {
        bulk.export(&["--attachments", mode])
            .fails(5)
            .says("--attachments off");
    }
    bulk.export(&["--attachments", "off"]).ok();
    assert_eq!(bulk.deletes(), 1);
}

#[test]
fn the_token_goes_to_attachments_where_the_manifest_sent_it_and_to_no_other_origin() {
    let bulk = site();
    let (files, stranger) = (bulk.file_host(), Server::start());
    let to =
        |server: &Server, path: &str| json!({"contentType": "text/plain", "url": server.url(path)});
    let documents = document("1", &[to(&files, "/files/a"), to(&stranger, "/b")]);
    bulk.entry(
        "output",
        json!({"type": "DocumentReference", "url": files.url("/files/d")}),
    );
    files.on("GET", "/files/d", ndjson(&documents));
    files.on("GET", "/files/a", raw("text/plain", TEXT));
    stranger.on("GET", "/b", Answer::outcome(401, "login", "who are you?"));
    let run = bulk.export(&["--attachments", "download"]).fails(5);
    run.says("1 attachments are missing").says("--trust-origin");
    assert!(
        files
            .request_to("/files/a")
            .header("Authorization")
            .is_some()
    );
    assert_eq!(stranger.request_to("/b").header("Authorization"), None);
}

/// Killed before each rename, in both modes; the same command ends it and fetches nothing that had its name.
#[test]
fn a_kill_while_attachments_land_costs_none_of_them() {
    for mode in ["download", "inline"] {
        let mut whole = Vec::new();
        let mut kills = 0;
        // The first round is undisturbed.
        for number in std::iter::once(999).chain(1..40) {
            let bulk = site();
            let of = |n: usize| json!({"contentType": "text/plain", "url": format!("Binary/{n}")});
            let documents: String = (0..6).map(|n| document(&n.to_string(), &[of(n)])).collect();
            bulk.file(
                "output",
                "DocumentReference",
                "/files/d",
                ndjson(&documents),
            );
            for n in 0..6 {
                let path = format!("/fhir/R4/Binary/{n}");
                bulk.server
                    .on("GET", &path, raw("text/plain", format!("text {n}")));
            }
            let args = ["--attachments", mode, "--parallel", "2"];
            let renames = "rename,renameat,renameat2";
            let run = bulk
                .command(&args)
                .killed_before_call(renames, number)
                .run();
            if number == 999 {
                run.ok();
                whole = listing(&bulk);
                continue;
            }
            if run.code == 0 {
                break;
            }
            kills += 1;
            let named: Vec<String> = bulk.names();
            bulk.server.forget();
            let run = bulk.export(&args);
            let run = if run.code == 1 && run.stderr.contains("--restart") {
                bulk.export(&[&args[..], &["--restart"]].concat())
            } else {
                run
            };
            let finished = run.code == 2 && run.stderr.contains("finished export");
            assert!(
                run.code == 0 || finished,
                "{mode}, killed before rename {number}\n{run}"
            );
            assert_eq!(
                listing(&bulk),
                whole,
                "{mode}, killed before rename {number}\n{run}"
            );
            if named.iter().any(|name| name.starts_with("Doc")) {
                assert_eq!(bulk.server.requests_to("/files/d").len(), 0, "{run}");
            }
        }
        assert!(kills > 4, "{mode}: {kills}");
    }
}

#[test]
fn attachments_of_another_export_are_not_mixed_with_new_ones() {
    let bulk = site();
    let one = |n: &str| {
        document(
            "1",
            &[json!({"contentType": "text/plain", "url": format!("Binary/{n}")})],
        )
    };
    bulk.server.on_sequence(
        "GET",
        "/files/d",
        [ndjson(one("1")), ndjson(one("2")), ndjson(one("2"))],
    );
    bulk.entry(
        "output",
        json!({"type": "DocumentReference", "url": bulk.server.url("/files/d")}),
    );
    for n in ["1", "2"] {
        bulk.server.on(
            "GET",
            &format!("/fhir/R4/Binary/{n}"),
            raw("text/plain", format!("text {n}")),
        );
    }
    let _ = bulk.medplum.file("out/attachments/mine.txt", "mine");
    bulk.export(&["--attachments", "download"])
        .fails(2)
        .says("in the way");
    assert_eq!(bulk.kick_offs(), 0);
    std::fs::remove_dir_all(bulk.medplum.path("out/attachments")).unwrap();
    bulk.export(&["--attachments", "download"]).ok();
    let texts = || {
        attachments(&bulk)
            .into_iter()
            .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(), ["text 1"]);
}

/// C-CDA documents have the very types by which a FHIR server sends the resource instead of its content.
#[test]
fn the_resource_around_a_content_of_its_own_format_is_taken_off_or_refused() {
    let xml = |name: &str| {
        let text = format!(
            r#"<?xml version="1.0"?><{name} xmlns="http://hl7.org/fhir"><data value="eA=="/></{name}>"#
        );
        raw("application/xml", text)
    };
    let said = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]}"#;
    for (stated, answer, wanted) in [
        (
            "application/json",
            binary("application/json", b"{}"),
            Some("{}"),
        ),
        (
            "application/json",
            raw("application/json", b"{\"a\":1}"),
            Some("{\"a\":1}"),
        ),
        (
            "application/fhir+json",
            binary("application/fhir+json", b"{}"),
            Some("{}"),
        ),
        (
            "text/xml",
            raw("text/xml", b"<ClinicalDocument/>"),
            Some("<ClinicalDocument/>"),
        ),
        ("application/json", raw("application/fhir+json", said), None),
        ("application/json", raw("application/json", said), None),
        ("application/xml", xml("Binary"), None),
        ("text/xml", xml("OperationOutcome"), None),
    ] {
        let bulk = site();
        let line = document("d", &[json!({"contentType": stated, "url": "Binary/1"})]);
        bulk.file("output", "DocumentReference", "/files/d", ndjson(line));
        bulk.server.on("GET", "/fhir/R4/Binary/1", answer);
        let run = bulk.export(&["--attachments", "download"]);
        let texts: Vec<_> = attachments(&bulk)
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect();
        match wanted {
            Some(wanted) => assert_eq!(texts, [wanted.as_bytes()], "{stated}\n{run}"),
            None => assert!(run.code == 5 && texts.is_empty(), "{stated}\n{run}"),
        }
        // By such a name the server would rather send the resource.
        let accept = bulk
            .server
            .request_to("/fhir/R4/Binary/1")
            .header("Accept")
            .map(str::to_owned);
        assert_eq!(accept.as_deref(), Some("*/*"), "{stated}");
    }
}

#[test]
fn an_attachment_that_fails_once_is_fetched_again_and_the_index_holds_no_signature() {
    let bulk = site();
    let url = bulk.server.url("/blob?tempauth=OPAQUE");
    let lines = document(
        "d",
        &[json!({"contentType": "text/plain", "url": "Binary/1"})],
    ) + &document("e", &[json!({"contentType": "text/plain", "url": url})])
        + &document(
            "f",
            &[json!({"contentType": "text/plain", "url": "ftp://u:OPAQUE@h/x"})],
        );
    bulk.file("output", "DocumentReference", "/files/d", ndjson(lines));
    let answers = [Answer::empty(500), raw("text/plain", TEXT)];
    bulk.server
        .on_sequence("GET", "/fhir/R4/Binary/1", answers.to_vec());
    bulk.server.on("GET", "/blob", Answer::empty(403));
    let run = bulk.export(&["--attachments", "download"]).fails(5);
    assert_eq!(attachments(&bulk).len(), 1, "{run}");
    let kept = bulk.medplum.read("out/attachments.ndjson");
    assert!(kept.contains("/blob") && !kept.contains("OPAQUE"), "{kept}");
}

/// The SHA-1 of some bytes, as resources state it.
fn sha1(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    STANDARD.encode(digest)
}

/// Several resources point to one URL, and each says for itself what should be there: the first one's word held for all.
#[test]
fn what_one_resource_says_wrongly_of_an_attachment_decides_for_no_other() {
    let pdf = |more: Value| {
        let mut attachment = json!({"contentType": "application/pdf", "url": "Binary/1"});
        for (name, value) in more.as_object().unwrap() {
            attachment[name] = value.clone();
        }
        attachment
    };
    let (right, wrong) = (json!({"hash": sha1(PDF)}), json!({"hash": sha1(b"other")}));
    for order in [[&right, &wrong], [&wrong, &right]] {
        let bulk = site();
        let documents: String = [order[0], order[1], &json!({})]
            .iter()
            .enumerate()
            .map(|(at, more)| document(&at.to_string(), &[pdf((*more).clone())]))
            .collect();
        bulk.file("output", "DocumentReference", "/files/d", ndjson(documents));
        bulk.server
            .on("GET", "/fhir/R4/Binary/1", raw("application/pdf", PDF));
        let run = bulk
            .export(&["--attachments", "download", "--retries", "1"])
            .fails(5)
            .says("1 attachments are missing")
            .says("its SHA-1 is");
        let files = attachments(&bulk);
        assert_eq!(files.len(), 1, "{run}");
        assert_eq!(files[0].1, PDF);
        let is_here = |more: &&&Value| **more != &wrong;
        for (entry, more) in index(&bulk).iter().zip([&order[0], &order[1], &&json!({})]) {
            let path = entry["path"].as_str();
            assert_eq!(path.is_some(), is_here(&more), "{entry}");
            assert_eq!(entry["missing"].is_string(), path.is_none(), "{entry}");
        }
        // The next run judges what is here as this one did, and asks for it no more.
        let asked = bulk.server.requests_to("/fhir/R4/Binary/1").len();
        bulk.export(&["--attachments", "download"])
            .fails(5)
            .says("1 attachments are missing");
        assert_eq!(bulk.server.requests_to("/fhir/R4/Binary/1").len(), asked);
    }
}

/// What no resource accepts is no attachment, however often it comes.
#[test]
fn a_content_that_no_resource_accepts_stays_nowhere() {
    let bulk = site();
    let of = |id: &str, hash: &[u8]| {
        let attachment =
            json!({"contentType": "application/pdf", "url": "Binary/1", "hash": sha1(hash)});
        document(id, &[attachment])
    };
    let documents = of("1", b"one") + &of("2", b"two");
    bulk.file("output", "DocumentReference", "/files/d", ndjson(documents));
    bulk.server
        .on("GET", "/fhir/R4/Binary/1", raw("application/pdf", PDF));
    let args = ["--attachments", "download", "--retries", "1"];
    bulk.export(&args)
        .fails(5)
        .says("2 attachments are missing");
    assert!(attachments(&bulk).is_empty());
    assert!(index(&bulk).iter().all(|entry| entry["path"].is_null()));
    // It comes right in the end for one of them.
    bulk.server
        .on("GET", "/fhir/R4/Binary/1", raw("application/pdf", b"two"));
    bulk.export(&args)
        .fails(5)
        .says("1 attachments are missing");
    assert_eq!(attachments(&bulk)[0].1, b"two");
}

/// A size that promises something is compared for each resource too.
#[test]
fn an_empty_content_is_missing_for_the_resources_that_promise_more() {
    let bulk = site();
    let of = |id: &str, size: u64| {
        let attachment = json!({"contentType": "text/plain", "url": "Binary/1", "size": size});
        document(id, &[attachment])
    };
    let documents = of("1", 7) + &of("2", 0);
    bulk.file("output", "DocumentReference", "/files/d", ndjson(documents));
    bulk.server
        .on("GET", "/fhir/R4/Binary/1", raw("text/plain", ""));
    bulk.export(&["--attachments", "download", "--retries", "1"])
        .fails(5)
        .says("nothing came");
    let index = index(&bulk);
    assert!(
        index[0]["missing"].is_string() && index[1]["path"].is_string(),
        "{index:?}"
    );
}
