//! Network settings in a profile: headers, pace, certificates.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bulk::ndjson;
use crate::support::tls::Authority;
use crate::support::{Answer, Bulk, Medplum, Request, Server, Site};

const KEY: &str = "Ocp-Apim-Subscription-Key: 0123456789abcdef-hidden";
const VALUE: &str = "0123456789abcdef-hidden";

/// A server that has one patient for everybody, and a user.
fn open_server() -> (Server, Medplum) {
    let server = Server::start();
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    (server, Medplum::new())
}

fn has_header(request: &Request) -> bool {
    request.header("Ocp-Apim-Subscription-Key").is_some() || request.header("X-Tenant").is_some()
}

#[test]
fn headers_of_a_profile_go_with_every_request_to_its_origins_and_nowhere_else() {
    let bulk = Bulk::with_three_files();
    let host = bulk.file_host();
    bulk.manifest(|manifest| {
        manifest["requiresAccessToken"] = false.into();
        manifest["output"] = json!([]);
    });
    bulk.server.on(
        "GET",
        "/files/d",
        ndjson("{\"resourceType\":\"Device\",\"id\":\"1\"}\n"),
    );
    host.on(
        "GET",
        "/files/g",
        ndjson("{\"resourceType\":\"Group\",\"id\":\"1\"}\n"),
    );
    bulk.entry(
        "output",
        json!({"type": "Group", "url": host.url("/files/g")}),
    );
    // Kick-off, status and delete at the profile's origin, the file elsewhere.
    bulk.set_profile(&[
        "--token-url",
        "oauth2/token",
        "-H",
        KEY,
        "-H",
        "X-Tenant: ward-7",
    ]);
    bulk.export(&[]).ok();
    let own = bulk.server.requests();
    for method in ["GET", "DELETE"] {
        assert!(
            own.iter()
                .any(|request| request.method == method && has_header(request))
        );
    }
    let fhir = |request: &&Request| request.path().starts_with("/fhir/");
    assert!(own.iter().filter(fhir).all(has_header));
    assert_eq!(host.requests().len(), 1);
    assert!(!host.requests().iter().any(has_header));
}

#[test]
fn a_token_endpoint_at_another_origin_gets_no_headers() {
    let (server, medplum) = open_server();
    let tokens = Server::start();
    let answer = r#"{"access_token":"token-of-elsewhere","expires_in":300}"#;
    tokens.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", answer),
    );
    let (base, url) = (server.url("/"), tokens.url("/token"));
    let set = [
        "profile",
        "set",
        "site",
        "--base-url",
        &base,
        "--token-url",
        &url,
    ];
    let client = ["--client-id", "some-id", "--client-secret", "some-secret"];
    let headers = ["-H", KEY, "-H", "X-Tenant: ward-7"];
    medplum.run([&set[..], &client, &headers].concat()).ok();
    medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    let request = server.request_to("/fhir/R4/Patient/1");
    assert_eq!(request.header("Ocp-Apim-Subscription-Key"), Some(VALUE));
    assert_eq!(request.header("X-Tenant"), Some("ward-7"));
    assert!(!has_header(&tokens.request_to("/token")));
}

#[test]
fn a_header_given_as_a_flag_replaces_the_stored_one_or_takes_it_away() {
    let site = Site::open();
    site.set_profile(&[
        "--token-url",
        "oauth2/token",
        "-H",
        KEY,
        "-H",
        "X-Tenant: ward-7",
    ]);
    let get = ["get", "-p", "site", "Patient/1", "-H", "x-tenant: ward-8"];
    site.medplum
        .run([&get[..], &["-H", "ocp-apim-subscription-key:"]].concat())
        .ok();
    let request = site.server.request_to("/fhir/R4/Patient/1");
    assert_eq!(request.header("X-Tenant"), Some("ward-8"));
    assert_eq!(request.header("Ocp-Apim-Subscription-Key"), None);
    // What is stored was not changed by that.
    site.server.forget();
    site.get().ok();
    assert!(has_header(&site.server.request_to("/fhir/R4/Patient/1")));

    let update = |header| {
        let args = ["profile", "set", "site", "--update", "-H", header];
        site.medplum.run(args).ok();
        site.server.forget();
        site.get().ok();
        site.server.request_to("/fhir/R4/Patient/1")
    };
    let request = update("X-Tenant: ward-9");
    assert_eq!(request.header("X-Tenant"), Some("ward-9"));
    assert_eq!(request.header("Ocp-Apim-Subscription-Key"), Some(VALUE));
    let request = update("OCP-APIM-SUBSCRIPTION-KEY:");
    assert_eq!(request.header("X-Tenant"), Some("ward-9"));
    assert_eq!(request.header("Ocp-Apim-Subscription-Key"), None);
}

