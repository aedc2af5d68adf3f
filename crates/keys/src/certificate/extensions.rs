//! The extensions of a certificate (RFC 5280 section 4.2), each read as far as somebody here asks for it.

use std::fmt;

use ::der::asn1::{ObjectIdentifier, OctetString};
use ::der::{Decode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage,
    KeyUsage as RawKeyUsage, NameConstraints as RawNameConstraints, PolicyConstraints, PolicyMappings, SubjectAltName,
};

use super::alt_name::{AltName, Subtree};
use super::error::{CertificateError, bounded, damaged};
use super::limits::{EXTENSIONS_MAX, NAMES_MAX, POLICIES_MAX};

/// What the extensions say.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// Whether the subject is an authority, and how many authorities may stand below it.
    pub basic_constraints: Option<BasicConstraints>,
    /// What the key may be used for.
    pub key_usage: Option<KeyUsage>,
    /// Purposes of the certificate.
    pub purposes: Option<Vec<ObjectIdentifier>>,
    /// Other names of the subject.
    pub alt_names: Vec<AltName>,
    /// What names those below may have.
    pub name_constraints: Option<NameConstraints>,
    /// Policies under which it was issued.
    pub policies: Option<Vec<ObjectIdentifier>>,
    /// Pairs of policies that the issuer takes for equal: its own, the subject's.
    pub policy_mappings: Vec<(ObjectIdentifier, ObjectIdentifier)>,
    /// Certificates below after which a policy is needed.
    pub require_policy: Option<u32>,
    /// Certificates below after which mappings no longer count.
    pub inhibit_mapping: Option<u32>,
    /// Certificates below after which `anyPolicy` no longer counts.
    pub inhibit_any_policy: Option<u32>,
    /// Identifier of the subject's key.
    pub key_id: Option<Vec<u8>>,
    /// Identifier of the issuer's key.
    pub authority_key_id: Option<Vec<u8>>,
    /// Where the issuer's certificate can be had. Shown only: nothing is fetched.
    pub issuer_urls: Vec<String>,
    /// Where the state can be asked for. Shown only.
    pub ocsp_urls: Vec<String>,
    /// Where revocation lists are. Shown only.
    pub crl_urls: Vec<String>,
    /// Every extension, in order.
    pub seen: Vec<SeenExtension>,
}

/// One extension as it stands in the certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenExtension {
    /// Its number.
    pub id: ObjectIdentifier,
    /// Whether somebody who does not know it must refuse the certificate.
    pub critical: bool,
    /// What became of it.
    pub reading: Reading,
}

/// What became of an extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reading {
    /// Read, or known to be of no consequence here.
    Known,
    /// Not known.
    Unknown,
    /// Known and damaged.
    Damaged(String),
}

/// RFC 5280 section 4.2.1.9.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Sequence)]
pub struct BasicConstraints {
    /// Whether the subject is an authority.
    #[asn1(default = "Default::default")]
    pub ca: bool,
    /// Most authorities that may stand between it and an end entity.
    pub path_len: Option<u32>,
}

/// RFC 5280 section 4.2.1.10.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameConstraints {
    /// Names of these kinds must be in one of these; other kinds are free.
    pub permitted: Vec<Subtree>,
    /// Names must not be in these.
    pub excluded: Vec<Subtree>,
}

/// What a key may be used for (RFC 5280 section 4.2.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Signatures other than those on certificates and lists: handshakes, messages.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// Signatures that bind the signer.
    pub const NON_REPUDIATION: Self = Self(1 << 1);
    /// Encryption of keys.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// Encryption of data.
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// Agreement on keys.
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// Signatures on certificates.
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// Signatures on revocation lists.
    pub const CRL_SIGN: Self = Self(1 << 6);
    const NAMES: [(Self, &'static str); 7] = [
        (Self::DIGITAL_SIGNATURE, "digital signature"),
        (Self::NON_REPUDIATION, "non-repudiation"),
        (Self::KEY_ENCIPHERMENT, "key encipherment"),
        (Self::DATA_ENCIPHERMENT, "data encipherment"),
        (Self::KEY_AGREEMENT, "key agreement"),
        (Self::KEY_CERT_SIGN, "certificate signing"),
        (Self::CRL_SIGN, "CRL signing"),
    ];

    /// Whether one of the uses in `wanted` is allowed.
    #[must_use]
    pub const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// These uses and those.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Self::NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| *name).collect();
        f.write_str(&if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
    }
}

impl Extensions {
    pub(super) fn new(raw: &[Extension]) -> Result<Self, CertificateError> {
        let count = raw.len();
        if count > EXTENSIONS_MAX {
            return Err(CertificateError::TooMany { what: "extensions", count, max: EXTENSIONS_MAX });
        }
        let mut all = Self::default();
        for extension in raw {
            let octets = extension.extn_value.as_bytes();
            let read = match all.read(extension.extn_id, octets) {
                Ok(known) => known,
                Err(CertificateError::Damaged { why, .. }) => Reading::Damaged(why),
                Err(too_many) => return Err(too_many),
            };
            all.seen.push(SeenExtension { id: extension.extn_id, critical: extension.critical, reading: read });
        }
        Ok(all)
    }

    /// Whether `id` is there, and critical.
    #[must_use]
    pub fn criticality(&self, id: ObjectIdentifier) -> Option<bool> {
        self.seen.iter().find(|e| e.id == id).map(|e| e.critical)
    }

