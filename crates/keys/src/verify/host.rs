//! Whether a server's certificate is for the host that was called (RFC 9525).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::certificate::{AltName, Certificate};

/// Whom we called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PeerName {
    /// A host, in lower case, without a final dot.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// A text that is no host.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no host name: give an address, or labels of letters, digits and hyphens (an IDN as xn--…)")]
pub struct PeerNameError {
    text: String,
}

impl FromStr for PeerName {
    type Err = PeerNameError;
    fn from_str(text: &str) -> Result<Self, PeerNameError> {
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            let plain = label.bytes().all(|o| o.is_ascii_alphanumeric() || b"-_".contains(&o));
            plain && !label.is_empty() && label.len() <= 63
        };
        if name.len() <= 253 && name.split('.').all(is_label) {
            Ok(Self::Dns(name.to_ascii_lowercase()))
        } else {
            Err(PeerNameError { text: base::octets_text(text.as_bytes()) })
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

/// A certificate that is for somebody else.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the certificate is not for {called}: it names {named}")]
pub struct NameMismatch {
    /// Whom we called.
    pub called: PeerName,
    /// Whom the certificate is for.
    pub named: String,
}

/// Says whether `certificate` is for `called`. Only alternative names count; the common name does not (RFC 9525 section 2).
///
/// # Errors
/// [`NameMismatch`], with the names that it does have.
pub fn check_name(certificate: &Certificate, called: &PeerName) -> Result<(), NameMismatch> {
    let names = &certificate.extensions().alt_names;
    let fits = names.iter().any(|name| match (name, called) {
        (AltName::Dns(pattern), PeerName::Dns(host)) => matches(pattern, host),
        (AltName::Ip(address), PeerName::Ip(wanted)) => address == wanted,
        _ => false,
    });
    if fits {
        return Ok(());
    }
    let comparable = names.iter().filter(|name| matches!(name, AltName::Dns(_) | AltName::Ip(_)));
    let shown: Vec<String> = comparable.take(NAMES_SHOWN_MAX).map(ToString::to_string).collect();
    let named = if shown.is_empty() {
        "no host in its alternative names (the common name does not count)".to_owned()
    } else {
        shown.join(", ")
    };
    Err(NameMismatch { called: called.clone(), named })
}

/// Names that a sentence shows.
const NAMES_SHOWN_MAX: usize = 5;

/// RFC 9525 section 6.3: `*` is the whole first label, stands for exactly one, and two labels at least follow it.
fn matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let Some(parent) = pattern.strip_prefix("*.") else { return !pattern.contains('*') && pattern == host };
    let is_wide = !parent.contains('.') || parent.contains('*');
    !is_wide && host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9525 section 6.3
    #[test]
    fn stars_stand_for_one_label() {
        for (pattern, host, fits) in [
            ("example.com", "example.com", true),
            ("Example.COM", "example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("a.*.example.com", "a.b.example.com", false),
            ("a*.example.com", "ab.example.com", false),
            ("*.com", "example.com", false),
            ("*", "com", false),
            ("*.*.com", "a.b.com", false),
            ("xn--*.example.com", "xn--a.example.com", false),
        ] {
            assert_eq!(matches(pattern, host), fits, "{pattern} {host}");
        }
    }

    #[test]
    fn hosts_are_read_once() {
        assert_eq!("Host.Example.".parse(), Ok(PeerName::Dns("host.example".to_owned())));
        assert_eq!("[2001:DB8::1]".parse(), Ok(PeerName::Ip("2001:db8::1".parse().unwrap())));
        for bad in ["", "a..b", "bücher.example", "a b", "*.example.com"] {
            assert!(bad.parse::<PeerName>().is_err(), "{bad}");
        }
    }
}
