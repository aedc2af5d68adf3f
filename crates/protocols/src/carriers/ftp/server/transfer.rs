//! Files on data connections: uploads, downloads, lists.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use channel::Link;
use engine::{Cause, OpenWrite, TransferError, VPath};
use futures_util::future::Either;
use tokio::sync::watch;
use tokio::time::timeout;

use super::SessionError;
use super::session::{Beside, Next, Session};
use super::stream::{CLOSE_TIME_MAX, Cut, Source, Taken, closed, receive, transmit};
use crate::carriers::ftp::replies;
use crate::carriers::ftp::wire::{Argument, DataType, FromWire, Reply, ToWire};
use crate::files::{Download, Folder, Upload};

/// Names tried for STOU.
const UNIQUE_NAMES_MAX: u32 = 1000;

/// Where an upload goes on.
#[derive(Clone, Copy)]
enum Place {
    Begin,
    End,
    At(u64),
}

impl Session {
    pub(super) async fn store(&mut self, path: VPath) -> Result<Next, SessionError> {
        let offset = std::mem::take(&mut self.state.offset);
        let how = OpenWrite { append: offset > 0, truncate: offset == 0, create: true, exclusive: false };
        let place = if offset > 0 { Place::At(offset) } else { Place::Begin };
        self.upload((path, how, place), "Send the data").await
    }

    pub(super) async fn append(&mut self, path: VPath) -> Result<Next, SessionError> {
        self.state.offset = 0;
        let how = OpenWrite { append: true, create: true, ..OpenWrite::default() };
        self.upload((path, how, Place::End), "Send the data").await
    }

    /// STOU: a name that is not taken (FTP-11). The name is told as RFC 1123 section 4.1.2.9 wants it.
    pub(super) async fn store_unique(&mut self, name: Option<&Argument>) -> Result<Next, SessionError> {
        let folder = self.folder()?;
        let name = name.map_or_else(|| made_up_name(folder.as_ref()), |name| name.octets().to_vec());
        for n in 0..UNIQUE_NAMES_MAX {
            let numbered = if n == 0 { name.clone() } else { [&name, format!(".{n}").as_bytes()].concat() };
            let path = match VPath::parse(&numbered, &self.state.here) {
                Ok(path) => path,
                Err(error) => return self.refuse(&replies::refused(&error.into())).await,
            };
            match folder.stat(&path).await {
                Err(error) if error.cause == Cause::NotFound => {
                    let how = OpenWrite { create: true, exclusive: true, ..OpenWrite::default() };
                    let told = [b"FILE: ", &numbered[..]].concat();
                    return self.upload((path, how, Place::Begin), &told).await;
                }
                Err(error) => return self.refuse_for(&error, &path).await,
                Ok(_) => {}
            }
        }
        self.refuse(&Reply::new(553, "No name is free")).await
    }

    async fn upload(
        &mut self,
        (path, how, place): (VPath, OpenWrite, Place),
        told: impl AsRef<[u8]>,
    ) -> Result<Next, SessionError> {
        let text = self.state.data_type == DataType::Ascii;
        if text && matches!(place, Place::At(_)) {
            return self.refuse(&Reply::new(501, "A restart needs TYPE I")).await;
        }
        let mut making = match self.making()? {
            Ok(making) => making,
            Err(reply) => return self.refuse(&reply).await,
        };
        // First the connection: opening the file may put an end to what was there.
        let Some(link) = self.connect(&mut making).await? else { return Ok(Next::Go) };
        let folder = self.folder()?;
        let (file, at) = match open_at(folder.as_ref(), &path, how, place).await {
            Ok(opened) => opened,
            Err((error, None)) => return self.refuse_for(&error, &path).await,
            Err((_, Some(size))) => {
                let text = format!("The file has {size} octets: restart from there");
                return self.refuse(&Reply::new(554, text)).await;
            }
        };
        let link = match self.begin((Reply::new(150, told), making), link).await {
            Ok(Some(link)) => link,
            other => {
                file.interrupt().await;
                return other.map(|_| Next::Go);
            }
        };
        self.receive(link, (file, at), (path, text.then(FromWire::default))).await
    }

    /// Says that a transfer begins, and protects its connection.
    async fn begin(
        &mut self,
        (reply, making): (Reply, super::data::Making),
        link: Link,
    ) -> Result<Option<Link>, SessionError> {
        self.control.send(&reply).await?;
        self.secure(making, link).await
    }

