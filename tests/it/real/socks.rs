//! SOCKS5 by microsocks, as `ssh -D` users and hospitals have it, in front of nginx with TLS.

use serde_json::json;

use crate::support::bulk::STATUS;
use crate::support::doctor::speaks;
use crate::support::gateway::Gateway;
use crate::support::socks::Socks;
use crate::support::tls::Authority;
use crate::support::{Bulk, Medplum, Run, Site};

const USER: &str = "socks-user";
/// As it stands in the variable, in percent encoding.
const PASSWORD: &str = "so-ck%40s%2Epw";
const DECODED: &str = "so-ck@s.pw";

struct Hospital {
    bulk: Bulk,
    gateway: Gateway,
    proxy: Socks,
}

/// A site behind nginx, which lets in nobody but the proxy.
fn hospital(tls: bool) -> Hospital {
    let site = Site::without_profile();
    let authority = Authority::new();
    let gateway = Gateway::start(&site.server, &authority, &[]);
    let proxy = Socks::start(USER, DECODED);
    site.server.known_as(&if tls {
        gateway.url("")
    } else {
        gateway.plain_url("")
    });
    let token_url = site.server.url("/oauth2/token");
    speaks(&site.server, &json!({"token_endpoint": token_url}));
    let ca = authority.file(&site.medplum);
    let ca = ca.to_string_lossy();
    site.set_profile(&["--auth-type", "client-credentials", "--ca-cert", &ca]);
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
    }
}

impl Hospital {
    fn run(&self, kind: &str, user: &str, args: &[&str]) -> Run {
        let value = format!("{kind}://{user}{}", self.proxy.address());
        let command = self.bulk.medplum.command(args).env("ALL_PROXY", value);
        command.env("NO_PROXY", "<-loopback>").run()
    }
}

#[test]
fn all_requests_go_through_a_socks_proxy_with_a_password_with_tls_and_without() {
    for tls in [true, false] {
        let hospital = hospital(tls);
        let user = format!("{USER}:{PASSWORD}@");
        for args in [
            &["login", "-p", "site", "-vv"][..],
            &["get", "-p", "site", "Patient/1", "-vv"],
            &["bulk", "export", "-p", "site", "-d", "out", "-vv"],
            &["doctor", "-p", "site"],
        ] {
            let run = hospital.run("socks5h", &user, args).ok();
            assert!(!run.everything().contains(PASSWORD), "{run}");
            assert!(!run.everything().contains(DECODED), "{run}");
        }
        assert_eq!(hospital.bulk.names(), ["Patient_files_p.ndjson"]);
        let seen = hospital.gateway.saw_only_the_proxy().join("\n");
        for part in ["POST /oauth2/token", "GET /fhir/R4/$export", "GET /files/p"] {
            assert!(seen.contains(part), "{part} is not in\n{seen}");
        }
    }
}

#[test]
fn with_socks5h_the_proxy_resolves_names_and_with_socks5_nobody_tells_it_any() {
    for (kind, asked) in [("socks5h", "localhost:"), ("socks5", "127.0.0.1:")] {
        let hospital = hospital(true);
        let user = format!("{USER}:{PASSWORD}@");
        hospital
            .run(kind, &user, &["get", "-p", "site", "Patient/1"])
            .ok();
        let names = hospital.proxy.asked();
        assert!(!names.is_empty(), "{kind}");
        assert!(
            names.iter().all(|name| name.starts_with(asked)),
            "{names:?}"
        );
    }
}

#[test]
fn a_wrong_password_of_a_socks_proxy_names_the_proxy_and_is_not_tried_again() {
    let hospital = hospital(true);
    let address = hospital.proxy.address();
    for (user, words) in [
        (
            "socks-user:a-wrong-pw@",
            "refuses the user and the password",
        ),
        ("", "asks for a user and a password"),
    ] {
        let get = ["get", "-p", "site", "Patient/1", "-vv"];
        let run = hospital
            .run("socks5h", user, &get)
            .fails(6)
            .says(&format!(
                "the proxy socks5h://{address} (ALL_PROXY) {words}"
            ))
            .says("correct ALL_PROXY");
        assert!(!run.everything().contains("a-wrong-pw"), "{run}");
        assert_eq!(run.stderr.matches("> GET").count(), 1, "{run}");
    }
    assert_eq!(hospital.gateway.log(), [""; 0]);
}

#[test]
fn what_a_socks_proxy_cannot_reach_is_told_apart_from_a_proxy_that_cannot_be_reached() {
    let proxy = Socks::open();
    let medplum = Medplum::new();
    let get = |kind: &str, address: &str, base: &str| {
        let get = ["get", "--retries", "0", "--base-url", base, "Patient/1"];
        let command = medplum.command(get).env("NO_PROXY", "<-loopback>");
        command
            .env("ALL_PROXY", format!("{kind}://{address}"))
            .run()
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let base = format!("https://{free}/");
    get("socks5h", &proxy.address(), &base)
        .fails(6)
        .says(&format!("does not connect to https://{free}"))
        .says("refused");
    get("socks5h", &free, "https://fhir.invalid/")
        .fails(6)
        .says(&format!(
            "the proxy socks5h://{free} (ALL_PROXY) cannot be reached"
        ));
    get("socks5", &proxy.address(), "https://fhir.invalid/")
        .fails(6)
        .says("socks5h://");
}
