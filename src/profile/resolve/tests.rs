//! Which layer wins, and whose credentials go where.

use super::*;
use crate::profile::login::StoredLogin;
use crate::profile::{Settings, Side};

fn settings(pairs: &[(Key, &str)]) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in pairs {
        settings.set(*key, Some((*value).to_owned()));
    }
    settings
}

fn secret(profile: &Profile) -> Option<&str> {
    profile.client_secret.as_ref().map(Secret::expose)
}

const A: &str = "https://a.example";
const B: &str = "https://b.example";

#[test]
fn the_stronger_layer_wins() {
    let layers = Layers {
        flags: settings(&[(Key::Scope, "flag")]),
        profile: settings(&[(Key::Scope, "profile"), (Key::FhirUrlPath, "/api/v2/")]),
        environment: settings(&[(Key::FhirUrlPath, "env"), (Key::Audience, "env")]),
        env_file: settings(&[(Key::Audience, "file"), (Key::BaseUrl, A)]),
        ..Layers::default()
    };
    let profile = resolve("x", &layers).unwrap();
    assert_eq!(profile.scope.as_deref(), Some("flag"));
    assert_eq!(profile.fhir_base.as_str(), "https://a.example/api/v2");
    assert_eq!(profile.audience.as_deref(), Some("env"));
    let nothing = resolve("x", &Layers::default()).unwrap();
    assert_eq!(
        nothing.fhir_base.as_str(),
        "https://api.medplum.com/fhir/R4"
    );
}

#[test]
fn environment_credentials_complete_a_profile_that_has_none() {
    let mut layers = Layers {
        profile: settings(&[(Key::BaseUrl, A), (Key::ClientId, "id")]),
        environment: settings(&[(Key::ClientSecret, "env-secret")]),
        ..Layers::default()
    };
    assert_eq!(secret(&resolve("x", &layers).unwrap()), Some("env-secret"));
    // The environment names another client, or another server.
    layers.environment = settings(&[(Key::ClientSecret, "env-secret"), (Key::ClientId, "other")]);
    assert_eq!(secret(&resolve("x", &layers).unwrap()), None);
    layers.environment = settings(&[(Key::ClientSecret, "env-secret"), (Key::BaseUrl, B)]);
    assert_eq!(secret(&resolve("x", &layers).unwrap()), None);
    // The profile has one of its own.
    layers
        .profile
        .set(Key::ClientSecret, Some("own-secret".into()));
    layers.environment = settings(&[
        (Key::ClientSecret, "env-secret"),
        (Key::AccessToken, "env-token"),
    ]);
    let profile = resolve("x", &layers).unwrap();
    assert_eq!(secret(&profile), Some("own-secret"));
    assert!(profile.access_token.is_none());
}

#[test]
fn stored_and_exported_credentials_do_not_follow_a_server_named_elsewhere() {
    let stored = settings(&[(Key::ClientId, "id"), (Key::ClientSecret, "own-secret")]);
    let from_env_file = Layers {
        profile: stored.clone(),
        env_file: settings(&[(Key::BaseUrl, B)]),
        ..Layers::default()
    };
    let profile = resolve("x", &from_env_file).unwrap();
    assert_eq!(secret(&profile), None);
    assert!(!profile.may_use_login);
    assert!(profile.withheld_for.is_some());

    let exported = Layers {
        environment: stored.clone(),
        env_file: settings(&[(Key::BaseUrl, B)]),
        ..Layers::default()
    };
    assert_eq!(secret(&resolve("x", &exported).unwrap()), None);

    let mut named = stored;
    named.set(Key::BaseUrl, Some(A.into()));
    let by_flag = Layers {
        flags: settings(&[(Key::BaseUrl, B)]),
        profile: named.clone(),
        ..Layers::default()
    };
    assert_eq!(secret(&resolve("x", &by_flag).unwrap()), None);
    let mut login = named.clone();
    login.set(Key::ClientSecret, Some(String::new()));
    let token_url_from_env_file = Layers {
        profile: named,
        env_file: settings(&[(Key::TokenUrl, "https://b.example/token")]),
        ..Layers::default()
    };
    // Nor does the refresh token of a login, which is no credential of a layer.
    let with_login = Layers {
        profile: login,
        login: Some(StoredLogin::default()),
        ..token_url_from_env_file.clone()
    };
    let profile = resolve("x", &with_login).unwrap();
    assert!(profile.may_use_login && profile.token_url.is_none());
    assert!(
        resolve("x", &token_url_from_env_file)
            .unwrap()
            .token_url
            .is_none()
    );
}

