//! Runs a TNS server on a small database until its input ends, for clients that are tried out by hand.
//!
//! `tns-server [--profile 23|19|12|11] [--verifier 12c|11g] [--port N] [--user U] [--password P] [--service S]`
//! `[--script FILE] [--tls CHAIN KEY]`. It prints its port when it is ready.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use engine_standin::{Backend, Database, Nobody, Product};
use engine_tns::{Certificate, Profile, Server, Settings, Verifier};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the command line says.
struct Options {
    settings: Settings,
    port: u16,
    user: String,
    password: String,
    service: String,
    script: Option<String>,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let mut options = Options {
        settings: Settings::default(),
        port: 0,
        user: "scott".to_owned(),
        password: "tiger".to_owned(),
        service: "FREEPDB1".to_owned(),
        script: None,
    };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--profile" => {
                options.settings.profile = match value()?.as_str() {
                    "23" => Profile::Oracle23ai,
                    "19" => Profile::Oracle19c,
                    "12" => Profile::Oracle12_1,
                    "11" => Profile::Oracle11_2,
                    other => return Err(format!("no profile {other}").into()),
                };
            }
            "--verifier" => {
                options.settings.verifier = match value()?.as_str() {
                    "12c" => Verifier::V12c,
                    "11g" => Verifier::V11g,
                    other => return Err(format!("no verifier {other}").into()),
                };
            }
            "--port" => options.port = value()?.parse()?,
            "--user" => options.user = value()?,
            "--password" => options.password = value()?,
            "--service" => options.service = value()?,
            "--script" => options.script = Some(value()?),
            "--tls" => {
                let (chain, key) = (std::fs::read_to_string(value()?)?, std::fs::read_to_string(value()?)?);
                options.settings.certificate = Some(Certificate { chain, key });
            }
            other => return Err(format!("no option {other}").into()),
        }
    }
    options.settings.services = vec![options.service.clone()];
    Ok(options)
}

/// Runs the statements of a script; a line with nothing but `/` ends each.
fn run_script(database: &Database, options: &Options, script: &str) -> Result<(), Failure> {
    let failed = |error: engine_standin::ServerError| format!("ORA-{:05}: {}", error.number, error.message);
    let mut session = database.session(&options.user.to_uppercase(), &options.service).map_err(failed)?;
    for statement in script.split("\n/\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        session.run(statement, &[], &mut Nobody).map_err(failed)?;
    }
    session.run("COMMIT", &[], &mut Nobody).map_err(failed)?;
    Ok(())
}

fn run() -> Result<(), Failure> {
    let options = options(std::env::args().skip(1))?;
    let database = Database::new(Product::Oracle, &options.service);
    database.login(&options.user, &options.password);
    if let Some(script) = &options.script {
        run_script(&database, &options, &std::fs::read_to_string(script)?)?;
    }
    let server = Server::start_at(options.port, Arc::new(database), options.settings)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.port())?;
    out.flush()?;
    // Whoever started it ends it by closing its input.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where even this cannot be written, the exit code says it.
            let _ = writeln!(std::io::stderr(), "tns-server: {failure}");
            ExitCode::FAILURE
        }
    }
}
