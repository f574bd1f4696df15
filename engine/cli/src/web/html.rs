//! The frame of a page, and its small parts. What comes from outside passes [`escaped`].

use engine_core::report::counted;
use jiff::{SignedDuration, Timestamp};

use super::assets::{SCRIPT_PATH, STYLE_PATH};
use super::login::OUT_PATH;
use crate::commands::status::ago;
use crate::show::escaped;

/// How somebody comes to see a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// No token is asked for.
    Open,
    /// With the token in a header.
    ByToken,
    /// With the cookie of a log-in.
    LoggedIn,
}

/// A page with its title; `main` is HTML.
pub(super) fn page(title: &str, main: &str, visit: Visit) -> String {
    let head =
        format!("<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n<script src=\"{SCRIPT_PATH}\" defer></script>\n");
    let log_out = match visit {
        Visit::LoggedIn => format!("<form method=\"post\" action=\"{OUT_PATH}\"><button>Log out</button></form>"),
        Visit::Open | Visit::ByToken => String::new(),
    };
    let top = format!(
        "<a class=\"skip\" href=\"#main\">To the content</a>\n\
         <header><nav aria-label=\"pages\"><a href=\"/\">engine: all pipelines</a> <a href=\"/metrics\">metrics</a>\
         {log_out}</nav></header>\n"
    );
    let foot = format!("<footer><p>engine {}. Read-only; times are UTC.</p></footer>\n", env!("CARGO_PKG_VERSION"));
    frame(title, &head, &top, main, &foot)
}

/// What every page has, and around its content what is given: HTML.
pub(super) fn frame(title: &str, head: &str, top: &str, main: &str, foot: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n{head}</head>\n<body>\n{top}\
         <main id=\"main\" tabindex=\"-1\">\n{main}</main>\n{foot}</body>\n</html>\n",
        title = escaped(title),
    )
}

/// What is shown where there is nothing.
pub(super) fn not_found(visit: Visit) -> String {
    page("Not found", "<h1>Not found</h1>\n<p>There is no such page. <a href=\"/\">All pipelines</a></p>\n", visit)
}

/// What is shown where the state gives no answer.
pub(super) fn silent(said: &str, visit: Visit) -> String {
    let main =
        format!("<h1>The state does not answer</h1>\n<p class=\"trouble\" role=\"alert\">{}</p>\n", escaped(said));
    page("The state does not answer – engine", &main, visit)
}

/// When a page was made, for the head of its content.
pub(super) fn as_of(at: Timestamp) -> String {
    format!(
        "<p class=\"soft\">As of {}. <span id=\"refresh\">Reload the page for a newer state.</span></p>\n",
        time(at)
    )
}

/// The health of a pipeline: a sign and the word.
pub(super) fn health(health: &str) -> String {
    let sign = match health {
        "ok" => "\u{2713}",
        "new" => "\u{25cb}",
        "waiting" => "\u{2026}",
        "held" => "\u{2016}",
        _ => "\u{2717}",
    };
    format!("<span class=\"health {health}\"><span aria-hidden=\"true\">{sign}</span> {health}</span>")
}

/// An instant.
pub(super) fn time(at: Timestamp) -> String {
    format!("<time datetime=\"{at:.0}\">{}</time>", at.strftime("%Y-%m-%d %H:%M:%S"))
}

/// An instant, and how far it is from now.
pub(super) fn when(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "–".to_owned() };
    let distance = now.duration_since(at);
    let words = match distance >= SignedDuration::ZERO {
        true => format!("{} ago", ago(distance)),
        false => format!("in {}", ago(-distance)),
    };
    format!("{words}<br><small>{}</small>", time(at))
}

/// Reasons in plain words, or nothing.
pub(super) fn reasons(reasons: &[String]) -> String {
    if reasons.is_empty() {
        return "–".to_owned();
    }
    let items = reasons.iter().map(|reason| format!("<li>{}</li>", lines(reason)));
    format!("<ul class=\"reasons\">{}</ul>", items.collect::<String>())
}

/// A text of several lines.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("<br>")
}

/// Bytes in a unit that people read.
pub(super) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB"];
    let Some(last) = (0..units.len()).rev().find(|power| count >> (10 * (power + 1)) > 0) else {
        return counted(count, "byte");
    };
    format!("{:.1} {}", count as f64 / (1_u64 << (10 * (last + 1))) as f64, units[last])
}

/// A table in a region that scrolls, by keyboard too. Cells are HTML; the first of a row is its header.
pub(super) fn table(caption: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    let head: String =
        header.iter().map(|name| format!("<th scope=\"col\" role=\"columnheader\">{name}</th>")).collect();
    let row = |cells: &Vec<String>| {
        let cell = |(place, cell): (usize, &String)| {
            let name = header.get(place).copied().unwrap_or_default();
            match place {
                0 => format!("<th scope=\"row\" role=\"rowheader\">{cell}</th>"),
                _ => format!("<td role=\"cell\" data-name=\"{name}\"><div>{cell}</div></td>"),
            }
        };
        format!("<tr role=\"row\">{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n\
         <table role=\"table\">\n<caption>{caption}</caption>\n\
         <thead role=\"rowgroup\"><tr role=\"row\">{head}</tr></thead>\n<tbody role=\"rowgroup\">\n{}</tbody>\n</table>\n</div>\n",
        rows.iter().map(row).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit() {
        for (count, expected) in
            [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB")]
        {
            assert_eq!(bytes(count), expected);
        }
        assert_eq!(bytes(5 << 40), "5120.0 GiB");
    }

    #[test]
    fn every_health_has_a_sign_and_a_word() {
        for word in crate::commands::status::HEALTH {
            let shown = health(word);
            assert!(shown.contains("aria-hidden") && shown.ends_with(&format!("{word}</span>")), "{shown}");
        }
    }

    #[test]
    fn past_and_future_are_told_apart() {
        let now = Timestamp::from_second(1_000).expect("in range");
        let at = |second| when(Timestamp::from_second(second).ok(), now);
        assert!(at(940).starts_with("1m0s ago<br>"), "{}", at(940));
        assert!(at(1_005).starts_with("in 5s<br>"), "{}", at(1_005));
        assert_eq!(when(None, now), "–");
    }
}
