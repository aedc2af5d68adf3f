//! Distinguished names: compared by the rules of RFC 5280 section 7.1, shown as RFC 1485 writes them.

use std::fmt;
use std::hash::{Hash, Hasher};

use ::der::asn1::{Any, ObjectIdentifier};
use ::der::{Decode, Encode, Tag, Tagged};
use base::{brief, hex, octets_text};
use unicode_normalization::UnicodeNormalization;

use super::error::{CertificateError, damaged};
use super::limits::{NAME_ATTRIBUTES_MAX, NAME_CHARS_MAX};

/// A distinguished name.
///
/// Two names are equal if RFC 5280 section 7.1 says so: the same attributes in the same order, their text compared without
/// regard to case, kind of string, leading, trailing and repeated blanks. Text is brought to NFKC before (RFC 4518
/// section 2); upper and lower case are told by Unicode's simple mapping, so that `ß` and `SS` stay different.
#[derive(Clone)]
pub struct Name {
    der: Box<[u8]>,
    attributes: Box<[Attribute]>,
    /// One entry for each relative name, in a form that is equal where the names are.
    keys: Box<[Box<[u8]>]>,
}

/// One attribute of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    /// Its position: attributes of one multi-valued relative name share it.
    pub relative: usize,
    /// What kind of attribute.
    pub kind: ObjectIdentifier,
    /// Its text; `None` if it holds no text.
    pub text: Option<String>,
    octets: Box<[u8]>,
}

impl Attribute {
    /// The short name that people use for the kind, or its number.
    #[must_use]
    pub fn label(&self) -> String {
        let known = LABELS.iter().find(|(kind, _)| *kind == self.kind);
        known.map_or_else(|| self.kind.to_string(), |(_, label)| (*label).to_owned())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}={}", self.label(), quoted(text)),
            None => write!(f, "{}=#{}", self.label(), brief(&hex(&self.octets), SHOWN_DIGITS_MAX)),
        }
    }
}

impl Name {
    /// Reads a DER `Name`.
    ///
    /// # Errors
    /// [`CertificateError::Damaged`], [`CertificateError::TooMany`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let name = x509_cert::name::Name::from_der(der).map_err(|e| damaged("name", e))?;
        Self::new(&name)
    }

    pub(super) fn new(name: &x509_cert::name::Name) -> Result<Self, CertificateError> {
        let mut attributes = Vec::new();
        let mut keys = Vec::new();
        for (relative, set) in name.iter_rdn().enumerate() {
            let mut parts = Vec::new();
            for pair in set.iter() {
                let text = text_of(&pair.value);
                parts.push(key_of(pair.oid, &pair.value, text.as_deref()));
                let octets = pair.value.value().into();
                attributes.push(Attribute { relative, kind: pair.oid, text, octets });
            }
            parts.sort();
            keys.push(parts.concat().into_boxed_slice());
        }
        if attributes.len() > NAME_ATTRIBUTES_MAX {
            let (count, max) = (attributes.len(), NAME_ATTRIBUTES_MAX);
            return Err(CertificateError::TooMany { what: "attributes in a name", count, max });
        }
        let der = name.to_der().map_err(|e| damaged("name", e))?;
        Ok(Self { der: der.into(), attributes: attributes.into(), keys: keys.into() })
    }

    /// The name as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attribute at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Its attributes, in order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Whether one of its relative names has more than one attribute (CERT-13).
    #[must_use]
    pub fn is_multi_valued(&self) -> bool {
        self.attributes.len() > self.keys.len()
    }

    /// The last common name, which is what people call the subject by.
    #[must_use]
    pub fn cn(&self) -> Option<&str> {
        self.attributes.iter().rev().find(|a| a.kind == CN).and_then(|a| a.text.as_deref())
    }

    /// The mail addresses in it. Name constraints hold for them where no alternative name gives one (RFC 5280 section
    /// 4.2.1.10).
    pub fn mail_addresses(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().filter(|a| a.kind == EMAIL).filter_map(|a| a.text.as_deref())
    }

    /// Whether it is `base` or below it (RFC 5280 section 4.2.1.10).
    #[must_use]
    pub fn is_within(&self, base: &Self) -> bool {
        self.keys.starts_with(&base.keys)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.keys.hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.keys.cmp(&other.keys)
    }
}

