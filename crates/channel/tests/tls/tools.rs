//! The same with OpenSSL and GnuTLS, as other programs use them.

use std::path::PathBuf;
use std::process::Stdio;

use channel::{Link, TlsClient, TlsRefusal, TlsServer};
use rcgen::CustomExtension;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::house::{HOST, WAIT, World, client_profile, lasting, server_profile, wanted_client};
use crate::made::{Made, make, wanted_authority};

/// Files that other programs read.
struct Files(tempfile::TempDir);

impl Files {
    fn of(world: &World) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put("root.pem", &[&world.root]);
        files
    }

    /// Writes a file of certificates, and the key of the first beside it as `.key`.
    fn put(&self, name: &str, chain: &[&Made]) -> PathBuf {
        let path = self.path(name);
        let pem: String = chain.iter().map(|made| keys::pem("CERTIFICATE", made.certificate.der())).collect();
        std::fs::write(&path, pem).unwrap();
        std::fs::write(path.with_extension("key"), keys::pem("PRIVATE KEY", &chain[0].key.serialize_der())).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A caller, and what our server made of it; where it was let in, it was greeted.
struct Call {
    link: Result<Link, TlsRefusal>,
    said: String,
}

/// Has a program call our server; `at` in its arguments stands for the address.
async fn call(server: &TlsServer, (name, args): (&str, &[&str]), control: Option<&Link>) -> Call {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let args: Vec<String> =
        args.iter().map(|arg| arg.replace("{at}", &format!("127.0.0.1:{port}")).replace("{port}", &port)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let child = program(name, &args).spawn().unwrap_or_else(|e| panic!("{name}: {e}: run cargo xtask setup"));
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let secured = Link::clear(stream).unwrap().secure(server, control.and_then(Link::tls)).await;
        match secured {
            Ok(mut link) => {
                link.write_all(b"greetings\n").await.unwrap();
                link.finish().await.unwrap();
                Ok(link)
            }
            refused => refused,
        }
    };
    let (link, said) = timeout(WAIT, async { tokio::join!(serve, output(child)) }).await.unwrap();
    Call { link, said }
}

/// Everything it says, its input closed only when it has ended or said enough.
async fn output(mut child: Child) -> String {
    let input = child.stdin.take();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut said, mut warned) = (Vec::new(), Vec::new());
    let (a, b) = tokio::join!(out.read_to_end(&mut said), err.read_to_end(&mut warned));
    a.unwrap();
    b.unwrap();
    drop(input);
    child.wait().await.unwrap();
    said.extend(warned);
    String::from_utf8_lossy(&said).into_owned()
}

fn s_client<'a>(root: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = [
        "s_client",
        "-connect",
        "{at}",
        "-CAfile",
        root,
        "-verify_return_error",
        "-verify_hostname",
        HOST,
        "-servername",
        HOST,
    ];
    [base.as_slice(), more].concat()
}

#[tokio::test]
async fn openssl_calls_with_each_version_and_suite() {
    let world = World::new();
    let files = Files::of(&world);
    let root = files.text("root.pem");
    let suites = "TLS_AES_256_GCM_SHA384 TLS_AES_128_GCM_SHA256 TLS_CHACHA20_POLY1305_SHA256 \
                  ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 \
                  ECDHE_RSA_WITH_AES_256_GCM_SHA384 ECDHE_RSA_WITH_AES_128_GCM_SHA256 \
                  ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    let server = world.server(&server_profile(&[("cipher_suites", suites)]));
    for (version, option, theirs, ours) in [
        ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
        ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ] {
        let call = call(&server, ("openssl", &s_client(&root, &[version, option, theirs])), None).await;
        let link = call.link.unwrap_or_else(|refused| panic!("{theirs}: {refused}\n{}", call.said));
        assert_eq!(link.tls().unwrap().suite(), ours);
        assert!(call.said.contains("greetings") && call.said.contains("Verify return code: 0"), "{}", call.said);
        // TLS-43, RFC 5746
        assert!(version == "-tls1_3" || call.said.contains("Secure Renegotiation IS supported"), "{}", call.said);
    }
}

