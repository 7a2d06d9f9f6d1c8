//! A request as the server got it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query; the whole URL when the server was used as a proxy.
    pub target: String,
    /// In the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// A header's value; the header must not come twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} came twice: {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as form fields, in their order.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }

    /// `GET /path`, for comparing lists of requests.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// Reads the next request of a connection; `None` when there is none.
    pub(super) fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let first = read_line(reader)?;
        let mut words = first.split(' ');
        let mut request = Self {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = read_line(reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            request
                .headers
                .push((name.to_owned(), value.trim().to_owned()));
        }
        if request.header("Transfer-Encoding").is_some() {
            loop {
                let size = usize::from_str_radix(&read_line(reader)?, 16).ok()?;
                let chunk = read_bytes(reader, size)?;
                read_line(reader)?;
                if size == 0 {
                    break;
                }
                request.body.extend(chunk);
            }
        } else if let Some(length) = request.header("Content-Length") {
            let length = length.parse().ok()?;
            request.body = read_bytes(reader, length)?;
        }
        Some(request)
    }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\n")?;
    Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
}

fn read_bytes(reader: &mut BufReader<TcpStream>, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
