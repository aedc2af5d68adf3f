//! Public keys.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base::octets_text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::formats::der;
use crate::parts::{PublicParts, RsaPublic};
use crate::{Fingerprint, KeyAlgorithm, KeyError, ssh_wire};

/// A public key. To hold one is proof that its sizes are readable, its numbers sane and its point on its curve; whether
/// its size is allowed is for [`crate::check_size`] to say.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    bits: u32,
    pss_only: bool,
    ssh_blob: Vec<u8>,
    spki_der: Vec<u8>,
}

impl PublicKey {
    /// Reads a key as SSH carries it (RFC 4253 section 6.6). Only the one canonical form of each key is taken, so that a
    /// key has one fingerprint.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for other kinds of key, [`KeyError::Damaged`], [`KeyError::Invalid`],
    /// [`KeyError::Size`], [`KeyError::DssSubgroup`].
    pub fn from_ssh_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let key = Self::from_parts(&ssh_wire::decode_public(blob)?)?;
        if key.ssh_blob == blob {
            Ok(key)
        } else {
            Err(KeyError::Damaged { what: "SSH key", why: "it is not in its canonical form".to_owned() })
        }
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
    ///
    /// # Errors
    /// As [`Self::from_ssh_blob`].
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyError> {
        Self::from_parts(&der::decode_spki(spki)?)
    }

    pub(crate) fn from_parts(parts: &PublicParts) -> Result<Self, KeyError> {
        parts.check()?;
        Ok(Self {
            algorithm: parts.algorithm(),
            bits: parts.bits(),
            pss_only: matches!(parts, PublicParts::Rsa(RsaPublic { pss: Some(_), .. })),
            ssh_blob: ssh_wire::encode_public(parts),
            spki_der: der::encode_spki(parts),
        })
    }

    /// Kind of the key.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Size of the key in bits, as people name it: modulus or field.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether it is an RSA key for PSS signatures only, which can't serve SSH (RFC 4055 section 1.2).
    #[must_use]
    pub const fn is_pss_only(&self) -> bool {
        self.pss_only
    }

    /// The key as SSH carries it.
    #[must_use]
    pub fn ssh_blob(&self) -> &[u8] {
        &self.ssh_blob
    }

    /// The key as DER `SubjectPublicKeyInfo`, with named curve and uncompressed point.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// SHA-256 of [`Self::spki_der`]: the same for a bare key and a certificate of that key.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.spki_der)
    }

    /// The name of the key inside SSH messages, such as `ssh-ed25519`.
    #[must_use]
    pub const fn ssh_name(&self) -> &'static str {
        self.algorithm.ssh_name()
    }

    /// SHA-256 of [`Self::ssh_blob`] (KEY-5).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha256(&self.ssh_blob))
    }

    /// The one-line form of OpenSSH, without line end. What could break the line is escaped in `comment`.
    #[must_use]
    pub fn openssh_line(&self, comment: &str) -> String {
        let line =
            format!("{} {} {}", self.ssh_name(), STANDARD.encode(&self.ssh_blob), octets_text(comment.as_bytes()));
        line.trim_end().to_owned()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der == other.spki_der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {} {})", self.algorithm, self.bits, self.fingerprint())
    }
}

/// SHA-256 of `octets`.
#[must_use]
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    // The digest has 32 octets too.
    hash.iter_mut().zip(digest(&SHA256, octets).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    #[test]
    fn a_comment_cannot_break_the_line() {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap();
        let line = key.public().openssh_line("me\nssh-ed25519 AAAA evil");
        assert_eq!(line.lines().count(), 1);
        assert!(!key.public().openssh_line("").ends_with(' '));
    }

    // Signatures by anybody pass for a key of small order, so it must not be stored.
    #[test]
    fn weak_and_impossible_points_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let blob = |point: &[u8]| {
            let mut wire = ssh_wire::Wire::default();
            wire.string(b"ssh-ed25519");
            wire.string(point);
            wire.0.to_vec()
        };
        let why = |point: &[u8]| PublicKey::from_ssh_blob(&blob(point)).unwrap_err().to_string();
        assert!(why(&identity).contains("small order"), "{}", why(&identity));
        let mut off = [0; 32];
        off[0] = 2;
        assert!(why(&off).contains("no point of the curve"), "{}", why(&off));
        assert!(why(&[1; 31]).contains("32 octets"));
    }

    #[test]
    fn only_the_canonical_blob_is_taken() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaNistp256, None).unwrap();
        let blob = key.public().ssh_blob();
        assert_eq!(PublicKey::from_ssh_blob(blob).as_ref(), Ok(key.public()));
        assert!(PublicKey::from_ssh_blob(&[blob, &[0]].concat()).is_err());
        let point = &blob[blob.len() - 64..];
        let mut wire = ssh_wire::Wire::default();
        wire.string(b"ecdsa-sha2-nistp256");
        wire.string(b"nistp256");
        wire.string(&[&[2 + (point[63] & 1)], &point[..32]].concat());
        let refused = PublicKey::from_ssh_blob(&wire.0).unwrap_err();
        assert!(refused.to_string().contains("canonical"), "{refused}");
    }
}
