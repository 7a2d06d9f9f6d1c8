//! A FHIR server that says lies about endpoints: whatever it names, the client's proof, codes and tokens go to the token
//! endpoint in use and to its server alone.

use std::collections::HashMap;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::keys::key;
use crate::support::tls::Authority;
use crate::support::{Answer, Medplum, Request, Run, Server};

/// Every field of a document that names an endpoint.
const FIELDS: [&str; 9] = [
    "token_endpoint",
    "authorization_endpoint",
    "revocation_endpoint",
    "device_authorization_endpoint",
    "introspection_endpoint",
    "userinfo_endpoint",
    "pushed_authorization_request_endpoint",
    "mtls_endpoint_aliases",
    "issuer",
];

/// What the lies lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// The FHIR server's own origin, which is not that of the token endpoint.
    OtherOrigin,
    /// Another port of the host of the token endpoint.
    OtherPort,
    /// The token endpoint's own host without TLS.
    Http,
    /// The token endpoint's server, which sends on to another one.
    Redirect,
}

const LIES: [Lie; 4] = [Lie::OtherOrigin, Lie::OtherPort, Lie::Http, Lie::Redirect];

/// Every way to sign in, with what it needs beside a client id.
fn auth_types(idp: &str) -> Vec<(&'static str, Vec<String>)> {
    let texts = |list: &[&str]| {
        list.iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let secret = ["--client-secret", "s3cret-of-the-idp"];
    let private_key = key("rsa.jwk");
    let person = |flag: &str, path: &str| {
        let url = format!("{idp}{path}");
        [texts(&secret), texts(&[flag, &url])].concat()
    };
    vec![
        ("client-credentials", texts(&secret)),
        (
            "jwt-bearer",
            [texts(&secret), texts(&["--subject", "user-7"])].concat(),
        ),
        (
            "jwt-assertion",
            texts(&["--private-key-path", &private_key]),
        ),
        (
            "token-exchange",
            [
                texts(&secret),
                texts(&["--subject-token", "subject-token-of-ours"]),
            ]
            .concat(),
        ),
        (
            "authorization-code",
            [
                person("--authorize-url", "/authorize"),
                texts(&["--callback-url", "http://localhost:0/"]),
            ]
            .concat(),
        ),
        (
            "device-code",
            person("--device-authorization-url", "/device"),
        ),
        ("basic", texts(&secret)),
        ("none", texts(&["--access-token", "access-token-of-ours"])),
    ]
}

/// A partner's FHIR server, the identity provider, and where the lies lead.
struct World {
    partner: Server,
    idp: Server,
    elsewhere: Server,
    partner_url: String,
    idp_url: String,
    elsewhere_url: String,
    ca: String,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let [partner, idp, elsewhere] = [(); 3].map(|()| Server::start());
        let front = |server: &Server| authority.front(server, &["localhost"], 2100).url("");
        let world = Self {
            partner_url: front(&partner),
            idp_url: front(&idp),
            elsewhere_url: front(&elsewhere),
            ca: authority.pem().to_owned(),
            partner,
            idp,
            elsewhere,
        };
        world.serve();
        world
    }

    fn serve(&self) {
        let token = json!({"access_token": "access-token-of-ours", "token_type": "Bearer", "expires_in": 300,
            "refresh_token": "refresh-token-of-ours", "scope": "openid"});
        self.idp
            .on("POST", "/token", Answer::json(200, token.to_string()));
        self.idp.on("POST", "/revoke", Answer::empty(200));
        let code = json!({"device_code": "device-code-of-ours", "user_code": "WDJB-MJHT", "expires_in": 60, "interval": 1,
            "verification_uri": "https://example.com/device"});
        self.idp
            .on("POST", "/device", Answer::json(200, code.to_string()));
        self.idp.handler(|request| {
            let query = request.target.strip_prefix("/authorize?")?;
            let asked: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
            let back = format!(
                "{}?code=code-of-ours&state={}",
                asked["redirect_uri"], asked["state"]
            );
            Some(Answer::empty(302).header("Location", &back))
        });
        let elsewhere = self.elsewhere_url.clone();
        self.idp.handler(move |request| {
            let path = request.path().strip_prefix("/hop")?;
            Some(Answer::empty(307).header("Location", &format!("{elsewhere}/lie{path}")))
        });
        for lie in LIES {
            for (number, document) in self.documents(lie).into_iter().enumerate() {
                let base = format!("/r4-{lie:?}-{number}");
                let path = format!("{base}/.well-known/smart-configuration");
                self.partner
                    .on("GET", &path, Answer::json(200, document.to_string()));
                let statement =
                    json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
                self.partner.on(
                    "GET",
                    &format!("{base}/metadata"),
                    Answer::json(200, statement.to_string()),
                );
                self.partner.on(
                    "GET",
                    &format!("{base}/Patient/1"),
                    Answer::json(200, r#"{"resourceType":"Patient"}"#),
                );
            }
            // The issuer that the lies name says the same of itself.
            let issuer = self.lie(lie, "issuer");
            let mut document = self.document(lie, &|_| true);
            document["issuer"] = issuer.clone().into();
            document["token_endpoint"] = format!("{}/token", self.idp_url).into();
            let answer = Answer::json(200, document.to_string());
            let path = "/issuer/.well-known/openid-configuration";
            for server in [&self.partner, &self.elsewhere] {
                server.on("GET", &format!("/lie{path}"), answer.clone());
            }
            self.idp.on("GET", &format!("/plain-lie{path}"), answer);
        }
    }

    /// Where a lie leads for a field.
    fn lie(&self, lie: Lie, field: &str) -> String {
        match lie {
            Lie::OtherOrigin => format!("{}/lie/{field}", self.partner_url),
            Lie::OtherPort => format!("{}/lie/{field}", self.elsewhere_url),
            Lie::Http => self.idp.url_as_localhost(&format!("/plain-lie/{field}")),
            Lie::Redirect => format!("{}/hop/{field}", self.idp_url),
        }
    }

    /// A document in which these fields are lies; the token endpoint is always named.
    fn document(&self, lie: Lie, is_lie: &dyn Fn(&str) -> bool) -> Value {
        let mut document = json!({"token_endpoint": format!("{}/token", self.idp_url)});
        for field in FIELDS.into_iter().filter(|field| is_lie(field)) {
            let url = self.lie(lie, field);
            document[field] = match field {
                "mtls_endpoint_aliases" => {
                    json!({"token_endpoint": url, "revocation_endpoint": url})
                }
                _ => url.into(),
            };
        }
        document
    }

    /// All fields but the token endpoint; all; the issuer alone, which then names the rest; each by itself.
    fn documents(&self, lie: Lie) -> Vec<Value> {
        let mut documents = vec![
            self.document(lie, &|field| field != "token_endpoint"),
            self.document(lie, &|_| true),
        ];
        documents.extend(FIELDS.map(|field| self.document(lie, &|name| name == field)));
        documents
    }

    /// A user whose browser signs in by itself, and who has a profile.
    fn user(&self, base: &str, auth_type: &str, flags: &[String], token_url: bool) -> Medplum {
        let medplum = Medplum::new();
        let ca = medplum.file("ca.pem", &self.ca);
        // curl takes no certificate of these for signed by another; that is not what is tested.
        let script = "#!/bin/sh\nexec curl -skL -o /dev/null \"$1\"\n";
        let medplum = medplum.opening_with(script);
        let run = self.set(&medplum, base, auth_type, flags, token_url, &ca);
        let _ = run.ok();
        medplum
    }

    fn set(
        &self,
        medplum: &Medplum,
        base: &str,
        auth_type: &str,
        flags: &[String],
        token_url: bool,
        ca: &Path,
    ) -> Run {
        let (ca, token) = (ca.display().to_string(), format!("{}/token", self.idp_url));
        let mut args = vec!["profile", "set", "p", "--base-url", &self.partner_url];
        args.extend([
            "--fhir-url-path",
            base,
            "--client-id",
            "client",
            "--ca-cert",
            &ca,
        ]);
        args.extend(["-H", "X-Key: key-of-ours"]);
        if auth_type != "none" {
            args.extend(["--auth-type", auth_type]);
        }
        if token_url {
            args.extend(["--token-url", &token]);
        }
        args.extend(flags.iter().map(String::as_str));
        medplum.run(args)
    }

    /// Where lies lead, nothing of ours came; FHIR had its requests and the token endpoint its own.
    fn check(&self, what: &str) {
        for server in [&self.partner, &self.elsewhere, &self.idp] {
            for request in server.requests() {
                let is_lie =
                    request.path().starts_with("/lie") || request.path().starts_with("/plain-lie");
                assert!(
                    !is_lie || is_bare(&request),
                    "{what}: {} had {request:?}",
                    request.line()
                );
            }
        }
        for request in self.elsewhere.requests() {
            let has_key = request.header("X-Key").is_some();
            assert!(
                is_bare(&request) && !has_key,
                "{what}: elsewhere had {request:?}"
            );
        }
    }
}

/// A question that holds nothing of ours.
fn is_bare(request: &Request) -> bool {
    request.method == "GET"
        && request.header("Authorization").is_none()
        && request.text().is_empty()
        && !request.target.contains('?')
}

/// What is run; a lie may make a command fail, but never panic.
fn run(medplum: &Medplum, command: &[&str]) -> Run {
    let run = medplum.run([command, &["-p", "p", "--retries", "0"]].concat());
    assert!([0, 1, 2, 3, 4, 6].contains(&run.code), "{run}");
    run
}

fn commands_of(auth_type: &str, document: usize) -> Vec<Vec<&'static str>> {
    let mut commands = vec![vec!["login", "--login-timeout", "20s"], vec!["doctor"]];
    if document == 0 {
        commands.extend([vec!["get", "Patient/1"], vec!["token"], vec!["whoami"]]);
    }
    commands.push(vec!["logout"]);
    if ["basic", "none"].contains(&auth_type) {
        commands.retain(|command| command[0] != "login");
    }
    commands
}

