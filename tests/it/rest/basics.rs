//! `medplum get|post|put|patch|delete`: what is sent, and what is printed.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Answer, Medplum, Request, Server, Site};

/// A server that echoes JSON objects and answers everything else with an empty one.
fn echo() -> Server {
    let server = Server::start();
    server.handler(|request| {
        let body = if request.body.starts_with(b"{") {
            request.body.clone()
        } else {
            b"{}".to_vec()
        };
        Some(Answer::json(200, body))
    });
    server
}

/// The only request a command made.
#[track_caller]
fn sent(server: &Server, args: &[&str]) -> Request {
    server.forget();
    let base = server.url("");
    Medplum::new()
        .run(args.iter().copied().chain(["--base-url", &base]))
        .ok();
    let mut requests = server.requests();
    assert_eq!(requests.len(), 1, "{:?}", server.lines());
    requests.remove(0)
}

#[test]
fn each_method_sends_what_it_is_named_for() {
    let server = echo();
    let body = r#"{"resourceType":"Patient"}"#;
    let get = sent(&server, &["get", "Patient/1"]);
    assert_eq!(
        (get.line().as_str(), get.body.len()),
        ("GET /fhir/R4/Patient/1", 0)
    );
    assert!(
        get.header("Accept")
            .unwrap()
            .starts_with("application/fhir+json"),
        "{get:?}"
    );
    for (args, line) in [
        (["post", "Patient", body], "POST /fhir/R4/Patient"),
        (["put", "Patient/1", body], "PUT /fhir/R4/Patient/1"),
    ] {
        let request = sent(&server, &args);
        assert_eq!(
            (request.line().as_str(), request.text().as_str()),
            (line, body)
        );
        assert_eq!(
            request.header("Content-Type"),
            Some("application/fhir+json")
        );
    }
    assert_eq!(
        sent(&server, &["delete", "Patient/1"]).line(),
        "DELETE /fhir/R4/Patient/1"
    );
}

