//! Any octets as what a client of FTP sends: lines or an error, and of each line a command that is written as one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocols::ftp::wire::{Command, LINE_OCTETS_MAX, Lines};

fuzz_target!(|stream: &[u8]| {
    let mut lines = Lines::new(LINE_OCTETS_MAX);
    for piece in stream.chunks(1000) {
        lines.room().extend_from_slice(piece);
        while let Ok(Some(line)) = lines.next_line() {
            let Ok(command) = Command::decode(&line) else { continue };
            let sent = command.encode();
            assert!(sent.ends_with(b"\r\n") && sent.iter().filter(|octet| **octet == b'\n').count() == 1);
            assert_eq!(Command::decode(&sent[..sent.len() - 2]).expect("what we write").encode(), sent);
        }
    }
});
