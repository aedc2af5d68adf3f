//! Export and import in the documented text form (objects.md section 13, passwords-and-storage.md section 3).

use std::collections::{BTreeMap, BTreeSet};

use base::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keys::{MasterKey, PasswordHash};
use model::{Field, FieldKind, Kind, Object};
use serde_json::json;

use super::config::carry_out;
use super::objects::{criteria, fits};
use crate::config::{Layout, Listed, Material, Prune, SecretWanted, Wanted, exported, plan, read_fields, write_fields};
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right, sealing};

/// Exports of one kind.
macro_rules! export {
    ($kind:ident, $resource:ident, $name:literal, $title:literal) => {
        Operation {
            name: $name,
            title: concat!("Write ", $title, " as text, a line for each field"),
            right: Right { resource: Resource::$resource, letter: 'R' },
            effect: Effect::Control,
            params: || export_params(Kind::$kind),
            run: |context, input| Box::pin(export(context, input, Kind::$kind)),
        }
    };
}

/// Imports of some kinds.
macro_rules! import {
    ($kinds:expr, $resource:ident, $name:literal, $params:expr, $title:literal) => {
        Operation {
            name: $name,
            title: $title,
            right: Right { resource: Resource::$resource, letter: 'W' },
            effect: Effect::Change,
            params: $params,
            run: |context, input| Box::pin(import(context, input, $name, $kinds)),
        }
    };
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    export!(SshProfile, SecurityObjects, "secbase export_sshprof", "SSH profiles"),
    export!(TlsProfile, SecurityObjects, "secbase export_sprof", "TLS profiles"),
    export!(NetworkProfile, SecurityObjects, "secbase export_netprof", "network profiles"),
    import!(SECURITY, SecurityObjects, "secbase import", security_params, "Import profiles from exported text"),
    import!(
        &[Kind::SshProfile],
        SecurityObjects,
        "secadm import_sshprof",
        sshprof_params,
        "Import SSH profiles from exported text"
    ),
    import!(
        &[Kind::TlsProfile],
        SecurityObjects,
        "secadm import_sprof",
        sprof_params,
        "Import TLS profiles from exported text"
    ),
    export!(RemoteSite, Sites, "pelbase export_site", "remote sites"),
    export!(Proxy, Sites, "pelbase export_proxy", "proxies"),
    export!(LocalSite, Sites, "pelbase export_lsite", "local sites"),
    export!(Application, Applications, "pelbase export_appli", "applications"),
    export!(TransferModel, Models, "pelbase export_model", "models"),
    export!(Cgate, Cgates, "pelbase export_cgate", "gates"),
    export!(CgateGroup, Cgates, "pelbase export_cgategroup", "gate groups"),
    export!(DecisionRule, DecisionRules, "pelbase export_decisionrule", "decision rules"),
    export!(RuleTable, RuleTables, "pelbase export_ruletable", "rule tables"),
    import!(PARTNERS, Sites, "pelbase import", import_params, "Import sites, gates and rules from exported text"),
    export!(VfdDir, Vfd, "vfdbase export", "virtual folders"),
    import!(&[Kind::VfdDir], Vfd, "vfdbase import", import_params, "Import virtual folders from exported text"),
];

/// Kinds of `secbase`.
const SECURITY: &[Kind] = &[Kind::SshProfile, Kind::TlsProfile, Kind::NetworkProfile];
/// Kinds of `pelbase`.
const PARTNERS: &[Kind] = &[
    Kind::Proxy,
    Kind::RemoteSite,
    Kind::LocalSite,
    Kind::Application,
    Kind::TransferModel,
    Kind::Cgate,
    Kind::CgateGroup,
    Kind::DecisionRule,
    Kind::RuleTable,
];

const KEY_FILE: Field = Field::text("encryption_key_file", 4095, "file with 32 octets, as they are or in hexadecimal")
    .shorts(&["ekf"])
    .detail("passwords are written encrypted with this key (AES-256-GCM); make one with: openssl rand -hex 32");
const FORMAT: Field = Field::choice("format", &["S", "C", "U"], "S field='value', C set field = 'value', U your own")
    .shorts(&["of"])
    .default("S");
const USER_FORMAT: Field = Field::text("user_fmt", 255, "your own form of a line: %N name, %V value").shorts(&["uf"]);

/// Kinds whose exports hold passwords, or may in the documentation: the key is mandatory (STO-10).
const fn needs_key(kind: Kind) -> bool {
    matches!(kind, Kind::RemoteSite | Kind::Cgate | Kind::SshProfile | Kind::TlsProfile)
}

