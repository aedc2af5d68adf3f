//! The few things asked of an object store.

use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use base::{Shown, UtcMicros};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::http::Wire;
use super::options::S3Options;
use crate::store::disk::DiskFile;
use crate::store::format::{HEADER_OCTETS, RECORD_OCTETS, narrow, wide};
use crate::store::{FileUuid, Found, StoreError};

/// Octets of a part: 128 chunks.
pub(super) const PART_OCTETS: u64 = 128 * RECORD_OCTETS;
/// Parts that a store takes at most: larger files get larger parts.
const PARTS_MAX: u64 = 10_000;
/// Most octets of an answer that lists uploads.
const ANSWER_OCTETS_MAX: usize = 4 << 20;
/// Pages of such a list.
const PAGES_MAX: u32 = 1000;
/// Tries of one request, and for how long.
const RETRIES_MAX: usize = 4;
const RETRY_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// The part of a bucket that is ours.
pub(super) struct Bucket {
    s3: AmazonS3,
    http: HttpClient,
    options: S3Options,
    address: String,
    pub(super) runtime: Handle,
}

/// An upload in parts that was begun and not finished.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unfinished {
    pub(super) uuid: FileUuid,
    pub(super) upload_id: String,
    pub(super) begun: UtcMicros,
}

impl Bucket {
    pub(super) fn open(options: S3Options) -> Result<Self, StoreError> {
        let failed = |text: String| StoreError::Remote { doing: "opening the object store", text };
        let runtime = Handle::try_current().map_err(|e| failed(e.to_string()))?;
        let wire = Wire::new(options.ca_file.as_deref()).map_err(failed)?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(&options.region)
            .with_access_key_id(&options.credentials.access_key_id)
            .with_secret_access_key(options.credentials.secret_access_key.expose())
            .with_allow_http(options.allow_http)
            .with_retry(RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_MAX, ..RetryConfig::default() })
            .with_http_connector(wire.clone());
        if let Some(token) = &options.credentials.session_token {
            builder = builder.with_token(token.expose());
        }
        let service = match options.endpoint.as_str() {
            "" => format!("https://s3.{}.amazonaws.com", options.region),
            endpoint => endpoint.trim_end_matches('/').to_owned(),
        };
        if service.starts_with("http://") && !options.allow_http {
            return Err(failed(format!("{service} has no TLS: give an https address, or set allow_http")));
        }
        builder = builder.with_endpoint(&service);
        let s3 = builder.build().map_err(|e| failed(shown(&e)))?;
        let address = format!("{service}/{}", options.bucket);
        Ok(Self { s3, http: HttpClient::new(wire), options, address, runtime })
    }

    /// Waits for what a worker thread asks of the store.
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn folder(&self) -> String {
        match self.options.prefix.trim_matches('/') {
            "" => "payload".to_owned(),
            prefix => format!("{prefix}/payload"),
        }
    }

    fn key(&self, uuid: FileUuid) -> Path {
        let [first, ..] = uuid.0;
        Path::from(format!("{}/{}/{uuid}.ghp", self.folder(), base::hex(&[first])))
    }

    /// An object as a file that is read. Blocking.
    pub(super) fn file(self: &Arc<Self>, uuid: FileUuid) -> Result<Arc<dyn DiskFile>, StoreError> {
        let key = self.key(uuid);
        let head = self.wait(self.s3.head(&key)).map_err(|e| remote("looking for a payload", uuid, &e))?;
        Ok(Arc::new(Object { bucket: self.clone(), key, octets: head.size }))
    }

    /// Octets of an object, from a task of the runtime.
    pub(super) async fn range(&self, uuid: FileUuid, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.s3.get_range(&self.key(uuid), range).await.map_err(|e| remote("reading a payload", uuid, &e))
    }

    /// Puts a file of one part. Blocking.
    pub(super) fn put(&self, uuid: FileUuid, file: &dyn DiskFile) -> Result<(), StoreError> {
        let octets = read_part(file, 0..octets_of(file)?)?;
        let put = self.wait(self.s3.put(&self.key(uuid), PutPayload::from(octets)));
        put.map(drop).map_err(|e| remote("storing a payload", uuid, &e))
    }

    /// Begins an upload in parts. Blocking.
    pub(super) fn begin(&self, uuid: FileUuid) -> Result<String, StoreError> {
        self.wait(self.s3.create_multipart(&self.key(uuid))).map_err(|e| remote("beginning an upload", uuid, &e))
    }

    /// Sends all parts, one in memory at a time, and makes them an object. Blocking.
    pub(super) fn send(&self, uuid: FileUuid, upload_id: &str, file: &dyn DiskFile) -> Result<(), StoreError> {
        let (key, id, octets) = (self.key(uuid), upload_id.to_owned(), octets_of(file)?);
        let (mut parts, mut at) = (Vec::new(), 0);
        let part_octets = part_octets(octets);
        while at < octets {
            let end = octets.min(at.saturating_add(part_octets));
            let payload = PutPayload::from(read_part(file, at..end)?);
            let part = self.wait(self.s3.put_part(&key, &id, parts.len(), payload));
            parts.push(part.map_err(|e| remote("sending a part", uuid, &e))?);
            at = end;
        }
        let done = self.wait(self.s3.complete_multipart(&key, &id, parts));
        done.map(drop).map_err(|e| remote("finishing an upload", uuid, &e))
    }

    /// Gives up an upload; it may be gone already.
    pub(super) async fn abort(&self, uuid: FileUuid, upload_id: &str) -> Result<(), StoreError> {
        match self.s3.abort_multipart(&self.key(uuid), &upload_id.to_owned()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) if e.to_string().contains("NoSuchUpload") => Ok(()),
            Err(e) => Err(remote("giving up an upload", uuid, &e)),
        }
    }

    /// Removes an object; it may be gone already.
    pub(super) async fn remove(&self, uuid: FileUuid) -> Result<(), StoreError> {
        match self.s3.delete(&self.key(uuid)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(remote("removing a payload", uuid, &e)),
        }
    }

    /// Objects whose name begins with this octet.
    pub(super) async fn list(&self, first: u8) -> Result<Vec<Found>, StoreError> {
        let folder = Path::from(format!("{}/{}", self.folder(), base::hex(&[first])));
        let failed = |e: object_store::Error| StoreError::Remote { doing: "listing payloads", text: shown(&e) };
        let listed: Vec<_> = self.s3.list(Some(&folder)).try_collect().await.map_err(failed)?;
        let found = |meta: object_store::ObjectMeta| {
            let uuid = uuid_of(meta.location.filename()?)?;
            Some(Found { uuid, octets: meta.size, changed: UtcMicros(meta.last_modified.timestamp_micros()) })
        };
        Ok(listed.into_iter().filter_map(found).collect())
    }

    /// Unfinished uploads in our part of the bucket, of one name or all. The library has no call for this.
    pub(super) async fn unfinished(&self, of: Option<FileUuid>) -> Result<Vec<Unfinished>, StoreError> {
        let prefix = match of {
            Some(uuid) => self.key(uuid).to_string(),
            None => format!("{}/", self.folder()),
        };
        let (mut all, mut marker) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.uploads_page(&prefix, marker.as_ref()).await?;
            all.extend(page.uploads.into_iter().filter_map(|upload| {
                let uuid = uuid_of(upload.key.rsplit('/').next()?)?;
                let begun = upload.initiated.parse::<jiff::Timestamp>().ok()?;
                Some(Unfinished { uuid, upload_id: upload.upload_id, begun: UtcMicros(begun.as_microsecond()) })
            }));
            match (page.truncated, page.next_key, page.next_upload) {
                (true, Some(key), Some(upload)) => marker = Some((key, upload)),
                _ => break,
            }
        }
        Ok(all)
    }

    async fn uploads_page(&self, prefix: &str, marker: Option<&(String, String)>) -> Result<Page, StoreError> {
        let failed = |text: String| StoreError::Remote { doing: "listing unfinished uploads", text };
        let mut query = format!("prefix={}&uploads=", escaped(prefix));
        if let Some((key, upload)) = marker {
            query = format!("key-marker={}&{query}&upload-id-marker={}", escaped(key), escaped(upload));
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() =
            format!("{}?{query}", self.address).parse().map_err(|_| failed("its address".to_owned()))?;
        let right = &self.options.credentials;
        let credential = AwsCredential {
            key_id: right.access_key_id.clone(),
            secret_key: right.secret_access_key.expose().clone(),
            token: right.session_token.as_ref().map(|token| token.expose().clone()),
        };
        let signed = AwsAuthorizer::new(&credential, "s3", &self.options.region).try_authorize(&mut request, None);
        signed.map_err(|e| failed(shown(&e)))?;
        let answer = self.http.execute(request).await.map_err(|e| failed(shown(&e)))?;
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), ANSWER_OCTETS_MAX).collect().await;
        let body = body.map_err(|e| failed(Shown::from(e.to_string().as_str()).to_string()))?.to_bytes();
        match status.is_success() {
            true => quick_xml::de::from_reader(&body[..]).map_err(|e| failed(shown(&e))),
            false => Err(failed(format!("it answered {status}"))),
        }
    }
}

