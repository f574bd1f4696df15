//! Who may do what.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::Product;
use crate::batch::{Tokens, shown, word, words};
use crate::catalogue::key;
use crate::errors::{Fallible, error, syntax};
use crate::session::{Facts, StandIn};
use crate::statements::{plain, split_at_commas};

impl Facts {
    /// Whether the session may do this with `SCHEMA.TABLE`.
    pub(crate) fn may(&self, right: &str, key: &str) -> bool {
        let has = |right: &str, on: &str| self.rights.contains(&(right.to_owned(), on.to_owned()));
        let own = self.schema.eq_ignore_ascii_case(&self.login)
            && key.starts_with(&format!("{}.", self.login.to_uppercase()));
        let schema = key.split('.').next().unwrap_or_default();
        self.may_on_all(right)
            || own
            || has(right, key)
            || has(right, &format!("{schema}.*"))
            || has("CONTROL", key)
            || has("ALL", key)
    }

    /// Whether it may do this with every table, or at all.
    pub(crate) fn may_on_all(&self, right: &str) -> bool {
        let has = |right: &str| self.rights.contains(&(right.to_owned(), String::new()));
        let by_role = self.roles.iter().any(|role| match role.as_str() {
            "DB_OWNER" | "SYSADMIN" | "DBA" => true,
            "DB_DATAREADER" => right == "SELECT",
            "DB_DATAWRITER" => matches!(right, "INSERT" | "UPDATE" | "DELETE"),
            "RESOURCE" => right == "CREATE TABLE",
            _ => false,
        });
        self.administrator || by_role || has(right) || has(&format!("{right} ANY TABLE")) || has("CONTROL")
    }

    /// The user of the database that the login is.
    pub(crate) fn user(&self) -> String {
        if self.administrator { "dbo".to_owned() } else { self.login.clone() }
    }

    /// Roles in the database.
    pub(crate) fn database_roles(&self) -> Vec<String> {
        let mut roles = self.roles.iter().cloned().collect::<Vec<_>>();
        if self.administrator {
            roles.push("DB_OWNER".to_owned());
        }
        roles.push("PUBLIC".to_owned());
        roles
    }
}

impl StandIn {
    /// `CREATE LOGIN`, `CREATE USER`, `ALTER ROLE`, `GRANT`, `REVOKE`, `DENY`.
    pub(crate) fn change_rights(&mut self, tokens: &Tokens) -> Fallible<()> {
        if !self.facts.administrator {
            return Err(match self.product() {
                Product::SqlServer => error(15247, "User does not have permission to perform this action."),
                Product::Oracle => error(1031, "insufficient privileges"),
            });
        }
        let first = words(tokens, 2);
        let name = tokens.get(2).map(|token| plain(&token.token)).unwrap_or_default();
        match (first[0].as_str(), first.get(1).map_or("", String::as_str)) {
            ("CREATE" | "ALTER", "LOGIN" | "USER") => self.account(&first[0], &name, &tokens[3.min(tokens.len())..]),
            ("DROP", "LOGIN" | "USER") => {
                self.shared.state().logins.remove(&name.to_uppercase());
                Ok(())
            }
            ("CREATE" | "DROP", "ROLE") => Ok(()),
            ("ALTER", "ROLE" | "SERVER") => self.member(tokens),
            ("GRANT", _) => self.grant(tokens, Change::Give),
            _ => self.grant(tokens, Change::Take),
        }
    }

    /// An account with a password, behind `PASSWORD =` or `IDENTIFIED BY`.
    fn account(&self, verb: &str, name: &str, rest: &[TokenWithSpan]) -> Fallible<()> {
        let at = rest.iter().position(|token| matches!(word(&token.token).as_str(), "PASSWORD" | "BY"));
        let secret = at
            .and_then(|at| rest[at + 1..].iter().find(|token| token.token != Token::Eq))
            .map(|token| plain(&token.token));
        let mut state = self.shared.state();
        let known = state.logins.contains_key(&name.to_uppercase());
        if verb == "ALTER" && !known {
            return Err(match self.product() {
                Product::SqlServer => error(
                    15151,
                    format!(
                        "Cannot alter the login '{name}', because it does not exist or you do not have permission."
                    ),
                ),
                Product::Oracle => error(1918, format!("user '{}' does not exist", name.to_uppercase())),
            });
        }
        if verb == "CREATE" && known && secret.is_some() {
            return Err(match self.product() {
                Product::SqlServer => error(15025, format!("The server principal '{name}' already exists.")),
                Product::Oracle => {
                    error(1920, format!("user name '{}' conflicts with another user or role name", name.to_uppercase()))
                }
            });
        }
        let login = state.logins.entry(name.to_uppercase()).or_default();
        if secret.is_some() {
            login.password = secret;
        }
        Ok(())
    }

