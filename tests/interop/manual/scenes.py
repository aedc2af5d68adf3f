"""What has to be there before the commands of a page can be run, and what they name that differs here.

A page that is not in `SCENES` gets a gateway with the partners ALICE and BOB. Names and places of the manual are replaced
by those of the test: folders, the port 2222, numbers of transfers, the keys that wait in quarantine.
"""

import subprocess

from peers import HOST, Key, OpenSsh, SoftHsm, free_port, listens, make_file, need, until


class Scene:
    """A gateway and a folder in which somebody follows a page."""

    begun = True

    def __init__(self, gateway, keys, folder):
        self.gateway, self.keys, self.folder = gateway, keys, folder
        self.port = free_port()
        self.places = {"2222": str(self.port), "2221": str(free_port()), "2223": str(free_port()), "2224": str(free_port()), "0.0.0.0": HOST, "/usr/local/bin": str(folder / "bin")}
        self.files()
        if self.begun:
            gateway.start()
            self.partners()
            self.prepare()

    def prepare(self):
        """What this page needs besides."""

    def files(self):
        """Files that the manual takes for granted, in the reader's folder."""
        for name, key in (("alice", "alice"), ("bob_host", "bob_host")):
            (self.folder / f"{name}.pub").write_text(self.keys(key).line + "\n")
        (self.folder / "order.xml").write_text("<order/>\n")
        (self.folder / "export.key").write_text("07" * 32 + "\n")
        (self.folder / "carol.password").write_text("s3cret\n")
        (self.folder / "bin").mkdir()

    def partners(self):
        """ALICE, who calls in, and BOB, whom we call, as the first chapter makes them."""
        run, port = self.gateway.run, str(self.port)
        run("secadm", "create_netprof", "-nprof_name", "SFTP", "-security_option", "SSH", "-dest_address", f"*/{port}",
            "-sprof_name", "SFTP_IN")
        run("listener", "add", "SFTP", "-address", HOST, "-port", port)
        for name, key in (("ALICE_KEY", "alice"), ("BOB_HOST", "bob_host")):
            run("secadm", "import_key", "-name", name, "-file_name", str(self.keys(key).public))
        run("vfdadm", "create_dir", "-dir_name", "/alice")
        run("peladm", "create_site", "-alias", "alice", "-check_login_ident", "alice")
        run("peladm", "create_cgategroup", "-name", "PARTNERS")
        run("peladm", "create_cgate", "-name", "ALICE", "-cgategroup", "PARTNERS", "-login_user", "alice", "-home_dir", "/alice",
            "-root_dir", "/alice", "-vfd_right", "/alice:*:RWD:LCR:Y", "-remote_public_key_alias", "ALICE_KEY", "-settle_s", "0")
        run("peladm", "create_site", "-alias", "bob", "-dest_address", f"{HOST}/{free_port()}", "-login_ident", "gateway",
            "-local_private_key_alias", "GATEHOUSE_SSH", "-remote_public_key_alias", "BOB_HOST")
        until("the gateway listens", lambda: listens(self.port))

    def words(self, words):
        """A command of the manual with the names and places of this test."""
        for theirs, ours in self.places.items():
            words = [word.replace(theirs, ours) for word in words]
        return words

    def sftp(self, words, lines):
        """An sftp session of the manual: by its login, whose key has the same name."""
        login = words[-1].split("@")[0]
        until("the gateway listens", lambda: listens(self.port))
        client = OpenSsh(self.folder / "home", self.port, login, self.keys(login))
        client.folder = self.folder
        return client.sftp(*lines, "ls")


class Start(Scene):
    """The first chapter begins with nothing."""

    begun = False


class Keys(Scene):
    def prepare(self):
        """Two keys that strangers to the gateway proved to hold; the manual's own name is free."""
        run = self.gateway.run
        run("peladm", "update_cgate", "-name", "ALICE", "-remote_public_key_alias", "")
        run("secadm", "delete_key", "ALICE_KEY", "-force")
        run("secadm", "update_sshprof", "-sshprof_name", "SFTP_IN", "-remote_key_import", "Y")
        for name in ("unknown1", "unknown2"):
            OpenSsh(self.folder / name, self.port, "alice", self.keys(name)).sftp("ls", check=False)
        self.waiting = [row["Name"] for row in self.gateway.quarantine()]

    def words(self, words):
        one = self.waiting[-1] if "reject" in words else self.waiting[0]
        return [one if word == "KEY" else word for word in super().words(words)]


class Routing(Scene):
    def prepare(self):
        """A file of ALICE that went nowhere, number 16 of the manual, and a delivery to BOB, its number 17."""
        gateway = self.gateway
        self.put("inv6.xml")
        until("it went nowhere", lambda: self.received("inv6.xml")["Route"] == "not routed")
        gateway.run("route", "add", "EVERYTHING", "-from_site", "alice", "-to", "bob")
        self.put("inv7.xml")
        until("the file has a delivery", lambda: gateway.deliveries("inv7.xml"))
        self.numbers = {"17": gateway.deliveries("inv7.xml")[0]["Ident"], "16": self.received("inv6.xml")["Ident"]}
        until("it was tried", lambda: gateway.reason("inv7.xml", "connect"))

    def put(self, name):
        sent = make_file(self.folder / name, 1000)
        OpenSsh(self.folder / "home", self.port, "alice", self.keys("alice")).sftp(f"put {sent} {name}")

    def received(self, name):
        return self.gateway.transfers("-direction", "I", "-file_name", name)[0]

    def words(self, words):
        words = [str(self.numbers.get(word, word)) for word in super().words(words)]
        # The path is one that the gateway sees, which has another working folder.
        return [str(self.folder / word) if word == "order.xml" else word for word in words]


