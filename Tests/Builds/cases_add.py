"""ADD: archives of every kind, and what comes from the web."""

import bz2
import enum
import gzip
import io
import lzma
import subprocess
import tarfile

from contexts import BUILDAH, BUILDKIT, CLASSIC, OLD_SECONDS, Case, File, Folder, Link


class Kind(enum.Enum):
    FOLDER, LINK, SAME, PIPE = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE


def tar_of(*members, form=tarfile.PAX_FORMAT):
    """(name, type or content, then what else an entry says)"""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for name, what, *more in members:
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.mode = OLD_SECONDS + 60, 0o644
            content = what if isinstance(what, bytes) else b""
            entry.type = tarfile.REGTYPE if isinstance(what, bytes) else what.value
            entry.size = len(content)
            if entry.isdir():
                entry.mode = 0o755
            for key, value in (more[0] if more else {}).items():
                setattr(entry, key, value)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


PLAIN = tar_of(
    ("top", b"top\n"), ("d", Kind.FOLDER, {"mode": 0o750, "uid": 3, "gid": 4}),
    ("d/file", b"in d\n", {"uid": 1000, "gid": 1001, "mode": 0o600}), ("d/link", Kind.LINK, {"linkname": "file"}),
    ("d/hard", Kind.SAME, {"linkname": "d/file", "mode": 0o600, "uid": 1000, "gid": 1001}),
    ("set-user", b"#!", {"mode": 0o4755}),
    ("set-group", Kind.FOLDER, {"mode": 0o2775}), ("implied/parent/file", b"i"), ("a\u00e4", b"u"),
    ("long-" + "l" * 200, b"l"), ("pipe", Kind.PIPE, {"mode": 0o600}))
ODD = tar_of(
    ("./dot", b"1"), ("./d/./dots", b"2"), ("d//slashes", b"3"), ("/absolute", b"4"), ("twice", b"first"),
    ("swap", Kind.LINK, {"linkname": "/etc"}))


def archive(kind):
    if kind == "zst":
        return subprocess.run(["zstd", "-q", "-c"], input=PLAIN, capture_output=True, check=True).stdout
    packers = {"tar": bytes, "gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}
    return packers[kind](PLAIN)


ARCHIVES = {"plain.tar": archive("tar"), "a.tar.gz": archive("gz"), "b.tbz": archive("bz2"), "c.tar.xz": archive("xz")}


def add(name, *lines, context=None, **more):
    return Case(f"add {name}", "\n".join(("FROM base:1", *lines, "")), ARCHIVES if context is None else context, **more)


CASES = [
    add("plain archive", "ADD plain.tar /here/"),
    add("gzip", "ADD a.tar.gz /here"),
    add("bzip2", "ADD b.tbz /here/"),
    add("xz", "ADD c.tar.xz /here/"),
    add("zstd", "ADD d.tar.zst /here/", context={"d.tar.zst": archive("zst")}, peers=(BUILDAH,)),
    add("archive under another name", "ADD data /here/", context={"data": archive("gz")}),
    add("archive into the root", "ADD plain.tar /"),
    add("archive relative", "WORKDIR /srv", "ADD plain.tar .", "ADD a.tar.gz sub"),
    add("many archives and a file", "ADD plain.tar note.txt /all/", context=ARCHIVES | {"note.txt": "n"}),
    add("COPY unpacks nothing", "COPY plain.tar /kept/"),
    add("folder with archives unpacks nothing", "ADD d /kept/", context={"d/plain.tar": archive("tar")}),
    add("gzip of no archive", "ADD text.gz /kept/", context={"text.gz": gzip.compress(b"no archive\n", mtime=0)}),
    add("file with an archive's name", "ADD fake.tar.gz /kept/", context={"fake.tar.gz": "not one"}),
    add("empty archive", "ADD empty.tar /made/", context={"empty.tar": tar_of()}),
    add("owner of what is unpacked", "ADD --chown=21:22 own.tar /owned/", context={"own.tar": tar_of(
        ("d", Kind.FOLDER, {"uid": 3}), ("d/file", b"1", {"gid": 4}), ("d/link", Kind.LINK, {"linkname": "file"}))},
        odd={CLASSIC: "the target folder itself is root's"}),
    add("owner of folders that an archive implies", "ADD --chown=21:22 own.tar /base/folder/", context={"own.tar": tar_of(
        ("implied/parent/file", b"1", {"uid": 5}))}, odd={BUILDAH: "they are the named owner's"}),
    add("odd names", "ADD odd.tar /odd/", context={"odd.tar": ODD}),
    add("over what is there", "ADD over.tar /base/", context={"over.tar": tar_of(
        ("file", b"new\n"), ("folder", Kind.FOLDER, {"mode": 0o700}), ("folder/a", b"new a"),
        ("empty", Kind.FOLDER, {"mode": 0o755}))}),
    add("through links that are there", "ADD over.tar /base/", context={"over.tar": tar_of(
        ("link/new", b"1"), ("link/deep/c", b"2"))}),
    add("extended attributes", "ADD x.tar /x/", context={"x.tar": tar_of(
        ("capable", b"#!", {"mode": 0o755, "pax_headers": {
            "SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x04" + "\x00" * 14}}))}),
    add("other dialects", "ADD g.tar /gnu/", "ADD u.tar /ustar/", context={
        "g.tar": tar_of(("n" * 150, b"long"), ("link", Kind.LINK, {"linkname": "t" * 150}), form=tarfile.GNU_FORMAT),
        "u.tar": tar_of(("p" * 60 + "/" + "n" * 60, b"prefix"), form=tarfile.USTAR_FORMAT)}),
    add("plain files and folders", "ADD a.txt /f/", "ADD d /g", context={"a.txt": "a", "d/b": File("b", 0o700)}),
    add("from the web to a name", "ADD $SERVER/plain.txt /web/name"),
    add("from the web into a folder", "ADD $SERVER/plain.txt $SERVER/deep/named /web/"),
    add("from the web with a query", "ADD $SERVER/plain.txt?x=1 /web/"),
    add("from the web, moved", "ADD $SERVER/moved /web/name"),
    add("from the web without a time", "ADD $SERVER/no-time /web/"),
    add("archive from the web stays packed", "ADD $SERVER/archive.tar.gz /web/"),
    add("from the web with an owner", "ADD --chown=web:staff $SERVER/plain.txt /web/"),
    add("from the web with a mode", "ADD --chmod=755 $SERVER/plain.txt /web/", peers=(BUILDKIT, BUILDAH),
        odd={BUILDKIT: "ignores `--chmod` for what comes from the web"}),
    add("missing on the web", "ADD $SERVER/nothing /web/", fails=True),
    add("missing archive", "ADD none.tar /x/", fails=True),
]
