use std::collections::BTreeMap;
use std::io::Read;

use engine_core::ports::{AuthConfig, TimeoutConfig, TlsConfig};
use engine_core::state::OutboxRecord;
use engine_spec::model::{Method, TlsMode};

use secrecy::SecretString;
use uuid::Uuid;

use super::*;

fn config(url: &str, auth: Option<AuthConfig>) -> HttpConfig {
    HttpConfig {
        url: url.to_owned(),
        method: Method::Post,
        headers: Vec::new(),
        secret_headers: Vec::new(),
        auth,
        tls: TlsConfig { mode: TlsMode::VerifyFull, ca_file: None, cert_file: None, key_file: None },
        compression: Compression::None,
        timeouts: TimeoutConfig { connect: Duration::from_secs(5), query: Duration::from_secs(5) },
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn oauth(token_url: &str) -> AuthConfig {
    AuthConfig::OAuth2 {
        token_url: token_url.to_owned(),
        client_id: "id".to_owned(),
        client_secret: secret("canary"),
        scope: None,
    }
}

fn parcel() -> Parcel {
    let record = |seq: i64| OutboxRecord { seq, id: Uuid::nil(), body: format!(r#"{{"n":{seq}}}"#).into() };
    Parcel {
        idempotency_key: "k".to_owned(),
        pipeline: "p\"q".to_owned(),
        labels: BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "ü".to_owned())]),
        fence: None,
        records: vec![record(1), record(2)],
    }
}

#[test]
fn a_secret_is_refused_over_plain_http_but_for_loopback() {
    let bearer = || Some(AuthConfig::Bearer(secret("canary")));
    for (url, auth, allowed) in [
        ("http://10.0.0.1/x", bearer(), false),
        ("http://localhost.example/x", bearer(), false),
        ("http://127.0.0.1.example/x", bearer(), false),
        ("http://[::2]/x", bearer(), false),
        ("http://10.0.0.1/x", None, true),
        ("http://127.0.0.1:8080/x", bearer(), true),
        ("http://127.9.9.9/x", bearer(), true),
        ("http://[::1]:8080/x", bearer(), true),
        ("http://localhost/x", bearer(), true),
        ("https://10.0.0.1/x", bearer(), true),
        ("https://10.0.0.1/x", Some(oauth("http://10.0.0.1/token")), false),
        ("http://10.0.0.1/x", Some(oauth("https://10.0.0.1/token")), false),
    ] {
        let mut config = config(url, auth);
        // The outcome must not depend on the authorities of the machine.
        config.tls.mode = TlsMode::Require;
        let opened = HttpDestination::new(&config).map(|_| ());
        assert_eq!(opened.is_ok(), allowed, "{url}: {opened:?}");
        if let Err(error) = opened {
            assert!(error.to_string().contains("unencrypted") && !format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
    let mut config = config("http://10.0.0.1/x", None);
    config.secret_headers.push(("x-key".to_owned(), secret("canary")));
    assert!(HttpDestination::new(&config).is_err());
}

#[test]
fn settings_that_cannot_work_are_named() {
    let with = |change: fn(&mut HttpConfig)| {
        let mut config = config("https://host.example/x", None);
        change(&mut config);
        config
    };
    for (config, said) in [
        (with(|c| c.url = "host/x".to_owned()), "no address"),
        (with(|c| c.url = "ftp://host/x".to_owned()), "neither http nor https"),
        (with(|c| c.url = "https://me:canary@host/x".to_owned()), "holds a login"),
        (with(|c| c.headers.push(("a b".to_owned(), "c".to_owned()))), "no name of a header"),
        (with(|c| c.secret_headers.push(("x-key".to_owned(), secret("canary\n")))), "characters that no header"),
        (with(|c| c.auth = Some(AuthConfig::Basic("a:b".to_owned(), secret("canary")))), "colon"),
        (with(|c| c.tls.mode = TlsMode::Disable), "disable"),
        (with(|c| c.tls.ca_file = Some("/nonexistent/ca.pem".into())), "/nonexistent/ca.pem"),
        (with(|c| c.tls.ca_file = Some("/dev/null".into())), "no certificate"),
        (with(|c| c.tls.cert_file = Some("/dev/null".into())), "cannot be used"),
    ] {
        let error = HttpDestination::new(&config).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(error.hint.is_some() && !format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn the_envelope_holds_the_records_as_they_are() {
    assert_eq!(
        String::from_utf8(envelope(&parcel())).unwrap(),
        r#"{"pipeline":"p\"q","labels":{"a":"1","b":"ü"},"records":[{"n":1},{"n":2}]}"#
    );
}

#[test]
fn compression_is_undone_to_the_same_bytes() {
    let body = envelope(&parcel());
    let gzip = compressed(body.clone(), Compression::Gzip).unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, body);
    let zstd = compressed(body.clone(), Compression::Zstd).unwrap();
    assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), body);
    assert_eq!(compressed(body.clone(), Compression::None).unwrap(), body);
}

#[test]
fn a_place_shows_no_path_and_no_query() {
    let destination = HttpDestination::new(&config("http://127.0.0.1:8080/x?key=1", None)).unwrap();
    assert_eq!((destination.place(), destination.peer.place.as_str()), ("http://127.0.0.1:8080", "127.0.0.1:8080"));
}
