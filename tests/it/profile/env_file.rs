//! `.env` of a folder that somebody else filled: what it may say, what is said of it, and how it may break.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use ::medplum::profile::{Key, Side};
use serde_json::json;

use crate::support::fhir::names_token_endpoint;
use crate::support::oauth::basic;
use crate::support::{Answer, Medplum, Server, Site};

/// What lies outside the folder, and in the environment.
const OUTSIDE: &str = "outside-0utside-0ut";

/// A server that takes whatever it gets: every POST is answered with a token.
fn greedy() -> Server {
    let server = Server::start();
    server.handler(|request| {
        Some(match request.method.as_str() {
            "POST" => Answer::new(
                200,
                "application/json",
                r#"{"access_token":"t-greedy","token_type":"bearer","expires_in":60}"#,
            ),
            _ if request.path().contains(".well-known") => Answer::empty(404),
            _ => Answer::json(200, "{}"),
        })
    });
    names_token_endpoint(&server, "/fhir/R4", "/oauth2/token");
    server
}

/// Everything that a server was told, with what its encodings hide.
fn told(server: &Server) -> String {
    let words = server.requests().into_iter().map(|request| {
        let authorization = request.header("Authorization").unwrap_or_default();
        let pair = authorization
            .starts_with("Basic ")
            .then(|| basic(authorization));
        format!(
            "{request:?} {} {:?} {pair:?}\n",
            request.text(),
            request.form()
        )
    });
    words.collect()
}

/// The lines that bring a setting to use.
fn lines(server: &Server, key: Key, value: &str) -> String {
    let mut lines = format!("MEDPLUM_BASE_URL={}\n", server.url("/"));
    let others: &[&str] = match key {
        Key::SubjectTokenFile => &[
            "MEDPLUM_AUTH_TYPE=token-exchange",
            "MEDPLUM_CLIENT_AUTH=none",
        ],
        Key::ActorTokenFile => &[
            "MEDPLUM_AUTH_TYPE=token-exchange",
            "MEDPLUM_CLIENT_AUTH=none",
            "MEDPLUM_SUBJECT_TOKEN=one-subject",
        ],
        Key::KeyPassphraseFile => &["MEDPLUM_PRIVATE_KEY_PATH=own.pem"],
        Key::ClientKey => &["MEDPLUM_CLIENT_CERT=own.pem"],
        Key::ClientSecretFile => &["MEDPLUM_CLIENT_AUTH=post"],
        _ => &[],
    };
    if key != Key::ClientId {
        lines += "MEDPLUM_CLIENT_ID=me\n";
    }
    for line in others
        .iter()
        .filter(|line| !line.starts_with(key.variable()))
    {
        lines += line;
        lines += "\n";
    }
    if key != Key::BaseUrl {
        lines += &[key.variable(), "=", value, "\n"].concat();
    }
    lines
}

fn a_machine() -> Medplum {
    let medplum = Medplum::new().env("AWS_SECRET_ACCESS_KEY", OUTSIDE);
    fs::write(medplum.root().join("outside"), OUTSIDE).unwrap();
    symlink("../outside", medplum.path("link")).unwrap();
    fs::copy("tests/it/data/keys/p256-pkcs8.pem", medplum.path("own.pem")).unwrap();
    fs::copy(
        "tests/it/data/keys/p256-pkcs8.pem",
        medplum.root().join("key.pem"),
    )
    .unwrap();
    medplum
}

