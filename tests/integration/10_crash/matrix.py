"""Every named moment (core/base/kill_point.h) times every kind of effect.

A cell is one end of the host: the entries of NEAP_KILL_AT that bring it about, the faults that make the moment
come, and, for what never leaves, the moment at which the sandboxes are taken away. A moment that does not come is
a failure.
"""

import glob
import os
import re
import signal
import time

import neap

WIDE = os.environ.get("NEAP_WIDE", "") == "1"  # all moments of the effects whose kind other cells are about as well
NEVER_S = neap.WAIT_S  # a moment that did not come until then does not come

# The kinds of effect that the scripts declare: their names in the ledger, system and operation.
OF_ORDERS = {
    "import_company": ("khaos", "ImportCompany"),
    "import_order": ("khaos", "ImportOrders"),
    "set_reference_key": ("scayle", "set_reference"),
}
OF_FULFILMENT = {
    "ship_parcel": ("scayle", "ship"),
    "cancel_units": ("scayle", "cancel"),
    "return_units": ("scayle", "return_items"),
    "cancel_order": ("khaos", "CancelOrder"),
}
OF_AFTERSALES = {
    "process_return": ("khaos", "ProcessReturn"),
    "billing_status": ("scayle", "billing_status"),
}
OF_AMENDMENTS = {
    "amend_order": ("khaos", "AmendOrder"),
}
OF_PRODUCTS = {
    "create_variant": ("scayle", "create_variant"),
}
OF_ALERTS = {
    "alert": ("alerts", "deliver"),  # a mail server or a receiver of webhooks
}
EFFECTS = {**OF_ORDERS, **OF_FULFILMENT, **OF_AFTERSALES, **OF_AMENDMENTS, **OF_PRODUCTS, **OF_ALERTS}
# Where the scripts declare them, and what brings each about in the cells ("who").
SITES = {
    "order_stages/line_soap.lua": {"import_company": ["import_company"], "import_order": ["import_order", "approval"]},
    "order_stages/reference.lua": {"set_reference_key": ["set_reference_key"]},
    "order_stages/stage.lua": {"cancel_units": ["staging"]},
    "despatch_stages/apply.lua": {"ship_parcel": ["ship_parcel"], "cancel_units": ["cancel_units"]},
    "cancellation_stages/unheard.lua": {"cancel_units": ["unheard"]},
    "khaos_cancel.lua": {"cancel_order": ["cancel_order"]},
    "returns_stages/tell_units.lua": {"return_units": ["return_units"]},
    "returns_stages/process.lua": {"process_return": ["process_return"]},
    "returns_stages/goodwill.lua": {"billing_status": ["billing_status"]},
    "unit_stages/take_out.lua": {"amend_order": ["amend_order"]},
    "product_stages/create.lua": {"create_variant": ["create_variant"]},
    "alert_stages/deliver.lua": {"alert": ["mail", "webhook"]},
}
REPEATED = ("process_return",)  # dedupes, so it may leave on a connection that is open already
LOOKED_UP = ("import_company", "import_order")  # class lookup; set_reference_key dedupes
DECLARED = r'\bname = "([a-z_]+)"(?:(?!\bname = ).){0,200}?\bclass = "(?:lookup|dedupes|once)"'
LATE_MS = 200  # well below the settle_ms of Khaos, well above what a look-up takes that does not wait for it

# Moments of an effect itself -> the fault that makes them come (None: they always do).
OF_EFFECTS = {
    "intent": None, "send": None, "arrival": None, "answered": None, "confirmed": None,
    "unknown": {"khaos": "reset_after", "scayle": "500"},
    "again": {"khaos": "reset_before", "scayle": "500"},
    "absent": "reset_before",
    "refused": {"khaos": "fault_any_status", "scayle": "429"},
    "unsent": "gone",  # the other system is away when the request is to leave
}
# The same for what is told of units and cancellations; the order itself is the look-up.
OF_UNITS = {
    "intent": None, "send": None, "arrival": None, "answered": None, "confirmed": None,
    "unknown": "reset_after", "absent": "reset_before",
}
# And of what may be sent again, because the other side takes it once.
OF_REPEATS = {
    "intent": None, "send": None, "arrival": None, "answered": None, "confirmed": None,
    "unknown": "reset_after", "again": "reset_before",
}
# Entries of the ledger: the commit that makes each durable is met as well (that of an intent below).
JOURNALED = ("answered", "confirmed", "unknown", "again", "absent", "refused")
# Moments of everything else: met while an effect of the kind is under way.
OF_OTHERS = ("accept", "reply", "step", "timeline", "hold", "end", "checkpoint", "slice", "commit")

SIDES = ("before", "after")


class Cell:
    """after: the entry that must be passed first, and whose subject the moment then is ("": any). who: what brings
    the effect about, where there are several. since: another entry before all, of no effect."""

    def __init__(self, effect, point, side, fault=None, after=None, who=None, since=None):
        self.effect = effect
        self.who = who or effect
        self.point = f"{point}.{side}"
        self.fault = fault
        self.after, self.subject = after or ("", f"/{effect}")
        self.name = f"{self.point} x {effect}" + (f", {self.after}{self.subject}" if after else "")
        self.name += f", {fault}" if fault == "late" else ""
        self.name += f", {since}" if since else ""
        self.name += f", {who}" if who else ""
        self.since = since

    def entries(self):
        if self.since:
            return f"{self.since} {self.point}"
        own = f"{self.point}{self.subject}"
        if self.fault == "late":  # the third outcome: those of imports that this run itself sent are among them
            return f"unknown.after/{self.effect} {own}:3"
        if self.fault == "gone":
            return f"send.before/{self.effect}=stop {own}"
        return f"{self.after}/{self.effect} {own}" if self.after else own

    def rules(self):
        # Three times: the first may meet a request that the host sent before its last end.
        if self.fault in (None, "gone"):
            return {}
        system, operation = EFFECTS[self.effect]
        kind = self.fault if isinstance(self.fault, str) else self.fault[system]
        if kind == "late":
            return {system: [{"operation": operation, "times": 6, "fault": kind, "ms": LATE_MS}]}
        times = 12 if self.effect in REPEATED else 3  # libcurl tries up to five more of its open connections by itself
        return {system: [{"operation": operation, "times": times, "fault": kind}]}