#[test]
fn a_patch_names_the_kind_of_patch() {
    let server = echo();
    let operations = r#"[{"op":"replace","path":"/active","value":true}]"#;
    let request = sent(&server, &["patch", "Patient/1", operations]);
    assert_eq!(
        (request.method.as_str(), request.text().as_str()),
        ("PATCH", operations)
    );
    assert_eq!(
        request.header("Content-Type"),
        Some("application/json-patch+json")
    );
    let request = sent(
        &server,
        &["patch", "Patient/1", r#"{"resourceType":"Parameters"}"#],
    );
    assert_eq!(
        request.header("Content-Type"),
        Some("application/fhir+json")
    );
}

/// B15: `X-Medplum: extended` went to every server.
#[test]
fn medplums_own_header_goes_to_medplum_only() {
    let site = Site::open();
    site.get().ok();
    assert_eq!(
        site.server
            .request_to("/fhir/R4/Patient/1")
            .header("X-Medplum"),
        None
    );

    let mut medplum = Site::open();
    medplum.tokens = medplum
        .tokens
        .field("project", json!({"reference": "Project/1"}));
    medplum.medplum.run(["login", "-p", "site"]).ok();
    medplum.get().ok();
    assert_eq!(
        medplum
            .server
            .request_to("/fhir/R4/Patient/1")
            .header("X-Medplum"),
        Some("extended")
    );
}

/// C6: the prefix `fhir/R4` was taken as the base URL's even when the FHIR base is another.
#[test]
fn a_path_is_relative_to_the_fhir_base_unless_it_says_otherwise() {
    let server = echo();
    for (base, fhir_path, path, target) in [
        ("", "fhir/R4", "Patient/1", "/fhir/R4/Patient/1"),
        ("/", "/fhir/R4/", "Patient/1", "/fhir/R4/Patient/1"),
        ("/ctx", "/api/v2/", "Patient/1", "/ctx/api/v2/Patient/1"),
        (
            "/ctx/",
            "api/v2",
            "api/v2/Patient/1",
            "/ctx/api/v2/Patient/1",
        ),
        ("/", "fhir/R4", "fhir/R4/Patient/1", "/fhir/R4/Patient/1"),
        ("/", "fhir/R4", "/fhir/R4/Patient/1", "/fhir/R4/Patient/1"),
        ("/", "fhir/R4", "/admin/projects/1", "/admin/projects/1"),
        ("/", "fhir/R4", "admin/projects/1", "/admin/projects/1"),
        ("/", "fhir/R4", "auth/me", "/auth/me"),
        ("/", "fhir/R4", "administration", "/fhir/R4/administration"),
        ("/", "api", "fhir/R4/Patient/1", "/api/fhir/R4/Patient/1"),
        (
            "/",
            "fhir/R4",
            "Patient?name=x&_count=2",
            "/fhir/R4/Patient?name=x&_count=2",
        ),
        (
            "/",
            "fhir/R4",
            "Patient?identifier=a|b",
            "/fhir/R4/Patient?identifier=a%7Cb",
        ),
        (
            "/",
            "fhir/R4",
            "Patient?name=J%C3%B6rg",
            "/fhir/R4/Patient?name=J%C3%B6rg",
        ),
    ] {
        server.forget();
        let base = server.url(base);
        Medplum::new()
            .run([
                "get",
                path,
                "--base-url",
                &base,
                "--fhir-url-path",
                fhir_path,
            ])
            .ok();
        assert_eq!(
            server.lines(),
            [format!("GET {target}")],
            "{base} {fhir_path} {path}"
        );
    }
    server.forget();
    let fhir = server.url("/other/base");
    Medplum::new()
        .run([
            "get",
            "fhir/R4/Patient/1",
            "--base-url",
            &server.url(""),
            "--fhir-url",
            &fhir,
        ])
        .ok();
    Medplum::new()
        .run([
            "get",
            &server.url("/other/base/Patient/2"),
            "--base-url",
            &server.url(""),
        ])
        .ok();
    assert_eq!(
        server.lines(),
        [
            "GET /other/base/fhir/R4/Patient/1",
            "GET /other/base/Patient/2"
        ]
    );
}

/// C5: the body could only be an argument.
#[test]
fn a_body_is_given_inline_in_a_file_or_on_stdin() {
    let server = echo();
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let body = r#"{"resourceType":"Patient","name":[{"family":"Jörg"}]}"#;
    medplum.file("body.json", body);
    medplum.run(["post", "Patient", body]).ok();
    medplum.run(["post", "Patient", "@body.json"]).ok();
    medplum
        .command(["post", "Patient", "-"])
        .stdin(body)
        .run()
        .ok();
    let bodies: Vec<String> = server.requests().iter().map(Request::text).collect();
    assert_eq!(bodies, [body; 3]);
    medplum
        .run(["post", "Patient", "@missing.json"])
        .fails(2)
        .prints("")
        .says("missing.json");
}

/// C5: invalid JSON was sent as it was, with exit 0.
#[test]
fn a_body_that_is_no_json_is_refused_before_anything_is_sent() {
    let site = Site::open();
    site.medplum.file("body.json", "{\"a\":");
    for method in ["post", "put", "patch"] {
        for body in [
            "{\"a\":",
            "",
            "hello",
            "{} {}",
            "{'a':1}",
            "@body.json",
            "-",
        ] {
            let command = site
                .medplum
                .command([method, "-p", "site", "Patient/1", body]);
            command
                .stdin("[1,")
                .run()
                .fails(2)
                .prints("")
                .says("Error: ")
                .says("JSON");
        }
    }
    let args = ["post", "-p", "site", "Patient", "missing.json"];
    let run = site.medplum.run(args).fails(2);
    run.says("Hint: nothing was sent; a file is given as @FILE, stdin as -");
    assert_eq!(site.server.lines(), [""; 0], "not even a token request");
}

#[test]
fn another_content_type_takes_any_body() {
    let server = echo();
    let request = sent(
        &server,
        &[
            "post",
            "Binary",
            "MSH|^~\\&|",
            "-H",
            "Content-Type: x-application/hl7-v2+er7",
        ],
    );
    assert_eq!(request.text(), "MSH|^~\\&|");
    assert_eq!(
        request.header("Content-Type"),
        Some("x-application/hl7-v2+er7")
    );
}

/// C4: `1.00` became `1`, and large integers were rounded.
#[test]
fn digits_and_key_order_are_kept_both_ways() {
    let server = echo();
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let body = r#"{"z":1.00,"a":1e2,"m":[12345678901234567890,-0.0,1E+5,0.10],"s":"\u00e9\/<"}"#;
    let shown = r#"{
  "z": 1.00,
  "a": 1e2,
  "m": [
    12345678901234567890,
    -0.0,
    1E+5,
    0.10
  ],
  "s": "\u00e9\/<"
}
"#;
    for method in ["post", "put"] {
        medplum
            .run([method, "Observation/1", body])
            .ok()
            .prints(shown);
    }
    for request in server.requests() {
        assert_eq!(request.text(), body);
    }
    server.on("GET", "/fhir/R4/Observation/1", Answer::json(200, body));
    medplum.run(["get", "Observation/1"]).ok().prints(shown);
}

