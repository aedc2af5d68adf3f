//! Operations that stream content, over the administration socket: the request behind its length, content in pieces both
//! ways, then the reply in pieces, too.

use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;

use crate::content::{PIECE_OCTETS, Pieces, Reader, Writer, send_pieces};
use crate::socket::{CallError, PASS_MAX, REQUEST_OCTETS_MAX, Reply, Request, connect, run, timed};
use crate::{Content, Context, Input, Output};

/// The first octet of a request that streams; JSON never begins with it.
pub(crate) const STREAMS: u8 = b'S';
/// Requests that stream at the same time; beyond, they wait for their turn.
const STREAMS_MAX: usize = 8;
/// Longest wait for a turn.
const TURN_MAX: Duration = Duration::from_secs(600);

static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(STREAMS_MAX));

/// Asks the gateway that listens at `path`, with content that goes there and content that comes back.
///
/// # Errors
/// [`CallError::NotRunning`] if none does.
pub async fn call_streaming(
    path: &Path,
    operation: &str,
    input: &Input,
    (from, to): (Option<Reader>, Option<Writer>),
) -> Result<Output, CallError> {
    let (read, mut write) = connect(path).await?.into_split();
    let request = Request { operation: operation.to_owned(), input: input.into() };
    let text = zeroize::Zeroizing::new(serde_json::to_vec(&request).map_err(io::Error::other)?);
    let len = u32::try_from(text.len()).map_err(io::Error::other)?;
    let head = [&[STREAMS][..], &len.to_be_bytes()[..]].concat();
    timed(PASS_MAX, write.write_all(&head)).await?;
    timed(PASS_MAX, write.write_all(&text)).await?;
    let sending = tokio::spawn(async move {
        let sent = match from {
            Some(mut from) => send_pieces(&mut *from, &mut write).await,
            None => send_pieces(&mut tokio::io::empty(), &mut write).await,
        };
        // Kept open until the reply has come, unless the content broke off: then the other side has to see it.
        sent.map(|_| write)
    });
    let reply = receive(read, to).await;
    sending.abort();
    match serde_json::from_slice(&reply?).map_err(io::Error::other)? {
        Reply::Done(output) => Ok(output),
        Reply::Refused { exit_code, text } => Err(CallError::Refused { exit_code, text }),
    }
}

/// The content that comes, then the reply.
async fn receive(mut read: OwnedReadHalf, to: Option<Writer>) -> io::Result<Vec<u8>> {
    let mut to = to.unwrap_or_else(|| Box::new(tokio::io::sink()));
    let mut buffer = vec![0; PIECE_OCTETS];
    let mut pieces = Pieces::new(&mut read);
    loop {
        let count = pieces.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
    to.shutdown().await?;
    // Not to the end of the connection: where it did not read all that we sent, that end is an error.
    let mut reply = Vec::new();
    Pieces::new(&mut read).read_to_end(&mut reply).await?;
    Ok(reply)
}

/// Answers one request that streams; its first octet has been read.
pub(crate) async fn answer(stream: UnixStream, context: Context) -> io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let request = timed(PASS_MAX, request(&mut read)).await?;
    let turn = tokio::time::timeout(TURN_MAX, ROOM.acquire()).await;
    let _turn = turn.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(io::Error::other)?;
    let (mut ours, theirs) = tokio::io::duplex(PIECE_OCTETS);
    let content = Content::new(Some(Box::new(Pieces::new(read))), Some(Box::new(theirs)));
    let work = run(request, Context { content, ..context });
    let pump = async {
        let sent = send_pieces(&mut ours, &mut write).await;
        // If the caller is gone, the work must not wait for it.
        drop(ours);
        sent
    };
    let (done, sent) = tokio::join!(work, pump);
    sent?;
    let reply = match done {
        Ok(output) => Reply::Done(output),
        Err(error) => Reply::Refused { exit_code: error.exit_code(), text: error.to_string() },
    };
    finish(&mut write, &reply).await
}

async fn request(read: &mut OwnedReadHalf) -> io::Result<Request> {
    let len = usize::try_from(read.read_u32().await?).unwrap_or(usize::MAX);
    if len > REQUEST_OCTETS_MAX {
        return Err(io::Error::other("the request is too long"));
    }
    let mut text = zeroize::Zeroizing::new(vec![0; len]);
    read.read_exact(&mut text).await?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

async fn finish(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let text = serde_json::to_vec(reply).map_err(io::Error::other)?;
    timed(PASS_MAX, send_pieces(&mut text.as_slice(), write)).await?;
    timed(PASS_MAX, write.shutdown()).await
}
