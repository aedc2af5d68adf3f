//! Any lines as a server lists its folders: entries, or none; and of each date one that is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocols::ftp::wire::{decode_facts, decode_line, parse_time, time_text};

fuzz_target!(|octets: &[u8]| {
    for line in octets.split(|octet| *octet == b'\n') {
        for listed in [decode_facts(line), decode_line(line)].into_iter().flatten() {
            assert!(!listed.name.is_empty() && line.windows(listed.name.len()).any(|part| part == listed.name));
            if let Some(at) = listed.modified {
                let again = parse_time(&time_text(at)).expect("what we write");
                assert_eq!(again.seconds(), at.seconds());
            }
        }
    }
});
