#!/usr/bin/env python3
"""The engine's API: how fast it answers, and what it leaves behind.

    Tests/EndToEnd/private_host.sh python3 Benchmarks/api.py [PART ...] [--containers 500] [--aborted 10000]

Parts: list, inspect, followers, idle, aborted; without one, all. Needs root. The engine is that of GANTRY_BIN, or
.build/release/gantry. Everything is made in a private copy of the host.
"""

import argparse
import gc
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Tests/EndToEnd"))

from harness import EngineCase, wait_until  # noqa: E402


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Connection:
    """One that stays open, with as little of Python as can be between a request and its answer."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)

    def get(self, target):
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: gantry\r\n\r\n".encode())
        data = self.socket.recv(1 << 20)
        while b"\r\n\r\n" not in data:
            data += self.socket.recv(1 << 20)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        pieces, count = [body], len(body)
        while count < length:
            piece = self.socket.recv(1 << 20)
            pieces.append(piece)
            count += len(piece)
        return head, b"".join(pieces)


class Bench(EngineCase):
    def runTest(self):
        pass

    # Facts of the engine

    def private_memory(self, kinds="Clean|Dirty"):
        """Megabytes that are the engine's alone; what is clean are pages of the program, which the kernel can drop."""
        with open(f"/proc/{self.engine.pid}/smaps_rollup") as file:
            text = file.read()
        return sum(int(count) for count in re.findall(rf"Private_(?:{kinds}):\s+(\d+) kB", text)) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.engine.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.engine.pid}/task"))

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status < 300, (method, path, answer.status, data)
        return json.loads(data) if data else None

    def goal(self, name, value, goal, unit):
        print(f"| {name} | {value:.2f} {unit} | {goal} {unit} | {'yes' if value < goal else 'NO'} |", flush=True)

    # Parts

    def list(self, options):
        """`GET /containers/json` with many containers, none of which runs but ten."""
        ids = [self.call("POST", f"/containers/create?name=many-{number}", json.dumps(
            {"Image": "busybox", "Cmd": ["sleep", "100000"], "Labels": {"number": str(number)}}))["Id"]
            for number in range(options.containers)]
        for one in ids[:10]:
            self.call("POST", f"/containers/{one}/start")
        connection = Connection(self.socket)
        for what, target in (("all", "/containers/json?all=1"), ("running", "/containers/json")):
            taken = []
            for _ in range(200):
                begun = time.perf_counter()
                _, body = connection.get(target)
                taken.append((time.perf_counter() - begun) * 1000)
            assert len(json.loads(body)) == (options.containers if what == "all" else 10)
            name = f"`GET {target}`, {options.containers} containers, {len(body) >> 10} KiB"
            self.goal(f"{name}: median", statistics.median(taken), 10, "ms")
            self.goal(f"{name}: p99", percentile(taken, 0.99), 10, "ms")
        for one in ids:
            self.call("DELETE", f"/containers/{one}?force=1")

    def inspect(self, options):
        """1,000 inspects a second, evenly spread over ten connections, the engine on one core."""
        one = self.call("POST", "/containers/create?name=looked-at", json.dumps(
            {"Image": "busybox", "Cmd": ["sleep", "100000"]}))["Id"]
        self.call("POST", f"/containers/{one}/start")
        pin(self.engine.pid, 0)
        os.sched_setaffinity(0, {1 % os.cpu_count()})
        gc.disable()
        try:
            rate, seconds, connections = 1000, 10, [Connection(self.socket) for _ in range(10)]
            taken = [[] for _ in connections]

            def client(number, connection):
                begun = time.perf_counter() + 0.2
                for turn in range(rate * seconds // len(connections)):
                    at = begun + (turn + number / len(connections)) * len(connections) / rate
                    delay = at - time.perf_counter()
                    if delay > 0:
                        time.sleep(delay)
                    # From when it was due: who is late makes the next ones wait, and that counts.
                    connection.get(f"/containers/{one}/json")
                    taken[number].append((time.perf_counter() - at) * 1000)

            before = processor_seconds(self.engine.pid)
            threads = [threading.Thread(target=client, args=pair) for pair in enumerate(connections)]
            begun = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            elapsed = time.perf_counter() - begun
            used = processor_seconds(self.engine.pid) - before
        finally:
            gc.enable()
            os.sched_setaffinity(0, range(os.cpu_count()))
            pin(self.engine.pid, *range(os.cpu_count()))
        times = [value for values in taken for value in values]
        name = f"{len(times) / elapsed:.0f} inspects a second on one core"
        self.goal(f"{name}: p99", percentile(times, 0.99), 20, "ms")
        print(f"| {name}: median | {statistics.median(times):.2f} ms | | |")
        print(f"| {name}: the engine's share of it | {used / elapsed * 100:.0f} % | | |", flush=True)
        self.call("DELETE", f"/containers/{one}?force=1")

    def followers(self, options):
        """200 clients follow one log: from a line's writing to its arrival at the last of them."""
        folder = self.up_box("followed", "trap 'echo told' USR1; while true; do sleep 0.05; done")
        path = "/containers/followed-box-1/logs?follow=1&stdout=1"
        quiet = self.private_memory()
        streams = [self.stream("GET", path) for _ in range(200)]
        for stream in streams:
            stream.recv(4096)
        before = processor_seconds(self.engine.pid)
        time.sleep(10)
        idle = (processor_seconds(self.engine.pid) - before) / 10 * 100
        print(f"| 200 followers of a silent log: processor | {idle:.2f} % | | |")
        print(f"| 200 followers: private memory, threads | {self.private_memory() - quiet:.1f} MB more, "
              f"{self.threads()} | | |")
        taken = []
        for _ in range(30):
            self.call("POST", "/containers/followed-box-1/kill?signal=USR1")
            begun = None
            for stream in streams:
                text = stream.recv(4096)
                begun = begun or time.perf_counter()
                assert b"told" in text, text
            taken.append((time.perf_counter() - begun) * 1000)
        print(f"| 200 followers: from the first that hears a line to the last, median | "
              f"{statistics.median(taken):.1f} ms | | |", flush=True)
        for stream in streams:
            stream.close()
        self.gantry_ok("down", folder=folder)

    def idle(self, options):
        """The engine with 100 containers that sleep."""
        folder = self.stack("""
            services:
              web: {image: busybox, command: sleep 100000, stop_grace_period: 0s, deploy: {replicas: 100}}
            """, "idle")
        wait_until(lambda: self.gantry("up", "-d", folder=folder, timeout=300).returncode == 0, 300, "all replicas")
        time.sleep(10)
        before = processor_seconds(self.engine.pid)
        time.sleep(options.seconds)
        used = (processor_seconds(self.engine.pid) - before) / options.seconds * 100
        self.goal("idle engine, 100 containers: private memory", self.private_memory(), 40, "MB")
        print(f"| idle engine, 100 containers: of it written | {self.private_memory('Dirty'):.1f} MB | | |")
        self.goal(f"idle engine, 100 containers: of a core, over {options.seconds} s", used, 0.5, "%")
        print(f"| idle engine, 100 containers: threads, descriptors | {self.threads()}, {self.descriptors()} | | |",
              flush=True)
        self.gantry_ok("down", folder=folder, timeout=120)

    def aborted(self, options):
        """Streams whose clients go away without a word."""
        folder = self.up_box("aborted", "while true; do echo line; sleep 0.2; done")
        for name, method, path in (
                ("events", "GET", "/events"),
                ("logs", "GET", "/containers/aborted-box-1/logs?follow=1&stdout=1&tail=1"),
                ("attach", "POST", "/containers/aborted-box-1/attach?stream=1&stdout=1&stdin=1")):
            self.abort(method, path, 1000)
            begun, before = time.monotonic(), self.settled()
            self.abort(method, path, options.aborted)
            seconds, after = time.monotonic() - begun, self.settled()
            print(f"| {options.aborted} aborted streams of {name}, {seconds:.0f} s: descriptors, private memory | "
                  f"{before[0]} → {after[0]}, {before[1]:.1f} → {after[1]:.1f} MB | | |", flush=True)
        self.gantry_ok("down", folder=folder)

    def settled(self):
        last = None
        for _ in range(100):
            now = self.descriptors()
            if now == last:
                break
            last = now
            time.sleep(0.5)
        return self.descriptors(), self.private_memory()

    def abort(self, method, path, count):
        for _ in range(count // 50):
            streams = [self.stream(method, path) for _ in range(50)]
            for stream in streams:
                assert stream.recv(4096).startswith(b"HTTP/1.1 "), "no answer"
            for stream in streams:
                stream.close()

    def stream(self, method, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(self.socket)
        upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if method == "POST" else ""
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: gantry\r\n{upgrade}\r\n".encode())
        return connection


def pin(pid, *cores):
    """All threads of a process, and those that they start."""
    subprocess.run(["taskset", "-a", "-p", "-c", ",".join(map(str, cores)), str(pid)], check=True, capture_output=True)


PARTS = ("list", "inspect", "followers", "idle", "aborted")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--containers", type=int, default=500)
    parser.add_argument("--aborted", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"{part} is none of {', '.join(PARTS)}")
    print(f"load of this machine before: {os.getloadavg()[0]:.2f}\n\n| what | measured | goal | met |\n"
          "| --- | --- | --- | --- |", flush=True)
    for part in options.parts or PARTS:
        # An engine of its own for each: what one part leaves warm is no part of the next one's figures.
        Bench.setUpClass()
        try:
            getattr(Bench(), part)(options)
        finally:
            Bench.tearDownClass()


if __name__ == "__main__":
    main()
