//! The test servers do what they say: a plain socket looks at their faults.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Answer, Request, Server, TokenEndpoint};

/// Sends one request and reads until the connection ends.
fn exchange(server: &Server, request: &str) -> (String, Result<usize, ErrorKind>) {
    let address = server.url("").replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).map_err(|error| error.kind());
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

const GET: &str = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_cut_body_ends_in_good_order_and_a_reset_one_does_not() {
    let server = Server::start();
    server.on(
        "GET",
        "/x",
        Answer::new(200, "text/plain", "0123456789").cut_body_at(4),
    );
    let (text, end) = exchange(&server, GET);
    assert!(
        text.contains("Content-Length: 10\r\n") && text.ends_with("\r\n\r\n0123"),
        "{text}"
    );
    assert!(end.is_ok());

    server.on(
        "GET",
        "/x",
        Answer::new(200, "text/plain", "0123456789")
            .chunked()
            .cut_body_at(4),
    );
    assert!(exchange(&server, GET).0.ends_with("\r\n\r\n4\r\n0123\r\n"));

    server.on(
        "GET",
        "/x",
        Answer::new(200, "text/plain", "0123456789").reset_after(4),
    );
    assert_eq!(exchange(&server, GET).1, Err(ErrorKind::ConnectionReset));
    server.on("GET", "/x", Answer::reset());
    assert_eq!(
        exchange(&server, GET),
        (String::new(), Err(ErrorKind::ConnectionReset))
    );
    assert_eq!(server.lines(), ["GET /x"; 4]);
}

#[test]
fn a_connection_is_kept_and_bodies_are_read_in_both_framings() {
    let server = Server::start();
    server.on("POST", "/x", Answer::json(200, "{}"));
    server.on(
        "GET",
        "/x",
        Answer::json(200, "[]")
            .chunked()
            .slow(1, Duration::from_millis(1)),
    );
    server.on("GET", "/end", Answer::json(200, "1").until_close());
    let (text, _) = exchange(
        &server,
        "POST /x?a=1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabPOST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\nc\r\n1\r\nd\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\nGET /end HTTP/1.1\r\n\r\n",
    );
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4);
    assert!(
        text.contains("\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n"),
        "{text}"
    );
    let bodies: Vec<String> = server.requests().iter().map(Request::text).collect();
    assert_eq!(bodies, ["ab", "cd", "", ""]);
}

#[test]
fn a_silent_or_stalled_connection_stays_open_until_the_server_stops() {
    let server = Server::start();
    server.on("GET", "/x", Answer::silence());
    server.on(
        "GET",
        "/y",
        Answer::new(200, "text/plain", "0123").stall_at(2),
    );
    let address = server.url("").replace("http://", "");
    let ends = [GET.to_owned(), GET.replace("/x", "/y")].map(|request| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text);
            text
        })
    });
    server.wait_for("/x");
    server.wait_for("/y");
    drop(server);
    let [silent, stalled] = ends.map(|end| end.join().unwrap());
    assert_eq!(silent, "");
    assert!(!stalled.contains("0123"));
}

#[test]
fn answers_come_in_sequence_and_later_routes_come_first() {
    let server = Server::start();
    server.on_sequence("GET", "/x", [Answer::empty(503), Answer::empty(204)]);
    let statuses =
        [(); 3].map(|()| exchange(&server, "GET /x HTTP/1.1\r\n\r\nBAD\r\n").0[9..12].to_owned());
    assert_eq!(statuses, ["503", "204", "204"]);
    server.on("GET", "/x", Answer::json(200, "{}").gzip());
    assert!(
        exchange(&server, "GET /x HTTP/1.1\r\n\r\nBAD\r\n")
            .0
            .contains("Content-Encoding: gzip")
    );
}

#[test]
fn the_token_endpoint_refuses_two_ways_of_client_authentication() {
    let server = Server::start();
    let tokens = TokenEndpoint::on(&server, "/token");
    let ask = |authorization: &str, body: &str| {
        let head = "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let length = body.len();
        exchange(
            &server,
            &format!("{head}{authorization}Content-Length: {length}\r\n\r\n{body}BAD\r\n"),
        )
        .0
    };
    let header = "Authorization: Basic TVlfQ0xJRU5UX0lEOk1ZX0NMSUVOVF9TRUNSRVQ=\r\n";
    let in_body =
        "grant_type=client_credentials&client_id=MY_CLIENT_ID&client_secret=MY_CLIENT_SECRET";
    assert!(ask(header, "grant_type=client_credentials").contains(r#""access_token":"token-1""#));
    assert!(ask("", in_body).contains("token-2"));
    assert!(ask(header, in_body).contains("two ways"));
    assert!(ask("", "grant_type=client_credentials").contains("invalid_client"));
    assert!(ask(header, "grant_type=password").contains("unsupported_grant_type"));
    assert!(tokens.accepts(Some("Bearer token-1")) && !tokens.accepts(Some("bearer token-1")));
    tokens.revoke();
    assert!(!tokens.accepts(Some("Bearer token-2")));
}
