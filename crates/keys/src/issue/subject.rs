//! Names as a person writes them (RFC 1485), and as certificates hold them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base::brief;
use der::asn1::ObjectIdentifier;

use super::IssueError;
use crate::asn1::{SEQUENCE, Values, id, oid, value};

/// Who a certificate is for: a distinguished name. Its parts keep the order in which they were written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject(Vec<u8>);

impl Subject {
    /// The name that a certificate has, as a DER `Name`.
    ///
    /// # Errors
    /// [`IssueError::Subject`] if it is none.
    pub fn from_der(name: &[u8]) -> Result<Self, IssueError> {
        let is_name = Values::only("name", name).is_ok_and(|value| value.tag == der::Tag::Sequence);
        let wrong = || IssueError::Subject { why: "is no distinguished name".to_owned() };
        if is_name { Ok(Self(name.to_vec())) } else { Err(wrong()) }
    }

    /// The name in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = IssueError;
    fn from_str(text: &str) -> Result<Self, IssueError> {
        let wrong = |why: &str| IssueError::Subject { why: why.to_owned() };
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(wrong("has more than 512 characters"));
        }
        let mut parts = Vec::new();
        for part in split(text).ok_or_else(|| wrong("ends inside quotes or behind a backslash"))? {
            let (label, content) = part.split_once('=').ok_or_else(|| wrong("has a part without ="))?;
            let label = label.trim();
            let known = LABELS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(label));
            let (_, kind, tag) =
                known.ok_or_else(|| wrong(&format!("has an unknown attribute {:?}", brief(label, 20))))?;
            let content = unescaped(content.trim());
            if content.is_empty() || content.chars().any(char::is_control) {
                return Err(wrong(&format!("has no usable text for {label}")));
            }
            if *tag != UTF8_STRING && !content.is_ascii() {
                return Err(wrong(&format!("has letters for {label} that only other attributes can have")));
            }
            if label.eq_ignore_ascii_case("C") && content.len() != 2 {
                return Err(wrong("has a country that is no code of two letters"));
            }
            let pair = value(SEQUENCE, &[&oid(*kind), &value(*tag, &[content.as_bytes()])]);
            parts.extend_from_slice(&value(SET, &[&pair]));
        }
        if parts.is_empty() { Err(wrong("is empty")) } else { Ok(Self(value(SEQUENCE, &[&parts]).to_vec())) }
    }
}

/// The parts between commas that are neither quoted nor behind a backslash; `None` if the text ends inside of these.
fn split(text: &str) -> Option<Vec<String>> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    if quoted || escaped {
        return None;
    }
    parts.push(part);
    Some(parts.into_iter().filter(|part| !part.trim().is_empty()).collect())
}

/// The text without its quotes and backslashes.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => out.push(c),
            '\\' => escaped = true,
            '"' => {}
            c => out.push(c),
        }
    }
    out
}

/// Another name of the same subject (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AlternativeName {
    /// A host.
    Dns(String),
    /// An address of a host.
    Ip(IpAddr),
    /// A mail address.
    Email(String),
    /// An address of anything.
    Uri(String),
}

impl AlternativeName {
    pub(super) fn der(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => value(0x81, &[text.as_bytes()]),
            Self::Dns(text) => value(0x82, &[text.as_bytes()]),
            Self::Uri(text) => value(0x86, &[text.as_bytes()]),
            Self::Ip(IpAddr::V4(ip)) => value(0x87, &[&ip.octets()]),
            Self::Ip(IpAddr::V6(ip)) => value(0x87, &[&ip.octets()]),
        }
        .to_vec()
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) => write!(f, "DNS:{text}"),
            Self::Ip(ip) => write!(f, "IP:{ip}"),
            Self::Email(text) => write!(f, "EMAIL:{text}"),
            Self::Uri(text) => write!(f, "URI:{text}"),
        }
    }
}

