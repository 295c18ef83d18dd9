"""Who is told of problems: a mail server without TLS and a receiver of webhooks, that can fail and go away.

Both keep what they took in `taken`: (the alert's id, all of its bytes). A fault is of the next deliveries, `times` of
them: a number (the answer), "reset_before" (nothing is taken) or "reset_after" (taken, but nobody is told so).
"""

import email
import http.server
import json
import socket
import socketserver
import threading

import neap


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Receiver:
    """kill and start: the server goes away and comes back at the same place."""

    def __init__(self):
        self.port = neap.free_port()
        self.lock = threading.Lock()
        self.taken = []
        self.faults = []
        self.open = []
        self.server = None

    def start(self):
        receiver = self

        class Handler(self.HANDLER):
            def setup(self):
                self.receiver = receiver
                receiver.open.append(self.request)
                super().setup()

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # whoever called is gone

        self.server = _Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def kill(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.open:
            close(connection)
        self.open.clear()

    def set_faults(self, kind, times):
        self.faults = [kind] * times if kind else []

    def next_fault(self):
        with self.lock:
            return self.faults.pop(0) if self.faults else None

    def take(self, name, content):
        with self.lock:
            self.taken.append((name, content))

    def copies(self):
        """id -> the bytes of each delivery."""
        with self.lock:
            found = {}
            for name, content in self.taken:
                found.setdefault(name, []).append(content)
            return found


def close(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Hook(Receiver):
    class HANDLER(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault = self.receiver.next_fault()
            if fault in (None, "reset_after"):
                self.receiver.take(self.headers["Idempotency-Key"], body)
            if fault in ("reset_before", "reset_after"):
                close(self.request)
                return
            self.send_response(int(fault or 204))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    def words(self, content):
        return json.loads(content)["text"]


class Mailbox(Receiver):
    class HANDLER(socketserver.StreamRequestHandler):
        def say(self, line):
            self.wfile.write(line.encode() + b"\r\n")

        def read_message(self):
            lines = []
            for line in self.rfile:
                if line == b".\r\n":
                    return b"".join(lines)
                lines.append(line)
            return None  # cut off: no message

        def handle_data(self):
            self.say("354 go on")
            content = self.read_message()
            if content is None:
                return False
            fault = self.receiver.next_fault()
            if fault in (None, "reset_after"):
                self.receiver.take(email.message_from_bytes(content)["Message-ID"], content)
            if fault in ("reset_before", "reset_after"):
                close(self.request)
                return False
            self.say(f"{fault} come again" if fault else "250 taken")
            return True

        def handle(self):
            self.say("220 mail")
            for line in self.rfile:
                verb = line.split(b" ")[0].strip().upper()
                if verb == b"DATA":
                    if not self.handle_data():
                        return
                elif verb == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 good")

    def words(self, content):
        return email.message_from_bytes(content).get_payload(decode=True).decode()
