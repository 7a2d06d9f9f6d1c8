//! Networks as hospitals have them: a proxy with a password (tinyproxy) and a server with the certificate of a private
//! authority (nginx), which lets in nobody but the proxy.

use serde_json::json;

use crate::support::bulk::STATUS;
use crate::support::doctor::speaks;
use crate::support::gateway::{Gateway, NameProxy, Proxy};
use crate::support::tls::Authority;
use crate::support::{Answer, Bulk, Medplum, Run, Site, Store};

const USER: &str = "proxy-user";
/// As it stands in the variable: special characters are in percent encoding there.
const PASSWORD: &str = "pa-ss%2Eword";
const DECODED: &str = "pa-ss.word";
/// The hospital is on loopback, which would go past its proxy.
const THROUGH: &str = "<-loopback>";

struct Hospital {
    bulk: Bulk,
    gateway: Gateway,
    proxy: Proxy,
    authority: Authority,
}

/// A site behind nginx, which is behind tinyproxy. Its token endpoint is found by discovery.
fn hospital(tls: bool) -> Hospital {
    let site = Site::without_profile();
    let authority = Authority::new();
    let gateway = Gateway::start(&site.server, &authority, &[]);
    let proxy = Proxy::start(USER, DECODED);
    site.server.known_as(&if tls {
        gateway.url("")
    } else {
        gateway.plain_url("")
    });
    let token_url = site.server.url("/oauth2/token");
    speaks(&site.server, &json!({"token_endpoint": token_url}));
    let ca = authority.file(&site.medplum);
    site.set_profile(&[
        "--auth-type",
        "client-credentials",
        "--ca-cert",
        &ca.to_string_lossy(),
    ]);
    let bulk = Bulk::on(site, "/fhir/R4", STATUS);
    bulk.file(
        "output",
        "Patient",
        "/files/p",
        crate::support::bulk::ndjson(crate::support::bulk::PATIENTS),
    );
    Hospital {
        bulk,
        gateway,
        proxy,
        authority,
    }
}

impl Hospital {
    fn variable(&self) -> String {
        format!("http://{USER}:{PASSWORD}@{}", self.proxy.address())
    }

    fn run(&self, variable: &str, value: &str, args: &[&str]) -> Run {
        let command = self.bulk.medplum.command(args).env(variable, value);
        command.env("NO_PROXY", THROUGH).run()
    }
}

/// All of the ways on which requests go out, by the proxy that this variable names.
fn everything_goes_through(tls: bool, variable: &str) {
    let hospital = hospital(tls);
    let value = hospital.variable();
    let run = |args: &[&str]| {
        let run = hospital.run(variable, &value, args).ok();
        assert!(!run.everything().contains(PASSWORD), "{run}");
        assert!(!run.everything().contains(DECODED), "{run}");
    };
    run(&["login", "-p", "site", "-vv"]);
    run(&["get", "-p", "site", "Patient/1", "-vv"]);
    run(&["bulk", "export", "-p", "site", "-d", "out", "-vv"]);
    assert_eq!(hospital.bulk.names(), ["Patient_files_p.ndjson"]);
    let bundle = r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"201"}}]}"#;
    let server = &hospital.bulk.server;
    server.on("POST", "/fhir/R4", Answer::json(200, bundle));
    server.on("POST", "/fhir/R4/", Answer::json(200, bundle));
    hospital
        .bulk
        .medplum
        .file("in.ndjson", r#"{"resourceType":"Patient","id":"9"}"#);
    run(&["bulk", "import", "-p", "site", "in.ndjson"]);
    run(&["doctor", "-p", "site"]);

    let seen = hospital.gateway.saw_only_the_proxy().join("\n");
    for part in [
        "GET /fhir/R4/.well-known/smart-configuration",
        "POST /oauth2/token",
        "GET /fhir/R4/Patient/1",
        "GET /fhir/R4/$export",
        "GET /fhir/R4/bulkstatus/1",
        "GET /files/p",
        "DELETE /fhir/R4/bulkstatus/1",
        "POST /fhir/R4",
    ] {
        assert!(seen.contains(part), "{part} is not in\n{seen}");
    }
    // The proof that the gateway lets in nobody else.
    let direct = hospital
        .bulk
        .medplum
        .run(["get", "-p", "site", "Patient/1"])
        .fails(3);
    let last = hospital.gateway.log().pop().unwrap();
    assert!(last.starts_with("127.0.0.1 "), "{last}\n{direct}");
}

