//! Assertions as others read them: oidc-provider for `jwt-assertion`, Authlib for `jwt-bearer`.

use std::fs;
use std::path::Path;
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::keys::{PASSPHRASE, jwk, key, public_jwk};
use crate::support::{Answer, Medplum, Peer, Run, Server};

const ALGORITHMS: [&str; 8] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
];

/// Every form of a key, by the JWK that Node made of it.
const FORMS: [(&str, &str); 12] = [
    ("rsa-pkcs1.pem", "rsa.jwk"),
    ("rsa-pkcs8.pem", "rsa.jwk"),
    ("rsa-encrypted.pem", "rsa.jwk"),
    ("rsa.jwk", "rsa.jwk"),
    ("p256-sec1.pem", "p256.jwk"),
    ("p256-pkcs8.pem", "p256.jwk"),
    ("p256.jwk", "p256.jwk"),
    ("p384-sec1.pem", "p384.jwk"),
    ("p384-pkcs8.pem", "p384.jwk"),
    ("p384-encrypted-scrypt.pem", "p384.jwk"),
    ("p384.jwk", "p384.jwk"),
    ("set.jwks", "rsa.jwk"),
];

/// Where the key id comes from that the server has registered.
const KIDS: [&str; 3] = ["flag", "jwk", "thumbprint"];

/// RFC 7638 §3, by hand.
fn thumbprint(jwk: &Value) -> String {
    let names: &[&str] = if jwk["kty"] == "RSA" {
        &["e", "kty", "n"]
    } else {
        &["crv", "kty", "x", "y"]
    };
    let members: Vec<String> = names
        .iter()
        .map(|name| format!("\"{name}\":{}", jwk[name]))
        .collect();
    let text = format!("{{{}}}", members.join(","));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

fn is_pem(form: &str) -> bool {
    Path::new(form).extension().is_some_and(|end| end == "pem")
}

fn algorithms(jwk: &Value) -> &'static [&'static str] {
    match (jwk["kty"].as_str(), jwk["crv"].as_str()) {
        (Some("RSA"), _) => &["RS384", "RS256", "RS512", "PS256", "PS384", "PS512"],
        (_, Some("P-256")) => &["ES256"],
        _ => &["ES384"],
    }
}

/// A client of the provider that proves itself with these keys.
fn client(id: &str, keys: &Value) -> Value {
    let mut client = json!({
        "client_id": id,
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
    });
    match keys {
        Value::String(url) => client["jwks_uri"] = json!(url),
        keys => client["jwks"] = keys.clone(),
    }
    client
}

fn provider(clients: &[Value]) -> Peer {
    Peer::oidc_with(&json!({
        "clients": clients,
        "provider": {"enabledJWA": {"clientAuthSigningAlgValues": ALGORITHMS}},
    }))
}

fn token(medplum: &Medplum, peer: &Peer, client: &str, key: &str, flags: &[&str]) -> Run {
    let base = peer.url("");
    let mut args = vec!["token", "--base-url", &base, "--client-id", client];
    args.extend(["--private-key-path", key, "--scope", "system/Patient.read"]);
    args.extend(flags);
    medplum
        .command(args)
        .env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE)
        .run()
}

/// {key form} × {algorithm} × {kid from flag, JWK, thumbprint}: every cell passes, or is refused because the key
/// cannot sign so (RFC 7518 §3.1), or because no registered key has the kid (RFC 7517 §4.5).
#[test]
fn every_key_form_algorithm_and_key_id_passes_or_is_refused_for_its_reason() {
    let mut clients = Vec::new();
    for name in ["rsa.jwk", "p256.jwk", "p384.jwk"] {
        for kid in KIDS {
            let registered = match kid {
                "thumbprint" => thumbprint(&jwk(name)),
                other => format!("kid-of-{other}"),
            };
            let keys = json!({"keys": [public_jwk(name, &registered)]});
            clients.push(client(&format!("{name}-{kid}"), &keys));
        }
    }
    let peer = &provider(&clients);
    let columns = FORMS.iter().flat_map(|form| KIDS.map(|kid| (form, kid)));
    let cells: Vec<[usize; 3]> = thread::scope(|scope| {
        let tries: Vec<_> = columns
            .map(|((form, name), kid)| scope.spawn(move || every_algorithm(peer, form, name, kid)))
            .collect();
        let ends = tries.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(Result::unwrap).collect()
    });
    let sum = |at: usize| cells.iter().map(|cell| cell[at]).sum::<usize>();
    let cells = (sum(0), sum(1), sum(2));
    assert_eq!(cells.0 + cells.1 + cells.2, 12 * 9 * 3);
    assert_eq!(cells, (116, 177, 31));
}

