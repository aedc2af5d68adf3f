//! What is done to names at the server.

use bytes::Bytes;

use super::{SftpClient, handle, status};
use crate::carriers::sftp::wire::{Attrs, Extended, Reply, Request, StatusCode, extension};
use crate::outward::{ClientError, rename_over};

/// A file or directory at the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteFile {
    /// Its name, as octets.
    pub name: Bytes,
    /// A line for people, as of `ls -l`.
    pub long_name: Bytes,
    /// What the server says of it.
    pub attrs: Attrs,
}

impl SftpClient {
    /// What the server says of `path`, links followed; `None` if there is no such name.
    ///
    /// # Errors
    /// [`ClientError`], except that the name does not exist.
    pub async fn stat(&mut self, path: &[u8]) -> Result<Option<Attrs>, ClientError> {
        let path = Bytes::copy_from_slice(path);
        let found = match self.ask(Request::Stat { path }).await? {
            Reply::Attrs(attrs) => return Ok(Some(attrs)),
            other => status("STAT", other),
        };
        match found {
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Err(ClientError::unexpected("STAT")),
        }
    }

    /// All names in a directory, without `.` and `..`.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::TooMany`] above the bound of the options.
    pub async fn list(&mut self, path: &[u8]) -> Result<Vec<RemoteFile>, ClientError> {
        let path = Bytes::copy_from_slice(path);
        let directory = handle("OPENDIR", self.ask(Request::Opendir { path }).await?)?;
        let names = self.read_names(&directory).await;
        match names {
            Err(error) if error.is_fatal() => Err(error),
            names => {
                self.close(directory).await?;
                names
            }
        }
    }

    async fn read_names(&mut self, directory: &Bytes) -> Result<Vec<RemoteFile>, ClientError> {
        let mut names = Vec::new();
        loop {
            match self.ask(Request::Readdir { handle: directory.clone() }).await? {
                // A server that gives no names and no EOF would keep us here for ever.
                Reply::Names(entries) if entries.is_empty() => {
                    return Err(ClientError::protocol("READDIR gave no name"));
                }
                Reply::Names(entries) => {
                    let plain = entries.into_iter().filter(|e| !matches!(&e.name[..], b"." | b".."));
                    names.extend(plain.map(|e| RemoteFile { name: e.name, long_name: e.long_name, attrs: e.attrs }));
                }
                Reply::Status { code: StatusCode::Eof, .. } => return Ok(names),
                other => status("READDIR", other)?,
            }
            if names.len() > self.options.names_max {
                return Err(ClientError::TooMany { max: self.options.names_max });
            }
        }
    }

    /// The absolute form of `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn real_path(&mut self, path: &[u8]) -> Result<Bytes, ClientError> {
        let path = Bytes::copy_from_slice(path);
        match self.ask(Request::Realpath { path }).await? {
            Reply::Names(names) => {
                names.into_iter().next().map(|e| e.name).ok_or_else(|| ClientError::protocol("REALPATH gave no name"))
            }
            other => Err(status("REALPATH", other).err().unwrap_or_else(|| ClientError::unexpected("REALPATH"))),
        }
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn mkdir(&mut self, path: &[u8]) -> Result<(), ClientError> {
        let path = Bytes::copy_from_slice(path);
        self.ask_status("MKDIR", Request::Mkdir { path, attrs: Attrs::default() }).await
    }

    /// Deletes an empty directory.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rmdir(&mut self, path: &[u8]) -> Result<(), ClientError> {
        let path = Bytes::copy_from_slice(path);
        self.ask_status("RMDIR", Request::Rmdir { path }).await
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove(&mut self, path: &[u8]) -> Result<(), ClientError> {
        let path = Bytes::copy_from_slice(path);
        self.ask_status("REMOVE", Request::Remove { path }).await
    }

    /// Renames; version 3 wants the new name to be free, though not every server looks.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        let (from, to) = (Bytes::copy_from_slice(from), Bytes::copy_from_slice(to));
        self.ask_status("RENAME", Request::Rename { from, to }).await
    }

    /// Renames in the place of what has the new name: at one stroke where the server offers posix-rename@openssh.com,
    /// else by deleting it first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn replace(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        if self.offers(extension::POSIX_RENAME) {
            let (from, to) = (Bytes::copy_from_slice(from), Bytes::copy_from_slice(to));
            return self.ask_status("RENAME", Request::Extended(Extended::PosixRename { from, to })).await;
        }
        rename_over(self, from, to).await
    }
}
