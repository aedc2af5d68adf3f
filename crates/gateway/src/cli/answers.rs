//! Values of parameters from a TOML file, beside those on the line.

use std::path::{Path, PathBuf};

use admin::config::Reference;
use admin::{Form, Input, Param};
use clap::ArgMatches;
use model::Value;

use super::{bundle, read_file, tree};

/// Reads the file that the line names, if it names one, and gives the input what the line does not say.
///
/// # Errors
/// Everything that is wrong in the file, a line each.
pub(super) fn take(input: &mut Input, params: &[Param], matches: &ArgMatches) -> Result<(), String> {
    let file = params.iter().find(|p| p.form == Form::Answers).and_then(|p| tree::given(matches, p));
    let Some(path) = file else { return Ok(()) };
    let octets = read_file(path)?;
    let text = std::str::from_utf8(&octets).map_err(|_| format!("{path}: not text"))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| format!("{path}: {e}"))?;
    let folder = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
    let mut wrong = Vec::new();
    for (name, value) in &table {
        let takes = |p: &&Param| !matches!(p.form, Form::Answers | Form::Output | Form::Append | Form::Bundle);
        let names = || params.iter().filter(takes).map(Param::name);
        let Some(param) = params.iter().filter(takes).find(|p| p.field.names().any(|n| n == name)) else {
            let meant = model::nearest(name, names()).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            wrong.push(format!("{path}: {:?} is no parameter{meant}", base::brief(name, 40)));
            continue;
        };
        if input.has(param.name()) {
            continue;
        }
        if let Err(text) = give(input, param, (value, &folder)) {
            wrong.push(format!("{path}: {name}: {text}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn give(input: &mut Input, param: &Param, (value, folder): (&toml::Value, &PathBuf)) -> Result<(), String> {
    if param.is_secret() {
        let octets =
            bundle::secret(folder, &reference(value)?)?.ok_or("the credential was not handed to this command")?;
        let text = String::from_utf8(octets).map_err(|_| "what was found there is no text")?;
        return input.give(param, text.lines().next().unwrap_or_default()).map_err(|e| e.to_string());
    }
    match (param.form, value) {
        (Form::File, toml::Value::String(path)) => {
            let path = folder.join(path).display().to_string();
            input.give_file(param, read_file(&path)?);
            Ok(())
        }
        (Form::File, _) => Err("give the path of a file".to_owned()),
        _ => input.give_value(param, &plain(value)?).map_err(|e| e.to_string()),
    }
}

/// Where a secret is. What stands there instead is not repeated: it may be the secret.
fn reference(value: &toml::Value) -> Result<Reference, String> {
    let wrong =
        || "a secret does not stand in the file: give { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }";
    let table = value.as_table().filter(|table| table.len() == 1).ok_or_else(wrong)?;
    let (form, value) = table.iter().next().ok_or_else(wrong)?;
    let named = value.as_str().filter(|text| !text.is_empty()).ok_or_else(wrong)?.to_owned();
    match form.as_str() {
        "file" => Ok(Reference::File(named)),
        "env" => Ok(Reference::Env(named)),
        "credential" if !named.contains('/') && !named.starts_with('.') => Ok(Reference::Credential(named)),
        _ => Err(wrong().to_owned()),
    }
}

fn plain(value: &toml::Value) -> Result<Value, String> {
    match value {
        toml::Value::String(text) => Ok(Value::Text(text.clone())),
        toml::Value::Integer(n) => Ok(Value::Int(*n)),
        toml::Value::Boolean(flag) => Ok(Value::Flag(*flag)),
        toml::Value::Array(items) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Value::List).ok_or_else(|| "give a list of texts".to_owned())
        }
        other => Err(format!("{} stands where a text belongs", other.type_str())),
    }
}
