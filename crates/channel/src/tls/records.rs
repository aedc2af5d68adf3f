//! Records of TLS 1.3 behind the handshake (RFC 8446 section 5), for data connections that partners open to us.
//!
//! The library makes the handshake, as for every connection, and gives its keys away when that is over. It copies what it
//! decrypts three times, which was a fifth of the processor for an upload; here it is decrypted where it came, and copied once.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use base::Secret;
use rustls::CipherSuite;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SecureStream;
use super::ahead::{HEADER, ReadAhead};

/// Most octets of content in a record.
const CONTENT_MAX: usize = 1 << 14;
/// Most octets that protection may add.
const ADDED_MAX: usize = 256;
const TAG: usize = 16;
/// Records without content that are taken in a row.
const EMPTY_MAX: u32 = 32;
/// Records that one key may seal: below what RFC 8446 section 5.5 allows for AES-GCM.
const SEALED_MAX: u64 = 1 << 24;
/// Octets of sealed records that wait for the line.
const OUT_MAX: usize = 4 * (HEADER + CONTENT_MAX + 1 + TAG);

/// Type of an alert (RFC 8446 section 6): each but one ends the session at once.
const ENDING: u8 = 21;
const HANDSHAKE: u8 = 22;
const CONTENT: u8 = 23;
const KEY_UPDATE: u8 = 24;
const CLOSE_NOTIFY: u8 = 0;
const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;

/// The secrets of a session from which its keys follow, as the handshake told them: the client's and the server's.
#[derive(Default)]
pub(super) struct TrafficSecrets {
    pub(super) client: Option<Secret<Vec<u8>>>,
    pub(super) server: Option<Secret<Vec<u8>>>,
}

/// Algorithms of a cipher suite.
#[derive(Clone, Copy)]
struct Suite {
    aead: &'static Algorithm,
    hkdf: hkdf::Algorithm,
}

impl Suite {
    fn of(suite: CipherSuite) -> Option<Self> {
        let (aead, hkdf) = match suite {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => (&AES_128_GCM, HKDF_SHA256),
            CipherSuite::TLS13_AES_256_GCM_SHA384 => (&AES_256_GCM, HKDF_SHA384),
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => (&CHACHA20_POLY1305, HKDF_SHA256),
            _ => return None,
        };
        Some(Self { aead, hkdf })
    }

    /// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
    fn expand(self, secret: &[u8], label: &str, octets: usize) -> Option<Secret<Vec<u8>>> {
        let label = [b"tls13 ", label.as_bytes()].concat();
        let (len, label_len) = (u16::try_from(octets).ok()?, u8::try_from(label.len()).ok()?);
        let (len, label_len) = (len.to_be_bytes(), [label_len]);
        let info = [&len[..], &label_len, &label, &[0]];
        let mut out = vec![0; octets];
        let prk = Prk::new_less_safe(self.hkdf, secret);
        let filled = prk.expand(&info, Octets(octets)).and_then(|expanded| expanded.fill(&mut out));
        let out = Secret::new(out);
        filled.ok().map(|()| out)
    }
}

struct Octets(usize);

impl KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

/// One direction.
struct Half {
    suite: Suite,
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// Number of the next record.
    number: u64,
    secret: Secret<Vec<u8>>,
}

impl Half {
    /// The direction that `secret` is for, from its record `number` on (RFC 8446 section 7.3).
    fn new(suite: Suite, number: u64, secret: Secret<Vec<u8>>) -> Option<Self> {
        let key = suite.expand(secret.expose(), "key", suite.aead.key_len())?;
        let iv = suite.expand(secret.expose(), "iv", NONCE_LEN)?;
        let key = LessSafeKey::new(UnboundKey::new(suite.aead, key.expose()).ok()?);
        Some(Self { suite, key, iv: iv.expose().as_slice().try_into().ok()?, number, secret })
    }

    /// The next generation of keys (RFC 8446 section 7.2).
    fn update(&mut self) -> io::Result<()> {
        let octets = self.secret.expose().len();
        let secret = self.suite.expand(self.secret.expose(), "traffic upd", octets);
        let next = secret.and_then(|secret| Self::new(self.suite, 0, secret));
        *self = next.ok_or_else(|| io::Error::other("new keys could not be derived"))?;
        Ok(())
    }

