//! New keys, made in a token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};

use super::TokenError;
use super::find::{ED25519_PARAMS, params};
use super::module::Live;
use super::uri::TokenUri;
use crate::KeyAlgorithm;
use crate::parts::Curve;

/// What is asked of the token.
pub(super) struct Template {
    mechanism: Mechanism<'static>,
    kind: KeyType,
    /// What the public part shall be: several forms of the same, the next where one is not understood.
    forms: Vec<Vec<Attribute>>,
}

impl Template {
    pub(super) fn new(uri: &TokenUri, algorithm: KeyAlgorithm, bits: Option<u32>) -> Result<Self, TokenError> {
        let refused = |why: String| TokenError::Unusable { wanted: uri.key(), why };
        if uri.object().is_none() {
            return Err(refused("a new key needs a label: give object=LABEL".to_owned()));
        }
        let curve = |curve: Curve| (Mechanism::EccKeyPairGen, KeyType::EC, vec![vec![ec(params(curve))]]);
        let (mechanism, kind, forms) = match algorithm {
            KeyAlgorithm::Rsa => {
                let bits = bits.unwrap_or(RSA_BITS_DEFAULT);
                if !matches!(bits, 2048 | 3072 | 4096) {
                    return Err(refused(format!("RSA keys of {bits} bits are not made: take 2048, 3072 or 4096")));
                }
                let form =
                    vec![Attribute::ModulusBits(u64::from(bits).into()), Attribute::PublicExponent(vec![1, 0, 1])];
                (Mechanism::RsaPkcsKeyPairGen, KeyType::RSA, vec![form])
            }
            KeyAlgorithm::EcdsaNistp256 => curve(Curve::P256),
            KeyAlgorithm::EcdsaNistp384 => curve(Curve::P384),
            KeyAlgorithm::EcdsaNistp521 => curve(Curve::P521),
            KeyAlgorithm::Ed25519 => {
                let forms = ED25519_PARAMS.iter().take(2).map(|form| vec![ec(form)]).collect();
                (Mechanism::EccEdwardsKeyPairGen, KeyType::EC_EDWARDS, forms)
            }
            KeyAlgorithm::Dss => return Err(refused("DSS keys are only read: make an ED25519 key".to_owned())),
        };
        Ok(Self { mechanism, kind, forms })
    }
}

/// Makes the key; gives its name with the identifier that it got.
pub(super) fn generate(live: &Live<'_>, uri: &TokenUri, template: &Template) -> Result<TokenUri, TokenError> {
    let label = Attribute::Label(uri.object().unwrap_or_default().as_bytes().to_vec());
    let taken = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true), label.clone()];
    let mut found = live.session.iter_objects(&taken).map_err(|e| live.failed(&e))?;
    if found.next().is_some() {
        return Err(TokenError::Taken { wanted: uri.key() });
    }
    drop(found);
    let random = base::random::<8>().map(|octets| octets.to_vec()).map_err(|_| TokenError::Unusable {
        wanted: uri.key(),
        why: "the system gives no random numbers".to_owned(),
    })?;
    let id = uri.id().map_or(random, <[u8]>::to_vec);
    let shared = [Attribute::KeyType(template.kind), Attribute::Token(true), label, Attribute::Id(id.clone())];
    let private = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let private = [shared.as_slice(), &private].concat();
    let mut answer = None;
    for form in &template.forms {
        let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Verify(true)];
        let public = [shared.as_slice(), &public, form].concat();
        match live.session.generate_key_pair(&template.mechanism, &public, &private) {
            Ok(_) => return Ok(uri.with_id(id)),
            Err(e) => answer = Some(live.failed(&e)),
        }
    }
    Err(answer.unwrap_or(TokenError::NoKey { what: "form of key", wanted: uri.key() }))
}

fn ec(params: &[u8]) -> Attribute {
    Attribute::EcParams(params.to_vec())
}

/// Bits of an RSA key when none are asked for, as for keys in memory.
const RSA_BITS_DEFAULT: u32 = 3072;
