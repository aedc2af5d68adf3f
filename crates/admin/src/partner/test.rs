//! A connection to or from a partner, step by step, with a sentence for each and what to do where it fails.

use std::time::Duration;

use keys::PublicKey;
use model::{CallSecurity, HostPort, SshProfile};
use serde_json::{Value as Json, json};

use super::call::{CallPartner, Called, HostKey, HostKeyVerdict, Stage};
use super::parts::{KeyUse, Parts};
use super::way_in::{local_of, profile_at};
use crate::Context;

/// How a step went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    Good,
    /// It does not keep files from passing, or is a person's decision still to come.
    Note,
    Bad,
}

/// One step.
pub(crate) struct Step {
    pub(crate) mark: Mark,
    pub(crate) text: String,
    /// What to do.
    pub(crate) fix: String,
}

/// The steps of one way.
pub(crate) struct Steps {
    title: String,
    pub(crate) all: Vec<Step>,
    /// Host key that waits for a decision: fingerprint, words, whether another is known.
    pub(crate) host_key: Option<Json>,
}

impl Steps {
    fn new(title: String) -> Self {
        Self { title, all: Vec::new(), host_key: None }
    }

    fn good(&mut self, text: impl Into<String>) {
        self.all.push(Step { mark: Mark::Good, text: text.into(), fix: String::new() });
    }

    fn note(&mut self, text: impl Into<String>, fix: impl Into<String>) {
        self.all.push(Step { mark: Mark::Note, text: text.into(), fix: fix.into() });
    }

    fn bad(&mut self, text: impl Into<String>, fix: impl Into<String>) {
        self.all.push(Step { mark: Mark::Bad, text: text.into(), fix: fix.into() });
    }

    /// Whether no step failed.
    pub(crate) fn is_good(&self) -> bool {
        self.all.iter().all(|step| step.mark != Mark::Bad)
    }

    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.title.clone()];
        for step in &self.all {
            let mark = match step.mark {
                Mark::Good => "ok",
                Mark::Note => "note",
                Mark::Bad => "FAILED",
            };
            lines.push(format!("  {mark:<6}  {}", step.text));
            if !step.fix.is_empty() {
                lines.push(format!("          => {}", step.fix));
            }
        }
        lines
    }

    /// For programs.
    pub(crate) fn facts(&self) -> Json {
        let step = |s: &Step| {
            let result = match s.mark {
                Mark::Good => "ok",
                Mark::Note => "note",
                Mark::Bad => "failed",
            };
            json!({ "result": result, "text": s.text, "fix": s.fix })
        };
        let steps: Vec<Json> = self.all.iter().map(step).collect();
        json!({ "title": self.title, "ok": self.is_good(), "steps": steps, "host_key": self.host_key })
    }
}

/// The way in: each listener, what its login meets there, and what it proves itself with.
pub(crate) async fn inbound(context: &Context, parts: &Parts<'_>) -> Steps {
    let (name, login) = (&parts.site.name, parts.login().unwrap_or_default());
    let mut steps = Steps::new(format!("{name} calls us as {login:?}"));
    if let Some(why) = context.engine.frozen() {
        steps.bad(format!("the gateway is frozen: {why}"), "look at it, then run `gatehouse unfreeze`");
    }
    if !parts.site.enabled {
        steps.bad(format!("site {name} is disabled"), format!("gatehouse peladm update_site -alias {name} -state E"));
    }
    let doors = parts.doors();
    if doors.is_empty() {
        steps
            .bad("the gateway listens nowhere", "gatehouse listener add SFTP -port 2222, and a network profile for it");
    }
    let mut lets_in = false;
    for (listener, address, reached) in doors {
        match reached {
            Ok(reached) => {
                lets_in = true;
                steps.good(format!("at {address} (listener {listener}) the login comes to gate and site as it shall"));
                steps.good(format!("it sees {} as / and begins in {}", reached.root_dir, reached.home_dir));
                answers(context, parts, (&listener, address), &mut steps).await;
            }
            Err(why) => steps.note(
                format!("at {address} (listener {listener}) it is not let in: {why}"),
                format!("gatehouse explain inbound -local {} -peer ADDRESS:PORT -login {login}", local_of(address)),
            ),
        }
    }
    if !lets_in {
        steps.bad("no listener lets the login in", "see the reasons above");
    }
    proof(parts, &mut steps);
    steps
}

