//! `medplum doctor` beside `oidc-provider`, which tells nobody why it refuses.

use serde_json::json;

use crate::support::doctor::{Verdict, examine};
use crate::support::keys::{key, public_jwk};
use crate::support::{Medplum, Peer};

fn examined(peer: &Peer, flags: &[&str]) -> Verdict {
    let (medplum, base) = (Medplum::new(), peer.url("/"));
    let mut args = vec!["profile", "set", "site", "--base-url", &base];
    args.extend(flags);
    medplum.run(args).ok();
    examine(&medplum, &["--read", "Patient/1"])
}

#[test]
fn a_wrong_client_id_and_a_wrong_secret_look_the_same_and_both_are_in_the_set() {
    let peer = Peer::oidc(&[]);
    let scope = ["--scope", "system/Patient.read"];
    let with = |id, secret| {
        let client = ["--client-id", id, "--client-secret", secret];
        examined(&peer, &[&client[..], &scope[..]].concat())
    };
    with("simple", "simple-secret").finds_all_well();
    let set = [
        "wrong client secret",
        "wrong client id",
        "the secret was sent in the Basic header",
    ];
    with("simple", "another-secret").suspects("token", 3, &set);
    with("nobody", "simple-secret").suspects("token", 3, &set);
}

#[test]
fn an_unknown_key_id_and_a_wrong_client_id_look_the_same_and_both_are_in_the_set() {
    let keys = json!({"keys": [public_jwk("rsa.jwk", "registered")]});
    let client = json!({"client_id": "backend", "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": [], "jwks": keys});
    let peer = Peer::oidc_with(&json!({"clients": [client]}));
    let rsa = key("rsa-pkcs8.pem");
    let with = |id, kid| {
        let own = [
            "--private-key-path",
            rsa.as_str(),
            "--client-id",
            id,
            "--key-id",
            kid,
        ];
        examined(
            &peer,
            &[&own[..], &["--scope", "system/Patient.read"]].concat(),
        )
    };
    with("backend", "registered").finds_all_well();
    let set = [
        "unknown key",
        "wrong client id",
        "registered a short while ago",
    ];
    with("backend", "not-registered").suspects("token", 3, &set);
    with("nobody", "registered").suspects("token", 3, &set);
}
