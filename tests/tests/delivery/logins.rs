//! Logins reach the endpoint that they are for, and nothing else.

use engine_core::ports::{AuthConfig, HttpConfig, SessionConfig};
use engine_tests::platform::{Fault, Platform};
use secrecy::SecretString;

use crate::{ACCEPTED, CANARY, config, open, parcel, send, told};

#[test]
fn every_login_reaches_the_endpoint_and_no_message() {
    let secret = || SecretString::from(CANARY);
    let basic = "Basic ZWRnZTpjYW5hcnktN2YzYQ==";
    for (auth, name, value) in [
        (AuthConfig::Bearer(secret()), "authorization", format!("Bearer {CANARY}")),
        (AuthConfig::Basic("edge".to_owned(), secret()), "authorization", basic.to_owned()),
        (AuthConfig::Header("X-Key".to_owned(), secret()), "x-key", CANARY.to_owned()),
    ] {
        let platform = Platform::start();
        let mut config = config(&platform.url());
        config.auth = Some(auth);
        config.secret_headers = vec![("x-secret".to_owned(), SecretString::from("second-canary"))];
        platform.require_header(name, &value);
        assert_eq!(send(&mut open(&config), &parcel(0..1)), ACCEPTED);
        // The platform answers with what came.
        platform.require_header(name, "something else");
        let answer = send(&mut open(&config), &parcel(1..2));
        let (kind, message) = told(&answer);
        assert_eq!(kind, "refused");
        assert!(!message.contains(CANARY) && !message.contains("ZWRn") && message.contains("***"), "{message}");
        assert_eq!(platform.requests()[0].headers["x-secret"], "second-canary");
    }
}

fn with_oauth(platform: &Platform) -> HttpConfig {
    let mut config = config(&platform.url());
    config.auth = Some(AuthConfig::OAuth2 {
        token_url: platform.token_url(),
        client_id: "edge".to_owned(),
        client_secret: SecretString::from(CANARY),
        scope: Some("runs write".to_owned()),
    });
    config
}

#[test]
fn a_token_is_kept_and_replaced_when_it_is_withdrawn() {
    for secret_in_body in [false, true] {
        let platform = Platform::start();
        platform.require_oauth(secret_in_body, Some(3600));
        let mut destination = open(&with_oauth(&platform));
        for (seqs, issued) in [(0..2, 1), (2..4, 1)] {
            assert_eq!(send(&mut destination, &parcel(seqs)), ACCEPTED);
            assert_eq!(platform.tokens_issued(), issued);
        }
        platform.withdraw_token();
        assert_eq!(send(&mut destination, &parcel(4..6)), ACCEPTED);
        assert_eq!((platform.tokens_issued(), platform.state().len()), (2, 6));
        platform.assert_contract();
    }
}

#[test]
fn a_session_is_kept_and_opened_anew_when_it_ends() {
    let platform = Platform::start();
    platform.require_oauth(true, None);
    let mut config = config(&platform.url());
    let clear = [("grant_type", "client_credentials"), ("client_id", "edge"), ("scope", "runs write")];
    config.auth = Some(AuthConfig::Session(SessionConfig {
        login_url: platform.token_url(),
        clear: clear.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        secret: vec![("client_secret".to_owned(), SecretString::from(CANARY))],
        form: true,
        token: Some("$.access_token".to_owned()),
        header: None,
    }));
    let mut destination = open(&config);
    for seqs in [0..2, 2..4] {
        assert_eq!(send(&mut destination, &parcel(seqs)), ACCEPTED);
        assert_eq!(platform.tokens_issued(), 1);
    }
    platform.withdraw_token();
    assert_eq!(send(&mut destination, &parcel(4..6)), ACCEPTED);
    assert_eq!((platform.tokens_issued(), platform.state().len()), (2, 6));
}

#[test]
fn a_token_that_expires_is_replaced_without_a_refusal() {
    let platform = Platform::start();
    platform.require_oauth(false, Some(0));
    let mut destination = open(&with_oauth(&platform));
    for seq in 0..3 {
        assert_eq!(send(&mut destination, &parcel(seq..seq + 1)), ACCEPTED);
    }
    assert_eq!((platform.tokens_issued(), platform.requests().len()), (3, 3));
}

#[test]
fn a_token_that_is_never_right_is_asked_for_once_more_and_no_further() {
    let platform = Platform::start();
    platform.require_oauth(false, None).script(vec![Fault::status(401), Fault::status(401), Fault::status(401)]);
    assert_eq!(told(&send(&mut open(&with_oauth(&platform)), &parcel(0..1))).0, "refused");
    assert_eq!((platform.tokens_issued(), platform.requests().len()), (2, 2));
}

#[test]
fn no_token_means_nothing_is_sent() {
    let platform = Platform::start();
    let answer = send(&mut open(&with_oauth(&platform)), &parcel(0..1));
    let (kind, message) = told(&answer);
    assert_eq!(kind, "refused");
    assert!(message.contains("for a token: answered 404") && !message.contains(CANARY), "{message}");
    assert!(platform.requests().is_empty());
}

#[test]
fn a_login_does_not_follow_a_redirect() {
    let (platform, other) = (Platform::start(), Platform::start());
    for status in [301, 302, 307, 308] {
        platform.script(vec![Fault::Answer(status, vec![("Location", other.url())], String::new())]);
        let mut config = config(&platform.url());
        config.auth = Some(AuthConfig::Bearer(SecretString::from(CANARY)));
        let answer = send(&mut open(&config), &parcel(0..1));
        assert_eq!(told(&answer).0, "refused");
        assert!(told(&answer).1.contains("redirect"), "{answer:?}");
    }
    assert!(other.requests().is_empty());
}
