//! One document, one way to sign in, some commands: what is run, and what must and must not have come where.

use url::Url;

use super::document::{Document, Lead};
use super::identity::Identity;
use super::world::{Came, World};
use crate::support::Medplum;

/// One user's profile and what they run, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// The first part of every path of it.
    pub(super) name: String,
    pub(super) document: Document,
    pub(super) identity: Identity,
    /// Whether the user sets `--token-url`.
    pub(super) is_pinned: bool,
    pub(super) commands: &'static [&'static str],
}

impl Cell {
    /// Runs all; what did not end as it should.
    pub(super) fn run(&self, world: &World) -> Vec<String> {
        let document = self.document.json(world, &self.name, self.identity);
        world.publish(&self.name, document);
        // curl takes no certificate of these for signed by another; that is not what is tested.
        let browser = "#!/bin/sh\nexec curl -skL -o /dev/null \"$1\"\n";
        let medplum = Medplum::new().opening_with(browser);
        // The only certificates it knows, which is faster than reading those of the machine.
        let ca = medplum.file("ca.pem", &world.ca);
        let medplum = medplum.env("SSL_CERT_FILE", &ca);
        medplum.file(
            "patients.ndjson",
            "{\"resourceType\":\"Patient\",\"id\":\"3\"}\n",
        );
        let mut complaints = self.set_up(world, &medplum);
        let signs_in = self.can_sign_in(world);
        for command in self.commands.iter().filter(|command| self.needs(command)) {
            let run = medplum.run(Self::words(command));
            let is_fine = match *command {
                // Whether a lie makes them fail is not what is asked here.
                "doctor" | "whoami" | "logout" | "remove" => [0, 1, 2, 3, 4, 6].contains(&run.code),
                _ => (run.code == 0) == signs_in && [0, 1, 2, 3].contains(&run.code),
            };
            let is_told = !signs_in || *command != "login" || !self.passes_an_alias_over(world);
            if !is_fine || !(is_told || run.stderr.contains("it gets nothing")) {
                complaints.push(format!("{self:?}, can sign in: {signs_in}\n{run}"));
            }
            // Nobody is signed in, so that there is nothing to send.
            if *command == "login" && !signs_in && self.identity.is_person() {
                break;
            }
        }
        complaints
    }

    fn needs(&self, command: &str) -> bool {
        let is_asking = self.commands.contains(&"whoami");
        match command {
            "login" if is_asking => self.identity.asks_for_tokens(),
            "login" => self.identity.is_person(),
            "token" => self.identity != Identity::Basic,
            _ => true,
        }
    }

    fn set_up(&self, world: &World, medplum: &Medplum) -> Vec<String> {
        let path = format!("{}/r4", self.name);
        let named = format!("{}/{}/honest", world.idp_url, self.name);
        let token_url = format!("{named}/token_endpoint");
        let pair = medplum.file("pair.pem", &world.pair).display().to_string();
        let mut args = vec!["profile", "set", "p", "--base-url", &world.fhir_url];
        args.extend(["--fhir-url-path", &path, "--client-id", "client"]);
        args.extend(["-H", "X-Key: key-of-ours"]);
        if self.is_pinned {
            args.extend(["--token-url", &token_url]);
        }
        let flags = self.identity.flags(&named, &pair);
        args.extend(flags.iter().map(String::as_str));
        let run = medplum.run(args);
        let failed = (run.code != 0).then(|| format!("{self:?}\n{run}"));
        failed.into_iter().collect()
    }

    fn words(command: &str) -> Vec<&'static str> {
        let mut words = match command {
            "login" => vec!["login", "--login-timeout", "20s"],
            "get" => vec!["get", "Patient/1"],
            "put" => vec!["put", "Patient/2", r#"{"resourceType":"Patient","id":"2"}"#],
            "export" => vec!["bulk", "export", "-d", "out"],
            "import" => vec!["bulk", "import", "patients.ndjson", "--bundle", "none"],
            "remove" => return vec!["profile", "remove", "p"],
            "whoami" => vec!["whoami"],
            "token" => vec!["token"],
            "doctor" => vec!["doctor"],
            "logout" => vec!["logout"],
            other => panic!("no command {other}"),
        };
        words.extend(["-p", "p", "--retries", "0"]);
        words
    }

    /// The token endpoint in use.
    fn token_lead(&self) -> Lead {
        if self.is_pinned {
            Lead::Honest
        } else {
            self.document.lead("token_endpoint")
        }
    }

    fn url(&self, world: &World, field: &str) -> Url {
        let lead = match field {
            "token_endpoint" => self.token_lead(),
            field => self.document.lead(field),
        };
        Url::parse(&world.url(lead, &self.name, field)).unwrap()
    }

    /// Whether an endpoint may have what is ours: the token endpoint over https, and those of its origin.
    fn may_have(&self, world: &World, url: &Url) -> bool {
        let token = self.url(world, "token_endpoint");
        url.scheme() == "https" && url.origin() == token.origin()
    }

    /// Whether an endpoint works: it may have what is ours, and does not send it elsewhere.
    fn works(&self, world: &World, field: &str) -> bool {
        let url = self.url(world, field);
        self.may_have(world, &url) && !url.path().contains("/hop/")
    }

    /// Whether a token endpoint for certificates is named that may have what is ours. With a token URL nobody asks.
    fn has_alias(&self, world: &World) -> bool {
        let alias = self.url(world, "mtls_endpoint_aliases");
        !self.is_pinned && self.may_have(world, &alias)
    }

    /// A certificate is shown in the handshake, so that an alias on another server would get the rest, and nothing else of
    /// ours would be seen there.
    fn passes_an_alias_over(&self, world: &World) -> bool {
        self.identity == Identity::Certificate && !self.is_pinned && !self.has_alias(world)
    }

