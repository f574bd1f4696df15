//! Text that becomes `varchar` loses what its code page has not: the server takes the letter that looks most alike, or
//! a question mark.

use crate::types::Type;

/// Characters of Windows-1252 that have other numbers in Unicode.
const ELSEWHERE: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";
/// Characters that it has not, each with the one that stands for it.
const ALIKE: [(&str, char); 14] = [
    ("ĀĂĄ", 'A'),
    ("āăąα", 'a'),
    ("ĆČ", 'C'),
    ("ćč", 'c'),
    ("ĎĐ", 'D'),
    ("ďđ", 'd'),
    ("ĘĚ", 'E'),
    ("ęě", 'e'),
    ("Ł", 'L'),
    ("ł", 'l'),
    ("ΩŐ", 'O'),
    ("ő", 'o'),
    ("∞", '8'),
    ("−", '-'),
];

/// The text as a type of one byte a character keeps it. Types with a collation of their own keep it as it is: their
/// code page is known where the bytes are made.
pub(crate) fn kept(text: String, to: &Type) -> String {
    let plain = matches!(to.name.as_str(), "char" | "varchar" | "text");
    if !plain || to.collation.is_some() || text.chars().all(is_kept) {
        return text;
    }
    text.chars().map(|letter| if is_kept(letter) { letter } else { alike(letter) }).collect()
}

fn is_kept(letter: char) -> bool {
    matches!(letter, '\0'..='\u{7f}' | '\u{a0}'..='\u{ff}') || ELSEWHERE.contains(letter)
}

fn alike(letter: char) -> char {
    ALIKE.iter().find(|(letters, _)| letters.contains(letter)).map_or('?', |(_, alike)| *alike)
}
