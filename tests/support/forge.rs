//! Certificates that are made for one test: by an authority of its own, and wrong in the way that the test asks for.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// A key that every server takes: the words of `openssl` for it.
pub const CURVE: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
/// The name under which tests reach servers.
pub const NAMED: &str = "subjectAltName = IP:127.0.0.1";
/// Begin and end of a certificate that holds.
pub const VALID: (&str, &str) = ("20250101000000Z", "20990101000000Z");

/// A certificate of a server.
#[derive(Debug, Clone, Copy)]
pub struct Leaf {
    /// Its extensions. Without any, it is of version 1.
    pub extensions: &'static str,
    /// Its key, in the words of `openssl`.
    pub key: &'static str,
    /// The hash under its signature.
    pub digest: &'static str,
    /// When it begins and ends to hold.
    pub valid: (&'static str, &'static str),
}

/// A certificate of which nothing is wrong.
pub const GOOD: Leaf = Leaf { extensions: NAMED, key: CURVE, digest: "sha256", valid: VALID };

/// An authority in a folder, and the certificates that it issues. `ca.pem` is its own.
pub struct Forge {
    folder: TempDir,
}

impl Default for Forge {
    fn default() -> Self {
        Self::new()
    }
}

impl Forge {
    /// A new authority.
    pub fn new() -> Self {
        let forge = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        forge.openssl(&format!(
            "req -x509 -newkey {CURVE} -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"
        ));
        forge
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `openssl` in its folder.
    pub fn openssl(&self, words: &str) {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes `leaf.pem` and `leaf.key`. Only `openssl ca` knows dates in the past.
    pub fn issue(&self, leaf: &Leaf) {
        let Leaf { extensions, key, digest, valid: (from, to) } = leaf;
        let settings = format!(
            "[ca]\ndefault_ca = a\n[a]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\nunique_subject = no\n\
             policy = p\n[p]\ncommonName = supplied\n[e]\n{extensions}\n"
        );
        std::fs::write(self.path("settings"), settings).expect("the folder is writable");
        std::fs::write(self.path("index"), "").expect("the folder is writable");
        self.openssl(&format!("req -newkey {key} -nodes -subj /CN=127.0.0.1 -keyout leaf.key -out leaf.csr"));
        let with = if extensions.is_empty() { "" } else { " -extensions e" };
        self.openssl(&format!(
            "ca -batch -notext -config settings{with} -md {digest} -startdate {from} -enddate {to} -cert ca.pem -keyfile \
             ca.key -in leaf.csr -out leaf.pem"
        ));
    }

    /// Makes `own.pem` and `own.key`: a certificate that is its own authority.
    pub fn issue_to_itself(&self) {
        self.openssl(&format!(
            "req -x509 -newkey {CURVE} -nodes -days 2 -subj /CN=server -addext {} -addext \
             basicConstraints=critical,CA:FALSE -keyout own.key -out own.pem",
            NAMED.replace(" = ", "=")
        ));
    }

    /// A server with `<name>.pem` and `<name>.key`.
    pub fn server(&self, name: &str) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(self.path(&format!("{name}.pem"))).expect("it was issued");
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("it was issued");
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol")
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().expect("certificates"), key)
            .expect("a pair")
    }

    /// Where its authority is.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }
}
