//! Who gets in, and who is kept out without harm.
// Tests and their helpers may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::Secret;
use channel::{AlgorithmClass, ClientKey, Limits, SshError, connect_ssh};
use common::{Gate, Knows, LOGIN, PASSWORD, WAIT, Work, algorithms, limits, new_key, profile, serve, serve_simply};
use keys::{KeyAlgorithm, PrivateKey};
use model::ssh_algorithms::Class;
use model::{SshProfile, SshRole};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")] // SSH-11
async fn each_mode_takes_and_refuses_exactly_its_combinations() {
    let (right_key, wrong_key) = (new_key(), new_key());
    // Mode of the server: password, key, both needed; proofs of the client: password, key; whether it gets in.
    let none = None;
    let (good, bad) = (Some(PASSWORD), Some("wrong"));
    let (key, other) = (Some(&right_key), Some(&wrong_key));
    let rows = [
        ((true, false, false), good, None, true),
        ((true, false, false), bad, None, false),
        ((true, false, false), none, key, false),
        ((false, true, false), none, key, true),
        ((false, true, false), none, other, false),
        ((false, true, false), good, None, false),
        ((true, true, false), good, None, true),
        ((true, true, false), none, key, true),
        ((true, true, false), good, other, true),
        ((true, true, false), bad, other, false),
        ((true, true, true), good, key, true),
        ((true, true, true), bad, key, false),
        ((true, true, true), good, other, false),
        ((true, true, true), good, None, false),
        ((true, true, true), none, key, false),
    ];
    for (row, ((by_password, by_key, both), password, key, is_in)) in rows.into_iter().enumerate() {
        let known = by_key.then(|| right_key.public().clone());
        let gate = Arc::new(Gate { password: by_password, key: known, both, ..Gate::default() });
        let mut server_profile = profile(SshRole::Server);
        (server_profile.password, server_profile.public_key, server_profile.all_methods) = (by_password, by_key, both);
        let server = serve(gate, Work::Echo, server_profile, limits()).await;
        let mut client = server.client();
        client.password = password.map(|p| Secret::new(p.to_owned()));
        client.key = key.cloned().map(ClientKey::Software);
        let result = connect_ssh(&server.target(), client).await;
        assert_eq!(result.is_ok(), is_in, "row {row}: {:?}", result.err());
        let mut refused = None;
        match result {
            Ok(client) => client.close().await,
            Err(e) => refused = Some(e),
        }
        let report = server.result().await;
        if let Some(e) = refused {
            assert!(matches!(e, SshError::AuthRefused { .. }), "row {row}: {e}; server {report:?}");
        }
        assert_eq!(report.is_ok(), is_in, "row {row}: {report:?}");
        if let Ok(report) = report {
            assert_eq!((report.login.as_deref(), report.reason), (Some(LOGIN), None));
        }
    }
}

