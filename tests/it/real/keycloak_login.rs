//! People who sign in at Keycloak's own pages, with Debian's Chromium.

use serde_json::{Value, json};

use super::keycloak::{Front, Keycloak, SECRET, keycloak, person};
use crate::support::jwt::Jwt;

const CALLBACK: &str = "http://127.0.0.1:0/signed/in";

/// A user whose profile is for this client of the realm.
fn user(keycloak: &'static Keycloak, client: &str, flags: &[&str]) -> Front {
    let front = keycloak.front(&keycloak.realm("clinic"));
    let args = ["--auth-type", "authorization-code", "--client-id", client];
    let more = ["--scope", "openid", "--callback-url", CALLBACK];
    front.set_profile(&[&args[..], &more, flags].concat());
    front
}

/// The token of the login, as Keycloak made it.
fn token(front: &Front) -> String {
    front.run(&["token", "-q"]).ok().stdout.trim().to_owned()
}

#[test]
fn keycloak_signs_a_person_in_by_browser_whoami_says_who_and_logout_ends_it() {
    let Some(keycloak) = keycloak() else { return };
    let secret = ["--client-secret", SECRET];
    for (client, flags) in [("app", &[][..]), ("web", &secret)] {
        let front = user(keycloak, client, flags);
        let page = front.log_in(&[]);
        assert!(
            page["paths"][0]
                .as_str()
                .unwrap()
                .contains("/realms/clinic/"),
            "{page:#}"
        );
        front.run(&["get", "Patient/1"]).ok();
        let said = front.run(&["whoami"]).ok().everything();
        assert!(
            said.contains("ana@clinic.example") || said.contains("practitioner"),
            "{said}"
        );
        if client == "web" {
            assert!(said.contains("active, client web"), "{said}");
        }
        let token = token(&front);
        assert_eq!(keycloak.introspect(&token)["username"], "practitioner");
        front.run(&["logout"]).ok().says("Logged out");
        assert_eq!(keycloak.introspect(&token), json!({"active": false}));
        front
            .run(&["get", "Patient/1"])
            .fails(3)
            .says("not logged in");
    }
}

/// RFC 9126: this client may not come otherwise, though discovery does not say so.
#[test]
fn keycloak_takes_a_request_that_was_left_before() {
    let Some(keycloak) = keycloak() else { return };
    let front = user(keycloak, "pushed", &[]);
    let (run, page) = front.try_to_log_in(&[]);
    let run = run.fails(3).says("Pushed Authorization Request");
    assert_eq!(page["heading"], "You are not signed in", "{page:#}\n{run}");
    front.log_in(&["--par"]);
    front.run(&["get", "Patient/1"]).ok();
}

/// RFC 9449: bound from the first token on, and at renewal.
#[test]
fn keycloak_binds_tokens_to_a_key() {
    let Some(keycloak) = keycloak() else { return };
    let front = user(keycloak, "bound", &["--dpop"]);
    front.log_in(&[]);
    front.run(&["get", "Patient/1"]).ok();
    let first = token(&front);
    let bound = |token: &str| Jwt::parse(token).unwrap().claims["cnf"]["jkt"].clone();
    assert!(bound(&first).is_string(), "{first}");
    front.medplum.age_tokens("clinic", 3600);
    front.run(&["get", "Patient/1"]).ok();
    let renewed = token(&front);
    assert!(first != renewed && bound(&first) == bound(&renewed));
    let header = front.server.requests_to("/fhir/R4/Patient/1")[0]
        .header("Authorization")
        .map(str::to_owned);
    assert!(header.unwrap().starts_with("DPoP "));

    let machine = keycloak.front(&keycloak.realm("clinic"));
    let args = [
        "--auth-type",
        "client-credentials",
        "--client-id",
        "bound-machine",
    ];
    machine.set_profile(&[&args[..], &["--client-secret", SECRET, "--dpop"]].concat());
    machine.run(&["get", "Patient/1"]).ok();
    assert!(bound(&token(&machine)).is_string());
}

/// The hint leads past the page of this realm to the one of the hospital, whose realm is a provider for it.
#[test]
fn keycloak_sends_a_person_on_by_kc_idp_hint() {
    let Some(keycloak) = keycloak() else { return };
    let endpoint =
        |name: &str| json!(keycloak.realm("hospital") + "/protocol/openid-connect/" + name);
    keycloak.administer(
        "identity-provider/instances",
        &json!({"alias": "hospital", "providerId": "keycloak-oidc", "enabled": true, "trustEmail": true, "config": {
            "issuer": keycloak.realm("hospital"), "authorizationUrl": endpoint("auth"), "tokenUrl": endpoint("token"),
            "userInfoUrl": endpoint("userinfo"), "jwksUrl": endpoint("certs"), "useJwksUrl": "true",
            "validateSignature": "true", "clientId": "clinic", "clientSecret": SECRET,
            "clientAuthMethod": "client_secret_post", "defaultScope": "openid profile email"}}),
    );
    let mut front = user(
        keycloak,
        "app",
        &["--authorize-param", "kc_idp_hint=hospital"],
    );
    front.medplum.set_env("USER_OF_REALM", "nurse");
    let page = front.log_in(&[]);
    let first = page["paths"][0].as_str().unwrap();
    assert!(first.contains("/realms/hospital/"), "{page:#}");
    assert_eq!(keycloak.introspect(&token(&front))["username"], "nurse");
}

#[test]
fn keycloak_signs_a_person_in_with_another_device() {
    let Some(keycloak) = keycloak() else { return };
    for refuses in [false, true] {
        let front = keycloak.front(&keycloak.realm("clinic"));
        let args = ["--auth-type", "device-code", "--client-id", "device"];
        front.set_profile(&[&args[..], &["--scope", "openid"]].concat());
        let login = front.medplum.spawn(["login", "-p", "clinic"]);
        let address = login.stderr_line("?user_code=").trim().to_owned();
        let more: &[&str] = if refuses { &["--refuse"] } else { &[] };
        let page: Value = person(&address, more);
        let run = login.finish();
        if refuses {
            assert_eq!(run.code, 3, "{page:#}\n{run}");
            let stored = front.medplum.profile_keys("clinic");
            assert!(!stored.contains_key("activeLogin"), "{run}");
            continue;
        }
        assert_eq!(run.code, 0, "{page:#}\n{run}");
        front.run(&["get", "Patient/1"]).ok();
        front.medplum.age_tokens("clinic", 3600);
        front.run(&["get", "Patient/1"]).ok();
    }
}
