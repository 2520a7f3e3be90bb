"""What the checks of the examples share: an example brought up in a copy of its folder, asked over its published port,
and taken away again. Each example's check.py is run by run.sh.
"""

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

EXAMPLES = os.path.dirname(os.path.abspath(__file__))
GANTRY = os.environ.get("GANTRY", "gantry")
QUIET = "GANTRY_EXAMPLES_VERBOSE" not in os.environ
COMMAND_SECONDS = 900
LOG_LINES = 40


class Failed(Exception):
    """Something that does not hold, in words."""


def require(condition, what):
    if not condition:
        raise Failed(what)


def eventually(seconds, what, condition):
    """The first true answer of `condition`; an answer of the network that is an error counts as not yet."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except (OSError, urllib.error.URLError) as error:
            last = error
        time.sleep(0.1)
    raise Failed(f"{what}: not within {seconds} s" + (f" ({last})" if last else ""))


class Example:
    """A copy of an example's folder, so that a check may edit what an image is built from."""

    def __init__(self, name):
        self.name = name
        self.begun = time.monotonic()
        self.scratch = tempfile.mkdtemp(prefix=f"gantry-example-{name}.")
        self.folder = os.path.join(self.scratch, name)
        shutil.copytree(os.path.join(EXAMPLES, name), self.folder)

    def step(self, text):
        print(f"{self.name}: {time.monotonic() - self.begun:6.1f} s  {text}", flush=True)

    def gantry(self, *arguments, check=True, quiet=True):
        """What the command prints. Without `quiet` its progress is shown as it comes."""
        result = subprocess.run([GANTRY, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None,
                                timeout=COMMAND_SECONDS)
        if check and result.returncode != 0:
            said = result.stdout + (result.stderr or "")
            raise Failed(f"gantry {' '.join(arguments)}: exit code {result.returncode}\n{said}")
        return result.stdout

    def up(self, *arguments):
        self.gantry("up", "-d", "--wait", "--wait-timeout", "300", *arguments, quiet=QUIET)

    @contextlib.contextmanager
    def background(self, *arguments):
        """Runs the command while the block does, and gives it what the command has said so far."""
        path = os.path.join(self.scratch, "output")
        with open(path, "w") as output:
            process = subprocess.Popen([GANTRY, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT)

        def said():
            with open(path) as file:
                return file.read()

        try:
            yield said
        except Failed as failure:
            raise Failed(f"{failure}\n{said()}") from failure
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)

    def containers(self, *services):
        """What `gantry ps` knows, one dictionary a container, with those that do not run."""
        text = self.gantry("ps", "-a", "--format", "json", *services)
        return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]

    def edit(self, path, old, new):
        path = os.path.join(self.folder, path)
        with open(path) as file:
            text = file.read()
        require(old in text, f"{path} has no {old!r}")
        with open(path, "w") as file:
            file.write(text.replace(old, new))

    def report(self):
        for command in (("ps", "-a"), ("logs", "--no-color", "--tail", str(LOG_LINES))):
            print(f"--- gantry {' '.join(command)}", file=sys.stderr)
            print(self.gantry(*command, check=False), file=sys.stderr)

    def take_away(self):
        self.gantry("down", "-v", "--remove-orphans")
        require(self.gantry("ps", "-a", "-q").strip() == "", "containers are left after down")
        rows = [line for line in self.gantry("network", "ls").splitlines() if f"{self.name}_" in line]
        require(not rows, f"networks are left after down: {rows}")


@contextlib.contextmanager
def example(name):
    """Gives the example to the check, and takes it away whatever the check found."""
    this = Example(name)
    try:
        yield this
        this.step("gantry down -v")
        this.take_away()
        this.step("ok")
    except BaseException as error:
        this.step(f"FAILED: {error}")
        this.report()
        this.gantry("down", "-v", "--remove-orphans", check=False)
        sys.exit(1)
    finally:
        shutil.rmtree(this.scratch)


class KeepLocation(urllib.request.HTTPRedirectHandler):
    """Redirections are answers, not things to follow."""

    def redirect_request(self, *_):
        return None


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode(errors="replace")

    def json(self):
        return json.loads(self.text)


def ask(url, method=None, body=None, headers=None, context: ssl.SSLContext | None = None, seconds=20):
    """The answer of an HTTP server, errors and redirections too. A dictionary as body is sent as JSON."""
    headers = dict(headers or {})
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    handlers = [KeepLocation] + ([urllib.request.HTTPSHandler(context=context)] if context else [])
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as response:
            return Answer(response)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error)


class Load:
    """Requests from a few threads, one after the other, each over a connection of its own, while the block runs."""

    def __init__(self, request, threads=4):
        self.request, self.counts, self.failures = request, {}, []
        self.end, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def run(self):
        while not self.end.is_set():
            begun = time.monotonic()
            try:
                kind = self.request()
            except Exception as error:    # Whatever goes wrong is what is being counted.
                with self.lock:
                    self.failures.append(f"after {time.monotonic() - begun:.3f} s: {type(error).__name__}: {error}")
            else:
                with self.lock:
                    self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def requests(self):
        return sum(self.counts.values())

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join(30)
