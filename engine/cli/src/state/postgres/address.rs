//! Where the state database is: a `postgres://` address, with two settings of the engine's own.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

/// Longest name of a schema, in bytes: PostgreSQL cuts longer ones.
const SCHEMA_BYTES_MAX: usize = 63;
/// Schema of the tables, where the address does not name one.
const SCHEMA: &str = "engine";
/// How long a pipeline stays with an engine that is not heard of, where the address does not say.
const LEASE: Duration = Duration::from_secs(30);
/// Shortest such time: heartbeats go over a network.
const LEASE_MIN: Duration = Duration::from_secs(3);
/// Longest such time: nobody runs the pipelines of a dead engine for so long.
const LEASE_MAX: Duration = Duration::from_secs(3_600);

/// Where the state database is.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) options: PgConnectOptions,
    /// Schema of the tables.
    pub(super) schema: String,
    /// How long a pipeline stays with an engine that is not heard of.
    pub(super) lease: Duration,
    /// Host, port and database, for messages.
    pub(super) place: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({}, {})", self.place, self.schema)
    }
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?schema=engine&lease=30&sslmode=verify-full`. No error shows
    /// the address, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut schema, mut lease) = (SCHEMA.to_owned(), LEASE);
        let mut rest: Vec<&str> = Vec::new();
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("schema", name)) if is_name(name) => schema = name.to_owned(),
                Some(("schema", _)) => {
                    return Err(format!("`schema` is a name of up to {SCHEMA_BYTES_MAX} characters: a-z, 0-9 and `_`"));
                }
                Some(("lease", seconds)) => lease = seconds_of(seconds)?,
                _ => rest.push(setting),
            }
        }
        let address = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let options = PgConnectOptions::from_str(&address).map_err(|error| match error {
            sqlx::Error::Configuration(error) => error.to_string(),
            other => other.to_string(),
        })?;
        let options = options.application_name("engine").disable_statement_logging();
        let database = options.get_database().unwrap_or(options.get_username());
        let place = format!("{}:{}/{database}", options.get_host(), options.get_port());
        Ok(Self { schema, lease, place, options })
    }
}

/// Files that an address names: certificates and their keys, which every new connection reads.
pub fn files_of(url: &str) -> Vec<PathBuf> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let settings = query.split('&').filter_map(|setting| setting.split_once('='));
    let files =
        settings.filter(|(name, _)| ["sslrootcert", "sslcert", "sslkey", "ssl-root-cert", "ssl-ca"].contains(name));
    files.map(|(_, path)| PathBuf::from(path.replace("%2F", "/"))).collect()
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.len() <= SCHEMA_BYTES_MAX && name.chars().all(fits) && !name.starts_with("pg_")
}

fn seconds_of(text: &str) -> Result<Duration, String> {
    let lease = text.strip_suffix('s').unwrap_or(text).parse().ok().map(Duration::from_secs);
    lease.filter(|lease| (LEASE_MIN..=LEASE_MAX).contains(lease)).ok_or_else(|| {
        format!("`lease` is a number of seconds between {} and {}", LEASE_MIN.as_secs(), LEASE_MAX.as_secs())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_own_settings_are_taken_out() {
        let address = Address::parse("postgres://u:p@db:6543/state?sslmode=require&schema=acme_2&lease=5s").unwrap();
        assert_eq!((address.schema.as_str(), address.lease), ("acme_2", Duration::from_secs(5)));
        assert_eq!(address.place, "db:6543/state");
        let address = Address::parse("postgres://u@db/state").unwrap();
        assert_eq!((address.schema.as_str(), address.lease, address.place.as_str()), (SCHEMA, LEASE, "db:5432/state"));
    }

    #[test]
    fn files_of_an_address_are_known() {
        let files = files_of("postgres://u@db/state?sslmode=verify-full&sslrootcert=/etc/db/ca.pem&sslkey=%2Fk.pem");
        assert_eq!(files, [PathBuf::from("/etc/db/ca.pem"), PathBuf::from("/k.pem")]);
        assert!(files_of("postgres://u@db/state").is_empty());
    }

    #[test]
    fn no_error_and_no_form_shows_the_password() {
        for wrong in [
            "schema=A",
            "schema=",
            "schema=pg_x",
            "schema=a'b",
            "lease=x",
            "lease=2",
            "lease=3601",
            "lease=1d",
            "sslmode=x",
            &format!("schema={}", "a".repeat(64)),
        ] {
            let error = Address::parse(&format!("postgres://u:canary@db:5432/state?{wrong}")).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
        let error = Address::parse("postgres://u:canary@db:port/state").unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        let address = Address::parse("postgres://u:canary@db/state").unwrap();
        assert!(!format!("{address:?} {}", address.place).contains("canary"));
    }
}
