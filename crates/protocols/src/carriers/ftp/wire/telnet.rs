//! The Telnet below the control connection (RFC 959 section 2.3.2.1): as much of it as FTP uses.

use bytes::{BufMut, BytesMut};

/// Interpret as command.
const IAC: u8 = 255;

/// Doubles what Telnet would take for its own (FTP-26).
pub(super) fn escape(octets: &[u8], into: &mut BytesMut) {
    for octet in octets {
        if *octet == IAC {
            into.put_u8(IAC);
        }
        into.put_u8(*octet);
    }
}

/// Takes Telnet's commands out of a line and halves what was doubled. Clients put IP and the Synch signal before ABOR
/// (RFC 959 section 4.1.3); its data mark travels as urgent data, so that IAC may be left alone before the verb. Inside a
/// name an IAC that stands alone is kept: peers with an old character set do not double it.
pub(super) fn unescape(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line.iter().copied().peekable();
    while let Some(octet) = rest.next() {
        if octet != IAC {
            out.push(octet);
            continue;
        }
        match rest.peek().copied() {
            Some(IAC) => out.extend(rest.next()),
            // WILL, WON'T, DO, DON'T and the option they speak of (RFC 854).
            Some(251..=254) => drop((rest.next(), rest.next())),
            Some(240..=250) => drop(rest.next()),
            _ if out.is_empty() => {}
            _ => out.push(IAC),
        }
    }
    out
}
