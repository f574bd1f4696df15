//! How a server behaves.

/// The release that is stood in for. It decides which fields exist on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// 23ai: login in one message, and a mark at the end of each answer.
    Oracle23ai,
    /// 19c.
    Oracle19c,
    /// 12.1, the oldest that thin drivers accept.
    Oracle12_1,
    /// 11.2, which thin drivers refuse.
    Oracle11_2,
}

impl Profile {
    /// Version of the TNS protocol.
    #[must_use]
    pub fn protocol(self) -> u16 {
        match self {
            Self::Oracle23ai => 319,
            Self::Oracle19c => 318,
            Self::Oracle12_1 => 315,
            Self::Oracle11_2 => 314,
        }
    }

    /// Version of the fields of TTC messages.
    #[must_use]
    pub fn fields(self) -> u8 {
        match self {
            Self::Oracle23ai => 24,
            Self::Oracle19c => 12,
            Self::Oracle12_1 => 7,
            Self::Oracle11_2 => 6,
        }
    }

    /// The release as one number, as the login tells it. Its layout changed with 18c.
    #[must_use]
    pub fn release(self) -> u32 {
        match self {
            Self::Oracle23ai => (23 << 24) | (6 << 16) | (24 << 4),
            Self::Oracle19c => (19 << 24) | (3 << 16),
            Self::Oracle12_1 => (12 << 24) | (1 << 20) | (2 << 8),
            Self::Oracle11_2 => (11 << 24) | (2 << 20) | (4 << 8),
        }
    }

    /// Most bytes of a `VARCHAR2`: 23ai is created with `MAX_STRING_SIZE=EXTENDED`.
    #[must_use]
    pub fn string_bytes_max(self) -> u32 {
        if self == Self::Oracle23ai { 32_767 } else { 4_000 }
    }

    /// Whether the time zone of the database comes with the data types, so that clients need not ask for it.
    #[must_use]
    pub fn tells_zone(self) -> bool {
        self == Self::Oracle23ai
    }

    /// The message of ORA-01017.
    #[must_use]
    pub fn login_denied(self) -> &'static str {
        if self == Self::Oracle23ai {
            "invalid credential or not authorized; logon denied"
        } else {
            "invalid username/password; logon denied"
        }
    }
}

/// How passwords are kept, which decides how a login proves that it knows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// PBKDF2 with SHA-512.
    V12c,
    /// SHA-1 with a salt.
    V11g,
}

/// Whether the server insists on its own encryption below TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeEncryption {
    /// `SQLNET.ENCRYPTION_SERVER = ACCEPTED`, as installed.
    Accepted,
    /// `SQLNET.ENCRYPTION_SERVER = REQUIRED`, which thin drivers cannot do.
    Required,
}

/// Certificate and key of a server that speaks TLS, both as PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate of the server, then those that vouch for it.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The release.
    pub profile: Profile,
    /// How passwords are kept.
    pub verifier: Verifier,
    /// Most bytes of a packet; a client may ask for less.
    pub sdu: u16,
    /// Names of services that the listener knows, in any case.
    pub services: Vec<String>,
    /// SIDs that the listener knows, in any case.
    pub sids: Vec<String>,
    /// Logins that are locked.
    pub locked: Vec<String>,
    /// How often a client has to send its first packet again.
    pub resends: u8,
    /// Encryption below TLS.
    pub native_encryption: NativeEncryption,
    /// With a certificate, the server speaks TLS (TCPS) and nothing else.
    pub certificate: Option<Certificate>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::Oracle19c,
            verifier: Verifier::V12c,
            sdu: 8192,
            services: vec!["FREEPDB1".to_owned()],
            sids: vec!["FREE".to_owned()],
            locked: Vec::new(),
            resends: 0,
            native_encryption: NativeEncryption::Accepted,
            certificate: None,
        }
    }
}
