"""Integration tests: start hosts as processes, talk to them, print TAP. Standard library only."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("NEAP_BINARY", os.path.join(ROOT, "build", "neap"))
WAIT_S = 60  # nothing in a test is a matter of time; this only ends a test that would hang

_count = 0
_failed = 0


def case(sentence, function):
    """Runs one case: any exception is a failure, its text a diagnostic."""
    global _count, _failed
    _count += 1
    try:
        function()
        print(f"ok {_count} - {sentence}", flush=True)
    except Exception:  # the boundary of a case
        _failed += 1
        for line in traceback.format_exc().splitlines():
            print("# " + line)
        print(f"not ok {_count} - {sentence}", flush=True)


def done():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, what, timeout_s=WAIT_S):
    """Polls until condition() is true; raises naming what never came."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("never happened: " + what)
        time.sleep(0.05)


class Host:
    """One `neap run` process on a port of its own."""

    def __init__(self, clients, data=None, variables=None, port=None, options=()):
        self.folder = data or tempfile.mkdtemp(prefix="neap-test-")
        self.port = port or free_port()
        self.clients = clients
        self.variables = dict(variables or {})
        self.options = list(options)
        self.process = None
        self.log_path = os.path.join(self.folder, "host.log")
        os.makedirs(self.folder, exist_ok=True)

    def command(self):
        line = [BINARY, "run", "--data", os.path.join(self.folder, "data"),
                "--listen", f"127.0.0.1:{self.port}", "--secrets", os.path.join(ROOT, "examples/demo/secrets")]
        for client in self.clients:
            line += ["--client", client if os.path.isabs(client) else os.path.join(ROOT, client)]
        for name, value in self.variables.items():
            line += ["--set", f"{name}={value}"]
        return line + self.options

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if wait:
            until(self.is_ready, "the host answers /healthz; log: " + self.tail())
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the host ended with {self.process.returncode}: " + self.tail())
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def tail(self, size=3000):
        try:
            with open(self.log_path, "rb") as f:
                return f.read()[-size:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def kill(self):
        """kill -9: what a crash is."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, timeout_s=30):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout_s)
        return self.process.returncode

    def signal(self, number):
        self.process.send_signal(number)

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def request(self, method, path, body=None, headers=None, auth=None, timeout_s=20):
        headers = dict(headers or {})
        if auth:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def json(self, method, path, body=None, **options):
        status, text, _ = self.request(method, path, body, **options)
        assert status < 300, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text)

    def verb(self, *words):
        """Runs a verb against this host's data; returns (exit code, standard output)."""
        result = subprocess.run([BINARY, *words, "--data", os.path.join(self.folder, "data")],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return result.returncode, result.stdout + (result.stderr if result.returncode else "")
