#!/usr/bin/env python3
"""Drift: how long from a change behind the engine's back to its repair, and what watching costs while nothing happens.

    Tests/EndToEnd/private_host.sh python3 Benchmarks/drift.py [--replicas 100] [--seconds 120] [--times 20]

Needs root. The engine is that of GANTRY_BIN, or .build/release/gantry. Everything is made in a private copy of the host.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Tests/EndToEnd"))

from harness import EngineCase, wait_until  # noqa: E402
from test_drift import cgroup_file, read, sh, write  # noqa: E402


def processor_seconds(pid):
    fields = read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench(EngineCase):
    def runTest(self):
        pass

    def measure(self, name, times, make, is_whole):
        taken = []
        for _ in range(times):
            begin = time.monotonic()
            make()
            while not is_whole():
                if time.monotonic() - begin > 10:
                    raise AssertionError(f"{name}: not repaired")
                time.sleep(0.001)
            taken.append((time.monotonic() - begin) * 1000)
            time.sleep(0.3)
        taken.sort()
        print(f"| {name} | {statistics.median(taken):.0f} | {taken[int(len(taken) * 0.9)]:.0f} | {taken[-1]:.0f} |",
              flush=True)

    def run_all(self, replicas, seconds, times):
        folder = self.stack(f"""
            services:
              web:
                image: busybox
                command: sleep 100000
                stop_grace_period: 0s
                mem_limit: 64m
                restart: always
                ports: ["18080:80"]
                deploy: {{replicas: {replicas}}}
            """, "bench")
        wait_until(lambda: self.gantry("up", "-d", folder=folder, timeout=300).returncode == 0, 300, "all replicas")
        time.sleep(5)
        print(f"\n{replicas} replicas, {times} times each: milliseconds from the change to its repair.\n")
        print("| change | median | p90 | most |\n| --- | --- | --- | --- |")
        self.times(folder, times)
        time.sleep(5)
        pid = self.engine.pid
        before = processor_seconds(pid)
        time.sleep(seconds)
        used = processor_seconds(pid) - before
        print(f"\nIdle engine with {replicas} replicas: {used / seconds * 100:.3f} % of a processor over {seconds} s.")
        before, looks = processor_seconds(pid), 20
        for _ in range(looks):
            self.api("/stacks/bench/drift")
        print(f"A look at everything: {(processor_seconds(pid) - before) / looks * 1000:.1f} ms of a processor.")

    def times(self, folder, times):
        pid = sorted(self.pids(folder).items())[0][1]
        try:
            memory = cgroup_file(pid, "memory.limit_in_bytes")
        except AssertionError:
            memory = cgroup_file(pid, "memory.max")
        self.measure("limit written to a cgroup", times, lambda: write(memory, str(32 << 20)),
                     lambda: read(memory) == str(64 << 20))
        index = re.search(r"eth0@if(\d+)", sh(f"nsenter -t {pid} -n ip -o link show eth0")).group(1)
        interface = next(line.split(":")[1].split("@")[0].strip() for line in sh("ip -o link").splitlines()
                         if line.startswith(f"{index}:"))
        bridge = re.search(r"master (\S+)", sh(f"ip -o link show {interface}")).group(1)
        self.measure("`ip link del` of an interface", times, lambda: sh(f"ip link del {interface}"),
                     lambda: "default" in sh(f"nsenter -t {pid} -n ip route", check=False))
        self.measure("`ip addr flush` in a container", times, lambda: sh(f"nsenter -t {pid} -n ip addr flush dev eth0"),
                     lambda: "default" in sh(f"nsenter -t {pid} -n ip route"))
        self.measure("`ip link set down` of a bridge", times, lambda: sh(f"ip link set {bridge} down"),
                     lambda: ",UP" in sh(f"ip link show {bridge}"))
        table = next(line.split()[2] for line in sh("nft list tables").splitlines() if "inet gantry" in line)
        whole = sh(f"nft -s list table inet {table}")
        self.measure("`nft flush table`", times, lambda: sh(f"nft flush table inet {table}"),
                     lambda: sh(f"nft -s list table inet {table}", check=False) == whole)
        # A whole new table may have its replicas in other slots.
        self.measure("`nft flush ruleset`", times, lambda: sh("nft flush ruleset"),
                     lambda: len(sh(f"nft -s list table inet {table}", check=False)) >= len(whole) * 0.95)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    Bench.setUpClass()
    try:
        Bench().run_all(options.replicas, options.seconds, options.times)
    finally:
        Bench.tearDownClass()


if __name__ == "__main__":
    main()
