//! The client at a server that says what a test wants: odd replies, cut lines, breaks at any step.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use channel::{Link, Target, call_link};
use engine::TransferError;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use model::{HostPort, Proxy, ProxyKind, ProxyStep, ProxyVerb, ProxyWord};

use super::*;
use crate::carriers::sftp::testing::pattern;
use crate::carriers::{ProxyLogin, Unopened};
use crate::outward::{
    Delivered, Errand, Existing, Meaning, Naming, NoProgress, Progress, Remote, Standing, Unclear, deliver_once,
};

/// A server with files, some of whose answers are replaced, and whose line may break.
#[derive(Clone, Default)]
struct Server {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: Vec<(String, Vec<u8>)>,
    /// Commands as they came, without those of the login.
    log: Vec<String>,
    /// Instead of the usual answer to a verb: this; `hang up` ends the connection.
    says: Vec<(&'static str, &'static str)>,
    /// Hangs up instead of giving the answer number so.
    cut_after: Option<usize>,
    answers: usize,
    /// Octets of a file that are taken before the server breaks off with this reply.
    breaks_at: Option<(usize, &'static str)>,
    features: &'static str,
    renames: usize,
}

impl Server {
    fn new() -> Self {
        let server = Self::default();
        server.lock().features =
            "211-Features:\r\n SIZE\r\n MLST size*;\r\n MFMT\r\n REST STREAM\r\n UTF8\r\n211 End\r\n";
        server
    }

    fn saying(self, verb: &'static str, answer: &'static str) -> Self {
        self.lock().says.push((verb, answer));
        self
    }

    fn with_file(self, name: &str, data: &[u8]) -> Self {
        self.lock().put(name, data.to_vec());
        self
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().get(name).cloned()
    }

    fn count(&self, verb: &str) -> usize {
        self.lock().log.iter().filter(|line| line.starts_with(verb)).count()
    }