    async fn receive(
        &mut self,
        mut link: Link,
        (mut file, at): (Box<dyn Upload>, u64),
        (path, text): (VPath, Option<FromWire>),
    ) -> Result<Next, SessionError> {
        let (stop, stopped) = watch::channel(false);
        let mut how = {
            let mut work = pin!(receive(&mut link, (file.as_mut(), at), text, (self.settings.data_idle, stopped)));
            let how = self.beside(work.as_mut()).await;
            if !matches!(how, Beside::Done(_)) {
                // A write that is under way comes to its end, so that what arrived is kept.
                stop.send_replace(true);
                drop(work.await);
            }
            how
        };
        self.served.octets_in += file.size().saturating_sub(at);
        if matches!(how, Beside::Done(Ok(()))) {
            how = self.may_be_taken_back().await;
        }
        match how {
            Beside::Done(Ok(())) => {
                let ended = link.finish().await;
                tracing::debug!(%path, ?ended, "data of the upload are complete");
                drop(link);
                self.commit(file, &path).await
            }
            other => {
                drop(link);
                tracing::info!(%path, octets = file.size(), why = why(&other), "upload interrupted");
                file.interrupt().await;
                self.cut(other, &path).await
            }
        }
    }

    /// The time in which a peer whose data have ended may still say ABOR or close the control connection (FTP-12). Even
    /// without such a time, what has come already counts: a client that is stopped closes both connections at once.
    async fn may_be_taken_back(&mut self) -> Beside<Result<(), Cut>> {
        // Who has asked for something else already means what was sent.
        let patience = if self.control.holds() { Duration::ZERO } else { self.settings.pre_response };
        match timeout(patience, self.control.arriving()).await {
            Err(_) => Beside::Done(Ok(())),
            Ok(line) => match self.during(line).await {
                Ok(true) => Beside::Done(Ok(())),
                Ok(false) => Beside::Aborted,
                Err(error) => Beside::Ended(error),
            },
        }
    }

    /// Makes the file whole, in a task of its own, so that this is finished even if the session is cut short.
    async fn commit(&mut self, file: Box<dyn Upload>, path: &VPath) -> Result<Next, SessionError> {
        match tokio::spawn(file.commit()).await {
            Ok(Ok(proof)) => {
                tracing::debug!(%path, octets = proof.size(), "upload is durable");
                self.state.refused_in_a_row = 0;
                self.control.send(&replies::committed(&proof)).await?;
                Ok(Next::Go)
            }
            Ok(Err(error)) => self.refuse_for(&error, path).await,
            Err(_) => self.refuse(&Reply::new(451, "Server could not complete the file, send it again")).await,
        }
    }

    /// Answers for a transfer that was cut.
    async fn cut(&mut self, how: Beside<Result<(), Cut>>, path: &VPath) -> Result<Next, SessionError> {
        match how {
            Beside::Done(Ok(())) => Ok(Next::Go),
            Beside::Done(Err(Cut::File(error))) => self.refuse_for(&error, path).await,
            Beside::Done(Err(Cut::Line(_) | Cut::Stopped)) => {
                self.refuse(&Reply::new(426, "The data connection broke: the transfer is not complete")).await
            }
            Beside::Aborted => {
                self.aborted().await?;
                Ok(Next::Go)
            }
            Beside::Ended(error) => {
                if error == SessionError::Stopped {
                    self.control.send(&Reply::new(426, "Server is stopping: the transfer is not complete")).await?;
                }
                Err(error)
            }
        }
    }

    pub(super) async fn retrieve(&mut self, path: VPath) -> Result<Next, SessionError> {
        let offset = std::mem::take(&mut self.state.offset);
        let text = self.state.data_type == DataType::Ascii;
        if text && offset > 0 {
            return self.refuse(&Reply::new(501, "A restart needs TYPE I")).await;
        }
        let file = match self.folder()?.open_read(&path).await {
            Ok(file) => file,
            Err(error) => return self.refuse_for(&error, &path).await,
        };
        if offset > file.size() {
            let text = format!("The file has {} octets: restart from there", file.size());
            end_unread(file, &path).await;
            return self.refuse(&Reply::new(554, text)).await;
        }
        let form = if text { "ASCII" } else { "BINARY" };
        let name = path.name().unwrap_or_default();
        // Clients read the size in this form.
        let told = [format!("Opening {form} mode data connection for ").as_bytes(), name].concat();
        let told = [&told[..], format!(" ({} bytes)", file.size()).as_bytes()].concat();
        let link = match self.data_link(Reply::new(150, told)).await {
            Ok(Some(link)) => link,
            other => {
                end_unread(file, &path).await;
                return other.map(|_| Next::Go);
            }
        };
        self.transmit(link, (file, offset), (path, text.then(ToWire::default))).await
    }

    /// A data connection that was announced and is ready. `None`: there is none, and the peer was told.
    pub(super) async fn data_link(&mut self, reply: Reply) -> Result<Option<Link>, SessionError> {
        let mut making = match self.making()? {
            Ok(making) => making,
            Err(reply) => {
                self.refuse(&reply).await?;
                return Ok(None);
            }
        };
        let Some(link) = self.connect(&mut making).await? else { return Ok(None) };
        self.begin((reply, making), link).await
    }

