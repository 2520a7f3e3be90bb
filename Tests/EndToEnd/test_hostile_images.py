"""Images whose configuration is made to reach the host, to pose as somebody, or to end the engine."""

import json
import os
import shutil
import tempfile
import unittest

from harness import EngineCase, busybox_image

MOST, LEAST = 2**63 - 1, -2**63
ODD_TEXT = "\x1b[31m\r\n\u202e"


class HostileImageTest(EngineCase):
    def image(self, name, **config):
        """Loads an image with this configuration."""
        archive = f"{self.root}/{name}.tar"
        busybox_image(archive, tag=f"{name}:1", config={"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000"]} | config)
        result = self.gantry("load", "-i", archive)
        os.unlink(archive)
        return result

    def up(self, name, more="", **options):
        text = f"services: {{web: {{image: \"{name}:1\", stop_grace_period: 0s, pull_policy: never{more}}}}}"
        self.folder = self.stack(text, name)
        return self.gantry("up", "-d", folder=self.folder, **options)

    def inside(self, script):
        return self.gantry("exec", "-T", "web", "sh", "-c", script, folder=self.folder)

    def down(self):
        self.gantry_ok("down", "-v", "-t", "0", folder=self.folder)
        # Whatever the image said, the engine is there and well.
        self.assertTrue(self.answers())
        self.assertIsNone(self.engine.poll())

    def test_volumes_stay_in_the_image(self):
        """CVE-2022-23648: a volume's path names a folder of the image, never one of the host."""
        host = tempfile.mkdtemp(prefix="gantry-e2e-host-")
        self.addCleanup(shutil.rmtree, host)
        with open(f"{host}/secret", "w") as file:
            file.write("of the host")
        paths = [f"/../../../../../../../..{host}", f"/tmp/../..{host}", f"//..{host}/.", f"/proc/1/root{host}",
                 f"/proc/self/cwd/../..{host}", f"..{host}", "", "/", "relative"]
        entered = 0
        for index, path in enumerate(paths):
            with self.subTest(path):
                name = f"volume{index}"
                if self.image(name, Volumes={path: {}}).returncode == 0 and self.up(name).returncode == 0:
                    found = self.inside(
                        f"cat {host}/secret '{path}/secret' 2>/dev/null; find / -xdev -name secret 2>/dev/null; echo end")
                    self.assertEqual(found.returncode, 0, found.stderr)
                    self.assertTrue(found.stdout.endswith("end\n"), found.stdout)
                    self.assertNotIn("of the host", found.stdout)
                    entered += 1
                    self.inside(f"echo evil > {host}/secret; echo evil > '{path}/secret'")
                self.down()
                with open(f"{host}/secret") as file:
                    self.assertEqual(file.read(), "of the host")
                self.assertEqual(os.listdir(host), ["secret"])
        self.assertGreater(entered, 0)

    def test_users_are_who_they_say(self):
        """CVE-2024-40635, CVE-2026-30892: no number wraps, and no odd text is root."""
        odd = ["2147483648", "4294967295", "4294967296", "18446744073709551616", "-1", "0x0", " 0", "0 ", "+0", "00x",
               "root\x00", "nobody:-1", "1000:4294967296", ":", "::", "../root", "web:x:y", ODD_TEXT]
        for index, user in enumerate(odd):
            with self.subTest(user):
                name = f"user{index}"
                if self.image(name, User=user).returncode == 0 and self.up(name).returncode == 0:
                    self.fail(f"{user!r} runs as {self.inside('id').stdout}")
                self.down()
        good = [("2147483647", "2147483647 0"), ("web", "1000 1000"), ("7:web", "7 1000")]
        for index, (user, ids) in enumerate(good):
            with self.subTest(user):
                name = f"good-user{index}"
                self.assertEqual(self.image(name, User=user).returncode, 0)
                self.assertEqual(self.up(name).returncode, 0)
                self.assertEqual(self.inside("echo $(id -u) $(id -g)").stdout.strip(), ids)
                self.down()

    def test_working_folders_are_the_images(self):
        """CVE-2024-21626 and its like."""
        refused = [f"/proc/self/fd/{number}" for number in range(3, 14)]
        refused += ["/proc/1/cwd", "../../..", "/proc/self/root/../..", "relative", ODD_TEXT]
        entered = []
        for index, path in enumerate(refused + ["/", "/../../..", "/tmp/../../../.."]):
            with self.subTest(path):
                name = f"folder{index}"
                if self.image(name, WorkingDir=path).returncode == 0 and self.up(name).returncode == 0:
                    told = self.inside("ls ../../../../../../.. /proc/1/cwd/../../../.. 2>&1; pwd")
                    self.assertEqual(told.returncode, 0, told.stderr)
                    # What it does see is the image's own root.
                    self.assertIn("www", told.stdout.split())
                    self.assertNotIn("work", told.stdout.split())
                    self.assertNotIn(os.path.basename(self.root), told.stdout)
                    entered.append(path)
                self.down()
        self.assertEqual(entered, ["/", "/../../..", "/tmp/../../../.."])

    def test_numbers_and_texts_end_nobody(self):
        cases = {
            "health-least": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": LEAST, "Timeout": LEAST,
                                             "StartPeriod": LEAST, "StartInterval": LEAST, "Retries": LEAST}},
            "health-most": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": MOST, "Timeout": MOST,
                                            "StartPeriod": MOST, "StartInterval": MOST, "Retries": MOST}},
            "health-busy": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 1, "Timeout": 1, "Retries": 1}},
            "health-empty": {"Healthcheck": {"Test": []}}, "health-odd": {"Healthcheck": {"Test": ["\x00", ODD_TEXT]}},
            "health-none": {"Healthcheck": {"Test": ["CMD"]}}, "health-shell": {"Healthcheck": {"Test": ["CMD-SHELL"]}},
            "ports": {"ExposedPorts": {"99999999999/tcp": {}, "x": {}, "": {}, "-1": {}, "1-99999": {}, "9-1/udp": {},
                                       "80/nonsense": {}, ODD_TEXT: {}}},
            "signal": {"StopSignal": "SIG\x00KILL"}, "signal-number": {"StopSignal": str(MOST)},
            "signal-least": {"StopSignal": str(LEAST)}, "signal-text": {"StopSignal": ODD_TEXT},
            "env": {"Env": ["PATH=/bin", "", "=", "=x", "A", "A\x00B=c", f"B={ODD_TEXT}", "C=" + "x" * 200_000]},
            "words": {"Entrypoint": [], "Cmd": []}, "words-empty": {"Entrypoint": [""], "Cmd": [""]},
            "words-null": {"Cmd": ["sleep\x00", "1000"]}, "words-many": {"Cmd": ["sleep"] + ["1000"] * 100_000},
            "labels": {"Labels": {"": "", "=": "=", ODD_TEXT: ODD_TEXT, "a" * 70_000: "b"}},
        }
        for name, config in cases.items():
            with self.subTest(name):
                if self.image(name, **config).returncode == 0:
                    up = self.up(name)
                    self.assertIn(up.returncode, (0, 1), up.stderr)
                    self.assertNotIn("\x1b", up.stderr + up.stdout)
                    for command in (["ps", "-a"], ["ps", "-a", "--format", "json"], ["logs"]):
                        told = self.gantry(*command, folder=self.folder)
                        self.assertNotIn("\x1b", told.stdout + told.stderr, command)
                    self.down()

    def test_labels_of_an_image_are_nobodys_orders(self):
        """CVE-2026-53488: what the engine keeps about a container is not the image's to say."""
        keys = ["project", "service", "container-number", "oneoff", "config-hash", "project.working_dir",
                "project.config_files", "image", "depends_on"]
        labels = {f"com.docker.compose.{key}": "evil" for key in keys} | {"io.gantry.internal": "evil", "own": "kept"}
        self.assertEqual(self.image("labelled", Labels=labels).returncode, 0)
        self.assertEqual(self.up("labelled").returncode, 0)
        [container] = [each for each in self.api("/system/df")["Containers"]
                       if each["Labels"].get("own") == "kept"]
        told = {key: value for key, value in container["Labels"].items() if key.startswith("com.docker.compose.")}
        self.assertEqual([key for key, value in told.items() if value == "evil"], [])
        self.assertEqual(told["com.docker.compose.project"], "labelled")
        self.down()


if __name__ == "__main__":
    unittest.main()
