//! A certificate for people: lines of a label and a text each.

use base::{UtcMicros, hex, octets_text};

use super::Certificate;

/// Label and text.
pub type Line = (&'static str, String);

impl Certificate {
    /// Everything that a person may want to see, in a fixed order. Every text is safe to print.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![
            ("subject", self.subject().to_string()),
            ("issuer", self.issuer().to_string()),
            ("serial number", self.serial_hex()),
            ("version", self.version().to_string()),
            ("valid from", seconds(self.not_before())),
            ("valid until", seconds(self.not_after())),
            ("signature", self.signature_algorithm().to_string()),
            ("key", self.key_text()),
        ];
        self.extension_lines(&mut lines);
        lines.push(("SHA-256 fingerprint", colons(self.sha256())));
        lines.push(("SHA-1 fingerprint", colons(&self.sha1())));
        lines.push(("SHA-256 of the key", colons(&self.spki_sha256())));
        if let Ok(key) = self.public_key() {
            lines.push(("SSH fingerprint", key.fingerprint().to_string()));
        }
        lines.extend(self.oddities().iter().map(|oddity| ("remark", octets_text(oddity.to_string().as_bytes()))));
        lines
    }

    /// Kind and size of the key: `RSA 2048`.
    #[must_use]
    pub fn key_text(&self) -> String {
        match self.key_bits() {
            0 => self.key_kind().to_string(),
            bits => format!("{} {bits}", self.key_kind()),
        }
    }

    fn extension_lines(&self, lines: &mut Vec<Line>) {
        let extensions = self.extensions();
        if let Some(basic) = extensions.basic_constraints {
            lines.push((
                "authority",
                match (basic.ca, basic.path_len) {
                    (false, _) => "no".to_owned(),
                    (true, None) => "yes".to_owned(),
                    (true, Some(len)) => format!("yes, at most {len} authorities below it"),
                },
            ));
        }
        lines.extend(extensions.key_usage.map(|usage| ("key usage", usage.to_string())));
        for id in extensions.purposes.iter().flatten() {
            let known = PURPOSES.iter().find(|(number, _)| *number == id.to_string());
            lines.push(("purpose", known.map_or_else(|| id.to_string(), |(_, name)| (*name).to_owned())));
        }
        lines.extend(extensions.alt_names.iter().map(|name| ("alternative name", name.to_string())));
        if let Some(constraints) = &extensions.name_constraints {
            lines.extend(constraints.permitted.iter().map(|tree| ("names permitted", tree.to_string())));
            lines.extend(constraints.excluded.iter().map(|tree| ("names excluded", tree.to_string())));
        }
        lines.extend(extensions.policies.iter().flatten().map(|id| ("policy", id.to_string())));
        lines.extend(extensions.key_id.iter().map(|id| ("subject key identifier", colons(id))));
        lines.extend(extensions.authority_key_id.iter().map(|id| ("authority key identifier", colons(id))));
        let urls = |urls: &[String]| urls.iter().map(|url| octets_text(url.as_bytes())).collect::<Vec<_>>();
        lines.extend(urls(&extensions.issuer_urls).into_iter().map(|url| ("issuer at", url)));
        lines.extend(urls(&extensions.ocsp_urls).into_iter().map(|url| ("OCSP at", url)));
        lines.extend(urls(&extensions.crl_urls).into_iter().map(|url| ("CRL at", url)));
    }
}

/// A moment to the second, as certificates have them.
fn seconds(at: UtcMicros) -> String {
    at.to_string().replace(".000000Z", "Z")
}

/// Octets in pairs of digits with colons between, as browsers and openssl show fingerprints.
fn colons(octets: &[u8]) -> String {
    octets.iter().map(|octet| hex(&[*octet]).to_uppercase()).collect::<Vec<_>>().join(":")
}

/// RFC 5280 section 4.2.1.12, and what else is met.
const PURPOSES: [(&str, &str); 9] = [
    ("1.3.6.1.5.5.7.3.1", "TLS server"),
    ("1.3.6.1.5.5.7.3.2", "TLS client"),
    ("1.3.6.1.5.5.7.3.3", "code signing"),
    ("1.3.6.1.5.5.7.3.4", "mail protection"),
    ("1.3.6.1.5.5.7.3.8", "time stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSP signing"),
    ("1.3.6.1.5.5.7.3.21", "SSH client"),
    ("1.3.6.1.5.5.7.3.22", "SSH server"),
    ("2.5.29.37.0", "any purpose"),
];
