//! What flows: bulk with rekeys, slow and stopped readers, many channels, refused requests, the end.
// Tests and their helpers may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use channel::{Limits, Pipe, SshError, connect_ssh};
use common::{Gate, LOGIN, PASSWORD, WAIT, Work, limits, pattern, profile, serve, serve_simply};
use model::SshRole;
use russh::{ChannelMsg, Disconnect};
use tokio::sync::Notify;
use tokio::time::timeout;

const MEBI: usize = 1 << 20;

/// Sends the first `octets` of the pattern without waiting, then ends its side.
fn send_all(pipe: &Pipe, octets: usize) {
    for at in (0..octets).step_by(32 << 10) {
        pipe.output.send(pattern(at, (octets - at).min(32 << 10))).unwrap();
    }
}

/// Reads `octets` of the pattern.
async fn check_all(pipe: &mut Pipe, octets: usize) {
    let mut at = 0;
    while at < octets {
        let piece = timeout(WAIT, pipe.input.next()).await.expect("no hang").expect("no early end");
        assert_eq!(piece, pattern(at, piece.len()), "at {at}");
        at += piece.len();
    }
    assert_eq!(at, octets);
}

#[tokio::test(flavor = "multi_thread")] // SSH-19, SSH-21, SFTP-18
async fn bulk_survives_rekeys_that_either_side_begins() {
    for (server_mb, client_mb) in [(1, 1), (1, 0), (0, 1)] {
        let mut at_server = profile(SshRole::Server);
        at_server.rekey_megabytes = server_mb;
        let server = serve(Gate::with_password(), Work::Echo, at_server, limits()).await;
        let mut client = server.client();
        let mut at_client = profile(SshRole::Client);
        at_client.rekey_megabytes = client_mb;
        client.profile = Arc::new(at_client);
        let client = connect_ssh(&server.target(), client).await.unwrap();
        let mut pipe = client.open_sftp().await.unwrap();
        let octets = if server_mb == client_mb { 64 * MEBI } else { 8 * MEBI };
        let output = pipe.output.clone();
        let sending = tokio::spawn(async move {
            for at in (0..octets).step_by(32 << 10) {
                output.send(pattern(at, 32 << 10)).unwrap();
                output.drained_below(MEBI).await.unwrap();
            }
        });
        check_all(&mut pipe, octets).await;
        sending.await.unwrap();
        drop(pipe);
        client.close().await;
        let report = server.result().await.unwrap();
        assert_eq!((report.octets_in, report.octets_out), (octets as u64, octets as u64));
        assert_eq!(report.reason, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_carrier_holds_the_peer_back() {
    let (signal, taken) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let narrow = Limits { input_octets_max: MEBI, ..limits() };
    let work = Work::Hold(Arc::clone(&signal), Arc::clone(&taken));
    let server = serve(Gate::with_password(), work, profile(SshRole::Server), narrow).await;
    let client = server.connect().await;
    let pipe = client.open_sftp().await.unwrap();
    send_all(&pipe, 64 * MEBI);
    pipe.output.close();
    // More has left than the server may hold: it stands still, or is about to.
    timeout(WAIT, pipe.output.drained_below(64 * MEBI - MEBI * 5 / 4)).await.unwrap().unwrap();
    signal.notify_one();
    timeout(WAIT, async { while client_is_open(&pipe).await {} }).await.unwrap();
    client.close().await;
    let report = server.result().await.unwrap();
    assert_eq!((taken.load(Ordering::SeqCst), report.octets_in), (64 * MEBI, 64 * MEBI as u64));
    assert!((MEBI..MEBI + MEBI / 8).contains(&report.held_octets_peak), "{}", report.held_octets_peak);
}

/// Whether the channel goes on; waits until something leaves.
async fn client_is_open(pipe: &Pipe) -> bool {
    pipe.output.drained_below(0).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_and_goes_on_gets_everything() {
    let server = serve_simply(Work::Source(48 * MEBI)).await;
    let client = server.connect().await;
    let mut stopped = client.open_sftp().await.unwrap();
    check_all(&mut stopped, MEBI).await;
    // While one channel stands still, the connection must not: nothing of it is lost or kept without bound.
    let mut at = MEBI;
    while at < 48 * MEBI {
        let piece = timeout(WAIT, stopped.input.next()).await.unwrap().unwrap();
        assert_eq!(piece, pattern(at, piece.len()));
        at += piece.len();
        if at.is_multiple_of(7) {
            tokio::task::yield_now().await;
        }
    }
    assert!(timeout(WAIT, stopped.input.next()).await.unwrap().is_none(), "the source has ended");
    client.close().await;
    assert_eq!(server.result().await.unwrap().octets_out, 48 * MEBI as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_may_send_before_they_read() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    let mut pipe = client.open_sftp().await.unwrap();
    send_all(&pipe, 12 * MEBI);
    timeout(WAIT, pipe.output.drained_below(1)).await.expect("no hang").unwrap();
    check_all(&mut pipe, 12 * MEBI).await;
    client.close().await;
    let report = server.result().await.unwrap();
    assert!(report.held_octets_peak <= 32 * MEBI, "{}", report.held_octets_peak);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_channels_share_a_connection_within_the_bound() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    let mut pipes = Vec::new();
    for _ in 0..8 {
        pipes.push(client.open_sftp().await.unwrap());
    }
    assert!(matches!(client.open_sftp().await, Err(SshError::Protocol(_))), "the ninth is refused");
    let mut tasks = Vec::new();
    for mut pipe in pipes {
        tasks.push(tokio::spawn(async move {
            for at in (0..4 * MEBI).step_by(32 << 10) {
                pipe.output.send(pattern(at, 32 << 10)).unwrap();
            }
            check_all(&mut pipe, 4 * MEBI).await;
            pipe.output.close();
            assert!(pipe.input.next().await.is_none());
        }));
    }
    for task in tasks {
        timeout(WAIT, task).await.expect("no hang").unwrap();
    }
    let again = async {
        while client.open_sftp().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT, again).await.expect("places are given back");
    client.close().await;
    assert_eq!(server.result().await.unwrap().octets_in, 32 * MEBI as u64);
}

#[tokio::test(flavor = "multi_thread")] // SSH-31, SFTP-15
async fn everything_but_sftp_is_refused_and_harms_nothing() {
    let server = serve_simply(Work::Echo).await;
    let mut handle = russh::client::connect(Arc::default(), server.at, AnyKey).await.unwrap();
    assert!(!handle.authenticate_none(LOGIN).await.unwrap().success());
    assert!(handle.authenticate_password(LOGIN, PASSWORD).await.unwrap().success());
    let mut channel = handle.channel_open_session().await.unwrap();
    for request in 0..8 {
        match request {
            0 => channel.exec(true, "id").await.unwrap(),
            1 => channel.request_shell(true).await.unwrap(),
            2 => channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap(),
            3 => channel.request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0).await.unwrap(),
            4 => channel.set_env(true, "LD_PRELOAD", "/tmp/x").await.unwrap(),
            5 => channel.agent_forward(true).await.unwrap(),
            6 => channel.request_subsystem(true, "netconf").await.unwrap(),
            _ => channel.request_subsystem(true, "SFTP").await.unwrap(),
        }
        let answer = timeout(WAIT, channel.wait()).await.unwrap();
        assert!(matches!(answer, Some(ChannelMsg::Failure)), "request {request}: {answer:?}");
    }
    assert!(handle.channel_open_direct_tcpip("127.0.0.1", 1, "127.0.0.1", 1).await.is_err());
    assert!(handle.channel_open_direct_streamlocal("/tmp/x").await.is_err());
    assert!(handle.channel_open_x11("127.0.0.1", 1).await.is_err());
    assert!(handle.tcpip_forward("127.0.0.1", 0).await.is_err());
    assert!(handle.streamlocal_forward("/tmp/x").await.is_err());
    channel.request_subsystem(true, "sftp").await.unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Success)), "and sftp still works");
    channel.request_subsystem(true, "sftp").await.unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)), "once a channel");
    channel.data_bytes(&b"hello"[..]).await.unwrap();
    let echo = async {
        loop {
            if let Some(ChannelMsg::Data { data }) = channel.wait().await {
                return data;
            }
        }
    };
    assert_eq!(timeout(WAIT, echo).await.unwrap(), &b"hello"[..]);
    handle.disconnect(Disconnect::ByApplication, "", "").await.unwrap();
    assert_eq!(server.result().await.unwrap().reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_may_come_and_go_a_thousand_times() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    for round in 0..1000 {
        let mut pipe =
            timeout(WAIT, client.open_sftp()).await.unwrap().unwrap_or_else(|e| panic!("round {round}: {e}"));
        pipe.output.send(pattern(round, 10)).unwrap();
        assert_eq!(timeout(WAIT, pipe.input.next()).await.unwrap(), Some(pattern(round, 10)));
        pipe.output.close();
        assert_eq!(timeout(WAIT, pipe.input.next()).await.unwrap(), None);
    }
    client.close().await;
    assert_eq!(server.result().await.unwrap().octets_in, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_running_channels_finish_and_opens_no_more() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    let mut pipe = client.open_sftp().await.unwrap();
    server.stop.send_replace(true);
    let refused = async { while client.open_sftp().await.is_ok() {} };
    timeout(WAIT, refused).await.unwrap();
    pipe.output.send(pattern(0, 100)).unwrap();
    check_all(&mut pipe, 100).await;
    pipe.output.close();
    assert_eq!(timeout(WAIT, pipe.input.next()).await.unwrap(), None);
    assert_eq!(server.result().await.unwrap().reason, Some(SshError::Stopped));
    assert!(client.open_sftp().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_what_does_not_end_in_time() {
    let quick = Limits { drain: Duration::from_millis(200), ..limits() };
    let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), quick).await;
    let client = server.connect().await;
    let mut pipe = client.open_sftp().await.unwrap();
    server.stop.send_replace(true);
    assert_eq!(timeout(WAIT, pipe.input.next()).await.unwrap(), None);
    assert_eq!(server.result().await.unwrap().reason, Some(SshError::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends() {
    let quick = Limits { idle: Some(Duration::from_millis(300)), ..limits() };
    let server = serve(Gate::with_password(), Work::Echo, profile(SshRole::Server), quick).await;
    let client = server.connect().await;
    let mut pipe = client.open_sftp().await.unwrap();
    assert_eq!(timeout(WAIT, pipe.input.next()).await.unwrap(), None);
    let reason = server.result().await.unwrap().reason;
    assert!(matches!(reason, Some(SshError::Timeout { .. })), "{reason:?}");
    assert!(pipe.output.send(pattern(0, 1)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_ends_its_channels() {
    let server = serve_simply(Work::Echo).await;
    let client = server.connect().await;
    let pipe = client.open_sftp().await.unwrap();
    send_all(&pipe, 4 * MEBI);
    drop(client);
    let reason = server.result().await.unwrap().reason;
    assert!(matches!(reason, None | Some(SshError::Closed)), "{reason:?}");
    assert!(timeout(WAIT, pipe.output.drained_below(1)).await.unwrap().is_err());
}

struct AnyKey;

impl russh::client::Handler for AnyKey {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}
