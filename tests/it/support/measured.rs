//! The most memory that a run of the binary took, as the system counted it.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::Medplum;
use super::run::Run;

/// Runs a program and writes the most memory that it had (`VmHWM`, in kB) into a file. It is started anew from a small
/// process, whose own memory would else be counted.
const WATCH: &str = r#"
import os, resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code if code >= 0 else 128 - code)
"#;

impl Medplum {
    /// Runs `medplum` to its end and tells the most memory it had, in bytes.
    #[track_caller]
    pub fn measured<A: AsRef<OsStr>>(&self, args: &[A]) -> (Run, u64) {
        let peak: PathBuf = self.root().join("peak");
        let mut words = vec!["python3".into(), "-c".into(), WATCH.into()];
        words.push(peak.clone().into_os_string());
        words.push(self.root().join("bin/medplum").into_os_string());
        words.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        let run = self.program(words).run();
        let kilobytes = std::fs::read_to_string(&peak)
            .unwrap_or_else(|error| panic!("no peak was written: {error}\n{run}"));
        (run, kilobytes.parse::<u64>().unwrap() * 1024)
    }
}
