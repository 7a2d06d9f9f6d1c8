//! No answer of a server costs more memory than a small multiple of what is kept of it: the process's own peak is measured.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use serde_json::json;

use crate::support::{Answer, Medplum, Server};

/// The most that a process may take at any moment, in kB; a debug build takes some 25 MB to do nothing.
const MOST: u64 = 64 << 10;
/// Runs a command and says its peak (`ru_maxrss`) as the last line of stderr.
const MEASURE: &str = "import resource, subprocess, sys\n\
    code = subprocess.run(sys.argv[1:]).returncode\n\
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n\
    sys.exit(code)";

/// What came in findings, and their kin: small on the wire, large unpacked or parsed.
fn bodies() -> Vec<(&'static str, Answer)> {
    let json = |text: &str| Answer::new(200, "application/json", text);
    let nested = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let mut keys = String::from("{\"token_endpoint\":\"x\"");
    for number in 0..400_000 {
        write!(keys, ",\"k{number}\":[[],{{}}]").unwrap();
    }
    keys.push('}');
    // What cannot be packed fills the buffers, and the rest is one chunk for them.
    let mut random = fastrand::Rng::with_seed(20_261_128);
    let mut chunk: Vec<u8> = (0..900_000).map(|_| random.u8(..)).collect();
    chunk.resize(150_000_000, b' ');
    vec![
        (
            "an array of numbers",
            json(&format!("{{\"a\":[{}0]}}", "0,".repeat(7_000_000))).gzip(),
        ),
        ("brackets", json(&nested).gzip()),
        (
            "brackets in a member",
            json(&format!("{{\"issue\":{nested},\"keys\":{nested}}}")).gzip(),
        ),
        ("members", json(&keys).gzip()),
        (
            "members of an array",
            json(&format!("[{}{{}}]", "{\"a\":{\"b\":1}},".repeat(500_000))).gzip(),
        ),
        (
            "issues",
            json(&format!(
                "{{\"resourceType\":\"OperationOutcome\",\"issue\":[{}{{}}]}}",
                "{\"severity\":\"error\",\"diagnostics\":\"x\"},".repeat(300_000)
            ))
            .gzip(),
        ),
        (
            "keys",
            json(&format!(
                "{{\"keys\":[{}{{}}]}}",
                "{\"kty\":\"RSA\",\"n\":\"x\",\"e\":\"y\"},".repeat(300_000)
            ))
            .gzip(),
        ),
        (
            "blanks behind noise",
            Answer::new(200, "application/json", chunk).gzip(),
        ),
    ]
}

/// What the process took at most for a command, which must have come to the server.
fn peak(medplum: &Medplum, args: &[&str]) -> u64 {
    let program = medplum.root().join("bin/medplum");
    let words = ["python3", "-c", MEASURE, program.to_str().unwrap()];
    let run = medplum.program(words.iter().chain(args)).run();
    let peak = run.stderr.lines().last().and_then(|line| line.parse().ok());
    peak.unwrap_or_else(|| panic!("no peak\n{run}"))
}

/// An endpoint, the status of what it answers, and a command that asks it with its flags.
type Row = (
    &'static str,
    u16,
    &'static [&'static str],
    &'static [&'static str],
);

const DEVICE: &[&str] = &[
    "--auth-type",
    "device-code",
    "--device-authorization-url",
    "device",
];
const PERSON: &[&str] = &[
    "--auth-type",
    "authorization-code",
    "--authorize-url",
    "authorize",
    "--callback-url",
    "http://localhost:0/",
    "--par",
    "--no-browser",
];
const KEY_AND_SET: &[&str] = &[
    "--auth-type",
    "jwt-assertion",
    "--private-key-path",
    "KEY",
    "--jku",
    "JWKS",
];

