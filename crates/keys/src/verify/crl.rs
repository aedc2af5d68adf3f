//! Revocation lists (RFC 5280 section 5): full ones, signed by the issuer of the certificates on them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ::der::asn1::{AnyRef, ObjectIdentifier};
use ::der::{Decode, Encode, SliceReader};
use base::UtcMicros;
use x509_cert::certificate::Raw;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::ext::pkix::crl::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use zeroize::Zeroizing;

use super::policy::Algorithms;
use super::signature::{allowed, verify};
use crate::asn1;
use crate::certificate::{Certificate, CertificateError, KeyUsage, Name, SignatureAlgorithm, damaged, moment};

/// Longest revocation list that is read, in octets. Those of the largest public authorities have some 10 MiB.
pub const CRL_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// A revocation list. Cheap to clone. Whether it is signed by whom it names is looked at each time it is used.
#[derive(Clone)]
pub struct Crl(Arc<Parts>);

struct Parts {
    der: Box<[u8]>,
    signed: std::ops::Range<usize>,
    signature: Box<[u8]>,
    algorithm: SignatureAlgorithm,
    issuer: Name,
    this_update: UtcMicros,
    next_update: Option<UtcMicros>,
    number: Option<String>,
    revoked: HashMap<Box<[u8]>, Revoked>,
    scope: Scope,
    /// Why nobody can use it.
    unusable: Option<String>,
}

#[derive(Clone, Copy)]
struct Revoked {
    at: UtcMicros,
    reason: &'static str,
}

/// Which certificates of its issuer a list is about.
#[derive(Default)]
struct Scope {
    no_users: bool,
    no_authorities: bool,
    /// Only those that name one of these points.
    points: Vec<String>,
}

/// What a list says about a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// It is not revoked.
    Good,
    /// It is revoked, since when and why.
    Revoked(UtcMicros, &'static str),
    /// The list is about others.
    NotMine,
}

