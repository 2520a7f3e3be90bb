"""Limits, ports, networks, labels and healthchecks change under a running container; contents of configs and secrets are
given to it in place. The process stays the same throughout."""

import json
import os
import subprocess
import unittest

from harness import EngineCase, free_port, wait_until

WEB = 'echo started >> /tmp/starts; mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www'
RELOAD = "trap 'cat /etc/app.conf > /tmp/seen' HUP; cat /etc/app.conf > /tmp/seen; while :; do sleep 0.1; done"


class LiveTest(EngineCase):
    def write(self, web="", top="", command=WEB):
        lines = "".join(f"\n                {line}" for line in web.splitlines() if line.strip())
        self.folder = self.stack(f"""
            services:
              web:
                image: busybox
                command: {json.dumps(["sh", "-c", command])}
                stop_grace_period: 0s{lines}
              other:
                image: busybox
                command: sleep infinity
                networks: [default, back]
                stop_grace_period: 0s
                init: true
            networks:
              back: {{ipam: {{config: [{{subnet: 10.77.0.0/24}}]}}}}
            {top}
            """, "live")

    def up(self, *options):
        return self.gantry_ok("up", "-d", *options, folder=self.folder).stderr

    def setUp(self):
        self.write()
        self.up()
        self.pid = self.pids(self.folder)["live-web-1"]

    def tearDown(self):
        self.gantry("down", "-v", "-t", "0", folder=self.folder)

    def changed(self, web="", top="", command=WEB):
        """Applies it; the process is the one it was, and nothing more is to do."""
        self.write(web, top, command)
        said = self.up()
        self.assertEqual(self.pids(self.folder)["live-web-1"], self.pid, said)
        plan = json.loads(self.gantry_ok("plan", "--format", "json", folder=self.folder).stdout)
        self.assertEqual(plan["changes"], [])
        return said

    def sh(self, command, service="web"):
        return self.gantry_ok("exec", "-T", service, "sh", "-c", command, folder=self.folder).stdout.strip()

    def limit(self, controller, file):
        """What the kernel has, from either version of cgroups."""
        with open(f"/proc/{self.pid}/cgroup") as groups:
            entries = [line.strip().split(":", 2) for line in groups]
        for _, controllers, path in entries:
            if controller in controllers.split(","):
                with open(f"/sys/fs/cgroup/{controller}{path}/{file[0]}") as value:
                    text = value.read()
                    return None if int(text) < 0 or int(text) > 1 << 50 else int(text)
        with open(f"/sys/fs/cgroup{entries[-1][2]}/{file[1]}") as value:
            text = value.read().split()[0]
            return None if text == "max" else int(text)

    MEMORY = ("memory", ("memory.limit_in_bytes", "memory.max"))
    PIDS = ("pids", ("pids.max", "pids.max"))
    QUOTA = ("cpu", ("cpu.cfs_quota_us", "cpu.max"))

    def test_limits(self):
        said = self.changed("mem_limit: 64m\npids_limit: 50\ncpus: 0.5")
        self.assertIn("Updated", said)
        self.assertEqual(self.limit(*self.MEMORY), 64 << 20)
        self.assertEqual(self.limit(*self.PIDS), 50)
        self.assertEqual(self.limit(*self.QUOTA), 50_000)
        self.changed("mem_limit: 128m\ncpus: 1.5")
        self.assertEqual(self.limit(*self.MEMORY), 128 << 20)
        self.assertEqual(self.limit(*self.QUOTA), 150_000)
        self.changed()
        self.assertIsNone(self.limit(*self.MEMORY))
        self.assertIsNone(self.limit(*self.QUOTA))
        # In place as long as the kernel can be told; what it cannot forget replaces.
        self.changed("cpuset: '0'")
        self.write()
        self.up()
        self.assertNotEqual(self.pids(self.folder)["live-web-1"], self.pid)

    def test_a_limit_that_cannot_be_had_is_taken_back(self):
        """A reload that fails leaves the limit that was changed before it behind, and the next file has none."""
        secret = "secrets: {key: {environment: KEY}}"
        text = "secrets: [key]\nx-gantry: {reload: {command: ['/no/such/program']}}\n"
        self.write(text, secret)
        self.gantry_ok("up", "-d", folder=self.folder, env={"KEY": "one"})
        self.pid = self.pids(self.folder)["live-web-1"]
        self.write(text + "mem_limit: 64m", secret)
        result = self.gantry("up", "-d", folder=self.folder, env={"KEY": "two"})
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(self.limit(*self.MEMORY), 64 << 20)
        self.write(text.replace("command: ['/no/such/program']", "signal: CONT"), secret)
        self.gantry_ok("up", "-d", folder=self.folder, env={"KEY": "one"})
        self.assertIsNone(self.limit(*self.MEMORY))
        with open(f"/proc/{self.pid}/root/run/secrets/key") as file:
            self.assertEqual(file.read(), "one")
        self.assertEqual(self.pids(self.folder)["live-web-1"], self.pid)

    def test_ports(self):
        first, second = free_port(), free_port()
        self.changed(f"ports: ['127.0.0.1:{first}:80']")
        wait_until(lambda: self.answers_at(first), what="the port to answer")
        self.changed(f"ports: ['127.0.0.1:{second}:80', '127.0.0.1::80']")
        wait_until(lambda: self.answers_at(second), what="the other port to answer")
        self.assertFalse(self.answers_at(first))
        chosen = self.gantry_ok("port", "web", "80", folder=self.folder).stdout.split()
        self.assertTrue(chosen)
        self.changed()
        self.assertFalse(self.answers_at(second))

    def answers_at(self, port):
        try:
            return bool(self.get(port))
        except OSError:
            return False

    def test_networks_and_aliases(self):
        self.changed("networks: {default: {aliases: [shop]}, back: {aliases: [store]}}")
        self.assertIn("eth1", self.sh("ls /sys/class/net"))
        for name in ("shop", "store"):
            self.assertTrue(self.sh(f"wget -q -O - http://{name}", "other"))
        self.changed("networks: {default: {aliases: [mart]}}")
        self.assertNotIn("eth1", self.sh("ls /sys/class/net"))
        self.assertTrue(self.sh("wget -q -O - http://mart", "other"))
        self.assertEqual(self.sh("nslookup store >/dev/null 2>&1; echo $?", "other"), "1")
        # Another address on the same network.
        self.changed("networks: {default: , back: }")
        # What cannot be had leaves everything as it was, also when the file is taken back.
        other = self.sh("ip -4 addr | grep -o 'inet 10[.]77[.]0[.][0-9]*'", "other").split()[1]
        self.write("networks: {default: , back: {ipv4_address: %s}}" % other)
        self.assertEqual(self.gantry("up", "-d", folder=self.folder).returncode, 1)
        self.changed("networks: {default: , back: }")
        self.assertIn("10.77.0.", self.sh("ip -4 addr show eth1"))
        self.changed("networks: {default: , back: {ipv4_address: 10.77.0.9}}")
        self.assertIn("10.77.0.9", self.sh("ip -4 addr show eth1"))
        self.assertTrue(self.sh("wget -q -O - http://10.77.0.9", "other"))

    def test_labels_and_healthcheck(self):
        self.changed("labels: {tier: front}\nhealthcheck: {test: 'true', interval: 1s}")
        wait_until(lambda: self.health() == "healthy", what="the new healthcheck")
        self.changed("labels: {tier: back}\nhealthcheck: {test: 'false', interval: 1s, retries: 1}")
        wait_until(lambda: self.health() == "unhealthy", what="the changed healthcheck")
        self.changed()
        self.assertEqual(self.health(), "")

    def health(self):
        return next(each["Health"] for each in self.ps(self.folder) if each["Name"] == "live-web-1")

    def test_reload(self):
        text = "configs: [{source: app, target: /etc/app.conf}]\nx-gantry: {reload: {signal: HUP}}"
        self.write(text, "configs: {app: {content: one}}", RELOAD)
        self.up()
        self.pid = self.pids(self.folder)["live-web-1"]
        # Not written yet, maybe.
        wait_until(lambda: self.sh("cat /tmp/seen 2>/dev/null || true") == "one", what="the first content")
        self.changed(text, "configs: {app: {content: 'the second, longer one'}}", RELOAD)
        wait_until(lambda: self.sh("cat /tmp/seen") == "the second, longer one", what="the reload")
        self.changed(text, "configs: {app: {content: ''}}", RELOAD)
        wait_until(lambda: self.sh("cat /tmp/seen; echo .") == ".", what="the third content")
        # Still the container's to read only.
        self.assertEqual(self.sh("echo x > /etc/app.conf 2>/dev/null; echo $?"), "1")
        # Without `reload`, new content replaces.
        plain = "configs: [{source: app, target: /etc/app.conf}]"
        self.changed(plain, "configs: {app: {content: ''}}", RELOAD)
        self.write(plain, "configs: {app: {content: four}}", RELOAD)
        self.up()
        self.assertNotEqual(self.pids(self.folder)["live-web-1"], self.pid)

    def test_reload_command_and_secret(self):
        def text(secret):
            with open(f"{self.folder}/key", "w") as file:
                file.write(secret)
            return ("secrets: [key]\nx-gantry: {reload: {command: [sh, -c, 'cp /run/secrets/key /tmp/seen']}}",
                    "secrets: {key: {file: ./key}}")
        self.write(*text("alpha"))
        self.up()
        self.pid = self.pids(self.folder)["live-web-1"]
        self.changed(*text("beta"))
        self.assertEqual(self.sh("cat /tmp/seen"), "beta")
        failing = ("secrets: [key]\nx-gantry: {reload: {command: ['false']}}", "secrets: {key: {file: ./key}}")
        text("gamma")
        self.assertIn("reload command ended with 1", self.changed(*failing))

    def test_a_reload_does_not_write_where_the_container_leads_it(self):
        """A container that moves its folders about so that the config's path leads to a file of the host's, which it
        was only given to read."""
        victim = "/dev/shm/gantry-test-victim"
        with open(victim, "w") as file:
            file.write("untouched")
        self.addCleanup(os.remove, victim)
        web = ("configs: [{source: app, target: /cfg/app.conf}]\nx-gantry: {reload: {signal: HUP}}\n"
               f"volumes: ['{victim}:/trap/app.conf:ro']")
        self.write(web, "configs: {app: {content: one}}")
        self.up()
        self.sh("mv /cfg /cfg.old; mv /trap /cfg")
        self.assertEqual(self.sh("cat /cfg/app.conf"), "untouched")
        self.write(web, "configs: {app: {content: evil}}")
        result = self.gantry("up", "-d", folder=self.folder)
        self.assertNotEqual(result.returncode, 0, result.stderr)
        with open(victim) as file:
            self.assertEqual(file.read(), "untouched")
        self.assertIn("/cfg/app.conf", result.stderr)


if __name__ == "__main__":
    unittest.main()
