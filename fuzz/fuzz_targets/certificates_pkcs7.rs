//! Any octets as a file of certificates in Pkcs7 form: an answer, never a panic.
#![no_main]

use base::Secret;
use keys::{CertificateFileFormat, read_certificates};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let password = Secret::new("x".to_owned());
    drop(read_certificates(file, Some(CertificateFileFormat::Pkcs7), Some(&password)));
});
