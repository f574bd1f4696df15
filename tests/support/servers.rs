//! Real database servers, each started on a free loopback port in a folder of its own and stopped when its handle
//! is dropped, also when the test panics.
//!
//! A server is a child that the system ends with the thread that started it, so one that outlives a killed test does
//! not exist. Where `ENGINE_TEST_POSTGRES_URL` or `ENGINE_TEST_MARIADB_URL` names a server
//! (`postgres://user:password@host:port/database`), that one is used and left running. Its database is the tests' own:
//! they replace tables there, and one test at a time may use it.

mod process;

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::process::Process;
use crate::standins::StandIn;

/// How long a server may take for what it does by itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) const USERNAME: &str = "etl";
pub(crate) const PASSWORD: &str = "s3cret-canary";

/// A server that accepts connections.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// A database that may be filled.
    pub database: String,
    /// An account that may create and fill tables.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The authority of the server's certificate, which is for the address 127.0.0.1 and for no name. `None` for a
    /// server that was not started here.
    pub ca_file: Option<PathBuf>,
    /// What stands in for the server, where something does.
    pub standin: Option<StandIn>,
    kind: Kind,
    process: Option<Process>,
    _folder: Option<TempDir>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MariaDb,
    MySql,
    SqlServer,
    Oracle,
}

