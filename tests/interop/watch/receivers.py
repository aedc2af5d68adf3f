"""Ends that are told of events: web servers that check signatures on their own, and a mail server."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from peers import HOST, need

# How far the clock of a sender may be away, as the Standard Webhooks libraries have it.
TOLERANCE_S = 300


def certificate(folder, name="localhost"):
    """A self-signed certificate for a name and its key; both PEM."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    if not cert.exists():
        names = f"subjectAltName=DNS:{name},IP:{HOST}"
        words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        words += ["-keyout", str(key), "-out", str(cert), "-subj", f"/CN={name}", "-addext", names]
        words += ["-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run([need("openssl"), *words], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return key, cert


def verified(secret, headers, body):
    """Whether one of the signatures is that of this secret, as the Standard Webhooks specification says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    at = headers["webhook-timestamp"]
    assert abs(time.time() - int(at)) < TOLERANCE_S
    signed = f"{headers['webhook-id']}.{at}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(text, wanted) for version, text in signatures)


class Receiver:
    """A web server that keeps what is posted to it, and answers as `answers` says: a status, or a function of the event."""

    def __init__(self, port=0, tls=None):
        self.posts, self.status, self.headers, self.lock = [], 200, {}, threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802, the name is that of the library
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.status(json.loads(body)) if callable(receiver.status) else receiver.status
                with receiver.lock:
                    receiver.posts.append((status, headers, body))
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((HOST, port), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[0])
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def events(self, status=200):
        """Events that were answered so, in order."""
        with self.lock:
            return [json.loads(body) for got, _, body in self.posts if got == status]

    def types(self):
        return [event["type"] for event in self.events()]


class Letters:
    """What a mail server keeps."""

    def __init__(self):
        self.letters, self.refuse = [], False

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802
        if self.refuse:
            return "451 4.3.0 try again later"
        self.letters.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode(), bool(session.ssl)))
        return "250 2.0.0 taken"


@contextlib.contextmanager
def mail_server(tls=None, implicit=False, login=None):
    """A mail server on a free port: in clear, with STARTTLS, or with TLS from the start; with a login or without."""
    letters, options, context = Letters(), {}, None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls[1], tls[0])
        if not implicit:
            options |= {"tls_context": context, "require_starttls": True}
    if login:
        def check(_server, _session, _envelope, _mechanism, data):
            good = isinstance(data, LoginPassword) and (data.login, data.password) == tuple(t.encode() for t in login)
            return AuthResult(success=good, handled=False)

        options |= {"authenticator": check, "auth_required": True}
    loop = asyncio.new_event_loop()
    door = loop.create_server(
        lambda: SMTP(letters, hostname="mail.example.org", loop=loop, **options), HOST, 0, ssl=context if implicit else None
    )
    server = loop.run_until_complete(door)
    letters.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield letters
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
