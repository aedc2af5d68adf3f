//! Our own server and client over the loopback, with services that are easy to check.
#![allow(dead_code, unreachable_pub)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base::{ObjectId, Secret};
use bytes::Bytes;
use channel::{
    Answer, Authenticator, ChannelService, ClientParams, HostKeyChecker, Limits, Methods, Pipe, ServerParams,
    SessionReport, SshClient, SshError, Target, connect_ssh, serve_ssh,
};
use keys::{KeyAlgorithm, PrivateKey, PublicKey};
use model::ssh_algorithms::{Algorithm, Class, find};
use model::{SshProfile, SshRole};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub const WAIT: Duration = Duration::from_secs(60);
pub const LOGIN: &str = "partner";
pub const PASSWORD: &str = "correct horse";

pub fn algorithms(class: Class, names: &str) -> Vec<&'static Algorithm> {
    names.split_whitespace().map(|name| find(class, name).unwrap()).collect()
}

pub fn profile(role: SshRole) -> SshProfile {
    SshProfile {
        id: ObjectId(1),
        name: "TEST".to_owned(),
        role,
        enabled: true,
        kex: algorithms(Class::Kex, "CURVE25519 ECDH_SHA2_NISTP256"),
        ciphers: algorithms(Class::Cipher, "AES128_GCM AES256_CTR"),
        macs: algorithms(Class::Mac, "HMAC_SHA256_ETM HMAC_SHA256"),
        compression: algorithms(Class::Compression, "NONE"),
        public_keys: algorithms(Class::PublicKey, "ED25519 ECDSA_NISTP256 RSA_SHA2_512 RSA_SHA2_256"),
        password: true,
        public_key: true,
        all_methods: false,
        rekey_minutes: 60,
        rekey_megabytes: 1000,
        gex_current_only: true,
        strict_kex: true,
        private_keys: Vec::new(),
        trust_hosted: false,
        key_import: false,
        key_group: None,
        certificates: Default::default(),
        login_grace_s: 60,
        auth_tries_max: 6,
        idle_timeout_s: 600,
    }
}

pub fn new_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap())
}

/// Takes [`LOGIN`] with what it was told to need, and counts.
#[derive(Default)]
pub struct Gate {
    pub password: bool,
    pub key: Option<PublicKey>,
    pub both: bool,
    pub proved: Mutex<(bool, bool)>,
    pub asked: AtomicUsize,
    pub ended: AtomicUsize,
}

impl Gate {
    pub fn with_password() -> Arc<Self> {
        Arc::new(Self { password: true, ..Self::default() })
    }

    fn answer(&self, is_right: bool, login: &[u8], note: impl FnOnce(&mut (bool, bool))) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let left = Methods { password: self.password, public_key: self.key.is_some() };
        if !is_right || login != LOGIN.as_bytes() {
            return Answer::Reject { left };
        }
        let mut proved = self.proved.lock().unwrap();
        note(&mut proved);
        match *proved {
            (true, true) => Answer::Accept,
            _ if !self.both => Answer::Accept,
            (has_password, has_key) => {
                Answer::Partial { left: Methods { password: !has_password, public_key: !has_key } }
            }
        }
    }
}

#[async_trait]
impl Authenticator for Gate {
    async fn offered_key(&self, _: &[u8], key: &PublicKey) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.key.as_ref() == Some(key) {
            return Answer::Accept;
        }
        Answer::Reject { left: Methods { password: self.password, public_key: self.key.is_some() } }
    }
    async fn proved_key(&self, login: &[u8], key: &PublicKey) -> Answer {
        self.answer(self.key.as_ref() == Some(key), login, |proved| proved.1 = true)
    }
    async fn password(&self, login: &[u8], password: &Secret<String>) -> Answer {
        self.answer(self.password && password.expose() == PASSWORD, login, |proved| proved.0 = true)
    }
    async fn ended(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a test service does with a channel.
pub enum Work {
    /// Sends back what comes.
    Echo,
    /// Waits for the signal, then takes everything; says how much.
    Hold(Arc<Notify>, Arc<AtomicUsize>),
    /// Sends so many octets.
    Source(usize),
}

#[async_trait]
impl ChannelService for Work {
    async fn subsystem(&self, name: &str, mut pipe: Pipe) {
        assert_eq!(name, "sftp");
        match self {
            Self::Echo => {
                while let Some(piece) = pipe.input.next().await {
                    if pipe.output.send(piece).is_err() || pipe.output.drained_below(1 << 20).await.is_err() {
                        return;
                    }
                }
            }
            Self::Hold(signal, taken) => {
                signal.notified().await;
                while let Some(piece) = pipe.input.next().await {
                    taken.fetch_add(piece.len(), Ordering::SeqCst);
                }
            }
            Self::Source(octets) => {
                let mut at = 0;
                while at < *octets {
                    let piece = pattern(at, (*octets - at).min(32 << 10));
                    at += piece.len();
                    if pipe.output.send(piece).is_err() || pipe.output.drained_below(1 << 20).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Octets `at..at + len` of an endless sequence that no shift maps to itself soon.
pub fn pattern(at: usize, len: usize) -> Bytes {
    (at..at + len).map(|n| (n % 251) as u8 ^ (n / 251 % 253) as u8).collect::<Vec<_>>().into()
}

pub struct Server {
    pub at: SocketAddr,
    pub gate: Arc<Gate>,
    pub host_key: Arc<PrivateKey>,
    pub stop: watch::Sender<bool>,
    pub session: JoinHandle<Result<SessionReport, SshError>>,
}

/// Serves one connection.
pub async fn serve(gate: Arc<Gate>, work: Work, profile: SshProfile, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let host_key = new_key();
    let params = ServerParams {
        profile: Arc::new(profile),
        host_keys: vec![Arc::clone(&host_key)],
        banner: "Gatehouse".to_owned(),
        limits,
        ticket: None,
    };
    let (stop, stopped) = watch::channel(false);
    let auth = Arc::clone(&gate);
    let session = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        serve_ssh(stream, params, auth, Arc::new(work), stopped).await
    });
    Server { at, gate, host_key, stop, session }
}

pub fn limits() -> Limits {
    Limits { refusal_time: Duration::from_millis(1), ..Limits::default() }
}

pub async fn serve_simply(work: Work) -> Server {
    serve(Gate::with_password(), work, profile(SshRole::Server), limits()).await
}

impl Server {
    pub fn target(&self) -> Target {
        Target::new(self.at.ip().to_string(), self.at.port())
    }

    pub fn client(&self) -> ClientParams {
        ClientParams {
            profile: Arc::new(profile(SshRole::Client)),
            login: LOGIN.to_owned(),
            key: None,
            password: Some(Secret::new(PASSWORD.to_owned())),
            checker: Arc::new(Knows(self.host_key.public().clone())),
            connect_timeout: WAIT,
        }
    }

    pub async fn connect(&self) -> SshClient {
        connect_ssh(&self.target(), self.client()).await.unwrap()
    }

    /// How the session ended; the authenticator must have heard of it, once.
    pub async fn result(self) -> Result<SessionReport, SshError> {
        let result = tokio::time::timeout(WAIT, self.session).await.unwrap().unwrap();
        assert_eq!(self.gate.ended.load(Ordering::SeqCst), 1, "ended is called once");
        result
    }
}

pub struct Knows(pub PublicKey);

#[async_trait]
impl HostKeyChecker for Knows {
    async fn check(&self, key: &PublicKey) -> bool {
        *key == self.0
    }
}
