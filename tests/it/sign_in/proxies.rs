//! A proxy that no request goes to stops none, and what goes past one may be named with its port.

use crate::support::Site;

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

/// D21 (E14): `ALL_PROXY=socks5h://…`, as `ssh -D` users set it, ended every command with 2, also where `NO_PROXY` names
/// all hosts.
#[test]
fn a_socks_proxy_that_is_not_used_stops_no_command() {
    let site = Site::open();
    for value in ["socks5h://", "socks5://"] {
        let get = site.medplum.command(["get", "-p", "site", "Patient/1"]);
        let get = get.env("ALL_PROXY", format!("{value}{NOBODY}"));
        get.env("NO_PROXY", "*").run().ok();
    }
    assert_eq!(site.gets(), 2);
}

/// D21 (E39): `NO_PROXY=host:port` named nothing.
#[test]
fn no_proxy_names_a_host_with_its_port_and_no_other_port() {
    let site = Site::open();
    let own = site.server.url("").replace("http://", "");
    // Without the first word nothing of this machine goes to a proxy.
    for (names, code) in [(own, 0), (NOBODY.to_owned(), 6)] {
        let get = ["get", "-p", "site", "Patient/1", "--retries", "0"];
        let get = site.medplum.command(get);
        let get = get.env("HTTP_PROXY", format!("http://{NOBODY}"));
        let run = get.env("NO_PROXY", format!("<-loopback>,{names}")).run();
        run.fails(code);
    }
    assert_eq!(site.gets(), 1);
}
