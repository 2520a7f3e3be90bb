"""testcontainers-python, unchanged, against the engine."""

import os
import tempfile
import textwrap
import unittest
import urllib.request
from unittest import mock

from docker_harness import CLIENTS, ClientCase

# Its reaper would be an image from the internet.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
try:
    from testcontainers.core import wait_strategies
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.image import DockerImage
    from testcontainers.core.network import Network
    from testcontainers.compose import DockerCompose
except ImportError:
    DockerContainer = None


@unittest.skipUnless(DockerContainer, "testcontainers is not installed: fetch_clients.sh")
class Testcontainers(ClientCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # It lives in this process, and is told of the engine by the environment alone.
        cls.patch = mock.patch.dict(os.environ, cls.environment() | {"HOME": cls.root})
        cls.patch.start()

    @classmethod
    def tearDownClass(cls):
        cls.patch.stop()
        super().tearDownClass()

    def server(self, script="httpd -f -p 80 -h /www"):
        return DockerContainer("busybox").with_command(
            ["sh", "-c", f"mkdir -p /www; echo served > /www/index.html; echo ready; echo noise >&2; {script}"])

    def test_logs_and_commands(self):
        container = self.server("sleep 1000").with_env("A", "b").waiting_for(
            wait_strategies.LogMessageWaitStrategy("ready"))
        with container:
            self.assertEqual(container.get_logs()[0], b"ready\n")
            result = container.exec(["sh", "-c", "echo $A; exit 3"])
            self.assertEqual((result.exit_code, result.output), (3, b"b\n"))
            name = container.get_wrapped_container().name
            self.assertEqual(self.ask("GET", f"/containers/{name}/json")[0], 200)
        self.assertEqual(self.ask("GET", f"/containers/{name}/json")[0], 404)

    def test_http(self):
        container = self.server("sleep 1; httpd -f -p 80 -h /www").with_exposed_ports(80)
        with container.waiting_for(wait_strategies.HttpWaitStrategy(80).for_status_code(200)):
            address = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(80)}/"
            with urllib.request.urlopen(address, timeout=10) as answer:
                self.assertEqual(answer.read(), b"served\n")

    def test_ways_to_wait(self):
        check = {"test": ["CMD", "wget", "-qO-", "http://127.0.0.1/"], "interval": 200_000_000, "retries": 100}
        for strategy, options in [
            (wait_strategies.PortWaitStrategy(80), {}),
            (wait_strategies.ContainerStatusWaitStrategy(), {}),
            (wait_strategies.HealthcheckWaitStrategy(), {"healthcheck": check}),
        ]:
            with self.subTest(type(strategy).__name__):
                container = self.server().with_kwargs(**options).with_exposed_ports(80)
                with container.waiting_for(strategy):
                    self.assertEqual(container.get_wrapped_container().attrs["Config"]["Image"], "busybox")

    def test_network(self):
        ready = wait_strategies.LogMessageWaitStrategy("ready")
        with Network() as network:
            server = self.server().with_network(network).with_network_aliases("srv").waiting_for(ready)
            client = DockerContainer("busybox").with_network(network).with_command("sleep 1000")
            with server, client:
                fetch = "until wget -qO- http://srv/; do sleep 0.1; done"
                self.assertEqual(client.exec(["timeout", "30", "sh", "-c", fetch]).output, b"served\n")
        self.assertEqual([each["Name"] for each in self.ask("GET", "/networks")[1]], ["bridge", "host", "none"])

    def test_addresses(self):
        """What a test in a container of its own asks, to reach its neighbours."""
        with DockerContainer("busybox").with_command("sleep 1000") as container:
            client, id = container.get_docker_client(), container.get_wrapped_container().id
            self.assertEqual(client.network_name(id), "bridge")
            self.assertRegex(client.bridge_ip(id), r"^172\.\d+\.\d+\.\d+$")
            self.assertRegex(client.gateway_ip(id), r"^172\.\d+\.0\.1$")

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/file", "w") as file:
                file.write("mapped")
            container = DockerContainer("busybox").with_command("sleep 1000").with_volume_mapping(folder, "/m", "ro")
            with container.with_copy_into_container(b"copied", "/tmp/copied"):
                self.assertEqual(container.exec("cat /m/file /tmp/copied").output, b"mappedcopied")
                self.assertNotEqual(container.exec("touch /m/other").exit_code, 0)

    def test_image(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/Dockerfile", "w") as file:
                file.write("FROM busybox\nARG V\nRUN echo built $V > /v\nCMD cat /v\n")
            with DockerImage(path=folder, tag="tested:1", buildargs={"V": "7"}) as image:
                ready = wait_strategies.LogMessageWaitStrategy("built 7")
                with DockerContainer(str(image)).waiting_for(ready) as container:
                    self.assertEqual(container.get_logs()[0], b"built 7\n")
        self.assertEqual(self.ask("GET", "/images/tested:1/json")[0], 404)

    def test_compose(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/compose.yaml", "w") as file:
                file.write(textwrap.dedent("""
                    services:
                      web:
                        image: busybox
                        command: sh -c 'mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www'
                        ports: ["80"]
                        stop_grace_period: 0s
                        healthcheck: {test: wget -qO- http://127.0.0.1, interval: 200ms, retries: 100}
                    """))
            # It runs `docker compose`; Compose itself takes the same words.
            program = f"{self.root}/compose"
            with open(program, "w") as file:
                file.write(f'#!/bin/sh\\n[ "$1" != compose ] || shift\\nexec {CLIENTS}/docker-compose "$@"\\n'.replace(
                    "\\n", "\n"))
            os.chmod(program, 0o755)
            with DockerCompose(folder, wait=True, docker_command_path=program) as compose:
                host, port = compose.get_service_host_and_port("web", 80)
                compose.wait_for(f"http://{host}:{port}")
                self.assertEqual(compose.exec_in_container(["cat", "/www/index.html"], "web")[0], "served\n")
                self.assertEqual([each.State for each in compose.get_containers()], ["running"])
        self.assertEqual(self.ask("GET", "/containers/json?all=1")[1], [])


if __name__ == "__main__":
    unittest.main()