/// Every kind of answer that a sign-in reads.
const ROWS: [Row; 12] = [
    (SMART, 200, &[], &["get", "Patient/1"]),
    ("/fhir/R4/metadata", 200, &[], &["doctor"]),
    (
        "/fhir/R4/Patient/1",
        400,
        &["--auth-type", "basic"],
        &["get", "Patient/1"],
    ),
    ("/token", 200, &[], &["get", "Patient/1"]),
    ("/token", 400, &[], &["doctor"]),
    ("/device", 200, DEVICE, &["login"]),
    ("/jwks", 200, KEY_AND_SET, &["doctor"]),
    (
        "/jwks",
        200,
        &[],
        &["keys", "jwks", "KEY", "--check", "JWKS"],
    ),
    ("/introspect", 200, &[], &["whoami"]),
    ("/userinfo", 200, &[], &["whoami"]),
    ("/par", 201, PERSON, &["login"]),
    ("/par", 400, PERSON, &["login"]),
];
const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// D11: 31 kB of a discovery document took 1.2 GB, a token answer 375 MB.
#[test]
fn no_answer_takes_more_than_sixty_four_megabytes() {
    let bodies = &bodies();
    let complaints: Vec<Complaint> = thread::scope(|scope| {
        let rows = ROWS.map(|row| {
            scope.spawn(move || {
                let of = |(name, answer): &(&'static str, Answer)| looked_at(row, name, answer);
                bodies.iter().filter_map(of).collect::<Vec<_>>()
            })
        });
        let complaints = rows.into_iter().map(|row| row.join().unwrap());
        complaints.flatten().collect()
    });
    // What was too large comes first: a command that does not know the endpoint shows nothing of it.
    let (large, silent): (Vec<_>, Vec<_>) = complaints.iter().partition(|one| one.is_large);
    let words = large.iter().chain(&silent).map(|one| one.words.as_str());
    let words: Vec<&str> = words.collect();
    assert!(words.is_empty(), "{}", words.join("\n"));
}

/// What is wrong with an answer's row.
struct Complaint {
    is_large: bool,
    words: String,
}

/// One answer of a row; a command that does not end is a complaint too, behind those of memory.
fn looked_at(row: Row, name: &str, answer: &Answer) -> Option<Complaint> {
    let looking = AssertUnwindSafe(|| stays_small(row, name, answer));
    catch_unwind(looking).unwrap_or_else(|_| {
        Some(Complaint {
            is_large: false,
            words: format!("{} {}, {name}: it does not end", row.0, row.1),
        })
    })
}

fn stays_small(
    (path, status, flags, command): Row,
    name: &str,
    answer: &Answer,
) -> Option<Complaint> {
    let (server, medplum) = (honest(), Medplum::new());
    for method in ["GET", "POST"] {
        server.on(method, path, answer.clone().with_status(status));
    }
    let (base, jwks, token) = (server.url("/"), server.url("/jwks"), server.url("/token"));
    let key = crate::support::keys::key("rsa-pkcs8.pem");
    let filled = |word: &&'static str| match *word {
        "JWKS" => jwks.clone(),
        "KEY" => key.clone(),
        word => word.to_owned(),
    };
    let mut args: Vec<String> = command.iter().chain(flags).map(filled).collect();
    let mut more = vec!["--base-url", &base, "--client-id", "c"];
    if !flags.contains(&"KEY") {
        more.extend(["--client-secret", "s-canary-1"]);
    }
    if path != SMART {
        more.extend(["--token-url", &token]);
    }
    more.retain(|_| command[0] != "keys");
    args.extend(more.into_iter().map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let peak = peak(&medplum, &args);
    let is_large = peak >= MOST;
    let words = if is_large {
        format!("{path} {status}, {name}: {peak} kB")
    } else if server.requests_to(path).is_empty() {
        format!("{path}, {name}: never asked for, {:?}", server.lines())
    } else {
        return None;
    };
    Some(Complaint { is_large, words })
}

/// A server that is in order everywhere.
fn honest() -> Server {
    let server = Server::start();
    let statement = json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
    let smart = json!({"token_endpoint": server.url("/token"),
        "introspection_endpoint": server.url("/introspect"),
        "userinfo_endpoint": server.url("/userinfo"),
        "pushed_authorization_request_endpoint": server.url("/par")});
    let token = json!({"access_token": "t-123456", "token_type": "Bearer", "expires_in": 300});
    for (method, path, answer) in [
        ("GET", "/fhir/R4/metadata", statement),
        ("GET", SMART, smart),
        ("POST", "/token", token),
        ("POST", "/introspect", json!({"active": true})),
        ("GET", "/userinfo", json!({"sub": "1"})),
    ] {
        server.on(method, path, Answer::json(200, answer.to_string()));
    }
    server
}
