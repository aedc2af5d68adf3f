//! Keys in tokens of SoftHSM, made by us, `pkcs11-tool` and `softhsm2-util`. Where these are not installed, nothing is
//! tried, and said so.
//!
//! SoftHSM finds its tokens by a variable of the environment, which a test can't change for itself: each test makes its
//! tokens, then runs itself once more with the variable set.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "the whole file is a test, helpers too"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base::UtcMicros;
use keys::token::{ModuleSettings, PinSource, TokenError, TokenUri, Tokens};
use keys::{
    IssueRequest, KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, SignatureScheme, Signer, certificate_request,
    pem, self_signed, write_key,
};

const INNER: &str = "GATEHOUSE_TEST_TOKENS";
const PIN: &str = "2718-2818";

/// The folder of a test's tokens.
struct House {
    folder: PathBuf,
}

fn library() -> Option<PathBuf> {
    let known = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"];
    known.into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// Prepares tokens, then does `work` in a process that sees them.
fn with_tokens(test: &str, prepare: impl FnOnce(&House), work: impl FnOnce(&House)) {
    if let Some(folder) = std::env::var_os(INNER) {
        return work(&House { folder: folder.into() });
    }
    if library().is_none() || Command::new("pkcs11-tool").arg("--help").output().is_err() {
        return println!("softhsm2 and opensc are not installed: nothing was tried with them");
    }
    let folder = tempfile::tempdir().expect("folder");
    let house = House { folder: folder.path().to_owned() };
    fs::create_dir(house.tokens()).expect("tokens");
    let conf =
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", house.tokens().display());
    fs::write(house.conf(), conf).expect("conf");
    house.write_pin(PIN);
    house.new_token("gateway");
    prepare(&house);
    let again = Command::new(std::env::current_exe().expect("test"))
        .args(["--exact", test, "--nocapture"])
        .env("SOFTHSM2_CONF", house.conf())
        .env(INNER, &house.folder)
        .output()
        .expect("again");
    let told = String::from_utf8_lossy(&again.stdout).into_owned() + &String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && told.contains("1 passed"), "{told}");
    println!("{told}");
}

impl House {
    fn tokens(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    fn write_pin(&self, pin: &str) {
        fs::write(self.pin_file(), format!("{pin}\n")).expect("pin");
        fs::set_permissions(self.pin_file(), fs::Permissions::from_mode(0o600)).expect("mode");
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let done = Command::new(program).args(arguments).env("SOFTHSM2_CONF", self.conf()).output().expect(program);
        let told = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} {arguments:?}: {told}");
        told
    }

    fn new_token(&self, label: &str) {
        self.run("softhsm2-util", &["--init-token", "--free", "--label", label, "--so-pin", "31415926", "--pin", PIN]);
    }

    fn pkcs11_tool(&self, arguments: &[&str]) {
        let library = library().expect("library").display().to_string();
        let usual = ["--module", &library, "--token-label", "gateway", "--login", "--pin", PIN];
        self.run("pkcs11-tool", &[&usual, arguments].concat());
    }

    fn settings(&self, sessions: u32) -> ModuleSettings {
        ModuleSettings {
            name: "soft".to_owned(),
            library: library().expect("library"),
            pin: PinSource::File(self.pin_file()),
            sessions,
        }
    }

    fn open(&self) -> Tokens {
        Tokens::new(vec![self.settings(4)]).expect("settings")
    }
}

fn uri(object: &str) -> TokenUri {
    format!("pkcs11:token=gateway;object={object}?module-name=soft").parse().expect("uri")
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl");
    let told = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {arguments:?}: {told}");
    told
}

