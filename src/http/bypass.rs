//! What goes past the proxies: `NO_PROXY`, and the machine itself.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// Asks for loopback addresses to go through the proxy too. Chromium's list of exceptions spells it so.
const WITH_LOOPBACK: &str = "<-loopback>";

/// The list of what goes past.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass {
    everything: bool,
    with_loopback: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    place: Place,
    /// `None` for all ports.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Place {
    /// A host with all below it, in small letters.
    Domain(String),
    Network(IpNet),
}

impl Bypass {
    /// Reads a list with commas or blanks between hosts, domains, addresses and networks, each with or without a port.
    pub(super) fn parse(list: &str) -> Self {
        let mut bypass = Self::default();
        for part in list.split(|c: char| c == ',' || c.is_whitespace()) {
            match part {
                "" => {}
                "*" => bypass.everything = true,
                WITH_LOOPBACK => bypass.with_loopback = true,
                part => bypass.entries.extend(entry(part)),
            }
        }
        bypass
    }

    /// Whether nothing goes through a proxy.
    pub(super) fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether requests to this URL go past the proxies. Loopback does unless asked otherwise, as with Go: what a proxy
    /// calls `localhost` is another machine.
    pub(super) fn covers(&self, url: &Url) -> bool {
        if self.everything || is_loopback(url) && !self.with_loopback {
            return true;
        }
        let port = url.port_or_known_default();
        self.entries.iter().any(|entry| {
            (entry.port.is_none() || entry.port == port)
                && url.host().is_some_and(|host| entry.place.has(&host))
        })
    }
}

impl Place {
    fn has(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Domain(domain), Host::Domain(host)) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                host.strip_suffix(domain.as_str())
                    .is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }
            (Self::Network(network), Host::Ipv4(_) | Host::Ipv6(_)) => {
                address(host).is_some_and(|address| network.contains(&address))
            }
            _ => false,
        }
    }
}

/// The machine itself: `localhost` with all below it (RFC 6761 §6.3), 127.0.0.0/8 and ::1.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(host) => address(&host).is_some_and(|address| address.is_loopback()),
        None => false,
    }
}

fn address(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some(IpAddr::from(*address).to_canonical()),
    }
}

fn entry(text: &str) -> Option<Entry> {
    let (place, port) = match text.rsplit_once(':') {
        // Two colons are an IPv6 address, unless it stands in brackets.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, Some(port.parse().ok()?))
        }
        _ => (text, None),
    };
    let bare = place.trim_start_matches('[').trim_end_matches(']');
    let network = bare.parse::<IpNet>().ok();
    let network = network.or_else(|| Some(bare.parse::<IpAddr>().ok()?.to_canonical().into()));
    let place = if let Some(network) = network {
        Place::Network(network)
    } else {
        let domain = place.trim_start_matches('*').trim_matches('.');
        Place::Domain((!domain.is_empty()).then(|| domain.to_ascii_lowercase())?)
    };
    Some(Entry { place, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(list: &str, url: &str) -> bool {
        Bypass::parse(list).covers(&url.parse().unwrap())
    }

    #[test]
    fn hosts_domains_addresses_and_networks_with_and_without_ports() {
        let list = "inside.example, .corp.example\t*.lab.example:8443,10.0.0.0/8,[2001:db8::1]:443,192.0.2.7:80 2001:db8::7";
        for past in [
            "https://inside.example/",
            "https://INSIDE.example.:9/",
            "https://a.inside.example/",
            "https://corp.example/",
            "https://x.corp.example/",
            "https://lab.example:8443/",
            "https://x.lab.example:8443/",
            "http://10.1.2.3/",
            "https://[2001:db8::1]/",
            "http://192.0.2.7/",
            "http://[2001:db8::7]:99/",
            "http://[::ffff:10.1.2.3]/",
        ] {
            assert!(covers(list, past), "{past}");
        }
        for through in [
            "https://outside.example/",
            "https://notinside.example/",
            "https://lab.example/",
            "https://[2001:db8::1]:8443/",
            "https://192.0.2.7/",
            "http://11.1.2.3/",
        ] {
            assert!(!covers(list, through), "{through}");
        }
        assert!(covers("*", "https://outside.example/"));
        assert!(!covers("inside.example:x", "https://inside.example/"));
        assert!(!covers("*.", "https://outside.example/"));
    }

    #[test]
    fn the_machine_itself_goes_past_unless_it_is_asked_for() {
        for url in [
            "http://localhost:1/",
            "http://LocalHost./",
            "http://a.localhost/",
            "http://127.9.9.9/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(covers("", url), "{url}");
            assert!(!covers("<-loopback>", url), "{url}");
        }
        assert!(covers("<-loopback>,localhost:1", "http://localhost:1/"));
        assert!(!covers("", "http://localhost.example/"));
    }

    proptest::proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "\\PC{0,40}") {
            let _ = covers(&list, "http://h.example/");
        }
    }
}
