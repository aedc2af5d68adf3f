//! `support bundle`: what somebody needs who is to help, and no secret.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{Field, Kind};
use serde_json::json;

use crate::changes::failed;
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right, execute};

/// Octets of the log that are taken, the newest.
const LOG_OCTETS_MAX: u64 = 16 << 20;
/// Octets of a file of the system.
const FACT_OCTETS_MAX: u64 = 16 << 10;

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[Operation {
    name: "support bundle",
    title: "Write a file for whoever is to help: settings, configuration, status, log; never a secret or content",
    right: Right { resource: Resource::Configuration, letter: 'R' },
    effect: Effect::Control,
    params: || {
        vec![
            Param::of(Field::text("file", 1023, "absolute path of a new file, as /tmp/bundle.tar.gz").required())
                .positional(),
            Param::switch("anonymous", "names, logins and addresses of partners are replaced"),
            Param::of(Field::int("lines", (0, 100_000), "lines", "lines of the log, the newest").default("2000")),
        ]
    },
    run: |context, input| Box::pin(bundle(context, input)),
}];

/// Pieces by file name.
type Pieces = BTreeMap<&'static str, String>;

async fn bundle(context: &Context, input: &Input) -> Result<Output, OpError> {
    let path = PathBuf::from(input.text("file").ok_or(InputError::Absent("file"))?);
    if path.is_relative() {
        let text = format!("-file is {}: give an absolute path, since the gateway has another folder", path.display());
        return Err(OpError::Syntax(InputError::Together(text)));
    }
    let lines = input.int("lines").and_then(|n| usize::try_from(n).ok()).unwrap_or(2_000);
    let mut pieces = gathered(context, lines).await?;
    if input.is_set("anonymous") {
        let names = names_of(context);
        for text in pieces.values_mut() {
            *text = replaced(text, &names);
        }
    }
    let (shown, count) = (path.display().to_string(), pieces.len());
    let write = tokio::task::spawn_blocking(move || written(&path, &pieces));
    let written = write.await.map_err(|e| OpError::Failed(e.to_string()))?;
    let octets = written.map_err(|e| OpError::Refused(format!("{shown}: {e}")))?;
    Ok(Output::Done {
        text: format!("support bundle {shown}: {count} files, {octets} octets; look at it before you send it"),
        facts: vec![("file".to_owned(), shown.into()), ("octets".to_owned(), octets.into())],
        warnings: Vec::new(),
    })
}

async fn gathered(context: &Context, lines: usize) -> Result<Pieces, OpError> {
    let engine = &context.engine;
    let status = engine.status().await.map_err(failed)?;
    let mut pieces = Pieces::new();
    pieces.insert("about.json", pretty(&about(context, &status).await));
    pieces.insert("settings.toml", context.about.settings.clone());
    pieces.insert("configuration.toml", configuration(context).await?);
    pieces.insert("status.json", pretty(&json!(status)));
    let problems = engine.problems();
    let problem = |p: &model::Problem| format!("{:?}: {} {}: {}; {}", p.severity, p.object, p.field, p.text, p.fix);
    let checked: Vec<String> = context.weak_settings().chain(problems.iter().map(problem)).collect();
    pieces.insert("check.txt", checked.join("\n"));
    let alarms = engine.db().alarms().newest(200).await.map_err(failed)?;
    let alarm = |a: db::Alarm| {
        json!({
            "number": a.id, "rule": a.what.rule, "subject": a.what.subject, "severity": a.what.severity,
            "cause": a.what.cause, "times": a.what.times, "opened": a.opened_at.to_string(),
            "closed": a.closed_at.map(|at| at.to_string()),
        })
    };
    pieces.insert("alarms.json", pretty(&alarms.into_iter().map(alarm).collect()));
    let queue = json!({ "queue": status.queue, "failures": status.failures, "today": status.today });
    pieces.insert("transfers.json", pretty(&queue));
    if let Some(numbers) = engine.vitals().numbers() {
        pieces.insert("metrics.txt", numbers);
    }
    if let Some(file) = context.about.log_file.clone() {
        let tail = tokio::task::spawn_blocking(move || last_lines(&file, lines)).await;
        let tail = tail.map_err(|e| OpError::Failed(e.to_string()))?;
        pieces.insert("log.txt", tail.unwrap_or_else(|e| format!("the log could not be read: {e}\n")));
    }
    Ok(pieces)
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

async fn about(context: &Context, status: &engine::Status) -> serde_json::Value {
    let of = |path: &str| {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(FACT_OCTETS_MAX).read_to_string(&mut text));
        read.map_or_else(|e| e.to_string(), |_| text)
    };
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({
        "made_at": context.engine.clock().now().to_string(),
        "version": status.version,
        "schema": status.schema,
        "gateway_id": status.gateway_id,
        "node": status.node,
        "uptime_s": status.uptime_s,
        "system": of("/etc/os-release"),
        "kernel": of("/proc/sys/kernel/osrelease"),
        "memory": of("/proc/meminfo").lines().take(5).collect::<Vec<_>>().join("\n"),
        "limits": of("/proc/self/limits"),
        "process": of("/proc/self/status"),
        "cpus": cpus,
    })
}