/// Each scheme of a key in a token; then a certificate and a request, which openssl verifies.
fn serves(house: &House, signer: &dyn Signer) {
    assert!(signer.may_wait());
    for scheme in SignatureScheme::of(signer.public_key()) {
        let signature = signer.sign(*scheme, b"message").unwrap_or_else(|e| panic!("{scheme:?}: {e}"));
        assert!(signer.public_key().verifies(*scheme, b"message", &signature), "{scheme:?}");
        assert!(!signer.public_key().verifies(*scheme, b"another", &signature), "{scheme:?}");
    }
    let request = IssueRequest {
        subject: "C=RO, O=Example, CN=token".parse().expect("subject"),
        alternative_names: vec!["DNS:gw.example".parse().expect("name")],
        authority: false,
    };
    let der = self_signed(signer, &request, UtcMicros::default(), 36_000).expect("certificate");
    fs::write(house.folder.join("made.pem"), pem("CERTIFICATE", &der)).expect("file");
    openssl(&house.folder, &["verify", "-check_ss_sig", "-CAfile", "made.pem", "made.pem"]);
    let der = certificate_request(signer, &request).expect("request");
    fs::write(house.folder.join("made.csr"), pem("CERTIFICATE REQUEST", &der)).expect("file");
    let told = openssl(&house.folder, &["req", "-in", "made.csr", "-verify", "-noout"]);
    assert!(told.contains("OK"), "{told}");
}

#[test]
fn keys_that_are_made_in_a_token_sign_and_stay_there() {
    with_tokens(
        "keys_that_are_made_in_a_token_sign_and_stay_there",
        |_| {},
        |house| {
            let tokens = house.open();
            for (algorithm, bits) in [
                (KeyAlgorithm::Rsa, Some(2048)),
                (KeyAlgorithm::EcdsaNistp256, None),
                (KeyAlgorithm::EcdsaNistp384, None),
                (KeyAlgorithm::EcdsaNistp521, None),
                (KeyAlgorithm::Ed25519, None),
            ] {
                let name = uri(algorithm.as_str());
                let made = tokens.generate(&name, algorithm, bits).unwrap_or_else(|e| panic!("{algorithm}: {e}"));
                assert_eq!(made.public_key().algorithm(), algorithm);
                serves(house, &made);
                let found = tokens.find(made.uri()).expect("found");
                assert_eq!(found.public_key(), made.public_key());
                let again = tokens.generate(&name, algorithm, bits).unwrap_err();
                assert!(matches!(again, TokenError::Taken { .. }), "{again}");
            }
            let all = tokens.list("soft").expect("list");
            assert_eq!(all.len(), 5);
            assert!(all.iter().all(|key| key.public.is_ok() && tokens.find(&key.uri).is_ok()), "{all:?}");
            let library = library().expect("library").display().to_string();
            let shown = house.run("pkcs11-tool", &["--module", &library, "--login", "--pin", PIN, "-O"]);
            assert_eq!(shown.matches("never extractable").count(), 5, "{shown}");
        },
    );
}