/// Whether something answers at the listener, and it is we.
async fn answers(
    context: &Context,
    parts: &Parts<'_>,
    (listener, address): (&str, std::net::SocketAddr),
    steps: &mut Steps,
) {
    let Some(caller) = &context.caller else { return };
    let local = local_of(address);
    let profile = parts.snapshot.ssh_profile(model::CLIENT_PROFILE);
    let at = HostPort { host: local.ip().to_string(), port: local.port() };
    let probed = match profile {
        Some(profile) => ours(caller.as_ref(), &at, profile).await,
        None => Err(format!("SSH profile {} is gone", model::CLIENT_PROFILE)),
    };
    match probed {
        Ok(key) => {
            let profile = profile_at(parts.snapshot, local).ok();
            let ours = profile.is_some_and(|p| {
                parts.snapshot.host_keys(&p).iter().any(|k| k.fingerprint == key.fingerprint().0)
            });
            match ours {
                true => steps.good(format!("{local} answers with our host key {}", key.fingerprint())),
                false => steps.bad(
                    format!("{local} answers with the host key {}, which is not ours", key.fingerprint()),
                    "another program has the port: stop it, or change the listener with `gatehouse listener update`",
                ),
            }
        }
        Err(why) => steps.bad(
            format!("nobody answers at {local}: {why}"),
            format!("start the gateway with `gatehouse serve`; if it runs, see in its log why listener {listener} is not open"),
        ),
    }
}

/// The host key that our own listener shows. One that was just made opens a moment later.
async fn ours(caller: &dyn CallPartner, at: &HostPort, profile: &SshProfile) -> Result<PublicKey, String> {
    let mut tries = 0;
    loop {
        let probed = caller.probe(at, profile).await.and_then(|p| p.host_key.ok_or(p.failure));
        tries += 1;
        if probed.is_ok() || tries >= OPEN_TRIES {
            return probed;
        }
        tokio::time::sleep(OPEN_PAUSE).await;
    }
}

/// Times that a listener of ours is called until it counts as closed, and the wait between.
const OPEN_TRIES: u32 = 15;
const OPEN_PAUSE: Duration = Duration::from_millis(100);

/// What the partner can prove itself with.
fn proof(parts: &Parts<'_>, steps: &mut Steps) {
    let mut any = false;
    for (_, key) in parts.keys.iter().filter(|(usage, _)| *usage == KeyUse::Login) {
        let print = keys::Fingerprint(key.fingerprint);
        match key.enabled() {
            true => {
                any = true;
                steps.good(format!("key {} is accepted: {print}", key.alias));
            }
            false => steps.note(
                format!("key {} is {}: {print}", key.alias, key.state.shown()),
                format!("compare it with the partner, then `gatehouse secadm update_key -name {} -state E`", key.alias),
            ),
        }
    }
    if parts.gates.iter().any(|gate| gate.has_password) {
        any = true;
        steps.good("a password is set");
    }
    if !any {
        steps.note(
            "nothing lets the partner in yet: neither key nor password",
            "let it connect once, then see `gatehouse quarantine list` and enable the key that is the partner's",
        );
    }
}

/// The way out: a real call.
pub(crate) async fn outbound(caller: &dyn CallPartner, parts: &Parts<'_>) -> Steps {
    told(parts, &caller.call(parts.site, None).await)
}

