//! Machines that are not as ours: no clock that was ever set, secrets on a mount that nobody can write to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::jwt::Jwt;
use crate::support::keys::key;
use crate::support::{Answer, Medplum, Server};

const TOKEN: &str = r#"{"access_token":"t-1","token_type":"Bearer","expires_in":300}"#;
const WARNING: &str = "Other users of this machine can read the secret in";

/// A server of tokens and one resource, and what reads that.
fn server() -> (Server, Vec<String>) {
    let server = Server::start();
    server.on("POST", "/token", Answer::json(200, TOKEN));
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let base = server.url("/");
    let words = ["medplum", "get", "--base-url", &base, "--client-id", "me"];
    let words = words.iter().chain(&["--token-url", "token", "Patient/1"]);
    let words = words.map(|word| (*word).to_owned()).collect();
    (server, words)
}

/// D35: the moment before which an assertion was issued lay before 1970, and the number wrapped (or ended a debug build).
#[test]
fn a_clock_that_was_never_set_makes_assertions_without_wrapping() {
    for second in [0_u64, 5, 9, 10, 11] {
        let (server, get) = server();
        let medplum = Medplum::new();
        let clock = format!("@1970-01-01 00:00:{second:02}");
        let (private_key, medplum) = (key("rsa.jwk"), medplum.env("TZ", "UTC"));
        // Waiting goes by the other clock, which is right.
        let medplum = medplum.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let mut words = ["faketime", "-f", &clock].map(str::to_owned).to_vec();
        words.extend(get);
        words.extend(["--auth-type", "jwt-assertion", "--private-key-path"].map(str::to_owned));
        words.push(private_key);
        medplum.program(words).run().ok();
        let form = server.request_to("/token").form();
        let sent = form.iter().find(|(name, _)| name == "client_assertion");
        let claims = Jwt::parse(&sent.unwrap().1).unwrap().claims;
        let time = |name: &str| claims[name].as_u64().unwrap();
        assert!(time("iat") <= second + 60, "{claims}");
        assert!((1..1000).contains(&time("exp")), "{claims}");
    }
}

/// How to have mounts of one's own: as root, or as root of a user namespace. Where neither is allowed (Ubuntu since 24.04
/// asks for `sysctl kernel.apparmor_restrict_unprivileged_userns=0`), the test fails and says so.
pub(super) fn own_mounts() -> &'static [&'static str] {
    let ways: [&[&str]; 3] = [
        &["unshare", "--mount"],
        &["unshare", "--user", "--map-root-user", "--mount"],
        &["sudo", "-n", "-E", "unshare", "--mount"],
    ];
    let works = |way: &&&[&str]| {
        let mut command = Command::new(way[0]);
        let tried = command
            .args(&way[1..])
            .args(["mount", "--bind", "/tmp", "/tmp"]);
        tried.output().is_ok_and(|output| output.status.success())
    };
    ways.iter().find(works).unwrap_or_else(|| {
        panic!(
            "no mount can be made here: run the tests as root, or allow user namespaces \
             (sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
        )
    })
}

/// D30: a secret that others can read is a warning, but none where nobody can mend it: Kubernetes and Docker mount secrets
/// so, with mode 0644.
#[test]
fn a_secret_on_a_mount_that_is_read_only_is_no_warning() {
    let (server, get) = server();
    let medplum = Medplum::new();
    let secret = medplum.file("secrets/secret", "one-secret\n");
    let private_key = medplum.path("secrets/key.pem");
    fs::copy(key("p256-pkcs8.pem"), &private_key).unwrap();
    let folder = secret.parent().unwrap();
    for (path, flag) in [
        (&secret, "--client-secret-file"),
        (&private_key, "--private-key-path"),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        let flags = [flag.to_owned(), path.display().to_string()];
        let words = [&get[..], &flags].concat();
        let run = medplum.program(&words).run().ok();
        assert_eq!(run.stderr.matches(WARNING).count(), 1, "{run}");
        let run = medplum.program(read_only(folder, &words)).run().ok();
        assert_eq!(run.stderr, "", "{run}");
    }
    assert_eq!(server.requests_to("/fhir/R4/Patient/1").len(), 4);
}

/// A command with this folder mounted so that not even root can write there.
fn read_only(folder: &Path, words: &[String]) -> Vec<String> {
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && \
        ! touch \"$0/proof\" 2>/dev/null && exec \"$@\"";
    let folder = folder.display().to_string();
    let mut launched: Vec<String> = own_mounts().iter().map(|word| (*word).to_owned()).collect();
    launched.extend(["bash", "-c", mount, &folder].map(str::to_owned));
    launched.extend_from_slice(words);
    launched
}
