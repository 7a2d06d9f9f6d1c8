//! `.env` beside npm's dotenv 17.2.3, which the Medplum CLI reads it by: the same files, the same values.

use std::collections::BTreeMap;

use ::medplum::profile::env_file;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Answer, Medplum, Server};

/// What files are made of: all that means something to either reader, and some that means nothing.
const PIECES: &[&str] = &[
    "A=",
    "B =",
    "C: ",
    "export D=",
    "E",
    "F.x-y=",
    "x",
    "some words",
    " ",
    "  ",
    "\t",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "'",
    "'",
    "\"",
    "\"",
    "`",
    "#",
    " # c",
    "$",
    "${HOME}",
    "$HOME",
    "\\",
    "\\n",
    "\\r",
    "\\'",
    "\\\"",
    "=",
    ":",
    "\u{feff}",
    "ü",
    "\u{a0}",
    "\u{85}",
    "\u{3000}",
    "value",
    "'v # x'",
    "\"v\\nw\"",
    "\"two\nlines\"",
    "`b't`",
    "$$12",
    "MEDPLUM_SCOPE=",
    "A='it\\'s'",
    "\u{c}",
    "\u{b}",
];

fn corpus(count: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(17);
    let one = |random: &mut fastrand::Rng| {
        let pieces = random.usize(1..24);
        (0..pieces)
            .map(|_| PIECES[random.usize(..PIECES.len())])
            .collect()
    };
    (0..count).map(|_| one(&mut random)).collect()
}

fn by_dotenv(medplum: &Medplum, files: &[String]) -> Vec<BTreeMap<String, String>> {
    let encoded: Vec<String> = files.iter().map(|file| STANDARD.encode(file)).collect();
    let script = std::fs::canonicalize("tests/peers/dotenv.mjs").unwrap();
    let run = medplum
        .program([std::ffi::OsString::from("node"), script.into_os_string()])
        .stdin(serde_json::to_vec(&encoded).unwrap())
        .run()
        .ok();
    serde_json::from_value(run.json()).unwrap()
}

#[test]
fn twenty_thousand_files_are_read_as_dotenv_reads_them() {
    let files = corpus(20_000);
    let theirs = by_dotenv(&Medplum::new(), &files);
    let mut values = 0;
    for (file, theirs) in files.iter().zip(&theirs) {
        let ours: BTreeMap<String, String> = env_file::parse(file).0.into_iter().collect();
        assert_eq!(&ours, theirs, "{file:?}");
        values += ours.len();
    }
    assert!(values > 5_000, "the files say something: {values} values");
}

/// The whole way: what the token endpoint is sent is what the Medplum CLI would have sent.
#[test]
fn the_secret_that_is_sent_is_the_one_that_dotenv_reads() {
    let server = Server::start();
    server.handler(|request| {
        Some(match request.method.as_str() {
            "POST" => Answer::new(
                200,
                "application/json",
                r#"{"access_token":"t-1","token_type":"bearer"}"#,
            ),
            _ => Answer::json(200, "{}"),
        })
    });
    let files: Vec<String> = [
        "ab$cd-ef$$12#x", "'a#b' # c", "\"a\\nb\"", "\"line one\nline two\"", "`it's \"so\"`", " spaced out ", "\"open",
        "x'y\"z", "a=b=c", "ü€",
    ]
    .into_iter()
    .flat_map(|value| {
        ["\n", "\r\n"].map(|end| {
            format!(
                "\u{feff}# c{end}MEDPLUM_BASE_URL={}{end}export MEDPLUM_CLIENT_ID: me{end}MEDPLUM_CLIENT_AUTH=post{end}MEDPLUM_CLIENT_SECRET={value}{end}",
                server.url("/")
            )
        })
    })
    .collect();
    for (file, theirs) in files.iter().zip(by_dotenv(&Medplum::new(), &files)) {
        server.forget();
        let medplum = Medplum::new();
        medplum.file(".env", file);
        let run = medplum
            .run(["get", "Patient/1", "--token-url", "/token"])
            .ok();
        let form = server.request_to("/token").form();
        let secret = form.iter().find(|(name, _)| name == "client_secret");
        assert_eq!(
            secret.map(|(_, value)| value),
            theirs.get("MEDPLUM_CLIENT_SECRET"),
            "{file:?}\n{run}"
        );
    }
}
