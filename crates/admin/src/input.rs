//! What an operation is given, and its check against the operation's parameters.

use std::collections::BTreeMap;

use base::Secret;
use model::{FieldKind, Value};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::{Bundle, BundleError, WireBundle};
use crate::{Form, Param};

/// Most octets of a file that travels with an input.
pub(crate) const FILE_OCTETS_MAX: usize = 1 << 20;

/// Values by canonical parameter name. Secrets and file contents are kept apart so that nothing prints them.
#[derive(Default)]
pub struct Input {
    values: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Secret<String>>,
    files: BTreeMap<String, Secret<Vec<u8>>>,
    bundles: BTreeMap<String, Bundle>,
}

/// What is wrong with an input; each names the parameter (gui-and-remote-cli.md section 4, GUI-28).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum InputError {
    #[error("no operation {0:?}: see `gatehouse help`")]
    UnknownOperation(String),
    #[error("invalid parameter -{0}: see the command's help with `?`")]
    Unknown(String),
    #[error("mandatory parameter -{0} is absent")]
    Absent(&'static str),
    #[error("parameter -{0} has no value")]
    NoValue(&'static str),
    #[error("value of -{name} has {len} characters: at most {max} allowed")]
    TooLong { name: &'static str, len: usize, max: usize },
    #[error("value of -{name} has {got} items: at most {max} allowed")]
    TooMany { name: &'static str, got: usize, max: usize },
    #[error("value of -{name} is not numeric: {got:?}")]
    NotNumeric { name: &'static str, got: String },
    #[error("value of -{name} is {got}: at least {min} allowed")]
    BelowMinimum { name: &'static str, got: i64, min: i64 },
    #[error("value of -{name} is {got}: at most {max} allowed")]
    AboveMaximum { name: &'static str, got: i64, max: i64 },
    #[error("value of -{name} is {got:?}: give one of {}", allowed.join(", "))]
    Incorrect { name: &'static str, got: String, allowed: Vec<String> },
    #[error("{0}")]
    Bundle(#[from] BundleError),
    #[error("{0}")]
    Together(String),
}

impl Input {
    /// The value of `name`, if given.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The text of `name`, if given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of `name`, if given.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(Value::Int(n)) => Some(*n),
            _ => None,
        }
    }

    /// Whether the flag or switch `name` is set.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Flag(true)))
    }

    /// The secret `name`, if given.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret<String>> {
        self.secrets.get(name)
    }

    /// The content of the file given as `name`.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Secret<Vec<u8>>> {
        self.files.get(name)
    }

    /// The files given as `name` that declare objects.
    #[must_use]
    pub fn bundle(&self, name: &str) -> Option<&Bundle> {
        self.bundles.get(name)
    }

    /// All values but secrets and files.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// What was given, for the audit: values as text, `None` for secrets and files.
    pub(crate) fn given(&self) -> Vec<(String, Option<String>)> {
        let hidden = self.secrets.keys().chain(self.files.keys()).map(|name| (name.clone(), None));
        let titles = self.bundles.iter().map(|(name, bundle)| (name.clone(), Some(bundle.title())));
        let values = self.values.iter().map(|(name, value)| (name.clone(), Some(value.to_string())));
        values.chain(titles).chain(hidden).collect()
    }

    /// Takes a typed text for `param`, checked against its kind.
    ///
    /// # Errors
    /// [`InputError`] names the parameter and its limit.
    pub fn give(&mut self, param: &Param, text: &str) -> Result<(), InputError> {
        if param.is_secret() {
            check_length(param, text)?;
            self.secrets.insert(param.name().to_owned(), Secret::new(text.to_owned()));
            return Ok(());
        }
        let value = parse(param, text)?;
        self.values.insert(param.name().to_owned(), value);
        Ok(())
    }

    /// Takes a value that was parsed elsewhere, checked as a typed text is.
    ///
    /// # Errors
    /// As [`Self::give`].
    pub fn give_value(&mut self, param: &Param, value: &Value) -> Result<(), InputError> {
        match (value, param.field.kind) {
            (Value::List(items), FieldKind::List { max, choices }) => {
                let items = checked_list(param, items.iter().map(String::as_str), max, choices)?;
                self.values.insert(param.name().to_owned(), items);
                Ok(())
            }
            (Value::List(items), FieldKind::RefList(_, max)) => {
                let items = checked_list(param, items.iter().map(String::as_str), max, None)?;
                self.values.insert(param.name().to_owned(), items);
                Ok(())
            }
            _ => self.give(param, &value.to_string()),
        }
    }

    /// Takes back what was given for `name`.
    pub fn forget(&mut self, name: &str) {
        self.values.remove(name);
        self.secrets.remove(name);
        self.files.remove(name);
        self.bundles.remove(name);
    }

    /// Takes the content of a file for `param`.
    pub fn give_file(&mut self, param: &Param, octets: Vec<u8>) {
        self.files.insert(param.name().to_owned(), Secret::new(octets));
    }

    /// Takes files that declare objects for `param`.
    pub fn give_bundle(&mut self, param: &Param, bundle: Bundle) {
        self.bundles.insert(param.name().to_owned(), bundle);
    }

    /// Checks that every value belongs to a parameter and every mandatory one is there.
    ///
    /// # Errors
    /// [`InputError::Unknown`], [`InputError::Absent`], or what is wrong with a value.
    pub fn check(&self, params: &[Param]) -> Result<(), InputError> {
        let given = self.values.keys().chain(self.secrets.keys()).chain(self.files.keys());
        for name in given.chain(self.bundles.keys()) {
            if !params.iter().any(|p| p.name() == name) {
                return Err(InputError::Unknown(name.clone()));
            }
        }
        for param in params {
            if param.field.required && !self.has(param.name()) {
                return Err(InputError::Absent(param.name()));
            }
        }
        Ok(())
    }

    /// Whether `name` was given in any form.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
            || self.secrets.contains_key(name)
            || self.files.contains_key(name)
            || self.bundles.contains_key(name)
    }
}

/// The input as it travels over the administration socket: texts only, checked again on arrival.
#[derive(Deserialize, Serialize)]
pub(crate) struct Wire {
    values: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Zeroizing<String>>,
    files: BTreeMap<String, Zeroizing<Vec<u8>>>,
    #[serde(default)]
    bundles: BTreeMap<String, WireBundle>,
}

impl From<&Input> for Wire {
    fn from(input: &Input) -> Self {
        Self {
            values: input.values.clone(),
            secrets: input.secrets.iter().map(|(k, v)| (k.clone(), Zeroizing::new(v.expose().clone()))).collect(),
            files: input.files.iter().map(|(k, v)| (k.clone(), Zeroizing::new(v.expose().clone()))).collect(),
            bundles: input.bundles.iter().map(|(k, v)| (k.clone(), v.into())).collect(),
        }
    }
}

impl Wire {
    /// As [`Input::given`], of what is not checked yet.
    pub(crate) fn given(&self) -> Vec<(String, Option<String>)> {
        let hidden = self.secrets.keys().chain(self.files.keys()).map(|name| (name.clone(), None));
        let titles = self.bundles.iter().map(|(name, bundle)| (name.clone(), Some(bundle.title())));
        let values = self.values.iter().map(|(name, value)| (name.clone(), Some(value.to_string())));
        values.chain(titles).chain(hidden).collect()
    }

    /// The input, each value checked against `params`.
    pub(crate) fn into_input(self, params: &[Param]) -> Result<Input, InputError> {
        let mut input = Input::default();
        for (name, value) in self.values {
            input.give_value(named(params, &name)?, &value)?;
        }
        for (name, secret) in &self.secrets {
            input.give(named(params, name)?, secret)?;
        }
        for (name, octets) in self.files {
            let param = named(params, &name)?;
            if octets.len() > FILE_OCTETS_MAX {
                return Err(InputError::TooLong { name: param.name(), len: octets.len(), max: FILE_OCTETS_MAX });
            }
            input.give_file(param, octets.to_vec());
        }
        for (name, bundle) in self.bundles {
            input.give_bundle(named(params, &name)?, bundle.into_bundle()?);
        }
        Ok(input)
    }
}

fn named<'a>(params: &'a [Param], name: &str) -> Result<&'a Param, InputError> {
    params.iter().find(|p| p.name() == name).ok_or_else(|| InputError::Unknown(name.to_owned()))
}

