//! Client credentials at Keycloak, by each way in which a client proves itself.

use super::keycloak::{SECRET, keycloak};
use crate::support::keys::key;

#[test]
fn keycloak_takes_client_credentials_by_each_way_to_prove_the_client() {
    let Some(keycloak) = keycloak() else { return };
    let (rsa, p384) = (key("rsa.jwk"), key("p384.jwk"));
    let secret = ["--client-secret", SECRET];
    let keyed = |file| ["--private-key-path", file, "--key-id", "k1"];
    let (by_rsa, by_p384) = (keyed(&*rsa), keyed(&*p384));
    for (client, way, proof, algorithm) in [
        ("secret", "header", &secret[..], &[][..]),
        ("secret", "post", &secret, &[]),
        ("hmac", "client_secret_jwt", &secret, &[]),
        ("key-rs", "private_key_jwt", &by_rsa, &[]),
        ("key-es", "private_key_jwt", &by_p384, &[]),
        (
            "key-ps",
            "private_key_jwt",
            &by_rsa,
            &["--algorithm", "PS384"],
        ),
    ] {
        let front = keycloak.front(&keycloak.realm("clinic"));
        let flags = ["--client-id", client, "--client-auth", way];
        let machine = ["--auth-type", "client-credentials", "--scope", "openid"];
        front.set_profile(&[&flags[..], &machine, proof, algorithm].concat());
        let run = front.run(&["get", "Patient/1"]);
        assert_eq!(run.code, 0, "{client} by {way}\n{run}");
        let run = front.run(&["whoami"]).ok();
        let said = format!("active, client {client}");
        assert!(run.everything().contains(&said), "{client} by {way}\n{run}");
    }
}

#[test]
fn keycloak_refuses_a_wrong_proof_and_is_quoted() {
    let Some(keycloak) = keycloak() else { return };
    let p256 = key("p256.jwk");
    for (client, flags) in [
        (
            "secret",
            &["--client-secret", "another-secret-that-is-not-it"][..],
        ),
        ("key-es", &["--private-key-path", &p256, "--key-id", "k1"]),
        ("nobody", &["--client-secret", SECRET]),
    ] {
        let front = keycloak.front(&keycloak.realm("clinic"));
        let machine = ["--auth-type", "client-credentials", "--client-id", client];
        front.set_profile(&[&machine[..], flags].concat());
        let run = front.run(&["get", "Patient/1"]).fails(3);
        assert!(run.stderr.contains("_client"), "{client}\n{run}");
        assert!(front.server.requests_to("/fhir/R4/Patient/1").is_empty());
    }
}

/// RFC 8705: the certificate is all the proof, at Keycloak's own TLS listener.
#[test]
fn keycloak_knows_a_client_by_its_certificate() {
    let Some(keycloak) = keycloak() else { return };
    let front = keycloak.front(&keycloak.secure_realm("clinic"));
    let ca = keycloak
        .authority
        .file(&front.medplum)
        .display()
        .to_string();
    for (name, code) in [("box.example", 0), ("other.example", 3)] {
        let (certificate, key) = keycloak.authority.pair(&[name]);
        let files = [("cert.pem", certificate), ("key.pem", key)];
        let [certificate, key] =
            files.map(|(file, text)| front.medplum.file(file, text).display().to_string());
        let machine = [
            "--auth-type",
            "client-credentials",
            "--client-id",
            "certificate",
        ];
        let way = [
            "--client-auth",
            "tls_client_auth",
            "--ca-cert",
            &ca,
            "--scope",
            "openid",
        ];
        let files = ["--client-cert", &certificate, "--client-key", &key];
        front.set_profile(&[&machine[..], &way, &files].concat());
        let run = front.run(&["login"]).fails(code);
        if code == 0 {
            let said = front.run(&["whoami"]).ok().everything();
            assert!(said.contains("active, client certificate"), "{said}");
        } else {
            assert!(run.stderr.contains("invalid_client"), "{run}");
        }
    }
}