#[test]
fn secret_headers_are_masked_and_others_are_shown() {
    let site = Site::open();
    site.set_profile(&[
        "--token-url",
        "oauth2/token",
        "-H",
        KEY,
        "-H",
        "X-Tenant: ward-7",
    ]);
    for args in [
        &["profile", "describe", "site"][..],
        &["profile", "describe", "site", "-o", "table"],
        &["profile", "list", "-o", "json"],
        &["get", "-p", "site", "Patient/1", "-vv"],
        &["get", "-p", "site", "Patient/2", "-vv"],
    ] {
        let run = site.medplum.run(args);
        let said = run.everything();
        assert!(!said.contains(VALUE), "{run}");
        assert!(said.contains("ward-7"), "{run}");
        assert!(
            said.to_lowercase().contains("ocp-apim-subscription-key"),
            "{run}"
        );
    }
    let shown = ["profile", "describe", "site", "--show-secrets"];
    let shown = site.medplum.run(shown).ok();
    assert!(shown.stdout.contains(VALUE), "{shown}");
}

#[test]
fn headers_of_a_profile_do_not_follow_a_server_named_elsewhere() {
    let site = Site::open();
    site.set_profile(&["-H", KEY]);
    let other = Server::start();
    other.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let base = other.url("/");
    let get = [
        "get",
        "-p",
        "site",
        "--base-url",
        &base,
        "--access-token",
        "abcdef",
        "Patient/1",
    ];
    site.medplum.run(get).ok();
    assert!(!has_header(&other.request_to("/fhir/R4/Patient/1")));
    // Nor does a file of the working folder add any.
    site.medplum
        .file(".env", "MEDPLUM_HEADERS=\"X-Tenant: evil\"\n");
    let get = [
        "get",
        "--base-url",
        &base,
        "--access-token",
        "abcdef",
        "Patient/1",
    ];
    other.forget();
    site.medplum.run(get).ok().says("MEDPLUM_HEADERS");
    assert!(!has_header(&other.request_to("/fhir/R4/Patient/1")));
    // The environment may.
    other.forget();
    let command = site.medplum.command(get);
    command
        .env("MEDPLUM_HEADERS", "X-Tenant: ward-7\nX-More: 1")
        .run()
        .ok();
    let request = other.request_to("/fhir/R4/Patient/1");
    assert_eq!(request.header("X-Tenant"), Some("ward-7"));
    assert_eq!(request.header("X-More"), Some("1"));
}

#[test]
fn what_is_no_header_is_refused_without_being_repeated() {
    let site = Site::open();
    for bad in [
        "X Tenant: hidden-value",
        "hidden-value",
        "X-Key: a\nX-Other: hidden-value",
    ] {
        for args in [
            &["profile", "set", "site", "-H", bad][..],
            &["get", "-p", "site", "Patient/1", "-H", bad],
        ] {
            let run = site.medplum.run(args).fails(2);
            let is_name = bad == "hidden-value";
            assert!(is_name || !run.stderr.contains("hidden-value"), "{run}");
        }
    }
    assert_eq!(site.gets(), 0);
}

#[test]
fn discovery_at_the_fhir_base_has_the_headers_too() {
    let site = Site::without_profile();
    let token_url = site.server.url("/oauth2/token");
    let smart = "/fhir/R4/.well-known/smart-configuration";
    site.server.handler(move |request| {
        // A gateway that lets nobody in without its key.
        let document = json!({"token_endpoint": token_url}).to_string();
        (request.path() == smart).then(|| {
            if has_header(request) {
                Answer::new(200, "application/json", document)
            } else {
                Answer::empty(401)
            }
        })
    });
    site.set_profile(&["-H", KEY]);
    site.get().ok();
}

#[test]
fn an_issuer_at_another_origin_gets_no_headers() {
    let site = Site::without_profile();
    let issuer = Server::start();
    let document =
        json!({"token_endpoint": site.server.url("/oauth2/token"), "issuer": issuer.url("")});
    let smart = "/fhir/R4/.well-known/smart-configuration";
    let answer = Answer::new(200, "application/json", document.to_string());
    site.server.on("GET", smart, answer);
    site.set_profile(&["-H", KEY]);
    site.medplum.run(["login", "-p", "site"]).ok();
    site.medplum.run(["logout", "-p", "site"]).ok();
    assert!(has_header(&site.server.request_to(smart)));
    let path = "/.well-known/openid-configuration";
    assert!(!has_header(&issuer.request_to(path)));
}

#[test]
fn requests_begin_no_faster_than_the_profile_says() {
    let bulk = Bulk::with_three_files();
    let rate = ["--max-requests-per-second", "10"];
    bulk.set_profile(&[&["--token-url", "oauth2/token"], &rate[..]].concat());
    let started = Instant::now();
    bulk.export(&["--parallel", "8"]).ok();
    let requests = bulk.server.requests().len();
    // Token, kick-off, status, three files, delete.
    assert!(requests >= 7, "{requests}");
    let least = Duration::from_millis(100) * (requests - 1) as u32;
    assert!(
        started.elapsed() >= least,
        "{requests} in {:?}",
        started.elapsed()
    );
    for bad in ["0", "-1", "fast"] {
        bulk.export(&[&format!("--max-requests-per-second={bad}")])
            .fails(2);
    }
}