#[test]
fn keys_of_other_tools_are_used() {
    with_tokens(
        "keys_of_other_tools_are_used",
        |house| {
            for (kind, label) in
                [("rsa:2048", "r"), ("EC:prime256v1", "p"), ("EC:secp384r1", "q"), ("EC:secp521r1", "s")]
            {
                house.pkcs11_tool(&[
                    "--keypairgen",
                    "--key-type",
                    kind,
                    "--label",
                    label,
                    "--id",
                    "0a",
                    "--usage-sign",
                ]);
            }
            for algorithm in [KeyAlgorithm::Rsa, KeyAlgorithm::EcdsaNistp256, KeyAlgorithm::Ed25519] {
                let key = PrivateKey::generate(algorithm, None).expect("key");
                let file = house.folder.join("key.pem");
                let pem = write_key(&KeyMaterial::Private(key), KeyFileFormat::Pem, None).expect("pem");
                fs::write(&file, pem.expose()).expect("file");
                openssl(&house.folder, &["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-out", "key.p8"]);
                let word = algorithm.as_str();
                let id = format!("0b{:02}", word.len());
                let usual = ["--import", "key.p8", "--token", "gateway", "--label", word, "--id", &id, "--pin", PIN];
                let done = Command::new("softhsm2-util")
                    .args(usual)
                    .current_dir(&house.folder)
                    .env("SOFTHSM2_CONF", house.conf())
                    .output()
                    .expect("softhsm2-util");
                assert!(done.status.success(), "{word}: {}", String::from_utf8_lossy(&done.stderr));
            }
        },
        |house| {
            let tokens = house.open();
            for label in ["r", "p", "q", "s", "RSA", "ECDSA_NISTP256", "ED25519"] {
                let key = tokens.find(&uri(label)).unwrap_or_else(|e| panic!("{label}: {e}"));
                serves(house, &key);
            }
            // Two keys of one id, which no label tells apart.
            let several: TokenUri = "pkcs11:token=gateway;id=%0a?module-name=soft".parse().expect("uri");
            assert!(matches!(tokens.find(&several), Err(TokenError::SeveralKeys { .. })));
            let none = tokens.find(&uri("nobody")).unwrap_err();
            assert!(none.to_string().contains("secdsp status_token"), "{none}");
        },
    );
}

#[test]
fn what_is_wrong_is_told_and_the_pin_is_not_tried_twice() {
    with_tokens(
        "what_is_wrong_is_told_and_the_pin_is_not_tried_twice",
        |house| house.pkcs11_tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "k", "--id", "01"]),
        |house| {
            let why = |settings: ModuleSettings| Tokens::new(vec![settings]).and_then(|t| t.find(&uri("k")).map(drop));
            let told = |settings: ModuleSettings| why(settings).unwrap_err().to_string();
            let usual = || house.settings(2);
            let gone = told(ModuleSettings { library: "/usr/lib/no/such.so".into(), ..usual() });
            assert!(gone.contains("/usr/lib/no/such.so") && gone.contains("right path"), "{gone}");
            let text = house.folder.join("text.so");
            fs::write(&text, "no library").expect("file");
            assert!(told(ModuleSettings { library: text.clone(), ..usual() }).contains("no PKCS#11 library"));
            fs::set_permissions(&text, fs::Permissions::from_mode(0o666)).expect("mode");
            assert!(told(ModuleSettings { library: text, ..usual() }).contains("changed by others"));
            assert!(told(ModuleSettings { pin: PinSource::Nowhere, ..usual() }).contains("gatehouse.pin_soft"));
            let unset = PinSource::Environment("GATEHOUSE_TEST_NOT_SET".to_owned());
            assert!(told(ModuleSettings { pin: unset, ..usual() }).contains("GATEHOUSE_TEST_NOT_SET"));
            fs::set_permissions(house.pin_file(), fs::Permissions::from_mode(0o644)).expect("mode");
            assert!(told(usual()).contains("chmod 600"));

            let tokens = house.open();
            let other: TokenUri = "pkcs11:token=vault;object=k?module-name=soft".parse().expect("uri");
            house.write_pin("0000-0000");
            let absent = tokens.find(&other).unwrap_err().to_string();
            assert!(absent.contains("token=vault") && absent.contains("gateway"), "{absent}");
            let first = tokens.find(&uri("k")).unwrap_err().to_string();
            assert!(first.contains("refuses the PIN") && !first.contains("0000"), "{first}");
            for _ in 0..20 {
                let next = tokens.find(&uri("k")).unwrap_err().to_string();
                assert!(next.contains("not tried again"), "{next}");
            }
            house.write_pin(PIN);
            tokens.find(&uri("k")).expect("the right PIN is taken at once");
        },
    );
}

