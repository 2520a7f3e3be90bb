"""BuildKit's control API (`POST /grpc`, `/session`), driven by Docker Compose 2, which builds through nothing else."""

import os
import re
import signal
import socket
import subprocess
import textwrap
import time
import unittest

from docker_harness import CLIENTS, ClientCase
from harness import wait_until

COMPOSE = f"{CLIENTS}/docker-compose"


class BuildKitCase(ClientCase):
    program = COMPOSE

    @classmethod
    def environment(cls):
        return super().environment() | {"DOCKER_BUILDKIT": "1"}

    def folder_of(self, name, **files):
        """A folder with the files; `__` in a name stands for `/`, and `DOT` for a dot."""
        folder = os.path.join(self.root, name)
        for file, content in files.items():
            path = os.path.join(folder, file.replace("__", "/").replace("DOT", "."))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb" if isinstance(content, bytes) else "w") as out:
                out.write(content if isinstance(content, bytes) else textwrap.dedent(content))
        return folder

    def build(self, folder, *options, code=0, env=None):
        result = subprocess.run(
            [COMPOSE, "build", *options], cwd=folder, env=self.environment() | (env or {}), capture_output=True,
            text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def runs(self, image, script):
        name = f"try-{time.monotonic_ns()}"
        status, made = self.ask("POST", f"/containers/create?name={name}", {
            "Image": image, "Cmd": ["sh", "-c", script], "Tty": True})
        self.assertEqual(status, 201, made)
        self.ask("POST", f"/containers/{made['Id']}/start")
        self.ask("POST", f"/containers/{made['Id']}/wait")
        return self.raw("GET", f"/containers/{made['Id']}/logs?stdout=1&stderr=1").decode().replace("\r\n", "\n")

    def raw(self, method, path, headers="", body=b""):
        """The bytes after the head of an answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(self.socket)
            connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: gantry\r\n{headers}\r\n".encode() + body)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.partition(b"\r\n\r\n")[2]


@unittest.skipUnless(os.path.exists(COMPOSE), "Docker Compose 2 is not there: fetch_clients.sh")
class BuildTest(BuildKitCase):
    def test_what_a_build_is_given(self):
        folder = self.folder_of(
            "given", token="a secret\n", **{
                "compose.yaml": """
                    services:
                      web:
                        image: given
                        build:
                          context: app
                          dockerfile: docker/Dockerfile.web
                          target: final
                          args: {COLOUR: green}
                          labels: {team: shop}
                          tags: ["given:second"]
                          secrets: [token]
                          additional_contexts: {assets: ./assets}
                          extra_hosts: {"db.internal": "192.0.2.7"}
                          network: none
                    secrets:
                      token: {file: ./token}
                    """,
                "app/docker/Dockerfile.web": """
                    FROM busybox AS base
                    ARG COLOUR=red
                    COPY . /app/
                    COPY --from=assets logo /logo
                    RUN --mount=type=secret,id=token cp /run/secrets/token /seen
                    RUN echo $COLOUR > /colour; cp /etc/hosts /hosts; ip -o link | wc -l > /links
                    FROM base AS final
                    RUN rm -r /app/docker
                    FROM base AS other
                    RUN false
                    """,
                "app/DOTdockerignore": "# not these\n*.log\n!keep.log\n",
                "app/a.log": "no", "app/keep.log": "yes", "app/päth/with space.txt": "named\n",
                "app/big": os.urandom(3_000_001), "app/tool": "#!/bin/sh\n", "assets/logo": "a logo\n",
            })
        os.chmod(f"{folder}/app/tool", 0o751)
        os.symlink("päth/with space.txt", f"{folder}/app/link")
        os.link(f"{folder}/app/tool", f"{folder}/app/same")
        os.utime(f"{folder}/app/tool", (1_000_000_000, 1_000_000_000))
        text = self.build(folder)
        self.assertRegex(text, r"#\d+ \[web base 2/\d\] COPY \. /app/")
        self.assertIn("web  Built", text)
        image = self.ask("GET", "/images/given/json")[1]
        self.assertEqual(image["Config"]["Labels"]["team"], "shop")
        self.assertEqual(sorted(image["RepoTags"]), ["given:latest", "given:second"])
        seen = self.runs("given", "cat /seen /colour /logo /links; cd /app; printf '%s\\n' .d* *; cat link; "
                                  "stat -c '%a %Y' tool; cmp tool same; wc -c < big; grep -c db.internal /hosts")
        self.assertEqual(seen.splitlines(), [
            "a secret", "green", "a logo", "1", ".dockerignore", "big", "keep.log", "link", "päth", "same", "tool",
            "named", "751 1000000000", "3000001", "1"])

    def test_again_from_the_cache(self):
        folder = self.folder_of("again", **{
            "compose.yaml": "services: {web: {image: again, build: .}}\n",
            "Dockerfile": "FROM busybox\nCOPY file /file\nRUN cat /proc/sys/kernel/random/uuid > /date\n",
            "file": "one"})
        self.build(folder)
        first = self.runs("again", "cat /date /file")
        text = self.build(folder)
        self.assertEqual(len(re.findall(r"^#\d+ CACHED", text, re.M)), 3, text)
        self.assertEqual(self.runs("again", "cat /date /file"), first)
        self.build(folder, "--no-cache")
        self.assertNotEqual(self.runs("again", "cat /date /file"), first)
        with open(f"{folder}/file", "w") as file:
            file.write("two")
        self.build(folder)
        self.assertTrue(self.runs("again", "cat /file").endswith("two"))

    def test_several_at_once_and_inline(self):
        services = "".join(
            f"  s{number}:\n    image: many{number}\n    build:\n      context: ctx\n"
            f"      dockerfile_inline: |\n        FROM busybox\n        COPY . /all/\n"
            f"        RUN echo {number} > /number\n"
            for number in range(4))
        files = {f"ctx/d{number % 20}/f{number}": f"{number}\n" for number in range(1500)}
        folder = self.folder_of("many", **{"compose.yaml": f"services:\n{services}", **files})
        self.build(folder)
        for number in range(4):
            self.assertEqual(self.runs(f"many{number}", "cat /number; find /all -type f | wc -l"), f"{number}\n1500\n")

    def failure(self, dockerfile, *words, code=1, **files):
        folder = self.folder_of("failing", **{
            "compose.yaml": "services: {web: {image: failing, build: {context: ., secrets: []}}}\n",
            **({} if dockerfile is None else {"Dockerfile": dockerfile}), **files})
        text = self.build(folder, code=code)
        for word in words:
            self.assertIn(word, text)
        return text

    def test_failures_are_told(self):
        self.failure(None, "failed to solve", "failed to read dockerfile: open Dockerfile: no such file or directory")
        self.failure("FROM busybox\nRUN echo out; echo err >&2; exit 7\n", "failed to solve", "out", "err",
                     "exit code: 7", "Dockerfile:2", "2 | >>> RUN echo out; echo err >&2; exit 7")
        self.failure("FROM busybox\nCOPY missing /\n", "failed to solve", "missing")
        self.failure("FROM busybox\nRUNN x\n", "failed to solve", "RUNN")
        self.failure("FROM busybox\nRUN --mount=type=secret,id=nothere,required=true true\n", "failed to solve",
                     "nothere")
        self.failure("FROM localhost:1/nothing/there\n", "failed to solve", "localhost:1/nothing/there")

    def test_whoever_goes_ends_the_build(self):
        folder = self.folder_of("gone", **{
            "compose.yaml": "services: {web: {image: gone, build: .}}\n",
            "Dockerfile": "FROM busybox\nRUN echo it runs; sleep 98765\n"})
        for end in (signal.SIGINT, signal.SIGKILL):
            with open(f"{folder}/out", "wb") as out:
                process = subprocess.Popen([COMPOSE, "build"], cwd=folder, env=self.environment(), stdout=out,
                                           stderr=out, stdin=subprocess.DEVNULL)
            self.addCleanup(process.kill)
            wait_until(lambda: self.sleepers() == 1, what="the step to run")
            process.send_signal(end)
            process.wait(timeout=30)
            wait_until(lambda: self.sleepers() == 0, what="the step to end")
        self.assertEqual(self.ask("GET", "/images/gone/json")[0], 404)

    @staticmethod
    def sleepers():
        result = subprocess.run(["pgrep", "-cfx", "sleep 98765"], capture_output=True, text=True)
        return int(result.stdout)


class WireTest(BuildKitCase):
    def test_what_is_no_upgrade_is_refused(self):
        status, reply = self.ask("POST", "/grpc")
        self.assertEqual((status, reply["message"]), (400, "only with Upgrade: h2c"))
        self.assertEqual(self.ask("POST", "/session")[0], 400)

    def test_what_is_no_http2_ends_the_connection(self):
        upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\nX-Docker-Expose-Session-Uuid: x\r\n"
        for path in ("/grpc", "/session"):
            preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            for body in (b"GET / HTTP/1.1\r\n\r\n" * 10, preface + b"\xff" * 100, os.urandom(5000)):
                self.raw("POST", path, upgrade, body)
        self.assertTrue(self.answers())


if __name__ == "__main__":
    unittest.main()