#[tokio::test] // TLS-35, TLS-36
async fn openssl_with_old_versions_is_refused_with_what_to_do() {
    let world = World::new();
    let files = Files::of(&world);
    let root = files.text("root.pem");
    let server = world.server(&server_profile(&[]));
    for (args, expected) in [
        (
            ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
            "speaks no TLS version of profile TEST, which has TLSv13, TLSv12",
        ),
        (["-tls1_2", "-cipher", "AES128-SHA:DHE-RSA-AES128-GCM-SHA256"], "none of our certificates can be shown"),
        (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "none of our certificates can be shown"),
    ] {
        let call = call(&server, ("openssl", &s_client(&root, &args)), None).await;
        let refused = call.link.map(|link| format!("{link:?}")).unwrap_err().to_string();
        assert!(refused.contains(expected), "{args:?}: {refused}");
    }
}

#[tokio::test] // TLS-9, TLS-16
async fn openssl_shows_certificates() {
    let world = World::new();
    let files = Files::of(&world);
    let root = files.text("root.pem");
    // Nine authorities whose certificates are large: some 60 KB behind the client's own.
    let mut above = vec![];
    for n in 0..9 {
        let mut params = lasting(wanted_authority(&format!("Authority {n}")));
        params.custom_extensions.push(CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 99999, 1],
            vec![4, 0x82, 0x19, 0x00].into_iter().chain(vec![7; 0x1900]).collect(),
        ));
        let issuer = above.last().unwrap_or(&world.root);
        let made = make(params, Some(issuer));
        above.push(made);
    }
    let long = make(lasting(wanted_client("long")), above.last());
    let mut old = wanted_client("old");
    old.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let old = make(old, Some(&world.root));
    let alone = make(lasting(wanted_client("alone")), None);
    files.put("client.pem", &[&world.client]);
    files.put("old.pem", &[&old]);
    files.put("alone.pem", &[&alone]);
    files.put("long.pem", &[&long]);
    files.put("above.pem", &above.iter().rev().collect::<Vec<_>>());
    let fields = [("client_auth_policy", "MANDATORY"), ("path_depth", "15"), ("accepted_authorities", "ROOT")];
    let server = world.server(&server_profile(&fields));
    for version in ["-tls1_2", "-tls1_3"] {
        for (name, chain, expected) in [
            ("client", None, Ok(2)),
            ("long", Some("above.pem"), Ok(11)),
            ("old", None, Err("it expired on 2026-02-01")),
            ("alone", None, Err("this root is not in the store")),
        ] {
            let (cert, key) = (files.text(&format!("{name}.pem")), files.text(&format!("{name}.key")));
            let chain = chain.map(|chain| files.text(chain));
            let mut more = vec![version, "-cert", &cert, "-key", &key];
            more.extend(chain.iter().flat_map(|chain| ["-cert_chain", chain.as_str()]));
            let call = call(&server, ("openssl", &s_client(&root, &more)), None).await;
            match (call.link, expected) {
                (Ok(link), Ok(steps)) => {
                    assert_eq!(link.tls().unwrap().peer().unwrap().path().steps().len(), steps);
                    assert!(
                        call.said.contains("Acceptable client certificate CA names\nO = Example, CN = Root"),
                        "{}",
                        call.said
                    );
                }
                (Err(refused), Err(text)) => assert!(refused.to_string().contains(text), "{name}: {refused}"),
                (link, expected) => panic!("{version} {name}: {link:?}, expected {expected:?}\n{}", call.said),
            }
        }
    }
}

#[tokio::test] // TLS-22: as Python's ftplib does, one ticket serves several data connections
async fn openssl_resumes_on_data_connections() {
    let world = World::new();
    let files = Files::of(&world);
    let (root, session) = (files.text("root.pem"), files.text("session"));
    let server = world.server(&server_profile(&[("ft_data_reuse", "Y")]));
    for version in ["-tls1_2", "-tls1_3"] {
        let args = s_client(&root, &[version, "-sess_out", &session]);
        let control = call(&server, ("openssl", &args), None).await.link.unwrap();
        let again = s_client(&root, &[version, "-sess_in", &session]);
        for _ in 0..3 {
            let data = call(&server, ("openssl", &again), Some(&control)).await;
            assert!(data.link.unwrap().tls().unwrap().resumed(), "{version}");
            assert!(data.said.contains("Reused, TLSv1.") && data.said.contains("greetings"), "{}", data.said);
        }
        let fresh = call(&server, ("openssl", &s_client(&root, &[version])), Some(&control)).await;
        assert!(matches!(fresh.link, Err(TlsRefusal::NotResumed { .. })), "{version}");
    }
}