/// Starts PostgreSQL from Debian's package `postgresql`. Panics, with the server's own words, where it does not start.
pub fn postgres() -> Server {
    if let Some(server) = named(Kind::Postgres, "ENGINE_TEST_POSTGRES_URL") {
        return server;
    }
    let binaries = newest_postgres();
    let folder = owned_folder("postgres");
    let data = folder.path().join("data");
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).expect("the folder is writable");
    let mut init = as_user("postgres", &binaries.join("initdb"));
    init.arg("-D").arg(&data).args(["-U", USERNAME, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
    finish(init.arg("--pwfile").arg(&password), "initdb");
    let certificate = Certificate::new(folder.path(), "postgres");
    let port = free_port();
    let mut start = as_user("postgres", &binaries.join("postgres"));
    start.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-p", &port.to_string(), "-c", "fsync=off"]);
    start.args(["-c", "listen_addresses=127.0.0.1", "-c", "log_min_messages=warning", "-c", "ssl=on"]);
    start.arg("-c").arg(format!("ssl_cert_file={}", certificate.chain.display()));
    start.arg("-c").arg(format!("ssl_key_file={}", certificate.key.display()));
    let process = Process::start(start, Kind::Postgres, folder, "ready to accept connections");
    Server::local(Kind::Postgres, port, "postgres", certificate, process)
}

/// Starts MariaDB from Debian's package `mariadb-server`. Panics, with the server's own words, where it does not start.
pub fn mariadb() -> Server {
    named(Kind::MariaDb, "ENGINE_TEST_MARIADB_URL").unwrap_or_else(|| mariadb_with(&[]))
}

/// A MariaDB that is started here whatever is named, with settings of its own: arguments of `mariadbd`.
pub fn mariadb_with(settings: &[&str]) -> Server {
    let folder = owned_folder("mysql");
    let (data, socket) = (folder.path().join("data"), folder.path().join("s.sock"));
    let datadir = format!("--datadir={}", data.display());
    let mut init = as_user("mysql", Path::new("mariadb-install-db"));
    // A server that starts removes what it takes for its own leftovers from the temporary folder: another's tables,
    // where two start at the same time and share one.
    init.env("TMPDIR", folder.path());
    init.args(["--no-defaults", &datadir, "--auth-root-authentication-method=normal", "--skip-test-db"]);
    finish(&mut init, "mariadb-install-db");
    let certificate = Certificate::new(folder.path(), "mysql");
    let port = free_port();
    let mut start = as_user("mysql", Path::new("mariadbd"));
    start.env("TMPDIR", folder.path());
    start.args(["--no-defaults", &datadir, "--bind-address=127.0.0.1", "--skip-log-bin"]);
    start.arg(format!("--port={port}")).arg(format!("--socket={}", socket.display()));
    start.arg(format!("--pid-file={}", folder.path().join("m.pid").display()));
    start.arg(format!("--ssl-cert={}", certificate.chain.display()));
    start.arg(format!("--ssl-key={}", certificate.key.display()));
    start.args(settings);
    let process = Process::start(start, Kind::MariaDb, folder, "ready for connections");
    // An account without a name would take precedence over the tests' own.
    make_account(&socket, "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;");
    Server::local(Kind::MariaDb, port, "plant", certificate, process)
}

/// Starts the genuine MySQL from packages that `tests/support/fetch-mysql.sh` unpacked: into the folder that
/// `ENGINE_TEST_MYSQL_ROOT` names, or where `./test` has it put. `None`, said on standard error, where there is none.
pub fn mysql() -> Option<Server> {
    named(Kind::MySql, "ENGINE_TEST_MYSQL_URL").or_else(|| mysql_with(&[]))
}

/// A MySQL that is started here whatever is named, with settings of its own: arguments of `mysqld`.
pub fn mysql_with(settings: &[&str]) -> Option<Server> {
    let Some(root) = mysql_root() else {
        let _ = writeln!(std::io::stderr(), "skipped: no genuine MySQL is here; `./test` fetches it");
        return None;
    };
    let usr = root.join("usr");
    let libraries = usr.join("lib").join("x86_64-linux-gnu");
    let loader = libraries.join("ld-linux-x86-64.so.2");
    // A checkout in root's own folder is open to nobody else.
    let user = if may_read("nobody", &loader) { "nobody" } else { "root" };
    let folder = owned_folder(user);
    let (data, socket) = (folder.path().join("data"), folder.path().join("s.sock"));
    let server = || {
        // The packages bring their own C library, and with it their own loader.
        let mut command = as_user(user, &loader);
        command.arg("--library-path").arg(&libraries).arg(usr.join("sbin").join("mysqld")).arg("--no-defaults");
        if runs_as_root() {
            command.arg(format!("--user={user}"));
        }
        for (flag, path) in [
            ("--basedir", &usr),
            ("--datadir", &data),
            ("--lc-messages-dir", &usr.join("share/mysql")),
            ("--character-sets-dir", &usr.join("share/mysql/charsets")),
            ("--plugin-dir", &usr.join("lib/mysql/plugin")),
        ] {
            command.arg(format!("{flag}={}", path.display()));
        }
        command.env("TMPDIR", folder.path());
        command.args(["--innodb-use-native-aio=0", "--secure-file-priv=NULL"]);
        command
    };
    finish(server().arg("--initialize-insecure"), "mysqld --initialize-insecure");
    let certificate = Certificate::new(folder.path(), user);
    let port = free_port();
    let mut start = server();
    start.args(["--bind-address=127.0.0.1", "--mysqlx=OFF", "--skip-log-bin"]).arg(format!("--port={port}"));
    start.args(settings);
    for (flag, path) in [
        ("--socket", &socket),
        ("--pid-file", &folder.path().join("m.pid")),
        ("--ssl-ca", &certificate.authority),
        ("--ssl-cert", &certificate.chain),
        ("--ssl-key", &certificate.key),
    ] {
        start.arg(format!("{flag}={}", path.display()));
    }
    let process = Process::start(start, Kind::MySql, folder, "ready for connections");
    make_account(&socket, "");
    Some(Server::local(Kind::MySql, port, "plant", certificate, process))
}

fn mysql_root() -> Option<PathBuf> {
    if let Some(root) = std::env::var_os("ENGINE_TEST_MYSQL_ROOT") {
        return Some(root.into());
    }
    // target/debug/deps/run-0123456789abcdef
    let test = std::env::current_exe().ok()?;
    let root = test.ancestors().nth(3)?.join("mysql");
    root.join("complete").exists().then_some(root)
}

/// Makes the database and the account that tests use.
fn make_account(socket: &Path, before: &str) {
    as_administrator(
        socket,
        &format!(
            "{before} CREATE DATABASE plant CHARACTER SET utf8mb4; CREATE USER {USERNAME}@'%' IDENTIFIED BY '{PASSWORD}'; \
             GRANT ALL ON *.* TO {USERNAME}@'%' WITH GRANT OPTION;"
        ),
    );
}

fn as_administrator(socket: &Path, sql: &str) {
    let mut client = Command::new("mariadb");
    client.args(["--no-defaults", "--skip-ssl", "--user=root"]).arg(format!("--socket={}", socket.display()));
    finish(client.arg("--execute").arg(sql), "mariadb");
}

impl Server {
    fn local(kind: Kind, port: u16, database: &str, certificate: Certificate, process: Process) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            database: database.to_owned(),
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            ca_file: Some(certificate.authority),
            standin: None,
            kind,
            process: Some(process),
            _folder: None,
        }
    }

    /// A server that is stood in for.
    pub(crate) fn stood_in(kind: Kind, port: u16, database: &str, ca_file: Option<PathBuf>, standin: StandIn) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            database: database.to_owned(),
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            ca_file,
            standin: Some(standin),
            kind,
            process: None,
            _folder: None,
        }
    }

    /// Ends a PostgreSQL that was started here as a power cut would, and starts it again: it recovers from its log.
    pub fn crash_and_recover(&mut self) {
        self.process.as_mut().expect("the server was started here").restart("-QUIT");
    }

    /// A client of a PostgreSQL that executes the statements that are written to its standard input, whatever becomes
    /// of those before.
    pub fn client(&self) -> Child {
        let mut client = self.psql();
        client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        client.spawn().expect("psql starts")
    }

    fn psql(&self) -> Command {
        let mut client = Command::new("psql");
        client.env("PGPASSWORD", &self.password).args(["-X", "-q", "-A", "-t", "-h", &self.host, "-p"]);
        client.arg(self.port.to_string()).args(["-U", &self.username, "-d", &self.database]);
        client
    }

    /// Keeps a folder for as long as the server.
    pub(crate) fn keep(&mut self, folder: TempDir) {
        self._folder = Some(folder);
    }

    /// What stands in for the server.
    ///
    /// # Panics
    /// Where nothing does.
    pub fn database_itself(&self) -> &engine_standin::Database {
        &self.standin.as_ref().expect("the server is stood in for").database
    }

    /// CPU that the server has taken so far, in seconds, with the processes of its sessions. Zero for a server that was
    /// not started here.
    pub fn cpu_seconds(&self) -> f64 {
        let Some(process) = &self.process else { return 0.0 };
        let parent = process.id();
        let children = std::fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            (fields[1].parse() == Ok(parent)).then_some(id)
        });
        // Sessions that have ended are counted by their parent.
        cpu_seconds(parent) + children.map(cpu_seconds).sum::<f64>()
    }

    /// Runs statements through the server's own client and returns what it prints: rows without headings.
    pub fn execute(&self, sql: &str) -> String {
        if let Some(standin) = &self.standin {
            return standin.execute(sql);
        }
        let port = self.port.to_string();
        let mut client = match self.kind {
            Kind::Postgres => {
                let mut client = self.psql();
                client.args(["-v", "ON_ERROR_STOP=1", "-c", sql]);
                client
            }
            Kind::MariaDb | Kind::MySql => {
                let mut client = Command::new("mariadb");
                client.env("MYSQL_PWD", &self.password).args(["--no-defaults", "--batch", "--skip-column-names"]);
                client.args(["--default-character-set=utf8mb4", "-h", &self.host, "-P", &port, "-u", &self.username]);
                client.args(["-D", &self.database, "-e", sql]);
                client
            }
            Kind::SqlServer => {
                let mut client = Command::new("sqlcmd");
                let server = format!("{},{port}", self.host);
                client.env("SQLCMDPASSWORD", &self.password).args(["-C", "-b", "-W", "-h", "-1", "-s", "\t"]);
                client.args(["-S", &server, "-U", &self.username, "-d", &self.database]);
                client.arg("-Q").arg(format!("SET NOCOUNT ON; {sql}"));
                client
            }
            Kind::Oracle => {
                let login = format!("{}/\"{}\"@//{}:{port}/{}", self.username, self.password, self.host, self.database);
                let script =
                    "printf 'SET HEADING OFF FEEDBACK OFF PAGESIZE 0\nWHENEVER SQLERROR EXIT FAILURE\n%s;\n' \"$1\"";
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{script} | \"$0\" -S -L \"$2\"")).arg("sqlplus").arg(sql).arg(login);
                shell
            }
        };
        finish(&mut client, "the server's client")
    }

    /// Runs statements as the administrator at the socket of a MySQL or MariaDB that was started here.
    pub fn administer(&self, sql: &str) {
        as_administrator(&self.file("s.sock"), sql);
    }

    /// Makes the server serve another certificate from now on.
    pub fn replace_certificate(&self, authority: &Path, chain: &Path, key: &Path) {
        // In place, so that the files stay the server's own. MySQL takes none that its own authority did not issue.
        for (from, to) in [(authority, "ca.pem"), (chain, "server.pem"), (key, "server.key")] {
            let content = std::fs::read(from).expect("the certificate is there");
            std::fs::write(self.file(to), content).expect("the folder is writable");
        }
        match self.kind {
            Kind::Postgres => self.reload(),
            Kind::MariaDb => self.administer("FLUSH SSL"),
            Kind::MySql => self.administer("ALTER INSTANCE RELOAD TLS"),
            Kind::SqlServer | Kind::Oracle => unreachable!("no administrator of these is here"),
        }
    }

    /// Makes a PostgreSQL read its settings anew, and waits until it has.
    pub fn reload(&self) {
        let before = self.execute("SELECT pg_conf_load_time()");
        self.execute("SELECT pg_reload_conf()");
        self.await_answer(&format!("SELECT pg_conf_load_time() > '{}'", before.trim()), "t");
    }

    /// A file in the folder of a server that was started here.
    fn file(&self, name: &str) -> PathBuf {
        self.ca_file.as_ref().expect("the server was started here").with_file_name(name)
    }

    /// Runs a statement until it prints `expected`. For what a server does a moment later by itself.
    pub fn await_answer(&self, sql: &str, expected: &str) {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let answer = self.execute(sql);
            if answer.trim() == expected {
                return;
            }
            assert!(Instant::now() < deadline, "`{sql}` still says `{}`, not `{expected}`", answer.trim());
        }
    }
}

