//! Conditions of writes, and bodies that are not what they should be: what is wrong is refused before anything is sent.

use crate::support::{Answer, Medplum, Server, Site};

/// A site whose Patient/1 can be written.
fn site() -> Site {
    let site = Site::open();
    for method in ["PUT", "PATCH", "DELETE"] {
        let answer = Answer::json(200, "{}");
        site.server.on(method, "/fhir/R4/Patient/1", answer);
    }
    let answer = Answer::json(201, "{}");
    site.server.on("POST", "/fhir/R4/Patient", answer);
    site
}

fn run(site: &Site, args: &[&str]) -> crate::support::Run {
    site.medplum.run([args, &["-p", "site"]].concat())
}

#[test]
fn an_empty_condition_is_refused_before_anything_is_sent() {
    let site = site();
    for args in [
        &["put", "Patient/1", "{}", "--if-match", ""][..],
        &["put", "Patient/1", "{}", "--if-match", " "],
        &["patch", "Patient/1", "[]", "--if-match", ""],
        &["delete", "Patient/1", "--if-match", ""],
        &["post", "Patient", "{}", "--if-none-exist", ""],
        &["post", "Patient", "{}", "--if-none-exist", "identifier="],
    ] {
        run(&site, args).fails(2).says("--if-");
    }
    assert_eq!(site.server.requests().len(), 0);
    run(&site, &["put", "Patient/1", "{}", "--if-match", "3"]).ok();
    assert_eq!(site.server.requests_to("/fhir/R4/Patient/1").len(), 1);
}

#[test]
fn a_bare_version_becomes_an_entity_tag() {
    for (given, sent) in [
        ("3", r#"W/"3""#),
        ("W/3", r#"W/"3""#),
        (r#"W/"3""#, r#"W/"3""#),
        (r#""3""#, r#""3""#),
        ("*", "*"),
    ] {
        let site = site();
        run(&site, &["put", "Patient/1", "{}", "--if-match", given]).ok();
        let request = site.server.request_to("/fhir/R4/Patient/1");
        assert_eq!(request.header("If-Match"), Some(sent));
    }
}

#[test]
fn a_condition_with_other_letters_is_percent_encoded() {
    let site = site();
    let query = "?name=Zo\u{eb} B&identifier=sys|1";
    run(&site, &["post", "Patient", "{}", "--if-none-exist", query]).ok();
    let request = site.server.request_to("/fhir/R4/Patient");
    let sent = request.header("If-None-Exist");
    assert_eq!(sent, Some("name=Zo%C3%AB%20B&identifier=sys|1"));
}

#[test]
fn a_patch_that_is_neither_list_nor_parameters_is_refused_with_the_forms_named() {
    let site = site();
    for body in [
        r#"{"active":true}"#,
        r#"{"resourceType":"Patient","id":"1"}"#,
        "true",
    ] {
        run(&site, &["patch", "Patient/1", body])
            .fails(2)
            .says("JSON Patch")
            .says("Parameters")
            .says("Content-Type");
    }
    assert_eq!(site.server.requests().len(), 0);
    let merge = "Content-Type: application/merge-patch+json";
    run(
        &site,
        &["patch", "Patient/1", r#"{"active":true}"#, "-H", merge],
    )
    .ok();
    let parameters = r#"{"resourceType":"Parameters"}"#;
    run(&site, &["patch", "Patient/1", parameters]).ok();
    run(&site, &["patch", "Patient/1", " []"]).ok();
    let types: Vec<_> = site
        .server
        .requests_to("/fhir/R4/Patient/1")
        .iter()
        .map(|request| request.header("Content-Type").unwrap().to_owned())
        .collect();
    assert_eq!(
        types,
        [
            "application/merge-patch+json",
            "application/fhir+json",
            "application/json-patch+json"
        ]
    );
}

#[test]
fn a_byte_order_mark_before_a_body_or_a_profile_is_passed_over() {
    let site = site();
    let body = site
        .medplum
        .file("body.json", "\u{feff}{\"resourceType\":\"Patient\"}");
    run(&site, &["post", "Patient", &format!("@{}", body.display())]).ok();
    let request = site.server.request_to("/fhir/R4/Patient");
    assert_eq!(request.body, b"{\"resourceType\":\"Patient\"}");

    let server = Server::start();
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let medplum = Medplum::new();
    let options = serde_json::json!({"name": "bom", "baseUrl": server.url("/")}).to_string();
    let profile = serde_json::json!({"options": options}).to_string();
    medplum.write_profile_text("bom", &format!("\u{feff}{profile}"));
    medplum.run(["get", "-p", "bom", "Patient/1"]).ok();
    assert_eq!(server.lines(), ["GET /fhir/R4/Patient/1"]);
}

#[test]
fn a_fhir_path_with_a_query_is_refused() {
    let server = Server::start();
    let medplum = Medplum::new();
    let base = server.url("/");
    for path in ["fhir?x=1", "fhir#x", &server.url("/fhir?x=1")] {
        let get = [
            "get",
            "--base-url",
            &base,
            "--fhir-url-path",
            path,
            "Patient/1",
        ];
        medplum.run(get).fails(2).says("must not hold a query");
    }
    assert_eq!(server.lines(), [""; 0]);
}
