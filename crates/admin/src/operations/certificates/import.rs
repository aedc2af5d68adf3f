//! `secadm import_cert` and `update_cert`.

use db::Change;
use keys::certificate::Certificate;
use keys::token::TokenUri;
use keys::{
    CertificateFileFormat, Contents, FoundCertificate, KeyMaterial, OwnKey, PrivateKey, PrivateKeyFileType,
    TokenKeyName, read_certificates, read_private_key, recognise_certificates, recognise_private_key,
};
use model::{Field, Kind, Object, ObjectState, Value};

use super::{own, secret};
use crate::changes::{self, blank, creation, new_uid, recorded};
use crate::config::belonging;
use crate::held::{Held, weaknesses};
use crate::operations::objects::{name_of, stored};
use crate::operations::tokens::{self, TOKEN_KEY, token_key};
use crate::{Cell, Context, Input, InputError, OpError, Output, Param};

const FILE: Field = Field::text("certificate_file", 4095, "file that holds the certificate")
    .shorts(&["ctff"])
    .aliases(&["file_name", "filename"])
    .required();
const FILE_TYPE: Field = Field::choice(
    "certificate_file_type",
    &["DER", "BASE64", "PKCS7", "PKCS12"],
    "form of the file; found out where not given",
)
.shorts(&["ctfft"]);
const POSITION: Field =
    Field::int("pos", (1, 1000), "", "which certificate of the file, counted from 1; the first where not given");
const KEY_FILE: Field = Field::text("private_key_file", 4095, "file that holds the private key").shorts(&["prkf"]);
const KEY_FILE_TYPE: Field =
    Field::choice("private_key_file_type", &["DER", "PKCS8", "CR_PKCS8", "BASE64"], "form of that file")
        .shorts(&["prkft"])
        .detail("DER is an RSA or EC key by itself, CR_PKCS8 an encrypted PKCS#8, BASE64 any of them as PEM");

pub(super) fn params() -> Vec<Param> {
    let rest = own(&["group", "status", "certificate_type", "comments", "allow_weak"]);
    let password = secret("certificate_password", &["ctfp"], "password of the certificate file");
    let key_password = secret("private_key_password", &["prkp"], "password of the private key file");
    own(&["certificate_name"])
        .into_iter()
        .map(Param::optional)
        .chain([
            Param::file(FILE),
            Param::of(FILE_TYPE),
            Param::of(password).asked_if(needs_password),
            Param::of(POSITION),
            Param::switch("list_only", "show what a PKCS#12 file holds, import nothing"),
            Param::file(KEY_FILE),
            Param::of(KEY_FILE_TYPE),
            Param::of(key_password).asked_if(needs_key_password),
            Param::of(TOKEN_KEY),
        ])
        .chain(rest)
        .collect()
}

/// CERT-7
fn needs_password(input: &Input) -> bool {
    let file = input.file("certificate_file");
    file.is_some_and(|file| recognise_certificates(file.expose()) == Some(CertificateFileFormat::Pkcs12))
}

fn needs_key_password(input: &Input) -> bool {
    let file = input.file("private_key_file");
    input.text("private_key_file_type") == Some("CR_PKCS8")
        || file.is_some_and(|f| recognise_private_key(f.expose()).is_some_and(|found| found.protected))
}

/// What `import_cert` takes from its files.
struct Taken {
    certificate: Certificate,
    key: Option<OwnKey>,
    warnings: Vec<String>,
}

pub(super) async fn import(context: &Context, input: &Input) -> Result<Output, OpError> {
    check_form(input)?;
    let (file, password) = (owned(input, "certificate_file")?, input.secret("certificate_password").map(copied));
    let format = input.text("certificate_file_type").map(str::parse::<CertificateFileFormat>).transpose();
    let format = format.map_err(|e| OpError::Refused(e.to_string()))?;
    // A password may take seconds to try: not on the threads of the network.
    let read = tokio::task::spawn_blocking(move || read_certificates(&file, format, password.as_ref())).await;
    let contents = read.map_err(|e| OpError::Failed(e.to_string()))?.map_err(|e| OpError::Refused(e.to_string()))?;
    if input.is_set("list_only") {
        return list(&contents);
    }
    let name = name_of(input, Kind::Certificate)?;
    let taken = taken(context, input, contents).await?;
    save(context, input, name, taken).await
}

