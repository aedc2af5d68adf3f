//! `gatehouse demo`: the main job before one's eyes, with real keys, real sockets, real databases.
//!
//! Two gateways run in this process: ours, and one that plays the SFTP server of partner B and the FTPS server of partner C. Partner A is an SFTP client
//! that we play as well. Everything else is what an operator and two partners would see and do.

mod cast;
mod ftps;
mod show;
#[cfg(test)]
mod sockets;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base::hex;

use cast::{Gateway, Partner};
use show::Show;

/// Octets of the file that A sends.
const FILE_OCTETS: usize = 8 << 20;
/// Longest wait for any step.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Plays the whole piece; `keep` leaves the gateway running until it is interrupted.
///
/// # Errors
/// A sentence that says which step failed.
pub(crate) async fn demo(keep: bool) -> Result<(), String> {
    let show = Show::new(Instant::now());
    let scratch = Scratch::new()?;
    show.title("Gatehouse demo: a file from partner A arrives, is stored, and goes to partner B")?;
    let ours = Gateway::start("gateway", &scratch.0.join("gateway")).await?;
    let server_b = Gateway::start("partner B's server", &scratch.0.join("partner-b")).await?;
    show.step(&format!("gateway runs on {}, its data in {}", ours.address, scratch.0.join("gateway").display()))?;
    show.fact("its host key", &ours.fingerprint)?;
    show.step(&format!("partner B's SFTP server runs on {}", server_b.address))?;

    let mut a = Partner::new("PARTNER_A")?;
    cast::set_the_stage(&ours, &server_b, &a).await?;
    show.step("partners, gate, folders and route are configured; the commands would be:")?;
    for line in cast::STAGE {
        show.command(line)?;
    }

    deliver(&show, &ours, &server_b, &a).await?;
    ftps::play(&show, (&ours, &server_b), &a).await?;
    new_key(&show, &ours, &mut a).await?;

    if keep {
        stay(&show, &scratch, &ours, &a).await?;
    }
    ours.running.stop().await;
    server_b.running.stop().await;
    show.title("done")
}

/// The main job: received, stored, routed, delivered, the same at both ends.
async fn deliver(show: &Show, ours: &Gateway, server_b: &Gateway, a: &Partner) -> Result<(), String> {
    let file = cast::random_file(FILE_OCTETS)?;
    let sent = hex(&cast::sha256(&file));
    let mut events = ours.running.engine.events();
    let mut arrivals = server_b.running.engine.events();
    show.step(&format!("A uploads invoices.dat, {} MiB, over SSH", FILE_OCTETS >> 20))?;
    a.upload(ours, "/in/invoices.dat", file).await?;
    show.step("A's upload is acknowledged: the file is durable")?;
    let received = cast::wait_for(&mut events, "received", STEP_MAX).await?;
    show.step(&format!("received as transfer {received}, sealed on disk"))?;
    let routed = cast::wait_for(&mut events, "routed", STEP_MAX).await?;
    show.step(&format!("after its settle time transfer {routed} is routed to PARTNER_B"))?;
    let delivered = cast::wait_for(&mut events, "delivered", STEP_MAX).await?;
    show.step(&format!("delivered to B as transfer {delivered}"))?;
    let arrived = cast::wait_for(&mut arrivals, "received", STEP_MAX).await?;
    let ends = [cast::stored_sha256(ours, received).await?, cast::stored_sha256(server_b, arrived).await?];
    show.fact("SHA-256 at A", &sent)?;
    show.fact("SHA-256 stored", &ends[0])?;
    show.fact("SHA-256 at B", &ends[1])?;
    match ends.iter().all(|end| *end == sent) {
        true => show.step("the same at both ends"),
        false => Err("the file at B is not the file of A".to_owned()),
    }
}

/// A comes with a key that nobody knows: refused, quarantined, enabled by a person, let in.
async fn new_key(show: &Show, ours: &Gateway, a: &mut Partner) -> Result<(), String> {
    show.title("Partner A changes its key")?;
    a.change_key()?;
    match a.log_in(ours).await {
        Ok(_) => return Err("an unknown key was let in".to_owned()),
        Err(_) => show.step("A's login with the new key is refused")?,
    }
    let alias = cast::captured(ours).await?;
    show.step(&format!("the key waits in quarantine as {alias}, DISABLED (to check)"))?;
    show.command(&format!("gatehouse quarantine show {alias}"))?;
    show.fact("words to compare by telephone", &a.key_words())?;
    cast::operate(ours, "quarantine enable", &[("name", &alias)]).await?;
    show.command(&format!("gatehouse quarantine enable {alias}"))?;
    a.log_in(ours).await?.close().await;
    show.step("A logs in with the new key")
}

async fn stay(show: &Show, scratch: &Scratch, ours: &Gateway, a: &Partner) -> Result<(), String> {
    let key = scratch.0.join("partner-a.key");
    let hosts = scratch.0.join("known_hosts");
    a.write_key(&key)?;
    ours.write_known_hosts(&hosts)?;
    let sftp = format!(
        "sftp -i {} -o UserKnownHostsFile={} -o IdentitiesOnly=yes -P {} {}@{}",
        key.display(),
        hosts.display(),
        ours.address.port(),
        cast::LOGIN_A,
        ours.address.ip()
    );
    show.title("The gateway goes on until Ctrl-C. Try, in another terminal:")?;
    show.command(&sftp)?;
    for line in [
        "peldsp status_trans",
        "why 1",
        "quarantine list",
        "check",
        "explain inbound -peer 192.0.2.7:40000 -local 127.0.0.1:22 -login partner_a",
    ] {
        show.command(&format!("gatehouse --data {} {line}", scratch.0.join("gateway").display()))?;
    }
    tokio::signal::ctrl_c().await.map_err(|e| e.to_string())
}

/// A folder of the demo's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let name = format!("gatehouse-demo-{}", hex(&base::random::<6>().map_err(|e| e.to_string())?));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "the demo's folder was not removed");
        }
    }
}
