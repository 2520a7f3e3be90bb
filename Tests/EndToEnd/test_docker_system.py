"""Docker's own clients against the engine: what is not about containers. The command line must be 23 or newer, for older
ones speak another dialect in places; docker-py is optional, too."""

import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

from harness import EngineCase, free_port, wait_until
from test_registry import CONFIG, HTPASSWD

try:
    import docker
except ImportError:
    docker = None


def docker_version():
    """Of the installed command line, as a number; 0 without one."""
    if not shutil.which("docker"):
        return 0
    text = subprocess.run(["docker", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)\.", text)
    return int(found[1]) if found else 0


class APICase(EngineCase):
    def call(self, method, path, body=None, headers=None):
        """Status, headers and body of one request."""
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.headers, data

    def message(self, method, path, body=None, headers=None):
        status, _, data = self.call(method, path, body, headers)
        return status, json.loads(data)["message"]


class WireTest(APICase):
    def test_headers_and_versions(self):
        for path in ("/_ping", "/v1.24/_ping", "/v1.44/_ping"):
            status, headers, data = self.call("GET", path)
            self.assertEqual((status, data), (200, b"OK"))
            self.assertEqual(headers["Api-Version"], "1.44")
            self.assertEqual(headers["Ostype"], "linux")
            self.assertEqual(headers["Docker-Experimental"], "false")
            self.assertEqual(headers["Builder-Version"], "1")
            self.assertEqual(headers["Swarm"], "inactive")
            self.assertEqual(headers["Cache-Control"], "no-cache, no-store, must-revalidate")
            self.assertRegex(headers["Server"], r"^Gantry/\S+ \(linux\)$")
            self.assertRegex(headers["Date"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        status, headers, data = self.call("HEAD", "/_ping")
        self.assertEqual((status, data, headers["Content-Length"]), (200, b"", "0"))
        status, headers, _ = self.call("GET", "/v1.30/nothing")
        self.assertEqual((status, headers["Api-Version"], headers["Content-Type"]), (404, "1.44", "application/json"))
        self.assertEqual(self.message("GET", "/nothing"), (404, "page not found"))
        self.assertEqual(self.message("GET", "/v9.99/info")[1],
                         "client version 9.99 is too new. Maximum supported API version is 1.44")
        status, headers, data = self.call("GET", "/v1.12/info")
        self.assertEqual(status, 400)
        self.assertTrue(headers["Content-Type"].startswith("text/plain"))
        self.assertIn(b"client version 1.12 is too old. Minimum supported API version is 1.24", data)

    def test_filters(self):
        self.assertEqual(self.message("GET", "/volumes?filters=%7B%22x%22%3A%5B%22y%22%5D%7D")[0], 400)
        self.assertIn("invalid filter 'x'", self.message("GET", "/volumes?filters=%7B%22x%22%3A%5B%22y%22%5D%7D")[1])
        for path in ("/volumes/prune", "/images/prune", "/networks/prune", "/containers/prune", "/build/prune"):
            self.assertEqual(self.message("POST", path + "?filters=%7B%22label%22")[0], 400, path)
        self.assertEqual(self.call("POST", "/build/prune?filters=")[0], 200)

    def test_what_is_absent_says_so(self):
        for path in ("/nodes", "/services", "/tasks", "/secrets", "/configs/x", "/swarm"):
            status, text = self.message("GET", path)
            self.assertEqual(status, 503, path)
            self.assertIn("This node is not a swarm manager", text)
        self.assertEqual(json.loads(self.call("GET", "/plugins")[2]), [])
        self.assertEqual(self.message("GET", "/plugins/a/b/json")[0], 404)
        self.assertEqual(self.message("GET", "/images/search?term=x")[0], 501)
        self.assertEqual(self.call("OPTIONS", "/info")[0], 200)

    def test_bodies(self):
        self.assertEqual(self.call("POST", "/volumes/create")[0], 201)
        self.assertEqual(self.call("POST", "/volumes/create", b"null")[0], 201)
        status, _, data = self.call("POST", "/volumes/create", json.dumps(
            {"Name": "odd", "Driver": "", "DriverOpts": None, "Labels": None, "ClusterVolumeSpec": None, "New": 1}),
            {"Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(status, 201, data)
        self.assertEqual(self.call("DELETE", "/volumes/odd?force=False")[0], 204)
        self.assertEqual(self.call("DELETE", "/volumes/odd?force=True")[0], 204)
        self.assertEqual(self.call("DELETE", "/volumes/odd?force=0")[0], 404)
        self.assertEqual(self.message("POST", "/volumes/create", b"{")[0], 400)
        self.call("POST", "/v1.41/volumes/prune")

    def test_volumes_without_a_name(self):
        identity = json.loads(self.call("POST", "/volumes/create", b"{}")[2])
        self.assertRegex(identity["Name"], "^[0-9a-f]{64}$")
        self.assertIn("com.docker.volume.anonymous", identity["Labels"])
        self.call("POST", "/volumes/create", b'{"Name": "named"}')
        pruned = json.loads(self.call("POST", "/v1.42/volumes/prune")[2])["VolumesDeleted"]
        self.assertIn(identity["Name"], pruned)
        self.assertNotIn("named", pruned)
        self.assertIn("named", json.loads(self.call("POST", "/v1.41/volumes/prune")[2])["VolumesDeleted"])

    # Streams

    def open_stream(self, path, agent="test", method="GET"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(self.socket)
        upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if method == "POST" else ""
        connection.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: docker\r\nUser-Agent: {agent}\r\n{upgrade}\r\n".encode())
        return connection

    def facts(self):
        with open(f"/proc/{self.engine.pid}/status") as file:
            resident = int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1])
        return len(os.listdir(f"/proc/{self.engine.pid}/fd")), resident

    def test_events_end_and_begin_at_once(self):
        with self.open_stream("/events") as connection:
            self.assertIn(b"200 OK", connection.recv(4096))
            self.gantry_ok("tag", "busybox", "busybox:told")
            text = connection.recv(65536)
            event = json.loads(text.split(b"\r\n")[1])
            self.assertEqual((event["Type"], event["Action"], event["status"]), ("image", "tag", "tag"))
            self.assertEqual(event["id"], event["Actor"]["ID"])
            self.assertEqual(event["time"], event["timeNano"] // 10**9)
        began = time.time()
        status, _, data = self.call("GET", f"/events?since=0&until={began - 1:.6f}")
        self.assertEqual(status, 200)
        self.assertLess(time.time() - began, 15)
        self.gantry_ok("rmi", "busybox:told")
        lines = [json.loads(line) for line in self.call(
            "GET", f"/events?since={began:.9f}&until={time.time() + 1:.9f}"
            "&filters=%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%7B%22untag%22%3Atrue%7D%7D")[2].splitlines()]
        self.assertEqual([line["Action"] for line in lines], ["untag"])

    def test_aborted_streams_leave_nothing(self):
        self.up_box("aborted", "while true; do echo line; sleep 0.2; done")
        logs = "/containers/aborted-box-1/logs?follow=1&stdout=1&tail=1"
        attach = "/containers/aborted-box-1/attach?stream=1&stdout=1&stdin=1"
        for method, path, answer in (("GET", "/events", b"200 OK"), ("GET", logs, b"200 OK"),
                                     ("POST", attach, b"101 UPGRADED")):
            with self.subTest(path):
                self.abort_streams(method, path, answer)

    def abort_streams(self, method, path, answer):
        def round_of(count):
            for _ in range(count // 50):
                streams = [self.open_stream(path, method=method) for _ in range(50)]
                for stream in streams:
                    self.assertIn(answer, stream.recv(4096))
                for stream in streams:
                    stream.close()

        def settle():
            wait_until(lambda: json.loads(self.call("GET", "/info")[2])["NEventsListener"] == 0, what="listeners to end")

        round_of(500)
        settle()
        before = self.settled_descriptors()
        resident = self.facts()[1]
        round_of(1000)
        settle()
        wait_until(lambda: self.facts()[0] <= before + 4, what="descriptors to be closed")
        self.assertLess(self.facts()[1], resident + (8 << 10))

    def settled_descriptors(self):
        """The number, once it is the same for a second."""
        counts = []

        def is_settled():
            counts.append(self.facts()[0])
            return len(counts) > 10 and len(set(counts[-10:])) == 1

        wait_until(is_settled, what="descriptors to be closed", interval=0.1)
        return counts[-1]

    def test_more_followers_than_watches(self):
        """The kernel gives root 128 inotify instances as a rule: 200 followers take one, and all hear each line."""
        self.up_box("followed", "trap 'echo told' USR1; echo ready; while true; do sleep 0.1; done")
        logs = "/containers/followed-box-1/logs?follow=1&stdout=1"
        streams = [self.open_stream(logs) for _ in range(200)]
        for stream in streams:
            self.addCleanup(stream.close)

        def heard(stream, word):
            text = b""
            while word not in text:
                piece = stream.recv(4096)
                self.assertTrue(piece, text)
                text += piece

        for stream in streams:
            heard(stream, b"ready")
        for _ in range(3):
            self.assertEqual(self.call("POST", "/containers/followed-box-1/kill?signal=USR1")[0], 204)
            for stream in streams:
                heard(stream, b"told")
        self.assertEqual(self.call("POST", "/containers/followed-box-1/stop?t=0")[0], 204)
        for stream in streams:
            heard(stream, b"0\r\n\r\n")

    def test_followers_that_do_not_read(self):
        """Each of 50 has megabytes to read and takes none: who reads is served at once, and nothing grows."""
        self.up_box("chatty", "head -c 20000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; echo; echo end; sleep 1000")
        logs = "/containers/chatty-box-1/logs?follow=1&stdout=1"
        wait_until(lambda: b"end" in self.call("GET", logs.replace("follow=1", "tail=1"))[2], what="the output")
        slow = [self.open_stream(logs) for _ in range(50)]
        for stream in slow:
            self.addCleanup(stream.close)
            self.assertIn(b"200 OK", stream.recv(100))
        resident = self.facts()[1]
        began = time.monotonic()
        self.assertGreater(len(self.call("GET", logs.replace("follow=1", "follow=0"))[2]), 20_000_000)
        for _ in range(50):
            self.assertEqual(self.call("GET", "/containers/json")[0], 200)
        self.assertLess(time.monotonic() - began, 20)
        self.assertLess(self.facts()[1], resident + (32 << 10))

    def test_a_client_that_does_not_read_holds_nobody_up(self):
        slow = self.open_stream("/events")
        self.addCleanup(slow.close)
        with self.open_stream("/events") as reader:
            reader.recv(4096)
            for number in range(40):
                self.assertEqual(self.call("POST", "/volumes/create", json.dumps(
                    {"Name": f"slow{number}", "Labels": {"x": "y" * 4000}}))[0], 201)
            began = time.monotonic()
            self.assertEqual(self.call("GET", "/info")[0], 200)
            self.assertLess(time.monotonic() - began, 15)
            heard = b""
            while heard.count(b'"Action":"create"') < 40:
                heard += reader.recv(1 << 16)
        self.call("POST", "/v1.41/volumes/prune")

    # Builds

    def context(self, files, packing=""):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode=f"w:{packing}") as tar:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
        return data.getvalue()

    def build(self, query, files, packing=""):
        return self.call("POST", f"/build?{query}", self.context(files, packing), {"Content-Type": "application/x-tar"})

    def test_build_takes_any_packing(self):
        for packing in ("", "gz", "bz2", "xz"):
            status, _, data = self.build("t=packed", {"Dockerfile": f"FROM busybox\nLABEL p=x{packing}\n"}, packing)
            self.assertEqual(status, 200, data)
            lines = [json.loads(line) for line in data.split(b"\r\n") if line]
            self.assertEqual(lines[-1], {"stream": "Successfully tagged packed:latest\n"})
            self.assertRegex(lines[-3]["aux"]["ID"], "^sha256:[0-9a-f]{64}$")
        self.gantry_ok("rmi", "packed")

    def test_build_says_what_is_wrong(self):
        self.assertEqual(self.message("POST", "/build", self.context({"x": "y"})),
                         (400, "Cannot locate specified Dockerfile: Dockerfile"))
        self.assertEqual(self.message("POST", "/build?dockerfile=../x", self.context({"x": "y"}))[0], 400)
        self.assertEqual(self.message("POST", "/build?version=2", self.context({"x": "y"}))[0], 400)
        status, text = self.message("POST", "/build", self.context({"Dockerfile": "FROM busybox\nFLY away\n"}))
        self.assertEqual(status, 400)
        self.assertRegex(text, "^dockerfile parse error on line 2: .*FLY")
        self.assertEqual(self.message("POST", "/build?buildargs=%7B", self.context({"x": "y"}))[0], 400)
        self.assertEqual(self.message("POST", "/build?t=Bad", self.context({"x": "y"}))[0], 400)
        self.assertEqual(self.message("POST", "/build", b"no tar at all, but long enough to be looked at")[0], 400)

    def test_a_client_that_goes_away_ends_its_build(self):
        body = self.context({"Dockerfile": "FROM busybox\nRUN echo begun; sleep 987\n"})
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(self.socket)
        connection.sendall(b"POST /build?nocache=1 HTTP/1.1\r\nHost: docker\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        text = b""
        while b"begun\\n" not in text:
            text += connection.recv(65536)
        connection.close()

        def is_gone():
            listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
            return "sleep 987" not in listed
        wait_until(is_gone, what="the build's process to end")


@unittest.skipUnless(docker_version() >= 23, "needs Docker's command line, version 23 or newer")
class DockerCommandTest(EngineCase):
    """Docker's command line, with a configuration of its own."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="gantry-e2e-docker-")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.registry = None
        super().setUpClass()

    def docker(self, *arguments, input=None, timeout=120, env=None):
        return subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", *arguments], capture_output=True, text=True, input=input or "",
            timeout=timeout, env=os.environ | {"DOCKER_CONFIG": self.home, "DOCKER_BUILDKIT": "0"} | (env or {}))

    def docker_ok(self, *arguments, **more):
        result = self.docker(*arguments, **more)
        self.assertEqual(result.returncode, 0, f"docker {' '.join(arguments)}\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def refused(self, words, *arguments, code=1, **more):
        result = self.docker(*arguments, **more)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(words, result.stderr)

    def test_version_and_info(self):
        text = self.docker_ok("version")
        self.assertRegex(text, r"Server: Gantry\n Engine:\n  Version: +\S+\n  API version: +1\.44 \(minimum version 1\.24\)")
        self.assertEqual(self.docker_ok("version", "-f", "{{.Server.Os}} {{.Client.APIVersion}}"), "linux 1.44\n")
        text = self.docker_ok("info")
        for line in (r"^ Storage Driver: overlay2$", r"^ Cgroup Version: [12]$", r"^ Default Runtime: gantry$",
                     r"^ Swarm: inactive$", r"^ Kernel Version: \S+", r"^ CPUs: \d+$", r"^ Total Memory: .*iB$",
                     r"^ Logging Driver: json-file$", r"^ Images: [1-9]", r"^ Docker Root Dir: /"):
            self.assertRegex(text, re.compile(line, re.M))
        self.assertEqual(self.docker_ok("info", "-f", "{{.OSType}} {{.Swarm.LocalNodeState}}"), "linux inactive\n")

    def test_volumes(self):
        self.assertEqual(self.docker_ok("volume", "create", "--label", "team=blue", "data"), "data\n")
        self.assertEqual(self.docker_ok("volume", "create", "data"), "data\n")
        self.assertRegex(self.docker_ok("volume", "ls"), r"DRIVER +VOLUME NAME\nlocal +data\n")
        self.assertEqual(self.docker_ok("volume", "ls", "-q", "-f", "label=team=blue"), "data\n")
        self.assertEqual(self.docker_ok("volume", "ls", "-q", "-f", "name=^dat$"), "")
        self.assertEqual(self.docker_ok("volume", "ls", "-q", "-f", "dangling=false"), "")
        self.refused("invalid filter 'colour'", "volume", "ls", "-f", "colour=red")
        shown = json.loads(self.docker_ok("volume", "inspect", "data"))[0]
        self.assertEqual((shown["Driver"], shown["Scope"], shown["Labels"]), ("local", "local", {"team": "blue"}))
        self.assertTrue(os.path.isdir(shown["Mountpoint"]))
        self.refused("no such volume", "volume", "inspect", "nothing")
        self.refused("not found", "volume", "create", "-d", "nfs", "other")
        self.refused("needs a device", "volume", "create", "-o", "type=tmpfs", "other")
        self.refused("invalid characters", "volume", "create", "a/b")
        folder = self.stack("""
            services: {app: {image: busybox, command: ["sleep", "1000"], volumes: ["data:/data"]}}
            volumes: {data: {external: true}}
            """, "uses")
        self.gantry_ok("up", "-d", folder=folder)
        self.refused("volume is in use", "volume", "rm", "data")
        self.assertEqual(self.docker_ok("volume", "ls", "-q", "-f", "dangling=false"), "data\n")
        self.gantry_ok("down", "-t", "0", folder=folder)
        self.assertEqual(self.docker_ok("volume", "rm", "data"), "data\n")
        self.refused("no such volume", "volume", "rm", "data")
        self.docker_ok("volume", "rm", "-f", "data")
        name = self.docker_ok("volume", "create").strip()
        self.docker_ok("volume", "create", "kept")
        text = self.docker_ok("volume", "prune", "-f")
        self.assertIn(name, text)
        self.assertNotIn("kept", text)
        self.assertIn("Total reclaimed space: 0B", text)
        self.assertIn("kept", self.docker_ok("volume", "prune", "-f", "-a"))

    def test_gantrys_own_volume_command(self):
        self.assertEqual(self.gantry_ok("volume", "create", "--label", "a=b", "own").stdout, "own\n")
        self.assertRegex(self.gantry_ok("volume", "ls").stdout, r"^DRIVER +VOLUME NAME\nlocal +own\n")
        self.assertEqual(self.gantry_ok("volume", "inspect", "-f", "{{.Labels.a}}", "own").stdout, "b\n")
        self.assertEqual(json.loads(self.gantry_ok("volume", "inspect", "own").stdout),
                         json.loads(self.docker_ok("volume", "inspect", "own")))
        self.assertIn("no such volume", self.gantry("volume", "rm", "nothing").stderr)
        self.gantry_ok("volume", "rm", "-f", "nothing")
        self.assertEqual(self.gantry_ok("volume", "prune", "-f").stdout, "Total reclaimed space: 0B\n")
        self.assertIn("own\n", self.gantry_ok("volume", "prune", "-af").stdout)

    def test_networks(self):
        identity = self.docker_ok("network", "create", "--subnet", "10.215.0.0/24", "--label", "team=red", "lan").strip()
        self.assertRegex(identity, "^[0-9a-f]{64}$")
        self.assertIn("lan", self.docker_ok("network", "ls", "-f", "label=team=red"))
        shown = json.loads(self.docker_ok("network", "inspect", "lan"))[0]
        self.assertEqual(shown["IPAM"]["Config"][0]["Subnet"], "10.215.0.0/24")
        self.refused("already exists", "network", "create", "lan")
        self.assertEqual(self.docker_ok("network", "rm", "lan"), "lan\n")
        self.refused("not found", "network", "inspect", "lan")
        self.docker_ok("network", "create", "unused")
        self.assertIn("unused", self.docker_ok("network", "prune", "-f"))
        names = self.docker_ok("network", "ls", "--format", "{{.Name}}").split()
        self.assertLessEqual({"host", "none"}, set(names))

    def test_images(self):
        self.docker_ok("tag", "busybox", "shown:1")
        self.assertRegex(self.docker_ok("images"), r"(?m)^shown +1 +[0-9a-f]{12} +.* ago +[\d.]+[kM]B$")
        shown = json.loads(self.docker_ok("image", "inspect", "shown:1"))[0]
        self.assertIn("shown:1", shown["RepoTags"])
        self.assertEqual(shown["Config"]["Cmd"], ["sh"])
        self.assertRegex(self.docker_ok("history", "shown:1"), r"^IMAGE +CREATED")
        archive = f"{self.home}/shown.tar"
        self.docker_ok("save", "-o", archive, "shown:1")
        self.assertIn("Untagged: shown:1", self.docker_ok("rmi", "shown:1"))
        self.assertEqual(self.docker_ok("load", "-i", archive), "Loaded image: shown:1\n")
        with open(archive, "rb") as file, open(f"{archive}.gz", "wb") as packed:
            subprocess.run(["gzip", "-c"], stdin=file, stdout=packed, check=True)
        self.assertEqual(self.docker_ok("load", "-i", f"{archive}.gz"), "Loaded image: shown:1\n")
        tree = f"{self.home}/tree.tar"
        with tarfile.open(tree, "w") as tar:
            tar.addfile(tarfile.TarInfo("etc"))
        self.assertRegex(self.docker_ok("import", "-c", "ENV a=b", tree, "tree:1"), "^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(self.docker_ok("image", "inspect", "-f", "{{.Config.Env}}", "tree:1"), "[a=b]\n")
        self.refused("No such image", "image", "inspect", "nothing:1")
        self.refused("invalid filter 'colour'", "images", "-f", "colour=red")
        self.docker_ok("rmi", "tree:1", "shown:1")

    def start_registry(self):
        self.port = free_port()
        folder = tempfile.mkdtemp(dir=self.home)
        with open(f"{folder}/htpasswd", "w") as file:
            file.write(HTPASSWD)
        with open(f"{folder}/config.yml", "w") as file:
            file.write(CONFIG.format(root=folder, port=self.port))
        registry = subprocess.Popen(
            ["docker-registry", "serve", f"{folder}/config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(registry.wait)
        self.addCleanup(registry.kill)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(listens, what="the registry")
        return f"localhost:{self.port}"

    @unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is missing")
    def test_a_registry(self):
        host = self.start_registry()
        self.refused("unauthorized", "login", "-u", "tester", "--password-stdin", host, input="wrong")
        name = f"{host}/team/app:1"
        self.docker_ok("tag", "busybox", name)
        self.refused("unauthorized", "push", name)
        self.assertIn("Login Succeeded",
                      self.docker_ok("login", "-u", "tester", "--password-stdin", host, input="secret"))
        text = self.docker_ok("push", name)
        self.assertRegex(text, rf"The push refers to repository \[{host}/team/app\]")
        self.assertRegex(text, r"(?m)^1: digest: sha256:[0-9a-f]{64} size: \d+$")
        self.docker_ok("tag", "busybox", f"{host}/team/app:2")
        self.docker_ok("push", "-a", f"{host}/team/app")
        digest = self.docker_ok("image", "inspect", "-f", "{{index .RepoDigests 0}}", name).strip()
        self.assertIn("@sha256:", digest)
        self.docker_ok("rmi", name, f"{host}/team/app:2")
        text = self.docker_ok("pull", name)
        self.assertRegex(text, rf"(?m)^Status: Downloaded newer image for {name}$")
        self.assertIn(f"Status: Image is up to date for {name}", self.docker_ok("pull", name))
        self.refused("not found", "pull", f"{host}/team/app:none")
        self.docker_ok("rmi", name)
        self.docker_ok("pull", "-a", f"{host}/team/app")
        self.assertEqual(sorted(self.docker_ok("images", "--format", "{{.Tag}}", f"{host}/team/app").split()), ["1", "2"])
        # A base image that only its credentials can get.
        self.docker_ok("rmi", name, f"{host}/team/app:2")
        self.docker_ok("build", "-t", "from-registry", "-", input=f"FROM {name}\nLABEL x=y\n")
        self.docker_ok("rmi", "from-registry", name)
        self.docker_ok("logout", host)
        self.refused("unauthorized", "pull", name)

    def context(self, text, **files):
        folder = tempfile.mkdtemp(dir=self.home)
        for name, content in {"Dockerfile": text, **files}.items():
            with open(f"{folder}/{name}", "w") as file:
                file.write(content)
        return folder

    def test_build(self):
        folder = self.context("FROM busybox AS base\nARG WHO=nobody\nRUN echo hello $WHO\nCOPY data /data\n"
                              "FROM base\nENV a=b\nCMD [\"cat\", \"/data\"]\n", data="x")
        text = self.docker_ok("build", "-t", "made:1", "-t", "made:2", "--build-arg", "WHO=you", "--label", "l=m", folder)
        for line in (r"^Step 1/7 : FROM busybox AS base$", r"^Step 3/7 : RUN echo hello [$]WHO$",
                     r"^ ---> Running in [0-9a-f]{12}$", r"^hello you$", r"^Removing intermediate container [0-9a-f]{12}$",
                     r"^Step 7/7 : CMD ", r"^Successfully built [0-9a-f]{12}$", r"^Successfully tagged made:1$",
                     r"^Successfully tagged made:2$"):
            self.assertRegex(text, re.compile(line, re.M))
        identity = self.docker_ok("image", "inspect", "-f", "{{.Id}} {{.Config.Labels.l}}", "made:1").strip()
        again = self.docker_ok("build", "--iidfile", f"{self.home}/iid", "--build-arg", "WHO=you", "--label", "l=m", folder)
        self.assertIn(" ---> Using cache\n", again)
        self.assertNotIn("Running in", again)
        with open(f"{self.home}/iid") as file:
            self.assertEqual(file.read() + " m", identity)
        self.assertEqual(self.docker_ok("build", "-q", "--build-arg", "WHO=you", "--label", "l=m", folder).strip() + " m", identity)
        self.assertIn("Running in", self.docker_ok("build", "--no-cache", folder))
        failing = self.docker("build", self.context("FROM busybox\nRUN exit 9\n"))
        self.assertEqual(failing.returncode, 9, failing.stderr)
        self.assertIn("The command '/bin/sh -c exit 9' returned a non-zero code: 9", failing.stderr)
        self.refused("dockerfile parse error on line 2", "build", self.context("FROM busybox\nFLY\n"))
        other = self.context("FROM scratch\n", Other="FROM busybox\nLABEL other=yes\n")
        self.docker_ok("build", "-t", "made:3", "-f", f"{other}/Other", other)
        self.assertEqual(self.docker_ok("build", "--target", "base", "-q", folder).count("sha256:"), 1)
        self.docker_ok("rmi", "made:1", "made:2", "made:3")
        self.assertRegex(self.docker_ok("builder", "prune", "-f", "-a"), r"Total( reclaimed space)?:\s+\S+B")

    def test_events(self):
        began = time.time()
        self.docker_ok("volume", "create", "--label", "x=y", "told")
        self.docker_ok("tag", "busybox", "told:1")
        self.docker_ok("network", "create", "told-net")
        self.docker_ok("network", "rm", "told-net")
        self.docker_ok("rmi", "told:1")
        self.docker_ok("volume", "rm", "told")
        window = ["--since", f"{began:.6f}", "--until", f"{time.time():.6f}"]
        lines = [json.loads(line) for line in
                 self.docker_ok("events", *window, "--format", "{{json .}}").splitlines()]
        self.assertEqual([(line["Type"], line["Action"]) for line in lines], [
            ("volume", "create"), ("image", "tag"), ("network", "create"), ("network", "destroy"), ("image", "untag"),
            ("volume", "destroy")])
        network = [line["Actor"] for line in lines if line["Type"] == "network"]
        self.assertRegex(network[0]["ID"], "^[0-9a-f]{64}$")
        self.assertEqual(network[0], network[1])
        self.assertEqual(network[0]["Attributes"], {"name": "told-net", "type": "bridge"})
        text = self.docker_ok("events", *window, "--filter", "type=volume", "--filter", "event=create")
        self.assertRegex(text, r"^\S+ volume create told \(driver=local\)\n$")
        self.assertEqual(self.docker_ok("events", "--since", "0", "--until", "1"), "")
        self.refused("invalid filter 'colour'", "events", "--filter", "colour=red")
        following = subprocess.Popen(
            ["docker", "-H", f"unix://{self.socket}", "events", "--filter", "volume=live", "--format", "{{.Action}}"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(following.stdout.close)
        self.addCleanup(following.wait)
        self.addCleanup(following.kill)
        wait_until(lambda: json.loads(self.docker_ok("info", "-f", "{{json .NEventsListener}}")) > 0, what="a listener")
        self.docker_ok("volume", "create", "live")
        self.assertEqual(following.stdout.readline(), "create\n")
        self.docker_ok("volume", "rm", "live")
        self.assertEqual(following.stdout.readline(), "destroy\n")

    def test_df_and_prune(self):
        self.docker_ok("volume", "create", "sized")
        text = self.docker_ok("system", "df")
        self.assertRegex(text, r"^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +\d+ ")
        for name in ("Containers", "Local Volumes", "Build Cache"):
            self.assertRegex(text, rf"(?m)^{name} +\d+ ")
        self.assertRegex(self.docker_ok("system", "df", "-v"), r"(?m)^sized +0 +0B$")
        self.docker_ok("network", "create", "lonely")
        text = self.docker_ok("system", "prune", "-f")
        self.assertIn("Deleted Networks:\nlonely\n", text)
        self.assertRegex(text, r"Total reclaimed space: \S+B")
        self.docker_ok("volume", "inspect", "sized")
        self.docker_ok("system", "prune", "-f", "--volumes")
        self.docker_ok("volume", "rm", "sized")

    def test_what_there_is_not(self):
        self.refused("searching is not supported", "search", "busybox")
        self.refused("This node is not a swarm manager", "node", "ls")
        self.refused("This node is not a swarm manager", "service", "ls")
        self.refused("swarm mode is not supported", "swarm", "init")
        self.assertRegex(self.docker_ok("plugin", "ls"), r"^ID +NAME")
        self.refused("o such object: nothing", "inspect", "nothing")


@unittest.skipUnless(docker, "docker-py is not installed")
class DockerPyTest(EngineCase):
    def setUp(self):
        self.client = docker.DockerClient(base_url=f"unix://{self.socket}", version="auto")
        self.addCleanup(self.client.close)

    def test_system(self):
        self.assertTrue(self.client.ping())
        self.assertEqual(self.client.version()["ApiVersion"], "1.44")
        self.assertEqual(self.client.info()["Swarm"]["LocalNodeState"], "inactive")
        self.assertLessEqual({"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}, set(self.client.df()))
        with self.assertRaises(docker.errors.APIError) as caught:
            self.client.swarm.init()
        self.assertIn("swarm", str(caught.exception))

    def test_volumes(self):
        volume = self.client.volumes.create("py", labels={"a": "b"})
        self.assertEqual(volume.attrs["Labels"], {"a": "b"})
        self.assertEqual([each.name for each in self.client.volumes.list(filters={"label": "a=b"})], ["py"])
        volume.remove()
        with self.assertRaises(docker.errors.NotFound):
            self.client.volumes.get("py")
        self.client.volumes.create("py2")
        self.assertEqual(self.client.volumes.prune(filters={"all": True})["VolumesDeleted"], ["py2"])

    def test_networks(self):
        network = self.client.networks.create("py", driver="bridge", labels={"a": "b"})
        self.assertEqual([each.name for each in self.client.networks.list(names=["py"])], ["py"])
        self.assertEqual([each.name for each in self.client.networks.list(filters={"label": "a=b"})], ["py"])
        network.remove()
        with self.assertRaises(docker.errors.NotFound):
            self.client.networks.get("py")

    def test_images(self):
        image = self.client.images.get("busybox")
        self.assertTrue(image.tag("py", "1"))
        self.assertIn("py:1", self.client.images.get("py:1").tags)
        data = b"".join(self.client.images.get("py:1").save(named="py:1"))
        self.client.images.remove("py:1")
        self.assertEqual([each.tags[-1] for each in self.client.images.load(data)], ["py:1"])
        self.assertIn("Created", self.client.images.get("py:1").history()[0])
        self.client.images.remove("py:1")
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.images.get("py:1")
        with self.assertRaises(docker.errors.APIError):
            self.client.images.search("busybox")

    def test_build(self):
        image, lines = self.client.images.build(
            fileobj=io.BytesIO(b"FROM busybox\nRUN echo from-py\n"), tag="py-built", rm=True, buildargs={"A": "b"})
        self.assertEqual(image.tags, ["py-built:latest"])
        self.assertTrue(any("from-py" in line.get("stream", "") for line in lines))
        with self.assertRaises(docker.errors.BuildError) as caught:
            self.client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 3\n"), rm=True)
        self.assertIn("returned a non-zero code: 3", str(caught.exception))
        self.client.images.remove("py-built")
        self.assertIn("SpaceReclaimed", self.client.api.prune_builds())

    def test_events(self):
        since = int(time.time())
        self.client.volumes.create("py-told").remove()
        events = list(self.client.events(
            since=since, until=int(time.time()) + 1, decode=True, filters={"type": "volume", "volume": "py-told"}))
        self.assertEqual([event["Action"] for event in events], ["create", "destroy"])
        stream = self.client.events(decode=True)
        threading.Timer(0.5, lambda: self.client.volumes.create("py-live")).start()
        self.assertEqual(next(stream)["Actor"]["ID"], "py-live")
        stream.close()
        self.client.volumes.get("py-live").remove()


if __name__ == "__main__":
    unittest.main()
