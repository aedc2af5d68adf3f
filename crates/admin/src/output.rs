//! What an operation gives back, for people and for programs.

use base::UtcMicros;
use model::ObjectState;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// One value of a table or record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cell {
    Flag(bool),
    Int(i64),
    Text(String),
    List(Vec<String>),
    /// The stored word of an object's state; people see it as [`ObjectState::shown`] says.
    State(String),
    /// Programs get it as RFC 3339 in UTC; people in their zone.
    Time(UtcMicros),
    None,
}

impl Cell {
    /// The form for programs: the stored word of a state, the value of all else.
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Flag(flag) => json!(flag),
            Self::Int(n) => json!(n),
            Self::Text(text) | Self::State(text) => json!(text),
            Self::List(items) => json!(items),
            Self::Time(at) => json!(at.to_string()),
            Self::None => serde_json::Value::Null,
        }
    }
}

/// The result of an operation. How it looks is up to the interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Output {
    /// It is done; one line with command, object and result.
    Done {
        /// The line.
        text: String,
        /// Facts that a program may want: the identifier of a transfer, the revision.
        facts: Vec<(String, Cell)>,
        /// Things to think about, a sentence each.
        warnings: Vec<String>,
    },
    /// Many things of one form.
    Table {
        /// Column names.
        columns: Vec<String>,
        /// Rows, as many cells as columns.
        rows: Vec<Vec<Cell>>,
    },
    /// One thing.
    Record {
        /// Field names and values in order.
        fields: Vec<(String, Cell)>,
    },
    /// A file: its octets in base 64, which a command writes as they are.
    File {
        /// The octets.
        base64: String,
    },
    /// A text for people, with the facts behind it for programs.
    Story {
        /// Lines.
        lines: Vec<String>,
        /// The same as data.
        facts: serde_json::Value,
    },
    /// A screen for people, with the facts behind it for programs, and whether it asks for a person: a status, or what came
    /// of a test.
    Report {
        /// Lines.
        lines: Vec<Line>,
        /// The same as data.
        facts: serde_json::Value,
        /// The command then ends with exit code 1.
        needs_person: bool,
    },
}

/// A line of a screen.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Line {
    /// How it looks where there are colours.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

/// How a line looks where there are colours.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tone {
    Plain,
    Head,
    Good,
    Warn,
    Bad,
}

impl Line {
    /// A line without a colour.
    #[must_use]
    pub const fn plain(text: String) -> Self {
        Self { tone: Tone::Plain, text }
    }

    /// A line in a tone.
    #[must_use]
    pub const fn of(tone: Tone, text: String) -> Self {
        Self { tone, text }
    }
}

impl Output {
    /// A line that says it is done.
    #[must_use]
    pub fn done(text: impl Into<String>) -> Self {
        Self::Done { text: text.into(), facts: Vec::new(), warnings: Vec::new() }
    }

    /// Whether it asks for a person: the command then ends with exit code 1.
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(self, Self::Report { needs_person: true, .. })
    }

    /// What came of a test, line by line.
    #[must_use]
    pub fn tested(lines: Vec<String>, facts: serde_json::Value, good: bool) -> Self {
        Self::Report { lines: lines.into_iter().map(Line::plain).collect(), facts, needs_person: !good }
    }

    /// The form for programs (`--json`).
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Done { text, facts, warnings } => {
                json!({ "result": text, "facts": object(facts), "warnings": warnings })
            }
            Self::Table { columns, rows } => rows
                .iter()
                .map(|row| columns.iter().zip(row).map(|(c, cell)| (c.clone(), cell.json())).collect())
                .map(serde_json::Value::Object)
                .collect(),
            Self::Record { fields } => object(fields),
            Self::File { base64 } => json!({ "base64": base64 }),
            Self::Story { facts, .. } | Self::Report { facts, .. } => facts.clone(),
        }
    }
}

fn object(fields: &[(String, Cell)]) -> serde_json::Value {
    serde_json::Value::Object(fields.iter().map(|(name, cell)| (name.clone(), cell.json())).collect())
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<ObjectState> for Cell {
    fn from(state: ObjectState) -> Self {
        Self::State(state.as_str().to_owned())
    }
}

impl From<UtcMicros> for Cell {
    fn from(at: UtcMicros) -> Self {
        Self::Time(at)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<&model::Value> for Cell {
    fn from(value: &model::Value) -> Self {
        match value {
            model::Value::Flag(flag) => Self::Flag(*flag),
            model::Value::Int(n) => Self::Int(*n),
            model::Value::Text(text) => Self::Text(text.clone()),
            model::Value::List(items) => Self::List(items.clone()),
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(if *flag { "Y" } else { "N" }),
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(text) => write!(f, "{}", Safe(text)),
            Self::List(items) => write!(f, "{}", Safe(&items.join(" "))),
            Self::State(word) => match ObjectState::parse(word) {
                Ok(state) => f.write_str(state.shown()),
                Err(_) => write!(f, "{}", Safe(word)),
            },
            Self::Time(at) => write!(f, "{at}"),
            Self::None => Ok(()),
        }
    }
}

/// Text whose control characters are escaped but whose length is kept.
struct Safe<'a>(&'a str);

impl std::fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| {
            if c.is_control() && c != '\n' { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") }
        })
    }
}