def cells():
    """All that an order meets on its way."""
    made = []
    for effect in OF_ORDERS:
        for point, fault in OF_EFFECTS.items():
            if point == "absent" and effect not in LOOKED_UP:
                continue
            made += [Cell(effect, point, side, fault) for side in SIDES]
            if point in JOURNALED:
                made += [Cell(effect, "commit", side, fault, (f"{point}.after", "")) for side in SIDES]
        for point in OF_OTHERS:
            made += [Cell(effect, point, side, after=("intent.after", "")) for side in SIDES]
    for effect in LOOKED_UP:  # the look-up that decides on a second send, as any plain request
        for point in ("send", "arrival"):
            made += [Cell(effect, point, side, "reset_before", ("unknown.after", "/call")) for side in SIDES]
    # Khaos imports after its connection ended: a look-up before settle_ms is over would say "absent".
    for effect in LOOKED_UP:
        made.append(Cell(effect, "confirmed", "after", "late"))
    return made


def unit_cells(effects, who=None, points=None, has_commits=True):
    """All that is met by parcels, cancelled and returned units, or by orders that Khaos is to cancel. has_commits: the
    commits after the journaled moments too."""
    made = []
    for effect in effects:
        for point, fault in (points or OF_UNITS).items():
            made += [Cell(effect, point, side, fault, who=who) for side in SIDES]
            if has_commits and (point in JOURNALED or point == "intent"):
                made += [Cell(effect, "commit", side, fault, (f"{point}.after", ""), who) for side in SIDES]
    return made


def approval_cells():
    """All that a posting meets that a person releases: from the release on, then as any import."""
    who, released = "approval", "accept.after/neap.act"
    points = OF_EFFECTS if WIDE else {p: OF_EFFECTS[p] for p in ("intent", "send", "arrival", "unknown", "absent")}
    made = unit_cells(["import_order"], who, points, WIDE)
    made += [Cell("import_order", point, side, who=who, since=released)
             for point in ("step", "timeline", "end", "slice", "commit") for side in SIDES]
    return made


def check_effects(all_cells):
    """Every place where a script declares an effect has cells; and the other way round."""
    declared = {}
    flows = os.path.join(neap.ROOT, "scripts", "flows")
    for path in glob.glob(os.path.join(neap.ROOT, "scripts", "**", "*.lua"), recursive=True):
        if os.sep + "meta" + os.sep in path or path.endswith(os.path.join("lib", "offline.lua")):
            continue  # what editors read about the API; the stand-in of golden cases
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"--.*", "", f.read())
        calls = len(re.findall(r":effect\s*[({]", text))
        names = re.findall(DECLARED, text, re.S)
        assert len(names) >= calls, f"{path}: {calls} effects, but only these names are written out: {names}"
        if calls:
            declared[os.path.relpath(path, flows)] = sorted(names)
    known = {path: sorted(names) for path, names in SITES.items()}
    assert declared == known, f"no cells: {difference(declared, known)}; of no script: {difference(known, declared)}"
    wanted = {(effect, who) for names in SITES.values() for effect, list_ in names.items() for who in list_}
    found = {(cell.effect, cell.who) for cell in all_cells}
    assert wanted == found and {effect for effect, _ in found} == set(EFFECTS), (wanted ^ found, EFFECTS)


def difference(one, other):
    return {path: names for path, names in one.items() if other.get(path) != names}


def check_names(binary):
    """Every point that the host knows is in the matrix, and the other way round."""
    code, text = neap.run("run", env={**os.environ, "NEAP_KILL_AT": "list"})
    assert code == 0 and text, f"{binary} has no kill points: build it with MODE=debug or MODE=asan"
    known = set(text.split())
    used = {cell.point for cell in cells()}
    assert known == used, f"not in the matrix: {known - used}; not in the host: {used - known}"


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


def place(campaign, number):
    """A guest's order takes all effects; the other kind is held."""
    campaign.place("guest" if number % 3 != 1 else "unmapped_tax")


def run_cell(campaign, cell, act=place, pause_s=0.2):
    """Something happens again and again until the host ends at the cell's moment; False when it never does."""
    campaign.set_faults(cell.rules())
    campaign.start_host(wait=False, kill_at=cell.entries())
    process = campaign.host.process
    end = time.monotonic() + NEVER_S
    next_order = time.monotonic()
    acted = 0
    while process.poll() is None and time.monotonic() < end:
        if cell.fault == "gone" and is_stopped(process):
            campaign.take_away()
            process.send_signal(signal.SIGCONT)
            process.wait(NEVER_S)
            campaign.bring_back()
            break
        if time.monotonic() >= next_order:
            act(campaign, acted)
            acted += 1
            next_order = time.monotonic() + pause_s
            pause_s *= 1.5
        time.sleep(0.005)
    has_fired = process.poll() == -signal.SIGKILL
    campaign.kill_host()
    campaign.note_death()
    return has_fired and f"kill point {cell.point}" in campaign.host.tail(400)