#[test]
fn an_env_file_puts_fhir_on_no_other_server_than_it_names_itself() {
    let elsewhere = "https://b.example/fhir";
    let mut layers = Layers {
        flags: settings(&[
            (Key::BaseUrl, A),
            (Key::ClientId, "id"),
            (Key::ClientSecret, "typed-secret"),
        ]),
        env_file: settings(&[(Key::FhirUrlPath, elsewhere)]),
        ..Layers::default()
    };
    for base in ["", A] {
        layers.env_file.set(Key::BaseUrl, Some(base.to_owned()));
        let refused = resolve("x", &layers).unwrap_err();
        assert!(
            matches!(refused, ProfileError::LedElsewhere { .. }),
            "{refused}"
        );
    }
    layers.env_file = settings(&[(Key::FhirUrlPath, "https://A.example:443/r5")]);
    // Another path of the same server says where tokens come from, too.
    let refused = resolve("x", &layers).unwrap_err();
    assert!(
        matches!(refused, ProfileError::LedElsewhere { .. }),
        "{refused}"
    );
    layers.flags = settings(&[(Key::BaseUrl, A)]);
    let profile = resolve("x", &layers).unwrap();
    assert_eq!(profile.fhir_base.as_str(), "https://a.example/r5");
    let by_file = Layers {
        env_file: settings(&[(Key::BaseUrl, A), (Key::FhirUrlPath, elsewhere)]),
        ..Layers::default()
    };
    assert_eq!(
        resolve("x", &by_file).unwrap().fhir_base.as_str(),
        elsewhere
    );
}

/// The default server is meant by who names none; a file that repeats it had FHIR anywhere below it.
#[test]
fn an_env_file_that_repeats_the_default_server_moves_fhir_for_no_credential_of_another_layer() {
    let base = "https://api.medplum.com";
    let own = settings(&[(Key::ClientId, "id"), (Key::ClientSecret, "stored-secret")]);
    for path in ["storage/evil", "https://b.example/fhir"] {
        let file = settings(&[(Key::BaseUrl, base), (Key::FhirUrlPath, path)]);
        let refused = |layers: Layers| {
            let refused = resolve("x", &layers);
            matches!(refused, Err(ProfileError::LedElsewhere { .. }))
        };
        let mut layers = Layers {
            env_file: file,
            ..Layers::default()
        };
        assert!(!refused(layers.clone()), "{path}");
        layers.profile = own.clone();
        // To another server it does not go at all.
        let is_sent = resolve("x", &layers).is_ok_and(|profile| profile.client_secret.is_some());
        assert_eq!(refused(layers.clone()), path == "storage/evil");
        assert!(!is_sent, "{path}");
        layers.profile = Settings::default();
        layers.flags = own.clone();
        assert!(refused(layers), "{path}");
    }
}

#[test]
fn beside_a_credential_of_the_same_server_an_env_file_says_nothing_of_sign_in() {
    let file = settings(&[
        (Key::BaseUrl, A),
        (Key::Audience, "https://b.example/token"),
        (Key::Subject, "admin"),
        (Key::KeyPassphrase, "opens"),
        (Key::Scope, "s"),
    ]);
    let own = settings(&[(Key::BaseUrl, A), (Key::PrivateKeyPath, "key.pem")]);
    let as_profile = Layers {
        profile: own.clone(),
        env_file: file.clone(),
        ..Layers::default()
    };
    let exported = Layers {
        environment: own.clone(),
        env_file: file.clone(),
        ..Layers::default()
    };
    let typed = Layers {
        flags: own,
        env_file: file,
        ..Layers::default()
    };
    for layers in [as_profile, exported, typed] {
        let profile = resolve("x", &layers).unwrap();
        assert_eq!((profile.audience, profile.subject), (None, None));
        assert!(profile.key_passphrase.is_some() && profile.private_key_path.is_some());
        assert_eq!(profile.scope.as_deref(), Some("s"));
    }
}

#[test]
fn parameters_of_a_profile_go_to_no_endpoint_that_an_env_file_names() {
    let params = |profile: &Profile| profile.asks.token_params.len();
    let mut layers = Layers {
        profile: settings(&[
            (Key::BaseUrl, A),
            (Key::ClientId, "id"),
            (Key::TokenParams, "key=hush"),
        ]),
        env_file: settings(&[(Key::BaseUrl, A), (Key::ClientSecret, "file-secret")]),
        ..Layers::default()
    };
    let profile = resolve("x", &layers).unwrap();
    assert_eq!(
        (params(&profile), secret(&profile)),
        (1, Some("file-secret"))
    );
    layers
        .env_file
        .set(Key::TokenUrl, Some("https://b.example/token".into()));
    let profile = resolve("x", &layers).unwrap();
    assert!(profile.token_url.is_some());
    assert_eq!(params(&profile), 0);
    // Nor to a server that only the file names.
    layers.profile.set(Key::BaseUrl, Some(String::new()));
    layers.env_file = settings(&[(Key::BaseUrl, B)]);
    assert_eq!(params(&resolve("x", &layers).unwrap()), 0);
}

