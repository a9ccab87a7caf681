#!/usr/bin/env python3
"""Records series of this machine once a second, as CSV: one line a series, its name and then its values.

usage: record-proc.py SECONDS > proc.csv
"""

import sys
import time

MEMORY = ["MemFree", "MemAvailable", "Cached", "Active", "Inactive", "Dirty", "AnonPages", "Mapped", "Slab", "PageTables"]


def sample():
    values = {}
    with open("/proc/stat") as file:
        for line in file:
            name, *numbers = line.split()
            if name == "cpu" or name == "cpu0":
                for kind, number in zip(["user", "nice", "system", "idle", "iowait"], numbers):
                    values[f"{name}_{kind}"] = number
            elif name in ("intr", "ctxt", "processes", "procs_running", "softirq"):
                values[name] = numbers[0]
    with open("/proc/meminfo") as file:
        for line in file:
            name, number = line.split()[:2]
            if name.rstrip(":") in MEMORY:
                values["mem_" + name.rstrip(":")] = number
    with open("/proc/net/dev") as file:
        for line in file.readlines()[2:4]:
            name, *numbers = line.replace(":", " ").split()
            for kind, index in [("rx_bytes", 0), ("rx_packets", 1), ("tx_bytes", 8), ("tx_packets", 9)]:
                values[f"net_{name}_{kind}"] = numbers[index]
    with open("/proc/loadavg") as file:
        for kind, number in zip(["load1", "load5", "load15"], file.read().split()):
            values[kind] = number
    with open("/proc/uptime") as file:
        values["uptime"] = file.read().split()[0]
    return values


def main():
    series = {}
    start = time.monotonic()
    for second in range(int(sys.argv[1])):
        time.sleep(max(0, start + second - time.monotonic()))
        for name, value in sample().items():
            series.setdefault(name, []).append(value)
    for name, values in series.items():
        print(name, *values, sep=",")


main()