#[tokio::test] // RFC 8446 section 4.6.3: on a data connection, where records are ours
async fn openssl_changes_its_keys_in_mid_transfer() {
    let world = World::new();
    let files = Files::of(&world);
    let root = files.text("root.pem");
    let server = world.server(&server_profile(&[]));
    let control = call(&server, ("openssl", &s_client(&root, &["-tls1_3"])), None).await.link.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let args: Vec<String> = s_client(&root, &["-tls1_3"]).iter().map(|arg| arg.replace("{at}", &at)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child = program("openssl", &args).spawn().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut link = Link::clear(stream).unwrap().secure(&server, control.tls()).await.unwrap();
        let mut heard = [0; 512];
        loop {
            match link.read(&mut heard).await.unwrap() {
                0 => return link.finish().await.unwrap(),
                octets => link.write_all(&[b"heard ", &heard[..octets]].concat()).await.unwrap(),
            }
            link.flush().await.unwrap();
        }
    };
    let (mut input, out) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let (mut told, mut warned) = (out.lines(), BufReader::new(child.stderr.take().unwrap()).lines());
    let talk = async {
        // K asks us for new keys, too.
        for (line, change) in [("one", "k"), ("two", "K"), ("three", "K"), ("four", "k"), ("five", "")] {
            input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            while !told.next_line().await.unwrap().unwrap().contains(&format!("heard {line}")) {}
            if !change.is_empty() {
                input.write_all(format!("{change}\n").as_bytes()).await.unwrap();
                while !warned.next_line().await.unwrap().unwrap().contains("KEYUPDATE") {}
            }
        }
        input.write_all(b"Q\n").await.unwrap();
        child.wait().await.unwrap();
    };
    timeout(WAIT, async { tokio::join!(serve, talk) }).await.unwrap();
}

#[tokio::test]
async fn gnutls_calls() {
    let world = World::new();
    let files = Files::of(&world);
    files.put("client.pem", &[&world.client]);
    let (root, cert, key) = (files.text("root.pem"), files.text("client.pem"), files.text("client.key"));
    let server = world.server(&server_profile(&[("client_auth_policy", "MANDATORY")]));
    for (version, name) in [("+VERS-TLS1.2", "TLSv12"), ("+VERS-TLS1.3", "TLSv13")] {
        let priority = format!("NORMAL:-VERS-ALL:{version}");
        let args = [
            "--x509cafile",
            root.as_str(),
            "--x509certfile",
            &cert,
            "--x509keyfile",
            &key,
            "--priority",
            &priority,
            "--verify-hostname",
            HOST,
            "--sni-hostname",
            HOST,
            "--port",
            "{port}",
            "127.0.0.1",
        ];
        let call = call(&server, ("gnutls-cli", &args), None).await;
        let link = call.link.unwrap_or_else(|refused| panic!("{name}: {refused}\n{}", call.said));
        let agreed = link.tls().unwrap();
        assert_eq!((agreed.version().as_str(), agreed.peer().unwrap().alias()), (name, Some("CLIENT")));
        assert!(call.said.contains("greetings") && call.said.contains("Handshake was completed"), "{}", call.said);
    }
}

/// `openssl s_server`, which sends each line back with its letters in reverse order.
struct Server {
    _child: Child,
    at: String,
}

