"""Problems reach their owners: e-mail to a real SMTP server (STARTTLS, login, greylisting, crashes),
signed webhooks, digests."""

import email
import email.policy
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

try:
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult
except ImportError:
    SYSTEM = "/usr/bin/python3"  # a package of the system belongs to the system's own Python
    if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM) and os.path.exists(SYSTEM):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    sys.exit("python3-aiosmtpd is missing: make deps-check")

PASSWORD = "correct horse"
SIGNING_KEY = "a shared secret"
os.environ["SMTP_PASSWORD"] = PASSWORD
os.environ["HOOK_KEY"] = SIGNING_KEY

work = neap.new_folder()


def certificate():
    """An authority of our own and a server certificate for 127.0.0.1."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=work, check=True, capture_output=True)
    with open(os.path.join(work, "san"), "w", encoding="ascii") as f:
        f.write("subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-subj", "/CN=Test authority", "-days", "2")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "mail.key", "-out", "mail.csr", "-subj", "/CN=mail")
    openssl("x509", "-req", "-in", "mail.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "mail.pem", "-days", "2", "-extfile", "san")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(work, "mail.pem"), os.path.join(work, "mail.key"))
    return context


class Mailbox:
    """A mail server with STARTTLS and a login; what it took is in `messages`."""

    def __init__(self):
        self.messages = []
        self.seen = set()
        self.port = neap.free_port()
        self.context = certificate()
        self.answers = []  # to the next recipients: greylisting
        self.during_data = None
        self.logins = 0
        self.refused = 0
        self.was_plain = False
        self.controller = None

    def authenticate(self, server, session, envelope, mechanism, data):
        good = data.login == b"neap" and data.password == PASSWORD.encode()
        self.logins += good
        self.refused += not good
        return AuthResult(success=good, handled=good)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.answers:
            return self.answers.pop(0)
        self.was_plain = self.was_plain or session.ssl is None
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.messages.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        if self.during_data:
            act, self.during_data = self.during_data, None
            act()
        return "250 taken"

    def start(self):
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, tls_context=self.context,
                                     require_starttls=True, authenticator=self.authenticate, auth_required=True)
        self.controller.start()

    def stop(self):
        self.controller.stop()

    def parsed(self):
        return [(to, email.message_from_bytes(content.replace(b"\r\n", b"\n"), policy=email.policy.default))
                for _, to, content in self.messages]

    def to(self, address, text=""):
        return [m for to, m in self.parsed() if address in to and text in m["Subject"]]

    def until(self, address, text="", count=1):
        return neap.until(lambda: len(self.to(address, text)) >= count and self.to(address, text),
                          f"{count} mail(s) to {address} about {text!r}; there are "
                          f"{[(to, m['Subject']) for to, m in self.parsed()]}")


class Hook(http.server.BaseHTTPRequestHandler):
    """A receiver that believes only what is signed now."""
    taken = []
    wrong = []
    statuses = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seconds = self.headers.get("X-Alert-Time", "0")
        expected = "sha256=" + hmac.new(SIGNING_KEY.encode(), seconds.encode() + b"." + body,
                                        hashlib.sha256).hexdigest()
        status = Hook.statuses.pop(0) if Hook.statuses else 204
        if self.headers.get("X-Alert-Signature") != expected or abs(time.time() - int(seconds)) > 300:
            Hook.wrong.append((dict(self.headers), body))
            status = 401
        if status < 300:
            Hook.taken.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


mailbox = Mailbox()
hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=hook.serve_forever, daemon=True).start()
shop = neap.Shop(variables={"BREAKER_FAILURES": "2"})

CONNECTIONS = f"""connections = {{
        mail = {{
            base_url = "smtp://127.0.0.1:{mailbox.port}",
            basic = {{user = "neap", password = secret("SMTP_PASSWORD")}},
            ca_file = "{work}/ca.pem",
            timeout_ms = 5000, breaker_failures = 2, breaker_cool_ms = 200,
        }},
        hook = {{
            base_url = "http://127.0.0.1:{hook.server_address[1]}",
            signature = {{secret = secret("HOOK_KEY"), header = "X-Alert-Signature",
                timestamp_header = "X-Alert-Time"}},
            breaker_cool_ms = 200,
        }},"""

FLOW = """flows = {
        tests = {use = "flows.tests"},
        alerts = {
            use = "flows.alerts",
            schedules = {digest = {every_ms = tonumber(var("DIGEST_MS", "3600000"))}},
            settings = {
                channels = {
                    mail = {kind = "mail", connection = "mail", from = "neap@fellside.example",
                        from_name = "Neap für Fellside"},
                    hook = {kind = "webhook", connection = "hook", path = "/alerts"},
                },
                routes = {
                    default = {{channel = "mail"}},
                    merchandising = {{channel = "mail", to = "merchandising@fellside.example"},
                        {channel = "hook"}},
                    hooked = {{channel = "hook"}},
                    operations = {{channel = "mail", to = "operations@fellside.example"}},
                },
                nobody = "operations",
            },
        },"""
MERCHANDISING = "merchandising@fellside.example"
OPERATIONS = "operations@fellside.example"


PROBLEMS = """return {
    name = "tests", version = 1,
    triggers = {{kind = "route", name = "problem", method = "POST", path = "/tests/problem",
        handle = function(_, request)
            local words = require("neap.json").decode(request.body)
            return {status = 200, body = "{}", events = {{source = "tests", id = words.cause,
                name = "problem", payload = words}}}
        end}},
    run = function(job)
        local words = require("neap.json").decode(job.event.payload)
        job:open_exception({cause = words.cause, subject = "it",
            message = words.message or ("Something of the " .. words.cause)})
    end,
}
"""


def prepare():
    os.makedirs(os.path.join(shop.folder, "flows"), exist_ok=True)
    shop.write("flows/tests.lua", PROBLEMS)
    shop.edit("client.lua", "unknown_stock_code = \"merchandising\"",
              "unknown_stock_code = \"merchandising\", hooked = \"hooked\"")
    shop.edit("client.lua", "connections = {", CONNECTIONS)
    shop.edit("client.lua", "flows = {", FLOW)


def hold():
    order = shop.place("unknown_sku", hold.seed)
    hold.seed += 1
    shop.until_held(order, "unknown_stock_code")
    return order


hold.seed = 7


def first_at_once():
    first_at_once.order = hold()
    message = mailbox.until(MERCHANDISING)[0]
    text = message.get_content()
    exception = shop.host.exceptions("unknown_stock_code")[0]
    assert exception["subject"] in message["Subject"], message["Subject"]
    for words in (exception["message"], "1 waits", "GBP ", "open for", "first deadline in", "To do:",
                  f"neap exceptions show unknown_stock_code '{exception['subject']}'"):
        assert words in text, (words, text)
    assert message["Message-ID"].endswith("@fellside.example>") and message["Date"]
    assert str(message["From"]) == "Neap für Fellside <neap@fellside.example>", message["From"]
    assert mailbox.logins == 1 and not mailbox.was_plain


def signed_webhook():
    neap.until(lambda: Hook.taken, "the receiver was told")
    alert = Hook.taken[0]
    assert alert["kind"] == "first" and alert["data"]["cause"] == "unknown_stock_code", alert
    assert not Hook.wrong, Hook.wrong


def no_storm():
    """Three more of the kind: nobody is told until the digest, which tells all of them, once."""
    before = len(mailbox.messages)
    no_storm.orders = [hold() for _ in range(3)]
    time.sleep(2)  # several looks: the wrong mail would be there by now
    assert len(mailbox.messages) == before, [m["Subject"] for _, m in mailbox.parsed()[before:]]


def digest():
    closed = shop.host.exceptions("unknown_stock_code")[0]["subject"]
    shop.control("khaos", "POST", "stock", {"code": closed, "level": 5})
    neap.until(lambda: closed not in [e["subject"] for e in shop.host.exceptions("unknown_stock_code")],
               f"{closed} is in Khaos, and its exception closed by proof")
    restart(DIGEST_MS="1000")
    message = mailbox.until(MERCHANDISING, "problem")[0]
    assert "1 closed" in message["Subject"], message["Subject"]
    text = message.get_content()
    assert "New:" in text and f"Closed:\n\n  Stock code {closed} " in text, text
    second = mailbox.until(MERCHANDISING, "problem", 2)[1]
    assert "0 new, 0 closed" in second["Subject"] and "Closed:" not in second.get_content(), second["Subject"]
    restart()


def restart(**variables):
    shop.host.kill()
    shop.host.variables["DIGEST_MS"] = "3600000"
    shop.host.variables.update(variables)
    shop.host.start()


def next_problem():
    """A kind that was not told yet: one exception of a cause of its own, through the order flow."""
    next_problem.count += 1
    name = f"kind{next_problem.count}"
    shop.host.json("POST", "/demo/tests/problem", {"cause": name})
    return name


next_problem.count = 0


def greylisting():
    mailbox.answers = ["451 4.7.1 come again later"] * 2
    cause = next_problem()
    mailbox.until(OPERATIONS, cause)
    assert not mailbox.answers
    assert len(mailbox.to(OPERATIONS, cause)) == 1


def killed_in_between():
    """The server has the message, the host dies before it hears so: the same message comes again."""
    mailbox.during_data = shop.host.kill
    cause = next_problem()
    neap.until(lambda: shop.host.process.poll() is not None, "the host is killed while it sends")
    shop.host.start()
    both = mailbox.until(OPERATIONS, cause, 2)
    assert len(both) == 2 and both[0].as_bytes() == both[1].as_bytes()
    assert both[0]["Message-ID"] == both[1]["Message-ID"]
    time.sleep(1)
    assert len(mailbox.to(OPERATIONS, cause)) == 2, "told a third time"


def killed_at_random():
    """kill -9 a few milliseconds after each problem: everybody is told, by one message each."""
    causes = []
    for step in range(6):
        causes.append(next_problem())
        time.sleep(step * 0.09)
        shop.host.kill()
        shop.host.start()
    for cause in causes:
        copies = mailbox.until(OPERATIONS, cause)
        assert len({m["Message-ID"] for m in copies}) == 1, [m["Message-ID"] for m in copies]
    assert not shop.host.exceptions("unfinished_effect")


def slow_server():
    """A server that thinks about a message does not hold the host."""
    reached, go_on = threading.Event(), threading.Event()

    def think():
        reached.set()
        assert go_on.wait(30)
    mailbox.during_data = think
    cause = next_problem()
    assert reached.wait(30)
    try:
        assert shop.host.get("/healthz", timeout_s=3)[0] == 200
    finally:
        go_on.set()
    mailbox.until(OPERATIONS, cause)


def server_down():
    mailbox.stop()
    cause = next_problem()
    neap.until(lambda: [e for e in shop.host.exceptions("connection_down") if e["subject"] == "mail"],
               "the mail connection is down")
    mailbox.start()
    mailbox.until(OPERATIONS, cause)
    neap.until(lambda: not shop.host.exceptions("connection_down"), "it is up again")
    assert len(mailbox.to(OPERATIONS, cause)) == 1


def wrong_password():
    os.environ["SMTP_PASSWORD"] = "hunter2 with a \\ in it"
    restart()
    refused = mailbox.refused
    cause = next_problem()
    neap.until(lambda: [e for e in shop.host.exceptions("connection_refused") if e["subject"].startswith("mail 535")],
               "the login is refused, and a person is told so")
    assert mailbox.refused > refused and not mailbox.to(OPERATIONS, cause)
    os.environ["SMTP_PASSWORD"] = PASSWORD
    restart()
    shop.edit("client.lua", "name = \"demo\",", "name = \"demo\", -- again")
    mailbox.until(OPERATIONS, cause)
    neap.until(lambda: not shop.host.exceptions("connection_refused"), "the refusal is closed")


def no_starttls():
    """A server without TLS gets neither login nor message."""
    secure = mailbox.context
    mailbox.stop()
    mailbox.context = None
    mailbox.controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    mailbox.controller.start()
    before = len(mailbox.messages)
    cause = next_problem()
    neap.until(lambda: [e for e in shop.host.exceptions("connection_down") if "STARTTLS" in e["message"]],
               "the connection is not good without TLS")
    assert len(mailbox.messages) == before
    mailbox.stop()
    mailbox.context = secure
    mailbox.start()
    mailbox.until(OPERATIONS, cause)
    assert not mailbox.was_plain


def unknown_address():
    mailbox.answers = ["550 5.1.1 no such person"]
    next_problem()
    found = neap.until(lambda: shop.host.exceptions("alert_refused"), "a person is told that an address is wrong")
    assert "550" in found[0]["message"] and found[0]["subject"] == OPERATIONS, found


def hook_comes_back():
    Hook.statuses = [503, 500, 429]
    told = len(Hook.taken)
    shop.host.json("POST", "/demo/tests/problem", {"cause": "hooked"})
    neap.until(lambda: len(Hook.taken) > told, "the receiver is told in the end")
    assert not Hook.statuses and not Hook.wrong, Hook.wrong
    assert [a["data"]["cause"] for a in Hook.taken[told:]] == ["hooked"]


def hostile_words():
    """What others wrote cannot become a header, a recipient or the end of the message."""
    shop.host.json("POST", "/demo/tests/problem", {
        "cause": "hostile", "message": "Code\r\nBcc: thief@example.com\r\n\r\n.\r\nMAIL FROM:<x@y> größer"})
    message = mailbox.until(OPERATIONS, "Code Bcc: thief@example.com")[0]
    assert message["Bcc"] is None and "größer" in message["Subject"], message["Subject"]
    assert "MAIL FROM:<x@y>" in message.get_content() and "to operations" in message.get_content()
    assert all(to == [OPERATIONS] or to == [MERCHANDISING] for to, _ in mailbox.parsed())


def nothing_leaks():
    log = shop.host.tail(10 ** 7)
    for secret in (PASSWORD, SIGNING_KEY, "hunter2"):
        assert secret not in log, f"{secret} in the log"
    found = subprocess.run(["grep", "-rlaE", f"{PASSWORD}|{SIGNING_KEY}|hunter2", os.path.join(shop.host.folder, "data")],
                           capture_output=True, text=True, check=False)
    assert found.stdout == "", found.stdout


def main():
    prepare()
    mailbox.start()
    shop.start()
    neap.case("the first of a kind is told at once by e-mail, in business words", first_at_once)
    neap.case("and by a webhook whose signature holds", signed_webhook)
    neap.case("more of the same kind wait for the digest", no_storm)
    neap.case("the digest tells what is new, open and closed; what was closed once", digest)
    neap.case("451 is tried again, and told once", greylisting)
    neap.case("kill -9 between send and commit repeats the same message", killed_in_between)
    neap.case("kill -9 at any moment: one message for each problem", killed_at_random)
    neap.case("a mail server that takes its time does not hold the host", slow_server)
    neap.case("while the server is down alerts are parked, then told once", server_down)
    neap.case("a wrong password is a problem for a person, and nothing is lost", wrong_password)
    neap.case("without STARTTLS nothing is sent", no_starttls)
    neap.case("a receiver that fails is told again, signed anew", hook_comes_back)
    neap.case("line ends in what others wrote stay harmless", hostile_words)
    neap.case("an address that is refused is a problem for a person", unknown_address)
    neap.case("no secret is in the log or the store", nothing_leaks)


try:
    main()
finally:
    shop.stop()
    hook.shutdown()
    mailbox.stop()
neap.done()
