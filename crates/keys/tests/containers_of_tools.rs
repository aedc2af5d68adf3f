//! Files that openssl, certtool, puttygen, ssh-keygen and keytool make are read, and ours are read by them. Where a
//! program is not installed, nothing is tried with it, and said so.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "the whole file is a test, helpers too"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use base::{Secret, UtcMicros};
use keys::{
    CertificateFileFormat, Contents, IssueRequest, KeyAlgorithm, KeyError, KeyFileFormat, KeyMaterial, PrivateKey,
    certificate_request, pem, read_certificates, read_key, self_signed, write_key, write_pkcs7, write_pkcs12,
};

/// What a program prints; `None` if it is not installed. It must succeed.
fn run(program: &str, folder: &Path, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(done) if done.status.success() => Some(String::from_utf8_lossy(&done.stdout).into_owned()),
        Ok(done) => panic!("{program} {arguments:?} failed: {}", String::from_utf8_lossy(&done.stderr)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("{program} is not installed: nothing was tried with it");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn password() -> Secret<String> {
    Secret::new(PASSWORD.to_owned())
}

const PASSWORD: &str = "open sesame";

fn read(folder: &Path, file: &str, format: CertificateFileFormat, locked: bool) -> Contents {
    let octets = fs::read(folder.join(file)).expect(file);
    let with = locked.then(password);
    let given = read_certificates(&octets, Some(format), with.as_ref()).unwrap_or_else(|e| panic!("{file}: {e}"));
    let found = read_certificates(&octets, None, with.as_ref()).expect(file);
    assert_eq!(given.certificates, found.certificates, "{file}");
    if locked {
        let wrong = Secret::new("open Sesame".to_owned());
        let refused = read_certificates(&octets, None, Some(&wrong)).expect_err(file);
        assert_eq!(refused, KeyError::PasswordWrong.into(), "{file}");
        assert_eq!(read_certificates(&octets, None, None).expect_err(file), KeyError::PasswordNeeded.into(), "{file}");
    }
    given
}

/// A key and its certificate as `key.pem` and `cert.pem`, made by us.
fn make(folder: &Path, algorithm: KeyAlgorithm) -> (PrivateKey, Vec<u8>) {
    let bits = (algorithm == KeyAlgorithm::Rsa).then_some(2048);
    let key = PrivateKey::generate(algorithm, bits).expect("key");
    let request = IssueRequest {
        subject: "C=RO, O=\"Example, Inc.\", CN=me".parse().expect("subject"),
        alternative_names: vec!["host.example".parse().expect("name"), "192.0.2.1".parse().expect("name")],
        authority: false,
    };
    let from = UtcMicros::parse("2026-01-01T00:00:00Z").expect("time");
    let der = self_signed(&key, &request, from, 9000).expect("certificate");
    fs::write(folder.join("cert.pem"), pem("CERTIFICATE", &der)).expect("file");
    fs::write(folder.join("cert.der"), &der).expect("file");
    let asked = certificate_request(&key, &request).expect("request");
    fs::write(folder.join("request.pem"), pem("CERTIFICATE REQUEST", &asked)).expect("file");
    let again = PrivateKey::from_bytes(key.to_bytes().expose()).expect("key");
    let file = write_key(&KeyMaterial::Private(again), KeyFileFormat::Pem, None).expect("file");
    fs::write(folder.join("key.pem"), file.expose()).expect("file");
    (key, der)
}

const MADE: [KeyAlgorithm; 5] = [
    KeyAlgorithm::Rsa,
    KeyAlgorithm::EcdsaNistp256,
    KeyAlgorithm::EcdsaNistp384,
    KeyAlgorithm::EcdsaNistp521,
    KeyAlgorithm::Ed25519,
];

// CERT-29
#[test]
fn openssl_verifies_our_certificates_and_requests() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for algorithm in MADE {
        make(folder, algorithm);
        let verify = ["verify", "-check_ss_sig", "-x509_strict", "-CAfile", "cert.pem", "-no_check_time", "cert.pem"];
        if run("openssl", folder, &verify).is_none() {
            return;
        }
        let text = run("openssl", folder, &["x509", "-in", "cert.pem", "-noout", "-text"]).expect("openssl x509");
        for part in ["C = RO, O = \"Example, Inc.\", CN = me", "DNS:host.example, IP Address:192.0.2.1", "CA:FALSE"] {
            assert!(text.contains(part), "{algorithm}: {part}\n{text}");
        }
        let request = run("openssl", folder, &["req", "-in", "request.pem", "-verify", "-noout", "-text"]);
        assert!(request.expect("openssl req").contains("DNS:host.example"), "{algorithm}");
        run("certtool", folder, &["--certificate-info", "--infile", "cert.pem"]);
        run("certtool", folder, &["--crq-info", "--infile", "request.pem"]);
    }
}

// CERT-4, CERT-15, CERT-32
#[test]
fn what_openssl_packs_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for algorithm in MADE {
        let (key, der) = make(folder, algorithm);
        for protection in [
            &[][..],
            &["-legacy"],
            &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-legacy"],
            &["-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC2-128", "-legacy"],
            &["-keypbe", "aes-128-cbc", "-certpbe", "aes-192-cbc", "-macalg", "sha512", "-iter", "10000"],
            &["-certpbe", "NONE"],
            &["-nomaciter", "-macalg", "sha384"],
        ] {
            let usual =
                ["pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-name", "mine", "-out", "file.p12"];
            let out = format!("pass:{PASSWORD}");
            if run("openssl", folder, &[&usual, &["-passout", &out][..], protection].concat()).is_none() {
                return;
            }
            let mut contents = read(folder, "file.p12", CertificateFileFormat::Pkcs12, true);
            assert_eq!(contents.certificates[0].der, der, "{algorithm} {protection:?}");
            assert_eq!(contents.certificates[0].name.as_deref(), Some("mine"));
            assert!(contents.take_key(key.public()).is_some(), "{algorithm} {protection:?}");
            assert_eq!(contents.weaknesses.is_empty(), !protection.contains(&"-legacy"), "{:?}", contents.weaknesses);
        }
        for (form, file) in [("DER", "all.p7b"), ("PEM", "all.p7")] {
            let pack = ["crl2pkcs7", "-nocrl", "-certfile", "cert.pem", "-outform", form, "-out", file];
            run("openssl", folder, &pack).expect("openssl crl2pkcs7");
            assert_eq!(read(folder, file, CertificateFileFormat::Pkcs7, false).certificates[0].der, der, "{form}");
        }
        assert_eq!(read(folder, "cert.der", CertificateFileFormat::Der, false).certificates[0].der, der);
        assert_eq!(read(folder, "cert.pem", CertificateFileFormat::Base64, false).certificates[0].der, der);
        protected_keys(folder, &key);
    }
}

