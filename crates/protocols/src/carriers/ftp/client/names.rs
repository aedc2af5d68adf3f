//! What is done to names at the server.

use base::UtcMicros;

use super::error::refused;
use super::{FtpClient, argument};
use crate::carriers::ftp::wire::{Bare, Command, Listed, ListedKind, Loose, Named, Reply, decode_facts, decode_line};
use crate::outward::{ClientError, Meaning, Standing};

/// A folder and what stands in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Folder {
    /// Its whole path, as the server tells it.
    pub path: Vec<u8>,
    /// Names, without those of itself and of the one above.
    pub names: Vec<Vec<u8>>,
}

impl FtpClient {
    /// What stands under `path`; `None` if nothing does.
    ///
    /// # Errors
    /// [`ClientError`], except that the name does not exist.
    pub async fn stat(&mut self, path: &[u8]) -> Result<Option<Standing>, ClientError> {
        if !self.lacks.size {
            match self.size(path).await {
                Ok(size) => return Ok(Some(Standing { size })),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) if error.meaning() == Some(Meaning::Unsupported) => self.lacks.size = true,
                Err(error) => return Err(error),
            }
        }
        if self.offers.facts {
            return self.facts(path).await;
        }
        self.look_for(path).await
    }

    async fn size(&mut self, path: &[u8]) -> Result<Option<u64>, ClientError> {
        let reply = self.control.ask_done(&Command::Named(Named::Size, argument(path)?)).await?;
        let text = first_text(&reply);
        let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
        // A server that says something else has the file, and does not tell.
        Ok(digits.parse().ok())
    }

    async fn facts(&mut self, path: &[u8]) -> Result<Option<Standing>, ClientError> {
        match self.control.ask_done(&Command::Loose(Loose::Mlst, Some(argument(path)?))).await {
            Ok(reply) => {
                let listed = reply.lines().filter_map(|line| decode_facts(line.octets())).find(|l| l.size.is_some());
                Ok(Some(Standing { size: listed.and_then(|listed| listed.size) }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks into the folder of `path` for its name, where the server has neither SIZE nor MLST.
    async fn look_for(&mut self, path: &[u8]) -> Result<Option<Standing>, ClientError> {
        let slash = path.iter().rposition(|o| *o == b'/');
        let (folder, name) = match slash {
            Some(0) => (&b"/"[..], path.get(1..).unwrap_or_default()),
            Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
            None => (&b""[..], path),
        };
        let folder = Some(folder).filter(|folder| !folder.is_empty()).map(argument).transpose()?;
        let lines = self.list(&Command::Loose(Loose::List, folder)).await?;
        let found = lines.iter().filter_map(|line| decode_line(line)).find(|listed| listed.name == name);
        Ok(found.map(|Listed { size, .. }| Standing { size }))
    }

    /// Goes into `folder` (where it is empty, stays where the login began) and lists it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::TooMany`] above the bound of the options.
    pub async fn look_into(&mut self, folder: &[u8]) -> Result<Folder, ClientError> {
        if !folder.is_empty() {
            self.control.ask_done(&Command::Named(Named::Cwd, argument(folder)?)).await?;
        }
        let reply = self.control.ask_done(&Command::Bare(Bare::Pwd)).await?;
        let path = quoted(reply.lines().next().map(|line| line.octets()).unwrap_or_default());
        let names = if self.offers.facts {
            let lines = self.list(&Command::Loose(Loose::Mlsd, None)).await?;
            let listed = lines.iter().filter_map(|line| decode_facts(line));
            listed.filter(|listed| listed.kind != ListedKind::SelfOrParent).map(|listed| listed.name).collect()
        } else {
            match self.list(&Command::Loose(Loose::Nlst, None)).await {
                // So do many answer that there is nothing to list.
                Err(error) if matches!(error.meaning(), Some(Meaning::NotFound | Meaning::Passing)) => Vec::new(),
                lines => lines?,
            }
        };
        Ok(Folder { path, names })
    }

    /// Lines that come over a data connection.
    pub(super) async fn list(&mut self, command: &Command) -> Result<Vec<Vec<u8>>, ClientError> {
        let data = self.open_data().await?;
        let begun = self.begin_data(command, data).await?;
        let octets = self.read_list(begun).await?;
        let mut lines = Vec::new();
        for line in octets.split(|o| *o == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                lines.push(line.to_vec());
            }
            if lines.len() > self.options.names_max {
                return Err(ClientError::TooMany { max: self.options.names_max });
            }
        }
        Ok(lines)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove(&mut self, path: &[u8]) -> Result<(), ClientError> {
        self.control.ask_done(&Command::Named(Named::Dele, argument(path)?)).await.map(drop)
    }

    /// Renames. Most servers put the file in the place of one that has the new name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        let (from, to) = (argument(from)?, argument(to)?);
        self.control.ask_more(&Command::Named(Named::Rnfr, from)).await?;
        self.control.ask_done(&Command::Named(Named::Rnto, to)).await.map(drop)
    }

    /// Gives a file its time of change, where the server says that it can.
    ///
    /// # Errors
    /// Only what ends the connection.
    pub async fn set_modified(&mut self, path: &[u8], modified: UtcMicros) -> Result<(), ClientError> {
        if !self.offers.modify {
            return Ok(());
        }
        match self.control.ask_done(&Command::Mfmt(modified, argument(path)?)).await {
            Err(error) if error.is_fatal() => Err(error),
            _ => Ok(()),
        }
    }

    /// Says good-bye.
    pub async fn quit(&mut self) {
        self.control.quit(&Command::Bare(Bare::Quit)).await;
    }
}

/// What a refusal of a command for data looks like: it may come instead of the first mark.
pub(super) fn begins(command: &Command, reply: &Reply) -> Result<(), ClientError> {
    if (100..200).contains(&reply.code()) { Ok(()) } else { Err(refused(command.verb(), reply)) }
}

/// The first line of a reply as text.
pub(super) fn first_text(reply: &Reply) -> String {
    reply.lines().next().map(|line| String::from_utf8_lossy(line.octets()).into_owned()).unwrap_or_default()
}

/// The name between quotation marks, which it has doubled (RFC 959, appendix II); all of it where there are none.
fn quoted(text: &[u8]) -> Vec<u8> {
    let Some(from) = text.iter().position(|o| *o == b'"') else { return text.to_vec() };
    let mut name = Vec::new();
    let mut rest = text.get(from + 1..).unwrap_or_default().iter().copied().peekable();
    while let Some(octet) = rest.next() {
        if octet == b'"' && rest.next_if_eq(&b'"').is_none() {
            break;
        }
        name.push(octet);
    }
    name
}

#[cfg(test)]
mod inner_tests {
    use super::*;

    #[test]
    fn the_folder_stands_between_quotation_marks() {
        for (text, expected) in [
            ("\"/in\" is current", "/in"),
            ("\"/a\"\"b\" x", "/a\"b"),
            ("/plain", "/plain"),
            ("\"open", "open"),
            ("", ""),
        ] {
            assert_eq!(quoted(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}
