//! The list of connectors.

use engine_core::ports::Connector;

use crate::{csv, http};
#[cfg(feature = "databases")]
use crate::{mysql, oracle, postgres, sqlite, sqlserver};

/// Every kind of source that can be connected to, in the order in which documentation names them.
pub static CONNECTORS: &[Connector] = &[
    #[cfg(feature = "databases")]
    sqlserver::CONNECTOR,
    #[cfg(feature = "databases")]
    mysql::MYSQL,
    #[cfg(feature = "databases")]
    mysql::MARIADB,
    #[cfg(feature = "databases")]
    oracle::CONNECTOR,
    #[cfg(feature = "databases")]
    postgres::CONNECTOR,
    #[cfg(feature = "databases")]
    sqlite::CONNECTOR,
    http::CONNECTOR,
    csv::CONNECTOR,
];

/// The connector of a `source.type`.
pub fn find(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().find(|connector| connector.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connector_is_found_by_its_own_name() {
        for (place, connector) in CONNECTORS.iter().enumerate() {
            let found = CONNECTORS.iter().position(|other| other.name == connector.name);
            assert_eq!(found, Some(place), "two connectors are called {}", connector.name);
            assert!(find(connector.name).is_some());
        }
        assert!(find("dbase").is_none());
    }
}
