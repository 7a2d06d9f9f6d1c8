//! Profiles are shared with the Medplum CLI: what either writes, the other reads, and keys of neither survive.

use serde_json::{Value, json};

use super::sides::Sides;
use crate::support::Medplum;

/// The settings that both tools have as flags, with their names in the file.
const SETTINGS: [(&str, &str, &str); 13] = [
    ("--base-url", "baseUrl", "https://fhir.example.com/"),
    ("--fhir-url-path", "fhirUrlPath", "api/FHIR/R4"),
    ("--token-url", "tokenUrl", "https://auth.example.com/token"),
    ("--authorize-url", "authorizeUrl", "oauth2/authorize"),
    ("--client-id", "clientId", "my client"),
    ("--client-secret", "clientSecret", r#"s3cr"et\ é"#),
    ("--scope", "scope", "system/*.read openid"),
    ("--access-token", "accessToken", "a.b.c"),
    ("--callback-url", "callbackUrl", "http://localhost:9615"),
    ("--subject", "subject", "sub"),
    ("--audience", "audience", "/oauth2/token"),
    ("--issuer", "issuer", "iss"),
    ("--private-key-path", "privateKeyPath", "/keys/key.pem"),
];

fn set(name: &str) -> Vec<&str> {
    let flags = SETTINGS.iter().flat_map(|(flag, _, value)| [*flag, *value]);
    ["profile", "set", name, "--auth-type", "client-credentials"]
        .into_iter()
        .chain(flags)
        .collect()
}

#[track_caller]
fn assert_has_all(options: &Value) {
    assert_eq!(options["authType"], "client-credentials");
    for (_, key, value) in SETTINGS {
        assert_eq!(options[key], value, "{key}: {options}");
    }
}

/// Both write the same settings into the file; each shows what the other wrote.
#[test]
fn all_settings_of_either_are_read_by_the_other() {
    let medplum = Medplum::new();
    medplum.medplum_cli(set("theirs")).run().ok().prints("");
    medplum.run(set("ours")).ok().prints("");
    let [mut theirs, mut ours] = ["theirs", "ours"].map(|name| medplum.options(name));
    assert_eq!(
        [theirs["name"].take(), ours["name"].take()],
        ["theirs", "ours"]
    );
    assert_eq!(theirs, ours);
    assert_has_all(&theirs);

    let run = medplum.run([
        "profile",
        "describe",
        "theirs",
        "--show-secrets",
        "-o",
        "json",
    ]);
    assert_has_all(&run.ok().json());
    let listed = medplum.run(["profile", "list"]).ok().json();
    let names: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["ours", "theirs"]);

    // JavaScript notation is all they print; the values are in it.
    let described = medplum
        .medplum_cli(["profile", "describe", "ours"])
        .run()
        .ok();
    for (_, key, value) in SETTINGS {
        let shown = value.replace('\\', "\\\\");
        assert!(
            described.stdout.contains(&format!("{key}: '{shown}'")),
            "{key}: {described}"
        );
    }
    let listed = medplum.medplum_cli(["profile", "list"]).run().ok();
    for name in ["ours", "theirs"] {
        assert!(
            listed.stdout.contains(&format!("profileName: '{name}'")),
            "{listed}"
        );
    }
}

/// Their login, then a profile without credentials: the login is all there is to use.
#[test]
fn a_login_of_the_medplum_cli_serves_here() {
    let sides = Sides::with_profile("client-credentials");
    let user = &sides.theirs;
    let base = sides.server.url("/");
    let token_url = sides.server.url("/oauth2/token");
    let mut login = vec!["login", "-p", "site", "--auth-type", "client-credentials"];
    login.extend(["--base-url", &base, "--token-url", &token_url]);
    login.extend(super::sides::CLIENT);
    user.medplum_cli(login).run().ok();
    user.medplum_cli(["profile", "set", "site", "--base-url", &base])
        .run()
        .ok();
    let before = user.profile_keys("site");
    user.run(["token", "-p", "site"])
        .ok()
        .prints("opaque-token\n");
    user.run(["get", "-p", "site", "Patient/1"]).ok();
    assert_eq!(sides.their_lines(), ["POST /oauth2/token"]);
    let [_, ours] = sides.requests();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].header("Authorization"), Some("Bearer opaque-token"));
    assert_eq!(user.profile_keys("site"), before);
}

