//! Every request of version 3: what is answered, and what is refused.

use bytes::Bytes;

use crate::carriers::sftp::replies::ok;
use crate::carriers::sftp::server::ServerLimits;
use crate::carriers::sftp::settings::ClientOptions;
use crate::carriers::sftp::testing::{MemoryFolder, Raw, connect, start};
use crate::carriers::sftp::wire::{
    Attrs, ClientPacket, Extended, KIND_DIRECTORY, KIND_FILE, Limits, OpenFlags, Reply, Request, ServerPacket,
    SpaceInfo, StatusCode,
};

fn name(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn code(reply: &Reply) -> Option<StatusCode> {
    match reply {
        Reply::Status { code, .. } => Some(*code),
        _ => None,
    }
}

async fn greeted(folder: &MemoryFolder) -> Raw {
    Raw::greeted(start(folder, ServerLimits::default()).0).await
}

#[tokio::test]
async fn every_client_from_3_on_gets_3() {
    // SFTP-1
    for version in [3, 4, 5, 6, u32::MAX] {
        let mut raw = Raw::new(start(&MemoryFolder::new(), ServerLimits::default()).0);
        raw.send_packet(&ClientPacket::Init { version, extensions: vec![(name("x@example.com"), name("1"))] });
        let Some(ServerPacket::Version { version: 3, extensions }) = raw.packet().await else { panic!("{version}") };
        let names: Vec<&[u8]> = extensions.iter().map(|(name, _)| &name[..]).collect();
        assert!(names.contains(&&b"limits@openssh.com"[..]) && !names.contains(&&b"hardlink@openssh.com"[..]));
    }
}

#[tokio::test]
async fn refused_requests() {
    // SFTP-16, and the table of protocol-sftp section 3
    let folder = MemoryFolder::new().with_file("/out/f", b"octets");
    let mut raw = greeted(&folder).await;
    let path = name("/out/f");
    let other = Extended::Other { name: name("copy-data"), data: name("x") };
    let hardlink = Extended::Hardlink { from: path.clone(), to: name("/in/f") };
    for (request, expected) in [
        (Request::Readlink { path: path.clone() }, StatusCode::Unsupported),
        (Request::Symlink { first: path.clone(), second: name("/in/f") }, StatusCode::Unsupported),
        (Request::Extended(hardlink), StatusCode::Unsupported),
        (Request::Extended(other), StatusCode::Unsupported),
        (Request::Unknown { kind: 21 }, StatusCode::Unsupported),
        (Request::Stat { path: name("/none") }, StatusCode::NoSuchFile),
        (Request::Stat { path: name("a\0b") }, StatusCode::Failure),
        (Request::Opendir { path: name("/none") }, StatusCode::NoSuchFile),
        (Request::Remove { path: name("/none") }, StatusCode::NoSuchFile),
        (Request::Rename { from: path.clone(), to: path.clone() }, StatusCode::Failure),
        (Request::Rename { from: path, to: name("a\0b") }, StatusCode::Failure),
        (Request::Readdir { handle: name("none") }, StatusCode::Failure),
        (Request::Close { handle: name("") }, StatusCode::Failure),
    ] {
        let reply = raw.ask(1, request.clone()).await;
        assert_eq!(code(&reply), Some(expected), "{request:?}");
    }
    assert_eq!(folder.file("/out/f").unwrap(), b"octets");
}

#[tokio::test]
async fn names_and_attributes() {
    let folder = MemoryFolder::new().with_file("/out/a\nb", b"1").with_file("/out/f", b"22");
    let mut raw = greeted(&folder).await;
    for path in ["/out/f", "../out/f", "/out/../out//./f"] {
        for request in [Request::Stat { path: name(path) }, Request::Lstat { path: name(path) }] {
            let Reply::Attrs(attrs) = raw.ask(1, request).await else { panic!("{path}") };
            assert_eq!((attrs.size, attrs.permissions), (Some(2), Some(KIND_FILE | 0o640)));
        }
    }
    for (path, expected) in
        [(".", "/in"), ("", "/in"), ("..", "/"), ("../../../../etc/passwd", "/etc/passwd"), ("/x/", "/x")]
    {
        // SFTP-14: what it names is looked up below the partner's root only.
        let Reply::Names(names) = raw.ask(1, Request::Realpath { path: name(path) }).await else { panic!("{path}") };
        assert_eq!(names.iter().map(|n| &n.name[..]).collect::<Vec<_>>(), [expected.as_bytes()]);
    }
    let mut client = connect(&folder, ClientOptions::default()).await.unwrap();
    let names = client.list(b"/out").await.unwrap();
    assert_eq!(names.iter().map(|n| &n.name[..]).collect::<Vec<_>>(), [&b"a\nb"[..], b"f"]);
    let root = client.list(b"/").await.unwrap();
    assert!(root.iter().all(|n| n.attrs.is_directory()) && root.len() == 2);
}

#[tokio::test]
async fn a_name_that_is_no_text_survives() {
    let folder = MemoryFolder::new();
    let mut client = connect(&folder, ClientOptions::default()).await.unwrap();
    let odd = b"/in/caf\xe9 \xff\xfe";
    client.put(odd, &mut name("x"), 0, &mut crate::outward::NoProgress).await.unwrap();
    assert_eq!(client.list(b"/in").await.unwrap()[0].name, &odd[4..]);
    assert_eq!(client.real_path(odd).await.unwrap(), &odd[..]);
}

#[tokio::test]
async fn listing_ends_with_eof_and_a_handle_can_be_asked() {
    let folder = MemoryFolder::new();
    let mut raw = greeted(&folder).await;
    let Reply::Handle(handle) = raw.ask(1, Request::Opendir { path: name("/") }).await else { panic!() };
    let Reply::Names(names) = raw.ask(2, Request::Readdir { handle: handle.clone() }).await else { panic!() };
    assert_eq!(names.len(), 2);
    for _ in 0..2 {
        assert_eq!(code(&raw.ask(3, Request::Readdir { handle: handle.clone() }).await), Some(StatusCode::Eof));
    }
    let Reply::Attrs(attrs) = raw.ask(4, Request::Fstat { handle: handle.clone() }).await else { panic!() };
    assert_eq!(attrs.permissions.unwrap() & KIND_DIRECTORY, KIND_DIRECTORY);
    let read = Request::Read { handle: handle.clone(), offset: 0, len: 1 };
    assert_eq!(code(&raw.ask(5, read).await), Some(StatusCode::PermissionDenied));
    assert_eq!(raw.ask(6, Request::Close { handle: handle.clone() }).await, ok());
    assert_eq!(code(&raw.ask(7, Request::Close { handle }).await), Some(StatusCode::Failure));
}

#[tokio::test]
async fn open_follows_its_flags() {
    // Draft section 6.3: READ 1, WRITE 2, APPEND 4, CREAT 8, TRUNC 16, EXCL 32.
    for (flags, there, expected) in [
        (1, true, Ok("old")),
        (1, false, Err(StatusCode::NoSuchFile)),
        (0, true, Ok("old")),
        (2, true, Ok("NEW")),
        (2, false, Err(StatusCode::NoSuchFile)),
        (2 | 8, false, Ok("NEW")),
        (2 | 8, true, Ok("NEW")),
        (2 | 16, true, Ok("NEW")),
        (2 | 8 | 16, true, Ok("NEW")),
        (2 | 8 | 32, true, Err(StatusCode::Failure)),
        (2 | 8 | 32, false, Ok("NEW")),
        (2 | 32, true, Ok("NEW")),
        (2 | 4 | 8, true, Ok("oldNEW")),
        (1 | 2, true, Ok("NEW")),
    ] {
        let folder = MemoryFolder::new();
        let folder = if there { folder.with_file("/in/f", b"old") } else { folder };
        let mut raw = greeted(&folder).await;
        let open = Request::Open { path: name("f"), flags: OpenFlags(flags), attrs: Attrs::default() };
        match (raw.ask(1, open).await, expected) {
            (Reply::Handle(handle), Ok(after)) => {
                let write = Request::Write { handle: handle.clone(), offset: 0, data: name("NEW").into() };
                let written = raw.ask(2, write).await;
                assert_eq!(code(&written) == Some(StatusCode::Ok), flags & 2 != 0, "flags {flags}");
                let read = raw.ask(3, Request::Read { handle: handle.clone(), offset: 0, len: 3 }).await;
                assert_eq!(matches!(read, Reply::Data(_)), flags & 2 == 0 || flags & 1 != 0, "flags {flags}");
                assert_eq!(raw.ask(4, Request::Close { handle }).await, ok());
                assert_eq!(folder.file("/in/f").unwrap(), after.as_bytes(), "flags {flags}");
            }
            (reply, Err(expected)) => assert_eq!(code(&reply), Some(expected), "flags {flags}"),
            (reply, Ok(_)) => panic!("flags {flags}: {reply:?}"),
        }
    }
}

#[tokio::test]
async fn offsets_at_the_edges() {
    let folder = MemoryFolder::new().with_file("/out/f", b"octets");
    let mut raw = greeted(&folder).await;
    let down = raw.open("/out/f", 1).await;
    let up = raw.open("/in/f", 2 | 8).await;
    for offset in [6, 7, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for len in [1, u32::MAX] {
            let read = Request::Read { handle: down.clone(), offset, len };
            assert_eq!(code(&raw.ask(1, read).await), Some(StatusCode::Eof), "{offset} {len}");
        }
        let nothing = Request::Read { handle: down.clone(), offset, len: 0 };
        assert_eq!(raw.ask(1, nothing).await, Reply::Data(Bytes::new()));
        if offset > 7 {
            let write = Request::Write { handle: up.clone(), offset, data: name("x").into() };
            assert_eq!(code(&raw.ask(2, write).await), Some(StatusCode::Failure), "{offset}");
        }
    }
    let Reply::Data(tail) = raw.ask(3, Request::Read { handle: down, offset: 4, len: u32::MAX }).await else {
        panic!()
    };
    assert_eq!(tail, "ts");
    assert_eq!(raw.ask(4, Request::Write { handle: up, offset: u64::MAX, data: Bytes::new().into() }).await, ok());
}

#[tokio::test]
async fn attributes_are_set_as_far_as_they_are_kept() {
    let folder = MemoryFolder::new().with_file("/in/f", b"octets");
    let mut raw = greeted(&folder).await;
    let rights = Attrs { permissions: Some(0o600), owner: Some((0, 0)), ..Attrs::default() };
    let times = Attrs { times: Some((5, 7)), ..rights.clone() };
    let size = Attrs { size: Some(3), ..Attrs::default() };
    let path = name("/in/f");
    // WinSCP sets rights and times after each upload and takes a refusal as its failure.
    for (path, attrs, expected) in [
        (path.clone(), rights.clone(), StatusCode::Ok),
        (path.clone(), times.clone(), StatusCode::Ok),
        (name("/in/none"), rights.clone(), StatusCode::NoSuchFile),
        (path.clone(), size.clone(), StatusCode::Ok),
    ] {
        let lset = Request::Extended(Extended::Lsetstat { path: path.clone(), attrs: attrs.clone() });
        for request in [Request::Setstat { path, attrs }, lset] {
            assert_eq!(code(&raw.ask(1, request.clone()).await), Some(expected), "{request:?}");
        }
    }
    assert_eq!(folder.file("/in/f").unwrap(), b"oct");
    let handle = raw.open("/in/f", 2).await;
    for attrs in [rights, times, Attrs { size: Some(1), ..Attrs::default() }] {
        assert_eq!(raw.ask(2, Request::Fsetstat { handle: handle.clone(), attrs }).await, ok());
    }
    let Reply::Attrs(now) = raw.ask(3, Request::Fstat { handle: handle.clone() }).await else { panic!() };
    assert_eq!(now.size, Some(1));
    assert_eq!(raw.ask(4, Request::Extended(Extended::Fsync { handle: handle.clone() })).await, ok());
    assert_eq!(raw.ask(5, Request::Close { handle }).await, ok());
    let log = folder.log();
    for entry in ["times /in/f 7", "handle times 7", "sync /in/f", "commit /in/f 1"] {
        assert!(log.iter().any(|l| l == entry), "{entry} in {log:?}");
    }
}

#[tokio::test]
async fn limits_and_space() {
    let folder = MemoryFolder::new().with_file("/out/f", b"octets");
    let mut raw = greeted(&folder).await;
    let Reply::Extended(data) = raw.ask(1, Request::Extended(Extended::Limits)).await else { panic!() };
    let limits = Limits { packet_octets: 263_168, read_octets: 131_072, write_octets: 261_120, handles: 64 };
    assert_eq!(Limits::decode(&data), Ok(limits));
    let handle = raw.open("/out/f", 1).await;
    for request in [Extended::Statvfs { path: name("/out") }, Extended::Fstatvfs { handle }] {
        let Reply::Extended(data) = raw.ask(2, Request::Extended(request)).await else { panic!() };
        let space = SpaceInfo::decode(&data).unwrap();
        assert_eq!((space.fragments, space.fragments_available, space.name_octets_max), (100, 50, 255));
    }
    let nowhere = Request::Extended(Extended::Statvfs { path: name("/none") });
    assert_eq!(code(&raw.ask(3, nowhere).await), Some(StatusCode::NoSuchFile));
}

#[tokio::test]
async fn requests_of_one_path_keep_their_order() {
    let folder = MemoryFolder::new().with_file("/in/a", b"1");
    let mut raw = greeted(&folder).await;
    raw.send(1, Request::Rename { from: name("/in/a"), to: name("/in/b") });
    raw.send(2, Request::Rename { from: name("/in/b"), to: name("/in/c") });
    raw.send(3, Request::Stat { path: name("/in/c") });
    raw.send(4, Request::Remove { path: name("/in/c") });
    for id in 1..=4 {
        let (got, reply) = raw.reply().await;
        assert_eq!(got, id);
        assert!(code(&reply).is_none_or(|c| c == StatusCode::Ok), "{id}: {reply:?}");
    }
}
