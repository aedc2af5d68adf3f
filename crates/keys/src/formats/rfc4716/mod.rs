//! RFC 4716 files: a public key in base 64 between lines of four dashes, with headers that may go on over several lines.

use base::{Secret, octets_text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyFormat, without_mark};
use crate::error::damaged;
use crate::pbe::Opening;
use crate::{KeyError, KeyFileFormat, KeyMaterial, PublicKey};

/// The format's registration.
pub(super) struct Rfc4716;

impl KeyFormat for Rfc4716 {
    fn format(&self) -> KeyFileFormat {
        KeyFileFormat::Rfc4716
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        lines(file).any(|line| line == BEGIN).then(|| "an RFC 4716 public key".to_owned())
    }

    fn read(&self, file: &[u8], _opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
        let mut lines = lines(file).skip_while(|line| *line != BEGIN);
        lines.next();
        let mut base64 = Vec::with_capacity(file.len());
        let mut header_goes_on = false;
        let mut ended = false;
        for line in lines.by_ref() {
            if line == END {
                ended = true;
                break;
            }
            // Base 64 has neither a colon nor a backslash (RFC 4716 section 3.3).
            if header_goes_on || line.contains(&b':') {
                header_goes_on = line.ends_with(b"\\");
                if line.len() > LINE_OCTETS_MAX {
                    return Err(damaged(WHAT, "a header line of it is too long"));
                }
            } else {
                base64.extend_from_slice(line.trim_ascii());
            }
        }
        if !ended {
            return Err(damaged(WHAT, "its END line is missing"));
        }
        let mut rest = lines.filter(|line| !line.trim_ascii().is_empty());
        match rest.next() {
            None => {}
            Some(line) if line == BEGIN => {
                return Err(KeyError::Several { count: rest.filter(|line| *line == BEGIN).count() + 2 });
            }
            Some(line) => {
                return Err(damaged(WHAT, &format!("{} follows behind its end", octets_text(line))));
            }
        }
        let blob = STANDARD.decode(base64).map_err(|_| damaged(WHAT, "it is not base 64, or cut short"))?;
        PublicKey::from_ssh_blob(&blob).map(KeyMaterial::Public)
    }

    fn write(&self, key: &KeyMaterial, _password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
        let KeyMaterial::Public(key) = key else {
            return Err(KeyError::NotWritable { format: self.format(), what: "a private key" });
        };
        let mut out = [BEGIN, b"\n"].concat();
        for line in STANDARD.encode(key.ssh_blob()).as_bytes().chunks(LINE_CHARACTERS) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out.extend_from_slice(END);
        out.push(b'\n');
        Ok(Secret::new(out))
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    without_mark(file).split(|o| *o == b'\n').map(|line| line.trim_ascii_end())
}

const BEGIN: &[u8] = b"---- BEGIN SSH2 PUBLIC KEY ----";
const END: &[u8] = b"---- END SSH2 PUBLIC KEY ----";
const WHAT: &str = "RFC 4716 public key";

/// Octets of a header line (RFC 4716 section 3.3 has 72 octets a line and 1,024 for the value).
const LINE_OCTETS_MAX: usize = 1100;
/// Characters of a line of base 64, at most 72 (RFC 4716 section 3.2).
const LINE_CHARACTERS: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyAlgorithm;
    use crate::tests::any_key;
    use crate::{read_key, write_key};

    fn file(headers: &str) -> (PublicKey, String) {
        let key = any_key(KeyAlgorithm::Rsa).public().clone();
        let file = write_key(&KeyMaterial::Public(key.clone()), KeyFileFormat::Rfc4716, None).unwrap();
        let text = String::from_utf8(file.expose().clone()).unwrap();
        (key, text.replacen('\n', &format!("\n{headers}"), 1))
    }

    fn refused(file: &str) -> String {
        read_key(file.as_bytes(), None, None).unwrap_err().to_string()
    }

    // KEY-1
    #[test]
    fn headers_and_windows_lines_do_no_harm() {
        for headers in [
            "",
            "Comment: \"2048-bit RSA, partner@example\"\n",
            "Subject: me\nComment: This is my public key for use on \\\nservers which I don't like.\n",
            "x-command: /home/me/bin/lock-in-guest.sh\n",
        ] {
            let (key, text) = file(headers);
            for text in [text.clone(), text.replace('\n', "\r\n"), format!("some text\n{text}\n\n")] {
                assert_eq!(read_key(text.as_bytes(), None, None).unwrap().public(), &key, "{text}");
            }
        }
    }

    #[test]
    fn broken_files_are_refused() {
        let (_, text) = file("");
        assert!(refused(&text.replace("---- END", "---- NO")).contains("END line is missing"));
        assert!(refused(&text.repeat(3)).contains("3 keys"));
        assert!(refused(&format!("{text}tail")).contains("tail follows"));
        assert!(refused(&text.replacen("AAAA", "AA*A", 1)).contains("base 64"));
        assert!(
            refused(&format!("{}\n{}\n", "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----")).len()
                > 20
        );
        assert!(refused("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAA\n").contains("Tectia"));
    }
}