/// Our login with the secret in a file, which they cannot read: they use the login.
#[test]
fn a_login_of_ours_serves_the_medplum_cli() {
    let sides = Sides::new();
    let user = &sides.ours;
    user.file("secret.txt", "not-a-secret");
    let base = sides.server.url("/");
    let mut login = vec![
        "login",
        "-p",
        "site",
        "--base-url",
        &base,
        "--token-url",
        "oauth2/token",
    ];
    login.extend(["--client-id", "cid", "--client-secret-file", "secret.txt"]);
    user.run(login).ok();
    let active = user.stored("site", "activeLogin");
    assert_eq!(active, json!({"accessToken": "opaque-token"}));
    assert_eq!(user.stored("site", "logins"), json!([active]));

    let got = user
        .medplum_cli(["get", "-p", "site", "Patient/1"])
        .run()
        .ok();
    assert_eq!(got.json()["id"], "1");
    let token = user.medplum_cli(["token", "-p", "site"]).run();
    token.ok().prints("opaque-token\n");
    let [theirs, _] = sides.requests();
    assert_eq!(sides.their_lines(), ["GET /fhir/R4/Patient/1"]);
    assert_eq!(
        theirs[0].header("Authorization"),
        Some("Bearer opaque-token")
    );
}

/// A key of a later version of either tool outlives rewrites by both, in the file and, here, in the settings.
#[test]
fn keys_that_nobody_knows_survive_rewrites_by_both() {
    let sides = Sides::with_profile("client-credentials");
    let user = &sides.ours;
    let mut options = user.options("site");
    options["fromTheFuture"] = json!("a setting");
    user.write_profile(
        "site",
        &json!({"options": options, "future": {"any": ["thing"]}}),
    );
    user.run(["login", "-p", "site"]).ok();
    let update = ["profile", "set", "site", "--update", "--issuer", "x"];
    user.run(update).ok();
    assert_eq!(user.options("site")["fromTheFuture"], "a setting");
    let our_tokens = user.stored("site", "tokens");
    assert!(our_tokens.is_array(), "{our_tokens}");
    user.medplum_cli(["get", "-p", "site", "Patient/1"])
        .run()
        .ok();
    assert_eq!(user.stored("site", "future"), json!({"any": ["thing"]}));
    assert_eq!(user.options("site")["fromTheFuture"], "a setting");
    // They keep our cache of tokens, so that no new one is needed here.
    assert_eq!(user.stored("site", "tokens"), our_tokens);
    sides.server.forget();
    user.run(["get", "-p", "site", "Patient/1"]).ok();
    assert_eq!(sides.our_lines(), ["GET /fhir/R4/Patient/1"]);
}

#[test]
fn a_profile_removed_by_either_is_gone_for_the_other() {
    let sides = Sides::with_profile("client-credentials");
    let user = &sides.ours;
    user.run(["login", "-p", "site"]).ok();
    sides.server.forget();
    user.medplum_cli(["profile", "remove", "site"]).run().ok();
    // They leave the tokens in the file, which without a server of their own must go nowhere.
    assert!(user.profile_text("site").contains("opaque-token"));
    for command in [
        &["get", "-p", "site", "Patient/1"][..],
        &["profile", "describe", "site"],
    ] {
        let run = user.run(command).fails(2);
        run.says("Profile \"site\" does not exist");
    }
    user.run(["profile", "list"]).ok().prints("[]\n");
    sides.write_profile(user, "basic");
    user.run(["profile", "remove", "site"]).ok();
    assert!(!user.profile_path("site").exists());
    let theirs = user.medplum_cli(["get", "-p", "site", "Patient/1"]).run();
    theirs.fails(1).says("Profile \"site\" does not exist");
    assert_eq!(sides.server.lines(), [""; 0]);
}
