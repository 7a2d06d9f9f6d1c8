//! Vendors' hosts, and which environment each belongs to, as far as the vendors publish them.

use url::Url;

use crate::profile::{Key, Profile, urls};

/// Host, vendor, environment.
const HOSTS: [(&str, &str, &str); 20] = [
    ("fhir.epic.com", EPIC, "sandbox"),
    ("fhir-ehr.cerner.com", ORACLE, "production"),
    ("fhir-ehr-code.cerner.com", ORACLE, "sandbox"),
    ("fhir4.eclinicalworks.com", "eClinicalWorks", "production"),
    ("fhir4.healow.com", "eClinicalWorks", "production"),
    (
        "oauthserver.eclinicalworks.com",
        "eClinicalWorks",
        "production",
    ),
    ("staging-fhir.ecwcloud.com", "eClinicalWorks", "staging"),
    (
        "staging-oauthserver.ecwcloud.com",
        "eClinicalWorks",
        "staging",
    ),
    ("api.healthgorilla.com", "Health Gorilla", "production"),
    ("sandbox.healthgorilla.com", "Health Gorilla", "sandbox"),
    (
        "api.platform.athenahealth.com",
        "athenahealth",
        "production",
    ),
    (
        "api.preview.platform.athenahealth.com",
        "athenahealth",
        "preview",
    ),
    ("api.bcda.cms.gov", "BCDA", "production"),
    ("sandbox.bcda.cms.gov", "BCDA", "sandbox"),
    ("api.ab2d.cms.gov", "AB2D", "production"),
    ("sandbox.ab2d.cms.gov", "AB2D", "sandbox"),
    ("test.idp.idm.cms.gov", "AB2D", "sandbox"),
    ("prod.dpc.cms.gov", "DPC", "production"),
    ("sandbox.dpc.cms.gov", "DPC", "sandbox"),
    ("api.medplum.com", "Medplum", "production"),
];
const EPIC: &str = "Epic";
const ORACLE: &str = "Oracle Health";
/// The tenant of Oracle Health's sandbox.
const ORACLE_SANDBOX_TENANT: &str = "ec2458f2-1e24-41c8-b71b-0e701af7583d";

fn known(host: &str) -> Option<(&'static str, &'static str)> {
    let (_, vendor, environment) = HOSTS.iter().find(|(known, ..)| *known == host)?;
    Some((vendor, environment))
}

/// Which environment a host is, in words.
pub(super) fn of(host: &str) -> Option<String> {
    let (vendor, environment) = known(host)?;
    Some(match (vendor, environment) {
        (EPIC, _) => format!(
            "{host} is Epic's sandbox and knows the non-production client id only, with keys registered for it"
        ),
        _ => format!("{host} is the {environment} of {vendor}"),
    })
}

/// Whether a server runs Epic's software, by its host or the path that all of them share.
pub(super) fn is_epic(profile: &Profile) -> bool {
    let base = &profile.fhir_base;
    base.host_str() == Some("fhir.epic.com") || base.path().to_lowercase().contains("/api/fhir/")
}

/// Why the URLs of a profile cannot belong together.
pub(super) fn mix(profile: &Profile) -> Option<String> {
    let audience = profile.audience.as_deref().and_then(|text| {
        urls::is_absolute(text)
            .then(|| urls::join(Key::Audience, &profile.base_url, text).ok())
            .flatten()
    });
    let others = [
        ("token URL", profile.token_url.as_ref()),
        ("audience", audience.as_ref()),
    ];
    others
        .into_iter()
        .find_map(|(name, url)| pair(&profile.fhir_base, name, url?))
        .or_else(|| oracle_sandbox(&profile.fhir_base))
}

fn pair(base: &Url, name: &str, other: &Url) -> Option<String> {
    let (host, other_host) = (base.host_str()?, other.host_str()?);
    let mix = |one: &str, two: &str| {
        format!(
            "wrong environment: the FHIR base {host} is {one}, but the {name} at {other_host} is {two}; take both from \
             one environment, with the client id and key registered there"
        )
    };
    match (known(host), known(other_host)) {
        (Some((vendor, one)), Some((same, two))) if vendor == same && one != two => {
            Some(mix(&format!("{vendor}'s {one}"), &format!("its {two}")))
        }
        (Some((EPIC, _)), None) => Some(mix("Epic's sandbox", "another server")),
        (None, Some((EPIC, _))) => Some(mix("another server", "Epic's sandbox")),
        _ => match (tenant(base), tenant(other)) {
            (Some(one), Some(two)) if one != two => Some(mix(
                &format!("of the tenant {one}"),
                &format!("of the tenant {two}"),
            )),
            _ => None,
        },
    }
}

/// Oracle Health's tenant, from a FHIR base or a token URL.
fn tenant(url: &Url) -> Option<&str> {
    let host = url.host_str()?;
    let mut segments = url.path_segments()?;
    if host == "authorization.cerner.com" {
        return segments.skip_while(|segment| *segment != "tenants").nth(1);
    }
    (host.starts_with("fhir-") && host.ends_with(".cerner.com")).then(|| segments.nth(1))?
}

fn oracle_sandbox(base: &Url) -> Option<String> {
    let is_sandbox = tenant(base)? == ORACLE_SANDBOX_TENANT;
    (base.host_str() == Some("fhir-ehr.cerner.com") && is_sandbox).then(|| {
        "wrong environment: fhir-ehr.cerner.com is the production of Oracle Health, but the tenant in the path is that \
         of its sandbox at fhir-ehr-code.cerner.com"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_two_environments_are_told_apart_and_those_of_one_are_left_alone() {
        let tenant = |tenant| {
            format!(
                "https://authorization.cerner.com/tenants/{tenant}/protocols/oauth2/profiles/smart-v1/token"
            )
        };
        let code = format!("https://fhir-ehr-code.cerner.com/r4/{ORACLE_SANDBOX_TENANT}");
        let own = tenant(ORACLE_SANDBOX_TENANT);
        let foreign = tenant("11111111-2222");
        for (base, token, is_mixed) in [
            (
                "https://fhir.epic.com/interconnect-fhir-oauth/api/FHIR/R4",
                "https://fhir.epic.com/interconnect-fhir-oauth/oauth2/token",
                false,
            ),
            (
                "https://fhir.epic.com/interconnect-fhir-oauth/api/FHIR/R4",
                "https://epic.hospital.example/oauth2/token",
                true,
            ),
            (
                "https://epic.hospital.example/api/FHIR/R4",
                "https://fhir.epic.com/interconnect-fhir-oauth/oauth2/token",
                true,
            ),
            (
                "https://epic.hospital.example/api/FHIR/R4",
                "https://login.hospital.example/oauth2/token",
                false,
            ),
            (
                "https://staging-fhir.ecwcloud.com/fhir/r4/JAFJCD",
                "https://oauthserver.eclinicalworks.com/oauth/oauth2/token",
                true,
            ),
            (
                "https://staging-fhir.ecwcloud.com/fhir/r4/JAFJCD",
                "https://staging-oauthserver.ecwcloud.com/oauth/oauth2/token",
                false,
            ),
            (
                "https://sandbox.healthgorilla.com/fhir/R4",
                "https://api.healthgorilla.com/oauth/token",
                true,
            ),
            (code.as_str(), own.as_str(), false),
            (code.as_str(), foreign.as_str(), true),
        ] {
            let (base, token) = (Url::parse(base).unwrap(), Url::parse(token).unwrap());
            let found = pair(&base, "token URL", &token);
            assert_eq!(found.is_some(), is_mixed, "{base} {token} {found:?}");
        }
    }
}
