//! TLS: the server's certificate, and the handshake that is carried in packets.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion, version};

use crate::packet::{Channel, kind};

/// What a client of TDS 8 names as its protocol.
const STRICT_PROTOCOL: &[u8] = b"tds/8.0";

/// How a server speaks TLS: within pre-login, and before everything else.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) in_packets: Arc<ServerConfig>,
    pub(crate) strict: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn load(chain: &Path, key: &Path) -> io::Result<Self> {
        // The real server has no TLS 1.3 within pre-login.
        let in_packets = config(chain, key, &[&version::TLS12])?;
        let mut strict = config(chain, key, &[&version::TLS13, &version::TLS12])?;
        strict.alpn_protocols = vec![STRICT_PROTOCOL.to_vec()];
        Ok(Self { in_packets: Arc::new(in_packets), strict: Arc::new(strict) })
    }
}

fn config(chain: &Path, key: &Path, versions: &[&'static SupportedProtocolVersion]) -> io::Result<ServerConfig> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, format!("{}: {error}", chain.display())))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, format!("{}: {error}", key.display())))?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))
}

/// Does the handshake in pre-login packets; afterwards the connection is encrypted.
pub(crate) fn handshake_in_packets(channel: &mut Channel, config: &Arc<ServerConfig>) -> io::Result<()> {
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        let Some((kind::PRE_LOGIN, body)) = channel.packet()? else { return Err(ErrorKind::InvalidData.into()) };
        let mut rest = body.as_slice();
        let mut failure = None;
        while !rest.is_empty() && failure.is_none() {
            tls.read_tls(&mut rest)?;
            failure = tls.process_new_packets().err();
        }
        let mut answer = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut answer)?;
        }
        channel.send_handshake(&answer)?;
        if let Some(error) = failure {
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
    }
    channel.transport.encrypt(tls);
    Ok(())
}

/// What a server answers that knows no TLS above 1.0: its hello, with that version.
pub(crate) fn old_hello() -> Vec<u8> {
    const CIPHER_RSA_AES_128_CBC_SHA: [u8; 2] = [0x00, 0x2f];
    let mut body = vec![0x03, 0x01];
    body.extend_from_slice(&[0x5a; 32]);
    body.push(0);
    body.extend_from_slice(&CIPHER_RSA_AES_128_CBC_SHA);
    body.push(0);
    let mut record = vec![0x16, 0x03, 0x01, 0, body.len() as u8 + 4, 0x02, 0, 0, body.len() as u8];
    record.extend_from_slice(&body);
    record
}