fn protected_keys(folder: &Path, key: &PrivateKey) {
    let out = format!("pass:{PASSWORD}");
    for (form, format) in [("DER", KeyFileFormat::Der), ("PEM", KeyFileFormat::Pem)] {
        for protection in [
            &["-v2", "aes-256-cbc"][..],
            &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "5000"],
            &["-v2", "des3"],
            &["-scrypt", "-scrypt_N", "1024"],
            &["-v1", "PBE-MD5-DES", "-provider", "legacy", "-provider", "default"],
            &["-v1", "PBE-SHA1-RC2-40", "-provider", "legacy", "-provider", "default"],
            &["-v1", "PBE-SHA1-3DES"],
        ] {
            let usual = ["pkcs8", "-topk8", "-in", "key.pem", "-outform", form, "-out", "key.p8", "-passout", &out];
            run("openssl", folder, &[&usual, protection].concat()).expect("openssl pkcs8");
            let octets = fs::read(folder.join("key.p8")).expect("file");
            let read =
                read_key(&octets, Some(format), Some(&password())).unwrap_or_else(|e| panic!("{protection:?}: {e}"));
            assert_eq!(read.public(), key.public(), "{protection:?}");
            assert_eq!(read_key(&octets, None, None).err(), Some(KeyError::PasswordNeeded), "{protection:?}");
        }
    }
}

