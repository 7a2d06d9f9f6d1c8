//! What a test server answers, and the ways in which the answer can go wrong.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

/// One answer. It is whole and honest unless a fault is asked for.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The connection is reset before any byte of the answer.
    Reset,
    /// The connection is reset after this many bytes of the body.
    ResetAfter(usize),
    /// The connection is closed in good order after this many bytes of the body.
    CutAt(usize),
    /// Nothing is sent until the server stops.
    Silence,
    /// Interim answers (RFC 9110 §15.2), as fast as they are taken, until nobody takes them.
    Hints,
    /// After this many bytes of the body nothing more is sent until the server stops.
    StallAt(usize),
    /// The body comes in pieces of this size with a pause between them.
    Slow(usize, Duration),
}

/// How a connection goes on after an answer.
#[derive(Debug, PartialEq)]
pub(super) enum After {
    KeepOpen,
    Close,
    Reset,
    HoldOpen,
}

impl Answer {
    /// An answer with this status, content type and body.
    pub fn new(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        Self::empty(status)
            .header("Content-Type", content_type)
            .body(body)
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            framing: Framing::Length,
            fault: None,
        }
    }

    /// The body, for a guard that changes it.
    pub fn text(&self) -> &[u8] {
        &self.body
    }

    /// A FHIR JSON answer.
    pub fn json(status: u16, text: impl AsRef<[u8]>) -> Self {
        Self::new(status, "application/fhir+json; charset=utf-8", text)
    }

    /// An `OperationOutcome` with one issue of severity error.
    pub fn outcome(status: u16, code: &str, diagnostics: &str) -> Self {
        let issue = json!({"severity": "error", "code": code, "diagnostics": diagnostics});
        Self::json(
            status,
            json!({"resourceType": "OperationOutcome", "issue": [issue]}).to_string(),
        )
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::empty(status).header("Location", location)
    }

    /// No answer: the connection is reset.
    pub fn reset() -> Self {
        Self::empty(200).fault(Fault::Reset)
    }

    /// No answer: the connection stays open and silent until the server stops.
    pub fn silence() -> Self {
        Self::empty(200).fault(Fault::Silence)
    }

    /// No answer: 103 Early Hints (RFC 8297) for ever, which say that one is to come.
    pub fn hints_for_ever() -> Self {
        Self::empty(200).fault(Fault::Hints)
    }

    /// The same with another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        body.as_ref().clone_into(&mut self.body);
        self
    }

    fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The bytes of the body on the wire.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// Sent in chunks, without Content-Length.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Without Content-Length: the end of the connection is the end of the body.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// Compressed; faults then count compressed bytes.
    pub fn gzip(self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.body).unwrap();
        let body = encoder.finish().unwrap();
        self.header("Content-Encoding", "gzip").body(body)
    }

    /// The connection is reset after this many bytes of the body.
    pub fn reset_after(self, bytes: usize) -> Self {
        self.fault(Fault::ResetAfter(bytes))
    }

    /// The connection is closed after this many bytes of the body, whatever length was promised.
    pub fn cut_body_at(self, bytes: usize) -> Self {
        self.fault(Fault::CutAt(bytes))
    }

    /// After this many bytes of the body nothing more comes until the server stops.
    pub fn stall_at(self, bytes: usize) -> Self {
        self.fault(Fault::StallAt(bytes))
    }

    /// The body comes in small pieces with pauses.
    pub fn slow(self, piece: usize, pause: Duration) -> Self {
        self.fault(Fault::Slow(piece, pause))
    }

    /// Writes the answer with its fault.
    pub(super) fn send(&self, stream: &mut TcpStream) -> io::Result<After> {
        let whole = self.body.len();
        let (end, after) = match self.fault {
            Some(Fault::Reset) => return Ok(After::Reset),
            Some(Fault::Silence) => return Ok(After::HoldOpen),
            Some(Fault::Hints) => {
                let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
                    .repeat(100);
                loop {
                    stream.write_all(hints.as_bytes())?;
                }
            }
            Some(Fault::ResetAfter(end)) => (end.min(whole), After::Reset),
            Some(Fault::CutAt(end)) => (end.min(whole), After::Close),
            Some(Fault::StallAt(end)) => (end.min(whole), After::HoldOpen),
            Some(Fault::Slow(..)) | None if matches!(self.framing, Framing::UntilClose) => {
                (whole, After::Close)
            }
            Some(Fault::Slow(..)) | None => (whole, After::KeepOpen),
        };
        stream.write_all(self.head().as_bytes())?;
        let (piece, pause) = match self.fault {
            Some(Fault::Slow(piece, pause)) => (piece, pause),
            _ => (64 * 1024, Duration::ZERO),
        };
        let chunked = matches!(self.framing, Framing::Chunked);
        for (index, bytes) in self.body[..end].chunks(piece).enumerate() {
            if index > 0 {
                std::thread::sleep(pause);
            }
            if chunked {
                write!(stream, "{:x}\r\n", bytes.len())?;
            }
            stream.write_all(bytes)?;
            if chunked {
                stream.write_all(b"\r\n")?;
            }
        }
        if chunked && after == After::KeepOpen {
            stream.write_all(b"0\r\n\r\n")?;
        }
        stream.flush()?;
        Ok(after)
    }

    fn head(&self) -> String {
        let mut lines = vec![format!("HTTP/1.1 {} {}", self.status, reason(self.status))];
        lines.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        match self.framing {
            // 204 has no body and no length (RFC 9110 §8.6).
            Framing::Length if self.status == 204 => {}
            Framing::Length => lines.push(format!("Content-Length: {}", self.body.len())),
            Framing::Chunked => lines.push("Transfer-Encoding: chunked".to_owned()),
            Framing::UntilClose => lines.push("Connection: close".to_owned()),
        }
        lines.join("\r\n") + "\r\n\r\n"
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        412 => "Precondition Failed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
