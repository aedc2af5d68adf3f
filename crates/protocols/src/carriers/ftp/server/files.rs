//! Commands about files and folders that need no data connection.

use base::UtcMicros;
use engine::{EntryKind, TransferError, VPath};

use super::SessionError;
use super::session::{Next, Session, path_reply};
use crate::carriers::ftp::replies;
use crate::carriers::ftp::wire::{Argument, DataType, Reply, time_text};

impl Session {
    /// CWD and CDUP.
    pub(super) async fn go_to(&mut self, path: VPath, code: u16) -> Result<Next, SessionError> {
        match self.folder()?.stat(&path).await {
            Ok(entry) if entry.kind == EntryKind::Directory => {
                self.state.here = path;
                self.say(code, "Folder changed").await
            }
            Ok(_) => self.refuse(&Reply::new(550, "Not a folder")).await,
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    pub(super) async fn delete(&mut self, path: VPath) -> Result<Next, SessionError> {
        let done = self.folder()?.remove(&path).await;
        self.done(done, &path, "Deleted").await
    }

    pub(super) async fn remove_folder(&mut self, path: VPath) -> Result<Next, SessionError> {
        let done = self.folder()?.rmdir(&path).await;
        self.done(done, &path, "Removed").await
    }

    pub(super) async fn make_folder(&mut self, path: VPath) -> Result<Next, SessionError> {
        match self.folder()?.mkdir(&path).await {
            Ok(()) => self.say(257, path_reply(&path, "is made")).await,
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    async fn done(&mut self, done: Result<(), TransferError>, path: &VPath, text: &str) -> Result<Next, SessionError> {
        match done {
            Ok(()) => self.say(250, text).await,
            Err(error) => self.refuse_for(&error, path).await,
        }
    }

    pub(super) async fn rename_from(&mut self, path: VPath) -> Result<Next, SessionError> {
        match self.folder()?.stat(&path).await {
            Ok(_) => {
                self.state.rename_from = Some(path);
                self.say(350, "RNTO, please").await
            }
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    /// A file that has the new name already gives way, as clients of FTP expect it.
    pub(super) async fn rename_to(&mut self, path: VPath) -> Result<Next, SessionError> {
        let Some(from) = self.state.rename_from.take() else {
            return self.refuse(&Reply::new(503, "RNFR first")).await;
        };
        let done = self.folder()?.rename(&from, &path, true).await;
        self.done(done, &path, "Renamed").await
    }

    /// SIZE counts octets as they would be sent (RFC 3659 section 4): for lines nobody knows without reading them.
    pub(super) async fn size(&mut self, path: VPath) -> Result<Next, SessionError> {
        if self.state.data_type == DataType::Ascii {
            return self.refuse(&Reply::new(550, "SIZE needs TYPE I")).await;
        }
        match self.folder()?.stat(&path).await {
            Ok(entry) if entry.kind == EntryKind::File => self.say(213, entry.size.to_string()).await,
            Ok(_) => self.refuse(&Reply::new(550, "Not a file")).await,
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    pub(super) async fn modified(&mut self, path: VPath) -> Result<Next, SessionError> {
        match self.folder()?.stat(&path).await {
            Ok(entry) => self.say(213, time_text(entry.modified)).await,
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    pub(super) async fn set_modified(&mut self, at: UtcMicros, name: &Argument) -> Result<Next, SessionError> {
        let path = match VPath::parse(name.octets(), &self.state.here) {
            Ok(path) => path,
            Err(error) => return self.refuse(&replies::refused(&error.into())).await,
        };
        match self.folder()?.set_times(&path, at).await {
            Ok(()) => self.say(213, [b"Modify=", time_text(at).as_bytes(), b"; ", name.octets()].concat()).await,
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    /// HASH by its draft (draft-bryan-ftpext-hash-02), for whole files and SHA-256, which is known since they were stored.
    pub(super) async fn hash(&mut self, path: VPath, name: &Argument) -> Result<Next, SessionError> {
        let folder = self.folder()?;
        let known = match folder.stat(&path).await {
            Ok(entry) => folder.digest(&path).await.map(|digest| (entry.size, digest)),
            Err(error) => Err(error),
        };
        match known {
            Ok((size, Some(digest))) => {
                let told = format!("SHA-256 0-{size} {} ", base::hex(&digest));
                self.say(213, [told.as_bytes(), name.octets()].concat()).await
            }
            Ok((_, None)) => self.refuse(&Reply::new(556, "The hash of this file is not known")).await,
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    /// ALLO: whether there is room (FTP-17).
    pub(super) async fn allocate(&mut self, octets: u64) -> Result<Next, SessionError> {
        let folder = self.folder()?;
        if folder.upload_octets_max().is_some_and(|max| octets > max) {
            return self.refuse(&Reply::new(552, "The file is larger than is allowed")).await;
        }
        match folder.space().await {
            Ok(space) if octets > space.free.saturating_mul(space.block) => {
                self.refuse(&Reply::new(452, "No space left for so much, try again later")).await
            }
            Ok(_) => self.say(200, "There is room").await,
            Err(error) => self.refuse_for(&error, &VPath::root()).await,
        }
    }

    /// REST (RFC 3659 section 5).
    pub(super) async fn restart(&mut self, offset: u64) -> Result<Next, SessionError> {
        self.state.offset = offset;
        self.say(350, format!("Restarting at {offset}")).await
    }

    /// SITE: rights and owners are not kept here. Clients set them after each upload and take an error as its failure, so
    /// CHMOD is accepted where the file is there, and changes nothing, as in SFTP.
    pub(super) async fn site(&mut self, text: &Argument) -> Result<Next, SessionError> {
        let words: Vec<&[u8]> = text.octets().splitn(3, |o| *o == b' ').collect();
        match words.as_slice() {
            [verb, _, name] if verb.eq_ignore_ascii_case(b"CHMOD") => {
                let path = match VPath::parse(name, &self.state.here) {
                    Ok(path) => path,
                    Err(error) => return self.refuse(&replies::refused(&error.into())).await,
                };
                match self.folder()?.stat(&path).await {
                    Ok(_) => self.say(200, "Rights are not kept here").await,
                    Err(error) => self.refuse_for(&error, &path).await,
                }
            }
            [verb] if verb.eq_ignore_ascii_case(b"HELP") => self.say(214, "SITE CHMOD, SITE HELP").await,
            _ => self.refuse(&Reply::new(504, "No such SITE command here")).await,
        }
    }
}
