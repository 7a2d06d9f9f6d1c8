//! Where a setting comes from, and which credential belongs to which server.

use crate::support::oauth::basic;
use crate::support::{Answer, Medplum, Server, Site, TokenEndpoint};

/// A server that answers every GET with an empty object.
fn open_server() -> Server {
    let server = Server::start();
    server.handler(|request| (request.method == "GET").then(|| Answer::json(200, "{}")));
    server
}

/// What a foreign server must never see, of what it was sent: something must have been.
#[track_caller]
fn assert_saw_no_credential(server: &Server) {
    assert!(!server.requests().is_empty(), "nothing arrived at all");
    for request in server.requests() {
        assert!(request.header("Authorization").is_none(), "{request:?}");
        assert!(!request.text().contains("secret"), "{request:?}");
    }
}

/// The Basic pair of the only token request at a path.
#[track_caller]
fn client_at(server: &Server, path: &str) -> (String, String) {
    basic(server.request_to(path).header("Authorization").unwrap()).unwrap()
}

#[test]
fn a_flag_beats_the_profile_the_environment_the_env_file_and_the_default() {
    let server = open_server();
    let base = server.url("");
    let asked = |medplum: &Medplum, args: &[&str]| {
        server.forget();
        medplum.run(["get", "Patient/1"].iter().chain(args)).ok();
        server
            .lines()
            .join(" ")
            .replace("GET /", "")
            .replace("/Patient/1", "")
    };
    let medplum = Medplum::new();
    let all = Medplum::new().env("MEDPLUM_FHIR_URL_PATH", "environment");
    for (machine, path) in [(&all, "profile"), (&medplum, "")] {
        let mut set = vec!["profile", "set", "x", "--base-url", &base];
        if !path.is_empty() {
            set.extend(["--fhir-url-path", path]);
        }
        machine.run(set).ok();
        machine.file(".env", "MEDPLUM_FHIR_URL_PATH=file\n");
    }
    assert_eq!(asked(&all, &["-p", "x", "--fhir-url-path", "flag"]), "flag");
    assert_eq!(asked(&all, &["-p", "x"]), "profile");
    all.run(["profile", "set", "x", "--base-url", &base]).ok();
    assert_eq!(asked(&all, &["-p", "x"]), "environment");
    assert_eq!(asked(&medplum, &["-p", "x"]), "file");
    assert_eq!(asked(&medplum, &["-p", "x", "--no-env-file"]), "fhir/R4");
    assert_eq!(asked(&all, &["-p", "x", "--no-env-file"]), "environment");
}

/// A25: nothing but the base settings could come from the environment.
#[test]
fn a_ci_job_needs_the_environment_alone() {
    let server = Server::start();
    let token = TokenEndpoint::on(&server, "/custom/token");
    let medplum = Medplum::new()
        .env("MEDPLUM_BASE_URL", server.url("/"))
        .env("MEDPLUM_FHIR_URL_PATH", "open/fhir")
        .env("MEDPLUM_TOKEN_URL", "custom/token")
        .env("MEDPLUM_AUTH_TYPE", "client-credentials")
        .env("MEDPLUM_CLIENT_ID", "MY_CLIENT_ID")
        .env("MEDPLUM_CLIENT_SECRET", "MY_CLIENT_SECRET")
        .env("MEDPLUM_SCOPE", "system/*.rs");
    server.on("GET", "/open/fhir/Patient/1", Answer::json(200, "{}"));
    medplum.run(["get", "Patient/1"]).ok();
    let request = &token.requests()[0];
    assert_eq!(
        request.form(),
        [
            ("grant_type", "client_credentials"),
            ("scope", "system/*.rs")
        ]
        .map(|(a, b)| (a.into(), b.into()))
    );
    assert_eq!(
        server
            .request_to("/open/fhir/Patient/1")
            .header("Authorization"),
        Some("Bearer token-1")
    );
}

