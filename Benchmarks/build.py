#!/usr/bin/env python3
"""Times builds of one Dockerfile with Gantry, both builders of Docker, and buildah, on the same machine in the same run.

    build.py [--gantry PROGRAM] [--repeat N] [--sides gantry,docker,BuildKit,buildah] [--disk FOLDER] [--json FILE] [--check]

Ten steps, three of them RUN, with a context of 300 files, on the image of images.py (about 670 MB and 35,000 files in eight
layers) with a busybox on top. `cold` is with --no-cache, `cached` the same again, from shell to shell, the engine
running; `changed` after one of the 300 files changed. `three stages` sleep for a second each and are copied from by a
fourth. The sides take turns. Docker's classic builder is `docker`, the one built into dockerd 20.10 `BuildKit`; buildah
runs with --layers, which is its cache. No step has a network. Stores lie on a tmpfs, or below FOLDER. Memory is the peak of
the engine's process during the cold builds (buildah: of the command), CPU that of the engine and the processes it
started (buildah: of the command and its). Runs in a private copy of the host; leaves only the cache of the examples.
Needs root and busybox-static.
"""

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import bench
import images

BUSYBOX = "/bin/busybox"
FILE_COUNT = 300
COLD_GOAL, CACHED_GOAL_SECONDS, STAGES_GOAL_SECONDS = 2.0, 0.05, 1.9
CASES = ("cold", "cached", "changed", "three stages")
TEN_STEPS = """\
FROM build-base:1
WORKDIR /app
ENV MODE=production PATH=/bin
COPY requirements.txt ./
RUN mkdir lib && while read name; do echo "$name" > lib/$name; done < requirements.txt
COPY src ./src
RUN find src -type f | sort | xargs sha256sum > sums
RUN rm -r lib/m1* && chmod -R go-w src
EXPOSE 8080
CMD ["sh", "-c", "cat /app/sums"]
"""
THREE_STAGES = """\
FROM build-base:1 AS one
ENV PATH=/bin
RUN sleep 1; echo 1 > /1
FROM build-base:1 AS two
ENV PATH=/bin
RUN sleep 1; echo 2 > /2
FROM build-base:1 AS three
ENV PATH=/bin
RUN sleep 1; echo 3 > /3
FROM build-base:1
COPY --from=one /1 /
COPY --from=two /2 /
COPY --from=three /3 /
"""


def busybox_layer():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        program = tar.gettarinfo(BUSYBOX, "bin/busybox")
        program.mode = 0o755
        with open(BUSYBOX, "rb") as file:
            tar.addfile(program, file)
        for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if name != "busybox":
                tar.addfile(link)
    return stream.getvalue()


def write_base(source, target):
    """The large image with a busybox on top, and with the history that buildah asks of a base."""
    top = busybox_layer()
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        [manifest] = json.load(old.extractfile("manifest.json"))
        config = json.load(old.extractfile(manifest["Config"]))
        for name in manifest["Layers"]:
            member = old.getmember(name)
            new.addfile(member, old.extractfile(member))
        digest = hashlib.sha256(top).hexdigest()
        images.add_bytes(new, f"{digest}.tar", top)
        config["rootfs"]["diff_ids"].append(f"sha256:{digest}")
        config["created"] = "2024-01-01T00:00:00Z"
        config["history"] = [{"created": "2024-01-01T00:00:00Z", "created_by": "by hand"} for _ in config["rootfs"]["diff_ids"]]
        text = json.dumps(config).encode()
        name = hashlib.sha256(text).hexdigest() + ".json"
        images.add_bytes(new, name, text)
        images.add_bytes(new, "manifest.json", json.dumps([{
            "Config": name, "RepoTags": ["build-base:1"], "Layers": [*manifest["Layers"], f"{digest}.tar"]}]).encode())


