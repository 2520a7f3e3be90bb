"""Files into containers and out of them: Docker's rules, and that a hostile container gains nothing by them."""

import base64
import ctypes
import http.client
import io
import json
import os
import socket
import stat
import subprocess
import tarfile
import threading
import time

from harness import EngineCase


def tar_of(*entries):
    """A tar of (name, kind, content or link target) with optional fields as a dictionary."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, content, *fields in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            for key, value in (fields[0] if fields else {}).items():
                setattr(info, key, value)
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                tar.addfile(info)
    return data.getvalue()


class CopyCase(EngineCase):
    SERVICE = ""

    def setUp(self):
        name = self.id().rsplit(".", 1)[1].replace("_", "")[:40].lower()
        self.folder = self.stack("""
            services:
              box:
                image: busybox
                command: sh -c "trap 'exit 0' TERM; while true; do sleep 0.1; done"
                init: true
                stop_grace_period: 1s
                volumes: [data:/data]
            """, name)
        with open(f"{self.folder}/compose.yaml", "a") as file:
            for line in self.SERVICE.strip().splitlines():
                file.write(f"    {line.strip()}\n")
            file.write("volumes: {data: {}}\n")
        self.gantry_ok("up", "-d", folder=self.folder)
        self.addCleanup(lambda: self.gantry("down", "-v", "-t", "0", folder=self.folder))
        self.name = f"{name}-box-1"
        self.here = f"{self.folder}/here"
        os.makedirs(self.here)

    def cp(self, *arguments, **options):
        return self.gantry_ok("cp", *arguments, folder=options.pop("folder", self.folder), **options)

    def inside(self, *command):
        return self.gantry_ok("exec", "-T", "box", *command, folder=self.folder).stdout.strip()

    def write(self, name, text="text", mode=0o644):
        path = f"{self.here}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def stop(self):
        self.gantry_ok("stop", folder=self.folder)

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request(method, path, body=body)
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        return reply, data


class CopyTest(CopyCase):
    def test_rules_into_a_container(self):
        file = self.write("file", "one")
        self.write("tree/a/b", "deep")
        os.symlink("/etc/passwd", f"{self.here}/tree/link")
        # To a name that is not there, over a file, into a folder.
        told = self.cp(file, f"{self.name}:/new").stderr
        self.assertRegex(told, f"Successfully copied [0-9.]+k?B to {self.name}:/new\n")
        self.assertEqual(self.inside("cat", "/new"), "one")
        self.cp("-q", self.write("other", "two"), f"{self.name}:/new")
        self.assertEqual(self.inside("cat", "/new"), "two")
        self.cp("here/file", "box:/tmp", folder=self.folder)
        self.assertEqual(self.inside("cat", "/tmp/file"), "one")
        # A folder to a name that is not there, into a folder, and its content.
        tree = f"{self.here}/tree"
        self.cp(tree, "box:/made")
        self.cp(tree, "box:/made")
        self.cp(tree + "/.", "box:/tmp/")
        self.cp(tree + "/.", "box:/content")
        for path in ("/made/a/b", "/made/tree/a/b", "/tmp/a/b", "/content/a/b"):
            self.assertEqual(self.inside("cat", path), "deep")
        self.assertEqual(self.inside("readlink", "/made/link"), "/etc/passwd")
        # What cannot be.
        for source, path, words in ((tree, "/new", "cannot copy a directory"), (file, "/none/", "no directory"),
                                    (file, "/none/file", "could not find"), (tree, "/new/x", "not a directory")):
            result = self.gantry("cp", source, f"box:{path}", folder=self.folder)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(words, result.stderr)
        self.inside("mkdir", "/folder", "/folder/file")
        result = self.gantry("cp", file, "box:/folder", folder=self.folder)
        self.assertIn("cannot overwrite directory", result.stderr)

    def test_rules_out_of_a_container(self):
        self.inside("sh", "-c", "mkdir -p /t/a; echo deep > /t/a/b; echo top > /t/f; ln -s /t/f /t/l; ln /t/f /t/h; "
                    "chown 7:8 /t/f; chmod 4755 /t/f; touch -d @1000000000 /t/f")
        self.cp("box:/t/f", "here/f")
        self.cp("box:/t", "here/made")
        self.cp("box:/t", "here/made")
        self.cp("box:/t/.", "here/content")
        self.cp("box:/t/l", "here/link")
        self.cp("-L", "box:/t/l", "here/followed")
        self.cp("-L", "box:/t/l", "here/made")
        self.cp("-a", "box:/t/f", "here/archived")

        def read(name):
            with open(f"{self.here}/{name}") as file:
                return file.read()

        for name in ("f", "made/f", "made/t/f", "content/f", "followed", "made/l", "made/h"):
            self.assertEqual(read(name), "top\n", name)
        for name in ("made/a/b", "made/t/a/b", "content/a/b"):
            self.assertEqual(read(name), "deep\n", name)
        self.assertEqual(os.readlink(f"{self.here}/link"), "/t/f")
        self.assertEqual(os.stat(f"{self.here}/content/f").st_ino, os.stat(f"{self.here}/content/h").st_ino)
        plain, archived = os.stat(f"{self.here}/f"), os.stat(f"{self.here}/archived")
        # Ours, and without what would make it privileged here, unless that is asked for.
        self.assertEqual((plain.st_uid, stat.S_IMODE(plain.st_mode), int(plain.st_mtime)), (0, 0o755, 1000000000))
        self.assertEqual((archived.st_uid, archived.st_gid, stat.S_IMODE(archived.st_mode)), (7, 8, 0o4755))
        for path, target, words in (("/none", "here/x", "could not find"), ("/t", "here/f", "cannot copy a directory"),
                                    ("/t/f", "here/none/", "no directory"), ("/t/f", "none/x", "does not exist")):
            result = self.gantry("cp", f"box:{path}", target, folder=self.folder)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(words, result.stderr)

    def test_standard_streams(self):
        archive = subprocess.run(
            ["tar", "-C", "/etc", "-cz", "hostname"], capture_output=True, check=True).stdout
        subprocess.run([self.gantry_path(), "cp", "-", f"{self.name}:/tmp"], input=archive, check=True,
                       env=self.environment())
        self.assertEqual(self.inside("test", "-f", "/tmp/hostname"), "")
        out = subprocess.run([self.gantry_path(), "cp", f"{self.name}:/tmp", "-"], capture_output=True, check=True,
                             env=self.environment()).stdout
        with tarfile.open(fileobj=io.BytesIO(out)) as tar:
            self.assertEqual(sorted(tar.getnames()), ["tmp", "tmp/hostname"])
        result = subprocess.run([self.gantry_path(), "cp", "-", f"{self.name}:/etc/passwd"], input=archive,
                                capture_output=True, text=False, env=self.environment())
        self.assertIn(b"must be a directory", result.stderr)

    @staticmethod
    def gantry_path():
        from harness import GANTRY
        return GANTRY

    def test_services_and_their_numbers(self):
        self.gantry_ok("up", "-d", "--scale", "box=2", folder=self.folder)
        self.cp("here", "box:/all")
        self.cp("--index", "2", self.write("two"), "box:/only")
        other = self.name[:-1] + "2"
        for name in (self.name, other):
            self.assertEqual(self.gantry("cp", f"{name}:/all", "-", folder=self.folder).returncode, 0)
        self.assertNotEqual(self.gantry("cp", f"{self.name}:/only", "-", folder=self.folder).returncode, 0)
        self.assertEqual(self.gantry("cp", f"{other}:/only", "-", folder=self.folder).returncode, 0)
        result = self.gantry("cp", "--index", "7", "here", "box:/x", folder=self.folder)
        self.assertIn("no container with number 7", result.stderr)

    def test_volumes_and_mounts_are_seen(self):
        file = self.write("file", "kept")
        self.cp(file, "box:/data/running")
        self.assertEqual(self.inside("cat", "/data/running"), "kept")
        self.stop()
        self.cp(file, "box:/data/stopped")
        self.cp(file, "box:/stopped")
        self.cp("box:/data/running", "here/out")
        with open(f"{self.here}/out") as out:
            self.assertEqual(out.read(), "kept")
        self.gantry_ok("start", folder=self.folder)
        for path in ("/data/stopped", "/stopped"):
            self.assertEqual(self.inside("cat", path), "kept")
        # A file that is a mount of its own keeps being one.
        self.cp(self.write("hosts", "192.0.2.7 seven\n"), "box:/etc/hosts")
        self.assertIn("seven", self.inside("cat", "/etc/hosts"))

    def test_owners_are_the_containers(self):
        file = self.write("file")
        os.chown(file, 123, 456)
        self.cp(file, "box:/kept")
        self.assertEqual(self.inside("stat", "-c", "%u:%g", "/kept"), "123:456")
        self.cp("-a", file, "box:/archived")
        self.assertEqual(self.inside("stat", "-c", "%u:%g", "/archived"), "123:456")

    def test_never_started(self):
        folder = self.stack("""
            services:
              idle: {image: busybox, command: "true", volumes: ["data:/etc"]}
            volumes: {data: {}}
            """, "neverstarted")
        self.gantry_ok("up", "-d", "--no-start", folder=folder)
        self.addCleanup(lambda: self.gantry("down", "-v", folder=folder))
        result = self.gantry_ok("cp", "idle:/etc/passwd", "-", folder=folder)
        self.assertIn("root:x:0:0", result.stdout)

    def test_api(self):
        self.inside("sh", "-c", "ln -s ../etc/passwd /tmp/link; chmod 1750 /home")
        reply, _ = self.request("HEAD", f"/v1.43/containers/{self.name}/archive?path=/tmp/link")
        found = json.loads(base64.b64decode(reply.getheader("X-Docker-Container-Path-Stat")))
        self.assertEqual((found["name"], found["linkTarget"]), ("link", "/etc/passwd"))
        self.assertEqual(found["mode"], 1 << 27 | 0o777)
        self.assertRegex(found["mtime"], r"^20\d\d-.*Z$")
        reply, data = self.request("GET", f"/containers/{self.name}/archive?path=home")
        found = json.loads(base64.b64decode(reply.getheader("X-Docker-Container-Path-Stat")))
        self.assertEqual(found["mode"], 1 << 31 | 1 << 20 | 0o750)
        self.assertEqual(reply.getheader("Content-Type"), "application/x-tar")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertEqual(tar.getnames(), ["home"])
        for path, status in (("/none", 404), ("/etc/passwd/", 400), ("", 400)):
            reply, _ = self.request("HEAD", f"/containers/{self.name}/archive?path={path}")
            self.assertEqual(reply.status, status, path)
        self.assertEqual(self.request("HEAD", "/containers/none/archive?path=/")[0].status, 404)
        body = tar_of(("home", tarfile.REGTYPE, b"file"))
        reply, data = self.request("PUT", f"/containers/{self.name}/archive?path=/&noOverwriteDirNonDir=true", body)
        self.assertEqual(reply.status, 400, data)
        self.assertIn(b"cannot overwrite directory", data)
        reply, data = self.request("PUT", f"/containers/{self.name}/archive?path=/", body)
        self.assertEqual((reply.status, data), (200, b""))
        self.assertEqual(self.inside("cat", "/home"), "file")
        reply, data = self.request("PUT", f"/containers/{self.name}/archive?path=/home", body)
        self.assertEqual((reply.status, b"not a directory" in data), (400, True))


class ReadOnlyTest(CopyCase):
    SERVICE = """
    read_only: true
    user: web
    tmpfs: [/scratch]
