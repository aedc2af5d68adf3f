//! Lists of folders: for people (LIST), as names (NLST), for programs (MLSD, MLST; RFC 3659 section 7).

use std::fmt::Write as _;

use base::{Pattern, QuestionMark, UtcMicros};
use bytes::{BufMut, Bytes, BytesMut};
use engine::{Entry, EntryKind, TransferError, VPath};

use super::SessionError;
use super::session::{Next, Session};
use crate::carriers::ftp::replies;
use crate::carriers::ftp::wire::{Argument, Reply, time_text};
use crate::files::ls_line;

/// Octets of a list that are sent in one step.
const PIECE_OCTETS: usize = 64 * 1024;
/// Lines that STAT gives on the control connection.
const STATUS_LINES_MAX: usize = 1000;

/// The facts that a list for programs has, in the order of [`FACTS`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts([bool; FACTS.len()]);

const FACTS: [&str; 4] = ["type", "size", "modify", "perm"];

impl Default for Facts {
    fn default() -> Self {
        Self([true; FACTS.len()])
    }
}

impl Facts {
    /// The line of FEAT: those that are on have a star (RFC 3659 section 7.8).
    pub(super) fn feature(self) -> String {
        let on = |(fact, on): (&str, bool)| format!("{fact}{};", if on { "*" } else { "" });
        format!("MLST {}", FACTS.into_iter().zip(self.0).map(on).collect::<String>())
    }

    /// Takes the facts that OPTS MLST names, and tells which are on now.
    pub(super) fn choose(&mut self, named: &str) -> String {
        let wanted = |fact: &str| named.split(';').any(|name| name.trim().eq_ignore_ascii_case(fact));
        self.0 = FACTS.map(wanted);
        FACTS.into_iter().zip(self.0).filter(|(_, on)| *on).map(|(fact, _)| format!("{fact};")).collect()
    }

    /// The facts of an entry, with the space before its name.
    fn of(self, entry: &Entry) -> String {
        let is_folder = entry.kind == EntryKind::Directory;
        let [kind, size, modify, perm] = self.0;
        let mut out = String::new();
        // Writing to a text does not fail.
        if kind {
            out.push_str(if is_folder { "type=dir;" } else { "type=file;" });
        }
        if size && !is_folder {
            let _ = write!(out, "size={};", entry.size);
        }
        if modify {
            let _ = write!(out, "modify={};", time_text(entry.modified));
        }
        if perm {
            let (reads, writes) = if is_folder { ("el", "cmp") } else { ("r", "adfw") };
            let (reads, writes) = (if entry.readable { reads } else { "" }, if entry.writable { writes } else { "" });
            let _ = write!(out, "perm={reads}{writes};");
        }
        out.push(' ');
        out
    }
}

/// How a line of a list looks.
#[derive(Clone, Copy)]
enum Form {
    Long(UtcMicros),
    Name,
    Facts(Facts),
}

impl Form {
    fn line(self, entry: &Entry, before: &[u8]) -> Vec<u8> {
        let name = Argument::made_to_fit(&entry.name);
        match self {
            Self::Long(now) => {
                let line = ls_line(entry, now);
                // That line shows a name safely; here it is the name itself that clients take.
                let shown = base::octets_text(&entry.name);
                let head = line.strip_suffix(&shown).unwrap_or(&line);
                [head.as_bytes(), name.octets()].concat()
            }
            Self::Name => [before, name.octets()].concat(),
            Self::Facts(facts) => [facts.of(entry).as_bytes(), name.octets()].concat(),
        }
    }
}

/// Entries that were asked for, and what stands before their names.
struct Found {
    entries: Vec<Entry>,
    before: Vec<u8>,
    path: VPath,
}

impl Session {
    pub(super) async fn list(&mut self, name: Option<&Argument>) -> Result<Next, SessionError> {
        let form = Form::Long(self.folder()?.now());
        self.send_entries(without_options(name), form).await
    }

