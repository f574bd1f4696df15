//! Stands in for SQL Server until its standard input ends. Prints its port when it is ready.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use engine_standin::{Backend, Database, Nobody, Product};
use engine_tds::{Encryption, NullRows, Server, Settings};

/// How the server stands to TLS.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tls {
    None,
    Login,
    On,
    Required,
    Strict,
}

/// A server that speaks the protocol of SQL Server, for tests. It ends with its standard input.
#[derive(Debug, Parser)]
struct Arguments {
    /// Port on the loopback; 0 for one that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Name of the login.
    #[arg(long, default_value = "etl")]
    user: String,
    /// Its password.
    #[arg(long, default_value = "secret")]
    password: String,
    /// Name of the database.
    #[arg(long, default_value = "MES")]
    database: String,
    /// File with a batch that is run at the start.
    #[arg(long)]
    script: Option<PathBuf>,
    /// How the server stands to TLS.
    #[arg(long, value_enum, default_value = "login")]
    tls: Tls,
    /// File with its chain of certificates, as PEM; without it, that of the tests for `localhost`.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// File with its key, as PEM.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Sends rows with nulls with a bitmap.
    #[arg(long)]
    null_bitmap: bool,
}

fn prepare(arguments: &Arguments) -> io::Result<Database> {
    let database = Database::new(Product::SqlServer, &arguments.database);
    database.login(&arguments.user, &arguments.password);
    if let Some(path) = &arguments.script {
        let script = std::fs::read_to_string(path)?;
        let failed = |error: engine_standin::ServerError| {
            io::Error::other(format!("{}: line {}: {} {}", path.display(), error.place, error.number, error.message))
        };
        let mut session = database.session(&arguments.user, &arguments.database).map_err(failed)?;
        session.run(&script, &[], &mut Nobody).map_err(failed)?;
    }
    Ok(database)
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let database = prepare(&arguments)?;
    let mut settings = Settings {
        encryption: match arguments.tls {
            Tls::None => Encryption::NotSupported,
            Tls::Login => Encryption::Off,
            Tls::On => Encryption::On,
            Tls::Required => Encryption::Required,
            Tls::Strict => Encryption::Strict,
        },
        null_rows: if arguments.null_bitmap { NullRows::Bitmap } else { NullRows::Plain },
        port: arguments.port,
        ..Settings::default()
    };
    if let (Some(certificate), Some(key)) = (arguments.certificate, arguments.key) {
        settings.certificate = Some((certificate, key));
    }
    let server = Server::start(Arc::new(database), settings)?;
    writeln!(io::stdout(), "{}", server.port())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
