"""The engine of a plain user: a throw-away user with ids of its own, made in copies of /etc/passwd and its like that only
this mount namespace sees."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import threading
import time
import unittest
import urllib.request

from harness import GANTRY, busybox_image, host_view, wait_until, wait_until_same

USER = 4321
FIRST_ID = 200000
OUTSIDE = "192.0.2.1"
STACK = """
    services:
      web:
        image: busybox
        command: ["sh", "-c", "mkdir -p /www; echo from-web > /www/index.html; exec httpd -f -p 80 -h /www"]
        ports: ["18090:80"]
        stop_signal: SIGKILL
        restart: always
        mem_limit: 64m
      other:
        image: busybox
        command: ["sh", "-c", "echo started by $$(id -u); exec sleep 1000"]
        stop_signal: SIGKILL
        restart: always
        volumes: ["data:/data"]
    volumes:
      data:
    """
bench = None


def sh(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Bench:
    """The user, a tun device that everybody may open, and a network beyond the host's with a server in it."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="gantry-rootless-")
        os.chmod(self.root, 0o711)
        self.mounts = []
        for name, line in {
                "passwd": f"rootless:x:{USER}:{USER}::{self.root}:/bin/sh", "group": f"rootless:x:{USER}:",
                "subuid": f"rootless:{FIRST_ID}:65536", "subgid": f"rootless:{FIRST_ID}:65536"}.items():
            with open(f"{self.root}/{name}", "w") as copy:
                if os.path.exists(f"/etc/{name}"):
                    with open(f"/etc/{name}") as file:
                        copy.write(file.read())
                copy.write(line + "\n")
            os.chmod(f"{self.root}/{name}", 0o644)
            self.bind(f"{self.root}/{name}", f"/etc/{name}")
        os.mknod(f"{self.root}/tun", 0o666 | 0o020000, os.makedev(10, 200))
        os.chmod(f"{self.root}/tun", 0o666)
        self.bind(f"{self.root}/tun", "/dev/net/tun")
        # The programs may lie where the user cannot go.
        os.mkdir(f"{self.root}/bin")
        self.bind(os.path.dirname(os.path.realpath(GANTRY)), f"{self.root}/bin")
        sh("ip", "netns", "add", "outside")
        sh("ip", "link", "set", "uplink1", "netns", "outside")
        for command in (f"addr add {OUTSIDE}/24 dev uplink1", "link set uplink1 up", "link set lo up"):
            sh("ip", "-n", "outside", *command.split())
        sh("ip", "route", "add", "default", "via", OUTSIDE)
        busybox_image(f"{self.root}/busybox.tar")
        os.mkdir(f"{self.root}/www")
        with open(f"{self.root}/www/index.html", "w") as file:
            file.write("from-outside")
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", "outside", "/bin/busybox", "httpd", "-f", "-p", "80", "-h", f"{self.root}/www"])

    def bind(self, source, target):
        sh("mount", "--bind", source, target)
        self.mounts.append(target)

    def end(self):
        self.server.kill()
        self.server.wait()
        sh("ip", "-n", "outside", "link", "set", "uplink1", "netns", str(os.getpid()))
        sh("ip", "route", "del", "default")
        sh("ip", "netns", "del", "outside")
        for target in reversed(self.mounts):
            sh("umount", target)
        shutil.rmtree(self.root)


def setUpModule():
    global bench
    bench = Bench()


def tearDownModule():
    bench.end()


def user_processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as file:
                ids = [line.split()[1:] for line in file if line.startswith("Uid:")][0]
            with open(f"/proc/{pid}/cmdline") as file:
                command = file.read().replace("\0", " ").strip()
        except OSError:
            continue
        mapped = [int(i) for i in ids if int(i) == USER or FIRST_ID <= int(i) < FIRST_ID + 65536]
        if mapped and command:
            found.append((int(pid), command))
    return found


