//! Delivering exactly once: what a try leaves behind, and what the next one makes of it.

use bytes::Bytes;

use crate::carriers::sftp::client::SftpClient;
use crate::carriers::sftp::line::Line;
use crate::carriers::sftp::settings::ClientOptions;
use crate::carriers::sftp::testing::{MemoryFolder, Raw, connect, idx, pair, pattern};
use crate::carriers::sftp::wire::{Attrs, ClientPacket, Framer, Reply, Request, ServerPacket, StatusCode};
use crate::outward::{
    ClientError, Delivered, Errand, Existing, Found, Meaning, Naming, NoProgress, Progress, Unclear, deliver_once,
    find_outcome,
};

const TEMPORARY: &[u8] = b"/in/f.17.part";
const TARGET: &[u8] = b"/in/f";

fn errand() -> Errand {
    Errand {
        target: TARGET.to_vec(),
        naming: Naming::Temporary(TEMPORARY.to_vec()),
        existing: Existing::Replace,
        unclear: Unclear::Ask,
        tried_before: false,
        maybe_delivered: false,
        modified: None,
    }
}

fn small() -> ClientOptions {
    ClientOptions { window: 4, block_octets: 1000, block_fixed: true, ..ClientOptions::default() }
}

async fn deliver(folder: &MemoryFolder, errand: &Errand, data: &[u8]) -> Result<Delivered, ClientError> {
    let mut client = connect(folder, small()).await.unwrap();
    deliver_once(&mut client, errand, &mut Bytes::copy_from_slice(data), &mut NoProgress).await
}

fn log_of(folder: &MemoryFolder, word: &str) -> usize {
    folder.log().iter().filter(|l| l.starts_with(word)).count()
}

#[tokio::test]
async fn the_final_name_comes_with_the_whole_file() {
    // TRF-20
    let folder = MemoryFolder::new().with_file("/in/f", b"old");
    assert_eq!(deliver(&folder, &errand(), &pattern(5000)).await, Ok(Delivered::Now));
    assert_eq!(folder.file("/in/f").unwrap(), pattern(5000));
    let expected = ["sync /in/f.17.part", "commit /in/f.17.part 5000", "rename /in/f.17.part /in/f true"];
    assert_eq!(folder.log(), expected);
}

#[tokio::test]
async fn a_file_to_be_kept_is_kept() {
    for naming in [errand().naming, Naming::Direct] {
        for (tried_before, maybe_delivered) in [(false, false), (true, false), (false, true)] {
            let folder = MemoryFolder::new().with_file("/in/f", b"old");
            let errand =
                Errand { existing: Existing::Keep, naming: naming.clone(), tried_before, maybe_delivered, ..errand() };
            let failed = deliver(&folder, &errand, b"newer").await.unwrap_err();
            assert!(matches!(failed, ClientError::Exists { .. } | ClientError::ToVerify { .. }), "{failed}");
            assert_eq!(folder.file("/in/f").unwrap(), b"old", "{naming:?}");
        }
        let folder = MemoryFolder::new();
        let errand = Errand { existing: Existing::Keep, naming, ..errand() };
        assert_eq!(deliver(&folder, &errand, b"newer").await, Ok(Delivered::Now));
        assert_eq!(folder.file("/in/f").unwrap(), b"newer");
    }
}

#[tokio::test]
async fn a_second_try_goes_on_with_what_is_there() {
    // SFTP-10: all that could have been on its way is sent again, so 96,000 octets stay as they are.
    let data = pattern(200_000);
    let mut head = data[..100_000].to_vec();
    head[96_000..].fill(0);
    let folder = MemoryFolder::new();
    folder.state.lock().unwrap().partial.insert(TEMPORARY.to_vec(), head);
    let again = Errand { tried_before: true, maybe_delivered: true, ..errand() };
    assert_eq!(deliver(&folder, &again, &data).await, Ok(Delivered::Now));
    assert!(folder.file("/in/f").unwrap() == data);
}

