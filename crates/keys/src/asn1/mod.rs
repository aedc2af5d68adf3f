//! Reading and writing the few ASN.1 values that keys and their containers are made of (X.690), strictly in DER.

mod ber;

pub(crate) use ber::to_der;

use base::Secret;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use zeroize::Zeroizing;

use crate::KeyError;
use crate::error::damaged;
use crate::limits::DER_VALUES_MAX;
use crate::parts::Number;

/// A value: its tag and content.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) tag: Tag,
    pub(crate) octets: &'a [u8],
}

/// The values inside one constructed value, taken in order.
pub(crate) struct Values<'a> {
    what: &'static str,
    rest: std::vec::IntoIter<Value<'a>>,
}

/// An object identifier of its dotted form.
pub(crate) const fn id(text: &'static str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// The values of the SEQUENCE that `der` is, with nothing behind it. `what` names the whole in errors.
pub(crate) fn sequence<'a>(what: &'static str, der: &'a [u8]) -> Result<Values<'a>, KeyError> {
    let value = Values::only(what, der)?;
    if value.tag == Tag::Sequence { value.inside(what) } else { Err(damaged(what, "a value has another type")) }
}

impl<'a> Value<'a> {
    /// The values inside a SEQUENCE or a constructed context-specific value.
    pub(crate) fn inside(self, what: &'static str) -> Result<Values<'a>, KeyError> {
        if self.tag.is_constructed() {
            Values::new(what, self.octets)
        } else {
            Err(damaged(what, "a value has another type"))
        }
    }

    /// The object identifier that it is.
    pub(crate) fn oid(self, what: &'static str) -> Result<ObjectIdentifier, KeyError> {
        match self.tag {
            Tag::ObjectIdentifier => ObjectIdentifier::from_bytes(self.octets)
                .map_err(|_| damaged(what, "an object identifier is malformed")),
            _ => Err(damaged(what, "an object identifier is missing")),
        }
    }

    /// The octets of a BIT STRING of whole octets.
    pub(crate) fn whole_bits(self, what: &'static str) -> Result<&'a [u8], KeyError> {
        match (self.tag, self.octets) {
            (Tag::BitString, bits) | (Tag::ContextSpecific { constructed: false, .. }, bits) => match bits {
                [0, octets @ ..] => Ok(octets),
                _ => Err(damaged(what, "a bit string does not end at an octet")),
            },
            _ => Err(damaged(what, "a bit string is missing")),
        }
    }

    /// Whether it is the context-specific value `[number]`.
    pub(crate) fn is_context(self, number: u32) -> bool {
        matches!(self.tag, Tag::ContextSpecific { number: own, .. } if own.value() == number)
    }
}

impl<'a> Values<'a> {
    /// The one value that `der` is.
    pub(crate) fn only(what: &'static str, der: &'a [u8]) -> Result<Value<'a>, KeyError> {
        let mut values = Self::new(what, der)?;
        let value = values.next("a structure")?;
        match values.rest.len() {
            0 => Ok(value),
            _ => Err(damaged(what, "something follows behind its end")),
        }
    }

    /// The one value that `der` is, to be taken as any other.
    pub(crate) fn one(what: &'static str, der: &'a [u8]) -> Result<Self, KeyError> {
        let value = Self::only(what, der)?;
        Ok(Self { what, rest: vec![value].into_iter() })
    }

    fn new(what: &'static str, octets: &'a [u8]) -> Result<Self, KeyError> {
        let malformed = |_| damaged(what, "it is not DER, or cut short, or something follows behind its end");
        let mut reader = SliceReader::new(octets).map_err(malformed)?;
        let mut values = Vec::new();
        while !reader.is_finished() {
            if values.len() == DER_VALUES_MAX {
                return Err(damaged(what, "it has more values than any key or container"));
            }
            let any = AnyRef::decode(&mut reader).map_err(malformed)?;
            values.push(Value { tag: any.tag(), octets: any.value() });
        }
        Ok(Self { what, rest: values.into_iter() })
    }

    /// The tags of the values that are left.
    pub(crate) fn tags(&self) -> Vec<Tag> {
        self.rest.as_slice().iter().map(|value| value.tag).collect()
    }

    /// The next value, which errors call `name`.
    pub(crate) fn next(&mut self, name: &str) -> Result<Value<'a>, KeyError> {
        self.rest.next().ok_or_else(|| damaged(self.what, &format!("{name} is missing")))
    }

    /// The next value, if there is one.
    pub(crate) fn next_any(&mut self) -> Option<Value<'a>> {
        self.rest.next()
    }

    /// The next value, if it is the context-specific value `[number]`.
    pub(crate) fn next_context(&mut self, number: u32) -> Option<Value<'a>> {
        let is_next = self.rest.as_slice().first().is_some_and(|value| value.is_context(number));
        if is_next { self.rest.next() } else { None }
    }

    /// The next value, which must have `tag`; errors call it `name`.
    pub(crate) fn expect(&mut self, tag: Tag, name: &str) -> Result<Value<'a>, KeyError> {
        let value = self.next(name)?;
        if value.tag == tag { Ok(value) } else { Err(damaged(self.what, &format!("{name} is missing"))) }
    }

    /// The next value, an INTEGER of zero or more.
    pub(crate) fn unsigned(&mut self) -> Result<Number, KeyError> {
        match self.expect(Tag::Integer, "a number")?.octets {
            [] => Err(damaged(self.what, "a number in it is empty")),
            [first, ..] if *first >= 0x80 => Err(damaged(self.what, "a number in it is negative")),
            [0, second, ..] if *second < 0x80 => Err(damaged(self.what, "a number in it has needless zeros")),
            octets => Ok(Number::new(octets)),
        }
    }

    /// The next value, a version that must be one of `allowed`.
    pub(crate) fn version(&mut self, allowed: &[u8]) -> Result<(), KeyError> {
        match self.unsigned()?.octets() {
            [] if allowed.contains(&0) => Ok(()),
            [version] if allowed.contains(version) => Ok(()),
            _ => Err(damaged(self.what, "its version is not known")),
        }
    }

    /// Says that no value is left.
    pub(crate) fn end(mut self) -> Result<(), KeyError> {
        match self.rest.next() {
            None => Ok(()),
            Some(_) => Err(damaged(self.what, "it has values that it should not have")),
        }
    }
}

