"""Names: containers look them up while the engine is gone, and again at once when the process that answers was killed."""

import os
import signal
import subprocess
import time
import unittest

from harness import EngineCase, wait_until

LOOP = "while true; do nslookup -type=a web >/dev/null 2>&1 && echo ok || echo failed; done"


class DNSTest(EngineCase):
    def network_process(self):
        """The pid of the process that answers, of this engine."""
        lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
        found = [int(line.split()[0]) for line in lines if f"network {self.root}/run" in line]
        return found[0] if found else None

    def results(self, folder):
        return self.gantry_ok("logs", "--no-log-prefix", "--no-color", "asker", folder=folder).stdout.split()

    def lookup(self, folder, name, kind="a", service="asker"):
        return self.gantry("exec", "-T", service, "nslookup", f"-type={kind}", name, folder=folder).stdout

    def up(self, name):
        folder = self.stack(f"""
            services:
              web:
                image: busybox
                command: ["httpd", "-f", "-p", "80"]
                scale: 2
                stop_grace_period: 0s
              asker:
                image: busybox
                command: ["sh", "-c", "{LOOP}"]
                stop_grace_period: 0s
                # Busybox's nslookup adds the host's to every name without a dot.
                dns_search: ["."]
              options:
                image: busybox
                command: ["sleep", "1000"]
                stop_grace_period: 0s
                dns_search: [corp.example]
                dns_opt: ["timeout:1", "attempts:1"]
            """, name)
        self.gantry_ok("up", "-d", folder=folder)
        return folder

    def test_answers_go_on_while_the_engine_is_dead(self):
        folder = self.up("dead")
        wait_until(lambda: "ok" in self.results(folder), what="an answer")
        process = self.network_process()
        skipped = len(self.results(folder))
        for _ in range(3):
            self.kill_engine()
            time.sleep(0.5)
            self.start_engine()
            time.sleep(0.2)
        wait_until(lambda: len(self.results(folder)) > skipped + 50, what="fifty answers")
        results = self.results(folder)[skipped:]
        self.assertNotIn("failed", results)
        self.assertEqual(self.network_process(), process)
        # A name that comes later is known to who was there before.
        self.gantry_ok("up", "-d", "--scale", "web=3", folder=folder)
        wait_until(lambda: self.lookup(folder, "web").count("Address") >= 4, what="three addresses")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_a_killed_process_is_replaced_at_once(self):
        folder = self.up("killed")
        wait_until(lambda: "ok" in self.results(folder), what="an answer")
        for _ in range(3):
            before = self.network_process()
            os.kill(before, signal.SIGKILL)
            killed = time.monotonic()
            wait_until(lambda: self.network_process() not in (None, before), what="another process")
            # One is the server's own.
            wait_until(lambda: self.lookup(folder, "web").count("Address") >= 3, what="both addresses")
            self.assertLess(time.monotonic() - killed, 15)
            wait_until(lambda: self.results(folder)[-1] == "ok", what="an answer to who asked all the time")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_names_of_every_kind(self):
        folder = self.up("kinds")
        for name in ("web", "tasks.web", "kinds-web-1", "kinds-web-2", "web.kinds_default", "WEB"):
            with self.subTest(name=name):
                self.assertIn("Address", self.lookup(folder, name).split("\n\n", 1)[-1])
        no_address = self.lookup(folder, "web", "aaaa")
        self.assertIn("127.0.0.11", no_address)
        self.assertNotIn("NXDOMAIN", no_address)
        resolver = self.gantry_ok("exec", "-T", "options", "cat", "/etc/resolv.conf", folder=folder).stdout
        self.assertIn("nameserver 127.0.0.11", resolver)
        self.assertIn("search corp.example", resolver)
        self.assertIn("options timeout:1 attempts:1 ndots:0", resolver)
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_a_published_port_is_on_both_loopbacks(self):
        folder = self.stack("""
            services:
              web:
                image: busybox
                command: ["sh", "-c", "echo hello >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]
                ports: ["18080:80"]
                stop_grace_period: 0s
            """, "loopback")
        self.gantry_ok("up", "-d", folder=folder)
        for host in ("127.0.0.1", "[::1]"):
            with self.subTest(host=host):
                wait_until(lambda: self.answers_http(host), what="the page")
        self.kill_engine()
        self.assertEqual(self.get(18080, "/index.html", host="[::1]"), "hello")
        self.start_engine()
        self.assertEqual(self.get(18080, "/index.html", host="[::1]"), "hello")
        self.gantry_ok("down", "-t", "0", folder=folder)
        wait_until(lambda: not self.answers_http("[::1]"), what="the end of the port")

    def answers_http(self, host):
        try:
            return self.get(18080, "/index.html", host=host) == "hello"
        except OSError:
            return False


if __name__ == "__main__":
    unittest.main()