#[test]
fn a_whole_env_file_works_by_itself_beside_a_stale_profile() {
    let layers = Layers {
        profile: settings(&[(Key::ClientId, "old"), (Key::ClientSecret, "own-secret")]),
        env_file: settings(&[
            (Key::BaseUrl, B),
            (Key::ClientId, "new"),
            (Key::ClientSecret, "file-secret"),
        ]),
        ..Layers::default()
    };
    let profile = resolve("x", &layers).unwrap();
    assert_eq!(
        (profile.client_id.as_deref(), secret(&profile)),
        (Some("new"), Some("file-secret"))
    );
}

#[test]
fn a_stored_login_stands_above_an_env_file_that_names_the_same_server() {
    let mut layers = Layers {
        profile: settings(&[(Key::BaseUrl, A), (Key::ClientId, "id")]),
        env_file: settings(&[
            (Key::BaseUrl, A),
            (Key::AccessToken, "file-token"),
            (Key::TokenUrl, "https://b.example/token"),
            (Key::Scope, "s"),
        ]),
        ..Layers::default()
    };
    let profile = resolve("x", &layers).unwrap();
    assert!(profile.access_token.is_some() && !profile.may_use_login);
    layers.login = Some(StoredLogin::default());
    let profile = resolve("x", &layers).unwrap();
    assert!(profile.access_token.is_none() && profile.may_use_login);
    assert!(profile.token_url.is_none() && profile.withheld_for.is_none());
    assert_eq!(profile.scope.as_deref(), Some("s"));
}

#[test]
fn a_profile_without_a_server_holds_what_is_for_the_default_one() {
    let stored = settings(&[(Key::ClientId, "id"), (Key::ClientSecret, "own-secret")]);
    let login = |server: Option<&str>| {
        Some(StoredLogin {
            server: server.map(str::to_owned),
            client_id: None,
        })
    };
    let elsewhere = settings(&[(Key::BaseUrl, B)]);
    for (flags, environment) in [
        (elsewhere.clone(), Settings::default()),
        (Settings::default(), elsewhere),
    ] {
        let mut layers = Layers {
            flags,
            environment,
            profile: stored.clone(),
            login: login(None),
            ..Layers::default()
        };
        let profile = resolve("x", &layers).unwrap();
        assert_eq!(secret(&profile), None);
        assert!(!profile.may_use_login);
        let remedy = profile.withheld_for.unwrap().remedy;
        assert!(
            remedy.contains("profile set x --update --base-url https://b.example"),
            "{remedy}"
        );
        layers.login = login(Some("https://b.example/fhir/R4"));
        assert!(resolve("x", &layers).unwrap().may_use_login);
    }
    let at_home = Layers {
        environment: settings(&[(Key::BaseUrl, "https://api.medplum.com")]),
        profile: stored,
        login: login(None),
        ..Layers::default()
    };
    let profile = resolve("x", &at_home).unwrap();
    assert!(profile.may_use_login && secret(&profile) == Some("own-secret"));
}

/// The table, row by row: beside the server of the same file, for another one, and with a path out of the folder.
#[test]
fn every_setting_of_an_env_file_keeps_to_its_side() {
    for &key in Key::ALL {
        let file = |base: &str| Layers {
            env_file: settings(&[(Key::BaseUrl, base), (key, "../outside")]),
            flags: settings(&[(Key::BaseUrl, B)]),
            ..Layers::default()
        };
        if key == Key::BaseUrl {
            continue;
        }
        let server = |layers: &Layers| Server::of(layers).unwrap().value(key).is_some();
        let (beside, elsewhere) = (server(&file(B)), server(&file(A)));
        let expected = match key.side() {
            Side::Never => (false, false),
            Side::BesideServer | Side::PathInside | Side::Freely => (true, false),
        };
        assert_eq!((beside, elsewhere), expected, "{key:?}");
        let names_none = Layers {
            env_file: settings(&[(key, "../outside")]),
            ..file(B)
        };
        assert_eq!(server(&names_none), key.side() == Side::Freely, "{key:?}");
        if key.side() == Side::PathInside {
            let refused = resolve("x", &file(B)).unwrap_err();
            assert!(
                matches!(refused, ProfileError::BadSetting { key: of, .. } if of == key),
                "{refused}"
            );
        }
    }
}
