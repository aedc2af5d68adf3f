//! `secbase export_cert`, `export_cert_chain` and `export_cert_key`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keys::verify::{OwnChain, PathMode};
use keys::{KeyFileFormat, KeyMaterial, OwnKey, pem, write_key, write_pkcs12};
use model::{Field, Kind};
use serde_json::json;

use super::make::ours;
use super::{name, own, secret};
use crate::operations::objects::{criteria, fits, name_of, stored};
use crate::{Context, Input, InputError, OpError, Output, Param};

const MODE: Field = Field::choice("certificate_path_build_mode", &["legacy", "rfc4158"], "how issuers are found")
    .shorts(&["cpbm"])
    .default("rfc4158")
    .detail("legacy goes by names, rfc4158 by key identifiers");
const FORM: Field = Field::choice("file_format", &["PKCS12", "PKCS8"], "PKCS12 with the chain, or the key alone")
    .shorts(&["ff"])
    .default("PKCS12");

pub(super) fn certificate_params() -> Vec<Param> {
    criteria(Kind::Certificate).into_iter().chain([Param::output(), Param::append()]).collect()
}

pub(super) fn chain_params() -> Vec<Param> {
    let human = Param::switch("human_readable", "draw it, the root first");
    let content = Param::switch("print_certificate_content", "write the certificates, to take them elsewhere");
    let rest = own(&["status", "certificate_type"]).into_iter().map(Param::optional);
    [name()]
        .into_iter()
        .chain(rest)
        .chain([
            Param { field: Field { shorts: &["hr"], ..human.field }, ..human },
            Param { field: Field { shorts: &["pcc"], ..content.field }, ..content },
            Param::of(MODE),
            Param::output(),
            Param::append(),
        ])
        .collect()
}

pub(super) fn key_params() -> Vec<Param> {
    let password = secret("certificate_password", &["ctfp"], "password that shall protect the file");
    vec![name(), Param::of(FORM), Param::of(password).required(), Param::output()]
}

/// Certificates that fit, as PEM with a line about each (CERT-27: never a private key).
pub(super) async fn certificates(context: &Context, input: &Input) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let (mut lines, mut facts) = (Vec::new(), Vec::new());
    for object in snapshot.objects(Kind::Certificate).filter(|o| fits(o, input.values())) {
        let Some(entry) = snapshot.certificate(&object.name) else { continue };
        let text = pem("CERTIFICATE", &entry.der);
        lines.push(format!("# {} {}", entry.name, entry.kind));
        lines.extend(text.trim_end().lines().map(str::to_owned));
        facts.push(json!({ "certificate_name": entry.name, "certificate": text }));
    }
    if facts.is_empty() {
        return Err(OpError::NotFound("no certificate fits".to_owned()));
    }
    Ok(Output::Story { lines, facts: facts.into() })
}

/// CERT-20, CERT-21, CERT-22
pub(super) async fn chain(context: &Context, input: &Input) -> Result<Output, OpError> {
    let (human, content) = (input.is_set("human_readable"), input.is_set("print_certificate_content"));
    if human && content {
        let text = "-human_readable and -print_certificate_content exclude each other: give one".to_owned();
        return Err(OpError::Syntax(InputError::Together(text)));
    }
    let object = stored(context, Kind::Certificate, &name_of(input, Kind::Certificate)?).await?;
    if !fits(&object, input.values().filter(|(name, _)| matches!(*name, "status" | "certificate_type"))) {
        return Err(OpError::NotFound(format!("certificate {} does not fit what was asked for", object.name)));
    }
    let chain = followed(context, &object.name, input)?;
    let text = match (human, content) {
        (true, _) => chain.drawing(),
        (_, true) => chain.steps.iter().map(|step| pem("CERTIFICATE", step.certificate.der())).collect(),
        _ => chain.parsable(),
    };
    let steps: Vec<_> = chain.steps.iter().map(|step| step.certificate.subject().to_string()).collect();
    let facts = json!({
        "subjects": steps,
        "missing": chain.missing.as_ref().map(ToString::to_string),
        "not_enabled": chain.disabled.as_ref().map(|(name, _)| name),
    });
    Ok(Output::Story { lines: text.trim_end().lines().map(str::to_owned).collect(), facts })
}

fn followed(context: &Context, name: &str, input: &Input) -> Result<OwnChain, OpError> {
    let mode = match input.text("certificate_path_build_mode") {
        Some("legacy") => PathMode::Legacy,
        _ => PathMode::Rfc4158,
    };
    let store = context.engine.trust_store();
    let start = store.by_alias(name);
    let start = start.ok_or_else(|| OpError::NotFound(format!("certificate {name} is not in the store")))?;
    Ok(OwnChain::follow(&store, start, mode, context.engine.clock().now()))
}

/// The private key, under a password only (CERT-27). It leaves as base 64 of the file, which the command writes.
pub(super) async fn with_key(context: &Context, input: &Input) -> Result<Output, OpError> {
    let password = input.secret("certificate_password").ok_or(InputError::Absent("certificate_password"))?;
    let short = password.expose().chars().count() < keys::PASSPHRASE_CHARS_MIN;
    if short {
        let least = keys::PASSPHRASE_CHARS_MIN;
        return Err(OpError::Refused(format!(
            "the password of a private key that leaves has at least {least} characters"
        )));
    }
    let object = stored(context, Kind::Certificate, &name_of(input, Kind::Certificate)?).await?;
    let (_, key) = ours(context, &object).await?;
    let OwnKey::Software(key) = key else {
        return Err(OpError::Refused("its private key is in a token, which never gives it away".to_owned()));
    };
    let chain = followed(context, &object.name, input)?;
    let password = super::import::copied(password);
    let (form, name) = (input.text("file_format") == Some("PKCS8"), object.name.clone());
    let packed = tokio::task::spawn_blocking(move || match form {
        true => write_key(&KeyMaterial::Private(key), KeyFileFormat::Der, Some(&password)),
        false => {
            let chain: Vec<&[u8]> = chain.steps.iter().map(|step| step.certificate.der()).collect();
            write_pkcs12(&key, &chain, &name, &password)
        }
    });
    let packed =
        packed.await.map_err(|e| OpError::Failed(e.to_string()))?.map_err(|e| OpError::Refused(e.to_string()))?;
    Ok(Output::File { base64: STANDARD.encode(packed.expose()) })
}
