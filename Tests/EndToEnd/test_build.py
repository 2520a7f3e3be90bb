"""`gantry build` of one folder: every option, what it prints, and what it says when something is wrong."""

import concurrent.futures
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tarfile
import unittest

from build_harness import HAS_GIT, BuildCase, GitServer, Progress, WebServer, git, make_repository
from harness import GANTRY, wait_until

HELLO = """
    FROM busybox
    COPY greeting /greeting
    RUN cat /greeting > /copied; echo done
    CMD ["cat", "/copied"]
    """


def tar_of(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


class BuildTest(BuildCase):
    def hello(self, **more):
        return self.context(HELLO, {"greeting": "hello\n"} | more)

    def build_bytes(self, data, *arguments):
        done = subprocess.run(
            [GANTRY, "build", "--progress", "plain", *arguments], input=data, capture_output=True,
            env=self.environment(), cwd=self.root, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    # What comes out

    def test_build_and_run(self):
        progress = self.build_ok(self.hello(), "-t", "hello:1", "--tag", "team/hello:2")
        self.assertEqual(self.identity("hello:1"), self.identity("team/hello:2"))
        self.assertEqual(self.file("hello:1", "/copied"), "hello\n")
        self.assertEqual(progress.of("RUN cat"), "DONE")
        self.assertEqual(progress.lines("RUN cat"), ["done"])
        folder = self.stack("services: {web: {image: 'hello:1', pull_policy: never}}", "built")
        self.assertEqual(self.gantry_ok("run", "--rm", "-T", "web", folder=folder).stdout, "hello\n")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_image_build_is_the_same(self):
        folder = self.hello()
        self.gantry_ok("image", "build", "-t", "hello:image", folder)
        # Without a slash, where `gantry build` would look for a service.
        self.gantry_ok("image", "build", "-t", "hello:relative", os.path.basename(folder))
        self.assertEqual(self.identity("hello:image"), self.identity("hello:relative"))
        self.gantry_ok("build", "-t", "hello:dot", ".", folder=folder)
        self.assertEqual(self.identity("hello:image"), self.identity("hello:dot"))

    def test_quiet_and_files(self):
        folder = self.hello()
        result = self.gantry_ok("build", "-q", "-t", "hello:quiet", folder)
        self.assertRegex(result.stdout, r"^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(result.stderr, "")
        identity = result.stdout.strip()
        self.build_ok(folder, "--iidfile", f"{self.root}/iid", "--metadata-file", f"{self.root}/meta.json")
        with open(f"{self.root}/iid") as file:
            self.assertEqual(file.read().strip(), identity)
        with open(f"{self.root}/meta.json") as file:
            self.assertEqual(json.load(file)["containerimage.config.digest"], identity)
        # Without a name it is there, under its id.
        self.assertEqual(self.identity(identity), identity)
        self.assertEqual(self.gantry_ok("build", "--progress", "quiet", folder).stderr, "")

    def test_progress_plain(self):
        result = self.build(self.hello(), "--no-cache", "-t", "hello:plain")
        self.assertEqual(result.stdout, "")
        text = result.stderr
        self.assertRegex(text, r"(?m)^#\d+ \[\S* ?2/3\] COPY greeting /greeting$")
        self.assertRegex(text, r"(?m)^#\d+ \[\S* ?3/3\] RUN cat /greeting > /copied; echo done$")
        self.assertRegex(text, r"(?m)^#\d+ \d+\.\d+ done$")
        self.assertRegex(text, r"(?m)^#\d+ DONE \d+\.\ds$")
        again = self.build(self.hello(), "-t", "hello:plain").stderr
        self.assertRegex(again, r"(?m)^#\d+ CACHED$")
        # Nobody looks at a terminal: `auto` is `plain`.
        automatic = self.gantry_ok("build", "--progress", "auto", self.hello()).stderr
        self.assertRegex(automatic, r"(?m)^#\d+ CACHED$")

    def test_progress_as_json(self):
        result = self.gantry_ok("build", "--progress", "rawjson", "--no-cache", self.hello())
        lines = [json.loads(line) for line in (result.stdout + result.stderr).splitlines() if line.startswith("{")]
        self.assertTrue(any("RUN cat" in json.dumps(line) for line in lines))

    def test_progress_on_a_terminal(self):
        folder = self.hello()
        main, other = pty.openpty()
        process = subprocess.Popen([GANTRY, "build", "--no-cache", folder], stdin=other, stdout=other, stderr=other,
                                   env=self.environment() | {"TERM": "xterm"}, cwd=self.root)
        os.close(other)
        text = b""
        try:
            while data := os.read(main, 4096):
                text += data
        except OSError:
            pass  # EIO is how a terminal's end is told.
        os.close(main)
        self.assertEqual(process.wait(), 0, text)
        self.assertIn(b"RUN cat /greeting", text)
        self.assertIn(b"Building", text)

    # Where it comes from

    def test_dockerfile_elsewhere(self):
        folder = self.context(files={"greeting": "hello\n", "docker/web.Dockerfile": "FROM busybox\nCOPY greeting /x\n"})
        self.build_ok(folder, "-t", "file:inside", "-f", f"{folder}/docker/web.Dockerfile")
        self.assertEqual(self.file("file:inside", "/x"), "hello\n")
        outside = self.context("FROM busybox\nCOPY greeting /y\n")
        self.build_ok(folder, "-t", "file:outside", "--file", f"{outside}/Dockerfile")
        self.assertEqual(self.file("file:outside", "/y"), "hello\n")
        self.build_ok(folder, "-t", "file:input", "-f", "-", input="FROM busybox\nCOPY greeting /z\n")
        self.assertEqual(self.file("file:input", "/z"), "hello\n")

    def test_context_from_standard_input(self):
        files = {"Dockerfile": b"FROM busybox\nCOPY a /b\n", "a": b"from the tar\n", "other": b"FROM busybox\nCOPY a /c\n"}
        self.build_bytes(tar_of(files), "-t", "tar:1", "-")
        self.assertEqual(self.file("tar:1", "/b"), "from the tar\n")
        self.build_bytes(tar_of(files), "-t", "tar:2", "-f", "other", "-")
        self.assertEqual(self.file("tar:2", "/c"), "from the tar\n")
        self.build_bytes(b"FROM busybox\nRUN echo alone > /alone\n", "-t", "tar:3", "-")
        self.assertEqual(self.file("tar:3", "/alone"), "alone\n")
        import gzip

        self.build_bytes(gzip.compress(tar_of(files)), "-t", "tar:4", "-")
        self.assertEqual(self.file("tar:4", "/b"), "from the tar\n")

    def test_interrupted_while_standard_input_is_read(self):
        folder = f"{self.root}/temporary"
        os.makedirs(folder)
        for ends in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(ends.name):
                process = subprocess.Popen(
                    [GANTRY, "build", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                    env=self.environment() | {"TMPDIR": folder}, cwd=self.root)
                wait_until(lambda: os.listdir(folder), what="the folder of the context")
                process.send_signal(ends)
                self.assertEqual(process.wait(timeout=10), 128 + ends)
                process.stdin.close()
                process.stderr.close()
                self.assertEqual(os.listdir(folder), [])

    def test_context_from_the_web(self):
        files = {"Dockerfile": b"FROM busybox\nCOPY a /b\n", "a": b"from the web\n"}
        server = WebServer({"/context.tar": tar_of(files), "/Dockerfile": b"FROM busybox\nRUN echo web > /alone\n"})
        self.addCleanup(server.stop)
        self.gantry_ok("build", "-t", "web:1", f"{server.address}/context.tar")
        self.assertEqual(self.file("web:1", "/b"), "from the web\n")
        self.gantry_ok("build", "-t", "web:2", f"{server.address}/Dockerfile")
        self.assertEqual(self.file("web:2", "/alone"), "web\n")
        self.gantry_ok("build", "-f", "-", "-t", "web:3", f"{server.address}/context.tar", input="FROM busybox\nCOPY a /c\n")
        self.assertEqual(self.file("web:3", "/c"), "from the web\n")
        missing = self.gantry("build", f"{server.address}/missing")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("is not found", missing.stderr)

    @unittest.skipUnless(HAS_GIT, "git is missing")
    def test_context_from_git(self):
        work = f"{self.root}/git"
        make_repository(f"{work}/app", {
            "Dockerfile": "FROM busybox\nCOPY a /b\n", "a": "main\n", "sub/Dockerfile": "FROM busybox\nCOPY . /sub\n",
            "sub/file": "below\n"})
        git(f"{work}/app", "tag", "v1")
        git(f"{work}/app", "checkout", "-q", "-b", "other")
        with open(f"{work}/app/a", "w") as file:
            file.write("other\n")
        git(f"{work}/app", "commit", "-q", "-a", "-m", "second")
        git(f"{work}/app", "checkout", "-q", "main")
        server = GitServer(work)
        self.addCleanup(server.stop)
        address = f"{server.address}/app/.git"
        for fragment, path, text in (("", "/b", "main\n"), ("#other", "/b", "other\n"), ("#v1:sub", "/sub/file", "below\n"),
                                     ("#:sub", "/sub/file", "below\n")):
            with self.subTest(fragment):
                self.gantry_ok("build", "-t", "git:1", address + fragment)
                self.assertEqual(self.file("git:1", path), text)
                self.assertIsNone(self.file("git:1", "/sub/.git/config"))
        self.build_ok(f"FROM busybox\nADD {address}#other /src/\n", "-t", "git:add")
        self.assertEqual(self.file("git:add", "/src/a"), "other\n")
        self.assertIsNone(self.file("git:add", "/src/.git/config"))

    def test_add_with_checksum(self):
        import hashlib

        content = b"checked\n"
        server = WebServer({"/file": content})
        self.addCleanup(server.stop)
        good = hashlib.sha256(content).hexdigest()
        self.build_ok(f"FROM busybox\nADD --checksum=sha256:{good} {server.address}/file /x\n", "-t", "sum:1")
        self.assertEqual(self.file("sum:1", "/x"), "checked\n")
        text = self.build_fails(f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {server.address}/file /x\n")
        self.assertIn(good, text)
        self.assertIn("Dockerfile:2", text)

    # Options

    def test_build_arguments(self):
        folder = self.context("FROM busybox\nARG ONE=1\nARG TWO\nARG THREE\nRUN echo $ONE-$TWO-$THREE > /x\n")
        self.build_ok(folder, "-t", "args:1", "--build-arg", "ONE=a b", "--build-arg", "TWO", "--build-arg", "THREE=x=y",
                      env={"TWO": "from outside"})
        self.assertEqual(self.file("args:1", "/x"), "a b-from outside-x=y\n")
        self.build_ok(folder, "-t", "args:2")
        self.assertEqual(self.file("args:2", "/x"), "1--\n")
        unused = self.build(folder, "--build-arg", "NOBODY=1")
        self.assertEqual(unused.returncode, 0)
        self.assertIn("NOBODY", unused.stderr)

    def test_target(self):
        folder = self.context("""
            FROM busybox AS one
            RUN echo 1 > /one
            FROM one AS two
            RUN echo 2 > /two
            FROM busybox AS broken
            RUN exit 9
            """)
        self.build_ok(folder, "-t", "target:1", "--target", "two")
        self.assertEqual(self.file("target:1", "/two"), "2\n")
        self.build_ok(folder, "-t", "target:2", "--target", "ONE")
        self.assertIsNone(self.file("target:2", "/two"))
        self.build_ok(folder, "-t", "target:3", "--target", "1")
        self.assertEqual(self.identity("target:3"), self.identity("target:1"))
        text = self.build_fails(folder, "--target", "tow")
        self.assertIn("tow", text)
        self.assertIn("two", text)

    def test_labels(self):
        self.build_ok("FROM busybox\nLABEL a=file b=file\n", "-t", "label:1", "--label", "a=option", "--label", "c=")
        labels = json.loads(self.inspect("label:1", "{{json .Config.Labels}}"))
        self.assertEqual(labels, {"a": "option", "b": "file", "c": ""})

    def test_named_contexts(self):
        other = self.context(files={"file": "of the other\n"})
        self.build_ok("FROM busybox\nCOPY --from=other file /x\n", "-t", "named:1", "--build-context", f"other={other}")
        self.assertEqual(self.file("named:1", "/x"), "of the other\n")
        # In a base's place, and in a stage's.
        self.build_ok("FROM nobody/has:this\nRUN echo y > /y\n", "-t", "named:2",
                      "--build-context", "nobody/has:this=docker-image://busybox")
        self.assertEqual(self.file("named:2", "/y"), "y\n")
        self.build_ok("FROM busybox AS s\nRUN exit 1\nFROM busybox\nCOPY --from=s file /z\n", "-t", "named:3",
                      "--build-context", f"s={other}")
        self.assertEqual(self.file("named:3", "/z"), "of the other\n")
        self.assertIn("nowhere", self.build_fails("FROM busybox\n", "--build-context", "x=/nowhere"))

    def test_hosts_shm_and_limits(self):
        self.build_ok("""
            FROM busybox
            RUN cat /etc/hosts > /hosts; df -k /dev/shm | tail -n 1 > /shm; ulimit -n > /files
            """, "-t", "limits:1", "--add-host", "extra:10.9.8.7", "--add-host", "six=fd00::1", "--shm-size", "3m",
            "--ulimit", "nofile=123:456")
        self.assertRegex(self.file("limits:1", "/hosts"), r"10\.9\.8\.7\s+extra")
        self.assertRegex(self.file("limits:1", "/hosts"), r"fd00::1\s+six")
        self.assertEqual(self.file("limits:1", "/shm").split()[1], "3072")
        self.assertEqual(self.file("limits:1", "/files"), "123\n")
        self.assertNotIn("extra", self.file("limits:1", "/etc/hosts") or "")

    def test_network(self):
        folder = self.context("FROM busybox\nRUN ls /sys/class/net | tr '\\n' ' ' > /net\n")
        seen = {}
        for network in ("none", "host", "default"):
            self.build_ok(folder, "--no-cache", "-t", "network:1", "--network", network)
            seen[network] = self.file("network:1", "/net").split()
        self.assertEqual(seen["none"], ["lo"])
        self.assertIn("uplink0", seen["host"])
        self.assertNotIn("uplink0", seen["default"])
        self.assertIn("eth0", seen["default"])
        self.build_ok("FROM busybox\nRUN --network=none ls /sys/class/net > /net\n", "-t", "network:2")
        self.assertEqual(self.file("network:2", "/net"), "lo\n")
        self.assertIn("nowhere", self.build_fails(folder, "--network", "nowhere"))

    def test_platform(self):
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        other = {"amd64": "arm64", "arm64": "amd64"}[machine]
        folder = self.context("FROM busybox\nARG TARGETPLATFORM\nARG TARGETARCH\nRUN echo $TARGETPLATFORM $TARGETARCH > /p\n")
        self.build_ok(folder, "-t", "platform:1", "--platform", f"linux/{machine}")
        self.assertEqual(self.file("platform:1", "/p"), f"linux/{machine} {machine}\n")
        text = self.build_fails(folder, "--platform", f"linux/{other}")
        self.assertIn(other, text)
        self.assertIn(f"linux/{other}", self.build_fails(f"FROM --platform=linux/{other} busybox\nRUN true\n"))

    def test_reproducible(self):
        folder = self.context("""
            FROM busybox
            COPY . /app
            RUN echo made > /made; mkdir /d; touch /d/x
            WORKDIR /w
            """, {"a": "a", "b/c": "c"})
        epoch = "1600000000"
        ids = []
        for where in ({"env": {"SOURCE_DATE_EPOCH": epoch}}, {"extra": ("--build-arg", f"SOURCE_DATE_EPOCH={epoch}")}):
            os.utime(f"{folder}/a")
            self.build_ok(folder, "--no-cache", "-t", "epoch:1", *where.get("extra", ()), env=where.get("env"))
            ids.append(self.identity("epoch:1"))
        self.assertEqual(ids[0], ids[1])
        self.assertTrue(self.inspect("epoch:1", "{{.Created}}").startswith("2020-09-13T12:26:40"))
        [made] = [layer for layer in self.layers("epoch:1") if os.path.exists(f"{layer}/made")]
        self.assertEqual(os.stat(f"{made}/made").st_mtime, int(epoch))
        history = self.gantry_ok("history", "--human=false", "--format", "{{.CreatedSince}}", "epoch:1").stdout.split()
        self.assertEqual(set(history[:3]), {"2020-09-13T12:26:40Z"})

    # Checks

    def test_check(self):
        clean = self.gantry_ok("build", "--check", self.hello())
        self.assertIn("no warnings", (clean.stdout + clean.stderr).lower())
        folder = self.context("from busybox as Base\nMAINTAINER me\nRUN exit 1\n")
        result = self.gantry("build", "--check", folder)
        text = result.stdout + result.stderr
        self.assertIn("MaintainerDeprecated", text)
        self.assertRegex(text, r"StageNameCasing|ConsistentInstructionCasing")
        self.assertIn("Dockerfile:2", text)
        # Nothing was run: that step would have failed.
        self.assertNotIn("exit code", text)
        strict = self.context("# check=error=true\nFROM busybox AS Base\nRUN true\n")
        self.assertNotEqual(self.gantry("build", "--check", strict).returncode, 0)
        self.assertEqual(self.gantry("build", strict).returncode, 1)
        warned = self.build("FROM busybox AS Base\nRUN true\n")
        self.assertEqual(warned.returncode, 0)
        self.assertIn("StageNameCasing", warned.stderr)

    # Errors

    def assert_points_at(self, text, line, source):
        self.assertRegex(text, rf"(?m)^\S*Dockerfile:{line}\b")
        self.assertRegex(text, rf"(?m)^\s*{line} \|\s*(>>>)?\s*{re.escape(source)}")
        self.assertIn(">>>", text)

    def test_step_that_fails(self):
        folder = self.context("""
            FROM busybox AS base
            # a comment
            RUN echo before

            RUN echo to the user; \\
                echo and more >&2; \\
                exit 42
            RUN echo never
            """)
        text = self.build_fails(folder, "-t", "failed:1")
        self.assert_points_at(text, 6, "RUN echo to the user; \\")
        self.assertIn("to the user", text)
        self.assertIn("and more", text)
        self.assertIn("42", text)
        self.assertNotIn("echo never\n#", text)
        self.assertNotEqual(self.gantry("image", "inspect", "failed:1").returncode, 0)
        self.assertEqual(Progress(text).of("RUN echo to"), "ERROR")
        # What went well is not done again.
        self.assertEqual(Progress(self.build_fails(folder)).of("RUN echo before"), "CACHED")

    def test_sources_that_are_missing(self):
        text = self.build_fails("FROM busybox\nCOPY greting /x\n")
        self.assert_points_at(text, 2, "COPY greting /x")
        self.assertIn("greting", text)
        folder = self.context("FROM busybox\nCOPY --from=busybox /no/such /x\n")
        self.assert_points_at(self.build_fails(folder), 2, "COPY --from=busybox /no/such /x")
        ignored = self.context("FROM busybox\nCOPY a /x\n", {"a": "a", ".dockerignore": "a\n"})
        text = self.build_fails(ignored)
        self.assertIn(".dockerignore", text)

    def test_mistakes_in_the_file(self):
        cases = {
            "FROM busybox\nFETCH x\n": (2, "FETCH"), "FROM busybox\nCOPY --chwon=1 a /b\n": (2, "chwon"),
            "FROM busybox AS a\nFROM a\nCOPY --from=c.invalid/c /x /y\n": (3, "c.invalid/c"), "RUN true\n": (1, "FROM"),
            "FROM busybox\nENV A\n": (2, "ENV"), "FROM busybox\nRUN --mount=type=none true\n": (2, "none")}
        for dockerfile, (line, word) in cases.items():
            with self.subTest(dockerfile):
                text = self.build_fails(dockerfile)
                self.assertRegex(text, rf"Dockerfile:{line}\b")
                self.assertIn(word, text)
        folder = self.context(files={"web/My.Dockerfile": "FROM busybox\nFETCH\n"})
        self.assertIn("My.Dockerfile:2", self.build_fails(folder, "-f", f"{folder}/web/My.Dockerfile"))
        self.assertIn("no instructions", self.build_fails("# nothing\n"))

    def test_what_is_not_there(self):
        empty = self.context(files={"a": "a"})
        text = self.build_fails(empty)
        self.assertIn("Dockerfile", text)
        self.assertIn("no such file", text.lower())
        self.assertIn("does not exist", self.build_fails(f"{self.root}/nowhere"))
        self.assertIn("folder", self.build_fails(f"{empty}/a").lower())
        text = self.build_fails("FROM nobody.invalid/has/this:1\nRUN true\n")
        self.assertIn("nobody.invalid/has/this:1", text)
        self.assertIn("Dockerfile:1", text)
        text = self.build_fails("FROM busyboxx\n", timeout=90)
        self.assertIn("busyboxx", text)

    def test_wrong_options(self):
        folder = self.hello()
        for arguments in (["-t", "UPPER:1"], ["--secret", "src=/x"], ["--shm-size", "much"],
                          ["--ulimit", "nofile"], ["--add-host", "nobody"], ["--platform", "a/b/c/d"],
                          ["--progress", "loud"], ["--build-context", "x"]):
            with self.subTest(arguments):
                result = self.gantry("build", *arguments, folder)
                self.assertIn(result.returncode, (1, 2), result.stderr)
                self.assertNotEqual(result.stderr, "")
                self.assertLess(len(result.stderr.splitlines()), 12)

    def test_options_that_contradict_each_other(self):
        folder = self.hello()
        for arguments, said in (
                (["-f", "-", "-"], "can't use stdin for both build context and dockerfile"),
                (["-f", "Dockerfile", "-"], "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"),
                (["--with-dependencies", folder], "--with-dependencies is for services"),
                (["--push", folder], "tag is needed when pushing to registry"),
                (["--allow", "anything", folder], "unknown entitlement 'anything'")):
            with self.subTest(arguments):
                result = self.gantry("build", "--progress", "plain", *arguments, input="FROM busybox\nRUN echo built\n")
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(said, result.stderr)
                self.assertNotIn("RUN", result.stderr)

    def test_output_of_steps(self):
        """Long, odd and unfinished lines arrive as they are told, and end nobody."""
        progress = self.build_ok("""
            FROM busybox
            RUN printf 'no end of line'
            RUN seq 3000; head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\rb\\n'; printf '\\377\\376\\n'
            """)
        self.assertEqual(progress.lines("RUN printf 'no end"), ["no end of line"])
        self.assertEqual(progress.of("RUN seq"), "DONE")
        self.assertIn("3000", progress.lines("RUN seq"))

    def test_step_that_writes_too_much(self):
        progress = self.build_ok("FROM busybox\nRUN yes | head -c 5000000\nRUN echo after\n")
        lines = progress.lines("RUN yes")
        self.assertEqual(lines[-1], "[output clipped, log limit 2MiB reached]")
        self.assertLess(len(lines), 1_100_000)
        self.assertEqual(progress.lines("RUN echo after"), ["after"])


@unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"), "docker-registry or skopeo is missing")
class BuildRegistryTest(BuildCase):
    """--push, --pull and caches in a registry."""

    @classmethod
    def setUpClass(cls):
        from test_registry import free_port

        super().setUpClass()
        cls.port = free_port()
        with open(f"{cls.root}/registry.yml", "w") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {cls.root}/reg}}}}\n"
                       f"http: {{addr: \"127.0.0.1:{cls.port}\"}}\n")
        cls.registry = subprocess.Popen(["docker-registry", "serve", f"{cls.root}/registry.yml"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.registry.wait)
        cls.addClassCleanup(cls.registry.kill)
        cls.host = f"localhost:{cls.port}"

        def listens():
            import socket

            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", cls.port)) == 0

        wait_until(listens, what="the registry")

    def test_push_and_pull(self):
        name = f"{self.host}/team/base:1"
        self.build_ok("FROM busybox\nRUN echo first > /version\n", "-t", name, "--push")
        self.gantry_ok("rmi", "-f", name)
        # Not here: taken from the registry.
        derived = self.context(f"FROM {name}\nRUN cp /version /seen\n")
        self.build_ok(derived, "-t", "derived:1")
        self.assertEqual(self.file("derived:1", "/seen"), "first\n")
        # Somebody pushed a newer one; only --pull asks.
        self.build_ok("FROM busybox\nRUN echo second > /version\n", "-t", f"{self.host}/team/base:2")
        self.gantry_ok("push", f"{self.host}/team/base:2")
        with self.subTest("moved"):
            subprocess.run(
                ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
                 f"docker://{self.host}/team/base:2", f"docker://{name}"], check=True, capture_output=True)
            self.build_ok(derived, "-t", "derived:1")
            self.assertEqual(self.file("derived:1", "/seen"), "first\n")
            self.build_ok(derived, "-t", "derived:1", "--pull")
            self.assertEqual(self.file("derived:1", "/seen"), "second\n")
        self.assertIn("name", self.build_fails("FROM busybox\n", "--push", code=2).lower())

    def test_cache_in_a_registry(self):
        folder = self.context("FROM busybox\nRUN echo $(cat /proc/uptime) > /when\n")
        cache = f"type=registry,ref={self.host}/team/cache:1"
        # An image here that has the cache's name keeps it.
        self.gantry_ok("tag", "busybox", f"{self.host}/team/cache:1")
        self.build_ok(folder, "-t", "cached:1", "--cache-to", f"{cache},mode=max")
        self.assertEqual(self.identity(f"{self.host}/team/cache:1"), self.identity("busybox"))
        self.gantry_ok("rmi", f"{self.host}/team/cache:1")
        when = self.file("cached:1", "/when")
        self.gantry_ok("rmi", "-f", "cached:1")
        self.gantry_ok("system", "prune", "-a", "-f")
        self.gantry_ok("load", "-i", f"{self.root}/busybox.tar")
        self.gantry_ok("tag", "busybox", f"{self.host}/team/cache:1")
        self.build_ok(folder, "-t", "cached:2", "--cache-from", cache)
        self.assertEqual(self.file("cached:2", "/when"), when)
        self.assertEqual(self.identity(f"{self.host}/team/cache:1"), self.identity("busybox"))
        self.gantry_ok("rmi", f"{self.host}/team/cache:1")
        # Side by side: the first to end takes nothing away from the others.
        self.gantry_ok("rmi", "-f", "cached:2")
        self.gantry_ok("builder", "prune", "-a", "-f")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ways = [["-t", f"side:{number}", "--cache-from", cache] for number in range(4)]
            told = list(pool.map(lambda options: self.build(folder, *options), ways))
        for number, result in enumerate(told):
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertNotIn("is not used", result.stderr)
            self.assertEqual(self.file(f"side:{number}", "/when"), when)
        self.assertNotIn("team/cache", self.gantry_ok("images").stdout)

    def images(self):
        return set(self.gantry_ok("images", "-a", "-q", "--no-trunc").stdout.split())

    def test_a_place_of_a_cache_takes_no_name_and_leaves_no_image(self):
        name = f"{self.host}/team/moving:1"
        # What has no steps is read in vain. The name here is somebody's.
        self.build_ok("FROM busybox\nRUN echo registry > /it\n", "-t", name, "--push")
        self.gantry_ok("rmi", "-f", name)
        self.gantry_ok("tag", "busybox", name)
        before = self.images()
        self.build_ok("FROM busybox\nRUN echo built > /it\n", "-t", "vain:1", "--cache-from", name)
        self.assertEqual(self.identity(name), self.identity("busybox"))
        self.assertEqual(self.images() - before, {self.identity("vain:1")})
        # Two builds at a time, and the registry has another cache for each of them.
        sources = set()

        def cache(word):
            self.build_ok(f"FROM busybox\nRUN echo {word} > /it\n", "-t", "source:1", "--cache-to",
                          f"type=registry,ref={name},mode=max")
            sources.add(self.identity("source:1"))
        cache("first")
        before = self.images() - sources
        with concurrent.futures.ThreadPoolExecutor() as pool:
            builds = []
            for number, word in enumerate(("second", "third")):
                folder = self.context(f"FROM busybox\nRUN sleep {5 - number * 2} # {word}\n")
                builds.append(pool.submit(self.build_ok, folder, "-t", f"beside:{number}", "--cache-from", name))
                wait_until(lambda: len(self.images() - before - sources) > number, what="the cache")
                cache(word)
            for build in builds:
                build.result()
        kept = sources | {self.identity(each) for each in ("beside:0", "beside:1")}
        self.assertEqual(self.images() - before - kept, set())
        # One that somebody has pulled is theirs.
        self.gantry_ok("rmi", name)
        self.gantry_ok("pull", name)
        self.build_ok("FROM busybox\nRUN echo last > /it\n", "-t", "last:1", "--cache-from", name)
        self.gantry_ok("image", "inspect", name)


if __name__ == "__main__":
    unittest.main()
