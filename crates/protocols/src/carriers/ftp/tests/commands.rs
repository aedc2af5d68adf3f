//! Commands and their replies.

use super::*;

#[tokio::test] // FTP-1
async fn the_way_in_and_out() {
    let mut raw = start(&MemoryFolder::new(), quick()).await;
    for (line, code) in [
        ("PWD", "530"),
        ("STOR a", "530"),
        ("PASV", "530"),
        ("PASS secret", "503"),
        ("NOOP", "200"),
        ("USER alice", "331"),
        ("PASS wrong", "530"),
        ("USER nobody", "331"),
        ("PASS secret", "530"),
        ("USER alice", "331"),
        ("PASS secret", "230"),
        ("PWD", "257 \"/in\""),
        ("USER alice", "530"),
        ("SYST", "215 UNIX"),
        ("ACCT x", "202"),
        ("AUTH TLS", "503"),
        ("CCC", "534"), // FTP-8
        ("FOO", "500"),
        ("REIN", "502"),
        ("QUIT", "221"),
    ] {
        raw.expect(line, code).await;
    }
    let served = raw.end().await;
    assert_eq!((served.login.as_deref(), served.error), (Some("alice"), None));
}

#[tokio::test] // FTP-1, FTP-29
async fn three_wrong_logins_are_enough() {
    let mut raw = start(&MemoryFolder::new(), quick()).await;
    let mut answers = Vec::new();
    for login in ["alice", "nobody", "alice"] {
        raw.expect(&format!("USER {login}"), "331").await;
        answers.push(raw.ask("PASS wrong").await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "no enumeration: {answers:?}");
    assert!(raw.reply().await.starts_with("421"));
    assert_eq!(raw.line().await, None);
    assert_eq!(raw.end().await.error, Some(crate::ftp::server::SessionError::Logins { count: 3 }));
}

#[tokio::test]
async fn features_and_options() {
    let mut raw = start(&MemoryFolder::new(), quick()).await;
    let features = raw.ask("FEAT").await;
    for feature in [" EPSV", " REST STREAM", " MLST type*;size*;modify*;perm*;", " SIZE", " UTF8", " HASH SHA-256*"] {
        assert!(features.lines().any(|line| line == feature), "{feature}: {features}");
    }
    assert!(!features.contains("AUTH"), "in clear there is no TLS to ask for");
    for (line, code) in [
        ("OPTS UTF8 ON", "200"),
        ("OPTS MLST type;size;", "200 MLST OPTS type;size;"),
        ("OPTS HASH MD5", "501"),
        ("AUTH TLS", "534"),
        ("PBSZ 0", "503"),
        ("PROT P", "503"),
        ("HELP", "214"),
    ] {
        raw.expect(line, code).await;
    }
}

#[tokio::test] // FTP-2, FTP-3
async fn types_modes_and_structures() {
    let mut raw = enter(&MemoryFolder::new(), quick()).await;
    for (line, code) in [
        ("TYPE A", "200"),
        ("TYPE L 8", "200"),
        ("TYPE E", "504"),
        ("MODE S", "200"),
        ("MODE B", "504"),
        ("MODE C", "504"),
        ("STRU F", "200"),
        ("STRU R", "504"),
        ("STRU P", "504"),
    ] {
        raw.expect(line, code).await;
    }
}

#[tokio::test] // FTP-9
async fn files_and_folders() {
    let folder = MemoryFolder::new().with_file("/in/a b", b"12345").with_file("/out/x", b"1");
    let mut raw = enter(&folder, quick()).await;
    for (line, code) in [
        ("SIZE a b", "213 5"),
        ("MDTM a b", "213 19700101000000"),
        ("MFMT 20260102030405 a b", "213 Modify=20260102030405; a b"),
        ("HASH a b", "213 SHA-256 0-5 0505"),
        ("SITE CHMOD 644 a b", "200"),
        ("SITE EXEC x", "504"),
        ("SIZE none", "550"),
        ("SIZE /out", "550"),
        ("CWD /out", "250"),
        ("PWD", "257 \"/out\""),
        ("CWD x", "550"),
        ("CWD none", "550"),
        ("CDUP", "200"),
        ("PWD", "257 \"/\""),
        ("CDUP", "200"),
        ("MKD in/quo\"te", "257 \"/in/quo\"\"te\""),
        ("RMD in/quo\"te", "250"),
        ("RNTO b", "503"),
        ("RNFR /none", "550"),
        ("RNFR /in/a b", "350"),
        ("NOOP", "200"),
        ("RNFR /in/a b", "350"),
        ("RNTO /in/c", "250"),
        ("DELE /in/c", "250"),
        ("DELE /in/c", "550"),
        ("ALLO 1000", "200"),
        ("ALLO 999999999999", "552"), // FTP-17
        ("TYPE A", "200"),
        ("SIZE /out/x", "550"),
        ("ABOR", "226"),
        ("STAT", "211"),
    ] {
        raw.expect(line, code).await;
    }
    assert_eq!(
        raw.ask("MLST /out/x").await.lines().nth(1),
        Some(" type=file;size=1;modify=19700101000000;perm=radfw; /out/x")
    );
    assert!(raw.ask("STAT /out").await.lines().nth(1).unwrap().ends_with(" x"));
}

#[tokio::test]
async fn lists() {
    let folder = MemoryFolder::new().with_file("/out/a.txt", b"1").with_file("/out/b.csv", b"22");
    let mut raw = enter(&folder, quick()).await;
    let text = |(octets, reply): (Vec<u8>, String)| {
        assert!(reply.starts_with("226"), "{reply}");
        String::from_utf8(octets).unwrap()
    };
    assert_eq!(text(raw.get("NLST /out").await), "a.txt\r\nb.csv\r\n");
    assert_eq!(text(raw.get("NLST /out/*.txt").await), "/out/a.txt\r\n");
    assert_eq!(text(raw.get("NLST").await), "");
    let long = text(raw.get("LIST -la /out").await);
    assert_eq!(long.lines().next().unwrap(), "-rw-r-----    1 -        -                   1 Jan  1 00:00 a.txt");
    assert_eq!(long.lines().count(), 2);
    let facts = text(raw.get("MLSD /out").await);
    assert!(facts.contains("type=file;size=2;modify=19700101000000;perm=radfw; b.csv\r\n"), "{facts}");
    assert!(text(raw.get("LIST /out/a.txt").await).ends_with(" a.txt\r\n"));
    assert!(text(raw.get("MLSD /").await).contains("type=dir;"));
    raw.data().await;
    raw.expect("MLSD /out/a.txt", "501").await;
    raw.expect("LIST /none", "550").await;
    raw.expect("EPSV ALL", "200").await;
    raw.expect("PASV", "501").await;
    raw.expect("PORT 127,0,0,1,200,1", "501").await;
    assert_eq!(text(raw.get("NLST /out").await).lines().count(), 2);
}
