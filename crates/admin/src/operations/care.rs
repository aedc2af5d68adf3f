//! Care of the installation: backup, escrow of the master key, the end of a freeze.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::Secret;
use db::{Usage, UsageScope};
use engine::care::{BackupOrder, CareError, Missing, PurgeOrder, PurgedSum};
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
        name: "master rotate",
        title: "Change the master key: a new one, everything sealed anew, the old one removed",
        right: Right { resource: Resource::SecurityObjects, letter: 'U' },
        effect: Effect::Control,
        params: Vec::new,
        run: |context, _| Box::pin(rotate(context)),
    },
    Operation {
        name: "store verify",
        title: "Read every stored file to its end: does it open, and is it what was received",
        right: Right { resource: Resource::Configuration, letter: 'R' },
        effect: Effect::Read,
        params: Vec::new,
        run: |context, _| Box::pin(verify_store(context)),
    },
    Operation {
        name: "purge",
        title: "Remove ended transfers that are older than the rules of retention say",
        right: Right { resource: Resource::Transfers, letter: 'D' },
        effect: Effect::Control,
        params: || {
            vec![
                dry_run(),
                Param::of(Field::int(
                    "days",
                    (0, 36_500),
                    "days",
                    "keep ended transfers of this many days, whatever the rules say",
                )),
                Param::of(Field::text("site", 63, "only transfers with this site")),
            ]
        },
        run: |context, input| Box::pin(purge(context, input)),
    },
    Operation {
        name: "usage",
        title: "Show how much is stored of each site and gate, and its limits",
        right: Right { resource: Resource::Transfers, letter: 'R' },
        effect: Effect::Read,
        params: || {
            vec![
                Param::of(Field::text("name", 63, "only this site or gate")).positional(),
                Param::switch("check", "count every transfer anew and compare"),
            ]
        },
        run: |context, input| Box::pin(usage(context, input)),
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

/// `--dry-run` as well as `-dry_run`.
const fn dry_run() -> Param {
    let mut param = Param::switch("dry_run", "only say what would be removed");
    param.field = param.field.aliases(&["dry-run"]);
    param
}

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
    let handed = context.engine.options().master_file.clone();
    let (key, file) = (handed.unwrap_or_else(|| data.join("master.key")), path.clone());
    let keeper = context.engine.options().keeper.clone();
    let work = tokio::task::spawn_blocking(move || {
        let key = keys::LooseKey::from_file(&key, &keeper).map_err(|e| OpError::Refused(e.to_string()))?;
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

async fn rotate(context: &Context) -> Result<Output, OpError> {
    let done = context.engine.rotate().await.map_err(refused)?;
    let mut warnings = Vec::new();
    if done.waiting > 0 {
        warnings.push(format!(
            "{} uploads under way still need the old key, which is kept: housekeeping finishes when they have ended",
            done.waiting
        ));
    }
    warnings.push("make a new escrow; keep the old one as long as backups that need it".to_owned());
    Ok(Output::Done {
        text: format!("master key {} seals now, {} values and files were sealed anew", done.key, done.resealed),
        facts: vec![
            ("master_key".to_owned(), done.key.into()),
            ("resealed".to_owned(), number(done.resealed)),
            ("waiting".to_owned(), number(done.waiting)),
        ],
        warnings,
    })
}

async fn verify_store(context: &Context) -> Result<Output, OpError> {
    let found = context.engine.verify_store().await.map_err(|e| OpError::Failed(e.to_string()))?;
    if found.faulty > 0 {
        let told = found.faults.join("\n");
        return Err(OpError::Refused(format!(
            "{told}\n{} of {} stored files are damaged",
            found.faulty, found.payloads
        )));
    }
    Ok(Output::Done {
        text: format!("{} stored files are whole: {} octets", found.payloads, found.octets),
        facts: vec![("files".to_owned(), number(found.payloads)), ("octets".to_owned(), number(found.octets))],
        warnings: Vec::new(),
    })
}

fn number(n: u64) -> Cell {
    Cell::from(i64::try_from(n).unwrap_or(i64::MAX))
}

async fn purge(context: &Context, input: &Input) -> Result<Output, OpError> {
    let order = PurgeOrder {
        dry_run: input.is_set("dry_run"),
        days: input.int("days").and_then(|days| u32::try_from(days).ok()),
        site: input.text("site").map(str::to_owned),
    };
    let purged = context.engine.purge(&order).await.map_err(|e| OpError::Failed(e.to_string()))?;
    if !order.dry_run {
        // Their files too, and not only with tomorrow's housekeeping.
        context.engine.tidy().await.map_err(|e| OpError::Failed(e.to_string()))?;
    }
    let columns = ["Site", "State", "Transfers", "Octets", "Oldest"].map(str::to_owned).to_vec();
    let row = |((site, state), sum): ((String, db::State), PurgedSum)| {
        let oldest = sum.oldest.map_or(Cell::None, Cell::from);
        vec![site.into(), state.word().into(), number(sum.transfers), number(sum.octets), oldest]
    };
    Ok(Output::Table { columns, rows: purged.into_iter().map(row).collect() })
}

/// Compares the sums with a count of all transfers.
async fn check_usage(context: &Context) -> Result<(), OpError> {
    let usage = context.engine.db().usage();
    for scope in [UsageScope::Site, UsageScope::Gate] {
        let mut kept = usage.all(scope).await.map_err(crate::changes::failed)?;
        let mut counted = usage.counted(scope).await.map_err(crate::changes::failed)?;
        for sums in [&mut kept, &mut counted] {
            sums.retain(|(_, sums)| *sums != Usage::default());
        }
        if let Some((name, sums)) = kept.iter().find(|one| !counted.contains(one)) {
            return Err(OpError::Refused(format!(
                "the sums kept of {name} are {sums:?}, a count of its transfers tells otherwise: run it again, and tell us if it stays"
            )));
        }
        if kept.len() != counted.len() {
            return Err(OpError::Refused(
                "a partner has transfers and no sums: run it again, and tell us if it stays".to_owned(),
            ));
        }
    }
    Ok(())
}

async fn usage(context: &Context, input: &Input) -> Result<Output, OpError> {
    if input.is_set("check") {
        check_usage(context).await?;
    }
    let columns = [
        "Kind",
        "Name",
        "Files in",
        "Octets in",
        "Files out",
        "Octets out",
        "At disposal",
        "Octets at disposal",
        "Files max",
        "Octets max",
    ];
    let snapshot = context.engine.snapshot();
    let mut rows = Vec::new();
    for (scope, kind) in [(UsageScope::Site, "site"), (UsageScope::Gate, "gate")] {
        for (name, sums) in context.engine.db().usage().all(scope).await.map_err(crate::changes::failed)? {
            if input.text("name").is_some_and(|wanted| wanted != name) {
                continue;
            }
            let limits = match scope {
                UsageScope::Site => snapshot.site(&name).map(|site| site.stored),
                UsageScope::Gate => snapshot.cgate(&name).map(|gate| gate.stored),
            };
            let limits = limits.unwrap_or_default();
            let limit = |max: Option<u64>| max.map_or(Cell::None, number);
            let counts = [sums.in_files, sums.in_octets, sums.out_files, sums.out_octets];
            let disposal = [sums.disposal_files, sums.disposal_octets];
            let mut row = vec![Cell::from(kind), name.into()];
            row.extend(counts.into_iter().chain(disposal).map(Cell::from));
            row.extend([limit(limits.files), limit(limits.octets)]);
            rows.push(row);
        }
    }
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}
