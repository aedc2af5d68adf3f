//! Any octets as the private key file of a certificate: an answer, never a panic.
#![no_main]

use base::Secret;
use keys::{read_private_key, recognise_private_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let password = Secret::new("x".to_owned());
    let found = recognise_private_key(file);
    if let Ok(opened) = read_private_key(file, found.map(|found| found.kind), Some(&password)) {
        assert!(opened.material.is_private());
    }
});
