//! The data folder: who may see it, what lies where, and that one gateway at a time uses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Most octets of the settings file.
const SETTINGS_OCTETS_MAX: u64 = 1 << 20;

/// Where packages put the data folder and the settings file.
const INSTALLED_DATA: &str = "/var/lib/gatehouse";
const INSTALLED_SETTINGS: &str = "/etc/gatehouse/gatehouse.toml";

/// Path of a data folder that is ours and closed to others.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

/// Held while a gateway, or a command without one, works on the folder.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error("no data folder given: use --data DIR or set GATEHOUSE_DATA")]
    NotGiven,
    #[error("data folder {path} does not exist: start the gateway once with `gatehouse serve --data {path}`")]
    Absent { path: String },
    #[error("data folder {path} is open to others (mode {mode:04o}): make it 0700")]
    Open { path: String, mode: u32 },
    #[error("data folder {path} belongs to uid {owner}, and this is uid {us}: run as its owner")]
    Foreign { path: String, owner: u32, us: u32 },
    #[error("data folder {path} holds half a backup: run the same `gatehouse restore` again")]
    Restoring { path: String },
    #[error("data folder {path} is in use by process {holder}: stop it first")]
    InUse { path: String, holder: String },
    #[error("data folder {path}: {source}")]
    Io { path: String, source: io::Error },
}

impl DataDir {
    /// The folder named by the option, else by `GATEHOUSE_DATA`, else that of an installed package if it is there.
    pub(crate) fn named(option: Option<&str>) -> Result<PathBuf, DataDirError> {
        let named = option.map(PathBuf::from).or_else(|| std::env::var_os("GATEHOUSE_DATA").map(PathBuf::from));
        let installed = || Some(PathBuf::from(INSTALLED_DATA)).filter(|path| path.is_dir());
        named.filter(|p| !p.as_os_str().is_empty()).or_else(installed).ok_or(DataDirError::NotGiven)
    }

    /// Opens the folder, and makes it (0700) if `create` is set and it is absent.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io { path: path.display().to_string(), source };
        if create {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        }
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(DataDirError::Absent { path: path.display().to_string() });
            }
            Err(e) => return Err(io(e)),
        };
        let meta = fs::metadata(&path).map_err(io)?;
        // The super-user may ask the running gateway; only what writes itself has to be the owner.
        if create || !rustix::process::geteuid().is_root() {
            check_owner(&path, &meta)?;
        }
        match meta.mode() & 0o7777 {
            mode if mode & 0o077 != 0 => Err(DataDirError::Open { path: path.display().to_string(), mode }),
            _ => Ok(Self(path)),
        }
    }

    /// Refuses a folder into which a restore broke off.
    pub(crate) fn check_whole(&self) -> Result<(), DataDirError> {
        match self.0.join(engine::care::RESTORING_FILE).exists() {
            true => Err(DataDirError::Restoring { path: self.0.display().to_string() }),
            false => Ok(()),
        }
    }

    /// Takes the folder's lock, without waiting. The lock file names the process that holds it.
    pub(crate) fn lock(&self) -> Result<Lock, DataDirError> {
        let path = self.0.display().to_string();
        let io = |source| DataDirError::Io { path: path.clone(), source };
        check_owner(&self.0, &fs::metadata(&self.0).map_err(io)?)?;
        let mut file = open_own(&self.0.join("lock")).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.take(20).read_to_string(&mut holder).map_err(io)?;
                return Err(DataDirError::InUse { path, holder: holder.trim().to_owned() });
            }
            Err(e) => return Err(io(e.into())),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Lock { _file: file })
    }

    /// Tells this folder from others, also from copies of it: random octets, and where on its disk they stand. To be
    /// called under the folder's lock.
    pub(crate) fn mark(&self) -> Result<String, DataDirError> {
        let path = self.0.join("node.mark");
        let io = |source| DataDirError::Io { path: path.display().to_string(), source };
        let mut file = open_own(&path).map_err(io)?;
        let mut text = String::new();
        (&mut file).take(64).read_to_string(&mut text).map_err(io)?;
        if text.trim().is_empty() {
            text = base::hex(&base::random::<8>().map_err(io)?);
            writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(io)?;
        }
        let place = file.metadata().map_err(io)?.ino();
        Ok(format!("{}.{place}", text.trim()))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("gatehouse.db")
    }

    pub(crate) fn master_key(&self) -> PathBuf {
        self.0.join("master.key")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// The settings file: the one that `GATEHOUSE_SETTINGS` names, else the one in the folder, else that of an installed
    /// package.
    pub(crate) fn settings_file(&self) -> PathBuf {
        if let Some(named) = std::env::var_os("GATEHOUSE_SETTINGS").filter(|name| !name.is_empty()) {
            return PathBuf::from(named);
        }
        let own = self.0.join("gatehouse.toml");
        let installed = PathBuf::from(INSTALLED_SETTINGS);
        match self.0 == Path::new(INSTALLED_DATA) && !own.exists() && installed.exists() {
            true => installed,
            false => own,
        }
    }

    /// Text of the settings file; empty where there is none.
    pub(crate) fn settings_text(&self) -> io::Result<String> {
        match File::open(self.settings_file()) {
            Ok(file) => {
                let mut text = String::new();
                file.take(SETTINGS_OCTETS_MAX).read_to_string(&mut text)?;
                Ok(text)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(e),
        }
    }
}

/// A small file of the folder, made if it is not there, closed to others, with what it holds.
fn open_own(path: &Path) -> std::io::Result<fs::File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn check_owner(path: &Path, meta: &fs::Metadata) -> Result<(), DataDirError> {
    let us = rustix::process::geteuid().as_raw();
    match meta.uid() == us {
        true => Ok(()),
        false => Err(DataDirError::Foreign { path: path.display().to_string(), owner: meta.uid(), us }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_lock_names_the_holder() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&scratch.path().join("data"), true).unwrap();
        let first = dir.lock().unwrap();
        let text = dir.lock().unwrap_err().to_string();
        assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
        drop(first);
        dir.lock().unwrap();
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        // BP-5
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("data");
        let dir = DataDir::open(&path, true).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(DataDir::open(&path, false), Err(DataDirError::Open { mode: 0o750, .. })));
        assert!(matches!(DataDir::open(&scratch.path().join("none"), false), Err(DataDirError::Absent { .. })));
    }
}