#[test]
fn with_tls_all_requests_of_all_commands_go_through_the_proxy() {
    everything_goes_through(true, "HTTPS_PROXY");
}

#[test]
fn without_tls_all_requests_of_all_commands_go_through_the_proxy() {
    everything_goes_through(false, "http_proxy");
}

#[test]
fn the_proxy_for_all_takes_both_and_the_doctor_names_it() {
    let hospital = hospital(true);
    let said = hospital
        .run("all_proxy", &hospital.variable(), &["doctor", "-p", "site"])
        .ok();
    let line = format!(
        "through the proxy http://{} (all_proxy)",
        hospital.proxy.address()
    );
    assert!(said.stdout.contains(&line), "{said}");
}

#[test]
fn a_wrong_password_of_the_proxy_is_a_network_failure_that_names_the_proxy_and_its_variable() {
    // Of a tunnel that was refused, only 407 tells that it was the password.
    let (refused, wrong) = ("does not connect to https://localhost", "refuses the user");
    for (tls, variable, wrong) in [(true, "HTTPS_PROXY", refused), (false, "HTTP_PROXY", wrong)] {
        let hospital = hospital(tls);
        let address = hospital.proxy.address();
        for (user, words) in [
            (format!("{USER}:a-wrong-pw@"), wrong),
            (String::new(), "asks for a user and a password"),
        ] {
            let value = format!("http://{user}{address}");
            // Discovery, a request with a token that is there, and a token request: each is made once, since it would be
            // refused again.
            let token = ["--access-token", "any-token"];
            let token_url = ["--token-url", "oauth2/token"];
            for flags in [&[][..], &token, &token_url] {
                let get = ["get", "-p", "site", "Patient/1", "-vv"];
                let run = hospital
                    .run(variable, &value, &[&get[..], flags].concat())
                    .fails(6)
                    .says(&format!("the proxy http://{address} ({variable}) {words}"))
                    .says(&format!("correct {variable}"));
                assert!(!run.everything().contains("a-wrong-pw"), "{run}");
                let requests =
                    run.stderr.matches("> GET").count() + run.stderr.matches("> POST").count();
                assert_eq!(requests, 1, "{run}");
            }
        }
        assert_eq!(hospital.gateway.log(), [""; 0]);
    }
}

