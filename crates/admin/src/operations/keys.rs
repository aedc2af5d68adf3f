//! Bare keys: import, make, change, delete, show (certificates-and-keys.md section 3.4).

use db::Change;
use keys::{KeyAlgorithm, KeyFileFormat, KeyMaterial, OpenedKey, PrivateKey, PublicKey, Weakness, open_key};
use model::{Field, FieldKind, Kind, Object, ObjectState};

use super::objects;
use super::objects::{cell, delete_params, name_of, name_params, stored};
use super::tokens::{self, TOKEN_KEY, token_key};
use crate::changes::{self, blank, creation, new_uid, recorded};
use crate::held::Held;
use crate::sealing::type_word;
use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::SecurityObjects, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "secadm import_key",
        title: "Import a key from a file",
        right: right('W'),
        effect: Effect::Change,
        params: import_params,
        run: |context, input| Box::pin(import(context, input)),
    },
    Operation {
        name: "secadm create_key",
        title: "Make a key pair in the store",
        right: right('W'),
        effect: Effect::Change,
        params: create_params,
        run: |context, input| Box::pin(create(context, input)),
    },
    Operation {
        name: "secadm import_token_key",
        title: "Register a key that stays in its PKCS#11 token",
        right: right('W'),
        effect: Effect::Change,
        params: import_token_params,
        run: |context, input| Box::pin(import_token(context, input)),
    },
    Operation {
        name: "secadm update_key",
        title: "Change name, group, comment or state of a key",
        right: right('U'),
        effect: Effect::Change,
        params: update_params,
        run: |context, input| Box::pin(update(context, input)),
    },
    Operation {
        name: "secadm delete_key",
        title: "Delete a key",
        right: right('D'),
        effect: Effect::Change,
        params: || delete_params(Kind::Key),
        run: |context, input| Box::pin(objects::delete(context, input, Kind::Key)),
    },
    Operation {
        name: "secdsp display_key",
        title: "Show everything about a key but its private part",
        right: right('R'),
        effect: Effect::Read,
        params: || name_params(Kind::Key),
        run: |context, input| Box::pin(display(context, input)),
    },
    Operation {
        name: "secdsp status_token",
        title: "List the private keys in PKCS#11 tokens, and which of them are registered",
        right: right('R'),
        effect: Effect::Read,
        params: tokens::list_params,
        run: |context, input| Box::pin(tokens::list(context, input)),
    },
    Operation {
        name: "secdsp select_key",
        title: "List the names of keys that fit all criteria",
        right: right('R'),
        effect: Effect::Read,
        params: || objects::criteria(Kind::Key),
        run: |context, input| Box::pin(objects::select(context, input, Kind::Key)),
    },
    Operation {
        name: "secdsp status_key",
        title: "List keys with their main values",
        right: right('R'),
        effect: Effect::Read,
        params: || objects::criteria(Kind::Key),
        run: |context, input| Box::pin(objects::status(context, input, Kind::Key)),
    },
];

const FILE: Field =
    Field::text("file_name", 255, "file that holds the key").shorts(&["fn"]).aliases(&["filename"]).required();
const FORMAT: Field = Field::choice(
    "file_format",
    &["DER", "PEM", "TXT", "OPENSSH", "RFC4716", "PPK"],
    "form of the file; found out where not given",
)
.shorts(&["ff"])
.detail("TXT is the one-line OpenSSH public key, RFC4716 the form of SSH Tectia, PPK a private key of PuTTY");
const PASSWORD: Field =
    Field::new("key_password", FieldKind::Secret { max: 128 }, "password of an encrypted private key").shorts(&["kp"]);
const BITS: Field = Field::int("bits", (2048, 4096), "bits", "size of an RSA key").default("3072");
const NEW_NAME: Field = Field::text("new_name", 31, "other name for it; all references follow").shorts(&["nn"]);

fn own_fields(names: &[&str]) -> impl Iterator<Item = Param> {
    let fields = Kind::Key.descriptor().parameters().filter(|(_, f)| names.contains(&f.name));
    fields.map(|(_, field)| Param::of(Field { read_only: false, ..field })).collect::<Vec<_>>().into_iter()
}

fn import_params() -> Vec<Param> {
    let named = own_fields(&["name"]);
    let rest = own_fields(&["algorithm", "type", "group", "state", "comments"])
        .map(|p| if p.name() == "state" { p } else { p.optional() });
    let own = [Param::file(FILE), Param::of(FORMAT), Param::of(PASSWORD)];
    let force = Param::switch("force", "import it although the same key is in the store under another name");
    named.chain(own).chain(rest).chain([force]).collect()
}