fn parse(param: &Param, text: &str) -> Result<Value, InputError> {
    let name = param.name();
    let text = meant(param, text);
    match param.field.kind {
        _ if !matches!(param.form, Form::Value | Form::Time | Form::Switch | Form::Send) => {
            Err(InputError::NoValue(name))
        }
        FieldKind::Int { min, max, .. } => parse_int(name, text, (min, max)),
        FieldKind::Flag => parse_flag(name, text),
        FieldKind::Choice(words) => one_of(name, text, words).map(Value::Text),
        FieldKind::List { max, choices } => parse_list(param, text, max, choices),
        FieldKind::RefList(_, max) => parse_list(param, text, max, None),
        FieldKind::Text { .. } | FieldKind::Ref(_) | FieldKind::Secret { .. } | FieldKind::PasswordHash { .. } => {
            check_length(param, text)?;
            Ok(Value::Text(text.to_owned()))
        }
    }
}

/// The word that a synonym means.
fn meant<'a>(param: &Param, text: &'a str) -> &'a str {
    param.field.synonyms.iter().find(|(other, _)| other.eq_ignore_ascii_case(text)).map_or(text, |(_, word)| word)
}

fn check_length(param: &Param, text: &str) -> Result<(), InputError> {
    let max = match param.field.kind {
        FieldKind::Text { max } | FieldKind::Secret { max } | FieldKind::PasswordHash { max } => max,
        FieldKind::Ref(_) => 255,
        _ => return Ok(()),
    };
    let len = text.chars().count();
    if len > usize::from(max) {
        return Err(InputError::TooLong { name: param.name(), len, max: usize::from(max) });
    }
    Ok(())
}