    /// `ALTER ROLE r ADD MEMBER u`
    fn member(&self, tokens: &Tokens) -> Fallible<()> {
        let at = tokens
            .iter()
            .position(|token| word(&token.token) == "MEMBER")
            .ok_or_else(|| syntax(self.product(), "ROLE"))?;
        let role = tokens.get(at.saturating_sub(2)).map(|token| plain(&token.token).to_uppercase()).unwrap_or_default();
        let member = tokens.get(at + 1).map(|token| plain(&token.token)).unwrap_or_default();
        let adds = word(&tokens[at - 1].token) == "ADD";
        let mut state = self.shared.state();
        let login = state.logins.get_mut(&member.to_uppercase()).ok_or_else(|| {
            error(
                15151,
                format!(
                    "Cannot add the principal '{member}', because it does not exist or you do not have permission."
                ),
            )
        })?;
        if adds {
            login.roles.insert(role);
        } else {
            login.roles.remove(&role);
        }
        Ok(())
    }

    /// `GRANT SELECT, INSERT ON t TO u`, `GRANT CREATE SESSION TO u`, `GRANT db_role TO u`
    fn grant(&self, tokens: &Tokens, change: Change) -> Fallible<()> {
        let names = words(tokens, tokens.len());
        let to = names
            .iter()
            .rposition(|word| word == "TO" || word == "FROM")
            .ok_or_else(|| syntax(self.product(), "GRANT"))?;
        let on = names.iter().position(|word| word == "ON");
        let object = match on {
            Some(on) => {
                let text = shown(&tokens[on + 1..to]).replace([' ', '[', ']', '"'], "");
                let text = text.rsplit("::").next().unwrap_or_default().to_uppercase();
                let whole_schema = shown(&tokens[on + 1..to]).to_uppercase().starts_with("SCHEMA");
                match (whole_schema, text.contains('.')) {
                    (true, _) => format!("{text}.*"),
                    (false, true) => text,
                    (false, false) => key(&self.facts.schema, &text),
                }
            }
            None => String::new(),
        };
        let rights = split_at_commas(&tokens[1..on.unwrap_or(to)]);
        let mut state = self.shared.state();
        for grantee in split_at_commas(&tokens[to + 1..]) {
            let name = grantee.first().map(|token| plain(&token.token)).unwrap_or_default();
            let unknown = || match self.product() {
                Product::SqlServer => error(
                    15151,
                    format!("Cannot find the user '{name}', because it does not exist or you do not have permission."),
                ),
                Product::Oracle => error(1917, format!("user or role '{}' does not exist", name.to_uppercase())),
            };
            let login = state.logins.get_mut(&name.to_uppercase()).ok_or_else(unknown)?;
            for right in &rights {
                let open = right.iter().position(|token| token.token == Token::LParen).unwrap_or(right.len());
                let right =
                    right[..open].iter().map(|token| plain(&token.token).to_uppercase()).collect::<Vec<_>>().join(" ");
                let is_role =
                    on.is_none() && matches!(right.as_str(), "DBA" | "CONNECT" | "RESOURCE" | "SELECT_CATALOG_ROLE");
                match (change, is_role) {
                    (Change::Give, true) => login.roles.insert(right),
                    (Change::Take, true) => login.roles.remove(&right),
                    (Change::Give, false) => login.rights.insert((right, object.clone())),
                    (Change::Take, false) => login.rights.remove(&(right, object.clone())),
                };
            }
        }
        Ok(())
    }
}

/// What becomes of a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Give,
    Take,
}