/// D1: a file's content went to a server that the same `.env` named.
#[test]
fn an_env_file_that_names_a_file_outside_its_folder_sends_nothing_of_it() {
    let medplum = a_machine();
    let absolute = medplum.root().join("outside");
    for &key in Key::ALL {
        let server = greedy();
        for path in [
            "../outside",
            "link",
            absolute.to_str().unwrap(),
            "/proc/self/environ",
            "../key.pem",
        ] {
            medplum.file(".env", lines(&server, key, path));
            let run = medplum.run(["get", "Patient/1"]);
            assert!(!told(&server).contains(OUTSIDE), "{key:?} {path}\n{run}");
            if key.side() == Side::PathInside {
                let run = run.fails(2).says(path);
                assert_eq!(server.lines(), [""; 0], "{key:?} {path}\n{run}");
            }
        }
        if key.side() != Side::PathInside {
            // Its own words may be anything, and some of them do reach the server.
            continue;
        }
        medplum.file(".env", lines(&server, Key::Dpop, "false"));
        let _ = medplum.run(["get", "Patient/1"]).ok();
        assert_eq!(server.lines().len(), 1, "{key:?}: the server is there");
    }
}

#[test]
fn an_env_file_names_files_inside_its_folder() {
    let medplum = a_machine();
    medplum.file("secrets/client", "inside-secret\n");
    let server = greedy();
    medplum.file(
        ".env",
        lines(&server, Key::ClientSecretFile, "secrets/client"),
    );
    let run = medplum.run(["get", "Patient/1"]).ok();
    assert!(told(&server).contains("inside-secret"), "{run}");
    let _ = run.says("MEDPLUM_CLIENT_SECRET_FILE");
}

/// D2: any exported secret went out in the path of an anonymous request.
#[test]
fn an_env_file_expands_no_variables() {
    let (medplum, server) = (a_machine(), greedy());
    let base = server.url("/x/${AWS_SECRET_ACCESS_KEY}/$AWS_SECRET_ACCESS_KEY");
    medplum.file(".env", format!("MEDPLUM_BASE_URL={base}\n"));
    let run = medplum.run(["get", "Patient/1"]).ok();
    assert_eq!(server.lines().len(), 1);
    assert!(!told(&server).contains(OUTSIDE), "{run}");
    assert!(told(&server).contains("$AWS_SECRET_ACCESS_KEY"), "{run}");
}

