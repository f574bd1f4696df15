//! Style and script of the pages.

use crate::commands::preview::chart::palette;

/// Where the style is.
pub(super) const STYLE_PATH: &str = "/style.css";
/// Where the script is.
pub(super) const SCRIPT_PATH: &str = "/refresh.js";

/// The style of the pages and of the time-lines on them.
pub(super) fn style() -> String {
    format!("{}{}", include_str!("assets/style.css"), palette::STYLE)
}

/// Brings the content anew now and then. The pages are whole without it.
pub(super) const SCRIPT: &str = include_str!("assets/refresh.js");
