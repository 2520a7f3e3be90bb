"""One container: run, exec, logs, config, ls, images, signals, files, limits."""

import json
import os
import subprocess
import time
import unittest

from harness import EngineCase, wait_until

PLAIN = """
    services:
      box:
        image: busybox
        command: ["sleep", "1000"]
        init: true
        stop_grace_period: 1s
    """


class CommandTest(EngineCase):
    def up(self, name, text=PLAIN):
        folder = self.stack(text, name)
        self.gantry_ok("up", "-d", folder=folder)
        self.addCleanup(lambda: self.gantry_ok("down", "-v", "-t", "0", folder=folder))
        return folder

    def test_run_returns_output_and_exit_code(self):
        folder = self.up("runs")
        self.assertEqual(self.gantry_ok("run", "--rm", "box", "echo", "hello", folder=folder).stdout, "hello\n")
        self.assertEqual(self.gantry("run", "--rm", "box", "sh", "-c", "exit 7", folder=folder).returncode, 7)
        self.assertEqual(self.gantry("run", "--rm", "box", "/no/such", folder=folder).returncode, 127)
        result = self.gantry("run", "--rm", "-T", "-i", "box", "cat", folder=folder, input="through\n")
        self.assertEqual(result.stdout, "through\n", result.stderr)
        self.assertEqual(len(self.ps(folder, "-a")), 1, "a one-off container was left")

    def test_run_separates_stdout_and_stderr(self):
        folder = self.up("streams")
        result = self.gantry_ok("run", "--rm", "box", "sh", "-c", "echo out; echo err >&2", folder=folder)
        self.assertEqual(result.stdout, "out\n")
        self.assertIn("err\n", result.stderr)

    def test_exec(self):
        folder = self.up("execs")
        run = lambda *a, **k: self.gantry("exec", "-T", *a, folder=folder, **k)
        self.assertEqual(run("box", "hostname").stdout.strip(), run("box", "cat", "/etc/hostname").stdout.strip())
        self.assertEqual(run("-e", "A=b", "box", "sh", "-c", "echo $A").stdout, "b\n")
        self.assertEqual(run("-w", "/tmp", "box", "pwd").stdout, "/tmp\n")
        self.assertEqual(run("-u", "web", "box", "id", "-un").stdout, "web\n")
        self.assertEqual(run("box", "sh", "-c", "exit 3").returncode, 3)
        self.assertEqual(run("box", "nonsense").returncode, 127)
        self.assertEqual(run("box", "cat", input="in\n").stdout, "in\n")
        # More than goes into one frame of the supervisor's socket, as fast as it is read.
        long = "0123456789" * 300_000
        for _ in range(5):
            result = run("box", "cat", input=long)
            self.assertEqual((result.returncode, result.stdout == long), (0, True), result.stderr)
        self.assertNotEqual(run("nobox", "true").returncode, 0)

    def test_logs(self):
        folder = self.up("logged", """
            services:
              box:
                image: busybox
                command: ["sh", "-c", "for i in 1 2 3 4 5; do echo line $$i; done; echo bad >&2; sleep 1000"]
                stop_grace_period: 0s
            """)
        wait_until(lambda: "bad" in self.gantry_ok("logs", folder=folder).stdout, what="the log")
        text = self.gantry_ok("logs", folder=folder).stdout
        self.assertIn("box-1", text)
        for number in range(1, 6):
            self.assertIn(f"line {number}", text)
        tail = self.gantry_ok("logs", "-n", "2", "--no-log-prefix", folder=folder).stdout
        self.assertEqual(tail.split("\n"), ["line 5", "bad", ""])
        stamped = self.gantry_ok("logs", "-t", "-n", "1", folder=folder).stdout
        self.assertRegex(stamped, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z bad")

    def test_logs_follow_ends_with_the_container(self):
        folder = self.up("followed", """
            services:
              box:
                image: busybox
                command: ["sh", "-c", "echo first; sleep 1; echo last"]
            """)
        result = self.gantry_ok("logs", "-f", "--no-log-prefix", folder=folder, timeout=60)
        self.assertEqual(result.stdout, "first\nlast\n")

    def test_config(self):
        folder = self.stack(PLAIN, "shown")
        text = self.gantry_ok("config", folder=folder).stdout
        self.assertIn("name: shown", text)
        shown = json.loads(self.gantry_ok("config", "--format", "json", folder=folder).stdout)
        self.assertEqual(shown["services"]["box"]["image"], "busybox")
        self.assertEqual(self.gantry_ok("config", "--services", folder=folder).stdout, "box\n")

    def test_ls_images_version(self):
        folder = self.up("listed")
        self.assertIn("listed", self.gantry_ok("ls").stdout)
        self.assertIn("busybox", self.gantry_ok("images").stdout)
        self.assertIn("latest", self.gantry_ok("images").stdout)
        self.assertRegex(self.gantry_ok("version").stdout.lower(), r"\d+\.\d+")
        self.assertTrue(os.path.isdir(folder))

    def test_container_is_confined(self):
        folder = self.up("confined")
        run = lambda command: self.gantry("exec", "-T", "box", "sh", "-c", command, folder=folder)
        status = run("cat /proc/1/status").stdout
        self.assertIn("Seccomp:\t2", status)
        self.assertIn("CapEff:\t00000000800405fb", status)
        self.assertNotEqual(run("mount -t tmpfs none /tmp").returncode, 0)
        self.assertNotEqual(run("echo 1 > /proc/sys/kernel/panic").returncode, 0)
        self.assertEqual(run("cat /proc/kcore | head -c 1 | wc -c").stdout.strip(), "0")
        self.assertIn("127.0.0.11", run("cat /etc/resolv.conf").stdout)
        self.assertNotEqual(run("cat /proc/1/exe > /dev/null").returncode, 0, "the supervisor's program is in reach")

    def test_configs_secrets_volumes_and_limits(self):
        folder = self.stack("", "files")
        for name, text in (("app.conf", "colour=blue\n"), ("token.txt", "s3cret\n")):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        os.makedirs(f"{folder}/shared", exist_ok=True)
        with open(f"{folder}/shared/here", "w") as file:
            file.write("bound\n")
        text = """
            services:
              box:
                image: busybox
                command: ["sleep", "1000"]
                init: true
                configs: [{source: app, target: /etc/app.conf}]
                secrets: [token]
                volumes: ["data:/data", "./shared:/shared:ro"]
                tmpfs: ["/scratch"]
                mem_limit: 64m
                pids_limit: 50
                user: "0"
                hostname: boxy
                read_only: true
            configs: {app: {file: ./app.conf}}
            secrets: {token: {file: ./token.txt}}
            volumes: {data: {}}
            """
        self.up("files", text)
        run = lambda command: self.gantry("exec", "-T", "box", "sh", "-c", command, folder=folder)
        self.assertEqual(run("cat /etc/app.conf /run/secrets/token /shared/here").stdout, "colour=blue\ns3cret\nbound\n")
        self.assertEqual(run("hostname").stdout, "boxy\n")
        self.assertEqual(run("echo kept > /data/file").returncode, 0)
        self.assertNotEqual(run("echo no > /shared/x").returncode, 0)
        self.assertNotEqual(run("echo no > /x").returncode, 0)
        self.assertEqual(run("echo yes > /scratch/x").returncode, 0)
        self.gantry_ok("down", "-t", "0", folder=folder)
        self.up("files", text)
        self.assertEqual(run("cat /data/file").stdout, "kept\n")

    def test_names_resolve_and_networks_are_apart(self):
        folder = self.up("netted", """
            services:
              front: {image: busybox, command: [sleep, "1000"], init: true, networks: [a], cap_add: [NET_RAW]}
              middle:
                image: busybox
                command: [sleep, "1000"]
                init: true
                networks: {a: {aliases: [mid]}, b: {}}
                deploy: {replicas: 2}
              back: {image: busybox, command: [sleep, "1000"], init: true, networks: [b]}
            networks: {a: {}, b: {internal: true}}
            """)
        run = lambda service, command: self.gantry("exec", "-T", service, "sh", "-c", command, folder=folder)
        self.assertEqual(run("front", "ping -c 1 -W 1 middle").returncode, 0)
        self.assertEqual(run("front", "ping -c 1 -W 1 mid").returncode, 0)
        self.assertEqual(run("front", "ping -c 1 -W 1 netted-middle-2").returncode, 0)
        self.assertNotEqual(run("front", "ping -c 1 -W 1 back").returncode, 0)
        address = run("back", "hostname -i").stdout.strip()
        self.assertTrue(address)
        self.assertNotEqual(run("front", f"ping -c 1 -W 1 {address}").returncode, 0)
        found = run("front", "nslookup middle 127.0.0.11").stdout
        self.assertEqual(found.count("Address") >= 3, True, found)


if __name__ == "__main__":
    unittest.main()