/// What belongs together on the line (CERT-6, CERT-8).
fn check_form(input: &Input) -> Result<(), OpError> {
    let together = |text: String| Err(OpError::Syntax(InputError::Together(text)));
    if input.is_set("list_only") {
        let file = input.file("certificate_file");
        let found = file.and_then(|file| recognise_certificates(file.expose()));
        return match (input.text("certificate_file_type"), found) {
            (Some("PKCS12"), _) | (None, Some(CertificateFileFormat::Pkcs12)) => Ok(()),
            _ => together("-list_only is for PKCS#12 files: leave it out".to_owned()),
        };
    }
    if input.text("certificate_name").is_none() {
        return Err(OpError::Syntax(InputError::Absent("certificate_name")));
    }
    match (input.file("private_key_file"), input.text("private_key_file_type")) {
        (Some(file), None) => {
            let found = recognise_private_key(file.expose());
            let hint = found.map(|found| format!(" (the file looks like {})", found.kind)).unwrap_or_default();
            together(format!("-private_key_file needs -private_key_file_type DER, PKCS8, CR_PKCS8 or BASE64{hint}"))
        }
        (None, Some(_)) => together("-private_key_file_type needs -private_key_file".to_owned()),
        _ => Ok(()),
    }
}

/// What the file holds, a line for each certificate.
fn list(contents: &Contents) -> Result<Output, OpError> {
    let head = ["pos", "subject_name", "issuer_name", "valid_from", "valid_until", "private_key", "friendly_name"];
    let mut rows = Vec::new();
    for (n, found) in (1_i64..).zip(&contents.certificates) {
        let mut row = vec![Cell::from(n)];
        match Certificate::from_der(&found.der) {
            Ok(certificate) => {
                let private = certificate.public_key().is_ok_and(|own| contents.has_key(own));
                row.extend([
                    Cell::from(certificate.subject().to_string()),
                    certificate.issuer().to_string().into(),
                    certificate.not_before().to_string().into(),
                    certificate.not_after().to_string().into(),
                    Cell::Flag(private),
                ]);
            }
            Err(error) => row.extend([Cell::from(error.to_string()), Cell::None, Cell::None, Cell::None, Cell::None]),
        }
        row.push(found.name.as_ref().map_or(Cell::None, |name| name.as_str().into()));
        rows.push(row);
    }
    Ok(Output::Table { columns: head.map(str::to_owned).to_vec(), rows })
}

/// The certificate that is asked for, with its private key.
async fn taken(context: &Context, input: &Input, mut contents: Contents) -> Result<Taken, OpError> {
    let mut warnings: Vec<String> = contents.weaknesses.iter().map(ToString::to_string).collect();
    warnings.extend(contents.passed_over.iter().map(|text| format!("passed over: {text}")));
    let found = chosen(input, &contents)?;
    let count = contents.certificates.len();
    if count > 1 && input.int("pos").is_none() {
        warnings.push(format!("the file holds {count} certificates: this one was taken, choose another by -pos"));
    }
    let certificate = Certificate::from_der(&found.der).map_err(|e| OpError::Refused(e.to_string()))?;
    if certificate.subject().is_multi_valued() || certificate.issuer().is_multi_valued() {
        let text = "a part of its name holds several attributes (CN=…+OU=…), which names here can't have: ask for a \
                    certificate without that";
        return Err(OpError::Refused(text.to_owned()));
    }
    let inside = certificate.public_key().ok().cloned().and_then(|own| contents.take_key(&own));
    let key = match (token_key(input)?, input.file("private_key_file")) {
        (Some(_), Some(_)) => {
            let text = "give -private_key_file or -token_key, not both";
            return Err(OpError::Refused(text.to_owned()));
        }
        (Some(uri), None) => Some(OwnKey::Token(key_in_token(context, uri, &certificate).await?)),
        (None, None) => inside.map(OwnKey::from),
        (None, Some(_)) => Some(separate_key(input, &certificate, &mut warnings).await?.into()),
    };
    warnings.extend(weaknesses(&certificate).into_iter().map(|text| format!("taken as it is: {text}")));
    Ok(Taken { certificate, key, warnings })
}

