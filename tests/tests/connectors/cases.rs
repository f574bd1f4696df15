//! The cases of the contract: what every database keeps, by name.

use std::time::Instant;

use engine_connect::registry;
use engine_core::ports::{Cancel, Fetched, ServerConfig, SourceError, SourceErrorKind, TlsConfig};
use engine_core::probe::{Known, Probe, ReadOnly};
use engine_core::value::{Cell, Kind, RowBatch, TypeRule};
use engine_spec::model::TlsMode;
use engine_spec::template::BindValue;
use engine_tests::servers::Server;
use engine_tests::suite::Verdict::{self, Kept, Skipped};
use jiff::SignedDuration;

use crate::peers::Peer;
use crate::{HASTY, MANY_ROWS, PATIENT, PROMPT, STREAM_MEMORY_MAX_KIB, ask, config, failure, only_row, open, opened};

/// A case: its name, and what panics where it does not hold.
pub type Case = (&'static str, fn(&Peer, &Server) -> Verdict);

/// Both sides of the hour that Berlin repeats in 2025, and a reading of the clock in the hour that it skips.
const REPEATED_HOUR_SECS: [i64; 2] = [1_761_438_600, 1_761_442_200];
const SKIPPED_READING_SECS: i64 = 1_743_301_800;
/// Digits beyond which neither 64 bits nor a binary number hold a decimal.
const BIG_DIGITS: usize = 30;
/// How far the clocks of a server and of this machine may differ, where both are one machine.
const CLOCKS_DIFFER_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Batches after which a run must have noticed that it shall stop.
const BATCHES_AFTER_CANCEL_MAX: usize = 5;

/// The list, in the order in which it is run.
pub const CASES: &[Case] = &[
    ("values arrive as they are", values_round_trip),
    ("types are those of the documents", types_are_documented),
    ("null in every kind", null_in_every_kind),
    ("big decimals", big_decimals),
    ("instants around a clock change", instants_around_a_clock_change),
    ("one undecodable value", bad_values_cost_only_themselves),
    ("no rows", no_rows_still_have_columns),
    ("bound values fit", bound_values_fit),
    ("misfits are named", misfits_are_named),
    ("identity says who", identity_says_who),
    ("session and plan are told", session_and_plan_are_told),
    ("wrong password", a_wrong_password_is_told),
    ("wrong settings", wrong_settings_are_told),
    ("missing rights", missing_rights_are_told),
    ("certificates are checked", certificates_are_checked),
    ("nothing is written", nothing_is_written),
    ("errors say where", errors_say_where),
    ("a large result streams", a_large_result_streams),
    ("time-out", a_slow_query_runs_out_of_time),
    ("cancel while the server computes", a_slow_query_is_cancelled),
    ("cancel mid-stream", a_large_result_is_cancelled),
    ("given up mid-stream", a_large_result_is_given_up),
    ("cut connection", a_cut_connection_is_noticed_and_made_anew),
    ("closed port", a_closed_port_is_told),
];

/// The values of a peer: an expression, its kind, and its value.
fn values(peer: &Peer) -> impl Iterator<Item = &(&'static str, Kind, Cell<'static>)> {
    peer.values.iter().chain(peer.own_values)
}

/// Whether a connector has types of a kind.
fn has_kind(peer: &Peer, kind: Kind) -> bool {
    let connector = registry::find(peer.name).expect("the connector is registered");
    connector.types.iter().any(|rule| rule.kind == kind)
}

fn check_value(peer: &Peer, server: &Server, (expression, kind, expected): &(&'static str, Kind, Cell<'static>)) {
    let mut source = opened(peer, server);
    let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 1 AS one {}", peer.from));
    assert_eq!(batch.row(0).get(0), *expected, "{}: {expression}", peer.name);
    assert_eq!(batch.columns()[0].kind, *kind, "{}: {expression}", peer.name);
}

fn values_round_trip(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    for (expression, kind, expected) in values(peer) {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 1 AS one {}", peer.from));
        assert_eq!(batch.row(0).get(0), *expected, "{}: {expression}", peer.name);
        assert_eq!(batch.columns()[0].kind, *kind, "{}: {expression}", peer.name);
        assert!(!batch.columns()[0].source_type.is_empty(), "{}: {expression}", peer.name);
    }
    Kept
}

fn bad_values_cost_only_themselves(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    for (expression, part) in peer.bad {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, {} AS seven {}", peer.seven, peer.from));
        match batch.row(0).get(0) {
            Cell::Bad(why) => {
                assert!(why.to_lowercase().starts_with("column v (") && why.contains(part), "{expression}: {why}");
            }
            other => panic!("{}: {expression} is {other:?}", peer.name),
        }
        assert_eq!(batch.row(0).get(1), Cell::Int(7), "{}: {expression}", peer.name);
    }
    Kept
}

fn types_are_documented(peer: &Peer, server: &Server) -> Verdict {
    let rules = registry::find(peer.name).expect("the connector is registered").types;
    let mut source = opened(peer, server);
    for (expression, ..) in values(peer) {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 1 AS one {}", peer.from));
        let column = &batch.columns()[0];
        if let Some(rule) = TypeRule::find(rules, &column.source_type) {
            assert_eq!(rule.kind, column.kind, "{}: {expression} is {}", peer.name, column.source_type);
        } else {
            // Types that an administrator made: the documents speak of them as a whole.
            assert!(peer.own_types.contains(&&*column.source_type), "{}: no rule for {column:?}", peer.name);
        }
    }
    Kept
}

fn null_in_every_kind(peer: &Peer, server: &Server) -> Verdict {
    let rules = registry::find(peer.name).expect("the connector is registered").types;
    let kinds = rules.iter().map(|rule| rule.kind).filter(|kind| *kind != Kind::Any && !peer.lacks.contains(kind));
    for kind in kinds {
        let null = values(peer).find(|(_, of, value)| *of == kind && *value == Cell::Null);
        check_value(peer, server, null.unwrap_or_else(|| panic!("{}: no null of {kind:?} is tried", peer.name)));
    }
    Kept
}

fn big_decimals(peer: &Peer, server: &Server) -> Verdict {
    if !has_kind(peer, Kind::Decimal) {
        return Skipped("no exact decimals");
    }
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let is_big = |cell: &Cell<'_>| matches!(cell, Cell::Decimal(text) if digits(text) >= BIG_DIGITS);
    let big: Vec<_> = values(peer).filter(|(.., value)| is_big(value)).collect();
    assert!(!big.is_empty(), "{}: no decimal of {BIG_DIGITS} digits is tried", peer.name);
    big.into_iter().for_each(|value| check_value(peer, server, value));
    Kept
}

fn instants_around_a_clock_change(peer: &Peer, server: &Server) -> Verdict {
    if !has_kind(peer, Kind::Instant) {
        return Skipped("no type with a zone");
    }
    let instants = REPEATED_HOUR_SECS.map(|secs| Cell::Instant { secs, nanos: 0 });
    for expected in instants.into_iter().chain([Cell::Civil { secs: SKIPPED_READING_SECS, nanos: 0 }]) {
        let found = values(peer).find(|(.., value)| *value == expected);
        check_value(peer, server, found.unwrap_or_else(|| panic!("{}: {expected:?} is not tried", peer.name)));
    }
    Kept
}

fn a_large_result_is_cancelled(peer: &Peer, server: &Server) -> Verdict {
    let cancel = Cancel::default();
    let mut source = open(peer, config(peer, server, PATIENT), &cancel).unwrap();
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows, "{}", peer.name);
    cancel.cancel();
    let end = (0..BATCHES_AFTER_CANCEL_MAX).find_map(|_| source.next(&mut batch).err());
    assert_eq!(end.map(|error| error.kind), Some(SourceErrorKind::Cancelled), "{}", peer.name);
    server.await_answer(peer.running, "0");
    Kept
}

