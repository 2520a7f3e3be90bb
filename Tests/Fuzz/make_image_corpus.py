#!/usr/bin/env python3
"""Writes layers, archives, documents and names as inputs for the fuzzers of images: make_image_corpus.py KIND FOLDER

KIND is `layer` (tars: see LayerFuzz.swift) or `document` (a byte that says which reader, then its text: see
DocumentFuzz.swift). The layers are those of Tests/Images, one entry of each kind, plain and packed.
"""
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Images"))
import made_by_hand  # noqa: E402

ZEROS = "sha256:" + "0" * 64
MANIFEST = {
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": ZEROS},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 9, "digest": ZEROS,
                "urls": ["https://a/b"], "annotations": {"a": "b"}}]}
INDEX = {"schemaVersion": 2, "manifests": [
    {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 7, "digest": ZEROS,
     "platform": {"os": "linux", "architecture": "amd64", "variant": "v2"}}]}
CONFIG = {
    "architecture": "amd64", "os": "linux", "created": "2024-02-29T12:00:00.5+01:00", "author": "me",
    "config": {"User": "a:b", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"], "Entrypoint": ["/x"], "Cmd": "y",
               "Volumes": {"/v": {}}, "WorkingDir": "/w", "Labels": {"a": "b"}, "StopSignal": "SIGINT", "Shell": ["sh"],
               "OnBuild": ["RUN x"], "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Retries": 3}},
    "rootfs": {"type": "layers", "diff_ids": [ZEROS]},
    "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "x", "empty_layer": True}]}
TEXTS = [
    ["nginx", "localhost:5000/a/b:v1", "[::1]:5000/app", f"a.b/c__d/e-f:T_1.x-y@{ZEROS}"],
    [json.dumps(CONFIG), '{"rootfs":{}}'],
    [json.dumps(MANIFEST), json.dumps(INDEX), '[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]'],
    ['Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push", Basic realm=x', "bytes 0-99/100", "0-5",
     '</v2/_catalog?last=a>; rel="next"', "repository:host:5000/a:pull,push",
     '{"errors":[{"code":"DENIED","message":"no"}]}'],
    ['server = "https://a"\n[host."https://b"]\ncapabilities = ["pull", \'push\']\nx.y = -1_0 # z\n',
     '{"auths":{"a.test":{"auth":"eDp5"}},"credHelpers":{"b":"c"}}', "eyJ1c2VybmFtZSI6ImEiLCJwYXNzd29yZCI6ImIifQ=="],
    ["https://[::1]:5000/v2/a?b=c", "http://a.b:80/../x /y?z ../q //h/p"],
    ["./usr/../bin//sh", "a/.wh.b", "/.wh..wh..opq", "dir/"],
    [ZEROS, "linux/arm64/v8", "2024-02-29T12:00:00.5-01:30", "12 34\n"],
]


def small(dialect):
    """One entry of each kind."""
    layer = made_by_hand.Layer(dialect)
    layer.folder("d", mode=0o2755)
    layer.add("d/f", content=b"content")
    layer.hard("h", "d/f")
    layer.link("l", "d")
    layer.add("l/through", content=b"x")
    layer.add(".wh.gone")
    layer.add("d/.wh..wh..opq")
    layer.add("pipe", tarfile.FIFOTYPE)
    layer.add("node", tarfile.CHRTYPE, device=(1, 3))
    if dialect != tarfile.USTAR_FORMAT:
        layer.add("n" * 120, content=b"long")
    if dialect == tarfile.PAX_FORMAT:
        layer.add("x", attributes=[("user.a", b"b")], records=[("mtime", "1.5"), ("uid", "7")])
    return layer.finished()


def layers(folder):
    for dialect in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield small(dialect)
    yield gzip.compress(small(tarfile.PAX_FORMAT), mtime=0)
    yield subprocess.run(["zstd", "-qc"], input=small(tarfile.GNU_FORMAT), stdout=subprocess.PIPE, check=True).stdout
    for dialect in ("gnu", "pax"):
        yield from sparse(folder, dialect)
    one = made_by_hand.Layer(tarfile.USTAR_FORMAT)
    one.add("f", content=b"x")
    one = one.finished()[:2048]
    made_by_hand.docker_archive([one], "a:1", folder / "docker")
    made_by_hand.oci_archive([one], [gzip.compress(one, mtime=0)], "layer.v1.tar+gzip", "a:1", folder / "oci")
    yield from ((folder / name).read_bytes().rstrip(b"\0") + bytes(1024) for name in ("docker", "oci"))


def sparse(folder, form):
    path = folder / "holes"
    with open(path, "wb") as file:
        file.seek(1 << 16)
        file.write(b"end")
        file.truncate(1 << 17)
    for version in ("0.0", "0.1", "1.0"):
        command = ["tar", "-C", folder, f"--format={form}", "--sparse", f"--sparse-version={version}", "-b1", "-c",
                   "holes"]
        yield subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def documents(_):
    for kind, texts in enumerate(TEXTS):
        for text in texts:
            yield bytes([kind]) + text.encode()


def main():
    target = pathlib.Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for content in {"layer": layers, "document": documents}[sys.argv[1]](pathlib.Path(folder)):
            (target / hashlib.sha1(content).hexdigest()).write_bytes(content)


main()
