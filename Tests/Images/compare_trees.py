#!/usr/bin/env python3
"""Unpacks images made by different tools with Gantry, Podman and Docker, and compares the trees path by path: type, mode,
owner, modification time, extended attributes, content, link targets, device numbers, and which names are one file.

    compare_trees.py [--gantry PROGRAM] [--only WORD]

Images: hand-made in three dialects of tar (whiteouts, opaque folders before and after their siblings, hard links, sparse
files, long names, devices, set-id bits, capabilities, type changes, fractions of seconds), each as Docker's archive and
as OCI with gzip and zstd by skopeo, changed by umoci, made by buildah, and by `docker build`. Runs in a private copy of
the host (Tests/EndToEnd/private_host.sh) on a tmpfs of its own; leaves nothing. Needs root and the tools named.
"""

import argparse
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "Benchmarks"))
import bench  # noqa: E402

NOBODY = 65534


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise bench.Failed(f"{' '.join(map(str, command))}: {result.stderr.strip()[-1500:]}")
    return result.stdout


# Images made by hand

class Layer:
    def __init__(self, dialect):
        self.bytes, self.dialect = io.BytesIO(), dialect
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=dialect)

    def add(self, name, kind=tarfile.REGTYPE, content=b"", mode=0o644, owner=(0, 0), time=1_600_000_000, target="",
            device=(0, 0), attributes=()):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime, entry.linkname = kind, mode, time, target
        entry.uid, entry.gid = owner
        entry.devmajor, entry.devminor = device
        entry.size = len(content)
        if self.dialect == tarfile.PAX_FORMAT:
            entry.pax_headers = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
                                 for key, value in attributes}
        self.tar.addfile(entry, io.BytesIO(content))

    def folder(self, name, mode=0o755, **more):
        self.add(name, tarfile.DIRTYPE, mode=mode, **more)

    def finished(self):
        self.tar.close()
        return self.bytes.getvalue()


def sparse_by_gnu_tar(folder):
    path = folder / "holes"
    with open(path, "wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(5 << 20)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    archives = []
    for form in ("gnu", "pax"):
        archive = folder / f"sparse-{form}.tar"
        run("tar", "-C", folder, f"--format={form}", "--sparse", "--owner=0", "--group=0", "-cf", archive, "holes")
        archives.append(archive.read_bytes())
    return archives


def layers_by_hand(dialect, folder):
    one = Layer(dialect)
    one.folder("./", mode=0o755)
    for name in ("etc", "usr", "usr/bin", "gone", "opaque", "opaque-late", "swap", "deep", "dev"):
        one.folder(name, time=1_500_000_000)
    for name in ("etc/kept", "etc/removed", "gone/a", "opaque/a", "opaque/b", "opaque-late/a", "swap/file"):
        one.add(name, content=name.encode())
    one.folder("tmp", mode=0o1777)
    one.folder("shared", mode=0o2775, owner=(0, 50))
    one.add("shared/in-group", content=b"g", owner=(0, 0))
    one.add("usr/bin/su", content=b"#!", mode=0o4755, owner=(1000, 1000))
    one.add("usr/bin/wall", content=b"#!", mode=0o2755, owner=(0, 5))
    one.add("usr/bin/first", content=b"linked", mode=0o755, owner=(7, 8))
    one.add("usr/bin/second", tarfile.LNKTYPE, target="usr/bin/first")
    one.add("usr/bin/third", tarfile.LNKTYPE, target="usr/bin/first")
    one.add("usr/link", tarfile.SYMTYPE, target="bin/first", mode=0o777, owner=(3, 4))
    one.add("absolute", tarfile.SYMTYPE, target="/etc/kept", mode=0o777)
    one.add("dangling", tarfile.SYMTYPE, target="../../nowhere", mode=0o777)
    one.add("dev/null-like", tarfile.CHRTYPE, device=(1, 3), mode=0o666)
    one.add("dev/disk", tarfile.BLKTYPE, device=(8, 1), mode=0o660, owner=(0, 6))
    one.add("dev/pipe", tarfile.FIFOTYPE, mode=0o600)
    one.add("secret", content=b"s", mode=0o000, owner=(NOBODY, NOBODY))
    one.add("twice", content=b"first")
    one.add("twice", content=b"second one")
    if dialect != tarfile.USTAR_FORMAT:
        long = "deep/" + "/".join("n" * 60 for _ in range(4))
        for end in range(1, 5):
            one.folder("deep/" + "/".join("n" * 60 for _ in range(end)))
        one.add(long + "/" + "f" * 120, content=b"long")
        one.add("long-link", tarfile.SYMTYPE, target=long + "/" + "f" * 120, mode=0o777)
        one.add("big-owner", content=b"b", owner=(3_000_000, 3_000_001))
    if dialect == tarfile.PAX_FORMAT:
        one.add("fraction", content=b"t", time=1_600_000_000.25)
        one.add("umlaut-ä-€", content=b"u")
        capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        one.add("usr/bin/ping", content=b"#!", mode=0o755, attributes=[("security.capability", capability)])
        one.add("noted", content=b"n", attributes=[("user.note", b"hello")])

    two = Layer(dialect)
    two.add("etc/.wh.removed")
    two.add(".wh.gone")
    two.folder("opaque", mode=0o750)
    two.add("opaque/.wh..wh..opq")
    two.add("opaque/new", content=b"new")
    two.folder("opaque-late", time=1_400_000_000)
    two.add("opaque-late/new", content=b"new")
    two.add("opaque-late/.wh..wh..opq")
    two.add("swap", content=b"a file now")
    two.add("usr/link", content=b"no link now")
    two.folder("usr", mode=0o711, time=1_300_000_000)
    three = Layer(dialect)
    three.folder("swap", time=1_200_000_000)
    three.add("swap/again", content=b"folder again")
    three.folder("gone", mode=0o700)
    three.add("gone/b", content=b"b")
    three.add("etc/removed", content=b"back")
    empty = Layer(dialect)
    return [one.finished(), *sparse_by_gnu_tar(folder), two.finished(), empty.finished(), three.finished()]


def docker_archive(layers, name, path):
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "hand"} for _ in layers]}).encode()
    with tarfile.open(path, "w") as tar:
        def add(name, content):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        config_name = hashlib.sha256(config).hexdigest() + ".json"
        add(config_name, config)
        for digest, layer in zip(digests, layers):
            add(f"{digest}.tar", layer)
        add("manifest.json", json.dumps([{
            "Config": config_name, "RepoTags": [name],
            "Layers": [f"{digest}.tar" for digest in digests]}]).encode())


