//! Text from outside, made safe for logs, tables and terminals (LOG-1).

use std::fmt;

/// Most characters of foreign text that one message shows.
const SHOWN_MAX: usize = 256;

/// Octets or text from a peer, shown with control and invisible characters escaped and cut at 256 characters.
pub struct Shown<'a>(pub &'a [u8]);

impl<'a> From<&'a str> for Shown<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = SHOWN_MAX;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                left = match left.checked_sub(1) {
                    Some(left) => left,
                    None => return f.write_str("…"),
                };
                if is_plain(c) { write!(f, "{c}")? } else { write!(f, "{}", c.escape_default())? }
            }
            for o in chunk.invalid() {
                write!(f, "\\x{o:02x}")?;
                left = left.saturating_sub(1);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Plain: not a control, not a format character that reorders or hides text.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `octets` as [`Shown`] prints them.
#[must_use]
pub fn octets_text(octets: &[u8]) -> String {
    Shown(octets).to_string()
}

/// The first `max` characters of `text`, with `…` where more was.
#[must_use]
pub fn brief(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(octets_text(b"a\nb\x1b[31m\xffz"), "a\\nb\\u{1b}[31m\\xffz");
        assert_eq!(octets_text("x\u{202e}y".as_bytes()), "x\\u{202e}y");
        assert_eq!(octets_text(&[b'a'; 300]).chars().count(), 257);
    }

    #[test]
    fn brief_cuts_between_characters() {
        assert_eq!(brief("héllo", 2), "hé…");
        assert_eq!(brief("hé", 2), "hé");
    }
}