fn create_params() -> Vec<Param> {
    let algorithm = own_fields(&["algorithm"]).map(|p| Param::of(p.field.default("ED25519")));
    own_fields(&["name"])
        .chain(algorithm)
        .chain([Param::of(BITS)])
        .chain([Param::of(Field {
            help: "make it in this token, where it stays: pkcs11:token=…;object=…?module-name=…",
            ..TOKEN_KEY
        })])
        .chain(own_fields(&["group", "state", "comments"]))
        .collect()
}

fn import_token_params() -> Vec<Param> {
    let force = Param::switch("force", "register it although the same key is in the store under another name");
    own_fields(&["name"])
        .chain([Param::of(TOKEN_KEY).required()])
        .chain(own_fields(&["group", "state", "comments"]))
        .chain([force])
        .collect()
}

fn update_params() -> Vec<Param> {
    let rest = own_fields(&["state", "group", "comments"]).map(Param::optional);
    own_fields(&["name"]).chain([Param::of(NEW_NAME)]).chain(rest).collect()
}

async fn import(context: &Context, input: &Input) -> Result<Output, OpError> {
    let file = input.file("file_name").ok_or(InputError::Absent("file_name"))?;
    let refused = |e: keys::KeyError| OpError::Refused(e.to_string());
    let format = input.text("file_format").map(str::parse::<KeyFileFormat>).transpose().map_err(refused)?;
    let opened = open_key(file.expose(), format, input.secret("key_password")).map_err(refused)?;
    agrees(&opened.material, input)?;
    let public = opened.material.public();
    if public.is_pss_only() {
        let text = "an RSA key for PSS signatures only can't serve SSH (RFC 4055 section 1.2): make another key";
        return Err(OpError::Refused(text.to_owned()));
    }
    no_twin(context, input, public)?;
    let OpenedKey { material, weaknesses } = opened;
    store(context, input, Held::Key(material), (&weaknesses, "imported")).await
}

/// The key stays where it is; what is stored is its name and its public part.
async fn import_token(context: &Context, input: &Input) -> Result<Output, OpError> {
    let uri = token_key(input)?.ok_or(InputError::Absent("token_key"))?;
    let found = tokens::find(context, uri).await?;
    no_twin(context, input, &found.public)?;
    store(context, input, Held::TokenKey(found), (&[], "registered")).await
}

/// KEY-6
fn no_twin(context: &Context, input: &Input, public: &PublicKey) -> Result<(), OpError> {
    let twin = context.engine.snapshot().key_by_fingerprint(&public.fingerprint().0).cloned();
    match twin {
        Some(twin) if !input.is_set("force") => Err(OpError::Refused(format!(
            "the same key is in the store as {} ({}, group {}): use it, or import it again with -force",
            twin.alias,
            twin.state.shown(),
            twin.group
        ))),
        _ => Ok(()),
    }
}

/// What was stated must be what the file holds (KEY-3).
fn agrees(material: &KeyMaterial, input: &Input) -> Result<(), OpError> {
    let found = [
        ("algorithm", material.public().algorithm().to_string()),
        ("type", type_word(material.is_private()).to_owned()),
    ];
    for (name, found) in found {
        if let Some(stated) = input.text(name).filter(|stated| *stated != found) {
            return Err(OpError::Refused(format!("-{name} says {stated}, and the file holds {found}")));
        }
    }
    Ok(())
}

async fn create(context: &Context, input: &Input) -> Result<Output, OpError> {
    let word = input.text("algorithm").unwrap_or("ED25519");
    let algorithm: KeyAlgorithm =
        word.parse().map_err(|_| OpError::Refused(format!("no keys of algorithm {word} are made here")))?;
    let bits = input.int("bits").and_then(|b| u32::try_from(b).ok());
    let bits = if algorithm == KeyAlgorithm::Rsa { Some(bits.unwrap_or(3072)) } else { None };
    if let Some(uri) = token_key(input)? {
        // What is made in a token can't be unmade from here: what would stop us afterwards is looked at before.
        let name = name_of(input, Kind::Key)?;
        if context.engine.snapshot().key(&name).is_some() {
            return Err(OpError::Refused(format!("key {name} exists already: give another name")));
        }
        let made = tokens::on_a_thread(context, move |tokens| tokens.generate(&uri, algorithm, bits)).await?;
        return store(context, input, Held::TokenKey(made.name()), (&[], "created in its token")).await;
    }
    // Making an RSA key takes seconds: not on the threads of the network.
    let key = tokio::task::spawn_blocking(move || PrivateKey::generate(algorithm, bits)).await;
    let key = key.map_err(|e| OpError::Failed(e.to_string()))?.map_err(|e| OpError::Refused(e.to_string()))?;
    store(context, input, Held::Key(KeyMaterial::Private(key)), (&[], "created")).await
}

