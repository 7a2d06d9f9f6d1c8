//! `medplum search`: values are encoded, pages followed, and what is not all of it is said.

use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;
use crate::support::{Answer, Medplum, Run, Server};

/// A server with pages of two Patients: `a` to `e`, five in all.
fn five() -> Server {
    let server = Server::start();
    let base = server.url("/fhir/R4/");
    server.handler(move |request| {
        let at = match request.target.as_str() {
            "/fhir/R4/page/1" => 2,
            "/fhir/R4/page/2" => 4,
            target if target.starts_with("/fhir/R4/Patient") => 0,
            _ => return None,
        };
        let entry: Vec<Value> = ["a", "b", "c", "d", "e"]
            .iter()
            .skip(at)
            .take(2)
            .map(|id| json!({"resource": {"resourceType": "Patient", "id": id, "name": [{"family": format!("F{id}")}]},
                             "search": {"mode": "match"}}))
            .collect();
        let next = format!("{base}page/{}", at / 2 + 1);
        let link = if at < 4 { json!([{"relation": "next", "url": next}]) } else { json!([]) };
        let bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": 5, "link": link, "entry": entry});
        Some(Answer::json(200, bundle.to_string()))
    });
    server
}

fn search(server: &Server, args: &[&str]) -> Run {
    let base = server.url("/");
    let medplum = Medplum::new();
    medplum.run(["search"].iter().chain(args).chain(&["--base-url", &base]))
}

#[test]
fn names_and_values_arrive_as_they_were_typed_in_a_url_or_a_body() {
    let typed = [
        ("name:exact", "O'Brien & Söhne +1"),
        ("identifier", "http://h/x?y=z|4711"),
        ("date", "ge2020"),
        ("date", "lt2021"),
        ("given", "a=b,c"),
    ];
    let words: Vec<String> = typed
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut args = vec!["Patient"];
    args.extend(words.iter().map(String::as_str));
    for post in [false, true] {
        let server = five();
        let mut args = args.clone();
        if post {
            args.extend(["--post", "-vv"]);
        }
        let run = search(&server, &args).ok();
        let request = &server.requests()[0];
        let text = if post {
            assert_eq!(
                (request.method.as_str(), request.target.as_str()),
                ("POST", "/fhir/R4/Patient/_search")
            );
            assert!(
                !run.everything().contains("4711") && !run.everything().contains("Brien"),
                "{run}"
            );
            request.text()
        } else {
            request.target.split_once('?').unwrap().1.to_owned()
        };
        assert!(!text.contains('+'), "{text}");
        let arrived: Vec<_> = url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        let typed: Vec<_> = typed
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(arrived, typed);
    }
}

#[test]
fn all_pages_come_or_as_many_as_are_asked_for() {
    let server = five();
    let run = search(&server, &["Patient", "--all", "--ids"]).ok();
    assert_eq!(
        run.stdout,
        "Patient/a\nPatient/b\nPatient/c\nPatient/d\nPatient/e\n"
    );
    assert_eq!(run.stderr, "");
    server.forget();
    let run = search(
        &server,
        &["Patient", "--limit", "3", "-o", "ndjson", "--post"],
    )
    .ok();
    assert_eq!(run.stdout.lines().count(), 3, "{run}");
    assert_eq!(
        server.lines(),
        ["POST /fhir/R4/Patient/_search", "GET /fhir/R4/page/1"]
    );
    assert_eq!(server.requests()[0].text(), "_count=3");
    let run = search(
        &server,
        &["Patient", "--fields", "id,name.family,birthDate", "--all"],
    )
    .ok();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], "ID  NAME.FAMILY  BIRTHDATE");
    assert_eq!(
        lines[5].split_whitespace().collect::<Vec<_>>(),
        ["e", "Fe", "-"]
    );
    let run = search(&server, &["Patient", "--ids"]).ok();
    assert!(
        run.stderr.contains("first page alone, with 2 of 5"),
        "{run}"
    );
    let run = search(&server, &["Patient"]).ok();
    assert!(
        run.stdout.contains("\"next\""),
        "the Bundle is as it came: {run}"
    );
}

