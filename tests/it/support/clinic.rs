//! A FHIR server behind an authorization server, and a user with a browser and the profile `clinic` for it.

use super::authorization::PUBLIC_CLIENT;
use super::browser::{Page, visit};
use super::fhir::PATIENT;
use super::run::Running;
use super::{Answer, AuthorizationServer, Medplum, Run, Server};

/// The callback of the profile: any port, a path of its own.
pub const CALLBACK: &str = "http://localhost:0/signed/in";

/// Where people sign in.
pub struct Clinic {
    pub server: Server,
    pub auth: AuthorizationServer,
    pub medplum: Medplum,
}

impl Clinic {
    /// A clinic, and a user whose profile names its public client and the scope `openid fhirUser`.
    pub fn open() -> Self {
        let clinic = Self::without_profile();
        clinic.set_profile(&["--client-id", PUBLIC_CLIENT, "--scope", "openid fhirUser"]);
        clinic
    }

    /// A clinic nobody has a profile for.
    pub fn without_profile() -> Self {
        let server = Server::start();
        let auth = AuthorizationServer::on(&server);
        let tokens = auth.clone();
        server.handler(move |request| {
            (request.path() == "/fhir/R4/Patient/1").then(|| {
                if tokens.accepts(request.header("Authorization")) {
                    Answer::json(200, PATIENT)
                } else {
                    Answer::outcome(401, "login", "a good token is needed")
                }
            })
        });
        Self {
            server,
            auth,
            medplum: Medplum::with_browser(),
        }
    }

    /// Sets the profile to the server and these flags.
    #[track_caller]
    pub fn set_profile(&self, flags: &[&str]) {
        let base = self.server.url("/");
        let mut args = vec!["profile", "set", "clinic", "--base-url", &base];
        args.extend([
            "--auth-type",
            "authorization-code",
            "--callback-url",
            CALLBACK,
        ]);
        args.extend(flags);
        self.medplum.run(args).ok();
    }

    /// Starts `login -p clinic` with these flags.
    pub fn login(&self, flags: &[&str]) -> Running {
        self.medplum
            .spawn(["login", "-p", "clinic"].iter().chain(flags))
    }

    /// A whole login: the browser opens, the person agrees, the browser goes back.
    #[track_caller]
    #[must_use]
    pub fn log_in(&self, flags: &[&str]) -> (Run, Page) {
        let login = self.login(flags);
        let back = self.auth.authorize(&self.medplum.opened(&login));
        let page = visit(&back);
        (login.finish(), page)
    }

    /// Reads the patient with the profile.
    #[track_caller]
    #[must_use]
    pub fn get(&self) -> Run {
        self.medplum.run(["get", "-p", "clinic", "Patient/1"])
    }
}
