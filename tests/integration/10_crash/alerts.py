"""kill -9 at every named moment of an alert on its way: by e-mail, then by webhook.

Problems come to be, each of a kind of its own, so that each is told at once. Neither a mail server nor a receiver of
webhooks can be asked what it took: an alert that may have arrived goes again, as the same bytes under the same id.
"""

import os

import matrix
import neap
from campaign import Campaign
from receivers import Hook, Mailbox

AFTER_S = 0.5  # the next problem, when the moment has not come yet
ACCEPT_S = 10  # a host that is not up by then has ended
# What every alert meets, and the faults of each way.
POINTS = {
    "mail": {**matrix.OF_REPEATS, "refused": "451", "unsent": "gone"},
    "webhook": {**matrix.OF_REPEATS, "refused": "429", "unsent": "gone"},
}
if not matrix.WIDE:  # the ledger is the same for both ways
    POINTS["webhook"] = {point: POINTS["webhook"][point] for point in ("send", "arrival", "unknown", "again", "refused")}

PROBLEMS = """return {
    name = "tests", version = 1,
    triggers = {{kind = "route", name = "problem", method = "POST", path = "/tests/problem",
        handle = function(_, request)
            return {status = 200, body = "{}", events = {{source = "tests", id = request.body,
                name = "problem", payload = request.body}}}
        end}},
    run = function(job)
        local cause = job.event.payload
        job:open_exception({cause = cause, subject = "it", message = "Something of the " .. cause})
    end,
}
"""


def changes(mailbox):
    connection = f"""connections = {{
        mail = {{base_url = "smtp://127.0.0.1:{mailbox.port}", tls = "none", timeout_ms = 4000,
            breaker_failures = 100, breaker_cool_ms = 100}},"""
    return {
        "connections = {": connection,
        "return {base_url = ALERTS_URL, signature": "return {base_url = ALERTS_URL, breaker_failures = 100, signature",
        "flows = {\n": 'flows = {\n        tests = {use = "flows.tests"},\n',
        'channels = {desk = {kind = "webhook", connection = "alerts", path = "/alerts"}},':
            'channels = {webhook = {kind = "webhook", connection = "alerts", path = "/alerts"},\n'
            '                    mail = {kind = "mail", connection = "mail", from = "neap@fellside.example"}},',
        'default = {{channel = "desk"}}': 'default = {{channel = var("ALERT_CHANNEL", "mail")}}',
    }


