//! The contract on secrets: nothing printed holds one, and no foreign server sees one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::fhir::names_token_endpoint;
use crate::support::{Answer, Medplum, Request, Run, Server, Site, TokenEndpoint};

const ID: &str = "client-7";
/// Percent-, JSON- and form-encoding all change it.
const SECRET: &str = "s3cr\"et/w+rd&42 ü";
const TOKEN: &str = "t0k/en+of=the-server";

/// Every way in which the secret, the token or their Basic credential could be written.
fn spellings() -> Vec<String> {
    let mut all = Vec::new();
    for secret in [SECRET.to_owned(), TOKEN.to_owned()] {
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let pairs = [format!("{ID}:{secret}"), format!("{ID}:{form}")];
        all.extend(pairs.iter().map(|pair| STANDARD.encode(pair)));
        all.push(
            serde_json::to_string(&secret)
                .unwrap()
                .trim_matches('"')
                .to_owned(),
        );
        all.push(form.replace('+', "%20"));
        all.push(STANDARD.encode(&secret));
        all.push(URL_SAFE_NO_PAD.encode(&secret));
        all.extend([form, secret]);
    }
    all
}

#[track_caller]
fn assert_keeps_secrets(run: &Run) {
    for spelling in spellings() {
        assert!(
            !run.everything().contains(&spelling),
            "{spelling} was printed\n{run}"
        );
    }
}

/// A server that knows the client and repeats all it is told in its errors.
fn loose_tongue() -> (Server, TokenEndpoint, Medplum) {
    let server = Server::start();
    names_token_endpoint(&server, "/fhir/R4", "/oauth2/token");
    let tokens = TokenEndpoint::on(&server, "/oauth2/token")
        .client(ID, SECRET)
        .pattern(TOKEN);
    server.handler(|request| {
        request
            .path()
            .contains("/Patient")
            .then(|| Answer::json(200, "{}"))
    });
    server.handler(|request| {
        let told = format!("{:?} {}", request.headers, request.text());
        let authorization = request.header("Authorization").unwrap_or_default();
        match request.path() {
            "/fhir/R4/Refused/1" => Some(Answer::outcome(
                403,
                "forbidden",
                &format!("{told} {authorization}"),
            )),
            "/fhir/R4/Broken/1" => Some(Answer::new(
                500,
                "text/plain",
                format!("{told} {authorization}"),
            )),
            "/fhir/R4/Gone/1" => Some(Answer::outcome(410, "gone", &format!("{TOKEN} {SECRET}"))),
            _ => None,
        }
    });
    let medplum = Medplum::new();
    let base = server.url("");
    let client = [
        "--base-url",
        &base,
        "--client-id",
        ID,
        "--client-secret",
        SECRET,
    ];
    let set = medplum
        .run(["profile", "set", "x", "-vv"].iter().chain(&client))
        .ok();
    assert_keeps_secrets(&set);
    (server, tokens, medplum)
}

/// D1: `-v` printed the bearer token, on stdout.
#[test]
fn no_command_prints_a_secret_however_talkative() {
    let (_server, _tokens, medplum) = loose_tongue();
    for args in [
        &["login", "-p", "x"][..],
        &["whoami", "-p", "x"],
        &["get", "-p", "x", "Patient/1"],
        &["get", "-p", "x", "-i", "Patient/1"],
        &["post", "-p", "x", "Patient", "{}"],
        &["put", "-p", "x", "Patient/1", "{}"],
        &["patch", "-p", "x", "Patient/1", "[]"],
        &["delete", "-p", "x", "Patient/1"],
        &["get", "-p", "x", "Patient/1", "--auth-type", "basic"],
        &["get", "-p", "x", "Patient/1", "--access-token", TOKEN],
        &[
            "get",
            "-p",
            "x",
            "Patient/1",
            "--client-auth",
            "post",
            "--scope",
            "new",
        ],
        &["profile", "describe", "x"],
        &["profile", "list"],
        &["get", "-p", "x", "Refused/1"],
        &["get", "-p", "x", "Broken/1"],
        &["get", "-p", "x", "Gone/1"],
        &["get", "-p", "x", "Broken/1", "--auth-type", "basic"],
        &[
            "get",
            "-p",
            "x",
            "Nothing/1",
            "-H",
            "Authorization: Bearer t0k/en+of=the-server",
        ],
        &[
            "profile",
            "set",
            "x",
            "--update",
            "--client-secret",
            SECRET,
            "--base-url",
            "no url",
        ],
        &[
            "profile",
            "set",
            "x",
            "--client-secret",
            SECRET,
            "--no-such-flag",
        ],
        &["bulk", "export", "-p", "x", "-d", "out"],
    ] {
        for flag in ["-vv", "-v", "-q"] {
            let run = medplum.run(args.iter().chain(&[flag]));
            assert_keeps_secrets(&run);
            assert!(![101, 139].contains(&run.code), "{run}");
        }
    }
}