def write_contexts(folder):
    generator = random.Random(7)
    (folder / "stages").mkdir()
    (folder / "stages/Dockerfile").write_text(THREE_STAGES)
    ten = folder / "ten"
    for number in range(FILE_COUNT):
        file = ten / f"src/part-{number % 12}/module-{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(generator.randbytes(generator.randrange(200, 12_000)))
    (ten / "requirements.txt").write_text("".join(f"m{number}\n" for number in range(150)))
    (ten / "Dockerfile").write_text(TEN_STEPS)


class Builder:
    """One side with a store of its own in `folder`."""

    def build(self, name, context, *options):
        """Seconds, from shell to shell."""
        return bench.run([*self.command(), "-t", name, *options, str(context)], self.environment())


class EngineBuilder(Builder):
    def __init__(self, engine):
        self.engine = engine
        engine.start()

    def environment(self):
        return self.engine.environment()

    def load(self, archive):
        self.engine.load(str(archive))

    def reset_peak(self):
        Path(f"/proc/{self.engine.engine.pid}/clear_refs").write_text("5")

    def peak(self):
        return images.peak_bytes(self.engine.engine.pid)

    def cpu(self):
        return images.cpu_seconds(self.engine.engine.pid)

    def stop(self):
        self.engine.stop()


class Gantry(EngineBuilder):
    def __init__(self, folder, program):
        super().__init__(bench.Gantry(folder, program))

    def command(self):
        return [self.engine.program, "build", "-q", "--network", "none"]


class Docker(EngineBuilder):
    def __init__(self, folder, is_buildkit):
        engine = bench.Docker(folder)
        # Two of them run at once.
        base = [word.replace("/run/docker-bench", f"/run/{folder.name}") for word in engine.engine_command()]
        engine.engine_command = lambda: [*base, "-s", "overlay2", "--bridge=none", "--iptables=false"]
        self.is_buildkit = is_buildkit
        super().__init__(engine)

    def command(self):
        return [docker_client(), "build", "-q", "--network", "none"]

    def environment(self):
        return super().environment() | {"DOCKER_BUILDKIT": "1" if self.is_buildkit else "0"}


def docker_client():
    """A client that brings BuildKit's part with it, as Debian's; newer ones leave that to buildx."""
    return "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"


