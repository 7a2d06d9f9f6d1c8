//! Whether the server answers, and whether its certificate is one to trust. Nothing secret is sent here.

use super::{Ending, Examination, Passed, Trouble, fetch};
use crate::exit;
use crate::http::HttpError;
use crate::profile::urls;

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let client = examination.client;
    let base = &client.profile.fhir_base;
    let url = urls::below(base, "metadata")
        .map_err(|error| Trouble::new(exit::USAGE, error.to_string()))?;
    let page = fetch::get(client, url)
        .await
        .map_err(|error| trouble(&error))?;
    examination.ahead = page.ahead;
    if let Some(ahead) = page.ahead.filter(|ahead| ahead.abs() > 30) {
        let where_to = if ahead > 0 { "behind" } else { "ahead of" };
        examination.notes.push(format!(
            "the clock here is {} s {where_to} the server's",
            ahead.abs()
        ));
    }
    examination.metadata = Some(page);
    let seen = match base.scheme() {
        "https" if client.http.network.insecure => {
            "the server answers; its certificate was not checked (--insecure)"
        }
        "https" => "the server answers with a certificate that is trusted here",
        _ => "the server answers; no TLS, so anyone on the way can read the credentials",
    };
    let mut detail = vec![seen.to_owned()];
    if let Some(proxy) = client.http.proxy(base) {
        let (address, variable) = (proxy.address(), proxy.variable);
        detail.push(format!("through the proxy {address} ({variable})"));
    }
    Ok(Passed::Done(detail))
}

/// A connection that failed, with its cause where TLS says it.
pub(super) fn trouble(error: &HttpError) -> Trouble {
    let trouble = Trouble::of(error);
    let HttpError::Connect { url, reason } = error else {
        return trouble;
    };
    match cause(reason, url.host_str().unwrap_or_default()) {
        Some(cause) => trouble.because(cause),
        None => trouble,
    }
}

/// What the words of rustls mean for a person.
fn cause(reason: &str, host: &str) -> Option<String> {
    let says = |words: &str| reason.contains(words);
    if says("UnknownIssuer") || says("BadSignature") {
        return Some(format!(
            "the certificate of {host} comes from a certificate authority that is not trusted here (a private one, a \
             proxy that looks into TLS, or a chain without its intermediate): trust it with --ca-cert FILE"
        ));
    }
    if says("not valid for name") || says("NotValidForName") {
        return Some(format!(
            "the certificate is for another host name than {host} ({reason}): correct the host in the URL"
        ));
    }
    if says("certificate expired") || says("Expired") {
        return Some(format!(
            "the certificate of {host} has expired ({reason}): the server's owner must renew it, unless the clock \
             here is wrong"
        ));
    }
    if says("not valid yet") || says("NotValidYet") {
        return Some(format!(
            "the certificate of {host} is not valid yet ({reason}): the clock here may be wrong"
        ));
    }
    if says("CaUsedAsEndEntity") {
        return Some(format!(
            "the certificate of {host} is that of a certificate authority, not of a server"
        ));
    }
    // What answered in another protocol, or hung up at the first words of TLS.
    let no_tls = says("InvalidContentType") || says("handshake eof");
    no_tls.then(|| {
        format!("{host} speaks no TLS on this port: the URL may have to begin with http://, or name another port")
    })
}