/// How many passed, were refused for the key, and for the key id.
fn every_algorithm(peer: &Peer, form: &str, name: &str, kid: &str) -> [usize; 3] {
    let folder = Medplum::new();
    let file = with_kid(&folder, form, kid);
    let mut cells = [0; 3];
    for algorithm in ALGORITHMS.map(Some).into_iter().chain([None]) {
        let mut flags = Vec::new();
        flags.extend(algorithm.iter().flat_map(|name| ["--algorithm", name]));
        if kid == "flag" {
            flags.extend(["--key-id", "kid-of-flag"]);
        }
        // A new user each time: no token of another cell is at hand.
        let client = format!("{name}-{kid}");
        let run = token(&Medplum::new(), peer, &client, &file, &flags);
        let fits = algorithm.is_none_or(|asked| algorithms(&jwk(name)).contains(&asked));
        if !fits {
            run.fails(2).says("cannot sign with").says(&file);
            cells[1] += 1;
        } else if kid == "jwk" && is_pem(form) {
            // A PEM has no kid to give, so the thumbprint goes out, which is not registered here.
            run.fails(3).says("invalid_client");
            cells[2] += 1;
        } else {
            assert_ne!(run.ok().stdout.trim(), "", "{form} {kid} {algorithm:?}");
            cells[0] += 1;
        }
    }
    cells
}

/// A key file whose JWKs have the kid that this column of the table asks for.
fn with_kid(medplum: &Medplum, form: &str, kid: &str) -> String {
    if is_pem(form) {
        return key(form);
    }
    let text = fs::read_to_string(key(form)).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let set = |jwk: &mut Value, name: &str| match kid {
        "thumbprint" => drop(jwk.as_object_mut().unwrap().remove("kid")),
        _ => jwk["kid"] = json!(format!("kid-of-{name}")),
    };
    match json.get_mut("keys").and_then(Value::as_array_mut) {
        // A set: its RSA key is the private one, the others lie there in public.
        Some(keys) => {
            set(&mut keys[0], kid);
            for other in &mut keys[1..] {
                other.as_object_mut().unwrap().remove("d");
            }
        }
        None => set(&mut json, kid),
    }
    let path = medplum.file(form, json.to_string());
    path.to_string_lossy().into_owned()
}

#[test]
fn of_a_set_of_private_keys_each_signs_under_its_own_id() {
    let clients: Vec<Value> = ["rsa", "p256", "p384"]
        .iter()
        .map(|name| {
            let keys =
                json!({"keys": [public_jwk(&format!("{name}.jwk"), &format!("set-{name}"))]});
            client(name, &keys)
        })
        .collect();
    let peer = provider(&clients);
    let medplum = Medplum::new();
    for name in ["rsa", "p256", "p384"] {
        let kid = format!("set-{name}");
        token(&medplum, &peer, name, &key("set.jwks"), &["--key-id", &kid]).ok();
    }
    // The algorithm chooses where one key alone can sign so.
    token(
        &medplum,
        &peer,
        "p384",
        &key("set.jwks"),
        &["--algorithm", "ES384"],
    )
    .ok();
    let run = token(
        &medplum,
        &peer,
        "rsa",
        &key("set.jwks"),
        &["--key-id", "set-p384"],
    );
    run.fails(3).says("invalid_client");
}

#[test]
fn a_jwks_url_serves_an_old_and_a_new_key_side_by_side() {
    let medplum = Medplum::new();
    for file in ["old.pem", "new.jwk"] {
        medplum
            .run(["keys", "generate", "--alg", "ES384", "--out", file])
            .ok();
    }
    let published = medplum.run(["keys", "jwks", "old.pem", "new.jwk"]).ok();
    let site = Server::start();
    let answer = Answer::new(200, "application/json", &published.stdout);
    site.on("GET", "/jwks.json", answer);
    let peer = provider(&[client("rotating", &json!(site.url("/jwks.json")))]);
    for file in ["old.pem", "new.jwk"] {
        token(&medplum, &peer, "rotating", file, &[]).ok();
    }
    assert_eq!(site.lines()[0], "GET /jwks.json");
    token(&medplum, &peer, "rotating", &key("p384.jwk"), &[])
        .fails(3)
        .says("invalid_client");
}

