//! Uploads and downloads, whole and cut.

use super::*;
use crate::ftp::server::SessionError;

#[tokio::test] // FTP-9
async fn a_file_goes_in_and_comes_back() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    let data = pattern(3_000_000);
    assert!(raw.put("STOR f", &data).await.starts_with("226"));
    assert!(folder.file("/in/f").unwrap() == data);
    let (got, reply) = raw.get("RETR f").await;
    assert!(got == data && reply.starts_with("226"), "{reply}");
    assert!(folder.log().contains(&"finish /in/f true".to_owned()), "{:?}", folder.log());
    assert!(raw.put("STOR empty", b"").await.starts_with("226"));
    assert_eq!(folder.file("/in/empty").unwrap(), b"");
    let served = raw.end().await;
    assert_eq!((served.octets_in, served.octets_out), (3_000_000, 3_000_000));
}

#[tokio::test] // FTP-2
async fn lines_are_converted() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    raw.expect("TYPE A", "200").await;
    assert!(raw.put("STOR t", b"one\r\ntwo\nthree\r").await.starts_with("226"));
    assert_eq!(folder.file("/in/t").unwrap(), b"one\ntwo\nthree\r");
    assert_eq!(raw.get("RETR t").await.0, b"one\r\ntwo\r\nthree\r");
    raw.expect("REST 3", "350").await;
    assert!(raw.put("STOR t", b"x").await.starts_with("501"));
}

#[tokio::test] // FTP-13
async fn transfers_go_on_where_they_ended() {
    let folder = MemoryFolder::new().with_file("/out/f", b"0123456789");
    let mut raw = enter(&folder, quick()).await;
    raw.data().await;
    raw.expect("REST 7", "350").await;
    assert_eq!(raw.get("RETR /out/f").await.0, b"789");
    assert_eq!(raw.get("RETR /out/f").await.0, b"0123456789", "it counts once");
    raw.data().await;
    raw.expect("REST 11", "350").await;
    raw.expect("RETR /out/f", "554").await;
    raw.put("STOR f", b"0123").await;
    let mut stream = raw.data().await;
    raw.expect("REST 2", "350").await;
    raw.expect("STOR f", "150").await;
    stream.write_all(b"xyz").await.unwrap();
    drop(stream);
    assert!(raw.reply().await.starts_with("226"));
    assert_eq!(folder.file("/in/f").unwrap(), b"01xyz");
    assert!(raw.put("APPE f", b"end").await.starts_with("226"));
    assert_eq!(folder.file("/in/f").unwrap(), b"01xyzend");
    raw.data().await;
    raw.expect("REST 100", "350").await;
    raw.expect("STOR f", "554 The file has 8 octets").await;
}

#[tokio::test] // FTP-11
async fn unique_names_are_numbered() {
    let folder = MemoryFolder::new().with_file("/in/f", b"1").with_file("/in/f.1", b"1");
    let mut raw = enter(&folder, quick()).await;
    let mut stream = raw.data().await;
    raw.expect("STOU f", "150 FILE: f.2").await;
    stream.write_all(b"new").await.unwrap();
    drop(stream);
    assert!(raw.reply().await.starts_with("226"));
    assert_eq!(folder.file("/in/f.2").unwrap(), b"new");
    let stream = raw.data().await;
    raw.expect("STOU", "150 FILE: file-1970").await;
    drop(stream);
    assert!(raw.reply().await.starts_with("226"));
}

/// Waits until so much of an upload is there.
async fn arrived(folder: &MemoryFolder, stream: &mut TcpStream, octets: usize) {
    stream.write_all(&pattern(octets)).await.unwrap();
    while folder.state.lock().unwrap().written < octets {
        tokio::task::yield_now().await;
    }
}

#[tokio::test] // spec 3.3
async fn abor_leaves_an_interrupted_upload_that_goes_on() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    let mut stream = raw.data().await;
    raw.expect("STOR f", "150").await;
    arrived(&folder, &mut stream, 100_000).await;
    raw.expect("STAT", "213").await;
    raw.send(b"\xff\xf4\xff\xf2ABOR\r\n").await;
    assert!(raw.reply().await.starts_with("426"));
    assert!(raw.reply().await.starts_with("226"));
    assert_eq!(folder.file("/in/f"), None);
    assert_eq!(folder.log(), ["interrupt /in/f 100000"]);
    raw.expect("SIZE f", "213 100000").await;
    raw.expect("REST 100000", "350").await;
    let rest = &pattern(150_000)[100_000..];
    let mut stream = raw.data().await;
    raw.expect("REST 100000", "350").await;
    raw.expect("STOR f", "150").await;
    stream.write_all(rest).await.unwrap();
    drop(stream);
    assert!(raw.reply().await.starts_with("226"));
    assert!(folder.file("/in/f").unwrap() == pattern(150_000));
}

