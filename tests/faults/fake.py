"""Simulated receivers that follow a script: Meta's Graph API, a webhook receiver and an S3-compatible store behind TLS.

    python3 tests/faults/fake.py DIR

DIR gets ca.pem, server.pem, server.key, the secrets token, hook-secret and s3-secret, and when ready port and pid.
What it saw is asked, and faults are ordered, below /_control on the same port; state lives in memory only.

Three meanings that a test has to know:
* an audience's digest is the SHA-256 over the sorted raw SHA-256 of each row, of
  json.dumps({KEY: value of the non-empty fields}, sort_keys=True, separators=(",", ":"));
* a hook's deliveries are the requests that took effect, repeats of an Idempotency-Key are counted apart;
* a request is "open" from when its body is read until just before the last byte of its answer, or until the client
  goes away, so that a client that sends one request after the other never shows open_at_once above 1.
"""

import gc
import json
import os
import secrets
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import parse_qs

from meta import Meta, Refused
from stores import S3, Hooks

BODY_LIMIT = 256 * 1024 * 1024
DO = frozenset("status headers body apply delay drip hang cut reset length refuse_rows code subcode".split())
HIDDEN = ("authorization", "x-cohort-signature", "x-amz-security-token")

OPENSSL_CONFIG = """
[ca]
default_ca = d
[d]
database = index.txt
new_certs_dir = .
default_md = sha256
rand_serial = yes
policy = p
[p]
commonName = supplied
[req]
distinguished_name = p
[v3_ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[v3_server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def make_certificates(directory):
    """A new authority and server certificate, unless those there last for another day."""

    def openssl(*arguments, cwd=None):
        return subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, text=True)

    names = ("ca.pem", "server.pem", "server.key")
    if all((directory / name).exists() for name in names):
        if openssl("x509", "-in", str(directory / "server.pem"), "-checkend", "86400", "-noout").returncode == 0:
            return
    # `openssl ca` and not `req -x509`, because only it can set a start before now: tests turn the clock back.
    stamp = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86_400)) for days in (-2, 30)]
    with tempfile.TemporaryDirectory(dir=directory) as work:
        Path(work, "config").write_text(OPENSSL_CONFIG)
        Path(work, "index.txt").touch()
        signers = (("ca", "fake test CA", ["-selfsign"]), ("server", "localhost", ["-cert", "ca.pem"]))
        for name, subject, signer in signers:
            curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            files = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}"]
            sign = ["-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-extensions", f"v3_{name}"]
            dates = ["-startdate", stamp[0], "-enddate", stamp[1]]
            for command in (
                ["req", "-new", "-config", "config", *curve, *files],
                ["ca", "-batch", "-notext", "-config", "config", *signer, *sign, *dates],
            ):
                done = openssl(*command, cwd=work)
                if done.returncode:
                    raise SystemExit(f"openssl {command[0]} failed:\n{done.stderr}")
        for name in names:
            os.replace(Path(work, name), directory / name)


class Request:
    """A request whose body is read; the JSON is parsed once, when somebody asks."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")
        self._json = None

    def json(self):
        if self._json is None:
            try:
                self._json = (json.loads(self.body), None)
            except (ValueError, RecursionError) as error:
                self._json = (None, ValueError(str(error)))
        value, error = self._json
        if error:
            raise error
        return value

    def about(self):
        """(action, rows): what the payload wants and how many rows it has."""
        try:
            if self.path.startswith("/hook/"):
                return self.json()["action"], len(self.json()["members"])
            if self.path.endswith("/users"):
                action = {"POST": "add", "DELETE": "remove"}.get(self.method)
                try:
                    return action, len(self.json()["payload"]["data"])
                except (ValueError, TypeError, KeyError):
                    return action, None
            if self.path.endswith("/events"):
                return None, len(self.json()["data"])
        except (ValueError, TypeError, KeyError):
            pass
        return None, None


class Script:
    """Steps in order; the first one that matches a request and has times left decides what happens."""

    def __init__(self):
        self.lock = threading.Lock()
        self.steps = []

    def append(self, steps):
        if not isinstance(steps, list):
            raise ValueError("a script is a list of steps")
        for step in steps:
            # A misspelt key would make a fault that never happens, and a test that passes for no reason.
            wrong = set(step) - {"match", "times", "do"}
            wrong |= set(step.get("match", {})) - {"path", "method", "action"} | set(step.get("do", {})) - DO
            if wrong or step.get("do", {}).get("apply", "none") not in ("before", "none"):
                raise ValueError(f"not known in a step: {sorted(wrong) or 'this apply'}")
        with self.lock:
            self.steps += [{"match": {}, "times": 1, "do": {}} | step for step in steps]

    def take(self, path, method, action):
        with self.lock:
            for step in self.steps:
                match = step["match"]
                if step["times"] > 0 and match.get("path", "") in path:
                    if match.get("method", method) == method and match.get("action", action) == action:
                        step["times"] -= 1
                        return step["do"]
        return {}


