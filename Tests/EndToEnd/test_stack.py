"""A stack comes up, scales, is changed, heals and goes away."""

import os
import re
import signal
import subprocess
import time
import unittest

from harness import EngineCase, wait_until

WEB = """
    services:
      web:
        image: busybox
        command: ["sh", "-c", "hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
        ports: ["127.0.0.1:18080:80"]
        restart: always
        stop_grace_period: 1s
        healthcheck:
          test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"]
          interval: 300ms
          start_interval: 100ms
          start_period: 5s
          retries: 2
        deploy: {replicas: 3}
    """


class StackTest(EngineCase):
    def up(self, name, text=WEB, *arguments):
        folder = self.stack(text, name)
        self.gantry_ok("up", "-d", "--wait", *arguments, folder=folder)
        self.addCleanup(lambda: self.gantry_ok("down", "-v", "-t", "0", folder=folder))
        return folder

    def test_replicas_share_the_published_port(self):
        folder = self.up("shared")
        answers = {self.get(18080) for _ in range(12)}
        self.assertEqual(len(answers), 3, answers)
        rows = self.ps(folder)
        self.assertEqual([row["Name"] for row in rows], [f"shared-web-{n}" for n in (1, 2, 3)])
        table = self.gantry_ok("ps", folder=folder).stdout
        self.assertIn("127.0.0.1:18080->80/tcp", table)
        self.assertIn("(healthy)", table)

    def test_second_up_does_nothing(self):
        folder = self.up("idle")
        before = self.pids(folder)
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(self.pids(folder), before)
        self.assertIn("No changes", self.gantry_ok("plan", folder=folder).stdout)

    def test_what_ends_while_up_waits_is_started_again_by_its_policy(self):
        self.up("second-try", """
            services:
              slow:
                image: busybox
                command: ["sh", "-c", "[ -e /data/begun ] && touch /tmp/well && exec sleep 60; touch /data/begun; exit 3"]
                volumes: ["data:/data"]
                stop_signal: SIGKILL
                restart: unless-stopped
                healthcheck: {test: ["CMD", "test", "-e", "/tmp/well"], interval: 200ms}
            volumes: {data: {}}
            """, "--wait-timeout", "15")

    def test_scale_up_and_down(self):
        folder = self.up("scaled")
        self.gantry_ok("scale", "web=5", folder=folder)
        self.assertEqual(len(self.ps(folder)), 5)
        self.gantry_ok("scale", "web=1", folder=folder)
        self.assertEqual([row["Name"] for row in self.ps(folder)], ["scaled-web-1"])

    def test_changed_definition_is_planned_with_its_line_and_replaced(self):
        folder = self.up("changed")
        before = self.pids(folder)
        self.stack(WEB.replace("retries: 2", "retries: 2\n        environment: {COLOUR: blue}"), "changed")
        plan = self.gantry_ok("plan", folder=folder).stdout
        self.assertRegex(plan, r"-/\+ service\.web\[1.*\n +\+ environment\.COLOUR  blue +compose\.yaml:\d+:\d+")
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        after = self.pids(folder)
        self.assertEqual(after.keys(), before.keys())
        self.assertTrue(all(after[name] != before[name] for name in before))
        self.assertEqual(self.gantry_ok("exec", "-T", "web", "sh", "-c", "echo $COLOUR", folder=folder).stdout, "blue\n")

    def test_killed_replica_is_back_and_no_request_fails_after_it_left(self):
        folder = self.up("killed")
        pids = self.pids(folder)
        os.kill(pids["killed-web-2"], signal.SIGKILL)
        killed = time.monotonic()
        failures = []

        def ask():
            begun = time.monotonic() - killed
            try:
                self.get(18080)
            except OSError as error:
                # It has left the balancer within a moment, on a busy machine too.
                if begun > 3:
                    failures.append(f"{begun:.3f}: {error}")

        def is_back():
            ask()
            if self.pids(folder).get("killed-web-2") in (None, pids["killed-web-2"]):
                return False
            return {row["Name"]: row for row in self.ps(folder)}["killed-web-2"]["Health"] == "healthy"

        wait_until(is_back, 20, "the replica to be healthy")
        while time.monotonic() - killed < 8:
            ask()
        self.assertEqual(failures, [])
        self.assertEqual({self.pids(folder)[name] for name in ("killed-web-1", "killed-web-3")},
                         {pids["killed-web-1"], pids["killed-web-3"]})

    def test_network_drift_is_planned_and_repaired_without_restart(self):
        folder = self.up("drift")
        before = self.pids(folder)
        veths = re.findall(r"(gv\w+)@", subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout)
        bridges = re.findall(r"(gn-\w+):", subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout)
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
        table = re.search(r"table (\w+ gantry\w*)", tables).group(1)
        damages = [["ip", "link", "del", veths[0]], ["ip", "link", "del", bridges[0]],
                   ["nft", "delete", "table", *table.split()]]
        for damage in damages:
            with self.subTest(damage=damage):
                subprocess.run(damage, check=True)
                plan = self.gantry_ok("plan", folder=folder)
                # On a busy machine the engine may have been faster.
                self.assertRegex(plan.stdout, "missing")
                self.gantry_ok("reconcile", folder=folder)
                self.assertIn("No changes", self.gantry_ok("plan", folder=folder).stdout)
                self.assertEqual(len({self.get(18080) for _ in range(12)}), 3)
                self.assertEqual(self.pids(folder), before)

    def test_engine_repairs_drift_by_itself(self):
        folder = self.up("selfheal")
        before = self.pids(folder)
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
        table = re.search(r"table (\w+ gantry\w*)", tables).group(1)
        subprocess.run(["nft", "delete", "table", *table.split()], check=True)

        def served():
            try:
                return self.get(18080, timeout=1)
            except OSError:
                return False

        wait_until(served, 20, "the firewall to be repaired")
        self.assertEqual(self.pids(folder), before)
        self.assertIn("repair", self.gantry_ok("plan", folder=folder).stdout.lower())

    def test_stop_start_restart_kill(self):
        folder = self.up("verbs")
        self.gantry_ok("stop", "-t", "0", folder=folder)
        self.assertEqual(self.ps(folder), [])
        self.assertEqual(len(self.ps(folder, "-a")), 3)
        time.sleep(0.5)
        self.assertEqual(self.ps(folder), [], "the engine starts what a user stopped")
        self.gantry_ok("start", folder=folder)
        self.assertEqual(len(self.ps(folder)), 3)
        before = self.pids(folder)
        self.gantry_ok("restart", "-t", "0", folder=folder)
        self.assertTrue(all(self.pids(folder)[name] != pid for name, pid in before.items()))
        self.gantry_ok("kill", "-s", "SIGUSR1", folder=folder)


if __name__ == "__main__":
    unittest.main()