"""

    def test_a_container_that_is_not_there_is_named(self):
        for words in (["cp", self.write("file"), "nobody:/tmp/"], ["cp", "nobody:/tmp/file", "."], ["diff", "nobody"],
                      ["export", "nobody"], ["commit", "nobody", "some:1"]):
            result = self.gantry(*words, folder=self.folder)
            self.assertEqual((result.returncode, "no such container: nobody" in result.stderr), (1, True), result.stderr)

    def test_what_is_read_only_is_not_written_to(self):
        with open(f"{self.folder}/compose.yaml") as file:
            text = file.read().replace("data:/data]", "data:/data, ./here:/fixed:ro]")
        with open(f"{self.folder}/compose.yaml", "w") as file:
            file.write(text)
        self.gantry_ok("up", "-d", folder=self.folder)
        file = self.write("file")
        os.chown(file, 5, 5)
        for state in ("running", "stopped"):
            for path, words in (("/tmp", "rootfs is marked read-only"), ("/fixed", "volume is marked read-only")):
                result = self.gantry("cp", file, f"box:{path}", folder=self.folder)
                self.assertEqual(result.returncode, 1, f"{state} {path}")
                self.assertIn(words, result.stderr)
            reply, _ = self.request("PUT", f"/containers/{self.name}/archive?path=/tmp", tar_of())
            self.assertEqual(reply.status, 403)
            self.cp("-a", file, f"box:/data/{state}")
            if state == "running":
                # What is in memory is seen as long as it is there; `-a` gives to the container's user.
                self.cp(file, "box:/scratch/x")
                self.assertEqual(self.inside("cat", "/scratch/x"), "text")
                self.assertEqual(self.inside("stat", "-c", "%u:%g", "/data/running"), "1000:1000")
                self.stop()
        self.assertEqual(os.listdir(self.here), ["file"])


class ChangesTest(CopyCase):
    def test_diff_export_commit(self):
        self.inside("sh", "-c", "rm /etc/group; echo more >> /etc/passwd; mkdir -p /new/deep; echo 1 > /new/deep/f; "
                    "touch /data/volume; chmod 700 /home; setfattr -n user.note -v x /new/deep/f 2>/dev/null; true")
        lines = self.gantry_ok("diff", "box", folder=self.folder).stdout.splitlines()
        for line in ("C /etc", "D /etc/group", "C /etc/passwd", "A /new", "A /new/deep", "A /new/deep/f", "C /home"):
            self.assertIn(line, lines)
        self.assertFalse([line for line in lines if "volume" in line or "/proc" in line or "/dev" in line], lines)
        reply, data = self.request("GET", f"/containers/{self.name}/changes")
        self.assertIn({"Path": "/etc/group", "Kind": 2}, json.loads(data))
        for state in ("running", "stopped"):
            self.gantry_ok("export", "-o", "root.tar", self.name, folder=self.folder)
            with tarfile.open(f"{self.folder}/root.tar") as tar:
                names = tar.getnames()
                self.assertIn("new/deep/f", names, state)
                self.assertNotIn("etc/group", names)
                self.assertFalse([name for name in names if name.startswith(("proc/", "data/", "sys/"))], state)
                self.assertEqual(tar.extractfile("new/deep/f").read(), b"1\n")
            os.unlink(f"{self.folder}/root.tar")
            made = self.gantry_ok(
                "commit", "-a", "Ann", "-m", "why", "-c", "CMD [\"cat\", \"/new/deep/f\"]", "-c", "ENV A=1 B=\"2 3\"",
                "-p=false" if state == "stopped" else "-p", self.name, f"made:{state}", folder=self.folder)
            self.assertRegex(made.stdout, r"^sha256:[0-9a-f]{64}\n$")
            folder = self.stack(f"""
                services:
                  made: {{image: "made:{state}"}}
                """, f"made{state}")
            self.addCleanup(lambda folder=folder: self.gantry("down", "-t", "0", folder=folder))
            result = self.gantry_ok("run", "--rm", "made", folder=folder)
            self.assertEqual(result.stdout, "1\n")
            result = self.gantry_ok("run", "--rm", "made", "sh", "-c", "echo $A $B; ls /etc", folder=folder)
            self.assertIn("1 2 3", result.stdout)
            self.assertNotIn("group", result.stdout)
            if state == "running":
                self.stop()
        # Running again after having stood still.
        self.gantry_ok("start", folder=self.folder)
        self.gantry_ok("commit", "box", folder=self.folder)
        self.assertEqual(self.inside("echo", "alive"), "alive")
        self.assertIn("D /etc/group", self.gantry_ok("diff", self.name, folder=self.folder).stdout)


class HostileTest(CopyCase):
    """CVE-2018-15664, CVE-2019-14271, CVE-2026-42306 and their kin."""

    ROUNDS = 300
    HOST = "only the host has this"
    SERVICE = "cap_add: [MKNOD]"

    def setUp(self):
        super().setUp()
        # What an escape would reach, and a name for it that means the same in the container and out here.
        self.secret = f"{self.root}/secret-{self._testMethodName}"
        os.makedirs(self.secret)
        with open(f"{self.secret}/file", "w") as file:
            file.write(self.HOST)
        self.inside("mkdir", "-p", "/w/real", self.secret)
        self.inside("sh", "-c", f"echo inside > {self.secret}/file; echo inside > /w/real/file")

    def assert_untouched(self):
        self.assertEqual(os.listdir(self.secret), ["file"])
        with open(f"{self.secret}/file") as file:
            self.assertEqual(file.read(), self.HOST)

    def swap(self, target):
        """A folder and a link exchanged without a pause, as a process of the container could."""
        self.inside("sh", "-c", f"cd /w; mv real swap; ln -s {target} link")
        pid = next(iter(self.pids(self.folder).values()))
        folder = os.open(f"/proc/{pid}/root/w", os.O_PATH)
        libc = ctypes.CDLL(None)
        ended = threading.Event()
        exchange = 2

        def run():
            while not ended.is_set():
                libc.renameat2(folder, b"swap", folder, b"link", exchange)

        thread = threading.Thread(target=run)
        thread.start()

        def end():
            ended.set()
            thread.join()
            os.close(folder)

        self.addCleanup(end)

    def test_swapped_links_do_not_lead_a_copy_out(self):
        self.swap(self.secret)
        file = self.write("file", "from outside")
        for number in range(self.ROUNDS // 10):
            self.gantry("cp", file, "box:/w/swap/", folder=self.folder)
            self.gantry("cp", file, "box:/w/swap/file", folder=self.folder)
            self.gantry("cp", self.here, "box:/w/swap/", folder=self.folder)
        self.assert_untouched()
        body = tar_of(("file", tarfile.REGTYPE, b"planted"), ("d", tarfile.DIRTYPE, ""),
                      ("d/file", tarfile.REGTYPE, b"planted"))
        done = 0
        for _ in range(self.ROUNDS):
            reply, _ = self.request("PUT", f"/containers/{self.name}/archive?path=/w/swap", body)
            done += reply.status == 200
        self.assertGreater(done, 0)
        self.assert_untouched()

    def test_swapped_links_do_not_lead_a_copy_in(self):
        self.swap(self.secret)
        seen = set()
        for _ in range(self.ROUNDS):
            reply, data = self.request("GET", f"/containers/{self.name}/archive?path=/w/swap/file")
            if reply.status == 200:
                seen.add(tarfile.open(fileobj=io.BytesIO(data)).extractfile("file").read())
            reply, data = self.request("GET", f"/containers/{self.name}/archive?path=/w")
            if reply.status == 200:
                with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                    seen |= {tar.extractfile(entry).read() for entry in tar if entry.isreg()}
        self.assertEqual(seen, {b"inside\n"})

    def to_stdout(self, *arguments):
        return subprocess.run([CopyTest.gantry_path(), "cp", *arguments, "-"], capture_output=True, cwd=self.folder,
                              env=self.environment(), timeout=60)

    def test_links_end_in_the_container(self):
        up = "../" * 40
        links = {"absolute": self.secret, "relative": up + self.secret[1:], "proc": "/proc/self/root",
                 "init": "/proc/1/root", "cwd": "/proc/1/cwd"}
        for name, target in links.items():
            self.inside("ln", "-s", target, f"/w/{name}")
        file = self.write("planted", "planted")
        for state in ("running", "stopped"):
            for name in links:
                deeper = f"/w/{name}/" if name in ("absolute", "relative") else f"/w/{name}{self.secret}/"
                result = self.to_stdout(f"box:{deeper}file")
                self.assertNotIn(self.HOST.encode(), result.stdout, f"{state} {name}")
                if name in ("absolute", "relative"):
                    self.assertIn(b"inside", result.stdout, f"{state} {name}")
                else:
                    self.assertNotEqual(result.returncode, 0)
                self.gantry("cp", file, f"box:{deeper}", folder=self.folder)
                self.assertNotIn(self.HOST.encode(), self.to_stdout("-L", f"box:/w/{name}").stdout)
            self.assert_untouched()
            if state == "running":
                self.stop()

    def test_hostile_archives_into_a_container(self):
        secret = self.secret[1:]
        link, hard, file = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.REGTYPE
        archives = {
            "names that climb": [("../" * 40 + secret + "/planted", file, b"x")],
            "a link and a name behind it": [("l", link, "/"), ("l/" + secret + "/planted", file, b"x")],
            "a climbing link": [("l", link, "../" * 40 + secret), ("l/planted", file, b"x")],
            "a hard link that climbs": [("h", hard, "../" * 40 + secret + "/file")],
            "a hard link behind a link": [("l", link, "/" + secret), ("h", hard, "l/file")],
        }
        for name, entries in archives.items():
            reply, data = self.request("PUT", f"/containers/{self.name}/archive?path=/tmp", tar_of(*entries))
            self.assertEqual(reply.status // 100, 5 if "hard" in name else 4, f"{name}: {data}")
            self.assert_untouched()
        # An absolute name counts from the destination.
        body = tar_of(("/" + secret + "/planted", file, b"x"))
        reply, _ = self.request("PUT", f"/containers/{self.name}/archive?path=/tmp", body)
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.inside("cat", f"/tmp{self.secret}/planted"), "x")
        self.assert_untouched()
        for body in (b"\x1f\x8b garbage" * 100, b"no tar" * 200, tar_of(("f", file, b"x" * 5000))[:2000]):
            reply, _ = self.request("PUT", f"/containers/{self.name}/archive?path=/tmp", body)
            self.assertEqual(reply.status, 400)

    def test_kernel_doors_stay_closed(self):
        before = open(f"/proc/{next(iter(self.pids(self.folder).values()))}/oom_score_adj").read()
        self.inside("ln", "-s", "/proc/1", "/w/door")
        body = tar_of(("oom_score_adj", tarfile.REGTYPE, b"-1000"))
        for path in ("/proc/1", "/w/door", "/sys", "/proc/sys/kernel"):
            reply, _ = self.request("PUT", f"/containers/{self.name}/archive?path={path}", body)
            self.assertIn(reply.status, (400, 403), path)
        self.assertEqual(open(f"/proc/{next(iter(self.pids(self.folder).values()))}/oom_score_adj").read(), before)
        self.assertNotEqual(self.gantry("cp", "box:/proc/kcore", "-", folder=self.folder).returncode, 0)
        out = subprocess.run([CopyTest.gantry_path(), "cp", f"{self.name}:/", "-"], capture_output=True, check=True,
                             env=self.environment(), timeout=60).stdout
        with tarfile.open(fileobj=io.BytesIO(out)) as tar:
            names = [name.lstrip("/") for name in tar.getnames()]
        self.assertIn("w/real/file", names)
        self.assertFalse([name for name in names if name.startswith(("proc/", "sys/"))][:3])

    def test_nothing_of_a_container_gains_power_here(self):
        self.inside("sh", "-c", "cd /w/real; mknod disk b 8 0; mkfifo pipe; cp /bin/busybox su; chmod 4777 su; "
                    "ln -s /etc/shadow shadow; mkdir d; ln -s ../../../../../../../../etc d/up; echo x > d/f")
        os.makedirs(f"{self.here}/out/real")
        os.symlink(self.secret, f"{self.here}/out/real/d")
        # A link of ours where the archive has a folder: nothing goes through it.
        result = self.gantry("cp", "box:/w/real", "here/out", folder=self.folder)
        self.assertEqual(result.returncode, 1)
        self.assert_untouched()
        result = self.cp("box:/w/real", "here/real")
        self.assertIn("device nodes are left out", result.stderr)
        names = set(os.listdir(f"{self.here}/real"))
        self.assertEqual(names, {"file", "pipe", "su", "shadow", "d"})
        self.assertEqual(stat.S_IMODE(os.stat(f"{self.here}/real/su").st_mode), 0o777)
        self.assertEqual(os.readlink(f"{self.here}/real/shadow"), "/etc/shadow")

    def test_a_copy_does_not_block_what_comes_after(self):
        """A client that leaves its archive hanging holds a stopped container for moments only."""
        self.stop()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.socket)
        connection.sendall(
            f"PUT /containers/{self.name}/archive?path=/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode())
        connection.sendall(tar_of(("half", tarfile.REGTYPE, b"x" * 9000))[:4000])
        time.sleep(0.5)
        begin = time.monotonic()
        self.gantry_ok("start", folder=self.folder)
        self.assertLess(time.monotonic() - begin, 20)
        connection.close()

    def test_deep_trees_do_not_crash_the_engine(self):
        self.inside("sh", "-c", "cd /w; i=0; while [ $i -lt 700 ]; do mkdir d; cd d; i=$((i+1)); done")
        result = self.gantry("cp", "box:/w", "-", folder=self.folder)
        self.assertNotEqual(result.returncode, 0)
        self.gantry_ok("diff", "box", folder=self.folder)
        self.gantry_ok("commit", "box", folder=self.folder)
        self.assertTrue(self.answers())