# Images made by tools

def skopeo(source, target, folder, *more):
    run("skopeo", "--insecure-policy", "--tmpdir", folder, "copy", "-q", *more, source, target)


def make_by_hand(folder, made):
    dialects = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    for word, dialect in dialects.items():
        docker = folder / f"{word}.tar"
        docker_archive(layers_by_hand(dialect, folder), f"hand-{word}:1", docker)
        made[f"hand {word}"] = docker
        for packing in ("gzip", "zstd"):
            archive = folder / f"{word}-{packing}.tar"
            skopeo(f"docker-archive:{docker}", f"oci-archive:{archive}:hand-{word}-{packing}:1", folder,
                   "--dest-compress-format", packing)
            made[f"skopeo {word} {packing}"] = archive


def make_by_umoci(folder, made):
    for word in ("ustar", "gnu", "pax"):
        layout, bundle = folder / f"umoci-{word}", folder / f"bundle-{word}"
        skopeo(f"docker-archive:{folder / (word + '.tar')}", f"oci:{layout}:1", folder)
        run("umoci", "unpack", "--image", f"{layout}:1", bundle)
        tree = bundle / "rootfs"
        (tree / "etc/kept").unlink()
        (tree / "by-umoci").write_text("new")
        os.chown(tree / "by-umoci", 12, 34)
        os.link(tree / "by-umoci", tree / "by-umoci-too")
        run("umoci", "repack", "--image", f"{layout}:2", bundle)
        archive = folder / f"umoci-{word}.tar"
        skopeo(f"oci:{layout}:2", f"oci-archive:{archive}:umoci-{word}:1", folder)
        made[f"umoci {word}"] = archive


def source_tree(folder):
    tree = folder / "source"
    if tree.exists():
        return tree
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/tool").write_text("#!/bin/sh\n")
    os.chmod(tree / "sub/tool", 0o6755)
    (tree / "sub/data").write_bytes(os.urandom(70_000))
    os.symlink("data", tree / "sub/link")
    os.link(tree / "sub/data", tree / "hard")
    (tree / "empty").mkdir(mode=0o1770)
    return tree


