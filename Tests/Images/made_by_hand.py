"""Images written byte by byte: three dialects of tar, with everything that a layer may say."""

import gzip
import hashlib
import io
import json
import os
import struct
import tarfile

from trees import run, skopeo

NOBODY = 65534
OLD, OLDER, OLDEST = 1_600_000_000, 1_400_000_000, 1_200_000_000
# struct vfs_cap_data of version 2 and vfs_ns_cap_data of version 3 (linux/capability.h): CAP_NET_RAW, effective.
CAPABILITY_2 = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
CAPABILITY_3 = struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, 100_000)
# Version 2 of the attribute, then (tag, permissions, id): user::rw- user:1000:r-- group::r-- mask::r-- other::---
ACCESS_LIST = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in (
    (0x01, 6, 0xFFFFFFFF), (0x02, 4, 1000), (0x04, 4, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)))
DEFAULT_LIST = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in (
    (0x01, 7, 0xFFFFFFFF), (0x04, 5, 0xFFFFFFFF), (0x08, 6, 50), (0x10, 7, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)))


class Layer:
    def __init__(self, dialect):
        self.bytes, self.dialect = io.BytesIO(), dialect
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=dialect, errors="surrogateescape")

    def add(self, name, kind=tarfile.REGTYPE, content=b"", mode=0o644, owner=(0, 0), time=OLD, target="",
            device=(0, 0), attributes=(), records=()):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime, entry.linkname = kind, mode, time, target
        entry.uid, entry.gid = owner
        entry.devmajor, entry.devminor = device
        entry.size = len(content)
        if self.dialect == tarfile.PAX_FORMAT:
            entry.pax_headers = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
                                 for key, value in attributes} | dict(records)
        self.tar.addfile(entry, io.BytesIO(content))

    def folder(self, name, mode=0o755, **more):
        self.add(name, tarfile.DIRTYPE, mode=mode, **more)

    def link(self, name, target, **more):
        self.add(name, tarfile.SYMTYPE, mode=0o777, target=target, **more)

    def hard(self, name, target):
        self.add(name, tarfile.LNKTYPE, target=target)

    def finished(self):
        self.tar.close()
        return self.bytes.getvalue()


