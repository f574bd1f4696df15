use super::*;

const TOKEN: &str = "correct-horse-battery";

fn access() -> Access {
    Access::new(&SecretString::from(TOKEN), true).expect("a token that will do")
}

fn ask(access: &Access, headers: &[(&'static str, String)]) -> Result<Visit, u16> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().expect("a header"));
    }
    let caller = Caller { headers: &map, address: IpAddr::from([10, 0, 0, 7]) };
    let asked = Asked { path: "/".to_owned(), by_browser: false, visit: Visit::Open };
    access.admit(&caller, &asked).map_err(|reply| reply.status)
}

fn log_in(access: &Access, token: &str) -> Reply {
    let caller = Caller { headers: &HeaderMap::new(), address: IpAddr::from([10, 0, 0, 7]) };
    access.log_in(&caller, format!("token={token}&to=/metrics").as_bytes())
}

/// The value that a log-in puts into the cookie.
fn session(access: &Access) -> String {
    let reply = log_in(access, TOKEN);
    assert_eq!(reply.status, 303);
    let cookie = &reply.headers.iter().find(|(name, _)| *name == SET_COOKIE).expect("a cookie").1;
    let (value, attributes) = cookie.split_once(';').expect("attributes");
    assert_eq!(attributes, " Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
    value.split_once('=').expect("a name and a value").1.to_owned()
}

fn with_session(access: &Access, session: &str) -> Result<Visit, u16> {
    ask(access, &[("cookie", format!("other=1; {}={session}", access.cookie()))])
}

#[test]
fn whoever_knows_the_token_is_let_in() {
    let access = access();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(ask(&access, &[("authorization", format!("{scheme} {TOKEN}"))]), Ok(Visit::ByToken), "{scheme}");
    }
    for value in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        TOKEN.to_owned(),
        format!("Basic {TOKEN}"),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Bearer {}", TOKEN.to_uppercase()),
    ] {
        assert_eq!(ask(&access, &[("authorization", value.clone())]), Err(401), "{value}");
    }
    assert_eq!(ask(&access, &[]), Err(401));
}

#[test]
fn a_log_in_gives_a_session_that_is_not_the_token() {
    let access = access();
    let session = session(&access);
    assert!(!session.contains(TOKEN));
    assert_eq!(with_session(&access, &session), Ok(Visit::LoggedIn));
    // Neither the end nor the code can be changed, and the token itself is no session.
    let later = format!("f{}", &session[1..]);
    let mut coded = session.clone();
    let last = if coded.ends_with('0') { "1" } else { "0" };
    coded.replace_range(session.len() - 1.., last);
    for wrong in [&later, &coded, &session[..session.len() - 2], &session[..END_DIGITS], TOKEN, "", "\u{e4}"] {
        assert!(!access.is_session(wrong), "{wrong}");
    }
    assert!(!self::access().is_session(&session), "another process knows it not");
}

#[test]
fn a_session_ends_with_its_time_and_with_the_token() {
    let access = access();
    assert!(access.is_session(&access.session(access.began.elapsed() + Duration::from_secs(5))));
    assert!(!access.is_session(&access.session(access.began.elapsed())));
    let session = session(&access);
    assert_eq!(access.renew(&SecretString::from(TOKEN)), Ok(false));
    assert_eq!(with_session(&access, &session), Ok(Visit::LoggedIn));
    assert_eq!(access.renew(&SecretString::from("another-token-of-today")), Ok(true));
    assert_eq!(with_session(&access, &session), Err(401));
    assert_eq!(log_in(&access, TOKEN).status, 401);
}

#[test]
fn a_token_that_will_not_do_is_refused_and_not_repeated() {
    let access = access();
    let long = "x".repeat(TOKEN_CHARS_MAX + 1);
    for token in ["", "too-short-a-tok", &long, "sixteen letters!", "sixteen-l\u{e4}tters!!"] {
        let error = access.renew(&SecretString::from(token)).expect_err("it is refused");
        assert!(token.is_empty() || !error.contains(token), "{error}");
    }
    for token in ["sixteen-letters!", &long[1..]] {
        access.renew(&SecretString::from(token)).expect("it will do");
    }
    let kept = "sixteen-letters!";
    access.renew(&SecretString::from(kept)).expect("it will do");
    access.renew(&SecretString::from("short")).expect_err("it is refused");
    assert_eq!(ask(&access, &[("authorization", format!("Bearer {kept}"))]), Ok(Visit::ByToken));
}

#[test]
fn an_address_that_guesses_is_not_listened_to_and_sessions_go_on() {
    let access = access();
    let session = session(&access);
    for _ in 0..ATTEMPTS_MAX {
        assert_eq!(log_in(&access, "wrong").status, 401);
    }
    let refused = log_in(&access, TOKEN);
    assert_eq!(refused.status, 429);
    assert!(refused.headers.iter().any(|(name, value)| *name == RETRY_AFTER && value == "60"), "{refused:?}");
    assert_eq!(ask(&access, &[("authorization", format!("Bearer {TOKEN}"))]), Err(429));
    assert_eq!(with_session(&access, &session), Ok(Visit::LoggedIn));
}

#[test]
fn a_page_of_somebody_else_logs_nobody_in_or_out() {
    let access = access();
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)] {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", site.parse().expect("a header"));
        let caller = Caller { headers: &headers, address: IpAddr::from([10, 0, 0, 7]) };
        assert_eq!(access.log_in(&caller, format!("token={TOKEN}").as_bytes()).status, status, "{site}");
        assert_eq!(access.log_out(&caller).status, status, "{site}");
    }
}
