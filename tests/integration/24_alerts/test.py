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
os.environ["ALERT_KEY"] = SIGNING_KEY

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
        return [(to, email.message_from_bytes(content, policy=email.policy.default))
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
            signature = {{secret = secret("ALERT_KEY"), header = "X-Alert-Signature",
                timestamp_header = "X-Alert-Time"}},
            breaker_cool_ms = 200,
        }},"""

FLOW = """flows = {
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
                    operations = {{channel = "mail", to = "operations@fellside.example"}},
                },
                nobody = "operations",
            },
        },"""
MERCHANDISING = "merchandising@fellside.example"
OPERATIONS = "operations@fellside.example"


def prepare():
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


def main():
    prepare()
    mailbox.start()
    shop.start()
    neap.case("the first of a kind is told at once by e-mail, in business words", first_at_once)
    neap.case("and by a webhook whose signature holds", signed_webhook)


try:
    main()
finally:
    shop.stop()
    hook.shutdown()
    mailbox.stop()
neap.done()