impl fmt::Display for Name {
    /// As RFC 1485 writes names, in the order of the certificate: `C=RO, O=Example`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut before = None;
        for attribute in &self.attributes {
            match before {
                Some(relative) if relative == attribute.relative => text.push_str(" + "),
                Some(_) => text.push_str(", "),
                None => {}
            }
            before = Some(attribute.relative);
            text.push_str(&attribute.to_string());
        }
        f.pad(&brief(&text, NAME_CHARS_MAX))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The value as RFC 1485 section 2.1 quotes it, safe to show.
fn quoted(text: &str) -> String {
    let shown = octets_text(text.as_bytes());
    let special = |c: char| matches!(c, ',' | '+' | '=' | '"' | '<' | '>' | '#' | ';');
    let bare = !shown.is_empty() && shown.trim() == shown && !shown.contains(special);
    if bare { shown } else { format!("\"{}\"", shown.replace('"', "\\\"")) }
}

/// The text that a value holds, if it holds text.
fn text_of(value: &Any) -> Option<String> {
    let octets = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            String::from_utf8(octets.to_vec()).ok()
        }
        // In practice always Latin 1, whatever T.61 says.
        Tag::TeletexString => Some(octets.iter().map(|o| char::from(*o)).collect()),
        Tag::BmpString => {
            let (pairs, []) = octets.as_chunks::<2>() else { return None };
            char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair))).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// An attribute in a form that is equal where RFC 5280 section 7.1 takes two attributes for equal. Its parts say their
/// length, so that no two different names meet.
fn key_of(kind: ObjectIdentifier, value: &Any, text: Option<&str>) -> Vec<u8> {
    let (form, content) = match text {
        Some(text) => (0_u8, prepared(text).into_bytes()),
        None => (1, value.to_der().unwrap_or_default()),
    };
    let mut key = Vec::new();
    for part in [kind.as_bytes(), [form].as_slice(), content.as_slice()] {
        key.extend_from_slice(&part.len().to_be_bytes());
        key.extend_from_slice(part);
    }
    key
}

