//! Data connections, whose records are read and written by us once the library has made the handshake.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::house::{HOST, World, client_profile, ends, meet_for, server_profile, session};

fn content(octets: usize) -> Vec<u8> {
    (0..octets).map(|n| u8::try_from((n * 31 + n / 253) % 256).unwrap()).collect()
}

#[tokio::test] // TLS-20, FTP-6
async fn files_go_both_ways_by_each_suite() {
    let world = World::new();
    let sent = content(3_000_001);
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ] {
        let server = world.server(&server_profile(&[("cipher_suites", suite)]));
        let client = world.client(&client_profile(&[("cipher_suites", suite)]));
        let control = session(&server, &client).await;
        let (s, c) = meet_for(&server, &client, Some((&control.0, &control.1))).await;
        let (mut s, mut c) = (s.unwrap(), c.unwrap());
        assert_eq!(s.tls().unwrap().suite(), suite);
        let upload = async {
            for piece in sent.chunks(70_001) {
                c.write_all(piece).await.unwrap();
            }
            c.finish().await.unwrap();
        };
        let mut came = Vec::new();
        let (read, ()) = tokio::join!(s.read_to_end(&mut came), upload);
        read.unwrap();
        assert!(came == sent, "{suite}: up");
        let download = async {
            for piece in sent.chunks(70_001) {
                s.write_all(piece).await.unwrap();
            }
            s.finish().await.unwrap();
        };
        came.clear();
        let (read, ()) = tokio::join!(c.read_to_end(&mut came), download);
        read.unwrap();
        assert!(came == sent, "{suite}: down");
    }
}

#[tokio::test] // TLS-20: a line that is cut is no end
async fn an_end_that_is_not_announced_is_none() {
    let world = World::new();
    let (server, client) = (world.server(&server_profile(&[])), world.client(&client_profile(&[])));
    let control = session(&server, &client).await;
    let (s, c) = meet_for(&server, &client, Some((&control.0, &control.1))).await;
    let (mut s, mut c) = (s.unwrap(), c.unwrap());
    c.write_all(&content(100_000)).await.unwrap();
    c.flush().await.unwrap();
    drop(c);
    let mut came = Vec::new();
    let cut = s.read_to_end(&mut came).await.unwrap_err();
    assert_eq!((cut.kind(), came.len()), (ErrorKind::UnexpectedEof, 100_000));
}

#[tokio::test] // TLS-20: all of a file, and the end of the line, are there before our side of the handshake is done
async fn who_is_done_early_has_sent_a_whole_file_where_ends_are_not_announced() {
    let world = World::new();
    for (octets, silent) in [(0, "Y"), (10, "Y"), (0, "N"), (10, "N")] {
        let silence = [("close_notify_disabled", silent)];
        let (server, client) = (world.server(&server_profile(&silence)), world.client(&client_profile(&silence)));
        let control = session(&server, &client).await;
        let (taken, called) = ends().await;
        let call = async {
            let mut c = called.call_secure(&client, HOST, control.1.tls()).await.unwrap();
            c.write_all(&content(octets)).await.unwrap();
            c.finish().await.unwrap();
        };
        let serve = async {
            let mut s = taken.secure(&server, control.0.tls()).await.unwrap();
            let mut came = Vec::new();
            s.read_to_end(&mut came).await.unwrap();
            came
        };
        let (came, ()) = tokio::join!(serve, call);
        assert_eq!(came, content(octets), "close_notify_disabled {silent}");
    }
}
