//! Descriptors: the one list of fields of each kind. Command line, help, checks and manual are built from it.

use crate::object::Kind;

/// What a field holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// Text of at most `max` characters.
    Text {
        /// Most characters.
        max: u16,
    },
    /// A number from `min` to `max`.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Its unit, `""` for a plain count.
        unit: &'static str,
    },
    /// Y or N.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Several texts in order.
    List {
        /// Most of them.
        max: u16,
        /// The words allowed, if not all.
        choices: Option<&'static [&'static str]>,
    },
    /// The name of an object.
    Ref(Kind),
    /// Names of objects in order, and how many at most.
    RefList(Kind, u16),
    /// A secret kept sealed beside the body, of at most `max` characters.
    Secret {
        /// Most characters.
        max: u16,
    },
    /// A password of which only the hash is kept, sealed beside the body.
    PasswordHash {
        /// Most characters of the password.
        max: u16,
    },
}

/// One field: the single source of its names, limits, default and help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// Canonical name: key in the body and long parameter of commands.
    pub name: &'static str,
    /// Short parameter names.
    pub shorts: &'static [&'static str],
    /// Other names that mean the same: export names and documented spellings.
    pub aliases: &'static [&'static str],
    /// Older names: accepted, and reported as such (NET-18).
    pub deprecated: &'static [&'static str],
    /// What it holds.
    pub kind: FieldKind,
    /// Value where none is given, as a command line would take it.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Set by the gateway, never by a person.
    pub read_only: bool,
    /// Other words for a value: (other, meant).
    pub synonyms: &'static [(&'static str, &'static str)],
    /// Characters that part a list given as one text.
    pub separators: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// More help, for `??`; may be empty.
    pub detail: &'static str,
}

impl Field {
    /// A field with this name, content and help, and nothing else.
    #[must_use]
    pub const fn new(name: &'static str, kind: FieldKind, help: &'static str) -> Self {
        Self {
            name,
            shorts: &[],
            aliases: &[],
            deprecated: &[],
            kind,
            default: None,
            required: false,
            read_only: false,
            synonyms: &[],
            separators: " \t,",
            help,
            detail: "",
        }
    }

    /// A text field.
    #[must_use]
    pub const fn text(name: &'static str, max: u16, help: &'static str) -> Self {
        Self::new(name, FieldKind::Text { max }, help)
    }

    /// A number from `range.0` to `range.1`.
    #[must_use]
    pub const fn int(name: &'static str, range: (i64, i64), unit: &'static str, help: &'static str) -> Self {
        Self::new(name, FieldKind::Int { min: range.0, max: range.1, unit }, help)
    }

    /// A Y/N field.
    #[must_use]
    pub const fn flag(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, FieldKind::Flag, help).default(default)
    }

    /// One of some words.
    #[must_use]
    pub const fn choice(name: &'static str, words: &'static [&'static str], help: &'static str) -> Self {
        Self::new(name, FieldKind::Choice(words), help)
    }

    /// With short names.
    #[must_use]
    pub const fn shorts(mut self, shorts: &'static [&'static str]) -> Self {
        self.shorts = shorts;
        self
    }

    /// With other names.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// With older names.
    #[must_use]
    pub const fn deprecated(mut self, names: &'static [&'static str]) -> Self {
        self.deprecated = names;
        self
    }

    /// With a default.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// Must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Set by the gateway only.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// With other words for values.
    #[must_use]
    pub const fn synonyms(mut self, pairs: &'static [(&'static str, &'static str)]) -> Self {
        self.synonyms = pairs;
        self
    }

    /// Parted by these characters where the list is one text.
    #[must_use]
    pub const fn separators(mut self, characters: &'static str) -> Self {
        self.separators = characters;
        self
    }

    /// With more help.
    #[must_use]
    pub const fn detail(mut self, text: &'static str) -> Self {
        self.detail = text;
        self
    }

    /// Whether `word` names this field, whatever its case (SSH-25).
    #[must_use]
    pub fn is_called(&self, word: &str) -> bool {
        self.names().any(|name| name.eq_ignore_ascii_case(word))
    }

    /// Every name of this field, the canonical one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let Self { name, shorts, aliases, deprecated, .. } = *self;
        std::iter::once(name)
            .chain(shorts.iter().copied())
            .chain(aliases.iter().copied())
            .chain(deprecated.iter().copied())
    }

    /// Whether its value is kept sealed beside the body.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, FieldKind::Secret { .. } | FieldKind::PasswordHash { .. })
    }

    /// What its values look like, for help: `0 to 1440 minutes`, `Y or N`, `one of CLIENT, SERVER`.
    #[must_use]
    pub fn expected(&self) -> String {
        match self.kind {
            FieldKind::Text { max } => format!("text of at most {max} characters"),
            FieldKind::Int { min, max, unit: "" } => format!("a number from {min} to {max}"),
            FieldKind::Int { min, max, unit } => format!("{min} to {max} {unit}"),
            FieldKind::Flag => "Y or N".to_owned(),
            FieldKind::Choice(words) => format!("one of {}", words.join(", ")),
            FieldKind::List { max, choices: None } => format!("a list of at most {max}"),
            FieldKind::List { max, choices: Some(words) } => format!("a list of at most {max} of {}", words.join(", ")),
            FieldKind::Ref(kind) => format!("the name of a {kind}"),
            FieldKind::RefList(kind, max) => format!("names of at most {max} objects {kind}"),
            FieldKind::Secret { max } | FieldKind::PasswordHash { max } => {
                format!("a secret of at most {max} characters")
            }
        }
    }
}