def make_by_buildah(folder, made):
    tree = source_tree(folder)
    base = ["buildah", "--root", folder / "bh", "--runroot", folder / "bhr", "--storage-driver", "vfs"]
    for form in ("docker", "oci"):
        for squash in (False, True):
            word = f"buildah-{form}{'-squash' if squash else ''}"
            first = run(*base, "from", "scratch").strip()
            run(*base, "copy", first, tree, "/app")
            run(*base, "commit", "-q", "--format", form, first, f"localhost/{word}:base")
            second = run(*base, "from", "--pull-never", f"localhost/{word}:base").strip()
            mount = Path(run(*base, "mount", second).strip())
            (mount / "app/hard").unlink()
            (mount / "app/new").write_text("new")
            os.chown(mount / "app/new", 5, 6)
            run(*base, "umount", second)
            run(*base, "commit", "-q", "--format", form, *(["--squash"] if squash else []), second,
                f"localhost/{word}:1")
            archive = folder / f"{word}.tar"
            kind = "docker-archive" if form == "docker" else "oci-archive"
            run(*base, "push", "-q", f"localhost/{word}:1", f"{kind}:{archive}:localhost/{word}:1")
            made[word.replace("-", " ")] = archive


DOCKERFILES = {
    "add": "FROM scratch\nADD source.tar /from-tar/\nCOPY source /copied/\nCOPY --chown=7:8 source/sub /owned/\n",
    "run": "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n"
           "COPY source /app\nRUN [\"/bin/rm\", \"/app/hard\"]\nRUN [\"/bin/rm\", \"-r\", \"/app/sub\"]\n"
           "RUN [\"/bin/mkdir\", \"/app/sub\"]\n",
    "change": "FROM scratch\nCOPY busybox /bin/busybox\nCOPY source /app\n"
              "RUN [\"/bin/busybox\", \"chmod\", \"4711\", \"/app/sub/tool\"]\n"
              "RUN [\"/bin/busybox\", \"chown\", \"9:9\", \"/app\"]\n",
    "type": "FROM scratch\nCOPY busybox /bin/busybox\nCOPY source /app\n"
            "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"cd /app; b=/bin/busybox; $b rm -r empty; $b touch empty;"
            " $b rm hard; $b mkdir hard; $b ln -s /app one; $b mkfifo two\"]\n",
}


def make_by_docker(folder, made, docker):
    context = folder / "context"
    context.mkdir()
    run("cp", "-a", source_tree(folder), context / "source")
    run("cp", "/usr/bin/busybox", context / "busybox")
    run("tar", "-C", context / "source", "-cf", context / "source.tar", ".")
    for word, text in DOCKERFILES.items():
        (context / "Dockerfile").write_text(text)
        run(*docker, "build", "-q", "--network", "none", "-t", f"docker-{word}:1", context)
        archive = folder / f"docker-{word}.tar"
        run(*docker, "save", "-o", archive, f"docker-{word}:1")
        run(*docker, "rmi", "-f", f"docker-{word}:1")
        made[f"docker build {word}"] = archive


# Trees

def walk(root):
    """Path to everything that is compared."""
    found, inodes = {}, {}
    for folder, folders, files in os.walk(root):
        for name in [""] * (folder == root) + folders + files:
            path = os.path.join(folder, name) if name else root
            status = os.lstat(path)
            relative = os.path.relpath(path, root)
            facts = {"mode": oct(status.st_mode), "owner": (status.st_uid, status.st_gid), "time": status.st_mtime_ns}
            facts["attributes"] = {
                key: os.getxattr(path, key, follow_symlinks=False).hex()
                for key in sorted(os.listxattr(path, follow_symlinks=False)) if not key.startswith("trusted.overlay.")}
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    facts["content"] = hashlib.file_digest(file, "sha256").hexdigest()
                inodes.setdefault(status.st_ino, []).append(relative)
            elif stat.S_ISLNK(status.st_mode):
                facts["target"] = os.readlink(path)
            elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                facts["device"] = status.st_rdev
            found[relative] = facts
    for names in inodes.values():
        for name in names:
            found[name]["links"] = sorted(names)
    return found


def merged(lower, folder):
    """The tree that a container would see; `lower` top first."""
    point = folder / "merged"
    point.mkdir(exist_ok=True)
    if len(lower) == 1:
        run("mount", "--bind", lower[0], point)
    else:
        run("mount", "-t", "overlay", "overlay", "-o", "ro,lowerdir=" + ":".join(map(str, lower)), point)
    try:
        return walk(str(point))
    finally:
        run("umount", point)


