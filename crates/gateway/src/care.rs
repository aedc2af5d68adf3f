//! What works without a gateway: the check of a backup, and its restore.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::SystemClock;
use clap::ArgMatches;
use engine::care::{self, LOST_FOUND, Manifest, Restored};
use keys::{LooseKey, MasterKeeper, MasterKey};

use crate::cli::{self, print};
use crate::data_dir::DataDir;

/// Transfers and files that one line names.
const NAMED_MAX: usize = 20;

fn given(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.get_one::<String>(name).map(PathBuf::from)
}

fn line(text: &str) -> Result<(), String> {
    print::line(text).map_err(|e| e.to_string())
}

/// `gatehouse backup verify FOLDER`.
///
/// # Errors
/// The faults, a line each.
pub(crate) async fn verify(matches: &ArgMatches) -> Result<(), String> {
    let folder = given(matches, "folder").unwrap_or_default();
    let found = care::verify(&folder).await.map_err(|e| e.to_string())?;
    let about = about(&found.manifest);
    for missing in &found.manifest.missing {
        let transfers = names(&missing.transfers);
        line(&format!("warning: content {} of transfer {transfers} was not there when it was made", missing.file))?;
    }
    for path in &found.unlisted {
        line(&format!("warning: {} is in no list; a restore puts it into {LOST_FOUND}", path.display()))?;
    }
    match found.faults.as_slice() {
        [] => line(&format!("backup {} is whole: {about}", folder.display())),
        faults => Err(format!("{}\nbackup {} is damaged: {about}", faults.join("\n"), folder.display())),
    }
}

fn about(manifest: &Manifest) -> String {
    format!(
        "of {}, gateway {}, {} files, {} octets, {} transfers, master key {}",
        manifest.created_at,
        manifest.gateway_id,
        manifest.files,
        manifest.octets,
        manifest.transfers,
        manifest.master_key_id
    )
}

fn names(ids: &[i64]) -> String {
    let shown: Vec<String> = ids.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match ids.len().saturating_sub(shown.len()) {
        0 if shown.is_empty() => "none".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `gatehouse restore FOLDER --data DIR`.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) async fn restore(matches: &ArgMatches) -> Result<(), String> {
    let folder = given(matches, "folder").unwrap_or_default();
    let named = matches.get_one::<String>("data").map(String::as_str);
    let data = DataDir::named(named).map_err(|e| e.to_string())?;
    let manifest = Manifest::read(&folder).map_err(|e| e.to_string())?;
    // The key first: a wrong passphrase is told before anything is copied.
    let key = key(matches, &manifest)?;
    let clock = Arc::new(SystemClock::default());
    let restored = care::restore(&folder, &data, clock).await.map_err(|e| e.to_string())?;
    let dir = DataDir::open(&data, false).map_err(|e| e.to_string())?;
    match key {
        Some(key) => place(&key, &dir.master_key())?,
        None => {
            line(&format!("put the master key {} there as {}", manifest.master_key_id, dir.master_key().display()))?
        }
    }
    tell(&restored, &dir)
}

fn tell(restored: &Restored, dir: &DataDir) -> Result<(), String> {
    let done = &restored.reconciled;
    line(&format!("restored into {}: {}", dir.path().display(), about(&restored.manifest)))?;
    line(&format!("{} deliveries look at their partner before they send", done.deliveries))?;
    line(&format!(
        "{} files at partners' disposal are suspended: they may have been fetched since",
        done.offers_parked
    ))?;
    line(&format!("{} partial uploads are given up: their partners begin anew", done.partials_dropped))?;
    for missing in &restored.missing {
        line(&format!("content {} is missing: transfer {}", missing.file, names(&missing.transfers)))?;
    }
    for path in &restored.lost_found {
        line(&format!("{} is known to no record, or is damaged", path.display()))?;
    }
    line("the gateway starts frozen: run `gatehouse serve`, look at it, then `gatehouse unfreeze`")
}

fn place(key: &LooseKey, to: &Path) -> Result<(), String> {
    // An earlier try of the same restore may have put it there.
    let there = to.exists().then(|| MasterKey::load(to)).transpose().map_err(|e| e.to_string())?;
    match there {
        Some(there) if there.id() == key.id() => Ok(()),
        Some(_) => Err(format!("{} is another master key: move it away", to.display())),
        None => key.write(to).map(drop).map_err(|e| e.to_string()),
    }
}

fn key(matches: &ArgMatches, manifest: &Manifest) -> Result<Option<LooseKey>, String> {
    let key = match (given(matches, "key_file"), given(matches, "escrow")) {
        (Some(_), Some(_)) => return Err("give --key_file or --escrow, not both".to_owned()),
        (None, None) => return Ok(None),
        (Some(path), None) => LooseKey::from_file(&path, &MasterKeeper::default()).map_err(|e| e.to_string())?,
        (None, Some(path)) => opened(&path, matches)?,
    };
    match key.id() == manifest.master_key_id {
        true => Ok(Some(key)),
        false => Err(format!(
            "this is master key {}, the backup needs {}: give the right one",
            key.id(),
            manifest.master_key_id
        )),
    }
}

fn opened(path: &Path, matches: &ArgMatches) -> Result<LooseKey, String> {
    let text = cli::read_file(&path.display().to_string())?;
    let text = String::from_utf8(text).map_err(|_| format!("{}: it is no escrow", path.display()))?;
    let passphrase = cli::asked_secret("passphrase", "passphrase of the escrow", matches)?;
    keys::open_escrow(&text, &passphrase).map_err(|e| format!("{}: {e}", path.display()))
}
