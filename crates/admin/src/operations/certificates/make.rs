//! `secadm create_cert`, `create_csr` and `import_reply`: certificates of our own keys.

use std::sync::Arc;

use db::{Change, ObjectChange};
use keys::certificate::Certificate;
use keys::{
    IssueError, IssueRequest, KeyAlgorithm, OwnKey, PrivateKey, SignError, Subject, VALID_DAYS_MAX,
    certificate_request, pem, read_certificates, self_signed,
};
use model::{Field, Kind, Value};
use serde_json::json;

use super::import::{copied, owned, put, store, told};
use super::{name, own, secret};
use crate::changes::{self, blank, failed};
use crate::held::{Held, certificate_credential, note_certificate};
use crate::operations::objects::{name_of, stored};
use crate::operations::tokens::{TOKEN_KEY, token_key};
use crate::{Context, Input, OpError, Output, Param, sealing};

const SUBJECT: Field = Field::text("subject_name", 512, "who it is for, as C=RO, O=Example, CN=name").shorts(&["csn"]);
const NAMES: Field = Field::new(
    "subject_alt_name",
    model::FieldKind::List { max: 100, choices: None },
    "other names: DNS:host, IP:address, EMAIL:address or URI:address",
)
.shorts(&["csa"]);
const ALGORITHM: Field = Field::choice(
    "algorithm",
    &["RSA", "ECDSA_NISTP256", "ECDSA_NISTP384", "ECDSA_NISTP521", "ED25519"],
    "kind of the key",
)
.shorts(&["algo"])
.default("RSA")
.detail("RSA is what every partner's product takes");
const BITS: Field = Field::int("bits", (2048, 8192), "bits", "size of an RSA key").default("3072");
const DAYS: Field = Field::int("days", (1, DAYS_MAX), "days", "how long it is valid, from today").default("730");
const DAYS_MAX: i64 = 36_500;
const _: () = assert!(VALID_DAYS_MAX == 36_500);

const FILE: Field =
    Field::text("certificate_file", 4095, "file with the authority's reply").shorts(&["ctff"]).required();

pub(super) fn create_params() -> Vec<Param> {
    let made = [SUBJECT.required(), NAMES, ALGORITHM, BITS, TOKEN_KEY, DAYS].map(Param::of);
    let authority = Param::switch("authority", "make an authority's certificate, which may sign others");
    own(&["certificate_name"])
        .into_iter()
        .chain(made)
        .chain([authority])
        .chain(own(&["group", "status", "comments"]))
        .collect()
}

pub(super) fn request_params() -> Vec<Param> {
    let subject = Field { help: "who it is for; the certificate's subject where not given", ..SUBJECT };
    let names = Field { help: "other names; the certificate's where not given", ..NAMES };
    vec![name(), Param::of(subject), Param::of(names), Param::output()]
}

pub(super) fn reply_params() -> Vec<Param> {
    let password = secret("certificate_password", &["ctfp"], "password of the file, if it has one");
    vec![name(), Param::file(FILE), Param::of(password)]
}

pub(super) async fn create(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input, Kind::Certificate)?;
    let request = IssueRequest {
        subject: input.text("subject_name").unwrap_or_default().parse().map_err(refused)?,
        alternative_names: alternative_names(input)?,
        authority: input.is_set("authority"),
    };
    let algorithm: KeyAlgorithm = input.text("algorithm").unwrap_or("RSA").parse().map_err(refused)?;
    let number = |name: &str, default: u32| input.int(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    let bits = (algorithm == KeyAlgorithm::Rsa).then(|| number("bits", 3072));
    let (days, now) = (number("days", 730), context.engine.clock().now());
    // Making an RSA key takes seconds: not on the threads of the network.
    let (named, tokens) = (token_key(input)?, Arc::clone(context.engine.options().keeper.tokens()));
    let made = tokio::task::spawn_blocking(move || match named {
        None => {
            let key = PrivateKey::generate(algorithm, bits)?;
            let der = self_signed(&key, &request, now, days)?;
            Ok::<_, IssueError>((OwnKey::Software(key), der))
        }
        Some(uri) => {
            let key = tokens.find(&uri).map_err(SignError::Token)?;
            let der = self_signed(&key, &request, now, days)?;
            Ok((OwnKey::Token(key.name()), der))
        }
    });
    let (key, der) = made.await.map_err(|e| OpError::Failed(e.to_string()))?.map_err(refused)?;
    let certificate = Certificate::from_der(&der).map_err(|e| OpError::Failed(e.to_string()))?;
    let mut object = blank(Kind::Certificate, name);
    put(&mut object, input)?;
    object.body.insert("certificate_type".to_owned(), Value::Text("USER".to_owned()));
    store(context, object, Held::Certificate(certificate, Some(key)), ("created", Vec::new())).await
}

