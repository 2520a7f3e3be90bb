"""The engine on a TCP port: TLS with certificates on both sides, and nothing without."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from certificates import Authority
from harness import GANTRY, EngineCase, free_port, wait_until

DOCKER = shutil.which("docker")


class TLSCase(EngineCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.mkdtemp(prefix="gantry-tls-")
        cls.authority = Authority(f"{cls.certificates}/ours")
        cls.server = cls.authority.sign("engine", "serverAuth", "DNS:localhost,DNS:box.example,IP:127.0.0.1,IP:::1")
        cls.client = cls.authority.sign("client", "clientAuth")
        cls.port = free_port()
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            shutil.rmtree(cls.certificates)

    @classmethod
    def engine_arguments(cls):
        # The certificate has the first of them alone.
        return ["--host", f"tcp://127.0.0.1:{cls.port}", "--host", f"tcp://127.0.0.2:{cls.port}", "--tlsverify", "--tlscacert", f"{cls.server}/ca.pem",
                "--tlscert", f"{cls.server}/cert.pem", "--tlskey", f"{cls.server}/key.pem"]

    def remote(self, *arguments, client=None, host=None, **options):
        """`gantry` by TCP, told so by variables as Docker's command line is."""
        return self.gantry(*arguments, env={
            "GANTRY_HOST": "", "DOCKER_HOST": host or f"tcp://127.0.0.1:{self.port}", "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": client or self.client}, **options)

    def remote_ok(self, *arguments, **options):
        result = self.remote(*arguments, **options)
        self.assertEqual(result.returncode, 0, f"{arguments}: {result.stdout}{result.stderr}")
        return result

    def secured(self, client=None):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if client:
            context.load_cert_chain(f"{client}/cert.pem", f"{client}/key.pem")
        return context

    def ask(self, headers=(), method="GET", path="/_ping", host=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.secured(self.client), timeout=20)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        data = answer.read().decode()
        connection.close()
        return answer.status, data

    def engine_log(self):
        with open(f"{self.root}/engine-output.log") as file:
            return file.read()