#[test]
fn other_programs_read_what_we_pack() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let out = format!("pass:{PASSWORD}");
    for algorithm in MADE {
        let (key, der) = make(folder, algorithm);
        let packed = write_pkcs12(&key, &[&der], "mine", &password()).expect("pkcs12");
        fs::write(folder.join("ours.p12"), packed.expose()).expect("file");
        let unpack = ["pkcs12", "-in", "ours.p12", "-passin", &out, "-nodes"];
        if let Some(text) = run("openssl", folder, &unpack) {
            assert!(text.contains("friendlyName: mine") && text.contains("BEGIN PRIVATE KEY"), "{text}");
            let read = read_certificates(text.as_bytes(), None, None).expect("what openssl printed");
            assert_eq!((&read.certificates[0].der, read.keys[0].key.public()), (&der, key.public()));
        }
        let listed =
            run("certtool", folder, &["--p12-info", "--inder", "--infile", "ours.p12", "--password", PASSWORD]);
        assert!(listed.is_none_or(|text| text.contains("BEGIN CERTIFICATE")), "certtool {algorithm}");
        if algorithm != KeyAlgorithm::Ed25519 {
            let list = ["-list", "-keystore", "ours.p12", "-storetype", "PKCS12", "-storepass", PASSWORD];
            let listed = run("keytool", folder, &list);
            assert!(listed.is_none_or(|text| text.contains("mine") && text.contains("PrivateKeyEntry")), "{algorithm}");
        }
        fs::write(folder.join("ours.p7b"), write_pkcs7(&[&der, &der])).expect("file");
        if let Some(text) = run("openssl", folder, &["pkcs7", "-inform", "DER", "-in", "ours.p7b", "-print_certs"]) {
            assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
        }
        for form in [KeyFileFormat::Der, KeyFileFormat::Pem] {
            let again = KeyMaterial::Private(PrivateKey::from_bytes(key.to_bytes().expose()).expect("key"));
            let file = write_key(&again, form, Some(&password())).expect("file");
            fs::write(folder.join("ours.p8"), file.expose()).expect("file");
            let open = ["pkey", "-in", "ours.p8", "-inform", form.as_str(), "-passin", &out];
            if let Some(text) = run("openssl", folder, &open) {
                assert_eq!(read_key(text.as_bytes(), None, None).expect("key").public(), key.public());
            }
        }
    }
}

#[test]
fn what_certtool_writes_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for algorithm in [KeyAlgorithm::Rsa, KeyAlgorithm::EcdsaNistp384] {
        let (key, der) = make(folder, algorithm);
        for cipher in ["aes-256", "3des-pkcs12", "rc2-40", "arcfour"] {
            let file = format!("{cipher}.p12");
            let pack = [
                "--to-p12",
                "--load-privkey",
                "key.pem",
                "--load-certificate",
                "cert.pem",
                "--p12-name",
                "mine",
                "--password",
                PASSWORD,
                "--pkcs-cipher",
                cipher,
                "--outder",
                "--outfile",
                &file,
            ];
            if run("certtool", folder, &pack).is_none() {
                return;
            }
            let mut contents = read(folder, &file, CertificateFileFormat::Pkcs12, true);
            assert_eq!(contents.certificates[0].der, der, "{cipher}");
            assert!(contents.take_key(key.public()).is_some(), "{cipher}");
            let lock = [
                "--to-p8",
                "--load-privkey",
                "key.pem",
                "--password",
                PASSWORD,
                "--pkcs-cipher",
                cipher,
                "--outder",
                "--outfile",
                "key.p8",
            ];
            run("certtool", folder, &lock).expect("certtool");
            let octets = fs::read(folder.join("key.p8")).expect("file");
            assert_eq!(read_key(&octets, None, Some(&password())).expect(cipher).public(), key.public());
        }
        run(
            "certtool",
            folder,
            &["--p7-generate", "--load-certificate", "cert.pem", "--outder", "--outfile", "all.p7b"],
        )
        .expect("certtool");
        assert_eq!(read(folder, "all.p7b", CertificateFileFormat::Pkcs7, false).certificates[0].der, der);
    }
}

