//! The administration socket of a running gateway: one request and one reply for each connection, as JSON.
//!
//! Who asks is known by the peer's uid (DESIGN 1.13); only the gateway's own account and root are answered.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use db::Actor;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use crate::execute::execute_wire;
use crate::input::{FILE_OCTETS_MAX, Wire};
use crate::stream::STREAMS;
use crate::{Context, Input, OpError, Output};

/// Most octets of a request: files that declare objects as JSON texts, or two others as JSON numbers, and the values.
pub(crate) const REQUEST_OCTETS_MAX: usize = 32 * FILE_OCTETS_MAX;
/// Longest wait for a request or a reply to pass over the socket.
pub(crate) const PASS_MAX: Duration = Duration::from_secs(10);
/// Longest wait of a caller for the work itself.
const WORK_MAX: Duration = Duration::from_secs(600);
/// The same for work on everything that is stored.
const LONG_WORK_MAX: Duration = Duration::from_secs(24 * 3600);
/// The same for a look that a person waits for.
const QUICK_WORK_MAX: Duration = Duration::from_secs(15);
/// Operations that work on everything that is stored.
const LONG_WORK: &[&str] = &["backup create", "master rotate", "purge", "store verify"];
/// Requests that are worked on at one time.
const REQUESTS_MAX: usize = 16;

#[derive(Deserialize, Serialize)]
pub(crate) struct Request {
    pub(crate) operation: String,
    pub(crate) input: Wire,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Done(Output),
    Refused { exit_code: u8, text: String },
}

/// What came of asking a running gateway.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nothing listens: no gateway runs on this data folder.
    #[error("no gateway runs on this data folder")]
    NotRunning,
    /// The gateway refused; its text and exit code.
    #[error("{text}")]
    Refused {
        /// 1 or 2.
        exit_code: u8,
        /// Why.
        text: String,
    },
    /// The socket failed.
    #[error("the running gateway did not answer: {0}")]
    Broken(#[from] io::Error),
}

/// Asks the gateway that listens at `path`.
///
/// # Errors
/// [`CallError::NotRunning`] if none does.
pub async fn call(path: &Path, operation: &str, input: &Input) -> Result<Output, CallError> {
    let mut stream = connect(path).await?;
    let request = Request { operation: operation.to_owned(), input: input.into() };
    let text = Zeroizing::new(serde_json::to_vec(&request).map_err(io::Error::other)?);
    timed(PASS_MAX, send(&mut stream, &text)).await?;
    let work_max = match operation {
        "status" => QUICK_WORK_MAX,
        long if LONG_WORK.contains(&long) => LONG_WORK_MAX,
        _ => WORK_MAX,
    };
    let reply = timed(work_max, receive(&mut stream, usize::MAX)).await?;
    match serde_json::from_slice(&reply).map_err(io::Error::other)? {
        Reply::Done(output) => Ok(output),
        Reply::Refused { exit_code, text } => Err(CallError::Refused { exit_code, text }),
    }
}

pub(crate) async fn connect(path: &Path) -> Result<UnixStream, CallError> {
    match UnixStream::connect(path).await {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Err(CallError::NotRunning)
        }
        other => Ok(other?),
    }
}

/// Opens the socket at `path`, mode 0600; a stale one is replaced (the caller holds the data folder's lock).
///
/// # Errors
/// The system's.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers requests until the task is dropped. The actor of `context` is replaced by who asks.
pub async fn serve(listener: UnixListener, context: Context, own_uid: u32) {
    let room = Arc::new(tokio::sync::Semaphore::new(REQUESTS_MAX));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let context = context.clone();
                tasks.spawn(async move {
                    if let Err(error) = answer(stream, context, own_uid, place).await {
                        tracing::debug!(%error, "administration request broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "administration socket does not accept; trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn answer(
    mut stream: UnixStream,
    context: Context,
    own_uid: u32,
    place: tokio::sync::OwnedSemaphorePermit,
) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid != own_uid && uid != 0 {
        tracing::warn!(uid, "administration request of another account refused");
        crate::execute::denied(&Context { actor: actor(uid), ..context }).await;
        return Ok(());
    }
    let mut text = Zeroizing::new(vec![timed(PASS_MAX, stream.read_u8()).await?]);
    if text.first() == Some(&STREAMS) {
        // Long work: it takes no place of those that are quick.
        drop(place);
        return crate::stream::answer(stream, Context { actor: actor(uid), ..context }).await;
    }
    text.extend_from_slice(&Zeroizing::new(timed(PASS_MAX, receive(&mut stream, REQUEST_OCTETS_MAX)).await?));
    let request: Request = serde_json::from_slice(&text).map_err(io::Error::other)?;
    let reply = match run(request, Context { actor: actor(uid), ..context }).await {
        Ok(output) => Reply::Done(output),
        Err(error) => Reply::Refused { exit_code: error.exit_code(), text: error.to_string() },
    };
    let text = serde_json::to_vec(&reply).map_err(io::Error::other)?;
    timed(PASS_MAX, send(&mut stream, &text)).await
}

fn actor(uid: u32) -> Actor {
    Actor { name: format!("uid:{uid}"), origin: "local socket".to_owned() }
}

pub(crate) async fn run(request: Request, context: Context) -> Result<Output, OpError> {
    // The work goes on if the caller hangs up: a change is whole or not at all.
    tokio::spawn(async move { execute_wire(&context, &request.operation, request.input).await })
        .await
        .map_err(|_| OpError::Failed("the operation broke off: see the gateway's log".to_owned()))?
}

async fn send(stream: &mut UnixStream, text: &[u8]) -> io::Result<()> {
    stream.write_all(text).await?;
    stream.shutdown().await
}

async fn receive(stream: &mut UnixStream, max: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    (&mut *stream).take(limit).read_to_end(&mut text).await?;
    Ok(text)
}

pub(crate) async fn timed<T>(max: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(max, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
