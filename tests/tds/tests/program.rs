//! The program `tds-server`, with the SQL that stands in for the real one behind it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

const SCRIPT: &str = "create table bookings (id int not null primary key, machine nvarchar(20) null, \
    qty decimal(10,2) null, started datetime2(7) null);
insert into bookings (id, machine, qty, started) values (1, N'Fräse', 12.50, '2025-03-30 01:30:00.1234567');
insert into bookings (id, machine, qty, started) values (2, null, null, null);
";

/// Ends the program when a test ends, however it ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It ends by itself with its input, unless the test failed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_table_of_a_script_is_queried() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let script = folder.join("bookings.sql");
    std::fs::write(&script, SCRIPT).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tds-server"));
    command.args(["--tls", "required", "--password", "geheim", "--script"]).arg(&script);
    let mut program = Program(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();

    let mut config = Config::new();
    config.host("localhost");
    config.port(port);
    config.database("MES");
    config.authentication(AuthMethod::sql_server("etl", "geheim"));
    config.encryption(EncryptionLevel::Required);
    config.trust_cert_ca(Path::new(env!("CARGO_MANIFEST_DIR")).join("../support/tls/ca.pem").display());
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut client = Client::connect(config, socket.compat_write()).await.unwrap();

    let sql = "select id, machine, qty from bookings where id <= @P1 order by id";
    let rows = client.query(sql, &[&2_i32]).await.unwrap().into_first_result().await.unwrap();
    let first: (Option<i32>, Option<&str>) = (rows[0].get(0), rows[0].get(1));
    assert_eq!((rows.len(), first), (2, (Some(1), Some("Fräse"))));
    let quantity: tiberius::numeric::Numeric = rows[0].get(2).unwrap();
    assert_eq!((quantity.value(), quantity.scale()), (1250, 2));
    assert_eq!(rows[1].get::<&str, _>(1), None);

    let answer = async { client.simple_query("select * from nowhere").await?.into_results().await };
    assert_eq!(answer.await.unwrap_err().code(), Some(208));

    drop(program.0.stdin.take());
    assert!(program.0.wait().unwrap().success());
}
