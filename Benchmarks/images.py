#!/usr/bin/env python3
"""Times pulling and loading a large image with Gantry, Docker and Podman on the same machine in the same run.

    images.py [--gantry PROGRAM] [--repeat N] [--sides gantry,docker,podman] [--cases WORD,...] [--disk FOLDER]
              [--json FILE] [--check]

The image is made of this machine's /usr: about 600 MB and some 30,000 files in eight layers, with whiteouts; once, it
lies in the examples' cache afterwards. It is pulled from Debian's docker-registry on the loopback, with layers of gzip
and of zstd, and loaded as Docker's archive and as OCI archive with both (Docker 20 reads neither OCI archives nor zstd).
Every time is into an empty store on a tmpfs, or below FOLDER; the sides take turns. `--cases pull` does only those with
that word. Memory is the peak of the engine's process (Docker: of the daemon; Podman: of the command), CPU that of the
engine and the processes it started, without the registry's. Runs in a private copy of the host; leaves only the cache.
Needs root, skopeo, docker-registry, pigz or gzip, and zstd.
"""

import argparse
import fcntl
import hashlib
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import bench

CACHE = Path(os.environ.get("GANTRY_EXAMPLES_CACHE", "/tmp/gantry-examples-cache"))
# Changes when the image does.
IMAGE_NAME = "large-image-1"
REGISTRY_PORT = 5000
# Case, and whether Docker 20 can do it.
CASES = {"pull gzip": True, "pull zstd": False, "load docker archive": True, "load OCI gzip": False, "load OCI zstd": False}
FORMS = ("docker archive", "OCI gzip", "OCI zstd")
FILE_BYTES_MAX = 2 << 20
# What each layer is made of: folders, and how many MB at most.
LAYERS = (
    (("/usr/share/doc", 40), ("/usr/share/locale", 60)),
    (("/usr/include", 130),),
    (("/usr/lib/x86_64-linux-gnu", 150),),
    (("/usr/share/perl", 60), ("/usr/lib/python3", 60), ("/usr/lib/python3.11", 60)),
    (("/usr/share/man", 9), ("/usr/share/zoneinfo", 10), ("/usr/share/icons", 60)),
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
    """Fills `folder` with the image in every form, and a registry's data."""
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
    name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(archive(folder, FORMS[0]), "w") as tar:
        add_bytes(tar, name, config)
        for layer, each in zip(layers, diff_ids):
            tar.add(layer, arcname=f"{each}.tar")
        add_bytes(tar, "manifest.json", json.dumps([{
            "Config": name, "RepoTags": ["big:latest"], "Layers": [f"{each}.tar" for each in diff_ids]}]).encode())
    gzip = "pigz" if shutil.which("pigz") else "gzip"
    for form, suffix, command in ((FORMS[1], "gzip", [gzip, "-6", "-c"]), (FORMS[2], "zstd", ["zstd", "-q", "-3", "-c"])):
        write_oci(archive(folder, form), layers, config, suffix, command, folder)
    size = sum(layer.stat().st_size for layer in layers)
    for layer in layers:
        layer.unlink()
    registry = Registry(folder)
    try:
        for form, suffix in ((FORMS[1], "gzip"), (FORMS[2], "zstd")):
            subprocess.run(
                ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false",
                 f"oci-archive:{archive(folder, form)}", f"docker://{registry.host}/big:{suffix}"], check=True)
    finally:
        registry.stop()
    (folder / "what").write_text(f"{size / 1e6:.0f} MB, {count:,} files, {len(layers)} layers")


def archive(folder, form):
    return folder / f"{form.replace(' ', '-')}.tar"


def cached_images():
    """The folder with the image, made when it is not there."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{IMAGE_NAME}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = CACHE / IMAGE_NAME
        if not folder.exists():
            print("making the image, once", flush=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as made:
                made = Path(made) / "made"
                made.mkdir()
                make_images(made)
                made.rename(folder)
    return folder


class Registry:
    """Debian's docker-registry with the data of `folder`."""

    def __init__(self, folder):
        self.host = f"127.0.0.1:{REGISTRY_PORT}"
        config = folder / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: \"{self.host}\"}}\n")
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + bench.ENGINE_START_SECONDS
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise bench.Failed("docker-registry does not answer")
            time.sleep(0.05)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", REGISTRY_PORT)) == 0

    def stop(self):
        self.process.kill()
        self.process.wait()


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


