"""Integration tests: start hosts as processes, talk to them, print TAP. Standard library only."""

import atexit
import base64
import http.client
import json
import os
import shutil
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
    except Skip as reason:
        print(f"ok {_count} - {sentence} # skip {reason}", flush=True)
    except Exception:  # the boundary of a case
        _failed += 1
        for line in traceback.format_exc().splitlines():
            print("# " + line)
        print(f"not ok {_count} - {sentence}", flush=True)


class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


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
        self.folder = data or new_folder()
        self.port = port or free_port()
        self.clients = clients
        self.variables = dict(variables or {})
        self.options = list(options)
        self.process = None
        self.environment = {}  # on top of the test's own
        self.prefix = []  # a program that starts the host
        self.log_path = os.path.join(self.folder, "host.log")
        os.makedirs(self.folder, exist_ok=True)

    def command(self):
        line = [*self.prefix, BINARY, "run", "--data", os.path.join(self.folder, "data"),
                "--listen", f"127.0.0.1:{self.port}", "--secrets", os.path.join(ROOT, "examples/demo/secrets")]
        for client in self.clients:
            line += ["--client", client if os.path.isabs(client) else os.path.join(ROOT, client)]
        for name, value in self.variables.items():
            line += ["--set", f"{name}={value}"]
        return line + self.options

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env={**os.environ, **self.environment})
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

    def raw(self, data, timeout_s=20, is_all=True):
        """Sends bytes as they are, and their end; returns the status (0: none came) and all that came back."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as s:
            try:
                s.sendall(data)
                if is_all:
                    s.shutdown(socket.SHUT_WR)
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    got += piece
            except (ConnectionResetError, BrokenPipeError):
                pass  # a server that has heard enough may say so
        words = got.split(b" ", 2)
        return (int(words[1]) if len(words) > 2 else 0), got

    def json(self, method, path, body=None, **options):
        status, text, _ = self.request(method, path, body, **options)
        assert status < 300, f"{method} {path}: {status} {text[:300]}"
        return json.loads(text)

    def verb(self, *words):
        """Runs a verb against this host's data; returns (exit code, standard output)."""
        return run(*words, "--data", os.path.join(self.folder, "data"))

    def ask(self, *words):
        """A verb's answer as JSON, whatever its exit code."""
        code, text = self.verb(*words, "--json")
        try:
            return json.loads(text)
        except ValueError:
            raise AssertionError(f"neap {' '.join(words)}: exit code {code}, {text[:500]}") from None

    def status(self, client="demo"):
        return {entry["client"]: entry for entry in self.ask("status")}[client]

    def order(self, ref):
        """What `neap order` says, None when no order answers to ref."""
        code, text = self.verb("order", str(ref), "--json")
        return json.loads(text) if code == 0 else None

    def exceptions(self, cause=None):
        return [e for e in self.ask("exceptions") if cause in (None, e["cause"])]

    def metric(self, name, **labels):
        """The value of one metric; 0 when it is not there."""
        for line in self.get("/metrics")[1].decode().splitlines():
            head, _, value = line.rpartition(" ")
            given = ",".join(f'{key}="{labels[key]}"' for key in labels)
            if head == (f"{name}{{{given}}}" if given else name):
                return int(value)
        return 0


def run(*words, timeout_s=60, env=None):
    """Runs the binary; returns (exit code, standard output, with standard error when it failed)."""
    result = subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=timeout_s, env=env)
    return result.returncode, result.stdout + (result.stderr if result.returncode else "")


def new_folder():
    """A folder that goes when the test ends well."""
    folder = tempfile.mkdtemp(prefix="neap-test-")
    atexit.register(lambda: _failed or shutil.rmtree(folder, ignore_errors=True))
    return folder


def client_folder():
    """The tests' own client, to be edited freely: support/client and the demo's mappings."""
    folder = os.path.join(new_folder(), "demo")
    shutil.copytree(os.path.join(ROOT, "tests/support/client"), folder)
    shutil.copytree(os.path.join(ROOT, "examples/demo/mappings"), os.path.join(folder, "mappings"))
    return folder