    fn can_sign_in(&self, world: &World) -> bool {
        if !self.identity.asks_for_tokens() {
            return true;
        }
        let token = if self.identity == Identity::Certificate && self.has_alias(world) {
            "mtls_endpoint_aliases"
        } else {
            "token_endpoint"
        };
        self.works(world, token)
            && match self.identity {
                Identity::Device => self.works(world, "device_authorization_endpoint"),
                Identity::Pushed => {
                    let is_pushed = self.works(world, "pushed_authorization_request_endpoint");
                    let is_vouched = self.page_is_vouched_for(world) && self.name_is_proved(world);
                    is_vouched && (is_pushed || !self.is_theirs())
                }
                Identity::BrowserAtNamedPage => {
                    let is_vouched = self.is_pinned || self.token_lead() == Lead::Honest || {
                        // The page that the user named is the identity provider's.
                        let token = self.url(world, "token_endpoint");
                        token.as_str().starts_with(&world.idp_url)
                    };
                    is_vouched && self.name_is_proved(world)
                }
                _ => true,
            }
    }

    /// Whether the document is of the token endpoint in use.
    fn is_theirs(&self) -> bool {
        self.document.lead("token_endpoint") == self.token_lead()
    }

    /// Whether the issuer that the document claims is at the token endpoint, or says that it is its own: here every issuer
    /// that can be asked does.
    fn name_is_proved(&self, world: &World) -> bool {
        let issuer = self.url(world, "issuer");
        let is_asked = issuer.scheme() == "https" && self.document.lead("issuer") != Lead::Redirect;
        let token = self.url(world, "token_endpoint");
        self.is_pinned || issuer.origin() == token.origin() || is_asked
    }

    /// Whether the sign-in page is the token endpoint's: it has its origin, or its own server says so.
    fn page_is_vouched_for(&self, world: &World) -> bool {
        let page = self.url(world, "authorization_endpoint");
        let issuer = self.url(world, "issuer");
        let says_so = issuer.origin() == page.origin()
            && self.document.lead("issuer") != Lead::Redirect
            && self.is_theirs();
        page.scheme() == "https" && (self.may_have(world, &page) || says_so)
    }

    /// What came where nothing of ours may come.
    pub(super) fn leaks(&self, world: &World, came: &[Came]) -> Vec<String> {
        let is_leak = |came: &&Came| {
            let url = Url::parse(&came.url()).unwrap();
            let is_fhir = url
                .as_str()
                .starts_with(&format!("{}/{}/r4/", world.fhir_url, self.name));
            let is_named = url.path().contains("/honest/") && self.names(&url);
            // What the FHIR server's own header holds is for it alone.
            let has_key = came.request.header("X-Key").is_some();
            let is_ours = has_key && !is_fhir && !came.url().starts_with(&world.fhir_url);
            let may_have = is_fhir || is_named || self.may_have(world, &url);
            is_ours || !(may_have || came.is_bare() || came.is_person())
        };
        let leaks = came.iter().filter(is_leak);
        leaks
            .map(|came| format!("{self:?}: {} had {:?}", came.url(), came.request))
            .collect()
    }

    /// Whether the user named it.
    fn names(&self, url: &Url) -> bool {
        let is = |field: &str| url.path().ends_with(field);
        match self.identity {
            Identity::BrowserAtNamedPage => is("/authorization_endpoint"),
            Identity::DeviceAtNamedEndpoint => is("/device_authorization_endpoint"),
            _ => false,
        }
    }

    /// What did not come to where it belongs.
    pub(super) fn missing(&self, world: &World, came: &[Came]) -> Vec<String> {
        let to =
            |url: &str| -> Vec<&Came> { came.iter().filter(|came| came.url() == url).collect() };
        let fhir = |path: &str| format!("{}/{}/r4/{path}", world.fhir_url, self.name);
        let mut expected = vec![(
            fhir(".well-known/smart-configuration"),
            self.identity.asks_for_tokens() && !self.is_pinned,
        )];
        let signs_in = self.can_sign_in(world);
        let runs = |command: &str| self.commands.contains(&command);
        for (command, path) in [
            ("get", "Patient/1"),
            ("put", "Patient/2"),
            ("import", "Patient/3"),
            ("export", "$export"),
        ] {
            expected.push((fhir(path), signs_in && runs(command)));
        }
        let has_tokens = signs_in && self.identity.asks_for_tokens();
        for (field, command) in [
            ("introspection_endpoint", "whoami"),
            ("userinfo_endpoint", "whoami"),
            ("revocation_endpoint", "logout"),
        ] {
            let url = self.url(world, field);
            let is_used = has_tokens && runs(command) && self.may_have(world, &url);
            expected.push((url.into(), is_used));
        }
        let mut missing = Vec::new();
        for (url, is_expected) in expected {
            let requests = to(&url);
            let is_fhir = url.starts_with(&world.fhir_url)
                && !url.ends_with("smart-configuration")
                && url.contains("/r4/");
            let has_token = |came: &&Came| {
                let header = came.request.header("Authorization").unwrap_or_default();
                header.starts_with(self.identity.scheme())
            };
            let is_there = requests.iter().any(|came| !is_fhir || has_token(came));
            if is_expected && !is_there {
                missing.push(format!("{self:?}: nothing came to {url}"));
            }
        }
        if has_tokens {
            let proves = |came: &&Came| {
                let path = came.request.path();
                let is_token =
                    path.ends_with("/token_endpoint") || path.ends_with("/mtls_endpoint_aliases");
                is_token && self.identity.is_proved_by(&came.request)
            };
            if !came.iter().any(|came| proves(&came)) {
                missing.push(format!("{self:?}: no proof came to the token endpoint"));
            }
        }
        missing
    }
}
