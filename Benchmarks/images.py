#!/usr/bin/env python3
"""Times loading a large image with Gantry, Docker and Podman on the same machine in the same run.

    images.py [--gantry PROGRAM] [--repeat N] [--sides gantry,docker,podman] [--disk FOLDER] [--json FILE] [--check]

The image is made of this machine's /usr: about 600 MB and some 50,000 files in eight layers, with whiteouts. It is loaded
as Docker's archive, and as OCI archive with gzip and with zstd (Docker 20 reads only the first). Every load is into an
empty store on a tmpfs, or below FOLDER. The sides take turns. Memory is the peak of the engine's process (Docker: of the
daemon; Podman: of the command). Runs in a private copy of the host; leaves nothing. Needs root, pigz or gzip, and zstd.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import bench

FORMS = ("docker archive", "OCI gzip", "OCI zstd")
FILE_BYTES_MAX = 2 << 20
# What each layer is made of: folders, and how many MB at most.
LAYERS = (
    (("/usr/share/doc", 40), ("/usr/share/locale", 60)),
    (("/usr/include", 130),),
    (("/usr/lib/x86_64-linux-gnu", 110),),
    (("/usr/share/perl", 60), ("/usr/lib/python3", 60), ("/usr/lib/python3.11", 60)),
    (("/usr/share/man", 40), ("/usr/share/zoneinfo", 10), ("/usr/share/icons", 60)),
    (("/usr/lib/gcc", 60), ("/usr/share/vim", 40)),
    (("/usr/lib/llvm-14", 60), ("/usr/share/go-1.19", 60)),
)
SPEED_GOAL = 3.0
MEMORY_GOAL_BYTES = 80_000_000


def files_below(folder, byte_count_max):
    total = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            if not (os.path.isfile(path) or os.path.islink(path)) or status.st_size > FILE_BYTES_MAX:
                continue
            yield path
            total += status.st_size
            if total > byte_count_max:
                return


def write_layer(path, sources):
    count, folders = 0, set()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder, megabytes in sources:
            for file in files_below(folder, megabytes << 20):
                missing, parent = [], os.path.dirname(file)
                while parent != "/" and parent not in folders:
                    missing.append(parent)
                    folders.add(parent)
                    parent = os.path.dirname(parent)
                for each in reversed(missing):
                    entry = tarfile.TarInfo(each[1:])
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
                    tar.addfile(entry)
                entry = tar.gettarinfo(file, arcname=file[1:])
                if entry.islnk():
                    entry.type, entry.size = tarfile.REGTYPE, os.path.getsize(file)
                if entry.isreg():
                    with open(file, "rb") as content:
                        tar.addfile(entry, content)
                else:
                    tar.addfile(entry)
                count += 1
    return count


def write_whiteouts(path):
    with tarfile.open(path, "w") as tar:
        for name in ("usr/share/doc/.wh.adduser", "usr/include/.wh.stdio.h", "usr/share/zoneinfo/.wh..wh..opq"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_bytes(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def make_images(folder):
    """Form to archive; and what the image is, in words."""
    layers, count = [], 0
    for number, sources in enumerate(LAYERS):
        layers.append(folder / f"layer-{number}.tar")
        count += write_layer(layers[-1], sources)
    layers.append(folder / "layer-last.tar")
    write_whiteouts(layers[-1])
    diff_ids = [digest(layer) for layer in layers]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in diff_ids]}}).encode()
    archives = {FORMS[0]: folder / "docker.tar"}
    name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(archives[FORMS[0]], "w") as tar:
        add_bytes(tar, name, config)
        for layer, each in zip(layers, diff_ids):
            tar.add(layer, arcname=f"{each}.tar")
        add_bytes(tar, "manifest.json", json.dumps([{
            "Config": name, "RepoTags": ["big:latest"], "Layers": [f"{each}.tar" for each in diff_ids]}]).encode())
    gzip = "pigz" if shutil.which("pigz") else "gzip"
    for form, suffix, command in ((FORMS[1], "gzip", [gzip, "-6", "-c"]), (FORMS[2], "zstd", ["zstd", "-q", "-3", "-c"])):
        archives[form] = folder / f"oci-{suffix}.tar"
        write_oci(archives[form], layers, config, suffix, command, folder)
    size = sum(layer.stat().st_size for layer in layers)
    for layer in layers:
        layer.unlink()
    return archives, f"{size / 1e6:.0f} MB, {count:,} files, {len(layers)} layers"


def write_oci(archive, layers, config, suffix, command, folder):
    kind = "application/vnd.oci.image"
    descriptors = []
    with tarfile.open(archive, "w") as tar:
        add_bytes(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for layer in layers:
            packed = folder / "packed"
            with open(packed, "wb") as file:
                subprocess.run([*command, str(layer)], stdout=file, check=True)
            descriptors.append({"mediaType": f"{kind}.layer.v1.tar+{suffix}", "digest": f"sha256:{digest(packed)}",
                                "size": packed.stat().st_size})
            tar.add(packed, arcname=f"blobs/sha256/{digest(packed)}")
            packed.unlink()

        def add_blob(content, media):
            add_bytes(tar, f"blobs/sha256/{hashlib.sha256(content).hexdigest()}", content)
            return {"mediaType": media, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}

        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
            "config": add_blob(config, f"{kind}.config.v1+json"), "layers": descriptors}).encode()
        entry = add_blob(manifest, f"{kind}.manifest.v1+json")
        entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        add_bytes(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())


def peak_bytes(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise bench.Failed(f"no memory figures of process {pid}")


def load_by_engine(side, archive):
    try:
        side.start()
        started = time.perf_counter()
        side.load(str(archive))
        return time.perf_counter() - started, peak_bytes(side.engine.pid)
    finally:
        side.stop()


def load_by_podman(folder, archive):
    command = ["podman", "--root", str(folder / "data"), "--runroot", str(folder / "run"), "--tmpdir",
               str(folder / "tmp"), "--storage-driver", "overlay", "load", "-q", "-i", str(archive)]
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    text = child.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise bench.Failed(f"podman load: {text[-1000:]}")
    return seconds, usage.ru_maxrss * 1024


def load_once(side, program, stores, archive):
    folder = Path(tempfile.mkdtemp(dir=stores))
    try:
        if side == "podman":
            return load_by_podman(folder, archive)
        if side == "docker":
            engine = bench.Docker(folder)
            base = engine.engine_command()
            engine.engine_command = lambda: [*base, "-s", "overlay2", "--bridge=none", "--iptables=false"]
            return load_by_engine(engine, archive)
        return load_by_engine(bench.Gantry(folder, program), archive)
    finally:
        for line in reversed(open("/proc/self/mounts").read().splitlines()):
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(folder)


def inside(options):
    folder = Path(options.inside)
    stores = Path(options.disk) if options.disk else folder / "stores"
    stores.mkdir(exist_ok=True)
    if not options.disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g", "stores", stores], check=True)
    archives, what = make_images(folder)
    print(f"image: {what}; store on {'disk' if options.disk else 'tmpfs'}; {os.cpu_count()} cores", flush=True)
    results = {form: {} for form in FORMS}
    for form in FORMS:
        for _ in range(options.repeat):
            for side in options.sides.split(","):
                if side == "docker" and form != FORMS[0]:
                    continue
                seconds, memory = load_once(side, options.gantry, stores, archives[form])
                results[form].setdefault(side, []).append((seconds, memory))
    (folder / "result.json").write_text(json.dumps(results))


def report(results, check):
    missed = []
    print(f"{'':16}" + "".join(f"{side:>22}" for side in ("gantry", "docker", "podman")))
    for form, sides in results.items():
        line = f"{form:16}"
        medians = {side: statistics.median(seconds for seconds, _ in runs) for side, runs in sides.items()}
        for side in ("gantry", "docker", "podman"):
            if side in medians:
                peak = max(memory for _, memory in sides[side])
                line += f"{medians[side]:11.2f} s {peak / 1e6:6.0f} MB"
            else:
                line += f"{'-':>22}"
        print(line)
        for side in ("docker", "podman"):
            if side in medians and "gantry" in medians:
                ratio = medians[side] / medians["gantry"]
                verdict = "met" if ratio >= SPEED_GOAL else "missed"
                print(f"    {ratio:.1f} times as fast as {side} (goal {SPEED_GOAL:.0f}): {verdict}")
                if ratio < SPEED_GOAL:
                    missed.append(form)
        peak = max((memory for _, memory in sides.get("gantry", [])), default=0)
        if peak > MEMORY_GOAL_BYTES:
            missed.append(f"memory, {form}")
    return 1 if check and missed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sides", default=",".join(
        ["gantry"] + [side for side, program in (("docker", "dockerd"), ("podman", "podman")) if shutil.which(program)]))
    parser.add_argument("--disk")
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options)
    with tempfile.TemporaryDirectory(prefix="gantry-images-") as folder:
        command = [str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--gantry", options.gantry,
                   "--repeat", str(options.repeat), "--sides", options.sides]
        if options.disk:
            command += ["--disk", options.disk]
        if subprocess.run(command).returncode != 0:
            return 1
        results = json.loads((Path(folder) / "result.json").read_text())
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))
    return report(results, options.check)


if __name__ == "__main__":
    sys.exit(main())