#[test]
fn unchecked_certificates_are_warned_of_at_every_command_and_can_be_checked_again() {
    let (server, medplum) = open_server();
    let authority = Authority::new();
    let front = authority.front(&server, &["localhost"], 2100);
    let base = front.url("/");
    let set = ["profile", "set", "site", "--base-url", &base, "--insecure"];
    medplum
        .run([&set[..], &["--access-token", "any-token"]].concat())
        .ok()
        .says("Certificates will not be checked");
    let read = || medplum.run(["get", "-p", "site", "Patient/1"]);
    for _ in 0..2 {
        read()
            .ok()
            .says("Certificates are not checked (profile site says --insecure)");
    }
    let get = ["get", "-p", "site", "Patient/1", "-q"];
    medplum.run(get).ok().says("Certificates are not checked");
    medplum
        .run([&get[..], &["--insecure=false"]].concat())
        .fails(6);
    let update = ["profile", "set", "site", "--update", "--insecure=false"];
    medplum.run(update).ok();
    read().fails(6);
    // A flag for one command is not stored, and a file of the working folder cannot ask for it.
    medplum.run([&get[..], &["--insecure"]].concat()).ok();
    medplum.file(".env", "MEDPLUM_INSECURE=true\n");
    read().fails(6).says("MEDPLUM_INSECURE");
}

#[test]
fn a_login_that_stores_that_certificates_are_not_checked_says_so() {
    let site = Site::without_profile();
    let authority = Authority::new();
    let front = authority.front(&site.server, &["localhost"], 2100);
    let base = front.url("/");
    let login = [
        "login",
        "-p",
        "site",
        "--base-url",
        &base,
        "--token-url",
        "oauth2/token",
    ];
    let client = [
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    site.medplum
        .run([&login[..], &client, &["--insecure"]].concat())
        .ok()
        .says("Certificates will not be checked by any command with profile site");
    site.get().ok().says("profile site says --insecure");
}

#[test]
fn a_profile_that_does_not_check_one_server_checks_another() {
    let site = Site::without_profile();
    let authority = Authority::new();
    let front = authority.front(&site.server, &["localhost"], 2100);
    let set = [
        "profile",
        "set",
        "site",
        "--base-url",
        "https://other.example",
        "--insecure",
    ];
    site.medplum.run(set).ok();
    let base = front.url("/");
    let get = ["get", "-p", "site", "--base-url", &base, "Patient/1"];
    site.medplum.run(get).fails(6);
    assert_eq!(site.server.requests().len(), 0);
}

#[test]
fn certificates_and_times_come_from_profile_flag_or_environment() {
    let (server, medplum) = open_server();
    let authority = Authority::new();
    let front = authority.front(&server, &["localhost"], 2100);
    let ca = authority.file(&medplum);
    let base = front.url("/");
    let get = ["get", "--base-url", &base, "Patient/1"];
    medplum.run(get).fails(6);
    medplum.command(get).env("MEDPLUM_CA_CERT", &ca).run().ok();
    // A relative path is stored whole, so that the profile works in every folder.
    let set = [
        "profile",
        "set",
        "default",
        "--base-url",
        &base,
        "--ca-cert",
        "ca.pem",
    ];
    medplum
        .run([&set[..], &["--connect-timeout", "7s"]].concat())
        .ok();
    medplum.run(["get", "Patient/1"]).ok();
    let described = medplum
        .run(["profile", "describe", "default", "-o", "json"])
        .ok()
        .json();
    assert_eq!(described["caCert"], ca.display().to_string());
    assert_eq!(described["connectTimeout"], "7s");
    medplum
        .run(["get", "Patient/1", "--ca-cert", "missing.pem"])
        .fails(2)
        .says("missing.pem");
    for bad in ["0", "soon", "-1"] {
        medplum
            .run(["get", "Patient/1", &format!("--connect-timeout={bad}")])
            .fails(2);
    }
}

#[test]
fn a_proxy_variable_that_names_no_proxy_is_refused_rather_than_passed_by() {
    let site = Site::open();
    let not_utf8 = std::os::unix::ffi::OsStrExt::from_bytes(b"http://\xff.example");
    let not_utf8: &std::ffi::OsStr = not_utf8;
    for bad in ["socks4://user:hidden-pw@127.0.0.1:1", "http://[::"]
        .map(std::ffi::OsStr::new)
        .into_iter()
        .chain([not_utf8])
    {
        let get = |exceptions: &str| {
            let get = ["get", "-p", "site", "Patient/1"];
            let command = site.medplum.command(get).env("ALL_PROXY", bad);
            command.env("NO_PROXY", exceptions).run()
        };
        let run = get("<-loopback>").fails(2).says("ALL_PROXY");
        assert!(!run.everything().contains("hidden-pw"), "{run}");
        assert_eq!(site.server.requests().len(), 0);
        // What goes past it anyway does not mind.
        for exceptions in ["", "*"] {
            get(exceptions).ok();
            assert_eq!(site.gets(), 1);
            site.server.forget();
        }
    }
}
