//! Servers of others: keyboard-interactive only, old RSA, odd refusals.
// Tests and their helpers may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use base::Secret;
use channel::{ClientKey, ClientParams, Limits, SshError, Target, connect_ssh};
use common::{Gate, Knows, LOGIN, PASSWORD, WAIT, Work, algorithms, limits, new_key, profile, serve};
use keys::{KeyAlgorithm, PrivateKey};
use model::SshRole;
use model::ssh_algorithms::Class;
use russh::server::{Auth, Config, Handler, Response};
use russh::{MethodKind, MethodSet};
use tokio::net::TcpListener;

/// Takes the password by keyboard-interactive in the second of two rounds, and no session channel.
struct Keyboard;

impl Handler for Keyboard {
    type Error = russh::Error;
    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let asked = |prompts| Auth::Partial { name: "".into(), instructions: "".into(), prompts };
        let hidden: Cow<'static, [(Cow<'static, str>, bool)]> = vec![("Password: ".into(), false)].into();
        Ok(match response.map(|answers| answers.collect::<Vec<_>>()) {
            None => asked(hidden),
            Some(answers) if answers.is_empty() && user == LOGIN => Auth::Accept,
            Some(answers) if answers == [PASSWORD.as_bytes()] => asked(Vec::new().into()),
            Some(_) => Auth::Reject { proceed_with_methods: None, partial_success: false },
        })
    }
}

async fn keyboard_server(host_key: &PrivateKey) -> SocketAddr {
    let config = Config {
        keys: vec![host_key.ssh_key().unwrap()],
        methods: MethodSet::from(&[MethodKind::KeyboardInteractive][..]),
        auth_rejection_time: std::time::Duration::ZERO,
        max_auth_attempts: 3,
        ..Config::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = russh::server::run_stream(Arc::new(config), stream, Keyboard).await.unwrap().await;
    });
    at
}

fn client(at: SocketAddr, host_key: &PrivateKey, password: &str) -> (Target, ClientParams) {
    let params = ClientParams {
        profile: Arc::new(profile(SshRole::Client)),
        login: LOGIN.to_owned(),
        key: None,
        password: Some(Secret::new(password.to_owned())),
        checker: Arc::new(Knows(host_key.public().clone())),
        connect_timeout: WAIT,
    };
    (Target::new(at.ip().to_string(), at.port()), params)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_goes_by_keyboard_interactive_where_the_server_has_only_that() {
    let host_key = new_key();
    let (target, params) = client(keyboard_server(&host_key).await, &host_key, PASSWORD);
    let client = connect_ssh(&target, params).await.unwrap();
    let refused = client.open_sftp().await.err().unwrap();
    assert!(matches!(&refused, SshError::Protocol(text) if text.contains("opens no channel")), "{refused}");
    client.close().await;
    let (target, params) = client_with_wrong_password(&host_key).await;
    let refused = connect_ssh(&target, params).await.err().unwrap();
    let SshError::AuthRefused { tried, left } = refused else { panic!("{refused}") };
    assert_eq!((tried.as_str(), left.as_str()), ("password,keyboard-interactive", "keyboard-interactive"));
}

async fn client_with_wrong_password(host_key: &PrivateKey) -> (Target, ClientParams) {
    client(keyboard_server(host_key).await, host_key, "wrong")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rsa_key_signs_with_what_both_sides_allow() {
    let key = Arc::new(PrivateKey::generate(KeyAlgorithm::Rsa, Some(2048)).unwrap());
    let rows = [
        ("RSA_SHA2_512 RSA_SHA2_256", "RSA_SHA2_512 RSA_SHA2_256", true),
        ("RSA_SHA2_256", "RSA_SHA2_512 RSA_SHA2_256", true),
        ("SSH_RSA", "SSH_RSA", true),
        ("RSA_SHA2_512", "SSH_RSA", false),
        ("ECDSA_NISTP256", "RSA_SHA2_512", false),
    ];
    for (theirs, ours, is_in) in rows {
        let gate = Gate { key: Some(key.public().clone()), ..Gate::default() };
        let mut server_profile = profile(SshRole::Server);
        server_profile.public_keys = algorithms(Class::PublicKey, &format!("ED25519 {theirs}"));
        let server = serve(Arc::new(gate), Work::Echo, server_profile, limits()).await;
        let mut client = server.client();
        let mut client_profile = profile(SshRole::Client);
        client_profile.public_keys = algorithms(Class::PublicKey, &format!("ED25519 {ours}"));
        (client.profile, client.key, client.password) =
            (Arc::new(client_profile), Some(ClientKey::Software(Arc::clone(&key))), None);
        let result = connect_ssh(&server.target(), client).await;
        assert_eq!(result.is_ok(), is_in, "{theirs} / {ours}: {:?}", result.err());
        drop(result);
        assert_eq!(server.result().await.is_ok(), is_in);
    }
}

#[tokio::test(flavor = "multi_thread")] // CVE-2023-48795
async fn strict_key_exchange_can_be_required() {
    let strict = Limits { strict_kex_required: true, ..limits() };
    for is_strict in [true, false] {
        let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), strict.clone()).await;
        let mut client = server.client();
        let mut client_profile = profile(SshRole::Client);
        client_profile.strict_kex = is_strict;
        client.profile = Arc::new(client_profile);
        let result = connect_ssh(&server.target(), client).await;
        assert_eq!(result.is_ok(), is_strict);
        drop(result);
        match server.result().await {
            Ok(report) => assert!(is_strict && report.negotiated.is_some_and(|agreed| agreed.strict_kex)),
            Err(e) => assert!(!is_strict && e.to_string().contains("strict"), "{e}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")] // SSH-23
async fn zlib_is_used_where_both_sides_have_it() {
    for (at_client, used) in [("ZLIB NONE", "zlib@openssh.com"), ("NONE", "none")] {
        let mut server_profile = profile(SshRole::Server);
        server_profile.compression = algorithms(Class::Compression, "ZLIB NONE");
        let server = serve(Gate::with_password(), Work::Echo, server_profile, limits()).await;
        let mut client = server.client();
        let mut client_profile = profile(SshRole::Client);
        client_profile.compression = algorithms(Class::Compression, at_client);
        client.profile = Arc::new(client_profile);
        let client = connect_ssh(&server.target(), client).await.unwrap();
        assert_eq!(client.negotiated().compression, used);
        let mut pipe = client.open_sftp().await.unwrap();
        let text = common::pattern(0, 200_000);
        pipe.output.send(text.clone()).unwrap();
        let mut back = Vec::new();
        while back.len() < text.len() {
            back.extend(tokio::time::timeout(WAIT, pipe.input.next()).await.unwrap().unwrap());
        }
        assert!(back == text);
        client.close().await;
        assert_eq!(server.result().await.unwrap().octets_in, 200_000);
    }
}
