"""A host whose power can be cut: tests/support/shim preloaded. What the shim reports is read back here."""

import os
import signal
import subprocess

import neap

SHIM = os.path.join(neap.ROOT, "build", "power_shim.so")
subprocess.run(["make", "--no-print-directory", "-s", "-C", neap.ROOT, "build/power_shim.so"], check=True)


class PowerHost(neap.Host):
    """Takes the place of a host that was not started yet; its data then live on a disk that can lose power."""

    def __init__(self, host):
        super().__init__(host.clients, data=host.folder, variables=host.variables, port=host.port,
                         options=host.options)
        self.report_path = os.path.join(self.folder, "power.report")
        self.trigger_path = os.path.join(self.folder, "power.trigger")
        self.power = {}

    def command(self):
        given = {"DATA": os.path.join(self.folder, "data"), "REPORT": self.report_path,
                 "TRIGGER": self.trigger_path, **self.power}
        return ["env", f"LD_PRELOAD={SHIM}", *(f"NEAP_POWER_{name}={value}" for name, value in given.items()),
                *super().command()]

    def will_cut(self, kind, number, chance):
        """At its next start the power goes before the number-th call of this kind: write, sync, name, send, any."""
        self.power = {"CUT": f"{kind} {number}", "CHANCE": chance}

    def will_fail(self, kind, error, first, count=1):
        """At its next start calls of this kind (sync, write, meta, beside) fail; when it ends, the power goes."""
        self.power = {"FAIL": f"{kind} {error} {first} {count}", "AT_EXIT": 1}

    def will_last(self):
        self.power = {}

    def wait_end(self, timeout_s=neap.WAIT_S):
        """Waits until it ended by itself; returns the exit code, -9 after a cut."""
        return self.process.wait(timeout_s)

    def cut_now(self, timeout_s=neap.WAIT_S):
        """Cuts at the next call; a host that serves makes one every second."""
        with open(self.trigger_path, "w", encoding="utf-8"):
            pass
        try:
            code = self.wait_end(timeout_s)
        finally:
            os.remove(self.trigger_path)
        assert code == -signal.SIGKILL, f"the host ended with {code}: {self.tail()}"

    def report(self, kind):
        """Lines of this kind, without it, from all starts so far."""
        try:
            with open(self.report_path, encoding="utf-8", errors="replace") as f:
                lines = f.read().splitlines()
        except FileNotFoundError:
            return []
        return [line.partition(" ")[2] for line in lines if line.split(" ")[0] == kind]

    def counted(self):
        """Sums of what the shim counted: write, sync, name, send, answers, effects."""
        sums = {}
        for line in self.report("counts"):
            for word in line.split():
                name, _, value = word.partition("=")
                sums[name] = sums.get(name, 0) + int(value)
        return sums

    def check_report(self):
        """The shim saw everything, and nothing it must not see."""
        for kind in ("unseen", "early", "resync"):
            found = self.report(kind)
            assert not found, f"{kind}: {len(found)} times, first {found[0]}"