class Log:
    """The last 1,000 requests, and which of them are open."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries, self.open, self.count = deque(maxlen=1000), {}, 0

    def begin(self, request, action, rows):
        headers = {}
        for name, value in request.headers.items():
            headers[name.lower()] = "present" if name.lower() in HIDDEN else value
        entry = {"at": time.time(), "method": request.method, "path": request.path, "rows": rows, "action": action}
        entry |= {"status": None, "headers": headers, "key": request.headers.get("Idempotency-Key")}
        with self.lock:
            self.count += 1
            entry["n"] = self.count
            others = self.open.setdefault(request.path, [])
            others.append(entry)
            entry["open_at_once"] = 0
            for other in others:
                other["open_at_once"] = max(other["open_at_once"], len(others))
            self.entries.append(entry)
        return entry

    def end(self, entry):
        with self.lock:
            others = self.open.get(entry["path"], [])
            # By identity: after a reset the entry is not there any more.
            others[:] = [other for other in others if other is not entry]
            if not others:
                self.open.pop(entry["path"], None)

    def list(self):
        with self.lock:
            return [dict(entry) for entry in self.entries]


class World:
    """All state, and the way from a request to its answer."""

    def __init__(self, directory):
        self.directory = directory
        for name, prefix in (("token", "fake-token-"), ("hook-secret", "hook-"), ("s3-secret", "test-access:")):
            if not (directory / name).exists():
                (directory / name).write_text(prefix + secrets.token_hex(12))
                (directory / name).chmod(0o600)
        self.meta, self.hooks, self.s3 = (
            kind(lambda name=name: (directory / name).read_text().strip())
            for kind, name in ((Meta, "token"), (Hooks, "hook-secret"), (S3, "s3-secret"))
        )
        self.script, self.log = Script(), Log()

    def answer(self, request):
        """(status, body bytes, headers)"""
        if request.path.startswith("/s3/"):
            return self.s3.handle(request)
        if request.path.startswith("/hook/"):
            return as_json(*self.hooks.handle(request))
        if request.path.startswith("/v") and "/" in request.path[1:]:
            return as_json(*self.meta.handle(request))
        return as_json(404, {"error": {"message": "Unknown path", "type": "OAuthException", "code": 2500}})

    def scripted(self, request, do):
        """The answer under a step, with its effect before it or without any."""
        given = "status" in do or "body" in do
        status, body, headers = as_json(200, {})
        if "refuse_rows" in do and self._has_value(request, do["refuse_rows"]):
            refused = Refused(do.get("code", 100), "Invalid parameter", do.get("subcode"))
            status, body, headers = as_json(refused.status, refused.body)
        elif do.get("apply", "none" if given else "before") == "before":
            status, body, headers = self.answer(request)
        status = do.get("status", status)
        if "body" in do:
            wanted = do["body"]
            if isinstance(wanted, str):
                kind = "text/html" if wanted.startswith("<") else "text/plain"
                body, headers = wanted.encode(), headers | {"Content-Type": f"{kind}; charset=utf-8"}
            else:
                _, body, headers = as_json(status, wanted)
        elif given and status >= 400:
            body = b""
        return status, body, headers | do.get("headers", {})

    @staticmethod
    def _has_value(request, values):
        try:
            return any(not set(values).isdisjoint(row) for row in request.json()["payload"]["data"])
        except (ValueError, TypeError, KeyError):
            return False

    def control(self, request):
        parts, asked = request.path.split("/")[2:], parse_qs(request.query)
        flag = {name: asked.get(name) == ["1"] for name in ("members", "digest", "body")}
        match request.method, *parts:
            case "GET", "audience", number if number in self.meta.audiences:
                return self.meta.audiences[number].describe(flag["members"], flag["digest"])
            case "GET", "audiences":
                found = list(self.meta.audiences.values())
                return [{"id": a.id, "name": a.name, "ad_account_id": a.account, "rows": len(a.rows)} for a in found]
            case "GET", "events", pixel:
                seen = self.meta.pixels.get(pixel, {"events": [], "duplicates": 0})
                return {"events": list(seen["events"]), "duplicates": seen["duplicates"]}
            case "GET", "hook", name:
                return self.hooks.describe(name)
            case "GET", "bucket", name:
                return self.s3.describe(name, flag["body"])
            case "GET", "log":
                return self.log.list()
            case "GET", "script":
                return self.script.steps
            case "POST", "script":
                self.script.append(request.json())
                return {}
            case "POST", "calm":
                self.script = Script()
                return {}
            case "POST", "bad_rows":
                asked = request.json()
                bad = {"values": frozenset(asked["values"]), "code": asked.get("code", 100)}
                self.meta.bad_rows[str(asked["audience"])] = bad | {"subcode": asked.get("subcode")}
                return {}
            case "POST", "reset":
                for part in (self.meta, self.hooks, self.s3):
                    part.reset()
                self.script, self.log = Script(), Log()
                return {}
        return None


def as_json(status, value):
    body = json.dumps(value, separators=(",", ":")).encode()
    return status, body, {"Content-Type": "application/json; charset=UTF-8"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _request(self):
        body, length = [], self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(100).split(b";")[0], 16):
                body.append(self.rfile.read(size))
                self.rfile.readline(100)
            while self.rfile.readline(10_000).strip():
                pass
        elif not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            return None
        else:
            body.append(self.rfile.read(int(length)))
            if len(body[0]) < int(length):
                raise ConnectionError("the client went away in the middle of its request")
        return Request(self.command, self.path, self.headers, b"".join(body))

    def do_GET(self):
        request, world = self._request(), self.server.world
        if request is None:
            return self._send(*as_json(413, {"error": "the body is too large"}))
        if request.path.startswith("/_control/"):
            return self._control(world, request)
        action, rows = request.about()
        # The log of this moment: a reset may put another one in its place before the answer is out.
        log = world.log
        entry = log.begin(request, action, rows)
        try:
            do = world.script.take(request.path, request.method, action)
            try:
                answer = world.scripted(request, do)
            except Exception:
                traceback.print_exc()
                answer = as_json(599, {"error": "a mistake in the fake, see its standard error"})
            self._deliver(answer, do, entry, lambda: log.end(entry))
        finally:
            log.end(entry)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_GET

    def _control(self, world, request):
        try:
            value = world.control(request)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return self._send(*as_json(400, {"error": f"{type(error).__name__}: {error}"}))
        self._send(*(as_json(404, {"error": "not known"}) if value is None else as_json(200, value)))

    def _deliver(self, answer, do, entry, done):
        if self._gone(do.get("delay", 0)):
            return
        if do.get("hang"):
            self._gone(None)
        elif do.get("reset"):
            # With linger 0 the close is a TCP reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            entry["status"] = answer[0]
            self._send(*answer, do, done)

    def _gone(self, seconds):
        """Waits for a time (None: without limit), but not longer than the client does: true if it has gone away."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or end > time.monotonic():
            # poll, because select() knows only the first 1,024 descriptors.
            poll = select.poll()
            poll.register(self.connection, select.POLLIN)
            if poll.poll(None if end is None else (end - time.monotonic()) * 1000 + 1):
                try:
                    if self.connection.recv(4096):
                        continue
                except OSError:
                    pass
                self.close_connection = True
                return True
        return False

    def _send(self, status, body, headers, do={}, done=lambda: None):
        empty = status in (204, 304) or status < 200
        head = [f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}", f"Date: {self.date_time_string()}"]
        if not empty:
            headers = headers | {"Content-Length": str(max(0, len(body) + do.get("length", 0)))}
        if do.get("length") or "cut" in do:
            # Closed without a word before: the headers are to look like those of a good answer.
            self.close_connection = True
        elif self.close_connection:
            headers = headers | {"Connection": "close"}
        head += [f"{name}: {value}" for name, value in headers.items()]
        whole = "\r\n".join([*head, "", ""]).encode()
        body = b"" if empty or self.command == "HEAD" else body
        whole += body[: do["cut"]] if "cut" in do else body
        if "drip" in do:
            for at in range(len(whole) - 1):
                self.connection.sendall(whole[at : at + 1])
                if self._gone(do["drip"]):
                    return
            whole = whole[-1:]
        done()
        self.connection.sendall(whole)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, directory):
        self.world = World(directory)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(directory / "server.pem", directory / "server.key")
        super().__init__(("127.0.0.1", 0), Handler)

    def server_bind(self):
        # Not HTTPServer's: that one asks DNS for the name of the host.
        TCPServer.server_bind(self)

    def process_request_thread(self, request, client_address):
        # The handshake belongs here, in the worker thread: a client that says nothing then holds up nobody else.
        try:
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            connection = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            return request.close()
        try:
            self.RequestHandlerClass(connection, client_address, self)
        except OSError:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            connection.close()


def write_whole(path, text):
    """Nobody ever reads half of the file."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: fake.py DIR")
    directory = Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("port", "pid"):
        (directory / name).unlink(missing_ok=True)
    make_certificates(directory)
    # Millions of held rows make no cycles; the collector would only walk them again and again.
    gc.set_threshold(200_000, 50, 1000)
    server = Server(directory)

    def stop(*_):
        for name in ("port", "pid"):
            (directory / name).unlink(missing_ok=True)
        # Not sys.exit: hung answers would have to end, and gigabytes be freed one row at a time.
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    write_whole(directory / "pid", str(os.getpid()))
    write_whole(directory / "port", str(server.server_address[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()
