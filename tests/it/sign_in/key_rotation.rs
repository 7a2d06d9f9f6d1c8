//! `keys rotate` and `keys jwks --check`: a new key beside the old one, and whether the vendor's URL has both.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::keys::{PASSPHRASE, jwk, key};
use crate::support::{Answer, Medplum, Run, Server};

fn medplum() -> Medplum {
    Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE)
}

#[test]
fn a_rotation_makes_a_key_of_the_same_kind_and_prints_the_set_of_both() {
    for (old, kty, more) in [
        ("rsa-encrypted.pem", ["RSA", "RSA"], &[][..]),
        ("p384-sec1.pem", ["EC", "EC"], &[]),
        ("rsa.jwk", ["RSA", "EC"], &["--alg", "ES384"]),
    ] {
        let medplum = medplum();
        let old = key(old);
        let before = fs::read(&old).unwrap();
        let rotate = ["keys", "rotate", &old, "--out", "new.pem"];
        let run = medplum.run([&rotate[..], more].concat()).ok();
        let set = run.json();
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(
            [&keys[0]["kty"], &keys[1]["kty"]],
            [&json!(kty[0]), &json!(kty[1])]
        );
        assert!(keys.iter().all(|key| key.get("d").is_none()), "{set}");
        // The set is that of the two files, and both still are what they were or are private.
        let both = medplum.run(["keys", "jwks", &old, "new.pem"]).ok();
        assert_eq!(both.json(), set);
        assert_eq!(fs::read(&old).unwrap(), before);
        let mode = fs::metadata(medplum.path("new.pem")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let kid = keys[1]["kid"].as_str().unwrap();
        run.says(kid)
            .says("--check URL")
            .says("profile set NAME --update --private-key-path");
        // Nothing is written over.
        medplum
            .run([&rotate[..], more].concat())
            .fails(2)
            .says("exists already");
    }
    let medplum = medplum();
    let public = ["keys", "rotate", &key("rsa-public.pem"), "--out", "new.pem"];
    medplum.run(public).fails(2).says("public key only");
    assert!(!medplum.path("new.pem").exists());
}

/// What the check of these files says when the URL answers this.
fn check(medplum: &Medplum, answer: Answer, files: &[&str]) -> (Run, Server) {
    let server = Server::start();
    server.on("GET", "/jwks.json", answer);
    let url = server.url("/jwks.json");
    let run = medplum.run([&["keys", "jwks", "--check", &url], files].concat());
    (run, server)
}

fn set(keys: &[Value]) -> Answer {
    Answer::new(200, "application/json", json!({ "keys": keys }).to_string())
}

#[test]
fn a_published_set_that_is_the_one_that_is_meant_is_good_and_gets_no_credential() {
    let medplum = medplum();
    let (rsa, ec) = (key("rsa-pkcs8.pem"), key("p384.jwk"));
    let mut published = medplum.run(["keys", "jwks", &rsa, &ec]).ok().json()["keys"].clone();
    // Numbers with zeros in front are the same numbers.
    published[0]["e"] = "AAEAAQ".into();
    let keys = published.as_array().unwrap().clone();
    let medplum = medplum.env("MEDPLUM_CLIENT_ACCESS_TOKEN", "a-token-of-nobody");
    let (run, server) = check(&medplum, set(&keys), &[&rsa, &ec]);
    run.ok();
    let request = server.request_to("/jwks.json");
    assert_eq!(request.header("Authorization"), None);
}

#[test]
fn each_difference_of_a_published_set_is_named_and_is_exit_code_1() {
    let medplum = medplum();
    let (rsa, ec) = (key("rsa-pkcs8.pem"), key("p384.jwk"));
    let both = medplum.run(["keys", "jwks", &rsa, &ec]).ok().json();
    let (one, two) = (both["keys"][0].clone(), both["keys"][1].clone());
    let with = |jwk: &Value, member: &str, value: &str| {
        let mut jwk = jwk.clone();
        jwk[member] = value.into();
        jwk
    };
    let kid = two["kid"].as_str().unwrap();
    for (keys, words) in [
        (vec![one.clone()], format!("`{kid}` is not published")),
        (
            vec![one.clone(), with(&two, "kid", "other")],
            format!("`{kid}` is published as `other`"),
        ),
        (
            vec![one.clone(), with(&one, "kid", kid)],
            "another `kty`".to_owned(),
        ),
        (
            vec![one.clone(), with(&two, "x", two["y"].as_str().unwrap())],
            "another key".to_owned(),
        ),
        (
            vec![one.clone(), two.clone(), with(&one, "kid", "x")],
            "`x` is published and in none".to_owned(),
        ),
    ] {
        check(&medplum, set(&keys), &[&rsa, &ec])
            .0
            .fails(1)
            .says(&words);
    }
    for answer in [
        Answer::new(200, "text/html", "<html>"),
        Answer::empty(404),
        Answer::redirect(302, "/elsewhere"),
    ] {
        check(&medplum, answer, &[&rsa, &ec]).0.fails(1);
    }
    medplum
        .run(["keys", "jwks", "--check", "ftp://x/", &rsa])
        .fails(2);
}

#[test]
fn a_published_private_key_is_an_alarm_that_shows_nothing_of_it() {
    let medplum = medplum();
    let mut private = jwk("p384.jwk");
    private["kid"] = medplum.run(["keys", "show", &key("p384.jwk")]).ok().json()["kid"].clone();
    let secret = private["d"].as_str().unwrap().to_owned();
    let (run, _) = check(&medplum, set(&[private]), &[&key("p384.jwk")]);
    let run = run.fails(1).says("PRIVATE KEY").says("keys rotate");
    assert!(!run.everything().contains(&secret), "{run}");
}
