"""What `GET /metrics` says, compared with what the kernel says of the same things."""

import http.client
import os
import re
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from harness import GANTRY, EngineCase, free_port, wait_until
from metrics_text import Metrics

try:
    from prometheus_client import parser
except ImportError:
    parser = None

STACK = """
    services:
      busy:
        image: busybox
        command: sh -c 'while :; do :; done'
        cpus: 0.3
        mem_limit: 64m
        pids_limit: 50
        stop_grace_period: 0s
      web:
        image: busybox
        command: sh -c 'echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp'
        ports: ["PORT:80"]
        stop_grace_period: 0s
        deploy: {replicas: 1}
        healthcheck: {test: "test ! -e /tmp/ill", interval: 200ms, retries: 1, start_period: 1s, start_interval: 100ms}
      flaky:
        image: busybox
        command: sh -c 'sleep 0.2; exit 3'
        restart: on-failure:2
      idle:
        image: busybox
        command: sleep infinity
        network_mode: none
        stop_grace_period: 0s
        deploy: {replicas: 2}
    """


class MetricsCase(EngineCase):
    @classmethod
    def scrape_text(cls):
        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(cls.socket)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200, text
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", answer.headers
        return text

    @classmethod
    def scrape(cls):
        return Metrics(cls.scrape_text())

    def kernel_figure(self, name, process, version_one, version_two):
        """Of the cgroup that a process is in, whichever version it is of."""
        with open(f"/proc/{process}/cgroup") as file:
            groups = [line.strip().split(":", 2) for line in file]
        controller, file_one = version_one
        for _, controllers, path in groups:
            if controller in controllers.split(","):
                with open(f"/sys/fs/cgroup/{controller}{path}/{file_one}") as file:
                    return int(file.read().split()[0])
        path = next(path for number, _, path in groups if number == "0")
        with open(f"/sys/fs/cgroup{path}/{version_two[0]}") as file:
            text = file.read()
        return int(text) if version_two[1] is None else int(re.search(rf"^{version_two[1]} (\d+)", text, re.M)[1])