// A key that is asked to sign, as one in a token is, proves the same as one in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_signs_logs_in() {
    const KEYS: &str = "ED25519 ECDSA_NISTP256 ECDSA_NISTP521 RSA_SHA2_512";
    for algorithm in
        [KeyAlgorithm::Rsa, KeyAlgorithm::EcdsaNistp256, KeyAlgorithm::EcdsaNistp521, KeyAlgorithm::Ed25519]
    {
        let key = Arc::new(PrivateKey::generate(algorithm, None).unwrap());
        let gate = Arc::new(Gate { key: Some(key.public().clone()), ..Gate::default() });
        let mut server_profile = profile(SshRole::Server);
        (server_profile.password, server_profile.public_key) = (false, true);
        server_profile.public_keys = algorithms(Class::PublicKey, KEYS);
        let server = serve(gate, Work::Echo, server_profile, limits()).await;
        let mut client = server.client();
        let public_keys = algorithms(Class::PublicKey, KEYS);
        client.profile = Arc::new(SshProfile { public_keys, ..profile(SshRole::Client) });
        client.password = None;
        client.key = Some(ClientKey::Signer(key));
        let client = connect_ssh(&server.target(), client).await.unwrap_or_else(|e| panic!("{algorithm}: {e}"));
        client.close().await;
        assert_eq!(server.result().await.unwrap().login.as_deref(), Some(LOGIN), "{algorithm}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_tells_what_was_agreed() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    let agreed = client.negotiated();
    assert_eq!((agreed.kex.as_str(), agreed.cipher.as_str()), ("curve25519-sha256", "aes128-gcm@openssh.com"));
    assert_eq!((agreed.host_key.as_str(), agreed.mac.as_str(), agreed.strict_kex), ("ssh-ed25519", "", true));
    assert_eq!(client.banner(), "SSH-2.0-Gatehouse", "BP-20: neither version nor library");
    client.close().await;
    let report = server.result().await.unwrap();
    assert_eq!(report.negotiated, Some(agreed));
}

#[tokio::test(flavor = "multi_thread")] // SSH-6, and events 112, 113, 122, 123
async fn no_common_algorithm_is_told_with_both_lists_on_both_sides() {
    let rows = [
        (AlgorithmClass::Kex, Class::Kex, "DH_GROUP14_SHA256", "diffie-hellman-group14-sha256"),
        (AlgorithmClass::Cipher, Class::Cipher, "CHACHA20_POLY1305", "chacha20-poly1305@openssh.com"),
        (AlgorithmClass::HostKey, Class::PublicKey, "ECDSA_NISTP384", "ecdsa-sha2-nistp384"),
    ];
    for (expected, class, name, wire) in rows {
        let server = serve_simply(Work::Echo).await;
        let mut client = server.client();
        let mut odd = profile(SshRole::Client);
        match class {
            Class::Kex => odd.kex = algorithms(class, name),
            Class::Cipher => odd.ciphers = algorithms(class, name),
            _ => odd.public_keys = algorithms(class, name),
        }
        client.profile = Arc::new(odd);
        let at_client = connect_ssh(&server.target(), client).await.err();
        let at_server = server.result().await.err();
        let Some(SshError::Negotiation { class, theirs, ours }) = at_server else { panic!("{at_server:?}") };
        assert_eq!((class, theirs.contains(wire), ours.contains(wire)), (expected, true, false), "{theirs} {ours}");
        let Some(SshError::Negotiation { class, ours, .. }) = at_client else { panic!("{at_client:?}") };
        assert_eq!((class, ours.contains(wire)), (expected, true));
    }
}

#[tokio::test(flavor = "multi_thread")] // SSH-13, SSH-18, SFTP-6
async fn an_unknown_host_key_ends_the_connection_before_a_login() {
    let server = serve_simply(Work::Echo).await;
    let mut client = server.client();
    client.checker = Arc::new(Knows(new_key().public().clone()));
    let refused = connect_ssh(&server.target(), client).await.err().unwrap();
    let fingerprint = server.host_key.public().fingerprint().to_string();
    assert_eq!(refused, SshError::HostKeyRefused { fingerprint });
    assert_eq!(server.gate.asked.load(Ordering::SeqCst), 0);
    assert!(server.result().await.is_err());
}

#[tokio::test(flavor = "multi_thread")] // SSH-9
async fn a_profile_without_a_fitting_host_key_closes_the_connection() {
    let mut odd = profile(SshRole::Server);
    odd.public_keys = algorithms(Class::PublicKey, "ECDSA_NISTP256");
    let server = serve(Gate::with_password(), Work::Echo, odd, limits()).await;
    assert!(connect_ssh(&server.target(), server.client()).await.is_err());
    assert!(matches!(server.result().await, Err(SshError::Profile(_))));
}

#[tokio::test(flavor = "multi_thread")] // SFTP-22
async fn login_attempts_are_limited() {
    let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), limits()).await;
    let handle = raw_client(&server).await;
    let mut handle = handle.unwrap();
    let mut said_no = 0;
    for _ in 0..20 {
        match handle.authenticate_password(LOGIN, "guess").await {
            Ok(russh::client::AuthResult::Failure { .. }) if !handle.is_closed() => said_no += 1,
            _ => break,
        }
    }
    assert!((6..=8).contains(&said_no), "{said_no}");
    assert_eq!(server.gate.asked.load(Ordering::SeqCst), 6, "the authenticator hears of six");
    drop(handle);
    assert!(server.result().await.is_err());
}

