//! No answer of a server costs more memory than a small multiple of what is kept of it: the process's own peak is measured.

use std::fmt::Write as _;

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

/// D11: 31 kB of a discovery document took 1.2 GB, a token answer 375 MB.
#[test]
fn no_answer_takes_more_than_sixty_four_megabytes() {
    let key = crate::support::keys::key("rsa-pkcs8.pem");
    let bodies = bodies();
    for (path, status, flags, command) in [
        (
            "/fhir/R4/.well-known/smart-configuration",
            200,
            &[][..],
            &["get", "Patient/1"][..],
        ),
        ("/fhir/R4/metadata", 200, &[], &["doctor"]),
        (
            "/fhir/R4/Patient/1",
            400,
            &["--auth-type", "basic"],
            &["get", "Patient/1"],
        ),
        (
            "/token",
            200,
            &["--token-url", "token"],
            &["get", "Patient/1"],
        ),
        ("/token", 400, &["--token-url", "token"], &["doctor"]),
        (
            "/device",
            200,
            &[
                "--auth-type",
                "device-code",
                "--device-authorization-url",
                "device",
                "--token-url",
                "token",
            ],
            &["login"],
        ),
        (
            "/jwks",
            200,
            &[
                "--auth-type",
                "jwt-assertion",
                "--private-key-path",
                &key,
                "--token-url",
                "token",
                "--jku",
                "JWKS",
            ],
            &["doctor"],
        ),
    ] {
        for (name, answer) in &bodies {
            let (server, medplum) = (Server::start(), Medplum::new());
            let statement = json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
            server.on(
                "GET",
                "/fhir/R4/metadata",
                Answer::json(200, statement.to_string()),
            );
            for method in ["GET", "POST"] {
                server.on(method, path, answer.clone().with_status(status));
            }
            let (base, jwks) = (server.url("/"), server.url("/jwks"));
            let flags = flags
                .iter()
                .map(|flag| if *flag == "JWKS" { jwks.as_str() } else { flag });
            let mut args = [command, &["--base-url", &base, "--client-id", "c"]].concat();
            if path != "/jwks" {
                args.extend(["--client-secret", "s-canary-1"]);
            }
            args.extend(flags);
            let peak = peak(&medplum, &args);
            assert!(
                !server.requests_to(path).is_empty(),
                "{path}, {name}: never asked for, {:?}",
                server.lines()
            );
            assert!(peak < MOST, "{path} {status}, {name}: {peak} kB");
        }
    }
}
