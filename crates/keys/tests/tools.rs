//! Key files that `ssh-keygen` and `openssl` make are read, and ours are read by `ssh-keygen`. Where a program is not
//! installed, nothing is tried, and said so.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "the whole file is a test, helpers too"
)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base::Secret;
use keys::certificate::{Certificate, CertificateState, CertificateType};
use keys::verify::{Algorithms, Crl, PathPolicy, PathRequest, Purpose, StoredCertificate, TrustStore, find_path};
use keys::{KeyAlgorithm, KeyError, KeyFileFormat, KeyMaterial, PrivateKey, PublicKey, read_key, write_key};

/// What a program prints; `None` if it is not installed, or cannot do this.
fn output(program: &str, folder: &Path, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(done) if done.status.success() => Some(String::from_utf8(done.stdout).expect("text")),
        Ok(done) => {
            println!("{program} {arguments:?} failed: {}", String::from_utf8_lossy(&done.stderr));
            None
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("{program} is not installed: nothing was tried with it");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn read(folder: &Path, file: &str, format: KeyFileFormat, password: Option<&Secret<String>>) -> KeyMaterial {
    let octets = fs::read(folder.join(file)).expect(file);
    let given = read_key(&octets, Some(format), password).unwrap_or_else(|error| panic!("{file}: {error}"));
    let found = read_key(&octets, None, password).expect(file);
    assert_eq!((given.public(), given.is_private()), (found.public(), found.is_private()), "{file}");
    given
}

fn public_line(folder: &Path, file: &str) -> PublicKey {
    read(folder, file, KeyFileFormat::Txt, None).public().clone()
}

// KEY-1, KEY-5, KEY-9
#[test]
fn what_ssh_keygen_writes_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let password = Secret::new("open sesame".to_owned());
    for (kind, bits, algorithm) in [
        ("rsa", "2048", KeyAlgorithm::Rsa),
        ("dsa", "1024", KeyAlgorithm::Dss),
        ("ecdsa", "256", KeyAlgorithm::EcdsaNistp256),
        ("ecdsa", "384", KeyAlgorithm::EcdsaNistp384),
        ("ecdsa", "521", KeyAlgorithm::EcdsaNistp521),
        ("ed25519", "256", KeyAlgorithm::Ed25519),
    ] {
        let make = |file: &str, password: &str, more: &[&str]| {
            let usual = ["-q", "-t", kind, "-b", bits, "-N", password, "-C", "a comment", "-f", file];
            output("ssh-keygen", folder, &[&usual, more].concat())
        };
        let clear = format!("{kind}{bits}");
        if make(&clear, "", &[]).is_none() {
            continue;
        }
        let key = read(folder, &clear, KeyFileFormat::OpenSsh, None);
        assert!(key.is_private());
        assert_eq!(key.public().algorithm(), algorithm);
        let own_line = format!("{clear}.pub");
        assert_eq!(&public_line(folder, &own_line), key.public());
        let printed = output("ssh-keygen", folder, &["-l", "-E", "sha256", "-f", &own_line]).expect("fingerprint");
        assert!(printed.contains(&key.public().fingerprint().to_string()), "{printed}");

        let locked = format!("{clear}.locked");
        make(&locked, password.expose(), &["-a", "4"]).expect("locked key");
        let key = read(folder, &locked, KeyFileFormat::OpenSsh, Some(&password));
        assert_eq!(&public_line(folder, &format!("{locked}.pub")), key.public());
        let octets = fs::read(folder.join(&locked)).expect("locked key");
        assert_eq!(read_key(&octets, None, None).err(), Some(KeyError::PasswordNeeded));

        for form in ["PEM", "PKCS8"] {
            // ssh-keygen writes Ed25519 in its own form whatever is asked for.
            if algorithm == KeyAlgorithm::Ed25519 {
                continue;
            }
            let pem = format!("{clear}.{form}");
            make(&pem, "", &["-m", form]).expect("pem key");
            let key = read(folder, &pem, KeyFileFormat::Pem, None);
            assert_eq!(&public_line(folder, &format!("{pem}.pub")), key.public());
            let locked = format!("{pem}.locked");
            make(&locked, password.expose(), &["-m", form]).expect("locked pem key");
            let key = read(folder, &locked, KeyFileFormat::Pem, Some(&password));
            assert_eq!(&public_line(folder, &format!("{locked}.pub")), key.public());
            let octets = fs::read(folder.join(&locked)).expect("locked pem key");
            assert_eq!(read_key(&octets, None, None).err(), Some(KeyError::PasswordNeeded));
            let wrong = Secret::new("open Sesame".to_owned());
            assert_eq!(read_key(&octets, None, Some(&wrong)).err(), Some(KeyError::PasswordWrong));
        }
    }
}

// KEY-1
#[test]
fn what_openssl_writes_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for (curve, algorithm) in [
        ("prime256v1", KeyAlgorithm::EcdsaNistp256),
        ("secp384r1", KeyAlgorithm::EcdsaNistp384),
        ("secp521r1", KeyAlgorithm::EcdsaNistp521),
    ] {
        // Its key stands behind a block with the parameters.
        if output("openssl", folder, &["ecparam", "-name", curve, "-genkey", "-out", "key.pem"]).is_none() {
            return;
        }
        let key = read(folder, "key.pem", KeyFileFormat::Pem, None);
        assert_eq!(key.public().algorithm(), algorithm);
        for (more, format) in [
            (&["-outform", "DER"][..], KeyFileFormat::Der),
            (&["-param_enc", "explicit"], KeyFileFormat::Pem),
            (&["-pubout", "-conv_form", "compressed"], KeyFileFormat::Pem),
            (&["-pubout", "-conv_form", "compressed", "-param_enc", "explicit", "-outform", "DER"], KeyFileFormat::Der),
        ] {
            let made = output("openssl", folder, &[&["ec", "-in", "key.pem", "-out", "other"], more].concat());
            made.expect("openssl ec");
            assert_eq!(read(folder, "other", format, None).public(), key.public(), "{curve} {more:?}");
        }
    }
    for (arguments, algorithm) in [
        (&["-algorithm", "ED25519"][..], KeyAlgorithm::Ed25519),
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], KeyAlgorithm::Rsa),
    ] {
        output("openssl", folder, &[&["genpkey", "-out", "key.pem"], arguments].concat()).expect("openssl genpkey");
        let key = read(folder, "key.pem", KeyFileFormat::Pem, None);
        assert_eq!(key.public().algorithm(), algorithm);
        output("openssl", folder, &["pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public"])
            .expect("openssl pkey");
        assert_eq!(read(folder, "public", KeyFileFormat::Der, None).public(), key.public());
    }
    // OpenSSL 3 gives a "1024-bit DSA" key a subgroup of 224 bits, which ssh-dss can't carry.
    let made = output("openssl", folder, &["dsaparam", "-genkey", "-noout", "-out", "dsa.pem", "1024"]);
    if made.is_some() {
        match read_key(&fs::read(folder.join("dsa.pem")).expect("dsa"), None, None) {
            Ok(key) => assert_eq!(key.public().algorithm(), KeyAlgorithm::Dss),
            Err(error) => assert_eq!(error, KeyError::DssSubgroup { bits: 224 }),
        }
    }
}