/// The certificate at the position given; without one, in a PKCS#12 file the first with its private key, else the first.
fn chosen(input: &Input, contents: &Contents) -> Result<FoundCertificate, OpError> {
    let all = &contents.certificates;
    if let Some(position) = input.int("pos") {
        let at = usize::try_from(position).ok().and_then(|n| n.checked_sub(1));
        let found = at.and_then(|at| all.get(at));
        return found
            .cloned()
            .ok_or_else(|| OpError::Refused(format!("-pos {position}: the file holds {} certificates", all.len())));
    }
    let has_key = |found: &&FoundCertificate| {
        Certificate::from_der(&found.der).is_ok_and(|c| c.public_key().is_ok_and(|own| contents.has_key(own)))
    };
    let found = all.iter().find(has_key).or_else(|| all.first());
    found.cloned().ok_or_else(|| OpError::Refused("the file holds a private key, but no certificate".to_owned()))
}

/// The key in a token, if it is the certificate's (CERT-9).
async fn key_in_token(context: &Context, uri: TokenUri, certificate: &Certificate) -> Result<TokenKeyName, OpError> {
    let public = certificate.public_key().map_err(|e| OpError::Refused(format!("the key of the certificate: {e}")))?;
    let found = tokens::find(context, uri).await?;
    match found.public == *public {
        true => Ok(found),
        false => Err(OpError::Refused("the key in the token does not belong to the certificate".to_owned())),
    }
}

/// CERT-9, CERT-32
async fn separate_key(
    input: &Input,
    certificate: &Certificate,
    warnings: &mut Vec<String>,
) -> Result<PrivateKey, OpError> {
    let (file, password) = (owned(input, "private_key_file")?, input.secret("private_key_password").map(copied));
    let kind = input.text("private_key_file_type").map(str::parse::<PrivateKeyFileType>).transpose();
    let kind = kind.map_err(|e| OpError::Refused(e.to_string()))?;
    let read = tokio::task::spawn_blocking(move || read_private_key(&file, kind, password.as_ref())).await;
    let opened = read.map_err(|e| OpError::Failed(e.to_string()))?;
    let opened = opened.map_err(|e| OpError::Refused(format!("private_key_file: {e}")))?;
    warnings.extend(opened.weaknesses.iter().map(ToString::to_string));
    let material: KeyMaterial = opened.material;
    belonging(certificate, material).map_err(|text| OpError::Refused(format!("private_key_file: {text}")))
}

async fn save(context: &Context, input: &Input, name: String, taken: Taken) -> Result<Output, OpError> {
    let Taken { certificate, key, warnings } = taken;
    let mut object = blank(Kind::Certificate, name);
    put(&mut object, input)?;
    store(context, object, Held::Certificate(certificate, key), ("imported", warnings)).await
}