/// A25: no variable for profile, folder and auth type.
#[test]
fn profile_folder_and_auth_type_have_variables() {
    let server = open_server();
    let medplum = Medplum::new();
    let folder = medplum.path("profiles");
    let base = server.url("");
    let set = [
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--client-id",
        "me",
        "--client-secret",
        "own-secret",
    ];
    medplum
        .command(set)
        .env("MEDPLUM_CONFIG_DIR", &folder)
        .run()
        .ok();
    assert!(folder.join("x.json").is_file() && !medplum.home().join(".medplum").exists());

    let get = medplum
        .command(["get", "Patient/1"])
        .env("MEDPLUM_CONFIG_DIR", &folder);
    get.env("MEDPLUM_PROFILE", "x")
        .env("MEDPLUM_AUTH_TYPE", "basic")
        .run()
        .ok();
    assert_eq!(
        client_at(&server, "/fhir/R4/Patient/1"),
        ("me".into(), "own-secret".into())
    );
    let unknown = medplum
        .command(["get", "Patient/1"])
        .env("MEDPLUM_PROFILE", "nobody")
        .run();
    unknown.fails(2).says("Profile \"nobody\" does not exist");
}

#[test]
fn an_access_token_from_the_environment_is_used_and_a_flag_beats_it() {
    let server = open_server();
    let medplum = Medplum::new()
        .env("MEDPLUM_BASE_URL", server.url(""))
        .env("MEDPLUM_CLIENT_ACCESS_TOKEN", "env-token");
    medplum.run(["get", "Patient/1"]).ok();
    medplum
        .run(["get", "Patient/2", "--access-token", "flag-token"])
        .ok();
    assert_eq!(
        server
            .request_to("/fhir/R4/Patient/1")
            .header("Authorization"),
        Some("Bearer env-token")
    );
    assert_eq!(
        server
            .request_to("/fhir/R4/Patient/2")
            .header("Authorization"),
        Some("Bearer flag-token")
    );
}

#[test]
fn a_whole_env_file_works_by_itself() {
    let site = Site::without_profile();
    let lines = format!(
        "MEDPLUM_BASE_URL={}\nMEDPLUM_CLIENT_ID=MY_CLIENT_ID\nMEDPLUM_CLIENT_SECRET=\"MY_CLIENT_SECRET\"\n",
        site.server.url("/")
    );
    site.medplum.file(".env", lines);
    site.medplum.run(["get", "Patient/1"]).ok();
    assert_eq!(site.tokens.count(), 1);
}

#[test]
fn the_environment_completes_a_profile_without_credentials() {
    let site = Site::without_profile();
    let medplum = Medplum::new().env("MEDPLUM_CLIENT_SECRET", "MY_CLIENT_SECRET");
    let base = site.server.url("");
    medplum
        .run([
            "profile",
            "set",
            "x",
            "--base-url",
            &base,
            "--client-id",
            "MY_CLIENT_ID",
        ])
        .ok();
    medplum.run(["get", "-p", "x", "Patient/1"]).ok();
    assert_eq!(
        client_at(&site.server, "/oauth2/token"),
        ("MY_CLIENT_ID".into(), "MY_CLIENT_SECRET".into())
    );
    assert!(!medplum.profile_text("x").contains("MY_CLIENT_SECRET"));
}

#[test]
fn the_environment_does_not_replace_the_credentials_of_a_profile() {
    let site = Site::open();
    for (name, value) in [
        ("MEDPLUM_CLIENT_SECRET", "env-secret"),
        ("MEDPLUM_CLIENT_ACCESS_TOKEN", "env-secret-token"),
        ("MEDPLUM_CLIENT_ID", "env-id"),
    ] {
        site.server.forget();
        site.medplum
            .command(["get", "-p", "site", "Patient/1"])
            .env(name, value)
            .run()
            .ok();
        let read = site.server.request_to("/fhir/R4/Patient/1");
        assert!(
            read.header("Authorization")
                .unwrap()
                .starts_with("Bearer token-"),
            "{name}"
        );
    }
}

#[test]
fn environment_credentials_for_another_server_stay_away_from_a_profile() {
    let (ours, theirs) = (open_server(), open_server());
    let medplum = Medplum::new()
        .env("MEDPLUM_BASE_URL", theirs.url(""))
        .env("MEDPLUM_CLIENT_ID", "env-id")
        .env("MEDPLUM_CLIENT_SECRET", "env-secret")
        .env("MEDPLUM_CLIENT_ACCESS_TOKEN", "env-secret-token");
    medplum
        .run(["profile", "set", "x", "--base-url", &ours.url("")])
        .ok();
    let run = medplum.run(["get", "-p", "x", "Patient/1"]);
    run.fails(3).says("belong to another server");
    assert_eq!(ours.lines(), [""; 0]);
    assert_eq!(theirs.lines(), [""; 0]);
}

