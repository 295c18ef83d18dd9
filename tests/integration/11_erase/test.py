"""Erasing an order: by a running host, on a stopped one's data, and again after a restore."""

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

OK, WRONG, USAGE, NOT_FOUND, UNREACHABLE = 0, 1, 2, 3, 4
REASON = ("--reason", "asked by letter", "--who", "eve")

shop = neap.Shop(variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000"})
placed = []


def expect(code, *words):
    got, text = shop.host.verb(*words)
    assert got == code, f"neap {' '.join(words)}: {got} instead of {code}: {text[:500]}"
    return text


def erase(order, *options):
    return json.loads(expect(OK, "erase", str(order["order_id"]), *REASON, *options, "--json"))


def kinds(order):
    """Kinds of the lines on the order's timeline."""
    return [line["kind"] for line in shop.host.order(order["order_id"])["timeline"]]


def data(*names):
    return os.path.join(shop.host.folder, "data", *names)


def command_lines():
    order_id = str(placed[0]["order_id"])
    expect(USAGE, "erase")
    expect(USAGE, "erase", order_id)
    assert "reason" in expect(USAGE, "erase", order_id)
    expect(NOT_FOUND, "erase", "nobody", *REASON)
    assert neap.run("erase", order_id, *REASON, "--data", neap.new_folder())[0] in (NOT_FOUND, UNREACHABLE)


def by_a_running_host():
    order = placed[0]
    before = shop.host.order(order["order_id"])
    dry = erase(order, "--dry-run")
    assert dry["dry_run"] and dry["erased"]["payloads"] > 0 and dry["erased"]["effects"] > 0, dry
    assert shop.host.order(order["order_id"]) == before
    wet = erase(order)
    assert wet["erased"] == dry["erased"], (wet, dry)
    after = shop.host.order(order["order_id"])
    assert kinds(order) == ["erased"] and "trail" not in after, after
    for part in ("links", "key"):
        assert after[part] == before[part], part
    assert after["facts"]["amount"] == before["facts"]["amount"], after["facts"]
    assert len(kinds(placed[1])) > 3
    assert os.path.exists(data("demo.erasures"))


def the_host_goes_on():
    again = shop.place()
    shop.until_right(again)
    neap.until(lambda: "compacted" in shop.host.tail(20000), "the store is compacted")
    again = shop.place()
    shop.until_right(again)
    assert kinds(placed[0]) == ["erased"]


def on_a_stopped_host():
    assert shop.host.stop() == OK
    shutil.copytree(data("demo"), data("..", "backup"))
    job = shop.job(placed[2])
    report = erase(placed[1])
    assert report["erased"]["payloads"] > 0, report
    assert kinds(placed[1]) == ["erased"]
    assert shop.job(placed[2]) == job
    assert not os.path.exists(data("demo", "aside"))


def a_locked_folder_is_left_alone():
    shop.host.start()
    os.rename(data("neap.sock"), data("away.sock"))
    expect(UNREACHABLE, "erase", str(placed[2]["order_id"]), *REASON)
    os.rename(data("away.sock"), data("neap.sock"))
    assert shop.host.stop() == OK
    assert len(kinds(placed[2])) > 3


def after_a_restore():
    shutil.rmtree(data("demo"))
    os.rename(data("..", "backup"), data("demo"))
    assert len(kinds(placed[1])) > 3, "the restored store does not know yet"
    shop.host.start()
    assert kinds(placed[1]) == ["erased"], kinds(placed[1])
    assert len(kinds(placed[2])) > 3
    again = shop.place()
    shop.until_right(again)


def what_is_held_needs_force():
    order = shop.place("unmapped_tax", seed=4)
    neap.until(lambda: shop.causes(order), "the order is held")
    expect(WRONG, "erase", str(order["order_id"]), *REASON)
    assert erase(order, "--force")["erased"]["jobs_dismissed"] == 1
    assert kinds(order) == ["erased"]
    assert shop.job(order)["state"] == "done"


def prepare():
    shop.start()
    for _ in range(3):
        placed.append(shop.place())
    shop.until_right(*placed)
    neap.until(lambda: all(shop.job(o)["state"] == "done" for o in placed), "all jobs are done")


neap.case("orders are posted", prepare)
neap.case("the command line", command_lines)
neap.case("a running host erases", by_a_running_host)
neap.case("it goes on, also after it compacted the store", the_host_goes_on)
neap.case("a stopped host's data", on_a_stopped_host)
neap.case("a data folder in use is left alone", a_locked_folder_is_left_alone)
neap.case("a restored store is erased again", after_a_restore)
neap.case("a held order is erased by force only", what_is_held_needs_force)
shop.stop()
neap.done()