async fn store(
    context: &Context,
    input: &Input,
    held: Held,
    (weaknesses, what): (&[Weakness], &str),
) -> Result<Output, OpError> {
    let kind = type_word(held.is_private()).to_lowercase();
    let name = name_of(input, Kind::Key)?;
    let mut object = blank(Kind::Key, name);
    put(&mut object, input)?;
    held.note(&mut object.body).map_err(OpError::Refused)?;
    let uid = new_uid()?;
    let credential = held.credential(context, &uid)?;
    let made = changes::commit(context, ("", ""), vec![creation(object, uid, Vec::new(), Some(credential))]).await?;
    let stored = made.objects.first().ok_or_else(|| OpError::Failed("a change gave no key".to_owned()))?;
    let fingerprint = keys::Fingerprint(held.fingerprint());
    let facts = vec![
        ("name".to_owned(), Cell::from(stored.name.as_str())),
        ("fingerprint".to_owned(), fingerprint.to_string().into()),
        ("state".to_owned(), stored.state.as_str().into()),
    ];
    let algorithm = stored.body.get("algorithm").map(ToString::to_string).unwrap_or_default();
    let text = format!("key {} {what}: {kind} {algorithm}, {fingerprint}", stored.name);
    let warnings = made.warnings.into_iter().chain(weaknesses.iter().map(ToString::to_string)).collect();
    Ok(Output::Done { text, facts, warnings })
}

/// Group, state and comment as given.
fn put(object: &mut Object, input: &Input) -> Result<(), OpError> {
    if let Some(group) = input.text("group") {
        group.clone_into(&mut object.group);
    }
    if let Some(state) = input.text("state") {
        object.state = ObjectState::parse(state).map_err(|e| OpError::Refused(e.to_string()))?;
    }
    if let Some(comments) = input.value("comments") {
        object.body.insert("comments".to_owned(), comments.clone());
    }
    Ok(())
}

async fn update(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input, Kind::Key)?;
    let mut object = stored(context, Kind::Key, &name).await?;
    put(&mut object, input)?;
    let new_name = input.text("new_name").map(str::to_owned);
    if let Some(new_name) = &new_name {
        model::check_name(Kind::Key, new_name).map_err(|p| OpError::Refused(p.to_string()))?;
    }
    let change = Change { new_name, ..changes::update(object, Vec::new()) };
    // Those that name the key are changed with it, by the database: there is nothing else to look at.
    let stored = context.engine.db().objects().update(change, &context.actor).await.map_err(recorded)?;
    Ok(Output::done(format!("key {} updated: {}, group {}", stored.name, stored.state.shown(), stored.group)))
}

async fn display(context: &Context, input: &Input) -> Result<Output, OpError> {
    let object = stored(context, Kind::Key, &name_of(input, Kind::Key)?).await?;
    let snapshot = context.engine.snapshot();
    let mut fields: Vec<(String, Cell)> =
        Kind::Key.descriptor().parameters().map(|(place, f)| (f.name.to_owned(), cell(&object, place, &f))).collect();
    if let Some(entry) = snapshot.key(&object.name) {
        let fingerprint = keys::Fingerprint(entry.fingerprint);
        let public = keys::PublicKey::from_ssh_blob(&entry.ssh_blob).map_err(|e| OpError::Failed(e.to_string()))?;
        fields.push(("bits".to_owned(), i64::from(entry.bits).into()));
        fields.push(("fingerprint".to_owned(), fingerprint.to_string().into()));
        fields.push(("fingerprint_hex".to_owned(), fingerprint.hex().into()));
        fields.push(("fingerprint_words".to_owned(), fingerprint.words().into()));
        fields.push(("public_key".to_owned(), public.openssh_line(&object.name).into()));
        fields.extend(tokens::shown(context, object.id, entry.private).await);
    }
    fields.push(("created".to_owned(), object.created_at.into()));
    let referrers = snapshot.referrers(Kind::Key, &object.name);
    let referrers = referrers.into_iter().map(|(kind, name, field)| format!("{kind} {name} ({field})")).collect();
    fields.push(("referred_to_by".to_owned(), Cell::List(referrers)));
    Ok(Output::Record { fields })
}
