#!/usr/bin/env python3
"""Metrics: what a scrape of many containers takes, and what other clients feel of it.

    Tests/EndToEnd/private_host.sh python3 Benchmarks/metrics.py [--replicas 100] [--times 50]

Needs root. The engine is that of GANTRY_BIN, or .build/release/gantry. Everything is made in a private copy of the host.
"""

import argparse
import http.client
import os
import socket
import statistics
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Tests/EndToEnd"))

from harness import EngineCase, wait_until  # noqa: E402
from metrics_text import Metrics  # noqa: E402


class Bench(EngineCase):
    def runTest(self):
        pass

    def connect(self):
        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        return connection

    def timed(self, times, path, pause=0.0):
        """Milliseconds of each request, and the last answer."""
        connection, taken = self.connect(), []
        for _ in range(times):
            begin = time.monotonic()
            connection.request("GET", path)
            body = connection.getresponse().read()
            taken.append((time.monotonic() - begin) * 1000)
            time.sleep(pause)
        connection.close()
        return sorted(taken), body

    def show(self, name, taken):
        print(f"| {name} | {statistics.median(taken):.1f} | {taken[int(len(taken) * 0.9)]:.1f} | {taken[-1]:.1f} |",
              flush=True)

    def run_all(self, replicas, times):
        folder = self.stack(f"""
            services:
              web:
                image: busybox
                command: sleep 100000
                stop_grace_period: 0s
                deploy: {{replicas: {replicas}}}
            """, "bench")
        wait_until(lambda: self.gantry("up", "-d", folder=folder, timeout=300).returncode == 0, 300, "all replicas")
        time.sleep(3)
        print(f"\n{replicas} containers, {times} times each, milliseconds.\n")
        print("| request | median | p90 | most |\n| --- | --- | --- | --- |")
        taken, body = self.timed(times, "/metrics")
        metrics = Metrics(body.decode())
        assert len(metrics.find("gantry_container_cpu_usage_seconds_total")) == replicas
        self.show("`GET /metrics`", taken)
        self.show("`GET /_ping`, alone", self.timed(times * 10, "/_ping")[0])
        self.show("`GET /stacks`, alone", self.timed(times * 4, "/stacks")[0])
        ending = threading.Event()

        def scrape():
            while not ending.is_set():
                self.timed(1, "/metrics")

        scraper = threading.Thread(target=scrape)
        scraper.start()
        self.show("`GET /_ping`, with one scrape after the other", self.timed(times * 10, "/_ping", 0.002)[0])
        self.show("`GET /stacks`, with one scrape after the other", self.timed(times * 4, "/stacks", 0.002)[0])
        ending.set()
        scraper.join()
        series = sum(len(found) for found in metrics.samples.values())
        print(f"\n{len(body)} bytes, {series} series.")
        self.gantry_ok("down", "-t", "0", folder=folder, timeout=300)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--times", type=int, default=50)
    options = parser.parse_args()
    Bench.setUpClass()
    try:
        Bench().run_all(options.replicas, options.times)
    finally:
        Bench.tearDownClass()


if __name__ == "__main__":
    main()
