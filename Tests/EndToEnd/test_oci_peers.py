"""`gantry-oci` under the engines that people have: Docker with containerd's shim, and Podman with conmon."""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import unittest

from harness import wait_until
from oci_harness import OCI, make_root


class Peer(unittest.TestCase):
    """One engine of its own, with its folders on a tmpfs; what both engines have to do."""

    program = None
    network = ["--network", "none"]

    @classmethod
    def setUpClass(cls):
        if cls.program is None:
            raise unittest.SkipTest("what the engines have in common")
        if shutil.which(cls.program) is None:
            raise unittest.SkipTest(f"{cls.program} is not installed")
        cls.folder = tempfile.mkdtemp(prefix="gantry-peer-")
        cls.data = os.path.join(cls.folder, "data")
        os.mkdir(cls.data)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", cls.data], check=True)
        cls.addClassCleanup(cls.clean)
        cls.start()
        root = os.path.join(cls.folder, "rootfs")
        make_root(root)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(root, arcname=".")
        subprocess.run([*cls.command, "import", "-c", 'CMD ["sh"]', "-", "busybox"], input=archive.getvalue(),
                       capture_output=True, check=True)

    @classmethod
    def clean(cls):
        with open("/proc/self/mountinfo") as file:
            points = [line.split()[4] for line in file if cls.folder in line.split()[4]]
        for point in reversed(points):
            subprocess.run(["umount", "-l", point], check=True)
        shutil.rmtree(cls.folder)

    def call(self, *arguments, **keywords):
        return subprocess.run([*self.command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, **keywords)

    def ok(self, *arguments, **keywords):
        result = self.call(*arguments, **keywords)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def background(self, name, *arguments):
        self.addCleanup(self.call, "rm", "-f", name)
        self.ok("run", "-d", "--name", name, *self.network, *arguments)

    def inspect(self, name, format):
        return self.ok("inspect", "-f", format, name).strip()

    def test_run(self):
        self.assertEqual(self.ok("run", "--rm", *self.network, "busybox", "echo", "hello"), "hello\n")
        self.assertEqual(self.call("run", "--rm", *self.network, "busybox", "sh", "-c", "exit 9").returncode, 9)
        self.assertEqual(
            self.ok("run", "-i", "--rm", *self.network, "busybox", "cat", input="through"), "through")

    def test_a_program_that_is_missing_or_forbidden(self):
        self.assertEqual(self.call("run", "--rm", *self.network, "busybox", "nosuch").returncode, 127)
        self.assertEqual(self.call("run", "--rm", *self.network, "busybox", "/etc/passwd").returncode, 126)

    def test_a_terminal(self):
        # A terminal in front of the client: script(1) makes one.
        command = " ".join([*self.command, "run", "--rm", "-t", *self.network, "busybox", "tty"])
        output = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=60,
                                stdin=subprocess.DEVNULL)
        self.assertEqual(output.stdout.strip(), "/dev/pts/0")

    def test_limits(self):
        self.background("limits", "-m", "64m", "--pids-limit", "33", "--cpus", "0.5", "busybox", "sleep", "1000")
        values = self.ok("exec", "limits", "sh", "-c", "cd /sys/fs/cgroup; for f in memory/memory.limit_in_bytes "
                         "pids/pids.max cpu/cpu.cfs_quota_us memory.max pids.max cpu.max; do cat $f 2> /dev/null; done;"
                         "true").split()
        self.assertEqual(values[:3], ["67108864", "33", "50000"])

    def test_exec(self):
        self.background("exec", "busybox", "sleep", "1000")
        result = self.call("exec", "-w", "/tmp", "-u", "12", "-e", "A=b", "exec", "sh", "-c",
                           "pwd; id -u; echo $A; exit 4")
        self.assertEqual((result.returncode, result.stdout), (4, "/tmp\n12\nb\n"), result.stderr)
        self.assertNotEqual(self.call("exec", "exec", "nosuch").returncode, 0)
        self.assertIn("sleep 1000", self.ok("top", "exec"))
        self.assertIn("64", self.ok("exec", "exec", "sh", "-c", "echo $((8*8))"))

    def test_pause_stop_start(self):
        self.background("cycle", "busybox", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
        self.ok("pause", "cycle")
        self.assertEqual(self.inspect("cycle", "{{.State.Status}}"), "paused")
        self.ok("unpause", "cycle")
        self.ok("stop", "cycle")
        self.assertEqual(self.inspect("cycle", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3")
        self.ok("start", "cycle")
        self.assertEqual(self.ok("exec", "cycle", "echo", "again"), "again\n")
        self.ok("kill", "cycle")
        wait_until(lambda: self.inspect("cycle", "{{.State.ExitCode}}") == "137", what="the kill")

    def test_health(self):
        self.background("health", "--health-cmd", "true", "--health-interval", "200ms", "busybox", "sleep", "1000")
        if self.program == "podman":  # Its intervals are systemd's.
            self.ok("healthcheck", "run", "health")
        else:
            wait_until(lambda: self.inspect("health", "{{.State.Health.Status}}") == "healthy", what="its health")

    def test_privileges(self):
        self.assertEqual(
            self.ok("run", "--rm", *self.network, "--cap-drop", "ALL", "busybox", "grep", "CapEff",
                    "/proc/self/status").split()[1], "0" * 16)
        self.assertEqual(
            self.ok("run", "--rm", *self.network, "--user", "12:34", "--hostname", "inner", "busybox", "sh", "-c",
                    "id -u; id -g; hostname").split(), ["12", "34", "inner"])
        self.ok("run", "--rm", *self.network, "--privileged", "busybox", "mount", "-t", "tmpfs", "x", "/tmp")
        self.assertNotEqual(
            self.call("run", "--rm", *self.network, "busybox", "mount", "-t", "tmpfs", "x", "/tmp").returncode, 0)


class Docker(Peer):
    program = "dockerd"

    @classmethod
    def start(cls):
        socket = os.path.join(cls.folder, "socket")
        cls.command = ["docker", "-H", f"unix://{socket}"]
        log = open(os.path.join(cls.folder, "log"), "w")
        cls.daemon = subprocess.Popen(
            ["dockerd", "--data-root", cls.data, "--exec-root", os.path.join(cls.folder, "exec"), "--pidfile",
             os.path.join(cls.folder, "pid"), "-H", f"unix://{socket}", "--bridge", "none", "--iptables=false",
             "--storage-driver", "overlay2", "--add-runtime", f"gantry={OCI}", "--default-runtime", "gantry"],
            stdout=log, stderr=log)
        log.close()
        cls.addClassCleanup(cls.stop)
        wait_until(lambda: subprocess.run([*cls.command, "info"], capture_output=True).returncode == 0, seconds=30,
                   what="dockerd")

    @classmethod
    def stop(cls):
        cls.daemon.send_signal(signal.SIGTERM)
        cls.daemon.wait(30)

    def test_update(self):
        self.background("update", "-m", "64m", "busybox", "sleep", "1000")
        self.ok("update", "--memory", "32m", "--memory-swap", "32m", "update")
        self.assertEqual(
            self.ok("exec", "update", "sh", "-c", "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes || cat memory.max"
                    ).strip(), str(32 << 20))

    def test_statistics(self):
        self.background("stats", "-m", "64m", "busybox", "sleep", "1000")
        line = json.loads(self.ok("stats", "--no-stream", "--format", "{{json .}}", "stats"))
        self.assertIn("64MiB", line["MemUsage"])
        self.assertEqual(line["PIDs"], "1")


class Podman(Peer):
    program = "podman"

    @classmethod
    def start(cls):
        cls.command = [
            "podman", "--runtime", OCI, "--root", os.path.join(cls.data, "root"), "--runroot",
            os.path.join(cls.data, "run"), "--tmpdir", os.path.join(cls.data, "tmp"), "--cgroup-manager", "cgroupfs",
            "--storage-driver", "vfs", "--events-backend", "file"]

    def test_memory_as_a_folder(self):
        output = self.ok("run", "--rm", *self.network, "--tmpfs", "/scratch:rw,size=64k,mode=1777", "busybox", "sh",
                         "-c", "grep /scratch /proc/mounts; touch /scratch/x && echo written")
        self.assertRegex(output, "(?s)/scratch tmpfs rw,.*size=64k.*written")

    def test_mapped_users(self):
        os.chmod(self.folder, 0o755)
        output = self.ok("run", "--rm", *self.network, "--uidmap", "0:20000:1000", "--gidmap", "0:20000:1000",
                         "--device", "/dev/zero:/dev/nought", "busybox", "sh", "-c",
                         "cat /proc/self/uid_map; id -u; head -c 3 /dev/nought | wc -c; touch /tmp/x && echo written")
        self.assertEqual(output.split(), ["0", "20000", "1000", "0", "3", "written"])

    def test_preserved_descriptors(self):
        path = os.path.join(self.folder, "three")
        result = subprocess.run(
            " ".join([*self.command, "run", "--rm", *self.network, "--preserve-fds", "1", "busybox", "sh", "-c",
                      "'echo to3 >&3'", f"3> {path}"]), shell=True, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(path) as file:
            self.assertEqual(file.read(), "to3\n")


if __name__ == "__main__":
    unittest.main()
