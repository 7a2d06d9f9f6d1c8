//! REST: create, read, search, change, and what goes wrong.

use serde_json::{Value, json};

use super::{FHIR_JSON, FORM, Server, header, json_of};

#[tokio::test]
async fn a_resource_lives_through_all_interactions() {
    let server = Server::small().await;
    let body = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":72.50,"low":1e2}}"#;
    let created = server.send("POST", "Observation", body).await;
    assert_eq!(
        (created.status().as_u16(), header(&created, "etag")),
        (201, "W/\"1\"".into())
    );
    let location = header(&created, "location");
    let url = location.strip_suffix("/_history/1").unwrap();
    let read = server.ask("GET", url).send().await.unwrap();
    assert!(header(&read, "last-modified").ends_with("GMT"));
    let text = read.text().await.unwrap();
    assert!(
        text.contains(r#""valueQuantity":{"value":72.50,"low":1e2}"#),
        "{text}"
    );
    assert_eq!(server.get(&location).await["valueQuantity"]["value"], 72.5);
    let cached = server
        .ask("GET", url)
        .header("if-none-match", "W/\"1\"")
        .send()
        .await
        .unwrap();
    assert_eq!(cached.status(), 304);
    let patch = r#"[{"op":"test","path":"/status","value":"final"},{"op":"replace","path":"/status","value":"amended"}]"#;
    let patched = server
        .ask("PATCH", url)
        .header("content-type", "application/json-patch+json")
        .body(patch);
    let patched = patched.header("if-match", "W/\"1\"").send().await.unwrap();
    assert_eq!(
        (patched.status().as_u16(), header(&patched, "etag")),
        (200, "W/\"2\"".into())
    );
    let text = patched.text().await.unwrap();
    assert!(text.contains("72.50") && text.contains("amended"), "{text}");
    let late = server
        .ask("PUT", url)
        .header("content-type", FHIR_JSON)
        .header("if-match", "W/\"1\"")
        .body(text.clone());
    assert_eq!(late.send().await.unwrap().status(), 412);
    let id = url.rsplit('/').next().unwrap();
    let other = text.replace(id, "other");
    assert_eq!(server.send("PUT", url, &other).await.status(), 400);
    assert_eq!(
        server
            .send("PUT", "Observation/other", &other)
            .await
            .status(),
        201
    );
    assert_eq!(
        server.ask("DELETE", url).send().await.unwrap().status(),
        204
    );
    assert_eq!(server.ask("GET", url).send().await.unwrap().status(), 410);
    assert_eq!(server.send("PUT", url, &text).await.status(), 201);
}

#[tokio::test]
async fn a_conditional_create_creates_once() {
    let server = Server::small().await;
    let create = |condition: &'static str| {
        let body = r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"v"}]}"#;
        let request = server
            .ask("POST", "Patient")
            .header("content-type", FHIR_JSON);
        request.header("if-none-exist", condition).body(body).send()
    };
    assert_eq!(create("identifier=s|v").await.unwrap().status(), 201);
    assert_eq!(create("identifier=s|v").await.unwrap().status(), 200);
    assert_eq!(create("gender=male").await.unwrap().status(), 412);
    assert_eq!(create("color=red").await.unwrap().status(), 400);
}

#[tokio::test]
async fn errors_are_outcomes_with_their_status() {
    let server = Server::small().await;
    for (method, path, kind, body, status) in [
        (
            "POST",
            "Patient",
            FHIR_JSON,
            r#"{"resourceType":"Patient",}"#,
            400,
        ),
        (
            "POST",
            "Patient",
            FHIR_JSON,
            r#"{"resourceType":"Person"}"#,
            400,
        ),
        ("POST", "Patient", FHIR_JSON, "{}", 422),
        ("POST", "Patient", "text/plain", "hello", 415),
        ("POST", "Pat", FHIR_JSON, "{}", 404),
        ("PATCH", "Patient/1", FHIR_JSON, "{}", 415),
        ("DELETE", "Patient", FHIR_JSON, "", 405),
        ("POST", "", FHIR_JSON, r#"{"resourceType":"Patient"}"#, 400),
        ("GET", "Patient/1", FHIR_JSON, "", 404),
        ("GET", "Patient/a b", FHIR_JSON, "", 404),
        ("GET", "Patient?name:near=x", FHIR_JSON, "", 400),
        ("GET", "Patient?_format=xml", FHIR_JSON, "", 406),
    ] {
        let request = server
            .ask(method, path)
            .header("content-type", kind)
            .body(body);
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status().as_u16(), status, "{method} {path} {body}");
        assert_eq!(json_of(refused).await["resourceType"], "OperationOutcome");
    }
    let xml = server
        .ask("GET", "Patient")
        .header("accept", "application/fhir+xml");
    assert_eq!(xml.send().await.unwrap().status(), 406);
    let broken = json_of(server.send("POST", "Patient", "{\n  \"a\": }").await).await;
    assert!(broken.to_string().contains("line 2"), "{broken}");
}

