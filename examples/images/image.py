#!/usr/bin/env python3
"""Turns root file systems into image archives that `gantry load` and `docker load` take.

An archive is an OCI image layout (image-spec 1.1, image-layout.md) that also has the `manifest.json` of a Docker
archive, as `docker save` has written since Docker 25. Layers are not compressed: the archive is read once, locally.
The same input gives the same bytes.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1704067200"))
CREATED = "2024-01-01T00:00:00Z"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
CHUNK = 1 << 20
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def entry(name, mode=0o644, kind=tarfile.REGTYPE, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.size, info.linkname, info.mtime = mode, kind, size, link, EPOCH
    info.uname = info.gname = "root"
    return info


def add_bytes(archive, name, data, mode=0o644):
    archive.addfile(entry(name, mode, size=len(data)), io.BytesIO(data))


def digest_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class Layer:
    """A layer's tar file in the scratch folder; `digest` is both its blob digest and its diff id."""

    def __init__(self, path, created_by):
        self.path, self.created_by = path, created_by
        self.size, self.digest = os.path.getsize(path), digest_file(path)


def normal_name(name):
    return name.removeprefix("./").strip("/")


def identity(archive, info):
    """What makes two tar entries the same file; content is compared by its hash."""
    content = ""
    if info.isreg():
        content = hashlib.sha256(archive.extractfile(info).read()).hexdigest()
    return (info.type, info.mode, info.uid, info.gid, info.linkname, info.size, content,
            info.devmajor, info.devminor, info.mtime if info.isreg() else 0)


def usable(name):
    """Device nodes and mount points belong to the runtime, not to the image."""
    return name and not name.startswith(("dev/", "proc/", "sys/", "run/"))


def copy_entries(source, target, wanted):
    for info in source:
        info.name = normal_name(info.name)
        if usable(info.name) and wanted(info):
            # Hard links inside a tar name their first entry the way this archive does.
            if info.islnk():
                info.linkname = normal_name(info.linkname)
            target.addfile(info, source.extractfile(info) if info.isreg() else None)


def write_base(base, output):
    with tarfile.open(base) as source, tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as target:
        copy_entries(source, target, lambda info: True)


def write_difference(base, root, overlay, output):
    """The entries of `root` that `base` does not have, whiteouts for those that it has alone, then `overlay`."""
    with tarfile.open(base) as source:
        known = {normal_name(info.name): identity(source, info) for info in source}
    with tarfile.open(root) as source:
        changed, present = set(), set()
        for info in source:
            name = normal_name(info.name)
            present.add(name)
            if known.get(name) != identity(source, info):
                changed.add(name)
        # A hard link needs its target in the same layer.
        changed |= {normal_name(i.linkname) for i in source.getmembers() if i.islnk() and normal_name(i.name) in changed}
    with tarfile.open(root) as source, tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as target:
        copy_entries(source, target, lambda info: info.name in changed)
        for name in sorted(name for name in known if usable(name) and name not in present):
            if os.path.dirname(name) in present or not os.path.dirname(name):
                add_bytes(target, os.path.join(os.path.dirname(name), ".wh." + os.path.basename(name)), b"")
        add_overlay(target, overlay)


def add_overlay(target, overlay):
    """Files kept beside the image's description, owned by root; executable where they are executable there."""
    for folder, folders, files in os.walk(overlay):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(folder, file)
            with open(path, "rb") as content:
                data = content.read()
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            add_bytes(target, os.path.relpath(path, overlay), data, mode)