def sparse_by_gnu_tar(folder, form):
    path = folder / "holes"
    with open(path, "wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(5 << 20)
    os.utime(path, (OLD, OLD))
    archive = folder / f"sparse-{form}.tar"
    run("tar", "-C", folder, f"--format={form}", "--sparse", "--owner=0", "--group=0", "-cf", archive, "holes")
    return archive.read_bytes()


def first_layer(dialect):
    one = Layer(dialect)
    one.folder("./")
    for name in ("etc", "usr", "usr/bin", "gone", "opaque", "opaque-late", "swap", "deep", "dev"):
        one.folder(name, time=1_500_000_000)
    for name in ("etc/kept", "etc/removed", "gone/a", "opaque/a", "opaque/b", "opaque-late/a", "swap/file"):
        one.add(name, content=name.encode())
    one.folder("tmp", mode=0o1777)
    one.folder("shared", mode=0o2775, owner=(0, 50))
    one.add("shared/in-group", content=b"g")
    one.add("usr/bin/su", content=b"#!", mode=0o4755, owner=(1000, 1000))
    one.add("usr/bin/wall", content=b"#!", mode=0o2755, owner=(0, 5))
    one.add("usr/bin/first", content=b"linked", mode=0o755, owner=(7, 8))
    one.hard("usr/bin/second", "usr/bin/first")
    one.hard("usr/bin/third", "./usr/bin/second")
    one.link("usr/link", "bin/first", owner=(3, 4))
    one.hard("usr/same-link", "usr/link")
    one.link("absolute", "/etc/kept")
    one.link("dangling", "../../nowhere")
    one.add("dev/null-like", tarfile.CHRTYPE, device=(1, 3), mode=0o666)
    one.add("dev/disk", tarfile.BLKTYPE, device=(8, 1), mode=0o660, owner=(0, 6))
    one.add("dev/pipe", tarfile.FIFOTYPE, mode=0o600)
    one.add("secret", content=b"s", mode=0o000, owner=(NOBODY, NOBODY))
    one.add("implied/file", content=b"of a folder without an entry")
    one.folder("private", mode=0o700, owner=(7, 8))
    if dialect != tarfile.USTAR_FORMAT:
        add_long_names(one)
    if dialect == tarfile.PAX_FORMAT:
        add_what_only_pax_knows(one)
    return one.finished()


def add_long_names(layer):
    for end in range(1, 5):
        layer.folder("deep/" + "/".join("n" * 60 for _ in range(end)))
    long = "deep/" + "/".join("n" * 60 for _ in range(4)) + "/" + "f" * 120
    layer.add(long, content=b"long")
    layer.link("long-link", long)
    layer.hard("long-hard", long)
    layer.add("big-owner", content=b"b", owner=(3_000_000, 3_000_001))


def add_what_only_pax_knows(layer):
    layer.add("fraction", content=b"t", time=OLD + 0.25)
    layer.add("nanoseconds", content=b"t", records=[("mtime", "1600000000.123456789")])
    layer.folder("early", records=[("mtime", "-1.5")])
    layer.add("umlaut-\u00e4-\u20ac", content=b"u")
    layer.add("usr/bin/ping", content=b"#!", mode=0o755, attributes=[("security.capability", CAPABILITY_2)])
    layer.add("usr/bin/ping3", content=b"#!", mode=0o755, attributes=[("security.capability", CAPABILITY_3)])
    layer.add("noted", content=b"n", attributes=[("user.note", b"hello"), ("user.empty", b"")])
    layer.folder("noted-folder", attributes=[("user.note", b"\x00\x01\xff")])
    layer.add("listed", content=b"l", mode=0o640, attributes=[("system.posix_acl_access", ACCESS_LIST)])
    layer.folder("listed-folder", mode=0o775, attributes=[("system.posix_acl_default", DEFAULT_LIST)])
    layer.add("trusted", content=b"t", attributes=[("trusted.own", b"x")])


def layers_by_hand(dialect):
    two = Layer(dialect)
    two.add("etc/.wh.removed")
    two.add(".wh.gone")
    two.folder("opaque", mode=0o750)
    two.add("opaque/.wh..wh..opq")
    two.add("opaque/new", content=b"new")
    two.folder("opaque-late", time=OLDER)
    two.add("opaque-late/new", content=b"new")
    two.add("opaque-late/.wh..wh..opq")
    two.add("swap", content=b"a file now")
    two.add("usr/link", content=b"no link now")
    two.folder("usr", mode=0o711, time=1_300_000_000)
    two.add("private/new", content=b"in a folder that only the lower layer has an entry for")
    three = Layer(dialect)
    three.folder("swap", time=OLDEST)
    three.add("swap/again", content=b"folder again")
    three.folder("gone", mode=0o700)
    three.add("gone/b", content=b"b")
    three.add("etc/removed", content=b"back")
    three.folder("usr/bin", time=OLDEST)
    three.add("usr/bin/second", content=b"no longer linked")
    return [first_layer(dialect), two.finished(), Layer(dialect).finished(), three.finished()]


def layers_through_links():
    """Folders that become links and the reverse, and entries that go through a link of a lower layer or their own."""
    one = Layer(tarfile.PAX_FORMAT)
    for name in ("usr", "usr/lib", "usr/lib/a", "data", "plain"):
        one.folder(name)
    one.link("lib", "usr/lib")
    one.link("absolute", "/usr/lib")
    one.add("lib/through-own", content=b"1")
    one.add("absolute/through-own-absolute", content=b"2")
    one.add("plain/inside", content=b"3")
    two = Layer(tarfile.PAX_FORMAT)
    # The usual image: the base has /lib -> usr/lib, and a layer above names /usr/lib itself.
    two.folder("usr")
    two.folder("usr/lib", mode=0o711)
    two.add("usr/lib/more", content=b"4")
    two.add("plain", tarfile.SYMTYPE, target="data", mode=0o777)
    two.add("data/below", content=b"5")
    three = Layer(tarfile.PAX_FORMAT)
    three.folder("lib")
    three.add("lib/now-a-folder", content=b"6")
    three.add(".wh.absolute")
    return [one.finished(), two.finished(), three.finished()]


KINDS = {"file": dict(content=b"f"), "folder": dict(kind=tarfile.DIRTYPE, mode=0o755),
         "link": dict(kind=tarfile.SYMTYPE, mode=0o777, target="elsewhere"), "pipe": dict(kind=tarfile.FIFOTYPE),
         "node": dict(kind=tarfile.CHRTYPE, device=(1, 5))}


def layers_with_duplicates():
    """Each kind of entry in place of each other kind within a layer; podman takes no name twice."""
    layer = Layer(tarfile.GNU_FORMAT)
    for old in KINDS:
        for new in KINDS:
            layer.add(f"{old}-{new}", **KINDS[old])
            if old == "folder" and new != "folder":
                layer.add(f"{old}-{new}/inside", content=b"goes")
            layer.add(f"{old}-{new}", **KINDS[new], time=OLDER)
    layer.add("twice", content=b"first")
    layer.add("twice", content=b"second one", mode=0o600)
    return [layer.finished()]


def layers_with_type_changes():
    """Each kind of entry in place of each other kind in the layer below."""
    below, above = Layer(tarfile.GNU_FORMAT), Layer(tarfile.GNU_FORMAT)
    for old in KINDS:
        for new in KINDS:
            below.add(f"{old}-{new}", **KINDS[old])
            if old == "folder":
                below.add(f"{old}-{new}/inside", content=b"stays only in a folder")
            above.add(f"{old}-{new}", **KINDS[new], time=OLDER)
    return [below.finished(), above.finished()]


def layers_with_odd_names():
    """Names that are no UTF-8, have spaces, control characters and the like, in all dialects."""
    layers = []
    for dialect in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT):
        layer = Layer(dialect)
        layer.tar.encoding = "latin-1"
        for name in (b"latin-\xe4", b"\xff\xfe", b"cut-\xe2\x82", b"tab\there", b"line\nbreak", b" spaces ", b"-rf",
                     b"*", b"quote\"'", b"back\\slash", b".hidden", b"..two", b"...", b".wha", b"wh.",
                     b"a.wh.b", b"x" * 95):
            layer.add(f"{dialect}/" + name.decode("latin-1"), content=name, target="")
        layer.link(f"{dialect}/to-latin", "latin-\xe4")
        layer.hard(f"{dialect}/hard-to-latin", f"{dialect}/latin-\xe4")
        layers.append(layer.finished())
    return layers


