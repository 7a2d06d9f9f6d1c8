//! Tokens that show by their shape what they are: JWTs.

/// The text with `stand_in` for every signed or encrypted token that has the shape of a JWT (RFC 7515 §7.1, RFC 7516 §7.1): its
/// header is JSON in base64, which begins with `eyJ`.
pub(super) fn without_jwts(text: &str, stand_in: &str) -> String {
    if !text.contains("eyJ") {
        return text.to_owned();
    }
    let is_of_jwt = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '=');
    let mut shown = String::with_capacity(text.len());
    for run in text.split_inclusive(|c| !is_of_jwt(c)) {
        let word = run.trim_end_matches(|c| !is_of_jwt(c));
        // `token=eyJ…`: a form has the name before it.
        let jwt = word.find("eyJ").map(|at| word.split_at(at));
        match jwt.filter(|(before, jwt)| jwt.contains('.') && !before.contains('.')) {
            Some((before, _)) => {
                shown.push_str(before);
                shown.push_str(stand_in);
                shown.push_str(&run[word.len()..]);
            }
            None => shown.push_str(run),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jwts_are_masked_wherever_they_stand() {
        for (text, shown) in [
            (
                "proof eyJ0eXAiOiJkcG9wK2p3dCJ9.eyJqdGki.c2ln, bad",
                "proof ********, bad",
            ),
            (
                "{\"dpop\":\"eyJ0eXAi.eyJqdGki.c2ln\"}",
                "{\"dpop\":\"********\"}",
            ),
            ("dpop=eyJ0eXAi.eyJqdGki.c2ln&a=1", "dpop=********&a=1"),
            ("greyJoy and eyJ0 alone stay", "greyJoy and eyJ0 alone stay"),
        ] {
            assert_eq!(without_jwts(text, "********"), shown);
        }
    }
}
