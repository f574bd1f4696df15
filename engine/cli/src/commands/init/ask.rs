//! Questions, and their answers.

use std::io::{self, BufRead, Write};

use engine_spec::yaml::emit::comment;

use crate::exit::{CommandError, Kind};

/// Who answers.
pub enum Voice<'a> {
    /// Nobody: what was found is taken.
    Defaults,
    /// Somebody at a terminal.
    Asks {
        /// Where the answers come from.
        input: &'a mut dyn BufRead,
        /// Where the questions go.
        output: &'a mut dyn Write,
    },
}

/// A question in plain words.
pub struct Question<'q> {
    /// What is asked.
    pub text: &'q str,
    /// The answer of whoever says nothing; `None` where there must be one.
    pub default: Option<&'q str>,
    /// The flag that answers it where nobody is asked.
    pub flag: &'q str,
}

impl Voice<'_> {
    /// Tells something before a question; nobody is told nothing.
    pub fn tell(&mut self, line: &str) -> Result<(), CommandError> {
        if let Self::Asks { output, .. } = self {
            writeln!(output, "{}", comment(line)).map_err(|error| broken(&error))?;
        }
        Ok(())
    }

    /// Asks until there is an answer that can be read. An empty answer, and the end of the answers, is the default.
    pub fn ask<T>(
        &mut self,
        question: &Question<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, CommandError> {
        let unanswered = |why: &str| {
            CommandError::new(Kind::Usage, format!("{}: {why}", comment(question.text)))
                .hint(format!("say it with `{}`", question.flag))
        };
        let Self::Asks { input, output } = self else {
            let default = question.default.ok_or_else(|| unanswered("nothing was found, and nobody is asked"))?;
            return read(default).map_err(|why| unanswered(&why));
        };
        loop {
            let default = question.default.filter(|default| !default.is_empty());
            let shown = default.map(|default| format!(" [{}]", comment(default))).unwrap_or_default();
            write!(output, "{}{shown}: ", comment(question.text))
                .and_then(|()| output.flush())
                .map_err(|error| broken(&error))?;
            let mut line = String::new();
            let is_end = input.read_line(&mut line).map_err(|error| broken(&error))? == 0;
            let answer = match (line.trim(), question.default) {
                ("", Some(default)) => default,
                ("", None) if is_end => return Err(unanswered("the answers ended")),
                ("", None) => continue,
                (answer, _) => answer,
            };
            match read(answer) {
                Ok(answer) => return Ok(answer),
                Err(why) if is_end => return Err(unanswered(&why)),
                Err(why) => writeln!(output, "  {}", comment(&why)).map_err(|error| broken(&error))?,
            }
        }
    }
}

fn broken(error: &io::Error) -> CommandError {
    CommandError::new(Kind::Environment, format!("asking at the terminal: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(answer: &str) -> Result<u8, String> {
        answer.parse().map_err(|_| format!("`{answer}` is no number"))
    }

    fn asked(answers: &str, default: Option<&str>) -> (Result<u8, CommandError>, String) {
        let (mut input, mut output) = (answers.as_bytes(), Vec::new());
        let mut voice = Voice::Asks { input: &mut input, output: &mut output };
        let answer = voice.ask(&Question { text: "How many\u{1b}[2J?", default, flag: "--many" }, number);
        (answer, String::from_utf8(output).expect("text"))
    }

    #[test]
    fn a_question_is_asked_until_it_is_answered() {
        assert_eq!(asked("\n", Some("3")).0, Ok(3));
        assert_eq!(asked("", Some("3")).0, Ok(3));
        assert_eq!(asked("7\n", Some("3")).0, Ok(7));
        let (answer, said) = asked("x\n\n5\n", None);
        assert_eq!(answer, Ok(5));
        assert!(said.contains("`x` is no number") && !said.contains('\u{1b}'), "{said}");
        for answers in ["", "\n\n", "x"] {
            let error = asked(answers, None).0.expect_err("no answer");
            assert_eq!(error.hint.as_deref(), Some("say it with `--many`"), "{answers:?}");
        }
    }

    #[test]
    fn nobody_is_asked_where_there_is_no_terminal() {
        let question = |default| Question { text: "How many?", default, flag: "--many" };
        assert_eq!(Voice::Defaults.ask(&question(Some("3")), number), Ok(3));
        let error = Voice::Defaults.ask(&question(None), number).expect_err("no default");
        assert_eq!((error.kind, error.hint.as_deref()), (Kind::Usage, Some("say it with `--many`")));
    }
}