def write_archive(output, name, config, layers):
    image = {
        "created": CREATED, "architecture": ARCHITECTURE, "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer.digest for layer in layers]},
        "history": [{"created": CREATED, "created_by": layer.created_by} for layer in layers],
    }
    config_data = json.dumps(image, indent=1, sort_keys=True).encode()
    config_digest = hashlib.sha256(config_data).hexdigest()
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": "sha256:" + config_digest, "size": len(config_data)},
        "layers": [{"mediaType": LAYER_TYPE, "digest": "sha256:" + layer.digest, "size": layer.size}
                   for layer in layers],
    }
    manifest_data = json.dumps(manifest, sort_keys=True).encode()
    manifest_digest = hashlib.sha256(manifest_data).hexdigest()
    index = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": MANIFEST_TYPE, "digest": "sha256:" + manifest_digest, "size": len(manifest_data),
            "annotations": {"io.containerd.image.name": "docker.io/" + full_name(name),
                            "org.opencontainers.image.ref.name": name.rpartition(":")[2]},
        }],
    }
    docker = [{"Config": "blobs/sha256/" + config_digest, "RepoTags": [name],
               "Layers": ["blobs/sha256/" + layer.digest for layer in layers]}]
    with tarfile.open(output + ".part", "w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("blobs", "blobs/sha256"):
            archive.addfile(entry(folder, 0o755, tarfile.DIRTYPE))
        for layer in {layer.digest: layer for layer in layers}.values():
            with open(layer.path, "rb") as data:
                archive.addfile(entry("blobs/sha256/" + layer.digest, size=layer.size), data)
        add_bytes(archive, "blobs/sha256/" + config_digest, config_data)
        add_bytes(archive, "blobs/sha256/" + manifest_digest, manifest_data)
        add_bytes(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add_bytes(archive, "index.json", json.dumps(index, sort_keys=True).encode())
        add_bytes(archive, "manifest.json", json.dumps(docker, sort_keys=True).encode())
    os.rename(output + ".part", output)


def full_name(name):
    return name if "/" in name else "library/" + name


def make_debian(options):
    with open(options.spec) as file:
        spec = json.load(file)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.output))) as scratch:
        base, top = os.path.join(scratch, "base.tar"), os.path.join(scratch, "top.tar")
        write_base(options.base, base)
        write_difference(options.base, options.root, options.overlay, top)
        layers = [Layer(base, "Debian, essential packages"), Layer(top, ", ".join(spec["packages"]))]
        write_archive(options.output, spec["name"], spec["config"], layers)


def make_root(options):
    """One layer: a root file system as it is, with the config of Docker's debian images."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.output))) as scratch:
        path = os.path.join(scratch, "root.tar")
        write_base(options.root, path)
        config = {"Env": [DEFAULT_PATH], "Cmd": ["bash"]}
        write_archive(options.output, options.name, config, [Layer(path, "mmdebstrap")])


BUSYBOX_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def make_busybox(options):
    """One layer: the static busybox, a link for each of its applets, and the few files programs expect."""
    program = options.busybox or shutil.which("busybox")
    if program is None:
        sys.exit("image.py: no busybox here (Debian package busybox-static)")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.output))) as scratch:
        path = os.path.join(scratch, "busybox.tar")
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("home", 0o755), ("tmp", 0o1777),
                                 ("var", 0o755), ("dev", 0o755), ("proc", 0o755), ("sys", 0o755)):
                archive.addfile(entry(folder, mode, tarfile.DIRTYPE))
            with open(program, "rb") as data:
                add_bytes(archive, "bin/busybox", data.read(), 0o755)
            for applet in sorted(set(applets) - {"busybox"}):
                archive.addfile(entry("bin/" + applet, 0o755, tarfile.LNKTYPE, link="bin/busybox"))
            for name, text in BUSYBOX_FILES.items():
                add_bytes(archive, name, text.encode())
        config = {"Env": [DEFAULT_PATH], "Cmd": ["sh"]}
        write_archive(options.output, options.name, config, [Layer(path, "busybox-static")])


def print_packages(options):
    with open(options.spec) as file:
        print(",".join(json.load(file)["packages"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    debian = commands.add_parser("debian", help="an image of a Debian base layer and what one root has beyond it")
    for option in ("--spec", "--base", "--root", "--overlay", "--output"):
        debian.add_argument(option, required=True)
    debian.set_defaults(run=make_debian)
    root = commands.add_parser("root", help="an image of one root file system")
    for option in ("--name", "--root", "--output"):
        root.add_argument(option, required=True)
    root.set_defaults(run=make_root)
    busybox = commands.add_parser("busybox", help="an image of this host's static busybox")
    busybox.add_argument("--output", required=True)
    busybox.add_argument("--busybox", help="the program (default: the one in PATH)")
    busybox.add_argument("--name", default="busybox:latest")
    busybox.set_defaults(run=make_busybox)
    packages = commands.add_parser("packages", help="print the packages that an image.json names")
    packages.add_argument("spec")
    packages.set_defaults(run=print_packages)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
