//! What an operation is.

use futures_util::future::BoxFuture;
use model::{Field, FieldKind};

use crate::{Context, Input, InputError, Output};

/// One thing an operator can do, whatever the interface.
pub struct Operation {
    /// Program and subcommand as documented: `secadm create_sshprof`, `listener add`.
    pub name: &'static str,
    /// One line for help.
    pub title: &'static str,
    /// Who may.
    pub right: Right,
    /// What it does to the gateway.
    pub effect: Effect,
    /// Its parameters.
    pub params: fn() -> Vec<Param>,
    /// The work. Its input has been checked against `params`.
    pub run: for<'a> fn(&'a Context, &'a Input) -> BoxFuture<'a, Result<Output, OpError>>,
}

/// A right: a letter of R W U D A on a class of objects (access-control.md section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Right {
    /// The class.
    pub resource: Resource,
    /// The letter.
    pub letter: char,
}

/// Classes of objects that rights are given on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of access-control.md section 3")]
pub enum Resource {
    Sites,
    Applications,
    Transfers,
    Models,
    Cgates,
    Vfd,
    DecisionRules,
    RuleTables,
    SecurityObjects,
    Audit,
    Configuration,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Looks only.
    Read,
    /// Changes objects: audited, and the running snapshot is rebuilt.
    Change,
    /// Acts on transfers or the running gateway: audited.
    Control,
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Param {
    /// Canonical long name, without a dash.
    pub name: &'static str,
    /// Short names.
    pub shorts: &'static [&'static str],
    /// Other long names that are accepted.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: ParamKind,
    /// Must be given.
    pub required: bool,
    /// May also be given by position, without its name.
    pub positional: bool,
    /// One line.
    pub help: &'static str,
    /// More, for `??`.
    pub detail: &'static str,
    /// Value where none is given, for help.
    pub default: Option<&'static str>,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum ParamKind {
    /// A value of an object's field, with its limits.
    Field(FieldKind),
    /// Present or absent; takes no value.
    Switch,
    /// Path of a file that the caller reads; its octets (at most 1 MiB) travel in the input.
    File,
}

impl Param {
    /// The parameter that sets `field` of an object.
    #[must_use]
    pub const fn of_field(field: &Field) -> Self {
        Self {
            name: field.name,
            shorts: field.shorts,
            aliases: field.aliases,
            kind: ParamKind::Field(field.kind),
            required: field.required,
            positional: false,
            help: field.help,
            detail: field.detail,
            default: field.default,
        }
    }

    /// A text of at most `max` characters.
    #[must_use]
    pub const fn text(name: &'static str, shorts: &'static [&'static str], max: u16, help: &'static str) -> Self {
        Self::plain(name, shorts, ParamKind::Field(FieldKind::Text { max }), help)
    }

    /// A whole number.
    #[must_use]
    pub const fn int(name: &'static str, shorts: &'static [&'static str], range: (i64, i64), help: &'static str) -> Self {
        let (min, max) = range;
        Self::plain(name, shorts, ParamKind::Field(FieldKind::Int { min, max, unit: "" }), help)
    }

    /// One of the given words.
    #[must_use]
    pub const fn choice(
        name: &'static str,
        shorts: &'static [&'static str],
        words: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::plain(name, shorts, ParamKind::Field(FieldKind::Choice(words)), help)
    }

    /// A switch without a value.
    #[must_use]
    pub const fn switch(name: &'static str, shorts: &'static [&'static str], help: &'static str) -> Self {
        Self::plain(name, shorts, ParamKind::Switch, help)
    }

    /// A file that the caller reads.
    #[must_use]
    pub const fn file(name: &'static str, shorts: &'static [&'static str], help: &'static str) -> Self {
        Self::plain(name, shorts, ParamKind::File, help)
    }

    /// A secret of at most `max` characters: prompted for where it is not given.
    #[must_use]
    pub const fn secret(name: &'static str, shorts: &'static [&'static str], max: u16, help: &'static str) -> Self {
        Self::plain(name, shorts, ParamKind::Field(FieldKind::Secret { max }), help)
    }

    const fn plain(name: &'static str, shorts: &'static [&'static str], kind: ParamKind, help: &'static str) -> Self {
        Self {
            name,
            shorts,
            aliases: &[],
            kind,
            required: false,
            positional: false,
            help,
            detail: "",
            default: None,
        }
    }

    /// The same, but it must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, but it need not be given: `update` keeps what is not.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// The same, and it may be given by position.
    #[must_use]
    pub const fn positional(mut self) -> Self {
        self.positional = true;
        self
    }

    /// The same, with other accepted long names.
    #[must_use]
    pub const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same, with a text for `??`.
    #[must_use]
    pub const fn detail(mut self, detail: &'static str) -> Self {
        self.detail = detail;
        self
    }

    /// Every name it answers to.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.shorts.iter().copied()).chain(self.aliases.iter().copied())
    }

    /// Whether its value must not be seen.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, ParamKind::Field(FieldKind::Secret { .. } | FieldKind::PasswordHash { .. }))
    }
}

/// Why an operation was not done. `Syntax` is exit code 2, all else 1 (objects.md section 14).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The input is not of the operation's form.
    #[error("{0}")]
    Syntax(#[from] InputError),
    /// No such object, transfer or file.
    #[error("{0}")]
    NotFound(String),
    /// The state of things forbids it: exists already, is referred to, illegal transition.
    #[error("{0}")]
    Refused(String),
    /// Something failed inside: database, disk.
    #[error("{0}")]
    Failed(String),
}

impl OpError {
    /// Exit code of the command.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Syntax(_) => 2,
            _ => 1,
        }
    }
}
