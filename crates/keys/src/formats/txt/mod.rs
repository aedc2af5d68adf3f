//! TXT files: one public key on one line, as OpenSSH writes it and `authorized_keys` holds it.

use base::{Secret, octets_text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyFormat, without_mark};
use crate::pbe::Opening;
use crate::{KeyAlgorithm, KeyError, KeyFileFormat, KeyMaterial, PublicKey};

/// The format's registration.
pub(super) struct Txt;

impl KeyFormat for Txt {
    fn format(&self) -> KeyFileFormat {
        KeyFileFormat::Txt
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        recognise_line(file)
    }

    fn read(&self, file: &[u8], _opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
        read_line(file).map(KeyMaterial::Public)
    }

    fn write(&self, key: &KeyMaterial, _password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
        match key {
            KeyMaterial::Public(key) => Ok(write_line(key)),
            KeyMaterial::Private(_) => Err(KeyError::NotWritable { format: self.format(), what: "a private key" }),
        }
    }
}

/// Whether `file` is a public key on one line, be it of a kind that is known or not.
pub(super) fn recognise_line(file: &[u8]) -> Option<String> {
    let line = key_lines(file).next()?;
    let mut words = words(line).peekable();
    let first = is_key_type(words.peek()?);
    // Options may stand before the type; then its base 64, which always begins alike, tells.
    let behind_options = words.clone().zip(words.skip(1)).any(|(a, b)| is_key_type(a) && b.starts_with(b"AAAA"));
    (first || behind_options).then(|| "a one-line OpenSSH public key".to_owned())
}

/// Reads the one key; lines that are empty or begin with `#` don't count.
pub(super) fn read_line(file: &[u8]) -> Result<PublicKey, KeyError> {
    let mut lines = key_lines(file);
    let line = lines.next().ok_or(damaged("it has no key"))?;
    match lines.count() {
        0 => {}
        more => return Err(KeyError::Several { count: more + 1 }),
    }
    let mut words = words(line);
    let kind = words.next().unwrap_or_default();
    if !is_key_type(kind) {
        return Err(damaged("options stand before its key: leave the type, the key and the comment"));
    }
    let base64 = words.next().ok_or(damaged("base 64 is missing behind its type"))?;
    let blob = STANDARD.decode(base64).map_err(|_| damaged("it is not base 64, or cut short"))?;
    let key = PublicKey::from_ssh_blob(&blob)?;
    if key.ssh_name().as_bytes() == kind {
        Ok(key)
    } else {
        Err(damaged(&format!("it is called {} but is {}", octets_text(kind), key.ssh_name())))
    }
}

/// Writes the key without a comment.
pub(super) fn write_line(key: &PublicKey) -> Secret<Vec<u8>> {
    Secret::new(format!("{}\n", key.openssh_line("")).into_bytes())
}

fn key_lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    without_mark(file)
        .split(|o| matches!(o, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.split(|o| matches!(o, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// Key types that are known, and the families of those that are not, so that they are refused by name.
fn is_key_type(word: &[u8]) -> bool {
    KeyAlgorithm::ALL.iter().any(|a| a.ssh_name().as_bytes() == word)
        || [&b"ssh-"[..], b"ecdsa-sha2-", b"sk-", b"rsa-sha2-"].iter().any(|family| word.starts_with(family))
}

fn damaged(why: &str) -> KeyError {
    KeyError::Damaged { what: "one-line public key", why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_key;
    use crate::tests::any_key;

    fn refused(file: &str) -> String {
        read_key(file.as_bytes(), Some(KeyFileFormat::Txt), None).unwrap_err().to_string()
    }

    #[test]
    fn lines_as_they_are_met() {
        let key = any_key(KeyAlgorithm::Ed25519);
        let line = key.public().openssh_line("someone@example");
        for file in [
            line.clone(),
            format!("{line}\r\n"),
            format!("# comment\n\n  {line}  \n\n"),
            format!("\u{feff}{line}\n"),
            line.replace(' ', "\t"),
        ] {
            assert_eq!(read_key(file.as_bytes(), None, None).unwrap().public(), key.public(), "{file}");
        }
    }

    #[test]
    fn other_lines_are_refused_by_name() {
        let key = any_key(KeyAlgorithm::Ed25519);
        let line = key.public().openssh_line("someone");
        assert_eq!(refused(&format!("{line}\n{line}\n")), "file holds 2 keys: give one key in a file");
        assert!(refused(&format!("no-pty {line}")).contains("options"));
        assert!(refused(&line.replace("ssh-ed25519", "ssh-rsa")).contains("is called ssh-rsa but is ssh-ed25519"));
        assert!(refused("ssh-ed25519").contains("missing"));
        assert!(refused("ssh-ed25519 AAA").contains("base 64"));
        for (name, says) in [
            ("ssh-ed25519-cert-v01@openssh.com", "certificate"),
            ("sk-ssh-ed25519@openssh.com", "security token"),
            ("ssh-xmss@openssh.com", "not known"),
        ] {
            let mut wire = crate::ssh_wire::Wire::default();
            wire.string(name.as_bytes());
            let error = refused(&format!("{name} {}", STANDARD.encode(&*wire.0)));
            assert!(error.contains(says), "{error}");
        }
    }
}