pub(crate) fn named(kind: Kind, variable: &str) -> Option<Server> {
    let url = std::env::var(variable).ok()?;
    let parsed = (|| {
        let (account, place) = url.split_once("://")?.1.rsplit_once('@')?;
        let (username, password) = account.split_once(':')?;
        let (address, database) = place.split_once('/')?;
        let (host, port) = address.rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?, database.to_owned(), username.to_owned(), password.to_owned()))
    })();
    let (host, port, database, username, password) =
        parsed.unwrap_or_else(|| panic!("{variable} is not `kind://user:password@host:port/database`"));
    Some(Server {
        host,
        port,
        database,
        username,
        password,
        ca_file: None,
        standin: None,
        kind,
        process: None,
        _folder: None,
    })
}

/// A certificate of an authority of its own, made by the `openssl` tool.
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    pub(crate) fn new(folder: &Path, user: &str) -> Self {
        let file = |name: &str| folder.join(name);
        let extensions = file("extensions");
        std::fs::write(&extensions, "subjectAltName = IP:127.0.0.1\n").expect("the folder is writable");
        let openssl = |words: &str, files: &[(&str, PathBuf)]| {
            let mut command = as_user(user, Path::new("openssl"));
            command.args(words.split(' ')).current_dir(folder);
            for (flag, path) in files {
                command.arg(flag).arg(path);
            }
            finish(&mut command, "openssl");
        };
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let (authority, authority_key) = (file("ca.pem"), file("ca.key"));
        let (chain, key, request) = (file("server.pem"), file("server.key"), file("server.csr"));
        openssl(
            &format!("req -x509 {new_key} -days 2 -subj /CN=authority"),
            &[("-keyout", authority_key.clone()), ("-out", authority.clone())],
        );
        openssl(&format!("req {new_key} -subj /CN=server"), &[("-keyout", key.clone()), ("-out", request.clone())]);
        openssl(
            "x509 -req -CAcreateserial -days 2",
            &[
                ("-in", request),
                ("-CA", authority.clone()),
                ("-CAkey", authority_key),
                ("-extfile", extensions),
                ("-out", chain.clone()),
            ],
        );
        Self { authority, chain, key }
    }
}