/// D2, number 13 of the reports: another secret than the Medplum CLI's, and a puzzling `invalid_client`.
#[test]
fn a_secret_with_a_dollar_sign_is_sent_as_it_stands() {
    for (written, secret) in [
        ("ab$cd-ef$$12#x", "ab$cd-ef$$12"),
        ("p$w#d", "p$w"),
        ("'p$w#d'", "p$w#d"),
        ("a$HOME", "a$HOME"),
        (r"a\nb", r"a\nb"),
        (r#""ab\qcd""#, r"ab\qcd"),
    ] {
        for mark in ["", "\u{feff}"] {
            let (medplum, server) = (Medplum::new(), greedy());
            let lines = lines(&server, Key::ClientSecret, written);
            let text = format!("{mark}{lines}MEDPLUM_CLIENT_AUTH=post\n");
            medplum.file(".env", text);
            let _ = medplum.run(["get", "Patient/1"]).ok();
            let form = server.request_to("/oauth2/token").form();
            let sent = form.iter().find(|(name, _)| name == "client_secret");
            let sent = sent.map(|(_, value)| value.as_str());
            assert_eq!(sent, Some(secret), "{written}, mark: {mark:?}");
        }
    }
}

/// D14: an attacker's token took the place of the login, so patient data went into the attacker's project.
#[test]
fn a_stored_login_stands_above_an_env_file() {
    let server = greedy();
    let medplum = Medplum::new();
    let login = json!({"accessToken": "token-of-the-login"});
    let options = json!({"name": "shared", "baseUrl": server.url("/")});
    medplum.write_profile(
        "shared",
        &json!({"options": options, "activeLogin": login, "logins": [login]}),
    );
    for given in [
        "MEDPLUM_CLIENT_ACCESS_TOKEN=attacker".to_owned(),
        "MEDPLUM_CLIENT_ID=attacker\nMEDPLUM_CLIENT_SECRET=attacker".to_owned(),
        format!(
            "MEDPLUM_BASE_URL={}\nMEDPLUM_CLIENT_ACCESS_TOKEN=attacker",
            server.url("/")
        ),
        format!(
            "MEDPLUM_BASE_URL={}\nMEDPLUM_AUTH_TYPE=basic\nMEDPLUM_CLIENT_ID=a\nMEDPLUM_CLIENT_SECRET=attacker",
            server.url("/")
        ),
    ] {
        server.forget();
        medplum.file(".env", given);
        let _ = medplum.run(["post", "-p", "shared", "Patient", "{}"]).ok();
        let sent = server.request_to("/fhir/R4/Patient");
        assert_eq!(
            sent.header("Authorization"),
            Some("Bearer token-of-the-login")
        );
    }
}

/// D14: the profile and the credentials came from the folder, and nothing was said.
#[test]
fn what_is_taken_from_an_env_file_is_said_unless_asked_to_be_quiet() {
    let site = Site::open();
    site.medplum.file(".env", "MEDPLUM_PROFILE=site\n");
    let _ = site
        .medplum
        .run(["get", "Patient/1"])
        .ok()
        .says("Profile site is named by the .env file");
    let quiet = site.medplum.run(["get", "-q", "Patient/1"]).ok();
    assert_eq!(quiet.stderr, "");
    let typed = site.medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    assert_eq!(typed.stderr, "");

    let server = greedy();
    let medplum = Medplum::new();
    medplum.file(".env", lines(&server, Key::ClientSecret, "file-secret"));
    let run = medplum.run(["get", "Patient/1"]).ok();
    let run = run.says("are from the .env file here (MEDPLUM_CLIENT_SECRET)");
    assert!(!run.everything().contains("file-secret"), "{run}");
    assert_eq!(medplum.run(["get", "-q", "Patient/1"]).ok().stderr, "");
}

/// Credentials of a file go to the server that the file names, and to no other one that is named elsewhere.
#[test]
fn credentials_of_an_env_file_are_for_the_server_of_the_same_file() {
    let (ours, theirs) = (greedy(), greedy());
    for named in [
        format!("MEDPLUM_BASE_URL={}\n", theirs.url("/")),
        String::new(),
    ] {
        let medplum = Medplum::new();
        let _ = medplum
            .run(["profile", "set", "x", "--base-url", &ours.url("/")])
            .ok();
        let secret = "MEDPLUM_CLIENT_ID=me\nMEDPLUM_CLIENT_SECRET=file-secret\n";
        medplum.file(".env", named + secret);
        let _ = medplum
            .run(["get", "-p", "x", "Patient/1"])
            .fails(3)
            .says("the .env file here for");
        let _ = medplum
            .run(["get", "-p", "x", "Patient/1", "--no-env-file"])
            .ok();
    }
    assert_eq!((ours.lines().len(), theirs.lines().len()), (2, 0));
    assert!(!told(&ours).contains("secret"));
}

/// D14: after a line that could not be read the rest was dropped, and the POST went out without credentials.
#[test]
fn a_line_that_is_passed_over_is_told_and_the_rest_is_read() {
    let server = greedy();
    let medplum = Medplum::new();
    let lines = lines(&server, Key::ClientSecret, "file-secret");
    medplum.file(
        ".env",
        format!("some words\nMEDPLUM_SCOPE 'hidden-words'\n{lines}"),
    );
    let run = medplum.run(["post", "Patient", "{}"]).ok();
    let run = run.says("line 2 begins with MEDPLUM_");
    assert!(
        !run.stderr.contains("hidden-words") && !run.stderr.contains("line 1"),
        "{run}"
    );
    let sent = server.request_to("/fhir/R4/Patient");
    assert_eq!(sent.header("Authorization"), Some("Bearer t-greedy"));
}

/// D14: a FIFO held every command up. What would use the file says what is wrong; what would not, works.
#[test]
fn an_env_file_that_cannot_be_used_stops_the_commands_that_would_use_it() {
    let server = greedy();
    let breaks: [(&str, Break); 6] = [
        ("no plain file", |medplum| fifo(medplum, ".env")),
        ("no plain file", |medplum| {
            fifo(medplum, "fifo");
            symlink("fifo", medplum.path(".env")).unwrap();
        }),
        ("no plain file", |medplum| {
            symlink("/dev/zero", medplum.path(".env")).unwrap();
        }),
        ("larger than 1 MB", |medplum| {
            medplum.file(".env", vec![b'\n'; (1 << 20) + 1]);
        }),
        ("not UTF-8", |medplum| {
            medplum.file(".env", b"MEDPLUM_SCOPE=\xff\n");
        }),
        ("ermission denied", |medplum| {
            let path = medplum.file(".env", "MEDPLUM_SCOPE=x\n");
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
    ];
    for (reason, break_it) in breaks {
        let medplum = Medplum::of_an_ordinary_user();
        break_it(&medplum);
        let get = ["get", "--base-url", &server.url("/"), "Patient/1"];
        let _ = medplum.run(get).fails(2).says(reason).says("--no-env-file");
        for args in [
            &["profile", "list"][..],
            &["completions", "bash"],
            &["profile", "set", "x", "--base-url", &server.url("/")],
            &["profile", "describe", "x"],
            &["get", "-p", "x", "Patient/1", "--no-env-file"],
        ] {
            let _ = medplum.run(args).ok();
        }
    }
    assert_eq!(server.lines().len(), 6, "only what left the file unread");
}

/// Python programmers call a folder so; it holds no settings.
#[test]
fn a_folder_of_that_name_is_no_file_of_settings() {
    let (medplum, server) = (Medplum::new(), greedy());
    fs::create_dir(medplum.path(".env")).unwrap();
    let _ = medplum
        .run(["get", "--base-url", &server.url("/"), "Patient/1"])
        .ok();
}

/// D1: 2.1 GB of memory until the limit of the machine stopped it.
#[test]
fn files_of_secrets_are_read_no_further_than_a_secret_goes() {
    let server = greedy();
    let base = server.url("/");
    let medplum = a_machine();
    let encrypted = fs::canonicalize("tests/it/data/keys/rsa-encrypted.pem").unwrap();
    let encrypted = encrypted.to_str().unwrap();
    for args in [
        &["--client-secret-file", "/dev/zero"][..],
        &["--private-key-path", "/dev/zero"],
        &[
            "--private-key-path",
            encrypted,
            "--key-passphrase-file",
            "/dev/zero",
        ],
        &[
            "--auth-type",
            "token-exchange",
            "--client-auth",
            "none",
            "--subject-token-file",
            "/dev/zero",
        ],
    ] {
        let get = ["get", "--base-url", &base, "--client-id", "me", "Patient/1"];
        // 1 GB of address space: reading on would end the program.
        let mut words = vec!["prlimit", "--as=1073741824", "--", "medplum"];
        words.extend(get.iter().chain(args));
        let _ = medplum
            .program(words)
            .run()
            .fails(2)
            .says("it holds more than");
    }
    let sent = server
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .count();
    assert_eq!(sent, 0, "{:?}", server.lines());
}

/// D23: "not logged in", although a token was given.
#[test]
fn a_variable_that_is_not_utf_8_does_not_count_as_unset() {
    use std::os::unix::ffi::OsStrExt;
    let server = greedy();
    for name in ["MEDPLUM_CLIENT_ACCESS_TOKEN", "MEDPLUM_PROFILE"] {
        let medplum = Medplum::new().env(name, std::ffi::OsStr::from_bytes(b"t\xffk"));
        let get = ["get", "--base-url", &server.url("/"), "Patient/1"];
        let _ = medplum.run(get).fails(2).says(name);
    }
    assert_eq!(server.lines(), [""; 0]);
}

/// Puts something in the place of the file.
type Break = fn(&Medplum);

fn fifo(medplum: &Medplum, name: &str) {
    let made = Command::new("mkfifo").arg(medplum.path(name)).status();
    assert!(made.unwrap().success());
}