#[tokio::test]
async fn a_search_finds_in_pages_and_refuses_when_told_to() {
    let server = Server::small().await;
    let found = server.get("Patient?identifier:contains=3SH0A00AA00").await;
    assert_eq!(
        (
            &found["total"],
            &found["entry"][0]["resource"]["name"][0]["text"]
        ),
        (&json!(1), &json!("Mr. Dustin31 Ritchie586"))
    );
    let (mut ids, mut next) = (Vec::new(), Some("Patient?_count=5".to_owned()));
    while let Some(url) = next {
        let page = server.get(&url).await;
        ids.extend(
            page["entry"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["resource"]["id"].to_string()),
        );
        let links = page["link"].as_array().unwrap();
        next = links
            .iter()
            .find(|link| link["relation"] == "next")
            .map(|link| link["url"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 12);
    let by_post = server
        .ask("POST", "Patient/_search")
        .header("content-type", FORM)
        .body("family=Ritchie586&_total=none");
    let by_post = json_of(by_post.send().await.unwrap()).await;
    assert!(by_post.get("total").is_none() && by_post["entry"].as_array().unwrap().len() == 1);
    assert_eq!(
        server.get("Patient?_summary=count&color=red").await["total"],
        12
    );
    let strict = server
        .ask("GET", "Patient?color=red")
        .header("prefer", "handling=strict")
        .send()
        .await
        .unwrap();
    assert_eq!(strict.status(), 400);
    let everything = server
        .get("Patient/13e44a47-636b-49e2-adb3-9f19c7e0e47a/$everything")
        .await;
    assert!(
        everything.to_string().contains("Practitioner/")
            && everything["total"].as_u64().unwrap() > 10
    );
}

#[tokio::test]
async fn a_transaction_is_done_wholly_or_not_at_all() {
    let server = Server::small().await;
    let entries = |last: Value| {
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": {"resourceType": "Condition", "subject": {"reference": "urn:uuid:1"}}, "request": {"method": "PUT", "url": "Condition/c1"}},
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
            last,
        ]})
        .to_string()
        .replace(r#""Condition","#, r#""Condition","id":"c1","#)
    };
    let wrong = json!({"request": {"method": "DELETE", "url": "Patient/nobody"}});
    let refused = server.send("POST", "", &entries(wrong)).await;
    assert_eq!(refused.status(), 404);
    assert!(
        json_of(refused)
            .await
            .to_string()
            .contains("Bundle.entry[2]")
    );
    assert_eq!(
        server
            .ask("GET", "Condition/c1")
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    let done = server
        .send(
            "POST",
            "",
            &entries(json!({"request": {"method": "GET", "url": "Patient?_count=1"}})),
        )
        .await;
    let done = json_of(done).await;
    assert_eq!(
        (&done["type"], &done["entry"][0]["response"]["status"]),
        (&json!("transaction-response"), &json!("201 Created"))
    );
    assert_eq!(done["entry"][2]["resource"]["total"], 13);
    let patient = server.get("Condition/c1").await["subject"]["reference"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        server.ask("GET", &patient).send().await.unwrap().status(),
        200
    );
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "DELETE", "url": "Condition/c1"}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Person"}},
    ]});
    let done = json_of(server.send("POST", "", &batch.to_string()).await).await;
    assert_eq!(done["entry"][0]["response"]["status"], "204 No Content");
    assert_eq!(
        done["entry"][1]["response"]["outcome"]["issue"][0]["severity"],
        "error"
    );
}
