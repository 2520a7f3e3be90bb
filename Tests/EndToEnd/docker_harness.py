"""Drives an engine with Docker's own clients: the command line, and docker-py.

Both may be missing on a machine: `make setup` installs them, and the tests that need them are skipped with a word why.
"""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
import unittest

from harness import EngineCase

DOCKER = shutil.which("docker")
ID = re.compile(r"^[0-9a-f]{64}\n$")


def docker_version():
    if not DOCKER:
        return (0, 0)
    text = subprocess.run([DOCKER, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


VERSION = docker_version()


@unittest.skipUnless(DOCKER, "the docker command line is not installed: apt-get install docker-cli (or docker.io)")
class DockerCase(EngineCase):
    """`self.docker("run --rm busybox true")` runs the real docker command line against an engine of the class's own."""

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
        for container in cls.docker("ps -aq").stdout.split():
            cls.docker(f"rm -f -v {container}")
        cls.docker("network prune -f")
        for volume in cls.docker("volume ls -q").stdout.split():
            cls.docker(f"volume rm {volume}")

    @classmethod
    def environment(cls):
        keep = super().environment()
        return keep | {"DOCKER_HOST": f"unix://{cls.socket}", "DOCKER_CONFIG": f"{cls.root}/docker-config",
                       "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}

    @classmethod
    def docker(cls, command, input=None, timeout=60):
        words = shlex.split(command) if isinstance(command, str) else list(command)
        return subprocess.run(
            [DOCKER, *words], capture_output=True, text=True, timeout=timeout, env=cls.environment(), cwd=cls.root,
            input=input, stdin=None if input is not None else subprocess.DEVNULL)

    def ok(self, command, **options):
        result = self.docker(command, **options)
        self.assertEqual(result.returncode, 0, f"docker {command}: {result.stdout}{result.stderr}")
        return result.stdout.strip()

    def table(self, rows):
        """Each row: the command; its exit code; what it prints, as a text or a regular expression; and, perhaps, what
        stands in its errors. All rows are run, and what is wrong with any of them told."""
        problems = []
        for command, code, output, *errors in rows:
            result = self.docker(command)
            wrong = [] if result.returncode == code else [f"ended with {result.returncode}, not {code}"]
            if isinstance(output, re.Pattern) and not output.search(result.stdout):
                wrong.append(f"printed no {output.pattern!r}")
            if isinstance(output, str) and result.stdout != output:
                wrong.append(f"did not print {output!r}")
            wrong += [f"errors without {text!r}" for text in errors if text not in result.stderr]
            if wrong:
                problems.append(f"docker {command}: {'; '.join(wrong)}\n{result.stdout!r}\n{result.stderr!r}")
        if problems:
            self.fail("\n".join(problems))

    def inspect(self, name, template):
        return self.ok(["inspect", "-f", template, name])

    def in_terminal(self, command, script, seconds=30):
        """Runs a command in a pseudo-terminal; the script's entries are what to wait for and what to type then."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(DOCKER, [DOCKER, *shlex.split(command)], self.environment())
        text = ""
        deadline = time.monotonic() + seconds
        try:
            for expected, typed in [*script, (None, None)]:
                while expected is None or not re.search(expected, text):
                    if time.monotonic() > deadline:
                        raise AssertionError(f"docker {command}: no {expected!r} in {text!r}")
                    if not select.select([terminal], [], [], 0.1)[0]:
                        continue
                    try:
                        piece = os.read(terminal, 65536)
                    except OSError:
                        piece = b""
                    if not piece:
                        if expected is None:
                            break
                        raise AssertionError(f"docker {command}: ended before {expected!r}: {text!r}")
                    text += piece.decode(errors="replace")
                if typed is not None:
                    os.write(terminal, typed.encode())
        finally:
            os.close(terminal)
            _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), text
