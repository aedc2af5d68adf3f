//! Care of the installation: backup, escrow of the master key, the end of a freeze.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::Secret;
use engine::care::{BackupOrder, CareError, Missing};
use model::{Field, FieldKind};

use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

/// Transfers that a line about a missing content names.
const NAMED_MAX: usize = 20;

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "backup create",
        title: "Copy database and payloads into a new folder while the gateway runs",
        right: Right { resource: Resource::Configuration, letter: 'R' },
        effect: Effect::Control,
        params: || {
            vec![
                Param::of(Field::text("folder", 1023, "absolute path of a new folder").required()).positional(),
                Param::of(Field::text(
                    "base",
                    1023,
                    "an earlier backup on the same disk: payloads that it has are linked",
                )),
            ]
        },
        run: |context, input| Box::pin(create(context, input)),
    },
    Operation {
        name: "backup escrow",
        title: "Seal the master key under a passphrase, to be kept apart from the backups",
        right: Right { resource: Resource::SecurityObjects, letter: 'R' },
        effect: Effect::Control,
        params: || {
            vec![
                Param::of(Field::text("file", 1023, "absolute path of a new file").required()).positional(),
                Param::asked(
                    Field::new("passphrase", FieldKind::Secret { max: 1023 }, "passphrase of the escrow").required(),
                ),
            ]
        },
        run: |context, input| Box::pin(escrow(context, input)),
    },
    Operation {
        name: "unfreeze",
        title: "Let a restored gateway take and send files",
        right: Right { resource: Resource::Configuration, letter: 'U' },
        effect: Effect::Control,
        params: || {
            vec![Param::switch("offer_again", "offer files again that partners may have fetched since the backup")]
        },
        run: |context, input| Box::pin(unfreeze(context, input)),
    },
];

fn path(input: &Input, name: &'static str) -> Result<PathBuf, OpError> {
    let path = PathBuf::from(input.text(name).ok_or(InputError::Absent(name))?);
    match path.is_absolute() {
        true => Ok(path),
        // The gateway has another working folder than the caller.
        false => {
            Err(OpError::Syntax(InputError::Together(format!("-{name} is {}: give an absolute path", path.display()))))
        }
    }
}

pub(super) fn refused(error: CareError) -> OpError {
    match error {
        CareError::Refused(text) => OpError::Refused(text),
        other => OpError::Failed(other.to_string()),
    }
}

/// A sentence about a content that is not there.
fn missing_line(missing: &Missing) -> String {
    let shown: Vec<String> = missing.transfers.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = missing.transfers.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("content {} of transfer {}{more} was not there: see `gatehouse why`", missing.file, shown.join(", "))
}

async fn create(context: &Context, input: &Input) -> Result<Output, OpError> {
    let base = input.text("base").map(|_| path(input, "base")).transpose()?;
    let order = BackupOrder { folder: path(input, "folder")?, base };
    let folder = order.folder.display().to_string();
    let done = context.engine.backup(order).await.map_err(refused)?;
    let manifest = done.manifest;
    let mut warnings: Vec<String> = manifest.missing.iter().map(missing_line).collect();
    if manifest.elsewhere > 0 {
        warnings
            .push(format!("{} contents are kept by another store: back that up by its own means", manifest.elsewhere));
    }
    let number = |n: u64| Cell::from(i64::try_from(n).unwrap_or(i64::MAX));
    Ok(Output::Done {
        text: format!("backup {folder}: {} files, {} octets, {} linked", manifest.files, manifest.octets, done.linked),
        facts: vec![
            ("folder".to_owned(), folder.into()),
            ("created_at".to_owned(), manifest.created_at.into()),
            ("master_key".to_owned(), manifest.master_key_id.into()),
            ("files".to_owned(), number(manifest.files)),
            ("octets".to_owned(), number(manifest.octets)),
            ("linked".to_owned(), number(done.linked)),
            ("missing".to_owned(), Cell::List(manifest.missing.into_iter().map(|m| m.file).collect())),
        ],
        warnings,
    })
}

async fn escrow(context: &Context, input: &Input) -> Result<Output, OpError> {
    let path = path(input, "file")?;
    let data = context.engine.options().data.clone();
    let passphrase = input.secret("passphrase").ok_or(InputError::Absent("passphrase"))?;
    let passphrase = Secret::new(passphrase.expose().clone());
    if context.engine.master().ids().len() > 1 {
        return Err(OpError::Refused(
            "a change of the master key is not finished: run `gatehouse master rotate` first".to_owned(),
        ));
    }
    let (key, file) = (data.join("master.key"), path.clone());
    let work = tokio::task::spawn_blocking(move || {
        let text = keys::seal_escrow(&key, &passphrase).map_err(|e| OpError::Refused(e.to_string()))?;
        write_new(&file, text.as_bytes()).map_err(|e| OpError::Refused(format!("{}: {e}", file.display())))
    });
    work.await.map_err(|_| OpError::Failed("sealing broke off: see the gateway's log".to_owned()))??;
    let id = context.engine.master().id();
    Ok(Output::Done {
        text: format!(
            "escrow {} holds master key {id}: keep it and its passphrase apart from the backups",
            path.display()
        ),
        facts: vec![("master_key".to_owned(), id.into())],
        warnings: Vec::new(),
    })
}

fn write_new(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(octets).and_then(|()| file.sync_all())
}

async fn unfreeze(context: &Context, input: &Input) -> Result<Output, OpError> {
    let Some(why) = context.engine.frozen() else {
        return Err(OpError::Refused("the gateway is not frozen".to_owned()));
    };
    let again = context.engine.unfreeze(input.is_set("offer_again"), &context.actor).await;
    let again = again.map_err(|e| OpError::Failed(e.to_string()))?;
    Ok(Output::done(format!("the gateway is no longer frozen ({why}); {again} files are offered again")))
}
