//! Clients that behave badly.

use proptest::prelude::*;

use super::*;
use crate::ftp::server::SessionError;
use crate::ftp::trial::{Manners, session};

#[tokio::test] // FTP-5
async fn data_connections_go_to_the_caller_only() {
    let mut raw = enter(&MemoryFolder::new(), quick()).await;
    for line in [
        "PORT 127,0,0,2,200,1",
        "PORT 127,0,0,1,0,22",
        "PORT 8,8,8,8,200,1",
        "EPRT |1|127.0.0.2|5000|",
        "EPRT |2|::1|5000|",
        "EPRT |1|127.0.0.1|1023|",
    ] {
        raw.expect(line, "501").await;
    }
    raw.expect("LIST", "425").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for line in [format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255), format!("EPRT |1|127.0.0.1|{port}|")] {
        raw.expect(&line, "200").await;
        raw.send("STOR f\r\n").await;
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(raw.reply().await.starts_with("150"));
        stream.write_all(b"data").await.unwrap();
        drop(stream);
        assert!(raw.reply().await.starts_with("226"));
    }
}

#[tokio::test]
async fn a_data_connection_that_does_not_come_is_not_waited_for() {
    let settings = ServerSettings { data_wait: Duration::ZERO, ..quick() };
    let mut raw = enter(&MemoryFolder::new(), settings).await;
    raw.expect("EPSV", "229").await;
    raw.expect("STOR f", "425").await;
    raw.expect("STOR f", "425").await;
}

#[tokio::test]
async fn data_that_stand_still_end_the_transfer() {
    let folder = MemoryFolder::new();
    let settings = ServerSettings { data_idle: Duration::from_millis(1), ..quick() };
    let mut raw = enter(&folder, settings).await;
    let stream = raw.data().await;
    raw.expect("STOR f", "150").await;
    assert!(raw.reply().await.starts_with("426"));
    assert_eq!(folder.file("/in/f"), None);
    drop(stream);
}

#[tokio::test] // FTP-4
async fn a_range_of_ports_may_be_used_up() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = ServerSettings { passive_ports: Some(port..=port), ..quick() };
    let mut raw = enter(&MemoryFolder::new(), settings).await;
    raw.expect("EPSV", "425").await;
    raw.expect("PASV", "425").await;
    drop(taken);
    let reply = raw.expect("PASV", "227").await;
    assert!(reply.contains(&format!("{},{}", port >> 8, port & 255)), "{reply}");
}

#[tokio::test] // FTP-27
async fn the_external_address_is_told() {
    let settings = ServerSettings { external: Some("203.0.113.5".parse().unwrap()), ..quick() };
    let mut raw = enter(&MemoryFolder::new(), settings).await;
    assert!(raw.expect("PASV", "227").await.contains("(203,0,113,5,"));
}

#[tokio::test]
async fn bounds_end_a_session() {
    let folder = MemoryFolder::new();
    let end = async |settings: ServerSettings, octets: Vec<u8>| {
        let mut raw = start(&folder, settings).await;
        // The server may be gone before all of it is sent.
        let _ = raw.stream.write_all(&octets).await;
        while raw.line().await.is_some() {}
        raw.end().await.error
    };
    let long = vec![b'a'; 10_000];
    assert!(matches!(end(quick(), long).await, Some(SessionError::Line(_))));
    let many = b"NOOP\r\n".repeat(100);
    assert_eq!(end(quick(), many).await, Some(SessionError::Flood), "before the login");
    let late = ServerSettings { login_grace: Duration::ZERO, ..quick() };
    assert!(matches!(end(late, Vec::new()).await, Some(SessionError::NoLogin { .. })));
    let refused = [&b"USER alice\r\nPASS secret\r\n"[..], &b"FOO\r\n".repeat(300)].concat();
    assert_eq!(end(quick(), refused).await, Some(SessionError::Flood));
    let idle = ServerSettings { idle: Duration::ZERO, ..quick() };
    let idle = end(idle, b"USER alice\r\nPASS secret\r\n".to_vec()).await;
    assert!(matches!(idle, Some(SessionError::Idle { .. })), "{idle:?}");
}

/// Sends octets one by one, each a packet of its own, and never the end of what they begin; gives how the session ended.
async fn drip(mut raw: Raw, octets: &[u8]) -> SessionError {
    for octet in octets {
        // It may be over already.
        let _ = raw.stream.write_all(&[*octet]).await;
        tokio::task::yield_now().await;
    }
    while raw.line().await.is_some() {}
    raw.end().await.error.unwrap()
}

