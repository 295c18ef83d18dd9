"""Runaway scripts: client "rogue" misbehaves in every way, client "demo" posts its orders on the same host.

What is asserted is work done, never time: while a misdeed goes on, a number of the other client's orders
gets through; the misdeed ends with an error that names the line marked "--> name" in rogue/flows/rogue.lua.
NEAP_ORDERS chooses how many orders accompany each group, NEAP_SEED which.
"""

import os
import signal
import re
import shutil
import statistics
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import neap  # noqa: E402

SEED = int(os.environ.get("NEAP_SEED", "20261128"))
ORDERS = int(os.environ.get("NEAP_ORDERS", "4"))
HANG_S = 240  # ends a test that would hang, no more
SCRIPT = "flows/rogue.lua"
GROUPS = {
    "endless loops": [
        "loop", "pcall", "xpcall", "sort", "gsub", "tostring", "index", "eq", "lt", "concat", "len", "call",
        "close", "loop_and_close", "iterator", "atomic", "many_sorts", "proof"],
    "recursion without end": [
        "recursion", "recursion_pcall", "recursion_sort", "recursion_gsub", "recursion_tostring",
        "recursion_index"],
    "work inside single calls of C": [
        "pattern", "gsub_long", "rep", "table_concat", "format", "unpack", "json_deep", "pattern_loop",
        "rep_loop", "equal_loop", "big_sort"],
    "memory eaters": ["table_grows", "string_doubles", "memory_pcall", "memory_full_loop"],
    "scripts that raise": [
        "gc", "raise", "raise_retryable", "raise_table", "raise_nil", "raise_huge", "raise_odd",
        "raise_endless"],
    "floods": ["flood_steps", "flood_effects", "flood_notes", "flood_store", "flood_log", "flood_events"],
}