fn no_rows_still_have_columns(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    source.ask(&ask("SELECT id, note FROM booking WHERE id < 0", vec![])).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
    let columns: Vec<_> = batch.columns().iter().map(|column| (column.name.to_lowercase(), column.kind)).collect();
    assert_eq!(columns, [("id".to_owned(), Kind::Int), ("note".to_owned(), Kind::Text)], "{}", peer.name);
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
    Kept
}

fn bound_values_fit(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    for (condition, value) in (peer.binds)() {
        let case = format!("{}: {condition} with {value:?}", peer.name);
        source.ask(&ask(&format!("SELECT id FROM booking WHERE {condition}"), vec![value])).unwrap();
        let mut batch = RowBatch::new();
        assert_eq!(source.next(&mut batch).unwrap_or_else(|error| panic!("{case}: {error}")), Fetched::Rows, "{case}");
        assert_eq!(batch.row(0).get(0), Cell::Int(1), "{case}");
    }
    let error = failure(&mut *source, &ask("SELECT id FROM booking", vec![BindValue::Int(1)]));
    assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
    Kept
}

fn misfits_are_named(peer: &Peer, server: &Server) -> Verdict {
    if (peer.misfits)().is_empty() {
        return Skipped("the server does not tell what type a placeholder has");
    }
    let mut source = opened(peer, server);
    for (condition, value, part) in (peer.misfits)() {
        let error = failure(&mut *source, &ask(&format!("SELECT id FROM booking WHERE {condition}"), vec![value]));
        assert_eq!(error.kind, SourceErrorKind::Query, "{condition}: {error}");
        assert!(error.message.contains("`params.p1`") && error.message.contains(part), "{condition}: {error}");
    }
    Kept
}

