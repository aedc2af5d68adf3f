//! Patterns with `*` and `?`, as the specification uses them for addresses, names and logins.

use serde::{Deserialize, Serialize};

/// What `?` stands for. Network profiles say none or one character (NET-6), all other places exactly one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuestionMark {
    /// Exactly one character.
    One,
    /// One character or none.
    OneOrNone,
}

/// A pattern: `*` is any run of characters, `?` as [`QuestionMark`] says, all else stands for itself.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern that `text` spells; every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Characters that stand for themselves: the measure of the best match (OBJ-14).
    #[must_use]
    pub fn literals(&self) -> usize {
        self.0.chars().filter(|c| !matches!(c, '*' | '?')).count()
    }

    /// Whether `text` fits. Work is bounded by the product of both lengths.
    #[must_use]
    pub fn matches(&self, text: &str, mark: QuestionMark) -> bool {
        let text: Vec<char> = text.chars().collect();
        // reach[i]: the pattern so far can have eaten the first i characters.
        let mut reach = vec![false; text.len() + 1];
        if let Some(first) = reach.first_mut() {
            *first = true;
        }
        for p in self.0.chars() {
            reach = step(&reach, p, &text, mark);
        }
        reach.last().copied().unwrap_or(false)
    }
}

fn step(reach: &[bool], p: char, text: &[char], mark: QuestionMark) -> Vec<bool> {
    let mut next = Vec::with_capacity(reach.len());
    let mut before = false; // next[i - 1]
    let mut eaten = false; // reach[i - 1]
    for (i, here) in reach.iter().enumerate() {
        let last = i.checked_sub(1).and_then(|i| text.get(i));
        let fits = match p {
            '*' => *here || before,
            '?' => eaten || (*here && mark == QuestionMark::OneOrNone),
            c => eaten && last == Some(&c),
        };
        next.push(fits);
        before = fits;
        eaten = *here;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match() {
        use QuestionMark::{One, OneOrNone};
        for (pattern, text, mark, expected) in [
            ("*", "", One, true),
            ("du*", "dupont", One, true),
            ("dup?nt", "dupont", One, true),
            ("dup?nt", "dupnt", One, false),
            ("dup?nt", "dupnt", OneOrNone, true),
            ("10.10.10.*", "10.10.10.7", One, true),
            ("10.10.10.*", "10.10.1.7", One, false),
            ("*.*.*.*", "::1", One, false),
            ("a*b*c", "aXXbYYc", One, true),
            ("", "x", One, false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text, mark), expected, "{pattern} against {text}");
        }
    }

    proptest! {
        #[test]
        fn a_literal_matches_itself_only(text in "[a-c]{0,8}", other in "[a-c]{0,8}") {
            let p = Pattern::new(text.clone());
            prop_assert_eq!(p.matches(&other, QuestionMark::One), text == other);
        }
    }
}
