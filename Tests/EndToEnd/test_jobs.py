"""Services that run by the clock, and services that run once."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import EngineCase, supervisors, wait_until

OFTEN = '"@every 2s"'
NEVER = '"0 0 29 2 *"'


class Tools(EngineCase):
    def job(self, name, script, schedule, more="", rest=""):
        shared = os.path.join(self.root, f"{name}-shared")
        os.makedirs(shared, exist_ok=True)
        return self.stack(f"""
            services:
              tick:
                image: busybox
                command: {json.dumps(["sh", "-c", script])}
                stop_grace_period: 1s
                volumes: ["{shared}:/log"]
                x-gantry: {{schedule: {schedule}}}
                {more}
            {rest}
            """, name)

    def up(self, folder, code=0):
        result = self.gantry("up", "-d", "--wait", "--wait-timeout", "60", folder=folder, timeout=120)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def down(self, folder):
        self.gantry_ok("down", "-t", "1", folder=folder, timeout=120)
        self.assertEqual(self.gantry_ok("ps", "-a", "-q", folder=folder).stdout, "")

    def status(self, folder, job="tick"):
        jobs = self.api(f"/stacks/{os.path.basename(folder)}/jobs")
        return next(each for each in jobs if each["name"] == job)

    def results(self, folder):
        return [run["result"] for run in self.status(folder)["runs"]]

    def lines(self, folder, file="log"):
        try:
            with open(os.path.join(folder + "-shared", file)) as log:
                return log.read().split("\n")[:-1]
        except FileNotFoundError:
            return []


class JobsTest(Tools):
    def test_runs_at_its_times_and_keeps_so_many(self):
        folder = self.job(
            "times", "echo run >> /log/log; echo hello", f"{{cron: {OFTEN}, history: {{succeeded: 2}}}}")
        self.up(folder)
        # Nothing but a run, where one has begun.
        self.assertEqual([each["Name"] for each in self.ps(folder) if "-run-" not in each["Name"]], [])
        wait_until(lambda: len(self.lines(folder)) >= 4, what="four runs", seconds=60)
        self.gantry_ok("job", "suspend", "tick", folder=folder)
        wait_until(lambda: "active" not in self.results(folder), what="the last end")
        wait_until(lambda: self.results(folder) == ["succeeded"] * 2, what="two to be kept")
        wait_until(lambda: len(self.ps(folder, "-a")) == 2, what="the containers of the others to go")
        status = self.status(folder)
        self.assertTrue(status["isSuspended"])
        self.assertNotIn("nextAt", status)
        self.assertEqual(status["runs"][0]["exitCode"], 0)
        times = [run["scheduledAt"] for run in status["runs"]]
        self.assertEqual(len(set(times)), 2)
        count = len(self.lines(folder))
        time.sleep(4)
        self.assertEqual(len(self.lines(folder)), count)
        self.gantry_ok("job", "resume", "tick", folder=folder)
        wait_until(lambda: len(self.lines(folder)) > count, what="a run after it was resumed", seconds=60)
        self.assertIn("hello", self.gantry_ok("logs", "tick", folder=folder).stdout)
        table = self.gantry_ok("job", "ls", folder=folder).stdout
        self.assertIn("@every 2s", table)
        self.assertIn("scheduled", table)
        history = self.gantry_ok("job", "history", "--format", "json", folder=folder).stdout.splitlines()
        self.assertIn("succeeded", [json.loads(line)["Result"] for line in history])
        self.down(folder)

    def test_by_hand(self):
        folder = self.job("hand", "echo said; exit $$(cat /log/code)", NEVER)
        shared = folder + "-shared"
        self.up(folder)
        with open(f"{shared}/code", "w") as file:
            file.write("0")
        result = self.gantry_ok("job", "run", "--wait", "tick", folder=folder)
        name = result.stdout.strip()
        self.assertRegex(name, r"^hand-tick-run-\d{8}-\d{6}$")
        with open(f"{shared}/code", "w") as file:
            file.write("3")
        result = self.gantry("job", "run", "--wait", "tick", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("failed with exit code 3", result.stderr)
        self.assertEqual(self.results(folder), ["succeeded", "failed"])
        result = self.gantry("job", "run", "tack", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("its jobs are tick", result.stderr)
        self.assertIn("by hand", self.gantry_ok("job", "history", folder=folder).stdout)
        result = self.gantry("up", "-d", "--scale", "tick=2", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.down(folder)

    def test_one_that_goes_on(self):
        script = "echo $$$$ >> /log/log; exec sleep 600"
        folder = self.job("forbid", script, f"{{cron: {OFTEN}}}")
        self.up(folder)
        wait_until(lambda: "skipped" in self.results(folder), what="a time that is passed over", seconds=60)
        self.assertEqual(self.results(folder).count("active"), 1)
        self.assertEqual(len(self.lines(folder)), 1)
        result = self.gantry("job", "run", "tick", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("running already", result.stderr)
        # Stopped with the service, and not begun again.
        self.gantry_ok("stop", folder=folder)
        wait_until(lambda: "stopped" in self.results(folder), what="its end")
        self.assertEqual(self.ps(folder), [])
        self.down(folder)

        folder = self.job("replace", script, f"{{cron: {OFTEN}, concurrency: replace, history: {{failed: 9}}}}")
        self.up(folder)
        wait_until(lambda: self.results(folder).count("replaced") >= 2, what="two that are replaced", seconds=60)
        self.assertLessEqual(self.results(folder).count("active"), 1)
        self.down(folder)

        folder = self.job("allow", script, f"{{cron: {OFTEN}, concurrency: allow}}")
        self.up(folder)
        wait_until(lambda: self.results(folder).count("active") >= 2, what="two at a time", seconds=60)
        self.down(folder)

        folder = self.job("late", script, f"{{cron: {NEVER}, timeout: 1s}}")
        self.up(folder)
        result = self.gantry("job", "run", "--wait", "tick", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("timed-out", result.stderr)
        self.down(folder)

    def test_runs_that_fail_are_repeated_as_the_policy_says(self):
        folder = self.job("again", "echo run >> /log/log; exit 1", NEVER, more="restart: on-failure:2")
        self.up(folder)
        self.assertEqual(self.gantry("job", "run", "--wait", "tick", folder=folder).returncode, 1)
        self.assertEqual(len(self.lines(folder)), 3)
        self.down(folder)

    def test_dependencies_hold_when_it_runs(self):
        folder = self.job(
            "needs", "echo run >> /log/log", f"{{cron: {OFTEN}}}", more="depends_on: {db: {condition: service_healthy}}",
            rest=f"""
              db:
                image: busybox
                command: sleep infinity
                stop_grace_period: 0s
                volumes: ["{self.root}/needs-shared:/log"]
                healthcheck: {{test: "[ -e /log/healthy ]", interval: 200ms, retries: 1000, start_period: 100s}}
            """)
        self.gantry_ok("up", "-d", folder=folder)
        time.sleep(5)
        self.assertEqual(self.lines(folder), [])
        open(f"{self.root}/needs-shared/healthy", "w").close()
        wait_until(lambda: self.lines(folder), what="a run", seconds=60)
        self.down(folder)

    def test_the_engine_dies(self):
        script = "echo begun $$$$ >> /log/log; while [ ! -e /log/go ]; do sleep 0.1; done; echo ended >> /log/log"
        folder = self.job("dies", script, f"{{cron: {OFTEN}, history: {{succeeded: 20}}}}")
        self.up(folder)
        wait_until(lambda: self.lines(folder), what="a run", seconds=60)
        name = next(run["id"] for run in self.status(folder)["runs"] if run["result"] == "active")
        self.kill_engine()
        time.sleep(5)
        self.start_engine()
        # The run goes on, and there is none beside it.
        active = [run["id"] for run in self.status(folder)["runs"] if run["result"] == "active"]
        self.assertEqual(active, [name])
        self.assertEqual(len(self.lines(folder)), 1)
        open(folder + "-shared/go", "w").close()
        wait_until(lambda: "ended" in self.lines(folder), what="its end")
        self.gantry_ok("job", "suspend", "tick", folder=folder)
        wait_until(lambda: "active" not in self.results(folder), what="all to end")
        runs = self.status(folder)["runs"]
        ran = [run["scheduledAt"] for run in runs if run["hasContainer"]]
        self.assertEqual(len(ran), len(set(ran)))
        self.assertEqual(
            len([line for line in self.lines(folder) if line.startswith("begun")]), len(ran))
        self.down(folder)

    def test_no_run_twice_though_the_engine_is_killed_at_any_time(self):
        folder = self.job(
            "twice", "echo $$HOSTNAME >> /log/log", '{cron: "@every 1s", history: {succeeded: 100, failed: 100}}')
        self.up(folder)
        for delay in (0.93, 0.97, 1.0, 1.02, 1.05, 1.1):
            time.sleep(delay)
            self.kill_engine()
            self.start_engine()
        self.gantry_ok("job", "suspend", "tick", folder=folder)
        wait_until(lambda: "active" not in self.results(folder), what="all to end")
        ran = [run for run in self.status(folder)["runs"] if run["hasContainer"]]
        self.assertEqual(len(self.lines(folder)), len(ran), f"{self.lines(folder)}\n{ran}")
        self.assertEqual(len(set(run["scheduledAt"] for run in ran)), len(ran))
        self.assertEqual({run["result"] for run in ran}, {"succeeded"})
        self.down(folder)

    def test_one_run_is_made_up_for_after_a_while_away(self):
        folder = self.job("away", "echo run >> /log/log", f"{{cron: {OFTEN}, history: {{succeeded: 50}}}}")
        late = self.job("tardy", "echo run >> /log/log", '{cron: "@every 30s", deadline: 1s}')
        self.up(folder)
        wait_until(lambda: self.lines(folder), what="a run", seconds=60)
        self.gantry_ok("job", "resume", "tick", folder=folder)
        before = len(self.lines(folder))
        self.kill_engine()
        time.sleep(9)
        self.start_engine()
        wait_until(lambda: any("missed" in run.get("note", "") for run in self.status(folder)["runs"]), what="the note")
        self.assertLessEqual(len(self.lines(folder)), before + 3)
        self.down(folder)
        # None for the time in which there was no stack.
        time.sleep(5)
        self.up(folder)
        wait_until(lambda: self.status(folder)["runs"], what="a run")
        self.assertEqual([run["note"] for run in self.status(folder)["runs"] if "note" in run], [])
        self.down(folder)
        self.up(late)
        self.assertIn("nextAt", self.status(late))
        self.down(late)

    def test_what_is_wrong_is_told_at_its_line(self):
        for schedule, problem in [
            ('"61 * * * *"', "must be 0 to 59"), ('{cron: "@daily", time_zone: Mars/Base}', "time zone"),
            ('{cron: "@daily", concurrency: never}', "never"),
        ]:
            folder = self.job("wrong", "true", schedule)
            result = self.gantry("up", "-d", folder=folder)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(problem, result.stderr)
            self.assertRegex(result.stderr, r"compose.yaml:\d+:\d+")


class OneShotTest(Tools):
    def stack_text(self, version, migration="exit 0", action="rollback", name="once"):
        return f"""
            services:
              migrate:
                image: busybox
                command: {json.dumps(["sh", "-c", f"echo {version} >> /log/log; sleep 1; {migration}"])}
                volumes: ["{self.root}/{name}-shared:/log"]
              web:
                image: busybox
                command: ["sh", "-c", "echo web {version} >> /log/log; exec sleep infinity"]
                volumes: ["{self.root}/{name}-shared:/log"]
                stop_grace_period: 0s
                depends_on: {{migrate: {{condition: service_completed_successfully}}}}
                deploy: {{replicas: 2, update_config: {{monitor: 300ms, failure_action: {action}}}}}
            """

    def ids(self, folder):
        return {each["Name"]: each["ID"] for each in self.ps(folder)}

    def test_once_before_its_dependents_and_not_on_a_rollback(self):
        os.makedirs(f"{self.root}/once-shared", exist_ok=True)
        folder = self.stack(self.stack_text("one"), "once")
        self.up(folder)
        wait_until(lambda: len(self.lines(folder)) == 3, what="all to have begun")
        self.assertEqual(self.lines(folder), ["one", "web one", "web one"])
        before = self.ids(folder)
        # One that fails: nothing is replaced, and the update has failed.
        self.stack(self.stack_text("two", "exit 5"), "once")
        said = self.up(folder, code=5)
        self.assertIn("didn't complete successfully: exit 5", said)
        self.assertIn("was rolled back to revision 1", said)
        self.assertEqual(self.lines(folder)[3:], ["two"])
        self.assertEqual(self.ids(folder), before)
        time.sleep(1)
        self.assertEqual(self.lines(folder)[3:], ["two"])
        self.assertEqual(self.ids(folder), before)
        # One that works: before what depends on it, once.
        self.stack(self.stack_text("three"), "once")
        self.up(folder)
        wait_until(lambda: len(self.lines(folder)) == 7, what="all to have begun")
        self.assertEqual(self.lines(folder)[4:], ["three", "web three", "web three"])
        # Back again: what serves is replaced, what has run is not run.
        self.gantry_ok("rollback", folder=folder)
        wait_until(lambda: self.lines(folder)[7:] == ["web one", "web one"], what="the old ones to be back")
        self.down(folder)

    def test_one_that_fails_pauses_the_update(self):
        os.makedirs(f"{self.root}/halted-shared", exist_ok=True)

        def write(*version):
            return self.stack(self.stack_text(*version, action="pause", name="halted"), "halted")
        # There is nothing to go back to, and nothing that was to be replaced.
        folder = write("zero", "exit 5")
        self.up(folder, code=1)
        write("one", "exit 0")
        self.up(folder)
        before = self.ids(folder)
        write("two", "exit 5")
        for command in (["up", "-d"], ["reconcile"]):
            result = self.gantry(*command, folder=folder)
            self.assertEqual(result.returncode, 4, result.stderr)
            self.assertIn("didn't complete successfully: exit 5", result.stderr)
        self.assertEqual(self.gantry("wait", "--timeout", "30s", folder=folder).returncode, 4)
        self.assertEqual(self.ids(folder), before)
        # A command tries again what has failed.
        self.assertEqual(self.lines(folder).count("two"), 2)
        write("three", "exit 0")
        self.up(folder)
        # Unchanged, it is not run once more in a revision that changes something else.
        write("three", "exit 0")
        with open(f"{folder}/compose.yaml") as file:
            text = file.read()
        self.stack(text.replace("echo web", "true; echo web"), "halted")
        self.up(folder)
        self.assertEqual(self.lines(folder).count("three"), 1)
        self.down(folder)

    def test_up_waits_for_the_end_of_a_job(self):
        os.makedirs(f"{self.root}/replicated-shared", exist_ok=True)
        folder = self.stack(f"""
            services:
              work:
                image: busybox
                command: ["sh", "-c", "sleep 2; echo done >> /log/log"]
                volumes: ["{self.root}/replicated-shared:/log"]
                deploy: {{mode: replicated-job, replicas: 2}}
            """, "replicated")
        self.up(folder)
        self.assertEqual(self.lines(folder), ["done", "done"])
        self.up(folder)
        self.assertEqual(self.lines(folder), ["done", "done"])
        self.down(folder)


class RebootTest(EngineCase):
    def test_services_come_up_in_their_order(self):
        shared = os.path.join(self.root, "boot-shared")
        os.makedirs(shared, exist_ok=True)
        folder = self.stack(f"""
            x-all: &all
              image: busybox
              restart: always
              stop_grace_period: 0s
              volumes: ["{shared}:/log"]
            services:
              web:
                <<: *all
                command: ["sh", "-c", "echo web >> /log/log; exec sleep infinity"]
                depends_on: {{api: {{condition: service_healthy}}, migrate: {{condition: service_completed_successfully}}}}
              api:
                <<: *all
                command: ["sh", "-c", "echo api >> /log/log; sleep 1; touch /tmp/up; exec sleep infinity"]
                healthcheck: {{test: "[ -e /tmp/up ]", interval: 500ms, retries: 60}}
                depends_on: [db]
              db:
                <<: *all
                command: ["sh", "-c", "echo db >> /log/log; exec sleep infinity"]
                post_start: [{{command: ["sh", "-c", "sleep 1; echo db ready >> /log/log"]}}]
              migrate:
                image: busybox
                command: ["sh", "-c", "echo migrate >> /log/log"]
                volumes: ["{shared}:/log"]
            """, "boot")
        self.gantry_ok("up", "-d", "--wait", folder=folder, timeout=120)

        def lines():
            with open(f"{shared}/log") as log:
                return log.read().split("\n")[:-1]

        first = [line for line in lines() if line != "migrate"]
        self.assertEqual(first, ["db", "db ready", "api", "web"])
        os.unlink(f"{shared}/log")
        self.power_cut(folder)
        self.start_engine()
        wait_until(lambda: os.path.exists(f"{shared}/log") and "web" in lines(), what="web", seconds=90)
        self.assertEqual(lines(), ["db", "db ready", "api", "web"])
        self.gantry_ok("down", folder=folder)

    def power_cut(self, folder):
        """The processes are gone, and so is all that a reboot takes away."""
        pids = list(self.pids(folder).values())
        self.kill_engine()
        pids += [int(line.split()[0]) for line in supervisors() if self.root in line]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # It went with another of them.
        wait_until(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")], what="all to be gone")
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split(" ")[4] for line in file]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{self.root}/run")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=True)
        shutil.rmtree(f"{self.root}/run")


if __name__ == "__main__":
    unittest.main()