    pub(super) async fn names(&mut self, name: Option<&Argument>) -> Result<Next, SessionError> {
        self.send_entries(without_options(name), Form::Name).await
    }

    pub(super) async fn machine_list(&mut self, name: Option<&Argument>) -> Result<Next, SessionError> {
        let path = match VPath::parse(name.map_or(b"", Argument::octets), &self.state.here) {
            Ok(path) => path,
            Err(error) => return self.refuse(&replies::refused(&error.into())).await,
        };
        match self.folder()?.list(&path).await {
            Ok(entries) => {
                let form = Form::Facts(self.state.facts);
                self.send_list(pieces(Found { entries, before: Vec::new(), path: path.clone() }, form), &path).await
            }
            // RFC 3659 section 7.2.1
            Err(error) if error.cause == engine::Cause::NotDirectory => {
                self.refuse(&Reply::new(501, "Not a folder")).await
            }
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    pub(super) async fn machine_entry(&mut self, name: Option<&Argument>) -> Result<Next, SessionError> {
        let path = match VPath::parse(name.map_or(b"", Argument::octets), &self.state.here) {
            Ok(path) => path,
            Err(error) => return self.refuse(&replies::refused(&error.into())).await,
        };
        match self.folder()?.stat(&path).await {
            Ok(entry) => {
                let line = [self.state.facts.of(&entry).as_bytes(), &path.octets()].concat();
                self.control.send(&Reply::new(250, "Listing").line(line).line("End")).await?;
                Ok(Next::Go)
            }
            Err(error) => self.refuse_for(&error, &path).await,
        }
    }

    /// STAT: of the session, or a list on the control connection.
    pub(super) async fn status(&mut self, name: Option<&Argument>) -> Result<Next, SessionError> {
        if name.is_none() {
            let tls = if self.control.tls().is_some() { "with TLS" } else { "in clear" };
            return self.say(211, format!("Logged in, {tls}, no transfer under way")).await;
        }
        let found = match self.found(without_options(name)).await? {
            Ok(found) => found,
            Err((error, path)) => return self.refuse_for(&error, &path).await,
        };
        let form = Form::Long(self.folder()?.now());
        let lines = found.entries.iter().take(STATUS_LINES_MAX).map(|entry| form.line(entry, b""));
        let reply = lines.fold(Reply::new(213, "List:"), Reply::line);
        let end = if found.entries.len() > STATUS_LINES_MAX { "Too many to show all: use LIST" } else { "End" };
        self.control.send(&reply.line(end)).await?;
        Ok(Next::Go)
    }

    async fn send_entries(&mut self, name: &[u8], form: Form) -> Result<Next, SessionError> {
        match self.found(name).await? {
            Ok(found) => {
                let path = found.path.clone();
                self.send_list(pieces(found, form), &path).await
            }
            Err((error, path)) => self.refuse_for(&error, &path).await,
        }
    }

    /// The entries that a name means: of a folder, one file, or those that fit a pattern in its last part.
    async fn found(&mut self, name: &[u8]) -> Result<Result<Found, (TransferError, VPath)>, SessionError> {
        let folder = self.folder()?;
        let path = match VPath::parse(name, &self.state.here) {
            Ok(path) => path,
            Err(error) => return Ok(Err((error.into(), self.state.here.clone()))),
        };
        let listed = folder.list(&path).await;
        let last = path.name().unwrap_or_default().to_vec();
        let found = match listed {
            Ok(entries) => Ok(Found { entries, before: Vec::new(), path }),
            Err(error) if error.cause == engine::Cause::NotDirectory => match folder.stat(&path).await {
                Ok(entry) => Ok(Found { entries: vec![entry], before: before(name), path }),
                Err(error) => Err((error, path)),
            },
            Err(error) if error.cause == engine::Cause::NotFound && last.iter().any(|o| matches!(o, b'*' | b'?')) => {
                let pattern = Pattern::new(String::from_utf8_lossy(&last));
                let fits = |entry: &Entry| pattern.matches(&String::from_utf8_lossy(&entry.name), QuestionMark::One);
                match folder.list(&path.parent().unwrap_or_default()).await {
                    Ok(entries) => {
                        let entries = entries.into_iter().filter(fits).collect();
                        Ok(Found { entries, before: before(name), path })
                    }
                    Err(error) => Err((error, path)),
                }
            }
            Err(error) => Err((error, path)),
        };
        Ok(found)
    }
}

/// What stands before the last part of a name, so that the names of a list lead back to their files.
fn before(name: &[u8]) -> Vec<u8> {
    let end = name.iter().rposition(|o| *o == b'/').map_or(0, |at| at + 1);
    name.get(..end).unwrap_or_default().to_vec()
}

/// Clients put options of `ls` before the name, which mean nothing here.
fn without_options(name: Option<&Argument>) -> &[u8] {
    let mut rest = name.map_or(&b""[..], Argument::octets);
    while rest.first() == Some(&b'-') {
        let end = rest.iter().position(|o| *o == b' ').map_or(rest.len(), |at| at + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    rest
}

/// A list as it is sent.
fn pieces(found: Found, form: Form) -> impl Iterator<Item = Bytes> + Send {
    let Found { entries, before, .. } = found;
    let mut entries = entries.into_iter();
    std::iter::from_fn(move || {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE_OCTETS {
            let Some(entry) = entries.next() else { break };
            piece.put_slice(&form.line(&entry, &before));
            piece.put_slice(b"\r\n");
        }
        Some(piece.freeze()).filter(|piece| !piece.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::entry;

    #[test]
    fn lines_have_the_name_as_it_is() {
        // FTP-24: what would end a line does not stand in one.
        let now = UtcMicros::parse("2026-11-23T00:00:00Z").unwrap();
        for (form, line) in [
            (Form::Long(now), &b"-r--r-----    1 -        -                1234 Nov  3 14:05 a?\x1b\xff"[..]),
            (Form::Name, b"x/a?\x1b\xff"),
            (Form::Facts(Facts::default()), b"type=file;size=1234;modify=20261103140506;perm=r; a?\x1b\xff"),
        ] {
            assert_eq!(form.line(&entry(b"a\n\x1b\xff", EntryKind::File), b"x/"), line);
        }
        let folder = Form::Facts(Facts::default()).line(&entry(b"d", EntryKind::Directory), b"");
        assert_eq!(folder, b"type=dir;modify=20261103140506;perm=el; d");
    }

    #[test]
    fn facts_are_chosen() {
        // RFC 3659 section 7.9
        let mut facts = Facts::default();
        assert_eq!(facts.choose("Type;modify;nonsense;"), "type;modify;");
        assert_eq!(facts.feature(), "MLST type*;size;modify*;perm;");
        assert_eq!(facts.of(&entry(b"a", EntryKind::File)), "type=file;modify=20261103140506; ");
    }

    #[test]
    fn options_of_ls_are_passed_over() {
        for (given, name) in [("-la", ""), ("-l -a dir", "dir"), ("dir -x", "dir -x"), ("", "")] {
            let given = Argument::new(given.as_bytes().to_vec()).unwrap();
            assert_eq!(without_options(Some(&given)), name.as_bytes());
        }
        assert_eq!(before(b"a/b/*.txt"), b"a/b/");
        assert_eq!(before(b"*.txt"), b"");
    }

    #[test]
    fn a_long_list_comes_in_pieces() {
        let entries = (0..5000).map(|n| entry(format!("{n:0100}").as_bytes(), EntryKind::File)).collect();
        let found = Found { entries, before: Vec::new(), path: VPath::root() };
        let all: Vec<Bytes> = pieces(found, Form::Name).collect();
        assert!(all.len() > 5 && all.iter().all(|piece| piece.len() < PIECE_OCTETS + 200));
        assert_eq!(all.concat().iter().filter(|o| **o == b'\n').count(), 5000);
    }
}