class RootlessCase(unittest.TestCase):
    """One engine a class, started by its first command as for a user at a terminal."""

    uplink = ""
    in_cgroup = ""

    @classmethod
    def setUpClass(cls):
        if cls.uplink not in ("", "none") and not shutil.which(cls.uplink):
            raise unittest.SkipTest(f"{cls.uplink} is not installed")
        cls.before = host_view()
        cls.home = tempfile.mkdtemp(prefix="home-", dir=bench.root)
        cls.runtime = f"{cls.home}/run"
        os.mkdir(cls.runtime, 0o700)
        for folder in (cls.home, cls.runtime):
            os.chown(folder, USER, USER)
        cls.ok("load", "-i", f"{bench.root}/busybox.tar")

    @classmethod
    def tearDownClass(cls):
        for stack in json.loads(cls.ok("ls", "-a", "--format", "json").stdout or "[]"):
            cls.ok("-p", stack.get("Name") or stack.get("name"), "down", "-v", "-t", "0")
        cls.ok("engine", "stop")
        try:
            wait_until(lambda: not user_processes(), what="the user's processes to end")
        except AssertionError:
            raise AssertionError(f"still running: {user_processes()}\n{cls.log()}") from None
        cls.clear()
        after = wait_until_same(cls.before)
        left = {kind: sorted(after[kind] - cls.before[kind]) for kind in after if after[kind] - cls.before[kind]}
        if left:
            raise AssertionError(f"left behind: {left}")
        shutil.rmtree(cls.home)

    @classmethod
    def clear(cls):
        """What is the test's own."""

    @classmethod
    def log(cls):
        try:
            with open(f"{cls.home}/.local/share/gantry/engine.log") as file:
                return file.read()[-4000:]
        except OSError as error:
            return str(error)

    @classmethod
    def gantry(cls, *arguments, folder=None, env=None, timeout=60):
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": cls.home, "XDG_RUNTIME_DIR": cls.runtime, "NO_COLOR": "1",
            "GANTRY_UPLINK": cls.uplink}
        command = [f"{bench.root}/bin/gantry", *arguments]
        script = f'[ -z "{cls.in_cgroup}" ] || echo $$ > "{cls.in_cgroup}/cgroup.procs"; exec "$@"'
        command = [
            "sh", "-c", script, "sh", "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command]
        return subprocess.run(
            command, cwd=folder or cls.home, capture_output=True, text=True, timeout=timeout,
            env=environment | (env or {}), stdin=subprocess.DEVNULL)

    @classmethod
    def ok(cls, *arguments, **options):
        result = cls.gantry(*arguments, **options)
        if result.returncode != 0:
            raise AssertionError(
                f"gantry {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}\n{cls.log()}")
        return result

    def up(self, name, text=STACK):
        folder = f"{self.home}/{name}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write(textwrap.dedent(text))
        self.addCleanup(lambda: self.ok("down", "-v", "-t", "0", folder=folder))
        result = self.ok("up", "-d", "--wait", folder=folder)
        # Started is not yet listening.
        if "18090" in text:
            self.get_soon(18090)
        return folder, result

    def get(self, port, host="127.0.0.1"):
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=3) as answer:
            return answer.read().decode().strip()

    def get_soon(self, port):
        """After something was killed: refused or reset at first."""
        def attempt():
            try:
                return self.get(port)
            except OSError:
                return None
        return wait_until(attempt, seconds=30, what=f"an answer on port {port}")

    def holder(self, otherwise=None):
        """The process that holds the namespaces, and the keeper, its parent."""
        for pid, command in user_processes():
            if "gantry-supervisor rootless" in command:
                try:
                    with open(f"/proc/{pid}/status") as file:
                        fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
                except OSError:
                    continue  # It ended meanwhile.
                if fields["Name"].strip() == "gantry-holder":
                    return pid, int(fields["PPid"])
        if otherwise:
            return otherwise
        raise AssertionError(f"no holder: {user_processes()}")

    def check_stack(self):
        folder, up = self.up("basic")
        self.assertEqual(self.get(18090), "from-web")
        self.assertEqual(self.get(18090, "192.0.2.2"), "from-web")
        self.assertEqual(self.ok("exec", "-T", "other", "wget", "-q", "-O", "-", "http://web/", folder=folder).stdout,
                         "from-web\n")
        self.assertIn("started by 0", self.ok("logs", "other", folder=folder).stdout)
        self.assertIn("0.0.0.0:18090->80/tcp", self.ok("ps", folder=folder).stdout)
        self.assertIn("rootless", self.ok("version", folder=folder).stdout)
        self.assertIn("limits without effect: memory of service 'web'", up.stderr)
        self.assertIn("No changes", self.ok("plan", folder=folder).stdout)
        self.ok("exec", "-T", "other", "sh", "-c", "echo kept > /data/file && cat /data/file", folder=folder)
        return folder, up

    def check_images(self):
        folder, _ = self.up("images", "services: {web: {image: busybox, command: [sh, -c, 'echo 12345 > /file; sleep 1000']}}")
        self.ok("tag", "busybox", "copy:1")
        self.ok("save", "-o", f"{self.home}/copy.tar", "copy:1")
        self.assertEqual(self.ok("rmi", "copy:1").stdout, "Untagged: copy:1\n")
        self.assertIn("Loaded image: copy:1", self.ok("load", "-i", f"{self.home}/copy.tar").stdout)
        self.assertEqual(self.ok("image", "verify").stdout.count(": ok"), 1)
        wait_until(lambda: " 6B " in self.ok("system", "df", "-v").stdout, what="the container's file")
        self.assertIn("must force", self.gantry("rmi", "copy:1", "busybox").stderr)
        self.ok("system", "prune", "-a", "--volumes", "-f")
        self.assertIn("busybox", self.ok("images").stdout)

    def outside(self, folder):
        return self.gantry("exec", "-T", "web", "timeout", "5", "wget", "-q", "-O", "-", f"http://{OUTSIDE}/", folder=folder)


