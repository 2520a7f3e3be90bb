"""Volumes that are file systems of their own: mounted for as long as a container has them, and nobody's data is lost."""

import os
import unittest

from harness import EngineCase, wait_until


class MountedVolumeTest(EngineCase):
    def folder_of(self, volume):
        return f"{self.root}/data/volumes/{volume}/_data"

    def mounts(self, volume):
        """What is mounted on a volume's folder: type and options."""
        with open("/proc/self/mountinfo") as file:
            lines = [line.split() for line in file]
        return [(fields[fields.index("-") + 1], fields[5] + "," + fields[-1])
                for fields in lines if fields[4] == self.folder_of(volume)]

    def sh(self, folder, service, script):
        return self.gantry_ok("exec", "-T", service, "sh", "-c", script, folder=folder).stdout

    def shared(self, name, options):
        return self.stack(f"""
            services:
              one: {{image: busybox, command: ["sleep", "1000"], volumes: ["data:/data"], stop_grace_period: 0s}}
              two: {{image: busybox, command: ["sleep", "1000"], volumes: ["data:/data"], stop_grace_period: 0s}}
            volumes:
              data: {{driver_opts: {options}}}
            """, name)

    def test_a_tmpfs_is_shared_and_ends_with_its_last_user(self):
        folder = self.shared("memory", '{type: tmpfs, device: tmpfs, o: "size=1m,mode=0750,nosuid"}')
        self.gantry_ok("up", "-d", folder=folder)
        [(kind, options)] = self.mounts("memory_data")
        self.assertEqual(kind, "tmpfs")
        for word in ("nosuid", "size=1024k", "mode=750"):
            self.assertIn(word, options.split(","))
        self.sh(folder, "one", "echo hello > /data/file")
        self.assertEqual(self.sh(folder, "two", "cat /data/file; stat -c %a /data"), "hello\n750\n")
        self.assertIn("No space left", self.gantry(
            "exec", "-T", "one", "dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=2", folder=folder).stderr)
        self.gantry_ok("stop", "one", folder=folder)
        self.gantry_ok("start", "one", folder=folder)
        self.assertEqual(self.sh(folder, "one", "cat /data/file"), "hello\n")
        self.gantry_ok("stop", folder=folder)
        self.assertEqual(self.mounts("memory_data"), [])
        self.gantry_ok("start", folder=folder)
        self.assertEqual(self.sh(folder, "one", "ls /data"), "")
        self.gantry_ok("down", "-v", folder=folder)
        self.assertEqual(self.mounts("memory_data"), [])
        self.assertFalse(os.path.exists(self.folder_of("memory_data")))

    def test_data_of_others_stays(self):
        """Also through the folder of a container that does not run."""
        for name in ("lower", "upper", "work"):
            os.makedirs(f"{self.root}/disk/{name}")
        words = ",".join(f"{name}dir={self.root}/disk/{name}" for name in ("lower", "upper", "work"))
        folder = self.shared("disk", f'{{type: overlay, device: disk, o: "{words}"}}')
        with open(f"{self.root}/disk/lower/precious", "w") as file:
            file.write("kept\n")
        self.gantry_ok("up", "--no-start", folder=folder)
        self.assertEqual(self.mounts("disk_data"), [])
        self.gantry_ok("cp", "one:/data/precious", "copy", folder=folder)
        with open(f"{folder}/copy") as file:
            self.assertEqual(file.read(), "kept\n")
        self.gantry_ok("cp", "copy", "one:/data/written", folder=folder)
        self.assertEqual(self.mounts("disk_data"), [])
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(self.sh(folder, "two", "ls /data"), "precious\nwritten\n")
        self.gantry_ok("system", "df", folder=folder)
        self.gantry_ok("down", "-v", folder=folder)
        self.assertEqual(self.mounts("disk_data"), [])
        self.assertEqual(os.listdir(f"{self.root}/disk/lower"), ["precious"])
        self.assertEqual(os.listdir(f"{self.root}/disk/upper"), ["written"])

    def test_a_folder_that_is_only_read(self):
        os.makedirs(f"{self.root}/library")
        with open(f"{self.root}/library/book", "w") as file:
            file.write("text\n")
        folder = self.shared("reading", f'{{type: none, device: "{self.root}/library", o: "bind,ro"}}')
        self.gantry_ok("up", "-d", folder=folder)
        self.assertEqual(self.sh(folder, "one", "cat /data/book"), "text\n")
        refused = self.gantry("exec", "-T", "one", "touch", "/data/new", folder=folder)
        self.assertIn("Read-only file system", refused.stderr)
        with open(f"{self.root}/library/new", "w"):
            pass
        self.gantry_ok("down", "-v", folder=folder)
        self.assertEqual(sorted(os.listdir(f"{self.root}/library")), ["book", "new"])

    def test_an_engine_that_was_killed_forgets_nothing(self):
        folder = self.shared("crash", "{type: tmpfs, device: tmpfs}")
        self.gantry_ok("up", "-d", folder=folder)
        self.sh(folder, "one", "echo hello > /data/file")
        self.kill_engine()
        self.start_engine()
        self.gantry_ok("stop", "one", folder=folder)
        self.assertEqual(self.sh(folder, "two", "cat /data/file"), "hello\n")
        self.gantry_ok("stop", "two", folder=folder)
        self.assertEqual(self.mounts("crash_data"), [])
        self.gantry_ok("down", "-v", folder=folder)

    def test_what_ended_without_an_engine_is_unmounted_by_the_next(self):
        folder = self.stack("""
            services:
              one: {image: busybox, command: ["sh", "-c", "until test -e /data/end; do sleep 0.1; done"], volumes: ["data:/data"]}
            volumes:
              data: {driver_opts: {type: tmpfs, device: tmpfs}}
            """, "alone")
        self.gantry_ok("up", "-d", folder=folder)
        self.kill_engine()
        with open(f"{self.folder_of('alone_data')}/end", "w"):
            pass
        self.start_engine()
        wait_until(lambda: self.mounts("alone_data") == [], what="the volume to be unmounted")
        self.gantry_ok("down", "-v", folder=folder)

    def test_errors(self):
        for options, why in (
            (["type=nosuch", "device=none"], "mount none:.*: no such device"),
            (["type=cifs", "device=//192.0.2.1/x", "o=username=a,password=secret"], "password=\\*\\*\\*\\*\\*\\*\\*\\*"),
            (["type=ext4", "device=/dev/null"], "block device required"),
            (["type=none", "device=/no/such/folder", "o=bind,ro"], "no such file or directory"),
        ):
            with self.subTest(options):
                words = [word for option in options for word in ("-o", option)]
                self.gantry_ok("volume", "create", *words, "wrong")
                folder = self.stack("""
                    services: {box: {image: busybox, command: ["true"], volumes: ["wrong:/data"]}}
                    volumes: {wrong: {external: true}}
                    """, "wrong")
                refused = self.gantry("up", "-d", folder=folder)
                self.assertEqual(refused.returncode, 1, refused.stdout)
                self.assertRegex(refused.stderr, f"failed to mount local volume: .*{why}")
                self.assertNotIn("secret", refused.stdout + refused.stderr)
                self.gantry_ok("down", folder=folder)
                self.gantry_ok("volume", "rm", "wrong")
        self.assertIn("needs a device", self.gantry("volume", "create", "-o", "type=tmpfs", "wrong").stderr)


if __name__ == "__main__":
    unittest.main()
