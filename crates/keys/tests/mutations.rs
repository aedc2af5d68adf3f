//! Files of every format, made on the spot and changed at random: each gives an answer, never a panic, never another key.
//! Set `GATEHOUSE_MUTATIONS` to try more of them (usually 400 for each file), `GATEHOUSE_SEED` to repeat a run.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "the whole file is a test, helpers too"
)]

use base::{Secret, UtcMicros};
use keys::{
    CertificateFileFormat, IssueRequest, KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, certificate_request,
    pem, read_certificates, read_key, read_private_key, self_signed, write_key, write_pkcs7, write_pkcs12,
};

/// xorshift64*: enough to scatter changes, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let n = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        usize::try_from(n).expect("64 bits") % below.max(1)
    }

    /// One to four changes: a bit, an octet, octets taken out, doubled, or put in from elsewhere, or the end cut off.
    fn changed(&mut self, file: &[u8], other: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..=self.roll(4) {
            if file.is_empty() {
                break;
            }
            let at = self.roll(file.len());
            let end = (at + 1 + self.roll(24)).min(file.len());
            match self.roll(7) {
                0 => file[at] ^= 1 << self.roll(8),
                1 => file[at] = u8::try_from(self.roll(256)).expect("an octet"),
                2 => drop(file.drain(at..end)),
                3 => {
                    let part = file[at..end].to_vec();
                    file.splice(at..at, part);
                }
                4 => {
                    let from = self.roll(other.len());
                    let part = other[from..(from + 24).min(other.len())].to_vec();
                    file.splice(at..end, part);
                }
                5 => file[at] = [0, 0x30, 0x80, 0x82, 0x84, 0xff, 0xa0, 0x24][self.roll(8)],
                _ => file.truncate(at),
            }
        }
        file
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn password() -> Secret<String> {
    Secret::new("open sesame".to_owned())
}

/// A file, and how many times it is changed: those whose password must be stretched each time get fewer.
type Seed = (Vec<u8>, u64);

fn seeds(algorithm: KeyAlgorithm, usual: u64) -> (PrivateKey, Vec<Seed>) {
    let bits = (algorithm == KeyAlgorithm::Rsa).then_some(2048);
    let key = PrivateKey::generate(algorithm, bits).expect("key");
    let material = KeyMaterial::Private(PrivateKey::from_bytes(key.to_bytes().expose()).expect("key"));
    let public = KeyMaterial::Public(key.public().clone());
    let mut all = Vec::new();
    for format in [KeyFileFormat::Der, KeyFileFormat::Pem, KeyFileFormat::OpenSsh, KeyFileFormat::Ppk] {
        all.push((write_key(&material, format, None).expect("file").expose().clone(), usual));
    }
    for format in [KeyFileFormat::Der, KeyFileFormat::Pem, KeyFileFormat::Txt, KeyFileFormat::Rfc4716] {
        all.push((write_key(&public, format, None).expect("file").expose().clone(), usual));
    }
    let locked = write_key(&material, KeyFileFormat::Der, Some(&password())).expect("file");
    all.push((locked.expose().clone(), usual / 100));

    let request = IssueRequest {
        subject: "C=RO, O=Example, CN=me".parse().expect("subject"),
        alternative_names: vec!["host.example".parse().expect("name")],
        authority: true,
    };
    let der = self_signed(&key, &request, UtcMicros::default(), 3650).expect("certificate");
    let beside = [pem("CERTIFICATE", &der).into_bytes(), all[1].0.clone()].concat();
    all.push((der.clone(), usual));
    all.push((beside, usual));
    all.push((write_pkcs7(&[&der, &der]), usual));
    all.push((pem("PKCS7", &write_pkcs7(&[&der])).into_bytes(), usual));
    all.push((certificate_request(&key, &request).expect("request"), usual));
    let packed = write_pkcs12(&key, &[&der], "mine", &password()).expect("pkcs12");
    all.push((packed.expose().clone(), usual / 40));
    (key, all)
}

#[test]
fn changed_files_give_an_answer_and_no_other_key() {
    let (usual, seed) = (number("GATEHOUSE_MUTATIONS", 400), number("GATEHOUSE_SEED", 0x9e37_79b9_7f4a_7c15));
    println!("GATEHOUSE_SEED={seed} GATEHOUSE_MUTATIONS={usual}");
    let mut dice = Dice(seed.max(1));
    let with = password();
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaNistp256, KeyAlgorithm::Rsa] {
        let (key, all) = seeds(algorithm, usual);
        for at in 0..all.len() {
            let (file, times) = &all[at];
            for _ in 0..*times {
                let changed = dice.changed(file, &all[(at + 1) % all.len()].0);
                // A private part belongs to its public part, whatever happened to the file.
                if let Ok(KeyMaterial::Private(read)) = read_key(&changed, None, Some(&with)) {
                    assert_eq!(read.public().bits(), key.public().bits(), "{algorithm} file {at}");
                    assert!(PrivateKey::from_bytes(read.to_bytes().expose()).is_ok(), "{algorithm} file {at}");
                }
                drop(read_private_key(&changed, None, Some(&with)));
                drop(read_certificates(&changed, None, Some(&with)));
                drop(read_certificates(&changed, Some(CertificateFileFormat::Pkcs7), None));
            }
        }
    }
}
