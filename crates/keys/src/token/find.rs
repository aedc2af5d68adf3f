//! Keys in a token, and their public parts.

use cryptoki::object::{Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle};

use super::module::Live;
use super::uri::{Place, TokenUri};
use super::{TOKEN_KEYS_MAX, TokenError};
use crate::certificate::Certificate;
use crate::parts::{Curve, ED25519_OCTETS, EcPublic, Ed25519Public, Number, PublicParts, RsaPublic};
use crate::{KeyError, PublicKey};

/// A key that a list of a token holds.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// Its name.
    pub uri: TokenUri,
    /// Its public part, or why it can't be used.
    pub public: Result<PublicKey, TokenError>,
}

/// A private key in a token.
pub(super) struct Private {
    pub(super) handle: ObjectHandle,
    pub(super) public: PublicKey,
    /// Its identifier, if it has one.
    pub(super) id: Option<Vec<u8>>,
}

/// The private key that a URI names.
pub(super) fn private(live: &Live<'_>, uri: &TokenUri) -> Result<Private, TokenError> {
    let handle = object(live, uri, &[Attribute::Class(ObjectClass::PRIVATE_KEY)], "private key")?;
    let public = public(live, handle, uri)?;
    let mut named = Named::default();
    named.read(live, handle)?;
    Ok(Private { handle, public, id: named.id })
}

/// The one object that a URI names.
pub(super) fn object(
    live: &Live<'_>,
    uri: &TokenUri,
    kind: &[Attribute],
    what: &'static str,
) -> Result<ObjectHandle, TokenError> {
    let mut template = kind.to_vec();
    template.push(Attribute::Token(true));
    template.extend(uri.object().map(|label| Attribute::Label(label.as_bytes().to_vec())));
    template.extend(uri.id().map(|id| Attribute::Id(id.to_vec())));
    let mut found = handles(live, &template, 2)?.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(TokenError::SeveralKeys { what, wanted: uri.key() }),
        (None, _) => {
            // Without a login private objects can't be seen.
            live.still_logged_in()?;
            Err(TokenError::NoKey { what, wanted: uri.key() })
        }
    }
}

/// Every private key of a token.
pub(super) fn list(live: &Live<'_>, module: &str, place: &Place) -> Result<Vec<FoundKey>, TokenError> {
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true)];
    let mut all = Vec::new();
    for handle in handles(live, &template, TOKEN_KEYS_MAX)? {
        let mut named = Named::default();
        named.read(live, handle)?;
        let label = named.label.and_then(|label| String::from_utf8(label).ok()).filter(|label| !label.is_empty());
        let uri = TokenUri::new(module, place.clone(), label, named.id);
        let public = public(live, handle, &uri);
        all.push(FoundKey { uri, public });
    }
    Ok(all)
}

fn handles(live: &Live<'_>, template: &[Attribute], max: usize) -> Result<Vec<ObjectHandle>, TokenError> {
    let found = live.session.iter_objects(template).map_err(|e| live.failed(&e))?;
    found.take(max).collect::<Result<_, _>>().map_err(|e| live.failed(&e))
}

#[derive(Default)]
struct Named {
    id: Option<Vec<u8>>,
    label: Option<Vec<u8>>,
}

impl Named {
    fn read(&mut self, live: &Live<'_>, handle: ObjectHandle) -> Result<(), TokenError> {
        for attribute in attributes(live, handle, &[AttributeType::Id, AttributeType::Label])? {
            match attribute {
                Attribute::Id(id) => self.id = Some(id).filter(|id| !id.is_empty()),
                Attribute::Label(label) => self.label = Some(label).filter(|label| !label.is_empty()),
                _ => {}
            }
        }
        Ok(())
    }