#[test]
fn the_proxy_may_be_spoken_to_with_tls_by_the_same_authority() {
    let hospital = hospital(true);
    let front = hospital
        .authority
        .front_of(&hospital.proxy.address(), &["localhost"], 2100);
    let value = front
        .url("")
        .replace("https://", &format!("https://{USER}:{PASSWORD}@"));
    let get = ["get", "-p", "site", "Patient/1"];
    hospital.run("HTTPS_PROXY", &value, &get).ok();
    let _ = hospital.gateway.saw_only_the_proxy();
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named_instead_of_the_server() {
    let hospital = hospital(true);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for (value, words) in [
        (format!("http://{address}"), "cannot be reached"),
        (
            "http://proxy.invalid:3128".to_owned(),
            "the host name cannot be resolved",
        ),
    ] {
        let get = ["get", "-p", "site", "Patient/1", "--retries", "0"];
        hospital
            .run("HTTPS_PROXY", &value, &get)
            .fails(6)
            .says(&format!(
                "the proxy {value} (HTTPS_PROXY) cannot be reached"
            ))
            .says(words);
    }
    assert_eq!(hospital.gateway.log(), [""; 0]);
}

#[test]
fn a_server_that_the_proxy_cannot_reach_is_told_apart_from_a_proxy_that_cannot_be_reached() {
    let hospital = hospital(true);
    let medplum = Medplum::new();
    medplum
        .command(["get", "--base-url", "https://fhir.invalid/", "Patient/1"])
        .env("HTTPS_PROXY", hospital.variable())
        .run()
        .fails(6)
        .says("does not connect to https://fhir.invalid");
}

#[test]
fn what_no_proxy_names_goes_past_the_proxy() {
    let site = Site::without_profile();
    let authority = Authority::new();
    let gateway = Gateway::admitting(&site.server, &authority, &[], "127.0.0.1");
    let proxy = Proxy::start(USER, DECODED);
    site.server.known_as(&gateway.url(""));
    let ca = authority.file(&site.medplum);
    site.set_profile(&[
        "--token-url",
        "oauth2/token",
        "--ca-cert",
        &ca.to_string_lossy(),
    ]);
    let value = format!("http://{USER}:{PASSWORD}@{}", proxy.address());
    site.medplum
        .command(["get", "-p", "site", "Patient/1"])
        .env("HTTPS_PROXY", &value)
        .env("no_proxy", "<-loopback>,other.example,localhost")
        .run()
        .ok();
    assert!(
        gateway
            .log()
            .iter()
            .all(|line| line.starts_with("127.0.0.1 "))
    );
    assert!(
        !proxy.log().contains("CONNECT localhost"),
        "{}",
        proxy.log()
    );
}

#[test]
fn names_that_only_the_proxy_knows_are_left_to_it() {
    let site = Site::without_profile();
    let authority = Authority::new();
    let host = "fhir.hospital.invalid";
    let gateway = Gateway::admitting(&site.server, &authority, &[host], "127.0.0.1");
    site.server.known_as(&gateway.url_at(host, ""));
    let token_url = site.server.url("/oauth2/token");
    speaks(&site.server, &json!({"token_endpoint": token_url}));
    let names = NameProxy::start(&gateway.address());
    let ca = authority.file(&site.medplum);
    site.set_profile(&[
        "--token-url",
        "oauth2/token",
        "--ca-cert",
        &ca.to_string_lossy(),
    ]);
    for command in [
        &["get", "-p", "site", "Patient/1"][..],
        &["doctor", "-p", "site"],
    ] {
        site.medplum
            .command(command)
            .env("HTTPS_PROXY", names.url())
            .run()
            .ok();
    }
    let asked = names.asked();
    let connect = format!("CONNECT {host}:");
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line.starts_with(&connect)),
        "{asked:?}"
    );
}

#[test]
fn a_server_whose_authority_is_unknown_gets_nothing_and_the_error_says_so() {
    let hospital = hospital(true);
    let base = hospital.gateway.url("/");
    let other = Authority::new();
    let wrong = hospital.bulk.medplum.path("other.pem");
    std::fs::write(&wrong, other.pair(&["x.example"]).0).unwrap();
    let wrong = wrong.to_string_lossy().into_owned();
    for flags in [&[][..], &["--ca-cert", &wrong]] {
        let medplum = Medplum::new();
        let get = ["get", "--base-url", &base, "Patient/1"];
        medplum
            .command(get.iter().chain(flags))
            .env("HTTPS_PROXY", hospital.variable())
            .env("NO_PROXY", THROUGH)
            .run()
            .fails(6)
            .says("a certificate authority that is not trusted here")
            .says("--ca-cert FILE");
    }
    assert_eq!(hospital.gateway.log(), [""; 0]);
    assert_eq!(hospital.bulk.server.requests().len(), 0);
    drop(hospital.authority);
}

#[test]
fn an_import_into_a_store_goes_through_the_proxy() {
    let store = Store::open();
    let authority = Authority::new();
    let gateway = Gateway::start(&store.server, &authority, &[]);
    let proxy = Proxy::start(USER, DECODED);
    let medplum = Medplum::new();
    let ca = authority.file(&medplum);
    let lines: Vec<String> = (0..50)
        .map(|n| json!({"resourceType": "Patient", "id": n.to_string()}).to_string())
        .collect();
    medplum.file("in.ndjson", lines.join("\n"));
    let base = gateway.url("/");
    let ca = ca.to_string_lossy();
    let import = [
        "bulk",
        "import",
        "--base-url",
        &base,
        "--ca-cert",
        &ca,
        "in.ndjson",
    ];
    medplum
        .command(import)
        .env(
            "HTTPS_PROXY",
            format!("http://{USER}:{PASSWORD}@{}", proxy.address()),
        )
        .env("NO_PROXY", THROUGH)
        .run()
        .ok();
    assert_eq!(store.names().len(), 50);
    let _ = gateway.saw_only_the_proxy();
}
