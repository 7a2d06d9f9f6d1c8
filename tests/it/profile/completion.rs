//! Names of profiles completed, in the shells themselves.

use crate::support::Medplum;

fn machine() -> Medplum {
    let medplum = Medplum::new();
    for name in ["epic-sandbox", "epic-live", "bcda"] {
        let set = ["profile", "set", name, "--base-url", "https://h.example"];
        medplum.run(set).ok();
    }
    medplum
}

#[test]
fn bash_completes_the_names_of_profiles_and_flags() {
    let medplum = machine();
    let complete = |words: &str, at: usize| {
        let run = medplum.shell(&format!(
            "source <(medplum completions bash); COMP_WORDS=({words}); COMP_CWORD={at}; COMP_TYPE=9; \
             $(complete -p medplum | sed 's/.*-F \\([^ ]*\\).*/\\1/') medplum \"${{COMP_WORDS[{at}]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        ));
        let mut names: Vec<String> = run
            .ok()
            .stdout
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        complete("medplum get -p epic", 3),
        ["epic-live", "epic-sandbox"]
    );
    assert_eq!(complete("medplum profile describe b", 3), ["bcda"]);
    assert_eq!(
        complete("medplum get --client-secret-f", 2),
        ["--client-secret-file"]
    );
    assert!(complete("medplum profile ", 2).contains(&"rename".to_owned()));
}

#[test]
fn fish_completes_the_names_of_profiles() {
    let medplum = machine();
    let line = r#"medplum completions fish | source; complete -C "medplum get -p epic""#;
    let run = medplum.program(["fish", "-c", line]).run().ok();
    let mut names: Vec<&str> = run.stdout.lines().map(str::trim).collect();
    names.sort_unstable();
    assert_eq!(names, ["epic-live", "epic-sandbox"], "{run}");
}

/// With its own completion system, at a terminal of its own: a tab is typed.
#[test]
fn zsh_completes_the_name_of_a_profile() {
    let medplum = machine();
    medplum.file("complete.zsh", ZSH);
    let run = medplum
        .program(["zsh", "-f", "complete.zsh"])
        .env("TERM", "vt100")
        .run()
        .ok();
    assert!(run.stdout.contains("epic-sandbox"), "{run}");
}

/// Reads what the terminal shows until it shows this.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty -b shell zsh -f -i
seen=
until_seen() { repeat 250 { while zpty -r -t shell line; do seen+=$line; done; [[ $seen == *$1* ]] && return; sleep 0.1 }; print -r -- "not seen: $1 in $seen"; exit 1 }
zpty -w shell 'PS1="ready> "; autoload -U compinit; compinit -u -D; source <(medplum completions zsh); echo se''t up'
until_seen 'set up'
zpty -w -n shell $'medplum get -p epic-s\t'
until_seen 'get -p epic-sandbox'
print -r -- $seen
zpty -d shell
"#;