impl Crl {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// [`CertificateError`] if it can't be read at all. A list that can be read but not used (a delta, an indirect one) is
    /// kept, and [`Self::unusable`] says why.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CRL_OCTETS_MAX {
            return Err(CertificateError::ListTooLarge { len: der.len(), max: CRL_OCTETS_MAX });
        }
        let first = with_version(der).map_err(|e| damaged(WHAT, e))?;
        let raw = CertificateList::<Raw>::from_der(first.as_ref().map_or(der, |list| list.as_slice()))
            .map_err(|e| damaged(WHAT, e))?;
        let list = raw.tbs_cert_list;
        let mut parts = Parts {
            signed: signed_range(der).map_err(|e| damaged(WHAT, e))?,
            signature: raw
                .signature
                .as_bytes()
                .ok_or_else(|| damaged(WHAT, "its signature does not end at an octet"))?
                .into(),
            algorithm: SignatureAlgorithm::new(&raw.signature_algorithm),
            issuer: Name::from_der(&list.issuer.to_der().map_err(|e| damaged(WHAT, e))?)?,
            this_update: moment(list.this_update.to_unix_duration()),
            next_update: list.next_update.map(|at| moment(at.to_unix_duration())),
            number: None,
            revoked: HashMap::new(),
            scope: Scope::default(),
            unusable: None,
            der: der.into(),
        };
        if raw.signature_algorithm != list.signature {
            parts.unusable = Some("its two statements of the signature algorithm differ".to_owned());
        }
        for entry in list.revoked_certificates.iter().flatten() {
            parts.add(entry)?;
        }
        for extension in list.crl_extensions.iter().flatten() {
            parts.read(extension);
        }
        match (first, &parts.number) {
            (None, None) => parts.refuse("it has no number (RFC 5280 section 5.2.3)".to_owned()),
            (Some(_), _) if has_extensions(&list) => parts.refuse("it is of version 1 and has extensions".to_owned()),
            _ => {}
        }
        Ok(Self(Arc::new(parts)))
    }

    /// Its octets.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Whose certificates it is about.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// When it was made.
    #[must_use]
    pub fn this_update(&self) -> UtcMicros {
        self.0.this_update
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_update(&self) -> Option<UtcMicros> {
        self.0.next_update
    }

    /// Its number, in hexadecimal digits.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        self.0.number.as_deref()
    }

    /// How many certificates are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.revoked.len()
    }

    /// Whether none is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.revoked.is_empty()
    }

    /// Why it can't be used, if it can't.
    #[must_use]
    pub fn unusable(&self) -> Option<&str> {
        self.0.unusable.as_deref()
    }

    /// Whether `issuer` has signed it, and may.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check_signature(&self, issuer: &Certificate, algorithms: Algorithms) -> Result<(), String> {
        let list = &self.0;
        if list.issuer != *issuer.subject() {
            return Err("the list is of another issuer".to_owned());
        }
        if issuer.extensions().key_usage.is_some_and(|usage| !usage.has(KeyUsage::CRL_SIGN)) {
            return Err("the key of the issuer may not sign lists (key usage)".to_owned());
        }
        allowed(list.algorithm, algorithms).map_err(|e| format!("of the list: {e}"))?;
        let signed = list.der.get(list.signed.clone()).unwrap_or_default();
        verify(list.algorithm, issuer.subject_key(), signed, &list.signature).map_err(|e| format!("of the list: {e}"))
    }

    /// What the list says of `certificate`, which `issuer` has signed.
    pub(crate) fn judge(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        at: UtcMicros,
        algorithms: Algorithms,
    ) -> Result<Answer, String> {
        let list = &self.0;
        if let Some(why) = &list.unusable {
            return Err(format!("the list can't be used: {why}"));
        }
        if !list.scope.covers(certificate) {
            return Ok(Answer::NotMine);
        }
        if at < list.this_update {
            return Err(format!("the list is of {}, later than now", list.this_update));
        }
        if let Some(next) = list.next_update.filter(|next| next.seconds() < at.seconds()) {
            return Err(format!("the list is out of date since {next}: import the new one"));
        }
        self.check_signature(issuer, algorithms)?;
        let found = list.revoked.get(certificate.serial());
        Ok(found.map_or(Answer::Good, |revoked| Answer::Revoked(revoked.at, revoked.reason)))
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crl({}, {} revoked, of {})", self.issuer(), self.len(), self.this_update())
    }
}

impl Scope {
    fn covers(&self, certificate: &Certificate) -> bool {
        let is_ca = certificate.extensions().is_ca();
        let named = &certificate.extensions().crl_urls;
        let is_point = self.points.is_empty() || self.points.iter().any(|point| named.contains(point));
        is_point && if is_ca { !self.no_authorities } else { !self.no_users }
    }
}

impl Parts {
    fn refuse(&mut self, why: String) {
        self.unusable.get_or_insert(why);
    }

    fn add(&mut self, entry: &RevokedCert<Raw>) -> Result<(), CertificateError> {
        let serial = entry.serial_number.to_der().map_err(|e| damaged(WHAT, e))?;
        let serial = AnyRef::from_der(&serial).map_err(|e| damaged(WHAT, e))?.value();
        let mut revoked = Revoked { at: moment(entry.revocation_date.to_unix_duration()), reason: UNSPECIFIED };
        for extension in entry.crl_entry_extensions.iter().flatten() {
            match extension.extn_id {
                REASON => revoked.reason = reason(extension.extn_value.as_bytes()),
                CERTIFICATE_ISSUER => self.refuse("it is an indirect list, of several issuers".to_owned()),
                other if extension.critical && other != INVALIDITY_DATE => {
                    self.refuse(format!("an entry has the critical extension {other}, which is not known here"));
                }
                _ => {}
            }
        }
        self.revoked.insert(serial.into(), revoked);
        Ok(())
    }

