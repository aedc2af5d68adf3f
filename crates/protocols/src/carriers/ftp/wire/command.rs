//! Commands (RFC 959 section 4.1; 2228, 2389, 2428, 3659, 4217; HASH and MFMT by their drafts).

use std::net::{SocketAddr, SocketAddrV4};

use base::{Secret, Shown, UtcMicros};
use bytes::{BufMut, Bytes, BytesMut};

use super::address::{AddressError, Family, decode_eprt, decode_port, eprt_argument, port_argument};
use super::argument::{Argument, ArgumentError};
use super::telnet::{escape, unescape};
use super::time::{parse_time, time_text};

/// How the octets of a file are written (RFC 959 section 3.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DataType {
    /// A: lines, with CR LF on the wire.
    Ascii,
    /// I, and L 8.
    Image,
}

/// How data are framed (RFC 959 section 3.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// S.
    Stream,
    /// B.
    Block,
    /// C.
    Compressed,
}

/// How a file is built (RFC 959 section 3.1.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Structure {
    /// F.
    Unstructured,
    /// R.
    Record,
    /// P.
    Page,
}

/// Protection of data connections (RFC 2228 section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protection {
    /// C.
    Clear,
    /// S.
    Safe,
    /// E.
    Confidential,
    /// P.
    Private,
}

/// Verbs without an argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum Bare {
    Cdup,
    Quit,
    Pasv,
    Abor,
    Pwd,
    Syst,
    Noop,
    Feat,
    Ccc,
}

/// Verbs with a name or text behind them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum Named {
    User,
    Cwd,
    Retr,
    Stor,
    Appe,
    Rnfr,
    Rnto,
    Dele,
    Rmd,
    Mkd,
    Size,
    Mdtm,
    Hash,
    Site,
    Opts,
    Auth,
}

/// Verbs that may have a name or text behind them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum Loose {
    Stou,
    List,
    Nlst,
    Stat,
    Help,
    Mlsd,
    Mlst,
}

/// One command.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum Command {
    Bare(Bare),
    Named(Named, Argument),
    Loose(Loose, Option<Argument>),
    Pass(Secret<Vec<u8>>),
    Acct(Secret<Vec<u8>>),
    /// For proxies, which know a host by it; no server takes it.
    Open(Argument),
    /// A line that the operator of a site has written.
    Quote(Argument),
    Port(SocketAddrV4),
    Eprt(SocketAddr),
    /// With no family: that of the control connection.
    Epsv(Option<Family>),
    EpsvAll,
    Type(DataType),
    Mode(Mode),
    Structure(Structure),
    Allo(u64),
    Rest(u64),
    /// The time of last change of a file (draft-somers-ftp-mfxx).
    Mfmt(UtcMicros, Argument),
    Pbsz(u32),
    Prot(Protection),
}

/// Why a line is no command that can be carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such verb.
    #[error("command {verb} is not known")]
    Unknown {
        /// What stood there, safe to show.
        verb: String,
    },
    /// A verb of the RFCs that is not served.
    #[error("command {verb} is not served here")]
    NotServed {
        /// The verb.
        verb: String,
    },
    /// The argument is missing or can't be read.
    #[error("{verb} needs {expected}")]
    Syntax {
        /// The verb.
        verb: &'static str,
        /// What should have come.
        expected: &'static str,
    },
    /// The argument is one that is not served.
    #[error("{verb} with this argument is not served here")]
    Parameter {
        /// The verb.
        verb: &'static str,
    },
    /// An address that can't be read.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// Octets that no line can carry.
    #[error("{0}")]
    Octets(#[from] ArgumentError),
}

/// Verbs of the RFCs that are known and not served: old, or obsolete by RFC 1123.
const NOT_SERVED: &[&str] = &["REIN", "SMNT", "ADAT", "MIC", "CONF", "ENC", "LPRT", "LPSV", "LANG", "HOST", "RANG"];

const BARE: &[(&str, Bare)] = &[
    ("CDUP", Bare::Cdup),
    ("QUIT", Bare::Quit),
    ("PASV", Bare::Pasv),
    ("ABOR", Bare::Abor),
    ("PWD", Bare::Pwd),
    ("SYST", Bare::Syst),
    ("NOOP", Bare::Noop),
    ("FEAT", Bare::Feat),
    ("CCC", Bare::Ccc),
    // RFC 775; RFC 1123 section 4.1.3.1 has servers take them.
    ("XCUP", Bare::Cdup),
    ("XPWD", Bare::Pwd),
];

const NAMED: &[(&str, Named)] = &[
    ("USER", Named::User),
    ("CWD", Named::Cwd),
    ("RETR", Named::Retr),
    ("STOR", Named::Stor),
    ("APPE", Named::Appe),
    ("RNFR", Named::Rnfr),
    ("RNTO", Named::Rnto),
    ("DELE", Named::Dele),
    ("RMD", Named::Rmd),
    ("MKD", Named::Mkd),
    ("SIZE", Named::Size),
    ("MDTM", Named::Mdtm),
    ("HASH", Named::Hash),
    ("SITE", Named::Site),
    ("OPTS", Named::Opts),
    ("AUTH", Named::Auth),
    ("XCWD", Named::Cwd),
    ("XRMD", Named::Rmd),
    ("XMKD", Named::Mkd),
];

