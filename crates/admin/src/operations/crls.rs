//! Revocation lists: import, delete, show. Who verifies a certificate looks at those that are enabled.

use db::{Change, ObjectChange};
use keys::read_crls;
use keys::verify::Crl;
use model::{Field, Kind, Value};

use super::objects;
use super::objects::{criteria, delete_params, name_of, name_params};
use crate::changes::{self, blank, creation, new_uid};
use crate::held::Held;
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::SecurityObjects, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "secadm import_crl",
        title: "Import a revocation list, or put a newer one in the place of an older one",
        right: right('W'),
        effect: Effect::Change,
        params: import_params,
        run: |context, input| Box::pin(import(context, input)),
    },
    Operation {
        name: "secadm delete_crl",
        title: "Delete a revocation list",
        right: right('D'),
        effect: Effect::Change,
        params: || delete_params(Kind::Crl),
        run: |context, input| Box::pin(objects::delete(context, input, Kind::Crl)),
    },
    Operation {
        name: "secdsp display_crl",
        title: "Show a revocation list",
        right: right('R'),
        effect: Effect::Read,
        params: || name_params(Kind::Crl),
        run: |context, input| Box::pin(objects::display(context, input, Kind::Crl)),
    },
    Operation {
        name: "secdsp status_crl",
        title: "List revocation lists with their main values",
        right: right('R'),
        effect: Effect::Read,
        params: || criteria(Kind::Crl),
        run: |context, input| Box::pin(objects::status(context, input, Kind::Crl)),
    },
];

const FILE: Field = Field::text("crl_file", 4095, "file with the list: DER, PEM or PKCS7").required();

fn import_params() -> Vec<Param> {
    let name = Param::of(Kind::Crl.descriptor().name_field);
    let comments = Kind::Crl.descriptor().field("comments").map(|field| Param::of(*field));
    [name, Param::file(FILE)].into_iter().chain(comments).collect()
}

async fn import(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input, Kind::Crl)?;
    let file = input.file("crl_file").ok_or(InputError::Absent("crl_file"))?;
    let lists = read_crls(file.expose()).map_err(|e| OpError::Refused(e.to_string()))?;
    let [der] = lists.as_slice() else {
        return Err(OpError::Refused(format!("the file holds {} revocation lists: give one in a file", lists.len())));
    };
    let list = Crl::from_der(der).map_err(|e| OpError::Refused(e.to_string()))?;
    let warnings: Vec<String> = list.unusable().map(|why| format!("it can't be used: {why}")).into_iter().collect();
    let text = format!("{}, {} certificates revoked", list.issuer(), list.len());
    let old = context.engine.db().objects().find(Kind::Crl, &name).await.map_err(changes::failed)?;
    let (change, what) = match old {
        None => {
            let (held, mut object, uid) = (Held::Crl(list), blank(Kind::Crl, name.clone()), new_uid()?);
            held.note(&mut object.body).map_err(OpError::Refused)?;
            comment(&mut object.body, input);
            let credential = held.credential(context, &uid)?;
            (creation(object, uid, Vec::new(), Some(credential)), "imported")
        }
        Some(mut object) => {
            newer(context, &name, &list)?;
            let held = Held::Crl(list);
            held.note(&mut object.body).map_err(OpError::Refused)?;
            comment(&mut object.body, input);
            let credential = Some(held.credential(context, "")?);
            (ObjectChange::Update(Change { credential, ..changes::update(object, Vec::new()) }), "replaced")
        }
    };
    let made = changes::commit(context, ("", ""), vec![change]).await?;
    let warnings = warnings.into_iter().chain(made.warnings).collect();
    Ok(Output::Done { text: format!("revocation list {name} {what}: {text}"), facts: Vec::new(), warnings })
}

fn comment(body: &mut model::Body, input: &Input) {
    if let Some(text) = input.text("comments") {
        body.insert("comments".to_owned(), Value::Text(text.to_owned()));
    }
}

/// An older list would make revoked certificates good again.
fn newer(context: &Context, name: &str, list: &Crl) -> Result<(), OpError> {
    let snapshot = context.engine.snapshot();
    let Some(entry) = snapshot.crl(name) else { return Ok(()) };
    let old = Crl::from_der(&entry.der).map_err(|e| OpError::Failed(e.to_string()))?;
    if old.issuer() != list.issuer() {
        return Err(OpError::Refused(format!("{name} is a list of {}: give this one another name", old.issuer())));
    }
    match list.this_update() > old.this_update() {
        true => Ok(()),
        false => {
            Err(OpError::Refused(format!("{name} has a list of {}, and this one is not newer", old.this_update())))
        }
    }
}