/// The configuration as `export` writes it, and without what an operator may have put into a webhook's address or headers.
async fn configuration(context: &Context) -> Result<String, OpError> {
    let mut input = Input::default();
    let export = crate::find("export").ok_or_else(|| OpError::Failed("there is no export".to_owned()))?;
    let params = (export.params)();
    let all = params.iter().find(|p| p.name() == "all").ok_or_else(|| OpError::Failed("no -all".to_owned()))?;
    input.give(all, "Y")?;
    // As an operation of its own, so that the audit knows of it.
    let output = Box::pin(execute(context, "export", &input)).await?;
    let text = output.json().get("text").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Ok(without_web_secrets(&text, context))
}

fn without_web_secrets(text: &str, context: &Context) -> String {
    let snapshot = context.engine.snapshot();
    let mut text = text.to_owned();
    for hook in snapshot.webhooks() {
        let values = hook.headers.iter().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
        let paths = Some(hook.address.path.as_str()).filter(|path| path.len() > 1);
        for hidden in values.chain(paths) {
            text = text.replace(hidden, "***");
        }
    }
    text
}

/// Names, logins and addresses of partners, the longest first, each with what stands for it.
fn names_of(context: &Context) -> Vec<(String, String)> {
    let snapshot = context.engine.snapshot();
    let mut names: Vec<String> = Vec::new();
    for site in snapshot.sites() {
        names.push(site.name.clone());
        names.extend(site.login.clone());
        names.extend(site.check_login.clone());
        names.extend(site.addresses.iter().map(|address| address.host.clone()));
    }
    for gate in snapshot.objects(Kind::Cgate) {
        names.push(gate.name.clone());
        if let Some(model::Value::Text(login)) = gate.body.get("login_user") {
            names.push(login.clone());
        }
    }
    for kind in [Kind::CgateGroup, Kind::Key, Kind::TransferModel, Kind::DecisionRule, Kind::VfdDir, Kind::Application]
    {
        names.extend(snapshot.objects(kind).map(|object| object.name.clone()));
    }
    names.retain(|name| name.chars().count() > 1 && name != model::GATEHOUSE_KEY);
    names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    names.dedup();
    names.into_iter().enumerate().map(|(n, name)| (name, format!("name-{}", n.saturating_add(1)))).collect()
}

fn replaced(text: &str, names: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // One pass, so that what stands for a name is not looked at again.
    while let Some(c) = rest.chars().next() {
        let found = names.iter().find(|(name, _)| rest.starts_with(name.as_str()));
        match found {
            Some((name, other)) => {
                out.push_str(other);
                rest = rest.get(name.len()..).unwrap_or_default();
            }
            None => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

/// The last lines of a file, from its last octets.
fn last_lines(file: &Path, lines: usize) -> io::Result<String> {
    let mut file = File::open(file)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LOG_OCTETS_MAX)))?;
    let mut octets = Vec::new();
    file.take(LOG_OCTETS_MAX).read_to_end(&mut octets)?;
    let text = String::from_utf8_lossy(&octets);
    let all: Vec<&str> = text.lines().collect();
    let skipped = all.len().saturating_sub(lines);
    Ok(all.into_iter().skip(skipped).map(|line| format!("{line}\n")).collect())
}

fn written(path: &Path, pieces: &Pieces) -> io::Result<i64> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, text) in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        archive.append_data(&mut header, format!("gatehouse/{name}"), text.as_bytes())?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.sync_all()?;
    Ok(i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_in_one_pass() {
        let names = [("acme-eu", "name-1"), ("acme", "name-2"), ("ame", "name-3")];
        let names: Vec<_> = names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(replaced("acme-eu to acme: ä acme!", &names), "name-1 to name-2: ä name-2!");
    }

    #[test]
    fn the_last_lines_are_taken() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\nb\nc\n").unwrap();
        assert_eq!(last_lines(file.path(), 2).unwrap(), "b\nc\n");
        assert_eq!(last_lines(file.path(), 0).unwrap(), "");
    }
}