/// Stores a new certificate, and says so.
pub(super) async fn store(
    context: &Context,
    mut object: Object,
    held: Held,
    (what, mut warnings): (&str, Vec<String>),
) -> Result<Output, OpError> {
    held.note(&mut object.body).map_err(OpError::Refused)?;
    let subject = object.body.get("subject_name").map(Value::to_string).unwrap_or_default();
    warnings.extend(same_subject(context, &object.name, &subject));
    let uid = new_uid()?;
    let credential = held.credential(context, &uid)?;
    let change = creation(object, uid, Vec::new(), Some(credential));
    let made = changes::commit(context, ("", ""), vec![change]).await?;
    let stored = made.objects.first().ok_or_else(|| OpError::Failed("a change gave no certificate".to_owned()))?;
    warnings.extend(made.warnings);
    Ok(told(stored, what, warnings))
}

/// One line about a certificate that was stored or changed.
pub(super) fn told(stored: &Object, what: &str, warnings: Vec<String>) -> Output {
    let field = |name: &str| stored.body.get(name).map(Value::to_string).unwrap_or_default();
    let facts = vec![
        ("name".to_owned(), Cell::from(stored.name.as_str())),
        ("certificate_type".to_owned(), field("certificate_type").into()),
        ("valid_until".to_owned(), field("valid_until").into()),
        ("status".to_owned(), stored.state.into()),
    ];
    let text = format!(
        "certificate {} {what}: {} {}, valid until {}",
        stored.name,
        field("certificate_type"),
        field("subject_name"),
        field("valid_until")
    );
    Output::Done { text, facts, warnings }
}

/// CERT-25
fn same_subject(context: &Context, name: &str, subject: &str) -> Option<String> {
    let snapshot = context.engine.snapshot();
    let others = snapshot.objects(Kind::Certificate).filter(|o| o.name != name);
    let same = others.filter(|o| o.body.get("subject_name").is_some_and(|v| v.to_string() == subject));
    let names: Vec<&str> = same.map(|o| o.name.as_str()).take(5).collect();
    (!names.is_empty()).then(|| format!("{} has the same subject: both are kept", names.join(", ")))
}

/// Group, state, type and comment as given.
pub(super) fn put(object: &mut Object, input: &Input) -> Result<(), OpError> {
    if let Some(group) = input.text("group") {
        group.clone_into(&mut object.group);
    }
    if let Some(state) = input.text("status") {
        object.state = ObjectState::parse(state).map_err(|e| OpError::Refused(e.to_string()))?;
    }
    for field in ["certificate_type", "comments", "allow_weak"] {
        if let Some(value) = input.value(field) {
            object.body.insert(field.to_owned(), value.clone());
        }
    }
    Ok(())
}

pub(super) async fn update(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input, Kind::Certificate)?;
    let mut object = stored(context, Kind::Certificate, &name).await?;
    put(&mut object, input)?;
    let Some(new_name) = input.text("new_name").map(str::to_owned) else {
        let change = db::ObjectChange::Update(changes::update(object, Vec::new()));
        let made = changes::commit(context, ("", ""), vec![change]).await?;
        let stored = made.objects.first().ok_or_else(|| OpError::Failed("a change gave no certificate".to_owned()))?;
        return Ok(told(stored, &format!("updated, {}", stored.state.shown()), made.warnings));
    };
    model::check_name(Kind::Certificate, &new_name).map_err(|p| OpError::Refused(p.to_string()))?;
    let change = Change { new_name: Some(new_name), ..changes::update(object, Vec::new()) };
    // Those that name the certificate are changed with it, by the database: there is nothing else to look at.
    let stored = context.engine.db().objects().update(change, &context.actor).await.map_err(recorded)?;
    Ok(told(&stored, &format!("updated, {}", stored.state.shown()), Vec::new()))
}

/// The octets of a file, to be taken to another thread.
pub(super) fn owned(input: &Input, name: &'static str) -> Result<zeroize::Zeroizing<Vec<u8>>, OpError> {
    let file = input.file(name).ok_or(InputError::Absent(name))?;
    Ok(zeroize::Zeroizing::new(file.expose().clone()))
}

pub(super) fn copied(secret: &base::Secret<String>) -> base::Secret<String> {
    base::Secret::new(secret.expose().clone())
}