#[test]
fn what_we_write_is_read_by_ssh_keygen() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let password = Secret::new("open sesame".to_owned());
    for algorithm in KeyAlgorithm::ALL.into_iter().filter(|a| *a != KeyAlgorithm::Dss) {
        let key = KeyMaterial::Private(PrivateKey::generate(algorithm, None).expect("key"));
        for (format, locked) in
            [(KeyFileFormat::OpenSsh, false), (KeyFileFormat::OpenSsh, true), (KeyFileFormat::Pem, false)]
        {
            if format == KeyFileFormat::Pem && algorithm == KeyAlgorithm::Ed25519 {
                // Only newer releases of OpenSSH read this.
                continue;
            }
            let octets = write_key(&key, format, locked.then_some(&password)).expect("file");
            let path = folder.join("ours");
            fs::write(&path, octets.expose()).expect("file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
            let given = if locked { password.expose().as_str() } else { "" };
            let Some(line) = output("ssh-keygen", folder, &["-y", "-P", given, "-f", "ours"]) else { return };
            assert_eq!(
                read_key(line.as_bytes(), None, None).expect("line").public(),
                key.public(),
                "{algorithm} {format}"
            );
        }
    }
}

// RFC 5280 section 5.1.2.1: a list without version and number, as `openssl ca` makes it unless it is told of extensions.
#[test]
fn a_revocation_list_of_version_1_counts() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fs::write(folder.join("index"), "").expect("index");
    let settings = "[ca]\ndefault_ca = c\n[c]\ndatabase = index\ndefault_md = sha256\ndefault_crl_days = 30\n";
    fs::write(folder.join("settings"), settings).expect("settings");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    let root =
        ["-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-addext", "keyUsage=keyCertSign,cRLSign"];
    let own = ["-keyout", "own.key", "-out", "own.pem", "-subj", "/CN=own", "-CA", "root.pem", "-CAkey", "root.key"];
    let by = ["-config", "settings", "-keyfile", "root.key", "-cert", "root.pem"];
    for arguments in [
        [&["req", "-x509"], &key[..], &root].concat(),
        [&["req", "-x509"], &key[..], &own, &["-addext", "basicConstraints=CA:false"]].concat(),
        [&["ca", "-revoke", "own.pem"], &by[..]].concat(),
        [&["ca", "-gencrl", "-out", "list.pem"], &by[..]].concat(),
        vec!["crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der"],
        vec!["x509", "-in", "root.pem", "-outform", "DER", "-out", "root.der"],
        vec!["x509", "-in", "own.pem", "-outform", "DER", "-out", "own.der"],
    ] {
        if output("openssl", folder, &arguments).is_none() {
            return;
        }
    }
    let shown = output("openssl", folder, &["crl", "-in", "list.pem", "-noout", "-text"]).expect("a list");
    assert!(shown.contains("Version 1"), "{shown}");
    let der = |file: &str| fs::read(folder.join(file)).expect(file);
    let list = Crl::from_der(&der("list.der")).expect("a list");
    assert_eq!((list.unusable(), list.len(), list.number()), (None, 1, None));
    let (root, own) = (Certificate::from_der(&der("root.der")), Certificate::from_der(&der("own.der")));
    let (root, own) = (root.expect("root"), own.expect("own"));
    list.check_signature(&root, Algorithms::default()).expect("signed by the root");

    let at = own.not_before();
    let entry = StoredCertificate {
        alias: "ROOT".to_owned(),
        certificate: root,
        state: CertificateState::Enabled,
        kind: CertificateType::Root,
    };
    let judged = |lists: Vec<Crl>| {
        let (store, policy) = (TrustStore::new(vec![entry.clone()], lists), PathPolicy::new(Purpose::Any));
        let request = PathRequest { end_entity: &own, sent: &[], store: &store, at, policy: &policy };
        find_path(&request).map(drop).map_err(|report| report.to_string())
    };
    assert_eq!(judged(Vec::new()), Ok(()));
    let refused = judged(vec![list]).expect_err("it is revoked");
    assert!(refused.contains("revoked"), "{refused}");
}