#[test]
fn a_page_that_fails_leaves_what_came_and_says_that_it_is_not_all() {
    let server = five();
    server.on("GET", "/fhir/R4/page/2", Answer::json(500, r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}"#));
    let run = search(&server, &["Patient", "--all", "--ids", "--retries", "0"]).fails(5);
    assert_eq!(run.stdout.lines().count(), 4, "{run}");
    run.says("4 of 5 resources were printed").says("500");
    // A Bundle has no place for that.
    let run = search(&server, &["Patient", "--all", "--retries", "0"]).fails(1);
    run.prints("").says("500");
}

#[test]
fn fewer_than_the_server_promised_is_partial() {
    let server = five();
    let last = r#"{"resourceType":"Bundle","type":"searchset"}"#;
    server.on("GET", "/fhir/R4/page/1", Answer::json(200, last));
    search(&server, &["Patient", "--all", "--ids"])
        .fails(5)
        .says("5 resources match, and 2 came");
}

#[test]
fn a_number_is_the_servers_or_counted() {
    let server = five();
    search(&server, &["Patient", "--count"]).ok().prints("5\n");
    assert_eq!(server.lines(), ["GET /fhir/R4/Patient?_summary=count"]);
    let none = r#"{"resourceType":"Bundle","type":"searchset"}"#;
    server.on(
        "GET",
        "/fhir/R4/Patient?_summary=count",
        Answer::json(200, none),
    );
    let run = search(&server, &["Patient", "--count"]).ok().prints("5\n");
    run.says("all pages are read and counted");
}

#[test]
fn what_is_no_search_is_told_before_anything_is_sent() {
    let server = five();
    for (args, words) in [
        (&["patient"][..], "medplum search Patient"),
        (&["Patient/1"], "medplum get 'Patient/1'"),
        (&["Patient?name=x"], "medplum get"),
        (&["Patient", "smith"], "no NAME=VALUE"),
        (&["Patient", "=x"], "no NAME=VALUE"),
        (&["Patient", "--limit", "0"], "0"),
        (&["Patient", "--count", "--all"], "--all"),
    ] {
        search(&server, args).fails(2).says(words);
    }
    assert_eq!(server.requests().len(), 0);
    search(&server, &["Patient"]).ok();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_sandbox_is_searched_by_url_and_by_body() {
    let medplum = Medplum::new();
    let sandbox = Sandbox::start(&medplum, &["--patients", "30"]);
    sandbox.set_profile(&medplum);
    let number = |args: &[&str]| {
        let run = medplum.run(["search", "-p", "sandbox"].iter().chain(args));
        run.ok().stdout.lines().count()
    };
    assert_eq!(number(&["Patient", "--all", "--ids"]), 30);
    let women = number(&["Patient", "gender=female", "--all", "--ids"]);
    let men = number(&["Patient", "gender=male", "--limit", "30", "--ids"]);
    assert!(women > 0 && men > 0 && women + men <= 30, "{women} {men}");
}

#[test]
fn what_the_server_takes_no_notice_of_is_said_however_it_was_sent() {
    for more in [
        &["--count"][..],
        &["--all", "--ids"],
        &["--limit", "2", "-o", "table"],
        &[],
    ] {
        for post in [&[][..], &["--post"]] {
            let (server, medplum) = (Server::start(), Medplum::new());
            let own = server.url("/fhir/R4/Patient?name=a");
            let bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": 1, "link": [{"relation": "self", "url": own}],
                "entry": [{"resource": {"resourceType": "Patient", "id": "1"}}]});
            server.handler(move |_| Some(Answer::json(200, bundle.to_string())));
            let base = server.url("/");
            let args = [
                "search",
                "Patient",
                "name=a",
                "nmae=b",
                "--base-url",
                &base,
                "--sort",
                "date",
            ];
            let run = medplum.run(args.iter().chain(more).chain(post)).ok();
            assert!(run.stderr.contains("no notice of _sort, nmae"), "{run}");
        }
    }
}

#[test]
fn a_column_has_all_that_a_resource_has_there_and_a_mistyped_one_is_said() {
    let server = Server::start();
    let patient = json!({"resourceType": "Patient", "id": "1", "active": true, "name": [{"given": ["Mary", "Ann"]}, {"given": ["Mo"]}]});
    let bundle =
        json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": patient}]});
    server.handler(move |_| Some(Answer::json(200, bundle.to_string())));
    let run = search(
        &server,
        &[
            "Patient",
            "--fields",
            "active, name.given,name.1.given,name.famly",
        ],
    )
    .ok();
    let row = run.stdout.lines().nth(1).unwrap().to_owned();
    assert_eq!(row, "true    Mary, Ann, Mo  Mo            -", "{run}");
    run.says("None of these resources has name.famly");
}

/// It holds somebody's health, and stderr is kept in logs.
#[test]
fn a_resource_where_a_bundle_is_expected_is_named_and_not_quoted() {
    let server = Server::start();
    let patient = r#"{"id":"1","resourceType":"Patient","name":[{"family":"Canary"}]}"#;
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, patient));
    let base = server.url("/");
    let run = Medplum::new()
        .run(["get", "Patient/1", "--all", "--base-url", &base])
        .fails(1);
    assert!(!run.everything().contains("Canary"), "{run}");
    run.says("the resource Patient");
}