#[tokio::test]
async fn more_than_the_file_under_the_temporary_name_is_given_up() {
    let folder = MemoryFolder::new().with_file("/in/f.17.part", &[9; 9000]);
    let again = Errand { tried_before: true, ..errand() };
    assert_eq!(deliver(&folder, &again, &pattern(5000)).await, Ok(Delivered::Now));
    assert_eq!(folder.file("/in/f").unwrap(), pattern(5000));
}

#[tokio::test]
async fn a_try_whose_end_nobody_saw_is_looked_for() {
    // DESIGN 1.18: temporary name, then final name, then the site's policy.
    let again = |unclear| Errand { tried_before: true, maybe_delivered: true, unclear, ..errand() };
    let there = MemoryFolder::new().with_file("/in/f", &pattern(5000));
    assert_eq!(deliver(&there, &again(Unclear::Ask), &pattern(5000)).await, Ok(Delivered::Before));
    assert_eq!(log_of(&there, "commit"), 0);
    for gone in [MemoryFolder::new(), MemoryFolder::new().with_file("/in/f", b"of someone else")] {
        let asked = deliver(&gone, &again(Unclear::Ask), &pattern(5000)).await.unwrap_err();
        assert!(matches!(asked, ClientError::ToVerify { .. }), "{asked}");
        assert_eq!(deliver(&gone, &again(Unclear::Accept), &pattern(5000)).await, Ok(Delivered::Assumed));
        assert_eq!(log_of(&gone, "commit"), 0);
        assert_eq!(deliver(&gone, &again(Unclear::Resend), &pattern(5000)).await, Ok(Delivered::Now));
        assert_eq!(gone.file("/in/f").unwrap(), pattern(5000));
    }
}

#[tokio::test]
async fn a_last_step_that_cannot_be_noted_is_not_taken() {
    // DESIGN 1.18
    struct Refusing;
    #[async_trait::async_trait]
    impl Progress for Refusing {
        async fn reached(&mut self, _octets: u64) -> Result<(), engine::TransferError> {
            Ok(())
        }
        async fn last_step(&mut self) -> Result<(), engine::TransferError> {
            Err(engine::TransferError::retry(engine::Cause::Disk, "the database is away"))
        }
    }
    for naming in [errand().naming, Naming::Direct] {
        let folder = MemoryFolder::new();
        let errand = Errand { naming, ..errand() };
        let mut client = connect(&folder, small()).await.unwrap();
        let failed =
            deliver_once(&mut client, &errand, &mut Bytes::from(pattern(100)), &mut Refusing).await.unwrap_err();
        assert!(matches!(failed, ClientError::Local(_)), "{failed}");
        assert_eq!(folder.file("/in/f"), None);
    }
}

#[tokio::test]
async fn what_is_found_is_told() {
    let folder = MemoryFolder::new().with_file("/in/f", b"12345");
    let mut client = connect(&folder, small()).await.unwrap();
    assert_eq!(find_outcome(&mut client, TEMPORARY, TARGET, 5).await, Ok(Found::Whole));
    assert_eq!(find_outcome(&mut client, TEMPORARY, TARGET, 6).await, Ok(Found::Other { size: 5 }));
    assert_eq!(find_outcome(&mut client, TEMPORARY, b"/in/none", 6).await, Ok(Found::Nothing));
    assert_eq!(find_outcome(&mut client, TARGET, b"/in/none", 6).await, Ok(Found::Part { size: 5 }));
}

/// Notes whether the last step came, and whether anything had its final name by then.
struct Noted<'a>(&'a MemoryFolder, bool);

#[async_trait::async_trait]
impl Progress for Noted<'_> {
    async fn reached(&mut self, _octets: u64) -> Result<(), engine::TransferError> {
        Ok(())
    }
    async fn last_step(&mut self) -> Result<(), engine::TransferError> {
        assert_eq!(self.0.file("/in/f"), None, "noted before");
        self.1 = true;
        Ok(())
    }
}

