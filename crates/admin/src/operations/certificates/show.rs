//! `secdsp display_cert` and `gatehouse certs expiring`.

use keys::certificate::Certificate;
use keys::pem;
use model::{Field, Kind};

use super::name;
use crate::operations::objects::{cell, name_of, stored};
use crate::operations::tokens;
use crate::{Cell, Context, Input, OpError, Output, Param};

pub(super) fn display_params() -> Vec<Param> {
    let certificate = Param::switch("display_cert", "add the certificate itself, as PEM");
    let key = Param::switch("display_key", "add the public key, and whether the private one is here");
    vec![
        name(),
        Param { field: Field { shorts: &["dspc"], ..certificate.field }, ..certificate },
        Param { field: Field { shorts: &["dspk"], ..key.field }, ..key },
    ]
}

const WITHIN: Field =
    Field::int("within", (0, 36_500), "days", "how far ahead is looked; what has expired is always shown")
        .default("60");

pub(super) fn expiring_params() -> Vec<Param> {
    vec![Param::of(WITHIN).positional()]
}

/// Everything but the private key (CERT-28).
pub(super) async fn display(context: &Context, input: &Input) -> Result<Output, OpError> {
    let object = stored(context, Kind::Certificate, &name_of(input, Kind::Certificate)?).await?;
    let parameters = Kind::Certificate.descriptor().parameters().filter(|(_, f)| !f.read_only);
    let mut fields: Vec<(String, Cell)> =
        parameters.map(|(place, f)| (f.name.to_owned(), cell(&object, place, &f))).collect();
    let snapshot = context.engine.snapshot();
    if let Some(entry) = snapshot.certificate(&object.name) {
        let certificate = Certificate::from_der(&entry.der).map_err(|e| OpError::Failed(e.to_string()))?;
        let days =
            certificate.not_after().seconds().saturating_sub(context.engine.clock().now().seconds()).div_euclid(DAY_S);
        fields.extend(facts(&certificate));
        fields.push(("days_left".to_owned(), days.into()));
        fields.push(("private_key".to_owned(), Cell::Flag(entry.private)));
        fields.extend(tokens::shown(context, object.id, entry.private).await);
        if input.is_set("display_cert") {
            fields.push(("certificate".to_owned(), format!("\n{}", pem("CERTIFICATE", certificate.der())).into()));
        }
        if input.is_set("display_key") {
            fields.push(("public_key".to_owned(), format!("\n{}", pem("PUBLIC KEY", certificate.spki_der())).into()));
            if let Ok(key) = certificate.public_key() {
                fields.push(("ssh_public_key".to_owned(), key.openssh_line(&object.name).into()));
            }
        }
    }
    let referrers = snapshot.referrers(Kind::Certificate, &object.name);
    let referrers = referrers.into_iter().map(|(kind, name, field)| format!("{kind} {name} ({field})")).collect();
    fields.push(("used_by".to_owned(), Cell::List(referrers)));
    fields.push(("created".to_owned(), object.created_at.to_string().into()));
    fields.push(("revision".to_owned(), object.revision.into()));
    Ok(Output::Record { fields })
}

/// What the certificate says, by label; what it says several times as a list.
fn facts(certificate: &Certificate) -> Vec<(String, Cell)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (label, text) in certificate.lines() {
        let label = label.replace(' ', "_");
        match all.iter_mut().find(|(known, _)| *known == label) {
            Some((_, texts)) => texts.push(text),
            None => all.push((label, vec![text])),
        }
    }
    let cell = |texts: Vec<String>| match <[String; 1]>::try_from(texts) {
        Ok([text]) => text.into(),
        Err(texts) => Cell::List(texts),
    };
    all.into_iter().map(|(label, texts)| (label, cell(texts))).collect()
}

/// Enabled certificates whose end is near or past.
pub(super) async fn expiring(context: &Context, input: &Input) -> Result<Output, OpError> {
    let within = input.int("within").unwrap_or(60);
    let now = context.engine.clock().now().seconds();
    let snapshot = context.engine.snapshot();
    let mut found = Vec::new();
    for entry in snapshot.certificates() {
        let certificate = Certificate::from_der(&entry.der).map_err(|e| OpError::Failed(e.to_string()))?;
        let days = certificate.not_after().seconds().saturating_sub(now).div_euclid(DAY_S);
        if days <= within {
            found.push((days, entry, certificate));
        }
    }
    found.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    let row = |(days, entry, certificate): (i64, &std::sync::Arc<model::CertificateEntry>, Certificate)| {
        let used = snapshot.referrers(Kind::Certificate, &entry.name);
        let used = used.into_iter().map(|(kind, name, _)| format!("{kind} {name}")).collect();
        vec![
            Cell::from(entry.name.as_str()),
            days.into(),
            certificate.not_after().to_string().into(),
            entry.state.into(),
            entry.kind.as_str().into(),
            certificate.subject().to_string().into(),
            Cell::List(used),
        ]
    };
    let columns =
        ["certificate_name", "days_left", "valid_until", "status", "certificate_type", "subject_name", "used_by"];
    let rows = found.into_iter().map(row).collect();
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

/// Seconds of a day.
const DAY_S: i64 = 86_400;
