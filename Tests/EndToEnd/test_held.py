"""What commands say of updates that are under way, and of those that wait for somebody."""

import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from harness import GANTRY, EngineCase, wait_until

CHECK = "{test: 'test -e /proc/1', interval: 1s, start_interval: 100ms, start_period: 5s}"


class HeldUpdateTest(EngineCase):
    def write(self, version, config="", rollout="drain: 0s", name="held"):
        return self.stack(f"""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "exec sleep infinity # {version}"]
                stop_grace_period: 0s
                healthcheck: {CHECK}
                deploy: {{replicas: 4, update_config: {{monitor: 500ms{config}}}}}
                x-gantry: {{rollout: {{{rollout}}}}}
            """, name)

    def updating(self, folder, *command, **options):
        """Starts a command that updates, and waits for the first new replica to be there."""
        before = self.ids(folder)
        update = subprocess.Popen([GANTRY, *command], cwd=folder, env=self.environment() | options,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(update.stdout.close)
        self.addCleanup(update.wait)
        wait_until(lambda: set(self.ids(folder)) - set(before), what="the first new replica", seconds=60)
        return update

    def ids(self, folder):
        return {each["ID"] for each in self.ps(folder, "-a")}

    def test_wait_goes_by_what_is_to_stay(self):
        """The replicas that go were killed, by a policy that would not start them again."""
        for order in ("start-first", "stop-first"):
            name = order.replace("-", "")
            folder = self.write("one", name=name)
            self.gantry_ok("up", "-d", "--wait", folder=folder)
            self.write("two", f", order: {order}", name=name)
            update = self.updating(folder, "apply")
            self.gantry_ok("wait", "--timeout", "60s", folder=folder)
            self.assertEqual(update.wait(30), 0)
            self.gantry_ok("down", folder=folder)

    def test_what_waits_for_somebody_has_not_converged(self):
        folder = self.write("one")
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        self.write("two", rollout="drain: 0s, canary: 1")
        reports = [f"--report={kind}={folder}/{kind}" for kind in ("junit", "dotenv")]
        self.gantry_ok("reconcile", *reports, folder=folder, timeout=120)
        self.expect_report(folder)
        held = self.gantry("wait", "--timeout", "30s", folder=folder)
        self.assertEqual(held.returncode, 4)
        self.assertIn("the canaries of web wait to be promoted", held.stderr)
        self.gantry_ok("promote", folder=folder, timeout=120)
        self.gantry_ok("wait", "--timeout", "60s", folder=folder)

        self.write("three", ", delay: 1s")
        update = self.updating(folder, "reconcile", *reports, CI="1")
        self.gantry_ok("rollout", "pause", folder=folder)
        said = update.communicate(timeout=60)[0]
        self.assertEqual(update.returncode, 0, said)
        self.assertIn("the update of web is paused", said)
        self.expect_report(folder)
        held = self.gantry("wait", "--timeout", "30s", folder=folder)
        self.assertEqual(held.returncode, 4)
        self.assertIn("the update of web is paused", held.stderr)
        self.gantry_ok("rollout", "resume", folder=folder, timeout=120)
        self.gantry_ok("wait", "--timeout", "60s", folder=folder)

    def expect_report(self, folder):
        with open(f"{folder}/dotenv") as file:
            self.assertIn("GANTRY_RESULT=paused", file.read())
        [case] = ElementTree.parse(f"{folder}/junit").getroot().iter("testcase")
        self.assertIsNotNone(case.find("skipped"))

    def test_what_cannot_be_applied_is_no_clean_plan(self):
        text = """
            services: {db: {image: busybox, command: ["sleep", "1000"], volumes: ["data:/data"], stop_grace_period: 0s}}
            volumes: {data: %s}
            """
        folder = self.stack(text % "{}", "lossy")
        self.gantry_ok("up", "-d", folder=folder)
        self.stack(text % "{driver_opts: {type: tmpfs, device: tmpfs}}", "lossy")
        self.gantry_ok("up", "-d", folder=folder)
        plan = self.gantry("plan", "--detailed-exitcode", folder=folder)
        self.assertEqual(plan.returncode, 2)
        self.assertNotIn("No changes", plan.stdout)
        self.assertIn("volume.data", plan.stderr)
        self.assertIn("**error**", self.gantry("plan", "--format", "markdown", folder=folder).stdout)

    def test_services_of_other_profiles_are_no_orphans(self):
        folder = self.stack("""
            services:
              web: {image: busybox, command: ["sleep", "1000"], stop_grace_period: 0s}
              debug: {image: busybox, command: ["sleep", "1000"], stop_grace_period: 0s, profiles: [debug]}
            """, "profiled")
        self.gantry_ok("--profile", "debug", "up", "-d", folder=folder)
        before = self.running(folder)
        self.assertEqual(len(before), 2)
        self.assertNotIn("orphan", self.gantry_ok("plan", folder=folder).stdout)
        self.assertNotIn("orphan", self.gantry_ok("up", "-d", "--remove-orphans", folder=folder).stderr)
        self.gantry_ok("reconcile", "--prune", folder=folder)
        self.assertEqual(self.running(folder), before)
        self.assertEqual(self.gantry_ok("drift", folder=folder).stdout.count("orphan"), 0)
        self.gantry_ok("down", folder=folder)
        self.assertEqual(self.running(folder), set())

    def running(self, folder):
        return {each["ID"] for each in self.ps(folder, "--profile", "debug")}


if __name__ == "__main__":
    unittest.main()
