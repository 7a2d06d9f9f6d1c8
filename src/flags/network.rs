//! The way to a server: what a profile keeps of it, and how patient one command is. A new flag is a row here.

use std::time::Duration;

use clap::value_parser;

use super::chain::Chain;
use super::flag::Flag;
use crate::exit::Failure;
use crate::http::Network;
use crate::profile::Key;
use crate::profile::network::duration;

/// What a profile keeps, in the order of `medplum help options`.
pub const FLAGS: &[Flag] = &[
    Flag::list(
        Key::Headers,
        "\n",
        "header",
        "NAME: VALUE",
        "Add a header to requests to the server; `profile set` stores it, and 'NAME:' takes it away",
    )
    .short('H'),
    Flag::text(
        Key::ConnectTimeout,
        "connect-timeout",
        "TIME",
        "Longest time to connect [default: 10s]",
    ),
    Flag::text(
        Key::MaxRequestsPerSecond,
        "max-requests-per-second",
        "N",
        "Most requests that begin in a second, of all kinds together; none by default",
    ),
    Flag::path(
        Key::CaCert,
        "ca-cert",
        "Trust the certificates in this PEM file too",
    ),
    Flag::switch(
        Key::Insecure,
        "insecure",
        "Check no certificates; for tests only. In a profile it warns at every command, and --insecure=false ends it",
    ),
];

/// What holds for one command alone.
pub const PATIENCE: &[Flag] = &[
    Flag::own(
        "timeout",
        "TIME",
        "Longest time for one request, such as 90 or 5m; none by default",
        |arg| arg.value_parser(duration),
    ),
    Flag::own(
        "read-timeout",
        "TIME",
        "Longest time without a byte [default: 60s]",
        |arg| arg.value_parser(duration),
    ),
    Flag::own(
        "retries",
        "N",
        "How often to repeat a request that may be repeated [default: 3]",
        |arg| arg.value_parser(value_parser!(u32)),
    ),
];

/// The network as flags alone say it.
pub fn read(given: &Chain) -> Network {
    let defaults = Network::default();
    Network {
        timeout: given.last::<Duration>("timeout"),
        read_timeout: given.last("read-timeout").unwrap_or(defaults.read_timeout),
        retries: given.last("retries").unwrap_or(defaults.retries),
        ..defaults
    }
}

/// Refuses a header of several lines: one a line is how they are stored. Its value is not repeated.
///
/// # Errors
/// There is one, by this name.
pub fn check_headers(given: &Chain) -> Result<(), Failure> {
    let headers = given.all("header");
    let broken = headers.iter().find(|header| header.contains(['\r', '\n']));
    broken.map_or(Ok(()), |header| {
        let name = header
            .split(':')
            .next()
            .and_then(|name| name.lines().next());
        Err(Failure::usage(format!(
            "the header `{}` holds a line break",
            name.unwrap_or_default()
        )))
    })
}
