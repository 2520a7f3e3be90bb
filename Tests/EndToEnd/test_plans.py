"""Plans: what they say, that they can be kept and applied later, that nothing secret is in them, and that no data is
lost unless somebody said so."""

import copy
import json
import os
import signal
import subprocess
import unittest

import json_schema
from harness import GANTRY, EngineCase, wait_until

# Nobody but the container and the engine's own store may ever see one of these.
CANARIES = ["canary-env-8f3a1c", "canary-secret-77b0de", "canary-config-15e9a2", "canary-url-4d4d21", "canary-arg-90aa3b",
            "canary-next-c0ffee", "canary-variable-5a5a77"]
STACK = """
    services:
      web:
        image: busybox
        command: ["sh", "-c", "sleep 600", "${ADMIN_PASSWORD:-none}"]
        init: true
        stop_grace_period: 0s
        environment:
          LOG: info
          DB_PASSWORD: canary-env-8f3a1c
          DATABASE_URL: postgres://shop:canary-url-4d4d21@db/shop
        secrets: [pin]
        configs: [site]
      db:
        image: busybox
        command: ["sh", "-c", "sleep 600", "--token=canary-arg-90aa3b"]
        init: true
        stop_grace_period: 0s
        volumes: ["data:/data"]
    volumes:
      data: {}
    secrets:
      pin: {file: ./pin.txt}
    configs:
      site: {file: ./site.conf}
    """


