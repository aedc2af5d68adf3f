//! The name of a public key, in three forms.

use std::fmt;
use std::str::FromStr;

use base::{hex, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::KeyError;
use crate::words::WORDS;

/// SHA-256 of a public key as SSH carries it. Printed as OpenSSH does: `SHA256:` and base 64 without padding (KEY-5).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Eight common words that stand for the first 64 bits, to be compared by telephone. They help two people find out
    /// that they speak of different keys; a forger who tries 2^64 keys could match them, so decisions take the whole.
    #[must_use]
    pub fn words(&self) -> String {
        let words: Vec<&str> =
            self.0.iter().take(WORDS_SPOKEN).filter_map(|o| WORDS.get(usize::from(*o)).copied()).collect();
        words.join(" ")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("SHA256:{}", STANDARD_NO_PAD.encode(self.0)))
    }
}

impl FromStr for Fingerprint {
    type Err = KeyError;

    /// Reads both written forms; of the words only eight octets can be told, so they are no way back.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let octets = match text.strip_prefix("SHA256:") {
            Some(base64) => STANDARD_NO_PAD.decode(base64.trim_end_matches('=')).ok(),
            None => unhex(text),
        };
        octets.and_then(|o| o.try_into().ok()).map(Self).ok_or(KeyError::Fingerprint)
    }
}

/// Words that are spoken.
const WORDS_SPOKEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // KEY-5, with the Ed25519 host key and fingerprint that GitHub publishes for its own servers.
    #[test]
    fn a_published_fingerprint() {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let key = crate::read_key(line.as_bytes(), None, None).unwrap();
        let print = key.public().fingerprint();
        assert_eq!(print.to_string(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }

    #[test]
    fn forms() {
        let print = Fingerprint(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(print.to_string(), "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert_eq!(print.hex(), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        assert_eq!(print.words(), "acorn actor adult agent album amber anchor ankle");
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_eq!(format!("{print}=").parse(), Ok(print));
        assert_eq!(print.hex().to_uppercase().parse(), Ok(print));
        for bad in ["", "SHA256:", "MD5:00", "SHA256:AAEC", "zz"] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(KeyError::Fingerprint), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn both_forms_survive(octets in any::<[u8; 32]>()) {
            let print = Fingerprint(octets);
            prop_assert_eq!(print.to_string().parse(), Ok(print));
            prop_assert_eq!(print.hex().parse(), Ok(print));
        }
    }
}
