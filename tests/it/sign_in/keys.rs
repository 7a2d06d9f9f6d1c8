//! `medplum keys`: keys made, shown and published by their public part alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::keys::{PASSPHRASE, jwk, key};
use crate::support::{Backend, Medplum, Run};

/// The private members of RSA and EC keys (RFC 7518 §6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];
const RSA_FORMS: [&str; 6] = [
    "rsa-pkcs1.pem",
    "rsa-pkcs8.pem",
    "rsa-encrypted.pem",
    "rsa-encrypted-3des.pem",
    "rsa-public.pem",
    "rsa.jwk",
];
const P384_FORMS: [&str; 5] = [
    "p384-sec1.pem",
    "p384-pkcs8.pem",
    "p384-encrypted-scrypt.pem",
    "p384-public.pem",
    "p384.jwk",
];

fn keys(args: &[&str]) -> Run {
    let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE);
    medplum.run([&["keys"], args].concat())
}

/// Whether any of the private numbers of the test keys is in a text.
#[track_caller]
fn assert_public(text: &str) {
    for name in ["rsa.jwk", "p256.jwk", "p384.jwk"] {
        let private = jwk(name);
        for member in PRIVATE {
            if let Some(number) = private[member].as_str() {
                assert!(!text.contains(number), "{name}: {member} in {text}");
            }
        }
    }
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    for (forms, name, alg) in [
        (&RSA_FORMS[..], "rsa.jwk", "RS384"),
        (&P384_FORMS, "p384.jwk", "ES384"),
        (&["p256-sec1.pem", "p256-pkcs8.pem"], "p256.jwk", "ES256"),
    ] {
        for form in forms {
            let run = keys(&["jwks", &key(form)]).ok();
            assert_public(&run.everything());
            let set = run.json();
            let public = &set["keys"][0];
            for member in ["kty", "n", "e", "crv", "x", "y"] {
                assert_eq!(
                    public.get(member),
                    jwk(name).get(member),
                    "{form}: {member}"
                );
            }
            let about = keys(&["show", &key(form)]).ok().json();
            assert_eq!(about["kid"], public["kid"], "{form}");
            assert_eq!(about["thumbprint"], about["kid"], "{form}");
            assert_eq!((&about["alg"], &public["alg"]), (&alg.into(), &alg.into()));
            let part = if form.contains("public") {
                "public"
            } else {
                "private"
            };
            assert_eq!(about["part"], part, "{form}");
        }
    }
}

#[test]
fn a_set_holds_the_keys_of_all_files_and_nothing_private() {
    let medplum = Medplum::new();
    let mut private: Value = jwk("p256.jwk");
    // Members nobody has thought of must not pass either.
    private["d2"] = private["d"].clone();
    private["kid"] = "new".into();
    medplum.file("new.jwk", private.to_string());
    let run = medplum
        .run(["keys", "jwks", &key("rsa-public.pem"), "new.jwk"])
        .ok();
    assert_public(&run.everything());
    let set = run.json();
    let names: Vec<Vec<&String>> = set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_object().unwrap().keys().collect())
        .collect();
    let rsa = ["kty", "n", "e", "kid", "use", "alg"];
    let ec = ["kty", "crv", "x", "y", "kid", "use", "alg"];
    assert_eq!(names, [rsa.to_vec(), ec.to_vec()]);
    assert_eq!(set["keys"][1]["kid"], "new");
    assert_eq!(set["keys"][1]["use"], "sig");
    assert_public(&keys(&["jwks", &key("set.jwks")]).ok().stdout);
}

#[test]
fn the_same_key_or_the_same_id_twice_is_refused() {
    let files = [key("rsa-pkcs1.pem"), key("rsa.jwk")];
    let run = keys(&["jwks", &files[0], &files[1]]).fails(2);
    run.says("the same key").says("rsa.jwk").prints("");
    let medplum = Medplum::new();
    for name in ["p256.jwk", "p384.jwk"] {
        let mut named = jwk(name);
        named["kid"] = "one".into();
        medplum.file(name, named.to_string());
    }
    let run = medplum.run(["keys", "jwks", "p256.jwk", "p384.jwk"]);
    run.fails(2).says("same key id: one");
}