/// What the name of an object may look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameRule {
    /// Letters, digits, `.`, `_`, `-`.
    Word {
        /// Most characters.
        max: u16,
    },
    /// An absolute path of a virtual folder.
    Path {
        /// Most characters.
        max: u16,
    },
}

/// A kind's names, limits and help.
#[derive(Clone, Copy, Debug)]
pub struct ObjectDescriptor {
    /// The kind.
    pub kind: Kind,
    /// What people call it: `SSH profile`.
    pub title: &'static str,
    /// One sentence about it.
    pub about: &'static str,
    /// The parameter that takes the object's name.
    pub name_field: Field,
    /// What the name may look like.
    pub name_rule: NameRule,
    /// Fields of the body.
    pub fields: &'static [Field],
    /// Whether [`crate::Object::group`] means something, and its parameter.
    pub group_field: Option<Field>,
    /// Whether [`crate::Object::state`] means something, and its parameter.
    pub state_field: Option<Field>,
    /// Names of the columns of a status list, beside the object's name; `state` and `group` included.
    pub summary: &'static [&'static str],
}

/// Where the value of a parameter goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The object's name.
    Name,
    /// Its group.
    Group,
    /// Its state.
    State,
    /// Its body, under the field's name; beside it for a secret.
    Body,
}

impl ObjectDescriptor {
    /// Whether objects of this kind are grouped.
    #[must_use]
    pub const fn has_group(&self) -> bool {
        self.group_field.is_some()
    }

    /// Whether objects of this kind can be disabled.
    #[must_use]
    pub const fn has_state(&self) -> bool {
        self.state_field.is_some()
    }

    /// The body field called `word` by any of its names.
    #[must_use]
    pub fn field(&self, word: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.is_called(word))
    }

    /// Every parameter: name, group, state, then the body.
    pub fn parameters(&self) -> impl Iterator<Item = (Place, Field)> + use<> {
        let Self { name_field, group_field, state_field, fields, .. } = *self;
        std::iter::once((Place::Name, name_field))
            .chain(group_field.map(|field| (Place::Group, field)))
            .chain(state_field.map(|field| (Place::State, field)))
            .chain(fields.iter().map(|field| (Place::Body, *field)))
    }

    /// The parameter called `word` by any of its names, and where its value goes.
    #[must_use]
    pub fn parameter(&self, word: &str) -> Option<(Place, Field)> {
        self.parameters().find(|(_, field)| field.is_called(word))
    }
}

/// The group parameter that most kinds share.
pub(crate) const GROUP: Field =
    Field::text("group", 15, "name space of the object").shorts(&["gr"]).default(crate::object::DEFAULT_GROUP);

/// The state parameter that most kinds share.
pub(crate) const STATE: Field = Field::choice("state", &["ENABLED", "DISABLED"], "a disabled object is not used")
    .default("ENABLED")
    .synonyms(STATES);

/// Letters of states.
pub(crate) const STATES: &[(&str, &str)] = &[("E", "ENABLED"), ("D", "DISABLED"), ("C", "TO_CHECK")];

/// The comment parameter that most kinds share.
pub(crate) const COMMENTS: Field = Field::text("comments", 80, "free text").shorts(&["cts"]);

impl crate::Kind {
    /// The descriptor of this kind.
    #[must_use]
    pub fn descriptor(self) -> &'static ObjectDescriptor {
        descriptor(self)
    }
}

/// The descriptor of a kind.
#[must_use]
pub fn descriptor(kind: Kind) -> &'static ObjectDescriptor {
    use crate::kinds as k;
    match kind {
        Kind::Listener => &k::listener::DESCRIPTOR,
        Kind::NetworkProfile => &k::network_profile::DESCRIPTOR,
        Kind::SshProfile => &k::ssh_profile::DESCRIPTOR,
        Kind::TlsProfile => &k::tls_profile::DESCRIPTOR,
        Kind::Key => &k::key::DESCRIPTOR,
        Kind::Certificate => &k::certificate::DESCRIPTOR,
        Kind::Crl => &k::crl::DESCRIPTOR,
        Kind::LocalSite => &k::local_site::DESCRIPTOR,
        Kind::Proxy => &k::proxy::DESCRIPTOR,
        Kind::RemoteSite => &k::remote_site::DESCRIPTOR,
        Kind::CgateGroup => &k::cgate_group::DESCRIPTOR,
        Kind::Cgate => &k::cgate::DESCRIPTOR,
        Kind::VfdDir => &k::vfd_dir::DESCRIPTOR,
        Kind::DropFolder => &k::drop_folder::DESCRIPTOR,
        Kind::Hook => &k::hook::DESCRIPTOR,
        Kind::Application => &k::application::DESCRIPTOR,
        Kind::TransferModel => &k::transfer_model::DESCRIPTOR,
        Kind::DecisionRule => &k::decision_rule::DESCRIPTOR,
        Kind::RuleTable => &k::rule_table::DESCRIPTOR,
        Kind::Webhook => &k::webhook::DESCRIPTOR,
    }
}

/// Every descriptor, in the order of [`Kind::ALL`].
pub fn descriptors() -> impl Iterator<Item = &'static ObjectDescriptor> {
    Kind::ALL.into_iter().map(descriptor)
}
