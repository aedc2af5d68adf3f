//! Containers that were written in BER (X.690 section 8), as Java libraries do: lengths that are not known beforehand,
//! strings in pieces. They become DER, so that all else is read strictly. What is in DER already stays as it is, octet by
//! octet, so that certificates keep their signatures.

use std::borrow::Cow;

use super::value;
use crate::KeyError;
use crate::error::damaged;
use crate::limits::ASN1_DEPTH_MAX;

/// The first value of `octets` in DER. Octets behind it are refused.
pub(crate) fn to_der<'a>(what: &'static str, octets: &'a [u8]) -> Result<Cow<'a, [u8]>, KeyError> {
    let malformed = || damaged(what, "it is not ASN.1, or cut short, or nested too deeply");
    let (element, rest) = element(octets, 0).ok_or_else(malformed)?;
    if rest.is_empty() { Ok(element) } else { Err(damaged(what, "something follows behind its end")) }
}

/// One value and what follows it.
fn element(octets: &[u8], depth: usize) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (head, length, body) = header(octets)?;
    let constructed = head.first()? & CONSTRUCTED != 0;
    let (content, rest) = match length {
        Some(length) => body.split_at_checked(length)?,
        None if constructed => {
            let (parts, rest) = parts_to_end(body, depth)?;
            return Some((Cow::Owned(rewritten(head, &parts)?), rest));
        }
        None => return None,
    };
    if !constructed {
        return Some((Cow::Borrowed(octets.get(..octets.len() - rest.len())?), rest));
    }
    let parts = parts(content, depth)?;
    let is_string = head == [CONSTRUCTED_STRING];
    if !is_string && parts.iter().all(|part| matches!(part, Cow::Borrowed(_))) {
        return Some((Cow::Borrowed(octets.get(..octets.len() - rest.len())?), rest));
    }
    Some((Cow::Owned(rewritten(head, &parts)?), rest))
}

/// The values inside another, as they stand or anew.
type Parts<'a> = Vec<Cow<'a, [u8]>>;

/// The values of a content whose length is known.
fn parts(mut content: &[u8], depth: usize) -> Option<Parts<'_>> {
    let mut parts = Vec::new();
    while !content.is_empty() {
        let (part, rest) = element(content, deeper(depth)?)?;
        parts.push(part);
        content = rest;
    }
    Some(parts)
}

/// The values up to the mark of the end, and what follows it.
fn parts_to_end(mut body: &[u8], depth: usize) -> Option<(Parts<'_>, &[u8])> {
    let mut parts = Vec::new();
    loop {
        if let Some(rest) = body.strip_prefix(END) {
            return Some((parts, rest));
        }
        let (part, rest) = element(body, deeper(depth)?)?;
        parts.push(part);
        body = rest;
    }
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < ASN1_DEPTH_MAX).then_some(depth + 1)
}

/// The value anew, its parts in DER; the pieces of a string joined.
fn rewritten(head: &[u8], parts: &[Cow<'_, [u8]>]) -> Option<Vec<u8>> {
    match head {
        [CONSTRUCTED_STRING] => {
            let pieces: Option<Vec<&[u8]>> = parts.iter().map(|part| string_content(part)).collect();
            Some(value(STRING, &pieces?).to_vec())
        }
        [tag] => Some(value(*tag, &parts.iter().map(|part| &**part).collect::<Vec<&[u8]>>()).to_vec()),
        // Tags of several octets are found in no container.
        _ => None,
    }
}

fn string_content(part: &[u8]) -> Option<&[u8]> {
    let (head, length, body) = header(part)?;
    (head == [STRING]).then(|| body.get(..length?)).flatten()
}

/// The tag, the length if it is known, and what follows.
fn header(octets: &[u8]) -> Option<(&[u8], Option<usize>, &[u8])> {
    let more = match octets.first()? & LONG_TAG {
        LONG_TAG => octets.iter().skip(1).take_while(|o| **o >= 0x80).count() + 1,
        _ => 0,
    };
    let (head, rest) = octets.split_at_checked(1 + more)?;
    let (first, rest) = rest.split_first()?;
    match *first {
        0x80 => Some((head, None, rest)),
        short @ ..0x80 => Some((head, Some(usize::from(short)), rest)),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = length.iter().try_fold(0_usize, |n, o| n.checked_mul(256)?.checked_add(usize::from(*o)))?;
            Some((head, Some(length), rest))
        }
    }
}

const CONSTRUCTED: u8 = 0x20;
const STRING: u8 = 0x04;
const CONSTRUCTED_STRING: u8 = 0x24;
const LONG_TAG: u8 = 0x1f;
/// End-of-contents octets.
const END: &[u8] = &[0, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn der(octets: &[u8]) -> Option<Vec<u8>> {
        to_der("test", octets).ok().map(Cow::into_owned)
    }

    #[test]
    fn unknown_lengths_and_pieces_become_der() {
        let sequence = [0x30, 0x80, 2, 1, 5, 0x24, 0x80, 4, 1, 7, 4, 2, 8, 9, 0, 0, 0, 0];
        assert_eq!(der(&sequence).unwrap(), [0x30, 8, 2, 1, 5, 4, 3, 7, 8, 9]);
        let known = [0x30, 9, 0x24, 7, 4, 1, 7, 4, 2, 8, 9];
        assert_eq!(der(&known).unwrap(), [0x30, 5, 4, 3, 7, 8, 9]);
        // What has a needless length octet but is not in pieces stays, since a signature may cover it.
        let signed = [0x30, 4, 0x02, 0x81, 1, 5];
        assert_eq!(der(&signed).unwrap(), signed);
    }

    #[test]
    fn what_is_no_ber_is_refused() {
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x80, 2, 1, 5],
            &[0x04, 0x80, 0, 0],
            &[0x30, 2, 5],
            &[0x30, 0, 0],
            &[0x24, 3, 2, 1, 5],
            &[0x30, 0xff],
            &[0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(der(bad).is_none(), "{bad:?}");
        }
    }

    // A file cannot make us nest without end.
    #[test]
    fn nesting_is_bounded() {
        assert!(der(&[0x30, 0x80].repeat(100_000)).is_none());
        let deep: Vec<u8> = [[0x30, 0x80].repeat(10), [0, 0].repeat(10)].concat();
        assert!(der(&deep).is_some());
    }

    proptest! {
        #[test]
        fn any_octets_end(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(der) = der(&octets) {
                prop_assert_eq!(to_der("test", &der).unwrap().into_owned(), der.clone());
            }
        }
    }
}
