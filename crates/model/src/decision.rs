//! A decision and its reasons, for the log, `explain` and `why`.

use std::fmt;

use serde::Serialize;

/// What was decided and why: which objects matched, which nearly did, why not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision<T> {
    /// The outcome.
    pub result: Result<T, Refusal>,
    /// Its reasons, in the order in which they were found; at most [`WHY_MAX`] and a few.
    pub why: Vec<Reason>,
}

/// About how many reasons a decision gives; objects beyond are only counted.
pub const WHY_MAX: usize = 24;

/// One object and what it had to do with a decision.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reason {
    /// The object, as `NETWORK_PROFILE SFTP_ALL`.
    pub object: String,
    /// Whether it took part in the outcome.
    pub matched: bool,
    /// Why, or why not; with what to do where that helps.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", if self.matched { "+" } else { "-" }, self.object, self.text)
    }
}

/// Why something was refused, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{text}; {fix}")]
pub struct Refusal {
    /// Number of the documented event, 0 where there is none.
    pub event: u16,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub fix: String,
}

impl Refusal {
    /// A refusal with its event number.
    pub(crate) fn new(event: u16, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { event, text: text.into(), fix: fix.into() }
    }
}

impl<T> Decision<T> {
    /// The same reasons for another outcome.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Decision<U> {
        Decision { result: self.result.map(change), why: self.why }
    }
}

/// Collects reasons within their bound.
#[derive(Debug, Default)]
pub(crate) struct Why {
    reasons: Vec<Reason>,
    left_out: usize,
}

impl Why {
    pub(crate) fn yes(&mut self, object: impl Into<String>, text: impl Into<String>) {
        self.reasons.push(Reason { object: object.into(), matched: true, text: text.into() });
    }

    pub(crate) fn no(&mut self, object: impl Into<String>, text: impl Into<String>) {
        if self.reasons.len() < WHY_MAX {
            self.reasons.push(Reason { object: object.into(), matched: false, text: text.into() });
        } else {
            self.left_out += 1;
        }
    }

    /// [`Why::no`] for walks over many objects: the line is only made if there is room for it (NET-16).
    pub(crate) fn no_with(&mut self, line: impl FnOnce() -> (String, String)) {
        if self.reasons.len() < WHY_MAX {
            let (object, text) = line();
            self.no(object, text);
        } else {
            self.left_out += 1;
        }
    }

    /// Counts an object that is not worth a line.
    pub(crate) const fn skip(&mut self) {
        self.left_out += 1;
    }

    pub(crate) fn decide<T>(mut self, result: Result<T, Refusal>) -> Decision<T> {
        if self.left_out > 0 {
            let text = format!("{} more objects did not match", self.left_out);
            self.reasons.push(Reason { object: String::new(), matched: false, text });
        }
        Decision { result, why: self.reasons }
    }
}
