"""`build:` in stack files."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from build_harness import BuildCase, Progress, write_context
from harness import wait_until


class BuildStackTest(BuildCase):
    def project(self, name, text, files):
        folder = self.stack(text, name)
        write_context(folder, files)
        self.addCleanup(self.gantry, "down", "-v", "-t", "0", folder=folder)
        return folder

    def said(self, folder, service="web"):
        return self.gantry_ok("exec", "-T", service, "cat", "/said", folder=folder).stdout

    SIMPLE = """
        services:
          web:
            build: .
            command: [sleep, "1000"]
            init: true
            stop_grace_period: 0s
        """

    def test_up_builds_what_is_missing(self):
        folder = self.project("missing", self.SIMPLE, {"Dockerfile": "FROM busybox\nCOPY said /said\n", "said": "one\n"})
        first = self.gantry_ok("up", "-d", folder=folder)
        self.assertIn("COPY said", first.stdout + first.stderr)
        self.assertEqual(self.said(folder), "one\n")
        self.assertIn("missing-web", self.gantry_ok("images", "--format", "{{.Repository}}").stdout.split())
        # There: not built again, whatever the files say now.
        with open(f"{folder}/said", "w") as file:
            file.write("two\n")
        again = self.gantry_ok("up", "-d", folder=folder)
        self.assertNotIn("COPY said", again.stdout + again.stderr)
        self.assertEqual(self.said(folder), "one\n")
        self.gantry_ok("up", "-d", "--build", folder=folder)
        self.assertEqual(self.said(folder), "two\n")
        # Nothing changed: the container stays.
        before = self.pids(folder)
        self.gantry_ok("up", "-d", "--build", folder=folder)
        self.assertEqual(self.pids(folder), before)

    def test_what_is_not_asked_for_needs_no_image(self):
        text = """
            services:
              web: {build: ., command: [sleep, "1000"], init: true, stop_grace_period: 0s, depends_on: [store]}
              store: {image: busybox, command: [sleep, "1000"], init: true, stop_grace_period: 0s}
              worker: {build: ./worker, command: [sleep, "1000"]}
            """
        files = {"Dockerfile": "FROM busybox\n", "worker/Dockerfile": "FROM busybox\nRUN false\n"}
        for number, (command, running) in enumerate((
                (["up", "-d", "web"], {"web", "store"}), (["up", "-d", "--build", "--no-deps", "web"], {"web"}),
                (["scale", "web=2"], {"web", "store"}), (["run", "--rm", "-T", "web", "true"], {"store"}))):
            with self.subTest(command):
                folder = self.project(f"partial{number}", text, files)
                self.assertEqual(self.gantry_ok("plan", "web", folder=folder).stdout.count("worker"), 0)
                self.gantry_ok(*command, folder=folder)
                self.gantry_ok(*command, folder=folder)
                if "--no-deps" in command:
                    time.sleep(2)  # The background loop does not bring up more than was asked for.
                there = self.gantry_ok("ps", "--services", folder=folder).stdout.split()
                self.assertEqual(set(there), running)
                # Everything is another matter.
                self.assertIn("worker", self.gantry("up", "-d", "--no-build", folder=folder).stderr)
                self.gantry_ok("down", "-t", "0", folder=folder)

    def test_no_build(self):
        folder = self.project("nobuild", self.SIMPLE, {"Dockerfile": "FROM busybox\n"})
        refused = self.gantry("up", "-d", "--no-build", folder=folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("nobuild-web", refused.stderr)
        self.gantry_ok("build", folder=folder)
        self.gantry_ok("up", "-d", "--no-build", folder=folder)

    def test_always_build(self):
        text = self.SIMPLE.replace("build: .", "build: .\n            pull_policy: build\n            image: own/name:3")
        folder = self.project("always", text, {"Dockerfile": "FROM busybox\nCOPY said /said\n", "said": "one\n"})
        self.gantry_ok("up", "-d", folder=folder)
        with open(f"{folder}/said", "w") as file:
            file.write("two\n")
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(self.said(folder), "two\n")
        self.assertEqual(self.file("own/name:3", "/said"), "two\n")

    def test_every_key(self):
        secret = tempfile.NamedTemporaryFile("w", prefix="gantry-e2e-secret-")
        self.addCleanup(secret.close)
        secret.write("stack-canary-77d1")
        secret.flush()
        folder = self.project("keys", f"""
            name: keys
            services:
              full:
                image: keys:1
                build:
                  context: app
                  dockerfile: other/Own.Dockerfile
                  args: {{ONE: 1, TWO: "${{TWO}}", FROM_ENV: }}
                  target: middle
                  labels: {{a.b: c}}
                  tags: ["keys:2", "keys:3"]
                  additional_contexts: {{more: ./more}}
                  secrets: [word, {{source: word, target: renamed}}]
                  extra_hosts: ["extra:10.9.8.7"]
                  network: none
                  shm_size: 3m
                  ulimits: {{nofile: {{soft: 123, hard: 456}}}}
                  no_cache: true
                  platforms: [linux/{'amd64' if os.uname().machine == 'x86_64' else 'arm64'}]
            secrets:
              word: {{file: {secret.name}}}
            """, {
            "app/other/Own.Dockerfile": """