#[test]
fn a_profile_with_a_key_reads_data_and_renews_its_token() {
    let peer = provider(&[client(
        "reader",
        &json!({"keys": [public_jwk("rsa.jwk", "r")]}),
    )]);
    let medplum = Medplum::new();
    let (base, path) = (peer.url(""), key("rsa-pkcs1.pem"));
    let mut args = vec!["profile", "set", "op", "--auth-type", "jwt-assertion"];
    args.extend([
        "--base-url",
        &base,
        "--client-id",
        "reader",
        "--key-id",
        "r",
    ]);
    args.extend([
        "--private-key-path",
        &path,
        "--scope",
        "system/Patient.read",
    ]);
    medplum.run(args).ok();
    let get = ["get", "-p", "op", "Patient/1"];
    assert!(
        medplum
            .run(get)
            .ok()
            .stdout
            .contains("12345678901234567890")
    );
    let first = medplum.run(["token", "-p", "op"]).ok().stdout;
    assert_eq!(medplum.run(["token", "-p", "op"]).ok().stdout, first);
    medplum.age_tokens("op", 300);
    medplum.run(get).ok();
    assert_ne!(medplum.run(["token", "-p", "op"]).ok().stdout, first);
    // Nothing is signed for another server than the one that names its token endpoint.
    let wrong = [
        "get",
        "-p",
        "op",
        "Patient/1",
        "--audience",
        "https://other.example/token",
    ];
    let run = medplum.run(wrong).fails(3);
    let _ = run.says("aud https://other.example/token");
}

/// Authlib takes HS256, RS256 and ES256.
#[test]
fn authlib_takes_jwt_bearer_assertions_by_secret_and_by_key() {
    let secret = "bearer-secret-of-32-characters-!";
    let client =
        |issuer: &str| json!({"issuer": issuer, "client_id": issuer, "users": ["john_doe"]});
    let mut by_secret = client("by-secret");
    by_secret["secret"] = json!(secret);
    let mut by_key = client("by-key");
    by_key["jwks"] =
        json!({"keys": [public_jwk("rsa.jwk", "rsa"), public_jwk("p256.jwk", "p256")]});
    let peer = Peer::jwt_bearer(&json!({"clients": [by_secret, by_key]}));
    let medplum = Medplum::new();
    let base = peer.url("");
    let get = |client: &str, flags: &[&str]| {
        let mut args = vec!["get", "Patient/1", "--auth-type", "jwt-bearer"];
        args.extend([
            "--base-url",
            &base,
            "--token-url",
            "token",
            "--client-id",
            client,
        ]);
        args.extend(["--scope", "openid profile"]);
        medplum.run([&args, flags].concat())
    };
    let (rsa, p256) = (key("rsa-pkcs8.pem"), key("p256-sec1.pem"));
    let user = ["--subject", "john_doe"];
    let by_secret = [&user[..], &["--client-secret", secret]].concat();
    get("by-secret", &by_secret).ok();
    let by_rsa = [
        "--private-key-path",
        &rsa,
        "--key-id",
        "rsa",
        "--algorithm",
        "RS256",
    ];
    get("by-key", &[&user[..], &by_rsa].concat()).ok();
    let by_ec = ["--private-key-path", &p256, "--key-id", "p256"];
    get("by-key", &[&user[..], &by_ec].concat()).ok();

    let wrong = [
        "--subject",
        "john_doe",
        "--client-secret",
        "another-secret-of-32-characters!",
    ];
    get("by-secret", &wrong).fails(3).says("invalid_grant");
    let stranger = ["--subject", "jane_doe", "--client-secret", secret];
    get("by-secret", &stranger).fails(3).says("Invalid 'sub'");
    let elsewhere = [&by_secret[..], &["--audience", "https://other.example"]].concat();
    get("by-secret", &elsewhere).fails(3).says("invalid_grant");
}
