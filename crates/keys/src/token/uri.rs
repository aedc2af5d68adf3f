//! Names of keys in tokens: the URIs of RFC 7512, as far as they only name.

use std::fmt;
use std::str::FromStr;

use base::unhex;

use super::TokenError;

/// Longest URI.
pub const TOKEN_URI_OCTETS_MAX: usize = 1024;

/// A key in a token: `pkcs11:token=gateway;object=host-key;id=%01?module-name=hsm`.
///
/// The library is named by `module-name`, which the operator gave it; `module-path` and PINs are refused, since a URI may
/// come from afar. Token and key must be named, the key by `object`, `id` or both.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TokenUri {
    module: String,
    place: Place,
    object: Option<String>,
    id: Option<Vec<u8>>,
}

/// A token: all that is given must fit.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Place {
    pub(super) token: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
}

impl TokenUri {
    /// Names a key by its token's label and its own.
    pub(super) fn new(module: &str, place: Place, object: Option<String>, id: Option<Vec<u8>>) -> Self {
        Self { module: module.to_owned(), place, object, id }
    }

    /// Name of the library.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Label of the key (`CKA_LABEL`).
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// Identifier of the key (`CKA_ID`).
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// The same token and label with this identifier.
    pub(super) fn with_id(&self, id: Vec<u8>) -> Self {
        Self { id: Some(id), ..self.clone() }
    }

    /// The key alone, for errors.
    pub(super) fn key(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.object.as_ref().map(|label| format!("object={}", coded(label.as_bytes()))));
        parts.extend(self.id.as_ref().map(|id| format!("id={}", hex_coded(id))));
        parts.join(";")
    }
}

impl Place {
    fn parts(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let all = [
            ("token", &self.token),
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
        ];
        all.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.parts().map(|(name, value)| format!("{name}={}", coded(value.as_bytes()))).collect();
        f.write_str(&parts.join(";"))
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{};{}?module-name={}", self.place, self.key(), coded(self.module.as_bytes()))
    }
}

impl FromStr for TokenUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_URI_OCTETS_MAX {
            return Err(refused(format!("it has {} octets, at most {TOKEN_URI_OCTETS_MAX} are taken", text.len())));
        }
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| refused("it does not begin with pkcs11:".to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::new("", Place::default(), None, None);
        for part in path.split(';').filter(|part| !part.is_empty()) {
            uri.take_path(part)?;
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            uri.take_query(part)?;
        }
        match (&uri.place, &uri.object, &uri.id) {
            _ if uri.module.is_empty() => Err(refused("module-name is missing".to_owned())),
            (Place { token: None, serial: None, .. }, _, _) => Err(refused("token or serial is missing".to_owned())),
            (_, None, None) => Err(refused("object or id is missing".to_owned())),
            _ => Ok(uri),
        }
    }
}

impl TokenUri {
    fn take_path(&mut self, part: &str) -> Result<(), TokenError> {
        let (name, value) = named(part)?;
        if name == "id" {
            return once(&mut self.id, name, value);
        }
        let text = text(name, value)?;
        match name {
            "token" => once(&mut self.place.token, name, text),
            "serial" => once(&mut self.place.serial, name, text),
            "manufacturer" => once(&mut self.place.manufacturer, name, text),
            "model" => once(&mut self.place.model, name, text),
            "object" => once(&mut self.object, name, text),
            // What a key is used for says which of its objects is meant.
            "type" if matches!(text.as_str(), "private" | "secret-key") => Ok(()),
            "type" => Err(refused(format!("type={text} is no private key"))),
            _ => Err(refused(format!("{} is not taken here", base::octets_text(name.as_bytes())))),
        }
    }

    fn take_query(&mut self, part: &str) -> Result<(), TokenError> {
        let (name, value) = named(part)?;
        match name {
            "module-name" if self.module.is_empty() => {
                self.module = text(name, value)?;
                Ok(())
            }
            "module-name" => Err(refused("module-name is given twice".to_owned())),
            "module-path" => Err(refused("module-path is not taken: libraries are named in gatehouse.toml".to_owned())),
            "pin-value" | "pin-source" => {
                Err(refused("a PIN is not taken here: say in gatehouse.toml where it is".to_owned()))
            }
            _ => Err(refused(format!("{} is not taken here", base::octets_text(name.as_bytes())))),
        }
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), TokenError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(refused(format!("{name} is given twice"))),
    }
}

