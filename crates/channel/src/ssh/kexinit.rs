//! What both sides say in the clear: the version line and the first KEXINIT (RFC 4253 sections 4.2 and 7.1).
//!
//! Pure. The library does not tell what was negotiated; [`Opening`] reads along, and [`Lists::agree`] follows the rules.

use base::{Octets, OctetsError};

use super::probe::Offered;
use super::report::Negotiated;

/// Octets read along in search of a KEXINIT; more means that there is none.
const OPENING_OCTETS_MAX: usize = 64 * 1024;
/// Names of one list.
const NAMES_MAX: usize = 128;
/// Octets of one list.
const LIST_OCTETS_MAX: usize = 8 * 1024;
/// Octets of a version line (RFC 4253 section 4.2).
const LINE_OCTETS_MAX: usize = 255;
const KEXINIT: u8 = 20;
const COOKIE_OCTETS: usize = 16;
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
/// Names in the list of key exchanges that are none.
const MARKERS: [&str; 4] = ["ext-info-c", "ext-info-s", STRICT_CLIENT, STRICT_SERVER];

/// The lists of one KEXINIT.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lists {
    pub(crate) kex: Vec<String>,
    pub(crate) host_key: Vec<String>,
    pub(crate) cipher: Vec<String>,
    pub(crate) mac: Vec<String>,
    pub(crate) compression: Vec<String>,
}

/// One direction of a connection up to its first KEXINIT.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    held: Vec<u8>,
    line: Option<Vec<u8>>,
    done: bool,
}

impl Opening {
    /// Takes more octets; gives the lists once, as soon as they are there.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Option<Lists> {
        if self.done {
            return None;
        }
        let room = OPENING_OCTETS_MAX.saturating_sub(self.held.len());
        self.held.extend_from_slice(octets.get(..room.min(octets.len())).unwrap_or_default());
        let found = self.search();
        if found.is_some() || self.held.len() >= OPENING_OCTETS_MAX {
            self.done = true;
            self.held = Vec::new();
        }
        found
    }

    /// Whether nothing more is looked for.
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// The version line without its end, if it was seen.
    pub(crate) fn line(&self) -> Option<&[u8]> {
        self.line.as_deref()
    }

    fn search(&mut self) -> Option<Lists> {
        while self.line.is_none() {
            let end = self.held.iter().position(|o| *o == b'\n')?;
            let rest = self.held.split_off(end.saturating_add(1));
            let line = std::mem::replace(&mut self.held, rest);
            if line.starts_with(b"SSH-") {
                let text = line.trim_ascii_end();
                self.line = Some(text.get(..text.len().min(LINE_OCTETS_MAX)).unwrap_or_default().to_vec());
            }
        }
        loop {
            let mut packet = Octets::new(&self.held);
            let body = packet.string(OPENING_OCTETS_MAX).ok()?;
            if let Some(lists) = kexinit(body) {
                return Some(lists);
            }
            self.held = packet.rest().to_vec();
        }
    }
}

/// The lists, if `body` (padding length, payload, padding) is a KEXINIT.
fn kexinit(body: &[u8]) -> Option<Lists> {
    let mut body = Octets::new(body);
    body.u8().ok()?;
    if body.u8().ok()? != KEXINIT {
        return None;
    }
    body.take(COOKIE_OCTETS).ok()?;
    read_lists(&mut body).ok()
}

fn read_lists(body: &mut Octets<'_>) -> Result<Lists, OctetsError> {
    let mut next = || body.string(LIST_OCTETS_MAX).map(names);
    let (kex, host_key) = (next()?, next()?);
    let (cipher, _) = (next()?, next()?);
    let (mac, _) = (next()?, next()?);
    let (compression, _) = (next()?, next()?);
    Ok(Lists { kex, host_key, cipher, mac, compression })
}

fn names(list: &[u8]) -> Vec<String> {
    let list = list.split(|o| *o == b',').filter(|name| !name.is_empty()).take(NAMES_MAX);
    list.map(base::octets_text).collect()
}

impl Lists {
    /// The names, without those that are no algorithm.
    pub(crate) fn offered(&self) -> Offered {
        let kex = self.kex.iter().filter(|name| !MARKERS.contains(&name.as_str())).cloned().collect();
        let Self { host_key, cipher, mac, compression, .. } = self.clone();
        Offered { kex, host_key, cipher, mac, compression }
    }

