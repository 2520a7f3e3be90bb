"""What the tests of builds share: contexts from tables, progress as it is told, files of images, servers to fetch from."""

import http.server
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import threading

from harness import EngineCase

BUILD_SECONDS = 60


def write_context(folder, files):
    """Path to text or bytes; None is a folder, ("->", target) a link, (content, mode) a file with a mode."""
    for name, what in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = 0o644
        if what is None:
            os.makedirs(path, exist_ok=True)
            continue
        if isinstance(what, tuple) and what[0] == "->":
            os.symlink(what[1], path)
            continue
        if isinstance(what, tuple):
            what, mode = what
        with open(path, "wb") as file:
            file.write(what.encode() if isinstance(what, str) else what)
        os.chmod(path, mode)


class Progress:
    """Plain progress, read: step titles to what became of them, and the lines that they wrote."""

    def __init__(self, text):
        self.titles, self.states, self.output = {}, {}, {}
        for line in text.splitlines():
            match = re.match(r"#(\d+) (.*)", line)
            if not match:
                continue
            number, rest = match.groups()
            if number not in self.titles:
                self.titles[number] = rest
            elif re.match(r"(CACHED|DONE|ERROR|CANCELED)\b", rest):
                self.states.setdefault(number, rest.split(" ")[0].rstrip(":"))
            else:
                self.output.setdefault(number, []).append(re.sub(r"^\d+\.\d+ ", "", rest))

    def of(self, word):
        """The state of the one step whose title has `word`; None when there is none."""
        found = [number for number, title in self.titles.items() if word in title]
        return self.states.get(found[0]) if found else None

    def lines(self, word):
        return [line for number, title in self.titles.items() if word in title for line in self.output.get(number, [])]