const LOOSE: &[(&str, Loose)] = &[
    ("STOU", Loose::Stou),
    ("LIST", Loose::List),
    ("NLST", Loose::Nlst),
    ("STAT", Loose::Stat),
    ("HELP", Loose::Help),
    ("MLSD", Loose::Mlsd),
    ("MLST", Loose::Mlst),
];

const TYPES: &[(&str, DataType)] =
    &[("A", DataType::Ascii), ("I", DataType::Image), ("A N", DataType::Ascii), ("L 8", DataType::Image)];
const MODES: &[(&str, Mode)] = &[("S", Mode::Stream), ("B", Mode::Block), ("C", Mode::Compressed)];
const STRUCTURES: &[(&str, Structure)] =
    &[("F", Structure::Unstructured), ("R", Structure::Record), ("P", Structure::Page)];
const PROTECTIONS: &[(&str, Protection)] =
    &[("C", Protection::Clear), ("S", Protection::Safe), ("E", Protection::Confidential), ("P", Protection::Private)];

/// Every verb that is served, for HELP.
pub fn verbs() -> impl Iterator<Item = &'static str> {
    const OTHERS: &[&str] =
        &["PASS", "ACCT", "PORT", "EPRT", "EPSV", "TYPE", "MODE", "STRU", "ALLO", "REST", "MFMT", "PBSZ", "PROT"];
    let tables = BARE.iter().map(|(verb, _)| *verb).chain(NAMED.iter().map(|(verb, _)| *verb));
    tables.chain(LOOSE.iter().map(|(verb, _)| *verb)).chain(OTHERS.iter().copied())
}

impl Command {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// [`CommandError`]; each has its reply.
    pub fn decode(line: &[u8]) -> Result<Self, CommandError> {
        let line = unescape(line);
        let space = line.iter().position(|o| *o == b' ').unwrap_or(line.len());
        let (verb, rest) = line.split_at_checked(space).unwrap_or((&line, &[]));
        let rest = rest.get(1..).unwrap_or_default();
        let verb = verb.to_ascii_uppercase();
        match verb.as_slice() {
            b"PASS" => Ok(Self::Pass(Secret::new(rest.to_vec()))),
            b"ACCT" => Ok(Self::Acct(Secret::new(rest.to_vec()))),
            _ => {
                let argument = Argument::new(Bytes::copy_from_slice(rest))?;
                let verb = std::str::from_utf8(&verb).unwrap_or_default();
                simple(verb, &argument).or_else(|| with_value(verb, &argument)).unwrap_or_else(|| Err(unknown(&line)))
            }
        }
    }

    /// The line to send, with its end. Whatever its fields are, it is one line.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        if let Self::Quote(line) = self {
            escape(line.octets(), &mut out);
            out.put_slice(b"\r\n");
            return out.freeze();
        }
        out.put_slice(self.verb().as_bytes());
        if let Some(argument) = self.argument() {
            out.put_u8(b' ');
            escape(&argument, &mut out);
        }
        out.put_slice(b"\r\n");
        out.freeze()
    }

    /// Its verb.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Bare(verb) => word(BARE, *verb),
            Self::Named(verb, _) => word(NAMED, *verb),
            Self::Loose(verb, _) => word(LOOSE, *verb),
            Self::Pass(_) => "PASS",
            Self::Acct(_) => "ACCT",
            Self::Open(_) => "OPEN",
            Self::Quote(_) => "QUOTE",
            Self::Port(_) => "PORT",
            Self::Eprt(_) => "EPRT",
            Self::Epsv(_) | Self::EpsvAll => "EPSV",
            Self::Type(_) => "TYPE",
            Self::Mode(_) => "MODE",
            Self::Structure(_) => "STRU",
            Self::Allo(_) => "ALLO",
            Self::Rest(_) => "REST",
            Self::Mfmt(..) => "MFMT",
            Self::Pbsz(_) => "PBSZ",
            Self::Prot(_) => "PROT",
        }
    }

    fn argument(&self) -> Option<Vec<u8>> {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        // A secret of our own that would break its line is cut there: it could not have been right.
        let secret = |secret: &Secret<Vec<u8>>| {
            secret.expose().split(|o| matches!(o, b'\r' | b'\n' | 0)).next().map(<[u8]>::to_vec)
        };
        match self {
            Self::Bare(_) | Self::Epsv(None) => None,
            Self::Named(_, argument) | Self::Open(argument) | Self::Quote(argument) => Some(argument.octets().to_vec()),
            Self::Loose(_, argument) => argument.as_ref().map(|a| a.octets().to_vec()),
            Self::Pass(s) | Self::Acct(s) => secret(s),
            Self::Port(at) => text(&port_argument(*at)),
            Self::Eprt(at) => text(&eprt_argument(*at)),
            Self::Epsv(Some(family)) => text(&family.encode().to_string()),
            Self::EpsvAll => text("ALL"),
            Self::Type(of) => text(word(TYPES, *of)),
            Self::Mode(mode) => text(word(MODES, *mode)),
            Self::Structure(structure) => text(word(STRUCTURES, *structure)),
            Self::Allo(octets) | Self::Rest(octets) => text(&octets.to_string()),
            Self::Mfmt(at, name) => Some([time_text(*at).as_bytes(), b" ", name.octets()].concat()),
            Self::Pbsz(octets) => text(&octets.to_string()),
            Self::Prot(protection) => text(word(PROTECTIONS, *protection)),
        }
    }
}

