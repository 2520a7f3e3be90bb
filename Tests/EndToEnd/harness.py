"""Drives the built `gantry` as a user does: one engine a test class, in the network and mount namespaces of this process.

Run by `run.sh`, which makes the namespaces. Nothing here reaches the host's interfaces or firewall, and every class
checks at its end that it left nothing behind.
"""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import textwrap
import threading
import time
import unittest
import urllib.request

GANTRY = os.environ.get("GANTRY_BIN", os.path.join(os.path.dirname(__file__), "../../.build/release/gantry"))
GANTRY = os.path.abspath(GANTRY)
BUSYBOX = "/bin/busybox"


def busybox_image(path, tag="busybox:latest", config=None, files=None, history=()):
    """A docker-archive with one layer: a static busybox and its links, and the programs `files` (name to path)."""
    import hashlib

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        def add(name, kind=tarfile.DIRTYPE, mode=0o755, data=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
            tar.addfile(info, io.BytesIO(data))

        for folder in ("bin", "etc", "tmp", "var", "www", "proc", "sys", "dev", "root", "home", "run"):
            add(folder, mode=0o1777 if folder == "tmp" else 0o755)
        with open(BUSYBOX, "rb") as file:
            add("bin/busybox", tarfile.REGTYPE, data=file.read())
        names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in names:
            if name != "busybox":
                add(f"bin/{name}", tarfile.SYMTYPE, link="busybox")
        for name, source in (files or {}).items():
            with open(source, "rb") as file:
                add(name, tarfile.REGTYPE, data=file.read())
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home:/bin/sh\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\nweb:x:1000:\n")
    layer_bytes = layer.getvalue()
    digest = hashlib.sha256(layer_bytes).hexdigest()
    body = {
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": config or {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    } | ({"history": list(history)} if history else {})
    config_bytes = json.dumps(body).encode()
    config_name = hashlib.sha256(config_bytes).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for name, data in ((f"{digest}/layer.tar", layer_bytes), (config_name, config_bytes),
                           ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def wait_until(condition, seconds=30, what="the condition", interval=0.02):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(interval)
    raise AssertionError(f"waited {seconds} s for {what} in vain")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Relay:
    """Stands between the engine and a server of this host."""

    piece_byte_count = 1 << 16

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def before(self, data, is_answer):
        """Called with each piece before it is sent on."""

    def after(self, data, is_answer):
        """Called with each piece that was sent on."""

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            # Small buffers: what was sent on is nearly what has arrived.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.carry, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, True), daemon=True).start()

    def carry(self, source, target, is_answer):
        try:
            while data := source.recv(self.piece_byte_count):
                self.before(data, is_answer)
                target.sendall(data)
                self.after(data, is_answer)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        source.close()


def host_view():
    """What an engine could leave behind, as sets of lines."""
    def run(*command):
        return set(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())

    links = {line.split(":", 2)[1].strip() for line in run("ip", "-o", "link")}
    with open("/proc/self/mountinfo") as file:
        mounts = {line.split(" ")[4] for line in file}
    groups = set()
    for root in ("/sys/fs/cgroup", ):
        for folder, names, _ in os.walk(root):
            groups |= {os.path.join(folder, name) for name in names if "gantry" in name}
    return {"links": links, "nft": run("nft", "list", "tables"), "mounts": mounts, "cgroups": groups}


class EngineCase(unittest.TestCase):
    """Starts an engine of its own for the class; `self.stack(text)` writes a stack file into a folder of its own."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="gantry-e2e-")
        cls.before = host_view()
        cls.socket = f"{cls.root}/gantry.sock"
        cls.engine = None
        cls.start_engine()
        archive = f"{cls.root}/busybox.tar"
        busybox_image(archive)
        cls.gantry_ok("load", "-i", archive)

    @classmethod
    def start_engine(cls):
        cls.log = open(f"{cls.root}/engine-output.log", "ab")
        cls.engine = subprocess.Popen(
            [GANTRY, "engine", "--data-root", f"{cls.root}/data", "--exec-root", f"{cls.root}/run",
             "--host", f"unix://{cls.socket}", *cls.engine_arguments()], stdout=cls.log, stderr=cls.log, stdin=subprocess.DEVNULL)
        wait_until(cls.answers, what="the engine to answer")

    @classmethod
    def engine_arguments(cls):
        """What the class's engine is started with beside its folders and its socket."""
        return []

    @classmethod
    def answers(cls):
        if cls.engine.poll() is not None:
            with open(f"{cls.root}/engine-output.log") as file:
                raise AssertionError(f"the engine ended with {cls.engine.returncode}: {file.read()[-4000:]}")
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(cls.socket)
                connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: gantry\r\nConnection: close\r\n\r\n")
                return b"OK" in connection.recv(4096)
        except OSError:
            return False

    @classmethod
    def kill_engine(cls):
        cls.engine.send_signal(signal.SIGKILL)
        cls.engine.wait()

    @classmethod
    def tearDownClass(cls):
        problems = []
        try:
            if cls.engine.poll() is not None:
                cls.start_engine()
            for stack in json.loads(cls.gantry_ok("ls", "-a", "--format", "json").stdout or "[]"):
                cls.gantry("-p", stack.get("Name") or stack.get("name"), "down", "-v", "-t", "0")
        except AssertionError as error:
            problems.append(str(error))
        cls.engine.terminate()
        try:
            cls.engine.wait(timeout=20)
        except subprocess.TimeoutExpired:
            cls.engine.kill()
            cls.engine.wait()
            problems.append("the engine did not end on SIGTERM")
        cls.log.close()
        time.sleep(0.3)  # Dying network namespaces take their veths with them a moment later.
        after = wait_until_same(cls.before)
        for kind, lines in cls.before.items():
            left = after[kind] - lines
            if left:
                problems.append(f"left behind: {kind}: {sorted(left)}")
        # One that was killed is not gone at once.
        deadline = time.monotonic() + 20
        while (left := [line for line in supervisors() if cls.root in line]) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            problems.append(f"still running: {left}")
        if problems:
            with open(f"{cls.root}/engine-output.log") as file:
                print(file.read()[-4000:])
            raise AssertionError("; ".join(problems))
        shutil.rmtree(cls.root)

    @classmethod
    def environment(cls):
        # Neither somebody's own settings nor the CI system that the tests run in: `gantry` behaves otherwise in one.
        foreign = ("COMPOSE_", "DOCKER_", "CI_", "GITHUB_", "GITLAB_", "BUILDKITE", "CIRCLE")
        keep = {key: value for key, value in os.environ.items()
                if not key.startswith(foreign) and key not in ("CI", "BUILD_URL")}
        return keep | {"GANTRY_HOST": f"unix://{cls.socket}", "GANTRY_NO_AUTOSTART": "1", "NO_COLOR": "1"}

    @classmethod
    def gantry(cls, *arguments, folder=None, timeout=60, input=None, env=None):
        return subprocess.run(
            [GANTRY, *arguments], cwd=folder or cls.root, capture_output=True, text=True, timeout=timeout,
            input=input, env=cls.environment() | (env or {}), stdin=None if input is not None else subprocess.DEVNULL)

    @classmethod
    def gantry_ok(cls, *arguments, **options):
        result = cls.gantry(*arguments, **options)
        if result.returncode != 0:
            raise AssertionError(f"gantry {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def stack(self, text, name="demo"):
        folder = os.path.join(self.root, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "compose.yaml"), "w") as file:
            file.write(textwrap.dedent(text))
        return folder

    def up_box(self, name, script):
        """A stack, up, of one service `box`: a shell that runs the script and is killed when it is to stop."""
        folder = self.stack(f"""
            services:
              box:
                image: busybox
                command: {json.dumps(["sh", "-c", script])}
                stop_grace_period: 0s
            """, name)
        self.gantry_ok("up", "-d", folder=folder)
        return folder

    def ps(self, folder, *arguments):
        text = self.gantry_ok("ps", *arguments, "--format", "json", folder=folder).stdout.strip()
        if not text:
            return []
        if text.startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines()]

    def get(self, port, path="/", host="127.0.0.1", timeout=2):
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=timeout) as answer:
            return answer.read().decode().strip()

    def pids(self, folder):
        """Container name to the process id of its init, asked of the API."""
        project = os.path.basename(folder)
        return {entry["name"]: entry["pid"] for entry in self.api(f"/stacks/{project}/containers") if entry.get("pid")}

    def api(self, path, method="GET", body=None):
        import http.client

        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request(method, path, body=body)
        data = connection.getresponse().read()
        connection.close()
        return json.loads(data)


def wait_until_same(before):
    """Gives the kernel a moment for what it takes away in the background."""
    deadline = time.monotonic() + 20
    while True:
        after = host_view()
        if all(after[kind] <= before[kind] for kind in before) or time.monotonic() > deadline:
            return after
        time.sleep(0.05)


def supervisors():
    lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if "gantry-supervisor" in line]
