"""`--host ssh://`: a client and an engine that have an SSH connection between them and nothing else."""

import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import unittest

from harness import GANTRY, EngineCase, wait_until

SERVER = shutil.which("dropbear", path="/usr/sbin:/sbin:/usr/bin")
CLIENT = shutil.which("ssh")


@unittest.skipUnless(SERVER and CLIENT, "no dropbear or no ssh: `make setup` installs them")
class SSHTest(EngineCase):
    PORT = 2222

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Both programs look for the user's files where the system's list of users says, and this mount is ours alone.
        cls.folder = os.path.expanduser("~root/.ssh")
        cls.was_there = os.path.isdir(cls.folder)
        os.makedirs(cls.folder, mode=0o700, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", cls.folder], check=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{cls.folder}/id_ed25519"], check=True)
        with open(f"{cls.folder}/id_ed25519.pub") as file:
            key = file.read()
        # The other machine's `gantry`, which finds its engine by its own environment.
        os.makedirs(f"{cls.root}/bin")
        os.symlink(GANTRY, f"{cls.root}/bin/gantry")
        with open(f"{cls.root}/login", "w") as file:
            file.write(f"#!/bin/sh\necho >> {cls.root}/sessions\n"
                       f"export PATH={cls.root}/bin:$PATH GANTRY_HOST=unix://{cls.socket} GANTRY_NO_AUTOSTART=1\n"
                       'eval "$SSH_ORIGINAL_COMMAND"\n')
        os.chmod(f"{cls.root}/login", 0o755)
        with open(f"{cls.folder}/authorized_keys", "w") as file:
            file.write(f'command="{cls.root}/login" {key}')
        with open(f"{cls.folder}/config", "w") as file:
            file.write("Host box\n  HostName 127.0.0.1\n  StrictHostKeyChecking accept-new\n  BatchMode yes\n")
        for path in ("authorized_keys", "config"):
            os.chmod(f"{cls.folder}/{path}", 0o600)
        subprocess.run(["dropbearkey", "-t", "ed25519", "-f", f"{cls.root}/host-key"], check=True, capture_output=True)
        cls.server_log = open(f"{cls.root}/sshd.log", "w+")
        cls.server = subprocess.Popen(
            [SERVER, "-F", "-E", "-s", "-p", f"127.0.0.1:{cls.PORT}", "-r", f"{cls.root}/host-key"],
            stdin=subprocess.DEVNULL, stdout=cls.server_log, stderr=cls.server_log)
        wait_until(cls.listens, what="the SSH server to listen")

    @classmethod
    def listens(cls):
        try:
            socket.create_connection(("127.0.0.1", cls.PORT)).close()
            return True
        except OSError:
            return False

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait()
        cls.server_log.close()
        # The connection that is kept for a minute.
        for pid in subprocess.run(["pgrep", "-f", f"{cls.root}/.*ssh-"], capture_output=True, text=True).stdout.split():
            os.kill(int(pid), 15)
        subprocess.run(["umount", cls.folder], check=True)
        if not cls.was_there:
            os.rmdir(cls.folder)
        super().tearDownClass()

    @classmethod
    def environment(cls):
        return super().environment() | {"GANTRY_EXEC_ROOT": f"{cls.root}/client"}

    def far(self, *arguments, host=f"ssh://root@box:{PORT}", **options):
        return self.gantry(*arguments, env={"GANTRY_HOST": host, "XDG_RUNTIME_DIR": self.root}, **options)

    def sessions(self):
        with open(f"{self.root}/sessions") as file:
            return len(file.readlines())

    def connections(self):
        with open(f"{self.root}/sshd.log") as file:
            return file.read().count("Pubkey auth succeeded")

    def test_a_stack_with_its_files(self):
        folder = self.stack("""
            services:
              web:
                image: busybox
                command: ["sleep", "1000"]
                configs: [greeting]
                secrets: [pin]
            configs: {greeting: {file: ./greeting.txt}}
            secrets: {pin: {file: ./pin.txt}}
            """, name="far")
        for name, text in (("greeting.txt", "hello from afar"), ("pin.txt", "1234")):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        result = self.far("up", "-d", folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.addCleanup(self.gantry_ok, "down", "-t", "0", folder=folder)
        read = self.far("exec", "-T", "web", "cat", "/greeting", "/run/secrets/pin", folder=folder)
        self.assertEqual(read.stdout, "hello from afar1234", read.stderr)
        # What is typed gets there, and its end too.
        echoed = self.far("exec", "-T", "web", "cat", folder=folder, input="x" * 300_000)
        self.assertEqual((echoed.returncode, len(echoed.stdout)), (0, 300_000), echoed.stderr)
        ended = self.far("exec", "-T", "web", "sh", "-c", "exit 7", folder=folder)
        self.assertEqual(ended.returncode, 7, ended.stderr)
        near = json.loads(self.gantry_ok("ps", "--format", "json", folder=folder).stdout)
        self.assertEqual(json.loads(self.far("ps", "--format", "json", folder=folder).stdout)["ID"], near["ID"])
        self.assertGreater(self.sessions(), 5)
        self.assertEqual(self.connections(), 1)

    def test_folders_of_this_machine_are_built_there(self):
        folder = self.stack("""
            services:
              web:
                image: far:1
                build:
                  context: app
                  dockerfile: ../docker/web.Dockerfile
                  additional_contexts: {more: other}
                  secrets: [word]
            secrets: {word: {file: word}}
            """, name="built")
        files = {
            "docker/web.Dockerfile": "FROM busybox\nCOPY . /app/\nCOPY --from=more . /more/\n"
                                     "RUN --mount=type=secret,id=word cat /run/secrets/word > /said; find /app ! -name 'caf*' | sort > /list; cat /app/caf* > /latin\n",
            "app/.dockerignore": "*.log\nlarge\n!large/kept\n", "app/one": "1", "app/a/b/two": "2", "app/no.log": "x",
            "app/large/no": "x", "app/large/kept": "3", "other/thing": "4", "word": "hush",
        }
        for name, text in files.items():
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        os.symlink("one", f"{folder}/app/link")
        os.chmod(f"{folder}/app/one", 0o750)
        with open(os.fsencode(f"{folder}/app/") + b"caf\xe9", "w") as file:
            file.write("5")
        result = self.far("build", folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.gantry_ok("run", "--rm", "-T", "web", "cat", "/list", folder=folder).stdout.split(), [
            "/app", "/app/.dockerignore", "/app/a", "/app/a/b", "/app/a/b/two", "/app/large", "/app/large/kept",
            "/app/link", "/app/one"])
        said = self.gantry_ok("run", "--rm", "-T", "web", "sh", "-c", "cat /said /more/thing /app/link /latin; stat -c %a /app/one",
                              folder=folder).stdout
        self.assertEqual(said, "hush415750\n")
        # Unchanged files are known again, although they come from another folder each time.
        self.assertIn("CACHED", self.far("--progress", "plain", "build", folder=folder).stderr)

        with open(f"{folder}/docker/web.Dockerfile", "w") as file:
            file.write("FROM busybox\nRUN exit 3\n")
        result = self.far("build", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("docker/web.Dockerfile:2", result.stderr)
        os.remove(f"{folder}/docker/web.Dockerfile")
        result = self.far("build", folder=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"open {folder}/docker/web.Dockerfile: no such file or directory", result.stderr)
        result = self.far("build", "./nosuch", folder=folder)
        self.assertIn(f"the build context {folder}/nosuch does not exist", result.stderr)
        result = self.far("build", "--cache-to", "type=local,dest=cache", "./app", folder=folder)
        self.assertIn("is on this machine", result.stderr)

    def test_a_link_in_a_folders_place_leads_nowhere(self):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            link = tarfile.TarInfo("0")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(link)
        for name, why in (("0", "did not come with the request"), ("../0", "is no folder of the archive")):
            request = json.dumps({"checks": False, "builds": [{
                "name": "", "context": {"sent": {"_0": name}}, "isTemporary": False, "arguments": {}, "labels": {},
                "dockerfileText": "FROM busybox\nCOPY passwd /\n", "tags": [], "contexts": {}, "noCache": False,
                "noCacheFilter": [], "pull": False, "cacheFrom": [], "cacheTo": [], "platforms": [], "secrets": [],
                "agents": {}, "allow": [], "extraHosts": [], "ulimits": {}, "privileged": False}]}).encode()
            connection = http.client.HTTPConnection("gantry", timeout=60)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self.socket)
            connection.request("POST", f"/build/archive?request={len(request)}", request + archive.getvalue())
            answer = connection.getresponse()
            self.assertEqual(answer.status, 400)
            self.assertIn(why, answer.read().decode())
            connection.close()

    def test_a_socket_by_its_path(self):
        result = self.far("version", host=f"ssh://root@box:{self.PORT}{self.socket}")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_nobody_answers_there(self):
        result = self.far("ls", host=f"ssh://root@box:{self.PORT}/run/nobody.sock")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nothing answers on /run/nobody.sock", result.stderr)
        self.assertIn("the engine on the other machine cannot be reached", result.stderr)

    def test_no_such_machine(self):
        result = self.far("ls", host="ssh://root@127.0.0.1:9")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Connection refused", result.stderr)
        self.assertIn("cannot be reached", result.stderr)

    def test_what_could_be_an_option_is_none(self):
        result = self.far("ls", host="ssh://-oProxyCommand=touch%20x")
        self.assertEqual(result.returncode, 2)
        self.assertIn("is not a machine to reach by ssh", result.stderr)
