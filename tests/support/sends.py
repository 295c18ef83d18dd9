"""The look-up rule: nothing goes out a second time before it was known that the first had not happened.

Judged from the sandboxes' logs of calls, whatever a repeat did: a system that refuses or ignores repeats hides them
from its ledger, not from its log.
"""

SHIPPED = ("shipped", "delivered", "returned")
CANCELLED = ("cancelled", "canceled", "undeliverable", "unavailable")


def _unit_is(states):
    """Does an order that was read show the unit in one of these states? None: it does not show the unit."""
    def shows(call, unit):
        state = call.get("units", {}).get(unit)
        return None if state is None else state in states
    return shows


def _named(field):
    return lambda call, subject: call.get(field, {}).get(subject)


class Send:
    """A call that must not be repeated blindly. shows: what its look-up says of a subject (False: not happened).
    open_refusals: statuses of 4xx after which it may have happened all the same (the refusal may be of a repeat)."""

    def __init__(self, system, operation, look_up, shows, open_refusals=(408,)):
        self.system = system
        self.operation = operation
        self.look_up = look_up
        self.shows = shows
        self.open_refusals = open_refusals

    def is_refusal(self, status):
        return 400 <= status < 500 and status not in self.open_refusals


MAY_BE_REPEAT = (400, 408, 409, 412)
SENDS = (
    Send("khaos", "ImportOrders", "ExportOrderStatusEx", _named("found")),
    Send("khaos", "ImportCompany", "ExportCompany", _named("found")),
    Send("khaos", "CancelOrder", "ExportOrderStatusEx", _named("cancelled")),
    Send("scayle", "ship", "get_order", _unit_is(SHIPPED), MAY_BE_REPEAT),
    Send("scayle", "cancel", "get_order", _unit_is(CANCELLED), MAY_BE_REPEAT),
    Send("scayle", "return_items", "get_order", _unit_is(("returned",)), MAY_BE_REPEAT),
    Send("scayle", "create_variant", "get_variant", _named("found"), MAY_BE_REPEAT),
)


def of(system):
    return [send for send in SENDS if send.system == system]


class _Story:
    """What is known of one kind of send, call by call."""

    def __init__(self, send, is_delivered):
        self.send = send
        self.is_delivered = is_delivered
        self.doubtful = {}  # subject -> number of the call that may have happened
        self.put_off = {}  # subject -> numbers of its calls that happen later, in order
        self.absent = {}  # subject -> {number of a call: None, or of the one that followed its proof of absence}
        self.unproven = []

    def looked(self, call):
        for subject in list(self.doubtful):
            if self.send.shows(call, subject) is False:
                self.absent.setdefault(subject, {})[self.doubtful.pop(subject)] = None

    def happened_late(self, call):
        for subject in call["subjects"]:
            first = self.put_off[subject].pop(0) if self.put_off.get(subject) else None
            if first in self.absent.get(subject, {}):
                then = self.absent[subject].pop(first)
                if then:
                    self.unproven.append((self.send.operation, subject, first, then))
                else:
                    self.doubtful[subject] = first

    def sent(self, call):
        for subject in call["subjects"]:
            if subject in self.doubtful:
                self.unproven.append((self.send.operation, subject, self.doubtful[subject], call["number"]))
            for first, then in self.absent.get(subject, {}).items():
                self.absent[subject][first] = then or call["number"]
            self.doubtful[subject] = call["number"]
            if "late" in call.get("faults", []):
                self.put_off.setdefault(subject, []).append(call["number"])
            if self.send.is_refusal(call["status"]) and self.is_delivered(call):
                del self.doubtful[subject]

    def take(self, call):
        operation = call.get("operation")
        if operation == self.send.operation:
            (self.happened_late if call.get("is_late") else self.sent)(call)
        elif operation == self.send.look_up and self.is_delivered(call):
            self.looked(call)


def unproven_sends(calls, deaths, system):
    """(operation, subject, call, call again): sends of a subject after its first for which nobody knew that the one
    before had not happened.

    calls: the sandbox's log, in order. deaths: run of the host -> when it was dead, ms. A send before is known not to
    have happened when a look-up in between said so, or the system refused the send itself, and that answer was
    delivered: completely, and to a run of the host that was alive. "Absent" is no proof when the send was only put
    off (`late`) and happens after it: it was asked too early."""

    def is_delivered(call):
        left_ms = call["at_ms"] + call.get("delay_ms", 0)
        run = int(call.get("run", 0))  # 0: somebody else asked
        return run > 0 and not call.get("rude") and left_ms <= deaths.get(run, float("inf"))

    stories = [_Story(send, is_delivered) for send in of(system)]
    for call in calls:
        for story in stories:
            story.take(call)
    return [found for story in stories for found in story.unproven]


def count(calls, system):
    """How many sends there were, and of how many different subjects."""
    kinds = {send.operation for send in of(system)}
    sends = [c for c in calls if c.get("operation") in kinds and not c.get("is_late")]
    return len(sends), len({(c["operation"], s) for c in sends for s in c["subjects"]})