/// A call as steps.
pub(crate) fn told(parts: &Parts<'_>, called: &Called) -> Steps {
    let name = &parts.site.name;
    let login = parts.site.login.as_deref().unwrap_or_default();
    let mut steps = Steps::new(format!("we call {name} at {}", called.address));
    let reached = called.failed.as_ref().map_or(Stage::Folder, |(stage, _)| *stage);
    if reached > Stage::Address {
        steps.good(format!("{} answers", called.address));
    }
    if reached > Stage::Handshake && !called.server.is_empty() {
        let algorithms = match called.algorithms.as_str() {
            "" => "the connection is in clear, as the site says".to_owned(),
            agreed => format!("algorithms {agreed}"),
        };
        steps.good(format!("it is {}; {algorithms}", called.server));
    }
    if let Some(shown) = &called.host_key {
        host_key(name, shown, &mut steps);
    }
    if reached > Stage::Login {
        steps.good(format!("it lets us in as {login}"));
    }
    match &called.failed {
        None => {
            let names = if called.names.is_empty() { String::new() } else { format!(": {}", called.names.join(", ")) };
            let more = if called.count > called.names.len() { ", …" } else { "" };
            steps.good(format!("folder {} has {} entries{names}{more}", called.folder, called.count));
        }
        // What is wrong with the key is told already.
        Some((Stage::HostKey, _)) if called.host_key.is_some() => {}
        Some((stage, why)) => steps.bad(why.clone(), fix(parts, *stage)),
    }
    steps
}

fn host_key(name: &str, shown: &HostKey, steps: &mut Steps) {
    let print = shown.key.fingerprint();
    let waiting = |changed: bool| {
        Some(json!({
            "fingerprint": print.to_string(), "words": print.words(), "algorithm": shown.key.ssh_name(), "changed": changed,
        }))
    };
    let ask = format!(
        "ask the partner for the fingerprint by a way that you knew before; if it is this one: gatehouse partner trust {name} \
         {print}"
    );
    match &shown.verdict {
        HostKeyVerdict::Known(alias) => steps.good(format!("host key {alias} is the known one: {print}")),
        HostKeyVerdict::Confirmed => steps.good(format!("host key is the one that you named: {print}")),
        HostKeyVerdict::New => {
            steps.host_key = waiting(false);
            steps.bad(format!("host key is not known yet: {} {print} (in quarantine)", shown.key.ssh_name()), ask);
        }
        HostKeyVerdict::Changed => {
            steps.host_key = waiting(true);
            let text = format!("HOST KEY HAS CHANGED: it is now {} {print}; nothing is sent", shown.key.ssh_name());
            steps.bad(text, format!("someone may stand between: {ask}"));
        }
        HostKeyVerdict::Refused(why) => steps.bad(why.clone(), ask),
    }
}

/// What to do where a call ended.
fn fix(parts: &Parts<'_>, stage: Stage) -> String {
    let name = &parts.site.name;
    let update = format!("gatehouse peladm update_site -alias {name}");
    match stage {
        Stage::Settings => format!("complete it: {update} ?"),
        Stage::Address => format!(
            "is the address right ({update} -dest_address HOST/PORT), is their server up, and do firewalls let us through?"
        ),
        Stage::Handshake | Stage::HostKey if parts.site.security != CallSecurity::Ssh => format!(
            "see what the server offers with `gatehouse probe tls`, and what waits for you with `gatehouse quarantine list`; the \
             profile: gatehouse secdsp display_sprof {}",
            parts.site.tls.outgoing.as_ref().map_or("", |name| name.as_str())
        ),
        Stage::Handshake => format!(
            "is it an SSH server? If the algorithms differ, see `gatehouse secdsp display_sshprof {}`",
            parts.site.ssh_profile_name()
        ),
        Stage::HostKey => "compare the fingerprint with the partner".to_owned(),
        Stage::Login if parts.site.has_password || parts.site.security != CallSecurity::Ssh => {
            format!("is the user name right, and the password? Set it anew: {update} -login_password")
        }
        Stage::Login => format!(
            "has the partner put our public key into its authorized_keys, and is the user name right? See `gatehouse partner \
             export {name} -sheet`"
        ),
        Stage::Service => format!("ask the partner whether {} is enabled for our login", parts.site.protocol),
        Stage::Folder => format!("ask the partner to make the folder, or name another: {update} -dir_name FOLDER"),
    }
}
