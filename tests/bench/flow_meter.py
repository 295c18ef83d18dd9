"""CPU of a host from the first to the last of many like things, over their number, as a row beside an order's posting."""

import os
import time

WAIT_S = 600
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ms(host):
    with open(f"/proc/{host.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it does not come to its end"
        time.sleep(1)  # looking costs


def measure(host, name, count, act, condition, posting=None):
    """Prints the row; `posting` is the CPU of one order's posting, None for the posting itself."""
    before = cpu_ms(host)
    act()
    until(condition)
    each = (cpu_ms(host) - before) / count
    print(f"{name:<64} | {each:7.2f} ms | {each / (posting or each):5.2f}", flush=True)
    return each
