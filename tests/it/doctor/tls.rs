//! What `medplum doctor` makes of certificates: it names the fault and sends nothing secret.

use serde_json::json;

use crate::support::doctor::{Verdict, examine, speaks};
use crate::support::tls::Authority;
use crate::support::{Medplum, Site};

/// What the doctor says of a server whose certificate is for these names and good until this year.
fn verdict(names: &[&str], until: i32, trusts: bool) -> (Site, Verdict) {
    let site = Site::without_profile();
    let authority = Authority::new();
    let tls = authority.front(&site.server, names, until);
    let token_url = tls.url("/oauth2/token");
    speaks(&site.server, &json!({"token_endpoint": token_url}));
    let medplum: &Medplum = &site.medplum;
    let base = tls.url("/");
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    medplum
        .run([&["profile", "set", "site"], &flags[..]].concat())
        .ok();
    let file = authority.file(medplum);
    let file = file.to_string_lossy();
    let trust = ["--ca-cert", &file];
    let verdict = examine(medplum, if trusts { &trust } else { &[] });
    (site, verdict)
}

#[test]
fn a_certificate_of_an_unknown_authority_is_named_first_and_trusting_it_heals() {
    let (site, said) = verdict(&["localhost"], 2100, false);
    said.blames("tls", 6, "a certificate authority that is not trusted here");
    assert_eq!(site.server.requests().len(), 0);
    let (_, said) = verdict(&["localhost"], 2100, true);
    assert!(
        said.finds_all_well()
            .detail("tls")
            .contains("a certificate that is trusted")
    );
}

#[test]
fn a_certificate_that_has_expired_is_named_first() {
    let (site, said) = verdict(&["localhost"], 2021, true);
    said.blames("tls", 6, "the certificate of localhost has expired");
    assert_eq!(site.server.requests().len(), 0);
}

#[test]
fn a_certificate_for_another_host_is_named_first() {
    let (site, said) = verdict(&["other.example"], 2100, true);
    said.blames(
        "tls",
        6,
        "the certificate is for another host name than localhost",
    );
    assert_eq!(site.server.requests().len(), 0);
}

#[test]
fn https_to_a_server_without_tls_is_named_first() {
    let site = Site::without_profile();
    let base = site.server.url("/").replace("http://", "https://");
    site.medplum
        .run(["profile", "set", "site", "--base-url", &base])
        .ok();
    examine(&site.medplum, &[]).blames("tls", 6, "speaks no TLS on this port");
}