    /// The nonce of the next record.
    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        let number = self.number.to_be_bytes();
        nonce.iter_mut().rev().zip(number.iter().rev()).for_each(|(octet, part)| *octet ^= part);
        self.number = self.number.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Opens a record into `out`, or, if there is no room, in its place behind the header. Gives the type and the length of its
    /// content.
    fn open(&mut self, record: &mut [u8], out: Option<&mut [u8]>) -> Option<(u8, usize)> {
        let (header, sealed) = record.split_first_chunk_mut::<HEADER>()?;
        if header[0] != CONTENT || sealed.len() > CONTENT_MAX + ADDED_MAX {
            return None;
        }
        let (nonce, header) = (self.nonce(), Aad::from(&header[..]));
        let plain = match out {
            Some(out) => {
                let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
                self.key.open_separate_gather(nonce, header, sealed, tag, out).ok()?;
                out
            }
            None => self.key.open_in_place(nonce, header, sealed).ok()?,
        };
        // The type is the last octet that is not padding.
        let end = plain.iter().rposition(|octet| *octet != 0)?;
        (end <= CONTENT_MAX).then(|| (plain.get(end).copied().unwrap_or(0), end))
    }

    /// Seals `content` as one record behind what is in `out`.
    fn seal(&mut self, kind: u8, content: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let sealed = u16::try_from(content.len() + 1 + TAG).map_err(io::Error::other)?.to_be_bytes();
        let header = [CONTENT, 3, 3, sealed[0], sealed[1]];
        out.extend_from_slice(&header);
        let from = out.len();
        out.extend_from_slice(content);
        out.push(kind);
        let nonce = self.nonce();
        let plain = out.get_mut(from..).unwrap_or_default();
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&header[..]), plain);
        let tag = tag.map_err(|_| io::Error::other("a record could not be sealed"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

/// What a session is taken over from the library with.
pub(super) struct Handed {
    pub(super) line: ReadAhead,
    /// Content that the library has read already.
    pub(super) early: Vec<u8>,
    /// The partner has announced its end.
    pub(super) is_closed: bool,
    pub(super) suite: CipherSuite,
    /// Records that were received and sent since the handshake.
    pub(super) records: (u64, u64),
    pub(super) secrets: TrafficSecrets,
}

/// The session of a data connection, as server.
pub(super) struct Records {
    line: ReadAhead,
    rx: Half,
    tx: Half,
    early: Vec<u8>,
    /// What of `early` was taken.
    taken: usize,
    /// Content that was opened and not taken yet, by its place in the line's buffer.
    plain: Range<usize>,
    /// Records without content in a row.
    empty: u32,
    /// The partner has announced its end.
    is_closed: bool,
    failed: Option<(io::ErrorKind, String)>,
    /// Sealed records, and what of them is on the line.
    out: Vec<u8>,
    sent: usize,
    /// The partner wants ours sealed with new keys before we send more; once, however often it says so.
    is_update_due: bool,
    /// Our end is announced.
    is_ended: bool,
}

impl Records {
    /// None if something is not known: the connection can't go on.
    pub(super) fn new(handed: Handed) -> Option<Self> {
        let Handed { line, early, is_closed, suite, records: (received, sent), secrets } = handed;
        let suite = Suite::of(suite)?;
        let (rx, tx) = (Half::new(suite, received, secrets.client?)?, Half::new(suite, sent, secrets.server?)?);
        Some(Self {
            line,
            rx,
            tx,
            early,
            taken: 0,
            plain: 0..0,
            empty: 0,
            is_closed,
            failed: None,
            out: Vec::new(),
            sent: 0,
            is_update_due: false,
            is_ended: false,
        })
    }

    /// Content that was opened and not taken yet.
    fn ready(&mut self) -> &[u8] {
        match self.early.get(self.taken..) {
            Some(early) if !early.is_empty() => early,
            _ => self.line.record(self.plain.clone()),
        }
    }

    fn take(&mut self, octets: usize) {
        if self.taken < self.early.len() {
            self.taken += octets;
        } else {
            self.plain.start += octets;
        }
    }

    /// Opens records until there is content, in `buf` or to be taken: `false` at the announced end.
    fn poll_content(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        loop {
            if !self.ready().is_empty() || buf.filled().len() > before {
                return Poll::Ready(Ok(true));
            }
            if let Some((kind, text)) = &self.failed {
                return Poll::Ready(Err(io::Error::new(*kind, text.clone())));
            }
            if self.is_closed {
                return Poll::Ready(Ok(false));
            }
            let record = ready!(self.line.poll_record(cx))?;
            if let Err(error) = self.open(record, buf) {
                self.failed = Some((error.kind(), error.to_string()));
                // Whether it goes out or not, this is the end.
                let _told = self.poll_out(cx);
            }
        }
    }

    fn open(&mut self, record: Option<Range<usize>>, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let at = record.ok_or_else(cut)?;
        let octets = self.line.record(at.clone());
        let [_, _, _, high, low, sealed @ ..] = &*octets else { return Err(cut()) };
        if sealed.len() < usize::from(u16::from_be_bytes([*high, *low])) {
            return Err(cut());
        }
        let plain = sealed.len().saturating_sub(TAG);
        let has_room = plain <= buf.remaining();
        let opened = match has_room {
            true => self.rx.open(octets, Some(buf.initialize_unfilled_to(plain))),
            false => self.rx.open(octets, None),
        };
        let Some((kind, len)) = opened else {
            return Err(self.refuse(BAD_RECORD_MAC, "a record does not open"));
        };
        self.empty = if kind == CONTENT && len > 0 { 0 } else { self.empty + 1 };
        if self.empty > EMPTY_MAX {
            return Err(self.refuse(UNEXPECTED_MESSAGE, "records come without content"));
        }
        let behind = at.start + HEADER..at.start + HEADER + len;
        match (kind, has_room) {
            (CONTENT, true) => buf.advance(len),
            (CONTENT, false) => self.plain = behind,
            (_, true) => {
                let message = buf.initialize_unfilled_to(len).to_vec();
                return self.heed(kind, &message);
            }
            (_, false) => {
                let message = self.line.record(behind).to_vec();
                return self.heed(kind, &message);
            }
        }
        Ok(())
    }

    /// Acts on what is no content.
    fn heed(&mut self, kind: u8, message: &[u8]) -> io::Result<()> {
        match (kind, message) {
            (ENDING, [_, CLOSE_NOTIFY]) => self.is_closed = true,
            (ENDING, [_, number]) => {
                let text = format!("the partner ended TLS with alert {number}");
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
            }
            (HANDSHAKE, [KEY_UPDATE, 0, 0, 1, 0]) => self.rx.update()?,
            (HANDSHAKE, [KEY_UPDATE, 0, 0, 1, 1]) => {
                self.rx.update()?;
                self.is_update_due = true;
            }
            (ENDING, _) => return Err(self.refuse(UNEXPECTED_MESSAGE, "an alert is none")),
            (HANDSHAKE, _) => {
                return Err(self.refuse(UNEXPECTED_MESSAGE, "a message of the handshake comes behind it"));
            }
            _ => return Err(self.refuse(UNEXPECTED_MESSAGE, "a record has an unknown type")),
        }
        Ok(())
    }

    /// Tells the partner, and us.
    fn refuse(&mut self, alert: u8, text: &str) -> io::Error {
        const FATAL: u8 = 2;
        let text = match self.tx.seal(ENDING, &[FATAL, alert], &mut self.out) {
            Ok(()) => text.to_owned(),
            Err(error) => format!("{text}, and {error}"),
        };
        self.is_ended = true;
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// From the next record on ours are sealed with new keys.
    fn update_ours(&mut self) -> io::Result<()> {
        self.is_update_due = false;
        self.tx.seal(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0], &mut self.out)?;
        self.tx.update()
    }

    /// Brings what is sealed on the line.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            match ready!(Pin::new(&mut self.line.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                octets => self.sent += octets,
            }
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Records {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 {
            match self.poll_content(cx, buf) {
                // It may be in its place already.
                Poll::Ready(Ok(true)) => {
                    let some = self.ready();
                    let octets = some.len().min(buf.remaining());
                    buf.put_slice(some.get(..octets).unwrap_or_default());
                    self.take(octets);
                }
                // What came before is given first.
                _ if buf.filled().len() > before => break,
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Records {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_out(cx))?;
        let this = &mut *self;
        let mut taken = 0;
        for piece in octets.chunks(CONTENT_MAX) {
            if this.out.len() >= OUT_MAX {
                break;
            }
            if this.is_update_due || this.tx.number >= SEALED_MAX {
                this.update_ours()?;
            }
            this.tx.seal(CONTENT, piece, &mut this.out)?;
            taken += piece.len();
        }
        // What does not go now goes with the next write, or the flush.
        if let Poll::Ready(Err(error)) = self.poll_out(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        const WARNING: u8 = 1;
        if !self.is_ended {
            self.is_ended = true;
            let this = &mut *self;
            this.tx.seal(ENDING, &[WARNING, CLOSE_NOTIFY], &mut this.out)?;
        }
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.line.stream).poll_shutdown(cx)
    }
}

impl SecureStream for Records {
    fn poll_end_unannounced(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.line.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A partner with its line, whose records are made here.
    struct Partner {
        line: TcpStream,
        tx: Half,
        rx: Half,
    }

    impl Partner {
        async fn with(suite: CipherSuite) -> (Self, Records) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (line, taken) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
            let octets = if suite == TLS13_AES_256_GCM_SHA384 { 48 } else { 32 };
            let secret = |fill| Secret::new(vec![fill; octets]);
            let known = Suite::of(suite).unwrap();
            let partner = Self {
                line: line.unwrap(),
                tx: Half::new(known, 0, secret(1)).unwrap(),
                rx: Half::new(known, 0, secret(2)).unwrap(),
            };
            let handed = Handed {
                line: ReadAhead::bulk(taken.unwrap().0),
                early: Vec::new(),
                is_closed: false,
                suite,
                records: (0, 0),
                secrets: TrafficSecrets { client: Some(secret(1)), server: Some(secret(2)) },
            };
            (partner, Records::new(handed).unwrap())
        }

        async fn send(&mut self, kind: u8, content: &[u8]) {
            let mut out = Vec::new();
            self.tx.seal(kind, content, &mut out).unwrap();
            self.line.write_all(&out).await.unwrap();
        }

        async fn receive(&mut self) -> (u8, Vec<u8>) {
            let mut record = vec![0; HEADER];
            self.line.read_exact(&mut record).await.unwrap();
            record.resize(HEADER + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
            self.line.read_exact(&mut record[HEADER..]).await.unwrap();
            let (kind, len) = self.rx.open(&mut record, None).unwrap();
            (kind, record[HEADER..HEADER + len].to_vec())
        }
    }

    async fn read(ours: &mut Records, octets: usize) -> Vec<u8> {
        let mut read = vec![0; octets];
        ours.read_exact(&mut read).await.unwrap();
        read
    }

    // RFC 8446 sections 4.6.3 and 7.2
    #[tokio::test]
    async fn keys_change_on_the_wish_of_either_side() {
        for suite in [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256] {
            let (mut partner, mut ours) = Partner::with(suite).await;
            for wish in [0, 1, 1] {
                partner.send(CONTENT, b"before").await;
                partner.send(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, wish]).await;
                partner.tx.update().unwrap();
                partner.send(CONTENT, b"behind").await;
                assert_eq!(read(&mut ours, 12).await, b"beforebehind");
                ours.write_all(b"answer").await.unwrap();
                ours.flush().await.unwrap();
                if wish == 1 {
                    assert_eq!(partner.receive().await, (HANDSHAKE, vec![KEY_UPDATE, 0, 0, 1, 0]));
                    partner.rx.update().unwrap();
                }
                assert_eq!(partner.receive().await, (CONTENT, b"answer".to_vec()));
            }
            // However often it is wished for while we are silent.
            for _ in 0..3 {
                partner.send(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 1]).await;
                partner.tx.update().unwrap();
            }
            partner.send(CONTENT, b"last").await;
            assert_eq!(read(&mut ours, 4).await, b"last");
            ours.write_all(b"once").await.unwrap();
            assert_eq!(partner.receive().await, (HANDSHAKE, vec![KEY_UPDATE, 0, 0, 1, 0]));
            partner.rx.update().unwrap();
            assert_eq!(partner.receive().await, (CONTENT, b"once".to_vec()));
            ours.tx.number = SEALED_MAX;
            partner.rx.number = SEALED_MAX;
            ours.write_all(b"long after").await.unwrap();
            assert_eq!(partner.receive().await.0, HANDSHAKE);
            partner.rx.update().unwrap();
            assert_eq!(partner.receive().await, (CONTENT, b"long after".to_vec()));
        }
    }

    #[tokio::test]
    async fn content_of_any_size_goes_both_ways_and_ends() {
        let (mut partner, mut ours) = Partner::with(TLS13_AES_128_GCM_SHA256).await;
        let content: Vec<u8> = (0..200_000u32).map(|n| n.to_be_bytes()[3]).collect();
        ours.write_all(&content).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut came = Vec::new();
        loop {
            match partner.receive().await {
                (CONTENT, some) => came.extend(some),
                end => break assert_eq!(end, (ENDING, vec![1, CLOSE_NOTIFY])),
            }
        }
        assert_eq!(came, content);
        for size in [1, 16_384, 0, 5000] {
            partner.send(CONTENT, &content[..size]).await;
        }
        // Padding is no content.
        let padded = [&b"padded"[..], &[CONTENT], &[0; 99]].concat();
        let mut out = Vec::new();
        partner.tx.seal(0, &padded, &mut out).unwrap();
        partner.line.write_all(&out).await.unwrap();
        partner.send(ENDING, &[1, CLOSE_NOTIFY]).await;
        let mut came = Vec::new();
        ours.read_to_end(&mut came).await.unwrap();
        assert_eq!(came.len(), 1 + 16_384 + 5000 + 6);
        assert!(came.ends_with(b"padded"));
    }

    async fn error(ours: &mut Records) -> io::ErrorKind {
        ours.read_to_end(&mut Vec::new()).await.unwrap_err().kind()
    }

    #[tokio::test]
    async fn what_is_no_record_ends_the_connection() {
        use io::ErrorKind::{ConnectionAborted, InvalidData, UnexpectedEof};
        for (kind, content, expected) in [
            (99, &b"x"[..], InvalidData),
            (ENDING, &[2, 40], ConnectionAborted),
            (ENDING, &[2], InvalidData),
            (HANDSHAKE, &[4, 0, 0, 0], InvalidData),
            (HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 2], InvalidData),
        ] {
            let (mut partner, mut ours) = Partner::with(TLS13_AES_128_GCM_SHA256).await;
            partner.send(CONTENT, b"some").await;
            partner.send(kind, content).await;
            assert_eq!(read(&mut ours, 4).await, b"some", "what came before is given");
            assert_eq!(error(&mut ours).await, expected, "{kind} {content:?}");
            assert_eq!(error(&mut ours).await, expected, "and it stays so");
            if expected == InvalidData {
                assert_eq!(partner.receive().await, (ENDING, vec![2, UNEXPECTED_MESSAGE]));
            }
        }
        for (octets, expected) in [
            (&[22, 3, 3, 0, 1, 0][..], InvalidData),
            (&[CONTENT, 3, 3, 0, 0], InvalidData),
            (
                &[CONTENT, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
                InvalidData,
            ),
            (&[CONTENT, 3, 3, 255, 255, 1], UnexpectedEof),
            (&[CONTENT, 3], UnexpectedEof),
            (&[], UnexpectedEof),
        ] {
            let (mut partner, mut ours) = Partner::with(TLS13_AES_128_GCM_SHA256).await;
            partner.line.write_all(octets).await.unwrap();
            partner.line.shutdown().await.unwrap();
            assert_eq!(error(&mut ours).await, expected, "{octets:?}");
        }
        let (mut partner, mut ours) = Partner::with(TLS13_AES_128_GCM_SHA256).await;
        for _ in 0..=EMPTY_MAX {
            partner.send(CONTENT, b"").await;
        }
        assert_eq!(error(&mut ours).await, InvalidData, "a flood of nothing");
    }
}
