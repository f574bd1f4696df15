//! A client that sends what it is told to, byte for byte.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use engine_tests::binary::PATIENCE;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.body.contains(part), "`{part}` is not in {self:#?}");
        self
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

/// Gets a page as a browser on the machine does.
pub fn get(address: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    send(address, request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request}"))
}

/// Sends bytes; `None` where the connection is closed without an answer.
pub fn send(address: &str, request: &[u8]) -> Option<Answer> {
    exchange(connect(address), request)
}

/// Sends bytes over TLS to whoever has a certificate of this authority; `None` where no answer comes.
pub fn send_over_tls(address: &str, authority: &Path, request: &[u8]) -> Option<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("the provider knows the protocol").with_root_certificates(roots).with_no_client_auth();
    let host = address.rsplit_once(':').expect("a port").0.to_owned().try_into().expect("a name");
    let client = ClientConnection::new(Arc::new(config), host).expect("a client");
    exchange(StreamOwned::new(client, connect(address)), request)
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Answer> {
    // A server that has seen enough closes the connection while this is written.
    let _ = stream.write_all(request);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).expect("an answer is UTF-8");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status.split(' ').nth(1)?.parse().ok()?;
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Answer { status, headers, body: body.to_owned() })
}

/// A connection that says nothing.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("something listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    stream
}