class PastaTest(RootlessCase):
    uplink = "pasta"

    def test_stack_and_the_way_out(self):
        folder, up = self.check_stack()
        self.assertEqual(self.outside(folder).stdout, "from-outside")
        self.assertNotIn("uplink", up.stderr)

    def test_killed_engine_leaves_containers_and_ports_alone(self):
        folder, _ = self.up("survives")
        before = self.ok("exec", "-T", "other", "cat", "/proc/1/stat", folder=folder).stdout
        engine = [pid for pid, command in user_processes() if "/bin/gantry engine run" in command
                  and "gantry-supervisor" not in command]
        self.assertEqual(len(engine), 1, user_processes())
        os.kill(engine[0], signal.SIGKILL)
        self.assertEqual(self.get(18090), "from-web")
        wait_until(lambda: self.gantry("ps", folder=folder, env={"GANTRY_NO_AUTOSTART": "1"}).returncode == 0,
                   what="the engine to be back")
        self.assertEqual(self.ok("exec", "-T", "other", "cat", "/proc/1/stat", folder=folder).stdout, before)
        self.assertEqual(self.get(18090), "from-web")

    def test_stopped_engine_leaves_containers_and_ports_alone(self):
        folder, _ = self.up("stopped")
        self.ok("engine", "stop")
        time.sleep(1)
        self.assertEqual(self.get(18090), "from-web")
        self.assertIn("stopped-web-1", self.ok("ps", folder=folder).stdout)
        self.assertEqual(self.outside(folder).stdout, "from-outside")

    def test_killed_holder_or_keeper_brings_everything_up_anew(self):
        for index in (0, 1):
            folder, _ = self.up(f"holder{index}")
            killed = self.holder()
            os.kill(killed[index], signal.SIGKILL)
            # The old containers may answer a moment longer.
            wait_until(lambda: set(self.holder(killed)).isdisjoint(killed), seconds=30, what="another holder")
            self.assertEqual(self.get_soon(18090), "from-web")
            wait_until(lambda: len([1 for _, command in user_processes() if command.startswith("pasta")]) == 1,
                       what="one uplink")
            wait_until(lambda: "from-outside" in self.outside(folder).stdout, what="the way out")
            self.ok("down", "-v", folder=folder)

    def test_killed_uplink_is_started_again(self):
        folder, _ = self.up("uplink")
        for pid, command in user_processes():
            if command.startswith("pasta"):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.outside(folder).stdout == "from-outside", seconds=20, what="the way out")

    def test_ids_are_those_of_the_user(self):
        folder, _ = self.up("ids", """
            services:
              one: {image: busybox, command: ["sleep", "1000"], user: "1000:1000", stop_signal: SIGKILL}
            """)
        self.assertEqual(self.ok("exec", "-T", "one", "id", "-u", folder=folder).stdout, "1000\n")
        ids = [pid for pid, command in user_processes() if command == "sleep 1000"]
        with open(f"/proc/{ids[0]}/status") as file:
            status = file.read()
        self.assertRegex(status, rf"Uid:\t{FIRST_ID + 999}\t")
        self.assertRegex(status, r"CapEff:\t0000000000000000")

    def test_low_port_names_the_setting(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            if int(file.read()) <= 80:
                self.skipTest("plain users may have any port here")
        folder = f"{self.home}/low"
        os.makedirs(folder)
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write("services: {web: {image: busybox, command: [sleep, '9'], ports: ['80:80']}}\n")
        result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("net.ipv4.ip_unprivileged_port_start=80", result.stderr)

    def test_taken_port_is_refused_before_anything_is_made(self):
        with socket.create_server(("127.0.0.1", 18091)):
            folder = f"{self.home}/taken"
            os.makedirs(folder)
            with open(f"{folder}/compose.yaml", "w") as file:
                file.write("services: {web: {image: busybox, command: [sleep, '9'], ports: ['18091:80']}}\n")
            result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("18091/tcp is in use", result.stderr)
        self.assertEqual(self.ok("ps", "-a", "-q", folder=folder).stdout, "")

    def test_many_bytes_both_ways_at_once(self):
        self.up("bytes", """
            services:
              echo:
                image: busybox
                command: ["nc", "-ll", "-p", "7", "-e", "cat"]
                ports: ["127.0.0.1:18092:7"]
                stop_signal: SIGKILL
            """)
        data = os.urandom(1 << 20) * 32
        received = hashlib.sha256()
        wait_until(lambda: self.connects(18092), what="the server")
        with socket.create_connection(("127.0.0.1", 18092)) as connection:
            def send():
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            while chunk := connection.recv(1 << 16):
                received.update(chunk)
            sender.join()
        self.assertEqual(received.digest(), hashlib.sha256(data).digest())

    def connects(self, port):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(b"x")
                return connection.recv(1) == b"x"
        except OSError:
            return False

    def test_datagrams_find_their_way_back(self):
        self.up("datagrams", """
            services:
              echo:
                image: busybox
                command: ["sleep", "987"]
                ports: ["127.0.0.1:18093:7/udp"]
                stop_signal: SIGKILL
            """)
        pid = [pid for pid, command in user_processes() if command == "sleep 987"][0]
        program = ("import socket; s = socket.socket(2, 2); s.bind(('', 7))\n"
                   "while True: s.sendto(*s.recvfrom(100))")
        server = subprocess.Popen(["nsenter", "-t", str(pid), "-n", "python3", "-c", program])
        self.addCleanup(lambda: (server.kill(), server.wait()))
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(1)

                def ask():
                    client.sendto(b"ping", ("127.0.0.1", 18093))
                    try:
                        return client.recv(100) == b"ping"
                    except OSError:
                        return False
                wait_until(ask, what="an answer")


class SlirpTest(RootlessCase):
    uplink = "slirp4netns"

    def test_stack_and_the_way_out(self):
        folder, _ = self.check_stack()
        self.assertEqual(self.outside(folder).stdout, "from-outside")


class NoUplinkTest(RootlessCase):
    uplink = "none"

    def test_images(self):
        self.check_images()

    def test_stack_without_a_way_out(self):
        folder, up = self.check_stack()
        self.assertIn("neither pasta nor slirp4netns", up.stderr)
        self.assertNotEqual(self.outside(folder).returncode, 0)

    def test_volumes_that_are_mounted(self):
        text = """
            services:
              one: {image: busybox, command: [sleep, "1000"], volumes: ["data:/data"], stop_grace_period: 0s}
              two: {image: busybox, command: [sleep, "1000"], volumes: ["data:/data"], stop_grace_period: 0s}
            volumes: {data: {driver_opts: %s}}
            """
        folder, _ = self.up("memory", text % "{type: tmpfs, device: tmpfs, o: size=1m}")
        self.ok("exec", "-T", "one", "sh", "-c", "grep -q ' /data tmpfs ' /proc/mounts; echo hello > /data/file", folder=folder)
        self.assertEqual(self.ok("exec", "-T", "two", "cat", "/data/file", folder=folder).stdout, "hello\n")
        folder = f"{self.home}/disk"
        os.makedirs(folder)
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write(textwrap.dedent(text % "{type: ext4, device: /dev/vda}"))
        self.addCleanup(lambda: self.ok("down", "-v", "-t", "0", folder=folder))
        refused = self.gantry("up", "-d", folder=folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("failed to mount local volume", refused.stderr)


class SingleIDTest(RootlessCase):
    """A user whom root gave no further ids."""

    uplink = "none"

    @classmethod
    def setUpClass(cls):
        cls.hidden = []
        for name in ("subuid", "subgid"):
            sh("mount", "--bind", "/dev/null", f"/etc/{name}")
            cls.hidden.append(f"/etc/{name}")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for path in cls.hidden:
            sh("umount", path)

    def test_images(self):
        self.check_images()

    def test_stack_as_root_only(self):
        _, up = self.check_stack()
        self.assertIn("every file of an image belongs to root", up.stderr)

    def test_another_user_is_refused_with_the_reason(self):
        folder = f"{self.home}/user"
        os.makedirs(folder)
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write("services: {web: {image: busybox, command: [sleep, '9'], user: '1000'}}\n")
        self.addCleanup(lambda: self.ok("down", "-v", "-t", "0", folder=folder))
        result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("subuid(5)", result.stderr)


class DelegatedTest(RootlessCase):
    """In a subtree of cgroup v2 that belongs to the user, as systemd makes one for `Delegate=yes`."""

    uplink = "none"

    @classmethod
    def setUpClass(cls):
        with open("/proc/self/mountinfo") as file:
            places = [line.split()[4] for line in file if " - cgroup2 " in line]
        if not places:
            raise unittest.SkipTest("no cgroup v2 here")
        cls.cgroup = f"{places[0]}/delegated"
        os.mkdir(cls.cgroup)
        cls.in_cgroup = cls.cgroup
        os.chown(cls.cgroup, USER, USER)
        for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(f"{cls.cgroup}/{name}", USER, USER)
        os.chmod(f"{cls.cgroup}/cgroup.procs", 0o666)
        super().setUpClass()

    @classmethod
    def clear(cls):
        for folder, _, _ in os.walk(cls.cgroup, topdown=False):
            os.rmdir(folder)

    def test_containers_have_cgroups(self):
        folder, _ = self.check_stack()
        found = []
        for place, _, _ in os.walk(self.cgroup):
            with open(f"{place}/cgroup.procs") as file:
                if file.read().strip():
                    found.append(os.path.relpath(place, self.cgroup))
        self.assertIn("gantry-engine", found)
        self.assertEqual(len([place for place in found if place.startswith("gantry_")]), 2, found)
        self.ok("down", "-v", folder=folder)
        self.assertEqual([name for name in os.listdir(self.cgroup) if name.startswith("gantry_")][1:], [])
