"""Lifecycle hooks: pre_start, post_start and pre_stop."""

import http.client
import json
import os
import socket
import threading
import time
import unittest

from harness import EngineCase, wait_until


class HooksTest(EngineCase):
    def shared(self, name):
        """A folder that the hooks and the service write into."""
        folder = os.path.join(self.root, f"{name}-shared")
        os.makedirs(folder, exist_ok=True)
        return folder

    def lines(self, name, file="log"):
        try:
            with open(os.path.join(self.root, f"{name}-shared", file)) as log:
                return log.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def clear(self, name):
        os.unlink(os.path.join(self.root, f"{name}-shared", "log"))

    def write(self, name, service, more=""):
        shared = self.shared(name)
        return self.stack(f"""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "trap 'echo term >> /log/log; exit 0' TERM; echo main >> /log/log; while :; do sleep 0.1; done"]
                volumes: ["{shared}:/log"]
                {service}
            {more}
            """, name)

    def text(self, folder):
        with open(os.path.join(folder, "compose.yaml")) as file:
            return file.read()

    def up(self, folder, *more, code=0):
        result = self.gantry("up", "-d", "--wait", "--wait-timeout", "60", *more, folder=folder, timeout=120)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def down(self, folder):
        self.gantry_ok("down", "-t", "5", folder=folder, timeout=120)

    def test_all_in_their_order(self):
        folder = self.write("order", """pre_start:
                  - command: ["sh", "-c", "echo first $$STEP >> /log/log"]
                    environment: {STEP: one}
                  - command: ["sh", "-c", "echo second >> /log/log"]
                post_start:
                  # Until this start's `main` is there.
                  - command: ["sh", "-c", "while [ $$(grep -c main /log/log) -le $$(grep -c 'post me' /log/log) ]; do sleep 0.05; done; echo post $$WHO $$(pwd) $$(id -u) >> /log/log"]
                    environment: {WHO: me}
                    working_dir: /bin
                    user: "7"
                  - command: ["sh", "-c", "echo post2 >> /log/log"]
                pre_stop:
                  - command: ["sh", "-c", "echo stopping >> /log/log"]""")
        os.chmod(self.shared("order"), 0o777)
        with open(os.path.join(self.shared("order"), "log"), "w"):
            pass
        os.chmod(os.path.join(self.shared("order"), "log"), 0o666)
        self.up(folder)
        started = ["first one", "second", "main", "post me /bin 7", "post2"]
        self.assertEqual(self.lines("order"), started)
        # Nothing is left of the containers before it.
        self.assertEqual([each["Name"] for each in self.ps(folder, "-a")], ["order-web-1"])
        # Started again: not what comes before, but what comes with each start.
        self.gantry_ok("restart", folder=folder)
        again = ["stopping", "term", "main", "post me /bin 7", "post2"]
        self.assertEqual(self.lines("order"), started + again)
        self.up(folder)
        self.assertEqual(self.lines("order"), started + again)
        self.up(folder, "--force-recreate")
        self.assertEqual(self.lines("order"), started + again + ["stopping", "term"] + started)
        self.down(folder)
        self.assertEqual(self.lines("order")[-2:], ["stopping", "term"])

    def test_before_the_start_once_for_a_service_and_for_each_replica(self):
        folder = self.write("replicas", """pre_start:
                  - command: ["sh", "-c", "echo once >> /log/log"]
                  - command: ["sh", "-c", "echo each >> /log/log"]
                    per_replica: true
                deploy: {replicas: 3}""")
        self.up(folder)
        lines = self.lines("replicas")
        self.assertEqual((lines.count("once"), lines.count("each"), lines.count("main")), (1, 3, 3))
        self.gantry_ok("scale", "web=4", folder=folder)
        lines = self.lines("replicas")
        self.assertEqual((lines.count("once"), lines.count("each")), (1, 4))
        self.clear("replicas")
        # A rolling update: once for what is new.
        text = self.text(folder)
        self.stack(text.replace("echo main", "true; echo main"), "replicas")
        self.up(folder)
        lines = self.lines("replicas")
        self.assertEqual((lines.count("once"), lines.count("each")), (1, 3))
        self.clear("replicas")
        self.up(folder, "--force-recreate")
        lines = self.lines("replicas")
        self.assertEqual((lines.count("once"), lines.count("each")), (1, 3))
        self.down(folder)

    def test_before_the_start_that_fails(self):
        folder = self.write("failing", """pre_start:
                  - command: ["sh", "-c", "echo tried >> /log/log; echo it is broken; [ -e /log/good ]"]
                  - command: ["sh", "-c", "echo next >> /log/log"]""", """
              after: {image: busybox, command: sleep infinity, stop_grace_period: 0s, depends_on: [web]}""")
        said = self.up(folder, code=1)
        self.assertIn("pre_start hook", said)
        self.assertIn("it is broken", said)
        self.assertIn("compose.yaml:", said)
        self.assertEqual(self.lines("failing"), ["tried"])
        states = {each["Name"]: each["State"] for each in self.ps(folder, "-a")}
        self.assertEqual(states["failing-web-pre_start-0"], "exited")
        self.assertNotIn("running", states.values())
        open(os.path.join(self.shared("failing"), "good"), "w").close()
        self.up(folder)
        self.assertEqual(self.lines("failing"), ["tried", "tried", "next", "main"])
        self.assertEqual(sorted(each["Name"] for each in self.ps(folder, "-a")), ["failing-after-1", "failing-web-1"])
        self.down(folder)

    def test_before_the_start_that_takes_too_long(self):
        folder = self.write("late", """stop_grace_period: 1s
                pre_start:
                  - command: ["sh", "-c", "trap 'echo told; exit 0' TERM; echo tried >> /log/log; while [ ! -e /log/good ]; do sleep 0.1; done"]
                x-gantry: {rollout: {progress_deadline: 5s}}""")
        begun = time.monotonic()
        said = self.up(folder, code=1)
        self.assertLess(time.monotonic() - begun, 40)
        self.assertIn("of service web took longer than 5s, its progress_deadline: told", said)
        self.assertEqual(self.lines("late"), ["tried"])
        states = {each["Name"]: each["State"] for each in self.ps(folder, "-a")}
        self.assertEqual(states, {"late-web-1": "created", "late-web-pre_start-0": "exited"})
        # That it took its stop signal well is no success: the next try begins anew.
        open(os.path.join(self.shared("late"), "good"), "w").close()
        self.up(folder)
        self.assertEqual(self.lines("late"), ["tried", "tried", "main"])
        self.down(folder)

    def test_secrets_are_in_nothing_that_is_passed_on(self):
        secrets = ("canary-hook-3b7f", "canary-file-c09d")
        hook = '["sh", "-c", "[ ! -e /log/bad ] || { echo $$DB_PASSWORD; cat /run/secrets/pin; exit 3; } # canary-hook-3b7f"]'
        folder = self.write("leak", f"""environment: {{DB_PASSWORD: canary-hook-3b7f}}
                secrets: [pin]
                pre_start: [{{command: {hook}}}]
                post_start: [{{command: {hook}}}]
                pre_stop: [{{command: {hook}}}]
              tick:
                image: busybox
                command: "true"
                environment: {{DB_PASSWORD: canary-hook-3b7f}}
                secrets: [pin]
                volumes: ["{self.shared("leak")}:/log"]
                x-gantry: {{schedule: "0 0 29 2 *"}}
                pre_start: [{{command: {hook}}}]""", "secrets: {pin: {file: ./pin}}")
        with open(f"{folder}/pin", "w") as file:
            file.write("canary-file-c09d")
        self.up(folder)
        open(os.path.join(self.shared("leak"), "bad"), "w").close()
        # As the engine's own clients hear it, who know nothing of the stack file.
        heard = {
            "stop": self.post("/stacks/leak/stop", {"services": ["web"]}),
            "post": self.post("/stacks/leak/start", {"services": ["web"]}),
            "start": self.post("/stacks/leak/apply", {
                "services": ["web"], "scale": {}, "forceRecreate": True, "noRecreate": False, "removeOrphans": False,
                "noStart": False, "noDependencies": True, "wait": False}),
            "job": self.gantry("-p", "leak", "job", "run", "tick", "--wait").stderr,
            "run": self.gantry("-p", "leak", "job", "history", "--format", "json").stdout,
            # Their commands are shown as they are, as Docker shows them.
            "notes": json.dumps([each.get("note") for each in self.api("/stacks/leak/containers")]),
        }
        with open(f"{self.root}/data/engine.log") as log:
            heard["log"] = log.read()
        self.assertIn("pre_stop hook", heard["stop"])
        self.assertIn("post_start hook", heard["post"])
        self.assertIn("pre_start hook", heard["start"])
        self.assertRegex(heard["log"], "pre_start hook.*leak-tick-run-")
        for where, text in heard.items():
            for secret in secrets:
                self.assertNotIn(secret, text, where)
                # Nor a piece of it, where a command was cut.
                self.assertNotIn(secret[:9], text, where)
            if where in ("stop", "post", "start", "log", "notes"):
                self.assertIn("ended with 3: ***; ***", text, where)
        self.down(folder)

    def post(self, path, body):
        connection = http.client.HTTPConnection("gantry", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request("POST", path, body=json.dumps(body).encode())
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def test_before_the_start_shares_volumes(self):
        folder = self.stack("""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "cat /data/x; id -u; exec sleep infinity"]
                user: "1000"
                stop_grace_period: 0s
                volumes: ["data:/data", "/own"]
                pre_start:
                  - command: ["sh", "-c", "echo prepared > /data/x; chown 1000 /data; touch /own/x"]
                    user: root
                post_start:
                  - command: ["ls", "/own/x"]
            volumes: {data: {}}
            """, "volumes")
        self.up(folder)
        wait_until(lambda: self.gantry_ok("logs", "--no-log-prefix", folder=folder).stdout == "prepared\n1000\n",
                   what="what was prepared")
        self.gantry_ok("down", "-v", folder=folder)

    def test_after_the_start_that_fails(self):
        folder = self.write("post", """post_start:
                  - command: ["sh", "-c", "echo no luck; exit 3"]
                """, """
              after: {image: busybox, command: sleep infinity, stop_grace_period: 0s, depends_on: [web]}""")
        said = self.up(folder, code=1)
        self.assertIn("ended with 3: no luck", said)
        states = {each["Name"]: each["State"] for each in self.ps(folder, "-a")}
        self.assertEqual(states["post-web-1"], "exited")
        self.assertNotEqual(states.get("post-after-1"), "running")
        self.down(folder)

    def test_dependents_wait_for_what_comes_after_the_start(self):
        folder = self.write("wait", """post_start:
                  - command: ["sh", "-c", "sleep 1; echo ready >> /log/log"]
                """, f"""
              after:
                image: busybox
                command: ["sh", "-c", "echo after >> /log/log; exec sleep infinity"]
                stop_grace_period: 0s
                volumes: ["{self.shared("wait")}:/log"]
                depends_on: [web]""")
        self.up(folder)
        wait_until(lambda: "after" in self.lines("wait"), what="the dependent")
        self.assertEqual(self.lines("wait"), ["main", "ready", "after"])
        self.down(folder)

    def test_a_restart_by_policy_runs_what_comes_after_the_start(self):
        folder = self.write("policy", """restart: always
                pre_start: [{command: ["sh", "-c", "echo pre >> /log/log"]}]
                post_start: [{command: ["sh", "-c", "echo post >> /log/log"]}]
                pre_stop: [{command: ["sh", "-c", "echo stopping >> /log/log"]}]""")
        self.up(folder)
        self.gantry_ok("kill", folder=folder)
        wait_until(lambda: self.lines("policy").count("post") == 2, what="the second start")
        lines = self.lines("policy")
        self.assertEqual((lines.count("pre"), lines.count("stopping")), (1, 0))
        self.down(folder)

    def test_before_the_stop_that_fails_or_takes_too_long(self):
        folder = self.write("stop", """stop_grace_period: 3s
                pre_stop:
                  - command: ["sh", "-c", "echo trouble; exit 4"]
                  - command: ["sh", "-c", "echo slow >> /log/log; sleep 600"]""")
        self.up(folder)
        begun = time.monotonic()
        result = self.gantry_ok("stop", folder=folder)
        self.assertLess(time.monotonic() - begun, 20)
        said = result.stdout + result.stderr
        self.assertIn("ended with 4: trouble", said)
        self.assertIn("took longer than it may", said)
        self.assertEqual(self.lines("stop"), ["main", "slow", "term"])
        self.down(folder)

    def test_the_engine_dies_in_the_midst(self):
        folder = self.write("killed", """pre_start:
                  - command: ["sh", "-c", "echo pre >> /log/log; while [ ! -e /log/go ]; do sleep 0.1; done; echo through >> /log/log"]
                post_start:
                  - command: ["sh", "-c", "echo post >> /log/log; while [ ! -e /log/go2 ]; do sleep 0.1; done; echo done >> /log/log"]
                restart: always""")
        client = threading.Thread(target=lambda: self.gantry("up", "-d", folder=folder))
        client.start()
        wait_until(lambda: "pre" in self.lines("killed"), what="the hook before the start")
        self.kill_engine()
        client.join()
        self.start_engine()
        open(os.path.join(self.shared("killed"), "go"), "w").close()
        wait_until(lambda: "post" in self.lines("killed"), what="the hook after the start")
        # What ran on was waited for, and not run once more.
        self.assertEqual(self.lines("killed").count("pre"), 1)
        self.kill_engine()
        self.start_engine()
        open(os.path.join(self.shared("killed"), "go2"), "w").close()
        wait_until(lambda: "done" in self.lines("killed"), what="the hook after the start")
        self.up(folder)
        lines = self.lines("killed")
        self.assertEqual(lines.count("main"), 1, lines)
        self.assertEqual([each["Name"] for each in self.ps(folder, "-a")], ["killed-web-1"])
        self.down(folder)

    def test_an_update_whose_hook_fails_keeps_what_serves(self):
        folder = self.write("update", """post_start: [{command: ["true"]}]
                healthcheck: {test: "true", interval: 1s}
                deploy: {replicas: 2, update_config: {order: start-first, monitor: 200ms, failure_action: rollback}}""")
        self.up(folder)
        before = {each["Name"]: each["ID"] for each in self.ps(folder)}
        text = self.text(folder)
        broken = text.replace('command: ["true"]', 'command: ["false"]').replace("echo main", "true; echo main")
        self.stack(broken, "update")
        result = self.gantry("up", "-d", "--wait", folder=folder, timeout=120)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(
            {each["Name"]: each["ID"] for each in self.ps(folder) if not each["Name"].endswith("-next")}, before)
        self.down(folder)


if __name__ == "__main__":
    unittest.main()
