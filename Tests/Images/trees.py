"""Trees as they are compared: every path with all that an image says of it."""

import hashlib
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path


class Failed(Exception):
    """A program that a comparison needs failed."""


def run(*command, **options):
    """What a program writes; its errors are told when it fails."""
    result = subprocess.run([str(word) for word in command], capture_output=True, **options)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {result.stderr.decode(errors='replace').strip()[-1500:]}")
    return result.stdout.decode(errors="replace")


def skopeo(source, target, folder, *more):
    run("skopeo", "--insecure-policy", "--tmpdir", folder, "copy", "-q", *more, source, target)


def walk(root):
    """Path, relative and with any bytes, to everything that is compared."""
    root = os.fsencode(root)
    found, inodes = {}, {}
    for folder, folders, files in os.walk(root):
        for name in [b""] * (folder == root) + folders + files:
            path = os.path.join(folder, name) if name else root
            relative = os.fsdecode(os.path.relpath(path, root))
            status = os.lstat(path)
            found[relative] = facts_of(path, status)
            if not stat.S_ISDIR(status.st_mode):
                inodes.setdefault(status.st_ino, []).append(relative)
    for names in inodes.values():
        for name in names:
            found[name]["links"] = sorted(names)
    return found


def facts_of(path, status):
    facts = {"mode": oct(status.st_mode), "owner": (status.st_uid, status.st_gid), "time": status.st_mtime_ns}
    facts["attributes"] = {
        key: os.getxattr(path, key, follow_symlinks=False).hex()
        for key in sorted(os.listxattr(path, follow_symlinks=False)) if not key.startswith("trusted.overlay.")}
    if stat.S_ISREG(status.st_mode):
        facts["size"] = status.st_size
        with open(path, "rb") as file:
            facts["content"] = hashlib.file_digest(file, "sha256").hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        facts["target"] = os.fsdecode(os.readlink(path))
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        facts["device"] = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return facts


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


def is_intended(path, key, ours, theirs, began):
    """Differences that docs/images-compatibility.md explains."""
    # When a folder that only a longer name implies was made is said by nobody: with the peers it is the time of
    # unpacking, with Gantry always 1970. The root has that time with them even where a layer says another.
    if key == "time":
        return (ours == 0 or path == ".") and theirs >= began
    # Where no layer says the root's mode, Docker and Gantry take 0755, Podman 0555.
    return path == "." and key == "mode" and (ours, theirs) == ("0o40755", "0o40555")


def differences(ours, theirs, began):
    """(lines that tell them, how many are intended)"""
    lines, intended = [], 0
    for path in sorted(ours.keys() | theirs.keys()):
        if path not in ours or path not in theirs:
            lines.append(f"{path!r}: only {'theirs' if path not in ours else 'ours'}")
            continue
        for key in sorted(ours[path].keys() | theirs[path].keys()):
            left, right = ours[path].get(key), theirs[path].get(key)
            if left == right:
                continue
            if is_intended(path, key, left, right, began):
                intended += 1
            else:
                lines.append(f"{path!r}: {key}: ours {left}, theirs {right}")
    return lines, intended


def is_docker_archive(archive):
    with tarfile.open(archive) as tar:
        return any(name.removeprefix("./") == "manifest.json" for name in tar.getnames())


def by_tar(archive, folder):
    """The only layer of a docker-archive as GNU tar unpacks it."""
    with tarfile.open(archive) as tar:
        [image] = json.load(tar.extractfile("manifest.json"))
        [layer] = image["Layers"]
        content = tar.extractfile(layer).read()
    target = folder / "by-tar"
    run("rm", "-rf", target)
    target.mkdir()
    run("tar", "-C", target, "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*",
        "--recursive-unlink", input=content)
    return walk(str(target))


def layers_of_gantry(store, image):
    """Folders of an image's layers, top first."""
    lower = [Path(store) / "layers" / layer["diffID"].removeprefix("sha256:") / "fs"
             for layer in reversed(image["layers"])]
    return list(dict.fromkeys(lower))
