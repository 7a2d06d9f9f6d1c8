//! Exports, from the kick-off to the files.

use reqwest::Method;
use serde_json::json;

use super::super::Options;
use super::{FHIR_JSON, Server, header, json_of, types};

#[tokio::test]
async fn an_export_passes_the_checks_of_inferno() {
    let server = Server::start(Options {
        patients: 12,
        polls: 1,
        ..Options::default()
    })
    .await;
    let without_token = server.bare("GET", "Patient/$export").send().await.unwrap();
    assert_eq!(without_token.status(), 401);
    let wrong_token = server
        .bare("GET", "Group/all/$export")
        .bearer_auth("x")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong_token.status(), 401);
    assert!(header(&wrong_token, "www-authenticate").starts_with("Bearer"));
    for format in ["application/fhir%2Bndjson", "application/ndjson", "ndjson"] {
        let path = format!("Patient/$export?_outputFormat={format}");
        assert_eq!(server.kick_off(&path).send().await.unwrap().status(), 202);
    }
    let kicked_off = server
        .kick_off("Group/all/$export?_type=Patient")
        .send()
        .await
        .unwrap();
    let status_url = header(&kicked_off, "content-location");
    assert!(status_url.starts_with("http://127.0.0.1:"));
    let running = server.ask("GET", &status_url).send().await.unwrap();
    assert_eq!(
        (running.status().as_u16(), header(&running, "retry-after")),
        (202, "1".into())
    );
    let complete = server.ask("GET", &status_url).send().await.unwrap();
    assert_eq!(header(&complete, "content-type"), "application/json");
    assert!(header(&complete, "expires").ends_with("GMT"));
    let manifest = json_of(complete).await;
    assert_eq!(manifest["requiresAccessToken"], true);
    assert!(
        manifest["request"]
            .as_str()
            .unwrap()
            .ends_with("/Group/all/$export?_type=Patient")
    );
    assert!(manifest["error"].as_array().unwrap().is_empty());
    let file = manifest["output"][0]["url"].as_str().unwrap();
    assert_eq!(server.bare("GET", file).send().await.unwrap().status(), 401);
    let downloaded = server.ask("GET", file).send().await.unwrap();
    assert_eq!(
        header(&downloaded, "content-type"),
        "application/fhir+ndjson"
    );
    assert_eq!(downloaded.text().await.unwrap().lines().count(), 12);
    assert_eq!(
        server
            .ask("DELETE", &status_url)
            .send()
            .await
            .unwrap()
            .status(),
        202
    );
    let gone = server.ask("GET", &status_url).send().await.unwrap();
    assert_eq!(gone.status(), 404);
    assert_eq!(json_of(gone).await["resourceType"], "OperationOutcome");
}

#[tokio::test]
async fn a_kick_off_that_is_wrong_says_what_is_wrong() {
    let server = Server::small().await;
    for (request, status, words) in [
        (
            server.ask("GET", "$export").header("accept", FHIR_JSON),
            400,
            "Prefer",
        ),
        (
            server
                .ask("GET", "$export")
                .header("prefer", "respond-async")
                .header("accept", "text/csv"),
            400,
            "Accept",
        ),
        (server.kick_off("$export?_type=Patnt"), 400, "Patnt"),
        (server.kick_off("$export?color=red"), 400, "color"),
        (server.kick_off("Group/nobody/$export"), 404, "Group/nobody"),
        (
            server.kick_off("Group/all/$export?patient=Patient/nobody"),
            400,
            "Patient/nobody",
        ),
    ] {
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status().as_u16(), status, "{words}");
        let outcome = json_of(refused).await;
        assert!(
            outcome["issue"][0]["details"]["text"]
                .as_str()
                .unwrap()
                .contains(words),
            "{outcome}"
        );
    }
    let lenient = server
        .kick_off("$export?color=red")
        .header("prefer", "handling=lenient");
    let kicked_off = lenient.send().await.unwrap();
    let manifest = server.get(&header(&kicked_off, "content-location")).await;
    assert_eq!(types(&manifest, "error"), ["OperationOutcome"]);
}