def by_gantry(side, archive, folder):
    side.load(str(archive))
    store = folder / "gantry/data/images"
    image = json.loads((store / "index.json").read_text())["images"]
    [image] = [each for each in image if each["names"]]
    lower = [store / "layers" / layer["diffID"].removeprefix("sha256:") / "fs" for layer in reversed(image["layers"])]
    return merged(list(dict.fromkeys(lower)), folder)


def by_podman(archive, folder):
    base = ["podman", "--root", folder / "pd", "--runroot", folder / "pdr", "--tmpdir", folder / "pdt",
            "--storage-driver", "overlay"]
    text = run(*base, "load", "-q", "-i", archive)
    name = text.strip().splitlines()[-1].split(": ", 1)[1]
    point = run(*base, "image", "mount", name).strip()
    tree = walk(point)
    run(*base, "image", "umount", name)
    run(*base, "rmi", "-f", name)
    return tree


def by_docker(docker, archive, folder):
    if "manifest.json" not in tarfile.open(archive).getnames():
        converted = folder / "converted.tar"
        converted.unlink(missing_ok=True)
        skopeo(f"oci-archive:{archive}", f"docker-archive:{converted}:converted:1", folder)
        archive = converted
    text = run(*docker, "load", "-q", "-i", archive)
    name = text.strip().splitlines()[-1].split(": ", 1)[1]
    data = json.loads(run(*docker, "image", "inspect", name))[0]["GraphDriver"]["Data"]
    lower = [data["UpperDir"], *data.get("LowerDir", "").split(":")]
    tree = merged([each for each in lower if each], folder)
    run(*docker, "rmi", "-f", name)
    return tree


def differences(ours, theirs):
    lines = []
    for path in sorted(ours.keys() | theirs.keys()):
        if path not in ours or path not in theirs:
            lines.append(f"{path}: only {'theirs' if path not in ours else 'ours'}")
            continue
        for key in sorted(ours[path].keys() | theirs[path].keys()):
            left, right = ours[path].get(key), theirs[path].get(key)
            # Nobody's layer says it: the root's time is that of the unpacking.
            if left != right and not (path == "." and key == "time"):
                lines.append(f"{path}: {key}: ours {left}, theirs {right}")
    return lines


def inside(options):
    folder = Path(options.inside)
    run("mount", "-t", "tmpfs", "-o", "size=6g", "images", folder)
    docker = ["docker", "-H", f"unix://{folder}/docker/engine.sock"]
    (folder / "docker").mkdir()
    engine = bench.Docker(folder / "docker")
    engine.engine_command = lambda: [
        *bench.Docker.engine_command(engine), "-s", "overlay2", "--bridge=none", "--iptables=false"]
    made, wrong = {}, 0
    try:
        engine.start()
        for make in (make_by_hand, make_by_umoci, make_by_buildah, lambda f, m: make_by_docker(f, m, docker)):
            try:
                make(folder, made)
            except bench.Failed as error:
                wrong += 1
                print(f"not made: {error}")
        (folder / "gantry").mkdir()
        for name, archive in made.items():
            if options.only and options.only not in name:
                continue
            run("rm", "-rf", folder / "gantry")
            (folder / "gantry").mkdir()
            side = bench.Gantry(folder / "gantry", options.gantry)
            try:
                side.start()
                ours = by_gantry(side, archive, folder)
            finally:
                side.stop()
            for peer, theirs in (("podman", by_podman(archive, folder)), ("docker", by_docker(docker, archive, folder))):
                lines = differences(ours, theirs)
                wrong += bool(lines)
                print(f"{name:24} {peer:7} {len(theirs):5} paths, " + (f"{len(lines)} differ" if lines else "the same"))
                for line in lines[:12]:
                    print(f"    {line}")
                sys.stdout.flush()
    finally:
        engine.stop()
    print(f"{len(made)} images, {wrong} comparisons differ or failed")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY))
    parser.add_argument("--only", default="")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options)
    with tempfile.TemporaryDirectory(prefix="gantry-trees-") as folder:
        return subprocess.run([
            str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--gantry", options.gantry,
            "--only", options.only]).returncode


if __name__ == "__main__":
    sys.exit(main())