def cpu_seconds(pid):
    """Of the process and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def command_of(case, folder):
    action, form = case.split(" ", 1)
    if action == "pull":
        return ["pull", "-q", f"127.0.0.1:{REGISTRY_PORT}/big:{form}"]
    return ["load", "-i", str(archive(folder, form.replace("docker archive", FORMS[0])))]


def run_by_engine(side, command):
    try:
        side.start()
        before = cpu_seconds(side.engine.pid)
        seconds = bench.run([*side.load_command(), *command], side.environment())
        return seconds, peak_bytes(side.engine.pid), cpu_seconds(side.engine.pid) - before
    finally:
        side.stop()


def run_by_podman(folder, command):
    insecure = ["--tls-verify=false"] if command[0] == "pull" else []
    command = ["podman", "--root", str(folder / "data"), "--runroot", str(folder / "run"), "--tmpdir",
               str(folder / "tmp"), "--storage-driver", "overlay", command[0], *insecure, *command[1:]]
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    text = child.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise bench.Failed(f"{' '.join(command)}: {text[-1000:]}")
    return seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


def run_once(side, program, stores, command):
    folder = Path(tempfile.mkdtemp(dir=stores))
    try:
        if side == "podman":
            return run_by_podman(folder, command)
        if side == "docker":
            engine = bench.Docker(folder)
            base = engine.engine_command()
            engine.engine_command = lambda: [*base, "-s", "overlay2", "--bridge=none", "--iptables=false"]
            return run_by_engine(engine, command)
        return run_by_engine(bench.Gantry(folder, program), command)
    finally:
        for line in reversed(open("/proc/self/mounts").read().splitlines()):
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(folder)


def inside(options):
    folder = Path(options.inside)
    stores = Path(tempfile.mkdtemp(dir=options.disk)) if options.disk else folder / "stores"
    stores.mkdir(exist_ok=True)
    if not options.disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g", "stores", stores], check=True)
    images = cached_images()
    print(f"image: {(images / 'what').read_text()}; store on {'disk' if options.disk else 'tmpfs'}; "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    registry = Registry(images)
    results = {}
    try:
        for case, docker_can in CASES.items():
            if not any(word in case for word in options.cases.split(",")):
                continue
            for _ in range(options.repeat):
                for side in options.sides.split(","):
                    if side == "docker" and not docker_can:
                        continue
                    run = run_once(side, options.gantry, stores, command_of(case, images))
                    results.setdefault(case, {}).setdefault(side, []).append(run)
    finally:
        registry.stop()
        if options.disk:
            stores.rmdir()
    (folder / "result.json").write_text(json.dumps(results))


def report(results, check):
    missed = []
    print(f"{'':20}" + "".join(f"{side:>27}" for side in ("gantry", "docker", "podman")))
    for case, sides in results.items():
        line = f"{case:20}"
        medians = {side: statistics.median(run[0] for run in runs) for side, runs in sides.items()}
        for side in ("gantry", "docker", "podman"):
            if side in medians:
                peak = max(run[1] for run in sides[side])
                cpu = statistics.median(run[2] for run in sides[side])
                line += f"{medians[side]:9.2f} s {cpu:5.1f} s {peak / 1e6:4.0f} MB"
            else:
                line += f"{'-':>27}"
        print(line)
        for side in ("docker", "podman"):
            if side in medians and "gantry" in medians:
                ratio = medians[side] / medians["gantry"]
                verdict = "met" if ratio >= SPEED_GOAL else "missed"
                print(f"    {ratio:.1f} times as fast as {side} (goal {SPEED_GOAL:.0f}): {verdict}")
                if ratio < SPEED_GOAL:
                    missed.append(case)
        peak = max((run[1] for run in sides.get("gantry", [])), default=0)
        if peak > MEMORY_GOAL_BYTES:
            print(f"    peak memory {peak / 1e6:.0f} MB (goal {MEMORY_GOAL_BYTES / 1e6:.0f} MB): missed")
            missed.append(f"memory, {case}")
    return 1 if check and missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sides", default=",".join(
        ["gantry"] + [side for side, program in (("docker", "dockerd"), ("podman", "podman")) if shutil.which(program)]))
    parser.add_argument("--cases", default="pull,load")
    parser.add_argument("--disk")
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options)
    with tempfile.TemporaryDirectory(prefix="gantry-images-") as folder:
        command = [str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--gantry", options.gantry,
                   "--repeat", str(options.repeat), "--sides", options.sides, "--cases", options.cases]
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
