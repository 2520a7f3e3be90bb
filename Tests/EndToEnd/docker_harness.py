"""Drives an engine with clients of Docker's API: the docker command line, docker-py, Docker Compose, testcontainers.

Each may be missing on a machine: `make setup` and `fetch_clients.sh` install most, and the tests that need one that is
not there are skipped with a word why.
"""

import http.client
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from harness import EngineCase

# What `fetch_clients.sh` has fetched. The libraries of the machine itself come first.
CLIENTS = os.environ.get("GANTRY_TEST_CLIENTS", "/nonexistent")
sys.path.append(f"{CLIENTS}/python")

DOCKER = shutil.which("docker")
ID = re.compile(r"^[0-9a-f]{64}\n$")


def docker_version():
    if not DOCKER:
        return (0, 0)
    text = subprocess.run([DOCKER, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


VERSION = docker_version()


class ClientCase(EngineCase):
    """`self.client("ps -a")` runs a client's program against an engine of the class's own."""

    # The program's file.
    program = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = f"{cls.root}/docker-config"
        os.makedirs(cls.config)

    @classmethod
    def tearDownClass(cls):
        cls.sweep()
        super().tearDownClass()

    def tearDown(self):
        self.sweep()

    @classmethod
    def sweep(cls):
        """Removes what a test left: containers, then networks and volumes."""
        if cls.engine.poll() is not None:
            return
        for container in cls.ask("GET", "/containers/json?all=1")[1]:
            cls.ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        cls.ask("POST", "/networks/prune")
        for volume in cls.ask("GET", "/volumes")[1]["Volumes"] or []:
            cls.ask("DELETE", f"/volumes/{volume['Name']}?force=1")

    @classmethod
    def connection(cls):
        connection = http.client.HTTPConnection("gantry", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(cls.socket)
        return connection

    @classmethod
    def ask(cls, method, path, body=None):
        """A request of the API: its status, and what its answer says."""
        connection = cls.connection()
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body),
                               headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.strip() else None

    @classmethod
    def environment(cls):
        keep = super().environment()
        return keep | {"DOCKER_HOST": f"unix://{cls.socket}", "DOCKER_CONFIG": f"{cls.root}/docker-config",
                       "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}

    @classmethod
    def client(cls, command, input=None, timeout=120, folder=None):
        words = shlex.split(command) if isinstance(command, str) else list(command)
        return subprocess.run(
            [cls.program, *words], capture_output=True, text=True, timeout=timeout, env=cls.environment(),
            cwd=folder or cls.root, input=input, stdin=None if input is not None else subprocess.DEVNULL)

    def ok(self, command, **options):
        result = self.client(command, **options)
        name = os.path.basename(self.program)
        self.assertEqual(result.returncode, 0, f"{name} {command}: {result.stdout}{result.stderr}")
        return result.stdout.strip()

    def table(self, rows, **options):
        """Each row: the command; its exit code; what it prints, as a text or a regular expression; and, perhaps, what
        stands in its errors. All rows are run, and what is wrong with any of them told."""
        problems = []
        for command, code, output, *errors in rows:
            result = self.client(command, **options)
            wrong = [] if result.returncode == code else [f"ended with {result.returncode}, not {code}"]
            if isinstance(output, re.Pattern) and not output.search(result.stdout):
                wrong.append(f"printed no {output.pattern!r}")
            if isinstance(output, str) and result.stdout != output:
                wrong.append(f"did not print {output!r}")
            wrong += [f"errors without {text!r}" for text in errors if text not in result.stderr]
            if wrong:
                name = os.path.basename(self.program)
                problems.append(f"{name} {command}: {'; '.join(wrong)}\n{result.stdout!r}\n{result.stderr!r}")
        if problems:
            self.fail("\n".join(problems))

    def in_terminal(self, command, script, seconds=60, folder=None):
        """Runs a command in a pseudo-terminal; the script's entries are what to wait for and what to type then."""
        name = os.path.basename(self.program)
        pid, terminal = pty.fork()
        if pid == 0:
            # A shell that runs us in the background has it ignored, which Python's programs go by.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(folder or self.root)
            os.execve(self.program, [self.program, *shlex.split(command)], self.environment())
        text = ""
        deadline = time.monotonic() + seconds
        try:
            for expected, typed in [*script, (None, None)]:
                while expected is None or not re.search(expected, text):
                    if time.monotonic() > deadline:
                        raise AssertionError(f"{name} {command}: no {expected!r} in {text!r}")
                    if not select.select([terminal], [], [], 0.1)[0]:
                        continue
                    try:
                        piece = os.read(terminal, 65536)
                    except OSError:
                        piece = b""
                    if not piece:
                        if expected is None:
                            break
                        raise AssertionError(f"{name} {command}: ended before {expected!r}: {text!r}")
                    text += piece.decode(errors="replace")
                if typed is not None:
                    os.write(terminal, typed.encode())
        finally:
            os.close(terminal)
            _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), text


@unittest.skipUnless(DOCKER, "the docker command line is not installed: apt-get install docker-cli (or docker.io)")
class DockerCase(ClientCase):
    """`self.docker("run --rm busybox true")` runs the real docker command line against an engine of the class's own."""

    program = DOCKER

    @classmethod
    def docker(cls, command, **options):
        return cls.client(command, **options)

    def inspect(self, name, template):
        return self.ok(["inspect", "-f", template, name])
