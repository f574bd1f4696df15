//! Whether something listens where records go. Nothing is sent.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;

use engine_core::ports::{DestinationConfig, HttpConfig};
use reqwest::Url;

use super::OpenError;
use crate::web::host_and_port;

/// Looks at a destination; what was found, in plain words.
pub fn reach(config: &DestinationConfig) -> Result<String, OpenError> {
    match config {
        DestinationConfig::Http(config) => connect(config),
        DestinationConfig::File(path) => folder_of(path),
        DestinationConfig::Stdout => Ok("standard output".to_owned()),
    }
}

fn connect(config: &HttpConfig) -> Result<String, OpenError> {
    let place = Url::parse(&config.url).map_or_else(|_| "an unknown host".to_owned(), |url| host_and_port(&url));
    let error = |error: io::Error| OpenError {
        tried: format!("connecting to the destination at {place}"),
        message: error.to_string(),
        hint: Some("Check `destination.url`, the name and the port, and the firewalls on the way.".to_owned()),
    };
    let mut last = io::Error::other("the name has no address");
    for address in place.to_socket_addrs().map_err(error)? {
        match TcpStream::connect_timeout(&address, config.timeouts.connect) {
            Ok(_) => return Ok(format!("{place} takes connections; nothing was sent, and the login was not tried")),
            Err(refused) => last = refused,
        }
    }
    Err(error(last))
}

fn folder_of(path: &Path) -> Result<String, OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(format!("file {}", path.display())),
        other => Err(OpenError {
            tried: format!("looking for the folder of {}", path.display()),
            message: other.map_or_else(|error| error.to_string(), |_| "it is no folder".to_owned()),
            hint: Some("Make the folder, or check `destination.path`.".to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_needs_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| reach(&DestinationConfig::File(folder.path().join(name)));
        assert!(file("runs.ndjson").unwrap().contains("runs.ndjson"));
        let error = file("no/such/runs.ndjson").unwrap_err();
        assert!(error.tried.contains("no/such/runs.ndjson") && error.hint.is_some(), "{error}");
        assert!(reach(&DestinationConfig::Stdout).is_ok());
    }
}
