//! Octets of files and lists on a data connection.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use channel::Link;
use engine::TransferError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::session::is_set;
use crate::carriers::ftp::wire::{FromWire, ToWire};
use crate::files::{Download, Upload};

/// Octets read from a data connection in one step.
const STEP_OCTETS: usize = 512 * 1024;
/// What the store writes without a copy begins at a multiple of this in memory, and at one of [`STEP_OCTETS`] in the file.
const PAGE: usize = 4096;
/// Octets read from a file in one step.
const READ_OCTETS: u32 = 256 * 1024;
/// How long octets are gathered before they are written.
const GATHER_TIME_MAX: Duration = Duration::from_millis(50);
/// How long a peer that has everything may take to close the data connection, before and after it is told that this is all.
pub(super) const CLOSE_TIME_MAX: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(20)];

/// Why a transfer ended before its end.
pub(super) enum Cut {
    /// The file could not be read or written.
    File(TransferError),
    /// The data connection broke.
    Line(io::Error),
    /// We had to stop.
    Stopped,
}

/// How the peer took the end of a download.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Taken {
    /// It closed the connection: it has read everything.
    Closed,
    /// Nothing yet.
    Open,
}

/// What a step of reading gave.
enum Step {
    More(Bytes),
    /// What came before the end, or before it broke.
    Last(Bytes, Result<(), Cut>),
}

/// Room for a step, from the beginning of a page on.
fn room() -> BytesMut {
    let mut room = BytesMut::with_capacity(STEP_OCTETS + PAGE);
    let before = room.as_ptr().align_offset(PAGE).min(PAGE);
    room.resize(before, 0);
    room.advance(before);
    room
}

/// Reads on behind `at` until much has come, or nothing more comes for a moment.
async fn step(link: &mut Link, at: u64, (idle, stop): (Duration, &mut watch::Receiver<bool>)) -> Step {
    let mut buffer = room();
    let behind = usize::try_from(at).unwrap_or(0) % STEP_OCTETS;
    let most = STEP_OCTETS - behind;
    loop {
        let patience = if buffer.is_empty() { idle } else { GATHER_TIME_MAX };
        let left = most - buffer.len();
        let read = tokio::select! {
            read = timeout(patience, async { link.read_buf(&mut (&mut buffer).limit(left)).await }) => read,
            true = is_set(stop) => return Step::Last(buffer.freeze(), Err(Cut::Stopped)),
        };
        match read {
            Ok(Ok(0)) => return Step::Last(buffer.freeze(), Ok(())),
            Ok(Ok(_)) if buffer.len() < most => {}
            Ok(Ok(_)) => return Step::More(buffer.freeze()),
            Ok(Err(error)) => return Step::Last(buffer.freeze(), Err(Cut::Line(error))),
            Err(_) if !buffer.is_empty() => return Step::More(buffer.freeze()),
            Err(_) => return Step::Last(Bytes::new(), Err(Cut::Line(io::ErrorKind::TimedOut.into()))),
        }
    }
}

/// Receives a file to the orderly end of its data. While one step is written, the next is read. What came before a
/// connection broke is written.
pub(super) async fn receive(
    link: &mut Link,
    (file, mut at): (&mut dyn Upload, u64),
    mut text: Option<FromWire>,
    (idle, mut stop): (Duration, watch::Receiver<bool>),
) -> Result<(), Cut> {
    // Where the line stands, in octets of it.
    let mut place = at;
    let mut came = step(link, place, (idle, &mut stop)).await;
    loop {
        let (octets, last) = match came {
            Step::More(octets) => (octets, None),
            Step::Last(octets, end) => (octets, Some(end)),
        };
        place = place.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        let octets = text.as_mut().map_or(octets.clone(), |text| text.feed(&octets));
        let len = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        if let Some(end) = last {
            write(file, at, octets).await?;
            if let (Some(text), Ok(())) = (text, &end) {
                write(file, at.saturating_add(len), text.end()).await?;
            }
            return end;
        }
        let (written, next) = tokio::join!(write(file, at, octets), step(link, place, (idle, &mut stop)));
        written?;
        at = at.saturating_add(len);
        came = next;
    }
}

async fn write(file: &mut dyn Upload, at: u64, octets: Bytes) -> Result<(), Cut> {
    if octets.is_empty() {
        return Ok(());
    }
    file.write_at(at, octets).await.map_err(Cut::File)
}

/// What is sent.
pub(super) enum Source<'a> {
    File(&'a mut dyn Download, u64, Option<ToWire>),
    List(&'a mut (dyn Iterator<Item = Bytes> + Send)),
}

impl Source<'_> {
    /// The next octets; none at the end.
    async fn next(&mut self) -> Result<Bytes, Cut> {
        match self {
            Self::File(file, at, text) => {
                let octets = file.read_at(*at, READ_OCTETS).await.map_err(Cut::File)?;
                *at = at.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
                Ok(text.as_mut().map_or(octets.clone(), |text| text.feed(&octets)))
            }
            Self::List(pieces) => Ok(pieces.next().unwrap_or_default()),
        }
    }
}

/// Sends everything, ends our direction, and looks whether the peer closes its own. While one step is sent, the next is
/// read.
pub(super) async fn transmit(
    link: &mut Link,
    mut source: Source<'_>,
    sent: &mut u64,
    (idle, mut stop): (Duration, watch::Receiver<bool>),
) -> Result<Taken, Cut> {
    let mut octets = source.next().await?;
    while !octets.is_empty() {
        let writing = async {
            tokio::select! {
                written = timeout(idle, link.write_all(&octets)) => match written {
                    Ok(written) => written.map_err(Cut::Line),
                    Err(_) => Err(Cut::Line(io::ErrorKind::TimedOut.into())),
                },
                true = is_set(&mut stop) => Err(Cut::Stopped),
            }
        };
        let (written, next) = tokio::join!(writing, source.next());
        written?;
        *sent = sent.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        octets = next?;
    }
    link.finish().await.map_err(Cut::Line)?;
    let [patience, _] = CLOSE_TIME_MAX;
    match timeout(patience, closed(link)).await {
        Ok(true) => Ok(Taken::Closed),
        Ok(false) => Err(Cut::Line(io::ErrorKind::ConnectionReset.into())),
        Err(_) => Ok(Taken::Open),
    }
}

/// Waits for the peer's end of a data connection on which it has nothing to send; `false` if it broke.
///
/// A peer that closes TLS without reading our announcement of the end makes its system reset the connection, though it has
/// all of the file; so that is no break there.
pub(super) async fn closed(link: &mut Link) -> bool {
    let is_secure = link.tls().is_some();
    let mut octets = [0; 512];
    loop {
        match link.read(&mut octets).await {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return is_secure || error.kind() == io::ErrorKind::UnexpectedEof,
        }
    }
}