#[test]
fn what_keytool_writes_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for (kind, more) in [("RSA", &["-keysize", "2048"][..]), ("EC", &["-groupname", "secp256r1"])] {
        let file = format!("{kind}.p12");
        let usual = [
            "-genkeypair",
            "-keyalg",
            kind,
            "-dname",
            "CN=me,O=Example,C=RO",
            "-alias",
            "mine",
            "-keystore",
            &file,
            "-storetype",
            "PKCS12",
            "-storepass",
            PASSWORD,
        ];
        if run("keytool", folder, &[&usual, more].concat()).is_none() {
            return;
        }
        let contents = read(folder, &file, CertificateFileFormat::Pkcs12, true);
        assert_eq!((contents.certificates.len(), contents.keys.len()), (1, 1), "{kind}");
        assert_eq!(contents.keys[0].name.as_deref(), Some("mine"));
    }
}

// KEY-1
#[test]
fn puttygen_and_we_read_each_other() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fs::write(folder.join("password"), PASSWORD).expect("file");
    fs::write(folder.join("empty"), "").expect("file");
    for (kind, bits) in
        [("rsa", "2048"), ("dsa", "1024"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("ed25519", "256")]
    {
        for version in ["2", "3"] {
            for lock in ["empty", "password"] {
                let name = format!("{kind}{bits}.{version}.{lock}");
                let make = [
                    "-q",
                    "-t",
                    kind,
                    "-b",
                    bits,
                    "-C",
                    "a comment",
                    "--ppk-param",
                    &format!("version={version}"),
                    "--new-passphrase",
                    lock,
                    "-o",
                    &name,
                ];
                if run("puttygen", folder, &make).is_none() {
                    return;
                }
                let octets = fs::read(folder.join(&name)).expect("ppk");
                let with = (lock == "password").then(password);
                let key = read_key(&octets, Some(KeyFileFormat::Ppk), with.as_ref())
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
                assert!(key.is_private());
                let line = ["-O", "public-openssh", "--old-passphrase", lock, "-o", "line", &name];
                run("puttygen", folder, &line).expect("puttygen");
                let tectia = ["-O", "public", "--old-passphrase", lock, "-o", "tectia", &name];
                run("puttygen", folder, &tectia).expect("puttygen");
                for (file, format) in [("line", KeyFileFormat::Txt), ("tectia", KeyFileFormat::Rfc4716)] {
                    let octets = fs::read(folder.join(file)).expect(file);
                    assert_eq!(read_key(&octets, Some(format), None).expect(file).public(), key.public(), "{name}");
                }
                if lock == "password" {
                    assert_eq!(read_key(&octets, None, None).err(), Some(KeyError::PasswordNeeded));
                    let wrong = Secret::new("x".to_owned());
                    assert_eq!(read_key(&octets, None, Some(&wrong)).err(), Some(KeyError::PasswordWrong));
                }
                let ours = write_key(&key, KeyFileFormat::Ppk, with.as_ref()).expect("ppk");
                fs::write(folder.join("ours"), ours.expose()).expect("file");
                let line = ["-O", "public-openssh", "--old-passphrase", lock, "-o", "line", "ours"];
                run("puttygen", folder, &line).expect("puttygen reads ours");
                let octets = fs::read(folder.join("line")).expect("line");
                assert_eq!(read_key(&octets, None, None).expect("line").public(), key.public(), "{name}");
            }
        }
    }
}

// RFC 4716, both ways.
#[test]
fn ssh_keygen_and_we_read_each_others_tectia_keys() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for algorithm in MADE {
        let bits = (algorithm == KeyAlgorithm::Rsa).then_some(2048);
        let public = PrivateKey::generate(algorithm, bits).expect("key").public().clone();
        let material = KeyMaterial::Public(public.clone());
        let file = write_key(&material, KeyFileFormat::Rfc4716, None).expect("file");
        fs::write(folder.join("ours"), file.expose()).expect("file");
        let Some(line) = run("ssh-keygen", folder, &["-i", "-f", "ours"]) else { return };
        assert_eq!(read_key(line.as_bytes(), None, None).expect("line").public(), &public);
        fs::write(folder.join("line"), line).expect("file");
        let theirs = run("ssh-keygen", folder, &["-e", "-f", "line"]).expect("ssh-keygen -e");
        assert_eq!(read_key(theirs.as_bytes(), Some(KeyFileFormat::Rfc4716), None).expect("tectia").public(), &public);
    }
}