/// A delivery whose line breaks after each number of answers, then a second one: once at the partner, whole, and under the
/// policy ASK nobody is asked.
#[tokio::test]
async fn cut_after_any_answer_the_file_arrives_once() {
    let data = pattern(9_500);
    for cut in 0..40 {
        let folder = MemoryFolder::new();
        let (ours, mut relay) = pair();
        let (pipe, served) =
            crate::carriers::sftp::testing::start(&folder, crate::carriers::sftp::server::ServerLimits::default());
        let Line { mut input, output } = pipe;
        let forth = tokio::spawn(async move {
            while let Some(piece) = relay.input.next().await {
                if output.send(piece).is_err() {
                    break;
                }
            }
        });
        let back = tokio::spawn(async move {
            for _ in 0..cut {
                let Some(piece) = input.next().await else { break };
                if relay.output.send(piece).is_err() {
                    break;
                }
            }
        });
        let mut first = Err(ClientError::Closed);
        let mut noted = Noted(&folder, false);
        if let Ok(mut client) = SftpClient::start_on(ours, small()).await {
            first = deliver_once(&mut client, &errand(), &mut Bytes::from(data.clone()), &mut noted).await;
        }
        forth.await.unwrap();
        back.await.unwrap();
        served.await.unwrap();
        if let Err(error) = &first {
            let renamed = log_of(&folder, "rename") == 1;
            assert_eq!(matches!(error, ClientError::EndUnknown { .. }), renamed, "cut after {cut} answers: {error}");
            assert!(noted.1 || !renamed, "cut after {cut} answers: renamed without a note");
            let again = Errand { tried_before: true, maybe_delivered: noted.1, ..errand() };
            deliver(&folder, &again, &data).await.unwrap();
        }
        assert!(folder.file("/in/f").unwrap() == data, "cut after {cut} answers");
        assert_eq!(log_of(&folder, "rename"), 1, "cut after {cut} answers: {:?}", folder.log());
        assert_eq!(folder.file("/in/f.17.part"), None);
    }
}

/// A server that answers as a test says.
struct Scripted {
    line: Line,
    framer: Framer,
}

impl Scripted {
    async fn request(&mut self) -> Option<ClientPacket> {
        loop {
            if let Some(packet) = self.framer.next_packet().unwrap() {
                return Some(ClientPacket::decode(&packet).unwrap());
            }
            self.framer.push(self.line.input.next().await?);
        }
    }
}

/// A client at a server that says it has `extensions` and answers by `answer`.
async fn scripted(
    version: u32,
    extensions: &'static [&'static str],
    mut answer: impl FnMut(Request) -> Reply + Send + 'static,
) -> Result<SftpClient, ClientError> {
    let (ours, theirs) = pair();
    tokio::spawn(async move {
        let mut server = Scripted { line: theirs, framer: Framer::default() };
        while let Some(packet) = server.request().await {
            let reply = match packet {
                ClientPacket::Init { .. } => {
                    let pair = |name: &&'static str| (Bytes::from(*name), Bytes::from("1"));
                    ServerPacket::Version { version, extensions: extensions.iter().map(pair).collect() }
                }
                ClientPacket::Request { id, request } => ServerPacket::Reply { id, reply: answer(request) },
            };
            if server.line.output.send(reply.encode()).is_err() {
                break;
            }
        }
    });
    SftpClient::start_on(ours, ClientOptions::default()).await
}

fn says(code: StatusCode) -> Reply {
    Reply::status(code, "as the test wants it")
}

#[tokio::test]
async fn a_server_without_posix_rename_has_the_old_file_removed_first() {
    let mut names = vec![TEMPORARY.to_vec(), TARGET.to_vec()];
    let (done, seen) = tokio::sync::oneshot::channel();
    let mut done = Some(done);
    let mut client = scripted(3, &[], move |request| match request {
        Request::Rename { to, .. } if names.contains(&to.to_vec()) => says(StatusCode::Failure),
        Request::Rename { .. } => {
            done.take().unwrap().send(()).unwrap();
            says(StatusCode::Ok)
        }
        Request::Stat { path } if names.contains(&path.to_vec()) => Reply::Attrs(Attrs::default()),
        Request::Remove { path } => {
            names.retain(|n| *n != path.to_vec());
            says(StatusCode::Ok)
        }
        _ => says(StatusCode::NoSuchFile),
    })
    .await
    .unwrap();
    client.replace(TEMPORARY, TARGET).await.unwrap();
    seen.await.unwrap();
}