    /// What a client with these lists and a server with `server` agree on: the client's first that the server has.
    pub(crate) fn agree(&self, server: &Self) -> Negotiated {
        let first = |ours: &[String], theirs: &[String]| {
            let common = ours.iter().find(|name| theirs.contains(name) && !MARKERS.contains(&name.as_str()));
            common.cloned().unwrap_or_default()
        };
        let cipher = first(&self.cipher, &server.cipher);
        let carries_mac = cipher.contains("-gcm@") || cipher.contains("poly1305");
        Negotiated {
            kex: first(&self.kex, &server.kex),
            host_key: first(&self.host_key, &server.host_key),
            mac: if carries_mac { String::new() } else { first(&self.mac, &server.mac) },
            compression: first(&self.compression, &server.compression),
            strict_kex: self.is_strict() && server.is_strict(),
            cipher,
        }
    }

    /// Whether the side that sent this offers strict key exchange.
    pub(crate) fn is_strict(&self) -> bool {
        self.kex.iter().any(|name| name == STRICT_CLIENT || name == STRICT_SERVER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(lists: [&str; 10]) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([7; COOKIE_OCTETS]);
        for list in lists {
            payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 5]);
        framed(&payload)
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut packet = u32::try_from(payload.len() + 5).unwrap().to_be_bytes().to_vec();
        packet.push(4);
        packet.extend(payload);
        packet.extend([0; 4]);
        packet
    }

    fn client() -> Vec<u8> {
        let kex = "curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com";
        let cipher = "aes128-ctr,aes128-gcm@openssh.com";
        let mac = "hmac-sha2-256";
        let mut all = b"SSH-2.0-Test 1\r\n".to_vec();
        all.extend(framed(&[2, 0, 0, 0, 0]));
        all.extend(packet([kex, "ssh-ed25519", cipher, cipher, mac, mac, "none", "none", "", ""]));
        all
    }

    #[test]
    fn lists_are_read_behind_the_line_and_an_ignored_packet() {
        let mut opening = Opening::default();
        let lists = client().chunks(3).find_map(|piece| opening.take(piece)).unwrap();
        assert_eq!(opening.line(), Some(&b"SSH-2.0-Test 1"[..]));
        assert!(opening.is_done() && lists.is_strict());
        assert_eq!(lists.cipher, ["aes128-ctr", "aes128-gcm@openssh.com"]);
    }

    #[test] // SSH-6: the client's order
    fn the_clients_first_common_name_wins() {
        let client = Opening::default().take(&client()).unwrap();
        let mut server = client.clone();
        server.kex = vec!["ext-info-c".to_owned(), "curve25519-sha256".to_owned()];
        server.cipher.reverse();
        let agreed = client.agree(&server);
        assert_eq!((agreed.cipher.as_str(), agreed.mac.as_str()), ("aes128-ctr", "hmac-sha2-256"));
        assert_eq!((agreed.kex.as_str(), agreed.strict_kex), ("curve25519-sha256", false));
        server.cipher.truncate(1);
        assert_eq!(client.agree(&server).mac, "", "GCM protects itself");
    }

    #[test]
    fn garbage_is_given_up() {
        let mut opening = Opening::default();
        assert_eq!(opening.take(&vec![0x16; OPENING_OCTETS_MAX + 1]), None);
        assert!(opening.is_done() && opening.held.is_empty());
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_harm(octets in proptest::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
            let mut whole = Opening::default();
            let at_once = whole.take(&octets);
            let mut split = Opening::default();
            let (a, b) = octets.split_at(cut.min(octets.len()));
            prop_assert_eq!(split.take(a).or_else(|| split.take(b)), at_once);
        }

        #[test]
        fn a_kexinit_with_any_tail_is_read_without_harm(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut octets = b"SSH-2.0-x\r\n".to_vec();
            octets.extend(framed(&[&[KEXINIT][..], &tail[..]].concat()));
            let mut opening = Opening::default();
            let _ = opening.take(&octets);
            prop_assert_eq!(opening.line(), Some(&b"SSH-2.0-x"[..]));
        }
    }
}