    async fn transmit(
        &mut self,
        mut link: Link,
        (mut file, at): (Box<dyn Download>, u64),
        (path, text): (VPath, Option<ToWire>),
    ) -> Result<Next, SessionError> {
        let (stop, stopped) = watch::channel(false);
        let mut sent = 0;
        let how = {
            let source = Source::File(file.as_mut(), at, text);
            let mut work = pin!(transmit(&mut link, source, &mut sent, (self.settings.data_idle, stopped)));
            let how = self.beside(work.as_mut()).await;
            if !matches!(how, Beside::Done(_)) {
                stop.send_replace(true);
                drop(work.await);
            }
            how
        };
        self.served.octets_out += sent;
        let taken = match how {
            Beside::Done(Ok(taken)) => taken,
            other => {
                drop(link);
                let other = without(other);
                tracing::info!(%path, octets = sent, why = why(&other), "download not complete");
                end_unread(file, &path).await;
                return self.cut(other, &path).await;
            }
        };
        if taken == Taken::Closed {
            return match file.finish(true).await {
                Ok(()) => self.say(226, "Transfer complete").await,
                Err(error) => self.refuse_for(&error, &path).await,
            };
        }
        // Some clients close the connection only when they are told that this was all.
        self.say(226, "Transfer complete").await?;
        let read = self.is_read(&mut link).await;
        if let Err(error) = file.finish(read).await {
            tracing::warn!(%path, %error, "download not recorded");
        }
        Ok(Next::Go)
    }

    /// Whether the peer shows that it is there and has read everything: it closes the connection, or goes on.
    async fn is_read(&mut self, link: &mut Link) -> bool {
        let [_, patience] = CLOSE_TIME_MAX;
        let mut closing = pin!(closed(link));
        let read = {
            let next = pin!(self.control.arriving());
            match timeout(patience, futures_util::future::select(closing.as_mut(), next)).await {
                Ok(Either::Left((closed, _))) => return closed,
                Ok(Either::Right((line, _))) => line,
                Err(_) => return false,
            }
        };
        matches!(self.during(read).await, Ok(true))
    }

    /// Sends a list, and answers for it.
    pub(super) async fn send_list(
        &mut self,
        mut pieces: impl Iterator<Item = Bytes> + Send,
        path: &VPath,
    ) -> Result<Next, SessionError> {
        let Some(mut link) = self.data_link(Reply::new(150, "Here is the list")).await? else { return Ok(Next::Go) };
        let (stop, stopped) = watch::channel(false);
        let mut sent = 0;
        let how = {
            let source = Source::List(&mut pieces);
            let mut work = pin!(transmit(&mut link, source, &mut sent, (self.settings.data_idle, stopped)));
            let how = self.beside(work.as_mut()).await;
            stop.send_replace(true);
            how
        };
        drop(link);
        match how {
            Beside::Done(Ok(_)) => self.say(226, "That is all").await,
            other => self.cut(without(other), path).await,
        }
    }
}

/// A transfer that was cut, whatever it would have given.
fn without(how: Beside<Result<Taken, Cut>>) -> Beside<Result<(), Cut>> {
    match how {
        Beside::Done(done) => Beside::Done(done.map(drop)),
        Beside::Aborted => Beside::Aborted,
        Beside::Ended(error) => Beside::Ended(error),
    }
}

fn why(how: &Beside<Result<(), Cut>>) -> String {
    match how {
        Beside::Done(Ok(())) => String::new(),
        Beside::Done(Err(Cut::File(error))) => error.to_string(),
        Beside::Done(Err(Cut::Line(error))) => format!("the data connection broke: {error}"),
        Beside::Done(Err(Cut::Stopped)) | Beside::Aborted => "the peer said ABOR".to_owned(),
        Beside::Ended(error) => error.to_string(),
    }
}

async fn end_unread(file: Box<dyn Download>, path: &VPath) {
    if let Err(error) = file.finish(false).await {
        tracing::info!(%path, %error, "download not ended");
    }
}

/// A name for a file that came without one: the moment.
fn made_up_name(folder: &dyn Folder) -> Vec<u8> {
    let digits = folder.now().to_string();
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    format!("file-{digits}").into_bytes()
}

/// Opens a file where an upload goes on; the error has the size of the file if the place is behind its end.
async fn open_at(
    folder: &dyn Folder,
    path: &VPath,
    how: OpenWrite,
    place: Place,
) -> Result<(Box<dyn Upload>, u64), (TransferError, Option<u64>)> {
    let mut file = folder.open_write(path, how).await.map_err(|error| (error, None))?;
    let size = file.size();
    match place {
        Place::Begin => Ok((file, 0)),
        Place::End => Ok((file, size)),
        Place::At(offset) if offset > size => {
            file.interrupt().await;
            let text = format!("restart at {offset} of a file with {size} octets");
            Err((TransferError::refuse(Cause::Invalid, text), Some(size)))
        }
        Place::At(offset) => match file.truncate(offset).await {
            Ok(()) => Ok((file, offset)),
            Err(error) => {
                file.interrupt().await;
                Err((error, None))
            }
        },
    }
}
