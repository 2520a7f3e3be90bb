"""The image `base:1` that the cases start from: busybox, users, and a folder of everything that a layer can change."""

import hashlib
import io
import json
import struct
import subprocess
import tarfile

BUSYBOX = "/bin/busybox"
# Of the kernel's linux/capability.h: revision 2, effective, CAP_NET_BIND_SERVICE.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
TIME = 1_400_000_000
PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home:/bin/sh\nmail:x:8:12::/var:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:web\nweb:x:1001:\nmail:x:12:\n"
CONFIG = {"Env": ["PATH=/bin", "FROM_BASE=yes"], "Cmd": ["sh"], "Labels": {"base": "one"}, "WorkingDir": "/"}


class Layer:
    def __init__(self):
        self.stream = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.stream, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, content=b"", kind=tarfile.REGTYPE, mode=0o644, link="", owner=(0, 0), attributes=None):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname, entry.mtime = kind, mode, link, TIME
        entry.uid, entry.gid = owner
        entry.size = len(content) if kind == tarfile.REGTYPE else 0
        # Python writes text; every byte of an attribute survives as the character of the same number.
        for key, value in (attributes or {}).items():
            entry.pax_headers[f"SCHILY.xattr.{key}"] = value.decode("utf-8", "surrogateescape")
        self.tar.addfile(entry, io.BytesIO(content))

    def folder(self, name, mode=0o755, **more):
        self.add(name, kind=tarfile.DIRTYPE, mode=mode, **more)

    def link(self, name, target):
        self.add(name, kind=tarfile.SYMTYPE, mode=0o777, link=target)

    def bytes(self):
        self.tar.close()
        return self.stream.getvalue()


def base_layer():
    layer = Layer()
    for name in ("bin", "etc", "tmp", "var", "proc", "sys", "dev", "root", "home", "run"):
        layer.folder(name, mode=0o1777 if name == "tmp" else 0o755)
    with open(BUSYBOX, "rb") as file:
        layer.add("bin/busybox", file.read(), mode=0o755)
    for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            layer.link(f"bin/{name}", "busybox")
    layer.add("etc/passwd", PASSWD.encode())
    layer.add("etc/group", GROUP.encode())
    for name in ("hosts", "resolv.conf", "hostname"):
        layer.add(f"etc/{name}", f"# {name} of the image\n".encode())
    layer.folder("base")
    layer.add("base/file", b"of the base\n")
    layer.add("base/other", b"another\n", mode=0o600, owner=(1000, 1001))
    for name in ("folder", "folder/deep", "full"):
        layer.folder(f"base/{name}", owner=(0, 50))
    for name in ("folder/a", "folder/b", "folder/deep/c", "full/a", "full/b"):
        layer.add(f"base/{name}", name.encode())
    layer.folder("base/empty", mode=0o1770)
    layer.folder("base/set-group", mode=0o2775, owner=(0, 50))
    layer.add("base/hard", b"two names\n")
    layer.add("base/hard-too", kind=tarfile.LNKTYPE, link="base/hard")
    layer.add("base/set-user", b"#!", mode=0o4755)
    layer.add("base/capable", b"#!", mode=0o755, attributes={"security.capability": CAPABILITY})
    layer.link("base/link", "folder")
    layer.link("base/link-file", "file")
    layer.link("base/absolute", "/base/folder")
    layer.link("base/up", "../../../../base/folder")
    layer.link("base/dangling", "nowhere/at/all")
    layer.add("base/pipe", kind=tarfile.FIFOTYPE, mode=0o600)
    return layer.bytes()


def write_archive(path, tag="base:1", config=None):
    """As `docker save` writes it."""
    layer = base_layer()
    digest = hashlib.sha256(layer).hexdigest()
    body = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": config or CONFIG,
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) ADD file:base in / "}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    name = hashlib.sha256(body).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member, data in ((f"{digest}/layer.tar", layer), (name, body), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
