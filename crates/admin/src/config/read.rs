//! Reading documents: `[site.PARTNER]` is an object, each line below it a field. Everything wrong is told at once, with
//! the line, and with the name that was probably meant.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use model::{Body, Field, Kind, ObjectDescriptor, ObjectState, Place, Severity, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Document, Reference};

/// Things that are told of documents that are wrong.
const PROBLEMS_MAX: usize = 50;
/// The fields that only keys and certificates have in a document.
const fn held_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Key => &["public_key", "private_key", "key_password"],
        Kind::Certificate => &["certificate", "private_key", "key_password"],
        _ => &[],
    }
}

/// How a secret may be given.
const SECRET_FORMS: &str =
    "{ file = \"…\" }, { env = \"…\" } or { credential = \"…\" }, or { set = true } to keep what is set";

/// A secret of a declared object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Given {
    /// It is set, and stays what it is.
    Set,
    /// It is found there.
    From(Reference),
}

/// An object as a document declares it, with its values in normal form.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Document and line.
    pub(crate) place: String,
    /// Number of the document.
    pub(crate) document: usize,
    pub(crate) group: String,
    pub(crate) state: ObjectState,
    pub(crate) body: Body,
    pub(crate) secrets: BTreeMap<&'static str, Given>,
    /// Public key, or certificate.
    pub(crate) public_part: Option<String>,
    pub(crate) private_key: Option<Given>,
    pub(crate) key_password: Option<Given>,
}

/// What all documents declare.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    pub(crate) objects: Vec<Declared>,
    /// Kinds that they speak of, with objects or with an empty table.
    pub(crate) kinds: BTreeSet<Kind>,
}

impl Declarations {
    /// Every secret that is named, with the number of the document that does.
    pub(crate) fn references(&self) -> BTreeSet<(usize, Reference)> {
        let of = |object: &Declared| {
            let given = object.secrets.values().chain(&object.private_key).chain(&object.key_password);
            let named = given.filter_map(|given| match given {
                Given::From(reference) => Some((object.document, reference.clone())),
                Given::Set => None,
            });
            named.collect::<Vec<_>>()
        };
        self.objects.iter().flat_map(of).collect()
    }
}

/// Reads documents. The order of documents and objects means nothing.
///
/// # Errors
/// Everything that is wrong, a line each.
pub(crate) fn read(documents: &[Document]) -> Result<Declarations, Vec<String>> {
    let mut all = Declarations::default();
    let mut problems = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let mut reader = Reader { document, number, all: &mut all, problems: &mut problems };
        match DeTable::parse(&document.text) {
            Ok(table) => reader.kinds(table.get_ref()),
            Err(error) => reader.wrong(error.span().unwrap_or_default(), base::octets_text(error.message().as_bytes())),
        }
    }
    let mut seen: HashMap<(Kind, &str), &str> = HashMap::new();
    for object in &all.objects {
        if let Some(first) = seen.insert((object.kind, &object.name), &object.place) {
            problems.push(format!("{}: {} {} stands at {first} already", object.place, object.kind, object.name));
        }
    }
    if problems.len() > PROBLEMS_MAX {
        problems.truncate(PROBLEMS_MAX);
        problems.push("and more".to_owned());
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// The word of a kind in a document.
pub(crate) fn word(kind: Kind) -> String {
    kind.as_str().to_lowercase()
}

struct Reader<'a> {
    document: &'a Document,
    number: usize,
    all: &'a mut Declarations,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> String {
        let before = self.document.text.get(..span.start).unwrap_or_default();
        format!("{}:{}", self.document.name, before.matches('\n').count() + 1)
    }

    fn wrong(&mut self, span: Range<usize>, text: impl std::fmt::Display) {
        let problem = format!("{}: {text}", self.place(&span));
        self.problems.push(problem);
    }

    fn kinds(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let shown = base::brief(key.get_ref(), 40);
            let Ok(kind) = Kind::parse(key.get_ref()) else {
                let words: Vec<String> = Kind::ALL.into_iter().map(word).collect();
                let meant = model::nearest(key.get_ref(), words.iter().map(String::as_str));
                let fix = meant.map_or_else(|| format!("use one of {}", words.join(", ")), |m| format!("write {m}"));
                self.wrong(key.span(), format!("{shown:?} is no kind of object: {fix}"));
                continue;
            };
            self.all.kinds.insert(kind);
            let Some(objects) = value.get_ref().as_table() else {
                self.wrong(key.span(), format!("{shown} stands alone: write [{shown}.NAME] and its fields below it"));
                continue;
            };
            for (name, fields) in objects {
                match fields.get_ref().as_table() {
                    Some(fields) => self.object(kind, name, fields),
                    None => self.wrong(
                        name.span(),
                        format!(
                            "{} has no object: write [{}.NAME] above its fields",
                            base::brief(name.get_ref(), 40),
                            word(kind)
                        ),
                    ),
                }
            }
        }
    }

    fn object(&mut self, kind: Kind, name: &Spanned<std::borrow::Cow<'_, str>>, fields: &DeTable<'_>) {
        let mut object = Declared {
            kind,
            name: name.get_ref().clone().into_owned(),
            place: self.place(&name.span()),
            document: self.number,
            group: model::DEFAULT_GROUP.to_owned(),
            state: ObjectState::Enabled,
            body: Body::new(),
            secrets: BTreeMap::new(),
            public_part: None,
            private_key: None,
            key_password: None,
        };
        let before = self.problems.len();
        if let Err(problem) = model::check_name(kind, &object.name) {
            self.wrong(name.span(), format!("{kind}: {}; {}", problem.text, problem.fix));
        }
        for (key, value) in fields {
            if let Err(text) = self.field(&mut object, key.get_ref(), value.get_ref()) {
                self.wrong(key.span(), text);
            }
        }
        if self.problems.len() > before {
            return;
        }
        let problems = model::body_warnings(kind, &object.name, &object.body);
        for p in problems.into_iter().filter(|p| p.severity == Severity::Error) {
            let field = if p.field.is_empty() { String::new() } else { format!(" {}", p.field) };
            self.wrong(name.span(), format!("{kind} {}{field}: {}; {}", object.name, p.text, p.fix));
        }
        if let Ok(body) = model::check_body(kind, &object.body) {
            object.body = body;
        }
        self.all.objects.push(object);
    }

    fn field(&mut self, object: &mut Declared, key: &str, value: &DeValue<'_>) -> Result<(), String> {
        let descriptor = object.kind.descriptor();
        if held_fields(object.kind).contains(&key) {
            return key_field(object, key, value);
        }
        let Some((place, field)) = descriptor.parameter(key) else { return Err(unknown(descriptor, key)) };
        match place {
            Place::Name => Err(format!("{key}: the name stands in the header, [{}.NAME]", word(object.kind))),
            Place::Group => {
                object.group = text(key, value)?;
                Ok(())
            }
            Place::State => {
                object.state = ObjectState::parse(&text(key, value)?).map_err(|e| format!("{key}: {e}"))?;
                Ok(())
            }
            Place::Body if field.read_only => Err(format!("{key}: the gateway sets it: take it out")),
            Place::Body if field.is_secret() => {
                object.secrets.insert(field.name, given(key, value)?);
                Ok(())
            }
            Place::Body => match object.body.insert(field.name.to_owned(), plain(&field, key, value)?) {
                None => Ok(()),
                Some(_) => Err(format!("{key}: it is given twice, by different names")),
            },
        }
    }
}