/// The first word for a value.
fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, of)| *of == value).map_or("", |(word, _)| word)
}

fn find<T: Copy>(table: &[(&'static str, T)], word: &str) -> Option<(&'static str, T)> {
    table.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).copied()
}

/// Verbs whose argument is taken as it is.
fn simple(verb: &str, argument: &Argument) -> Option<Result<Command, CommandError>> {
    let given = Some(argument).filter(|a| !a.octets().is_empty()).cloned();
    if let Some((_, bare)) = find(BARE, verb) {
        // What stands behind it is passed over, as most servers do.
        return Some(Ok(Command::Bare(bare)));
    }
    if let Some((verb, named)) = find(NAMED, verb) {
        let missing = CommandError::Syntax { verb, expected: "a name or text behind it" };
        return Some(given.map(|argument| Command::Named(named, argument)).ok_or(missing));
    }
    find(LOOSE, verb).map(|(_, loose)| Ok(Command::Loose(loose, given)))
}

/// Verbs whose argument means a value.
fn with_value(verb: &str, argument: &Argument) -> Option<Result<Command, CommandError>> {
    let text = std::str::from_utf8(argument.octets()).unwrap_or_default().trim();
    Some(match verb {
        "PORT" => decode_port(text).map(Command::Port).map_err(CommandError::from),
        "EPRT" => decode_eprt(text).map(Command::Eprt).map_err(CommandError::from),
        "EPSV" if text.is_empty() => Ok(Command::Epsv(None)),
        "EPSV" if text.eq_ignore_ascii_case("ALL") => Ok(Command::EpsvAll),
        "EPSV" => Family::decode(text).map(|family| Command::Epsv(Some(family))).map_err(CommandError::from),
        "TYPE" => one_of("TYPE", TYPES, text).map(Command::Type),
        "MODE" => one_of("MODE", MODES, text).map(Command::Mode),
        "STRU" => one_of("STRU", STRUCTURES, text).map(Command::Structure),
        "PROT" => one_of("PROT", PROTECTIONS, text).map(Command::Prot),
        // ALLO may have the size of a record behind it (RFC 959 section 4.1.3), which means nothing here.
        "ALLO" => number("ALLO", text.split(' ').next().unwrap_or_default()).map(Command::Allo),
        "REST" => number("REST", text).map(Command::Rest),
        "PBSZ" => number("PBSZ", text).map(Command::Pbsz),
        "MFMT" => modified(argument),
        _ => return None,
    })
}

fn one_of<T: Copy>(verb: &'static str, table: &[(&'static str, T)], text: &str) -> Result<T, CommandError> {
    match find(table, text) {
        Some((_, value)) => Ok(value),
        None if text.is_empty() => Err(CommandError::Syntax { verb, expected: "a letter behind it" }),
        None => Err(CommandError::Parameter { verb }),
    }
}

/// Digits only: no sign, so that no offset is negative.
fn number<T: std::str::FromStr>(verb: &'static str, text: &str) -> Result<T, CommandError> {
    let wrong = CommandError::Syntax { verb, expected: "a number behind it" };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().map_err(|_| wrong) } else { Err(wrong) }
}

fn modified(argument: &Argument) -> Result<Command, CommandError> {
    let wrong = CommandError::Syntax { verb: "MFMT", expected: "YYYYMMDDHHMMSS and a name behind it" };
    let octets = argument.octets();
    let space = octets.iter().position(|o| *o == b' ').ok_or_else(|| wrong.clone())?;
    let (time, name) = octets.split_at_checked(space).ok_or_else(|| wrong.clone())?;
    let name = name.get(1..).filter(|name| !name.is_empty()).ok_or_else(|| wrong.clone())?;
    let at = std::str::from_utf8(time).ok().and_then(parse_time).ok_or(wrong)?;
    Ok(Command::Mfmt(at, Argument::new(Bytes::copy_from_slice(name))?))
}

fn unknown(line: &[u8]) -> CommandError {
    const SHOWN_OCTETS: usize = 16;
    let verb = line.split(|o| *o == b' ').next().unwrap_or_default();
    let known = NOT_SERVED.iter().find(|known| verb.eq_ignore_ascii_case(known.as_bytes()));
    match known {
        Some(known) => CommandError::NotServed { verb: (*known).to_owned() },
        None => CommandError::Unknown { verb: Shown(verb.get(..SHOWN_OCTETS).unwrap_or(verb)).to_string() },
    }
}
