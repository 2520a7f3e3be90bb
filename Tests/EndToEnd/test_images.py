"""The image commands and their API, driven as a user does; other tools read and make the archives where they are there."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pty
import re
import shutil
import subprocess
import tarfile
import unittest

from harness import BUSYBOX, GANTRY, EngineCase, wait_until

DOCKER = shutil.which("docker")
PODMAN = shutil.which("podman")
SKOPEO = shutil.which("skopeo")
ZSTD = shutil.which("zstd")
OTHER_PACKINGS = {"xz": lzma, "bz2": bz2}


def layer(files):
    """A layer's tar of a name to content table; None is a folder, a tuple ('->', target) a link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif isinstance(content, tuple):
                info.type, info.linkname = tarfile.SYMTYPE, content[1]
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def archive(path, tags, layers, config=None, created="2026-01-01T00:00:00Z"):
    """A docker-archive with a history step for each layer, and one without a layer."""
    digests = [hashlib.sha256(content).hexdigest() for content in layers]
    history = [{"created": created, "created_by": f"/bin/sh -c #(nop) ADD file:{index} in /"}
               for index in range(len(layers))]
    history.append({"created": created, "created_by": "/bin/sh -c #(nop)  CMD [\"sh\"]", "empty_layer": True,
                    "comment": "the end"})
    body = {"architecture": "amd64", "os": "linux", "created": created, "author": "tester",
            "config": config or {"Cmd": ["sh"], "Env": ["PATH=/bin"]}, "history": history,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]}}
    text = json.dumps(body).encode()
    name = hashlib.sha256(text).hexdigest()
    members = [(f"{name}.json", text)] + [(f"{digest}/layer.tar", data) for digest, data in zip(digests, layers)]
    members.append(("manifest.json", json.dumps(
        [{"Config": f"{name}.json", "RepoTags": tags, "Layers": [f"{digest}/layer.tar" for digest in digests]}]
    ).encode()))
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return f"sha256:{name}"


def base_files():
    with open(BUSYBOX, "rb") as file:
        busybox = file.read()
    return {"bin": None, "etc": None, "proc": None, "sys": None, "dev": None, "tmp": None, "bin/busybox": busybox,
            "bin/sh": ("->", "busybox"), "bin/sleep": ("->", "busybox"), "bin/cat": ("->", "busybox"),
            "bin/touch": ("->", "busybox"), "bin/dd": ("->", "busybox")}


