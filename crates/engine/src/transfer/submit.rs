//! A request: a local file becomes an outgoing transfer, or is put at a partner's disposal (transfers.md section 1).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{Actor, Direction, Mode, NewPayload, NewTransfer, State};
use model::{Application, RemoteSite, Snapshot, TransferModel};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::limits::COPY_OCTETS;
use crate::store::{FileUuid, Sealed};
use crate::transfer::source::payload_body;
use crate::transfer::{Body, Extra, db_error, store_error};
use crate::vfd::{VPath, scope};

/// What is asked for. Fields left empty take the value of the model, then of the application, then of the site.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The partner (`dest_alias`); may come from the model.
    pub site: String,
    /// Initiator: we send the file. Responder: it is put at the partner's disposal.
    pub mode: Mode,
    /// Local path of the file (`file_component`), absolute.
    pub file: PathBuf,
    /// Name at the partner, or in the virtual folder.
    pub file_name: Option<String>,
    /// Folder at the partner, or the virtual folder.
    pub dir_name: String,
    /// Application.
    pub appli: String,
    /// Model.
    pub model: Option<String>,
    /// 0 high, 1 medium, 2 low; none: the model's, else medium.
    pub priority: Option<i64>,
    /// Not to be begun before (`date_to_begin`).
    pub not_before: Option<UtcMicros>,
    /// To be cancelled after (`date_to_end`).
    pub not_after: Option<UtcMicros>,
    /// Wait until restarted (TRF-6).
    pub frozen: bool,
    /// Failed tries after which it is given up; none: the engine's setting.
    pub retry_count_max: Option<u32>,
    /// Seconds between tries; none: waits that double.
    pub interval_s: Option<u32>,
    /// Stays at disposal after downloads (OBJ-24).
    pub permanent: bool,
    /// Protocol-level originator.
    pub originator: String,
    /// Protocol-level destination.
    pub destination: String,
    /// Commands for the partner's FTP server, before and behind the file; empty for those of the site.
    pub commands: String,
    /// User's own values, never sent.
    pub parameters: [String; 2],
    /// Who asks.
    pub actor: Actor,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            site: String::new(),
            mode: Mode::Initiator,
            file: PathBuf::new(),
            file_name: None,
            dir_name: String::new(),
            appli: String::new(),
            model: None,
            priority: None,
            not_before: None,
            not_after: None,
            frozen: false,
            retry_count_max: None,
            interval_s: None,
            permanent: false,
            originator: String::new(),
            destination: String::new(),
            commands: String::new(),
            parameters: [String::new(), String::new()],
            actor: Actor { name: "gateway".to_owned(), origin: String::new() },
        }
    }
}

impl Request {
    fn at_disposal(&self) -> bool {
        self.mode == Mode::Responder
    }
}

/// A request with everything found that it refers to.
struct Resolved {
    site: Arc<RemoteSite>,
    local_site: String,
    file_name: String,
    dir_name: String,
    appli: String,
    priority: i64,
}

impl Engine {
    /// Takes a request. When this returns, record and content are durable (TRF-1).
    ///
    /// # Errors
    /// [`Cause::NotFound`] for a site, model, application or local file that is not there; [`Cause::Invalid`] for what
    /// makes no sense; those of disk and database.
    pub async fn submit(self: &Arc<Self>, request: Request) -> Result<TransferId, TransferError> {
        let now = self.clock.now();
        let resolved = resolve(&request, &self.snapshot(), now)?;
        let mut file = open_local(&request.file).await?;
        self.submit_resolved((request, resolved), &mut file, now).await
    }

