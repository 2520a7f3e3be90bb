"""What a build takes from others: archives, addresses, repositories, base images, and files without end.

As in test_hostile_builds.py, a folder of the host must be as it was after each attack, and its secret nowhere.
"""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
import unittest

from build_harness import ATTACK_SECONDS, HAS_GIT, GitServer, HostileCase, WebServer, git, make_repository, redirect, write_context
from harness import GANTRY, busybox_image


class HostileSourceTest(HostileCase):
    # Archives

    def tar(self, *members, form=tarfile.PAX_FORMAT):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
            for name, more in members:
                entry = tarfile.TarInfo(name)
                content = more.pop("content", b"")
                entry.size = len(content)
                for key, value in more.items():
                    setattr(entry, key, value)
                tar.addfile(entry, io.BytesIO(content))
        return stream.getvalue()

    def hostile_archives(self):
        link, hard, folder = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}, {"type": tarfile.DIRTYPE}
        evil = {"content": b"evil"}
        yield from (self.tar((name, dict(evil))) for name in (
            f"{self.climb}/evil", f"{self.host}/evil", f"a/../../../../../..{self.host}/evil", f"./../{self.climb}/secret"))
        for target in (self.host, self.climb, f"/proc/1/root{self.host}", f"/proc/self/root/../..{self.host}"):
            yield self.tar(("l", link | {"linkname": target}), ("l/evil", dict(evil)))
            yield self.tar(("l", link | {"linkname": target}), ("l/secret", dict(evil)), ("l/folder", folder | {"mode": 0o777}))
            yield self.tar(("l", link | {"linkname": target}), ("l", folder | {"mode": 0o777}), ("l/evil", dict(evil)))
            yield self.tar(("h", hard | {"linkname": f"{target}/secret"}))
            yield self.tar(("l", link | {"linkname": target}), ("h", hard | {"linkname": "l/secret"}))
            yield self.tar(("l", link | {"linkname": f"{target}/secret"}), ("h", hard | {"linkname": "l"}), ("h", dict(evil)))
        yield self.tar(("disk", {"type": tarfile.BLKTYPE, "devmajor": 7, "devminor": 200, "mode": 0o666}))
        for key, value in (("trusted.overlay.redirect", self.climb), ("trusted.overlay.opaque", "y"),
                           ("trusted.overlay.metacopy", ""), ("user.overlay.redirect", "/")):
            yield self.tar(("x", folder | {"pax_headers": {f"SCHILY.xattr.{key}": value}}), ("x/y", dict(evil)))

    def test_archives_that_are_added(self):
        for index, archive in enumerate(self.hostile_archives()):
            with self.subTest(index):
                for target in ("/here/", "/"):
                    result = self.attack(f"FROM busybox\nADD a.tar {target}\nRUN cat /l/secret /h /here/h /here/l/secret > /got; "
                                         f"head -c 5 /disk /here/disk > /disk-got; true\n", {"a.tar": archive}, "-t", "added:1")
                    if result.returncode == 0:
                        self.assertFalse(self.file("added:1", "/disk-got"))
                        for layer in self.layers("added:1"):
                            for path in (f"{layer}/x", f"{layer}/here/x"):
                                if os.path.exists(path):
                                    self.assertEqual([key for key in os.listxattr(path) if "redirect" in key or "metacopy" in key], [])

    def test_contexts_that_are_archives(self):
        """The context comes as a tar from somebody else."""
        dockerfile = ("Dockerfile", {"content": b"FROM busybox\nCOPY . /all/\nRUN cat /all/l/secret /all/h > /got; true\n"})
        named = ("Dockerfile", {"content": b"FROM busybox\nCOPY l/secret /got\nCOPY l /got-too\nCOPY h /h\n"})
        def send(data):
            done = subprocess.run([GANTRY, "build", "-"], input=data, capture_output=True, timeout=ATTACK_SECONDS,
                                  env=self.environment(), cwd=self.root)
            done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
            self.unharmed(done)

        end = b"\0" * 1024
        for index, archive in enumerate(self.hostile_archives()):
            for first in (dockerfile, named):
                with self.subTest(index):
                    head = self.tar((first[0], dict(first[1])))
                    # Two tars in a row are one, without the first one's end.
                    send(head[:1024] + archive)
        for name in ("Dockerfile", ".dockerignore"):
            for target in (f"{self.host}/secret", f"{self.climb}/secret", "/dev/zero"):
                with self.subTest(f"{name} -> {target}"):
                    rest = [] if name == "Dockerfile" else [(dockerfile[0], dict(dockerfile[1]))]
                    send(self.tar((name, {"type": tarfile.SYMTYPE, "linkname": target}), *rest))
                    send(self.tar((name, {"type": tarfile.LNKTYPE, "linkname": target}), *rest))
        for garbage in (b"", b"\x1f\x8b" + b"\0" * 50, b"BZh9" + b"\xff" * 100, os.urandom(5000), b"\0" * 20_000, end * 50,
                        gzip.compress(b"\0" * 1000)[:30], b"\xfd7zXZ\0" + b"\xff" * 50, b"\x28\xb5\x2f\xfd" + b"\xff" * 50):
            with self.subTest(garbage[:8]):
                send(garbage)

    def test_whiteouts_are_not_smuggled(self):
        """A file named like a whiteout, or a device 0:0, must not take a file of the base away."""
        for lines, files in (("COPY .wh.passwd /etc/", {".wh.passwd": ""}), ("COPY etc /etc", {"etc/.wh.passwd": ""}),
                             ("COPY etc /etc", {"etc/.wh..wh..opq": ""}), ("RUN touch /etc/.wh.passwd", {}),
                             ("RUN touch /etc/.wh..wh..opq", {}), ("ADD a.tar /etc/", {"a.tar": self.tar(
                                 (".wh.passwd", {}), (".wh..wh..opq", {}))}),
                             ("ADD a.tar /etc/", {"a.tar": self.tar(("passwd", {"type": tarfile.CHRTYPE}))}),
                             ("RUN mknod /etc/passwd c 0 0 || true", {})):
            with self.subTest(lines):
                result = self.attack(f"FROM busybox\n{lines}\n", files, "-t", "white:1")
                if result.returncode != 0:
                    continue
                # Also when it has gone through an archive.
                self.gantry_ok("save", "-o", f"{self.root}/white.tar", "white:1")
                self.gantry_ok("rmi", "-f", "white:1")
                if self.gantry("load", "-i", f"{self.root}/white.tar").returncode == 0:
                    seen = self.build("FROM white:1\nRUN test -s /etc/passwd\n", "--no-cache")
                    self.assertEqual(seen.returncode, 0, f"{lines} took /etc/passwd away: {seen.stderr}")

    # Files that steer the build

    def test_dockerfiles_and_ignore_files_that_are_not_files(self):
        started = time.monotonic()
        for name in ("Dockerfile", ".dockerignore", "Dockerfile.dockerignore"):
            for target in (f"{self.host}/secret", f"{self.climb}/secret", "/dev/zero", "/proc/self/mem", ".", "nowhere", name):
                with self.subTest(f"{name} -> {target}"):
                    folder = self.context(None if name == "Dockerfile" else "FROM busybox\nCOPY . /all/\n", {"a": "a"})
                    os.symlink(target, f"{folder}/{name}")
                    self.attack(folder)
            folder = self.context(None if name == "Dockerfile" else "FROM busybox\nCOPY . /all/\n", {"a": "a"})
            os.mkfifo(f"{folder}/{name}")
            self.attack(folder)
        self.assertLess(time.monotonic() - started, 180)

    def test_large_and_slow_patterns(self):
        names = {f"{'a' * 40}{n}": "" for n in range(50)} | {"/".join(["d"] * 40) + "/x": ""}
        started = time.monotonic()
        for patterns in ("**/" * 200 + "b", "*a" * 30 + "b", "**/*a*a*a*a*a*a*a*a*a*a*b", "[" * 1000, "a\n" * 200_000,
                         "!" * 1000, "x" * 1_000_000, "\0" * 1000, "**/" * 12 + "**\n!**/" + "d/" * 20, "\\" * 1001):
            with self.subTest(patterns[:20]):
                self.attack("FROM busybox\nCOPY . /all/\n", names | {".dockerignore": patterns})
        for pattern in ("*a" * 30 + "b", "**/" * 100 + "b"):
            self.attack(f"FROM busybox\nCOPY --exclude={pattern} . /all/\nCOPY {pattern}* /x/\n", names)
        self.assertLess(time.monotonic() - started, 180)

    def engine_megabytes(self):
        with open(f"/proc/{self.engine.pid}/status") as file:
            [line] = [line for line in file if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024

    def test_bombs(self):
        """Stages, steps, triggers and words without end."""
        started = time.monotonic()
        bombs = {
            "stages": "".join(f"FROM busybox AS s{n}\n" for n in range(5000)),
            "chain": "FROM busybox AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\nENV A{n}=1\n" for n in range(900)),
            "fan": "".join(f"FROM busybox AS s{n}\n" for n in range(300)) + "FROM busybox\n"
                   + "".join(f"COPY --from=s{n} /etc/passwd /p{n}\n" for n in range(100)),
            "steps": "FROM busybox\n" + "ENV A=1\n" * 20_000, "words": "FROM busybox\nENV A=aaaaaaaaaa\n" + "ENV A=$A$A\n" * 60,
            "nested": "FROM busybox\nENV A=" + "${A:-" * 5000 + "}" * 5000 + "\n",
            "pattern": "FROM busybox\nENV A=" + "a" * 5000 + "\nENV B=${A%%" + "*a" * 50 + "b}\n",
            "line": "FROM busybox\nLABEL a=" + "x" * 3_000_000 + "\n", "heredocs": "FROM busybox\nRUN " + "<<E " * 3000 + "\n",
            "continued": "FROM busybox\nENV A=1" + " \\\n" * 100_000 + "\n", "file": "FROM busybox\n" + "# x\n" * 3_000_000,
            "ports": "FROM busybox\nEXPOSE 1-65535\n" * 1 + "EXPOSE 1-65535/udp\n" * 50,
            "labels": "FROM busybox\n" + "".join(f"LABEL l{n}={'x' * 1000}\n" for n in range(5000)),
            "circle": "FROM b AS a\nFROM c AS b\nFROM a AS c\n", "own": "FROM a AS a\nRUN true\n",
            "json": "FROM busybox\nCMD " + "[" * 50_000 + "]" * 50_000 + "\n"}
        for name, text in bombs.items():
            with self.subTest(name):
                folder = self.context(files={"Dockerfile": text})
                self.attack(folder)
        self.assertLess(time.monotonic() - started, 270)
        self.assertLess(self.engine_megabytes(), 700)

    def test_triggers_of_an_image(self):
        triggers = [["ONBUILD RUN true"], ["FROM evil"], ["ONBUILD ONBUILD RUN true"], ["RUN true\nFROM busybox\nRUN x"],
                    ["RUN --security=insecure true"], ["COPY --from=/etc /passwd /x"], ["MAINTAINER x"], [""], ["\x00"],
                    ["\x1b[31mRUN x"], ["LABEL a=1"] * 20_000, ["COPY " + self.climb + "/secret /got"],
                    ["ADD file://" + self.host + "/secret /got"], ["RUN --mount=type=bind,source=" + self.climb + ",target=/m cat /m/secret"],
                    ["WORKDIR " + self.climb], ["FETCH"], ["ENV A=$A$A$A$A"] * 40]
        for index, words in enumerate(triggers):
            with self.subTest(words[0]):
                archive = f"{self.root}/trigger.tar"
                busybox_image(archive, tag=f"trigger{index}:1", config={"Env": ["PATH=/bin"], "OnBuild": words})
                if self.gantry("load", "-i", archive).returncode == 0:
                    result = self.attack(f"FROM trigger{index}:1\n", None, "-t", f"triggered{index}:1")
                    self.assertNotIn("\x1b", result.stdout + result.stderr)
                os.unlink(archive)

    def test_arguments_are_values(self):
        values = ["busybox\nRUN touch /injected", "busybox\r\nRUN touch /injected", "x\nFROM busybox", "\x1b[2J\x1b[31m", "a\\\nb",
                  "$(touch /injected)", "`touch /injected`", "';touch /injected;'", "<<E\nRUN touch /injected\nE", "\u202e", "x" * 100_000]
        folder = self.context("ARG base=busybox\nFROM ${base:+busybox}\nARG base\nENV E=$base\nLABEL l=$base\nUSER root\n"
                              "COPY a /a\nRUN printf %s \"$base\" > /value; test ! -e /injected\n", {"a": "a"})
        direct = self.context("ARG base\nFROM $base\nRUN true\n")
        for value in values:
            with self.subTest(value[:20]):
                result = self.attack(folder, None, "-t", "value:1", "--build-arg", f"base={value}", "--label", f"x={value[:1000]}")
                if result.returncode == 0:
                    self.assertEqual(self.file("value:1", "/value").replace("\n", "").replace("\r", ""),
                                     value.replace("\n", "").replace("\r", ""))
                result = self.attack(direct, None, "--build-arg", f"base={value}")
                self.assertNotEqual(result.returncode, 0)
                self.assertNotIn("\x1b", result.stderr)

    def test_names_of_images_are_no_paths(self):
        for name in ("../evil", "/etc", "./x", "docker-daemon:busybox", f"dir:{self.host}", f"oci-layout://{self.host}",
                     f"file://{self.host}/secret", "busybox:../x", "a@sha256:../../x", "-x", "busybox --privileged", "\x1b[31m"):
            with self.subTest(name):
                for text in (f"FROM {name}\nRUN true\n", f"FROM busybox\nCOPY --from={name} /secret /got\n",
                             f"FROM busybox\nRUN --mount=from={name},target=/m cat /m/secret\n"):
                    result = self.attack(text)
                    self.assertEqual(result.returncode, 1)
                    self.assertNotIn("\x1b", result.stderr)

    def test_crafted_image_is_no_cache(self):
        """CVE-2024-24557: an image that says it was made by our next step is not taken for its result."""
        with open(f"{self.root}/evil", "w") as file:
            file.write("evil\n")
        for step in ("RUN /bin/sh -c echo good > /result # buildkit", "/bin/sh -c echo good > /result",
                     "COPY a /result # buildkit", "/bin/sh -c #(nop) COPY file:x in /result "):
            busybox_image(f"{self.root}/crafted.tar", tag="crafted:1", files={"result": f"{self.root}/evil"}, history=[
                {"created": "2026-01-01T00:00:00Z", "created_by": step}])
            self.gantry_ok("load", "-i", f"{self.root}/crafted.tar")
        for text in ("FROM busybox\nRUN echo good > /result\n", "FROM busybox\nCOPY a /result\n"):
            result = self.attack(text, {"a": "good\n"}, "-t", "honest:1")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(self.file("honest:1", "/result"), "good\n")

    # What comes from elsewhere

    def test_redirects_and_names_from_the_web(self):
        def disposition(handler):
            handler.send_response(200)
            handler.send_header("Content-Disposition", 'attachment; filename="../../../../evil"')
            handler.send_header("Content-Length", "4")
            handler.end_headers()
            handler.wfile.write(b"evil")

        def endless_head(handler):
            handler.send_response(200)
            try:
                for number in range(200_000):
                    handler.wfile.write(f"X-{number}: {'x' * 100}\r\n".encode())
            except OSError:
                pass  # The other side had enough.

        files = {"/file": redirect(f"file://{self.host}/secret"), "/loop": redirect("/loop"), "/plain": b"plain",
                 "/gopher": redirect("gopher://127.0.0.1:1/x"), "/dict": redirect("dict://127.0.0.1:1/x"),
                 "/scheme": redirect("FILE:" + self.host + "/secret"), "/relative": redirect(f"//{self.host}/secret"),
                 "/disposition": disposition, "/head": endless_head, "/netrc": redirect("ftp://127.0.0.1:1/x"),
                 "/Dockerfile": f"FROM busybox\nCOPY {self.climb}/secret /x\n".encode(), "/..": b"dots", "/%2e%2e": b"dots",
                 "/a%2F..%2F..%2F..%2Fevil": b"evil", "/a%00b": b"zero", "/%2e%2e%2fevil": b"evil"}
        server = WebServer(files)
        self.addCleanup(server.stop)
        started = time.monotonic()
        for path in [*files, "/", "/file?/../../evil", "/plain/../../evil", "/plain#/../x"]:
            with self.subTest(path):
                self.attack(f"FROM busybox\nADD {server.address}{path} /d/\nRUN find / -name 'evil*' > /found\n", None, "-t", "web:1")
                if self.gantry("image", "inspect", "web:1").returncode == 0:
                    found = (self.file("web:1", "/found") or "").split()
                    self.assertEqual([name for name in found if not name.startswith("/d/")], [])
                    self.gantry("rmi", "-f", "web:1")
                self.attack_url(f"{server.address}{path}")
        self.each(["FROM busybox\nADD file://HOST/secret /got\n", "FROM busybox\nADD FILE:HOST/secret /got\n",
                   "FROM busybox\nADD ftp://127.0.0.1:1/x /got\n", "FROM busybox\nADD http://-o/x /got\n",
                   "FROM busybox\nADD http:///HOST/secret /got\n", "FROM busybox\nADD https://127.0.0.1:1\\nx/y /got\n"])
        self.assertLess(time.monotonic() - started, 270)

    def attack_url(self, address):
        result = self.gantry("build", address, timeout=ATTACK_SECONDS)
        self.unharmed(result)

    def test_addresses_of_repositories(self):
        """CVE-2019-13139 and its like: no word of an address becomes an option or a command."""
        touch = f"touch {self.host}/evil"
        addresses = [f"--upload-pack={touch}.git", f"-u{touch}.git", f"git@-oProxyCommand={touch}:x.git", f"ssh://-oProxyCommand={touch}/x.git",
                     f"ext::sh -c '{touch}'.git", f"file://{self.host}.git", f"{self.host}/.git", f"git://127.0.0.1:1/--upload-pack={touch}.git",
                     f"http://127.0.0.1:1/x.git#--upload-pack={touch}", f"https://127.0.0.1:1/x.git#main:{self.climb}",
                     f"http://127.0.0.1:1/x.git#$({touch})", "git@127.0.0.1:1:x.git#;id", f"git://`{touch}`/x.git", "http://127.0.0.1:1/\n.git",
                     f"http://u:$({touch})@127.0.0.1:1/x.git"]
        for address in addresses:
            with self.subTest(address):
                self.attack_url(address)
                self.attack(f"FROM busybox\nADD \"{address}\" /got/\n".replace("\n.git", ".git"))
                self.attack("FROM busybox\nADD " + json.dumps([address, "/got/"]) + "\n")

    @unittest.skipUnless(HAS_GIT, "git is missing")
    def test_repositories(self):
        """CVE-2024-32002's like, and the folder of an address (compose 0d396bb): links, modules and hooks of a repository."""
        work = f"{self.root}/repositories"
        shutil.rmtree(work, ignore_errors=True)
        make_repository(f"{work}/evil", {
            "Dockerfile": "FROM busybox\nCOPY . /all/\nCOPY link/secret /got\n", "link": ("->", self.host), "up": ("->", self.climb),
            "file": ("->", f"{self.host}/secret"), "sub/Dockerfile": ("->", f"{self.host}/secret"), "sub/x": "x",
            ".gitattributes": "* filter=evil\n"})
        make_repository(f"{work}/modules", {"Dockerfile": "FROM busybox\nCOPY . /all/\n", ".gitmodules":
                        f'[submodule "a"]\n\tpath = a\n\turl = ext::sh -c "touch {self.host}/evil"\n\tupdate = !touch {self.host}/evil\n'})
        commit = git(f"{work}/evil", "rev-parse", "HEAD").strip()
        git(f"{work}/modules", "update-index", "--add", "--cacheinfo", f"160000,{commit},a")
        git(f"{work}/modules", "commit", "-q", "-m", "module")
        git(f"{work}/modules", "update-ref", "refs/heads/-x", "HEAD")
        for hook in ("post-checkout", "post-merge"):
            write_context(f"{work}/evil/.git/hooks", {hook: (f"#!/bin/sh\ntouch {self.host}/evil\n", 0o755)})
        server = GitServer(work)
        self.addCleanup(server.stop)
        address = f"{server.address}/evil/.git"
        for fragment in ("", "#main:link", "#main:up", f"#main:{self.climb}", f"#main:{self.host}", "#main:sub", "#main:link/folder",
                         "#main:sub/../../..", f"#--upload-pack=touch {self.host}/evil", "#-x", "#../../x", "#:..", "#main:.git"):
            with self.subTest(fragment):
                self.attack_url(address + fragment)
                self.attack("FROM busybox\nADD " + json.dumps([address + fragment, "/got/"]) + "\nRUN cat /got/link/secret; true\n")
        for fragment in ("", "#-x", "#refs/heads/-x"):
            with self.subTest(f"modules{fragment}"):
                self.attack_url(f"{server.address}/modules/.git{fragment}")


if __name__ == "__main__":
    unittest.main()