/// Text ready to be compared (RFC 4518 section 2, in short).
fn prepared(text: &str) -> String {
    let visible = text.chars().filter(|c| c.is_whitespace() || !(c.is_control() || is_format(*c)));
    let folded: String = visible.nfkc().flat_map(char::to_lowercase).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters that RFC 4518 section 2.2 maps to nothing.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Most hexadecimal digits of a value that is no text.
const SHOWN_DIGITS_MAX: usize = 64;

const CN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// PKCS#9, deprecated but frequent.
const EMAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// Kinds of attribute and their short names. `SP` for the state and `E` for mail are the documented ones.
const LABELS: [(ObjectIdentifier, &str); 16] = [
    (ObjectIdentifier::new_unwrap("2.5.4.6"), "C"),
    (ObjectIdentifier::new_unwrap("2.5.4.10"), "O"),
    (ObjectIdentifier::new_unwrap("2.5.4.11"), "OU"),
    (ObjectIdentifier::new_unwrap("2.5.4.8"), "SP"),
    (ObjectIdentifier::new_unwrap("2.5.4.7"), "L"),
    (CN, "CN"),
    (EMAIL, "E"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"), "DC"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1"), "UID"),
    (ObjectIdentifier::new_unwrap("2.5.4.5"), "SERIALNUMBER"),
    (ObjectIdentifier::new_unwrap("2.5.4.9"), "STREET"),
    (ObjectIdentifier::new_unwrap("2.5.4.4"), "SN"),
    (ObjectIdentifier::new_unwrap("2.5.4.42"), "GN"),
    (ObjectIdentifier::new_unwrap("2.5.4.12"), "T"),
    (ObjectIdentifier::new_unwrap("2.5.4.17"), "POSTALCODE"),
    (ObjectIdentifier::new_unwrap("2.5.4.97"), "ORGANIZATIONIDENTIFIER"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use ::der::asn1::SetOfVec;
    use proptest::prelude::*;
    use x509_cert::attr::AttributeTypeAndValue;

    fn name(relatives: &[&[(&str, Tag, &[u8])]]) -> Name {
        let sets = relatives.iter().map(|set| {
            let pairs = set.iter().map(|(oid, tag, octets)| AttributeTypeAndValue {
                oid: ObjectIdentifier::new_unwrap(oid),
                value: Any::new(*tag, *octets).unwrap(),
            });
            SetOfVec::try_from(pairs.collect::<Vec<_>>()).unwrap()
        });
        let der = sets.map(|set| set.to_der().unwrap()).collect::<Vec<_>>().concat();
        Name::from_der(&Any::new(Tag::Sequence, der).unwrap().to_der().unwrap()).unwrap()
    }

    fn cn(tag: Tag, octets: &[u8]) -> Name {
        name(&[&[("2.5.4.3", tag, octets)]])
    }

    // RFC 5280 section 7.1, RFC 4518
    #[test]
    fn names_are_equal_where_people_see_no_difference() {
        let plain = cn(Tag::PrintableString, b"Example CA");
        for same in [
            cn(Tag::Utf8String, b"  example   cA "),
            cn(Tag::TeletexString, b"EXAMPLE CA"),
            cn(Tag::BmpString, b"\0E\0x\0a\0m\0p\0l\0e\0 \0C\0A"),
            cn(Tag::Utf8String, "Ｅxample\u{a0}CA\u{200b}".as_bytes()),
        ] {
            assert_eq!(same, plain, "{same}");
        }
        for other in [
            cn(Tag::Utf8String, b"ExampleCA"),
            cn(Tag::OctetString, b"Example CA"),
            name(&[&[("2.5.4.10", Tag::PrintableString, b"Example CA")]]),
            name(&[]),
        ] {
            assert_ne!(other, plain, "{other}");
        }
        assert_ne!(cn(Tag::Utf8String, "straße".as_bytes()), cn(Tag::Utf8String, b"STRASSE"), "the stated limit");
    }

    #[test]
    fn order_and_grouping_count() {
        let c = ("2.5.4.6", Tag::PrintableString, &b"RO"[..]);
        let o = ("2.5.4.10", Tag::PrintableString, &b"Example, Inc"[..]);
        let apart = name(&[&[c], &[o]]);
        assert_ne!(apart, name(&[&[o], &[c]]));
        let together = name(&[&[c, o]]);
        assert_ne!(apart, together);
        assert_eq!(together, name(&[&[o, c]]), "a set has no order");
        assert!(together.is_multi_valued() && !apart.is_multi_valued());
        assert_eq!(apart.to_string(), r#"C=RO, O="Example, Inc""#);
        assert_eq!(together.to_string(), r#"C=RO + O="Example, Inc""#);
        assert!(apart.is_within(&name(&[&[c]])) && apart.is_within(&apart) && apart.is_within(&name(&[])));
        assert!(!name(&[&[c]]).is_within(&apart) && !apart.is_within(&name(&[&[o]])));
    }

    #[test]
    fn names_cannot_break_a_terminal_or_a_table() {
        let shown = cn(Tag::Utf8String, "a\u{1b}[31m\n\u{202e}\"".as_bytes()).to_string();
        assert!(shown.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{shown}");
        let long = vec![b'a'; 300];
        let parts: Vec<(&str, Tag, &[u8])> = vec![("2.5.4.3", Tag::Utf8String, &long)];
        let shown = name(&[&parts, &parts, &parts]).to_string();
        assert!(shown.chars().count() <= NAME_CHARS_MAX + 1);
    }

    proptest! {
        #[test]
        fn any_octets_give_an_error_and_no_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(name) = Name::from_der(&octets) {
                prop_assert_eq!(name.der(), octets);
            }
        }

        #[test]
        fn preparing_twice_changes_nothing(text in "\\PC{0,40}") {
            // Lower case may compose anew; a second round must find nothing more to do than the first for plain text.
            let once = prepared(&text);
            if once.is_ascii() {
                prop_assert_eq!(prepared(&once), once);
            }
        }
    }
}