#[tokio::test] // spec 3.3
async fn the_end_of_the_control_connection_ends_an_upload() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    let mut stream = raw.data().await;
    raw.expect("STOR f", "150").await;
    arrived(&folder, &mut stream, 1000).await;
    // As a client that is stopped: the control connection is closed first, then the other.
    let served = raw.end().await;
    drop(stream);
    assert_eq!(served.error, Some(SessionError::Closed));
    assert_eq!((folder.file("/in/f"), folder.log()), (None, vec!["interrupt /in/f 1000".to_owned()]));
}

#[tokio::test] // FTP-12
async fn an_upload_may_be_taken_back_for_a_while() {
    for (line, whole) in [("ABOR", false), ("NOOP", true)] {
        let folder = MemoryFolder::new();
        let settings = ServerSettings { pre_response: Duration::from_secs(600), ..quick() };
        let mut raw = enter(&folder, settings).await;
        let mut stream = raw.data().await;
        raw.expect("STOR f", "150").await;
        arrived(&folder, &mut stream, 1000).await;
        drop(stream);
        raw.send(format!("{line}\r\n")).await;
        assert!(raw.reply().await.starts_with(if whole { "226" } else { "426" }));
        raw.reply().await;
        assert_eq!(folder.file("/in/f").is_some(), whole, "{line}");
    }
}

#[tokio::test]
async fn a_reset_is_no_end_of_a_file() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    let mut stream = raw.data().await;
    raw.expect("STOR f", "150").await;
    arrived(&folder, &mut stream, 1000).await;
    reset(stream);
    assert!(raw.reply().await.starts_with("426"));
    assert_eq!((folder.file("/in/f"), folder.log()), (None, vec!["interrupt /in/f 1000".to_owned()]));
    raw.expect("NOOP", "200").await;
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test]
async fn a_download_that_is_not_read_is_not_finished() {
    let folder = MemoryFolder::new().with_file("/out/f", &pattern(50_000_000));
    let mut raw = enter(&folder, quick()).await;
    let stream = raw.data().await;
    raw.expect("RETR /out/f", "150").await;
    reset(stream);
    assert!(raw.reply().await.starts_with("426"));
    assert_eq!(folder.log(), ["finish /out/f false"]);
}

#[tokio::test]
async fn what_a_full_disk_refuses_is_refused() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    folder.state.lock().unwrap().full = true;
    assert!(raw.put("STOR f", b"data").await.starts_with("452"));
    assert_eq!(folder.file("/in/f"), None);
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let folder = MemoryFolder { commits: Arc::new(tokio::sync::Semaphore::new(0)), ..MemoryFolder::new() };
    let mut raw = enter(&folder, quick()).await;
    let mut stream = raw.data().await;
    raw.expect("STOR f", "150").await;
    stream.write_all(b"data").await.unwrap();
    drop(stream);
    raw.send("NOOP\r\n").await;
    tokio::select! {
        reply = raw.reply() => panic!("{reply} came before the commit"),
        () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => {}
    }
    folder.commits.add_permits(1);
    assert!(raw.reply().await.starts_with("226"));
    assert!(raw.reply().await.starts_with("200"));
}

#[tokio::test]
async fn commands_sent_at_once_are_answered_in_order() {
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    let mut stream = raw.data().await;
    raw.send("STOR f\r\nSIZE f\r\nDELE f\r\nQUIT\r\n").await;
    assert!(raw.reply().await.starts_with("150"));
    stream.write_all(b"1234").await.unwrap();
    drop(stream);
    for code in ["226", "213 4", "250", "221"] {
        let reply = raw.reply().await;
        assert!(reply.starts_with(code), "{reply}");
    }
    assert_eq!(raw.end().await.error, None);
}

#[tokio::test]
async fn a_stop_lets_transfers_end_and_ends_idle_sessions() {
    let folder = MemoryFolder::new();
    let mut idle = enter(&folder, quick()).await;
    idle.stop.send_replace(true);
    assert!(idle.reply().await.starts_with("421"));
    let mut busy = enter(&folder, quick()).await;
    let mut stream = busy.data().await;
    busy.expect("STOR f", "150").await;
    busy.stop.send_replace(true);
    stream.write_all(b"1234").await.unwrap();
    drop(stream);
    assert!(busy.reply().await.starts_with("226"));
    assert!(busy.reply().await.starts_with("421"));
    let mut stuck = enter(&folder, ServerSettings { drain: Duration::ZERO, ..quick() }).await;
    let _stream = stuck.data().await;
    stuck.expect("STOR g", "150").await;
    stuck.stop.send_replace(true);
    assert!(stuck.reply().await.starts_with("426"));
    assert!(stuck.reply().await.starts_with("421"));
}
