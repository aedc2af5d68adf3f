//! Any octets as a key file in Ppk form: an answer, never a panic, and a key that survives its own form.
#![no_main]

use base::Secret;
use keys::{KeyFileFormat, KeyMaterial, PrivateKey, read_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let password = Secret::new("x".to_owned());
    if let Ok(KeyMaterial::Private(key)) = read_key(file, Some(KeyFileFormat::Ppk), Some(&password)) {
        let again = PrivateKey::from_bytes(key.to_bytes().expose()).expect("a key that was read");
        assert!(again.public() == key.public());
    }
});
