"""Bad input: one clear error, a failing exit code, nothing half-made."""

import os
import socket
import subprocess
import unittest

from harness import GANTRY, EngineCase


class ErrorTest(EngineCase):
    def refuse(self, text, *expected, name="wrong", command=("up", "-d")):
        folder = self.stack(text, name)
        result = self.gantry(*command, folder=folder)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        for phrase in expected:
            self.assertIn(phrase, result.stderr)
        self.assertNotIn("Swift", result.stderr)
        self.assertEqual(self.ps(self.root, "-p", name, "-a"), [])
        self.assertEqual(os.listdir(f"{self.root}/data/containers"), [])
        self.assertNotIn(name, self.gantry_ok("ls", "-a").stdout)
        return result.stderr

    def test_broken_yaml(self):
        self.refuse("services:\n  web:\n    image: [busybox\n", "compose.yaml:")

    def test_unknown_key_is_suggested(self):
        text = self.refuse("services:\n  web:\n    imgae: busybox\n", "compose.yaml:3:5", "imgae", "image")
        self.assertIn("^", text)

    def test_unknown_image(self):
        self.refuse("services:\n  web:\n    image: nosuch:1\n", "nosuch", "compose.yaml:3", "gantry load")

    def test_port_in_use(self):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 18099))
            listener.listen()
            self.refuse("""\
services:
  web:
    image: busybox
    ports: ["127.0.0.1:18099:80"]
""", "18099", "compose.yaml:4")

    def test_missing_env_file(self):
        self.refuse("services:\n  web:\n    image: busybox\n    env_file: nosuch.env\n", "nosuch.env",
                    "compose.yaml:4")

    def test_dependency_cycle(self):
        self.refuse("""\
services:
  a: {image: busybox, depends_on: [b]}
  b: {image: busybox, depends_on: [a]}
""", "a", "b", "cycle")

    def test_command_not_found(self):
        folder = self.stack("services:\n  web:\n    image: busybox\n    command: [nosuch]\n", "missing")
        result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("nosuch", result.stderr)
        self.gantry_ok("down", folder=folder)

    def test_dependency_that_becomes_unhealthy(self):
        folder = self.stack("""
            services:
              sick:
                image: busybox
                command: [sleep, "1000"]
                init: true
                healthcheck: {test: ["CMD", "false"], interval: 100ms, retries: 2}
              web:
                image: busybox
                command: [sleep, "1000"]
                depends_on: {sick: {condition: service_healthy}}
            """, "sickly")
        result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("sickly-sick-1", result.stderr)
        self.assertIn("unhealthy", result.stderr)
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_second_engine_on_the_same_data_root(self):
        result = subprocess.run(
            [GANTRY, "engine", "--data-root", f"{self.root}/data", "--exec-root", f"{self.root}/run2",
             "--host", f"unix://{self.root}/other.sock"], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("another engine", result.stderr)

    def test_user_without_rights(self):
        folder = self.stack("services: {web: {image: busybox}}", "rights")
        os.chmod(self.root, 0o755)
        result = subprocess.run(
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", GANTRY, "ps"], cwd=folder,
            env=self.environment(), capture_output=True, text=True, timeout=20)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("permission", result.stderr.lower())

    def test_full_disk(self):
        mount = f"{self.root}/small"
        os.makedirs(mount, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", mount], check=True)
        self.addCleanup(lambda: subprocess.run(["umount", "-l", mount], check=True))
        address = f"unix://{self.root}/small.sock"
        engine = subprocess.Popen([GANTRY, "engine", "--data-root", f"{mount}/data", "--exec-root",
                                   f"{self.root}/smallrun", "--host", address],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            environment = {"GANTRY_HOST": address}
            from harness import wait_until
            wait_until(lambda: os.path.exists(f"{self.root}/small.sock"), what="the small engine")
            with open(f"{mount}/fill", "wb") as file:
                file.write(b"x" * (4 << 20))
            result = self.gantry("load", "-i", f"{self.root}/busybox.tar", env=environment)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("space", result.stderr.lower())
            os.remove(f"{mount}/fill")
            self.gantry_ok("load", "-i", f"{self.root}/busybox.tar", env=environment)
            self.assertIn("busybox", self.gantry_ok("images", env=environment).stdout)
        finally:
            engine.terminate()
            engine.wait()


if __name__ == "__main__":
    unittest.main()
