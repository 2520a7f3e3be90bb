"""Networks as objects of their own, and all that a stack file can say of one."""

import json
import re
import socket
import subprocess
import sys
import time
import unittest

from harness import EngineCase, wait_until

SLEEP = 'command: ["sleep", "1000"]'


class NetworkTest(EngineCase):
    def up(self, name, text):
        folder = self.stack(text, name)
        self.addCleanup(lambda: self.gantry("down", "-v", "-t", "0", folder=folder))
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        return folder

    def network(self, *arguments):
        name = arguments[-1]
        identity = self.gantry_ok("network", "create", *arguments).stdout.strip()
        self.addCleanup(lambda: self.gantry("network", "rm", "-f", name))
        self.assertRegex(identity, "^[0-9a-f]{64}$")
        return identity

    def inspect(self, name):
        return json.loads(self.gantry_ok("network", "inspect", name).stdout)[0]

    def inside(self, folder, service, *command, index=None):
        numbered = ["--index", str(index)] if index else []
        return self.gantry_ok("exec", "-T", *numbered, service, *command, folder=folder).stdout

    # Objects

    def test_create_list_inspect_remove(self):
        identity = self.network(
            "--subnet", "10.201.0.0/24", "--ip-range", "10.201.0.128/25", "--gateway", "10.201.0.254",
            "--aux-address", "printer=10.201.0.130", "--ipv6", "--subnet", "fd12:3456::/64", "--label", "team=blue",
            "-o", "com.docker.network.driver.mtu=1300", "lan")
        shown = self.inspect("lan")
        self.assertEqual(shown["Id"], identity)
        self.assertEqual(shown["IPAM"]["Config"], [
            {"Subnet": "10.201.0.0/24", "IPRange": "10.201.0.128/25", "Gateway": "10.201.0.254",
             "AuxiliaryAddresses": {"printer": "10.201.0.130"}},
            {"Subnet": "fd12:3456::/64", "Gateway": "fd12:3456::1"}])
        self.assertEqual((shown["EnableIPv4"], shown["EnableIPv6"], shown["Driver"]), (True, True, "bridge"))
        self.assertEqual(shown["Labels"], {"team": "blue"})
        self.assertEqual(self.inspect(identity[:10])["Name"], "lan")
        rows = self.gantry_ok("network", "ls").stdout.splitlines()
        self.assertRegex(rows[0], r"^NETWORK ID +NAME +DRIVER +SCOPE$")
        self.assertTrue(any(re.match(identity[:12] + r" +lan +bridge +local", row) for row in rows), rows)
        self.assertEqual(self.gantry_ok("network", "ls", "-q", "--no-trunc", "-f", "label=team=blue").stdout.strip(),
                         identity)
        self.assertEqual(self.gantry_ok("network", "ls", "-q", "-f", "driver=macvlan").stdout, "")
        names = {json.loads(line)["Name"]
                 for line in self.gantry_ok("network", "ls", "--format", "json").stdout.splitlines()}
        self.assertLessEqual({"lan", "host", "none"}, names)
        again = self.gantry("network", "create", "lan")
        self.assertEqual(again.returncode, 1)
        self.assertIn("already exists", again.stderr)
        self.assertEqual(self.gantry_ok("network", "rm", "lan").stdout, "lan\n")
        self.assertIn("no such network", self.gantry("network", "inspect", "lan").stderr)

    def test_what_cannot_be_is_refused(self):
        for arguments, words in [
            (["-d", "overlay", "x"], "no driver 'overlay'"), (["--subnet", "10.0.0.0/33", "x"], "is no subnet"),
            (["-d", "macvlan", "x"], "needs the interface"),
            (["-d", "macvlan", "-o", "parent=nope0", "x"], "no interface 'nope0'"),
            (["-o", "com.docker.network.bridge.name=lo", "x"], "interface lo already"), (["host"], "is taken"),
            (["--no-ipv4", "x"], "neither IPv4 nor IPv6"),
        ]:
            with self.subTest(arguments=arguments):
                result = self.gantry("network", "create", *arguments)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)

    def test_prune_takes_what_nobody_uses(self):
        self.network("--label", "temporary", "pruned")
        self.network("kept")
        refused = self.gantry("network", "prune", "-f", "--filter", "until=yesterday")
        self.assertIn("invalid filter 'until=yesterday'", refused.stderr)
        self.gantry_ok("network", "prune", "-f", "--filter", "until=1h30m")
        self.inspect("pruned")
        removed = self.gantry_ok("network", "prune", "-f", "--filter", "label=temporary").stdout
        self.assertIn("pruned", removed)
        self.assertNotIn("kept", removed)
        self.inspect("kept")

    # Containers

    def test_connect_and_disconnect_while_it_runs(self):
        self.network("--subnet", "10.202.0.0/24", "visited")
        folder = self.up("guest", f"""
            services:
              app:
                image: busybox
                {SLEEP}
            """)
        self.gantry_ok("network", "connect", "--ip", "10.202.0.77", "--alias", "visitor", "visited", "guest-app-1")
        shown = self.inside(folder, "app", "ip", "-4", "addr")
        self.assertIn("10.202.0.77/24", shown)
        members = list(self.inspect("visited")["Containers"].values())
        self.assertEqual([(member["Name"], member["IPv4Address"]) for member in members],
                         [("guest-app-1", "10.202.0.77/24")])
        self.assertIn("10.202.0.77", self.inside(folder, "app", "nslookup", "visitor"))
        busy = self.gantry("network", "rm", "visited")
        self.assertEqual(busy.returncode, 1)
        self.assertIn("guest-app-1", busy.stderr)
        self.assertIn("No changes", self.gantry_ok("plan", folder=folder).stdout)
        self.gantry_ok("network", "disconnect", "visited", "guest-app-1")
        self.assertNotIn("10.202.0.77", self.inside(folder, "app", "ip", "-4", "addr"))
        self.assertIn("default", self.inside(folder, "app", "ip", "route"))
        self.gantry_ok("network", "rm", "visited")

    def test_two_stacks_meet_on_an_external_network(self):
        self.network("meeting")
        text = """
            services:
              NAME:
                image: busybox
                command: ["sh", "-c", "hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
                networks: [meeting]
            networks:
              meeting: {external: true}
            """
        left = self.up("left", text.replace("NAME", "one"))
        self.up("right", text.replace("NAME", "two"))
        wait_until(lambda: self.gantry("exec", "-T", "one", "wget", "-q", "-O", "-", "http://two/",
                                       folder=left).stdout, 30, "the other stack's service to answer")

    def test_a_missing_external_network_says_what_to_do(self):
        folder = self.stack("""
            services: {app: {image: busybox, networks: [elsewhere]}}
            networks: {elsewhere: {external: true}}
            """, "missing")
        result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("gantry network create elsewhere", result.stderr)
        self.gantry("down", folder=folder)

    # Stack files

    def test_both_families_static_addresses_names_and_parameters(self):
        folder = self.up("dual", f"""
            services:
              app:
                image: busybox
                {SLEEP}
                extra_hosts: ["host.docker.internal:host-gateway"]
                networks:
                  front:
                    ipv4_address: 10.203.0.10
                    ipv6_address: "fd77::10"
                    interface_name: wan0
                    mac_address: "02:42:0a:cb:00:99"
                    link_local_ips: [169.254.9.9]
                    gw_priority: 1
                    driver_opts:
                      com.docker.network.endpoint.sysctls: net.ipv4.conf.IFNAME.log_martians=1
                  back: {{}}
            networks:
              front:
                enable_ipv6: true
                ipam:
                  config: [{{subnet: 10.203.0.0/24}}, {{subnet: "fd77::/64"}}]
              back: {{}}
            """)
        shown = self.inside(folder, "app", "ip", "addr", "show", "dev", "wan0")
        for part in ("10.203.0.10/24", "fd77::10/64", "169.254.9.9/16", "02:42:0a:cb:00:99"):
            self.assertIn(part, shown)
        self.assertIn("default via 10.203.0.1 dev wan0", self.inside(folder, "app", "ip", "route"))
        self.assertIn("default via fd77::1 dev wan0", self.inside(folder, "app", "ip", "-6", "route"))
        hosts = self.inside(folder, "app", "cat", "/etc/hosts")
        self.assertIn("10.203.0.1\thost.docker.internal", hosts)
        self.assertIn("fd77::1\thost.docker.internal", hosts)
        self.assertEqual(
            self.inside(folder, "app", "cat", "/proc/sys/net/ipv4/conf/wan0/log_martians").strip(), "1")
        tree = self.gantry_ok("network", "graph").stdout
        self.assertRegex(tree, r"dual_front \(bridge, 10\.203\.0\.0/24, fd77::/64")
        self.assertRegex(tree, r"└─ dual-app-1  10\.203\.0\.10, fd77::10.*\(wan0, default route\)")
        self.assertIn('"network dual_front" -- "dual-app-1"',
                      self.gantry_ok("network", "graph", "--format", "dot").stdout)
        json.loads(self.gantry_ok("network", "graph", "--format", "json").stdout)

    def test_ipv6_only(self):
        folder = self.up("six", f"""
            services:
              app:
                image: busybox
                {SLEEP}
            networks:
              default: {{enable_ipv4: false, enable_ipv6: true}}
            """)
        shown = self.inside(folder, "app", "ip", "addr", "show", "dev", "eth0")
        self.assertRegex(shown, r"inet6 fd[0-9a-f:]+/64")
        self.assertNotRegex(shown, r"inet \d")

    def test_a_service_has_one_address(self):
        folder = self.up("virtual", f"""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
                stop_grace_period: 0s
                deploy: {{replicas: 3, endpoint_mode: vip}}
              client:
                image: busybox
                {SLEEP}
            """)
        answer = self.inside(folder, "client", "nslookup", "web")
        addresses = set(re.findall(r"Address(?: \d+)?: (10\.[\d.]+)", answer))
        self.assertEqual(len(addresses), 1, answer)
        tasks = set(re.findall(r"Address(?: \d+)?: (10\.[\d.]+)", self.inside(folder, "client", "nslookup", "tasks.web")))
        self.assertEqual(len(tasks), 3)
        self.assertTrue(addresses.isdisjoint(tasks))
        names = {self.inside(folder, "client", "wget", "-q", "-O", "-", "http://web/").strip() for _ in range(12)}
        self.assertEqual(len(names), 3)
        self.gantry_ok("scale", "web=1", folder=folder)
        self.assertIn(addresses.pop(), self.inside(folder, "client", "nslookup", "web"))

    def test_a_client_keeps_its_replica(self):
        self.up("sticky", """
            services:
              web:
                image: busybox
                command: ["sh", "-c", "hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
                stop_grace_period: 0s
                ports: ["127.0.0.1:18090:80"]
                x-gantry: {session_affinity: client_ip}
                deploy: {replicas: 3}
            """)
        # Those that do not listen yet come in one after the other: then clients are shared out anew.
        def replicas():
            try:
                return {self.get(18090) for _ in range(12)}
            except OSError:
                return set()  # None listens yet.

        def is_settled():
            for _ in range(5):
                if len(replicas()) != 1:
                    return False
                time.sleep(0.2)
            return True

        wait_until(is_settled, 20, what="one replica for one client")
        self.assertEqual(len({self.get(18090) for _ in range(50)}), 1)

    def test_a_macvlan_lies_on_the_hosts_interface_and_is_repaired(self):
        subprocess.run(["ip", "link", "add", "mv0", "type", "veth", "peer", "name", "mv1"], check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", "mv0"], check=True)
        subprocess.run(["ip", "link", "set", "mv0", "up"], check=True)
        subprocess.run(["ip", "link", "set", "mv1", "up"], check=True)
        subprocess.run(["ip", "address", "add", "203.0.113.1/24", "dev", "mv1"], check=True)

        def answers():
            try:
                return self.get(80, host="203.0.113.77") == "stacked"
            except OSError:
                return False

        folder = self.up("stacked", """
            services:
              web:
                image: busybox
                command: ["sh", "-c", "echo stacked > /www/index.html; exec httpd -f -p 80 -h /www"]
                stop_grace_period: 0s
                networks: {lan: {ipv4_address: 203.0.113.77}}
            networks:
              lan:
                driver: macvlan
                driver_opts: {parent: mv0}
                ipam: {config: [{subnet: 203.0.113.0/24, gateway: 203.0.113.1}]}
            """)
        wait_until(answers, what="an answer")
        pids = self.pids(folder)
        netns = f"--net=/proc/{next(iter(pids.values()))}/ns/net"
        subprocess.run(["nsenter", netns, "ip", "link", "del", "eth0"], check=True)
        self.assertIn("interface on stacked_lan is missing", self.gantry("plan", folder=folder).stdout)
        self.gantry_ok("reconcile", folder=folder)
        wait_until(answers, what="an answer of the repaired interface")
        self.assertEqual(self.pids(folder), pids)
        # It needs no forwarding: an interface that is not the engine's to open is not the engine's to close.
        def forward(name, value):
            with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
                file.write(value)

        with open("/proc/sys/net/ipv4/ip_forward") as file:
            self.addCleanup(forward, "ip_forward", file.read())
        forward("ip_forward", "0")
        subprocess.run(["nft", "add table inet other; delete table inet other"], check=True)
        time.sleep(0.5)
        forward("conf/mv1/forwarding", "1")
        self.network("passing")
        self.gantry_ok("network", "rm", "passing")
        with open("/proc/sys/net/ipv4/conf/mv1/forwarding") as file:
            self.assertEqual(file.read(), "1\n")

    # Ports

    def test_port_says_where(self):
        folder = self.up("ports", f"""
            services:
              web:
                image: busybox
                {SLEEP}
                ports: ["127.0.0.1:18091:80", "18092:53/udp", "18093-18095:90"]
                deploy: {{replicas: 2}}
            """)
        self.assertEqual(self.gantry_ok("port", "web", "80", folder=folder).stdout, "127.0.0.1:18091\n")
        self.assertEqual(self.gantry_ok("port", "web", "53/udp", folder=folder).stdout, "0.0.0.0:18092\n")
        self.assertEqual(self.gantry_ok("port", "--protocol", "udp", "web", "53", folder=folder).stdout,
                         "0.0.0.0:18092\n")
        chosen = {self.gantry_ok("port", "--index", str(index), "web", "90", folder=folder).stdout.strip()
                  for index in (1, 2)}
        self.assertEqual(chosen, {"0.0.0.0:18093", "0.0.0.0:18094"})
        self.assertIn("80/tcp -> 127.0.0.1:18091", self.gantry_ok("port", "ports-web-1").stdout)
        self.assertNotEqual(self.gantry("port", "web", "81", folder=folder).returncode, 0)

    def test_a_taken_port_says_by_whom(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 18096))
            listener.listen()
            folder = self.stack("""
                services: {web: {image: busybox, ports: ["127.0.0.1:18096:80"]}}
                """, "taken")
            result = self.gantry("up", "-d", folder=folder)
            self.gantry("down", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, r"18096/tcp is in use by python3[^ ]* \(pid \d+\)")
        self.assertRegex(result.stderr, r"compose\.yaml:\d+:\d+")
        self.up("holder", f"""
            services:
              web:
                image: busybox
                {SLEEP}
                ports: ["18097:80"]
            """)
        folder = self.stack("""
            services: {web: {image: busybox, ports: ["127.0.0.1:18097:80"]}}
            """, "second")
        result = self.gantry("up", "-d", folder=folder)
        self.gantry("down", folder=folder)
        self.assertIn("in use by stack 'holder'", result.stderr)

    def test_a_taken_port_of_a_range_is_passed_over(self):
        with socket.socket() as listener:
            listener.bind(("0.0.0.0", 18100))
            listener.listen()
            folder = self.up("range", f"""
                services:
                  web:
                    image: busybox
                    {SLEEP}
                    ports: ["18100-18102:80"]
                """)
            self.assertEqual(self.gantry_ok("port", "web", "80", folder=folder).stdout, "0.0.0.0:18101\n")

    def elements(self):
        ruleset = json.loads(subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, check=True).stdout)
        return sum(len(entry[kind].get("elem", [])) for entry in ruleset["nftables"] for kind in ("set", "map")
                   if kind in entry)

    def test_a_long_range_is_one_element(self):
        before = self.elements()
        folder = self.up("long", f"""
            services:
              rtp:
                image: busybox
                {SLEEP}
                ports: ["20000-21000:20000-21000/udp"]
            """)
        # With those of the network and the container themselves.
        self.assertIn(self.elements() - before, range(1, 50))
        netns = f"--net=/proc/{next(iter(self.pids(folder).values()))}/ns/net"
        echo = ("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 20500)); print(flush=True); "
                "s.sendto(*s.recvfrom(9))")
        with subprocess.Popen(["nsenter", netns, sys.executable, "-c", echo], stdout=subprocess.PIPE) as server:
            self.addCleanup(server.kill)
            server.stdout.readline()
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.settimeout(5)
                client.sendto(b"datagram", ("127.0.0.1", 20500))
                self.assertEqual(client.recv(9), b"datagram")


if __name__ == "__main__":
    unittest.main()