class PlansTest(EngineCase):
    def write(self, name, *replacements):
        text = STACK
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        folder = self.stack(text, name)
        with open(f"{folder}/pin.txt", "w") as file:
            file.write("canary-secret-77b0de\n")
        with open(f"{folder}/site.conf", "w") as file:
            file.write("greeting canary-config-15e9a2\n")
        return folder

    def up(self, name):
        folder = self.write(name)
        self.gantry_ok("up", "-d", folder=folder)
        return folder

    def document(self, folder, *arguments):
        text = self.gantry_ok("plan", "--format", "json", *arguments, folder=folder).stdout
        document = json.loads(text)
        self.assertEqual(json_schema.problems(document, json_schema.load("plan.schema.json")), [])
        return document

    def saved(self, folder, *arguments):
        self.gantry_ok("plan", "--out", "plan.json", *arguments, folder=folder)
        with open(f"{folder}/plan.json") as file:
            document = json.load(file)
        self.assertEqual(json_schema.problems(document, json_schema.load("plan.schema.json")), [])
        return document

    def ids(self, folder):
        return {each["Name"]: each["ID"] for each in self.ps(folder, "-a")}

    # What a plan says

    def test_a_new_stack(self):
        folder = self.write("fresh")
        text = self.gantry_ok("plan", folder=folder).stdout
        self.assertIn("Stack fresh · new, revision 1 · 4 to create\n", text)
        self.assertIn("Disruption: none expected.", text)
        self.assertRegex(text, r"\+ +service\.web\[1\] +create: does not exist +compose\.yaml:\d+:\d+")
        document = self.document(folder)
        self.assertEqual(document["changed"], True)
        self.assertNotIn("revision", document["base"])
        self.assertEqual({each["address"] for each in document["changes"]},
                         {"service.web[1]", "service.db[1]", "network.default", "volume.data"})
        self.assertTrue(any(each["op"] == "container.create" for each in document["ops"]))
        self.assertEqual(self.gantry("plan", "--detailed-exitcode", folder=folder).returncode, 2)
        # A plan that is only shown has done nothing.
        self.assertEqual(self.gantry_ok("ps", "-aq", folder=folder).stdout, "")

    def test_fields_before_and_after(self):
        folder = self.up("fields")
        self.assertEqual(self.gantry_ok("plan", folder=folder).stdout, "No changes.\n")
        self.assertEqual(self.gantry("plan", "--detailed-exitcode", folder=folder).returncode, 0)
        self.assertEqual(self.document(folder)["changed"], False)
        self.write("fields", ("LOG: info", "LOG: debug"), ("canary-env-8f3a1c", "canary-next-c0ffee"))
        text = self.gantry_ok("plan", folder=folder).stdout
        self.assertIn("Stack fields · revision 1 → 2 · 1 to replace\n", text)
        self.assertRegex(text, r"~ environment\.LOG +info → debug +compose\.yaml:\d+:\d+\n")
        self.assertRegex(text, r"~ environment\.DB_PASSWORD +\(sensitive\) → \(sensitive\)")
        self.assertIn("Disruption: service.web is interrupted.", text)
        change, = self.document(folder)["changes"]
        self.assertEqual((change["address"], change["action"]), ("service.web[1]", "replace"))
        self.assertEqual(change["replace_paths"], ["environment.DB_PASSWORD", "environment.LOG"])
        self.assertEqual(change["disruption"], "interruption")
        field = change["fields"][1]
        self.assertEqual((field["before"], field["after"], field["sensitive"]), ("info", "debug", False))
        self.assertEqual(field["source"]["file"], "compose.yaml")
        markdown = self.gantry_ok("plan", "--format", "markdown", folder=folder).stdout
        self.assertTrue(markdown.startswith("### Stack `fields`: 1 to replace\n"), markdown)
        self.assertIn("- environment.LOG: info\n+ environment.LOG: debug\n", markdown)

    def test_orphans_are_listed(self):
        folder = self.up("orphaned")
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write("services:\n  other: {image: busybox, command: [sleep, '600'], init: true}\n")
        text = self.gantry_ok("plan", folder=folder).stdout
        self.assertRegex(text, r"\? +service\.db\[1\] +orphan")
        self.assertEqual([each["address"] for each in self.document(folder)["orphans"]],
                         ["service.db[1]", "service.web[1]"])
        removed = self.document(folder, "--remove-orphans")
        self.assertEqual(removed["orphans"], [])
        self.assertEqual(sorted(each["address"] for each in removed["changes"] if each["action"] == "remove"),
                         ["service.db[1]", "service.web[1]"])
        # Where there is no file, the stack is all that has its name.
        self.gantry_ok("up", "-d", folder=folder)
        self.gantry_ok("down", folder=folder)
        self.gantry_ok("-p", "orphaned", "down", "-t", "0", folder="/")
        self.assertEqual(self.api("/stacks/orphaned/containers"), [])

    # Secrets

    def test_no_canary_is_printed_or_stored(self):
        secret = {"ADMIN_PASSWORD": "canary-variable-5a5a77"}
        folder = self.write("canaries")
        self.gantry_ok("up", "-d", folder=folder, env=secret)
        edits = [("LOG: info", "LOG: debug"), ("canary-env-8f3a1c", "canary-next-c0ffee"),
                 ("canary-url-4d4d21@db/shop", "canary-url-4d4d21@db/other"), ('"sleep 600", "--token', '"sleep 601", "--token')]
        self.write("canaries", *edits)
        said = []
        for command in (["plan"], ["plan", "--format", "json"], ["plan", "--format", "markdown"],
                        ["plan", "--out", "plan.json"], ["show", "plan.json"], ["show", "plan.json", "--format", "json"],
                        ["show", "plan.json", "--format", "markdown"], ["diff"], ["apply", "plan.json"], ["history"],
                        ["diff", "1"], ["diff", "1", "2"], ["apply", "plan.json"], ["reconcile"],
                        ["reconcile", "--format", "json"]):
            result = self.gantry(*command, folder=folder, env=secret)
            self.assertIn(result.returncode, (0, 8), result.stderr)
            said.append((" ".join(command), result.stdout + result.stderr))
        with open(f"{folder}/plan.json") as file:
            said.append(("the file", file.read()))
        with open(f"{self.root}/engine-output.log") as file:
            said.append(("the engine's log", file.read()))
        self.assertEqual(os.stat(f"{folder}/plan.json").st_mode & 0o077, 0)
        for canary in CANARIES:
            for what, text in said:
                self.assertNotIn(canary, text, what)
                self.assertNotIn(json.dumps(list(canary.encode()))[1:-1], text.replace(" ", "").replace(",", ", "), what)
        self.assertTrue(any("(sensitive)" in text for _, text in said))
        # And yet it was applied: the container has what the stack file says.
        self.assertEqual(self.gantry_ok("exec", "-T", "web", "sh", "-c", "echo $DB_PASSWORD", folder=folder).stdout,
                         "canary-next-c0ffee\n")
        self.assertEqual(self.gantry_ok("exec", "-T", "web", "cat", "/run/secrets/pin", folder=folder).stdout,
                         "canary-secret-77b0de\n")

    # Saved plans

    def test_a_saved_plan_needs_no_stack_file(self):
        folder = self.up("kept")
        before = self.ids(folder)
        self.write("kept", ("LOG: info", "LOG: debug"))
        self.saved(folder)
        os.rename(f"{folder}/compose.yaml", f"{folder}/gone.yaml")
        shown = self.gantry_ok("show", "plan.json", folder=folder)
        self.assertIn("environment.LOG  info → debug", shown.stdout)
        self.assertEqual(shown.stderr, "")
        applied = self.gantry("apply", "plan.json", "--changed-exitcode", "100", folder=folder)
        self.assertEqual(applied.returncode, 100, applied.stdout + applied.stderr)
        after = self.gantry_ok("-p", "kept", "exec", "-T", "web", "sh", "-c", "echo $LOG", folder=folder).stdout
        self.assertEqual(after, "debug\n")
        os.rename(f"{folder}/gone.yaml", f"{folder}/compose.yaml")
        self.assertEqual(self.ids(folder)["kept-db-1"], before["kept-db-1"])
        # A second time the stack is not where the plan began.
        again = self.gantry("apply", "plan.json", folder=folder)
        self.assertEqual(again.returncode, 8, again.stderr)
        self.assertIn("at revision 1 when the plan was made, and is at revision 2 now", again.stderr)
        stale = self.gantry_ok("show", "plan.json", folder=folder)
        self.assertIn("this plan is stale", stale.stderr)
        self.assertIn("environment.LOG  info → debug", stale.stdout)

    def test_what_the_plan_touches_must_be_as_it_was(self):
        folder = self.up("touched")
        self.write("touched", ("LOG: info", "LOG: debug"))
        self.saved(folder)
        # Not touched: only a warning.
        self.remove_behind("touched-db-1", folder)
        check = self.gantry_ok("show", "plan.json", folder=folder).stderr
        self.assertIn("service.db[1] was replaced since the plan was made, which does not touch it", check)
        self.assertNotIn("stale", check)
        self.remove_behind("touched-web-1", folder)
        refused = self.gantry("apply", "plan.json", folder=folder)
        self.assertEqual(refused.returncode, 8, refused.stderr)
        self.assertIn("service.web[1] was replaced since the plan was made", refused.stderr)

    def test_what_the_plan_does_not_say_is_not_done(self):
        idle = ("volumes: [\"data:/data\"]", "volumes: [\"data:/data\"]\n      idle: {image: busybox, command: [sleep, '600'], "
                                             "init: true, stop_grace_period: 0s}")
        folder = self.write("bounded", idle)
        self.gantry_ok("up", "-d", folder=folder)
        self.write("bounded", idle, ("LOG: info", "LOG: debug"))
        self.assertEqual(self.saved(folder)["saved"]["touches"], ["service.web[1]"])
        before = self.ids(folder)
        # One ends by itself, and none of its policies starts it again; another one is stopped by somebody.
        os.kill(self.pids(folder)["bounded-db-1"], signal.SIGKILL)
        self.gantry_ok("stop", "idle", folder=folder)
        states = {"bounded-web-1": "running", "bounded-db-1": "exited", "bounded-idle-1": "exited"}
        wait_until(lambda: self.states(folder) == states, what="both to have ended")
        applied = self.gantry_ok("apply", "plan.json", folder=folder)
        self.assertIn("service.db[1] is left as it is (exited (137)): the plan does not touch it", applied.stderr)
        self.assertIn("service.idle[1] is left as it is", applied.stderr)
        self.assertEqual(self.states(folder), states)
        after = self.ids(folder)
        self.assertNotEqual(before.pop("bounded-web-1"), after.pop("bounded-web-1"))
        self.assertEqual(before, after)
        # A command without a plan puts it right.
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(set(self.states(folder).values()), {"running"})

    def states(self, folder):
        return {each["Name"]: each["State"] for each in self.ps(folder, "-a")}

    def remove_behind(self, name, folder):
        """Another container takes its place, without a new revision."""
        before = self.ids(folder)[name]
        self.api(f"/stacks/{os.path.basename(folder)}/apply", "POST", json.dumps(
            {"services": [name.split("-")[-2]], "scale": {}, "forceRecreate": True, "noRecreate": False,
             "removeOrphans": False, "noStart": False, "noDependencies": True, "wait": False}).encode(), lines=True)
        self.assertNotEqual(self.ids(folder)[name], before)

    def api(self, path, method="GET", body=None, lines=False):
        if not lines:
            return super().api(path, method, body)
        import http.client
        import socket
        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request(method, path, body=body)
        answer = [json.loads(line) for line in connection.getresponse().read().splitlines()]
        connection.close()
        self.assertIn("done", answer[-1], answer)
        return answer

    def test_a_secret_that_changed_is_refused(self):
        folder = self.up("reread")
        self.write("reread", ("LOG: info", "LOG: debug"))
        self.saved(folder)
        with open(f"{folder}/pin.txt", "w") as file:
            file.write("another pin\n")
        # The engine has the one that was meant: it is the present revision's.
        self.gantry_ok("apply", "plan.json", folder=folder)
        self.assertEqual(self.gantry_ok("exec", "-T", "web", "cat", "/run/secrets/pin", folder=folder).stdout,
                         "canary-secret-77b0de\n")
        self.saved(folder)
        with open(f"{folder}/pin.txt", "w") as file:
            file.write("a third pin\n")
        refused = self.gantry("apply", "plan.json", folder=folder)
        self.assertEqual(refused.returncode, 8, refused.stderr)
        self.assertIn("secrets.pin.content is not what it was when the plan was made", refused.stderr)
        self.assertNotIn("pin\n", refused.stderr)

    def test_what_is_no_plan(self):
        folder = self.write("nonsense")
        for name, text in (("none", None), ("text", "hello"), ("json", "{}"), ("other", '{"format_version":"9.0"}')):
            if text is not None:
                with open(f"{folder}/{name}", "w") as file:
                    file.write(text)
            result = self.gantry("apply", name, folder=folder)
            self.assertEqual(result.returncode, 1, name)
            self.assertRegex(result.stderr, "^error: ")
        document = self.saved(folder)
        changed = copy.deepcopy(document)
        changed["saved"]["stack"]["services"]["web"]["image"] = 7
        with open(f"{folder}/changed.json", "w") as file:
            json.dump(changed, file)
        result = self.gantry("apply", "changed.json", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("the plan's stack cannot be read", result.stderr)
        shown = self.gantry("plan", "--format", "json", folder=folder).stdout
        with open(f"{folder}/shown.json", "w") as file:
            file.write(shown)
        self.assertIn("shown, not saved", self.gantry("apply", "shown.json", folder=folder).stderr)

    def test_jobs_are_told_of(self):
        """They have no containers until their time comes."""
        def write(job):
            return self.stack(f"""
                services:
                  web: {{image: busybox, command: ["sleep", "1000"], stop_grace_period: 0s}}
                  {job}
                """, "planned")

        def jobs():
            return [(each["address"], each["action"], each["reason"], [field["path"] for field in each["fields"]])
                    for each in self.document(folder)["changes"] if each["address"].startswith("job.")]

        nightly = "nightly: {image: busybox, command: [COMMAND], x-gantry: {schedule: {cron: '0 3 * * *'}}}"
        folder = write(nightly.replace("COMMAND", "'true'"))
        self.assertEqual(jobs(), [("job.nightly", "create", "runs at '0 3 * * *'", [])])
        self.assertRegex(self.gantry_ok("plan", folder=folder).stdout, r"\+ +job\.nightly +create: runs at '0 3 \* \* \*'")
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(self.gantry_ok("plan", folder=folder).stdout, "No changes.\n")
        write(nightly.replace("COMMAND", "'false'"))
        self.assertEqual(jobs(), [("job.nightly", "update", "command changed", ["command"])])
        plan = self.gantry("plan", "--detailed-exitcode", folder=folder)
        self.assertEqual(plan.returncode, 2)
        self.assertRegex(plan.stdout, r"~ +job\.nightly +update\n +~ command +true → false")
        write(nightly.replace("COMMAND", "'true'").replace("0 3", "0 4"))
        self.assertEqual(jobs()[0][3], ["x-gantry.schedule.cron"])
        write("")
        self.assertEqual(jobs(), [("job.nightly", "remove", "the stack file has no such job", [])])
        self.gantry_ok("apply", folder=folder)
        self.assertEqual(self.gantry_ok("plan", folder=folder).stdout, "No changes.\n")

    # What would be lost

    def test_a_volume_is_destroyed_only_when_it_is_named(self):
        folder = self.up("lost")
        self.gantry_ok("exec", "-T", "db", "sh", "-c", "echo precious > /data/file", folder=folder)
        before = self.ids(folder)
        self.write("lost", ("data: {}", "data: {driver_opts: {type: tmpfs, device: tmpfs}}"))
        plan = self.gantry("plan", folder=folder)
        self.assertIn("--allow-destroy volume.data", plan.stderr)
        self.assertEqual(self.document(folder)["applyable"], False)
        for command in (["apply"], ["reconcile"]):
            refused = self.gantry(*command, folder=folder)
            self.assertEqual(refused.returncode, 9, refused.stdout + refused.stderr)
            self.assertIn("--allow-destroy volume.data", refused.stderr)
        # `up` leaves it, as it always has.
        self.assertIn("left as it is", self.gantry_ok("up", "-d", folder=folder).stderr)
        self.assertEqual(self.ids(folder), before)
        self.assertEqual(self.gantry_ok("exec", "-T", "db", "cat", "/data/file", folder=folder).stdout, "precious\n")
        shown = self.gantry_ok("plan", "--allow-destroy", "volume.data", folder=folder).stdout
        self.assertRegex(shown, r"-/\+ volume\.data ")
        self.assertIn("the data of volume.data is lost", shown)
        self.assertEqual(self.gantry("apply", "--allow-destroy", "volume.date", folder=folder).returncode, 9)
        wrong = self.gantry("up", "-d", "--allow-destroy", "volume.date", folder=folder)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("nothing called volume.date", wrong.stderr)
        self.gantry_ok("apply", "--allow-destroy", "volume.data", folder=folder, timeout=120)
        after = self.ids(folder)
        self.assertEqual(after["lost-web-1"], before["lost-web-1"])
        self.assertNotEqual(after["lost-db-1"], before["lost-db-1"])
        self.assertEqual(self.gantry_ok("exec", "-T", "db", "ls", "/data", folder=folder).stdout, "")
        self.assertEqual(self.gantry_ok("plan", folder=folder).stdout, "No changes.\n")
        # Going back destroys nothing, whatever was said.
        self.gantry_ok("exec", "-T", "db", "sh", "-c", "echo new > /data/file", folder=folder)
        self.gantry_ok("rollback", folder=folder)
        self.assertEqual(self.gantry_ok("exec", "-T", "db", "cat", "/data/file", folder=folder).stdout, "new\n")

    # Differences

    def test_diff(self):
        folder = self.up("differs")
        self.assertEqual(self.gantry_ok("diff", "--detailed-exitcode", folder=folder).stdout, "")
        self.write("differs", ("LOG: info", "LOG: debug"), ("canary-env-8f3a1c", "canary-next-c0ffee"))
        diff = self.gantry("diff", "--detailed-exitcode", folder=folder)
        self.assertEqual(diff.returncode, 2)
        self.assertRegex(diff.stdout, r"^--- differs, revision 1\n\+\+\+ differs, stack file\n@@ service\.web @@ compose")
        self.assertIn("- environment.LOG: info\n+ environment.LOG: debug\n", diff.stdout)
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(self.gantry_ok("diff", folder=folder).stdout, "")
        self.assertIn("+ environment.LOG: info\n", self.gantry_ok("diff", "2", "1", folder=folder).stdout)
        self.assertIn("has no revision 7", self.gantry("diff", "7", folder=folder).stderr)

    def test_show_without_an_engine(self):
        folder = self.up("alone")
        self.saved(folder)
        result = subprocess.run(
            [GANTRY, "show", "plan.json"], cwd=folder, capture_output=True, text=True,
            env=self.environment() | {"GANTRY_HOST": "unix:///nonexistent/gantry.sock"})
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "No changes.\n", ""))


if __name__ == "__main__":
    unittest.main()
