//! The players of the demo: two gateways and partner A's client.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::{Context, Input, execute};
use async_trait::async_trait;
use base::{Secret, TransferId};
use bytes::Bytes;
use channel::{ClientKey, ClientParams, HostKeyChecker, SshClient, Target, connect_ssh};
use engine::{Event, TransferError};
use keys::{Fingerprint, KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, PublicKey, write_key};
use protocols::sftp::{ClientOptions, NoProgress, SftpClient, Source};
use tokio::sync::broadcast;

use crate::data_dir::DataDir;
use crate::instance::{Instance, input, run};
use crate::serve::{AdminDoor, Running};
use crate::system::HandedSockets;

/// Login of partner A.
pub(super) const LOGIN_A: &str = "partner_a";

/// The commands that an operator would give for the stage.
pub(super) const STAGE: &[&str] = &[
    "gatehouse listener add SFTP -port 2222",
    "gatehouse secadm create_netprof -nprof_name SFTP -sec_opt SSH -sprof_name SFTP_IN -da '*/2222'",
    "gatehouse vfdadm create_dir -dir_name /in",
    "gatehouse peladm create_site -alias PARTNER_A -template Y",
    "gatehouse peladm create_cgategroup -name PARTNERS -template_site PARTNER_A",
    "gatehouse secadm import_key -name A_KEY -file_name partner-a.pub",
    "gatehouse peladm create_cgate -name PARTNER_A -cgategroup PARTNERS -login_user partner_a -bound_keys A_KEY -vfd_right '/in:*:RW:L:Y'",
    "gatehouse peladm create_site -alias PARTNER_B -dest_address b.example/22 -login_ident gateway -remote_public_key_alias B_HOST -local_private_key_alias GATEHOUSE_SSH",
    "gatehouse route add TO_B -from_dir /in -to PARTNER_B",
];

/// A gateway in this process.
pub(super) struct Gateway {
    pub(super) running: Running,
    pub(super) address: SocketAddr,
    pub(super) fingerprint: String,
    host_key: PublicKey,
}

impl Gateway {
    /// Starts a gateway with a listener on a free loopback port.
    pub(super) async fn start(name: &str, folder: &Path) -> Result<Self, String> {
        let told = |text: String| format!("{name}: {text}");
        let dir = DataDir::open(folder, true).map_err(|e| told(e.to_string()))?;
        let instance = Instance::open(dir, true).await.map_err(told)?;
        let admin = AdminDoor::open(&instance).map_err(told)?;
        let running = Running::start(instance, admin, HandedSockets::default()).await.map_err(told)?;
        let address = free_address().map_err(|e| told(e.to_string()))?;
        let entry = running
            .engine
            .snapshot()
            .key(model::GATEHOUSE_KEY)
            .cloned()
            .ok_or_else(|| told("has no identity".into()))?;
        let host_key = PublicKey::from_ssh_blob(&entry.ssh_blob).map_err(|e| told(e.to_string()))?;
        Ok(Self { running, address, fingerprint: Fingerprint(entry.fingerprint).to_string(), host_key })
    }

    fn context(&self) -> Context {
        self.running.instance.context("demo", "demo")
    }

    /// Writes the host key where OpenSSH looks for it.
    pub(super) fn write_known_hosts(&self, path: &Path) -> Result<(), String> {
        let line = self.host_key.openssh_line("");
        let text = format!("[{}]:{} {}\n", self.address.ip(), self.address.port(), line.trim());
        std::fs::write(path, text).map_err(|e| e.to_string())
    }
}

/// A loopback address that nobody listens at.
pub(super) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Carries out an operation on a gateway.
pub(super) async fn operate(on: &Gateway, name: &str, values: &[(&str, &str)]) -> Result<(), String> {
    run(&on.context(), name, values).await.map(drop)
}

/// Configures both gateways.
pub(super) async fn set_the_stage(ours: &Gateway, server_b: &Gateway, a: &Partner) -> Result<(), String> {
    open_for_a(ours, a).await?;
    open_for(server_b, "GATEWAY_KEY", &ours.host_key, "gateway").await?;
    import(ours, "B_HOST", &server_b.host_key).await?;
    let (host, port) = (server_b.address.ip(), server_b.address.port());
    let address = format!("{host}/{port}");
    let site = [
        ("alias", "PARTNER_B"),
        ("dest_address", address.as_str()),
        ("login_ident", "gateway"),
        ("dir_name", "/in"),
        ("remote_public_key_alias", "B_HOST"),
        ("local_private_key_alias", model::GATEHOUSE_KEY),
    ];
    operate(ours, "peladm create_site", &site).await?;
    operate(ours, "route add", &[("name", "TO_B"), ("from_dir", "/in"), ("to", "PARTNER_B")]).await
}

