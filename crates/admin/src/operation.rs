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
    /// Acts on transfers or the running gateway, or hands out what is configured: audited.
    Control,
}

/// A parameter of an operation: a field with its names, limits and help, and the form in which it is given.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Names, limits, default, help.
    pub field: Field,
    /// How it is given.
    pub form: Form,
    /// May also be given by position, without its name.
    pub positional: bool,
    /// Whether a secret that is not given is asked for, told by what is given before it.
    pub asked_if: Option<fn(&Input) -> bool>,
}

/// How a parameter is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// With a value behind its name.
    Value,
    /// The same, with a time: the caller turns what somebody wrote, in their zone, into UTC.
    Time,
    /// Present or absent; takes no value.
    Switch,
    /// Asked for at the terminal, or read from a file; never on the line.
    Asked,
    /// With the path of a file that the caller reads; its octets (at most 1 MiB) travel in the input.
    File,
    /// With the path of a file or folder that declares objects, or `-`: the caller reads all of it, and the secrets that
    /// it names.
    Bundle,
    /// With the path of a file into which the caller writes what comes back. The operation does not see it.
    Output,
    /// With the path of a TOML file in which the caller finds values of other parameters. The operation does not see it.
    Answers,
    /// Present or absent: whether the caller adds to that file. The operation does not see it.
    Append,
    /// With the path of a file of the caller whose content streams to the operation, or `-`.
    Send,
    /// With the path of a file of the caller that gets the content which the operation streams, or `-`. The operation does not
    /// see the path.
    Receive,
}

impl Param {
    /// A parameter that takes a value of `field`.
    #[must_use]
    pub const fn of(field: Field) -> Self {
        Self { field, form: Form::Value, positional: false, asked_if: None }
    }

    /// A parameter that takes a time.
    #[must_use]
    pub const fn time(field: Field) -> Self {
        Self { field, form: Form::Time, positional: false, asked_if: None }
    }

    /// A switch without a value.
    #[must_use]
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { field: Field::new(name, FieldKind::Flag, help), form: Form::Switch, positional: false, asked_if: None }
    }

    /// A file that the caller reads.
    #[must_use]
    pub const fn file(field: Field) -> Self {
        Self { field, form: Form::File, positional: false, asked_if: None }
    }

    /// A secret that never stands on the line: read from a file, from a credential of the service manager, or asked for.
    #[must_use]
    pub const fn asked(field: Field) -> Self {
        Self { field, form: Form::Asked, positional: false, asked_if: None }
    }

    /// Files that declare objects, which the caller reads.
    #[must_use]
    pub const fn bundle(field: Field) -> Self {
        Self { field, form: Form::Bundle, positional: false, asked_if: None }
    }

    /// `-output FILE`.
    #[must_use]
    pub const fn output() -> Self {
        let field = Field::text("output", 4095, "file to write into; standard output where not given").shorts(&["f"]);
        Self { field, form: Form::Output, positional: false, asked_if: None }
    }

    /// `-file FILE` with values of the other parameters.
    #[must_use]
    pub const fn answers() -> Self {
        let field =
            Field::text("file", 4095, "TOML file with values of these parameters; what stands on the line counts more")
                .shorts(&["f"]);
        Self { field, form: Form::Answers, positional: false, asked_if: None }
    }

    /// `-append`, beside [`Self::output`].
    #[must_use]
    pub const fn append() -> Self {
        let field = Field::new("append", FieldKind::Flag, "add to the file, instead of replacing it").shorts(&["ap"]);
        Self { field, form: Form::Append, positional: false, asked_if: None }
    }

    /// The same, and it must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.field.required = true;
        self
    }

    /// The same, but it need not be given: `update` keeps what is not, a selection takes all.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.field.required = false;
        self.field.default = None;
        self
    }

    /// The same, and if it is not given it is asked for where `needed` says so of what is given before it.
    #[must_use]
    pub const fn asked_if(mut self, needed: fn(&Input) -> bool) -> Self {
        self.asked_if = Some(needed);
        self
    }

    /// The same, and it may be given by position.
    #[must_use]
    pub const fn positional(mut self) -> Self {
        self.positional = true;
        self
    }

    /// Its canonical name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.field.name
    }

    /// Whether its value must not be seen.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.field.is_secret()
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
    /// The same, and the audit has it already, in the transaction that refused it.
    #[error("{0}")]
    Recorded(Box<Self>),
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
            Self::Recorded(error) => error.exit_code(),
            _ => 1,
        }
    }
}