class Commands(TLSCase):
    def test_a_stack_by_tcp(self):
        folder = self.stack("""
            services:
              web: {image: busybox, command: ["sh", "-c", "echo one; exec cat"], stdin_open: true, stop_grace_period: 0s}
            """, "far")
        self.remote_ok("up", "-d", "--wait", folder=folder)
        self.assertIn("web", self.remote_ok("ps", folder=folder).stdout)
        wait_until(lambda: "one" in self.remote_ok("logs", "web", folder=folder).stdout, what="the log")
        # Both directions, and the end of one of them.
        data = "0123456789abcdef" * 20_000
        result = self.remote_ok("exec", "-T", "web", "wc", "-c", input=data, folder=folder)
        self.assertEqual(result.stdout.strip(), str(len(data)))
        result = self.remote_ok("exec", "-T", "web", "cat", input=data, folder=folder)
        self.assertEqual(result.stdout, data)
        self.assertEqual(self.remote("exec", "-T", "web", "sh", "-c", "exit 7", folder=folder).returncode, 7)
        with open(f"{folder}/big", "wb") as file:
            file.write(os.urandom(3 << 20))
        self.remote_ok("cp", "big", "web:/tmp/big", folder=folder)
        self.remote_ok("cp", "web:/tmp/big", "back", folder=folder)
        with open(f"{folder}/big", "rb") as one, open(f"{folder}/back", "rb") as other:
            self.assertEqual(one.read(), other.read())
        self.remote_ok("down", folder=folder)

    def test_options_in_place_of_variables(self):
        options = ["--tlsverify", "--tlscacert", f"{self.client}/ca.pem", "--tlscert", f"{self.client}/cert.pem",
                   "--tlskey", f"{self.client}/key.pem", "-H", f"tcp://localhost:{self.port}"]
        for arguments in (["version", *options], [*options, "version"], [*options, "image", "ls"]):
            result = self.gantry(*arguments, env={"GANTRY_HOST": ""})
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_unverified_is_asked_for_by_name(self):
        other = Authority(f"{self.certificates}/unverified")
        result = self.gantry(
            "-H", f"tcp://127.0.0.1:{self.port}", "--tls", "--tlscacert", other.certificate,
            "--tlscert", f"{self.client}/cert.pem", "--tlskey", f"{self.client}/key.pem", "version")
        self.assertEqual(result.returncode, 0, result.stderr)

    def assertRefused(self, result, *words):
        self.assertNotEqual(result.returncode, 0, result.stdout)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_clients_that_are_refused(self):
        nobody = f"{self.certificates}/nobody"
        os.makedirs(nobody, exist_ok=True)
        shutil.copy(self.authority.certificate, f"{nobody}/ca.pem")
        self.assertRefused(self.remote("version", client=nobody), "a client certificate is required")
        wait_until(lambda: "it shows no certificate" in self.engine_log(), what="the engine's log")
        stranger = Authority(f"{self.certificates}/strangers").sign("stranger", "clientAuth")
        shutil.copy(self.authority.certificate, f"{stranger}/ca.pem")
        self.assertRefused(self.remote("version", client=stranger), "not signed by the authority that is trusted there")
        late = self.authority.sign("late", "clientAuth", expired=True)
        self.assertRefused(self.remote("version", client=late), "our certificate is expired")
        server = self.authority.sign("server-as-client", "serverAuth")
        self.assertRefused(self.remote("version", client=server), "refuses us")
        # Nothing of that keeps others out.
        self.remote_ok("version")

    def test_engines_that_are_not_trusted(self):
        wrong = f"{self.certificates}/wrong"
        shutil.copytree(self.client, wrong)
        shutil.copy(Authority(f"{self.certificates}/others").certificate, f"{wrong}/ca.pem")
        self.assertRefused(self.remote("version", client=wrong), "is not trusted", "not signed by the authority")
        self.assertRefused(
            self.remote("version", host=f"tcp://127.0.0.2:{self.port}"), "made for another name or address")

    def test_mistakes_of_ours(self):
        self.assertRefused(self.remote("version", client=f"{self.certificates}/nosuch"), "ca.pem cannot be read")
        broken = f"{self.certificates}/broken"
        shutil.copytree(self.client, broken)
        with open(f"{broken}/key.pem", "w") as file:
            file.write("nonsense")
        self.assertRefused(self.remote("version", client=broken), "key.pem is no private key in PEM")
        shutil.copy(f"{self.server}/key.pem", f"{broken}/key.pem")
        self.assertRefused(self.remote("version", client=broken), "certificate and key cannot be used")
        self.assertRefused(
            self.gantry("version", env={"GANTRY_HOST": f"tcp://127.0.0.1:{self.port}"}), "engine")
        self.assertRefused(
            self.gantry("version", env={"GANTRY_HOST": "tcp://192.0.2.9:2376"}), "without TLS", "--tlsverify")
        free = free_port()
        self.assertRefused(self.remote("version", host=f"tcp://127.0.0.1:{free}"), "nothing listens on that port")


