"""Images from and to a registry: Debian's docker-registry with passwords, skopeo as the other side."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from harness import GANTRY, EngineCase, Relay, busybox_image, free_port, wait_until

# Of htpasswd(1): `tester`, `secret`.
HTPASSWD = "tester:$2y$05$Ibow5IVEk4jrwvc2ZPvO6eM5rrkjLNf0Lvti9dPCdo9rf8Iqn5tiK\n"
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}/store}}}}
auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class SlowRelay(Relay):
    """Sends answers on slowly while `slow`, and notes the requests."""

    piece_byte_count = 32768

    def __init__(self, target):
        self.slow, self.requests = True, []
        super().__init__(target)

    def before(self, data, is_answer):
        if not is_answer:
            self.requests.append(data.decode("latin-1"))
        elif self.slow:
            time.sleep(0.02)


@unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"), "docker-registry or skopeo is missing")
class RegistryTest(EngineCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="gantry-e2e-home-")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        # The engine looks for its own credentials there; the commands' are handed to it.
        before = os.environ.get("HOME", "/root")
        os.environ["HOME"] = cls.home
        cls.addClassCleanup(os.environ.__setitem__, "HOME", before)
        cls.port = free_port()
        cls.host = f"localhost:{cls.port}"
        with open(f"{cls.home}/htpasswd", "w") as file:
            file.write(HTPASSWD)
        with open(f"{cls.home}/config.yml", "w") as file:
            file.write(CONFIG.format(root=cls.home, port=cls.port))
        cls.registry = subprocess.Popen(
            ["docker-registry", "serve", f"{cls.home}/config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.registry.wait)
        cls.addClassCleanup(cls.registry.kill)
        wait_until(cls.listens, what="the registry")
        super().setUpClass()
        busybox_image(f"{cls.root}/app.tar", tag="app:1", config={"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin", "APP=1"]})
        cls.skopeo("copy", f"docker-archive:{cls.root}/app.tar", f"docker://{cls.host}/team/app:1",
                   "--dest-tls-verify=false", "--dest-creds=tester:secret")

    @classmethod
    def listens(cls):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", cls.port)) == 0

    @classmethod
    def skopeo(cls, action, *arguments):
        result = subprocess.run(["skopeo", "--insecure-policy", action, *arguments], capture_output=True, text=True)
        if result.returncode != 0:
            raise AssertionError(result.stderr)
        return result.stdout

    def login(self, folder):
        env = {"DOCKER_CONFIG": folder}
        self.gantry_ok("login", "-u", "tester", "--password-stdin", self.host, input="secret\n", env=env)
        return env

    def test_login_pull_push(self):
        folder = f"{self.home}/own"
        image = f"{self.host}/team/app:1"
        refused = self.gantry("pull", image)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"unauthorized: log in with gantry login {self.host}", refused.stderr)
        wrong = self.gantry("login", "-u", "tester", "-p", "wrong", self.host, env={"DOCKER_CONFIG": folder})
        self.assertNotEqual(wrong.returncode, 0)
        self.assertFalse(os.path.exists(f"{folder}/config.json"))
        env = self.login(folder)
        self.assertEqual(os.stat(f"{folder}/config.json").st_mode & 0o777, 0o600)

        pulled = self.gantry_ok("pull", image, env=env)
        self.assertEqual(pulled.stdout, image + "\n")
        self.assertIn("Pull complete", pulled.stderr)
        self.assertIn(f"Downloaded newer image for {image}", pulled.stderr)
        self.assertIn(f"Image is up to date for {image}", self.gantry_ok("pull", image, env=env).stderr)
        self.assertEqual(self.gantry_ok("pull", "-q", image, env=env).stderr, "")
        digest = json.loads(self.skopeo("inspect", "--tls-verify=false", "--creds=tester:secret", f"docker://{image}"))[
            "Digest"]
        self.assertIn(digest, pulled.stderr)
        by_digest = f"{self.host}/team/app@{digest}"
        self.gantry_ok("pull", by_digest, env=env)

        # Back to the registry, and from there into another tool's hands.
        self.gantry_ok("push", image, env=env)
        self.skopeo("copy", "--src-tls-verify=false", "--src-creds=tester:secret", f"docker://{image}", f"dir:{self.root}/copy")
        self.assertIn("layer already exists", self.gantry_ok("push", image, env=env).stderr.lower())
        self.assertIn("no such image", self.gantry("push", f"{self.host}/team/none:1", env=env).stderr)

        self.gantry_ok("logout", self.host, env=env)
        self.assertNotEqual(self.gantry("pull", image, env=env).returncode, 0)

    def test_what_is_not_there(self):
        env = self.login(f"{self.home}/missing")
        unknown = self.gantry("pull", f"{self.host}/team/app:nonsense", env=env)
        self.assertIn(f"manifest unknown: {self.host}/team/app:nonsense", unknown.stderr)
        platform = self.gantry("pull", "--platform", "linux/riscv64", f"{self.host}/team/app:1", env=env)
        self.assertEqual(platform.returncode, 0, "one image without an index is for whoever asks")
        self.assertNotEqual(self.gantry("pull", "--platform", "nonsense", f"{self.host}/a:1", env=env).returncode, 0)
        closed = self.gantry("pull", f"127.0.0.1:{free_port()}/a:1", timeout=60)
        self.assertIn("cannot reach 127.0.0.1", closed.stderr)

    def test_a_loaded_image_is_pushed(self):
        env = self.login(f"{self.home}/loaded")
        busybox_image(f"{self.root}/loaded.tar", tag=f"{self.host}/team/loaded:1")
        self.gantry_ok("load", "-i", f"{self.root}/loaded.tar")
        self.gantry_ok("push", f"{self.host}/team/loaded:1", env=env)
        inspected = json.loads(self.skopeo(
            "inspect", "--tls-verify=false", "--creds=tester:secret", f"docker://{self.host}/team/loaded:1"))
        self.assertEqual(len(inspected["Layers"]), 1)

    def test_up_pulls_what_is_missing(self):
        self.login(f"{self.home}/.docker")
        self.skopeo("copy", f"docker-archive:{self.root}/app.tar", f"docker://{self.host}/team/up:1",
                    "--dest-tls-verify=false", "--dest-creds=tester:secret")
        text = f"services: {{web: {{image: \"{self.host}/team/up:1\", stop_grace_period: 0s, pull_policy: POLICY}}}}"
        never = self.gantry("up", "-d", folder=self.stack(text.replace("POLICY", "never"), "never"))
        self.assertIn("no such image", never.stderr)
        for policy in ("missing", "always"):
            folder = self.stack(text.replace("POLICY", policy), policy)
            result = self.gantry_ok("up", "-d", folder=folder)
            self.assertIn("Pulled", result.stderr)
            self.assertEqual(self.gantry_ok("exec", "-T", "web", "sh", "-c", "echo $APP", folder=folder).stdout, "1\n")
            self.assertEqual("Pulled" in self.gantry_ok("up", "-d", folder=folder).stderr, policy == "always")
            self.gantry_ok("down", "-t", "0", folder=folder)
        wrong = self.gantry("up", "-d", folder=self.stack(text.replace("up:1", "gone:1").replace("POLICY", "missing"), "gone"))
        self.assertIn("gone:1, and it cannot be pulled: manifest unknown", wrong.stderr)

    def push(self, tag, value):
        """An image whose containers tell `value`."""
        archive = f"{self.root}/pushed.tar"
        busybox_image(archive, tag="pushed:1", config={"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin", f"APP={value}"]})
        self.skopeo("copy", f"docker-archive:{archive}", f"docker://{self.host}/{tag}",
                    "--dest-tls-verify=false", "--dest-creds=tester:secret")

    def test_up_asks_again_in_time(self):
        self.login(f"{self.home}/.docker")
        for policy, waits in (("daily", False), ("weekly", False), ("every_12h", False), ("every_2s", True)):
            with self.subTest(policy):
                image = f"{self.host}/team/{policy}:1"
                self.push(f"team/{policy}:1", "old")
                folder = self.stack(
                    f"services: {{web: {{image: \"{image}\", stop_grace_period: 0s, pull_policy: {policy}}}}}", policy)
                self.assertIn("Pulled", self.gantry_ok("up", "-d", folder=folder).stderr)
                asked = time.monotonic()
                self.push(f"team/{policy}:1", "new")
                # An engine that is started again knows when it was.
                self.kill_engine()
                self.start_engine()
                if waits:
                    time.sleep(max(0, asked + 2.1 - time.monotonic()))
                self.assertEqual("Pulled" in self.gantry_ok("up", "-d", folder=folder).stderr, waits)
                told = self.gantry_ok("exec", "-T", "web", "sh", "-c", "echo $APP", folder=folder).stdout
                self.assertEqual(told, "new\n" if waits else "old\n")
                self.gantry_ok("down", "-t", "0", folder=folder)

    def test_a_pull_goes_on_after_the_engine_was_killed(self):
        noise = f"{self.root}/noise"
        with open(noise, "wb") as file:
            file.write(os.urandom(12_000_000))
        busybox_image(f"{self.root}/big.tar", tag="big:1", files={"noise": noise})
        self.skopeo("copy", f"docker-archive:{self.root}/big.tar", f"docker://{self.host}/team/big:1",
                    "--dest-tls-verify=false", "--dest-creds=tester:secret")
        relay = SlowRelay(self.port)
        self.addCleanup(relay.listener.close)
        host = f"localhost:{relay.port}"
        env = {"DOCKER_CONFIG": f"{self.home}/relay"}
        self.gantry_ok("login", "-u", "tester", "--password-stdin", host, input="secret\n", env=env)
        pull = subprocess.Popen([GANTRY, "pull", f"{host}/team/big:1"], env=self.environment() | env,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        partial = f"{self.root}/data/images/partial"
        size = lambda: sum(entry.stat().st_size for entry in os.scandir(partial)) if os.path.isdir(partial) else 0
        wait_until(lambda: size() > 2_000_000, what="some of the layer")
        self.kill_engine()
        pull.wait()
        had = size()
        self.start_engine()
        self.assertNotIn(f"{host}/team/big", self.gantry_ok("images").stdout)
        relay.slow = False
        self.gantry_ok("pull", f"{host}/team/big:1", env=env)
        ranges = [line for request in relay.requests for line in request.splitlines()
                  if line.lower().startswith("range: ")]
        self.assertEqual([line.lower() for line in ranges], [f"range: bytes={had}-"])
        self.assertIn(f"{host}/team/big", self.gantry_ok("images").stdout)

    def test_the_engine_stops_during_a_pull(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            # It takes connections and never answers.
            pull = subprocess.Popen(
                [GANTRY, "pull", f"127.0.0.1:{silent.getsockname()[1]}/a:1"], env=self.environment(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            connection, _ = silent.accept()
            self.engine.terminate()
            self.engine.wait(timeout=20)
            pull.wait(timeout=20)
            connection.close()
            self.start_engine()

    def test_the_messages_are_dockers(self):
        import http.client

        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        path = f"/v1.43/images/create?fromImage={self.host}/team/app&tag=1"
        connection.request("POST", path)
        answer = connection.getresponse()
        self.assertEqual((answer.status, set(json.loads(answer.read()))), (500, {"message", "diagnostics"}))
        secret = base64.urlsafe_b64encode(json.dumps({"username": "tester", "password": "secret"}).encode()).decode()
        connection.request("POST", path, headers={"X-Registry-Auth": secret.rstrip("=")})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        lines = [json.loads(line) for line in answer.read().splitlines()]
        connection.close()
        self.assertTrue(all(set(line) <= {"status", "id", "progressDetail", "error", "errorDetail", "aux"} for line in lines))


if __name__ == "__main__":
    unittest.main()