fn export_params(kind: Kind) -> Vec<Param> {
    let key = Param::file(KEY_FILE);
    let key = if needs_key(kind) { key.required() } else { key };
    let own = [key, Param::of(FORMAT), Param::of(USER_FORMAT), Param::output(), Param::append()];
    // The documented short names are those of the export; the name is -n.
    let asked = criteria(kind).into_iter().enumerate();
    let asked =
        asked.map(|(i, p)| Param { field: Field { shorts: if i == 0 { &["n"] } else { &[] }, ..p.field }, ..p });
    asked.chain(own).collect()
}

fn import_params() -> Vec<Param> {
    let input = Field::text("input", 4095, "file of exported objects").shorts(&["if"]).required();
    let kind = Field::text("kind", 31, "kind of objects that do not say it themselves");
    from_file(input).chain([Param::of(kind)]).collect()
}

fn security_params() -> Vec<Param> {
    let switches = [
        Param { field: Field { shorts: &["shp"], ..flag("sshprof", "SSH profiles only") }, ..Param::switch("", "") },
        Param { field: Field { shorts: &["sp"], ..flag("sprof", "TLS profiles only") }, ..Param::switch("", "") },
        Param { field: Field { shorts: &["np"], ..flag("netprof", "network profiles only") }, ..Param::switch("", "") },
    ];
    import_params().into_iter().chain(switches).collect()
}

fn sshprof_params() -> Vec<Param> {
    from_file(Field::text("sshprof_file", 4095, "file of exported profiles").shorts(&["shpf"]).required()).collect()
}

fn sprof_params() -> Vec<Param> {
    from_file(Field::text("sprof_file", 4095, "file of exported profiles").shorts(&["spf"]).required()).collect()
}

const fn flag(name: &'static str, help: &'static str) -> Field {
    Field::new(name, FieldKind::Flag, help)
}

fn from_file(input: Field) -> impl Iterator<Item = Param> {
    let clear = "passwords in the file are in clear, as older programs wrote them";
    let error_free = "leave out what is wrong, and go on";
    [
        Param::file(input),
        Param::file(KEY_FILE),
        Param::switch("import_pwd_cleartext", clear),
        Param::switch("error_free", error_free),
        Param::switch("dry_run", "tell what would change, and change nothing"),
    ]
    .into_iter()
}

