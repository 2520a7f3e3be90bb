"""Builds and the machine they run on: confinement, ends of every kind, many at once, full disks."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from build_harness import BuildCase, write_context
from harness import GANTRY, host_view, wait_until, wait_until_same

CAP_SYS_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE = 21, 13, 19


class BuildEngineTest(BuildCase):
    def start(self, folder, *arguments):
        process = subprocess.Popen(
            [GANTRY, "build", "--progress", "plain", *arguments, folder], cwd=self.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def sleeper(self, word, after=""):
        """A context whose first step can be found among the processes."""
        return self.context(f"FROM busybox\nRUN echo ready > /kept\nRUN sleep {word}\n{after}")

    def running(self, word):
        return [line for line in self.processes_with(f"sleep {word}") if "gantry build" not in line]

    # Confinement

    def test_steps_are_confined_by_default(self):
        self.build_ok("""
            FROM busybox
            RUN grep -E '^(Cap|Seccomp|NoNewPrivs)' /proc/self/status > /status
            RUN ps > /ps; cat /proc/1/cmdline | tr '\\0' ' ' > /first; ls /dev > /dev-names
            RUN for c in 'mount -t tmpfs x /mnt' 'mount -o remount,rw /sys' 'unshare -U true' 'mknod /x b 8 0' \\
                'chroot / mount -t proc p /proc' 'nsenter -t 1 -m true' 'sysctl -w kernel.panic=1' 'insmod x' \\
                'dmesg -n 1' 'hostname evil'; do $c > /dev/null 2>&1 && echo "$c" >> /done; done; true
            RUN cat /proc/sys/kernel/core_pattern > /core; echo x > /proc/sys/kernel/core_pattern || echo refused > /refused
            RUN ls -la /proc/self/fd | wc -l > /descriptors
            """, "-t", "confined:1")
        status = dict(line.split(":\t") for line in self.file("confined:1", "/status").splitlines())
        for name in ("CapEff", "CapPrm", "CapBnd"):
            for capability in (CAP_SYS_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE):
                self.assertFalse(int(status[name], 16) >> capability & 1, f"{name} {capability}")
        self.assertEqual(int(status["CapInh"], 16) | int(status["CapAmb"], 16), 0)
        self.assertEqual(status["Seccomp"], "2")
        self.assertIsNone(self.file("confined:1", "/done"))
        self.assertEqual(self.file("confined:1", "/refused"), "refused\n")
        self.assertNotIn("gantry", self.file("confined:1", "/ps"))
        self.assertNotIn("sda", self.file("confined:1", "/dev-names").split())

    def test_privileges_must_be_allowed(self):
        text = self.build_fails("FROM busybox\nRUN --security=insecure true\n")
        self.assertIn("insecure", text)
        self.assertIn("Dockerfile:2", text)

    def test_nothing_runs_on_after_its_step(self):
        marker = 31_001
        self.build_ok(f"FROM busybox\nRUN sleep {marker} & echo started\nRUN (setsid sleep {marker} &); echo again\n")
        wait_until(lambda: not self.running(marker), what="what a step left running to end")

    def test_network_of_the_bridge(self):
        """Names and addresses of the bridge's side are there; of other stacks nothing is."""
        self.build_ok("FROM busybox\nRUN ip -4 addr show eth0 > /a; ip route > /r; cat /etc/resolv.conf > /d\n", "-t", "net:1")
        self.assertIn("inet ", self.file("net:1", "/a"))
        self.assertIn("default via", self.file("net:1", "/r"))
        self.assertIn("nameserver", self.file("net:1", "/d"))

    def test_network_of_builds_is_theirs(self):
        refused = self.gantry("network", "create", "gantry-build")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("network of builds", refused.stderr)
        folder = self.stack("""
            services: {web: {image: busybox, command: [sleep, "1000"], networks: [x]}}
            networks: {x: {name: gantry-build}}
            """, "stolen")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        refused = self.gantry("up", "-d", folder=folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("network of builds", refused.stderr)

    def test_network_that_a_step_is_on_stays(self):
        self.gantry_ok("network", "create", "busy")
        self.addCleanup(self.gantry, "network", "rm", "busy")
        word = 31_177
        process = self.start(self.sleeper(word), "--no-cache", "--network", "busy")
        wait_until(lambda: self.running(word), what="the step to run")
        refused = self.gantry("network", "rm", "busy")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("build that is under way", refused.stderr)
        self.assertNotIn("busy", self.gantry_ok("network", "prune", "-f").stdout)
        self.assertIn("busy", self.gantry_ok("network", "ls").stdout)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)
        wait_until(lambda: self.gantry("network", "rm", "busy").returncode == 0, what="the network to be free")

    def test_step_whose_settings_are_refused_leaves_nothing(self):
        before = host_view()
        self.assertIn("NONSENSE", self.build_fails("FROM busybox\nRUN true\n", "--no-cache", "--ulimit", "nonsense=5"))
        self.assertEqual(os.listdir(f"{self.root}/run/containers"), [])
        after = wait_until_same(before)
        for kind in before:
            self.assertEqual(after[kind] - before[kind], set(), kind)

    def test_names_in_a_batch_are_unique(self):
        build = {"name": "same", "context": {"none": {}}, "dockerfileText": "FROM busybox\n"}
        defaults = {
            "isTemporary": False, "arguments": {}, "labels": {}, "tags": [], "contexts": {}, "noCache": False,
            "noCacheFilter": [], "pull": False, "cacheFrom": [], "cacheTo": [], "platforms": [], "secrets": [],
            "agents": {}, "allow": [], "extraHosts": [], "ulimits": {}, "privileged": False}
        body = json.dumps({"builds": [build | defaults] * 2, "checks": False})
        said = subprocess.run(
            ["curl", "-s", "--unix-socket", self.socket, "-H", "Content-Type: application/json", "-d", body,
             "http://engine/build/batch"], capture_output=True, text=True, timeout=30).stdout
        self.assertIn("two builds of a batch have the name 'same'", said)

    # Ends

    def test_interrupted_client(self):
        for number, (ends, codes) in enumerate(((signal.SIGINT, (130,)), (signal.SIGTERM, (143, 1)), (signal.SIGKILL, (-9,)))):
            with self.subTest(ends.name):
                before, word = host_view(), 32_100 + number
                process = self.start(self.sleeper(word), "--no-cache", "-t", "interrupted:1")
                wait_until(lambda: self.running(word), what="the step to run")
                process.send_signal(ends)
                self.assertIn(process.wait(timeout=10), (*codes, -ends))
                wait_until(lambda: not self.running(word), what="the step to end with its client")
                after = wait_until_same(before)
                for kind in before:
                    self.assertEqual(after[kind] - before[kind], set(), kind)
                self.assertNotEqual(self.gantry("image", "inspect", "interrupted:1").returncode, 0)

    def test_interrupted_while_a_cache_is_fetched(self):
        """From a registry that never answers."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20)
            name = f"localhost:{listener.getsockname()[1]}/slow"
            process = self.start(self.context("FROM busybox\n"), "--cache-from", name)
            connection, _ = listener.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(timeout=10), 130)
                connection.settimeout(10)
                while connection.recv(4096):
                    pass

    def test_killed_engine(self):
        word = 33_333
        folder = self.sleeper(word, "COPY a /a\n")
        with open(f"{folder}/a", "w") as file:
            file.write("a")
        before = host_view()
        process = self.start(folder, "-t", "killed:1")
        wait_until(lambda: self.running(word), what="the step to run")
        self.kill_engine()
        self.log.close()
        self.assertNotEqual(process.wait(timeout=20), 0)
        self.start_engine()
        wait_until(lambda: not self.running(word), what="the step of the killed engine to end")
        self.assertEqual(os.listdir(f"{self.root}/run/containers"), [])
        with open(f"{folder}/Dockerfile", "w") as file:
            file.write("FROM busybox\nRUN echo ready > /kept\nRUN true\nCOPY a /a\n")
        progress = self.build_ok(folder, "-t", "killed:1")
        self.assertEqual(progress.of("RUN echo ready"), "CACHED")
        self.assertEqual(self.file("killed:1", "/a"), "a")
        self.assertEqual(self.gantry_ok("image", "verify", "killed:1").stdout, "killed:1: ok\n")
        wait_until(lambda: not os.listdir(f"{self.root}/data/images/tmp"), what="what the killed engine left to be removed")
        after = wait_until_same(before)
        for kind in before:
            self.assertEqual(after[kind] - before[kind], set(), kind)

    def test_engine_killed_again_and_again(self):
        """At any moment of a build with many short steps; then it goes through, and the image is whole."""
        lines = "".join(f"RUN echo {n} > /f{n} && dd if=/dev/zero of=/z{n} bs=100k count=5 2>/dev/null\nCOPY a /a{n}\n"
                        for n in range(8))
        folder = self.context("FROM busybox\n" + lines, {"a": "a" * 10_000})
        before = host_view()
        for delay in (0.03, 0.1, 0.2, 0.35, 0.5):
            process = self.start(folder, "-t", "again:1")
            time.sleep(delay)
            self.kill_engine()
            self.log.close()
            process.wait(timeout=20)
            self.start_engine()
        self.build_ok(folder, "-t", "again:1")
        self.assertEqual(self.file("again:1", "/f7"), "7\n")
        self.assertEqual(self.gantry_ok("image", "verify", "again:1").stdout, "again:1: ok\n")
        after = wait_until_same(before)
        for kind in before:
            self.assertEqual(after[kind] - before[kind], set(), kind)

    def test_engine_that_is_stopped(self):
        word = 34_444
        process = self.start(self.sleeper(word))
        wait_until(lambda: self.running(word), what="the step to run")
        self.engine.terminate()
        self.engine.wait(timeout=20)
        self.log.close()
        self.assertNotEqual(process.wait(timeout=10), 0)
        wait_until(lambda: not self.running(word), what="the step to end with its engine")
        self.start_engine()

    # Many

    def test_same_build_many_times_at_once(self):
        folder = self.context("FROM busybox\nCOPY . /app\nRUN sleep 0.3; echo x > /x\nRUN cat /x > /y\n", {"a": "a"})
        processes = [self.start(folder, "-t", f"many:{n}") for n in range(6)]
        for process in processes:
            self.assertEqual(process.wait(timeout=60), 0, process.stderr.read())
        self.assertEqual([self.file(f"many:{n}", "/y") for n in range(6)], ["x\n"] * 6)
        self.assertEqual(self.gantry_ok("image", "verify").stdout.count("damaged"), 0)

    def test_different_builds_at_once(self):
        failures = []

        def build(number):
            text = f"FROM busybox\nRUN echo {number} > /n; sleep 0.2\nCOPY --from=busybox /etc/passwd /p{number}\n"
            result = self.build(text, "-t", f"different:{number}")
            if result.returncode != 0:
                failures.append(result.stderr)

        threads = [threading.Thread(target=build, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual([self.file(f"different:{n}", "/n") for n in range(6)], [f"{n}\n" for n in range(6)])

    def test_one_that_is_interrupted_does_not_end_the_other(self):
        word = 3
        folder = self.sleeper(word, "RUN echo end > /end\n")
        first, second = self.start(folder, "-t", "one:1"), self.start(folder, "-t", "two:1")
        wait_until(lambda: self.running(word), what="a step to run")
        first.send_signal(signal.SIGINT)
        first.wait(timeout=10)
        self.assertEqual(second.wait(timeout=30), 0, second.stderr.read())
        self.assertEqual(self.file("two:1", "/end"), "end\n")

    def test_many_steps_and_large_layers(self):
        lines = "".join(f"ENV V{n}={n}\n" for n in range(100)) + "".join(f"RUN echo {n} > /n\n" for n in range(40))
        self.build_ok("FROM busybox\n" + lines, "-t", "steps:1")
        self.assertEqual(self.file("steps:1", "/n"), "39\n")
        folder = self.context("FROM busybox\nCOPY big /big\nRUN cp /big /copy\n", {"big": os.urandom(1 << 20) * 64})
        self.build_ok(folder, "-t", "large:1")
        self.assertEqual(self.gantry_ok("image", "verify", "large:1").stdout, "large:1: ok\n")


class FullDiskTest(BuildCase):
    """Everything of the engine lies on a file system of 60 MB."""

    @classmethod
    def setUpClass(cls):
        cls.disk = tempfile.mkdtemp(prefix="gantry-e2e-disk-")
        cls.addClassCleanup(os.rmdir, cls.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "disk", cls.disk], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", cls.disk])
        usual, tempfile.tempdir = tempfile.tempdir, cls.disk
        try:
            super().setUpClass()
        finally:
            tempfile.tempdir = usual

    def test_disk_that_is_full(self):
        text = self.build_fails("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=200\n", "-t", "full:1")
        self.assertIn("no space left", text.lower())
        self.assertIn("Dockerfile:2", text)
        folder = tempfile.mkdtemp(prefix="gantry-e2e-context-")
        self.addCleanup(shutil.rmtree, folder)
        write_context(folder, {"Dockerfile": "FROM busybox\nCOPY big /big\n", "big": bytes(80 << 20)})
        text = self.build_fails(folder)
        self.assertIn("no space left", text.lower())
        # What was written is gone, and the engine works on.
        self.assertTrue(self.answers())

        def is_free():
            free = os.statvfs(self.disk)
            return free.f_bavail * free.f_frsize > 30 << 20

        wait_until(is_free, what="what was written to be removed")
        self.build_ok("FROM busybox\nRUN dd if=/dev/zero of=/small bs=1M count=5\n", "-t", "full:2")
        self.assertEqual(self.gantry_ok("image", "verify", "full:2").stdout, "full:2: ok\n")


if __name__ == "__main__":
    unittest.main()