shop = neap.Shop(variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000"})
folder = os.path.join(neap.new_folder(), "rogue")
shutil.copytree(os.path.join(HERE, "rogue"), folder)
shop.host.clients.append(folder)
seeds = iter(range(SEED, SEED + 1000000))
placed = []
print(f"# seed {SEED}, {ORDERS} orders with each group; data in {shop.host.folder}", flush=True)


def read(name=SCRIPT):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return f.read()


def save(text, name=SCRIPT):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def marks():
    """name -> the lines where it may end; "+-2" after a name widens its mark. Those without one run forever()."""
    found = {}
    for number, line in enumerate(read().splitlines(), 1):
        for name, wide in re.findall(r"(\w+)(?: \+-(\d))?", line.partition("-->")[2]):
            span = int(wide or 0)
            found.setdefault(name, set()).update(range(number - span, number + span + 1))
    return found


def commit(name, number):
    status, text, _ = shop.host.post(f"/rogue/misdeed?name={name}&id={name}.{number}")
    assert status == 202, (status, text)
    return f"misdeed:{name}.{number}"


def misdeed(key):
    code, text = shop.host.verb("order", key, "--client", "rogue", "--json")
    return neap.json.loads(text) if code == 0 else None


def state(key):
    found = misdeed(key)
    return found["jobs"][-1]["state"] if found and found["jobs"] else "nothing"


def is_over(key):
    return state(key) in ("held", "dead", "done")


def failure(key):
    """The last failure record on the timeline: text, place, traceback."""
    lines = [line for line in misdeed(key)["timeline"] if line["kind"] == "failed"]
    return {"text": lines[-1]["text"], **lines[-1]["data"]} if lines else None


def post_orders(count):
    """The other client's orders, all through; returns how long each took."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        order = shop.place("guest", seed=next(seeds))
        shop.until_right(order, timeout_s=HANG_S)
        times.append(time.monotonic() - began)
        placed.append(order)
    return times


def tell_times(what, times):
    print(f"# {what}: an order took {statistics.median(times):.2f} s (median), {max(times):.2f} s (most)",
          flush=True)


def ends_at(key, name):
    """The misdeed is over, and its failure record and its exception name the marked place."""
    neap.until(lambda: is_over(key), f"{name} ends: {state(key)}", HANG_S)
    lines = marks().get(name, marks()["forever"])
    record = failure(key)
    assert record, f"{name} did not fail: {misdeed(key)['jobs']}"
    job = misdeed(key)["jobs"][-1]
    assert job["causes"], f"{name} is {job['state']} and nobody is told"
    if not record["place"] and "need more memory" in record["text"]:
        return  # its last run could not even begin: the other eaters held all there is
    at = re.fullmatch(re.escape(SCRIPT) + r":(\d+)", record["place"])
    assert at and int(at.group(1)) in lines, f"{name} ended at {record['place']}, marked {lines}: {record['text']}"
    subjects = [c["subject"] for c in job["causes"] if c["cause"] == "script_error"]
    assert job["state"] == "dead" or subjects == [record["place"]], job


def group(title, names):
    keys = {name: commit(name, 1) for name in names}
    times = post_orders(ORDERS)
    still = [name for name, key in keys.items() if not is_over(key)]
    tell_times(f"{title}, {len(still)} of {len(names)} still going on at the end", times)
    if title in ("endless loops", "floods"):
        assert still, "the misdeeds were over before the orders: nothing was proved"
    problems = []
    for name, key in keys.items():
        try:
            ends_at(key, name)
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


def calm():
    tell_times("nobody misbehaves", post_orders(ORDERS))


def every_misdeed_is_tried():
    known = set(re.findall(r"misdeeds\.(\w+)", read()))
    tried = {name for names in GROUPS.values() for name in names} | {"crash"}
    assert known == tried, known ^ tried


def endless_route():
    statuses = []

    def knock():
        statuses.append(shop.host.post("/rogue/endless", timeout_s=HANG_S)[0])

    knocks = [threading.Thread(target=knock) for _ in range(6)]
    for thread in knocks:
        thread.start()
    tell_times("six requests to a route that never ends", post_orders(ORDERS))
    for thread in knocks:
        thread.join()
    assert set(statuses) <= {500, 503} and 500 in statuses, statuses
    (line,) = marks()["route"]
    found = [e for e in shop.host.exceptions("script_error") if e["subject"] == "rogue route endless"]
    assert found and f"{SCRIPT}:{line}" in found[0]["message"], found


def endless_schedule():
    shop.host.post("/rogue/tick?on=yes")
    neap.until(lambda: state("schedule:rogue.tick") in ("running", "held"), "the schedule ticks", HANG_S)
    tell_times("a schedule that never ends", post_orders(ORDERS))
    ends_at("schedule:rogue.tick", "schedule")
    shop.host.post("/rogue/tick?on=no")


def endless_load(old, new, word):
    good = read()
    save(good.replace(old, new))
    assert read() != good
    times = post_orders(ORDERS)
    error = neap.until(lambda: shop.host.status("rogue").get("load_error"), "the load is given up", HANG_S)
    tell_times("scripts that never end while they load", times)
    number = next(n for n, line in enumerate(read().splitlines(), 1) if word in line)
    assert f"{SCRIPT}:{number}:" in error, (error, number)
    save(good)
    neap.until(lambda: "load_error" not in shop.host.status("rogue"), "the mended scripts serve", HANG_S)


def endless_file():
    endless_load("local misdeeds = {}", "local misdeeds = {}\nwhile misdeeds do end -- here", "-- here")


def endless_selftest():
    endless_load("    run = run,", "    run = run,\n    selftest = function()\n        while true do end -- here\n    end,",
                 "-- here")


def marked_job():
    """The job that was running when the process ended, as the next process will read it."""
    with open(os.path.join(shop.host.folder, "data", "running.job"), "rb") as f:
        return struct.unpack("<QQQ", f.read(24))[2]


def crashes():
    """A fatal signal in the middle of its slice, three times: the fourth process leaves it alone."""
    key = commit("crash", 1)
    ends = 0
    for _ in range(40):
        neap.until(lambda: state(key) in ("running", "dead", "held"), "the job runs", HANG_S)
        if state(key) != "running":
            break
        post_orders(1)
        shop.host.signal(signal.SIGSEGV)
        shop.host.process.wait()
        ends += 1 if marked_job() else 0
        shop.host.start()
    found = misdeed(key)["jobs"][-1]
    assert found["state"] == "dead" and found["reason"] == "crash", found
    assert [c["cause"] for c in found["causes"]] == ["crashed"], found
    assert ends == 3, f"dead after {ends} unclean ends"
    tell_times("after three crashes of one job", post_orders(ORDERS))


def absent():
    return [entry for entry in shop.host.ask("status") if entry.get("absent")]


def broken_at_the_start():
    """The process starts again while one client's scripts are broken: the other is served all the same."""
    good = read()
    save(good.replace("local misdeeds = {}", "local misdeeds = }"))
    shop.host.kill()
    shop.host.start()
    post_orders(ORDERS)
    (entry,) = absent()
    number = next(n for n, line in enumerate(read().splitlines(), 1) if "local misdeeds = }" in line)
    assert f"{SCRIPT}:{number}:" in entry["load_error"], entry
    assert shop.host.metric("neap_clients_absent") == 1
    assert "not served" in shop.host.get("/healthz")[1].decode()
    assert shop.host.post("/rogue/misdeed?name=none&id=none")[0] == 503
    save(good)
    neap.until(lambda: not absent(), "the mended client is served", HANG_S)
    commit("none", 1)
    neap.until(lambda: state("misdeed:none.1") == "done", "its jobs run", HANG_S)
    post_orders(1)


def nothing_wrong():
    shop.until_right(*placed)
    assert shop.ledger("khaos", brief=1)["summary"]["duplicates"] == 0
    jobs = shop.host.status()["jobs"]
    assert jobs["held"] == 0 and jobs["dead"] == 0, jobs
    print(f"# {len(placed)} orders of the other client posted", flush=True)


try:
    shop.start()
    neap.case("every misdeed of the rogue client is tried", every_misdeed_is_tried)
    neap.case("orders flow while nobody misbehaves", calm)
    for name_of_group, members in GROUPS.items():
        neap.case(f"{name_of_group}: the other client's orders flow, each ends with its place",
                  lambda t=name_of_group, m=members: group(t, m))
    neap.case("a route's handler that never ends is ended, and named", endless_route)
    neap.case("a schedule that never ends is ended, and named", endless_schedule)
    neap.case("a file that never ends while it loads is given up, with its line", endless_file)
    neap.case("a self-test that never ends is given up, with its line", endless_selftest)
    neap.case("a job that takes the process down three times is dead, and the host serves", crashes)
    neap.case("a client whose scripts are broken at the start does not keep the other from serving",
              broken_at_the_start)
    neap.case("at the end every order of the other client is posted once", nothing_wrong)
finally:
    shop.stop()
neap.done()