class Port(TLSCase):
    """What goes on at the port itself."""

    def test_hosts_and_origins(self):
        self.assertEqual(self.ask(), (200, "OK"))
        for host in ("localhost:1", "box.example:2376", "BOX.example", "[::1]:2376"):
            self.assertEqual(self.ask(host=host)[0], 200, host)
        for host in ("rebound.example", "x.box.example", "192.0.2.1:2376"):
            status, text = self.ask(host=host)
            self.assertEqual(status, 403, host)
            self.assertIn("requests for other hosts are refused", text)
        for name, value in (("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")):
            status, text = self.ask([(name, value)])
            self.assertEqual(status, 403)
            self.assertIn("pages in a browser are refused", json.loads(text)["message"])
        # On the Unix socket as well.
        connection = http.client.HTTPConnection("gantry", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request("POST", "/engine/stop", headers={"Origin": "https://evil.example"})
        self.assertEqual(connection.getresponse().status, 403)
        connection.close()
        self.assertIsNone(self.engine.poll())

    def test_without_tls_there_is_nothing(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = b""
            try:
                while data := connection.recv(4096):
                    heard += data
            except ConnectionResetError:
                pass
        self.assertNotIn(b"OK", heard)
        wait_until(lambda: "it speaks no TLS" in self.engine_log(), what="the engine's log")

    def test_without_a_certificate_no_request_is_read(self):
        for path in ("/_ping", "/containers/json"):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.secured(), timeout=20)
                connection.request("GET", path)
                connection.getresponse()

    def test_connections_that_say_nothing(self):
        """Many that never shake hands cost descriptors until they are late, and hold up nobody."""
        silent = [socket.create_connection(("127.0.0.1", self.port), timeout=20) for _ in range(100)]
        began = time.monotonic()
        self.assertEqual(self.ask(), (200, "OK"))
        self.assertLess(time.monotonic() - began, 15)
        for connection in silent:
            connection.close()

    def test_streams_by_tls(self):
        self.up_box("streams", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.05; done")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.secured(self.client), timeout=20)
        connection.request("GET", "/containers/streams-box-1/logs?follow=1&stdout=1")
        answer = connection.getresponse()
        heard = b""
        while heard.count(b"line") < 20:
            heard += answer.read1(4096)
        connection.close()
        wait_until(lambda: self.ask()[0] == 200, what="an answer")


class Starting(unittest.TestCase):
    """What `gantry engine` refuses to listen on."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="gantry-tls-start-")
        cls.authority = Authority(f"{cls.root}/ours")
        cls.server = cls.authority.sign("engine", "serverAuth", "IP:127.0.0.1")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def engine(self, *arguments):
        return subprocess.run(
            [GANTRY, "engine", "--data-root", f"{self.root}/data", "--exec-root", f"{self.root}/run", *arguments],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)

    def test_what_is_refused(self):
        files = ["--tlsverify", "--tlscacert", f"{self.server}/ca.pem", "--tlscert", f"{self.server}/cert.pem",
                 "--tlskey"]
        for arguments, text in (
                (["-H", "tcp://127.0.0.1:2375"], "needs --tlsverify"),
                (["-H", "tcp://0.0.0.0:2375", "--unsafe-plain-tcp"], "serves 127.0.0.0/8 and ::1 only"),
                (["-H", "tcp://[::]:2375", "--unsafe-plain-tcp"], "serves 127.0.0.0/8 and ::1 only"),
                (["-H", "tcp://"], "no address and port"),
                (["-H", "http://127.0.0.1:1"], "must be unix://PATH or tcp://ADDRESS:PORT"),
                (["-H", "tcp://127.0.0.1:1", *files, f"{self.root}/nosuch"], "nosuch cannot be read"),
                (["-H", "tcp://127.0.0.1:1", *files, f"{self.authority.key}"], "certificate and key cannot be used"),
                (["-H", "tcp://192.0.2.77:2376", *files, f"{self.server}/key.pem"], "cannot listen on 192.0.2.77:2376")):
            result = self.engine(*arguments)
            self.assertNotEqual(result.returncode, 0, arguments)
            self.assertIn(text, " ".join(result.stderr.split()), arguments)


class Plain(EngineCase):
    """Without TLS, where that was asked for by its name."""

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        super().setUpClass()

    @classmethod
    def engine_arguments(cls):
        return ["--host", f"tcp://127.0.0.1:{cls.port}", "--unsafe-plain-tcp"]

    def test_loopback(self):
        result = self.gantry("version", env={"GANTRY_HOST": f"tcp://127.0.0.1:{self.port}"})
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(f"{self.root}/engine-output.log") as file:
            self.assertIn("it has no TLS", file.read())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/containers/json", headers={"Host": "rebound.example"})
        self.assertEqual(connection.getresponse().status, 403)
        connection.close()


@unittest.skipUnless(DOCKER, "docker's command line is not installed")
class Docker(TLSCase):
    def docker(self, *arguments, client=None, input=None):
        folder = client or self.client
        return subprocess.run(
            [DOCKER, "--tlsverify", "--tlscacert", f"{folder}/ca.pem", "--tlscert", f"{folder}/cert.pem",
             "--tlskey", f"{folder}/key.pem", "-H", f"tcp://127.0.0.1:{self.port}", *arguments],
            capture_output=True, text=True, timeout=60, input=input,
            env={"PATH": os.environ["PATH"], "HOME": self.root},
            stdin=None if input is not None else subprocess.DEVNULL)

    def test_docker(self):
        result = self.docker("version", "--format", "{{.Server.Version}}")
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.docker("run", "--rm", "-i", "busybox", "wc", "-c", input="x" * 300_000)
        self.assertEqual((result.returncode, result.stdout.strip()), (0, "300000"), result.stderr)
        result = self.docker("run", "--rm", "busybox", "seq", "1", "100000")
        self.assertEqual(result.stdout, "".join(f"{number}\n" for number in range(1, 100001)))
        self.assertEqual(self.docker("run", "--rm", "busybox", "sh", "-c", "exit 5").returncode, 5)
        stranger = Authority(f"{self.certificates}/docker").sign("stranger", "clientAuth")
        shutil.copy(self.authority.certificate, f"{stranger}/ca.pem")
        result = self.docker("ps", client=stranger)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("tls", result.stderr)
