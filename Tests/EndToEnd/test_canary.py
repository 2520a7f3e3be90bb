"""Rollouts that people steer: canaries, promote, abort, pause and resume; and unhealthy replicas."""

import json
import subprocess
import time
import unittest

from harness import GANTRY, EngineCase, wait_until

CHECK = "{test: 'test ! -e /tmp/sick', interval: 1s, retries: 1, start_interval: 100ms, start_period: 1s}"


class CanaryTest(EngineCase):
    def write(self, version, rollout="min_healthy_time: 200ms, canary: 1", replicas=3):
        return self.stack(f"""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "exec sleep infinity # {version}"]
                init: true
                restart: always
                stop_grace_period: 0s
                healthcheck: {CHECK}
                deploy: {{replicas: {replicas}}}
                x-gantry: {{rollout: {{drain: 0s, {rollout}}}}}
            """, "canary")

    def setUp(self):
        self.folder = self.write("one")
        self.gantry_ok("up", "-d", "--wait", folder=self.folder)

    def tearDown(self):
        self.gantry("down", "-t", "0", folder=self.folder)


    def counts(self):
        """How many replicas are of the new definition: by identity, for the processes look alike."""
        return sum(1 for name, pid in self.pids(self.folder).items() if pid != self.before.get(name))

    def status(self):
        text = self.gantry_ok("rollout", "status", "--format", "json", folder=self.folder).stdout
        services = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        return services[0]

    def test_canary_promote(self):
        self.before = self.pids(self.folder)
        self.write("two")
        plan = self.gantry_ok("plan", folder=self.folder)
        self.assertIn("2 replicas to be replaced then", plan.stdout + plan.stderr)
        result = self.gantry_ok("up", "-d", "--wait", folder=self.folder)
        self.assertIn("gantry promote web", result.stderr)
        self.assertEqual(self.counts(), 1)
        time.sleep(1)
        self.assertEqual(self.counts(), 1)
        status = self.status()
        self.assertEqual((status["State"], status["Updated"], status["Ready"]), ("canary", "1/3", 3))
        # An engine that is killed meanwhile goes on waiting.
        self.kill_engine()
        self.start_engine()
        self.assertEqual(self.status()["State"], "canary")
        self.assertEqual(self.counts(), 1)
        wrong = self.gantry("promote", "nothing", folder=self.folder)
        self.assertNotEqual(wrong.returncode, 0)
        self.gantry_ok("promote", folder=self.folder)
        self.assertEqual(self.counts(), 3)
        wait_until(lambda: self.status()["State"] == "complete")
        wait_until(lambda: "no rollout under way" in self.gantry("promote", folder=self.folder).stderr)

    def test_canary_abort(self):
        self.before = self.pids(self.folder)
        self.write("two")
        self.gantry_ok("up", "-d", folder=self.folder)
        kept = {name: pid for name, pid in self.pids(self.folder).items() if pid == self.before.get(name)}
        self.gantry_ok("abort", folder=self.folder)
        after = self.pids(self.folder)
        for name, pid in kept.items():
            self.assertEqual(after[name], pid)
        wait_until(lambda: self.status()["State"] == "complete")
        result = self.gantry("abort", folder=self.folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no rollout under way", result.stderr)

    def test_abort_ends_a_command_that_waits(self):
        self.before = self.pids(self.folder)
        self.write("two", "min_healthy_time: 60s")
        folder = self.folder
        up = subprocess.Popen([GANTRY, "up", "-d", "--wait"], cwd=folder, env=self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: self.counts() >= 1, what="the first successor")
        self.gantry_ok("abort", folder=folder)
        output, _ = up.communicate(timeout=60)
        self.assertNotEqual(up.returncode, 0)
        self.assertIn("aborted", output)
        self.assertEqual(self.counts(), 0)

    def test_pause_and_resume(self):
        self.before = self.pids(self.folder)
        self.write("two", "min_healthy_time: 2s")
        up = subprocess.Popen([GANTRY, "up", "-d"], cwd=self.folder, env=self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: self.counts() >= 1, what="the first successor")
        self.gantry_ok("rollout", "pause", folder=self.folder)
        output, _ = up.communicate(timeout=60)
        self.assertEqual(up.returncode, 0, output)
        self.assertIn("is paused", output)
        replaced = self.counts()
        self.assertLess(replaced, 3)
        self.assertEqual(self.status()["State"], "paused")
        self.gantry_ok("rollout", "resume", folder=self.folder)
        self.assertEqual(self.counts(), 3)

    def test_canaries_that_promote_themselves(self):
        self.before = self.pids(self.folder)
        self.write("two", "min_healthy_time: 200ms, canary: 2, auto_promote: true")
        self.gantry_ok("up", "-d", folder=self.folder)
        self.assertEqual(self.counts(), 3)

    def test_an_unhealthy_replica_is_replaced(self):
        self.before = self.pids(self.folder)
        name = sorted(self.before)[0]
        self.gantry_ok("exec", "-T", "--index", "1", "web", "touch", "/tmp/sick", folder=self.folder)
        wait_until(lambda: self.counts() == 1, seconds=60, what="another replica in its place")
        self.assertNotEqual(self.pids(self.folder)[name], self.before[name])
        wait_until(lambda: all(each["Health"] == "healthy" for each in self.ps(self.folder)), what="all to be well")


if __name__ == "__main__":
    unittest.main()
