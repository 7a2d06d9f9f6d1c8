//! Whether the base URL can be right at all: no mix of environments, and a host that has an address.

use super::{Ending, Examination, Passed, Trouble, environment};
use crate::exit;
use crate::secret;

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let client = examination.client;
    let profile = &client.profile;
    let base = secret::url_for_people(&profile.fhir_base);
    let mut detail = vec![format!(
        "FHIR base {base} (base URL from {}), auth: {}",
        profile.base_from.describe(),
        client.tokens.describe()
    )];
    if let Some(mix) = environment::mix(profile) {
        let trouble = Trouble::new(exit::USAGE, "the profile mixes two environments");
        return Err(trouble.because(mix));
    }
    let host = profile.fhir_base.host_str().unwrap_or_default();
    let port = profile.fhir_base.port_or_known_default().unwrap_or(443);
    // An IPv6 address stands in brackets in a URL.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    if let Some(proxy) = client.http.proxy(&profile.fhir_base) {
        detail.push(format!(
            "{host} is left to the proxy {} to look up",
            proxy.address()
        ));
        return Ok(Passed::Done(detail));
    }
    match tokio::net::lookup_host((name, port)).await {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.map(|found| found.ip().to_string()).collect();
            if name.parse::<std::net::IpAddr>().is_err() {
                detail.push(format!("{host} is {}", addresses.join(", ")));
            }
        }
        Err(error) => {
            let what = format!("the host name {host} cannot be resolved ({error})");
            let cause = format!(
                "{host} has no address in the DNS seen from here: the name is misspelt in --base-url, or it is \
                 known only inside a network (VPN)"
            );
            return Err(Trouble::new(exit::NETWORK, what).because(cause));
        }
    }
    Ok(Passed::Done(detail))
}