class FtpClient(Scene):
    def prepare(self):
        """The certificate of a partner's authority, and the password that it gave us."""
        words = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "900", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "partner.cer"]
        subprocess.run([need("openssl"), *words], cwd=self.folder, check=True, capture_output=True, timeout=60)
        (self.folder / "dave.password").write_text("open sesame\n")
        (self.folder / "proxy.password").write_text("way out\n")


class Care(Scene):
    def prepare(self):
        sent = make_file(self.folder / "a.bin", 50_000)
        OpenSsh(self.folder / "home", self.port, "alice", self.keys("alice")).sftp(f"put {sent} a.bin")
        for name in ("backup", "safe", "credentials"):
            (self.folder / name).mkdir()
        for name in ("credentials/gatehouse.passphrase", "safe/words"):
            (self.folder / name).write_text("four words in a row\n")
        self.places |= {"/backup/": f"{self.folder}/backup/", "/safe/": f"{self.folder}/safe/"}
        self.places |= {"/var/lib/gatehouse": str(self.folder / "restored")}

    def words(self, words):
        if words[1:3] == ["backup", "escrow"]:
            # The manual shows two ways to make the same file.
            (self.folder / "safe" / "gatehouse.escrow").unlink(missing_ok=True)
        return super().words(words)


class Certificates(Scene):
    """Files as an authority and a partner send them, made by openssl."""

    def prepare(self):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "900", "-subj", "/C=RO/O=Example/CN=ca",
                     "-keyout", "ca.key", "-out", "ca.pem")
        for name in ("partner", "ours", "boxed"):
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "900", "-subj", f"/CN={name}", "-keyout",
                         f"{name}.clear", "-out", f"{name}.cer")
        self.openssl("pkcs8", "-topk8", "-in", "ours.clear", "-passout", "file:password", "-outform", "DER", "-out", "ours.key")
        self.openssl("pkcs12", "-export", "-in", "boxed.cer", "-inkey", "boxed.clear", "-passout", "file:password", "-out", "ours.p12")
        (self.folder / "index").write_text("")
        (self.folder / "ca.conf").write_text(
            "[ca]\ndefault_ca = one\n[one]\ndatabase = index\ndefault_md = sha256\ndefault_crl_days = 30\ncrl_extensions = more\n"
            "[more]\nauthorityKeyIdentifier = keyid:always\n"
        )
        self.openssl("ca", "-gencrl", "-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem", "-out", "ca.crl")

    def files(self):
        super().files()
        # This page makes its own.
        (self.folder / "export.key").unlink()
        (self.folder / "password").write_text("four words in a row\n")

    def openssl(self, *words):
        program = need("openssl")
        subprocess.run([program, *words], cwd=self.folder, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)

    def words(self, words):
        """The manual calls three certificates OURS, and asks for passwords."""
        words = super().words(words)
        if "import_reply" in words:
            self.openssl("x509", "-req", "-in", "ours.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "365",
                         "-out", "reply.cer")
            self.openssl("crl2pkcs7", "-nocrl", "-certfile", "reply.cer", "-out", "reply.p7b")
        names = {"ours.p12": "OURS_BOXED", "ours.cer": "OURS_BESIDE"} if "import_cert" in words else {"": ""}
        own = next((name for file, name in names.items() if file in words), None)
        words = [own if own and word == "OURS" else word for word in words]
        if "delete_cert" in words:
            # What follows still shows it.
            words = ["PARTNER_X" if word == "OURS" else word for word in words]
        if "CR_PKCS8" in words:
            words += ["-private_key_password_from_file", "password"]
        elif "ours.p12" in words:
            words += ["-certificate_password_from_file", "password"]
        elif "pelencpass" in words:
            words += ["-encrypt_input_string_from_file", "password"]
            words += ["-password_to_encrypt_from_file", "password"] if "encrypt_pass" in words else []
        return words


class Tokens(Scene):
    """A token with the keys that the page makes by other tools, and the settings that it shows."""

    def files(self):
        super().files()
        hsm = SoftHsm(self.folder / "hsm")
        for number, label in enumerate(("made-elsewhere", "as2")):
            hsm.pair(label, ident=f"0{number}")
        hsm.tool("--keygen", "--key-type", "AES:32", "--label", "gatehouse-master", "--sensitive")
        self.gateway.variables = hsm.variables
        with (self.gateway.data / "gatehouse.toml").open("a") as settings:
            settings.write(hsm.settings(f'[master_key]\ntoken_key = "{hsm.uri("gatehouse-master")}"\n'))


SCENES = {
    "tokens.md": Tokens,
    "certificates.md": Certificates,
    "start.md": Start,
    "keys.md": Keys,
    "sftp-client.md": Routing,
    "ftp-client.md": FtpClient,
    "care.md": Care,
}
