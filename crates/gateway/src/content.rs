//! Content of commands: the caller's own files, standard input and output, with progress and a check at the end.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use admin::{Cell, Output, Reader, Writer};
use engine::Digest;
use rustix::fs::{CWD, RenameFlags};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What the command line says of content.
#[derive(Clone, Debug)]
pub(crate) enum Streamed {
    /// A file of the caller goes to the operation; `-` is standard input.
    Send(String),
    /// What the operation gives goes into a file of the caller; `-` is standard output.
    Receive { to: Option<String>, replace: bool },
}

/// What went by.
#[derive(Default)]
struct Passed {
    octets: u64,
    digest: Digest,
    told: Option<Instant>,
    /// Octets there will be, if that is known and someone looks on.
    total: Option<u64>,
}

impl Passed {
    fn add(&mut self, octets: &[u8]) {
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(0));
        self.digest.add(octets);
        if self.total.is_some() && self.told.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
            self.told = Some(Instant::now());
            self.tell("");
        }
    }

    fn tell(&self, end: &str) {
        let total = self.total.filter(|total| *total > 0).map(|total| format!(" of {total}")).unwrap_or_default();
        // Progress is a courtesy: what can't be written is left out.
        drop(write!(std::io::stderr().lock(), "\r{}{total} octets{end}", self.octets));
    }
}

/// A stream whose octets are counted and hashed.
struct Watched<S> {
    inner: S,
    passed: Arc<Mutex<Passed>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, out))?;
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).add(out.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<std::io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.inner).poll_write(cx, octets))?;
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).add(octets.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Open streams of one command, and what to do at its end.
pub(crate) struct Open {
    pub(crate) reader: Option<Reader>,
    pub(crate) writer: Option<Writer>,
    passed: Arc<Mutex<Passed>>,
    /// The hidden name that is written, and the one that it gets.
    file: Option<(PathBuf, PathBuf)>,
    replace: bool,
    sends: bool,
}

impl Open {
    /// Opens what the line names. `name` and `octets` are of the file that is to come.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) async fn open(asked: &Streamed, name: &str, octets: Option<u64>) -> Result<Self, String> {
        let looked_on = std::io::stderr().is_terminal();
        let total = looked_on.then_some(octets.unwrap_or(0));
        let mut open = Self {
            reader: None,
            writer: None,
            passed: Arc::new(Mutex::new(Passed { total, ..Passed::default() })),
            file: None,
            replace: false,
            sends: false,
        };
        match asked {
            Streamed::Send(path) => open.send(path).await?,
            Streamed::Receive { to, replace } => {
                open.replace = *replace;
                open.receive(to.as_deref().unwrap_or(name)).await?;
            }
        }
        Ok(open)
    }

    async fn send(&mut self, path: &str) -> Result<(), String> {
        self.sends = true;
        let passed = self.passed.clone();
        if path == "-" {
            self.reader = Some(Box::new(Watched { inner: tokio::io::stdin(), passed }));
            return Ok(());
        }
        let file = tokio::fs::File::open(path).await.map_err(|e| format!("{path}: {e}"))?;
        let meta = file.metadata().await.map_err(|e| format!("{path}: {e}"))?;
        if meta.is_dir() {
            return Err(format!("{path}: it is a folder, give a file"));
        }
        let mut told = passed.lock().unwrap_or_else(PoisonError::into_inner);
        told.total = told.total.map(|_| meta.len());
        drop(told);
        self.reader = Some(Box::new(Watched { inner: file, passed }));
        Ok(())
    }

    async fn receive(&mut self, to: &str) -> Result<(), String> {
        let passed = self.passed.clone();
        if to == "-" {
            self.writer = Some(Box::new(Watched { inner: tokio::io::stdout(), passed }));
            return Ok(());
        }
        let path = PathBuf::from(to);
        if !self.replace && path.symlink_metadata().is_ok() {
            return Err(format!("{to} is there already: give another name, or -replace"));
        }
        let name = path.file_name().ok_or_else(|| format!("{to} is no file name"))?.to_string_lossy();
        let random = base::random::<4>().map_err(|e| e.to_string())?;
        let part = path.with_file_name(format!(".{}.{}.part", base::brief(&name, 100), base::hex(&random)));
        let made = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&part).await;
        let file = made.map_err(|e| format!("{}: {e}", part.display()))?;
        self.writer = Some(Box::new(Watched { inner: file, passed }));
        self.file = Some((part, path));
        Ok(())
    }

    /// After the operation: what came is what was sent; a file gets its name, or is removed.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn end(&self, done: Option<&Output>) -> Result<(), String> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.told.is_some() {
            passed.tell("\n");
        }
        let digest = base::hex(&passed.digest.clone().end());
        let good = done.is_some_and(|done| digest_of(done).is_none_or(|theirs| theirs == digest));
        if let Some((part, path)) = &self.file {
            let named = if good { self.publish(part, path) } else { Ok(()) };
            if !good || named.is_err() {
                drop(std::fs::remove_file(part));
            }
            named?;
        }
        match done {
            Some(_) if !good && self.sends => Err("the gateway has stored other octets than were sent".to_owned()),
            Some(_) if !good => Err("the octets that came are not those that are stored: do not use them".to_owned()),
            _ => Ok(()),
        }
    }

    fn publish(&self, part: &Path, path: &Path) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        std::fs::File::open(part).and_then(|file| file.sync_all()).map_err(failed)?;
        let flags = if self.replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        rustix::fs::renameat_with(CWD, part, CWD, path, flags).map_err(|e| failed(e.into()))
    }
}

/// The digest that the operation tells.
fn digest_of(done: &Output) -> Option<&str> {
    let Output::Done { facts, .. } = done else { return None };
    facts.iter().find_map(|(name, cell)| match cell {
        Cell::Text(text) if name == "sha256" => Some(text.as_str()),
        _ => None,
    })
}