#[test]
fn headers_and_conditions_are_sent() {
    let server = echo();
    let put = sent(
        &server,
        &[
            "put",
            "Patient/1",
            "{}",
            "--if-match",
            "W/\"3\"",
            "--prefer",
            "return=minimal",
        ],
    );
    assert_eq!(
        (put.header("If-Match"), put.header("Prefer")),
        (Some("W/\"3\""), Some("return=minimal"))
    );
    let post = sent(
        &server,
        &[
            "post",
            "Patient",
            "{}",
            "--if-none-exist",
            "identifier=a|b",
            "-H",
            "X-One: 1",
            "-H",
            "X-Two: a: b",
        ],
    );
    assert_eq!(post.header("If-None-Exist"), Some("identifier=a|b"));
    assert_eq!(
        (post.header("X-One"), post.header("X-Two")),
        (Some("1"), Some("a: b"))
    );
    let accept = sent(
        &server,
        &["get", "Binary/1", "-H", "Accept: application/pdf"],
    );
    assert_eq!(accept.header("Accept"), Some("application/pdf"));
    for bad in ["no colon", "bad name: x", "X-A: a\nB: c"] {
        Medplum::new()
            .run(["get", "--base-url", &server.url(""), "Patient/1", "-H", bad])
            .fails(2)
            .prints("");
    }
}