fn key_field(object: &mut Declared, key: &str, value: &DeValue<'_>) -> Result<(), String> {
    match key {
        "public_key" | "certificate" => object.public_part = Some(text(key, value)?),
        "private_key" => object.private_key = Some(given(key, value)?),
        _ => object.key_password = Some(given(key, value)?),
    }
    Ok(())
}

/// What is said of a field that is none, with the nearest one.
fn unknown(descriptor: &ObjectDescriptor, key: &str) -> String {
    let names = descriptor.parameters().filter(|(place, _)| *place != Place::Name).map(|(_, field)| field.name);
    let extra = held_fields(descriptor.kind).iter().copied();
    let meant = model::nearest(key, names.chain(extra));
    let fix = meant.map_or_else(|| "take it out".to_owned(), |name| format!("did you mean {name}?"));
    format!("a {} has no field {:?}: {fix}", descriptor.title, base::brief(key, 40))
}

/// A secret by reference. What stands there instead is not repeated: it may be the secret.
fn given(key: &str, value: &DeValue<'_>) -> Result<Given, String> {
    let wrong = || format!("{key}: a secret does not stand in the file: give it as {SECRET_FORMS}");
    let table = value.as_table().filter(|table| table.len() == 1).ok_or_else(wrong)?;
    let (form, value) = table.iter().next().ok_or_else(wrong)?;
    let named = value.get_ref().as_str().map(str::to_owned).filter(|text| !text.is_empty());
    match (form.get_ref().as_ref(), value.get_ref(), named) {
        ("set", DeValue::Boolean(true), _) => Ok(Given::Set),
        ("file", _, Some(path)) => Ok(Given::From(Reference::File(path))),
        ("env", _, Some(name)) => Ok(Given::From(Reference::Env(name))),
        ("credential", _, Some(name)) if base::Alias::try_from(name.as_str()).is_ok() && !name.starts_with('.') => {
            Ok(Given::From(Reference::Credential(name)))
        }
        _ => Err(wrong()),
    }
}

fn text(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{key}: {} stands where a text belongs", value.type_str()))
}

/// A value of the types that objects have. Whether it is the field's is looked at when all of them are there.
fn plain(field: &Field, key: &str, value: &DeValue<'_>) -> Result<Value, String> {
    let wrong = || format!("{key}: {} stands here; give it {}", value.type_str(), field.expected());
    let int = |value: &DeValue<'_>| {
        let int = value.as_integer()?;
        i64::from_str_radix(int.as_str(), int.radix()).ok()
    };
    match value {
        DeValue::String(text) => Ok(Value::Text(text.clone().into_owned())),
        DeValue::Boolean(flag) => Ok(Value::Flag(*flag)),
        DeValue::Integer(_) => int(value).map(Value::Int).ok_or_else(wrong),
        DeValue::Array(items) => {
            let item = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
                DeValue::String(text) => Some(text.clone().into_owned()),
                other => int(other).map(|n| n.to_string()),
            };
            items.iter().map(item).collect::<Option<Vec<_>>>().map(Value::List).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}