impl Server {
    async fn start(args: &[&str]) -> Self {
        let base = ["s_server", "-accept", "127.0.0.1:0", "-rev"];
        let mut child = program("openssl", &[base.as_slice(), args].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let at = timeout(WAIT, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("s_server says where it listens");
                if let Some(at) = line.strip_prefix("ACCEPT ") {
                    return at.to_owned();
                }
            }
        });
        let at = at.await.unwrap();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, at }
    }

    async fn call(&self, client: &TlsClient, control: Option<&Link>) -> Result<Link, String> {
        let link = Link::clear(TcpStream::connect(&self.at).await.unwrap()).unwrap();
        let link = link.call_secure(client, HOST, control.and_then(Link::tls)).await;
        let mut link = link.map_err(|refused| refused.to_string())?;
        let told = timeout(WAIT, async {
            link.write_all(b"hello\n").await?;
            let mut answer = [0; 6];
            link.read_exact(&mut answer).await?;
            assert_eq!(&answer, b"olleh\n");
            Ok::<(), std::io::Error>(())
        });
        told.await.unwrap().map_err(|e| e.to_string())?;
        Ok(link)
    }
}

#[tokio::test] // both versions, client authentication, resumption on data connections
async fn openssl_is_called() {
    let world = World::new();
    let files = Files::of(&world);
    files.put("server.pem", &[&world.server]);
    let (root, cert, key) = (files.text("root.pem"), files.text("server.pem"), files.text("server.key"));
    for (version, option) in [("TLSv12", "-tls1_2"), ("TLSv13", "-tls1_3")] {
        let plain = Server::start(&["-cert", &cert, "-key", &key, option]).await;
        let client = world.client(&client_profile(&[("client_auth_policy", "MANDATORY")]));
        let control = plain.call(&client, None).await.unwrap();
        assert_eq!(control.tls().unwrap().version().as_str(), version);
        assert_eq!(control.tls().unwrap().own_certificate(), None, "it was not asked for one");
        drop(control);

        let strict = Server::start(&[
            "-cert",
            &cert,
            "-key",
            &key,
            option,
            "-Verify",
            "1",
            "-CAfile",
            &root,
            "-verify_return_error",
        ])
        .await;
        let control = strict.call(&client, None).await.unwrap();
        assert_eq!(control.tls().unwrap().own_certificate(), Some("CLIENT"));
        let tickets = control;
        // s_server serves one connection at a time.
        let session = tickets.tls().unwrap().clone();
        drop(tickets);
        let link = Link::clear(TcpStream::connect(&strict.at).await.unwrap()).unwrap();
        let data = link.call_secure(&client, HOST, Some(&session)).await.unwrap();
        assert!(data.tls().unwrap().resumed() && data.tls().unwrap().client_authenticated(), "{version}");

        let nobody = world.client(&client_profile(&[]));
        let strict = Server::start(&[
            "-cert",
            &cert,
            "-key",
            &key,
            option,
            "-Verify",
            "1",
            "-CAfile",
            &root,
            "-verify_return_error",
        ])
        .await;
        let refused = strict.call(&nobody, None).await.map(|_| ()).unwrap_err();
        assert!(
            refused.contains("HandshakeFailure") || refused.contains("CertificateRequired"),
            "{version}: {refused}"
        );
    }
}

#[tokio::test]
async fn openssl_with_bad_certificates_is_refused() {
    let world = World::new();
    let files = Files::of(&world);
    let mut old = crate::made::wanted_server(HOST);
    old.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let old = make(old, Some(&world.root));
    let alone = make(lasting(crate::made::wanted_server(HOST)), None);
    let other = make(lasting(crate::made::wanted_server("other.example.com")), Some(&world.root));
    let client = world.client(&client_profile(&[]));
    for (made, text) in [
        (&old, "it expired on 2026-02-01"),
        (&alone, "this root is not in the store"),
        (&other, "the certificate is not for gateway.example.com"),
    ] {
        files.put("bad.pem", &[made]);
        let server = Server::start(&["-cert", &files.text("bad.pem"), "-key", &files.text("bad.key")]).await;
        let refused = server.call(&client, None).await.map(|_| ()).unwrap_err();
        assert!(refused.contains(text), "{refused}");
    }
    files.put("old.pem", &[&world.server]);
    let server = Server::start(&[
        "-cert",
        &files.text("old.pem"),
        "-key",
        &files.text("old.key"),
        "-tls1_1",
        "-cipher",
        "ALL@SECLEVEL=0",
    ])
    .await;
    let refused = server.call(&client, None).await.map(|_| ()).unwrap_err();
    assert!(refused.contains("ProtocolVersion") || refused.contains("no TLS version"), "{refused}");
}