class ImagesTest(EngineCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = layer(base_files())

    def setUp(self):
        # Every test begins with the harness's own image alone.
        lines = self.gantry_ok("images", "--format", "{{.ID}} {{.Repository}}").stdout.splitlines()
        for identity, name in map(str.split, lines):
            if name != "busybox":
                self.gantry("rmi", "-f", identity)
        if not any(line.endswith(" busybox") for line in lines):
            self.gantry_ok("load", "-i", f"{self.root}/busybox.tar")

    def make(self, *tags, text=b"hello\n", config=None, created="2026-01-01T00:00:00Z"):
        """Loads an image of two layers; the answer is its id."""
        path = f"{self.root}/made.tar"
        identity = archive(path, list(tags), [self.base, layer({"etc/text": text})], config, created)
        self.gantry_ok("load", "-i", path)
        return identity

    def names(self, *arguments):
        return self.gantry_ok("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments).stdout.split()

    def refused(self, *arguments, code=1, **options):
        result = self.gantry(*arguments, **options)
        self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}{result.stderr}")
        return result.stderr

    # Lists

    def test_list(self):
        identity = self.make("team/app:1", "team/app:2", config={"Cmd": ["sh"], "Labels": {"tier": "web"}})
        old = self.make("old:1", text=b"old\n", created="2020-05-05T00:00:00Z")
        table = self.gantry_ok("images").stdout.splitlines()
        self.assertEqual(table[0].split("  ")[0], "REPOSITORY")
        self.assertRegex(table[0], r"^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$")
        self.assertIn(identity[7:19], self.gantry_ok("image", "ls").stdout)
        self.assertEqual(self.gantry_ok("images", "-a").stdout, self.gantry_ok("image", "list").stdout)
        self.assertEqual(
            self.gantry_ok("images", "-q", "--no-trunc", "team/app").stdout.split(), [identity, identity])
        self.assertEqual(self.gantry_ok("images", "-q", "old").stdout, old[7:19] + "\n")
        self.assertEqual(self.names("team/app"), ["team/app:1", "team/app:2"])
        self.assertEqual(self.names("team/app:2"), ["team/app:2"])
        self.assertEqual(self.names("team/*"), ["team/app:1", "team/app:2"])
        self.assertEqual(self.names("a*"), [], "a star ends at a slash")
        self.assertEqual(self.names("--filter", "reference=*:1"), ["old:1"])
        self.assertEqual(self.names("-f", "label=tier"), ["team/app:1", "team/app:2"])
        self.assertEqual(self.names("-f", "label=tier=db"), [])
        self.assertEqual(self.names("-f", "before=team/app:1"), ["old:1"])
        self.assertIn("team/app:1", self.names("-f", "since=old:1"))
        self.assertNotIn("old:1", self.names("-f", "since=old:1"))
        self.assertEqual(self.names("-f", "dangling=true"), [])
        digests = self.gantry_ok("images", "--digests", "old").stdout.splitlines()
        self.assertRegex(digests[0], r"^REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE$")
        self.assertRegex(digests[1], r"sha256:[0-9a-f]{64}")
        one = json.loads(self.gantry_ok("images", "--format", "json", "old").stdout)
        self.assertEqual((one["Repository"], one["Tag"], one["ID"]), ("old", "1", old[7:19]))
        self.assertEqual(one["CreatedAt"], "2020-05-05 00:00:00 +0000 UTC")
        custom = self.gantry_ok("images", "--format", r"table {{.Tag}}\t{{lower .Repository}}", "old").stdout
        self.assertRegex(custom.splitlines()[0], r"^TAG +repository$")
        self.assertRegex(custom.splitlines()[1], r"^1 +old$")

    def test_list_errors(self):
        self.assertIn("invalid filter 'size'", self.refused("images", "-f", "size=1"))
        self.assertIn("is no filter", self.refused("images", "-f", "dangling", code=2))
        self.assertIn("it is true or false", self.refused("images", "-f", "dangling=perhaps"))
        self.assertIn("no such image: nothing", self.refused("images", "-f", "before=nothing"))
        self.assertIn("there is no format 'yaml'", self.refused("images", "--format", "yaml", code=2))
        self.assertIn("there is no field .Name", self.refused("images", "--format", "{{.Name}}", code=2))
        self.assertIn("not closed", self.refused("images", "--format", "{{.ID", code=2))

    def test_inspect(self):
        identity = self.make("team/app:1", config={"Cmd": ["sleep", "9"], "Env": ["PATH=/bin", "A=b"],
                                                    "Labels": {"tier": "web"}})
        [image] = json.loads(self.gantry_ok("image", "inspect", "team/app:1").stdout)
        self.assertEqual(image["Id"], identity)
        self.assertEqual(image["RepoTags"], ["team/app:1"])
        self.assertEqual(image["Config"]["Cmd"], ["sleep", "9"])
        self.assertEqual(len(image["RootFS"]["Layers"]), 2)
        self.assertEqual(image["Author"], "tester")
        self.assertTrue(os.path.isfile(image["GraphDriver"]["Data"]["UpperDir"] + "/etc/text"))
        self.assertEqual(self.gantry_ok("image", "inspect", "-f", "{{.Id}}", identity[7:19]).stdout, identity + "\n")
        text = "{{json .Config.Cmd}} {{index .Config.Labels \"tier\"}} {{len .RootFS.Layers}}{{range .Config.Env}} {{.}}{{end}}"
        self.assertEqual(
            self.gantry_ok("image", "inspect", "--format", text, "team/app:1").stdout,
            '["sleep","9"] web 2 PATH=/bin A=b\n')
        some = self.gantry("image", "inspect", "team/app:1", "other/app:1")
        self.assertEqual(some.returncode, 1)
        self.assertEqual(len(json.loads(some.stdout)), 1)
        self.assertIn("no such image: other/app:1; similar: team/app:1", some.stderr)

    def test_history(self):
        identity = self.make("app:1")
        lines = self.gantry_ok("history", "app:1").stdout.splitlines()
        self.assertRegex(lines[0], r"^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$")
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[1], rf"^{identity[7:19]} .*0B +the end$")
        self.assertTrue(lines[2].startswith("<missing>"))
        self.assertIn("6B", lines[2])
        self.assertEqual(self.gantry_ok("image", "history", "-q", "--no-trunc", "app:1").stdout.split()[0], identity)
        plain = self.gantry_ok("history", "--human=false", "--format", "{{.CreatedSince}} {{.Size}}", "app:1").stdout
        self.assertEqual(plain.splitlines()[1], "2026-01-01T00:00:00Z 6")
        self.assertIn("no such image: app:7; similar: app:1", self.refused("history", "app:7"))

    # Names and removal

    def test_tag_and_remove(self):
        identity = self.make("app:1")
        long = "registry.example:5000/a/b/c:2"
        self.gantry_ok("tag", "app:1", long)
        self.gantry_ok("image", "tag", identity[7:19], "app")
        self.assertEqual(sorted(self.names("app") + self.names(long)), ["app:1", "app:latest", long])
        self.assertEqual(self.gantry_ok("history", "-q", long).stdout.split()[0], identity[7:19])
        self.assertIn("invalid image reference", self.refused("tag", "app:1", "UPPER"))
        self.assertIn("no such image: none", self.refused("tag", "none", "x"))
        conflict = self.refused("rmi", identity)
        self.assertIn(f"conflict: unable to delete {identity[7:19]} (must be forced) - image is referenced in multiple "
                      "repositories", conflict)
        self.assertEqual(self.gantry_ok("rmi", long).stdout, f"Untagged: {long}\n")
        self.assertEqual(self.gantry_ok("image", "rm", "app:latest").stdout, "Untagged: app:latest\n")
        gone = self.gantry_ok("rmi", "app:1").stdout.splitlines()
        self.assertEqual(gone[:2], ["Untagged: app:1", f"Deleted: {identity}"])
        self.assertEqual(len(gone), 4, "two layers went with it")
        self.assertEqual(self.names("app"), [])
        self.assertIn("no such image: busyboxx; similar: busybox:latest", self.refused("rmi", "busyboxx"))
        forced = self.gantry_ok("rmi", "-f", "nothing")
        self.assertIn("no such image: nothing", forced.stderr)
        # One of several that is not there is no reason to keep the others.
        self.make("one:1")
        some = self.gantry("rmi", "one:1", "two:1")
        self.assertEqual(some.returncode, 1)
        self.assertIn("Untagged: one:1", some.stdout)
        self.assertIn("no such image: two:1", some.stderr)

    def test_remove_by_id_with_one_name(self):
        identity = self.make("app:1")
        self.assertEqual(
            self.gantry_ok("rmi", identity[7:19]).stdout.splitlines()[:2], ["Untagged: app:1", f"Deleted: {identity}"])

    def test_shared_layers_stay(self):
        self.make("one:1", text=b"one\n")
        self.make("two:1", text=b"two\n")
        self.assertEqual(len(self.gantry_ok("rmi", "one:1").stdout.splitlines()), 3, "the base is two's, too")
        self.assertEqual(self.gantry_ok("image", "verify", "two:1").stdout, "two:1: ok\n")

    def test_image_in_use(self):
        identity = self.make("app:1")
        folder = self.stack("services: {web: {image: 'app:1', command: [sleep, '1000'], init: true}}", "inuse")
        self.gantry_ok("up", "-d", folder=folder)
        container = self.ps(folder)[0]["ID"]
        short = identity[7:19]
        self.assertIn(
            f'conflict: unable to remove repository reference "app:1" (must force) - container {container} is using '
            f"its referenced image {short}", self.refused("rmi", "app:1"))
        running = f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container"
        self.assertIn(f"{running} {container}", self.refused("rmi", identity))
        self.assertIn(running, self.refused("rmi", "-f", identity))
        self.assertIn(running, self.refused("rmi", "-f", "app:1"))
        # One of two names is free to go.
        self.gantry_ok("tag", "app:1", "other:1")
        self.assertEqual(self.gantry_ok("rmi", "other:1").stdout, "Untagged: other:1\n")
        self.gantry_ok("image", "prune", "-a", "-f")
        self.assertEqual(self.names("app"), ["app:1"])
        self.gantry_ok("stop", "-t", "0", folder=folder)
        self.assertIn(
            f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container "
            f"{container}", self.refused("rmi", identity))
        # Forced, the name goes; the image stays for the container, also when everything unused is removed.
        self.assertEqual(self.gantry_ok("rmi", "-f", "app:1").stdout, "Untagged: app:1\n")
        self.assertEqual(self.gantry_ok("images", "-q", "-f", "dangling=true").stdout, short + "\n")
        self.gantry_ok("image", "prune", "-a", "-f")
        self.gantry_ok("tag", identity, "app:1")
        self.gantry_ok("start", folder=folder)
        self.assertEqual(self.ps(folder)[0]["State"], "running")
        self.gantry_ok("down", "-t", "0", folder=folder)
        self.gantry_ok("rmi", "app:1")

    def test_prune(self):
        self.make("app:1", text=b"first\n")
        self.make("app:1", text=b"second\n", config={"Cmd": ["sh"], "Labels": {"keep": "yes"}})
        self.assertEqual(len(self.gantry_ok("images", "-q", "-f", "dangling=true").stdout.split()), 1)
        self.assertIn("nobody is there to be asked", self.refused("image", "prune", code=2))
        self.assertIn("Total reclaimed space: 0B", self.gantry_ok("image", "prune", "-f", "--filter", "label=x").stdout)
        pruned = self.gantry_ok("image", "prune", "-f").stdout
        self.assertRegex(pruned, r"^Deleted Images:\ndeleted: sha256:[0-9a-f]{64}\n")
        self.assertRegex(pruned, r"\nTotal reclaimed space: [1-9][0-9.]*k?B\n$")
        self.assertEqual(self.names("app"), ["app:1"])
        self.gantry_ok("image", "prune", "-a", "-f", "--filter", "label!=keep")
        self.assertEqual(self.names("app"), ["app:1"])
        # A list's filters that a prune does not look at, too: it would remove what they keep.
        for key, value in {"size": "1", "reference": "other", "before": "app:1", "since": "app:1"}.items():
            with self.subTest(key):
                said = self.refused("image", "prune", "-a", "-f", "--filter", f"{key}={value}")
                self.assertIn(f"invalid filter '{key}'", said)
                self.assertEqual(self.names("app"), ["app:1"])
        self.gantry_ok("image", "prune", "-a", "-f", "--filter", "label=keep")
        self.assertEqual(self.names("app"), [])

    def test_prune_asks_on_a_terminal(self):
        self.make("app:1", text=b"first\n")
        self.make("app:1", text=b"second\n")

        def answer(text):
            main, other = pty.openpty()
            process = subprocess.Popen(
                [GANTRY, "image", "prune"], stdin=other, stderr=other, stdout=subprocess.PIPE, env=self.environment())
            os.close(other)
            os.write(main, text)
            said = process.communicate(timeout=20)[0].decode()
            os.close(main)
            return process.returncode, said

        self.assertEqual(answer(b"n\n"), (1, ""))
        self.assertEqual(len(self.gantry_ok("images", "-q", "-f", "dangling=true").stdout.split()), 1)
        code, said = answer(b"y\n")
        self.assertEqual(code, 0)
        self.assertIn("deleted: sha256:", said)
        self.assertEqual(self.gantry_ok("images", "-q", "-f", "dangling=true").stdout, "")

    # Archives

    def round_trip(self, form, target):
        first = self.make("app:1", "app:2")
        second = self.make("team/other:1", text=b"other\n")
        self.gantry_ok("save", "--format", form, "-o", target, "app", "team/other:1")
        self.gantry_ok("rmi", "-f", first, second)
        self.assertEqual(self.names("app"), [])
        loaded = self.gantry_ok("load", "-i", target).stdout.splitlines()
        self.assertEqual(
            sorted(loaded), ["Loaded image: app:1", "Loaded image: app:2", "Loaded image: team/other:1"])
        ids = set(self.gantry_ok("images", "--no-trunc", "-q", "-f", "reference=app", "-f", "reference=team/*").stdout.split())
        self.assertEqual(ids, {first, second})
        self.assertEqual(self.gantry_ok("image", "verify").stdout.count(": ok\n"), 3)

    def test_round_trip_docker_archive(self):
        self.round_trip("docker-archive", f"{self.root}/docker.tar")

    def test_round_trip_oci_archive(self):
        self.round_trip("oci-archive", f"{self.root}/oci.tar")

    def test_packed_archives(self):
        identity = self.make("packed:1")
        data = subprocess.run(
            [GANTRY, "save", "packed:1"], capture_output=True, env=self.environment(), check=True).stdout
        for name, module in ({"gz": gzip} | OTHER_PACKINGS).items():
            self.gantry_ok("rmi", "packed:1")
            path = f"{self.root}/packed.tar.{name}"
            with module.open(path, "wb") as file:
                file.write(data)
            self.assertEqual(self.gantry_ok("load", "-i", path).stdout, "Loaded image: packed:1\n")
            self.assertEqual(self.gantry_ok("images", "-q", "--no-trunc", "packed").stdout.strip(), identity)
            os.truncate(path, os.path.getsize(path) // 2)
            self.assertIn("bad image archive", self.refused("load", "-i", path))
        with lzma.open(path, "wb") as file:
            file.write(gzip.compress(data))
        self.assertIn("compressed more than once", self.refused("load", "-i", path))

    def test_round_trip_oci_folder(self):
        self.round_trip("oci-dir", f"{self.root}/layout")
        self.assertIn("is not empty", self.refused("save", "--format", "oci-dir", "-o", f"{self.root}/layout", "app:1"))

    def test_save_to_standard_output(self):
        identity = self.make("app:1")
        data = subprocess.run(
            [GANTRY, "save", identity], capture_output=True, env=self.environment(), check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            [manifest] = json.load(tar.extractfile("manifest.json"))
        self.assertEqual(manifest["Config"], identity[7:] + ".json")
        self.assertFalse(manifest["RepoTags"], "an id stands for no name")
        again = subprocess.run(
            [GANTRY, "save", identity], capture_output=True, env=self.environment(), check=True).stdout
        self.assertEqual(data, again, "the same image gives the same bytes")
        self.gantry_ok("rmi", "app:1")
        loaded = subprocess.run([GANTRY, "load"], input=data, capture_output=True, env=self.environment(), check=True)
        self.assertEqual(loaded.stdout.decode(), f"Loaded image ID: {identity}\n")

    def test_save_errors(self):
        self.make("app:1")
        target = f"{self.root}/none.tar"
        self.assertIn("no such image: app:7; similar: app:1", self.refused("save", "-o", target, "app:1", "app:7"))
        self.assertFalse(os.path.exists(target))
        self.assertIn("cannot be written", self.refused("save", "-o", f"{self.root}/no/such/folder.tar", "app:1"))
        self.assertIn("invalid", self.refused("save", "--format", "zip", "app:1", code=2))
        self.assertIn("use `--output FOLDER`", self.refused("save", "--format", "oci-dir", "app:1", code=2))
        # A terminal is no place for an archive.
        main, other = pty.openpty()
        result = subprocess.run([GANTRY, "save", "app:1"], stdout=other, stderr=subprocess.PIPE, env=self.environment())
        os.close(main)
        os.close(other)
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"cowardly refusing to save to a terminal", result.stderr)

    def test_load_errors(self):
        self.assertIn("is no OCI layout", self.refused("load", "-i", "/etc"))
        self.assertIn("No such file", self.refused("load", "-i", f"{self.root}/nothing.tar"))
        path = f"{self.root}/cut.tar"
        archive(path, ["cut:1"], [self.base])
        os.truncate(path, os.path.getsize(path) // 2)
        self.assertIn("bad image archive", self.refused("load", "-i", path))
        self.assertEqual(self.names("cut"), [])

    @unittest.skipUnless(SKOPEO, "skopeo is missing")
    def test_skopeo_reads_and_makes_archives(self):
        identity = self.make("app:1")
        for form, transport in (("docker-archive", "docker-archive"), ("oci-archive", "oci-archive"), ("oci-dir", "oci")):
            with self.subTest(form):
                target = f"{self.root}/skopeo-{form}"
                self.gantry_ok("save", "--format", form, "-o", target, "app:1")
                name = "app:1" if transport == "docker-archive" else "1"
                config = subprocess.run(
                    ["skopeo", "inspect", "--config", "--raw", f"{transport}:{target}:{name}"], capture_output=True)
                self.assertEqual(config.returncode, 0, config.stderr)
                self.assertEqual("sha256:" + hashlib.sha256(config.stdout).hexdigest(), identity)
                copy = f"{self.root}/copy-{form}.tar"
                done = subprocess.run(
                    ["skopeo", "--insecure-policy", "copy", f"{transport}:{target}:{name}",
                     f"docker-archive:{copy}:back:{form}"], capture_output=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.gantry_ok("load", "-i", copy)
                self.assertEqual(self.gantry_ok("image", "verify", f"back:{form}").stdout, f"back:{form}: ok\n")
                text = self.gantry_ok("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", f"back:{form}").stdout
                with open(text.strip() + "/etc/text") as file:
                    self.assertEqual(file.read(), "hello\n")

    @unittest.skipUnless(PODMAN, "podman is missing")
    def test_podman_loads_archives(self):
        identity = self.make("app:1")
        storage = f"{self.root}/podman"
        podman = ["podman", "--root", storage, "--runroot", f"{storage}-run", "--storage-driver", "vfs"]
        try:
            for form in ("docker-archive", "oci-archive", "oci-dir"):
                with self.subTest(form):
                    target = f"{self.root}/podman-{form}"
                    self.gantry_ok("save", "--format", form, "-o", target, "app:1")
                    # `podman load` takes a folder's path for a name, too, and refuses those that are none.
                    take = ["pull", f"oci:{target}"] if form == "oci-dir" else ["load", "-i", target]
                    done = subprocess.run([*podman, *take], capture_output=True, text=True)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    known = subprocess.run([*podman, "images", "-q", "--no-trunc"], capture_output=True, text=True)
                    self.assertIn(identity, known.stdout)
                    subprocess.run([*podman, "rmi", "-af"], capture_output=True, check=True)
        finally:
            subprocess.run([*podman, "system", "reset", "-f"], capture_output=True)
            shutil.rmtree(storage, ignore_errors=True)

    # Import

    def test_import(self):
        plain = f"{self.root}/root.tar"
        with open(plain, "wb") as file:
            file.write(self.base)
        with gzip.open(f"{plain}.gz", "wb") as file:
            file.write(self.base)
        packed = [plain, f"{plain}.gz"]
        for name, module in OTHER_PACKINGS.items():
            with module.open(f"{plain}.{name}", "wb") as file:
                file.write(self.base)
            packed.append(f"{plain}.{name}")
        if ZSTD:
            subprocess.run([ZSTD, "-q", "-f", plain], check=True)
            packed.append(f"{plain}.zst")
        for path in packed:
            with self.subTest(path):
                out = self.gantry_ok(
                    "import", "-c", 'CMD ["sleep", "1000"]', "-c", "ENV PATH=/bin GREETING=\"hello world\"",
                    "--change", "EXPOSE 80 53/udp", "-c", "LABEL tier=web", "-c", "WORKDIR /tmp", "-c", "USER 5:5",
                    "-m", "made here", path, "imported:1").stdout
                self.assertRegex(out, r"^sha256:[0-9a-f]{64}\n$")
                [image] = json.loads(self.gantry_ok("image", "inspect", "imported:1").stdout)
                self.assertEqual(image["Id"], out.strip())
                config = image["Config"]
                self.assertEqual(config["Cmd"], ["sleep", "1000"])
                self.assertEqual(config["Env"], ["PATH=/bin", "GREETING=hello world"])
                self.assertEqual(sorted(config["ExposedPorts"]), ["53/udp", "80/tcp"])
                self.assertEqual((config["Labels"], config["WorkingDir"], config["User"]), ({"tier": "web"}, "/tmp", "5:5"))
                self.assertEqual(image["RootFS"]["Layers"], ["sha256:" + hashlib.sha256(self.base).hexdigest()])
                self.assertIn("made here", self.gantry_ok("history", "imported:1").stdout)
                self.assertEqual(self.gantry_ok("image", "verify", "imported:1").stdout, "imported:1: ok\n")
        folder = self.stack("services: {web: {image: 'imported:1'}}", "imported")
        self.gantry_ok("up", "-d", folder=folder)
        said = self.gantry_ok("exec", "-T", "web", "sh", "-c", "echo $GREETING", folder=folder).stdout
        self.assertEqual(said, "hello world\n")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_import_from_standard_input(self):
        done = subprocess.run(
            [GANTRY, "import", "-"], input=self.base, capture_output=True, env=self.environment(), check=True)
        identity = done.stdout.decode().strip()
        self.assertEqual(self.gantry_ok("images", "-q", "--no-trunc", "-f", "dangling=true").stdout.strip(), identity)
        self.gantry_ok("rmi", identity)

    def test_import_errors(self):
        self.assertIn("nothing is fetched from URLs", self.refused("import", "https://example.com/root.tar", code=2))
        self.assertIn("is a folder", self.refused("import", "/etc", code=2))
        self.assertIn("No such file", self.refused("import", "/nowhere.tar"))
        path = f"{self.root}/bad.tar"
        with open(path, "wb") as file:
            file.write(b"no tar at all" * 100)
        self.assertIn("bad image archive", self.refused("import", path, "bad:1"))
        self.assertIn("an instruction is one of CMD", self.refused("import", "-c", "RUN x", path, "bad:1"))
        self.assertIn("a port is written", self.refused("import", "-c", "EXPOSE http", path, "bad:1"))
        self.assertIn("invalid image reference", self.refused("import", path, "BAD"))
        self.assertEqual(self.names("bad"), [])

    # Verify

    def test_verify_finds_damage(self):
        self.make("app:1")
        self.assertEqual(self.gantry_ok("image", "verify", "app:1").stdout, "app:1: ok\n")
        self.assertEqual(self.gantry_ok("image", "verify", "-q").stdout, "")
        folder = self.gantry_ok("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "app:1").stdout.strip()
        diff_id = os.path.basename(os.path.dirname(folder))[:12]
        before = os.stat(f"{folder}/etc/text")
        with open(f"{folder}/etc/text", "w") as file:
            file.write("HELLO\n")
        os.utime(f"{folder}/etc/text", ns=(before.st_atime_ns, before.st_mtime_ns))
        damaged = self.gantry("image", "verify", "app:1")
        self.assertEqual(damaged.returncode, 1)
        self.assertEqual(damaged.stdout, f'app:1: damaged\n  layer {diff_id}: "etc/text" has other content\n')
        self.assertIn("image app:1 is not as it came", damaged.stderr)
        with open(f"{folder}/etc/text", "w") as file:
            file.write("hello\n")
        os.utime(f"{folder}/etc/text", ns=(before.st_atime_ns, before.st_mtime_ns))
        os.chmod(f"{folder}/etc/text", 0o4755)
        self.assertRegex(self.gantry("image", "verify", "app:1").stdout, rf'layer {diff_id}: "etc/text" is mode 104755')
        os.chmod(f"{folder}/etc/text", 0o755)
        self.assertEqual(self.gantry_ok("image", "verify", "app:1").stdout, "app:1: ok\n")
        # The layer as it came.
        digest = hashlib.sha256(layer({"etc/text": b"hello\n"})).hexdigest()
        blob = f"{self.root}/data/images/blobs/sha256/{digest}"
        with open(blob, "r+b") as file:
            file.seek(700)
            file.write(b"X")
        damaged = self.gantry("image", "verify", "app:1", "busybox")
        self.assertEqual(damaged.returncode, 1)
        self.assertIn(f"blob {os.path.basename(blob)[:12]} was changed on disk; load the image again", damaged.stdout)
        self.assertIn("busybox: ok", damaged.stdout)
        self.assertIn("could not write the whole archive", self.refused("save", "-o", f"{self.root}/x.tar", "app:1"))
        self.assertFalse(os.path.exists(f"{self.root}/x.tar"))
        os.unlink(blob)
        self.assertIn("is gone; load the image again", self.gantry("image", "verify", "app:1").stdout)
        # Mended by what the message says.
        self.gantry_ok("rmi", "app:1")
        self.make("app:1")
        self.assertEqual(self.gantry_ok("image", "verify", "app:1").stdout, "app:1: ok\n")
        self.assertIn("no such image: none", self.refused("image", "verify", "none"))

    def test_damaged_image_can_be_removed(self):
        identity = self.make("hurt:1")
        self.make("whole:1", text=b"whole\n")
        folder = self.gantry_ok("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "hurt:1").stdout.strip()
        # The engine remembers what it has seen.
        self.engine.terminate()
        self.engine.wait()
        self.log.close()
        shutil.rmtree(os.path.dirname(folder))
        os.unlink(f"{self.root}/data/images/blobs/sha256/{identity[7:]}")
        self.start_engine()
        self.assertEqual(sorted(self.names("*:1")), ["hurt:1", "whole:1"])
        self.gantry_ok("system", "df", "-v")
        verified = self.gantry("image", "verify")
        self.assertEqual(verified.returncode, 1)
        self.assertIn("hurt:1: damaged", verified.stdout)
        self.assertIn("is gone; load the image again", verified.stdout)
        self.assertIn("whole:1: ok", verified.stdout)
        self.assertIn("image store damaged", self.refused("image", "inspect", "hurt:1"))
        self.assertIn("Deleted: " + identity, self.gantry_ok("rmi", "hurt:1").stdout)
        self.make("hurt:1")
        self.assertEqual(self.gantry_ok("image", "verify", "hurt:1").stdout, "hurt:1: ok\n")

    # System

    def test_disk_usage(self):
        self.make("one:1", text=b"1" * 100_000)
        self.make("two:1", text=b"2" * 100_000)
        folder = self.stack(
            """
            services:
              web:
                image: one:1
                command: [sh, -c, "dd if=/dev/zero of=/tmp/file bs=1000 count=500; sleep 1000"]
                init: true
                volumes: [data:/data]
            volumes: {data: {}}
            """, "usage")
        self.gantry_ok("up", "-d", folder=folder)
        rows = {}

        def written():
            rows.update((row["Type"], row) for row in map(
                json.loads, self.gantry_ok("system", "df", "--format", "json").stdout.splitlines()))
            return rows["Containers"]["Size"] == "500kB"

        wait_until(written, what="the container's file")
        self.assertEqual((rows["Images"]["TotalCount"], rows["Images"]["Active"]), ("3", "1"))
        self.assertEqual((rows["Containers"]["TotalCount"], rows["Containers"]["Reclaimable"]), ("1", "0B (0%)"))
        self.assertEqual((rows["Local Volumes"]["Active"], rows["Local Volumes"]["Size"]), ("1", "0B"))
        lines = self.gantry_ok("system", "df").stdout.splitlines()
        self.assertRegex(lines[0], r"^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$")
        verbose = self.gantry_ok("system", "df", "-v").stdout
        self.assertRegex(verbose, r"REPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS")
        self.assertRegex(verbose, r"one +1 .* 1\n")
        self.assertRegex(verbose, r"usage_data +1 +0B")
        total = self.api("/system/df")
        self.assertLess(total["LayersSize"], sum(image["Size"] for image in total["Images"]))
        self.gantry_ok("down", "-v", "-t", "0", folder=folder)

    def test_system_prune(self):
        self.make("app:1")
        self.make("app:1", text=b"newer\n")
        folder = self.stack(
            "services: {web: {image: 'app:1', command: [sleep, '1000'], init: true}, once: {image: 'app:1', command: [sh, -c, 'exit 0']}}",
            "pruned")
        self.gantry_ok("up", "-d", folder=folder)
        self.gantry("run", "-T", "web", "touch", "/left-over", folder=folder)
        self.gantry_ok("network", "create", "lonely")
        self.assertIn("nobody is there to be asked", self.refused("system", "prune", code=2))
        said = self.gantry_ok("system", "prune", "-f").stdout
        self.assertRegex(said, r"Deleted Containers:\n[0-9a-f]{64}\n\n")
        self.assertIn("Deleted Networks:\nlonely\n", said)
        self.assertIn("Deleted Images:\ndeleted: sha256:", said)
        self.assertRegex(said, r"Total reclaimed space: [0-9.]+k?B\n$")
        # The stack's own, ended or not, and its network stay.
        self.assertEqual({row["Service"] for row in self.ps(folder, "-a")}, {"web", "once"})
        self.assertEqual(self.gantry_ok("system", "prune", "-f").stdout, "Total reclaimed space: 0B\n")
        self.gantry_ok("down", "-t", "0", folder=folder)
        self.assertIn("untagged: app:1", self.gantry_ok("system", "prune", "-a", "--volumes", "-f").stdout)

    # The API, with Docker's own client

    @unittest.skipUnless(DOCKER, "docker's client is missing")
    def test_docker_client(self):
        identity = self.make("team/app:1")

        def docker(*arguments, input=None):
            done = subprocess.run(
                [DOCKER, "-H", f"unix://{self.socket}", *arguments], capture_output=True, input=input,
                env={"PATH": os.environ["PATH"], "HOME": self.root})
            self.assertEqual(done.returncode, 0, (arguments, done.stderr))
            return done.stdout

        self.assertIn(b"team/app", docker("images"))
        self.assertEqual(docker("images", "-q", "--no-trunc", "team/app").decode().strip(), identity)
        self.assertEqual(json.loads(docker("image", "inspect", "team/app:1"))[0]["Id"], identity)
        self.assertIn(b"the end", docker("history", "team/app:1"))
        docker("tag", "team/app:1", "registry.example:5000/x/y:2")
        data = docker("save", "team/app:1", "registry.example:5000/x/y:2")
        self.assertIn(b"Untagged: team/app:1", docker("rmi", "team/app:1"))
        docker("rmi", "registry.example:5000/x/y:2")
        self.assertIn(b"Loaded image: team/app:1", docker("load", input=data))
        out = docker("import", "--change", "CMD sh", "-", "docker/import:1", input=self.base).decode()
        self.assertRegex(out, r"sha256:[0-9a-f]{64}")
        table = docker("system", "df").decode()
        self.assertRegex(table, r"Images +3 +0 ")
        docker("system", "df", "-v")
        self.assertIn(b"reclaimed space: 0B", docker("system", "prune", "-f"))
        self.assertRegex(docker("image", "prune", "-a", "-f").decode(), r"(?s)untagged: docker/import:1.*reclaimed space")

    def test_api_errors(self):
        for method, path, status in (
                ("GET", "/images/none/json", "No such image: none"), ("GET", "/images/none/history", "No such image"),
                ("GET", "/images/none/get", "No such image"), ("GET", "/images/get", "no image is named"),
                ("GET", "/images/none", "method GET is not allowed"), ("POST", "/images/busybox/tag", "repo is missing"),
                ("POST", "/images/create", "fromImage and fromSrc are missing"),
                ("POST", "/images/create?fromSrc=http://x/", "nothing is fetched from URLs"),
                ("GET", "/images/get?names=busybox&format=zip", "there is no format 'zip'"),
                ("GET", "/images/json?filters=x", "must be a JSON object"), ("DELETE", "/images/none", "No such image")):
            with self.subTest(path):
                self.assertIn(status, self.api(path, method)["message"])


if __name__ == "__main__":
    unittest.main()