#[test]
fn include_shows_status_and_headers() {
    let server = Server::start();
    server.on(
        "GET",
        "/fhir/R4/Patient/1",
        Answer::json(200, "{}").header("ETag", "W/\"3\""),
    );
    server.on(
        "POST",
        "/fhir/R4/Patient",
        Answer::empty(201).header("Location", "Patient/2/_history/1"),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let run = medplum.run(["get", "-i", "Patient/1"]).ok();
    let shown = run.everything().to_lowercase();
    assert!(
        shown.contains("200") && shown.contains("etag: w/\"3\"") && run.stdout.contains("{}"),
        "{run}"
    );
    let shown = medplum
        .run(["post", "Patient", "{}", "--include"])
        .ok()
        .everything();
    assert!(
        shown.contains("201") && shown.contains("Patient/2/_history/1"),
        "{shown}"
    );
}

/// C6: `delete` printed `undefined`.
#[test]
fn an_empty_answer_prints_nothing() {
    let server = Server::start();
    server.on("DELETE", "/fhir/R4/Patient/1", Answer::empty(204));
    server.on(
        "DELETE",
        "/fhir/R4/Patient/2",
        Answer::json(200, r#"{"resourceType":"OperationOutcome"}"#),
    );
    server.on("PUT", "/fhir/R4/Patient/1", Answer::empty(200));
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    medplum.run(["delete", "Patient/1"]).ok().prints("");
    medplum
        .run(["delete", "Patient/2"])
        .ok()
        .prints("{\n  \"resourceType\": \"OperationOutcome\"\n}\n");
    medplum.run(["put", "Patient/1", "{}"]).ok().prints("");
}

#[test]
fn what_is_no_json_is_printed_or_written_as_it_came() {
    let server = Server::start();
    let bytes: Vec<u8> = (0..=255).collect();
    server.on(
        "GET",
        "/fhir/R4/Binary/1",
        Answer::new(200, "application/pdf", &bytes),
    );
    server.on(
        "GET",
        "/fhir/R4/Binary/2",
        Answer::new(200, "text/plain", "no newline"),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    assert_eq!(medplum.run(["get", "Binary/1"]).ok().stdout_bytes, bytes);
    assert_eq!(
        medplum.run(["get", "Binary/2"]).ok().stdout_bytes,
        b"no newline"
    );
    medplum
        .run(["get", "Binary/1", "--output", "out.pdf"])
        .ok()
        .prints("");
    assert_eq!(fs::read(medplum.path("out.pdf")).unwrap(), bytes);
    medplum
        .run(["get", "Binary/2", "--output", "out.txt"])
        .ok()
        .prints("");
    assert_eq!(medplum.read("out.txt"), "no newline");
    medplum
        .run(["get", "Binary/1", "--output", "no/such/folder/x"])
        .fails(1)
        .prints("")
        .says("no/such/folder");
    medplum
        .run(["get", "Binary/9", "--output", "none.pdf"])
        .fails(4);
    assert!(!medplum.path("none.pdf").exists());
}

#[test]
fn a_compressed_or_chunked_answer_is_read() {
    let server = Server::start();
    let text = json!({"text": "x".repeat(100_000)}).to_string();
    server.on("GET", "/fhir/R4/A/1", Answer::json(200, &text).gzip());
    server.on("GET", "/fhir/R4/A/2", Answer::json(200, &text).chunked());
    server.on(
        "GET",
        "/fhir/R4/A/3",
        Answer::json(200, &text).gzip().chunked(),
    );
    server.on(
        "GET",
        "/fhir/R4/A/4",
        Answer::json(200, &text).until_close(),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    for id in 1..=4 {
        let run = medplum.run(["get", &format!("A/{id}")]).ok();
        assert_eq!(run.json()["text"].as_str().unwrap().len(), 100_000);
    }
}

/// Three pages; the numbers in them show whether they were re-written on the way.
fn paged() -> (Server, Medplum) {
    let server = Server::start();
    let entry = |id: &str| {
        format!(
            r#"{{"fullUrl":"x/{id}","resource":{{"resourceType":"Observation","id":"{id}","valueDecimal":1.00}},"search":{{"mode":"match"}}}}"#
        )
    };
    let page = |ids: &[&str], next: Option<String>| {
        let entries = ids.iter().map(|id| entry(id)).collect::<Vec<_>>().join(",");
        let link = next.map_or(String::new(), |url| {
            format!(r#""link":[{{"relation":"next","url":"{url}"}}],"#)
        });
        Answer::json(
            200,
            format!(r#"{{"resourceType":"Bundle","type":"searchset",{link}"entry":[{entries}]}}"#),
        )
    };
    server.on(
        "GET",
        "/fhir/R4/Observation",
        page(&["a", "b"], Some(server.url("/fhir/R4?page=2"))),
    );
    // An empty page is not the end (Epic).
    server.on(
        "GET",
        "/fhir/R4?page=2",
        page(&[], Some(server.url("/fhir/R4?page=3"))),
    );
    server.on("GET", "/fhir/R4?page=3", page(&["c"], None));
    server.on(
        "GET",
        "/fhir/R4/Loop",
        page(&["a"], Some(server.url("/fhir/R4/Loop"))),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    (server, medplum)
}

fn ids(values: &[Value]) -> Vec<&str> {
    values
        .iter()
        .map(|value| value["id"].as_str().unwrap())
        .collect()
}

/// C6: the first page only.
#[test]
fn all_follows_the_pages_to_the_end() {
    let (server, medplum) = paged();
    let first = medplum.run(["get", "Observation"]).ok().json();
    assert_eq!(first["entry"].as_array().unwrap().len(), 2);
    server.forget();
    let run = medplum.run(["get", "Observation", "--all"]).ok();
    assert_eq!(server.lines().len(), 3);
    let bundle = run.json();
    let resources: Vec<Value> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"].clone())
        .collect();
    assert_eq!(ids(&resources), ["a", "b", "c"]);
    assert_eq!(run.stdout.matches("1.00").count(), 3, "{run}");
}

#[test]
fn all_as_ndjson_is_one_resource_a_line() {
    let (_server, medplum) = paged();
    let run = medplum
        .run(["get", "Observation", "--all", "-o", "ndjson"])
        .ok();
    let lines: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(ids(&lines), ["a", "b", "c"]);
    assert_eq!(
        run.stdout.lines().next(),
        Some(r#"{"resourceType":"Observation","id":"a","valueDecimal":1.00}"#)
    );
}

#[test]
fn all_as_ndjson_prints_a_page_before_the_next_one_comes() {
    let (server, medplum) = paged();
    server.on("GET", "/fhir/R4?page=2", Answer::silence());
    let running = medplum.spawn(["get", "Observation", "--all", "-o", "ndjson"]);
    server.wait_for("/fhir/R4");
    assert!(running.stdout_line("Observation").contains(r#""id":"a""#));
    running.interrupt();
    running.finish().fails(130);
}

#[test]
fn all_ends_when_a_server_links_in_a_circle() {
    let (server, medplum) = paged();
    medplum
        .run(["get", "Loop", "--all"])
        .fails(1)
        .says("Error: ")
        .says("/fhir/R4/Loop");
    assert!(server.lines().len() <= 2, "{:?}", server.lines());
}

#[test]
fn as_transaction_makes_a_bundle_that_creates_what_was_read() {
    let server = Server::start();
    let bundle = r#"{"resourceType":"Bundle","type":"searchset","entry":[
        {"resource":{"resourceType":"Patient","id":"p1","meta":{"versionId":"1"},"multipleBirthInteger":2}},
        {"resource":{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"},"valueDecimal":1.00}}]}"#;
    server.on(
        "GET",
        "/fhir/R4/Patient/p1/$everything",
        Answer::json(200, bundle),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let run = medplum
        .run(["get", "Patient/p1/$everything", "--as-transaction"])
        .ok();
    let transaction = run.json();
    assert_eq!(
        (&transaction["resourceType"], &transaction["type"]),
        (&json!("Bundle"), &json!("transaction"))
    );
    let entries = transaction["entry"].as_array().unwrap();
    let of = |kind: &str| {
        entries
            .iter()
            .find(|entry| entry["resource"]["resourceType"] == kind)
            .unwrap()
    };
    for kind in ["Patient", "Observation"] {
        assert_eq!(of(kind)["request"], json!({"method": "POST", "url": kind}));
        assert!(
            of(kind)["fullUrl"]
                .as_str()
                .unwrap()
                .starts_with("urn:uuid:")
        );
    }
    assert_eq!(
        of("Observation")["resource"]["subject"]["reference"],
        of("Patient")["fullUrl"]
    );
    assert!(run.stdout.contains("1.00"), "{run}");
}

/// C6: `--prefer-async` did not poll.
#[test]
fn prefer_async_waits_for_the_result_and_no_wait_prints_the_status_url() {
    let site = Site::open();
    let status = site.server.url("/fhir/R4/job/1");
    site.server.on(
        "POST",
        "/fhir/R4/$reindex",
        Answer::empty(202).header("Content-Location", &status),
    );
    let pending = Answer::empty(202).header("Retry-After", "0");
    site.server.on_sequence(
        "GET",
        "/fhir/R4/job/1",
        [
            pending.clone(),
            pending,
            Answer::json(200, r#"{"done":1.0}"#),
        ],
    );
    let post = ["post", "-p", "site", "$reindex", "{}"];
    site.medplum
        .run(post.iter().chain(&["--prefer-async", "--no-wait"]))
        .ok()
        .prints(&format!("{status}\n"));
    assert!(site.server.requests_to("/fhir/R4/job/1").is_empty());
    site.medplum
        .run(post.iter().chain(&["--prefer-async"]))
        .ok()
        .prints("{\n  \"done\": 1.0\n}\n");
    assert_eq!(
        site.server.requests_to("/fhir/R4/$reindex")[1].header("Prefer"),
        Some("respond-async")
    );
    let polls = site.server.requests_to("/fhir/R4/job/1");
    assert_eq!(polls.len(), 3);
    assert_eq!(polls[2].header("Authorization"), Some("Bearer token-1"));
}

#[test]
fn global_flags_work_before_and_after_the_subcommand() {
    let site = Site::open();
    for args in [
        ["-p", "site", "get", "Patient/1"],
        ["get", "-p", "site", "Patient/1"],
        ["get", "Patient/1", "-p", "site"],
        ["get", "Patient/1", "--profile", "site"],
    ] {
        site.medplum.run(args).ok();
    }
    let base = site.server.url("/other");
    site.medplum
        .run(["--base-url", &base, "profile", "set", "a"])
        .ok();
    site.medplum
        .run(["profile", "--base-url", &base, "set", "b"])
        .ok();
    site.medplum
        .run(["profile", "set", "c", "--base-url", &base])
        .ok();
    for name in ["a", "b", "c"] {
        assert_eq!(site.medplum.options(name)["baseUrl"], base);
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let server = Server::start();
    let rows: Vec<Value> = (0..100_000).map(|at| json!({"row": at})).collect();
    server.on(
        "GET",
        "/fhir/R4/Big",
        Answer::json(200, json!(rows).to_string()),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let run = medplum
        .shell("medplum get Big | head -n 2; echo ${PIPESTATUS[0]}")
        .ok();
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("[\n  {\n0\n", "")
    );
}
