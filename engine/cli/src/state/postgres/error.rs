//! What PostgreSQL and the network say, in plain words.

use engine_core::state::StateError;

/// Failures of the database, told apart by what to do about them.
#[derive(Debug)]
pub(super) enum Problem {
    /// The driver's or the server's words.
    Sqlx(sqlx::Error),
    /// The lease is another engine's by now.
    Lost,
    /// What is stored cannot be understood.
    Stored(String),
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlx(error)
    }
}

/// A failure at a place: `127.0.0.1:5432/state`.
pub(super) fn failed(place: &str, tried: &str, problem: &Problem) -> StateError {
    let (message, hint) = match problem {
        Problem::Sqlx(error) => (words(error), hint(error)),
        Problem::Lost => (
            "another engine has taken the pipeline over; nothing was written".to_owned(),
            Some("it goes on there by itself; this engine was silent for longer than its lease holds".to_owned()),
        ),
        Problem::Stored(message) => (
            format!("what is stored cannot be understood: {message}"),
            Some("another version of engine wrote it, or somebody edited it; restore it from a backup".to_owned()),
        ),
    };
    StateError { tried: format!("{tried} in the state database {place}"), message, hint }
}

/// The server's words, without the driver's around them.
fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection became free in time, or the server did not answer".to_owned(),
        other => other.to_string(),
    }
}

fn hint(error: &sqlx::Error) -> Option<String> {
    let text = match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Protocol(_) => {
            "check that the server of `state.url` runs and can be reached; nothing is lost, it goes on by itself"
        }
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => "check `sslmode` and `sslrootcert` of `state.url`",
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => "check user and password of `state.url`",
            Some("3D000") => "create the database, or name another one in `state.url`",
            Some("42501") => "the account needs the right to create tables in the schema: `GRANT CREATE ON DATABASE`",
            Some("53100") => "free some space on the disk of the state database; nothing is lost",
            Some("53300") => "raise `max_connections` of the state database, or run fewer engines",
            Some("25006") => "`state.url` leads to a server that only reads: name the primary",
            Some("57P01" | "57P02" | "57P03") => "the server restarts; nothing is lost, it goes on by itself",
            Some("25P03" | "57014" | "40001" | "40P01") => "nothing is lost; it is tried again by itself",
            _ => return None,
        },
        _ => return None,
    };
    Some(text.to_owned())
}