fn every_command_of(lie: Lie) {
    let world = World::new();
    let world = &world;
    thread::scope(|scope| {
        for (auth_type, flags) in auth_types(&world.idp_url) {
            scope.spawn(move || {
                // Each field by itself with one type: what it leads to does not depend on the type.
                let documents = if auth_type == "client-credentials" {
                    2 + FIELDS.len()
                } else {
                    2
                };
                for document in 0..documents {
                    let base = format!("r4-{lie:?}-{document}");
                    let medplum = world.user(&base, auth_type, &flags, true);
                    for command in commands_of(auth_type, document) {
                        let run = run(&medplum, &command);
                        if command[0] == "login" {
                            let _ = run.ok();
                        }
                    }
                }
            });
        }
    });
    world.check(&format!("{lie:?}"));
    let to_token = world.idp.requests_to("/token");
    assert!(to_token.len() > 20, "{lie:?}: {}", to_token.len());
    let proved = |name: &str| to_token.iter().any(|request| request.text().contains(name));
    for name in [
        "client_assertion",
        "code-of-ours",
        "device-code-of-ours",
        "subject-token-of-ours",
        "assertion=",
    ] {
        assert!(
            proved(name),
            "{lie:?}: no {name} came to the token endpoint"
        );
    }
    let read = world.partner.requests();
    assert!(
        read.iter()
            .any(|request| request.path().ends_with("/Patient/1")
                && request.header("Authorization") == Some("Bearer access-token-of-ours"))
    );
}