async fn export(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let layout = match (input.text("format").unwrap_or("S"), input.text("user_fmt")) {
        ("C", None) => Layout::Command,
        ("U", Some(text)) => Layout::User(text.to_owned()),
        ("U", None) => return Err(InputError::Absent("user_fmt").into()),
        (_, None) => Layout::Shell,
        (_, Some(_)) => return Err(InputError::Together("-user_fmt goes with -format U".to_owned()).into()),
    };
    let key = export_key(input)?;
    let asked = Criteria::of(input, kind);
    let all =
        exported(context, |o| o.kind == kind && fits(o, asked.values.iter().map(|(n, v)| (n.as_str(), v)))).await?;
    let mut lines = Vec::new();
    for one in &all {
        let mut secrets = BTreeMap::new();
        for field in kind.descriptor().fields.iter().filter(|f| one.object.secrets.contains(f.name)) {
            secrets.insert(field.name, encrypted(context, &one.object, field, key.as_ref()).await?);
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let written = write_fields(&one.object, &layout, |field: &Field| {
            secrets.get(field.name).cloned().ok_or_else(|| OpError::Failed(format!("{} is not there", field.name)))
        });
        lines.extend(written?);
    }
    Ok(Output::Story { facts: json!({ "objects": all.len(), "text": lines.join("\n") }), lines })
}

/// The criteria among the parameters of an export.
struct Criteria {
    values: Vec<(String, model::Value)>,
}

impl Criteria {
    fn of(input: &Input, kind: Kind) -> Self {
        let names: BTreeSet<&str> = criteria(kind).iter().map(Param::name).collect();
        let values = input.values().filter(|(name, _)| names.contains(name));
        Self { values: values.map(|(name, value)| (name.to_owned(), value.clone())).collect() }
    }
}

/// A secret as it stands in an export.
async fn encrypted(
    context: &Context,
    object: &Object,
    field: &Field,
    key: Option<&MasterKey>,
) -> Result<String, OpError> {
    let key = key.ok_or(InputError::Absent("encryption_key_file"))?;
    let plain = sealing::opened(context, object.id, field).await?;
    let plain = plain.ok_or_else(|| OpError::Failed(format!("{}: {} is gone", object.title(), field.name)))?;
    let sealed = key.seal(place_of(object, field).as_bytes(), plain.expose());
    sealed.map(|octets| STANDARD.encode(octets)).map_err(|e| OpError::Failed(e.to_string()))
}

/// What an exported secret is bound to: another object or field can't take it.
fn place_of(object: &Object, field: &Field) -> String {
    format!("export|{}|{}|{}", object.kind, object.name, field.name)
}

fn export_key(input: &Input) -> Result<Option<MasterKey>, OpError> {
    let key = input.file("encryption_key_file").map(|file| MasterKey::from_key_file(file.expose())).transpose();
    key.map_err(|e| OpError::Refused(format!("-encryption_key_file: {e}")))
}

async fn import(context: &Context, input: &Input, name: &str, kinds: &[Kind]) -> Result<Output, OpError> {
    let file = ["input", "sshprof_file", "sprof_file"]
        .into_iter()
        .find_map(|name| input.file(name))
        .ok_or(InputError::Absent("input"))?;
    let clear = input.is_set("import_pwd_cleartext");
    if clear && input.has("encryption_key_file") {
        return Err(InputError::Together("give either -encryption_key_file or -import_pwd_cleartext".to_owned()).into());
    }
    let text = std::str::from_utf8(file.expose()).map_err(|_| OpError::Refused("the file is no text".to_owned()))?;
    let kind = input.text("kind").map(super::observe::kind_of).transpose()?;
    let kind = kind.or(if let [one] = kinds { Some(*one) } else { None });
    let listed = read_fields(text, kind).map_err(OpError::Refused)?;
    let switches = [("sshprof", Kind::SshProfile), ("sprof", Kind::TlsProfile), ("netprof", Kind::NetworkProfile)];
    let asked: Vec<Kind> =
        switches.into_iter().filter_map(|(switch, kind)| input.is_set(switch).then_some(kind)).collect();
    let key = export_key(input)?;
    let (mut wanted, mut wrong, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for one in listed.into_iter().filter(|l| asked.is_empty() || asked.contains(&l.object.kind)) {
        let title = format!("line {}: {}", one.line, one.object.title());
        if !kinds.contains(&one.object.kind) {
            wrong.push(format!("{title}: {name} takes no such objects"));
            continue;
        }
        warnings
            .extend(one.unknown.iter().map(|field| format!("{}: unknown field left out: {field}", one.object.title())));
        wrong.extend(one.problems.iter().map(|problem| format!("{title}: {problem}")));
        if one.problems.is_empty() {
            wanted.push(imported(one, key.as_ref(), clear).map_err(|e| OpError::Refused(format!("{title}: {e}")))?);
        }
    }
    if !wrong.is_empty() && !input.is_set("error_free") {
        return Err(OpError::Refused(wrong.join("\n")));
    }
    let mut plan = plan(context, wanted, &Prune::Nothing(BTreeSet::new()), true).await?;
    plan.warnings.extend(warnings.into_iter().chain(wrong));
    let about = if clear { "with passwords in clear" } else { "" };
    carry_out(context, (name, about), plan, input.is_set("dry_run")).await
}

/// An object of the file as it shall be. What the file does not speak of of secrets stays.
fn imported(one: Listed, key: Option<&MasterKey>, clear: bool) -> Result<Wanted, String> {
    let mut secrets = BTreeMap::new();
    for field in one.object.kind.descriptor().fields.iter().filter(|f| f.is_secret()) {
        let wanted = match one.secrets.get(field.name).map(String::as_str) {
            None => SecretWanted::Leave,
            Some("") => continue,
            Some(text) if clear => SecretWanted::Is(Secret::new(text.to_owned())),
            Some(text) => {
                let key = key.ok_or("it has passwords: give -encryption_key_file, or -import_pwd_cleartext")?;
                let foreign = || format!("{}: not written by an export of this program", field.name);
                let sealed = STANDARD.decode(text).map_err(|_| foreign())?;
                let plain = key.open(place_of(&one.object, field).as_bytes(), &sealed);
                let plain = plain.map_err(|e| format!("{}: {e}", field.name))?;
                if matches!(field.kind, FieldKind::PasswordHash { .. }) {
                    let hash = std::str::from_utf8(plain.expose()).map_err(|_| foreign())?;
                    PasswordHash::parse(hash).map_err(|e| format!("{}: {e}", field.name))?;
                }
                SecretWanted::Stored(plain)
            }
        };
        secrets.insert(field.name, wanted);
    }
    let Object { kind, name, group, state, body, .. } = one.object;
    let place = format!("line {}", one.line);
    Ok(Wanted { kind, name, place, id: None, group, state, body, secrets, material: Material::None })
}
