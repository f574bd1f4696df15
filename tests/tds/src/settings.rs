//! What kind of server is started.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::faults::Faults;

/// How a server stands to TLS, in the words of its pre-login answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// It cannot.
    NotSupported,
    /// Only the login is encrypted, unless the client asks for all.
    Off,
    /// Everything is encrypted; who cannot is refused.
    On,
    /// As [`Encryption::On`], and it says that it insists even to those who ask for it.
    Required,
    /// TLS comes before everything else, as in TDS 8.
    Strict,
}

/// How rows with nulls are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullRows {
    /// As every other row.
    Plain,
    /// With a bitmap of the nulls before the values.
    Bitmap,
}

/// Where the acknowledgement of an attention stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// In a message of its own after the answer that was given up. The real server does so.
    OwnMessage,
    /// At the end of the answer that was given up, which the specification does not rule out.
    SameMessage,
}

/// A release of the server, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 16 for 2022, 15 for 2019, 11 for 2012, 10 for 2008.
    pub major: u8,
    /// 0 but for 2008 R2.
    pub minor: u8,
    /// Build.
    pub build: u16,
}

impl Version {
    /// SQL Server 2022.
    pub const V2022: Self = Self { major: 16, minor: 0, build: 4135 };
    /// SQL Server 2019.
    pub const V2019: Self = Self { major: 15, minor: 0, build: 4375 };
    /// SQL Server 2012.
    pub const V2012: Self = Self { major: 11, minor: 0, build: 7001 };
    /// SQL Server 2008 R2, which speaks TDS 7.3.
    pub const V2008_R2: Self = Self { major: 10, minor: 50, build: 6000 };
}

/// What kind of server is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How it stands to TLS.
    pub encryption: Encryption,
    /// Files with its chain of certificates and its key, as PEM. Without them it cannot encrypt.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What release it is. Before 11 it speaks TDS 7.3 at most; from 16 on it also takes TLS before everything else.
    pub version: Version,
    /// Size of packets in bytes that it insists on; otherwise that which the client asks for.
    pub packet_size: Option<u16>,
    /// How rows with nulls are sent.
    pub null_rows: NullRows,
    /// Where the acknowledgement of an attention stands.
    pub acknowledgement: Acknowledgement,
    /// Name of its instance; a client that asks for another is told so.
    pub instance: String,
    /// Its name in errors.
    pub name: String,
    /// Collation of the server, which clients are told at login.
    pub collation: String,
    /// Address on the loopback. A server with another than 127.0.0.1 can have a browser service beside it.
    pub address: Ipv4Addr,
    /// Port; 0 for one that is free.
    pub port: u16,
    /// What goes wrong on demand.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            encryption: Encryption::Off,
            certificate: Some(certificate_of_localhost()),
            version: Version::V2022,
            packet_size: None,
            null_rows: NullRows::Plain,
            acknowledgement: Acknowledgement::OwnMessage,
            instance: "MSSQLSERVER".to_owned(),
            name: "STANDIN".to_owned(),
            collation: "SQL_Latin1_General_CP1_CI_AS".to_owned(),
            address: Ipv4Addr::LOCALHOST,
            port: 0,
            faults: Faults::default(),
        }
    }
}

/// The certificate of the tests for a server by the name `localhost`.
pub fn certificate_of_localhost() -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../support/tls");
    (folder.join("localhost.pem"), folder.join("localhost.key"))
}
