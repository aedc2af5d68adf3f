//! The lines of a PPK file.

use argon2::Algorithm;
use base::{hex, octets_text, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{AES, Derivation, WHAT};
use crate::KeyError;
use crate::error::damaged;
use crate::formats::without_mark;
use crate::limits::KEY_TEXT_OCTETS_MAX;

/// What stands in the file.
pub(super) struct File {
    pub(super) version: u8,
    /// The name inside SSH messages.
    pub(super) algorithm: String,
    pub(super) comment: String,
    /// The blob of SSH.
    pub(super) public: Vec<u8>,
    pub(super) protection: Option<Protection>,
    /// Encrypted, if it is protected.
    pub(super) private: Zeroizing<Vec<u8>>,
    pub(super) mac: Vec<u8>,
}

/// How a file is protected.
pub(super) struct Protection {
    /// Of version 3.
    pub(super) derivation: Option<Derivation>,
}

/// The version of the file, if it is one that is read.
pub(super) fn version(file: &[u8]) -> Option<u8> {
    let rest = without_mark(file).trim_ascii_start().strip_prefix(FIRST.as_bytes())?;
    match rest {
        [b'1', ..] => None,
        [version @ b'0'..=b'9', b':', ..] => Some(version - b'0'),
        _ => None,
    }
}

impl File {
    /// Reads the lines in their order.
    pub(super) fn read(file: &[u8]) -> Result<Self, KeyError> {
        let version = version(file).filter(|v| matches!(v, 2 | 3));
        let version = version.ok_or(damaged(WHAT, "its version is not known: version 2 or 3 is read"))?;
        let text = without_mark(file).trim_ascii_start();
        let mut lines = Lines { rest: text.split(|o| *o == b'\n').map(<[u8]>::trim_ascii_end).collect(), at: 0 };
        let algorithm = lines.value(&format!("{FIRST}{version}"))?;
        let encryption = lines.value("Encryption")?;
        let comment = lines.value("Comment")?;
        let public = lines.base64("Public-Lines")?.to_vec();
        let protection = match encryption.as_str() {
            "none" => None,
            AES if version == 3 => Some(Protection { derivation: Some(lines.derivation()?) }),
            AES => Some(Protection { derivation: None }),
            other => {
                let algorithm = format!("cipher {}", octets_text(other.as_bytes()));
                return Err(KeyError::Encryption { what: WHAT, algorithm });
            }
        };
        let private = lines.base64("Private-Lines")?;
        let mac = unhex(&lines.value("Private-MAC")?).ok_or(damaged(WHAT, "its Private-MAC is not hexadecimal"))?;
        lines.end()?;
        Ok(Self { version, algorithm, comment, public, protection, private, mac })
    }

    /// Writes the lines.
    pub(super) fn write(&self) -> Zeroizing<Vec<u8>> {
        // Room for all, so that nothing is left behind in memory by growing.
        let mut out = Zeroizing::new(Vec::with_capacity((self.public.len() + self.private.len()) * 2 + 1024));
        let encryption = if self.protection.is_some() { AES } else { "none" };
        line(&mut out, &format!("{FIRST}{}", self.version), &self.algorithm);
        line(&mut out, "Encryption", encryption);
        line(&mut out, "Comment", &self.comment);
        block(&mut out, "Public-Lines", &self.public);
        if let Some(Protection { derivation: Some(derivation) }) = &self.protection {
            line(&mut out, "Key-Derivation", "Argon2id");
            line(&mut out, "Argon2-Memory", &derivation.memory_kib.to_string());
            line(&mut out, "Argon2-Passes", &derivation.passes.to_string());
            line(&mut out, "Argon2-Parallelism", &derivation.lanes.to_string());
            line(&mut out, "Argon2-Salt", &hex(&derivation.salt));
        }
        block(&mut out, "Private-Lines", &self.private);
        line(&mut out, "Private-MAC", &hex(&self.mac));
        out
    }
}

fn line(out: &mut Vec<u8>, name: &str, text: &str) {
    [name, ": ", text, "\n"].iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn block(out: &mut Vec<u8>, name: &str, octets: &[u8]) {
    let base64 = Zeroizing::new(STANDARD.encode(octets));
    line(out, name, &base64.len().div_ceil(LINE_CHARACTERS).to_string());
    for part in base64.as_bytes().chunks(LINE_CHARACTERS) {
        out.extend_from_slice(part);
        out.push(b'\n');
    }
}

/// Lines that are left.
struct Lines<'a> {
    rest: Vec<&'a [u8]>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest.get(self.at).copied()?;
        self.at += 1;
        Some(line)
    }

    /// The value of the next line, which must be called `name`.
    fn value(&mut self, name: &str) -> Result<String, KeyError> {
        let missing = || damaged(WHAT, &format!("its line {name} is missing"));
        let line = self.next().ok_or_else(missing)?;
        let value = line.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b":")).ok_or_else(missing)?;
        if value.len() > KEY_TEXT_OCTETS_MAX {
            return Err(damaged(WHAT, &format!("its line {name} is too long")));
        }
        let text = std::str::from_utf8(value).map_err(|_| damaged(WHAT, &format!("its line {name} is not text")))?;
        Ok(text.strip_prefix(' ').unwrap_or(text).to_owned())
    }

    fn number(&mut self, name: &str) -> Result<u32, KeyError> {
        self.value(name)?.trim().parse().map_err(|_| damaged(WHAT, &format!("its line {name} is not a number")))
    }

    /// So many lines of base 64 as the line called `name` says.
    fn base64(&mut self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let count = usize::try_from(self.number(name)?).unwrap_or(usize::MAX);
        let lines = self.rest.get(self.at..).and_then(|rest| rest.get(..count));
        let lines = lines.ok_or_else(|| damaged(WHAT, &format!("it is cut short behind {name}")))?;
        self.at += count;
        let mut base64 = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
        lines.iter().for_each(|line| base64.extend_from_slice(line));
        let octets = STANDARD.decode(base64.as_slice());
        octets.map(Zeroizing::new).map_err(|_| damaged(WHAT, &format!("what follows {name} is not base 64")))
    }

    fn derivation(&mut self) -> Result<Derivation, KeyError> {
        let algorithm = match self.value("Key-Derivation")?.as_str() {
            "Argon2id" => Algorithm::Argon2id,
            "Argon2i" => Algorithm::Argon2i,
            "Argon2d" => Algorithm::Argon2d,
            other => {
                let algorithm = format!("key derivation {}", octets_text(other.as_bytes()));
                return Err(KeyError::Encryption { what: WHAT, algorithm });
            }
        };
        let (memory_kib, passes) = (self.number("Argon2-Memory")?, self.number("Argon2-Passes")?);
        let lanes = self.number("Argon2-Parallelism")?;
        let salt = unhex(&self.value("Argon2-Salt")?).ok_or(damaged(WHAT, "its salt is not hexadecimal"))?;
        Ok(Derivation { algorithm, memory_kib, passes, lanes, salt })
    }

    fn end(mut self) -> Result<(), KeyError> {
        while let Some(line) = self.next() {
            if !line.is_empty() {
                return Err(damaged(WHAT, "something follows behind its end"));
            }
        }
        Ok(())
    }
}

const FIRST: &str = "PuTTY-User-Key-File-";

/// Characters of a line of base 64.
const LINE_CHARACTERS: usize = 64;
