"""What a CI system gets: exit codes, failure reports, annotations, summaries, JUnit and GitLab reports, JSON lines, the
lock's limit, `gantry wait`, and secrets in none of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree

from harness import GANTRY, EngineCase, wait_until

SCHEMA = os.path.join(os.path.dirname(__file__), "../../schemas/progress.schema.json")

FAILING = """
    services:
      good:
        image: busybox
        command: [sleep, "1000"]
        init: true
      bad:
        image: busybox
        command: ["sh", "-c", "echo first; echo '::error::injected'; echo 'last words' >&2; exit 7"]
    """


def check(root, schema, value, path="line"):
    """As much of JSON Schema (draft 2020-12) as the schema uses; anything else in it is refused."""
    known = {"$schema", "$id", "$defs", "$ref", "title", "description", "type", "enum", "const", "properties", "required",
             "additionalProperties", "items", "oneOf", "pattern", "minimum"}
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        return check(root, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, path)
    if "oneOf" in schema:
        fitting = []
        for one in schema["oneOf"]:
            try:
                check(root, one, value, path)
                fitting.append(one)
            except AssertionError:
                pass
        assert len(fitting) == 1, f"{path}: {len(fitting)} forms fit {value}"
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(isinstance(value, types[name]) and not (name == "integer" and isinstance(value, bool))
                   for name in names), f"{path}: {value!r} is none of {names}"
    if "const" in schema:
        assert value == schema["const"], path
    if "enum" in schema:
        assert value in schema["enum"], f"{path}: {value!r}"
    if "pattern" in schema and isinstance(value, str):
        assert re.search(schema["pattern"], value), f"{path}: {value!r}"
    if "minimum" in schema and isinstance(value, int):
        assert value >= schema["minimum"], path
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, f"{path}: no {name}"
        for name, member in value.items():
            if name in schema.get("properties", {}):
                check(root, schema["properties"][name], member, f"{path}.{name}")
            else:
                assert schema.get("additionalProperties", True) is not False, f"{path}: {name} is unknown"
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            check(root, schema["items"], item, f"{path}[{index}]")


class CICase(EngineCase):
    def ci_environment(self, system="github"):
        """Files and variables as a runner gives them."""
        folder = f"{self.root}/ci-{time.monotonic_ns()}"
        os.mkdir(folder)
        if system == "github":
            paths = {name: f"{folder}/{name}" for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
            for path in paths.values():
                open(path, "w").close()
            return {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": os.path.dirname(self.root), "GITHUB_ACTOR": "ada",
                    "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "42",
                    **paths}
        return {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": os.path.dirname(self.root), "GITLAB_USER_LOGIN": "ada",
                "CI_JOB_URL": "https://gitlab.example/jobs/42"}

    def outputs(self, environment):
        with open(environment["GITHUB_OUTPUT"]) as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file)

    def run_ci(self, *arguments, folder, code=0, env=None, timeout=120):
        result = self.gantry(*arguments, folder=folder, env=env, timeout=timeout)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result


class FailureTest(CICase):
    def test_a_failure_says_all_that_one_would_ask_next(self):
        folder = self.stack(FAILING, "failing")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("up", "-d", "--wait", folder=folder, code=1)
        self.assertIn("container failing-bad-1 exited with 7", result.stderr)
        self.assertIn("compose.yaml:7:3", result.stderr)
        self.assertIn("last words", result.stderr)
        self.assertNotIn("failing-good-1 is", result.stderr)

    def test_health_outputs(self):
        folder = self.stack("""
            services:
              sick:
                image: busybox
                command: [sleep, "1000"]
                init: true
                healthcheck: {test: "echo the disk is full; exit 3", interval: 100ms, retries: 3, start_period: 1s, start_interval: 100ms}
            """, "sick")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("reconcile", folder=folder, code=1)
        self.assertIn("container sick-sick-1 is unhealthy", result.stderr)
        self.assertRegex(result.stderr, r"exit 3: the disk is full")
        self.assertLessEqual(result.stderr.count("the disk is full"), 3)

    def test_memory(self):
        folder = self.stack("""
            services:
              eater:
                image: busybox
                command: ["sh", "-c", "echo eating; tail /dev/zero"]
                mem_limit: 16m
            """, "eater")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("reconcile", "--timeout", "60s", folder=folder, code=1)
        self.assertIn("exited with 137 (SIGKILL, out of memory)", result.stderr)
        self.assertIn("eating", result.stderr)

    def test_a_crash_loop_is_not_waited_for_until_the_time_is_over(self):
        folder = self.stack("""
            services:
              loop:
                image: busybox
                command: ["sh", "-c", "echo again; exit 9"]
                restart: always
            """, "loop")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("reconcile", "--timeout", "100s", folder=folder, code=1)
        self.assertIn("keeps ending: exited (9), restarted 7 times", result.stderr)
        self.assertIn("again", result.stderr)

    def test_time_over(self):
        folder = self.stack("""
            services:
              slow:
                image: busybox
                command: [sleep, "1000"]
                init: true
                healthcheck: {test: "echo not yet; exit 1", interval: 200ms, retries: 1000}
            """, "slow")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("reconcile", "--timeout", "8s", folder=folder, code=6)
        self.assertIn("slow-slow-1 (its healthcheck)", result.stderr)
        self.assertIn("not yet", result.stderr)

    def test_a_rolled_back_update_tells_of_what_is_gone(self):
        text = """
            services:
              web:
                image: busybox
                command: ["sh", "-c", "COMMAND"]
                init: true
                healthcheck: {test: "test -e /tmp/ok || { echo no file; exit 1; }", interval: 100ms, retries: 3, start_period: 1s, start_interval: 100ms}
                deploy: {update_config: {failure_action: rollback, monitor: 200ms}}
            """
        self.run_ci("reconcile", folder=self.stack(text.replace("COMMAND", "touch /tmp/ok; sleep 1000"), "undone"))
        environment = self.ci_environment()
        folder = self.stack(text.replace("COMMAND", "echo the new one; sleep 1000"), "undone")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("reconcile", "--report", f"junit={self.root}/undone.xml", folder=folder, code=5,
                             env=environment)
        self.assertIn("the new one", result.stderr)
        self.assertIn("no file", result.stderr)
        self.assertEqual(self.outputs(environment)["result"], "rolled_back")
        self.assertEqual(self.outputs(environment)["changed"], "true")
        suite = xml.etree.ElementTree.parse(f"{self.root}/undone.xml").getroot()
        self.assertEqual(suite.get("failures"), "1")
        self.assertIn("the new one", suite.find(".//failure").text)


class GitHubTest(CICase):
    def test_a_run(self):
        folder = self.stack("""
            services:
              web: {image: busybox, command: [sleep, "1000"], init: true}
            """, "hub")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        environment = self.ci_environment()
        result = self.run_ci("reconcile", folder=folder, env=environment)
        # Times before lines, and nothing that moves a cursor.
        self.assertRegex(result.stderr, r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Container hub-web-1  Started$")
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        self.assertEqual(self.outputs(environment),
                         {"changed": "true", "result": "converged", "revision": "1", "plan_path": ""})
        with open(environment["GITHUB_STEP_SUMMARY"]) as file:
            summary = file.read()
        self.assertIn("### gantry reconcile of stack hub: converged", summary)
        self.assertIn("| create | container hub-web-1 |", summary)
        self.assertRegex(summary, r"\| web \| ✅ converged \| \d+\.\d s \|")
        again = self.ci_environment()
        self.run_ci("up", "-d", folder=folder, env=again)
        self.assertEqual(self.outputs(again)["result"], "noop")
        self.assertEqual(self.outputs(again)["changed"], "false")

    def test_what_is_not_reached(self):
        folder = self.stack("""
            services:
              sick:
                image: busybox
                command: [sleep, "1000"]
                init: true
                healthcheck: {test: [CMD, "false"], interval: 100ms, retries: 2}
              waiting:
                image: busybox
                command: [sleep, "1000"]
                init: true
                depends_on: {sick: {condition: service_healthy}}
            """, "unreached")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        # The second time it stands there already, made and not started.
        for facts in (r"revision 1 · 3 changes · ", r"revision 1 · 0 changes · "):
            environment = self.ci_environment()
            self.run_ci("reconcile", folder=folder, code=1, env=environment)
            with open(environment["GITHUB_STEP_SUMMARY"]) as file:
                summary = file.read()
            self.assertRegex(summary, facts)
            self.assertIn("| sick | ❌ failed |", summary)
            self.assertIn("| waiting | not reached |", summary)
        result = self.run_ci("up", "-d", "--wait", "--force-recreate", "sick", folder=folder, code=1,
                             env=self.ci_environment())
        told = [line.split("::")[2] for line in result.stderr.splitlines() if line.startswith("::error")]
        self.assertEqual([text.startswith("container unreached-sick-1 is unhealthy") for text in told], [True], told)

    def test_a_failure(self):
        folder = self.stack(FAILING, "hubbad")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        environment = self.ci_environment()
        result = self.run_ci("reconcile", folder=folder, code=1, env=environment)
        lines = result.stderr.splitlines()
        begin = lines.index("::group::container hubbad-bad-1 exited with 7")
        end = lines.index("::endgroup::")
        self.assertIn("last words", "\n".join(lines[begin:end]))
        # What the container says is no command to the runner.
        self.assertTrue(all(line.startswith("  | ") for line in lines[begin + 1:end]), lines)
        annotation = next(line for line in lines if line.startswith("::error file="))
        self.assertEqual(sum("hubbad-bad-1 exited with 7" in line for line in lines if line.startswith("::error")), 1)
        self.assertRegex(annotation, r"^::error file=" + re.escape(os.path.relpath(folder, os.path.dirname(self.root))) + r"/compose\.yaml,line=7,col=3,title=container\.failed::"
                                     r"container hubbad-bad-1 exited with 7%0Ahelp: the last line of its log: last words$")
        self.assertEqual(self.outputs(environment)["result"], "failed")
        with open(environment["GITHUB_STEP_SUMMARY"]) as file:
            summary = file.read()
        self.assertIn("<details><summary>container hubbad-bad-1 exited with 7</summary>", summary)
        self.assertIn("last words", summary)

    def test_an_invalid_stack_file(self):
        folder = self.stack("services:\n  web:\n    imgae: busybox\n", "hubwrong")
        environment = self.ci_environment()
        result = self.run_ci("reconcile", folder=folder, code=3, env=environment)
        self.assertRegex(result.stderr, r"(?m)^::error file=.*compose\.yaml,line=3,col=5,title=stack\.unknown-key::")
        self.assertEqual(self.outputs(environment)["result"], "failed")

    def test_warnings(self):
        folder = self.stack("services:\n  web: {image: busybox, command: \"echo ${NOT_SET_HERE}\"}\n", "hubwarn")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        result = self.run_ci("up", "-d", folder=folder, env=self.ci_environment())
        self.assertRegex(result.stderr, r"(?m)^::warning file=.*,line=2,col=\d+,title=stack\.unset-variable::")
        self.assertEqual(self.gantry("--strict", "up", "-d", folder=folder).returncode, 3)


class GitLabTest(CICase):
    def test_reports(self):
        folder = self.stack(FAILING, "lab")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        reports = {kind: f"{self.root}/lab.{kind}"
                   for kind in ("junit", "codequality", "dotenv", "terraform", "markdown", "json")}
        arguments = [word for kind, path in reports.items() for word in ("--report", f"{kind}={path}")]
        self.run_ci("reconcile", *arguments, folder=folder, code=1, env=self.ci_environment("gitlab"))
        read = {}
        for kind, path in reports.items():
            with open(path) as file:
                read[kind] = file.read()
        root = xml.etree.ElementTree.fromstring(read["junit"])
        suite = root.find("testsuite")
        self.assertEqual((suite.get("name"), suite.get("tests"), suite.get("failures")), ("lab", "2", "1"))
        cases = {case.get("name"): case for case in suite}
        self.assertIn("exited with 7", cases["bad"].find("failure").get("message"))
        self.assertIn("last words", cases["bad"].find("failure").text)
        self.assertIsNone(cases["good"].find("failure"))
        quality = json.loads(read["codequality"])
        found = next(item for item in quality if item["check_name"] == "container.failed")
        self.assertEqual(found["location"]["lines"]["begin"], 7)
        self.assertFalse(found["location"]["path"].startswith("/"))
        self.assertEqual(len({item["fingerprint"] for item in quality}), len(quality))
        self.assertEqual(dict(line.split("=", 1) for line in read["dotenv"].splitlines()),
                         {"GANTRY_CHANGED": "true", "GANTRY_RESULT": "failed", "GANTRY_REVISION": "1",
                          "GANTRY_PLAN_PATH": ""})
        counts = json.loads(read["terraform"])
        self.assertEqual((counts["update"], counts["delete"]), (0, 0))
        self.assertGreaterEqual(counts["create"], 2)
        whole = json.loads(read["json"])
        self.assertEqual(whole["format_version"], "1.0")
        self.assertEqual([failure["container"] for failure in whole["failures"]], ["lab-bad-1"])
        self.assertEqual(whole["failures"][0]["exit_code"], 7)

    def test_unchanged_services_are_skipped(self):
        folder = self.stack("services: {web: {image: busybox, command: [sleep, '1000'], init: true}}", "same")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        path = f"{self.root}/same.xml"
        self.run_ci("reconcile", "--report", f"junit={path}", folder=folder)
        self.assertIsNone(xml.etree.ElementTree.parse(path).find(".//skipped"))
        self.run_ci("reconcile", "--report", f"junit={path}", folder=folder)
        self.assertEqual(xml.etree.ElementTree.parse(path).find(".//skipped").get("message"), "unchanged")

    def test_drift_and_plans_are_reported(self):
        text = """
            services:
              web:
                image: busybox
                command: [sleep, "1000"]
                init: true
                environment: {LOG: info}
              db: {image: busybox, command: [sleep, "1000"], init: true}
            """
        folder = self.stack(text, "labdrift")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        path = f"{self.root}/labdrift.xml"
        report = ("--report", f"junit={path}", "--detailed-exitcode")
        self.run_ci("drift", *report, folder=folder)
        suite = xml.etree.ElementTree.parse(path).getroot().find("testsuite")
        self.assertEqual((suite.get("name"), suite.get("failures"), suite.get("errors")), ("labdrift", "0", "0"))
        self.assertLessEqual({"services.web", "services.db", "networks.default", "firewall"},
                             {case.get("name") for case in suite})
        self.stack(text.replace("LOG: info", "LOG: debug"), "labdrift")
        self.run_ci("drift", *report, "--report", f"dotenv={path}.env", folder=folder, code=2)
        failing = [case for case in xml.etree.ElementTree.parse(path).iter("testcase") if len(case)]
        self.assertEqual([case.get("name") for case in failing], ["services.web"])
        failure = failing[0].find("failure")
        self.assertEqual(failure.get("type"), "drift.stack")
        self.assertIn("- environment.LOG: info\n  + environment.LOG: debug", failure.text)
        with open(f"{path}.env") as file:
            self.assertEqual(file.read(), "GANTRY_DRIFT=true\nGANTRY_DRIFT_COUNT=1\n")
        self.run_ci("plan", *report, "--report", f"terraform={path}.json", folder=folder, code=2)
        cases = [case.get("name") for case in xml.etree.ElementTree.parse(path).iter("testcase")]
        self.assertEqual(cases, ["service.web[1]: replace"])
        with open(f"{path}.json") as file:
            self.assertEqual(json.load(file), {"create": 0, "update": 1, "delete": 0})
        self.run_ci("drift", "--report", f"junit={path}", folder=folder, code=1,
                    env={"GANTRY_HOST": f"unix://{self.root}/nobody.sock"})
        self.assertIsNotNone(xml.etree.ElementTree.parse(path).find(".//error"))

    def test_diagnostics_of_a_wrong_file(self):
        folder = self.stack("services:\n  web:\n    imgae: busybox\n", "labwrong")
        for command in ("up", "reconcile", "wait", "rollback"):
            path = f"{self.root}/labwrong.json"
            self.run_ci(command, "--report", f"codequality={path}", "--report", f"junit={path}.xml", folder=folder,
                        code=3)
            with open(path) as file:
                item = json.load(file)[0]
            self.assertEqual(item["location"]["lines"]["begin"], 3)
            error = xml.etree.ElementTree.parse(f"{path}.xml").find(".//error")
            self.assertIn("imgae", error.get("message"))


class JSONLinesTest(CICase):
    def lines(self, text):
        return [json.loads(line) for line in text.splitlines()]

    def test_every_line_is_as_the_schema_says(self):
        with open(SCHEMA) as file:
            schema = json.load(file)
        good = self.stack("services: {web: {image: busybox, command: [sleep, '1000'], init: true}}", "jsongood")
        bad = self.stack(FAILING.rstrip() + '\n        environment: ["X=${NOT_SET_HERE}"]\n', "jsonbad")
        wrong = self.stack("services:\n  web:\n    imgae: busybox\n", "jsonwrong")
        sick = self.stack("""
            services:
              sick:
                image: busybox
                command: [sleep, "1000"]
                init: true
                healthcheck: {test: "echo not yet; exit 1", interval: 200ms, retries: 1000}
            """, "jsonsick")
        kinds = set()
        for folder, arguments, code in ((good, [], 0), (good, [], 0), (bad, [], 1), (wrong, [], 3),
                                        (sick, ["--timeout", "1s"], 6)):
            self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
            result = self.run_ci("--progress", "json", "reconcile", *arguments, folder=folder, code=code)
            lines = self.lines(result.stderr)
            for line in lines:
                check(schema, schema, line)
            kinds |= {line["type"] for line in lines}
            self.assertEqual(lines[-1]["type"], "result")
            self.assertEqual(lines[-1]["exit_code"], code)
        self.assertEqual(kinds, {"object", "diagnostic", "waiting", "failure", "result"})

    def test_the_schema_can_refuse(self):
        with open(SCHEMA) as file:
            schema = json.load(file)
        line = {"type": "waiting", "time": "2026-01-01T00:00:00Z", "for": [{"name": "a", "what": "b"}]}
        check(schema, schema, line)
        for wrong in ({"type": "nothing", "time": ""}, line | {"for": "a"}, {"type": "waiting"}, line | {"more": 1}):
            with self.assertRaises(AssertionError):
                check(schema, schema, wrong)


class LockTest(CICase):
    SLOW = """
        services:
          first:
            image: busybox
            command: [sleep, "1000"]
            init: true
            healthcheck: {test: "test -e /tmp/go", interval: 100ms, retries: 1000}
          second:
            image: busybox
            command: [sleep, "1000"]
            init: true
            depends_on: {first: {condition: service_healthy}}
        """

    def setUp(self):
        self.folder = self.stack(self.SLOW, "locked")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=self.folder)
        self.holder = self.start("up", "-d")
        self.addCleanup(self.holder.communicate)
        wait_until(lambda: any(each["State"] == "running" for each in self.ps(self.folder)), what="the first")

    def start(self, *arguments, env=None):
        return subprocess.Popen([GANTRY, *arguments], cwd=self.folder, env={**self.environment(), **(env or {})},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def release(self):
        self.gantry_ok("exec", "-T", "first", "touch", "/tmp/go", folder=self.folder)
        self.assertEqual(self.holder.wait(60), 0)

    def test_the_limit(self):
        for limit in ("0", "1s"):
            result = self.run_ci("reconcile", "--lock-timeout", limit, folder=self.folder, code=7)
            self.assertIn(f"(gantry up, process {self.holder.pid})", result.stderr)
        told = self.run_ci("--progress", "json", "reconcile", "--lock-timeout", "2s", folder=self.folder, code=7)
        with open(SCHEMA) as file:
            schema = json.load(file)
        lines = [json.loads(line) for line in told.stderr.splitlines()]
        for line in lines:
            check(schema, schema, line)
        self.assertEqual([line["holder"]["pid"] for line in lines if line["type"] == "locked"], [self.holder.pid])
        self.assertIn("is being changed by", result.stderr)
        self.release()
        self.run_ci("reconcile", "--lock-timeout", "0", folder=self.folder)

    def test_who_waits_is_told_for_whom_and_has_its_turn(self):
        environment = self.ci_environment()
        waiting = self.start("up", "-d", env=environment)
        self.addCleanup(waiting.communicate)
        line = ""
        while "waiting for" not in line:
            line = waiting.stdout.readline()
            self.assertTrue(line)
        self.assertIn(f"(gantry up, process {self.holder.pid})", line)
        # A third one hears of the CI job once that has the lock; so far it is the first one's.
        self.release()
        self.assertEqual(waiting.wait(60), 0)

    def test_one_that_was_interrupted_before_its_turn_does_nothing(self):
        with open(f"{self.folder}/other.yaml", "w") as file:
            file.write("services: {third: {image: busybox, command: [sleep, '1000'], init: true}}\n")
        waiting = self.start("-f", "compose.yaml", "-f", "other.yaml", "up", "-d")
        wait_until(lambda: "waiting for" in waiting.stdout.readline(), what="its turn to be far")
        waiting.send_signal(signal.SIGINT)
        said, _ = waiting.communicate(timeout=30)
        self.assertEqual(waiting.returncode, 130)
        self.assertIn("nothing was begun", said)
        time.sleep(3)  # By then the engine has found out that its client is gone.
        self.release()
        time.sleep(1)
        self.assertEqual({each["Service"] for each in self.ps(self.folder)}, {"first", "second"})

    def test_an_interrupted_holder_goes_on(self):
        self.holder.send_signal(signal.SIGTERM)
        self.assertEqual(self.holder.wait(30), 143)
        self.gantry_ok("exec", "-T", "first", "touch", "/tmp/go", folder=self.folder)
        wait_until(lambda: any(each["Service"] == "second" for each in self.ps(self.folder)), what="the second")


class WaitTest(CICase):
    def test_goals(self):
        folder = self.stack("""
            services:
              web:
                image: busybox
                command: [sleep, "1000"]
                init: true
                healthcheck: {test: "test -e /tmp/ok", interval: 100ms, retries: 1000}
              job:
                image: busybox
                command: ["sh", "-c", "sleep 1; echo done"]
            """, "goals")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        self.run_ci("wait", "--for", "converged", folder=folder, code=1)
        self.gantry_ok("up", "-d", folder=folder)
        self.run_ci("wait", "--for", "running", "web", folder=folder)
        late = self.run_ci("wait", "--for", "healthy", "--timeout", "1s", folder=folder, code=6)
        self.assertIn("goals-web-1 (its healthcheck)", late.stderr)
        self.run_ci("wait", "--for", "completed", "job", folder=folder)
        self.gantry_ok("exec", "-T", "web", "touch", "/tmp/ok", folder=folder)
        self.run_ci("wait", "--timeout", "60s", folder=folder)
        self.run_ci("wait", "--for", "healthy", "--timeout", "60s", folder=folder)
        unknown = self.run_ci("wait", "--for", "healthy", "nobody", folder=folder, code=3)
        self.assertIn("nobody", unknown.stderr)

    def test_as_docker_compose(self):
        folder = self.stack("""
            services:
              job: {image: busybox, command: ["sh", "-c", "sleep 6; exit 3"]}
              web: {image: busybox, command: [sleep, "1000"], init: true}
            """, "composewait")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        self.gantry_ok("up", "-d", folder=folder)
        result = self.run_ci("wait", "job", folder=folder, code=3)
        self.assertRegex(result.stdout, r'^container "[0-9a-f]{64}" exited with status code 3\n$')
        self.run_ci("wait", "job", folder=folder, code=1)
        self.run_ci("wait", "--timeout", "1s", "web", folder=folder, code=6)
        self.gantry_ok("restart", "-t", "0", "job", folder=folder)
        self.run_ci("wait", "--down-project", "job", folder=folder, code=3)
        self.assertEqual(self.ps(folder, "-a"), [])

    def test_one_shot_services_are_where_they_should_be_when_they_have_ended(self):
        folder = self.stack("""
            services:
              migrate: {image: busybox, command: ["true"]}
              web:
                image: busybox
                command: [sleep, "1000"]
                init: true
                depends_on: {migrate: {condition: service_completed_successfully}}
            """, "oneshot")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        self.run_ci("reconcile", "--timeout", "60s", folder=folder)
        self.run_ci("wait", "--timeout", "60s", folder=folder)


class SecretTest(CICase):
    """Canaries in every place where secrets come from; then in none where something is printed or kept."""
    CANARIES = ("canary-file-4c1d", "canary-variable-9e0a", "canary-literal-77d1", "canary-substituted-b3&<%f\"5",
                "canary-build-81aa")

    def project(self, command, name="secret"):
        folder = self.stack("""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "COMMAND"]
                init: true
                environment:
                  DB_PASSWORD: canary-literal-77d1
                  URL: "postgres://user:${SUBSTITUTED_TOKEN}@db"
                secrets: [one, two]
                labels: {shown: "${SUBSTITUTED_TOKEN}"}
                healthcheck: {test: "cat /run/secrets/one /run/secrets/two; env; false", interval: 100ms, retries: 3}
            secrets:
              one: {file: one.txt}
              two: {environment: TWO}
            """.replace("COMMAND", command), name)
        with open(f"{folder}/one.txt", "w") as file:
            file.write("canary-file-4c1d\n")
        return folder

    def secrets(self):
        return {"SUBSTITUTED_TOKEN": "canary-substituted-b3&<%f\"5", "TWO": "canary-variable-9e0a"}

    def assert_clean(self, what, text):
        for canary in self.CANARIES:
            for form in (canary, json.dumps(canary)[1:-1], canary.replace("&", "&amp;").replace("<", "&lt;")):
                self.assertNotIn(form, text, what)
        self.assertNotIn("canary-substituted", text, what)

    def test_canaries(self):
        script = "env; cat /run/secrets/*; sleep 1000"
        folder = self.project(script)
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder, env=self.secrets())
        kinds = ("junit", "codequality", "dotenv", "terraform", "markdown", "json")
        reports = [word for kind in kinds for word in ("--report", f"{kind}={folder}/report.{kind}")]
        said = {}
        for system in ("github", "gitlab"):
            environment = self.ci_environment(system) | self.secrets()
            for progress in ("plain", "json", "quiet"):
                result = self.gantry("--progress", progress, "reconcile", *reports, folder=folder, env=environment)
                self.assertEqual(result.returncode, 1, result.stderr)
                lines = result.stderr.splitlines(keepends=True)
                masks = [line for line in lines if line.startswith("::add-mask::")]
                if system == "github" and progress == "plain":
                    self.assertIn("::add-mask::canary-file-4c1d\n", masks)
                    # The report is there, with the secrets' places taken.
                    self.assertIn("DB_PASSWORD=***", result.stderr)
                said[f"{system} {progress}"] = result.stdout + "".join(line for line in lines if line not in masks)
                for kind in kinds:
                    with open(f"{folder}/report.{kind}") as file:
                        said[f"{system} {progress} {kind}"] = file.read()
            for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
                if variable in environment:
                    with open(environment[variable]) as file:
                        said[variable] = file.read()
        for command in (["plan"], ["plan", "--format", "json"], ["reconcile", "--format", "json"], ["up", "-d", "--wait"],
                        ["history"], ["wait", "--timeout", "1s"], ["rollback"]):
            result = self.gantry(*command, folder=folder, env=self.secrets())
            said[" ".join(command)] = result.stdout + result.stderr
        for name in os.listdir(self.root):
            if name.endswith(".log"):
                with open(f"{self.root}/{name}", errors="replace") as file:
                    said[name] = file.read()
        for what, text in said.items():
            self.assert_clean(what, text)

    def test_an_error_in_the_file_quotes_none(self):
        folder = self.stack("""
            services:
              web: {image: busybox, ports: ["${SUBSTITUTED_TOKEN}"], mem_limit: "${SUBSTITUTED_TOKEN}"}
            """, "quoted")
        result = self.gantry("up", "-d", folder=folder, env=self.secrets())
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assert_clean("an error", result.stdout + result.stderr)


class WorkflowTest(CICase):
    """The examples as they are pasted: the scripts of their steps, in an environment as a runner makes it."""
    EXAMPLES = os.path.join(os.path.dirname(__file__), "../../examples/ci")

    @classmethod
    def setUpClass(cls):
        try:
            import yaml
        except ImportError:
            raise unittest.SkipTest("needs PyYAML")
        super().setUpClass()
        cls.yaml = yaml

    def workflow(self, name):
        with open(f"{self.EXAMPLES}/{name}") as file:
            return self.yaml.safe_load(file)

    def checkout(self):
        """A fresh copy of the repository, on a machine where `gantry` is in the path."""
        folder = f"{self.root}/site"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.EXAMPLES, folder)
        programs = f"{self.root}/programs"
        os.makedirs(programs, exist_ok=True)
        if not os.path.lexists(f"{programs}/gantry"):
            os.symlink(GANTRY, f"{programs}/gantry")
        with open(f"{programs}/gh", "w") as file:
            file.write('#!/bin/sh\necho "$@" > "$GH_SAID"\n')
        os.chmod(f"{programs}/gh", 0o755)
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder, env={"API_TOKEN": "canary-api-token"})
        return folder

    def script(self, text, folder, environment, code=0):
        path = f"{self.root}/programs:{os.environ['PATH']}"
        variables = {**self.environment(), **environment, "PATH": path, "API_TOKEN": "canary-api-token",
                     "GH_SAID": f"{self.root}/gh-said", "NUMBER": "7"}
        result = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text], cwd=folder,
                                env=variables, capture_output=True, text=True, timeout=180)
        self.assertEqual(result.returncode, code, f"{text}\n{result.stdout}{result.stderr}")
        said = result.stdout + "".join(
            line for line in result.stderr.splitlines(keepends=True) if not line.startswith("::add-mask::"))
        self.assertNotIn("canary-api-token", said)
        return said

    def needs(self, command, *words):
        """Skips what this build's `gantry` cannot do."""
        told = self.gantry(command, "--help")
        if told.returncode != 0 or any(word not in told.stdout for word in words):
            self.skipTest(f"this gantry has no {command} {' '.join(words)}")

    def steps(self, job):
        return {step["name"]: step["run"] for step in self.workflow("github.yaml")["jobs"][job]["steps"] if "run" in step}

    def test_github_is_a_workflow(self):
        workflow = self.workflow("github.yaml")
        # YAML 1.1 reads `on` as true.
        self.assertEqual(set(workflow.get("on") or workflow[True]), {"pull_request", "push", "schedule"})
        self.assertEqual(set(workflow["jobs"]), {"plan", "apply", "drift"})
        for job in workflow["jobs"].values():
            self.assertTrue(job["runs-on"] and job["timeout-minutes"] and job["steps"])
            for step in job["steps"]:
                self.assertEqual(len({"run", "uses"} & set(step)), 1, step)

    def test_gitlab_is_a_pipeline(self):
        pipeline = self.workflow("gitlab.yaml")
        for name in ("plan", "apply", "drift"):
            self.assertIn(pipeline[name]["stage"], pipeline["stages"])
            self.assertTrue(pipeline[name]["script"] and pipeline[name]["rules"] and pipeline[name]["tags"])
        self.assertEqual(set(pipeline["apply"]["artifacts"]["reports"]), {"junit", "codequality", "dotenv", "terraform"})

    def test_github_applies(self):
        folder = self.checkout()
        for result in ("converged", "noop"):
            environment = self.ci_environment()
            self.script(self.steps("apply")["Apply"], folder, environment)
            self.assertEqual(self.outputs(environment)["result"], result)
            self.assertTrue(os.path.exists(f"{folder}/gantry-junit.xml"))

    def test_github_plans(self):
        folder = self.checkout()
        steps = self.steps("plan")
        self.script(steps["Check the stack file"], folder, self.ci_environment())
        self.needs("plan", "--out", "markdown")
        environment = self.ci_environment()
        self.script(steps["Plan"], folder, environment)
        self.assertEqual(self.outputs(environment)["changes"], "true")
        with open(environment["GITHUB_STEP_SUMMARY"]) as file:
            self.assertIn("service.web[1..2]", file.read())
        self.script(steps["Comment"], folder, environment)
        with open(f"{self.root}/gh-said") as file:
            self.assertIn("pr comment 7", file.read())

    def test_github_looks_for_drift(self):
        self.needs("drift", "--detailed-exitcode", "markdown")
        folder = self.checkout()
        self.script(self.steps("apply")["Apply"], folder, self.ci_environment())
        self.script(self.steps("drift")["Look for drift"], folder, self.ci_environment())

    def test_gitlab_applies(self):
        folder = self.checkout()
        for line in self.workflow("gitlab.yaml")["apply"]["script"]:
            self.script(line, folder, self.ci_environment("gitlab"))
        for name in self.workflow("gitlab.yaml")["apply"]["artifacts"]["reports"].values():
            self.assertGreater(os.path.getsize(f"{folder}/{name}"), 2, name)

    def test_gitlab_plans(self):
        folder = self.checkout()
        check, plan = self.workflow("gitlab.yaml")["plan"]["script"]
        self.script(check, folder, self.ci_environment("gitlab"))
        self.needs("plan", "--out", "markdown")
        self.assertIn("service.web[1..2]", self.script(plan, folder, self.ci_environment("gitlab")))

    def test_gitlab_looks_for_drift(self):
        self.needs("drift", "--detailed-exitcode", "markdown")
        folder = self.checkout()
        self.gantry_ok("up", "-d", "--wait", folder=folder, env={"API_TOKEN": "canary-api-token"})
        for line in self.workflow("gitlab.yaml")["drift"]["script"]:
            self.script(line, folder, self.ci_environment("gitlab"))


if __name__ == "__main__":
    unittest.main()