class Shop:
    """A host with the tests' client, and the two sandboxes: in one process of their own, or, with
    apart=True, in two, so that one system can go down alone. cloud=True: Khaos Control Cloud, which calls us."""

    AUTH = ("scayle", "sandbox")

    def __init__(self, apart=False, variables=None, options=(), cloud=False):
        self.folder = client_folder()
        self.scayle = Host(["examples/sandbox/scayle"])
        self.khaos = Host(["examples/sandbox/khaos"]) if apart else self.scayle
        if not apart:
            self.scayle.clients.append("examples/sandbox/khaos")
        self.host = Host([self.folder], options=options, variables={
            "SCAYLE_URL": self.scayle.url("/scayle/api/admin/v1"),
            "KHAOS_URL": self.khaos.url("/khaos"), **(variables or {})})
        self.scayle.variables = {"SANDBOX_MERCHANT_URL": self.host.url("/demo"),
                                 "SANDBOX_LAG_MS": "50", "SANDBOX_RETRY_FACTOR": "0.001"}
        if cloud:
            self.host.variables.update({"LINE": "cloud", "PUBLIC_URL": self.host.url("/demo")})
            self.khaos.variables.update({"SANDBOX_CLOUD": "1", "SANDBOX_CLOUD_MS": "200",
                                         "SANDBOX_CLOUD_URL": self.host.url("/demo")})

    def start(self):
        self.scayle.start()
        if self.khaos is not self.scayle:
            self.khaos.start()
        self.host.start()
        return self

    def stop(self):
        for host in (self.host, self.scayle, self.khaos):
            host.kill()

    def control(self, system, method, path, body=None):
        host = self.khaos if system == "khaos" else self.scayle
        return host.json(method, f"/{system}/_control/{path}", body)

    def faults(self, system, *rules):
        self.control(system, "POST", "faults", {"seed": 1, "rules": list(rules)})

    def place(self, kind="plain", seed=1, **fields):
        """Places one order in the shop; returns {order_id, total_minor, currency, expect, ...}."""
        return self.control("scayle", "POST", "orders", {"kind": kind, "seed": seed, **fields})

    def document(self, order):
        """The order as SCAYLE shows it, to be changed and placed again as another one."""
        return self.scayle.json("GET", f"/scayle/api/admin/v1/shops/fo/countries/GB/orders/{order['order_id']}",
                                headers={"X-Access-Token": "sandbox-token"})

    def place_document(self, document):
        return self.control("scayle", "POST", "orders", document)

    def write(self, name, text):
        """Saves a file of the client as many programs do: opened, emptied, written."""
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as f:
            return f.read()

    def edit(self, name, old, new):
        text = self.read(name)
        assert old in text, f"{name} does not hold {old!r}"
        self.write(name, text.replace(old, new))

    def calls(self, system, operation=None):
        """All that the sandbox's log holds, or what it holds of one operation."""
        calls, after = [], 0
        while True:
            page = self.control(system, "GET", f"calls?limit=5000&after={after}")["calls"]
            if not page:
                return [c for c in calls if operation in (None, c["operation"])]
            calls += page
            after = page[-1]["number"]

    def ledger(self, system, **query):
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return self.control(system, "GET", "ledger" + ("?" + words if words else ""))

    def posted(self, order):
        """The order in Khaos's ledger; None when it is not there."""
        found = self.ledger("khaos", reference=f"SC{order['order_id']}")["orders"]
        return found[0] if found else None

    def entry(self, order):
        """The order's record in the shop: delegations, reference key, state."""
        return self.ledger("scayle", order_id=order["order_id"])["orders"][0]

    def is_right(self, order):
        """In Khaos once with the right total, and the shop shows Khaos's order code."""
        posted = self.posted(order)
        return (posted is not None and posted["copies"] == 1
                and posted["totals"]["gross"] == order["total_minor"]
                and self.entry(order).get("reference_key") == posted["code"])

    def until_right(self, *orders, timeout_s=WAIT_S):
        for order in orders:
            until(lambda order=order: self.is_right(order),
                  f"order {order['order_id']} is right on both sides", timeout_s)

    def job(self, order):
        """The order's own job: state and causes."""
        found = self.host.order(order["order_id"])
        return found["jobs"][-1] if found and found["jobs"] else None

    def causes(self, order):
        """The causes the order is held on, sorted; None when it is not held."""
        found = self.host.order(order["order_id"])
        for job in found["jobs"] if found else []:
            if job["state"] == "held":
                return sorted(c["cause"] for c in job["causes"])
        return None

    def until_held(self, order, *causes):
        until(lambda: self.causes(order) == sorted(causes),
              f"order {order['order_id']} is held on {causes}")

    def delegate(self, document, auth=AUTH, **options):
        """Sends a delegation as SCAYLE does; returns (status, body, headers)."""
        return self.host.post("/demo/scayle/delegation", document, auth=auth, **options)