#[test]
fn a_token_url_pins_every_endpoint_against_another_origin() {
    every_command_of(Lie::OtherOrigin);
}

#[test]
fn a_token_url_pins_every_endpoint_against_another_port() {
    every_command_of(Lie::OtherPort);
}

#[test]
fn a_token_url_pins_every_endpoint_against_http() {
    every_command_of(Lie::Http);
}

#[test]
fn a_token_url_pins_every_endpoint_against_a_redirect() {
    every_command_of(Lie::Redirect);
}

/// Without a token URL the FHIR server may name a token endpoint on another server, over https; all others follow it.
#[test]
fn without_a_token_url_all_endpoints_follow_the_one_that_is_named() {
    let world = World::new();
    let world = &world;
    thread::scope(|scope| {
        for lie in LIES {
            scope.spawn(move || {
                for (auth_type, flags) in auth_types(&world.idp_url) {
                    let base = format!("r4-{lie:?}-0");
                    let medplum = world.user(&base, auth_type, &flags, false);
                    for command in commands_of(auth_type, 1) {
                        let _ = run(&medplum, &command);
                    }
                }
            });
        }
    });
    world.check("without --token-url");
    assert!(world.idp.requests_to("/token").len() > 8);
    // A token endpoint without TLS gets nothing either.
    world.idp.forget();
    let flags = ["--client-secret", "s3cret-of-the-idp"].map(str::to_owned);
    let medplum = world.user("r4-Http-1", "client-credentials", &flags, false);
    for command in [&["login"][..], &["get", "Patient/1"], &["doctor"]] {
        let _ = run(&medplum, command).fails(3);
    }
    assert_eq!(world.idp.lines(), [""; 0]);
}

/// A certificate is shown in the handshake, so that an alias of the token endpoint would get the rest: the code, the
/// token to exchange. It counts only at the server of the token endpoint.
#[test]
fn an_alias_for_certificates_on_another_server_is_told_and_not_used() {
    let world = World::new();
    let (cert, private_key) = Authority::new().pair(&["client"]);
    let field = FIELDS
        .iter()
        .position(|field| *field == "mtls_endpoint_aliases")
        .unwrap()
        + 2;
    for lie in [Lie::OtherOrigin, Lie::OtherPort, Lie::Http] {
        for token_url in [true, false] {
            world.idp.forget();
            let medplum = Medplum::new();
            let ca = medplum.file("ca.pem", &world.ca);
            let pair = medplum.file("pair.pem", format!("{cert}{private_key}"));
            let flags = ["--client-cert".to_owned(), pair.display().to_string()];
            let base = format!("r4-{lie:?}-{field}");
            let _ = world
                .set(
                    &medplum,
                    &base,
                    "client-credentials",
                    &flags,
                    token_url,
                    &ca,
                )
                .ok();
            let login = run(&medplum, &["login"]).ok();
            if !token_url {
                let _ = login.says("gets nothing unless --token-url names it");
            }
            assert_eq!(world.idp.requests_to("/token").len(), 1);
            world.check(&format!("{lie:?} {token_url}"));
        }
    }
}