class Telling(Campaign):
    """A campaign whose other side are the receivers."""

    def __init__(self, seed):
        self.receivers = {"mail": Mailbox(), "webhook": Hook()}
        super().__init__(seed, changes=changes(self.receivers["mail"]), variables={
            "ALERTS_URL": f"http://127.0.0.1:{self.receivers['webhook'].port}", "DESPATCH_EVERY_MS": "600000",
            "STOCK_POLL_MS": "600000", "STOCK_FULL_MS": "600000", "STOCK_SEND_MS": "600000",
            "STOCK_DRIFT_MS": "600000", "PRODUCTS_EVERY_MS": "600000", "PRODUCTS_STEP_MS": "600000"})
        flows = os.path.join(self.host.clients[0], "flows")
        os.makedirs(flows)
        with open(os.path.join(flows, "tests.lua"), "w", encoding="utf-8") as f:
            f.write(PROBLEMS)
        self.channel = None
        self.problems = {"mail": [], "webhook": []}

    def use(self, channel):
        self.channel = channel
        self.host.variables["ALERT_CHANNEL"] = channel

    def receiver(self):
        return self.receivers[self.channel]

    def take_away(self):
        self.receiver().kill()

    def bring_back(self):
        self.receiver().start()

    def set_faults(self, rules):
        for receiver in self.receivers.values():
            receiver.set_faults(None, 0)
        for rule in rules.get("alerts", []):
            self.receiver().set_faults(rule["fault"], rule["times"])

    def post(self, cause):
        try:
            return self.host.post("/demo/tests/problem", cause, timeout_s=1)[0] == 200
        except OSError:
            return False

    def next_problem(self):
        """A kind that was not told yet; the host may end before it has it."""
        cause = f"{self.channel}{len(self.problems[self.channel]):03}"
        self.problems[self.channel].append(cause)

        def is_over():
            return self.host.process.poll() is not None or matrix.is_stopped(self.host.process) or self.post(cause)
        neap.until(is_over, f"the host takes {cause} or ends", ACCEPT_S)
        return cause

    def told(self, channel):
        """cause -> id -> copies."""
        told = {}
        for name, copies in self.receivers[channel].copies().items():
            for cause in self.problems[channel]:
                if f"Something of the {cause}" in self.receivers[channel].words(copies[0]):
                    told.setdefault(cause, {})[name] = copies
        return told

    def end_problems(self):
        """What the host may not have taken is said again: it takes an event once. Then all are told."""
        self.set_faults({})
        self.start_host()
        for cause in self.problems[self.channel]:
            assert self.post(cause), cause
        neap.until(lambda: set(self.told(self.channel)) == set(self.problems[self.channel]), "everybody is told")
        neap.until(lambda: self.host.status()["open_effects"] == 0, "no delivery is under way")
        last = self.next_problem()
        neap.until(lambda: last in self.told(self.channel), "the last is told")
        neap.until(lambda: self.host.status()["open_effects"] == 0, "no delivery is under way")
        self.kill_host()

    # ---- what must hold ----

    def check_told(self, channel):
        told, repeats = self.told(channel), 0
        assert set(told) == set(self.problems[channel]), set(self.problems[channel]) - set(told)
        for cause, ids in told.items():
            assert len(ids) == 1, f"{cause} was told by several alerts: {list(ids)}"
            for name, copies in ids.items():
                assert name and len(set(copies)) == 1, f"{name}: a repeat differs: {copies}"
                repeats += len(copies) - 1
        last = self.problems[channel][-1]
        assert sum(map(len, told[last].values())) == 1, f"{last} was disturbed by nothing and told twice"
        print(f"# {channel}: {len(told)} problems were told, {repeats} repeats")

    def check_quiet(self):
        assert not self.unplanned, self.unplanned
        self.start_host()
        status = self.host.status()
        assert status["jobs"]["dead"] == 0 and status["jobs"]["held"] == 0, status
        known = {cause for causes in self.problems.values() for cause in causes}
        others = [e for e in self.host.exceptions() if e["cause"] not in known]
        assert not others, others


def all_cells():
    return [cell for way, points in POINTS.items()
            for cell in matrix.unit_cells(matrix.OF_ALERTS, way, points, matrix.WIDE)]


def at_named_moments(seed, wanted):
    cells = [cell for cell in all_cells() if wanted in cell.name]
    if not cells:
        return
    campaign = Telling(seed)
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments of alerts; data in {campaign.host.folder}", flush=True)

    def come():
        campaign.start_sandbox()
        missing = []
        for channel, receiver in campaign.receivers.items():
            receiver.start()
            campaign.use(channel)
            missing += [cell.name for cell in cells if cell.who == channel and not matrix.run_cell(
                campaign, cell, lambda _, __: campaign.next_problem(), AFTER_S)]
            campaign.end_problems()
        assert not missing, f"moments that never came: {missing}"

    try:
        neap.case(f"kill -9 at every named moment of an alert: each of them comes (seed {seed})", come)
        for channel in campaign.receivers:
            neap.case(f"everybody was told, a repeat by {channel} is the same alert to the byte",
                      lambda channel=channel: campaign.check_told(channel))
        neap.case("nobody is asked about an alert, none is left open", campaign.check_quiet)
    finally:
        campaign.stop()
        for receiver in campaign.receivers.values():
            if receiver.server:
                receiver.kill()