#[tokio::test(flavor = "multi_thread")] // SSH-32, SFTP-22
async fn an_unknown_user_and_a_wrong_password_take_the_same_time() {
    let limits = Limits { refusal_time: Duration::from_millis(150), ..limits() };
    for login in [LOGIN, "nobody"] {
        let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), limits.clone()).await;
        let mut handle = raw_client(&server).await.unwrap();
        let start = std::time::Instant::now();
        assert!(!handle.authenticate_password(login, "wrong").await.unwrap().success());
        assert!(start.elapsed() >= Duration::from_millis(150), "{login}");
        drop(handle);
        assert!(server.result().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_refused_without_harm() {
    for (login, is_heard) in
        [("n".repeat(255), true), ("n".repeat(256), false), ("n".repeat(200_000), false), ("n".repeat(1 << 20), false)]
    {
        let server = serve_simply(Work::Echo).await;
        let mut handle = raw_client(&server).await.unwrap();
        let result = tokio::time::timeout(WAIT, handle.authenticate_password(login.clone(), PASSWORD)).await.unwrap();
        assert!(!result.is_ok_and(|r| r.success()));
        drop(handle);
        assert_eq!(server.gate.asked.load(Ordering::SeqCst) > 0, is_heard, "{} octets", login.len());
        assert!(server.result().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_name_may_not_change_within_a_connection() {
    let server = serve_simply(Work::Echo).await;
    let mut handle = raw_client(&server).await.unwrap();
    assert!(!handle.authenticate_password("other", "wrong").await.unwrap().success());
    let second = handle.authenticate_password(LOGIN, PASSWORD).await;
    assert!(!second.is_ok_and(|r| r.success()));
    assert!(matches!(server.result().await, Err(SshError::Protocol(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_silence_end_in_time() {
    let quick = Limits { handshake: Duration::from_millis(300), login_grace: Duration::from_millis(400), ..limits() };
    let openings: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x16; 400],
        b"",
        b"SSH-2.0-half\r\n",
        b"SSH-2.0-half\r\n\x00\x00\x00\x10\x04\x14garbage garbage",
    ];
    for opening in openings {
        let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), quick.clone()).await;
        let mut stream = TcpStream::connect(server.at).await.unwrap();
        stream.write_all(opening).await.unwrap();
        let mut all = Vec::new();
        let read = tokio::time::timeout(WAIT, stream.read_to_end(&mut all)).await.expect("closed by the server");
        assert!(read.is_err() || all.starts_with(b"SSH-2.0-Gatehouse\r\n") || all.is_empty());
        assert!(server.result().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")] // BP-25
async fn who_does_not_log_in_is_cut_off() {
    let quick = Limits { login_grace: Duration::from_millis(300), ..limits() };
    let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), quick).await;
    let handle = raw_client(&server).await.unwrap();
    assert_eq!(server.result().await.err(), Some(SshError::Timeout { what: "the key exchange" }));
    drop(handle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_session_is_cut_and_its_end_is_told() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    let mut pipe = client.open_sftp().await.unwrap();
    server.session.abort();
    assert!(pipe.input.next().await.is_none());
    let heard = async {
        while server.gate.ended.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, heard).await.unwrap();
    assert_eq!(server.gate.ended.load(Ordering::SeqCst), 1);
}

struct AnyKey;

impl russh::client::Handler for AnyKey {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// The library's client, without our manners.
async fn raw_client(server: &common::Server) -> Result<russh::client::Handle<AnyKey>, russh::Error> {
    russh::client::connect(Arc::default(), server.at, AnyKey).await
}