impl FromStr for AlternativeName {
    type Err = IssueError;
    fn from_str(text: &str) -> Result<Self, IssueError> {
        let wrong = || IssueError::AlternativeName { text: brief(text, 60) };
        let (form, rest) = match text.split_once(':') {
            Some((form, rest)) if FORMS.iter().any(|known| form.eq_ignore_ascii_case(known)) => {
                (form.to_ascii_uppercase(), rest)
            }
            _ if text.parse::<IpAddr>().is_ok() => ("IP".to_owned(), text),
            _ if text.contains('@') => ("EMAIL".to_owned(), text),
            _ => ("DNS".to_owned(), text),
        };
        let plain = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic()) && rest.len() <= TEXT_OCTETS_MAX;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '*');
        match form.as_str() {
            "IP" => rest.parse().map(Self::Ip).map_err(|_| wrong()),
            "DNS" if plain && rest.chars().all(is_host) => Ok(Self::Dns(rest.to_owned())),
            "EMAIL" if plain && rest.contains('@') => Ok(Self::Email(rest.to_owned())),
            "URI" if plain => Ok(Self::Uri(rest.to_owned())),
            _ => Err(wrong()),
        }
    }
}

const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const FORMS: [&str; 4] = ["DNS", "IP", "EMAIL", "URI"];
/// Characters of a name as it is written.
const NAME_CHARS_MAX: usize = 512;
/// Octets of an alternative name.
const TEXT_OCTETS_MAX: usize = 255;

/// Attributes by the labels that are taken, with the type of their text (RFC 5280 appendix A.1).
const LABELS: [(&str, ObjectIdentifier, u8); 14] = [
    ("C", id("2.5.4.6"), PRINTABLE_STRING),
    ("O", id("2.5.4.10"), UTF8_STRING),
    ("OU", id("2.5.4.11"), UTF8_STRING),
    ("ST", id("2.5.4.8"), UTF8_STRING),
    ("S", id("2.5.4.8"), UTF8_STRING),
    ("SP", id("2.5.4.8"), UTF8_STRING),
    ("L", id("2.5.4.7"), UTF8_STRING),
    ("CN", id("2.5.4.3"), UTF8_STRING),
    ("SERIALNUMBER", id("2.5.4.5"), PRINTABLE_STRING),
    ("STREET", id("2.5.4.9"), UTF8_STRING),
    ("DC", id("0.9.2342.19200300.100.1.25"), IA5_STRING),
    ("UID", id("0.9.2342.19200300.100.1.1"), UTF8_STRING),
    ("E", id("1.2.840.113549.1.9.1"), IA5_STRING),
    ("EMAILADDRESS", id("1.2.840.113549.1.9.1"), IA5_STRING),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_refused() {
        let same = |a: &str, b: &str| assert_eq!(a.parse::<Subject>().unwrap(), b.parse().unwrap(), "{a}");
        same("C=RO, O=Example", "c=RO,o=Example");
        same("O=\"Example, Inc.\",CN=x", "O=Example\\, Inc. , CN=x");
        same("SP=Ilfov", "ST=Ilfov");
        assert_ne!("C=RO, O=X".parse::<Subject>(), "O=X, C=RO".parse(), "the order counts");
        for (text, why) in [
            ("", "is empty"),
            (" , ", "is empty"),
            ("me", "without ="),
            ("XX=me", "unknown attribute \"XX\""),
            ("CN=", "no usable text for CN"),
            ("CN=a\u{7}b", "no usable text"),
            ("C=ROU", "two letters"),
            ("C=é", "other attributes"),
            ("CN=\"me", "ends inside quotes"),
            ("CN=me\\", "behind a backslash"),
            (&format!("CN={}", "x".repeat(600)), "512 characters"),
        ] {
            let error = text.parse::<Subject>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn alternative_names_are_read_and_refused() {
        for (text, shown) in [
            ("host.example", "DNS:host.example"),
            ("*.example", "DNS:*.example"),
            ("192.0.2.1", "IP:192.0.2.1"),
            ("2001:db8::1", "IP:2001:db8::1"),
            ("me@example", "EMAIL:me@example"),
            ("uri:https://x/", "URI:https://x/"),
        ] {
            assert_eq!(text.parse::<AlternativeName>().unwrap().to_string(), shown);
        }
        for text in ["", "a b", "DNS:", "IP:host", "EMAIL:me", "URI:é", "x:y"] {
            assert!(text.parse::<AlternativeName>().is_err(), "{text}");
        }
    }
}