/// Opens a gateway for partner A.
pub(super) async fn open_for_a(ours: &Gateway, a: &Partner) -> Result<(), String> {
    open_for(ours, "A_KEY", &a.public(), LOGIN_A).await
}

/// A listener, a folder `/in` and a gate for one login with one key.
async fn open_for(on: &Gateway, key: &str, public: &PublicKey, login: &str) -> Result<(), String> {
    let (ip, port) = (on.address.ip().to_string(), on.address.port().to_string());
    let called = format!("*/{port}");
    operate(on, "secadm update_sshprof", &[("sshprof_name", model::SFTP_IN), ("remote_key_import", "Y")]).await?;
    let netprof = [
        ("nprof_name", "SFTP"),
        ("security_option", "SSH"),
        ("sprof_name", model::SFTP_IN),
        ("dest_address", called.as_str()),
    ];
    operate(on, "secadm create_netprof", &netprof).await?;
    operate(on, "listener add", &[("name", "SFTP"), ("address", &ip), ("port", &port)]).await?;
    operate(on, "vfdadm create_dir", &[("dir_name", "/in")]).await?;
    operate(on, "peladm create_site", &[("alias", "PARTNERS"), ("template", "Y")]).await?;
    operate(on, "peladm create_cgategroup", &[("name", "PARTNERS"), ("template_site", "PARTNERS")]).await?;
    import(on, key, public).await?;
    let gate = [
        ("name", "PARTNER"),
        ("cgategroup", "PARTNERS"),
        ("login_user", login),
        ("bound_keys", key),
        ("home_dir", "/in"),
        ("vfd_right", "/:*:R:L:Y;/in:*:RWD:L:Y"),
    ];
    operate(on, "peladm create_cgate", &gate).await?;
    until_open(on, 1).await
}

/// Waits until so many listeners are open.
pub(super) async fn until_open(on: &Gateway, listeners: usize) -> Result<(), String> {
    let mut listening = on.running.listening.clone();
    let opened = listening.wait_for(|open| open.len() >= listeners);
    tokio::time::timeout(Duration::from_secs(10), opened)
        .await
        .map_err(|_| "the listener does not open")?
        .map_err(|e| e.to_string())?;
    Ok(())
}

async fn import(on: &Gateway, name: &str, key: &PublicKey) -> Result<(), String> {
    let (values, line) = ([("name", name), ("file_format", "TXT")], key.openssh_line(name));
    operate_with_file(on, "secadm import_key", &values, ("file_name", line.into_bytes())).await
}

/// Carries out an operation that takes a file.
pub(super) async fn operate_with_file(
    on: &Gateway,
    operation: &str,
    values: &[(&str, &str)],
    (param, octets): (&str, Vec<u8>),
) -> Result<(), String> {
    let mut given: Input = input(operation, values)?;
    let params = (admin::find(operation).ok_or_else(|| format!("{operation} is gone"))?.params)();
    let file = params.iter().find(|p| p.name() == param).ok_or_else(|| format!("{operation} takes no {param}"))?;
    given.give_file(file, octets);
    execute(&on.context(), operation, &given).await.map(drop).map_err(|e| e.to_string())
}

/// Partner A: a key and the client that uses it.
pub(super) struct Partner {
    key: Arc<PrivateKey>,
}

impl Partner {
    pub(super) fn new(_name: &str) -> Result<Self, String> {
        Ok(Self { key: fresh_key()? })
    }

    pub(super) fn change_key(&mut self) -> Result<(), String> {
        self.key = fresh_key()?;
        Ok(())
    }

    fn public(&self) -> PublicKey {
        self.key.public().clone()
    }

    pub(super) fn key_words(&self) -> String {
        self.key.public().fingerprint().words()
    }

    pub(super) async fn log_in(&self, to: &Gateway) -> Result<SshClient, String> {
        self.log_in_at(to, to.address).await
    }