#[test]
fn a_stored_secret_does_not_follow_a_base_url_flag_to_another_server() {
    let site = Site::open();
    let foreign = open_server();
    let token = TokenEndpoint::on(&foreign, "/oauth2/token");
    let run = site.medplum.run([
        "get",
        "-p",
        "site",
        "--base-url",
        &foreign.url(""),
        "Patient/1",
    ]);
    run.fails(3).says("belong to another server");
    assert_eq!(foreign.lines(), [""; 0]);
    assert_eq!((token.count(), site.tokens.count()), (0, 0));
}

#[test]
fn a_stored_login_does_not_follow_a_base_url_flag_to_another_server() {
    let site = Site::open();
    site.medplum.run(["login", "-p", "site"]).ok();
    let foreign = open_server();
    let run = site.medplum.run([
        "get",
        "-p",
        "site",
        "--base-url",
        &foreign.url(""),
        "Patient/1",
    ]);
    run.fails(3).says("belong to another server");
    assert_eq!(foreign.lines(), [""; 0]);
}

/// A7: the login of the default profile went to whatever host the `.env` of a cloned repository named.
#[test]
fn a_stored_login_never_goes_to_a_server_that_an_env_file_names() {
    let foreign = open_server();
    let medplum = Medplum::new();
    let login =
        serde_json::json!({"accessToken": "secret-access", "refreshToken": "secret-refresh"});
    medplum.write_profile(
        "default",
        &serde_json::json!({"activeLogin": login, "logins": [login]}),
    );
    let before = medplum.profile_text("default");
    medplum.file(".env", format!("MEDPLUM_BASE_URL={}\n", foreign.url("/")));
    let run = medplum.run(["get", "Patient/1"]);
    run.ok();
    assert_saw_no_credential(&foreign);
    assert_eq!(medplum.profile_text("default"), before);
}

/// A7, for the secret that a profile holds.
#[test]
fn a_stored_secret_never_goes_to_a_url_that_an_env_file_names() {
    let foreign = open_server();
    let token = TokenEndpoint::on(&foreign, "/oauth2/token");
    let medplum = Medplum::new();
    medplum
        .run([
            "profile",
            "set",
            "default",
            "--client-id",
            "me",
            "--client-secret",
            "own-secret",
        ])
        .ok();
    medplum.file(".env", format!("MEDPLUM_BASE_URL={}\n", foreign.url("/")));
    let run = medplum.run(["get", "Patient/1"]);
    run.fails(3).says("belong to another server");
    assert_eq!(foreign.lines(), [""; 0]);
    assert_eq!(token.count(), 0);

    let site = Site::without_profile();
    let base = site.server.url("");
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    site.medplum
        .run(["profile", "set", "x"].iter().chain(&flags))
        .ok();
    site.medplum.file(
        ".env",
        format!("MEDPLUM_TOKEN_URL={}\n", foreign.url("/oauth2/token")),
    );
    site.medplum.run(["get", "-p", "x", "Patient/1"]).ok();
    assert_eq!((token.count(), site.tokens.count()), (0, 1));
}

/// A7, by the other variables that name a server: the base URL is the profile's, the FHIR base is not.
#[test]
fn a_stored_credential_never_goes_to_a_fhir_base_that_an_env_file_names() {
    for flags in [&[][..], &["--auth-type", "basic"]] {
        let (site, foreign) = (Site::without_profile(), open_server());
        let base = site.server.url("");
        let client = ["--base-url", &base, "--client-id", "MY_CLIENT_ID"];
        let secret = ["--client-secret", "MY_CLIENT_SECRET"];
        let set = ["profile", "set", "x"];
        site.medplum
            .run(set.iter().chain(&client).chain(&secret))
            .ok();
        site.medplum.run(["login", "-p", "x"]).ok();
        let there = foreign.url("/fhir/R4/Patient/1");
        let get = |path: &str| {
            let get = ["get", "-p", "x", path];
            site.medplum.run(get.iter().chain(flags))
        };
        let names = |variable: &str| {
            let line = format!("{variable}={}\n", foreign.url("/fhir/R4"));
            site.medplum.file(".env", line);
        };
        names("MEDPLUM_FHIR_URL_PATH");
        for path in ["Patient/1", &there] {
            get(path).fails(3).says("belong to another server");
        }
        assert_eq!(foreign.lines(), [""; 0]);
        names("MEDPLUM_TRUST_ORIGIN");
        get(&there).ok().says("MEDPLUM_TRUST_ORIGIN");
        assert_saw_no_credential(&foreign);
    }
}

