"""Gantry beside others who keep a firewall or the network: after whatever they do, connections work again within
seconds without any container having been restarted; and nothing of theirs is changed.

    lan 198.51.100.2 (client), .3 (upstream) ── up0 198.51.100.1 host ── gn-… web, peer
"""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUSYBOX, EngineCase, wait_until

WEB = """
    services:
      web:
        image: busybox
        command: ["sh", "-c", "echo well > /www/index.html; exec httpd -f -p 80 -h /www"]
        stop_signal: SIGKILL
        ports: ["18090:80"]
      peer:
        image: busybox
        command: ["sleep", "100000"]
        stop_signal: SIGKILL
    """
HOST, CLIENT, UPSTREAM = "198.51.100.1", "198.51.100.2", "198.51.100.3"
# Far more than it takes (the times are printed): the machine may be busy.
BACK_WITHIN_SECONDS = 15.0
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def sh(command, check=True):
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    if check and result.returncode != 0:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def inside(namespace, function):
    """Runs `function` on a thread of its own in another network namespace."""
    box = []

    def body():
        with open(namespace) as file:
            if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        box.append(function())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return box[0] if box else False


def answers_http(address, port):
    try:
        with socket.create_connection((address, port), timeout=0.5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"well" in connection.makefile("rb").read()
    except OSError:
        return False


def answers_name(name):
    query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + bytes([len(name)]) + name.encode() + b"\0\0\1\0\1"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(0.5)
            connection.sendto(query, ("127.0.0.11", 53))
            return struct.unpack(">6H", connection.recv(512)[:12])[3] > 0
    except OSError:
        return False


def outside_view(uplink="up0"):
    """What is not Gantry's: rule sets without its tables, and settings but for the uplink's forwarding."""
    ruleset = re.sub(r"(?ms)^table inet gantry\w* \{.*?^\}\n", "", sh("nft list ruleset 2>/dev/null"))
    view = {
        # Counters go on by themselves.
        "nft": re.sub(r"packets \d+ bytes \d+", "", ruleset),
        "iptables": re.sub(r"(?m)^#.*\n|\[\d+:\d+\]", "", sh("iptables-save; ip6tables-save")),
    }
    for family in ("ipv4", "ipv6"):
        for name in ("all", "default", "lo", uplink):
            folder = f"/proc/sys/net/{family}/conf/{name}"
            for key in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                if key == "stable_secret" or name == uplink and key in ("forwarding", "force_forwarding"):
                    continue
                with open(f"{folder}/{key}") as file:
                    view[f"{family}.{name}.{key}"] = file.read().strip()
    with open("/proc/sys/net/ipv4/ip_forward") as file:
        view["ip_forward"] = file.read().strip()
    return view


class NeighbourCase(EngineCase):
    """Brings one stack up for the class, on a host with an uplink."""

    project = "neighbours"

    @classmethod
    def setUpClass(cls):
        sh(f"""
            ip netns add lan
            ip link add up0 type veth peer name eth0 netns lan
            ip addr add {HOST}/24 dev up0
            ip link set up0 up
            ip -n lan addr add {CLIENT}/24 dev eth0
            ip -n lan addr add {UPSTREAM}/24 dev eth0
            ip -n lan link set eth0 up
            ip -n lan link set lo up
            ip route add default via {CLIENT}""")
        cls.pages = tempfile.mkdtemp(prefix="gantry-pages-")
        with open(f"{cls.pages}/index.html", "w") as file:
            file.write("well")
        cls.upstream = subprocess.Popen(
            ["ip", "netns", "exec", "lan", BUSYBOX, "httpd", "-f", "-p", f"{UPSTREAM}:80", "-h", cls.pages])
        try:
            super().setUpClass()
            cls.folder = cls.stack(cls, WEB, cls.project)
            cls.outside = outside_view()
            cls.up = cls.gantry_ok("up", "-d", "--wait", folder=cls.folder)
        except BaseException:
            cls.remove_host()
            raise

    @classmethod
    def remove_host(cls):
        cls.upstream.kill()
        cls.upstream.wait()
        sh("ip link del up0; ip netns del lan; ip route del default", check=False)
        shutil.rmtree(cls.pages)

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
            after = outside_view()
            changed = {key: (value, after.get(key)) for key, value in cls.outside.items() if after.get(key) != value}
            if changed:
                raise AssertionError(f"changed of what is not ours: {changed}")
        finally:
            cls.remove_host()

    def setUp(self):
        self.before = self.pids(self.folder)
        self.web = next(pid for name, pid in self.before.items() if "web" in name)
        self.assert_back("before")

    def probes(self):
        container = f"/proc/{self.web}/ns/net"
        return {
            "published port from the client": lambda: inside("/run/netns/lan", lambda: answers_http(HOST, 18090)),
            "published port from the host": lambda: answers_http("127.0.0.1", 18090),
            "upstream from a container": lambda: inside(container, lambda: answers_http(UPSTREAM, 80)),
            "name of a container": lambda: inside(container, lambda: answers_name("peer")),
        }

    def failing(self):
        """What fails three times in a row: one time may be the machine's load."""
        return [name for name, probe in self.probes().items() if not any(probe() for _ in range(3))]

    def assert_back(self, after, seconds=BACK_WITHIN_SECONDS):
        """All of it works again; says how long it took."""
        begun = time.monotonic()
        left = self.probes()
        times = {}
        # More than asked, to tell what is late from what never comes.
        while left and time.monotonic() - begun < 2 * seconds:
            for name in list(left):
                if left[name]():
                    del left[name]
                    times[name] = time.monotonic() - begun
            time.sleep(0.02)
        if left:
            raise AssertionError(f"after {after}: not back: {sorted(left)}\n{self.state()}")
        slowest = max(times, key=times.get)
        print(f"\n    {after}: back after {times[slowest] * 1000:.0f} ms ({slowest})", end=" ", flush=True)
        self.assertLess(times[slowest], seconds, f"after {after}: {slowest}")
        self.assertEqual(self.failing(), [], f"after {after}: did not stay")
        self.assertEqual(self.pids(self.folder), self.before, f"after {after}: a container was restarted")

    def state(self):
        return sh("nft list ruleset 2>&1 | head -80; ip -br link; ip route; grep . "
                  "/proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/route_localnet", check=False)

    def bridge(self):
        return next(line.split(":")[1].strip() for line in sh("ip -o link show type bridge").splitlines()
                    if line.split(":")[1].strip().startswith("gn-"))

    def port_of_web(self):
        """Name of the host's end of the container's interface."""
        # Not by /sys, which shows the namespace that it was mounted in.
        index = re.search(r"eth0@if(\d+)", sh(f"nsenter --net=/proc/{self.web}/ns/net ip -o link")).group(1)
        return next(line.split(":")[1].split("@")[0].strip() for line in sh("ip -o link").splitlines()
                    if line.startswith(f"{index}:"))


class FlushTest(NeighbourCase):
    project = "flush"

    def check(self, *commands):
        for command in commands:
            sh(command)
            self.assert_back(command)

    def test_iptables_is_flushed(self):
        self.check("iptables -F", "iptables -t nat -F", "iptables -X", "iptables -t nat -X", "ip6tables -F")
        sh("nft delete table ip filter; nft delete table ip nat; nft delete table ip6 filter", check=False)

    def test_ruleset_is_flushed(self):
        self.check("nft flush ruleset", "nft flush ruleset; sleep 0.05; nft flush ruleset")

    def test_own_table_is_deleted(self):
        table = re.search(r"table inet (gantry\w*)", sh("nft list tables")).group(1)
        self.check(f"nft delete table inet {table}", f"nft flush table inet {table}")

    def test_bridge_is_deleted(self):
        self.check(f"ip link del {self.bridge()}")

    def test_bridge_goes_down(self):
        self.check(f"ip link set {self.bridge()} down")

    def test_bridge_loses_its_address(self):
        self.check(f"ip addr flush dev {self.bridge()}")

    def test_port_goes_down(self):
        self.check(f"ip link set {self.port_of_web()} down")

    def test_port_leaves_its_bridge(self):
        self.check(f"ip link set {self.port_of_web()} nomaster")

    def test_port_is_deleted(self):
        self.check(f"ip link del {self.port_of_web()}")

    def test_uplink_restarts(self):
        again = f"ip route replace default via {CLIENT}"
        self.check(
            f"ip link set up0 down; ip link set up0 up; {again}",
            f"ip addr flush dev up0; ip addr add {HOST}/24 dev up0; {again}",
            "ip link set up0 mtu 1400", "ip link set up0 mtu 1500")

    def test_settings_are_loaded_again(self):
        bridge = self.bridge()
        conf = "/proc/sys/net/ipv4/conf"
        self.check(
            f"echo 0 > {conf}/up0/forwarding", f"echo 0 > {conf}/{bridge}/forwarding",
            f"echo 0 > {conf}/{bridge}/route_localnet",
            "sysctl -q -w net.ipv4.ip_forward=1; sysctl -q -w net.ipv4.ip_forward=0")


class Private:
    """Folders of /etc that a program of the test may write to: the mount namespace's own copies."""

    def __init__(self, *folders):
        self.folders = []
        for folder in folders:
            copy = tempfile.mkdtemp(prefix="gantry-etc-")
            sh(f"cp -a {folder}/. {copy}/; chmod 755 {copy}; mount --bind {copy} {folder}")
            self.folders.append((folder, copy))

    def close(self):
        for folder, copy in self.folders:
            sh(f"umount {folder}; rm -rf --one-file-system {copy}", check=False)


class BlockedTest(NeighbourCase):
    """An engine as it is by default: says who blocks, and changes nothing."""

    project = "blocked"

    def test_policy_drop_is_told_and_mended_as_told(self):
        sh("iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER")
        try:
            self.assertEqual(
                self.failing(), ["published port from the client", "upstream from a container"])
            before = outside_view()
            wait_until(lambda: "drops what it does not know" in self.gantry("up", "-d", folder=self.folder).stderr, 20,
                       "the warning")
            said = self.gantry("up", "-d", folder=self.folder).stderr
            self.assertIn("the chain FORWARD of table ip filter (Docker) drops what it does not know", said)
            doctor = self.gantry("doctor", "--no-network", "--format", "json")
            self.assertEqual(doctor.returncode, 1, doctor.stdout + doctor.stderr)
            finding = next(entry for entry in json.loads(doctor.stdout)["Findings"]
                           if entry["Code"] == "firewall.blocked")
            self.assertEqual(outside_view(), before)
            for command in finding["Mend"][:2]:
                sh(command)
            self.assert_back("the commands that gantry doctor tells")
            doctor = self.gantry("doctor", "--no-network", "-q")
            self.assertNotIn("DOCKER", doctor.stdout)
            wait_until(lambda: self.gantry("up", "-d", folder=self.folder).stderr == "", 20,
                       "the end of the warning")
        finally:
            sh("iptables -P FORWARD ACCEPT; iptables -F; iptables -X; nft delete table ip filter")


class LetThroughTest(NeighbourCase):
    """An engine that was told to let its networks through others' firewalls."""

    project = "through"

    @classmethod
    def setUpClass(cls):
        os.environ["GANTRY_ALLOW_THROUGH_FIREWALLS"] = "1"
        try:
            super().setUpClass()
        finally:
            del os.environ["GANTRY_ALLOW_THROUGH_FIREWALLS"]

    def clear(self):
        sh("for f in ip ip6; do for t in filter nat mangle raw; do nft delete table $f $t; done; done", check=False)

    def test_policy_drop(self):
        self.addCleanup(self.clear)
        sh("iptables -P FORWARD DROP")
        self.assert_back("iptables -P FORWARD DROP")
        sh("iptables -F FORWARD")
        self.assert_back("iptables -F FORWARD")
        # Others' tables stay usable for iptables, and are left when the engine ends.
        sh("iptables -A FORWARD -j REJECT")
        self.assertIn("-A FORWARD -i gn-+", sh("iptables -S FORWARD"))

    def test_table_of_somebody(self):
        self.addCleanup(lambda: sh("nft delete table inet somebody"))
        sh("nft add table inet somebody; "
           "nft add chain inet somebody forward '{ type filter hook forward priority 5; policy drop; }'")
        self.assert_back("a chain with policy drop")
        sh("nft flush chain inet somebody forward; nft add rule inet somebody forward reject")
        self.assert_back("the same chain, flushed, with a reject")

    def test_isolation_stays(self):
        self.addCleanup(self.clear)
        sh("iptables -P FORWARD DROP")
        self.assert_back("iptables -P FORWARD DROP")
        address = re.search(r"inet (\S+)/", sh(f"nsenter --net=/proc/{self.web}/ns/net ip -4 -o addr show eth0")).group(1)
        sh(f"ip -n lan route add {address} via {HOST}")
        self.assertFalse(inside("/run/netns/lan", lambda: answers_http(address, 80)))

    def restore_settings(self):
        """Takes back what /etc/ufw/sysctl.conf sets, so that what is found changed at the end is Gantry's doing."""
        for key, value in outside_view().items():
            if self.outside[key] != value and key.count(".") == 2:
                family, name, setting = key.split(".")
                with open(f"/proc/sys/net/{family}/conf/{name}/{setting}", "w") as file:
                    file.write(self.outside[key])

    @unittest.skipUnless(shutil.which("ufw"), "ufw is not installed")
    def test_ufw(self):
        private = Private("/etc/ufw", "/etc/default")
        self.addCleanup(private.close)
        self.addCleanup(self.clear)
        self.addCleanup(self.restore_settings)
        self.addCleanup(lambda: sh("ufw --force disable", check=False))
        sh("ufw default deny routed; ufw --force enable")
        self.assertIn("-P FORWARD DROP", sh("iptables -S FORWARD"))
        self.assert_back("ufw enable")
        sh("ufw reload")
        self.assert_back("ufw reload")

    @unittest.skipUnless(shutil.which("dockerd"), "docker is not installed")
    def test_docker(self):
        self.addCleanup(self.clear)
        folder = tempfile.mkdtemp(prefix="gantry-docker-")
        daemon = self.start_docker(folder)
        try:
            self.assertIn("-P FORWARD DROP", sh("iptables -S FORWARD"))
            self.assert_back("the start of dockerd")
            sh("iptables -F FORWARD; iptables -P FORWARD DROP")
            self.assert_back("its rules flushed")
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=20)
            self.assert_back("its end")
            daemon = self.start_docker(folder)
            self.assert_back("its restart")
        finally:
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
            sh("ip link del docker0; sysctl -q -w net.ipv4.ip_forward=0", check=False)
            sh(f"rm -rf --one-file-system {folder}", check=False)

    def start_docker(self, folder):
        log = open(f"{folder}/log", "ab")
        self.addCleanup(log.close)
        daemon = subprocess.Popen(
            ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile",
             f"{folder}/pid", "--host", f"unix://{folder}/docker.sock", "--storage-driver", "vfs",
             "--userland-proxy=false", "--bip", "172.31.99.1/24"], stdout=log, stderr=log)
        environment = os.environ | {"DOCKER_HOST": f"unix://{folder}/docker.sock"}

        def is_up():
            if daemon.poll() is not None:
                with open(f"{folder}/log") as file:
                    self.skipTest(f"dockerd does not run here: {file.read()[-300:]}")
            return subprocess.run(["docker", "info"], env=environment, capture_output=True).returncode == 0

        wait_until(is_up, 30, "dockerd")
        return daemon

    @unittest.skipUnless(shutil.which("firewalld") and shutil.which("dbus-daemon"), "firewalld is not installed")
    def test_firewalld(self):
        private = Private("/etc/firewalld")
        self.addCleanup(private.close)
        self.addCleanup(self.clear)
        os.makedirs("/run/dbus", exist_ok=True)
        os.makedirs("/run/firewalld", exist_ok=True)
        bus = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile"], stderr=subprocess.DEVNULL)
        daemon = None
        try:
            wait_until(lambda: os.path.exists("/run/dbus/system_bus_socket"), 20, "the bus")
            daemon = subprocess.Popen(["firewalld", "--nofork", "--nopid"], stderr=subprocess.DEVNULL)
            wait_until(lambda: sh("firewall-cmd --state 2>&1", check=False).strip() == "running", 20, "firewalld")
            def has_our_rules():
                # While it loads again there is no such table for a moment.
                return 'iifname "gn-*" accept' in sh("nft list table inet firewalld", check=False)

            wait_until(has_our_rules, what="the rules")
            self.assert_back("the start of firewalld")
            # It forwards to interfaces that were given to a zone: nothing is blocked any more, and our rules go.
            sh("firewall-cmd --zone=public --change-interface=up0")
            wait_until(lambda: not has_our_rules(), what="the end of the rules")
            self.assert_back("an interface in a zone")
            # That was not for good.
            sh("firewall-cmd --reload")
            wait_until(has_our_rules, what="the rules after a reload")
            self.assert_back("firewall-cmd --reload")
            sh("firewall-cmd --complete-reload")
            self.assert_back("firewall-cmd --complete-reload")
        finally:
            for process in (daemon, bus):
                if process is not None:
                    process.terminate()
                    process.wait()
            sh("nft delete table inet firewalld", check=False)
        self.assert_back("the end of firewalld")


del NeighbourCase

if __name__ == "__main__":
    unittest.main()
