//! Any octets as a certificate in DER: an answer, never a panic, and all that is shown of it.
#![no_main]

use keys::certificate::Certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    if let Ok(certificate) = Certificate::from_der(der) {
        assert!(certificate.der() == der);
        drop((certificate.lines(), certificate.oddities(), certificate.serial_hex(), certificate.public_key()));
    }
});
