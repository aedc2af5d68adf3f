//! Any octets as a revocation list in DER: an answer, never a panic.
#![no_main]

use keys::verify::Crl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    if let Ok(list) = Crl::from_der(der) {
        drop((list.issuer().to_string(), list.number(), list.unusable(), list.len()));
    }
});
