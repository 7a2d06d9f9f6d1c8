//! The block "User Login / Authorization Code" of Medplum's page "Connecting to External FHIR Servers", and the login
//! that the page sends its readers to. Only the host differs.

use serde_json::json;

use crate::support::Clinic;
use crate::support::authorization::PUBLIC_CLIENT;
use crate::support::browser::{free_port, visit};

const USER_LOGIN: &str = r#"
medplum profile set example \
    --base-url "https://api.example.com" \
    --fhir-url-path "fhir/R4" \
    --authorize-url "oauth2/authorize" \
    --token-url "oauth2/token"
"#;

#[test]
fn profile_user_login_authorization_code() {
    let clinic = Clinic::without_profile();
    let host = clinic.server.url("");
    let block = USER_LOGIN.replace("https://api.example.com", &host);
    clinic.medplum.shell(&block).ok().prints("");
    let mut settings = json!({"name": "example", "baseUrl": host, "fhirUrlPath": "fhir/R4", "tokenUrl": "oauth2/token",
        "authorizeUrl": "oauth2/authorize"});
    assert_eq!(clinic.medplum.options("example"), settings);

    // The page names no client; only Medplum's own servers know one that all users share.
    let login = "medplum login --profile example";
    clinic.medplum.shell(login).fails(2).says("--client-id");
    assert_eq!(clinic.medplum.options("example"), settings);

    let callback = format!("http://localhost:{}", free_port());
    let flags = ["--client-id", PUBLIC_CLIENT, "--callback-url", &callback];
    let running = clinic
        .medplum
        .spawn(["login", "--profile", "example"].iter().chain(&flags));
    let back = clinic.auth.authorize(&clinic.medplum.opened(&running));
    assert_eq!(visit(&back).status, 200);
    running.finish().ok();
    settings["clientId"] = json!(PUBLIC_CLIENT);
    settings["callbackUrl"] = json!(callback);
    assert_eq!(clinic.medplum.options("example"), settings);
    clinic
        .medplum
        .shell("medplum get -p example Patient/1")
        .ok();
}