#[test]
fn secrets_are_shown_when_they_are_asked_for() {
    let (_server, _tokens, medplum) = loose_tongue();
    medplum.run(["login", "-p", "x"]).ok();
    medplum
        .run(["token", "-p", "x", "-vv"])
        .ok()
        .prints(&format!("{TOKEN}\n"));
    let shown = medplum
        .run(["profile", "describe", "x", "--show-secrets"])
        .ok()
        .json();
    assert_eq!(shown["clientSecret"], SECRET);
}

/// D1: the trace was mixed with the JSON.
#[test]
fn stdout_holds_data_only_and_the_trace_is_on_stderr() {
    let (server, _tokens, medplum) = loose_tongue();
    for flag in ["-v", "-vv", "--verbose"] {
        let run = medplum
            .run(["get", "-p", "x", flag, "Patient/1"])
            .ok()
            .prints("{}\n");
        run.says("GET").says(&server.url("/fhir/R4/Patient/1"));
    }
    medplum
        .run(["get", "-p", "x", "Patient/1"])
        .ok()
        .prints("{}\n");
    let failed = medplum
        .run(["get", "-p", "x", "-vv", "Gone/1"])
        .fails(4)
        .prints("");
    failed.says("Error: ");
}

#[test]
fn headers_that_carry_a_key_are_masked_in_the_trace() {
    let (_server, _tokens, medplum) = loose_tongue();
    for header in [
        "X-Api-Key: k3y-value",
        "Authorization: k3y-value",
        "Cookie: a=k3y-value",
        "X-Auth-Token: k3y-value",
    ] {
        let run = medplum
            .run(["get", "-p", "x", "-vv", "Patient/1", "-H", header])
            .ok();
        assert!(!run.everything().contains("k3y-value"), "{run}");
    }
    let run = medplum
        .run([
            "get",
            "-p",
            "x",
            "-vv",
            "Patient/1",
            "-H",
            "X-Api-Key k3y-value",
        ])
        .fails(2);
    assert!(!run.everything().contains("k3y-value"), "{run}");
}

#[test]
fn bodies_are_not_traced() {
    let (_server, _tokens, medplum) = loose_tongue();
    let run = medplum
        .run([
            "post",
            "-p",
            "x",
            "-vv",
            "Patient",
            r#"{"name":"a-patients-name"}"#,
        ])
        .ok();
    assert!(!run.everything().contains("a-patients-name"), "{run}");
}

#[test]
fn a_token_endpoint_that_repeats_the_secret_does_not_make_us_print_it() {
    for flags in [&[][..], &["--client-auth", "post"]] {
        let (server, _tokens, medplum) = loose_tongue();
        server.handler(|request| {
            (request.path() == "/oauth2/token").then(|| {
                let told = format!("{:?} {} {SECRET}", request.headers, request.text());
                Answer::new(
                    400,
                    "application/json",
                    json!({"error": "invalid_client", "error_description": told}).to_string(),
                )
            })
        });
        let run = medplum
            .run(["get", "-p", "x", "-vv", "Patient/1"].iter().chain(flags))
            .fails(3);
        assert_keeps_secrets(&run);
        server.handler(|request| {
            (request.path() == "/oauth2/token")
                .then(|| Answer::new(401, "text/plain", request.text()))
        });
        assert_keeps_secrets(
            &medplum
                .run(["login", "-p", "x", "-vv"].iter().chain(flags))
                .fails(3),
        );
    }
}

