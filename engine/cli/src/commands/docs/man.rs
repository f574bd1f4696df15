//! The man pages: one for each command, from the same words as `--help`. A package makes them from the program that it
//! holds, so none is kept beside the code.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::{EXIT_CODES, VARIABLES, WORST_CODE};
use crate::args::Cli;

/// Where more is written.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// The pages: the names of their files, and their text for `man`.
pub fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut pages = Vec::new();
    add(&cli, &mut pages)?;
    Ok(pages)
}

/// Adds the page of a command, and those of the commands below it.
fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let man = Man::new(command.clone()).manual("engine").source(concat!("engine ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render(&mut page)?;
    page.extend_from_slice(closing().as_bytes());
    pages.push((man.get_filename(), page));
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| add(below, pages))
}

/// What every page ends with.
fn closing() -> String {
    let mut out = String::from(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", plain(code), plain(meaning));
    }
    let _ = writeln!(out, ".PP\n{}\n.SH ENVIRONMENT", plain(WORST_CODE));
    for (name, meaning) in VARIABLES {
        let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", plain(name), plain(meaning));
    }
    let _ = writeln!(out, ".SH \"SEE ALSO\"\n{}", plain(HOME));
    out
}

/// A line of text of which `man` obeys nothing: a hyphen stays one that can be copied.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('`', "");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that `--help` shows, with those below them.
    fn shown<'a>(command: &'a Command, found: &mut Vec<&'a Command>) {
        found.push(command);
        command.get_subcommands().filter(|below| !below.is_hide_set()).for_each(|below| shown(below, found));
    }

    #[test]
    fn every_command_has_a_page_with_every_option() {
        let mut cli = Cli::command().disable_help_subcommand(true);
        cli.build();
        let mut commands = Vec::new();
        shown(&cli, &mut commands);
        let pages = pages().expect("pages");
        assert_eq!(pages.len(), commands.len());
        for command in commands {
            let name = format!("{}.1", command.get_display_name().unwrap_or(command.get_name()));
            let page = pages.iter().find(|(page, _)| *page == name).unwrap_or_else(|| panic!("no {name}"));
            let text = String::from_utf8(page.1.clone()).expect("UTF-8").replace("\\-", "-");
            for long in command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| arg.get_long()) {
                assert!(text.contains(&format!("--{long}")), "--{long} is not in {name}");
            }
            for part in [".SH \"EXIT STATUS\"", "ENGINE_LOG", "credential: NAME"] {
                assert!(text.contains(part), "{part} is not in {name}");
            }
        }
    }

    #[test]
    fn a_text_is_obeyed_in_nothing() {
        assert_eq!(plain(".TH \\fBa-b"), "\\&.TH \\efBa\\-b");
    }
}
