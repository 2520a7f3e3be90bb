"""Dockerfiles and contexts that are made to reach the host, by mounts, folders, copies and races.

Every test has a folder of the host with a secret in it. After each attack it must be as it was, and nothing of the secret
may be in the engine's data or in what the user was shown. What comes as archives, from the web or from repositories, and
what only keeps the engine busy, is in test_hostile_sources.py.
"""

import io
import os
import socket
import tarfile
import threading
import time
import unittest

from build_harness import HostileCase

LINKS = ("absolute", "climbing", "d/second", "root-of-one", "own")


class HostileBuildTest(HostileCase):
    # Mounts

    def test_mount_targets_are_in_the_container(self):
        """CVE-2024-1753, CVE-2024-9407: a link in the image where something is to be mounted."""
        self.evil()
        secret = f"{self.root}/given"
        with open(secret, "w") as file:
            file.write("given")
        kinds = ("type=tmpfs,target=/L/new", "type=tmpfs,target=/L", "type=cache,target=/L/folder",
                 "type=cache,target=/L/made/by", "type=bind,target=/L/stub,source=a", "type=bind,target=/L,source=sub",
                 "type=secret,id=s,target=/L/secret", "type=secret,id=s,target=/L/made")
        for link in LINKS:
            for kind in kinds:
                mount = kind.replace("/L", f"/{link}")
                with self.subTest(mount):
                    self.attack(f"FROM evil:1\nRUN --mount={mount} ls -la /{link}/ > /seen; cat /{link}/secret > /got; "
                                f"echo evil > /{link}/evil; true\n", {"a": "a", "sub/b": "b"}, "--secret", f"id=s,src={secret}",
                                "-t", "attack:1")
        climbing = ("type=tmpfs,target=CLIMB/x", "type=cache,target=/../../HOST", "type=bind,source=a,target=CLIMB/stub",
                    "type=tmpfs,target=/proc/1/root/HOST", "type=tmpfs,target=/proc/self/cwd", "type=bind,target=/proc/self/fd/5")
        self.each([f"FROM busybox\nRUN --mount={mount} true\n" for mount in climbing], {"a": "a"})

    def test_mount_sources_are_in_their_tree(self):
        """CVE-2024-1753, CVE-2024-9675, CVE-2024-11218: what is mounted is a link, or climbs."""
        self.evil()
        sources = [f"/{link}" for link in LINKS] + [
            "/file", "/d/chain/folder", "CLIMB", "/../../HOST", "/proc/1/root/HOST", "/proc/self/root/HOST", "/d/../absolute"]
        script = "cp -r /m /got; cat /m/secret /m > /got-too; echo evil > /m/secret; echo evil > /m/evil; rm -rf /m/folder; true"
        self.each([f"FROM busybox\nRUN --mount=type=bind,from=evil:1,source={source},target=/m{more} {script}\n"
                   for source in sources for more in ("", ",rw")])
        self.each([f"FROM busybox\nRUN --mount=type=cache,id=c{index},from=evil:1,source={source},target=/m {script}\n"
                   for index, source in enumerate(sources)])
        links = {"absolute": ("->", self.host), "up": ("->", self.climb), "file": ("->", f"{self.host}/secret"), "d/a": "a"}
        self.each([f"FROM busybox\nRUN --mount=type=bind,source={source},target=/m{more} {script}\n"
                   for source in ("absolute", "up", "file", "up/folder", "CLIMB", "d/../../..HOST") for more in ("", ",rw")], links)

    def test_folders_in_a_cache_are_not_left_by_links(self):
        """CVE-2024-23651, CVE-2024-9675: a step leaves a link in a cache, the next one mounts it."""
        script = "cat /m/secret > /got; cp -r /m /got-too; echo evil > /m/secret; echo evil > /m/evil; true"
        self.each([f"""
            FROM busybox
            RUN --mount=type=cache,id=left{index},target=/c ln -s {target} /c/link; mkdir /c/folder
            RUN --mount=type=cache,id=left{index},source={source},target=/m {script}
            """ for index, (target, source) in enumerate((
                ("HOST", "link"), ("CLIMB", "link"), ("HOST", "link/folder"), ("/proc/1/root/HOST", "link"),
                ("CLIMB", "/link"), ("..", "link/../../../..HOST"), ("x", "CLIMB")))])

    def test_race_for_a_folder_in_a_cache(self):
        """CVE-2024-23651: the folder becomes a link while another step is about to mount it."""
        swapper = self.context(self.text("""
            FROM busybox
            RUN --mount=type=cache,id=race,target=/c mkdir -p /c/real /c/sub; ln -sfn HOST /c/link; \\
                end=$(( $(date +%s) + 6 )); while [ $(date +%s) -lt $end ]; do \\
                mv /c/sub /c/a 2>/dev/null; mv /c/link /c/sub; mv /c/sub /c/link; mv /c/a /c/sub; done; true
            """))
        thread = threading.Thread(target=lambda: self.build(swapper, "--no-cache"))
        thread.start()
        deadline, index = time.monotonic() + 5, 0
        while time.monotonic() < deadline:
            index += 1
            self.attack("FROM busybox\nRUN --mount=type=cache,id=race,source=sub,target=/m cat /m/secret > /got; "
                        "echo evil > /m/evil; cp -r /m /copied; true\n", None, "--no-cache", "-t", "race:1")
        thread.join()
        self.unharmed()

    def test_cleaning_up_stays_in_the_container(self):
        """CVE-2024-23652: the empty file below a mount is removed after the step; by then its folder leads elsewhere."""
        secret = f"{self.root}/given"
        with open(secret, "w") as file:
            file.write("given")
        for mount in ("type=tmpfs,target=/d/empty", "type=cache,target=/d/empty", "type=bind,source=a,target=/d/stub",
                      "type=secret,id=s,target=/d/stub", "type=bind,source=sub,target=/d/x/empty"):
            for target in (self.host, self.climb):
                with self.subTest(mount):
                    self.attack(f"FROM busybox\nRUN --mount={mount} mv /d /e; rm -rf /d; ln -s {target} /d; "
                                f"ln -s {target} /e/x 2>/dev/null; true\n", {"a": "a", "sub/b": "b"},
                                "--secret", f"id=s,src={secret}")

    def test_names_of_caches(self):
        """CVE-2024-9675, CVE-2024-9676: the name of a cache is no path."""
        names = ["CLIMB", "../../../../..HOST", "HOST", "..", ".", "/", "a/../../b", "a\\/b", "-x", "x" * 5000, "%2e%2e%2f", "*",
                 "$(touch HOST/evil)", "a;touch HOST/evil"]
        self.each([f"FROM busybox\nRUN --mount=type=cache,id={name},target=/c cat /c/secret > /got; echo x > /c/evil; true\n"
                   for name in names])
        # Two names are two caches, whatever becomes of them on the disk.
        result = self.attack("""
            FROM busybox
            RUN --mount=type=cache,id=a/b,target=/c echo one > /c/x
            RUN --mount=type=cache,id=a_b,target=/c test ! -e /c/x
            RUN --mount=type=cache,id=A/B,target=/c test ! -e /c/x
            RUN --mount=type=cache,id=a/./b,target=/c test ! -e /c/x
            """)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_secrets_have_no_paths(self):
        secret = f"{self.root}/given"
        with open(secret, "w") as file:
            file.write("given")
        for name in ("../../../../etc/x", "a/../../b", "/etc/passwd"):
            with self.subTest(name):
                self.attack(f"FROM busybox\nRUN --mount=type=secret,id={name} ls -R /run > /seen; true\n", None,
                            "--secret", f"id={name},src={secret}", "-t", "attack:1")
        self.each(["FROM busybox\nRUN --mount=type=secret,id=s,target=CLIMB/new true\n",
                   "FROM busybox\nRUN --mount=type=secret,id=s,env=A=B true\n"])
        # What has no end is no secret.
        started = time.monotonic()
        for endless in ("/dev/zero", "/proc/self/mem", "/"):
            self.attack("FROM busybox\nRUN --mount=type=secret,id=s true\n", None, "--secret", f"id=s,src={endless}")
        self.assertLess(time.monotonic() - started, 60)

    # Where a step runs

    def test_working_folders(self):
        """CVE-2024-21626, CVE-2026-55686: a descriptor or a link as the folder of a step."""
        self.evil()
        look = "cat secret folder/secret > /got 2>/dev/null; ls -la . .. ../../../.. > /seen 2>&1; echo evil > evil; true"
        folders = [f"/proc/self/fd/{number}" for number in range(3, 20)] + ["/proc/1/cwd", "/proc/self/root/../..", "CLIMB"]
        self.each([f"FROM busybox\nWORKDIR {folder}\nRUN {look}\n" for folder in folders])
        self.each([f"FROM evil:1\nWORKDIR /{link}{below}\nRUN {look}\n" for link in LINKS for below in ("", "/made/by", "/folder")])
        # A link that a step puts there for the next one.
        self.each([f"FROM busybox\nWORKDIR /w\nRUN rmdir /w && ln -s {target} /w\nRUN {look}\nWORKDIR /w/made\nCOPY a .\n"
                   for target in ("HOST", "/proc/self/fd/7", "CLIMB")], {"a": "a"})

    def test_folders_that_the_engine_fills(self):
        """Links where /etc/hosts, /dev, /proc, /run and the shell are looked for."""
        commands = ["rm -rf /etc && ln -s HOST /etc", "rm -f /etc/hosts && ln -s HOST/secret /etc/hosts",
                    "rm -f /etc/resolv.conf && ln -s HOST/made /etc/resolv.conf", "rmdir /dev /proc /sys; ln -s HOST /dev",
                    "rmdir /proc; ln -s HOST /proc", "rmdir /sys; ln -s CLIMB /sys", "rm -rf /run && ln -s HOST /run",
                    "rm /bin/sh && ln -s /proc/self/exe /bin/sh", "rm /etc/passwd && ln -s HOST/secret /etc/passwd"]
        self.each([f"FROM busybox\nRUN {command}; true\nRUN --mount=type=tmpfs,target=/run/x cat /etc/hosts > /seen; echo x > /etc/x\n"
                   f"COPY --chown=web a /etc/\nUSER web\nRUN id\n" for command in commands], {"a": "a"})

    def test_users_of_an_odd_file(self):
        """CVE-2024-9676: /etc/passwd is endless, or nobody writes to it."""
        for command in ("rm /etc/passwd; mkfifo /etc/passwd", "rm /etc/passwd; ln -s /dev/zero /etc/passwd",
                        "truncate -s 30M /etc/passwd", "rm /etc/group /etc/passwd; mkdir /etc/passwd; mkfifo /etc/group"):
            with self.subTest(command):
                base = f"FROM busybox\nRUN {command}\n"
                for line in ("USER web\nRUN id", "COPY --chown=web:web a /a", "USER web\nWORKDIR /made",
                             "RUN --mount=type=cache,target=/c,uid=5 true"):
                    self.attack(f"{base}{line}\n", {"a": "a"})
        for user in ("4294967296", "-1", "0x0", "web\\nroot:x:0", "+0"):
            with self.subTest(user):
                result = self.attack(f"FROM busybox\nUSER {user}\nRUN id -u > /tmp/id\n", None, "-t", "user:1")
                if result.returncode == 0:
                    self.assertNotEqual(self.file("user:1", "/tmp/id"), "0\n")

    # COPY and ADD

    def test_targets_of_copies(self):
        """GHSA-4c29: what is copied arrives in the image, whatever leads out of it."""
        self.evil()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("evil")
            tar.addfile(entry, io.BytesIO())
        files = {"evil": "evil", "d/evil": "evil", "a.tar": archive.getvalue()}
        targets = [f"/{link}{below}" for link in LINKS for below in ("", "/", "/evil", "/made/by/", "/secret", "/folder")]
        targets += ["CLIMB/evil", "/../../..HOST/evil", "/file", "/proc/1/root/HOST/evil", "/proc/self/cwd/evil"]
        for target in targets:
            with self.subTest(target):
                text = self.text(f"FROM evil:1\nCOPY evil {target}\n")
                self.attack(text, files)
        self.each([f"FROM evil:1\nCOPY d {link}\nADD a.tar {link}/\nCOPY --link evil {link}/evil\nCOPY --chown=5:6 --chmod=777 d {link}/"
                   for link in ("/absolute", "/climbing", "/d/second/empty")], files)

    def test_sources_in_stages(self):
        self.evil()
        sources = [f"/{link}{below}" for link in LINKS for below in ("/secret", "/folder", "/*", "/")]
        sources += ["/file", "CLIMB/secret", "/../../HOST/secret", "/proc/1/root/HOST/secret", "/proc/self/environ", "/proc/1/environ",
                    "/d/*/secret", "/*/secret", "/absolut?/s*"]
        self.each([f"FROM busybox\nCOPY --from=evil:1 {source} /got/\n" for source in sources])
        self.each([f"FROM busybox\nCOPY --parents --from=evil:1 {source} /got/\n" for source in sources[:6]])
        # As a link it is somebody's right to copy it.
        self.assertEqual(self.attack("FROM busybox\nCOPY --from=evil:1 /d /got\n").returncode, 0)

    def test_contexts_full_of_links(self):
        links = {"shadow": ("->", "/etc/shadow"), "host": ("->", self.host), "up": ("->", self.climb),
                 "file": ("->", f"{self.host}/secret"), "d/host": ("->", self.host), "d/loop": ("->", "loop"),
                 "d/proc": ("->", f"/proc/1/root{self.host}"), "d/self": ("->", "."), "plain": "plain"}
        sources = ["shadow", "host", "up", "file", "host/secret", "up/secret", "host/*", "*/secret", "d/*/secret", "d/proc/secret",
                   "d/self/self/host/secret", "d/loop", "CLIMB/secret", "/../../..HOST/secret", "d/../../../../..HOST"]
        self.each([f"FROM busybox\n{word} {source} /got/\n" for word in ("COPY", "ADD", "COPY --parents") for source in sources], links)
        result = self.attack("FROM busybox\nCOPY . /all/\n", links, "-t", "links:1")
        self.assertEqual(result.returncode, 0, result.stderr)
        [layer] = [each for each in self.layers("links:1") if os.path.exists(f"{each}/all")]
        self.assertEqual(os.readlink(f"{layer}/all/host"), self.host)
        with open("/etc/shadow") as file:
            shadow = file.read().split(":", 2)[1]
        if len(shadow) > 5:
            self.assertEqual(self.find_in_data(shadow), [])

    def test_race_in_the_context(self):
        """CVE-2018-15664's like: a folder of the context becomes a link while it is copied."""
        folder = self.context("FROM busybox\nCOPY d /got/\nCOPY d/secret /got-too\n", {"d/secret": "harmless", "d/folder/secret": "x"})
        os.symlink(self.host, f"{folder}/link")
        done = threading.Event()

        def swap():
            while not done.is_set():
                os.rename(f"{folder}/d", f"{folder}/aside")
                os.rename(f"{folder}/link", f"{folder}/d")
                os.rename(f"{folder}/d", f"{folder}/link")
                os.rename(f"{folder}/aside", f"{folder}/d")

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                self.attack(folder, None, "--no-cache", "-t", "race:2")
        finally:
            done.set()
            thread.join()

    def test_contexts_with_special_files(self):
        """Pipes, sockets and devices are not waited for, nor read."""
        folder = self.context("FROM busybox\nCOPY . /all/\n", {"plain": "plain"})
        os.mkfifo(f"{folder}/pipe")
        os.mknod(f"{folder}/zero", 0o020666, os.makedev(1, 5))
        os.mknod(f"{folder}/disk", 0o060666, os.makedev(7, 200))
        os.mknod(f"{folder}/whiteout", 0o020000, os.makedev(0, 0))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/socket")
            started = time.monotonic()
            self.attack(folder)
            for name in ("pipe", "zero", "disk", "socket"):
                with self.subTest(name):
                    with open(f"{folder}/Dockerfile", "w") as file:
                        file.write(f"FROM busybox\nCOPY {name} /{name}\nRUN head -c 10 /{name} > /got || true\n")
                    os.remove(f"{folder}/whiteout") if os.path.exists(f"{folder}/whiteout") else None
                    # A pipe in the image is the step's to wait for, so it only lists it.
                    if name == "pipe":
                        with open(f"{folder}/Dockerfile", "a") as file:
                            file.seek(0)
                            file.truncate()
                            file.write("FROM busybox\nCOPY pipe /pipe\nRUN ls -la /pipe || true\n")
                    self.attack(folder)
            self.assertLess(time.monotonic() - started, 90)


if __name__ == "__main__":
    unittest.main()
