//! `kill -9` at moments by chance: of a renewal, of a first token, of a login by browser. The profile stays whole, and a
//! login ends by nothing but an answer that never arrived.
//!
//! Seeded, quick here. `tests/long/run kill` runs it longer: `MEDPLUM_KILLS`, `MEDPLUM_KILL_SEED`. `kills_calls.rs` kills
//! between any two changes of the disk.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::browser::visit;
use crate::support::run::{KILLED, Running};
use crate::support::{Clinic, Run, Site};

const LONGEST: Duration = Duration::from_secs(10);

fn kills() -> usize {
    number("MEDPLUM_KILLS", 40)
}

fn random() -> fastrand::Rng {
    let seed = number("MEDPLUM_KILL_SEED", 20_261_122);
    eprintln!("seed {seed}");
    fastrand::Rng::with_seed(seed as u64)
}

fn number(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |text| text.parse().unwrap())
}

/// Kills it after a part of this time, or a little later.
fn killed(running: Running, whole: Duration, random: &mut fastrand::Rng) -> Run {
    thread::sleep(whole.mul_f64(random.f64() * 1.2));
    running.kill();
    let run = running.finish();
    assert!([0, KILLED].contains(&run.code), "{run}");
    run
}

/// How long the next run is taken to last: longer when the last kill came before anything was stored, shorter when it came
/// behind it, so that kills fall on both sides however busy the machine is.
fn adjusted(whole: Duration, is_late: bool) -> Duration {
    let factor = if is_late { 0.9 } else { 1.1 };
    whole.mul_f64(factor).min(LONGEST)
}

/// Many kills must fall on both sides of what is stored; of a few that is not sure.
#[track_caller]
fn fell_on_both_sides(late: usize, kills: usize) {
    let is_sure = kills >= 100;
    assert!(!is_sure || late > 0 && late < kills, "{late} of {kills}");
}

/// The access token and the refresh token of the clinic's login.
fn login_of(clinic: &Clinic) -> (String, String) {
    let login = clinic.medplum.stored("clinic", "activeLogin");
    let text = |key: &str| login[key].as_str().unwrap().to_owned();
    (text("accessToken"), text("refreshToken"))
}

/// How often a refresh token came to the token endpoint.
fn uses(clinic: &Clinic, token: &str) -> usize {
    let requests = clinic.auth.token_requests();
    let holds = |form: Vec<(String, String)>| form.iter().any(|(_, value)| value == token);
    let forms = requests.iter().map(crate::support::Request::form);
    forms.filter(|form| holds(form.clone())).count()
}

#[test]
fn a_kill_at_any_moment_of_a_renewal_leaves_a_whole_login_or_one_whose_answer_was_lost() {
    let (kills, mut random) = (kills(), random());
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let settings = clinic.medplum.options("clinic");
    let expire = || {
        clinic.auth.revoke_access_tokens();
        clinic.medplum.age_tokens("clinic", 3600);
    };
    expire();
    let started = Instant::now();
    clinic.get().ok();
    let mut whole = started.elapsed();
    let (mut over, mut renewed) = (0, 0);
    for round in 0..kills {
        expire();
        let before = login_of(&clinic);
        let running = clinic.medplum.spawn(["get", "-p", "clinic", "Patient/1"]);
        let run = killed(running, whole, &mut random);
        // Readable, with the settings, and with one of the two logins, whole.
        assert_eq!(clinic.medplum.options("clinic"), settings, "round {round}");
        let after = login_of(&clinic);
        let is_half = (after.0 == before.0) != (after.1 == before.1);
        assert!(!is_half, "round {round}: half a login\n{run}");
        let is_good = after == before || clinic.auth.knows_refresh_token(&after.1);
        assert!(is_good, "round {round}\n{run}");
        renewed += usize::from(after != before);
        whole = adjusted(whole, after != before);
        let run = clinic.get();
        if run.code != 3 {
            run.ok();
            continue;
        }
        // The server had given out a new token that never arrived: the process that was killed had asked too.
        let asked = uses(&clinic, &before.1);
        assert!(
            after == before && asked == 2,
            "round {round}, {asked}: {run}"
        );
        run.says("log in again");
        over += 1;
        let (login, _) = clinic.log_in(&[]);
        login.ok();
    }
    eprintln!("{kills} kills: {renewed} renewed before, {over} logins lost with their process");
    fell_on_both_sides(renewed, kills);
    assert_nothing_is_left(&clinic.medplum.home());
}

