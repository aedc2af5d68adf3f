//! Any octets as an encrypted password file: an answer, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|files: (Vec<u8>, Vec<u8>)| {
    drop(keys::open_password(&files.0, &files.1));
});
