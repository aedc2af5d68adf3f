//! Keys of a partner as people have them: a file or a pasted line, from `ssh-keygen`, `authorized_keys`, `known_hosts` or
//! `ssh-keyscan`.

use keys::{KeyFileFormat, KeyMaterial, PublicKey, RSA_BITS_MAX, SizeLimits, check_size, read_key};

/// Keys that are taken of one partner at once.
const KEYS_MAX: usize = 8;

/// The public keys in a file or line.
///
/// # Errors
/// A sentence that says what was found.
pub(crate) fn public_keys(octets: &[u8]) -> Result<Vec<PublicKey>, String> {
    let text = std::str::from_utf8(octets).unwrap_or_default();
    if text.contains("PRIVATE KEY") {
        return Err(
            "that is a private key, which stays with its owner: give the public one, as the file that ends in \
                    .pub holds it"
                .to_owned(),
        );
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.filter_map(bare).collect();
    let mut found: Vec<PublicKey> = Vec::new();
    if lines.is_empty() {
        found.push(public(octets, None)?);
    }
    for line in lines {
        let key = public(line.as_bytes(), Some(KeyFileFormat::Txt))?;
        if !found.contains(&key) {
            found.push(key);
        }
    }
    if found.len() > KEYS_MAX {
        return Err(format!("there are {} keys: give at most {KEYS_MAX}", found.len()));
    }
    Ok(found)
}

/// From the type of the key on: what stands before it in `known_hosts` and `authorized_keys` is left out.
fn bare(line: &str) -> Option<&str> {
    let at = line.match_indices(char::is_whitespace).map(|(at, _)| at.saturating_add(1));
    let starts = std::iter::once(0).chain(at);
    starts.filter_map(|at| line.get(at..)).find(|rest| {
        let mut words = rest.split_whitespace();
        let is_type = words.next().is_some_and(|word| TYPES.iter().any(|family| word.starts_with(family)));
        let starts_here = !rest.starts_with(char::is_whitespace);
        starts_here && is_type && words.next().is_some_and(|word| word.starts_with("AAAA"))
    })
}

/// Families of key types on the wire.
const TYPES: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

fn public(octets: &[u8], format: Option<KeyFileFormat>) -> Result<PublicKey, String> {
    let key = match read_key(octets, format, None) {
        Ok(KeyMaterial::Public(key)) => key,
        Ok(KeyMaterial::Private(_)) => {
            return Err("that is a private key, which stays with its owner: give the public one".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    // Whether a setting allows large ones is asked when they are stored.
    check_size(&key, &SizeLimits { rsa_max: RSA_BITS_MAX, ..SizeLimits::default() }).map_err(|e| e.to_string())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keys::{KeyAlgorithm, PrivateKey, write_key};

    #[test]
    fn keys_are_read_as_people_have_them() {
        let make = |algorithm| PrivateKey::generate(algorithm, None).unwrap();
        let (first, second) = (make(KeyAlgorithm::Ed25519), make(KeyAlgorithm::EcdsaNistp256));
        let (a, b) = (first.public().openssh_line("alice"), second.public().openssh_line(""));
        for (text, expected) in [
            (a.clone(), 1),
            (format!("\n# comment\n{a}\r\n"), 1),
            (format!("sftp.b.example {a}\n[sftp.b.example]:2222 {b}\n"), 2),
            (format!("from=\"10.0.0.0/8\",no-pty {a}\n{a}\n"), 1),
            (format!("# sftp.b.example:22 SSH-2.0-X\n|1|a=|b= {b}\n"), 1),
        ] {
            assert_eq!(public_keys(text.as_bytes()).unwrap().len(), expected, "{text}");
        }
        let private = write_key(&KeyMaterial::Private(first), KeyFileFormat::OpenSsh, None).unwrap();
        assert!(public_keys(private.expose()).unwrap_err().contains("private key"));
        let cut = a.get(..40).unwrap();
        assert!(!public_keys(cut.as_bytes()).unwrap_err().is_empty());
        for text in ["", "hello", "ssh-ed25519"] {
            assert!(public_keys(text.as_bytes()).is_err(), "{text}");
        }
        let many: String = (0..9).map(|_| make(KeyAlgorithm::Ed25519).public().openssh_line("") + "\n").collect();
        assert!(public_keys(many.as_bytes()).unwrap_err().contains("at most 8"));
    }
}
