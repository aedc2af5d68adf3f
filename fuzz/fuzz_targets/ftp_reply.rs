//! Any octets as what a server of FTP sends to our client: replies out of lines, and the addresses in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocols::ftp::wire::{Incoming, LINE_OCTETS_MAX, Lines, REPLY_LINES_MAX, decode_epsv_text, decode_pasv_text};
use protocols::ftp::wire::{epsv_text, pasv_text};

fuzz_target!(|stream: &[u8]| {
    let (mut lines, mut incoming) = (Lines::new(LINE_OCTETS_MAX), Incoming::default());
    for piece in stream.chunks(1000) {
        lines.room().extend_from_slice(piece);
        while let Ok(Some(line)) = lines.next_line() {
            let Ok(taken) = incoming.take(&line) else { return };
            let Some(reply) = taken else { continue };
            assert!((100..700).contains(&reply.code()) && reply.lines().count() <= REPLY_LINES_MAX + 1);
            for line in reply.lines() {
                let text = String::from_utf8_lossy(line.octets());
                if let Ok(port) = decode_epsv_text(&text) {
                    assert_eq!(decode_epsv_text(&epsv_text(port)), Ok(port));
                }
                if let Ok(address) = decode_pasv_text(&text) {
                    assert_eq!(decode_pasv_text(&pasv_text(address)), Ok(address));
                }
            }
        }
    }
});
