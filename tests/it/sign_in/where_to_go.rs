//! Where a person is sent: an address reads like the server that it leads to.

use serde_json::json;

use crate::support::{Answer, Medplum, Server};

/// `https://accounts.example.com@h.example/` leads to `h.example`, and reads like another one.
#[test]
fn an_address_with_a_user_before_its_host_is_shown_to_nobody() {
    let plain = "https://h.example/device";
    let posing = "https://accounts.example.com@h.example/device";
    let by_password = "https://:accounts.example.com@h.example/device";
    for (at, complete, code) in [
        (posing, plain, 1),
        (plain, posing, 3),
        (by_password, plain, 1),
        (plain, by_password, 3),
    ] {
        let server = Server::start();
        let document = json!({"token_endpoint": server.url("/token"), "device_authorization_endpoint": server.url("/device")});
        server.on(
            "GET",
            "/fhir/R4/.well-known/smart-configuration",
            Answer::json(200, document.to_string()),
        );
        let answer = json!({"device_code": "handle-123456", "user_code": "WDJB-MJHT", "verification_uri": at,
            "verification_uri_complete": complete, "expires_in": 600, "interval": 1});
        server.on("POST", "/device", Answer::json(200, answer.to_string()));
        server.on(
            "POST",
            "/token",
            Answer::json(400, "{\"error\":\"access_denied\"}"),
        );
        let base = server.url("/");
        let login = [
            "login",
            "--base-url",
            &base,
            "--client-id",
            "me",
            "--auth-type",
            "device-code",
        ];
        let run = Medplum::new().run(login).fails(code);
        assert!(!run.everything().contains("accounts.example.com"), "{run}");
        assert_eq!(run.stderr.contains(plain), code == 3, "{run}");
        assert_eq!(server.requests_to("/device").len(), 1);
    }
}