fn parse_int(name: &'static str, text: &str, (min, max): (i64, i64)) -> Result<Value, InputError> {
    let got: i64 = text.trim().parse().map_err(|_| InputError::NotNumeric { name, got: base::brief(text, 40) })?;
    match got {
        got if got < min => Err(InputError::BelowMinimum { name, got, min }),
        got if got > max => Err(InputError::AboveMaximum { name, got, max }),
        got => Ok(Value::Int(got)),
    }
}

fn parse_flag(name: &'static str, text: &str) -> Result<Value, InputError> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "1" | "true" | "on" => Ok(Value::Flag(true)),
        "n" | "no" | "0" | "false" | "off" => Ok(Value::Flag(false)),
        _ => Err(InputError::Incorrect { name, got: base::brief(text, 40), allowed: vec!["Y".into(), "N".into()] }),
    }
}

fn one_of(name: &'static str, text: &str, words: &[&str]) -> Result<String, InputError> {
    words.iter().find(|w| w.eq_ignore_ascii_case(text)).map(|w| (*w).to_owned()).ok_or_else(|| InputError::Incorrect {
        name,
        got: base::brief(text, 40),
        allowed: words.iter().map(|w| (*w).to_owned()).collect(),
    })
}

fn parse_list(param: &Param, text: &str, max: u16, choices: Option<&[&str]>) -> Result<Value, InputError> {
    let parted = text.split(|c| param.field.separators.contains(c));
    checked_list(param, parted.map(|i| i.trim().trim_matches(['\'', '"'])).filter(|i| !i.is_empty()), max, choices)
}

fn checked_list<'a>(
    param: &Param,
    items: impl Iterator<Item = &'a str>,
    max: u16,
    choices: Option<&[&str]>,
) -> Result<Value, InputError> {
    let name = param.name();
    let items: Vec<&str> = items.map(|item| meant(param, item)).collect();
    if items.len() > usize::from(max) {
        return Err(InputError::TooMany { name, got: items.len(), max: usize::from(max) });
    }
    let items =
        items.into_iter().map(|item| choices.map_or_else(|| Ok(item.to_owned()), |words| one_of(name, item, words)));
    items.collect::<Result<Vec<String>, InputError>>().map(Value::List)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Field;

    const NUMBER: Param = Param::of(Field::int("retry_count_max", (0, 999), "", ""));
    const NAME: Param = Param::of(Field::text("name", 31, ""));
    const STATE: Param = Param::of(Field::choice("state", &["ENABLED", "DISABLED"], "").synonyms(&[("D", "DISABLED")]));
    const PASSWORD: Param = Param::of(Field::new("login_password", FieldKind::Secret { max: 25 }, ""));

    #[test]
    fn each_syntax_fault_names_its_parameter() {
        // GUI-28, OBJ-2
        for (param, text, expected) in [
            (&NUMBER, "ten", "value of -retry_count_max is not numeric: \"ten\""),
            (&NUMBER, "-1", "value of -retry_count_max is -1: at least 0 allowed"),
            (&NUMBER, "1000", "value of -retry_count_max is 1000: at most 999 allowed"),
            (&STATE, "X", "value of -state is \"X\": give one of ENABLED, DISABLED"),
        ] {
            assert_eq!(Input::default().give(param, text).unwrap_err().to_string(), expected);
        }
        let long = Input::default().give(&NAME, &"n".repeat(32)).unwrap_err();
        assert_eq!(long.to_string(), "value of -name has 32 characters: at most 31 allowed");
    }

    #[test]
    fn a_list_passes_the_socket_whole() {
        let right = Param::of(Field::new("vfd_right", FieldKind::List { max: 9, choices: None }, "").separators(";"));
        let mut input = Input::default();
        input.give(&right, "/in:*:RW:L:Y; /my out:*:R:L:N").unwrap();
        let text = serde_json::to_vec(&Wire::from(&input)).unwrap();
        let arrived = serde_json::from_slice::<Wire>(&text).unwrap().into_input(&[right]).unwrap();
        assert_eq!(arrived.value("vfd_right"), input.value("vfd_right"));
        assert_eq!(
            arrived.value("vfd_right"),
            Some(&Value::List(vec!["/in:*:RW:L:Y".into(), "/my out:*:R:L:N".into()]))
        );
    }

    #[test]
    fn mandatory_and_foreign_parameters_are_told() {
        let mut input = Input::default();
        let params = [NAME.required(), NUMBER];
        assert_eq!(input.check(&params), Err(InputError::Absent("name")));
        input.give(&STATE, "d").unwrap();
        assert_eq!(input.text("state"), Some("DISABLED"));
        assert_eq!(input.check(&params), Err(InputError::Unknown("state".into())));
    }

    #[test]
    fn a_secret_stays_apart_from_values() {
        let mut input = Input::default();
        input.give(&PASSWORD, "pass").unwrap();
        assert_eq!(input.values().count(), 0);
        assert_eq!(input.secret("login_password").unwrap().expose(), "pass");
    }
}