fn identity_says_who(peer: &Peer, server: &Server) -> Verdict {
    let (first, second) = (opened(peer, server), opened(peer, server));
    let identity = first.identity();
    assert_eq!(identity, second.identity(), "the same server says the same of itself");
    assert!(!identity.version.is_empty());
    assert_eq!(identity.encryption == "none", peer.tls == TlsMode::Disable, "{}", identity.encryption);
    for fact in peer.facts {
        assert!(identity.facts.contains_key(*fact), "{}: {fact} is not in {:?}", peer.name, identity.facts);
    }
    Kept
}

/// What `engine check` shows. A driver that tells nothing of itself is not asked.
fn session_and_plan_are_told(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    let query = ask("SELECT id FROM booking WHERE id > 1", vec![]);
    let probe = source.probe(&query).unwrap();
    if probe == Probe::default() {
        return Skipped("the driver does not ask its server");
    }
    assert!(
        probe.account.known().is_some_and(|account| account.to_lowercase().contains(&server.username)),
        "{:?}",
        probe.account
    );
    // A server may have no such session; then nothing is said of it.
    let is_held =
        |session: &Known<ReadOnly>| session.known().map_or(*session == Known::Inapplicable, |said| said.holds);
    assert!(is_held(&probe.read_only), "{:?}", probe.read_only);
    assert!(probe.clock.known().is_some_and(|reading| reading.ahead().abs() < CLOCKS_DIFFER_MAX), "{:?}", probe.clock);
    assert!(probe.rights.known().is_some_and(|rights| !rights.is_empty()), "{:?}", probe.rights);
    match (&probe.plan, peer.no_plan) {
        (Known::Is(plan), None) => {
            assert!(plan.reads.iter().any(|read| read.table.ends_with("booking")), "{plan:?}");
        }
        (Known::Unknown(why), Some(part)) if why.contains(part) => return Kept,
        (plan, _) => panic!("{plan:?}"),
    }
    // Neither the probe nor a question that the server refuses costs the session.
    only_row(&mut *source, peer.ping);
    let refused = source.probe(&ask(peer.unknown_table.0, vec![])).unwrap();
    assert!(matches!(refused.plan, Known::Unknown(why) if why.contains("buchung")));
    only_row(&mut *source, peer.ping);
    Kept
}

