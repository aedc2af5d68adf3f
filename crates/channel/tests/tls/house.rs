//! A small world: authorities, certificates, profiles, and two ends of a connection.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{ObjectId, UtcMicros};
use channel::{Link, OwnCertificate, TlsClient, TlsRefusal, TlsServer, TrustSource};
use keys::PrivateKey;
use keys::verify::{Crl, OwnChain, PathMode, StoredCertificate, TrustStore};
use model::{Kind, Object, ObjectState, Snapshot, TlsProfile, Value, check_body};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::made::{Made, make, make_for, now, wanted, wanted_authority, wanted_server};

pub const HOST: &str = "gateway.example.com";
pub const WAIT: Duration = Duration::from_secs(60);

/// What is trusted, and may change.
pub struct Store(Mutex<Arc<TrustStore>>);

impl Store {
    pub fn of(entries: Vec<StoredCertificate>) -> Arc<Self> {
        Self::with_lists(entries, Vec::new())
    }

    pub fn with_lists(entries: Vec<StoredCertificate>, lists: Vec<Crl>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(TrustStore::new(entries, lists)))))
    }

    pub fn set(&self, entries: Vec<StoredCertificate>) {
        *self.0.lock().unwrap() = Arc::new(TrustStore::new(entries, Vec::new()));
    }
}

impl TrustSource for Store {
    fn store(&self) -> Arc<TrustStore> {
        Arc::clone(&self.0.lock().unwrap())
    }

    fn now(&self) -> UtcMicros {
        now()
    }
}

/// A profile whose fields are given as on a command line.
pub fn profile(fields: &[(&str, &str)]) -> TlsProfile {
    let given = fields.iter().map(|(field, text)| ((*field).to_owned(), Value::from(*text))).collect();
    let object = Object {
        id: ObjectId(1),
        kind: Kind::TlsProfile,
        name: "TEST".to_owned(),
        group: "GDEFAULT".to_owned(),
        state: ObjectState::Enabled,
        revision: 1,
        created_at: UtcMicros(0),
        updated_at: UtcMicros(0),
        body: check_body(Kind::TlsProfile, &given).unwrap(),
        secrets: BTreeSet::new(),
    };
    let (snapshot, _) = Snapshot::build(vec![object], Vec::new(), 1);
    TlsProfile::clone(snapshot.tls_profile("TEST").expect("the profile is good"))
}

pub fn server_profile(fields: &[(&str, &str)]) -> TlsProfile {
    let base = [("user_local_certificate", "SERVER ECSERVER RSASERVER")];
    profile(&[base.as_slice(), fields].concat())
}

pub fn client_profile(fields: &[(&str, &str)]) -> TlsProfile {
    let base = [("type", "CLIENT"), ("user_local_certificate", "CLIENT")];
    profile(&[base.as_slice(), fields].concat())
}

/// What a client's certificate asks for.
pub fn wanted_client(name: &str) -> rcgen::CertificateParams {
    let mut params = wanted(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Valid for long: other programs go by the time of the system.
pub fn lasting(mut params: rcgen::CertificateParams) -> rcgen::CertificateParams {
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    params
}

/// A root, a server's certificate below it, a client's below it.
pub struct World {
    pub root: Made,
    pub server: Made,
    pub rsa_server: Made,
    pub client: Made,
}

impl World {
    pub fn new() -> Self {
        let root = make(lasting(wanted_authority("Root")), None);
        let server = make(lasting(wanted_server(HOST)), Some(&root));
        let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let rsa_server = make_for(lasting(wanted_server(HOST)), rsa, Some(&root));
        let client = make(lasting(wanted_client("client")), Some(&root));
        Self { root, server, rsa_server, client }
    }

    pub fn entries(&self) -> Vec<StoredCertificate> {
        vec![
            self.root.enabled("ROOT"),
            self.server.enabled("SERVER"),
            self.rsa_server.enabled("RSASERVER"),
            self.client.enabled("CLIENT"),
        ]
    }

    pub fn store(&self) -> Arc<Store> {
        Store::of(self.entries())
    }

    pub fn server(&self, profile: &TlsProfile) -> TlsServer {
        self.server_on(profile, &self.store())
    }

    pub fn server_on(&self, profile: &TlsProfile, store: &Arc<Store>) -> TlsServer {
        let own = vec![self.own("SERVER", &self.server), self.own("RSASERVER", &self.rsa_server)];
        TlsServer::new(profile, own, store.clone()).unwrap()
    }

    pub fn client(&self, profile: &TlsProfile) -> TlsClient {
        self.client_on(profile, &self.store())
    }

    pub fn client_on(&self, profile: &TlsProfile, store: &Arc<Store>) -> TlsClient {
        TlsClient::new(profile, vec![self.own("CLIENT", &self.client)], store.clone()).unwrap()
    }

    pub fn own(&self, alias: &str, made: &Made) -> OwnCertificate {
        own(alias, made, &[&self.root])
    }
}

/// A certificate of ours; `above` are its issuers.
pub fn own(alias: &str, made: &Made, above: &[&Made]) -> OwnCertificate {
    let mut entries = vec![made.enabled(alias)];
    entries.extend(above.iter().enumerate().map(|(at, made)| made.enabled(&format!("ABOVE{at}"))));
    let store = TrustStore::new(entries, Vec::new());
    let chain = OwnChain::follow(&store, store.by_alias(alias).unwrap(), PathMode::Rfc4158, now());
    let key = PrivateKey::from_bytes(&made.key.serialize_der()).unwrap();
    OwnCertificate::new(chain, Arc::new(key)).unwrap()
}

/// Both ends of a connection.
pub async fn ends() -> (Link, Link) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (called, taken) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (Link::clear(taken.unwrap().0).unwrap(), Link::clear(called.unwrap()).unwrap())
}

/// What became of a handshake at the server and at the client.
pub type Met = (Result<Link, TlsRefusal>, Result<Link, TlsRefusal>);

pub async fn meet(server: &TlsServer, client: &TlsClient) -> Met {
    meet_for(server, client, None).await
}

/// As data connection of a session.
pub async fn meet_for(server: &TlsServer, client: &TlsClient, control: Option<(&Link, &Link)>) -> Met {
    let (taken, called) = ends().await;
    let (at_server, at_client) = control.map_or((None, None), |(s, c)| (s.tls(), c.tls()));
    tokio::time::timeout(WAIT, async {
        tokio::join!(taken.secure(server, at_server), called.call_secure(client, HOST, at_client))
    })
    .await
    .unwrap()
}

/// Both ends of a session over which something was said in both directions.
pub async fn session(server: &TlsServer, client: &TlsClient) -> (Link, Link) {
    let (s, c) = meet(server, client).await;
    talk(s.unwrap(), c.unwrap()).await
}

/// Says something in both directions; what comes behind a handshake is read by it, too.
pub async fn talk(mut server: Link, mut client: Link) -> (Link, Link) {
    let mut read = [0; 5];
    server.write_all(b"hello").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut read).await.unwrap();
    client.write_all(&read).await.unwrap();
    client.flush().await.unwrap();
    server.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello");
    (server, client)
}

/// The sentence of a refusal.
pub fn sentence(met: Result<Link, TlsRefusal>) -> String {
    met.map(|link| format!("{:?}", link.tls())).unwrap_err().to_string()
}