    /// A connection to it.
    async fn call(&self) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let server = self.clone();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            drop(server.serve(stream).await);
        });
        let target = Target::new(at.ip().to_string(), at.port());
        call_link(&target, std::time::Duration::from_secs(20)).await.unwrap()
    }

    async fn login(&self) -> Result<FtpClient, Unopened> {
        self.login_with(ClientOptions::default()).await
    }

    async fn login_with(&self, options: ClientOptions) -> Result<FtpClient, Unopened> {
        let client = FtpClient::start(self.call().await, &caller(), options).await;
        self.lock().log.clear();
        client
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut control = BufReader::new(stream);
        let mut session = Session::default();
        if !self.answer(&mut control, "greeting", "220 ready\r\n").await? {
            return Ok(());
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            if control.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (verb, argument) = text.split_once(' ').unwrap_or((&text, ""));
            self.lock().log.push(text.clone());
            let (usual, data) = self.act(&mut session, verb, argument).await;
            if !self.answer(&mut control, if data { "mark" } else { verb }, &usual).await? {
                return Ok(());
            }
            if data && !self.transfer(&mut control, &mut session, verb, argument).await? {
                return Ok(());
            }
        }
    }

    /// Sends the answer, or what a test wants instead; says whether the connection goes on.
    async fn answer(&self, control: &mut BufReader<TcpStream>, verb: &str, usual: &str) -> std::io::Result<bool> {
        let (text, cut) = {
            let mut state = self.lock();
            let cut = state.cut_after == Some(state.answers);
            state.answers += 1;
            let said = state.says.iter().find(|(of, _)| *of == verb).map(|(_, text)| (*text).to_owned());
            (said.unwrap_or_else(|| usual.to_owned()), cut)
        };
        if cut || text == "hang up" {
            return Ok(false);
        }
        control.get_mut().write_all(text.as_bytes()).await?;
        Ok(true)
    }

    /// Carries a command out; gives the answer, and whether data follow.
    async fn act(&self, session: &mut Session, verb: &str, argument: &str) -> (String, bool) {
        let replaced = self.lock().says.iter().any(|(of, text)| *of == verb && !text.starts_with('1'));
        let answer = |text: &str| (format!("{text}\r\n"), false);
        if replaced {
            return answer("replaced");
        }
        match verb {
            "USER" => answer("331 password"),
            "PASS" => answer("230 in"),
            "SYST" => answer("215 UNIX"),
            "FEAT" => (self.lock().features.to_owned(), false),
            "PWD" => answer("257 \"/home\""),
            "ABOR" => answer("226 nothing to break off"),
            "EPSV" | "PASV" | "PORT" => answer(&session.agree(verb, argument).await),
            "SIZE" => match self.file(argument) {
                Some(data) => answer(&format!("213 {}", data.len())),
                None => answer("550 no such file"),
            },
            "MLST" => match self.file(argument) {
                Some(data) => (format!("250-file\r\n size={}; {argument}\r\n250 end\r\n", data.len()), false),
                None => answer("550 no such file"),
            },
            "REST" => {
                session.rest = argument.parse().unwrap();
                answer("350 restart")
            }
            "RNFR" if self.file(argument).is_some() => {
                argument.clone_into(&mut session.from);
                answer("350 go on")
            }
            "RNTO" => {
                let mut state = self.lock();
                let data = state.take(&session.from);
                state.put(argument, data);
                state.renames += 1;
                answer("250 renamed")
            }
            "DELE" => {
                self.lock().take(argument);
                answer("250 gone")
            }
            "STOR" | "APPE" | "LIST" | "NLST" | "MLSD" => ("150 here\r\n".to_owned(), true),
            "RNFR" => answer("550 no such file"),
            "QUIT" => answer("221 bye"),
            _ => answer("200 ok"),
        }
    }

    async fn transfer(
        &self,
        control: &mut BufReader<TcpStream>,
        session: &mut Session,
        verb: &str,
        argument: &str,
    ) -> std::io::Result<bool> {
        let mut data = match (session.passive.take(), session.active.take()) {
            (Some(listener), _) => listener.accept().await?.0,
            (None, Some(port)) => TcpStream::connect(("127.0.0.1", port)).await?,
            (None, None) => panic!("no data connection was asked for"),
        };
        if !matches!(verb, "STOR" | "APPE") {
            data.write_all(self.listing(verb).as_bytes()).await?;
            drop(data);
            return self.answer(control, "end", "226 done\r\n").await;
        }
        let (rest, breaks) = (std::mem::take(&mut session.rest), self.lock().breaks_at.take());
        let mut had = if verb == "APPE" || rest > 0 { self.lock().take(argument) } else { Vec::new() };
        if verb == "STOR" {
            had.truncate(rest);
        }
        let Some((at, reply)) = breaks else {
            data.read_to_end(&mut had).await?;
            self.lock().put(argument, had);
            return self.answer(control, "end", "226 stored\r\n").await;
        };
        let mut part = vec![0; at];
        data.read_exact(&mut part).await?;
        self.lock().put(argument, [had, part].concat());
        drop(data);
        if reply == "hang up" {
            return Ok(false);
        }
        control.get_mut().write_all(reply.as_bytes()).await?;
        Ok(true)
    }

    fn listing(&self, verb: &str) -> String {
        let state = self.lock();
        let line = |(name, data): &(String, Vec<u8>)| {
            let name = name.rsplit('/').next().unwrap_or_default();
            match verb {
                "MLSD" => format!("type=file;size={}; {name}\r\n", data.len()),
                "LIST" => format!("-rw-r--r-- 1 ftp ftp {:>9} Nov  3 14:05 {name}\r\n", data.len()),
                _ => format!("{name}\r\n"),
            }
        };
        state.files.iter().map(line).collect()
    }
}

impl State {
    fn get(&self, name: &str) -> Option<&Vec<u8>> {
        self.files.iter().find(|(of, _)| of == name).map(|(_, data)| data)
    }

    fn put(&mut self, name: &str, data: Vec<u8>) {
        self.files.retain(|(of, _)| of != name);
        self.files.push((name.to_owned(), data));
    }

