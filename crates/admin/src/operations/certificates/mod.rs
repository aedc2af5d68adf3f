//! Certificates: import, make, renew, change, delete, show, export (certificates-and-keys.md sections 3.1 to 3.3).

mod export;
mod import;
mod make;
mod show;
mod turns;

use model::{Field, FieldKind, Kind};

use super::objects;
use super::objects::{criteria, delete_params, name_params};
use crate::{Effect, Operation, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::SecurityObjects, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "secadm import_cert",
        title: "Import a certificate from a file, with its private key if that is ours",
        right: right('W'),
        effect: Effect::Change,
        params: import::params,
        run: |context, input| Box::pin(import::import(context, input)),
    },
    Operation {
        name: "secadm update_cert",
        title: "Change name, group, type, comment or state of a certificate",
        right: right('U'),
        effect: Effect::Change,
        params: update_params,
        run: |context, input| Box::pin(import::update(context, input)),
    },
    Operation {
        name: "secadm delete_cert",
        title: "Delete a certificate",
        right: right('D'),
        effect: Effect::Change,
        params: || delete_params(Kind::Certificate),
        run: |context, input| Box::pin(objects::delete(context, input, Kind::Certificate)),
    },
    Operation {
        name: "secadm create_cert",
        title: "Make a key pair and a certificate that signs itself",
        right: right('W'),
        effect: Effect::Change,
        params: make::create_params,
        run: |context, input| Box::pin(make::create(context, input)),
    },
    Operation {
        name: "secadm create_csr",
        title: "Write a certificate request for the key of a certificate of ours",
        right: right('W'),
        effect: Effect::Control,
        params: make::request_params,
        run: |context, input| Box::pin(make::request(context, input)),
    },
    Operation {
        name: "secadm import_reply",
        title: "Put the certificate that an authority made in the place of the one whose key it has",
        right: right('W'),
        effect: Effect::Change,
        params: make::reply_params,
        run: |context, input| Box::pin(make::reply(context, input)),
    },
    Operation {
        name: "secdsp display_cert",
        title: "Show everything about a certificate but its private key",
        right: right('R'),
        effect: Effect::Read,
        params: show::display_params,
        run: |context, input| Box::pin(show::display(context, input)),
    },
    Operation {
        name: "secdsp select_cert",
        title: "List the names of certificates that fit all criteria",
        right: right('R'),
        effect: Effect::Read,
        params: || criteria(Kind::Certificate),
        run: |context, input| Box::pin(objects::select(context, input, Kind::Certificate)),
    },
    Operation {
        name: "secdsp status_cert",
        title: "List certificates with their main values",
        right: right('R'),
        effect: Effect::Read,
        params: || criteria(Kind::Certificate),
        run: |context, input| Box::pin(objects::status(context, input, Kind::Certificate)),
    },
    Operation {
        name: "certs expiring",
        title: "List certificates that expire soon, the first to expire first",
        right: right('R'),
        effect: Effect::Read,
        params: show::expiring_params,
        run: |context, input| Box::pin(show::expiring(context, input)),
    },
    Operation {
        name: "certs simulate",
        title: "Tell which certificate serves each profile on a date, and what would break",
        right: right('R'),
        effect: Effect::Read,
        params: turns::simulate_params,
        run: |context, input| Box::pin(turns::on_date(context, input)),
    },
    Operation {
        name: "certs timeline",
        title: "List the moments at which another certificate begins to serve a profile, or none does any more",
        right: right('R'),
        effect: Effect::Read,
        params: turns::timeline_params,
        run: |context, input| Box::pin(turns::turns(context, input)),
    },
    Operation {
        name: "secbase export_cert",
        title: "Write certificates as PEM",
        right: right('R'),
        effect: Effect::Control,
        params: export::certificate_params,
        run: |context, input| Box::pin(export::certificates(context, input)),
    },
    Operation {
        name: "secbase export_cert_chain",
        title: "Write the chain of a certificate up to its root",
        right: right('R'),
        effect: Effect::Control,
        params: export::chain_params,
        run: |context, input| Box::pin(export::chain(context, input)),
    },
    Operation {
        name: "secbase export_cert_key",
        title: "Write a certificate with its private key and chain, under a password",
        right: right('A'),
        effect: Effect::Control,
        params: export::key_params,
        run: |context, input| Box::pin(export::with_key(context, input)),
    },
];

/// Name of an existing certificate.
fn name() -> Param {
    let name = Kind::Certificate.descriptor().name_field;
    Param::of(name).required().positional()
}

/// Parameters of the kind by name, as a person may give them.
fn own(names: &[&str]) -> Vec<Param> {
    let fields = Kind::Certificate.descriptor().parameters().filter(|(_, field)| names.contains(&field.name));
    fields.map(|(_, field)| Param::of(Field { read_only: false, ..field })).collect()
}

fn update_params() -> Vec<Param> {
    let new_name = Field::text("new_name", 31, "other name for it; all references follow").shorts(&["nn"]);
    let rest = own(&["group", "status", "certificate_type", "comments", "allow_weak"]);
    name_params(Kind::Certificate)
        .into_iter()
        .chain([Param::of(new_name)])
        .chain(rest.into_iter().map(Param::optional))
        .collect()
}

/// Longest password of a file (certificates-and-keys.md 1.4).
const PASSWORD_CHARS_MAX: u16 = 256;

const fn secret(name: &'static str, short: &'static [&'static str], help: &'static str) -> Field {
    Field::new(name, FieldKind::Secret { max: PASSWORD_CHARS_MAX }, help).shorts(short)
}
