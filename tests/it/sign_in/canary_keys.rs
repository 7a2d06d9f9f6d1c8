//! Canaries in what sends nothing: the commands of keys and profiles, and the sandbox, which hears secrets itself.

use std::fs;

use serde_json::Value;

use crate::support::keys::{PASSPHRASE, key};
use crate::support::sandbox::Sandbox;
use crate::support::{Answer, Medplum, Run, Server};

const SECRET: &str = "SecretCanary7qhwzkfbtn";

/// The private members of a JWK (RFC 7518 §6).
const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

/// Key files, and what of each nobody may see: lines of a PEM, members of a JWK.
fn keys() -> Vec<(&'static str, Vec<String>)> {
    let pem = |name| {
        let text = fs::read_to_string(key(name)).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.len() > 20 && !line.contains("-----"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let jwk = |name| {
        let text = fs::read_to_string(key(name)).unwrap();
        let jwk: Value = serde_json::from_str(&text).unwrap();
        let values = PRIVATE.iter().filter_map(|name| jwk[name].as_str());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut encrypted = pem("rsa-encrypted.pem");
    encrypted.push(PASSPHRASE.to_owned());
    // Behind the first lines of an RSA key is its modulus, which is public, but base64 stands at another place there.
    vec![
        ("rsa-pkcs8.pem", pem("rsa-pkcs8.pem")),
        ("p256-pkcs8.pem", pem("p256-pkcs8.pem")),
        ("rsa.jwk", jwk("rsa.jwk")),
        ("p384.jwk", jwk("p384.jwk")),
        ("rsa-encrypted.pem", encrypted),
    ]
}

#[track_caller]
fn shows_none(run: &Run, canaries: &[String]) {
    assert!(!canaries.is_empty());
    for canary in canaries {
        assert!(
            !run.everything().contains(canary.as_str()),
            "{canary}\n{run}"
        );
    }
}

/// A server that publishes a set of keys, and says in its header what it heard.
fn publisher(set: &str) -> Server {
    let server = Server::start();
    let set = set.to_owned();
    server.handler(move |request| {
        let said = format!("{request:?}").replace(|c: char| c.is_control(), " ");
        Some(Answer::new(200, "application/json", set.as_str()).header("X-Said", &said))
    });
    server
}

#[test]
fn no_command_of_keys_shows_more_than_public_keys() {
    for (name, canaries) in keys() {
        let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE);
        let file = key(name);
        let set = medplum.run(["keys", "jwks", &file, "-vv"]).ok();
        shows_none(&set, &canaries);
        let server = publisher(&set.stdout);
        let url = server.url("/jwks.json");
        for words in [
            &["keys", "show", &file][..],
            &["keys", "show", &file, "-o", "json"],
            &["keys", "jwks", &file, "-o", "json"],
            &["keys", "jwks", "--check", &url, &file],
            &["keys", "rotate", &file, "--out", "new.pem"],
        ] {
            let run = medplum.run(words.iter().chain(&["-vv"])).ok();
            shows_none(&run, &canaries);
            assert!(run.everything().trim() != "", "{run}");
            if words[1] == "rotate" {
                shows_none(&run, &secrets_of(&medplum.read("new.pem")));
            }
        }
        // The new key is in its file, and in nothing that was printed.
        let secret = secrets_of(&medplum.read("new.pem"));
        let again = medplum.run(["keys", "show", "new.pem", "-vv"]).ok();
        shows_none(&again, &secret);
        let request = format!("{:?}", server.request_to("/jwks.json"));
        assert!(
            canaries
                .iter()
                .all(|canary| !request.contains(canary.as_str()))
        );
    }
}

/// A new key is in its file alone: PEM or JWK, of either kind, however talkative.
#[test]
fn a_key_that_is_made_is_shown_by_its_public_part_alone() {
    for alg in ["RS384", "ES384"] {
        for out in ["made.pem", "made.jwk"] {
            let medplum = Medplum::new();
            let generate = ["keys", "generate", "--alg", alg, "--out", out, "-vv"];
            for (words, name) in [
                (&generate[..], out),
                (
                    &[&generate[..4], &["--out", "json.jwk", "-vv", "-o", "json"]].concat(),
                    "json.jwk",
                ),
                (
                    &["keys", "rotate", out, "--out", "next.jwk", "-vv"],
                    "next.jwk",
                ),
                (
                    &[
                        "keys", "rotate", out, "--out", "next.pem", "-vv", "-o", "json",
                    ],
                    "next.pem",
                ),
            ] {
                let run = medplum.run(words).ok();
                assert!(run.everything().contains("kid"), "{run}");
                shows_none(&run, &secrets_of(&medplum.read(name)));
            }
            // A file that is there already stays, and is not shown either.
            let before = medplum.read(out);
            let run = medplum.run(generate);
            assert_ne!(run.code, 0, "{run}");
            assert_eq!(medplum.read(out), before);
            shows_none(&run, &secrets_of(&before));
        }
    }
}

/// What of a key file that was made nobody may see.
fn secrets_of(file: &str) -> Vec<String> {
    if let Ok(jwk) = serde_json::from_str::<Value>(file) {
        let values = PRIVATE.iter().filter_map(|name| jwk[name].as_str());
        return values.map(str::to_owned).collect();
    }
    // The last line may be a few characters.
    let lines = file
        .lines()
        .filter(|line| line.len() > 20 && !line.contains("-----"));
    lines.map(str::to_owned).collect()
}

/// A key that cannot be read, or whose passphrase is another, is told of without a word of it.
#[test]
fn a_key_that_is_of_no_use_is_told_of_by_its_name() {
    for (name, canaries) in keys() {
        let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", SECRET);
        let text = fs::read_to_string(key(name)).unwrap();
        let half = &text[..text.len() * 2 / 3];
        let cut = medplum.file("half.pem", half).display().to_string();
        let whole = key(name);
        for file in [&cut, &whole] {
            for words in [
                &["keys", "show", file][..],
                &["keys", "jwks", file],
                &["keys", "rotate", file, "--out", "new.pem"],
            ] {
                let run = medplum.run(words.iter().chain(&["-vv"]));
                let is_open = file == &whole && name != "rsa-encrypted.pem";
                assert_eq!(run.code == 0, is_open, "{run}");
                shows_none(&run, &canaries);
                shows_none(&run, &[SECRET.to_owned()]);
                let _ = fs::remove_file(medplum.path("new.pem"));
            }
        }
    }
}

#[test]
fn no_command_of_profiles_shows_a_secret_that_it_moves() {
    let medplum = Medplum::new();
    let set = ["profile", "set", "one", "--base-url", "https://h.example/"];
    let client = ["--client-id", "me", "--client-secret", SECRET];
    medplum.run([&set[..], &client].concat()).ok();
    let steps: [(&[&str], &str); 9] = [
        (&["profile", "copy", "one", "two"], "two"),
        (&["profile", "rename", "two", "three"], "three"),
        (&["profile", "use", "three"], "three"),
        (&["profile", "describe", "three", "-o", "json"], "three"),
        (&["profile", "list"], "three"),
        (&["profile", "export", "three"], "three"),
        (
            &[
                "profile",
                "export",
                "three",
                "--show-secrets",
                "--output",
                "x.json",
            ],
            "three",
        ),
        (&["profile", "import", "x.json", "four"], "four"),
        (
            &["profile", "set", "four", "--update", "--scope", "s"],
            "four",
        ),
    ];
    for (words, name) in steps {
        let run = medplum.run(words.iter().chain(&["-vv"])).ok();
        shows_none(&run, &[SECRET.to_owned()]);
        // It is there, and the file is what holds it.
        assert!(medplum.profile_text(name).contains(SECRET), "{run}");
        let described = ["profile", "describe", name, "--show-secrets", "-o", "json"];
        let shown = medplum.run(described).ok();
        assert!(shown.stdout.contains(SECRET), "{shown}");
    }
    assert!(medplum.read("x.json").contains(SECRET));
    // What is imported with a fault in it is told without it.
    let broken = medplum.read("x.json").replace("\"clientId\"", "clientId");
    medplum.file("broken.json", broken);
    let run = medplum.run(["profile", "import", "broken.json", "five", "-vv"]);
    assert_ne!(run.code, 0, "{run}");
    shows_none(&run, &[SECRET.to_owned()]);
    let run = medplum.run(["profile", "remove", "three", "-vv"]).ok();
    shows_none(&run, &[SECRET.to_owned()]);
}

#[test]
fn the_sandbox_shows_nothing_of_what_clients_send_it() {
    let medplum = Medplum::new();
    let sandbox = Sandbox::start(&medplum, &["--patients", "5", "-vv"]);
    let user = Medplum::new();
    let base = sandbox.fact("baseUrl").to_owned();
    let to = ["--base-url", &base, "--client-id", "me", "-vv"];
    for flags in [["--client-secret", SECRET], ["--access-token", SECRET]] {
        for words in [&["get", "Patient"][..], &["whoami"], &["doctor"]] {
            let run = user.run([words, &flags, &to].concat());
            shows_none(&run, &[SECRET.to_owned()]);
        }
    }
    let form = format!("grant_type=client_credentials&client_id=me&client_secret={SECRET}");
    let reply = sandbox.ask_for_token(&[("Authorization", &format!("Bearer {SECRET}"))], &form);
    assert!((400..500).contains(&reply.status), "{reply:?}");
    assert!(!format!("{reply:?}").contains(SECRET), "{reply:?}");
    let good = sandbox.bearer();
    let shown = sandbox.so_far();
    assert!(
        !shown.contains(SECRET) && !shown.contains(&good[7..]),
        "{shown}"
    );
}