#[test]
fn the_key_id_and_the_algorithm_can_be_given() {
    let rsa = key("rsa-pkcs8.pem");
    let set = keys(&["jwks", &rsa, "--key-id", "mine", "--algorithm", "RS256"])
        .ok()
        .json();
    assert_eq!(set["keys"][0]["kid"], "mine");
    assert_eq!(set["keys"][0]["alg"], "RS256");
    keys(&["jwks", &rsa, "--algorithm", "ES384"])
        .fails(2)
        .says("RS384");
    let run = keys(&["jwks", &rsa, &key("p256.jwk"), "--key-id", "mine"]);
    run.fails(2).says("several");
}

#[test]
fn a_made_key_is_private_is_never_overwritten_and_signs_in() {
    for (file, flags, alg, start) in [
        ("rs.pem", &[][..], "RS384", "-----BEGIN PRIVATE KEY-----\n"),
        (
            "es.pem",
            &["--alg", "ES384"],
            "ES384",
            "-----BEGIN PRIVATE KEY-----\n",
        ),
        ("rs.jwk", &["--alg", "rs384"], "RS384", "{"),
        (
            "es.json",
            &["--algorithm", "ES384", "--key-id", "k1"],
            "ES384",
            "{",
        ),
    ] {
        let medplum = Medplum::new();
        let made = medplum.run([&["keys", "generate", "--out", file], flags].concat());
        let made = made.ok().says("medplum keys jwks").json();
        assert_eq!(made["alg"], alg, "{file}");
        assert_eq!(
            made["file"],
            medplum.path(file).to_string_lossy().into_owned()
        );
        let text = medplum.read(file);
        assert!(text.starts_with(start), "{file}");
        let rights = fs::metadata(medplum.path(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(rights & 0o777, 0o600, "{file}");

        let again = medplum.run([&["keys", "generate", "--out", file], flags].concat());
        again.fails(2).says("never overwritten").says(file);
        assert_eq!(medplum.read(file), text);

        let shown = medplum.run(["keys", "show", file]).ok().json();
        assert_eq!(shown["kid"], made["kid"], "{file}");
        if alg == "RS384" {
            assert_eq!(shown["type"], "RSA 3072 bits");
        }
        let public = medplum.run(["keys", "jwks", file]).ok();
        assert!(
            PRIVATE
                .iter()
                .all(|member| public.json()["keys"][0].get(member).is_none())
        );
        signs_in(&medplum, file, &public.json());
    }
}

/// The way a user goes on: the public part to the server, the private one into a profile.
fn signs_in(medplum: &Medplum, file: &str, registered: &Value) {
    let site = Backend::of(crate::support::assertions::Client {
        id: "new-client".to_owned(),
        keys: registered.clone(),
        ..Default::default()
    });
    let (base, token_url) = (site.server.url("/"), "oauth2/token");
    let mut args = vec![
        "get",
        "Patient/1",
        "--base-url",
        &base,
        "--token-url",
        token_url,
    ];
    args.extend(["--client-id", "new-client", "--private-key-path", file]);
    let run = medplum.run(args);
    assert_eq!(site.tokens.reasons(), [""; 0], "{run}");
    run.ok();
}

#[test]
fn a_key_is_not_made_where_it_cannot_be_kept() {
    let medplum = Medplum::new();
    let run = medplum.run([
        "keys",
        "generate",
        "--alg",
        "ES384",
        "--out",
        "no/such/folder/k.pem",
    ]);
    run.fails(2).says("no/such/folder/k.pem");
    let run = medplum.run(["keys", "generate", "--algorithm", "ES256", "--out", "k.pem"]);
    run.fails(2).says("RS384 or ES384");
    std::os::unix::fs::symlink("nowhere", medplum.path("link.pem")).unwrap();
    let run = medplum.run(["keys", "generate", "--alg", "ES384", "--out", "link.pem"]);
    run.fails(2).says("never overwritten");
}

#[test]
fn a_terminal_is_asked_for_the_passphrase_and_does_not_show_it() {
    let medplum = Medplum::new();
    let file = key("rsa-encrypted.pem");
    // `script` gives the command a terminal of its own, and types what comes on its stdin.
    let asked = format!("sleep 1; echo {PASSPHRASE}");
    let line = format!("({asked}) | script -qec \"medplum keys show -o json '{file}'\" /dev/null");
    let run = medplum.shell(&line).ok();
    assert!(run.stdout.contains("Passphrase of"), "{run}");
    assert!(run.stdout.contains("\"thumbprint\""), "{run}");
    assert!(!run.everything().contains(PASSPHRASE), "{run}");
}