/// A first token is stored whole or not at all, and is asked for again.
#[test]
fn a_kill_at_any_moment_of_a_first_token_leaves_the_settings_as_they_were() {
    let (kills, mut random) = (kills() / 2, random());
    let site = Site::open();
    let settings = site.medplum.options("site");
    let started = Instant::now();
    site.get().ok();
    let mut whole = started.elapsed();
    let mut stored = 0;
    for round in 0..kills {
        site.medplum.run(["logout", "-p", "site"]).ok();
        assert!(!site.medplum.profile_keys("site").contains_key("tokens"));
        let running = site.medplum.spawn(["get", "-p", "site", "Patient/1"]);
        let run = killed(running, whole, &mut random);
        assert_eq!(
            site.medplum.options("site"),
            settings,
            "round {round}\n{run}"
        );
        let asked = site.tokens.count();
        let has_token = site.medplum.profile_keys("site").contains_key("tokens");
        stored += usize::from(has_token);
        whole = adjusted(whole, has_token);
        site.get().ok();
        // What was stored serves.
        assert_eq!(site.tokens.count() == asked, has_token, "round {round}");
    }
    eprintln!("{kills} kills: {stored} tokens were stored before");
    fell_on_both_sides(stored, kills);
    assert_nothing_is_left(&site.medplum.home());
}

/// Killed while the code is exchanged and stored, the login before is there or the new one, and it works.
#[test]
fn a_kill_at_any_moment_of_a_login_leaves_the_login_before_or_the_new_one() {
    let (kills, mut random) = (kills() / 2, random());
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let settings = clinic.medplum.options("clinic");
    let mut whole = Duration::ZERO;
    let mut new = 0;
    for round in 0..=kills {
        let before = login_of(&clinic);
        let login = clinic.login(&[]);
        let back = clinic.auth.authorize(&clinic.medplum.opened(&login));
        let started = Instant::now();
        let visitor = thread::spawn(move || std::panic::catch_unwind(|| visit(&back)).is_ok());
        if round == 0 {
            login.finish().ok();
            whole = started.elapsed();
        } else {
            let run = killed(login, whole, &mut random);
            assert_eq!(clinic.medplum.options("clinic"), settings, "{run}");
        }
        let was_answered = visitor.join().unwrap();
        assert!(round > 0 || was_answered, "the page of the first login");
        let after = login_of(&clinic);
        let is_half = (after.0 == before.0) != (after.1 == before.1);
        assert!(!is_half, "round {round}: half a login");
        assert!(clinic.auth.knows_refresh_token(&after.1), "round {round}");
        if round > 0 {
            new += usize::from(after != before);
            whole = adjusted(whole, after != before);
        }
        clinic.get().ok();
    }
    eprintln!("{kills} kills: {new} new logins were stored before");
    fell_on_both_sides(new, kills);
    // What the last one left goes with the next change.
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    assert_nothing_is_left(&clinic.medplum.home());
}

/// What killed runs left beside the profile is gone after the next run that changed it.
#[track_caller]
fn assert_nothing_is_left(home: &std::path::Path) {
    let entries = std::fs::read_dir(home.join(".medplum")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with(".locks")).collect();
    names.retain(|name| name.strip_suffix(".json").is_none() || name.starts_with('.'));
    assert_eq!(json!(names), json!([]), "left by kills");
}