/// The octets of the first value of `octets`, whatever follows.
pub(crate) fn first_value(octets: &[u8]) -> Option<&[u8]> {
    SliceReader::new(octets).ok()?.tlv_bytes().ok()
}

/// One value, written. The buffers are erased on drop, since a private key may be among them.
pub(crate) fn value(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(len + 6));
    out.push(tag);
    let octets = len.to_be_bytes();
    let shortest = octets.iter().skip_while(|o| **o == 0);
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            // A length has at most eight octets.
            out.push(0x80 | u8::try_from(shortest.clone().count()).unwrap_or_default());
            out.extend(shortest);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// NULL, whole.
pub(crate) const NULL: &[u8] = &[5, 0];
/// INTEGER 0, whole: the version of most structures.
pub(crate) const ZERO: &[u8] = &[2, 1, 0];
/// INTEGER 1, whole.
pub(crate) const ONE: &[u8] = &[2, 1, 1];

/// An INTEGER, written.
pub(crate) fn integer(n: &Number) -> Zeroizing<Vec<u8>> {
    let octets = n.signed_octets();
    value(INTEGER, &[if octets.is_empty() { &[0] } else { &octets }])
}

/// Several INTEGERs, written one behind the other.
pub(crate) fn integers(numbers: &[&Number]) -> Zeroizing<Vec<u8>> {
    // Room for all, so that nothing is left behind in memory by growing.
    let len: usize = numbers.iter().map(|n| n.octets().len() + 8).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    numbers.iter().for_each(|n| out.extend_from_slice(&integer(n)));
    out
}

/// A BIT STRING of whole octets, written.
pub(crate) fn bits(octets: &[u8]) -> Zeroizing<Vec<u8>> {
    value(BIT_STRING, &[&[0], octets])
}

/// An object identifier, written.
pub(crate) fn oid(id: ObjectIdentifier) -> Zeroizing<Vec<u8>> {
    value(OBJECT_IDENTIFIER, &[id.as_bytes()])
}

/// Hands the octets over to their one owner.
pub(crate) fn secret(octets: Zeroizing<Vec<u8>>) -> Secret<Vec<u8>> {
    let mut octets = octets;
    Secret::new(std::mem::take(&mut *octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_survive(octets in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let written = value(OCTET_STRING, &[&octets]);
            let read = Values::only("test", &written).unwrap();
            prop_assert_eq!(read.tag, Tag::OctetString);
            prop_assert_eq!(read.octets, &octets[..]);
        }

        #[test]
        fn integers_survive(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let n = Number::new(&octets);
            let mut values = Values::new("test", &[]).unwrap();
            prop_assert!(values.unsigned().is_err());
            let written = integer(&n);
            values = Values::new("test", &written).unwrap();
            prop_assert!(values.unsigned().unwrap() == n);
        }
    }

    #[test]
    fn numbers_that_are_not_der_are_refused() {
        for octets in [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 0x7f], &[2, 0x81, 1, 1], &[2, 2, 1], &[4, 1, 1]] {
            assert!(Values::new("test", octets).and_then(|mut v| v.unsigned()).is_err(), "{octets:?}");
        }
    }
}
