"""A small peak day in virtual time, with everything in it: faults, an edit, a kill, a wrong clock.

It must end right, end the same from the same seed, and the books must notice a single penny. NEAP_SEED and
NEAP_ORDERS choose another day.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

SEED = os.environ.get("NEAP_SEED", "20251128")
ORDERS = int(os.environ.get("NEAP_ORDERS", "100"))
DAY = os.path.join(neap.ROOT, "examples", "blackfriday")


def play(orders, **variables):
    words = ["simulate", DAY, "--seed", SEED, "--json", "--set", f"ORDERS={orders}"]
    for name, value in {"HELD_SHARE": "0.08", **variables}.items():
        words += ["--set", f"{name}={value}"]
    code, text = neap.run(*words, timeout_s=300)
    assert code in (0, 1), f"neap simulate ended with {code}: {text[-2000:]}"
    return code, json.loads(text)


def holds():
    code, day = play(ORDERS)
    books = day["books"]
    print(f"# seed {SEED}: {books['orders']} orders, {books['posted']} posted, {books['cancelled']} cancelled, "
          f"{books['held']} held, {books['sent_units']} units sent, {books['returned_units']} back", flush=True)
    assert code == 0 and day["ok"], (day["problem"], books["problems"], day["verify"], day["reconcile"])
    assert day["kills"] == 1, day["kills"]
    assert books["pennies"] == 0
    # A day on which nothing of it happened would hold as well.
    for what in ("posted", "held", "cancelled", "never_posted", "sent_units", "returned_units", "taken_off", "goodwill_minor", "exposed"):
        assert books[what] > 0, f"no {what} on this day: {books}"
    assert len(books["currencies"]) >= 2, books["currencies"]


def holds_on_the_cloud():
    code, day = play(ORDERS, LINE="cloud")
    books = day["books"]
    print(f"# {books['orders']} orders, {books['posted']} posted, {books['cancelled']} cancelled, {books['held']} held, "
          f"{books['sent_units']} units sent, {books['returned_units']} back", flush=True)
    assert code == 0 and day["ok"], (day["problem"], books["problems"], day["verify"], day["reconcile"])
    assert day["kills"] == 1, day["kills"]
    assert books["pennies"] == 0
    for what in ("posted", "held", "cancelled", "never_posted", "sent_units", "returned_units", "taken_off", "exposed"):
        assert books[what] > 0, f"no {what} on this day: {books}"
    assert books["goodwill_minor"] == 0  # nobody would be told of it


def repeats():
    first, again = play(20), play(20)
    assert first == again, "the same seed gave another day"


def notices_a_penny():
    code, day = play(20, SABOTAGE="penny")
    books = day["books"]
    assert code == 1 and not day["ok"] and books["pennies"] == 1, books
    assert len(books["problems"]) >= 2, books["problems"]  # the order and its currency


def notices_a_cancellation():
    code, day = play(20, SABOTAGE="cancel")
    assert code == 1 and not day["ok"], day["books"]
    assert any("cancelled in Khaos" in text for text in day["books"]["problems"]), day["books"]["problems"]


def refuses():
    assert neap.run("simulate")[0] == 2
    assert neap.run("simulate", "examples/nowhere")[0] == 3


neap.case(f"a peak day with faults, an edit, a kill and a wrong clock ends right (seed {SEED})", holds)
neap.case("so does the same day on Khaos Control Cloud, which calls the client", holds_on_the_cloud)
neap.case("the same seed gives the same day", repeats)
neap.case("a penny that is altered in Khaos turns it red", notices_a_penny)
neap.case("so does an order cancelled behind everybody's back", notices_a_cancellation)
neap.case("wrong words and absent folders are told", refuses)
neap.done()