class Buildah(Builder):
    def __init__(self, folder):
        self.store = ["buildah", "--root", str(folder / "data"), "--runroot", "/run/buildah", "--storage-driver", "overlay"]
        self.peak_byte_count, self.seconds = 0, 0.0

    def environment(self):
        return dict(os.environ)

    def load(self, archive):
        bench.run([*self.store, "pull", "-q", f"docker-archive:{archive}"], self.environment())

    def command(self):
        return [*self.store, "bud", "-q", "--layers", "--pull-never", "--isolation", "oci", "--network", "none",
                "--format", "docker"]

    def build(self, name, context, *options):
        with tempfile.TemporaryFile() as output:
            started = time.perf_counter()
            child = subprocess.Popen(
                [*self.command(), "-t", name, *options, str(context)], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                output.seek(0)
                raise bench.Failed(f"buildah: {output.read()[-2000:].decode(errors='replace')}")
        self.peak_byte_count = max(self.peak_byte_count, usage.ru_maxrss * 1024)
        self.seconds += usage.ru_utime + usage.ru_stime
        return seconds

    def reset_peak(self):
        self.peak_byte_count = 0

    def peak(self):
        return self.peak_byte_count

    def cpu(self):
        return self.seconds

    def stop(self):
        pass


def make_side(name, folder, program):
    folder.mkdir()
    if name == "gantry":
        return Gantry(folder, program)
    if name == "buildah":
        return Buildah(folder)
    return Docker(folder, name == "BuildKit")


def measure(name, side, contexts, number, results):
    """One round; the image is another each time, for what is taken away lets a store collect garbage meanwhile."""
    def note(case, seconds):
        results.setdefault(case, {}).setdefault(name, []).append(seconds)

    side.reset_peak()
    before = side.cpu()
    note("cold", side.build("ten:1", contexts / "ten", "--no-cache"))
    note("cold CPU", side.cpu() - before)
    note("peak", side.peak())
    note("cached", side.build("ten:1", contexts / "ten"))
    changed = contexts / "ten/src/part-3/module-3.py"
    changed.write_text(f"changed {number} for {name}\n")
    note("changed", side.build("ten:1", contexts / "ten"))
    note("three stages", side.build("stages:1", contexts / "stages", "--no-cache"))


def inside(options):
    folder = Path(options.inside)
    stores = Path(tempfile.mkdtemp(dir=options.disk)) if options.disk else folder / "stores"
    stores.mkdir(exist_ok=True)
    if not options.disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12g", "stores", stores], check=True)
    archive = folder / "base.tar"
    write_base(images.archive(images.cached_images(), images.FORMS[0]), archive)
    contexts = folder / "contexts"
    contexts.mkdir()
    write_contexts(contexts)
    sides, results = {}, {}
    try:
        for name in options.sides.split(","):
            # One dockerd a builder: what one made is no cache of the other.
            sides[name] = make_side(name, stores / name, options.gantry)
            sides[name].load(archive)
        os.sync()
        print(f"image: {(images.cached_images() / 'what').read_text()}; store on {'disk' if options.disk else 'tmpfs'}; "
              f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
        for side in sides.values():
            side.build("ten:1", contexts / "ten")
        for number in range(options.repeat):
            for name, side in sides.items():
                measure(name, side, contexts, number, results)
        print(f"load at the end {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        for side in sides.values():
            side.stop()
        if options.disk:
            remove(stores)
    (folder / "result.json").write_text(json.dumps(results))


def remove(stores):
    for line in reversed(open("/proc/self/mounts").read().splitlines()):
        if line.split()[1].startswith(f"{stores}/"):
            subprocess.run(["umount", "-l", line.split()[1]], check=False)
    shutil.rmtree(stores)


def report(results, check):
    sides, missed = list(results["cold"]), []
    print(f"{'':20}" + "".join(f"{side:>16}" for side in sides))
    for case in (*CASES, "cold CPU"):
        medians = {side: statistics.median(runs) for side, runs in results[case].items()}
        print(f"{case:20}" + "".join(f"{medians[side] * 1000:13.0f} ms" for side in sides))
    print(f"{'peak memory':20}" + "".join(f"{max(results['peak'][side]) / 1e6:13.0f} MB" for side in sides))
    if "gantry" not in sides:
        return 0
    ours = {case: statistics.median(results[case]["gantry"]) for case in CASES}
    goals = [(f"cold, times as fast as {side}", statistics.median(results["cold"][side]) / ours["cold"], COLD_GOAL, True)
             for side in ("docker", "buildah") if side in sides]
    goals += [("cached, seconds", ours["cached"], CACHED_GOAL_SECONDS, False),
              ("three stages, seconds", ours["three stages"], STAGES_GOAL_SECONDS, False)]
    for text, value, goal, is_least in goals:
        met = value >= goal if is_least else value <= goal
        print(f"goal {'met' if met else 'MISSED'}: {text}: {value:.3g} ({'at least' if is_least else 'at most'} {goal:g})")
        missed += [] if met else [text]
    return 1 if check and missed else 0


def installed_sides():
    found = ["gantry"]
    if shutil.which("dockerd") and shutil.which("docker"):
        found += ["docker", "BuildKit"]
    return found + (["buildah"] if shutil.which("buildah") else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY))
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--sides", default=",".join(installed_sides()))
    parser.add_argument("--disk")
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options)
    with tempfile.TemporaryDirectory(prefix="gantry-build-") as folder:
        command = [str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--gantry",
                   os.path.abspath(options.gantry), "--repeat", str(options.repeat), "--sides", options.sides]
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