    fn read(&mut self, extension: &Extension) {
        let octets = extension.extn_value.as_bytes();
        match extension.extn_id {
            NUMBER if extension.critical => {
                self.refuse("its number is critical (RFC 5280 section 5.2.3)".to_owned());
            }
            NUMBER => {
                let number = AnyRef::from_der(octets).ok().filter(|n| !n.value().is_empty());
                self.number = number.map(|n| base::hex(n.value()));
            }
            DELTA => self.refuse("it is a delta list: import the full one".to_owned()),
            POINT => match IssuingDistributionPoint::from_der(octets) {
                Ok(point) => self.scope(&point),
                Err(why) => self.refuse(format!("its distribution point is damaged: {why}")),
            },
            AUTHORITY_KEY_ID | ISSUER_ALT_NAME | FRESHEST | AUTHORITY_INFO => {}
            other if extension.critical => {
                self.refuse(format!("its critical extension {other} is not known here"));
            }
            _ => {}
        }
    }

    fn scope(&mut self, point: &IssuingDistributionPoint) {
        if point.indirect_crl {
            self.refuse("it is an indirect list, of several issuers".to_owned());
        }
        if point.only_some_reasons.is_some() {
            self.refuse("it is about some reasons only".to_owned());
        }
        if point.only_contains_attribute_certs {
            self.refuse("it is about attribute certificates".to_owned());
        }
        self.scope.no_users = point.only_contains_ca_certs;
        self.scope.no_authorities = point.only_contains_user_certs;
        match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => {
                let urls = names.iter().filter_map(|name| match name {
                    GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
                    _ => None,
                });
                self.scope.points = urls.collect();
                if self.scope.points.is_empty() {
                    self.refuse("its distribution point has no URL".to_owned());
                }
            }
            Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => {
                self.refuse("its distribution point is named relative to its issuer".to_owned());
            }
            None => {}
        }
    }
}

/// A list of version 1 with the version that a reader of lists of version 2 wants; nothing if it has one. RFC 5280 asks
/// for version 2; `openssl ca` makes the first one unless it is told of extensions.
fn with_version(der: &[u8]) -> ::der::Result<Option<Zeroizing<Vec<u8>>>> {
    let content = AnyRef::from_der(der)?.value();
    let signed = ::der::Reader::tlv_bytes(&mut SliceReader::new(content)?)?;
    let fields = AnyRef::from_der(signed)?.value();
    if fields.first() != Some(&asn1::SEQUENCE) {
        return Ok(None);
    }
    let signed_now = asn1::value(asn1::SEQUENCE, &[asn1::ONE, fields]);
    let rest = content.get(signed.len()..).unwrap_or_default();
    Ok(Some(asn1::value(asn1::SEQUENCE, &[&signed_now, rest])))
}

fn has_extensions(list: &TbsCertList<Raw>) -> bool {
    let of_entries = || list.revoked_certificates.iter().flatten().any(|entry| entry.crl_entry_extensions.is_some());
    list.crl_extensions.is_some() || of_entries()
}

/// Where the signed part is.
fn signed_range(der: &[u8]) -> ::der::Result<std::ops::Range<usize>> {
    let content = AnyRef::from_der(der)?.value();
    let start = der.len().saturating_sub(content.len());
    let signed = ::der::Reader::tlv_bytes(&mut SliceReader::new(content)?)?;
    Ok(start..start + signed.len())
}

fn reason(octets: &[u8]) -> &'static str {
    match CrlReason::from_der(octets) {
        Ok(CrlReason::KeyCompromise) => "its key was compromised",
        Ok(CrlReason::CaCompromise) => "its authority was compromised",
        Ok(CrlReason::AffiliationChanged) => "its subject changed",
        Ok(CrlReason::Superseded) => "it was superseded",
        Ok(CrlReason::CessationOfOperation) => "it is no longer needed",
        Ok(CrlReason::CertificateHold) => "it is on hold",
        Ok(CrlReason::PrivilegeWithdrawn | CrlReason::AaCompromise) => "its privilege was withdrawn",
        _ => UNSPECIFIED,
    }
}

const WHAT: &str = "revocation list";
const UNSPECIFIED: &str = "no reason given";

// RFC 5280 sections 5.2 and 5.3.
const NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const ISSUER_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.18");
const FRESHEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.46");
const AUTHORITY_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
