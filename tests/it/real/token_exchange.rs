//! `token-exchange` against idpyoidc's token endpoint, which keeps to RFC 8693.

use crate::support::Medplum;
use crate::support::keys::{key, public_jwk};
use crate::support::peer::Peer;

const SECRET: &str = "the-secret-of-the-box-is-long-enough";

fn user(peer: &Peer, subject: &str, flags: &[&str]) -> Medplum {
    let medplum = Medplum::new();
    let file = medplum.file("subject", subject).display().to_string();
    let (base, token) = (peer.url("/"), peer.url("/token"));
    let args = [
        "profile",
        "set",
        "cloud",
        "--base-url",
        &base,
        "--token-url",
        &token,
    ];
    let way = [
        "--auth-type",
        "token-exchange",
        "--subject-token-file",
        &file,
    ];
    let id = if flags.contains(&"none") {
        "open-box"
    } else {
        "box"
    };
    let client = ["--client-id", id, "--scope", "openid profile"];
    medplum.run([&args[..], &way, &client, flags].concat()).ok();
    medplum
}

fn peer() -> Peer {
    Peer::token_exchange(&[public_jwk("rsa.jwk", "k1")])
}

fn subject(peer: &Peer) -> String {
    let answer = peer.get_json("/_subject");
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn another_clients_token_becomes_one_of_ours_by_each_way_to_prove_the_client() {
    let peer = peer();
    let secret = ["--client-secret", SECRET];
    let key = key("rsa.jwk");
    let key = ["--private-key-path", &key, "--key-id", "k1"];
    for (way, proof) in [
        ("header", &secret[..]),
        ("raw", &secret),
        ("post", &secret),
        ("client_secret_jwt", &secret),
        ("private_key_jwt", &key),
        ("none", &[]),
    ] {
        let flags = [proof, &["--client-auth", way]].concat();
        let medplum = user(&peer, &subject(&peer), &flags);
        let get = ["get", "-p", "cloud", "Patient/1"];
        let run = medplum.run(get);
        assert_eq!(run.code, 0, "{way}\n{run}");
        // Kept, and used again.
        let before = peer.requests().len();
        medplum.run(get).ok();
        assert_eq!(peer.requests().len(), before, "{way}");
        let last = peer.requests().pop().unwrap();
        assert_eq!(
            last["form"]["subject_token_type"],
            "urn:ietf:params:oauth:token-type:access_token"
        );
    }
}

#[test]
fn what_the_server_refuses_is_exit_3_with_its_words() {
    let peer = peer();
    let good = subject(&peer);
    let secret = ["--client-secret", SECRET];
    for (subject, flags, words) in [
        (
            "no-token-of-this-server",
            &secret[..],
            "Subject token invalid",
        ),
        (
            &good,
            &["--client-secret", "another-secret-of-the-box"],
            "invalid_client",
        ),
        (
            &good,
            &[&secret[..], &["--subject-token-type", "saml2"]].concat(),
            "invalid_request",
        ),
        (
            &good,
            &[&secret[..], &["--requested-token-type", "id_token"]].concat(),
            "Unsupported requested token type",
        ),
    ] {
        let medplum = user(&peer, subject, flags);
        let run = medplum.run(["get", "-p", "cloud", "Patient/1"]).fails(3);
        assert!(run.stderr.contains(words), "{words}\n{run}");
        assert!(!run.everything().contains(&good), "{run}");
    }
    let key = key("p384.jwk");
    let key = [
        "--private-key-path",
        &key,
        "--key-id",
        "k1",
        "--client-auth",
        "private_key_jwt",
    ];
    let medplum = user(&peer, &good, &key);
    let get = ["get", "-p", "cloud", "Patient/1"];
    medplum.run(get).fails(3).says("invalid_client");
}
