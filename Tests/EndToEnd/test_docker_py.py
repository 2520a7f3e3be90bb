"""docker-py, the library under docker-compose 1, testcontainers and Ansible, against the engine."""

import io
import os
import socket as sockets
import tarfile
import threading
import time
import unittest

import docker_harness  # noqa: F401, for its place to import from

try:
    import docker
    import docker.errors
except ImportError:
    docker = None

from harness import EngineCase, free_port, supervisors, wait_until


@unittest.skipUnless(docker, "docker-py is not installed: pip install docker")
class DockerPy(EngineCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = docker.DockerClient(base_url=f"unix://{cls.socket}", timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        super().tearDownClass()

    def tearDown(self):
        for container in self.client.containers.list(all=True):
            container.remove(force=True, v=True)
        self.client.networks.prune()
        for volume in self.client.api.volumes()["Volumes"] if self.has_volumes() else []:
            self.client.api.remove_volume(volume["Name"])

    def has_volumes(self):
        try:
            self.client.api.volumes()
            return True
        except docker.errors.APIError:
            return False

    def run_detached(self, command="sleep 1000", **options):
        return self.client.containers.run("busybox", command, detach=True, **options)

    def test_run(self):
        run = self.client.containers.run
        self.assertEqual(run("busybox", "echo hello", remove=True), b"hello\n")
        self.assertEqual(run("busybox", ["sh", "-c", "echo err >&2"], stderr=True, remove=True), b"err\n")
        self.assertEqual(
            run("busybox", "sh -c 'echo $A; pwd; id -u'", environment={"A": "b"}, working_dir="/tmp", user="1000",
                remove=True), b"b\n/tmp\n1000\n")
        with self.assertRaises(docker.errors.ContainerError) as raised:
            run("busybox", "sh -c 'echo why >&2; exit 3'", remove=True)
        self.assertEqual((raised.exception.exit_status, raised.exception.stderr), (3, b"why\n"))
        self.assertEqual(
            run("busybox", "sh -c 'test -c /dev/nothing && echo yes'", devices=["/dev/null:/dev/nothing:rwm"],
                remove=True), b"yes\n")
        self.assertEqual(self.client.containers.list(all=True), [])

    def test_what_an_image_was_made_from(self):
        api = self.client.api
        box = api.create_container("busybox", ["touch", "/made"])["Id"]
        api.start(box)
        api.wait(box)
        made = api.commit(box, "made", "1")["Id"]
        self.addCleanup(api.remove_image, "made:1")
        shown = api.inspect_image(made)
        self.assertEqual(
            (shown["Container"], shown["ContainerConfig"]["Image"], shown["Parent"]),
            (box, "busybox", api.inspect_image("busybox")["Id"]))
        list(api.build(fileobj=io.BytesIO(b"FROM made:1\nENV A=b\n"), tag="onit"))
        self.addCleanup(api.remove_image, "onit")
        shown = api.inspect_image("onit")
        self.assertEqual((shown["Container"], shown["Parent"]), ("", ""))

    def test_errors(self):
        with self.assertRaises(docker.errors.NotFound):
            self.client.containers.get("nosuch")
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.api.create_container("nosuch:7", "true")
        one = self.run_detached(name="one")
        with self.assertRaises(docker.errors.APIError) as raised:
            self.client.api.create_container("busybox", "true", name="one")
        self.assertEqual(raised.exception.status_code, 409)
        with self.assertRaises(docker.errors.APIError) as raised:
            one.remove()
        self.assertEqual(raised.exception.status_code, 409)
        self.assertIn("Stop the container before attempting removal or force remove", raised.exception.explanation)
        with self.assertRaises(docker.errors.APIError) as raised:
            one.kill(signal="NOSUCH")
        self.assertEqual(raised.exception.status_code, 400)

    def test_list_and_inspect(self):
        one = self.run_detached(name="one", labels={"color": "red"})
        done = self.run_detached("sh -c 'exit 3'", name="done")
        self.assertEqual(done.wait()["StatusCode"], 3)
        names = lambda **options: [container.name for container in self.client.containers.list(**options)]
        self.assertEqual(names(), ["one"])
        self.assertEqual(names(all=True), ["done", "one"])
        self.assertEqual(names(filters={"label": "color=red"}), ["one"])
        self.assertEqual(names(all=True, filters={"status": "exited", "exited": 3}), ["done"])
        self.assertEqual(names(all=True, limit=1), ["done"])
        self.assertEqual(one.status, "created")  # As it was when docker-py asked last.
        one.reload()
        self.assertEqual((one.status, one.labels["color"], one.health), ("running", "red", "unknown"))
        self.assertEqual(one.image.tags, ["busybox:latest"])
        self.assertIn("bridge", one.attrs["NetworkSettings"]["Networks"])
        listed = self.client.api.containers()[0]
        self.assertEqual((listed["Names"], listed["Image"], listed["State"]), (["/one"], "busybox", "running"))
        self.assertIsInstance(listed["Created"], int)

    def test_lifecycle(self):
        one = self.run_detached("sh -c 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done'")
        wait_until(lambda: one.logs() == b"ready\n", what="the trap")
        one.pause()
        one.reload()
        self.assertEqual(one.status, "paused")
        one.unpause()
        one.rename("renamed")
        one.stop(timeout=5)
        self.assertEqual(one.wait()["StatusCode"], 7)
        one.restart(timeout=1)
        one.update(mem_limit="64m", memswap_limit="128m")
        one.reload()
        self.assertEqual((one.name, one.attrs["HostConfig"]["Memory"]), ("renamed", 64 << 20))
        one.kill()
        self.assertEqual(one.wait(condition="not-running")["StatusCode"], 137)

    def test_wait_conditions(self):
        one = self.run_detached("sh -c 'sleep 3; exit 5'", auto_remove=True)
        self.assertEqual(one.wait(condition="removed")["StatusCode"], 5)
        two = self.client.containers.create("busybox", "sh -c 'sleep 3; exit 6'")
        codes = []
        waiter = threading.Thread(target=lambda: codes.append(two.wait(condition="next-exit")["StatusCode"]))
        waiter.start()
        time.sleep(0.3)
        two.start()
        waiter.join(30)
        self.assertEqual(codes, [6])
        with self.assertRaises(docker.errors.APIError) as raised:
            two.wait(condition="nosuch")
        self.assertEqual(raised.exception.status_code, 400)

    def test_exec(self):
        one = self.run_detached()
        result = one.exec_run("sh -c 'echo out; echo err >&2; exit 4'")
        self.assertEqual((result.exit_code, result.output), (4, b"out\nerr\n"))
        result = one.exec_run("sh -c 'echo out; echo err >&2'", demux=True)
        self.assertEqual(result.output, (b"out\n", b"err\n"))
        self.assertEqual(one.exec_run("sh -c 'echo $A'", environment=["A=b"], tty=True).output, b"b\r\n")
        self.assertEqual(one.exec_run("nosuch").exit_code, 126)
        self.assertEqual(b"".join(one.exec_run("seq 1 1000", stream=True).output),
                         "".join(f"{number}\n" for number in range(1, 1001)).encode())
        created = self.client.api.exec_create(one.id, "cat", stdin=True)
        self.assertFalse(self.client.api.exec_inspect(created["Id"])["Running"])

    def test_logs(self):
        one = self.run_detached("sh -c 'echo one; echo two >&2; sleep 0.4; echo three'")
        self.assertEqual(b"".join(one.logs(stream=True, follow=True)), b"one\ntwo\nthree\n")
        self.assertEqual(one.logs(stderr=False), b"one\nthree\n")
        self.assertEqual(one.logs(tail=1), b"three\n")
        self.assertRegex(one.logs(timestamps=True, tail=1), rb"^\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z three\n$")
        self.assertEqual(one.logs(since=int(time.time()) + 100), b"")

    def test_log_details(self):
        log = docker.types.LogConfig(type="json-file", config={"labels": "team,none", "env": "A"})
        one = self.client.containers.run(
            "busybox", "sh -c 'echo one; echo two'", detach=True, log_config=log, labels={"team": "blue & red", "x": "y"},
            environment={"A": "b", "C": "d"})
        one.wait()

        def details(container):
            answer = self.client.api._get(
                self.client.api._url("/containers/{0}/logs", container.id), params={"stdout": 1, "details": 1})
            return [frame[8:] for frame in answer.content.splitlines()]

        self.assertEqual(details(one), [b"A=b,team=blue+%26+red one", b"A=b,team=blue+%26+red two"])
        plain = self.run_detached("echo one")
        plain.wait()
        self.assertEqual(details(plain), [b" one"])

    def test_attach(self):
        one = self.run_detached("sh -c 'echo before; until test -e /go; do sleep 0.1; done; echo after'")
        wait_until(lambda: one.logs() == b"before\n", what="the first line")
        self.assertEqual(one.attach(logs=True, stream=False), b"before\n")
        stream = one.attach(logs=True, stream=True)
        one.exec_run("touch /go")
        self.assertEqual(b"".join(stream), b"before\nafter\n")
        self.assertEqual(one.attach(logs=True, stream=False), b"before\nafter\n")
        created = self.client.containers.create("busybox", "cat", stdin_open=True)
        socket = created.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        created.start()
        socket._sock.sendall(b"typed\n")
        socket._sock.shutdown(sockets.SHUT_WR)
        data = b""
        while piece := socket._sock.recv(4096):
            data += piece
        self.assertEqual(data, b"\x01\0\0\0\0\0\0\x06typed\n")
        socket.close()

    def test_several_attached_before_the_start(self):
        """As dockerpty does it: one connection for each stream. All hear what they asked for from the first byte on."""
        created = self.client.containers.create("busybox", "sh -c 'read x; echo $x; echo err >&2'", stdin_open=True)
        streams = {name: created.attach_socket(params={name: 1, "stream": 1}) for name in ("stdin", "stdout", "stderr")}
        created.start()
        streams["stdin"]._sock.sendall(b"typed\n")

        def rest(stream):
            data = b""
            while piece := stream._sock.recv(4096):
                data += piece
            return data

        self.assertEqual(rest(streams["stdout"]), b"\x01\0\0\0\0\0\0\x06typed\n")
        self.assertEqual(rest(streams["stderr"]), b"\x02\0\0\0\0\0\0\x04err\n")
        for stream in streams.values():
            stream.close()

    def web_socket(self, container, query):
        """The connection, after the handshake of RFC 6455 with its own example of a key."""
        connection = sockets.socket(sockets.AF_UNIX)
        connection.settimeout(60)
        connection.connect(self.socket)
        connection.sendall(
            f"GET /v1.44/containers/{container.id}/attach/ws?{query} HTTP/1.1\r\nHost: gantry\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            .encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        self.assertIn(b"101 Switching Protocols", head)
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", head)
        return connection

    def test_web_socket(self):
        one = self.client.containers.create("busybox", "sh -c 'read x; echo got $x; read x; echo and $x'", stdin_open=True)
        connection = self.web_socket(one, "stream=1&stdin=1&stdout=1&stderr=1")
        one.start()

        def send(kind, payload):
            mask = b"\x01\x02\x03\x04"
            masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            connection.sendall(bytes([0x80 | kind, 0x80 | len(payload)]) + mask + masked)

        send(2, b"one\n")
        send(9, b"ping")
        send(1, b"two\n")
        answers = {}
        while 8 not in answers:
            first, count = connection.recv(2)
            payload = b""
            while len(payload) < count:
                payload += connection.recv(count - len(payload))
            answers[first & 0x0f] = answers.get(first & 0x0f, b"") + payload
        self.assertEqual(answers, {2: b"got one\nand two\n", 10: b"ping", 8: b""})
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        # One that takes its leave has it, and the container goes on.
        two = self.run_detached()
        connection = self.web_socket(two, "stream=1&stdout=1")
        send(8, b"")
        self.assertEqual(connection.recv(2), b"\x88\0")
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        two.reload()
        self.assertEqual(two.status, "running")
        plain = self.client.api._get(self.client.api._url("/containers/{0}/attach/ws", two.id))
        self.assertEqual(plain.status_code, 400)

    def test_stop_while_it_starts(self):
        """What stops a container that is about to run stops it, and does not leave it running."""
        one = self.client.containers.create("busybox", "sleep 1000", stop_signal="SIGKILL")
        for _ in range(10):
            starter = threading.Thread(target=one.start)
            starter.start()
            wait_until(lambda: any(one.id in line for line in supervisors()), what="its supervisor", interval=0)
            one.stop()
            starter.join(60)
            one.reload()
            self.assertEqual(one.status, "exited")

    def test_addresses_and_networks_of_stopped_containers(self):
        """Only what runs holds an address or a network."""
        pool = docker.types.IPAMPool(subnet="10.79.0.0/24")
        network = self.client.networks.create("own", ipam=docker.types.IPAMConfig(pool_configs=[pool]))

        def create(name):
            made = self.client.containers.create("busybox", "sleep 1000", name=name, stop_signal="SIGKILL")
            self.client.networks.get("bridge").disconnect(made)
            network.connect(made, ipv4_address="10.79.0.9")
            return made

        def address(container):
            container.reload()
            return container.attrs["NetworkSettings"]["Networks"]["own"]["IPAddress"]

        one, two = create("one"), create("two")
        one.start()
        self.assertEqual((address(one), address(two)), ("10.79.0.9", ""))
        with self.assertRaises(docker.errors.APIError) as raised:
            two.start()
        self.assertIn("10.79.0.9 is in use", raised.exception.explanation)
        with self.assertRaises(docker.errors.APIError):
            network.remove()
        one.stop()
        two.start()
        self.assertEqual((address(one), address(two)), ("", "10.79.0.9"))
        two.stop()
        network.disconnect(one)
        network.remove()
        with self.assertRaises(docker.errors.APIError) as raised:
            two.start()
        self.assertIn("network own not found", raised.exception.explanation)
        # One that was disconnected needs it no more, and one of the same name will do.
        one.start()
        self.client.networks.create("own", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        two.start()
        self.assertEqual(address(two), "10.79.0.9")

    def test_volume_in_a_folder_of_the_host(self):
        folder = f"{self.root}/elsewhere"
        options = {"type": "none", "o": "bind", "device": folder}
        volume = self.client.volumes.create("elsewhere", driver_opts=options)
        self.assertEqual(volume.attrs["Options"], options)
        mounted = {"elsewhere": {"bind": "/etc", "mode": "rw"}}
        refused = self.client.containers.create("busybox", "true", volumes=mounted)
        with self.assertRaises(docker.errors.APIError) as raised:
            refused.start()
        refused.remove()
        self.assertIn(f"failed to mount local volume: mount {folder}", raised.exception.explanation)
        os.mkdir(folder)
        # An empty one is filled from the image, one with content stays as it is.
        self.client.containers.run("busybox", "sh -c 'cat /etc/passwd; rm /etc/group'", volumes=mounted, remove=True)
        self.assertIn("passwd", os.listdir(folder))
        self.client.containers.run("busybox", "true", volumes=mounted, remove=True)
        self.assertNotIn("group", os.listdir(folder))
        volume.remove()
        self.assertIn("passwd", os.listdir(folder))
        for wrong in ({"type": "nfs", "o": "addr=192.0.2.1"}, {"size": "1g"},
                      {"type": "none", "o": "bind", "device": "relative"}, {"type": "none", "o": "bind"},
                      {"o": "ro", "device": "/srv"}):
            with self.subTest(wrong), self.assertRaises(docker.errors.APIError) as raised:
                self.client.volumes.create("wrong", driver_opts=wrong)
            self.assertEqual(raised.exception.status_code, 400)

    def test_archive(self):
        one = self.client.containers.create("busybox", "cat /tmp/note")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            info = tarfile.TarInfo("note")
            info.size = 7
            tar.addfile(info, io.BytesIO(b"a note\n"))
        self.assertTrue(one.put_archive("/tmp", archive.getvalue()))
        one.start()
        one.wait()
        self.assertEqual(one.logs(), b"a note\n")
        pieces, status = one.get_archive("/tmp/note")
        self.assertEqual((status["name"], status["size"]), ("note", 7))
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
            self.assertEqual(tar.extractfile("note").read(), b"a note\n")
        with self.assertRaises(docker.errors.NotFound):
            one.get_archive("/no/such")
        self.assertIn({"Path": "/tmp/note", "Kind": 1}, one.diff())
        self.assertGreater(len(b"".join(one.export())), 100_000)

    def test_top_and_stats(self):
        one = self.run_detached(mem_limit="64m")
        table = one.top()
        self.assertIn("PID", table["Titles"])
        self.assertEqual(len(table["Processes"]), 1)
        stats = one.stats(stream=False)
        self.assertEqual(stats["memory_stats"]["limit"], 64 << 20)
        self.assertGreater(stats["cpu_stats"]["system_cpu_usage"], stats["precpu_stats"]["system_cpu_usage"])
        self.assertEqual(stats["pids_stats"]["current"], 1)
        self.assertIn("eth0", stats["networks"])
        several = one.stats(decode=True)
        self.assertEqual([next(several)["name"], next(several)["name"]], ["/" + one.name] * 2)
        several.close()

    def test_ports_and_mounts(self):
        port = free_port()
        one = self.run_detached(
            "sh -c 'echo served > /www/index.html; httpd -f -h /www'", ports={"80/tcp": port, "81/udp": None},
            volumes={"kept": {"bind": "/data", "mode": "rw"}}, tmpfs={"/scratch": "size=1m"})
        one.reload()
        self.assertEqual(one.ports["80/tcp"][0]["HostPort"], str(port))
        self.assertGreater(int(one.ports["81/udp"][0]["HostPort"]), 0)
        self.assertEqual([mount["Destination"] for mount in one.attrs["Mounts"]], ["/data"])
        self.assertEqual(one.attrs["HostConfig"]["Tmpfs"], {"/scratch": "size=1m"})
        wait_until(lambda: self.served(port), what="the port to answer")

    def served(self, port):
        try:
            return self.get(port) == "served"
        except OSError:
            return False

    def test_networks(self):
        network = self.client.networks.create("own")
        web = self.run_detached("sh -c 'echo served > /www/index.html; httpd -f -h /www'", name="web", network="own")
        # Started is not yet listening.
        ask = "sh -c 'until wget -qO- http://web; do sleep 0.1; done'"
        self.assertEqual(self.client.containers.run("busybox", ask, network="own", remove=True), b"served\n")
        network.disconnect(web)
        network.connect(web, aliases=["other"])
        self.assertEqual(
            self.client.containers.run("busybox", "wget -qO- http://other", network="own", remove=True), b"served\n")
        web.reload()
        self.assertEqual(web.attrs["NetworkSettings"]["Networks"]["own"]["Aliases"], ["other"])

    def test_commit_and_prune(self):
        one = self.run_detached("touch /made")
        one.wait()
        image = one.commit("snap", "1", changes='CMD ["ls", "/made"]')
        self.assertEqual(self.client.containers.run("snap:1", remove=True), b"/made\n")
        self.assertEqual(self.client.containers.prune()["ContainersDeleted"], [one.id])
        self.client.images.remove(image.id, force=True)

    def test_many_at_once(self):
        """As compose 1 does it, with many threads on many connections."""
        results = []

        def run(number):
            client = docker.DockerClient(base_url=f"unix://{self.socket}", timeout=60)
            results.append(client.containers.run("busybox", f"echo {number}", remove=True))
            client.close()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(sorted(results), sorted(f"{number}\n".encode() for number in range(12)))


if __name__ == "__main__":
    unittest.main()