fn uuid_of(name: &str) -> Option<FileUuid> {
    name.strip_suffix(".ghp")?.parse().ok()
}

/// For a query: everything but what never needs it.
fn escaped(text: &str) -> String {
    let keep = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.~".contains(octet);
    text.bytes().map(|o| if keep(&o) { char::from(o).to_string() } else { format!("%{o:02X}") }).collect()
}

/// Whole chunks, so few parts that the store takes them.
fn part_octets(octets: u64) -> u64 {
    let parts = octets.div_ceil(PART_OCTETS);
    PART_OCTETS.saturating_mul(parts.div_ceil(PARTS_MAX).max(1))
}

fn octets_of(file: &dyn DiskFile) -> Result<u64, StoreError> {
    file.octets().map_err(|e| StoreError::io("reading a finished file", &e))
}

fn read_part(file: &dyn DiskFile, range: Range<u64>) -> Result<Bytes, StoreError> {
    let mut octets = vec![0; narrow(range.end.saturating_sub(range.start))];
    let failed = |e: io::Error| StoreError::io("reading a finished file", &e);
    let got = file.read_at(&mut [IoSliceMut::new(&mut octets)], range.start).map_err(failed)?;
    octets.truncate(got);
    Ok(octets.into())
}

fn shown(error: &dyn std::fmt::Display) -> String {
    Shown::from(error.to_string().as_str()).to_string()
}