    /// What stands beside it: of the same id and label, else of the same id, or label where it has no id. Tools give
    /// several keys one id.
    fn beside(&self, live: &Live<'_>, kind: &[Attribute]) -> Result<Option<ObjectHandle>, TokenError> {
        let id = self.id.clone().map(Attribute::Id);
        let label = self.label.clone().map(Attribute::Label);
        let both: Vec<Attribute> = id.clone().into_iter().chain(label.clone()).collect();
        for names in [both, id.or(label).into_iter().collect()] {
            if names.is_empty() {
                continue;
            }
            if let Some(found) = handles(live, &[kind, &names].concat(), 1)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn attributes(live: &Live<'_>, handle: ObjectHandle, kinds: &[AttributeType]) -> Result<Vec<Attribute>, TokenError> {
    live.session.get_attributes(handle, kinds).map_err(|e| live.failed(&e))
}

/// The public part of a private key: of itself, of the public key or the certificate beside it.
fn public(live: &Live<'_>, handle: ObjectHandle, uri: &TokenUri) -> Result<PublicKey, TokenError> {
    let unusable = |why: String| TokenError::Unusable { wanted: uri.key(), why };
    let mut kind = None;
    for attribute in
        attributes(live, handle, &[AttributeType::KeyType, AttributeType::Sign, AttributeType::AlwaysAuthenticate])?
    {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::Sign(false) => return Err(unusable("it may not sign: make one that may".to_owned())),
            Attribute::AlwaysAuthenticate(true) => {
                return Err(unusable("it wants the PIN for each signature: make one that does not".to_owned()));
            }
            _ => {}
        }
    }
    let kind = kind.ok_or_else(|| unusable("the token does not say of what kind it is".to_owned()))?;
    let mut named = Named::default();
    named.read(live, handle)?;
    let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(kind)];
    for source in std::iter::once(handle).chain(named.beside(live, &public)?) {
        if let Some(parts) = parts(live, source, kind)? {
            let key = parts.and_then(|parts| PublicKey::from_parts(&parts));
            return key.map_err(|e| unusable(e.to_string()));
        }
    }
    let certificate = [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::CertificateType(CertificateType::X_509)];
    if let Some(certificate) = named.beside(live, &certificate)?
        && let Some(key) = of_certificate(live, certificate)?
    {
        return Ok(key);
    }
    let why = "the token has no public part of it: copy its public key or certificate there, with the same id";
    Err(unusable(why.to_owned()))
}

fn of_certificate(live: &Live<'_>, handle: ObjectHandle) -> Result<Option<PublicKey>, TokenError> {
    let value = attributes(live, handle, &[AttributeType::Value])?.into_iter().next();
    let Some(Attribute::Value(der)) = value else { return Ok(None) };
    Ok(Certificate::from_der(&der).ok().and_then(|certificate| certificate.public_key().ok().cloned()))
}

/// The numbers that an object of a kind of key holds; `None` if it does not hold all.
fn parts(
    live: &Live<'_>,
    handle: ObjectHandle,
    kind: KeyType,
) -> Result<Option<Result<PublicParts, KeyError>>, TokenError> {
    if kind == KeyType::RSA {
        let (mut n, mut e) = (None, None);
        for attribute in attributes(live, handle, &[AttributeType::Modulus, AttributeType::PublicExponent])? {
            match attribute {
                Attribute::Modulus(octets) => n = Some(Number::new(&octets)),
                Attribute::PublicExponent(octets) => e = Some(Number::new(&octets)),
                _ => {}
            }
        }
        return Ok(n.zip(e).map(|(n, e)| Ok(PublicParts::Rsa(RsaPublic::new(n, e)))));
    }
    let (mut point, mut curve) = (None, None);
    for attribute in attributes(live, handle, &[AttributeType::EcPoint, AttributeType::EcParams])? {
        match attribute {
            Attribute::EcPoint(octets) => point = Some(octets).filter(|octets| !octets.is_empty()),
            Attribute::EcParams(octets) => curve = Some(octets),
            _ => {}
        }
    }
    Ok(point.zip(curve).map(|(point, curve)| on_curve(kind, &point, &curve)))
}

fn on_curve(kind: KeyType, point: &[u8], curve: &[u8]) -> Result<PublicParts, KeyError> {
    let other = || KeyError::Unsupported { what: "a key on another curve in the token".to_owned() };
    if kind == KeyType::EC_EDWARDS {
        return match ED25519_PARAMS.contains(&curve) {
            true => Ed25519Public::new(bare(point, &[ED25519_OCTETS])).map(PublicParts::Ed25519),
            false => Err(other()),
        };
    }
    let curve = Curve::ALL.into_iter().find(|known| params(*known) == curve).ok_or_else(other)?;
    let coordinate = curve.octets();
    let point = curve.uncompressed(bare(point, &[1 + 2 * coordinate, 1 + coordinate]))?;
    Ok(PublicParts::Ec(EcPublic { curve, point }))
}

/// A point without the OCTET STRING around it, which some tokens leave out.
fn bare<'a>(point: &'a [u8], lengths: &[usize]) -> &'a [u8] {
    match point {
        [4, len, rest @ ..] if usize::from(*len) == rest.len() && lengths.contains(&rest.len()) => rest,
        [4, 0x81, len, rest @ ..] if usize::from(*len) == rest.len() && lengths.contains(&rest.len()) => rest,
        _ => point,
    }
}

/// The parameters of a curve: its name as ASN.1 OBJECT IDENTIFIER (RFC 5480 section 2.1.1.1).
pub(super) const fn params(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P256 => &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        Curve::P384 => &[6, 5, 0x2b, 0x81, 4, 0, 0x22],
        Curve::P521 => &[6, 5, 0x2b, 0x81, 4, 0, 0x23],
    }
}

/// The same of Ed25519: by its number (RFC 8410), by its name (PKCS#11 3.0 section 2.3.10), by the number that came before.
pub(super) const ED25519_PARAMS: [&[u8]; 3] = [
    &[6, 3, 0x2b, 0x65, 0x70],
    &[0x13, 12, b'e', b'd', b'w', b'a', b'r', b'd', b's', b'2', b'5', b'5', b'1', b'9'],
    &[6, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1],
];