#[tokio::test]
async fn parameters_choose_what_is_exported() {
    let server = Server::small().await;
    let manifest = server.manifest("$export?_type=Observation&_typeFilter=Observation%3Fcode%3D8302-2&_elements=valueQuantity").await;
    assert_eq!(manifest["output"][0]["count"], 12);
    let file = server
        .ask("GET", manifest["output"][0]["url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    let text = file.text().await.unwrap();
    assert!(
        text.contains("SUBSETTED") && text.contains("Body height") && !text.contains("performer"),
        "{text}"
    );
    let body = json!({"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueString": "Patient"},
        {"name": "_type", "valueString": "Immunization"},
        {"name": "patient", "valueReference": {"reference": "Patient/13e44a47-636b-49e2-adb3-9f19c7e0e47a"}},
        {"name": "_since", "valueInstant": "2020-01-01T00:00:00Z"},
    ]});
    let kicked_off = server.kick_off("Patient/$export");
    let (client, request) = kicked_off.build_split();
    let mut request = request.unwrap();
    *request.method_mut() = Method::POST;
    request
        .headers_mut()
        .insert("content-type", FHIR_JSON.parse().unwrap());
    *request.body_mut() = Some(body.to_string().into());
    let kicked_off = client.execute(request).await.unwrap();
    let manifest = server.get(&header(&kicked_off, "content-location")).await;
    assert_eq!(types(&manifest, "output"), ["Patient"]);
    assert_eq!(manifest["output"][0]["count"], 1);
    let everything = server.manifest("Patient/$export").await;
    let diabetic = server
        .manifest("Group/diabetes/$export?_type=Patient")
        .await;
    assert!(diabetic["output"][0]["count"].as_u64().unwrap() < 12);
    assert!(types(&everything, "output").contains(&"DocumentReference".to_owned()));
}

#[tokio::test]
async fn what_is_deleted_since_the_last_export_is_listed() {
    let server = Server::small().await;
    let since = server.manifest("$export").await["transactionTime"]
        .as_str()
        .unwrap()
        .to_owned();
    let unchanged = server.manifest(&format!("$export?_since={since}")).await;
    assert!(types(&unchanged, "output").is_empty());
    let id = server.get("Condition?_count=1").await["entry"][0]["resource"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server
        .ask("DELETE", &format!("Condition/{id}"))
        .send()
        .await
        .unwrap();
    server
        .send(
            "POST",
            "Basic",
            r#"{"resourceType":"Basic","code":{"text":"x"}}"#,
        )
        .await;
    let manifest = server.manifest(&format!("$export?_since={since}")).await;
    assert_eq!(
        (types(&manifest, "output"), types(&manifest, "deleted")),
        (vec!["Basic".into()], vec!["Bundle".into()])
    );
    let file = server
        .get(manifest["deleted"][0]["url"].as_str().unwrap())
        .await;
    assert_eq!(
        file["entry"][0]["request"],
        json!({"method": "DELETE", "url": format!("Condition/{id}")})
    );
}

#[tokio::test]
async fn a_file_comes_packed_or_in_parts() {
    let server = Server::small().await;
    let manifest = server.manifest("$export?_type=Patient").await;
    let url = manifest["output"][0]["url"].as_str().unwrap();
    let whole = server.ask("GET", url).send().await.unwrap();
    let etag = header(&whole, "etag");
    let whole = whole.bytes().await.unwrap();
    let part = server
        .ask("GET", url)
        .header("range", "bytes=10-")
        .header("if-range", &etag)
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(
        header(&part, "content-range"),
        format!("bytes 10-{}/{}", whole.len() - 1, whole.len())
    );
    assert_eq!(part.bytes().await.unwrap(), whole[10..]);
    let changed = server
        .ask("GET", url)
        .header("range", "bytes=10-")
        .header("if-range", "\"other\"");
    assert_eq!(changed.send().await.unwrap().status(), 200);
    let beyond = server
        .ask("GET", url)
        .header("range", "bytes=9999999-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), 416);
    let packed = server
        .ask("GET", url)
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&packed, "content-encoding"), "gzip");
    assert_ne!(header(&packed, "etag"), etag);
    let mut unpacked = Vec::new();
    let packed = packed.bytes().await.unwrap();
    std::io::copy(
        &mut flate2::read::GzDecoder::new(&packed[..]),
        &mut unpacked,
    )
    .unwrap();
    assert_eq!(unpacked, whole);
}

#[tokio::test]
async fn polling_too_fast_is_answered_with_429() {
    let server = Server::start(Options {
        patients: 1,
        polls: 2,
        ..Options::default()
    })
    .await;
    let kicked_off = server.kick_off("$export").send().await.unwrap();
    let status_url = header(&kicked_off, "content-location");
    assert_eq!(
        server
            .ask("GET", &status_url)
            .send()
            .await
            .unwrap()
            .status(),
        202
    );
    let too_soon = server.ask("GET", &status_url).send().await.unwrap();
    assert_eq!(
        (too_soon.status().as_u16(), header(&too_soon, "retry-after")),
        (429, "1".into())
    );
}