class ContainerMetricsTest(MetricsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.port = free_port()
        cls.folder = cls.stack(cls, STACK.replace("PORT", str(cls.port)), "met")
        cls.gantry_ok("up", "-d", folder=cls.folder)
        wait_until(cls.is_served, what="the web server")

    @classmethod
    def is_served(cls):
        try:
            return "hello" in cls.get(cls, cls.port, "/index.html")
        except OSError:
            return False

    def of(self, metrics, name, container, **labels):
        return metrics.value(f"gantry_container_{name}", container=container, **labels)

    def test_labels_are_stack_service_and_image(self):
        metrics = self.scrape()
        names = {f"met-{name}" for name in ("busy-1", "web-1", "flaky-1", "idle-1", "idle-2")}
        self.assertEqual({labels["container"] for labels, _ in metrics.find("gantry_container_info")}, names)
        labels = metrics.find("gantry_container_cpu_usage_seconds_total", container="met-web-1")[0][0]
        self.assertEqual(
            labels, {"container": "met-web-1", "stack": "met", "service": "web", "image": "busybox"})
        replicas = {labels["replica"] for labels, _ in metrics.find("gantry_container_info", service="idle")}
        self.assertEqual(replicas, {"1", "2"})

    @unittest.skipUnless(parser, "prometheus_client is not installed: pip install prometheus_client")
    def test_prometheus_own_parser_finds_the_same(self):
        text = self.scrape_text()
        own = Metrics(text)
        theirs = {}
        for family in parser.text_string_to_metric_families(text):
            for sample in family.samples:
                theirs.setdefault(sample.name, []).append((sample.labels, sample.value))
        self.assertEqual(theirs, own.samples)

    def test_processor_time_is_the_kernels(self):
        process = self.pids(self.folder)["met-busy-1"]

        def read():
            """Of the one process that it has, in ticks of a hundredth of a second."""
            with open(f"/proc/{process}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before = read()
        begun = time.monotonic()
        metrics = self.scrape()
        after = read()
        found = self.of(metrics, "cpu_usage_seconds_total", "met-busy-1")
        # Its start, before it was that program, is counted for the container only.
        self.assertLessEqual(before - 0.05, found)
        self.assertLessEqual(found, after + 0.1)
        time.sleep(1)

        def grown():
            now = self.of(self.scrape(), "cpu_usage_seconds_total", "met-busy-1")
            return now if now > found + 0.05 else None

        later = wait_until(grown, what="more processor time")
        # It may have 0.3 of a processor.
        self.assertLess(later, found + 0.3 * (time.monotonic() - begun) + 0.6)
        wait_until(lambda: self.of(self.scrape(), "cpu_throttled_seconds_total", "met-busy-1") > 0, what="throttling")

    def test_memory_and_limits(self):
        metrics = self.scrape()
        process = self.pids(self.folder)["met-busy-1"]
        present = self.kernel_figure(
            "memory", process, ("memory", "memory.usage_in_bytes"), ("memory.current", None))
        usage = self.of(metrics, "memory_usage_bytes", "met-busy-1")
        self.assertLess(abs(usage - present), 4 << 20)
        self.assertLessEqual(self.of(metrics, "memory_working_set_bytes", "met-busy-1"), usage)
        self.assertEqual(self.of(metrics, "memory_limit_bytes", "met-busy-1"), 64 << 20)
        self.assertIsNone(self.of(metrics, "memory_limit_bytes", "met-idle-1"))
        self.assertEqual(self.of(metrics, "processes", "met-busy-1"), 1)
        self.assertEqual(self.of(metrics, "processes_limit", "met-busy-1"), 50)
        self.assertEqual(self.of(metrics, "oom_kills_total", "met-busy-1"), 0)

    def test_network_is_what_went_through(self):
        before = self.scrape()
        for _ in range(20):
            self.get(self.port, "/index.html")
        process = self.pids(self.folder)["met-web-1"]
        metrics = self.scrape()
        with open(f"/proc/{process}/net/dev") as file:
            columns = next(line.split(":")[1].split() for line in file if "eth0:" in line)
        for name, column in (("receive_bytes", 0), ("receive_packets", 1), ("transmit_bytes", 8)):
            found = self.of(metrics, f"network_{name}_total", "met-web-1", interface="eth0")
            self.assertLessEqual(found, int(columns[column]))
            self.assertLess(int(columns[column]) - found, 2000)
            self.assertGreater(
                found, self.of(before, f"network_{name}_total", "met-web-1", interface="eth0") + 20)
        self.assertEqual(metrics.find("gantry_container_network_receive_bytes_total", container="met-idle-1"), [])

    def test_states_and_restarts(self):
        def is_over():
            metrics = self.scrape()
            return metrics if self.of(metrics, "state", "met-flaky-1", state="exited") == 1 and self.of(
                metrics, "restarts_total", "met-flaky-1") == 2 else None

        metrics = wait_until(is_over, what="the restarts to be over")
        self.assertEqual(self.of(metrics, "exit_code", "met-flaky-1"), 3)
        self.assertIsNone(self.of(metrics, "exit_code", "met-web-1"))
        self.assertEqual(self.of(metrics, "state", "met-web-1", state="running"), 1)
        self.assertEqual(metrics.sum("gantry_container_state", container="met-web-1"), 1)
        started = self.of(metrics, "start_time_seconds", "met-web-1")
        self.assertLess(abs(time.time() - started), 600)
        self.assertIsNone(self.of(metrics, "cpu_usage_seconds_total", "met-flaky-1"))

    def test_health(self):
        health = lambda value: self.of(self.scrape(), "health", "met-web-1", health=value) == 1
        wait_until(lambda: health("healthy"), what="good health")
        self.assertEqual(self.of(self.scrape(), "health", "met-busy-1", health="none"), 1)
        ready = lambda: self.scrape().value("gantry_service_replicas_ready", stack="met", service="web")
        self.assertEqual(ready(), 1)
        self.gantry_ok("exec", "-T", "web", "touch", "/tmp/ill", folder=self.folder)
        try:
            wait_until(lambda: health("unhealthy"), what="ill health")
            self.assertEqual(ready(), 0)
        finally:
            self.gantry_ok("exec", "-T", "web", "rm", "-f", "/tmp/ill", folder=self.folder)
        wait_until(lambda: health("healthy"), what="good health again")

    def test_services(self):
        metrics = self.scrape()
        for what in ("wanted", "running", "ready"):
            self.assertEqual(metrics.value(f"gantry_service_replicas_{what}", stack="met", service="idle"), 2)


class EngineMetricsTest(MetricsCase):
    def test_the_engine_itself(self):
        metrics = self.scrape()
        process = self.engine.pid
        with open(f"/proc/{process}/status") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        resident = int(status["VmRSS"].split()[0]) * 1024
        self.assertLess(abs(metrics.value("process_resident_memory_bytes") - resident), 8 << 20)
        self.assertLess(abs(metrics.value("process_open_fds") - len(os.listdir(f"/proc/{process}/fd"))), 6)
        self.assertLess(abs(metrics.value("process_threads") - int(status["Threads"])), 4)
        self.assertLess(abs(metrics.value("process_start_time_seconds") - time.time()), 300)
        self.assertGreater(metrics.value("process_cpu_seconds_total"), 0)
        self.assertEqual([value for _, value in metrics.find("gantry_build_info")], [1])
        self.assertEqual(metrics.value("gantry_scrape_errors"), 0)

    def test_requests_are_counted_by_route(self):
        label = {"route": "/stacks/{name}/containers", "method": "GET", "code": "200"}
        count = lambda: self.scrape().value("gantry_api_requests_total", **label) or 0
        before = count()
        for number in range(5):
            self.api(f"/stacks/no-such-{number}/containers")
        self.assertEqual(count(), before + 5)
        for number in range(3):
            self.api(f"/nothing/{number}")
        metrics = self.scrape()
        self.assertGreaterEqual(
            metrics.value("gantry_api_requests_total", route="unmatched", method="other", code="404"), 3)
        self.assertFalse([labels for labels, _ in metrics.find("gantry_api_requests_total")
                          if "no-such" in labels["route"] or "nothing" in labels["route"]])

    def test_passes_steps_and_drift(self):
        before = self.scrape()
        folder = self.up_box("rec", "sleep infinity")
        metrics = wait_until(lambda: self.grown(before), what="the loop to pass")
        self.assertGreater(
            metrics.value("gantry_reconcile_passes_total", trigger="command", outcome="done"),
            before.value("gantry_reconcile_passes_total", trigger="command", outcome="done"))
        steps = lambda found, step: found.value(
            "gantry_reconcile_steps_total", object="container", step=step, outcome="done") or 0
        self.assertEqual(steps(metrics, "started"), steps(before, "started") + 1)
        # What somebody changes behind the engine's back.
        name = "rec-box-1"
        process = self.pids(folder)[name]
        subprocess.run(["nsenter", "-t", str(process), "-n", "ip", "link", "set", "eth0", "down"], check=True)
        repaired = before.value("gantry_drift_repaired_total")
        metrics = wait_until(
            lambda: (found := self.scrape()).value("gantry_drift_repaired_total") > repaired and found,
            what="the repair")
        self.assertGreater(metrics.value("gantry_drift_found_total", **{"class": "network"}),
                           before.value("gantry_drift_found_total", **{"class": "network"}))
        wait_until(lambda: self.scrape().value("gantry_drift_entries", stack="rec") == 0, what="no drift")
        self.gantry_ok("down", folder=folder)
        self.assertIsNone(self.scrape().value("gantry_drift_entries", stack="rec"))
        self.assertEqual(self.scrape().find("gantry_container_info", stack="rec"), [])

    def grown(self, before):
        found = self.scrape()
        passes = lambda metrics: metrics.sum("gantry_reconcile_passes_total", trigger="loop")
        return found if passes(found) > passes(before) else None

    def test_a_scrape_of_many_keeps_nobody_waiting(self):
        folder = self.stack("""
            services:
              many:
                image: busybox
                command: sleep infinity
                network_mode: none
                stop_grace_period: 0s
                deploy: {replicas: 40}
            """, "many")
        self.gantry_ok("up", "-d", folder=folder, timeout=120)
        metrics = self.scrape()
        self.assertEqual(len(metrics.find("gantry_container_cpu_usage_seconds_total", stack="many")), 40)
        self.assertLess(metrics.value("gantry_scrape_duration_seconds"), 1)
        began = time.monotonic()
        for _ in range(10):
            self.scrape()
        self.assertLess((time.monotonic() - began) / 10, 1)
        self.gantry_ok("down", "-t", "0", folder=folder)


class MetricsListenerTest(MetricsCase):
    @classmethod
    def start_engine(cls):
        cls.port = free_port()
        cls.log = open(f"{cls.root}/engine-output.log", "ab")
        cls.engine = subprocess.Popen(
            [GANTRY, "engine", "--data-root", f"{cls.root}/data", "--exec-root", f"{cls.root}/run",
             "--host", f"unix://{cls.socket}", "--metrics-address", f"127.0.0.1:{cls.port}"],
            stdout=cls.log, stderr=cls.log, stdin=subprocess.DEVNULL)
        wait_until(cls.answers, what="the engine to answer")

    def ask(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_metrics_and_nothing_else(self):
        status, text = self.ask("/metrics")
        self.assertEqual(status, 200)
        self.assertEqual([value for _, value in Metrics(text).find("gantry_build_info")], [1])
        for path in ("/", "/containers/json", "/_ping", "/v1.43/info", "/stacks"):
            self.assertEqual(self.ask(path)[0], 404, path)
        self.assertEqual(self.ask("/engine/stop", "POST")[0], 404)
        self.assertEqual(self.ask("/metrics", "POST")[0], 405)

    def test_an_address_in_use_is_told(self):
        result = subprocess.run(
            [GANTRY, "engine", "--data-root", f"{self.root}/data2", "--exec-root", f"{self.root}/run2",
             "--host", f"unix://{self.root}/other.sock", "--metrics-address", f"127.0.0.1:{self.port}"],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"127.0.0.1:{self.port}", result.stderr)
        self.assertFalse(os.path.exists(f"{self.root}/other.sock"))

    def test_an_address_is_a_number(self):
        result = self.gantry("engine", "--metrics-address", "localhost:80")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("must be an address and a port", result.stderr)


if __name__ == "__main__":
    unittest.main()
