//! Every token that is forgotten here is given back to its server, or somebody is told that it is still good there.

use serde_json::{Value, json};

use crate::support::{Answer, Clinic};

const REVOKE: &str = "/oauth2/revoke";

/// A clinic with a login.
fn signed_in() -> Clinic {
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    clinic
}

/// The refresh tokens that came to the revocation endpoint.
fn given_back(clinic: &Clinic) -> Vec<String> {
    let requests = clinic.server.requests_to(REVOKE);
    let forms = requests.iter().map(crate::support::Request::form);
    let is_one = |form: &[(String, String)]| form.iter().any(|(_, value)| value == "refresh_token");
    let token = |form: Vec<(String, String)>| form.into_iter().find(|(name, _)| name == "token");
    let tokens = forms.filter(|form| is_one(form)).filter_map(token);
    tokens.map(|(_, value)| value).collect()
}

/// D19 (E42): the first refresh token that a server refused was the last one that it was told of.
#[test]
fn every_refresh_token_is_given_back_though_the_first_is_refused() {
    let clinic = signed_in();
    let mut tokens = clinic.medplum.stored("clinic", "tokens");
    let entry = tokens[0].clone();
    let mut expected = vec![entry["refreshToken"].as_str().unwrap().to_owned()];
    for number in 0..2 {
        let (mut other, token) = (entry.clone(), clinic.auth.new_refresh_token());
        other["accessToken"] = format!("other-{number}").into();
        other["scope"] = format!("openid other-{number}").into();
        other["refreshToken"] = token.clone().into();
        tokens.as_array_mut().unwrap().push(other);
        expected.push(token);
    }
    let mut keys = Value::Object(clinic.medplum.profile_keys("clinic"));
    keys["tokens"] = tokens.to_string().into();
    clinic
        .medplum
        .write_profile_text("clinic", &keys.to_string());
    let first = expected[0].clone();
    clinic.server.guard(move |request| {
        let is_first = request.path() == REVOKE && request.form().iter().any(|(_, v)| *v == first);
        let refusal = json!({"error": "unsupported_token_type"}).to_string();
        is_first.then(|| Answer::new(400, "application/json", refusal))
    });
    let run = clinic.medplum.run(["logout", "-p", "clinic"]).ok();
    let mut came = given_back(&clinic);
    came.sort();
    expected.sort();
    assert_eq!(came, expected, "{run}");
    run.says("did not take all tokens back");
}

/// D19 (E54): a profile that was removed took its login with it, and it stayed good at the server.
#[test]
fn a_profile_that_is_removed_gives_its_login_back() {
    let clinic = signed_in();
    let login = clinic.medplum.stored("clinic", "activeLogin");
    let token = login["refreshToken"].as_str().unwrap().to_owned();
    let run = clinic.medplum.run(["profile", "remove", "clinic"]).ok();
    assert!(!clinic.auth.knows_refresh_token(&token), "{run}");
    assert_eq!(given_back(&clinic), [token]);
    assert!(!clinic.medplum.profile_path("clinic").exists());
}

/// D19 (E54): a changed base dropped the login without a word.
#[test]
fn a_login_that_a_change_of_the_profile_drops_is_told_of() {
    let clinic = signed_in();
    let set = ["profile", "set", "clinic", "--update", "--base-url"];
    let run = clinic
        .medplum
        .run(set.iter().chain(&["https://b.example/"]));
    let run = run.ok().says("not given back to its server");
    let keys = clinic.medplum.profile_keys("clinic");
    assert!(!keys.contains_key("activeLogin"), "{keys:?}\n{run}");
}