#[test]
fn what_cannot_be_read_is_not_quoted() {
    let medplum = Medplum::new();
    medplum.file(
        ".env",
        format!("MEDPLUM_CLIENT_ID={ID}\nMEDPLUM_CLIENT_SECRET='{SECRET}\nbad line {SECRET}\n"),
    );
    let run = medplum.run([
        "get",
        "--base-url",
        "http://127.0.0.1:1",
        "--retries",
        "0",
        "Patient/1",
        "-vv",
    ]);
    assert_keeps_secrets(&run);
    medplum.write_profile_text("y", &format!("{{\"options\":\"{SECRET}"));
    assert_keeps_secrets(&medplum.run(["profile", "describe", "y", "-vv"]).fails(2));
    let run = medplum.run([
        "get",
        "Patient/1",
        "--access-token",
        &format!("{TOKEN}\n"),
        "--base-url",
        "http://127.0.0.1:1",
    ]);
    assert_keeps_secrets(&run);
    assert!([2, 3, 6].contains(&run.code), "{run}");
}

#[test]
fn signed_urls_and_passwords_in_urls_are_masked() {
    let (server, _tokens, medplum) = loose_tongue();
    let target = server.url("/fhir/R4/Patient/2?X-Amz-Signature=t0k-signed&Expires=1&sig=s3cr-sig");
    server.on("GET", "/fhir/R4/Moved/1", Answer::redirect(302, &target));
    let run = medplum.run(["get", "-p", "x", "-vv", "Moved/1"]).ok();
    assert!(
        !run.everything().contains("t0k-signed") && !run.everything().contains("s3cr-sig"),
        "{run}"
    );
    let run = medplum
        .run([
            "profile",
            "set",
            "z",
            "--base-url",
            "https://user:pass-w0rd@a.example",
        ])
        .fails(2);
    assert!(!run.everything().contains("pass-w0rd"), "{run}");
}

