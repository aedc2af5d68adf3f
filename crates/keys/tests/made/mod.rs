//! A certification authority of our own: certificates and revocation lists made on the spot.

use base::UtcMicros;
use keys::certificate::{Certificate, CertificateState, CertificateType};
use keys::verify::StoredCertificate;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate and what is needed to make others with it.
pub struct Made {
    pub certificate: Certificate,
    pub params: CertificateParams,
    pub key: KeyPair,
}

/// What a certificate of that subject asks for, valid in 2026. Alternative names follow.
pub fn wanted(subject: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

pub fn wanted_authority(subject: &str) -> CertificateParams {
    let mut params = wanted(subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub fn wanted_server(host: &str) -> CertificateParams {
    let mut params = wanted(host);
    params.subject_alt_names = vec![rcgen::SanType::DnsName(host.try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Makes it, with a fresh key; without an issuer it signs itself.
pub fn make(params: CertificateParams, issuer: Option<&Made>) -> Made {
    make_for(params, KeyPair::generate().unwrap(), issuer)
}

/// Makes it for that key.
pub fn make_for(params: CertificateParams, key: KeyPair, issuer: Option<&Made>) -> Made {
    let made = match issuer {
        Some(issuer) => params.signed_by(&key, &issuer.issuer()),
        None => params.self_signed(&key),
    };
    Made { certificate: Certificate::from_der(made.unwrap().der()).unwrap(), params, key }
}

impl Made {
    pub fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub fn stored(&self, alias: &str, state: CertificateState) -> StoredCertificate {
        let certificate = self.certificate.clone();
        let kind = CertificateType::detect(&certificate, false).unwrap_or(CertificateType::Root);
        StoredCertificate { alias: alias.to_owned(), certificate, state, kind }
    }

    pub fn enabled(&self, alias: &str) -> StoredCertificate {
        self.stored(alias, CertificateState::Enabled)
    }
}

/// A moment when everything that [`wanted`] asks for is valid.
pub fn now() -> UtcMicros {
    UtcMicros::parse("2026-06-01T12:00:00Z").unwrap()
}
