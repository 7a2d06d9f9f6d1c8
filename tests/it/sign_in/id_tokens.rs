//! Who signed in is taken from an id_token only where the connection proves the server, and a login stays that person's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::authorization::PUBLIC_CLIENT;
use crate::support::tls::Authority;
use crate::support::{Answer, AuthorizationServer, Clinic, Medplum, Server};

/// D32: nothing but TLS stands for the signature, and there was none (OpenID Connect Core §3.1.3.7, 6).
#[test]
fn who_signed_in_is_believed_only_where_the_connection_proves_the_server() {
    for is_proved in [false, true] {
        let (server, authority) = (Server::start(), Authority::new());
        let tls = authority.front(&server, &["localhost"], 2100);
        server.known_as(&tls.url(""));
        let clinic = Clinic {
            auth: AuthorizationServer::on(&server),
            server,
            medplum: Medplum::with_browser(),
        };
        let ca = authority.file(&clinic.medplum).display().to_string();
        let client = ["--client-id", PUBLIC_CLIENT, "--scope", "openid fhirUser"];
        clinic.set_profile(&[&client[..], &["--ca-cert", &ca]].concat());
        let how: &[&str] = if is_proved { &[] } else { &["--insecure"] };
        let (run, _) = clinic.log_in(how);
        let run = run.ok();
        let identity = clinic.medplum.run(["whoami", "-p", "clinic"]).ok();
        let is_named = identity.stdout.contains("user-7");
        assert_eq!(is_named, is_proved, "{run}\n{identity}");
    }
}

/// D32: a renewal may answer with somebody else's token (OpenID Connect Core §12.2).
#[test]
fn a_renewal_that_is_of_another_person_is_not_used() {
    for (sub, is_same) in [("user-8", false), ("user-7", true)] {
        let clinic = Clinic::open();
        let (run, _) = clinic.log_in(&[]);
        run.ok();
        clinic.auth.revoke_access_tokens();
        clinic.medplum.age_tokens("clinic", 3600);
        clinic.server.forget();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iss": clinic.server.url(""), "aud": PUBLIC_CLIENT, "sub": sub});
        let id_token = format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&claims));
        let answer = json!({"access_token": "renewed", "token_type": "Bearer", "expires_in": 60,
            "id_token": id_token});
        let answer = Answer::new(200, "application/json", answer.to_string());
        clinic.auth.fail(Some(answer));
        let run = clinic.get();
        let requests = clinic.server.requests_to("/fhir/R4/Patient/1");
        let sent = requests
            .iter()
            .filter(|request| request.header("Authorization") == Some("Bearer renewed"));
        assert_eq!(sent.count() > 0, is_same, "{sub}\n{run}");
        if !is_same {
            run.fails(3).says("user-8").says("user-7");
        }
    }
}