    fn take(&mut self, name: &str) -> Vec<u8> {
        let data = self.get(name).cloned().unwrap_or_default();
        self.files.retain(|(of, _)| of != name);
        data
    }
}

#[derive(Default)]
struct Session {
    passive: Option<TcpListener>,
    active: Option<u16>,
    rest: usize,
    from: String,
}

impl Session {
    /// Agrees on a data connection.
    async fn agree(&mut self, verb: &str, argument: &str) -> String {
        if verb == "PORT" {
            let parts: Vec<u16> = argument.split(',').map(|part| part.parse().unwrap()).collect();
            self.active = Some(parts[4] * 256 + parts[5]);
            return "200 ok".to_owned();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.passive = Some(listener);
        match verb {
            "EPSV" => format!("229 passive (|||{port}|)"),
            // The address is wrong, as behind address translation.
            _ => format!("227 passive (192,0,2,7,{},{})", port / 256, port % 256),
        }
    }
}

fn caller() -> Caller {
    let password = Some(base::Secret::new("open sesame".to_owned()));
    let target = Target::new("ftp.b.example", 2100);
    Caller { login: "gateway".to_owned(), password, account: None, tls: None, target, proxy: None }
}

/// A proxy that is told these things.
fn through(login: Vec<(ProxyVerb, Vec<ProxyWord>)>) -> Caller {
    let login = login.into_iter().map(|(verb, words)| ProxyStep { verb, words }).collect();
    let proxy = Proxy {
        id: base::ObjectId(1),
        name: "FW".to_owned(),
        enabled: true,
        comments: String::new(),
        kind: ProxyKind::Commands { login, other_address: false },
        address: HostPort { host: "fw.example".to_owned(), port: 21 },
        user: Some("fw".to_owned()),
        has_password: true,
    };
    let password = Some(base::Secret::new("fire".to_owned()));
    Caller { proxy: Some(ProxyLogin { proxy: Arc::new(proxy), password }), ..caller() }
}

#[tokio::test] // OBJ-33
async fn a_proxy_is_told_command_by_command() {
    use ProxyVerb::{Acct, Open, Pass, User};
    use ProxyWord as W;
    let opened = || {
        through(vec![
            (User, vec![W::ProxyUser]),
            (Pass, vec![W::ProxyPassword]),
            (Open, vec![W::HostPort]),
            (User, vec![W::User, W::Text("@".to_owned()), W::Host, W::Text(" ".to_owned()), W::Port]),
            (Pass, vec![W::Password]),
        ])
    };
    let said = async |server: Server, caller: Caller| {
        let client = FtpClient::start(server.call().await, &caller, ClientOptions::default()).await;
        let log = server.lock().log.iter().take_while(|line| *line != "SYST").cloned().collect::<Vec<_>>().join("; ");
        (client.map(drop).map_err(|error| format!("{error:?}")), log)
    };
    let (client, log) = said(Server::new(), opened()).await;
    client.unwrap();
    assert_eq!(log, "USER fw; PASS fire; OPEN ftp.b.example:2100; USER gateway@ftp.b.example 2100; PASS open sesame");
    // One that asks for no password of its own, and an account behind all.
    let asks = through(vec![(User, vec![W::ProxyUser]), (Pass, vec![W::ProxyPassword]), (Acct, vec![W::Password])]);
    let (client, log) = said(Server::new().saying("USER", "230 in\r\n"), asks).await;
    client.unwrap();
    assert_eq!(log, "USER fw; ACCT open sesame");
    let (client, log) = said(Server::new().saying("OPEN", "550 not there\r\n"), opened()).await;
    let refused = client.unwrap_err();
    assert!(refused.starts_with("Login") && refused.contains("proxy FW answered OPEN with 550 not there"), "{refused}");
    assert!(!log.contains("gateway") && !refused.contains("fire"), "nothing of ours is told after a refusal");
    let bare = Caller { password: None, ..opened() };
    let (client, _) = said(Server::new(), bare).await;
    assert!(client.unwrap_err().contains("set login_password"));
}

const TEMPORARY: &str = "/in/f.17.part";
const TARGET: &str = "/in/f";

fn errand() -> Errand {
    Errand {
        target: TARGET.into(),
        naming: Naming::Temporary(TEMPORARY.into()),
        existing: Existing::Replace,
        unclear: Unclear::Ask,
        tried_before: false,
        maybe_delivered: false,
        modified: Some(base::UtcMicros(77_000_000)),
    }
}

async fn deliver(server: &Server, errand: &Errand, data: &[u8]) -> Result<Delivered, ClientError> {
    let mut client = server.login().await.unwrap();
    deliver_once(&mut client, errand, &mut Bytes::copy_from_slice(data), &mut NoProgress).await
}

#[tokio::test]
async fn the_final_name_comes_with_the_whole_file() {
    // TRF-20, FTP-9
    let server = Server::new().with_file(TARGET, b"old");
    let data = pattern(3_000_000);
    assert_eq!(deliver(&server, &errand(), &data).await, Ok(Delivered::Now));
    assert!(server.file(TARGET).unwrap() == data);
    let log = server.lock().log.clone();
    let expected = [
        "EPSV",
        "STOR /in/f.17.part",
        "SIZE /in/f.17.part",
        "MFMT 19700101000117 /in/f.17.part",
        "RNFR /in/f.17.part",
        "RNTO /in/f",
    ];
    assert_eq!(log, expected);
}

#[tokio::test]
async fn a_second_try_goes_on_where_the_first_ended() {
    // FTP-13: REST and STOR; APPE where there is no REST; from the beginning where there is neither
    let data = pattern(200_000);
    let again = Errand { tried_before: true, maybe_delivered: true, ..errand() };
    for (refused, way) in [
        (&[("NOOP", "200 ok\r\n")][..], "REST 100000"),
        (&[("REST", "502 no\r\n")], "APPE"),
        (&[("REST", "502 no\r\n"), ("APPE", "451 not permitted\r\n")], "STOR"),
    ] {
        let mut server = Server::new().with_file(TEMPORARY, &data[..100_000]);
        for (verb, answer) in refused {
            server = server.saying(verb, answer);
        }
        assert_eq!(deliver(&server, &again, &data).await, Ok(Delivered::Now), "{way}");
        assert!(server.file(TARGET).unwrap() == data, "{way}");
        assert_eq!(server.count(way), 1, "{way}: {:?}", server.lock().log);
    }
    let server = Server::new().with_file(TEMPORARY, &data[..100_000]);
    let mut client = server.login_with(ClientOptions { restart: false, ..ClientOptions::default() }).await.unwrap();
    deliver_once(&mut client, &again, &mut Bytes::copy_from_slice(&data), &mut NoProgress).await.unwrap();
    assert_eq!((server.count("REST"), server.count("APPE")), (0, 0), "restart_allowed N");
}

#[tokio::test]
async fn a_file_that_may_not_be_overwritten_is_made_way_for() {
    // ProFTPD without AllowOverwrite
    let server = Server::new().with_file(TEMPORARY, &[9; 9000]).saying("STOR", "550 overwrite permission denied\r\n");
    let again = Errand { tried_before: true, ..errand() };
    let refused = deliver(&server, &again, b"new").await.unwrap_err();
    assert_eq!(refused.meaning(), Some(Meaning::NotFound), "{refused}");
    assert_eq!(server.count("DELE"), 1);
    // Only a file of our own is deleted for that.
    let kept = Errand { existing: Existing::Keep, naming: Naming::Direct, ..errand() };
    let server = Server::new().saying("STOR", "550 denied\r\n");
    deliver(&server, &kept, b"new").await.unwrap_err();
    assert_eq!(server.count("DELE"), 0);
}

/// Notes whether the last step came, and whether anything had its final name by then.
struct Noted<'a>(&'a Server, bool);