class BuildCase(EngineCase):
    folder_count = 0

    def context(self, dockerfile=None, files=None, name=None):
        """A new folder with a Dockerfile and what the table says."""
        BuildCase.folder_count += 1
        folder = os.path.join(self.root, name or f"context-{BuildCase.folder_count}")
        os.makedirs(folder, exist_ok=True)
        table = dict(files or {})
        if dockerfile is not None:
            table["Dockerfile"] = textwrap.dedent(dockerfile)
        write_context(folder, table)
        return folder

    def build(self, context, *arguments, **options):
        """`context` is a folder, or the text of a Dockerfile."""
        folder = context if context.startswith("/") else self.context(context)
        options.setdefault("timeout", BUILD_SECONDS)
        return self.gantry("build", "--progress", "plain", *arguments, folder, **options)

    def build_ok(self, context, *arguments, **options):
        result = self.build(context, *arguments, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return Progress(result.stdout + result.stderr)

    def build_fails(self, context, *arguments, code=1, **options):
        """What the user reads."""
        result = self.build(context, *arguments, **options)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def inspect(self, image, form):
        return self.gantry_ok("image", "inspect", "-f", form, image).stdout.rstrip("\n")

    def identity(self, image):
        return self.inspect(image, "{{.Id}}")

    def layers(self, image):
        """Folders of the image's layers, top first."""
        data = self.inspect(image, "{{.GraphDriver.Data.UpperDir}}:{{.GraphDriver.Data.LowerDir}}")
        return [each for each in data.split(":") if each.startswith("/")]

    def file(self, image, path):
        """Text of a file of an image; None where there is none. Whiteouts are honoured for the file itself alone."""
        for layer in self.layers(image):
            found = os.path.join(layer, path.lstrip("/"))
            if os.path.isfile(found):
                with open(found, errors="replace") as file:
                    return file.read()
            if os.path.lexists(found):
                return None
        return None

    def find_in_data(self, text, since=None):
        """Files below the engine's data and run folders that hold `text`, of those that changed after the file `since`."""
        newer = ["-cnewer", since] if since else []
        return subprocess.run(
            ["find", f"{self.root}/data", f"{self.root}/run", f"{self.root}/engine-output.log", "-type", "f", *newer,
             "-exec", "grep", "-laF", "--", text, "{}", "+"], capture_output=True, text=True).stdout.split()

    def processes_with(self, word):
        lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
        return [line for line in lines if word in line and "ps -eo" not in line]


CANARY = "canary-of-the-host-3f0c"
ATTACK_SECONDS = 45


class HostileCase(BuildCase):
    def setUp(self):
        self.host = tempfile.mkdtemp(prefix="gantry-e2e-host-")
        self.addCleanup(shutil.rmtree, self.host)
        write_context(self.host, {"secret": CANARY, "stub": "", "folder/secret": CANARY, "empty": None})
        self.before = self.look()
        self.stamp = f"{self.root}/stamp"
        self.touch_stamp()
        self.climb = "../" * 30 + self.host[1:]

    def touch_stamp(self):
        with open(self.stamp, "w"):
            os.utime(self.stamp)

    def look(self):
        found = {}
        for parent, folders, files in os.walk(self.host):
            for name in folders + files:
                path = os.path.join(parent, name)
                status = os.lstat(path)
                content = None
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        content = file.read()
                found[os.path.relpath(path, self.host)] = (status.st_mode, status.st_uid, status.st_gid, content)
        return found

    def attack(self, dockerfile, files=None, *arguments, **options):
        """Builds; whether it goes well is the test's business, that nobody is harmed is everybody's."""
        options.setdefault("timeout", ATTACK_SECONDS)
        folder = dockerfile if dockerfile.startswith("/") else self.context(dockerfile, files)
        result = self.gantry("build", "--progress", "plain", *arguments, folder, **options)
        self.unharmed(result)
        return result

    def unharmed(self, result=None):
        if result is not None:
            self.assertIn(result.returncode, (0, 1, 2), result.stderr)
            self.assertNotIn(CANARY, result.stdout + result.stderr)
        self.assertEqual(self.look(), self.before)
        found = self.find_in_data(CANARY, since=self.stamp)
        self.touch_stamp()
        self.assertEqual(found, [])
        self.assertIsNone(self.engine.poll())
        self.assertTrue(self.answers())

    def each(self, cases, files=None):
        """Attacks in turn, with `HOST` and `CLIMB` in their texts replaced."""
        for index, case in enumerate(cases):
            with self.subTest(case):
                self.attack(self.text(case), files, "-t", f"attack:{index}")

    def text(self, case):
        return case.replace("HOST", self.host).replace("CLIMB", self.climb)

    def evil(self, name="evil:1"):
        """An image full of links to the host."""
        result = self.build(self.text("""
            FROM busybox
            RUN ln -s HOST /absolute; ln -s CLIMB /climbing; ln -s HOST/secret /file; mkdir /d; ln -s /absolute /d/second
            RUN ln -s /proc/1/root/HOST /root-of-one; ln -s /proc/self/root/../../HOST /own; ln -s /absolute /d/chain
            """), "-t", name)
        self.assertEqual(result.returncode, 0, result.stderr)


class LoopbackServer:
    """Python's server with a handler, on a free port of the loopback."""

    def __init__(self, handler):
        handler.log_message = lambda *_: None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class WebServer(LoopbackServer):
    """Serves a table of path to bytes, or a function of the handler; notes what was asked for."""

    def __init__(self, files):
        self.files, self.requests = files, []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.requests.append(self.path)
                what = owner.files.get(self.path.split("?")[0])
                if callable(what):
                    what(self)
                    return
                self.send_response(404 if what is None else 200)
                self.send_header("Content-Length", str(len(what or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(what or b"")

            do_HEAD = do_GET

        super().__init__(Handler)


def redirect(target):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return answer


class GitServer(LoopbackServer):
    """`git http-backend` behind Python's server: the repositories below `folder`."""

    def __init__(self, folder):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                environment = {
                    "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                    "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
                done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment)
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
                self.send_response(int(headers.pop("Status", "200").split(" ")[0]))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

        super().__init__(Handler)


def git(folder, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main",
               "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def make_repository(folder, files):
    """A repository with one commit of these files on `main`."""
    os.makedirs(folder)
    git(folder, "init", "-q")
    write_context(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")


HAS_GIT = shutil.which("git") is not None
