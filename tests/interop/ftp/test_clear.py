"""FTP in clear: Python's ftplib, curl and lftp as partners, and what goes wrong on the way."""

import concurrent.futures
import ftplib
import hashlib
import io
import socket
import subprocess

import pytest

from peers import HOST, free_port, make_file, need, sha256, until

PASSWORD = "s3cret"


@pytest.fixture
def partner(shared, request):
    """A login of its own for each test, and the port to call."""
    login = request.node.name.split("[")[0].removeprefix("test_").replace("_", "")[:20]
    port = shared.ftp_port()
    shared.ftp_partner(login, PASSWORD)
    return login, port


def connect(partner):
    login, port = partner
    ftp = ftplib.FTP()
    ftp.connect(HOST, port, timeout=30)
    ftp.login(login, PASSWORD)
    return ftp


def digest(data):
    return hashlib.sha256(data).hexdigest()


def curl(partner, *words, limit=60):
    login, _ = partner
    command = [need("curl"), "--silent", "--show-error", "--user", f"{login}:{PASSWORD}", *words]
    return subprocess.run(command, capture_output=True, timeout=limit, stdin=subprocess.DEVNULL)


def lftp(partner, folder, *commands, limit=120):
    login, port = partner
    lines = [
        "set net:max-retries 1", "set net:timeout 20", "set cmd:fail-exit yes", "set ftp:ssl-allow no",
        f"open -u {login},{PASSWORD} -p {port} ftp://{HOST}", *commands,
    ]
    done = subprocess.run(
        [need("lftp"), "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=limit, cwd=folder,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("passive", [True, False])
def test_ftplib_puts_lists_and_gets(shared, partner, passive):
    # FTP-4, FTP-9
    data = bytes(range(256)) * 8000
    name = f"file-{passive}.bin"
    with connect(partner) as ftp:
        ftp.set_pasv(passive)
        assert ftp.storbinary(f"STOR {name}", io.BytesIO(data)).startswith("226")
        assert shared.received(partner[0], name)["sha256"] == digest(data)
        assert name in ftp.nlst()
        assert any(line.endswith(name) for line in listed(ftp))
        facts = dict(ftp.mlsd())[name]
        assert (facts["type"], facts["size"]) == ("file", str(len(data)))
        ftp.voidcmd("TYPE I")
        assert ftp.size(name) == len(data)
        assert digest(data) in ftp.sendcmd(f"HASH {name}")
        got = io.BytesIO()
        ftp.retrbinary(f"RETR {name}", got.write)
        assert got.getvalue() == data


def listed(ftp):
    lines = []
    ftp.retrlines("LIST", lines.append)
    return lines


def test_lines_are_converted(shared, partner):
    # FTP-2
    with connect(partner) as ftp:
        ftp.storlines("STOR text.txt", io.BytesIO(b"one\r\ntwo\r\n"))
        assert shared.received(partner[0], "text.txt")["sha256"] == digest(b"one\ntwo\n")
        lines = []
        ftp.retrlines("RETR text.txt", lines.append)
        assert lines == ["one", "two"]


def test_folders_names_and_times(partner):
    # FTP-9
    with connect(partner) as ftp:
        ftp.storbinary("STOR a.part", io.BytesIO(b"1"))
        ftp.rename("a.part", "é ü.txt")
        assert ftp.nlst() == ["é ü.txt"]
        assert ftp.sendcmd("MFMT 20260102030405 é ü.txt").startswith("213")
        assert ftp.sendcmd("MDTM é ü.txt") == "213 20260102030405"
        ftp.delete("é ü.txt")
        assert ftp.nlst() == []
        with pytest.raises(ftplib.error_perm, match="550"):
            ftp.cwd("nowhere")
        assert ftp.pwd() == "/"


def test_restart_of_both_directions(shared, partner):
    # FTP-13
    data = bytes(range(256)) * 20_000
    login, _ = partner
    with connect(partner) as ftp:
        ftp.voidcmd("TYPE I")
        stream = ftp.transfercmd("STOR file.bin")
        stream.sendall(data[:3_000_000])
        ftp.putcmd("STAT")
        assert ftp.getresp().startswith("213")
        # The octets that are on their way are waited for, so that there is something to go on from.
        until("most has arrived", lambda: shared.staged_octets() > 2_000_000)
        ftp.abort()
        stream.close()
        ftp.voidresp()
        at = ftp.size("file.bin")
        assert 0 < at <= 3_000_000
        ftp.storbinary("STOR file.bin", io.BytesIO(data[at:]), rest=at)
        assert shared.received(login, "file.bin")["sha256"] == digest(data)
        got = io.BytesIO()
        ftp.retrbinary("RETR file.bin", got.write, rest=2_000_000)
        assert got.getvalue() == data[2_000_000:]


def test_an_upload_that_is_cut_is_not_received(shared, partner):
    # spec 3.3: no 226, no routing; the rest goes on by APPE
    login, _ = partner
    ftp = connect(partner)
    ftp.voidcmd("TYPE I")
    stream = ftp.transfercmd("STOR cut.bin")
    stream.sendall(b"a" * 1_000_000)
    until("something has arrived", lambda: shared.staged_octets() > 500_000)
    ftp.close()
    stream.close()
    until("it is interrupted", lambda: any(row["State"] == "interrupted" for row in shared.transfers("-file_name", "cut.bin")))
    assert shared.received(login, "cut.bin", wanted=False) is None
    with connect(partner) as again:
        again.voidcmd("TYPE I")
        at = again.size("cut.bin")
        assert at > 0
        again.storbinary("APPE cut.bin", io.BytesIO(b"b" * 10))
        assert shared.received(login, "cut.bin")["size"] == at + 10


def test_a_reset_of_the_data_connection(shared, partner):
    with connect(partner) as ftp:
        ftp.voidcmd("TYPE I")
        stream = ftp.transfercmd("STOR reset.bin")
        stream.sendall(b"a" * 100_000)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.close()
        with pytest.raises(ftplib.error_temp, match="426"):
            ftp.voidresp()
        assert ftp.voidcmd("NOOP").startswith("200")
    assert shared.received(partner[0], "reset.bin", wanted=False) is None


def test_a_file_at_disposal_stays_until_it_was_read_whole(shared, partner, tmp_path):
    login, _ = partner
    offered = tmp_path / "goes.bin"
    offered.write_bytes(b"x" * 5_000_000)
    shared.run("peltrans", "-dest_alias", login, "-fc", str(offered), "-mode", "R", "-dir_name", f"/{login}")
    with connect(partner) as ftp:
        until("it is there", lambda: "goes.bin" in ftp.nlst())
        ftp.voidcmd("TYPE I")
        stream = ftp.transfercmd("RETR goes.bin")
        stream.recv(1000)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.close()
        with pytest.raises(ftplib.error_temp, match="426"):
            ftp.voidresp()
        assert "goes.bin" in ftp.nlst(), "it was not read whole"
        got = io.BytesIO()
        ftp.retrbinary("RETR goes.bin", got.write)
        assert got.getvalue() == b"x" * 5_000_000
        assert "goes.bin" not in ftp.nlst()
    assert [row["State"] for row in shared.deliveries("goes.bin")] == ["ended"]


def test_wrong_logins(shared, partner):
    # FTP-1, FTP-29
    login, port = partner
    answers = set()
    for name in (login, "nobody"):
        ftp = ftplib.FTP()
        ftp.connect(HOST, port, timeout=30)
        with pytest.raises(ftplib.error_perm, match="530") as refused:
            ftp.login(name, "wr0ng-passw0rd")
        answers.add(str(refused.value))
        ftp.close()
    assert len(answers) == 1
    assert "wr0ng-passw0rd" not in shared.log() and PASSWORD not in shared.log()


def test_curl(shared, partner, tmp_path):
    login, port = partner
    sent = make_file(tmp_path / "sent.bin", 2_000_000)
    url = f"ftp://{HOST}:{port}/"
    done = curl(partner, "--upload-file", str(sent), f"{url}file.bin")
    assert done.returncode == 0, done.stderr
    assert shared.received(login, "file.bin")["sha256"] == sha256(sent)
    for words in ([], ["--disable-epsv"], ["--ftp-port", "-"], ["--ftp-port", "-", "--disable-eprt"]):
        back = tmp_path / "back.bin"
        done = curl(partner, *words, "--output", str(back), f"{url}file.bin")
        assert done.returncode == 0, done.stderr
        assert sha256(back) == sha256(sent)
        back.unlink()
    assert b"file.bin" in curl(partner, url).stdout
    part = tmp_path / "part.bin"
    part.write_bytes(sent.read_bytes()[:700_000])
    done = curl(partner, "--continue-at", "-", "--output", str(part), f"{url}file.bin")
    assert done.returncode == 0 and sha256(part) == sha256(sent), done.stderr
    assert curl(partner, "--head", f"{url}file.bin").stdout.count(b"Content-Length: 2000000") == 1


def test_lftp(shared, partner, tmp_path):
    login, _ = partner
    folder = tmp_path / "many"
    folder.mkdir()
    sent = {f"f{i:02}.bin": sha256(make_file(folder / f"f{i:02}.bin", 1000 * i)) for i in range(30)}
    lftp(partner, tmp_path, f"mirror -R -P 4 --no-perms {folder} .")
    assert {name: shared.received(login, name)["sha256"] for name in sent} == sent
    listing = lftp(partner, tmp_path, "cls -1", f"get f07.bin -o {tmp_path}/back.bin", "mv f08.bin g.bin", "rm f09.bin")
    assert "f07.bin" in listing
    assert sha256(tmp_path / "back.bin") == sent["f07.bin"]


def test_a_hundred_uploads_at_once(shared, partner):
    login, _ = partner

    def upload(n):
        with connect(partner) as ftp:
            return ftp.storbinary(f"STOR many-{n:03}.bin", io.BytesIO(bytes([n]) * (1000 * n)))

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(upload, range(100)))
    assert all(answer.startswith("226") for answer in answers)
    for n in (0, 1, 50, 99):
        assert shared.received(login, f"many-{n:03}.bin")["sha256"] == digest(bytes([n]) * (1000 * n))


def test_the_range_of_ports_runs_out(fresh):
    # FTP-4
    first = free_port()
    port = fresh.ftp_port(extra=["-passive_ports", f"{first}:{first}", "-external_address", "198.51.100.0/24=198.51.100.1"])
    fresh.ftp_partner("ranger", PASSWORD)
    with connect(("ranger", port)) as one, connect(("ranger", port)) as other:
        assert f"({HOST.replace('.', ',')},{first >> 8},{first & 255})" in one.sendcmd("PASV")
        with pytest.raises(ftplib.error_temp, match="425"):
            other.sendcmd("PASV")
        one.voidcmd("TYPE I")
        one.sendcmd("PASV")
        stream = socket.create_connection((HOST, first))
        one.putcmd("STOR a")
        assert one.getresp().startswith("150")
        # The connection stands, so the port is free for the next.
        assert other.sendcmd("PASV").startswith("227")
        stream.close()
        assert one.voidresp().startswith("226")
    fresh.run("listener", "update", "FTP_CLEAR", "-external_address", "203.0.113.5")
    with connect(("ranger", port)) as ftp:
        assert "(203,0,113,5," in ftp.sendcmd("PASV")


def test_garbage_and_other_protocols(shared, partner):
    for octets in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50, b"\0" * 10_000, b"\xff" * 10_000):
        with socket.create_connection((HOST, partner[1]), timeout=30) as stream:
            assert stream.recv(100).startswith(b"220")
            try:
                stream.sendall(octets)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(4096):
                    pass
            except TimeoutError:
                raise
            except OSError:
                # Reset, or gone before our end was said.
                pass
    with connect(partner) as ftp:
        assert ftp.voidcmd("NOOP").startswith("200")


