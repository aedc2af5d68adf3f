//! Reading an object's body into its meant type: values with their defaults, and every problem at once.

use std::collections::BTreeSet;

use base::Alias;

use crate::field::{Field, FieldKind, ObjectDescriptor, descriptor};
use crate::object::{Object, ObjectState, Problem, Severity, Value};

/// Reads the fields of one object. Each is asked for by its canonical name; what the body does not have is the default.
pub(crate) struct Reader<'a> {
    /// The object.
    pub object: &'a Object,
    descriptor: &'static ObjectDescriptor,
    problems: Vec<Problem>,
    asked: BTreeSet<&'static str>,
}

/// A meant type and what was wrong on the way to it.
pub(crate) trait Meant: Sized {
    /// Reads it; what can't be read becomes a problem and some harmless value.
    fn read(reader: &mut Reader<'_>) -> Self;
}

/// Reads `object` as a `T`.
pub(crate) fn read<T: Meant>(object: &Object) -> (T, Vec<Problem>) {
    let mut reader = Reader::new(object);
    let meant = T::read(&mut reader);
    (meant, reader.problems)
}

impl<'a> Reader<'a> {
    pub(crate) fn new(object: &'a Object) -> Self {
        Self { object, descriptor: descriptor(object.kind), problems: Vec::new(), asked: BTreeSet::new() }
    }

    /// The object may be used.
    pub(crate) fn enabled(&self) -> bool {
        self.object.state == ObjectState::Enabled
    }

    /// A text or word; empty counts as not given.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let (field, value) = self.value(name)?;
        let text = match value {
            Some(Value::Text(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => field.default.unwrap_or_default().to_owned(),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// A text that has a default or may be empty.
    pub(crate) fn text_or_empty(&mut self, name: &'static str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// The name of an object that may be stated as an [`Alias`] only.
    pub(crate) fn alias(&mut self, name: &'static str) -> Option<Alias> {
        let text = self.text(name)?;
        self.one_alias(name, text)
    }

    /// Names of objects.
    pub(crate) fn aliases(&mut self, name: &'static str) -> Vec<Alias> {
        let texts = self.list(name);
        texts.into_iter().filter_map(|text| self.one_alias(name, text)).collect()
    }

    fn one_alias(&mut self, name: &'static str, text: String) -> Option<Alias> {
        Alias::try_from(text).map_err(|e| self.error(name, e.to_string(), "state the name of an object")).ok()
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let Some((field, value)) = self.value(name) else {
            return false;
        };
        match value {
            Some(Value::Flag(flag)) => *flag,
            Some(Value::Text(text)) => text.eq_ignore_ascii_case("Y"),
            _ => field.default == Some("Y"),
        }
    }

    /// A number; outside the range of `T` it is a problem and zero.
    pub(crate) fn int<T: TryFrom<i64> + Default>(&mut self, name: &'static str) -> T {
        let Some((field, value)) = self.value(name) else {
            return T::default();
        };
        let number = match value {
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Text(text)) => text.parse().ok(),
            _ => field.default.and_then(|text| text.parse().ok()),
        };
        let in_limits = |n: &i64| matches!(field.kind, FieldKind::Int { min, max, .. } if (min..=max).contains(n));
        match number.filter(in_limits).and_then(|number| T::try_from(number).ok()) {
            Some(number) => number,
            None if number.is_none() && !field.required => T::default(),
            None => {
                self.error(name, "the value is out of range", format!("give it {}", field.expected()));
                T::default()
            }
        }
    }

    /// A number that may be absent.
    pub(crate) fn int_given<T: TryFrom<i64> + Default>(&mut self, name: &'static str) -> Option<T> {
        let given = self.value(name)?.1.is_some();
        given.then(|| self.int(name))
    }

    /// A list of texts.
    pub(crate) fn list(&mut self, name: &'static str) -> Vec<String> {
        let Some((field, value)) = self.value(name) else {
            return Vec::new();
        };
        match value {
            Some(Value::List(items)) => items.clone(),
            Some(other) => split(&field, &other.to_string()),
            None => split(&field, field.default.unwrap_or_default()),
        }
    }

    /// A word, as the value that `meanings` gives it; an unknown word is a problem and the first meaning.
    pub(crate) fn choice<T: Copy>(&mut self, name: &'static str, meanings: &[(&str, T)], otherwise: T) -> T {
        let Some(text) = self.text(name) else { return otherwise };
        if let Some((_, meaning)) = meanings.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return *meaning;
        }
        let words: Vec<&str> = meanings.iter().map(|(word, _)| *word).collect();
        self.error(name, format!("{text:?} is none of its words"), format!("use one of {}", words.join(", ")));
        otherwise
    }

    /// Whether a secret is set.
    pub(crate) fn secret(&mut self, name: &'static str) -> bool {
        self.value(name).is_some() && self.object.secrets.contains(name)
    }

    /// Notes that the object can't be used.
    pub(crate) fn error(&mut self, field: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.note(Severity::Error, field, text.into(), fix.into());
    }

    /// Notes that a person should look.
    pub(crate) fn warning(&mut self, field: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.note(Severity::Warning, field, text.into(), fix.into());
    }

    fn note(&mut self, severity: Severity, field: &str, text: String, fix: String) {
        let object = if self.object.name.is_empty() { self.object.kind.to_string() } else { self.object.title() };
        self.problems.push(Problem { object, field: field.to_owned(), severity, text, fix });
    }

    /// The first error so far.
    pub(crate) fn broken(&self) -> Option<String> {
        self.problems.iter().find(|p| p.severity == Severity::Error).map(|p| match p.field.as_str() {
            "" => p.text.clone(),
            field => format!("{field}: {}", p.text),
        })
    }

    /// The field and the body's value for it; `None` only if the kind has no such field, which a test excludes.
    fn value(&mut self, name: &'static str) -> Option<(Field, Option<&'a Value>)> {
        self.asked.insert(name);
        let field = self.descriptor.fields.iter().find(|field| field.name == name)?;
        Some((*field, self.object.body.get(name)))
    }

    /// Names of the fields that were read.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> &BTreeSet<&'static str> {
        &self.asked
    }
}

/// The items of a list written as one text.
pub(crate) fn split(field: &Field, text: &str) -> Vec<String> {
    text.split(|c| field.separators.contains(c)).map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}