/// Name and decoded value of an attribute.
fn named(part: &str) -> Result<(&str, Vec<u8>), TokenError> {
    let (name, value) =
        part.split_once('=').ok_or_else(|| refused(format!("{} has no value", base::octets_text(part.as_bytes()))))?;
    let damaged = || refused(format!("the value of {} is damaged", base::octets_text(name.as_bytes())));
    let mut octets = Vec::with_capacity(value.len());
    let mut left = value.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        match first {
            b'%' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(damaged)?;
                octets.extend(unhex(&digits.to_ascii_lowercase()).ok_or_else(damaged)?);
                left = rest.get(2..).unwrap_or_default();
            }
            0x21..=0x7e => octets.push(*first),
            _ => return Err(damaged()),
        }
    }
    if octets.is_empty() { Err(refused(format!("{name} is empty"))) } else { Ok((name, octets)) }
}

fn text(name: &str, octets: Vec<u8>) -> Result<String, TokenError> {
    let text = String::from_utf8(octets).map_err(|_| refused(format!("{name} is no UTF-8")))?;
    if text.chars().any(char::is_control) { Err(refused(format!("{name} holds control characters"))) } else { Ok(text) }
}

/// Letters, digits and few signs as they are, the rest by their octets.
fn coded(octets: &[u8]) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
    octets
        .iter()
        .map(|octet| if plain(*octet) { char::from(*octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}

fn hex_coded(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("%{octet:02X}")).collect()
}

const fn refused(why: String) -> TokenError {
    TokenError::Uri { why }
}

const SCHEME: &str = "pkcs11:";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The forms that p11tool and the manuals of modules print.
    #[test]
    fn uris_of_other_tools_are_read() {
        let long = "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=1f;token=gate%20house;id=%01%aB;\
                    object=host%3Bkey;type=private?module-name=hsm";
        let uri: TokenUri = long.parse().unwrap();
        assert_eq!((uri.module(), uri.object(), uri.id()), ("hsm", Some("host;key"), Some(&[1, 0xab][..])));
        assert_eq!(uri.place().token.as_deref(), Some("gate house"));
        assert_eq!(uri.to_string().parse::<TokenUri>().unwrap(), uri);
        assert_eq!(uri.key(), "object=host%3Bkey;id=%01%AB");
    }

    #[test]
    fn what_names_no_key_or_brings_code_or_pins_is_refused() {
        for (text, why) in [
            ("", "begin with pkcs11:"),
            ("pkcs11:object=k?module-name=m", "token or serial"),
            ("pkcs11:token=t?module-name=m", "object or id"),
            ("pkcs11:token=t;object=k", "module-name"),
            ("pkcs11:token=t;object=k?module-path=/tmp/x.so", "gatehouse.toml"),
            ("pkcs11:token=t;object=k?module-name=m&pin-value=1234", "PIN is not taken"),
            ("pkcs11:token=t;object=k?module-name=m&pin-source=file:/x", "PIN is not taken"),
            ("pkcs11:token=t;token=u;object=k?module-name=m", "twice"),
            ("pkcs11:token=t;object=%4?module-name=m", "damaged"),
            ("pkcs11:token=t;object=k;type=cert?module-name=m", "no private key"),
            ("pkcs11:token=t;object=%0A?module-name=m", "control"),
            ("pkcs11:slot-id=3;object=k?module-name=m", "not taken"),
        ] {
            let error = text.parse::<TokenUri>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("1234"), "{text}: {error}");
        }
        assert!("pkcs11:".repeat(200).parse::<TokenUri>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(label in "\\PC{1,20}", id in proptest::collection::vec(any::<u8>(), 1..20)) {
            let place = Place { token: Some(label.clone()), ..Place::default() };
            let uri = TokenUri::new("m", place, Some(label), Some(id));
            prop_assert_eq!(uri.to_string().parse::<TokenUri>(), Ok(uri));
        }

        #[test]
        fn whatever_is_read_is_written_alike(text in "pkcs11:\\PC{0,60}") {
            if let Ok(uri) = text.parse::<TokenUri>() {
                prop_assert_eq!(uri.to_string().parse::<TokenUri>(), Ok(uri));
            }
        }
    }
}
