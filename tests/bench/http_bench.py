#!/usr/bin/env python3
"""Durable accepts and the whole orders flow, each beside the bare program of floor.c.

    tests/bench/http_bench.py [SCENARIO...]       default: all

Prints rows `name | floor | host | ratio | aim` and asserts nothing. Floor and host run in turn on
core 0, what is outside on core 1, every run with a store of its own; figures are medians of ROUNDS
(5) runs of SECONDS (2). The rows "per CPU s" count orders per second of the program's own CPU time:
on a machine that others use too they are the steadier ones.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("NEAP_BINARY", os.path.join(ROOT, "build", "release", "neap"))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import neap  # noqa: E402

HERE = os.path.join(ROOT, "tests", "bench")
BUILD = os.path.join(ROOT, "build", "release", "bench")
WORK = os.path.join(BUILD, "http")  # on the disk of the tree: /tmp may be memory
WIRE = os.path.join(HERE, "wire")
ROUNDS = int(os.environ.get("ROUNDS", 5))
SECONDS = float(os.environ.get("SECONDS", 2))
WARM_UP_S = 0.3
CONNECTIONS = 64
UNDER_TEST = ["taskset", "-c", "0"]
OUTSIDE = ["taskset", "-c", "1", os.path.join(BUILD, "outside"), "--wire", WIRE]
SCHEDULES = 2  # of the bench's client: both run once at its first start

SCENARIOS = {
    "accept": {"title": "durable accepts", "clients": 1},
    "accept16": {"title": "durable accepts, 16 clients", "clients": 16},
    "accept64": {"title": "durable accepts, 64 clients", "clients": 64},
    "rate": {"title": "durable accepts at 1,000/s, p99", "clients": 1, "rate": 1000},
    "flow": {"title": "whole orders flow", "clients": 1, "flow": True},
}
AIMS = {"accept": ">= 60%", "accept16": ">= 60%", "accept64": ">= 60%", "rate": "< 10 ms",
        "flow": ">= 50%"}


# ---- the programs under test -------------------------------------------------------------------


class Program:
    """One process on core 0 with a fresh store."""

    def __init__(self, scenario):
        self.process = None
        self.clients = scenario["clients"]
        self.is_flow = scenario.get("flow", False)
        self.port = neap.free_port()
        self.upstream = neap.free_port()
        self.data = os.path.join(WORK, "data")
        shutil.rmtree(self.data, ignore_errors=True)
        os.makedirs(self.data)

    def launch(self, command):
        with open(os.path.join(WORK, "log"), "wb") as log:
            self.process = subprocess.Popen(UNDER_TEST + command, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        neap.until(self.is_up, "the program under test answers")

    def is_up(self):
        if self.process.poll() is not None:
            with open(os.path.join(WORK, "log"), encoding="utf-8") as f:
                raise AssertionError(f.read()[-2000:])
        try:
            return neap.Host.get(self, "/healthz")[0] == 200
        except OSError:
            return False

    request = neap.Host.request

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9

    kill = neap.Host.kill


class Floor(Program):
    def start(self):
        self.launch([os.path.join(BUILD, "floor"), "--data", self.data, "--listen", str(self.port),
                     "--clients", str(self.clients)]
                    + (["--upstream", str(self.upstream)] if self.is_flow else []))


class Host(Program):
    def start(self):
        folder = os.path.join(WORK, "clients")
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(self.clients):
            make_client(os.path.join(folder, f"c{number}"), f"c{number}")
        upstream = subprocess.Popen(OUTSIDE + ["--listen", str(self.upstream)])
        try:
            self.launch([neap.BINARY, "run", "--clients", folder, "--data", self.data,
                         "--listen", f"127.0.0.1:{self.port}", "--log-level", "warn",
                         "--secrets", os.path.join(ROOT, "examples/demo/secrets"),
                         "--set", f"UPSTREAM_URL=http://127.0.0.1:{self.upstream}"])
            self.settle()
        finally:
            upstream.kill()
            upstream.wait()

    def settle(self):
        """Until the first run of every schedule is over; then flows stop, if only accepts count."""
        neap.until(lambda: all(entry["jobs"]["done"] >= SCHEDULES for entry in self.status()),
                   "the schedules ran once")
        for number in range(0 if self.is_flow else self.clients):
            code, text = neap.run("pause", "flow", "orders", "--reason", "bench", "--client",
                                  f"c{number}", "--data", self.data)
            assert code == 0, text

    def status(self):
        code, text = neap.run("status", "--json", "--data", self.data)
        return json.loads(text) if code in (0, 1) else [{"jobs": {"done": 0}}]


def make_client(folder, name):
    os.makedirs(folder)
    with open(os.path.join(HERE, "client", "client.lua"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(folder, "client.lua"), "w", encoding="utf-8") as f:
        f.write(text.replace('"CLIENT"', f'"{name}"'))
    shutil.copytree(os.path.join(ROOT, "examples/demo/mappings"), os.path.join(folder, "mappings"))


# ---- measuring ---------------------------------------------------------------------------------


def load_words(program, scenario):
    words = ["--target", str(program.port), "--connections", str(CONNECTIONS),
             "--clients", str(scenario["clients"]), "--seconds", str(SECONDS),
             "--warm-up", str(WARM_UP_S)]
    if "rate" in scenario:
        words += ["--rate", str(scenario["rate"])]
    if program.is_flow:
        words += ["--flow", "--listen", str(program.upstream)]
    return words


def measure(kind, scenario):
    """Figures of one run: per_second, per_cpu_second, p50_ms, p99_ms."""
    program = kind(scenario)
    try:
        program.start()
        before_s = program.cpu_s()
        text = subprocess.run(OUTSIDE + load_words(program, scenario), check=True,
                              capture_output=True, text=True).stdout
        cpu_s = program.cpu_s() - before_s
    finally:
        program.kill()
    found = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", text)}
    assert found["failures"] == 0, text
    found["per_cpu_second"] = found["all_orders"] / cpu_s
    return found


def row(name, floor, host, ratio, aim):
    print(f"{name:<44} | {floor:>12} | {host:>12} | {ratio:>7} | {aim}", flush=True)


def median(runs, figure):
    return statistics.median(run[figure] for run in runs)


def show(name, scenario, floor, host):
    if "rate" in scenario:
        row(scenario["title"], f"{median(floor, 'p99_ms'):.2f} ms", f"{median(host, 'p99_ms'):.2f} ms",
            "", AIMS[name])
        return
    for suffix, figure in (("/s", "per_second"), (" per CPU s", "per_cpu_second")):
        # Ratios of neighbours, not of medians: what disturbed one run mostly disturbed both.
        ratio = statistics.median(h[figure] / f[figure] for h, f in zip(host, floor))
        row(scenario["title"] + suffix, f"{median(floor, figure):.0f}", f"{median(host, figure):.0f}",
            f"{100 * ratio:.0f}%", AIMS[name])


def main(names):
    os.makedirs(WORK, exist_ok=True)
    for name in names or SCENARIOS:
        scenario = SCENARIOS[name]
        runs = {Floor: [], Host: []}
        for _ in range(ROUNDS):
            for kind, found in runs.items():
                found.append(measure(kind, scenario))
                time.sleep(0.1)
        show(name, scenario, runs[Floor], runs[Host])
    shutil.rmtree(WORK, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