    /// The same with content that streams in; the request names no local file, but the file's name.
    ///
    /// # Errors
    /// As for [`Engine::submit`]; [`Cause::Disk`] if `content` breaks off: nothing is submitted then.
    pub async fn submit_content(
        self: &Arc<Self>,
        request: Request,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<TransferId, TransferError> {
        let now = self.clock.now();
        let resolved = resolve(&request, &self.snapshot(), now)?;
        self.submit_resolved((request, resolved), content, now).await
    }

    async fn submit_resolved(
        self: &Arc<Self>,
        (request, resolved): (Request, Resolved),
        content: &mut (dyn AsyncRead + Send + Unpin),
        now: UtcMicros,
    ) -> Result<TransferId, TransferError> {
        let mut body = self.fresh_body().await?;
        take_in(content, &mut body).await?;
        let (uuid, payload) = (body.staged.uuid(), body.payload);
        let sealed = self.store.commit(body.staged).await.map_err(|e| store_error(&e))?;
        let content = new_payload(payload, uuid, &sealed, self.store.name());
        let id = self.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
        let new = NewTransfer {
            size: Some(content.size),
            payload: Some(payload),
            ..new_record(&request, &resolved, self.node.id(), (id, now))
        };
        // Queued one behind the other: one commit.
        drop(self.db.payloads().add(content).await.map_err(|e| db_error(&e))?);
        self.db.transfers().insert(new).await.map_err(|e| db_error(&e))?;
        let site = resolved.site.name.clone();
        self.queue.new_work(&site);
        self.events.emit(Event::Submitted { transfer: id, site });
        Ok(id)
    }
}

pub(crate) fn new_payload(id: base::PayloadId, uuid: FileUuid, sealed: &Sealed, store: &str) -> NewPayload {
    let info = sealed.info();
    NewPayload {
        id,
        body: payload_body(uuid, sealed, store),
        size: i64::try_from(info.size).unwrap_or(i64::MAX),
        sha256: info.sha256,
    }
}

fn resolve(request: &Request, s: &Snapshot, now: UtcMicros) -> Result<Resolved, TransferError> {
    let model = named(request.model.as_deref(), "model", |n| s.model(n))?;
    let site_name = given(&request.site).or_else(|| model.map(|m| m.destination.clone()));
    let site_name = site_name.ok_or_else(|| invalid("the request names no site: give dest_alias"))?;
    let site = s.site(&site_name).ok_or_else(|| missing("site", &site_name))?.clone();
    let appli_name = given(&request.appli).or_else(|| model.and_then(|m| m.appli.clone()));
    let appli = named(appli_name.as_deref(), "application", |n| s.application(n))?;
    check(request, &site, appli, now)?;
    let file_name = file_name(request, model, appli)?;
    let dir_name = dir_name(request, model, appli, &site)?;
    let priority = request.priority.or_else(|| model.map(|m| m.priority.into())).unwrap_or(1);
    let first_local = || s.local_sites().next().map(|l| l.name.clone());
    Ok(Resolved {
        local_site: site.local_site.clone().or_else(first_local).unwrap_or_default(),
        site,
        file_name,
        dir_name,
        appli: appli_name.unwrap_or_default(),
        priority: priority.clamp(0, 2),
    })
}

fn given(text: &str) -> Option<String> {
    Some(text).filter(|t| !t.is_empty()).map(str::to_owned)
}

fn named<'a, T>(
    name: Option<&str>,
    what: &str,
    find: impl Fn(&str) -> Option<&'a Arc<T>>,
) -> Result<Option<&'a Arc<T>>, TransferError> {
    name.map(|n| find(n).ok_or_else(|| missing(what, n))).transpose()
}

fn check(
    request: &Request,
    site: &RemoteSite,
    appli: Option<&Arc<Application>>,
    now: UtcMicros,
) -> Result<(), TransferError> {
    if let Some(appli) = appli {
        if appli.group != site.group {
            // OBJ-9
            let text =
                format!("application {} is of group {}, site {} of {}", appli.name, appli.group, site.name, site.group);
            return Err(invalid(text));
        }
        if !appli.directions.outgoing() {
            return Err(invalid(format!("application {} allows no outgoing files", appli.name)));
        }
    }
    if request.not_after.is_some_and(|end| end <= now || request.not_before.is_some_and(|begin| end <= begin)) {
        return Err(invalid("date_to_end is over before the transfer could begin"));
    }
    commands_fit(&request.commands, site)?;
    if request.at_disposal() {
        return if site.roles.resp_sender {
            Ok(())
        } else {
            Err(invalid(format!("site {} may not fetch files", site.name)))
        };
    }
    if site.template || !site.is_reachable() {
        return Err(invalid(format!(
            "site {} has no address to call: give one, or put the file at its disposal",
            site.name
        )));
    }
    if !site.roles.init_sender {
        return Err(invalid(format!("site {} may not be sent files: see init_sender", site.name)));
    }
    Ok(())
}

/// Whether commands can be read, and the site's server could hear them.
pub(crate) fn commands_fit(text: &str, site: &RemoteSite) -> Result<(), TransferError> {
    if text.is_empty() {
        return Ok(());
    }
    if site.protocol != "FTP" {
        return Err(invalid(format!("site {} speaks {}: only FTP has such commands", site.name, site.protocol)));
    }
    model::partner_commands(text).map(drop).map_err(|wrong| invalid(format!("commands: {wrong}")))
}

