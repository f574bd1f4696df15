//! What the service manager is told: that the service is ready, how it does, that it is alive (systemd's `sd_notify`).
//!
//! A message is one datagram to the socket that `$NOTIFY_SOCKET` names. The socket is connected once, before the process
//! gives up its rights: Landlock lets it speak to an abstract address only where it was connected before.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// How long a message waits for a service manager that reads none. The service goes on without it.
const SEND_TIME_MAX: Duration = Duration::from_millis(200);
/// Longest status line, in bytes: it is one line of `systemctl status`.
const STATUS_BYTES_MAX: usize = 400;

/// The line to the service manager; without one, every message goes nowhere.
#[derive(Debug, Default)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the service manager set it in the environment.
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(address) = variable("NOTIFY_SOCKET") else { return Self::default() };
        match connect(&address) {
            Ok(socket) => Self {
                socket: Some(socket),
                watchdog: watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id()),
            },
            Err(error) => {
                tracing::warn!(
                    event = "no_service_manager",
                    "the service manager at NOTIFY_SOCKET={address} cannot be reached: {error}"
                );
                Self::default()
            }
        }
    }

    /// Longest time between two messages of [`Self::alive`]; `None` where nobody waits for them.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The service does its work.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\n{}", status_line(status)));
    }

    /// How it does, in one line.
    pub fn status(&self, status: &str) {
        self.send(&status_line(status));
    }

    /// The specs are being read anew; [`Self::ready`] says that this is over.
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
    }

    /// The service ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The loop that decides gets on. Nobody hears of it who did not ask.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that does not listen is no reason to stop.
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// A path, or `@` and a name of the abstract space.
fn connect(address: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.strip_prefix('@') {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(address)?,
    }
    socket.set_write_timeout(Some(SEND_TIME_MAX))?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &str) -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this system has no abstract addresses"))
}

/// How long the service manager waits for a sign of life. Another process of the same unit may be meant.
fn watchdog(microseconds: Option<String>, meant: Option<String>, me: u32) -> Option<Duration> {
    if meant.is_some_and(|meant| meant.parse() != Ok(me)) {
        return None;
    }
    let limit = microseconds?.parse().ok().map(Duration::from_micros)?;
    (!limit.is_zero()).then_some(limit)
}

/// A message is made of lines: nothing in a status may begin another.
fn status_line(status: &str) -> String {
    let mut line: String = status.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    line.truncate(line.floor_char_boundary(STATUS_BYTES_MAX));
    format!("STATUS={line}")
}

fn monotonic_microseconds() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    #[test]
    fn a_path_is_spoken_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let notify = Notify {
            socket: Some(connect(path.to_str().expect("text")).expect("connected")),
            watchdog: Some(Duration::from_secs(60)),
        };
        notify.ready("2 pipelines\nREADY=0");
        notify.alive();
        notify.reloading();
        assert_eq!(received(&manager), "READY=1\nSTATUS=2 pipelines READY=0");
        assert_eq!(received(&manager), "WATCHDOG=1");
        let reloading = received(&manager);
        let since_boot = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("with its time");
        assert!(since_boot.parse::<u64>().expect("a number") > 0);
        assert_eq!(notify.alive_every(), Some(Duration::from_secs(30)));
        let long = "ä".repeat(STATUS_BYTES_MAX);
        notify.status(&long);
        assert_eq!(received(&manager).len(), "STATUS=".len() + STATUS_BYTES_MAX);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_address_is_spoken_to() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("engine-notify-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("an address");
        let manager = UnixDatagram::bind_addr(&address).expect("bound");
        let notify = Notify { socket: Some(connect(&format!("@{name}")).expect("connected")), watchdog: None };
        notify.stopping();
        assert_eq!(received(&manager), "STOPPING=1");
    }

    #[test]
    fn nobody_is_told_where_nobody_asked() {
        let notify = Notify::default();
        notify.ready("");
        notify.alive();
        assert_eq!(notify.alive_every(), None);
    }

    #[test]
    fn a_manager_that_reads_nothing_holds_up_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let _manager = UnixDatagram::bind(&path).expect("bound");
        let socket = connect(path.to_str().expect("text")).expect("connected");
        let notify = Notify { socket: Some(socket), watchdog: None };
        let began = std::time::Instant::now();
        let wait = |notify: &Notify| {
            let began = std::time::Instant::now();
            notify.stopping();
            began.elapsed() >= SEND_TIME_MAX / 2
        };
        // The queue of a socket is short; once it is full, a message is given up.
        assert!((0..100_000).any(|_| wait(&notify)));
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_is_meant() {
        let of = |microseconds: Option<&str>, meant: Option<&str>| {
            watchdog(microseconds.map(str::to_owned), meant.map(str::to_owned), 7)
        };
        assert_eq!(of(Some("30000000"), None), Some(Duration::from_secs(30)));
        assert_eq!(of(Some("30000000"), Some("7")), Some(Duration::from_secs(30)));
        for (microseconds, meant) in [
            (Some("30000000"), Some("8")),
            (Some("0"), None),
            (Some("soon"), None),
            (None, Some("7")),
            (Some("1"), Some("")),
        ] {
            assert_eq!(of(microseconds, meant), None, "{microseconds:?} {meant:?}");
        }
    }
}
