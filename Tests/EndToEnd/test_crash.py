"""The engine is killed at bad moments."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

from harness import GANTRY, EngineCase, wait_until

STACK = """
    services:
      box:
        image: busybox
        command: ["sh", "-c", "i=0; while true; do i=$$((i+1)); echo line $$i; sleep 0.05; done"]
        stop_grace_period: 0s
        deploy: {replicas: 8}
    """


class CrashTest(EngineCase):
    def test_containers_and_logs_survive_the_engine(self):
        folder = self.stack(STACK.replace("replicas: 8", "replicas: 2"), "survive")
        self.gantry_ok("up", "-d", folder=folder)
        before = self.pids(folder)
        wait_until(lambda: self.numbers(folder).count(3) == 2, what="some lines of each replica")
        self.kill_engine()
        time.sleep(0.5)
        for pid in before.values():
            os.kill(pid, 0)
        self.start_engine()
        self.assertEqual(self.pids(folder), before)
        wait_until(lambda: self.numbers(folder).count(20) == 2, what="twenty lines of each replica")
        numbers = self.numbers(folder)
        for number in range(1, 21):
            self.assertEqual(numbers.count(number), 2, f"line {number}")
        self.assertEqual(self.gantry_ok("exec", "-T", "box", "echo", "yes", folder=folder).stdout, "yes\n")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def numbers(self, folder):
        output = self.gantry_ok("logs", "--no-log-prefix", "--no-color", folder=folder).stdout
        return [int(line.split()[1]) for line in output.splitlines() if line]

    def test_engine_that_is_told_to_stop_ends_beside_running_containers(self):
        folder = self.stack(STACK.replace("replicas: 8", "replicas: 2"), "stopped")
        self.gantry_ok("up", "-d", folder=folder)
        before = self.pids(folder)
        self.engine.terminate()
        self.assertEqual(self.engine.wait(timeout=30), 0)
        for pid in before.values():
            os.kill(pid, 0)
        self.start_engine()
        self.assertEqual(self.pids(folder), before)
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_exit_code_of_a_container_that_ended_without_an_engine(self):
        folder = self.stack("""
            services:
              box: {image: busybox, command: ["sh", "-c", "sleep 4; exit 9"]}
            """, "ended")
        self.gantry_ok("up", "-d", folder=folder)
        pid = next(iter(self.pids(folder).values()))
        self.kill_engine()
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the container")
        self.start_engine()
        row = self.ps(folder, "-a")[0]
        self.assertEqual((row["State"], row["ExitCode"]), ("exited", 9))
        self.gantry_ok("down", folder=folder)

    def is_frozen(self, pid):
        """In whichever hierarchy its freezer is. cgroups(7)."""
        with open(f"/proc/{pid}/cgroup") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
        for _, controllers, path in groups:
            for name, word in ((f"/sys/fs/cgroup{path}/cgroup.events", "frozen 1"),
                               (f"/sys/fs/cgroup/unified{path}/cgroup.events", "frozen 1"),
                               (f"/sys/fs/cgroup/freezer{path}/freezer.state", "FROZEN")):
                if os.path.exists(name):
                    with open(name) as file:
                        if word in file.read().splitlines():
                            return True
        return False

    def test_killed_in_the_middle_of_a_commit(self):
        folder = self.up_box(
            "committed", "dd if=/dev/urandom of=/big bs=1M count=300 2>/dev/null; echo ready; exec sleep 1000")
        wait_until(lambda: "ready" in self.gantry_ok("logs", folder=folder).stdout, 60, "the file")
        pid = next(iter(self.pids(folder).values()))
        with subprocess.Popen([GANTRY, "commit", "committed-box-1", "made:1"], env=self.environment(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_until(lambda: self.is_frozen(pid), what="the pause", interval=0.002)
            self.kill_engine()
        self.assertTrue(self.is_frozen(pid))
        self.start_engine()
        wait_until(lambda: not self.is_frozen(pid), what="its going on")
        self.assertEqual(self.gantry_ok("exec", "-T", "box", "echo", "yes", folder=folder).stdout, "yes\n")
        self.assertNotIn("made", self.gantry_ok("images").stdout)
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_killed_in_the_middle_of_up(self):
        for delay in (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1):
            with self.subTest(delay=delay):
                folder = self.stack(STACK, "middle")
                up = subprocess.Popen([GANTRY, "up", "-d"], cwd=folder, env=self.environment(),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(delay)
                self.kill_engine()
                up.wait(timeout=20)
                self.start_engine()
                self.gantry_ok("up", "-d", folder=folder)
                rows = self.ps(folder, "-a")
                self.assertEqual([row["Name"] for row in rows], [f"middle-box-{n}" for n in range(1, 9)])
                self.assertEqual({row["State"] for row in rows}, {"running"})
                self.assertIn("No changes", self.gantry_ok("plan", folder=folder).stdout)
                self.gantry_ok("down", "-t", "0", folder=folder)
                self.assertEqual(os.listdir(f"{self.root}/data/containers"), [])
                self.assertEqual(os.listdir(f"{self.root}/run/containers"), [])

    def test_a_recovered_stack_is_kept_up(self):
        folder = self.stack(STACK.replace("replicas: 8", "replicas: 1").replace(
            "stop_grace_period", "restart: always\n        stop_grace_period"), "kept")
        self.gantry_ok("up", "-d", folder=folder)
        self.kill_engine()
        self.start_engine()
        before = self.pids(folder)
        os.kill(before["kept-box-1"], signal.SIGKILL)
        wait_until(lambda: self.pids(folder).get("kept-box-1", before["kept-box-1"]) != before["kept-box-1"], 20,
                   "the replica to come back")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_record_without_folders_is_made_whole(self):
        folder = self.stack(STACK.replace("replicas: 8", "replicas: 1"), "halfmade")
        # Folders are made by the start, not with the record.
        self.gantry_ok("up", "--no-start", folder=folder)
        self.assertEqual(os.listdir(f"{self.root}/data/containers"), [])
        self.gantry_ok("up", "-d", folder=folder)
        self.gantry_ok("stop", "-t", "0", folder=folder)
        container = os.listdir(f"{self.root}/data/containers")[0]
        self.kill_engine()
        shutil.rmtree(f"{self.root}/data/containers/{container}")
        self.start_engine()
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual([row["State"] for row in self.ps(folder)], ["running"])
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_killed_in_the_middle_of_down(self):
        folder = self.stack(STACK, "falling")
        self.gantry_ok("up", "-d", folder=folder)
        down = subprocess.Popen([GANTRY, "down", "-t", "0"], cwd=folder, env=self.environment(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.05)
        self.kill_engine()
        down.wait(timeout=20)
        self.start_engine()
        self.gantry_ok("down", "-t", "0", folder=folder)
        self.assertEqual(self.ps(folder, "-a"), [])
        self.assertEqual(os.listdir(f"{self.root}/data/containers"), [])


if __name__ == "__main__":
    unittest.main()