fn file_name(
    request: &Request,
    model: Option<&Arc<TransferModel>>,
    appli: Option<&Arc<Application>>,
) -> Result<String, TransferError> {
    use std::os::unix::ffi::OsStrExt;
    // Names of models may hold variables of a transfer that caused this one; a request has none.
    let plain = |name: &String| !name.is_empty() && !name.contains("&(");
    let of_model = model.and_then(|m| m.file_name.clone()).filter(plain);
    let of_appli =
        appli.and_then(|a| if request.at_disposal() { a.local_file_name.clone() } else { a.remote_file_name.clone() });
    let of_file = || request.file.file_name().map(|n| crate::vfd::text_of(n.as_bytes()));
    let name = request.file_name.clone().or(of_model).or(of_appli.filter(plain)).or_else(of_file);
    let name = name.ok_or_else(|| invalid("the request names no file: give file_name"))?;
    match VPath::from_text(&name)? {
        path if path.depth() == 1 && !name.contains('/') => Ok(name),
        _ => Err(invalid("file_name is one name, without '/': give the folder as dir_name")),
    }
}

fn dir_name(
    request: &Request,
    model: Option<&Arc<TransferModel>>,
    appli: Option<&Arc<Application>>,
    site: &RemoteSite,
) -> Result<String, TransferError> {
    let plain = |name: &String| !name.contains("&(");
    let of_model = model.and_then(|m| m.dir_name.clone()).filter(plain);
    if request.at_disposal() {
        let of_appli = appli.and_then(|a| a.local_dir_name.clone());
        let dir = given(&request.dir_name).or(of_model).or(of_appli);
        let dir = dir.ok_or_else(|| invalid("the request names no virtual folder: give dir_name"))?;
        return Ok(VPath::from_text(&dir)?.text());
    }
    let of_appli = appli.and_then(|a| a.remote_dir_name.clone());
    Ok(given(&request.dir_name).or(of_model).or(of_appli).unwrap_or_else(|| site.dir_name.clone()))
}

fn new_record(request: &Request, found: &Resolved, node: String, (id, now): (TransferId, UtcMicros)) -> NewTransfer {
    let extra = Extra {
        permanent: request.permanent,
        retry_count_max: request.retry_count_max,
        interval_s: request.interval_s,
        originator: request.originator.clone(),
        destination: request.destination.clone(),
        local_path: request.file.display().to_string(),
        commands: request.commands.clone(),
        param1: request.parameters[0].clone(),
        param2: request.parameters[1].clone(),
        ..Extra::default()
    };
    NewTransfer {
        mode: if request.at_disposal() { Mode::Responder } else { Mode::Initiator },
        direction: Direction::Out,
        state: match request.not_before {
            _ if request.frozen => State::Frozen,
            Some(begin) if begin > now => State::Delayed,
            _ => State::ToBegin,
        },
        local: found.local_site.clone(),
        site: found.site.name.clone(),
        gate: if request.at_disposal() { scope(&found.site.name) } else { String::new() },
        login: request.actor.name.clone(),
        appli: found.appli.clone(),
        dir_name: found.dir_name.clone(),
        file_name: found.file_name.clone(),
        priority: found.priority,
        listed: request.at_disposal(),
        not_before: request.not_before,
        not_after: request.not_after,
        extra_json: extra.json(),
        node: Some(node),
        ..NewTransfer::outgoing(id, &found.site.protocol, now)
    }
}

async fn open_local(path: &Path) -> Result<tokio::fs::File, TransferError> {
    let shown = base::brief(&path.display().to_string(), 200);
    if !path.is_absolute() {
        return Err(invalid(format!("local file {shown} is no absolute path")));
    }
    let file = tokio::fs::File::open(path).await.map_err(|e| {
        TransferError::refuse(Cause::NotFound, format!("local file {shown} can't be opened by the gateway: {e}"))
    })?;
    match file.metadata().await {
        Ok(m) if m.is_file() => Ok(file),
        Ok(_) => Err(invalid(format!("{shown} is no regular file"))),
        Err(e) => Err(TransferError::retry(Cause::Disk, format!("local file {shown}: {e}"))),
    }
}

async fn take_in(file: &mut (dyn AsyncRead + Send + Unpin), body: &mut Body) -> Result<(), TransferError> {
    let mut at = 0_u64;
    let mut buffer = vec![0; COPY_OCTETS];
    loop {
        let count = file.read(&mut buffer).await;
        let count = count.map_err(|e| TransferError::retry(Cause::Disk, format!("the file can't be read: {e}")))?;
        if count == 0 {
            return Ok(());
        }
        let octets = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
        body.staged.write_at(at, octets).await.map_err(|e| store_error(&e))?;
        at = at.saturating_add(u64::try_from(count).unwrap_or(0));
    }
}

fn invalid(text: impl Into<String>) -> TransferError {
    TransferError::refuse(Cause::Invalid, text)
}

fn missing(what: &str, name: &str) -> TransferError {
    TransferError::refuse(
        Cause::NotFound,
        format!("{what} {} does not exist: create it, or name another", base::Shown::from(name)),
    )
}
