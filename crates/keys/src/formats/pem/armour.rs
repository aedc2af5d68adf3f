//! The lines around base 64: taken off and put on.

use base::{Secret, octets_text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::KeyError;
use crate::formats::without_mark;
use crate::limits::PEM_BLOCKS_MAX;

/// What stands between a `BEGIN` and an `END` line.
pub(crate) struct Block {
    /// The name on both lines.
    pub(crate) label: String,
    /// Whether a header says that the content is encrypted (RFC 1421 section 4.6.1.1).
    pub(in crate::formats) protected: bool,
    /// What the header `DEK-Info` says: cipher and initial vector.
    pub(in crate::formats) dek: Option<String>,
    /// The octets, encrypted or not.
    pub(in crate::formats) content: Zeroizing<Vec<u8>>,
}

/// The name of the first block, if `file` has one.
pub(crate) fn first_label(file: &[u8]) -> Option<String> {
    lines(file).find_map(|line| named(line, BEGIN))
}

/// Takes every block of `file`. Text may stand before the first one, nothing but white space elsewhere.
pub(in crate::formats) fn read(file: &[u8]) -> Result<Vec<Block>, KeyError> {
    let mut blocks = Vec::new();
    let mut lines = lines(file);
    while let Some(line) = lines.next() {
        match named(line, BEGIN) {
            Some(_) if blocks.len() == PEM_BLOCKS_MAX => return Err(KeyError::Several { count: blocks.len() + 1 }),
            Some(label) => blocks.push(read_block(label, &mut lines, file.len())?),
            None if line.trim_ascii().is_empty() || blocks.is_empty() => {}
            None => return Err(damaged("something follows behind its end")),
        }
    }
    Ok(blocks)
}

/// The names of all blocks of `file`, whole or not.
pub(in crate::formats) fn labels(file: &[u8]) -> impl Iterator<Item = String> {
    lines(file).filter_map(|line| named(line, BEGIN))
}

/// Takes the blocks of `file` whose name is wanted, whatever stands around and between them, and says which of these are
/// not whole. A file of certificates may hold a text about each, and blocks of other kinds.
pub(in crate::formats) fn read_some(
    file: &[u8],
    wanted: impl Fn(&str) -> bool,
    blocks_max: usize,
) -> Result<(Vec<Block>, Vec<String>), KeyError> {
    let (mut blocks, mut broken) = (Vec::new(), Vec::new());
    let all: Vec<&[u8]> = lines(file).collect();
    let mut rest = all.as_slice();
    while let [line, behind @ ..] = rest {
        rest = behind;
        let Some(label) = named(line, BEGIN).filter(|label| wanted(label)) else { continue };
        if blocks.len() + broken.len() >= blocks_max {
            return Err(KeyError::Several { count: blocks.len() + 1 });
        }
        // A block without an end is cut off by the next one.
        let own = behind.iter().position(|line| named(line, BEGIN).is_some()).unwrap_or(behind.len());
        let own = behind.get(..own).unwrap_or_default();
        let octets = own.iter().map(|line| line.len() + 1).sum();
        match read_block(label.clone(), &mut own.iter().copied(), octets) {
            Ok(block) => blocks.push(block),
            Err(error) => broken.push(format!("PEM block {}: {error}", octets_text(label.as_bytes()))),
        }
    }
    Ok((blocks, broken))
}

/// Reads up to the `END` line. `octets_max` is room for all, so that nothing is left behind in memory by growing.
fn read_block<'a>(
    label: String,
    lines: &mut impl Iterator<Item = &'a [u8]>,
    octets_max: usize,
) -> Result<Block, KeyError> {
    let mut base64 = Zeroizing::new(Vec::with_capacity(octets_max));
    let (mut protected, mut dek) = (false, None);
    let mut in_header = false;
    for line in lines {
        if let Some(end) = named(line, END) {
            if end != label {
                return Err(damaged("its END line has another name than its BEGIN line"));
            }
            let content = STANDARD.decode(base64.as_slice()).map_err(|_| damaged("it is not base 64, or cut short"))?;
            return Ok(Block { label, protected, dek, content: Zeroizing::new(content) });
        }
        // A header has a colon, which base 64 has not; it may go on over lines that begin with a blank.
        let goes_on = in_header && line.starts_with(b" ");
        in_header = goes_on || line.contains(&b':');
        if in_header {
            protected |= line.starts_with(b"Proc-Type:") && line.windows(9).any(|w| w == b"ENCRYPTED");
            if let Some(info) = line.strip_prefix(b"DEK-Info:") {
                dek = Some(String::from_utf8_lossy(info).trim().to_owned());
            }
        } else {
            base64.extend(line.iter().filter(|o| !o.is_ascii_whitespace()));
        }
    }
    Err(damaged("its END line is missing"))
}

/// Puts the lines around `content`, whose base 64 is cut into lines of `width` characters.
pub(crate) fn write(label: &str, width: usize, content: &[u8]) -> Secret<Vec<u8>> {
    let base64 = Zeroizing::new(STANDARD.encode(content));
    // Room for all, so that nothing is left behind in memory by growing.
    let mut out = Vec::with_capacity(base64.len() + base64.len() / width.max(1) + 2 * label.len() + 40);
    for part in [BEGIN, label, DASHES, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for line in base64.as_bytes().chunks(width.max(1)) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    for part in [END, label, DASHES, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    Secret::new(out)
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    without_mark(file).split(|o| *o == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The name on a line that begins with `start`.
fn named(line: &[u8], start: &str) -> Option<String> {
    let label = line.trim_ascii_end().strip_prefix(start.as_bytes())?.strip_suffix(DASHES.as_bytes())?;
    String::from_utf8(label.to_vec()).ok()
}

fn damaged(why: &str) -> KeyError {
    KeyError::Damaged { what: "PEM file", why: why.to_owned() }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_armour_is_refused() {
        let good = "-----BEGIN X KEY-----\nAAAA\n-----END X KEY-----\n";
        assert_eq!(read(good.as_bytes()).unwrap()[0].content.as_slice(), [0, 0, 0]);
        for bad in [
            good.replace("END X", "END Y"),
            good.replace("-----END X KEY-----", ""),
            good.replace("AAAA", "AAA"),
            good.replace("AAAA", "AAB="),
            good.replace("AAAA", "AA AB=="),
            good.replace("AAAA", "AA*A"),
            format!("{good}tail"),
            good.repeat(PEM_BLOCKS_MAX + 1),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn content_survives(content in proptest::collection::vec(any::<u8>(), 0..300), width in 1..100_usize) {
            let blocks = read(write("SOME KEY", width, &content).expose()).unwrap();
            prop_assert_eq!(blocks.len(), 1);
            prop_assert_eq!(blocks[0].content.as_slice(), content.as_slice());
            prop_assert_eq!(&blocks[0].label, "SOME KEY");
        }
    }
}