fn remote(doing: &'static str, uuid: FileUuid, error: &object_store::Error) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => StoreError::Absent { uuid },
        other => StoreError::Remote { doing, text: shown(other) },
    }
}

/// A page of unfinished uploads.
#[derive(Debug, Default, Deserialize)]
struct Page {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Upload>,
    #[serde(rename = "IsTruncated", default)]
    truncated: bool,
    #[serde(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[serde(rename = "NextUploadIdMarker")]
    next_upload: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Upload {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "UploadId")]
    upload_id: String,
    #[serde(rename = "Initiated")]
    initiated: String,
}

/// An object, read like a file by worker threads.
struct Object {
    bucket: Arc<Bucket>,
    key: Path,
    octets: u64,
}

impl DiskFile for Object {
    fn write_at(&self, _pieces: &mut [io::IoSlice<'_>], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let wanted = pieces.iter().map(|piece| wide(piece.len())).sum::<u64>();
        let end = self.octets.min(offset.saturating_add(wanted));
        if offset >= end {
            return Ok(0);
        }
        let got = self.bucket.wait(self.bucket.s3.get_range(&self.key, offset..end)).map_err(io::Error::other)?;
        let mut rest = &got[..];
        for piece in pieces {
            let (now, later) = rest.split_at(rest.len().min(piece.len()));
            if let Some(to) = piece.get_mut(..now.len()) {
                to.copy_from_slice(now);
            }
            rest = later;
        }
        Ok(got.len())
    }

    fn octets(&self) -> io::Result<u64> {
        Ok(self.octets)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// A file with another header in front of it.
pub(super) struct Headed {
    pub(super) header: Vec<u8>,
    pub(super) rest: Arc<dyn DiskFile>,
}

impl DiskFile for Headed {
    fn write_at(&self, _pieces: &mut [io::IoSlice<'_>], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let got = self.rest.read_at(pieces, offset)?;
        let mut at = offset;
        for piece in pieces {
            let header = self.header.get(narrow(at.min(HEADER_OCTETS))..).unwrap_or_default();
            let len = header.len().min(piece.len());
            if let (Some(to), Some(from)) = (piece.get_mut(..len), header.get(..len)) {
                to.copy_from_slice(from);
            }
            at = at.saturating_add(wide(piece.len()));
        }
        Ok(got)
    }

    fn octets(&self) -> io::Result<u64> {
        self.rest.octets()
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }
}