    /// Whether the certificate says that its subject is an authority.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|b| b.ca)
    }

    fn read(&mut self, id: ObjectIdentifier, octets: &[u8]) -> Result<Reading, CertificateError> {
        match id {
            BASIC_CONSTRAINTS => self.basic_constraints = Some(decoded(octets)?),
            KEY_USAGE => self.key_usage = Some(KeyUsage(decoded::<RawKeyUsage>(octets)?.0.bits())),
            EXTENDED_KEY_USAGE => {
                self.purposes = Some(bounded("purposes", decoded::<ExtendedKeyUsage>(octets)?.0, POLICIES_MAX)?);
            }
            SUBJECT_ALT_NAME => {
                let names = bounded("alternative names", decoded::<SubjectAltName>(octets)?.0, NAMES_MAX)?;
                self.alt_names = names.iter().map(AltName::new).collect::<Result<_, _>>()?;
            }
            NAME_CONSTRAINTS => self.name_constraints = Some(name_constraints(octets)?),
            KEY_ID => self.key_id = Some(decoded::<OctetString>(octets)?.as_bytes().to_vec()),
            AUTHORITY_KEY_ID => {
                let id = decoded::<AuthorityKeyIdentifier>(octets)?.key_identifier;
                self.authority_key_id = id.map(|id| id.as_bytes().to_vec());
            }
            AUTHORITY_INFO => {
                let access = bounded("access points", decoded::<AuthorityInfoAccessSyntax>(octets)?.0, POLICIES_MAX)?;
                let of = |method| access.iter().filter(move |a| a.access_method == method);
                self.issuer_urls = of(CA_ISSUERS).filter_map(|a| url(&a.access_location)).collect();
                self.ocsp_urls = of(OCSP).filter_map(|a| url(&a.access_location)).collect();
            }
            CRL_POINTS => {
                let points = bounded("CRL points", decoded::<CrlDistributionPoints>(octets)?.0, POLICIES_MAX)?;
                let names = points.iter().filter_map(|p| match &p.distribution_point {
                    Some(DistributionPointName::FullName(names)) => Some(names),
                    _ => None,
                });
                self.crl_urls = names.flatten().filter_map(url).collect();
            }
            other => return self.read_policy(other, octets),
        }
        Ok(Reading::Known)
    }

    fn read_policy(&mut self, id: ObjectIdentifier, octets: &[u8]) -> Result<Reading, CertificateError> {
        match id {
            POLICIES => {
                let policies = bounded("policies", decoded::<CertificatePolicies>(octets)?.0, POLICIES_MAX)?;
                self.policies = Some(policies.iter().map(|p| p.policy_identifier).collect());
            }
            POLICY_MAPPINGS => {
                let pairs = bounded("policy mappings", decoded::<PolicyMappings>(octets)?.0, POLICIES_MAX)?;
                self.policy_mappings =
                    pairs.iter().map(|p| (p.issuer_domain_policy, p.subject_domain_policy)).collect();
            }
            POLICY_CONSTRAINTS => {
                let read = decoded::<PolicyConstraints>(octets)?;
                (self.require_policy, self.inhibit_mapping) =
                    (read.require_explicit_policy, read.inhibit_policy_mapping);
            }
            INHIBIT_ANY_POLICY => self.inhibit_any_policy = Some(decoded(octets)?),
            // They bind nobody here, critical or not: when a private key was in use, and where more is to be had.
            ISSUER_ALT_NAME | PRIVATE_KEY_PERIOD | FRESHEST_CRL | SUBJECT_INFO | NETSCAPE_TYPE | NETSCAPE_COMMENT => {}
            _ => return Ok(Reading::Unknown),
        }
        Ok(Reading::Known)
    }
}

fn decoded<'a, T: Decode<'a>>(octets: &'a [u8]) -> Result<T, CertificateError>
where
    <T as Decode<'a>>::Error: ToString,
{
    T::from_der(octets).map_err(|e| damaged("extension", e))
}

fn name_constraints(octets: &[u8]) -> Result<NameConstraints, CertificateError> {
    let raw = decoded::<RawNameConstraints>(octets)?;
    let subtrees = |raw: Option<Vec<_>>| {
        let raw = bounded("subtrees of name constraints", raw.unwrap_or_default(), NAMES_MAX)?;
        raw.iter().map(Subtree::new).collect::<Result<Vec<_>, _>>()
    };
    Ok(NameConstraints { permitted: subtrees(raw.permitted_subtrees)?, excluded: subtrees(raw.excluded_subtrees)? })
}

fn url(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
        _ => None,
    }
}

macro_rules! ids {
    ($($name:ident = $id:literal;)*) => { $(pub(crate) const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($id);)* };
}

// RFC 5280 section 4.2 and appendix A.
ids! {
    BASIC_CONSTRAINTS = "2.5.29.19";
    KEY_USAGE = "2.5.29.15";
    EXTENDED_KEY_USAGE = "2.5.29.37";
    SUBJECT_ALT_NAME = "2.5.29.17";
    ISSUER_ALT_NAME = "2.5.29.18";
    NAME_CONSTRAINTS = "2.5.29.30";
    KEY_ID = "2.5.29.14";
    AUTHORITY_KEY_ID = "2.5.29.35";
    AUTHORITY_INFO = "1.3.6.1.5.5.7.1.1";
    SUBJECT_INFO = "1.3.6.1.5.5.7.1.11";
    CRL_POINTS = "2.5.29.31";
    FRESHEST_CRL = "2.5.29.46";
    POLICIES = "2.5.29.32";
    POLICY_MAPPINGS = "2.5.29.33";
    POLICY_CONSTRAINTS = "2.5.29.36";
    INHIBIT_ANY_POLICY = "2.5.29.54";
    PRIVATE_KEY_PERIOD = "2.5.29.16";
    NETSCAPE_TYPE = "2.16.840.1.113730.1.1";
    NETSCAPE_COMMENT = "2.16.840.1.113730.1.13";
    CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
    OCSP = "1.3.6.1.5.5.7.48.1";
}