#[test]
fn a_token_that_was_away_is_used_again() {
    with_tokens(
        "a_token_that_was_away_is_used_again",
        |house| house.pkcs11_tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "k", "--id", "01"]),
        |house| {
            let tokens = house.open();
            let key = tokens.find(&uri("k")).expect("key");
            let scheme = SignatureScheme::EcdsaNistp256Sha256;
            let away = house.folder.join("away");
            for round in 0..3 {
                key.sign(scheme, b"before").unwrap_or_else(|e| panic!("{round}: {e}"));
                fs::rename(house.tokens(), &away).expect("away");
                fs::create_dir(house.tokens()).expect("tokens");
                let told = key.sign(scheme, b"meanwhile").unwrap_err().to_string();
                assert!(
                    told.contains("plug it in") || told.contains("lost") || told.contains("no private key"),
                    "{told}"
                );
                fs::remove_dir(house.tokens()).expect("tokens");
                fs::rename(&away, house.tokens()).expect("back");
                // A library is begun anew once a second at most.
                let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
                while let Err(e) = key.sign(scheme, b"again") {
                    assert!(std::time::Instant::now() < until, "{e}");
                    std::thread::yield_now();
                }
            }
        },
    );
}

#[test]
fn many_share_few_sessions() {
    with_tokens(
        "many_share_few_sessions",
        |house| {
            house.new_token("second");
            house.pkcs11_tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "k", "--id", "01"]);
        },
        |house| {
            let tokens = Tokens::new(vec![house.settings(2)]).expect("settings");
            let key = Arc::new(tokens.find(&uri("k")).expect("key"));
            let scheme = SignatureScheme::EcdsaNistp256Sha256;
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    let key = Arc::clone(&key);
                    scope.spawn(move || {
                        for _ in 0..25 {
                            let signature = key.sign(scheme, b"shared").expect("signature");
                            assert!(key.public_key().verifies(scheme, b"shared", &signature));
                        }
                    });
                }
            });
            // A session of one token makes room for the other's.
            let tokens = Tokens::new(vec![house.settings(1)]).expect("settings");
            let second: TokenUri = "pkcs11:token=second;object=n?module-name=soft".parse().expect("uri");
            let key = tokens.find(&uri("k")).expect("key");
            let made = tokens.generate(&second, KeyAlgorithm::EcdsaNistp256, None).expect("made");
            for signer in [&key, &made, &key] {
                signer.prove().expect("proof");
            }
        },
    );
}

#[test]
fn a_secret_that_a_token_wrapped_opens_there_only() {
    with_tokens(
        "a_secret_that_a_token_wrapped_opens_there_only",
        |house| {
            for (kind, label) in [("AES:32", "good"), ("AES:32", "other"), ("AES:16", "short")] {
                house.pkcs11_tool(&["--keygen", "--key-type", kind, "--label", label, "--sensitive"]);
            }
            house.pkcs11_tool(&[
                "--keygen",
                "--key-type",
                "AES:32",
                "--label",
                "loose",
                "--sensitive",
                "--extractable",
            ]);
        },
        |house| {
            let tokens = house.open();
            let wrapped = tokens.wrap(&uri("good"), b"place", b"secret").expect("wrapped");
            assert_eq!(*tokens.unwrap(&uri("good"), b"place", &wrapped).expect("opened"), b"secret");
            let mut bent = wrapped.clone();
            bent[14] ^= 1;
            for (name, aad, octets) in
                [("other", &b"place"[..], &wrapped), ("good", b"elsewhere", &wrapped), ("good", b"place", &bent)]
            {
                let refused = tokens.unwrap(&uri(name), aad, octets).unwrap_err();
                assert!(matches!(refused, TokenError::NotOpened { .. }), "{name}: {refused}");
            }
            assert!(tokens.unwrap(&uri("good"), b"place", b"short").is_err());
            let short = tokens.wrap(&uri("short"), b"", b"x").unwrap_err().to_string();
            assert!(short.contains("256 bits"), "{short}");
            let loose = tokens.wrap(&uri("loose"), b"", b"x").unwrap_err().to_string();
            assert!(loose.contains("read out"), "{loose}");
        },
    );
}
