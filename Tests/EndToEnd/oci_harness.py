"""A bundle with busybox, and `gantry-oci` on it. Used by the tests of the OCI runtime command."""

import array
import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

from harness import BUSYBOX, GANTRY, wait_until

OCI = os.path.abspath(os.environ.get("GANTRY_OCI_BIN", os.path.join(os.path.dirname(GANTRY), "gantry-oci")))


def make_root(path):
    for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "root"):
        os.makedirs(os.path.join(path, folder))
    shutil.copy(BUSYBOX, os.path.join(path, "bin/busybox"))
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            os.symlink("busybox", os.path.join(path, "bin", name))
    with open(os.path.join(path, "etc/passwd"), "w") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\n")
    with open(os.path.join(path, "etc/group"), "w") as file:
        file.write("root:x:0:\n")


def receive_terminal(listener):
    """The descriptor that arrives at a console socket."""
    connection, _ = listener.accept()
    with connection:
        _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
    descriptors = array.array("i")
    descriptors.frombytes(ancillary[0][2][:4])
    return descriptors[0]


def read_terminal(master):
    output = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # EIO: its last user has gone.
            break
        if not chunk:
            break
        output += chunk
    os.close(master)
    return output.decode().replace("\r\n", "\n")


class OCITestCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gantry-oci-")
        self.root = os.path.join(self.folder, "state")
        make_root(os.path.join(self.folder, "rootfs"))
        self.started = []

    def tearDown(self):
        for name in self.started:
            self.oci("delete", "--force", name)
        left = [name for name in os.listdir(self.root) if not name.startswith(".")] if os.path.isdir(self.root) else []
        with open("/proc/self/mountinfo") as file:
            mounts = file.read()
        shutil.rmtree(self.folder)
        self.assertEqual(left, [])
        self.assertNotIn(self.folder, mounts)

    def config(self, *arguments, **changes):
        """Writes config.json: the one of `spec`, without a terminal, for a program."""
        path = os.path.join(self.folder, "config.json")
        if os.path.exists(path):
            os.remove(path)
        self.oci("spec", "--bundle", self.folder, check=True)
        with open(path) as file:
            config = json.load(file)
        config["process"]["terminal"] = False
        config["process"]["args"] = list(arguments)
        config["root"]["readonly"] = False
        for key, value in changes.items():
            if value is None:
                del config[key]
            elif isinstance(value, dict) and isinstance(config.get(key), dict):
                config[key].update(value)
            else:
                config[key] = value
        with open(path, "w") as file:
            json.dump(config, file)
        return config

    def oci(self, *arguments, check=False, options=(), **keywords):
        keywords.setdefault("stdin", subprocess.DEVNULL)
        if "input" in keywords:
            del keywords["stdin"]
        result = subprocess.run(
            [OCI, "--root", self.root, *options, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=self.folder, timeout=60, **keywords)
        if check:
            self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def launch(self, command, name, *arguments, **keywords):
        """`create` or `run -d`: the container inherits the streams, so they are files."""
        self.started.append(name)
        with open(os.path.join(self.folder, f"{name}.out"), "w") as output:
            result = subprocess.run(
                [OCI, "--root", self.root, *command.split(), *arguments, name], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, cwd=self.folder, timeout=60, **keywords)
        return result.returncode

    def output(self, name):
        with open(os.path.join(self.folder, f"{name}.out")) as file:
            return file.read()

    def create(self, name, *arguments, **keywords):
        self.assertEqual(self.launch("create", name, *arguments, **keywords), 0, self.output(name))

    def state(self, name):
        return json.loads(self.oci("state", name, check=True).stdout)

    def status(self, name):
        return self.state(name)["status"]

    def wait_for(self, name, status):
        wait_until(lambda: self.status(name) == status, what=f"{name} to be {status}")