FROM busybox AS middle
ARG ONE
ARG TWO
ARG FROM_ENV
COPY --from=more file /more
COPY in /in
RUN echo $ONE $TWO $FROM_ENV > /args; cat /etc/hosts > /hosts; ls /sys/class/net > /net; ulimit -n > /files
RUN df -k /dev/shm | tail -n 1 > /shm
RUN --mount=type=secret,id=word --mount=type=secret,id=renamed wc -c < /run/secrets/word > /length; cmp /run/secrets/*
FROM busybox
RUN exit 1
""", "app/in": "in\n", "more/file": "more\n"})
        result = self.gantry_ok("build", "--progress", "plain", folder=folder, env={"TWO": "two", "FROM_ENV": "env"})
        self.assertEqual(self.file("keys:1", "/args"), "1 two env\n")
        self.assertEqual(self.file("keys:1", "/more"), "more\n")
        self.assertIn("extra", self.file("keys:1", "/hosts"))
        self.assertEqual(self.file("keys:1", "/net"), "lo\n")
        self.assertEqual(self.file("keys:1", "/files"), "123\n")
        self.assertEqual(self.file("keys:1", "/shm").split()[1], "3072")
        self.assertEqual(self.file("keys:1", "/length").strip(), "17")
        self.assertEqual(self.inspect("keys:1", "{{index .Config.Labels \"a.b\"}}"), "c")
        self.assertEqual({self.identity(f"keys:{n}") for n in (1, 2, 3)}, {self.identity("keys:1")})
        self.assertEqual(self.find_in_data("stack-canary-77d1"), [])
        self.assertNotIn("stack-canary-77d1", result.stdout + result.stderr)
        # no_cache
        again = self.gantry_ok("build", "--progress", "plain", folder=folder, env={"TWO": "two", "FROM_ENV": "env"})
        self.assertEqual(Progress(again.stderr).of("COPY in"), "DONE")
        # An option on the command line counts more.
        self.gantry_ok("build", "--build-arg", "ONE=uno", folder=folder, env={"TWO": "two", "FROM_ENV": "env"})
        self.assertEqual(self.file("keys:1", "/args"), "uno two env\n")

    def test_dockerfile_in_the_stack_file(self):
        folder = self.project("inline", """
            services:
              web:
                build:
                  context: .
                  dockerfile_inline: |
                    FROM busybox
                    COPY said /said
                    RUN echo $$HOME > /home-of-the-build
            """, {"said": "inline\n"})
        self.gantry_ok("build", folder=folder)
        self.assertEqual(self.file("inline-web", "/said"), "inline\n")
        self.assertEqual(self.file("inline-web", "/home-of-the-build"), "/root\n")
        broken = self.project("inlinebroken", """
            services:
              web:
                build:
                  dockerfile_inline: |
                    FROM busybox
                    FETCH x
            """, {})
        result = self.gantry("build", folder=broken)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r":(2|6|7)\b")
        self.assertIn("FETCH", result.stderr)

    GRAPH = """
        services:
          base:
            build: {context: base}
            command: "true"
          app:
            build:
              context: app
              additional_contexts: {base: "service:base"}
            command: [sleep, "1000"]
            init: true
            stop_grace_period: 0s
            depends_on: [db]
          db:
            build: {context: db}
            command: [sleep, "1000"]
            init: true
            stop_grace_period: 0s
          plain:
            image: busybox
            command: "true"
        """
    GRAPH_FILES = {
        "base/Dockerfile": "FROM busybox\nCOPY said /said\n", "base/said": "from the base\n",
        "app/Dockerfile": "FROM base\nRUN cp /said /again\n", "db/Dockerfile": "FROM busybox\nRUN echo db > /said\n"}

    def test_one_service_on_another(self):
        folder = self.project("graph", self.GRAPH, self.GRAPH_FILES)
        # What a build stands on is built with it; what a service only waits for is not.
        result = self.gantry_ok("build", "--progress", "plain", "app", folder=folder)
        self.assertEqual(self.file("graph-app", "/again"), "from the base\n")
        self.assertNotEqual(self.gantry("image", "inspect", "graph-db").returncode, 0, result.stderr)
        with_them = self.gantry_ok("build", "--with-dependencies", "app", folder=folder)
        self.assertEqual(self.gantry("image", "inspect", "graph-db").returncode, 0, with_them.stderr)
        with open(f"{folder}/base/said", "w") as file:
            file.write("changed\n")
        self.gantry_ok("build", folder=folder)
        self.assertEqual(self.file("graph-app", "/again"), "changed\n")
        # Services without `build:` are nothing to build; unknown ones are an error.
        self.gantry_ok("build", "plain", folder=folder)
        unknown = self.gantry("build", "nobody", folder=folder)
        self.assertEqual(unknown.returncode, 3)
        self.assertIn("nobody", unknown.stderr)

    def test_what_is_only_built_on_is_built_with_what_needs_it(self):
        folder = self.project("based", self.GRAPH, self.GRAPH_FILES)
        self.gantry_ok("up", "-d", "app", folder=folder)
        self.gantry_ok("rmi", "-f", "based-base")
        again = self.gantry_ok("up", "-d", "app", folder=folder)
        self.assertNotIn("load build definition", again.stdout + again.stderr)
        # Nothing that `app` depends on is needed.
        self.gantry_ok("rmi", "-f", "based-db")
        self.gantry_ok("scale", "--no-deps", "app=2", folder=folder)
        self.assertNotEqual(self.gantry("image", "inspect", "based-db").returncode, 0)

    def test_circle_of_services(self):
        folder = self.project("circle", """
            services:
              one: {build: {context: ., additional_contexts: {x: "service:two"}}}
              two: {build: {context: ., additional_contexts: {x: "service:one"}}}
            """, {"Dockerfile": "FROM x\n"})
        result = self.gantry("build", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"one.*two|two.*one")

    def test_print_and_check(self):
        folder = self.project("printed", self.GRAPH, self.GRAPH_FILES | {"db/Dockerfile": "FROM busybox AS Db\nRUN true\n"})
        text = self.gantry_ok("build", "--print", folder=folder).stdout
        targets = json.loads(text)["target"]
        self.assertEqual(set(targets), {"app", "base", "db"})
        self.assertEqual(targets["app"]["context"], f"{folder}/app")
        self.assertNotEqual(self.gantry("image", "inspect", "printed-app").returncode, 0)
        checked = self.gantry("build", "--check", folder=folder)
        self.assertIn("StageNameCasing", checked.stdout + checked.stderr)
        self.assertNotEqual(self.gantry("image", "inspect", "printed-db").returncode, 0)

    def test_services_with_the_same_build_share_it(self):
        folder = self.project("shared", """
            services:
              one: {build: ., command: "true"}
              two: {build: ., command: "true"}
            """, {"Dockerfile": "FROM busybox\nRUN sleep 0.3; cat /proc/uptime > /when\n"})
        self.gantry_ok("build", folder=folder)
        self.assertIsNotNone(self.file("shared-one", "/when"))
        self.assertIsNotNone(self.file("shared-two", "/when"))
        again = Progress(self.gantry_ok("build", "--progress", "plain", folder=folder).stderr)
        self.assertEqual(set(again.states[number] for number, title in again.titles.items() if "RUN sleep" in title), {"CACHED"})

    def test_error_in_one_of_many(self):
        folder = self.project("onefails", """
            services:
              good: {build: good, command: "true"}
              bad: {build: bad, command: "true"}
            """, {"good/Dockerfile": "FROM busybox\nRUN true\n", "bad/Dockerfile": "FROM busybox\nRUN echo oh; exit 7\n"})
        result = self.gantry("build", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"bad\b.*")
        self.assertIn("Dockerfile:2", result.stderr)
        self.assertIn("exit 7", result.stderr)
        up = self.gantry("up", "-d", folder=folder)
        self.assertEqual(up.returncode, 1)
        self.assertEqual(self.ps(folder, "-a"), [])

    def test_reconcile_says_that_a_build_failed(self):
        folder = self.project("unreconciled", self.SIMPLE, {"Dockerfile": "FROM busybox\nRUN exit 7\n"})
        result = self.gantry("reconcile", "--format", "json", folder=folder)
        self.assertEqual(result.returncode, 1, result.stderr)
        said = json.loads(result.stdout)
        self.assertFalse(said["converged"])
        self.assertIn("exit code: 7", said["errors"][0]["message"])

    def test_image_of_a_build_is_what_plan_and_config_say(self):
        folder = self.project("planned", self.SIMPLE, {"Dockerfile": "FROM busybox\n"})
        config = self.gantry_ok("config", folder=folder).stdout
        self.assertRegex(config, r"context: " + re.escape(folder))
        self.assertNotIn("not supported", self.gantry("config", folder=folder).stderr)
        plan = self.gantry_ok("plan", folder=folder)
        self.assertIn("build", (plan.stdout + plan.stderr).lower())

    def test_run_builds_too(self):
        folder = self.project("runs", self.SIMPLE, {"Dockerfile": "FROM busybox\nRUN echo hello > /said\n"})
        self.assertEqual(self.gantry_ok("run", "--rm", "-T", "web", "cat", "/said", folder=folder).stdout, "hello\n")
        with open(f"{folder}/Dockerfile", "w") as file:
            file.write("FROM busybox\nRUN echo new > /said\n")
        self.assertEqual(self.gantry_ok("run", "--rm", "-T", "--build", "web", "cat", "/said", folder=folder).stdout, "new\n")

    @unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is missing")
    def test_push(self):
        from test_registry import free_port

        port = free_port()
        with open(f"{self.root}/registry.yml", "w") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.root}/reg}}}}\n"
                       f"http: {{addr: \"127.0.0.1:{port}\"}}\n")
        registry = subprocess.Popen(["docker-registry", "serve", f"{self.root}/registry.yml"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(registry.wait)
        self.addCleanup(registry.kill)
        folder = self.project("pushed", f"""
            services:
              web: {{image: "localhost:{port}/team/web:1", build: ., command: "true"}}
              local: {{build: ., command: "true"}}
            """, {"Dockerfile": "FROM busybox\nRUN echo pushed > /said\n"})

        def pushed():
            return self.gantry("build", "--push", "web", folder=folder).returncode == 0

        wait_until(pushed, what="the registry to take the image")
        self.gantry_ok("rmi", "-f", f"localhost:{port}/team/web:1")
        self.gantry_ok("pull", "-q", f"localhost:{port}/team/web:1")
        self.assertEqual(self.file(f"localhost:{port}/team/web:1", "/said"), "pushed\n")


if __name__ == "__main__":
    unittest.main()