def test_a_killed_gateway_has_what_it_acknowledged(fresh):
    port = fresh.ftp_port()
    fresh.ftp_partner("killed", PASSWORD)
    ftp = connect(("killed", port))
    done = b"whole" * 100_000
    assert ftp.storbinary("STOR whole.bin", io.BytesIO(done)).startswith("226")
    ftp.voidcmd("TYPE I")
    stream = ftp.transfercmd("STOR part.bin")
    part = b"p" * 60_000_000

    def part_is_durable():
        rows = fresh.transfers("-file_name", "part.bin")
        return any(fresh.display(row["Ident"])["durable"] for row in rows)

    until("some of it is recorded", lambda: stream.sendall(part[:1_000_000]) or part_is_durable())
    fresh.kill()
    ftp.close()
    stream.close()
    fresh.start()
    assert fresh.received("killed", "whole.bin")["sha256"] == digest(done)
    assert fresh.received("killed", "part.bin", wanted=False) is None
    with connect(("killed", port)) as again:
        again.voidcmd("TYPE I")
        at = again.size("part.bin")
        assert at > 0
        again.storbinary("STOR part.bin", io.BytesIO(part[at:]), rest=at)
    assert fresh.received("killed", "part.bin")["sha256"] == digest(part)


def test_without_a_network_profile_nothing_is_said(fresh):
    # NET-13: closed by default
    port = free_port()
    fresh.run("listener", "add", "BARE", "-address", HOST, "-port", str(port), "-protocol", "FTP")
    until("the gateway listens", lambda: socket.create_connection((HOST, port), timeout=5))
    with socket.create_connection((HOST, port), timeout=30) as stream:
        assert stream.recv(100) == b""
