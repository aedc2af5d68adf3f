//! A Rust source as tidy sees it: with comments and the contents of strings blanked, and its tests told apart.

use std::iter::Peekable;
use std::str::Chars;

/// One `.rs` file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the workspace root, with `/`.
    pub(crate) path: String,
    /// Lines as written.
    pub(crate) lines: Vec<String>,
    /// The same lines without comments and string contents.
    pub(crate) code: Vec<String>,
    /// Number of lines before the tests at the foot; all lines of a file without.
    pub(crate) body: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code: Vec<String> = blanked(text).lines().map(str::to_owned).collect();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let body = if is_test_file(path) { 0 } else { body_lines(&code) };
        Self { path: path.to_owned(), lines, code, body }
    }

    /// Code lines before the tests, numbered from 1.
    pub(crate) fn body(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().take(self.body).enumerate().map(|(i, line)| (i + 1, line.as_str()))
    }

    /// Code lines of the tests, numbered from 1.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().skip(self.body).map(|(i, line)| (i + 1, line.as_str()))
    }

    /// The room (folder of `crates/`) that this file belongs to.
    pub(crate) fn room(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// True inside a folder of pure wire code.
    pub(crate) fn is_wire(&self) -> bool {
        self.path.contains("/wire/")
    }
}

/// True if `word` stands in `line` as a whole word. A word may contain `::`.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, found)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        let after = line.get(at + found.len()..).and_then(|s| s.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// Files that hold nothing but tests.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("/testing.rs")
        || path.ends_with("_tests.rs")
        || path.contains("/testkit/")
}

/// Lines before the first `#[cfg(test)]` that opens a module with a body.
fn body_lines(code: &[String]) -> usize {
    let opens = |pair: &[String]| match pair {
        [attribute, module, ..] => {
            attribute.trim() == "#[cfg(test)]" && module.starts_with("mod ") && module.trim_end().ends_with('{')
        }
        _ => false,
    };
    code.windows(2).position(opens).unwrap_or(code.len())
}

/// `text` with comments, string contents and character literals blanked; line breaks stay.
pub(crate) fn blanked(text: &str) -> String {
    let mut lexer = Lexer { rest: text.chars().peekable(), out: String::with_capacity(text.len()), before: ' ' };
    while let Some(c) = lexer.rest.next() {
        lexer.token(c);
    }
    lexer.out
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// The character before the current one: tells `r"` from `expr"`.
    before: char,
}

impl Lexer<'_> {
    fn token(&mut self, c: char) {
        let word_before = self.before.is_alphanumeric() || self.before == '_';
        match (c, self.rest.peek().copied()) {
            ('/', Some('/')) => self.skip_line(),
            ('/', Some('*')) => self.skip_block(),
            ('"', _) => self.skip_string(),
            ('r', Some('"' | '#')) if !word_before || self.before == 'b' => self.raw_string(),
            ('\'', _) => self.character(),
            _ => self.keep(c),
        }
    }

    fn keep(&mut self, c: char) {
        self.out.push(c);
        self.before = c;
    }

    /// Keeps a line break, drops anything else.
    fn drop_char(&mut self, c: char) {
        self.out.push(if c == '\n' { '\n' } else { ' ' });
    }

    fn skip_line(&mut self) {
        while let Some(c) = self.rest.next_if(|c| *c != '\n') {
            self.drop_char(c);
        }
    }

    fn skip_block(&mut self) {
        let (mut depth, mut last) = (0_usize, '/');
        while let Some(c) = self.rest.next() {
            self.drop_char(c);
            match (last, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth = depth.saturating_sub(1),
                _ => {
                    last = c;
                    continue;
                }
            }
            last = ' ';
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.keep('"');
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return self.keep('"'),
                '\\' => {
                    self.drop_char(' ');
                    if let Some(escaped) = self.rest.next() {
                        self.drop_char(escaped);
                    }
                }
                other => self.drop_char(other),
            }
        }
    }

    /// After `r`: either `r"..."`, `r#"..."#`, or a raw name like `r#type`.
    fn raw_string(&mut self) {
        self.keep('r');
        let mut hashes = 0_usize;
        while self.rest.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        if self.rest.next_if_eq(&'"').is_none() {
            return;
        }
        self.keep('"');
        let mut seen: Option<usize> = None;
        while let Some(c) = self.rest.next() {
            seen = match (c, seen) {
                ('"', _) => Some(0),
                ('#', Some(n)) => Some(n + 1),
                _ => None,
            };
            self.drop_char(c);
            if seen == Some(hashes) {
                return self.keep('"');
            }
        }
    }

    /// A character literal or a lifetime.
    fn character(&mut self) {
        let mut ahead = self.rest.clone();
        let literal = matches!((ahead.next(), ahead.next()), (Some('\\'), _) | (Some(_), Some('\'')));
        self.keep('\'');
        if !literal {
            return;
        }
        while let Some(c) = self.rest.next() {
            match c {
                '\'' => return self.keep('\''),
                '\\' => {
                    self.rest.next();
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blank() {
        for (text, expected) in [
            ("a // tokio\nb", "a         \nb"),
            ("a /* x /* y */ z */ b", "a                    b"),
            ("f(\"tokio\\\" x\") + g", "f(\"         \") + g"),
            ("r#\"to\"kio\"# end", "r\"       \" end"),
            ("let c = '\"'; let s: &'static str;", "let c = ''; let s: &'static str;"),
            ("'\\'' x", "'' x"),
            ("br\"abc\" for\"x\"", "br\"   \" for\" \""),
        ] {
            let blank = blanked(text);
            let squeeze = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(squeeze(&blank), squeeze(expected), "{text}");
            assert_eq!(blank.lines().count(), text.lines().count(), "{text}");
        }
    }

    #[test]
    fn tests_are_told_apart() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod more {\n}\n";
        assert_eq!(Source::new("crates/x/src/lib.rs", text).body, 4);
        assert_eq!(Source::new("crates/x/src/tests.rs", text).body, 0);
    }

    #[test]
    fn whole_words() {
        for (line, word, expected) in [
            ("use tokio::net;", "tokio", true),
            ("my_tokio", "tokio", false),
            ("std::fs::read", "std::fs", true),
            ("std::fst", "std::fs", false),
        ] {
            assert_eq!(has_word(line, word), expected, "{line} {word}");
        }
    }
}