fn newest_postgres() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql is installed");
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(number);
    newest.expect("Debian's package postgresql is installed").join("bin")
}

fn runs_as_root() -> bool {
    finish(Command::new("id").arg("-u"), "id").trim() == "0"
}

/// The numbers of an account and of its group.
fn ids(user: &str) -> (u32, u32) {
    let number = |flag| {
        let answer = finish(Command::new("id").args([flag, user]), "id");
        answer.trim().parse().expect("`id` prints a number")
    };
    (number("-u"), number("-g"))
}

/// A folder that the server's account owns, where the test runs as root; servers refuse to.
fn owned_folder(user: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix("engine-").tempdir().expect("a temporary folder");
    if runs_as_root() {
        let (account, group) = ids(user);
        std::os::unix::fs::chown(folder.path(), Some(account), Some(group)).expect("root may give folders away");
    }
    folder
}

fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=TERM");
    if runs_as_root() {
        let (account, group) = ids(user);
        command.args([format!("--reuid={account}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    command.arg("--").arg(program).current_dir("/");
    command
}

/// Whether an account may read a file; only root can take another one.
fn may_read(user: &str, path: &Path) -> bool {
    !runs_as_root()
        || as_user(user, Path::new("test")).arg("-r").arg(path).status().is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn finish(command: &mut Command, what: &str) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    assert!(output.status.success(), "{what} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// CPU that a process, and those it has waited for, have taken so far, in seconds.
pub fn cpu_seconds(process: u32) -> f64 {
    /// The unit of `/proc`, a hundredth of a second on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks: f64 = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}