/// The same for a flag: the credential belongs to the server that the profile names.
#[test]
fn a_stored_credential_does_not_follow_a_fhir_url_flag_to_another_server() {
    for flag in ["--fhir-url", "--fhir-url-path"] {
        let (site, foreign) = (Site::open(), open_server());
        site.medplum.run(["login", "-p", "site"]).ok();
        let there = foreign.url("/fhir/R4");
        for auth in [&[][..], &["--auth-type", "basic"]] {
            let get = ["get", "-p", "site", flag, &there, "Patient/1"];
            let run = site.medplum.run(get.iter().chain(auth)).fails(3);
            run.says("belong to another server");
        }
        assert_eq!(foreign.lines(), [""; 0]);
    }
}

#[test]
fn a_profile_that_names_its_server_is_not_moved_by_environment_or_env_file() {
    let (site, foreign) = (Site::open(), open_server());
    site.medplum
        .file(".env", format!("MEDPLUM_BASE_URL={}\n", foreign.url("/")));
    let get = site.medplum.command(["get", "-p", "site", "Patient/1"]);
    get.env("MEDPLUM_BASE_URL", foreign.url("/")).run().ok();
    assert_eq!((site.gets(), foreign.lines().len()), (1, 0));
}

#[test]
fn tokens_of_flag_or_environment_credentials_do_not_replace_a_login() {
    let site = Site::open();
    site.medplum.run(["login", "-p", "site"]).ok();
    let login = site.medplum.stored("site", "activeLogin");
    let given = [
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
        "--scope",
        "other",
    ];
    site.medplum
        .run(["get", "-p", "site", "Patient/1"].iter().chain(&given))
        .ok();
    let run = site
        .medplum
        .command([
            "get",
            "-p",
            "site",
            "Patient/1",
            "--access-token",
            "token-1",
        ])
        .run();
    run.ok();
    assert_eq!(site.medplum.stored("site", "activeLogin"), login);
}

/// The path of FHIR is added to it: a base URL that ends in one is a mistake that shows as a 404, much later.
#[test]
fn a_base_url_that_is_one_of_fhir_already_is_said_with_the_command_that_mends_it() {
    let server = open_server();
    let medplum = Medplum::new();
    for (base, split) in [
        ("/fhir/R4", "--base-url B/ --fhir-url-path fhir/R4"),
        ("/hapi/baseR4/", "--base-url B/hapi --fhir-url-path baseR4"),
    ] {
        let run = medplum.run(["profile", "set", "x", "--base-url", &server.url(base)]);
        let said = run.ok().stderr.replace(&server.url(""), "B");
        let (_, mended) = said.split_once("medplum profile set x --update ").unwrap();
        assert!(mended.starts_with(split), "{said}");
        // The command does what it says.
        let words = mended.lines().next().unwrap().replace('B', &server.url(""));
        let words = words
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let args = ["profile", "set", "x", "--update"].map(str::to_owned);
        let run = medplum.run(args.into_iter().chain(words)).ok();
        assert!(!run.stderr.contains("--fhir-url-path"), "{run}");
        server.forget();
        medplum.run(["get", "Patient/1", "-p", "x"]).ok();
        let asked = format!("GET {}/Patient/1", base.trim_end_matches('/'));
        assert_eq!(server.lines(), [asked]);
    }
    for base in ["", "/api", "/fhir/R4"] {
        let url = server.url(base);
        let mut args = vec!["profile", "set", "y", "--base-url", &url];
        if base == "/fhir/R4" {
            args.extend(["--fhir-url-path", "below"]);
        }
        let run = medplum.run(args).ok();
        assert!(!run.stderr.contains("--update --base-url"), "{run}");
    }
}
