//! microsocks, a SOCKS5 proxy that others wrote, with a user and a password.

use std::fs;

use super::gateway::{PROXY_ADDRESS, Program};

/// A running proxy; its own connections come from an address that `Gateway` knows.
pub struct Socks(Program);

impl Socks {
    /// A proxy for one user.
    pub fn start(user: &str, password: &str) -> Self {
        Self::with(&["-u", user, "-P", password])
    }

    /// A proxy for everybody.
    pub fn open() -> Self {
        Self::with(&[])
    }

    fn with(args: &[&str]) -> Self {
        Self(Program::start("microsocks", |_, port| {
            let port = port.to_string();
            let own = ["-i", "127.0.0.1", "-p", &port, "-b", PROXY_ADDRESS];
            own.iter()
                .chain(args)
                .map(|arg| (*arg).to_owned())
                .collect()
        }))
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// What it was asked to connect to, as `host:port`: the name, when it was given a name.
    pub fn asked(&self) -> Vec<String> {
        let said = fs::read_to_string(self.0.folder.path().join("said")).unwrap();
        said.lines()
            .filter_map(|line| Some(line.split_once("connected to ")?.1.to_owned()))
            .collect()
    }
}
