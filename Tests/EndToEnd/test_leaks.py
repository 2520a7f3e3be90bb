"""The same again and again, most of it what goes wrong: the engine and the processes that serve it keep no descriptor, no
thread, no mount and no process of it."""

import http.client
import http.server
import io
import json
import os
import socket
import tarfile
import threading
import time

from harness import EngineCase, free_port, wait_until

ROUNDS = 25
# What may come and go by itself: a worker of a pool, an idle connection of another part.
SLACK = ROUNDS // 5


def archive(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return packed.getvalue()


class Refusing(http.server.BaseHTTPRequestHandler):
    """A registry that has nothing and takes nothing."""

    def do_GET(self):
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass


class LeakTest(EngineCase):
    def refusing_registry(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"127.0.0.1:{server.server_port}"

    def send(self, method, path, body=None, kind="application/json"):
        """Status and the whole answer of one request, on a connection of its own."""
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(self.socket)
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        connection.request(method, path, body=body, headers={"Content-Type": kind})
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        except http.client.IncompleteRead as error:
            return answer.status, error.partial
        finally:
            connection.close()

    def holdings(self):
        """Of the engine, and the descriptors of those it has started."""
        process = f"/proc/{self.engine.pid}"
        children = []
        for task in os.listdir(f"{process}/task"):
            try:
                with open(f"{process}/task/{task}/children") as file:
                    children += file.read().split()
            except FileNotFoundError:
                continue  # A thread that has just ended.
        descriptors = 0
        for child in children:
            try:
                descriptors += len(os.listdir(f"/proc/{child}/fd"))
            except (FileNotFoundError, ProcessLookupError):
                continue
        with open(f"{process}/mountinfo") as file:
            mounts = len(file.readlines())
        return {"descriptors": len(os.listdir(f"{process}/fd")), "mounts": mounts, "children": len(children),
                "threads": len(os.listdir(f"{process}/task")), "descriptors of children": descriptors}

    def most_in_a_second(self):
        most = self.holdings()
        for _ in range(10):
            time.sleep(0.1)
            most = {kind: max(number, most[kind]) for kind, number in self.holdings().items()}
        return most

    def repeat(self, name, action):
        with self.subTest(name):
            for _ in range(3):
                action()
            before = self.most_in_a_second()
            for _ in range(ROUNDS):
                action()
            after = {}

            def is_as_before():
                after.update(self.holdings())
                return all(after[kind] <= before[kind] + SLACK for kind in before)

            try:
                wait_until(is_as_before, seconds=20)
            except AssertionError:
                self.fail(f"before {before}, after {ROUNDS} rounds {after}")

    def fails(self, method, path, body=None, status=None, kind="application/json", says=b""):
        code, text = self.send(method, path, body, kind)
        if status is not None:
            self.assertEqual(code, status, text)
        self.assertIn(says, text)

    def create(self, name, **settings):
        code, text = self.send("POST", f"/containers/create?name={name}", {"Image": "busybox"} | settings)
        self.assertEqual(code, 201, text)

    def test_execs(self):
        self.up_box("executed", "while true; do sleep 1; done")

        def execute(status, **settings):
            code, text = self.send("POST", "/containers/executed-box-1/exec", settings)
            self.assertEqual(code, 201, text)
            self.fails("POST", f"/exec/{json.loads(text)['Id']}/start", {"Detach": False}, status)

        self.repeat("no such program", lambda: execute(200, Cmd=["/no/such"]))
        self.repeat("no such folder", lambda: execute(200, Cmd=["true"], WorkingDir="/no/such"))
        self.repeat("no such user", lambda: execute(200, Cmd=["true"], User="nobody-there"))
        self.repeat("it ends with an error", lambda: execute(200, Cmd=["false"]))

    def test_starts(self):
        def start(status, **settings):
            self.create("failing", **settings)
            self.fails("POST", "/containers/failing/start", None, status)
            self.assertEqual(self.send("DELETE", "/containers/failing?force=1&v=1")[0], 204)

        port = free_port()
        taken = socket.create_server(("127.0.0.1", port))
        self.addCleanup(taken.close)
        publish = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
        self.repeat("no such program", lambda: start(400, Cmd=["/no/such"]))
        self.repeat("no such folder", lambda: start(None, Cmd=["true"], WorkingDir="/bin/sh"))
        self.repeat("port in use", lambda: start(500, Cmd=["sleep", "9"], HostConfig=publish))
        self.repeat("no such volume", lambda: start(
            None, Cmd=["true"], HostConfig={"Mounts": [{
                "Type": "volume", "Target": "/data", "VolumeOptions": {"DriverConfig": {
                    "Name": "local", "Options": {"type": "ext4", "device": "/no/such"}}}}]}))
        self.repeat("killed at once", lambda: start(204, Cmd=["sleep", "99"]))

    def test_healthchecks(self):
        self.create("sick", Cmd=["sleep", "600"], Healthcheck={
            "Test": ["CMD", "/no/such"], "Interval": 50_000_000, "Timeout": 1_000_000_000, "Retries": 1})
        self.addCleanup(self.send, "DELETE", "/containers/sick?force=1")
        self.assertEqual(self.send("POST", "/containers/sick/start")[0], 204)

        def checks():
            return json.loads(self.send("GET", "/containers/sick/json")[1])["State"]["Health"]["FailingStreak"]

        def more():
            count = checks()
            wait_until(lambda: checks() > count, what="a check")

        self.repeat("a check without its program", more)

    def test_archives(self):
        self.up_box("archived", "while true; do sleep 1; done")
        box = "/containers/archived-box-1"
        whole = archive({"file": b"x" * 100_000})
        tar = "application/x-tar"
        self.repeat("load of no archive", lambda: self.fails("POST", "/images/load", b"x" * 5000, None, tar))
        self.repeat("load of half an archive", lambda: self.fails("POST", "/images/load", whole[:50_000], None, tar))
        self.repeat("import of half", lambda: self.fails(
            "POST", "/images/create?fromSrc=-", whole[:50_000], None, tar, b"rror"))
        self.repeat("copy of half", lambda: self.fails("PUT", f"{box}/archive?path=/tmp", whole[:50_000], None, tar))
        self.repeat("copy to no folder", lambda: self.fails("PUT", f"{box}/archive?path=/no/such", whole, 404, tar))
        self.repeat("copy of what is not there", lambda: self.fails("GET", f"{box}/archive?path=/no/such", None, 404))

    def test_images(self):
        registry = self.refusing_registry()
        self.repeat("pull that is refused", lambda: self.fails(
            "POST", f"/images/create?fromImage={registry}/x&tag=y", None, None, says=b"enied"))
        self.assertEqual(self.send("POST", f"/images/busybox/tag?repo={registry}/x&tag=y")[0], 201)
        self.repeat("push that is refused", lambda: self.fails(
            "POST", f"/images/{registry}/x/push?tag=y", None, None, says=b"enied"))
        self.repeat("no such image", lambda: self.fails("GET", "/images/no-such/get", None, 404))

    def test_builds(self):
        def build(dockerfile, says):
            self.fails("POST", "/build", archive({"Dockerfile": dockerfile}), None, "application/x-tar", says)

        self.repeat("no Dockerfile", lambda: self.fails(
            "POST", "/build", archive({"other": b""}), None, "application/x-tar", b"Dockerfile"))
        self.repeat("half a context", lambda: self.fails(
            "POST", "/build", archive({"Dockerfile": b"FROM busybox\n" * 9999})[:20_000], None, "application/x-tar"))
        registry = self.refusing_registry()
        self.repeat("no such base", lambda: build(f"FROM {registry}/x\n".encode(), b"rror"))
        self.repeat("a step that fails", lambda: build(b"FROM busybox\nRUN false\n", b"rror"))
        self.repeat("a step without its program", lambda: build(b'FROM busybox\nRUN ["/no/such"]\n', b"rror"))

    def test_networks_and_stacks(self):
        wrong = {"Name": "wrong", "IPAM": {"Config": [{"Subnet": "192.0.2.0/24"}]}}
        self.repeat("a taken subnet", lambda: self.fails("POST", "/networks/create", wrong, None, says=b"message"))

        def make():
            code, text = self.send("POST", "/networks/create", {"Name": "passing"})
            self.assertEqual(code, 201, text)
            self.fails("POST", "/networks/passing/connect", {"Container": "no-such"}, 404)
            self.assertEqual(self.send("DELETE", "/networks/passing")[0], 204)

        self.repeat("nobody to connect", make)
        folder = self.stack("services: {box: {image: busybox, command: /no/such, restart: 'no'}}", "unstartable")
        self.repeat("a stack that does not start", lambda: self.assertNotEqual(
            self.gantry("up", "-d", folder=folder).returncode, 0))
        self.gantry_ok("down", folder=folder)

    def ok(self, method, path, body=None, kind="application/json"):
        status, answer = self.send(method, path, body, kind)
        self.assertLess(status, 300, answer)
        return answer

    def test_what_goes_well_with_containers(self):
        box = "/containers/steady-box-1"
        folder = self.up_box("steady", "while true; do echo line; sleep 1; done")
        tar = "application/x-tar"

        def execute():
            made = json.loads(self.ok("POST", f"{box}/exec", {"Cmd": ["true"], "AttachStdout": True}))
            self.ok("POST", f"/exec/{made['Id']}/start", {"Detach": False})

        def network():
            self.ok("POST", "/networks/create", {"Name": "passing"})
            self.ok("POST", "/networks/passing/connect", {"Container": "steady-box-1"})
            self.ok("POST", "/networks/passing/disconnect", {"Container": "steady-box-1"})
            self.ok("DELETE", "/networks/passing")

        self.repeat("exec", execute)
        self.repeat("network", network)
        self.repeat("logs", lambda: self.ok("GET", f"{box}/logs?stdout=1&tail=5"))
        self.repeat("stats", lambda: self.ok("GET", f"{box}/stats?stream=0&one-shot=1"))
        self.repeat("copy in", lambda: self.ok("PUT", f"{box}/archive?path=/tmp", archive({"file": b"text"}), tar))
        self.repeat("copy out", lambda: self.ok("GET", f"{box}/archive?path=/bin/busybox"))
        self.repeat("top", lambda: self.ok("GET", f"{box}/top"))
        self.repeat("restart", lambda: self.ok("POST", f"{box}/restart?t=0"))
        self.repeat("scale", lambda: [
            self.gantry_ok("up", "-d", "--scale", f"box={count}", folder=folder) for count in (2, 1)])
        self.repeat("replace", lambda: self.gantry_ok("up", "-d", "--force-recreate", folder=folder))
        self.repeat("up and down", lambda: [
            self.gantry_ok(*words, folder=folder) for words in (("down",), ("up", "-d"))])

    def test_what_goes_well_with_images(self):
        tar = "application/x-tar"
        context = archive({"Dockerfile": b"FROM busybox\nRUN true\nCOPY Dockerfile /\n"})

        def build():
            self.assertIn(b"uccessfully", self.ok("POST", "/build?t=made&nocache=1", context, tar))
            self.ok("DELETE", "/images/made")

        saved = self.ok("GET", "/images/busybox/get")
        self.repeat("build", build)
        self.repeat("save", lambda: self.ok("GET", "/images/busybox/get"))
        self.repeat("load", lambda: self.ok("POST", "/images/load", saved, tar))
        self.repeat("import", lambda: self.ok(
            "POST", "/images/create?fromSrc=-&repo=imported", archive({"file": b"text"}), tar))
        self.create("exported", Cmd=["true"])
        self.addCleanup(self.send, "DELETE", "/containers/exported")
        self.repeat("export", lambda: self.ok("GET", "/containers/exported/export"))
        self.repeat("commit", lambda: self.ok("POST", "/commit?container=exported&repo=committed", {}))
