//! The rules of npm's dotenv 17, which the Medplum CLI reads `.env` by: nothing is substituted, `$` is a plain character.

use std::sync::LazyLock;

use regex_lite::Regex;

/// Its own expression (`lib/main.js`, `LINE`), with JavaScript's `\s` spelled out: it takes the byte order mark too.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let space = r"[\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}]";
    let text = r#"(?m)^\s*(?:export\s+)?([A-Za-z0-9_.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#[^\n\r\x{2028}\x{2029}]*)?$"#;
    Regex::new(&text.replace(r"\s", space)).expect("it is written here, and a test reads by it")
});

/// Names and values in the order of the file, and the numbers of the lines that begin with `MEDPLUM_` and say nothing.
pub fn parse(text: &str) -> (Vec<(String, String)>, Vec<usize>) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut variables = Vec::new();
    let mut passed_over = Vec::new();
    let (mut end, mut line) = (0, 1);
    for found in LINE.captures_iter(&text) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else {
            continue;
        };
        line = note_passed_over(&text[end..whole.start()], line, &mut passed_over);
        line += whole.as_str().matches('\n').count();
        end = whole.end();
        let raw = found.get(2).map_or("", |value| value.as_str());
        variables.push((name.as_str().to_owned(), value(raw)));
    }
    note_passed_over(&text[end..], line, &mut passed_over);
    (variables, passed_over)
}

/// Notes the lines that begin like a setting of ours in a stretch of the file that sets nothing. Gives the number of the
/// line that follows the stretch.
fn note_passed_over(gap: &str, first: usize, passed_over: &mut Vec<usize>) -> usize {
    for (index, line) in gap.split('\n').enumerate() {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.starts_with("MEDPLUM_") {
            passed_over.push(first + index);
        }
    }
    first + gap.matches('\n').count()
}

/// The value without its quotes; line ends written as `\n` and `\r` are such in double quotes alone.
fn value(raw: &str) -> String {
    let value = raw.trim_matches(|c: char| c.is_whitespace() && c != '\u{85}' || c == '\u{feff}');
    let quote = value.chars().next().filter(|c| "'\"`".contains(*c));
    let bare = quote
        .and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    if quote == Some('"') {
        bare.replace("\\n", "\n").replace("\\r", "\r")
    } else {
        bare.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).0
    }

    #[test]
    fn values_are_read_as_dotenv_reads_them() {
        for (text, value) in [
            ("A=ab$cd-ef$$12#x", "ab$cd-ef$$12"),
            ("A=a${HOME}b", "a${HOME}b"),
            (r#"A="ab\qcd""#, r"ab\qcd"),
            (r#"A="one\ntwo""#, "one\ntwo"),
            (r"A='one\ntwo'", r"one\ntwo"),
            ("A='x # y' # z", "x # y"),
            ("A=\"x\ny\"\r\nB=1", "x\ny"),
            ("\u{feff}A=1", "1"),
            ("export A = 1 ", "1"),
            ("A: 1", "1"),
            ("A=`'\"`", "'\""),
            ("A=\"open", "\"open"),
            ("A=", ""),
            ("A=\nB=2", ""),
            ("A='a' b'", "a' b"),
        ] {
            assert_eq!(
                read(text)[0],
                ("A".to_owned(), value.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lines_of_ours_that_say_nothing_are_counted() {
        let text = "\u{feff}MEDPLUM_A\n# MEDPLUM_B\nX=\"1\n2\"\nexport MEDPLUM_C 'x'\nMEDPLUM_D=1\n MEDPLUM_E";
        assert_eq!(parse(text).1, [1, 5, 7]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_lines_are_of_the_file(text in "(?s).{0,200}") {
            let (_, lines) = parse(&text);
            let last = text.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count() + 1;
            prop_assert!(lines.iter().all(|line| (1..=last).contains(line)));
        }

        #[test]
        fn quoted_values_come_back_as_they_were(value in "[^'\\\\\r]{0,40}", before in "[#a-z \n]{0,20}") {
            let text = format!("{before}\nA='{value}' # end\nB=1\n");
            let read = read(&text);
            prop_assert!(read.contains(&("A".to_owned(), value)), "{read:?}");
            prop_assert!(read.contains(&("B".to_owned(), "1".to_owned())));
        }
    }
}