def config_of(layers):
    return json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "hand"} for _ in layers]}).encode()


def add_file(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def docker_archive(layers, name, path):
    config = config_of(layers)
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(path, "w") as tar:
        add_file(tar, config_name, config)
        for digest, layer in dict(zip(digests, layers)).items():
            add_file(tar, f"{digest}.tar", layer)
        add_file(tar, "manifest.json", json.dumps([{
            "Config": config_name, "RepoTags": [name],
            "Layers": [f"{digest}.tar" for digest in digests]}]).encode())


def oci_archive(layers, packed, kind, name, path):
    """`packed` are the layers as they are stored, as media type `kind`."""
    def blob(content, media_type, **more):
        digest = hashlib.sha256(content).hexdigest()
        if digest not in seen:
            seen.add(digest)
            add_file(tar, f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    seen, prefix = set(), "application/vnd.oci.image."
    with tarfile.open(path, "w") as tar:
        add_file(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": prefix + "manifest.v1+json",
            "config": blob(config_of(layers), prefix + "config.v1+json"),
            "layers": [blob(each, prefix + kind) for each in packed]}).encode()
        top = blob(manifest, prefix + "manifest.v1+json", annotations={"org.opencontainers.image.ref.name": name})
        add_file(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [top]}).encode())


def in_members(layer):
    """A gzip stream of three members, as pigz, bgzip and eStargz write."""
    third = len(layer) // 3
    return b"".join(gzip.compress(part, mtime=0) for part in (layer[:third], layer[third:2 * third], layer[2 * third:]))


def in_frames(layer, folder):
    """Two zstd frames with a skippable one between them, as zstd:chunked writes."""
    parts = []
    for part in (layer[:len(layer) // 2], layer[len(layer) // 2:]):
        (folder / "part").write_bytes(part)
        run("zstd", "-q", "-f", folder / "part", "-o", folder / "part.zst")
        parts.append((folder / "part.zst").read_bytes())
    return parts[0] + struct.pack("<II", 0x184D2A53, 5) + b"extra" + parts[1]


def make(folder, made):
    dialects = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    for word, dialect in dialects.items():
        path = folder / f"{word}.tar"
        docker_archive(layers_by_hand(dialect), f"hand-{word}:1", path)
        made[f"hand {word}"] = path
    more = {"links": layers_through_links, "kinds": layers_with_type_changes, "names": layers_with_odd_names,
            "duplicates": layers_with_duplicates, "sparse pax": lambda: [sparse_by_gnu_tar(folder, "pax")],
            "sparse old": lambda: [sparse_by_gnu_tar(folder, "gnu")]}
    for word, layers in more.items():
        path = folder / f"hand-{word.replace(' ', '-')}.tar"
        docker_archive(layers(), f"{path.stem}:1", path)
        made[f"hand {word}"] = path
    layers = layers_by_hand(tarfile.PAX_FORMAT)
    oci_archive(layers, [in_members(layer) for layer in layers], "layer.v1.tar+gzip", "members:1",
                folder / "members.tar")
    made["hand gzip members"] = folder / "members.tar"
    oci_archive(layers, [in_frames(layer, folder) for layer in layers], "layer.v1.tar+zstd", "frames:1",
                folder / "frames.tar")
    made["hand zstd frames"] = folder / "frames.tar"


def make_by_skopeo(folder, made):
    """Every format and compression that skopeo writes; what it makes is read by the others as an OCI archive."""
    for word, more in {"gzip": ("--dest-compress-format", "gzip"), "zstd": ("--dest-compress-format", "zstd"),
                       "plain": ("--dest-decompress",)}.items():
        layout, archive = folder / f"layout-{word}", folder / f"skopeo-{word}.tar"
        if word == "plain":
            # oci: compresses always; a folder of it keeps what it was given.
            skopeo(f"docker-archive:{folder / 'pax.tar'}", f"dir:{layout}", folder, *more)
            skopeo(f"dir:{layout}", f"docker-archive:{archive}:skopeo-{word}:1", folder)
        else:
            skopeo(f"docker-archive:{folder / 'pax.tar'}", f"oci-archive:{archive}:skopeo-{word}:1", folder, *more)
        made[f"skopeo {word}"] = archive
    skopeo(f"docker-archive:{folder / 'gnu.tar'}", f"oci-archive:{folder / 'skopeo-v2s2.tar'}:skopeo-v2s2:1", folder,
           "--format", "oci", "--dest-compress-format", "gzip")
    made["skopeo gnu as oci"] = folder / "skopeo-v2s2.tar"
