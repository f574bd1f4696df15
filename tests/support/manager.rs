//! A service manager, as far as a service speaks to one (systemd's `sd_notify`).

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::binary::{PATIENCE, Workspace};

/// A socket to which a service reports.
pub struct Manager {
    socket: UnixDatagram,
    /// What to put into `NOTIFY_SOCKET`.
    pub address: String,
}

impl Manager {
    /// Listens at a path in the workspace.
    pub fn at_a_path(workspace: &Workspace) -> Self {
        let path = workspace.path("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        Self { socket, address: path.display().to_string() }
    }

    /// Listens at a name of this process in the abstract space.
    pub fn at_an_abstract_name(name: &str) -> Self {
        let name = format!("engine-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        Self { socket: UnixDatagram::bind_addr(&address).expect("bound"), address: format!("@{name}") }
    }

    /// The next message; `None` where none comes in time.
    pub fn hear(&self, patience: Duration) -> Option<String> {
        let mut message = [0; 4096];
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).expect("set");
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    /// Waits for a message that begins so, and gives it back.
    #[track_caller]
    pub fn expect(&self, begin: &str) -> String {
        self.expect_that(&format!("begins with {begin}"), |message| message.starts_with(begin))
    }

    /// Waits for a message of which something holds, and gives it back. Where none comes, what came is said.
    #[track_caller]
    pub fn expect_that(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Some(message) = self.hear(deadline.saturating_duration_since(Instant::now())) {
            if holds(&message) {
                return message;
            }
            heard.push(message);
        }
        panic!("no message {what}: {heard:#?}");
    }
}