/// Writes a request for the key of a certificate; the store stays as it is.
pub(super) async fn request(context: &Context, input: &Input) -> Result<Output, OpError> {
    let object = stored(context, Kind::Certificate, &name_of(input, Kind::Certificate)?).await?;
    let (certificate, key) = ours(context, &object).await?;
    let subject = match input.text("subject_name") {
        Some(text) => text.parse().map_err(refused)?,
        None => Subject::from_der(certificate.subject().der()).map_err(refused)?,
    };
    let mut alternative_names = alternative_names(input)?;
    if input.value("subject_alt_name").is_none() {
        // What this version can't ask for again (directory names and such) is left out.
        let shown = certificate.extensions().alt_names.iter().map(ToString::to_string);
        alternative_names = shown.filter_map(|text| text.parse().ok()).collect();
    }
    let authority = certificate.extensions().is_ca();
    let request = IssueRequest { subject, alternative_names, authority };
    let signer = key.into_signer(context.engine.options().keeper.tokens()).map_err(refused)?;
    let made = tokio::task::spawn_blocking(move || certificate_request(&*signer, &request)).await;
    let der = made.map_err(|e| OpError::Failed(e.to_string()))?.map_err(refused)?;
    let text = pem("CERTIFICATE REQUEST", &der);
    let lines = text.trim_end().lines().map(str::to_owned).collect();
    Ok(Output::Story { lines, facts: json!({ "certificate_name": object.name, "request": text }) })
}

/// Puts an authority's certificate in the place of the one whose key it has. The private key stays what it is.
pub(super) async fn reply(context: &Context, input: &Input) -> Result<Output, OpError> {
    let mut object = stored(context, Kind::Certificate, &name_of(input, Kind::Certificate)?).await?;
    let (old, key) = ours(context, &object).await?;
    let (file, password) = (owned(input, "certificate_file")?, input.secret("certificate_password").map(copied));
    let read = tokio::task::spawn_blocking(move || read_certificates(&file, None, password.as_ref())).await;
    let contents = read.map_err(|e| OpError::Failed(e.to_string()))?.map_err(refused)?;
    let all: Vec<Certificate> =
        contents.certificates.iter().filter_map(|found| Certificate::from_der(&found.der).ok()).collect();
    let own = |c: &&Certificate| c.public_key().is_ok_and(|public| public == key.public());
    let certificate = all.iter().find(own).cloned().ok_or_else(|| {
        let text = "the reply holds no certificate of this key: give the reply to the request that this certificate's \
                    key made";
        OpError::Refused(text.to_owned())
    })?;
    if certificate == old {
        return Err(OpError::Refused("the reply holds the certificate that is stored already".to_owned()));
    }
    note_certificate(&mut object.body, &certificate, true).map_err(OpError::Refused)?;
    let mut warnings: Vec<String> = contents.weaknesses.iter().map(ToString::to_string).collect();
    let snapshot = context.engine.snapshot();
    for other in all.iter().filter(|c| **c != certificate && snapshot.certificate_by_fingerprint(c.sha256()).is_none())
    {
        warnings.push(format!("the reply also holds {}: import it by itself if you trust it", other.subject()));
    }
    let sealed = context.engine.db().credentials().private_sealed(object.id).await.map_err(failed)?;
    let (_, sealed) = sealed.ok_or_else(|| OpError::Failed("its private key is gone".to_owned()))?;
    let credential = Some(certificate_credential(&certificate, Some(sealed)));
    let change = Change { credential, ..changes::update(object, Vec::new()) };
    let made = changes::commit(context, ("", ""), vec![ObjectChange::Update(change)]).await?;
    let stored = made.objects.first().ok_or_else(|| OpError::Failed("a change gave no certificate".to_owned()))?;
    warnings.extend(made.warnings);
    Ok(told(stored, "replaced by the reply", warnings))
}

/// A stored certificate with its private key.
pub(super) async fn ours(context: &Context, object: &model::Object) -> Result<(Certificate, OwnKey), OpError> {
    let snapshot = context.engine.snapshot();
    let entry = snapshot.certificate(&object.name);
    let entry = entry.ok_or_else(|| OpError::NotFound(format!("certificate {} is not in the store", object.name)))?;
    let certificate = Certificate::from_der(&entry.der).map_err(|e| OpError::Failed(e.to_string()))?;
    let key = sealing::private_key(context, object.id).await?;
    let none = || OpError::Refused(format!("certificate {} has no private key here", object.name));
    Ok((certificate, key.ok_or_else(none)?))
}

fn alternative_names(input: &Input) -> Result<Vec<keys::AlternativeName>, OpError> {
    match input.value("subject_alt_name") {
        Some(Value::List(items)) => items.iter().map(|text| text.parse().map_err(refused)).collect(),
        Some(Value::Text(text)) => text.split_whitespace().map(|text| text.parse().map_err(refused)).collect(),
        _ => Ok(Vec::new()),
    }
}

fn refused(error: impl std::fmt::Display) -> OpError {
    OpError::Refused(error.to_string())
}
