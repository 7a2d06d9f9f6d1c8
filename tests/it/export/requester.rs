//! Projects and tenants share a FHIR base: what one of them began, no other goes on with.

use serde_json::json;

use crate::support::bulk::{PATIENTS, ndjson, pending};
use crate::support::{Answer, Bulk};

/// A site with one file; these arguments are those of two who ask, the second the other one.
const OTHERS: [(&[&str], &[&str]); 3] = [
    (&["-H", "X-Tenant: a"], &["-H", "X-Tenant: b"]),
    (
        &[],
        &["--client-id", "another", "--client-secret", "secret"],
    ),
    (
        &[],
        &[
            "--auth-type",
            "basic",
            "--client-id",
            "backend",
            "--client-secret",
            "secret",
        ],
    ),
];

fn site() -> Bulk {
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk
}

/// J2: the second one's first export asked for what changed since the other's.
#[test]
fn a_series_is_of_whoever_began_it() {
    for (one, other) in OTHERS {
        let bulk = site();
        let series = ["--since", "auto", "--keep"];
        bulk.export(&[&series[..], one].concat()).ok();
        let kick_offs = bulk.kick_offs();
        bulk.export(&[&series[..], other].concat())
            .fails(2)
            .says("somebody else");
        assert_eq!(bulk.kick_offs(), kick_offs, "{other:?}");
        // Whoever began it goes on.
        bulk.export(&[&series[..], one].concat()).ok();
        assert_eq!(bulk.kick_offs(), 2);
    }
}

#[test]
fn an_unfinished_export_is_of_whoever_began_it() {
    for (one, other) in OTHERS {
        let bulk = site();
        bulk.status([pending(), pending(), pending(), pending(), pending()]);
        bulk.export(&[&["--max-wait", "0s"], one].concat()).fails(6);
        bulk.export(other).fails(2).says("somebody else");
        for command in ["resume", "cancel"] {
            let args = [&["bulk", command, "out", "-p", "site"], other].concat();
            bulk.medplum.run(args).fails(2).says("somebody else");
        }
        assert_eq!((bulk.kick_offs(), bulk.deletes()), (1, 0), "{other:?}");
        let state = bulk.medplum.read("out/.medplum-export/job.json");
        assert!(
            !state.contains("X-Tenant") && !state.contains("backend"),
            "{state}"
        );
        bulk.server.guard(|request| {
            (request.method == "GET" && request.path() == crate::support::bulk::STATUS).then(|| {
                let page = json!({"transactionTime": "2026-01-01T00:00:00Z", "output": []});
                Answer::new(200, "application/json", page.to_string())
            })
        });
        bulk.export(one).ok();
    }
}