#[tokio::test]
async fn a_failed_rename_costs_nothing_if_the_new_file_is_not_there() {
    let mut client = scripted(3, &[], |request| match request {
        Request::Rename { .. } => says(StatusCode::Failure),
        Request::Stat { path } if path == TARGET => Reply::Attrs(Attrs::default()),
        Request::Remove { .. } => panic!("the old file is not given up"),
        _ => says(StatusCode::NoSuchFile),
    })
    .await
    .unwrap();
    assert_eq!(client.replace(TEMPORARY, TARGET).await.unwrap_err().meaning(), Some(Meaning::Passing));
}

#[tokio::test]
async fn servers_that_break_the_protocol_are_left() {
    assert_eq!(scripted(2, &[], |_| says(StatusCode::Ok)).await.unwrap_err(), ClientError::version(2));
    let mut client = scripted(3, &[], |_| Reply::Names(Vec::new())).await.unwrap();
    assert!(matches!(client.stat(b"/").await, Err(ClientError::Protocol { .. })));
    assert!(matches!(client.mkdir(b"/").await, Err(ClientError::Protocol { .. })));
    assert!(matches!(client.real_path(b"/").await, Err(ClientError::Protocol { .. })));
    let limits = scripted(3, &["limits@openssh.com"], |_| Reply::Extended(Bytes::from_static(b"short"))).await;
    assert!(matches!(limits, Err(ClientError::Protocol { .. })));
}

#[tokio::test]
async fn a_file_that_shrinks_is_noticed() {
    let mut client = scripted(3, &[], |request| match request {
        Request::Open { .. } => Reply::Handle(Bytes::from_static(b"h")),
        Request::Fstat { .. } => Reply::Attrs(Attrs { size: Some(10), ..Attrs::default() }),
        Request::Read { offset: 0, .. } => Reply::Data(Bytes::from_static(b"abcd")),
        Request::Read { .. } => says(StatusCode::Eof),
        _ => says(StatusCode::Ok),
    })
    .await
    .unwrap();
    let mut down = crate::carriers::sftp::testing::Collected::default();
    let failed = client.get(b"f", &mut down, 0, &mut NoProgress).await;
    assert_eq!(failed, Err(ClientError::SizeDiffers { expected: 10, found: 4 }));
    assert_eq!(down.0, b"abcd");
}

#[tokio::test]
async fn a_file_of_unknown_size_is_read_to_its_end() {
    let mut client = scripted(3, &[], |request| match request {
        Request::Open { .. } => Reply::Handle(Bytes::from_static(b"h")),
        Request::Fstat { .. } => says(StatusCode::Unsupported),
        Request::Read { offset, len, .. } if offset < 100_000 => {
            Reply::Data(pattern(100_000)[idx(offset)..].iter().copied().take(idx(len.min(7000))).collect())
        }
        Request::Read { .. } => says(StatusCode::Eof),
        _ => says(StatusCode::Ok),
    })
    .await
    .unwrap();
    let mut down = crate::carriers::sftp::testing::Collected::default();
    assert_eq!(client.get(b"f", &mut down, 0, &mut NoProgress).await, Ok(100_000));
    assert!(down.0 == pattern(100_000));
}

#[tokio::test]
async fn a_server_that_stores_less_is_noticed_before_the_rename() {
    let mut client = scripted(3, &[], |request| match request {
        Request::Open { .. } => Reply::Handle(Bytes::from_static(b"h")),
        Request::Fstat { .. } => Reply::Attrs(Attrs { size: Some(7), ..Attrs::default() }),
        Request::Rename { .. } => panic!("a short file gets no final name"),
        Request::Stat { .. } => says(StatusCode::NoSuchFile),
        _ => says(StatusCode::Ok),
    })
    .await
    .unwrap();
    let failed = deliver_once(&mut client, &errand(), &mut Bytes::from(pattern(8)), &mut NoProgress).await;
    assert_eq!(failed, Err(ClientError::SizeDiffers { expected: 8, found: 7 }));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_left() {
    let (ours, theirs) = pair();
    let silent = SftpClient::start_on(ours, ClientOptions::default()).await.unwrap_err();
    assert_eq!(silent, ClientError::Silent { seconds: 120 });
    drop(Raw::new(theirs));
}