#[async_trait::async_trait]
impl Progress for Noted<'_> {
    async fn reached(&mut self, _octets: u64) -> Result<(), TransferError> {
        Ok(())
    }
    async fn last_step(&mut self) -> Result<(), TransferError> {
        assert_eq!(self.0.file(TARGET), None, "noted before");
        self.1 = true;
        Ok(())
    }
}

/// A delivery whose line breaks after each number of answers, then a second one: once at the partner, whole, and under the
/// policy ASK nobody is asked.
#[tokio::test]
async fn cut_after_any_answer_the_file_arrives_once() {
    let data = pattern(9_500);
    for cut in 0..24 {
        let server = Server::new();
        server.lock().cut_after = Some(cut);
        let mut noted = Noted(&server, false);
        let first = match server.login().await {
            Ok(mut client) => deliver_once(&mut client, &errand(), &mut Bytes::from(data.clone()), &mut noted).await,
            Err(_) => Err(ClientError::Closed),
        };
        server.lock().cut_after = None;
        if let Err(error) = &first {
            let renamed = server.lock().renames == 1;
            assert!(noted.1 || !renamed, "cut after {cut} answers: renamed without a note");
            if renamed {
                assert!(matches!(error, ClientError::EndUnknown { .. }), "cut after {cut} answers: {error}");
            }
            let again = Errand { tried_before: true, maybe_delivered: noted.1, ..errand() };
            deliver(&server, &again, &data).await.unwrap();
        }
        assert!(server.file(TARGET).unwrap() == data, "cut after {cut} answers");
        assert_eq!(server.lock().renames, 1, "cut after {cut} answers");
        assert_eq!(server.file(TEMPORARY), None);
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_understood() {
    let data = pattern(8_000_000);
    for (reply, meaning) in [
        ("452 disk full\r\n", Meaning::Passing),
        ("552 quota exceeded\r\n", Meaning::Passing),
        ("426 aborted\r\n", Meaning::Passing),
        ("551 page type unknown\r\n", Meaning::Permanent),
    ] {
        let server = Server::new();
        server.lock().breaks_at = Some((100_000, reply));
        let mut client = server.login().await.unwrap();
        let mut source = Bytes::from(data.clone());
        let failed = client.put(TEMPORARY.as_bytes(), (&mut source, 0), true, &mut NoProgress).await.unwrap_err();
        assert_eq!(failed.meaning(), Some(meaning), "{failed}");
        // The session goes on, with what is there.
        assert_eq!(client.stat(TEMPORARY.as_bytes()).await, Ok(Some(Standing { size: Some(100_000) })));
        client.put(TEMPORARY.as_bytes(), (&mut source, 100_000), true, &mut NoProgress).await.unwrap();
        assert!(server.file(TEMPORARY).unwrap() == data, "{reply}");
    }
    let server = Server::new();
    server.lock().breaks_at = Some((100_000, "hang up"));
    let mut client = server.login().await.unwrap();
    let failed =
        client.put(TEMPORARY.as_bytes(), (&mut Bytes::from(data), 0), true, &mut NoProgress).await.unwrap_err();
    assert_eq!(failed, ClientError::Closed);
}

#[tokio::test]
async fn what_has_to_stop_is_broken_off_and_the_session_goes_on() {
    struct Stop;
    #[async_trait::async_trait]
    impl Progress for Stop {
        async fn reached(&mut self, _octets: u64) -> Result<(), TransferError> {
            Err(TransferError::retry(engine::Cause::Denied, "an operator stopped it"))
        }
        async fn last_step(&mut self) -> Result<(), TransferError> {
            Ok(())
        }
    }
    let server = Server::new();
    let mut client = server.login().await.unwrap();
    let mut long = Bytes::from(pattern(30_000_000));
    let stopped = client.put(b"/in/a", (&mut long, 0), true, &mut Stop).await.unwrap_err();
    assert!(matches!(stopped, ClientError::Local(_)), "{stopped}");
    client.put(b"/in/b", (&mut Bytes::from_static(b"next"), 0), true, &mut NoProgress).await.unwrap();
    assert_eq!(server.file("/in/b").unwrap(), b"next");
}

#[tokio::test]
async fn data_connections_are_found_by_each_way() {
    // FTP-4, FTP-5
    let server = Server::new().saying("EPSV", "500 what?\r\n");
    for n in 0..2 {
        deliver(&server, &errand(), b"x").await.unwrap();
        assert_eq!(server.count("PASV"), 1, "{n}: the address of the control connection is used");
    }
    let server = Server::new().saying("EPSV", "229 closed port (|||1|)\r\n");
    deliver(&server, &errand(), b"x").await.unwrap();
    assert_eq!(server.count("PASV"), 1, "where EPSV leads nowhere");
    let server = Server::new();
    let mut client = server.login_with(ClientOptions { passive: false, ..ClientOptions::default() }).await.unwrap();
    client.put(b"/in/a", (&mut Bytes::from_static(b"active"), 0), true, &mut NoProgress).await.unwrap();
    assert_eq!((server.file("/in/a").unwrap(), server.count("PORT")), (b"active".to_vec(), 1));
    let server = Server::new().saying("EPSV", "500 no\r\n").saying("PASV", "227 passive 1,2,3\r\n");
    let failed = deliver(&server, &errand(), b"x").await.unwrap_err();
    assert!(matches!(failed, ClientError::Protocol { .. }), "{failed}");
}

#[tokio::test]
async fn what_stands_under_a_name_is_found_by_each_way() {
    for (refused, features) in [
        (&[("NOOP", "200 ok\r\n")][..], "211 none\r\n"),
        (&[("SIZE", "502 no\r\n")], "211-x\r\n MLST size*;\r\n211 End\r\n"),
        (&[("SIZE", "500 no\r\n")], "500 what?\r\n"),
    ] {
        let mut server = Server::new().with_file("/in/a b", b"12345");
        server.lock().features = features;
        for (verb, answer) in refused {
            server = server.saying(verb, answer);
        }
        let mut client = server.login().await.unwrap();
        assert_eq!(client.stat(b"/in/a b").await, Ok(Some(Standing { size: Some(5) })), "{features}");
        assert_eq!(client.stat(b"/in/none").await, Ok(None), "{features}");
    }
    let mut client = Server::new().saying("SIZE", "213 many\r\n").login().await.unwrap();
    assert_eq!(client.stat(b"x").await, Ok(Some(Standing { size: None })));
    let mut client = Server::new().saying("SIZE", "451 later\r\n").login().await.unwrap();
    assert_eq!(client.stat(b"x").await.unwrap_err().meaning(), Some(Meaning::Passing));
}

#[tokio::test]
async fn a_folder_is_looked_into() {
    for features in ["211-x\r\n MLST size*;\r\n211 End\r\n", "500 what?\r\n"] {
        let server = Server::new().with_file("/in/a b", b"1").with_file("/in/c", b"2");
        server.lock().features = features;
        let found = server.login().await.unwrap().look_into(b"/in").await.unwrap();
        assert_eq!(found, Folder { path: b"/home".to_vec(), names: vec![b"a b".to_vec(), b"c".to_vec()] });
        assert_eq!(server.count("CWD /in"), 1);
    }
    let server = Server::new().with_file("/in/x", b"");
    let options = ClientOptions { names_max: 0, ..ClientOptions::default() };
    let failed = server.login_with(options).await.unwrap().look_into(b"").await.unwrap_err();
    assert_eq!(failed, ClientError::TooMany { max: 0 });
}

#[tokio::test]
async fn no_name_becomes_a_command() {
    // FTP-24, FTP-25
    let server = Server::new();
    let mut client = server.login().await.unwrap();
    for name in ["a\r\nDELE /in/f", "a\nb", "a\0b"] {
        for failed in [
            client.stat(name.as_bytes()).await.unwrap_err(),
            client.remove(name.as_bytes()).await.unwrap_err(),
            client.rename(name.as_bytes(), b"x").await.unwrap_err(),
            client.rename(b"x", name.as_bytes()).await.unwrap_err(),
            client.put(name.as_bytes(), (&mut Bytes::new(), 0), true, &mut NoProgress).await.unwrap_err(),
        ] {
            assert!(matches!(&failed, ClientError::Local(e) if e.cause == engine::Cause::Invalid), "{failed}");
        }
    }
    assert_eq!(server.lock().log, [""; 0], "nothing was sent");
    let bad = Caller { login: "a\r\nDELE x".to_owned(), ..caller() };
    assert!(FtpClient::start(server.call().await, &bad, ClientOptions::default()).await.is_err());
    let bad = Caller { password: Some(base::Secret::new("a\nb".to_owned())), ..caller() };
    let unopened = FtpClient::start(server.call().await, &bad, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(unopened, Unopened::Unfit(_)), "{unopened}");
    assert_eq!(server.count("DELE"), 0);
}

#[tokio::test]
async fn a_login_goes_as_the_server_wants_it() {
    // FTP-1
    for (verb, answer) in [
        ("USER", "230 no password needed\r\n"),
        ("PASS", "202 superfluous\r\n"),
        ("greeting", "220-a\r\n 220 b\r\n220 c\r\n"),
        ("greeting", "120 in a minute\r\n220 ready\r\n"),
        ("FEAT", "500 no\r\n"),
        ("SYST", "502 no\r\n"),
    ] {
        let server = Server::new().saying(verb, answer);
        assert!(server.login().await.is_ok(), "{verb} {answer}");
    }
    type Check = fn(&Unopened) -> bool;
    let refused: [(&'static str, &'static str, Check); 8] = [
        ("PASS", "530 no\r\n", |e| matches!(e, Unopened::Login(_))),
        ("USER", "530 no\r\n", |e| matches!(e, Unopened::Login(_))),
        ("PASS", "332 account?\r\n", |e| matches!(e, Unopened::Unfit(_))),
        ("PASS", "421 too many\r\n", |e| matches!(e, Unopened::Lost(e) if e.text.contains("too many"))),
        ("greeting", "421 full\r\n", |e| matches!(e, Unopened::Lost(_))),
        ("greeting", "hang up", |e| matches!(e, Unopened::Lost(_))),
        ("greeting", "SSH-2.0-OpenSSH\r\n", |e| matches!(e, Unopened::Lost(e) if e.text.contains("three digits"))),
        ("TYPE", "504 no\r\n", |e| matches!(e, Unopened::Lost(_))),
    ];
    for (verb, answer, is_so) in refused {
        let unopened = Server::new().saying(verb, answer).login().await.unwrap_err();
        assert!(is_so(&unopened), "{verb} {answer}: {unopened:?}");
        assert!(!unopened.to_string().contains("sesame"), "FTP-29");
    }
    let server = Server::new().saying("PASS", "332 account?\r\n");
    let account = Some(base::Secret::new("42".to_owned()));
    let caller = Caller { account, ..caller() };
    FtpClient::start(server.call().await, &caller, ClientOptions::default()).await.unwrap();
    assert_eq!(server.count("ACCT 42"), 1);
}

#[tokio::test]
async fn replies_without_end_are_not_waited_for() {
    let long: &'static str = Box::leak(format!("220-a\r\n{}", "x\r\n".repeat(2000)).into_boxed_str());
    let wide: &'static str = Box::leak("x".repeat(10_000).into_boxed_str());
    for greeting in [long, wide] {
        let unopened = Server::new().saying("greeting", greeting).login().await.unwrap_err();
        assert!(matches!(&unopened, Unopened::Lost(e) if e.text.contains("more than")), "{unopened}");
    }
}

#[tokio::test]
async fn a_partner_that_does_not_answer_keeps_no_job_from_stopping() {
    let server = Server::new().saying("SIZE", "");
    let mut client = server.login().await.unwrap();
    client.cut_when(Box::pin(std::future::ready(())));
    assert_eq!(client.stat(b"x").await, Err(ClientError::Cut));
}

#[test]
fn what_a_server_says_that_it_can_do() {
    use crate::carriers::ftp::wire::Reply;
    let told = Reply::new(211, "Features:").line("MLST type*;size*;").line("rest stream").line("AUTH TLS").line("End");
    let offers = login::read_offers(&told);
    assert_eq!((offers.facts, offers.modify, offers.utf8), (true, false, false));
    assert_eq!(login::read_offers(&Reply::new(500, "MLST")), Offers::default());
}