#[tokio::test] // issue 5, Proof: slow-loris in each state
async fn who_only_drips_is_ended_in_each_state() {
    let folder = MemoryFolder::new();
    let late = ServerSettings { login_grace: Duration::from_secs(1), login_tries_max: 100, ..quick() };
    let before = async |said: &[&str], drops: &[u8]| {
        let mut raw = start(&folder, late.clone()).await;
        for line in said {
            raw.expect(line, if line.starts_with("USER") { "331" } else { "530" }).await;
        }
        drip(raw, drops).await
    };
    let (greeted, named, refused, telnet) = tokio::join!(
        before(&[], b"USER al"),
        before(&["USER alice"], b"PASS secret"),
        before(&["USER alice", "PASS wrong"], b""),
        before(&[], b"\xff\xf4\xff\xf2\xff"),
    );
    for error in [greeted, named, refused, telnet] {
        assert!(matches!(error, SessionError::NoLogin { .. }), "{error:?}");
    }
    let idle = ServerSettings { idle: Duration::from_secs(1), ..quick() };
    let raw = enter(&folder, idle).await;
    let error = drip(raw, b"STOR half a na").await;
    assert!(matches!(error, SessionError::Idle { .. }), "{error:?}");
}

#[tokio::test]
async fn who_does_not_read_is_not_sent_to_for_ever() {
    let folder = MemoryFolder::new().with_file("/out/f", &pattern(50_000_000));
    let settings = ServerSettings { data_idle: Duration::from_millis(50), ..quick() };
    let mut raw = enter(&folder, settings).await;
    let stream = raw.data().await;
    raw.expect("RETR /out/f", "150").await;
    assert!(raw.reply().await.starts_with("426"));
    assert_eq!(folder.log(), ["finish /out/f false"]);
    raw.expect("NOOP", "200").await;
    drop(stream);
}

#[tokio::test]
async fn whatever_is_sent_a_session_ends() {
    // What the fuzzer plays, with octets that are known (fuzz/fuzz_targets/ftp_session.rs).
    let octets = b"EPSV\r\nSTOR f\r\nEPSV\r\nRETR a\r\nEPSV\r\nMLSD\r\nRNFR f\r\nRNTO g\r\n";
    let manners = Manners { inside: true, ..Manners::default() };
    let left = session(octets, b"data", manners).await.unwrap();
    let log = ["commit /in/f 4", "finish /in/a true", "rename /in/f /in/g true"];
    assert_eq!((left.log, left.served.error), (log.map(str::to_owned).to_vec(), None));
    let left = session(octets, b"data", Manners { resets: true, ..manners }).await.unwrap();
    assert!(!left.log.iter().any(|line| line.starts_with("commit")), "{:?}", left.log);
    for leaves in [false, true] {
        let left = session(octets, b"data", Manners { leaves, ..Manners::default() }).await.unwrap();
        assert!(left.log.is_empty() && left.served.login.is_none(), "{left:?}");
    }
}

#[tokio::test] // FTP-24, SFTP-14
async fn every_escape_stays_inside() {
    for escape in ["../../secret", "/../secret", "/in/../../secret", "//secret", "/./../secret", "./../../secret"] {
        let folder = MemoryFolder::new().with_file("/secret", b"inside");
        let mut raw = enter(&folder, quick()).await;
        for (line, code) in [
            (format!("SIZE {escape}"), "213 6"),
            (format!("RNFR {escape}"), "350"),
            ("RNTO /moved".to_owned(), "250"),
            ("RNFR /moved".to_owned(), "350"),
            (format!("RNTO {escape}"), "250"),
            ("CWD ..".to_owned(), "250"),
            ("CWD ../..".to_owned(), "250"),
            ("PWD".to_owned(), "257 \"/\""),
        ] {
            raw.expect(&line, code).await;
        }
        assert!(raw.put(&format!("STOR {escape}"), b"x").await.starts_with("226"));
        assert_eq!(folder.file("/secret").unwrap(), b"x", "{escape} is /secret of the partner");
        raw.expect(&format!("DELE {escape}"), "250").await;
    }
}

#[tokio::test]
async fn names_that_no_line_can_carry_are_refused() {
    // FTP-24
    let folder = MemoryFolder::new();
    let mut raw = enter(&folder, quick()).await;
    raw.send(b"MKD a\0b\r\n").await;
    assert!(raw.reply().await.starts_with("501"));
    raw.send(b"MKD a\rb\r\n").await;
    assert!(raw.reply().await.starts_with("501"));
    raw.expect(&format!("MKD {}", "x".repeat(300)), "553").await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn noise_ends_in_an_error_or_an_answer(
        noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
        inside in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = MemoryFolder::new();
            let mut raw = if inside { enter(&folder, quick()).await } else { start(&folder, quick()).await };
            for line in &noise {
                let _ = raw.stream.write_all(&[&line[..], b"\r\n"].concat()).await;
            }
            let _ = raw.stream.write_all(b"QUIT\r\n").await;
            while raw.line().await.is_some() {}
            let served = raw.end().await;
            assert!(folder.log().is_empty(), "{served:?}");
        });
    }
}
