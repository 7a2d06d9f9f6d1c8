//! Whose an export is: one client speaks for several users, and what one of them began no other goes on with.

use serde_json::json;

use crate::support::{Answer, Medplum, Server};

#[test]
fn users_that_one_client_speaks_for_go_on_with_their_own_exports_only() {
    let bearer = |subject: &'static str| {
        let flags = [
            "--auth-type",
            "jwt-bearer",
            "--client-secret",
            "a-secret-of-32-characters-at-least",
        ];
        [&flags[..], &["--subject", subject]].concat()
    };
    let command = |program: &'static str| vec!["--access-token-command", program];
    let cases = [
        (bearer("alice"), bearer("bob")),
        (command("echo token-of-alice"), command("echo token-of-bob")),
    ];
    for (one, other) in cases {
        let server = Server::start();
        let token = json!({"access_token": "one-token", "token_type": "Bearer", "expires_in": 300});
        server.on("POST", "/token", Answer::json(200, token.to_string()));
        let status = server.url("/status");
        server.on(
            "GET",
            "/fhir/R4/$export",
            Answer::empty(202).header("Content-Location", &status),
        );
        server.on("GET", "/status", Answer::empty(202));
        let medplum = Medplum::new();
        let base = server.url("/");
        let export = [
            "bulk",
            "export",
            "-d",
            "out",
            "--max-wait",
            "0s",
            "--base-url",
            &base,
            "--client-id",
            "me",
        ];
        let export = [&export[..], &["--token-url", "token"]].concat();
        let run = |who: &[&str]| medplum.run([&export[..], who].concat());
        drop(run(&one).fails(6));
        drop(run(&other).fails(2).says("somebody else"));
        drop(run(&one).fails(6));
        assert_eq!(server.requests_to("/fhir/R4/$export").len(), 1);
    }
}