/// A site and a foreign server that answers everything.
fn site_and_foreign() -> (Site, Server) {
    let foreign = Server::start();
    foreign.handler(|_| Some(Answer::json(200, r#"{"foreign":true}"#)));
    (Site::open(), foreign)
}

#[track_caller]
fn assert_saw_nothing_of_ours(server: &Server) {
    let requests = server.requests();
    assert!(!requests.is_empty(), "nothing came, so nothing is proved");
    requests.iter().for_each(assert_holds_nothing_of_ours);
}

#[track_caller]
fn assert_holds_nothing_of_ours(request: &Request) {
    for name in ["Authorization", "Cookie", "X-Own", "X-Medplum", "Referer"] {
        assert_eq!(
            request.header(name),
            None,
            "{name} went to a foreign server: {request:?}"
        );
    }
    let told = format!("{request:?}");
    for secret in ["token-1", "MY_CLIENT_SECRET", "own-header"] {
        assert!(
            !told.contains(secret),
            "{secret} went to a foreign server: {told}"
        );
    }
}

#[test]
fn a_redirect_to_a_foreign_server_carries_nothing_of_ours() {
    for flags in [
        &[][..],
        &["--auth-type", "basic"],
        &["--access-token", "token-1"],
    ] {
        let (site, foreign) = site_and_foreign();
        for status in [301, 302, 303, 307, 308] {
            // Not below the FHIR base, where the site asks for a token: every kind of credential is redirected.
            let path = format!("/moved/{status}");
            site.server
                .on("GET", &path, Answer::redirect(status, &foreign.url(&path)));
            let get = ["get", "-p", "site", "-H", "X-Own: own-header", &path];
            site.medplum.run(get.iter().chain(flags)).ok();
            let sent = site.server.request_to(&path);
            assert!(
                sent.header("Authorization").is_some() && sent.header("X-Own").is_some(),
                "{sent:?}"
            );
        }
        assert_saw_nothing_of_ours(&foreign);
    }
}

#[test]
fn another_name_of_the_same_machine_is_foreign() {
    let site = Site::open();
    let there = site.server.url_as_localhost("/open/1");
    site.server.on("GET", "/open/1", Answer::json(200, "{}"));
    site.server
        .on("GET", "/fhir/R4/Moved/1", Answer::redirect(302, &there));
    site.medplum.run(["get", "-p", "site", "Moved/1"]).ok();
    site.medplum.run(["get", "-p", "site", &there]).ok();
    let there = site.server.requests_to("/open/1");
    assert_eq!(there.len(), 2);
    there.iter().for_each(assert_holds_nothing_of_ours);
}

#[test]
fn a_redirect_within_the_server_keeps_the_token_and_a_circle_ends() {
    let site = Site::open();
    site.server.on(
        "GET",
        "/fhir/R4/Moved/1",
        Answer::redirect(307, "/fhir/R4/Patient/1"),
    );
    site.medplum.run(["get", "-p", "site", "Moved/1"]).ok();
    assert_eq!(
        site.server
            .request_to("/fhir/R4/Patient/1")
            .header("Authorization"),
        Some("Bearer token-1")
    );
    site.server.on(
        "GET",
        "/fhir/R4/Circle/1",
        Answer::redirect(302, "/fhir/R4/Circle/1"),
    );
    site.medplum
        .run(["get", "-p", "site", "Circle/1"])
        .fails(1)
        .prints("")
        .says("/fhir/R4/Circle/1");
    assert!(site.server.requests_to("/fhir/R4/Circle/1").len() <= 30);
}

#[test]
fn a_request_with_a_body_is_not_sent_again_to_a_foreign_server() {
    for status in [301, 302, 303, 307, 308] {
        let (site, foreign) = site_and_foreign();
        let moved = Answer::redirect(status, &foreign.url("/fhir/R4/Patient"));
        site.server.handler(move |request| {
            (request.method != "GET" && request.path().starts_with("/fhir/")).then(|| moved.clone())
        });
        for args in [
            ["post", "Patient"],
            ["put", "Patient/1"],
            ["patch", "Patient/1"],
        ] {
            let run = site
                .medplum
                .run(args.into_iter().chain(["[]", "-p", "site"]));
            assert!(run.code != 0 || ![307, 308].contains(&status), "{run}");
        }
        assert_eq!(site.server.requests_to("/fhir/R4/Patient/1").len(), 2);
        for request in foreign.requests() {
            assert!(request.method == "GET" && request.body.is_empty());
            assert_holds_nothing_of_ours(&request);
        }
    }
}

#[test]
fn a_token_request_follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let (site, foreign) = site_and_foreign();
        site.tokens
            .fail(Answer::redirect(status, &foreign.url("/oauth2/token")));
        site.get().fails(3).prints("").says(&status.to_string());
        assert_eq!(foreign.lines(), [""; 0]);
    }
}

/// A6: the token went to whatever host an absolute URL or a `next` link named.
#[test]
fn absolute_urls_and_next_links_to_a_foreign_server_get_no_token() {
    let (site, foreign) = site_and_foreign();
    let next = foreign.url("/fhir/R4/Patient?page=2");
    let bundle = json!({"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": next}]});
    site.server.on(
        "GET",
        "/fhir/R4/Patient",
        Answer::json(200, bundle.to_string()),
    );
    for format in ["json", "ndjson"] {
        let pages = ["get", "-p", "site", "--all", "-o", format];
        let own = ["-H", "X-Own: own-header", "Patient"];
        site.medplum.run(pages.iter().chain(&own)).fails(1);
    }
    let there = foreign.url("/fhir/R4/Patient/1");
    for flags in [
        &[][..],
        &["--auth-type", "basic"],
        &["--access-token", "token-1"],
    ] {
        let get = ["get", "-p", "site", "-H", "X-Own: own-header", &there];
        site.medplum.run(get.iter().chain(flags)).ok();
        let post = ["post", "-p", "site", &there, "{}"];
        site.medplum.run(post.iter().chain(flags)).ok();
    }
    assert_saw_nothing_of_ours(&foreign);
    site.medplum
        .run(["get", "-p", "site", &site.server.url("/fhir/R4/Patient/1")])
        .ok();
}

#[test]
fn a_status_url_on_a_foreign_server_gets_no_token() {
    let (site, foreign) = site_and_foreign();
    let accepted = Answer::empty(202).header("Content-Location", &foreign.url("/job/1"));
    site.server.on("POST", "/fhir/R4/$reindex", accepted);
    let post = ["post", "-p", "site", "--prefer-async", "$reindex", "{}"];
    site.medplum.run(post).ok();
    assert_saw_nothing_of_ours(&foreign);
}

#[test]
fn a_trusted_origin_gets_the_token() {
    let (site, foreign) = site_and_foreign();
    let origin = foreign.url("");
    site.medplum
        .run([
            "get",
            "-p",
            "site",
            "--trust-origin",
            &origin,
            &foreign.url("/fhir/R4/Patient/1"),
        ])
        .ok();
    assert_eq!(
        foreign
            .request_to("/fhir/R4/Patient/1")
            .header("Authorization"),
        Some("Bearer token-1")
    );
}