    /// Logs in at another address that leads to the gateway.
    pub(super) async fn log_in_at(&self, to: &Gateway, address: SocketAddr) -> Result<SshClient, String> {
        let snapshot = to.running.engine.snapshot();
        let profile = snapshot.ssh_profile(model::SFTP_OUT).cloned().ok_or("SFTP_OUT is gone")?;
        let params = ClientParams {
            profile,
            login: LOGIN_A.to_owned(),
            key: Some(ClientKey::Software(Arc::clone(&self.key))),
            password: None::<Secret<String>>,
            checker: Arc::new(Known(to.host_key.clone())),
            connect_timeout: Duration::from_secs(10),
        };
        let target = Target::new(address.ip().to_string(), address.port());
        connect_ssh(&target, params).await.map_err(|e| e.to_string())
    }

    pub(super) async fn upload(&self, to: &Gateway, path: &str, file: Bytes) -> Result<(), String> {
        let client = self.log_in(to).await?;
        let pipe = client.open_sftp().await.map_err(|e| e.to_string())?;
        let mut sftp = SftpClient::start(pipe, ClientOptions::default()).await.map_err(|e| e.to_string())?;
        let mut source = Memory(file);
        sftp.put(path.as_bytes(), &mut source, 0, &mut NoProgress).await.map_err(|e| e.to_string())?;
        client.close().await;
        Ok(())
    }

    pub(super) fn write_key(&self, path: &Path) -> Result<(), String> {
        let copy = PrivateKey::from_bytes(self.key.to_bytes().expose()).map_err(|e| e.to_string())?;
        let text = write_key(&KeyMaterial::Private(copy), KeyFileFormat::OpenSsh, None).map_err(|e| e.to_string())?;
        std::fs::write(path, text.expose()).map_err(|e| e.to_string())
    }
}

fn fresh_key() -> Result<Arc<PrivateKey>, String> {
    PrivateKey::generate(KeyAlgorithm::Ed25519, None).map(Arc::new).map_err(|e| e.to_string())
}

/// A knows the gateway's host key.
struct Known(PublicKey);

#[async_trait]
impl HostKeyChecker for Known {
    async fn check(&self, key: &PublicKey) -> bool {
        *key == self.0
    }
}

/// A file in memory.
struct Memory(Bytes);

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(self.0.len());
        Ok(self.0.slice(from..to))
    }
}

/// SHA-256 of a file in memory.
pub(super) fn sha256(file: &[u8]) -> [u8; 32] {
    keys::sha256(file)
}

/// Random content.
pub(super) fn random_file(octets: usize) -> Result<Bytes, String> {
    let mut file = vec![0; octets];
    getrandom::fill(&mut file).map_err(|e| e.to_string())?;
    Ok(file.into())
}

/// Waits for an event by its name; gives the transfer that it is about.
pub(super) async fn wait_for(
    events: &mut broadcast::Receiver<Arc<Event>>,
    name: &str,
    most: Duration,
) -> Result<TransferId, String> {
    let found = async {
        loop {
            let event = events.recv().await.map_err(|e| e.to_string())?;
            if let (true, Some(id)) = (event.name() == name, event.transfer()) {
                return Ok(id);
            }
        }
    };
    tokio::time::timeout(most, found)
        .await
        .map_err(|_| format!("{name} did not happen in {most:?}: see `gatehouse why`"))?
}

/// SHA-256 of a stored file, as computed while it arrived.
pub(super) async fn stored_sha256(on: &Gateway, id: TransferId) -> Result<String, String> {
    shown(on, id, "x_sha256").await
}

/// Version and cipher suite of the connection that a file went by.
pub(super) async fn tls_of(on: &Gateway, id: TransferId) -> Result<String, String> {
    let (version, suite) = (shown(on, id, "x_tls_version").await?, shown(on, id, "x_tls_suite").await?);
    Ok(format!("{version} {suite}"))
}

/// A field of a transfer.
async fn shown(on: &Gateway, id: TransferId, field: &str) -> Result<String, String> {
    let output = run(&on.context(), "peldsp display_trans", &[("local_ident", &id.to_string())]).await?;
    let json = output.json();
    json.get(field).and_then(|v| v.as_str()).map(str::to_owned).ok_or_else(|| format!("transfer {id} has no {field}"))
}

/// Name of the key that waits in quarantine.
pub(super) async fn captured(on: &Gateway) -> Result<String, String> {
    let most = Duration::from_secs(10);
    let found = async {
        loop {
            let output = run(&on.context(), "quarantine list", &[]).await?;
            let json = output.json();
            if let Some(name) = json.get(0).and_then(|row| row.get("Name")).and_then(|v| v.as_str()) {
                return Ok(name.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(most, found).await.map_err(|_| "the key did not come to quarantine".to_owned())?
}
