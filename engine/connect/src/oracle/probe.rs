//! What Oracle tells of a session and an account. It has plans too, but writes them into a table of its own, and engine
//! writes nothing.

use engine_core::probe::{Known, Probe, RIGHTS_MAX, ReadOnly, Right};
use jiff::Timestamp;

use super::Connection;
use crate::probes::reading_in_utc;

const ACCOUNT: &str = "SELECT SYS_CONTEXT('USERENV', 'SESSION_USER') AS account, SESSIONTIMEZONE AS zone, \
    TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS.FF6') AS utc FROM dual";
const CHARSET: &str = "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'";
/// What the account may do anywhere.
const SYSTEM: &str = "SELECT privilege FROM session_privs ORDER BY privilege";
/// What it was given on single objects.
const OBJECTS: &str = "SELECT privilege, owner || '.' || table_name AS thing FROM user_tab_privs_recd ORDER BY 2, 1";
const NO_PLAN: &str = "the server writes its plans into a table, and engine writes nothing";

/// Asks everything, within the read-only transaction; what the server refuses to tell is unknown.
pub(super) fn probe(connection: &mut dyn Connection) -> Probe {
    let mut probe = Probe { plan: Known::Unknown(NO_PLAN.to_owned()), ..Probe::default() };
    let asked = Timestamp::now();
    let mut account = String::new();
    match connection.ask(ACCOUNT) {
        Ok(row) => {
            let answered = Timestamp::now();
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            account = row.next().unwrap_or_default();
            probe.account = Known::Is(account.clone());
            probe.session_timezone = Known::Is(row.next().unwrap_or_default());
            probe.clock = reading_in_utc(asked, answered, row.next().as_deref());
            probe.read_only =
                Known::Is(ReadOnly { holds: true, said: "it accepted SET TRANSACTION READ ONLY".to_owned() });
        }
        Err(problem) => {
            probe.account = Known::Unknown(problem.message.clone());
            probe.session_timezone = Known::Unknown(problem.message.clone());
            probe.clock = Known::Unknown(problem.message);
        }
    }
    let charset = connection.ask(CHARSET).map(|row| row.into_iter().next().flatten().unwrap_or_default());
    probe.charset = Known::from_answer(charset.map_err(|problem| problem.message));
    probe.rights = rights(connection, &account);
    probe
}

fn rights(connection: &mut dyn Connection, account: &str) -> Known<Vec<Right>> {
    let system = match connection.ask_all(SYSTEM, RIGHTS_MAX) {
        Ok(rows) => rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect(),
        Err(problem) => return Known::Unknown(problem.message),
    };
    let mut rights =
        vec![Right { privileges: system, on: String::new(), revoke: format!("REVOKE {{}} FROM {account}") }];
    for row in connection.ask_all(OBJECTS, RIGHTS_MAX).unwrap_or_default() {
        let mut row = row.into_iter().map(Option::unwrap_or_default);
        let (privilege, on) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
        match rights.last_mut() {
            Some(last) if last.on == on => last.privileges.push(privilege),
            _ => rights.push(Right {
                privileges: vec![privilege],
                revoke: format!("REVOKE {{}} ON {on} FROM {account}"),
                on,
            }),
        }
    }
    Known::Is(rights)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine_core::ports::SourceErrorKind;
    use engine_core::value::{Columns, RowBatch};
    use engine_spec::template::Bind;

    use super::*;
    use crate::failure::Problem;

    /// A server that answers some questions and refuses the rest.
    struct Told(&'static [(&'static str, &'static [&'static [&'static str]])]);

    impl Connection for Told {
        fn execute(&mut self, _: &str) -> Result<(), Problem> {
            Ok(())
        }

        fn ask_all(&mut self, sql: &str, rows_max: usize) -> Result<Vec<Vec<Option<String>>>, Problem> {
            let refused = || Problem::new(SourceErrorKind::Query, "ORA-00942: table or view does not exist");
            let (_, rows) = self.0.iter().find(|(part, _)| sql.contains(part)).ok_or_else(refused)?;
            let row = |row: &&[&str]| row.iter().map(|value| Some((*value).to_owned())).collect();
            Ok(rows.iter().take(rows_max).map(row).collect())
        }

        fn open(&mut self, _: &str, _: &[Bind]) -> Result<Columns, Problem> {
            unreachable!("nothing is read")
        }

        fn fill(&mut self, _: &Columns, _: &mut RowBatch, _: usize) -> Result<bool, Problem> {
            unreachable!("nothing is read")
        }

        fn set_limit(&mut self, _: Duration) -> Result<(), Problem> {
            Ok(())
        }

        fn interrupter(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
            None
        }
    }

    #[test]
    fn an_account_is_told_with_its_rights() {
        let mut server = Told(&[
            ("SESSION_USER", &[&["ENGINE", "+00:00", "2025-03-30 00:30:00.000001"]]),
            ("NLS_CHARACTERSET", &[&["AL32UTF8"]]),
            ("session_privs", &[&["CREATE SESSION"], &["CREATE TABLE"]]),
            ("user_tab_privs_recd", &[&["INSERT", "WIP.JOBS"], &["SELECT", "WIP.JOBS"], &["READ", "WIP.MOVES"]]),
        ]);
        let probe = probe(&mut server);
        assert_eq!(probe.account, Known::Is("ENGINE".to_owned()));
        assert_eq!(probe.charset, Known::Is("AL32UTF8".to_owned()));
        let right = |privileges: &[&str], on: &str, revoke: &str| Right {
            privileges: privileges.iter().map(|word| (*word).to_owned()).collect(),
            on: on.to_owned(),
            revoke: revoke.to_owned(),
        };
        assert_eq!(
            probe.rights,
            Known::Is(vec![
                right(&["CREATE SESSION", "CREATE TABLE"], "", "REVOKE {} FROM ENGINE"),
                right(&["INSERT", "SELECT"], "WIP.JOBS", "REVOKE {} ON WIP.JOBS FROM ENGINE"),
                right(&["READ"], "WIP.MOVES", "REVOKE {} ON WIP.MOVES FROM ENGINE"),
            ])
        );
        assert!(matches!(probe.plan, Known::Unknown(why) if why.contains("writes nothing")));
    }

    #[test]
    fn what_is_refused_is_unknown() {
        let probe = probe(&mut Told(&[]));
        assert!(matches!(probe.account, Known::Unknown(why) if why.contains("ORA-00942")));
        assert!(matches!(probe.rights, Known::Unknown(_)));
    }
}