fn refused(peer: &Peer, server: &Server, change: impl FnOnce(&mut ServerConfig)) -> SourceError {
    let mut config = config(peer, server, PATIENT);
    change(&mut config);
    open(peer, config, &Cancel::default()).map(|_| ()).expect_err("the settings are wrong")
}

fn a_wrong_password_is_told(peer: &Peer, server: &Server) -> Verdict {
    let error = refused(peer, server, |config| config.password = Some("wrong-canary".into()));
    assert_eq!(error.kind, SourceErrorKind::Auth, "{error}");
    let place = format!("connecting to {} at {}:{} as {}", peer.name, server.host, server.port, server.username);
    assert_eq!(error.tried, place);
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("source.password")), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "a password is in {error:?}");
    Kept
}

fn wrong_settings_are_told(peer: &Peer, server: &Server) -> Verdict {
    let error = refused(peer, server, |config| config.database = "nowhere".into());
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    let error = refused(peer, server, |config| config.tls.cert_file = Some("/nowhere.pem".into()));
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    let error = refused(peer, server, |config| config.host = "no-such-host.invalid".into());
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    Kept
}

fn missing_rights_are_told(peer: &Peer, server: &Server) -> Verdict {
    let mut config = config(peer, server, PATIENT);
    config.username = "stranger".into();
    config.password = Some("s3cret-canary".into());
    let mut source = open(peer, config, &Cancel::default()).unwrap();
    let error = failure(&mut *source, &ask(peer.stranger, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Permission, "{error}");
    Kept
}

fn certificates_are_checked(peer: &Peer, server: &Server) -> Verdict {
    let Some(ca_file) = &server.ca_file else { return Skipped("the server was not started here") };
    let encrypted = |mode: TlsMode, host: &str, trusted: bool| {
        let mut config = config(peer, server, PATIENT);
        config.host = host.to_owned();
        config.tls.mode = mode;
        config.tls.ca_file = trusted.then(|| ca_file.clone());
        open(peer, config, &Cancel::default()).map(|source| source.identity().encryption.clone())
    };
    for (mode, host, trusted, expected) in [
        (TlsMode::Prefer, "127.0.0.1", false, Ok("no certificate checked")),
        (TlsMode::Require, "localhost", false, Ok("no certificate checked")),
        (TlsMode::VerifyCa, "localhost", true, Ok("authority checked")),
        (TlsMode::VerifyFull, "127.0.0.1", true, Ok("authority and host name checked")),
        (TlsMode::VerifyCa, "127.0.0.1", false, Err("tls.ca_file")),
        (TlsMode::VerifyFull, "127.0.0.1", false, Err("tls.ca_file")),
        (TlsMode::VerifyFull, "localhost", true, Err("another name")),
    ] {
        match (encrypted(mode, host, trusted), expected) {
            (Ok(seen), Ok(part)) => {
                assert!(seen.starts_with("TLS") && seen.ends_with(part), "{mode:?} {host}: {seen}");
            }
            (Err(error), Err(part)) => {
                assert_eq!(error.kind, SourceErrorKind::Tls, "{mode:?} {host}: {error}");
                let hint = error.hint.unwrap_or_default();
                assert!(hint.contains(part), "{mode:?} {host}: {}; {hint}", error.message);
            }
            (seen, _) => panic!("{}: {mode:?} {host} trusted {trusted}: {seen:?}", peer.name),
        }
    }
    let mut config = config(peer, server, PATIENT);
    config.tls = TlsConfig { mode: TlsMode::VerifyFull, ca_file: Some("/nowhere/ca.pem".into()), ..config.tls };
    let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    Kept
}

fn nothing_is_written(peer: &Peer, server: &Server) -> Verdict {
    let before = server.execute("SELECT count(*) FROM booking");
    let mut source = opened(peer, server);
    for sql in peer.writes {
        let error = failure(&mut *source, &ask(sql, vec![]));
        let kinds = [SourceErrorKind::Permission, SourceErrorKind::Query];
        assert!(kinds.contains(&error.kind), "{}: {sql}: {error}", peer.name);
    }
    assert_eq!(server.execute("SELECT count(*) FROM booking"), before, "{}", peer.name);
    Kept
}

fn errors_say_where(peer: &Peer, server: &Server) -> Verdict {
    let (sql, parts) = peer.unknown_table;
    let error = failure(&mut *opened(peer, server), &ask(sql, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
    assert!(error.tried.contains(&format!("{}:{}", server.host, server.port)), "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{}: {error}", peer.name);
    }
    Kept
}

fn a_large_result_streams(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    let (before, mut seen, mut most) = (crate::resident_kib(), 0, 0);
    loop {
        for row in batch.rows() {
            seen += 1;
            assert_eq!(row.get(0), Cell::Int(seen));
            assert!(matches!(row.get(1), Cell::Text(text) if text.len() == 200));
        }
        most = most.max(crate::resident_kib());
        if source.next(&mut batch).unwrap() == Fetched::End {
            break;
        }
    }
    assert_eq!(seen, MANY_ROWS, "{}", peer.name);
    let grown = most.saturating_sub(before);
    assert!(grown < STREAM_MEMORY_MAX_KIB, "{}: {grown} KiB more for a result that streams", peer.name);
    Kept
}

fn a_slow_query_runs_out_of_time(peer: &Peer, server: &Server) -> Verdict {
    let mut source = open(peer, config(peer, server, HASTY), &Cancel::default()).unwrap();
    let begun = Instant::now();
    let error = failure(&mut *source, &ask(peer.slow, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < PROMPT, "{}: {:?}", peer.name, begun.elapsed());
    server.await_answer(peer.running, "0");
    only_row(&mut *source, peer.ping);
    Kept
}

fn a_slow_query_is_cancelled(peer: &Peer, server: &Server) -> Verdict {
    let cancel = Cancel::default();
    let mut source = open(peer, config(peer, server, PATIENT), &cancel).unwrap();
    source.ask(&ask(peer.slow, vec![])).unwrap();
    server.await_answer(peer.running, "1");
    let begun = Instant::now();
    cancel.cancel();
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Cancelled);
    assert!(begun.elapsed() < PROMPT, "{}: {:?}", peer.name, begun.elapsed());
    server.await_answer(peer.running, "0");
    Kept
}

fn a_large_result_is_given_up(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    only_row(&mut *source, peer.ping);
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    drop(source);
    server.await_answer(peer.running, "0");
    Kept
}

fn a_cut_connection_is_noticed_and_made_anew(peer: &Peer, server: &Server) -> Verdict {
    let mut source = opened(peer, server);
    source.ask(&ask(peer.slow, vec![])).unwrap();
    server.await_answer(peer.running, "1");
    cut(peer, server);
    let error = source.next(&mut RowBatch::new()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    only_row(&mut *source, peer.ping);
    // A session that was cut while it rested is not even an error.
    cut(peer, server);
    only_row(&mut *source, peer.ping);
    Kept
}

fn cut(peer: &Peer, server: &Server) {
    let statements = server.execute(peer.cut);
    assert!(!statements.trim().is_empty(), "{}: no session is there to be cut", peer.name);
    for statement in statements.lines() {
        server.execute(statement);
    }
}

fn a_closed_port_is_told(peer: &Peer, server: &Server) -> Verdict {
    let mut config = config(peer, server, PATIENT);
    config.host = "127.0.0.1".into();
    config.port = Some(1);
    let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    assert!(error.tried.contains("127.0.0.1:1") && error.hint.unwrap().contains("source.port"));
    Kept
}
