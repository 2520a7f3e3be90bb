"""Updates under load from another namespace: not one request fails, whatever the order, whether the update works or is
rolled back, and though the engine is killed meanwhile."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import GANTRY, wait_until
from load_harness import LoadCase

STACK = """
    services:
      web:
        image: traffic
        command: ["sh", "-c", "exec /bin/traffic serve 80 VERSION"]
        ports: ["8080:80"]
        healthcheck: {test: "nc 127.0.0.1 80 < /dev/null | grep -q .", interval: 1s, retries: 2, start_period: 1s, start_interval: 100ms}
        restart: always
        init: true
        stop_grace_period: 3s
        deploy:
          replicas: 6
          update_config: {monitor: 300ms, UPDATE}
      other:
        image: traffic
        command: sleep infinity
        init: true
    """
REPLICAS = [f"rollout-web-{number}" for number in range(1, 7)]


class RolloutTest(LoadCase):
    def write(self, version, update="parallelism: 1"):
        return self.stack(STACK.replace("VERSION", version).replace("UPDATE", update), "rollout")

    def containers(self, folder):
        return {each["Name"]: each["ID"] for each in self.ps(folder, "-a")}

    def up(self, folder, code=0, timeout=120):
        result = self.gantry("up", "-d", "--wait", folder=folder, timeout=timeout)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def setUp(self):
        self.folder = self.write("one")
        self.up(self.folder)
        self.assertEqual(sorted(self.containers(self.folder)), ["rollout-other-1"] + REPLICAS)

    def tearDown(self):
        self.gantry("down", "-t", "1", folder=self.folder)

    def updated(self, version, update, code=0, during=None):
        """Under load. Answers what was answered, and what the command said."""
        clients = self.load()
        time.sleep(0.5)
        try:
            folder = self.write(version, update)
            if during is not None:
                during(folder)
                said = ""
            else:
                said = self.up(folder, code)
            time.sleep(0.5)
        finally:
            answers, failures = self.end(clients)
        self.assertEqual(failures, [], f"of {sum(answers.values())}")
        self.assertGreater(sum(answers.values()), 200)
        return answers, said

    def test_start_first(self):
        before = self.containers(self.folder)
        answers, _ = self.updated("two", "order: start-first")
        self.assertEqual(set(answers), {"one", "two"})
        after = self.containers(self.folder)
        self.assertEqual(set(after), set(before))
        self.assertEqual([name for name in after if after[name] == before[name]], ["rollout-other-1"])

    def test_stop_first(self):
        answers, _ = self.updated("two", "order: stop-first, parallelism: 2, delay: 100ms")
        self.assertEqual(set(answers), {"one", "two"})
        self.assertEqual(set(self.containers(self.folder)), set(REPLICAS + ["rollout-other-1"]))

    def test_an_update_that_fails_is_rolled_back(self):
        for order in ("start-first", "stop-first"):
            with self.subTest(order):
                before = self.containers(self.folder)
                # Its answer is none that the healthcheck takes.
                answers, said = self.updated(
                    "'' & sleep 1; exit 3", f"order: {order}, failure_action: rollback", code=5)
                self.assertEqual(set(answers), {"one"})
                self.assertIn("was rolled back to revision", said)
                after = self.containers(self.folder)
                self.assertEqual(set(after), set(before))
                changed = [name for name in after if after[name] != before[name]]
                self.assertEqual(changed, [] if order == "start-first" else ["rollout-web-1"])

    def test_an_update_that_fails_is_paused(self):
        answers, said = self.updated("'' & sleep 1; exit 3", "order: start-first", code=4)
        self.assertEqual(set(answers), {"one"})
        self.assertIn("gantry rollback", said)
        self.gantry_ok("rollback", folder=self.folder)
        self.assertEqual(set(self.containers(self.folder)), set(REPLICAS + ["rollout-other-1"]))

    def test_engine_killed_meanwhile(self):
        def during(folder):
            # Nobody waits for the end of this command: it loses its engine.
            update = subprocess.Popen([GANTRY, "up", "-d"], cwd=folder, env=self.environment(),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(5):
                time.sleep(0.4)
                self.kill_engine()
                self.start_engine()
            update.wait(timeout=30)

            def done():
                states = {each["Name"]: (each["State"], "two" in each["Command"]) for each in self.ps(folder, "-a")}
                return all(states.get(name) == ("running", True) for name in REPLICAS) and len(states) == 7

            wait_until(done, seconds=60)

        answers, _ = self.updated("two", "order: start-first", during=during)
        self.assertEqual(set(answers), {"one", "two"})

    def test_a_name_that_leads_elsewhere_replaces_nothing_by_itself(self):
        before = self.containers(self.folder)
        self.gantry_ok("tag", "traffic", "kept")
        try:
            self.gantry_ok("tag", "busybox", "traffic")
            pid = self.pids(self.folder)["rollout-web-1"]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.pids(self.folder).get("rollout-web-1", pid) != pid)
            self.assertEqual(self.containers(self.folder), before)
            self.assertIn("~ image id  sha256:", self.gantry_ok("plan", folder=self.folder).stdout)
        finally:
            self.gantry_ok("tag", "kept", "traffic")

    def test_history_and_rollback(self):
        self.up(self.write("two"))
        wait_until(lambda: "current, stable" in self.gantry_ok("history", folder=self.folder).stdout)
        lines = self.gantry_ok("history", folder=self.folder).stdout.splitlines()
        self.assertEqual(len(lines), 3, lines)
        self.assertIn("REVISION", lines[0])
        revisions = [json.loads(line) for line in
                     self.gantry_ok("history", "--format", "json", folder=self.folder).stdout.splitlines()]
        self.assertEqual([each["State"] for each in revisions], ["current, stable", "stable"])
        # Applying the same once more is no revision.
        self.up(self.folder)
        self.assertEqual(len(self.gantry_ok("history", "-q", folder=self.folder).stdout.split()), 2)
        # What somebody stopped is not waited for.
        self.gantry_ok("stop", "-t", "0", "other", folder=self.folder)
        self.gantry_ok("rollback", folder=self.folder, timeout=120)
        commands = [each["Command"] for each in self.ps(self.folder) if "web" in each["Name"]]
        self.assertTrue(all("serve 80 one" in command for command in commands), commands)
        newest = json.loads(self.gantry_ok("history", "--format", "json", folder=self.folder).stdout.splitlines()[0])
        self.assertEqual(newest["Cause"], f"rollback to {revisions[1]['Revision']}")
        unknown = self.gantry("rollback", "--to", "99", folder=self.folder)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("has no revision 99", unknown.stderr)


if __name__ == "__main__":
    unittest.main()
