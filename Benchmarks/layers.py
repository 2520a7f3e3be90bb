#!/usr/bin/env python3
"""Compares two ways to keep an image's layers: directories, and EROFS images made of them.

    layers.py [--disk FOLDER] [--repeat N]

Takes the image of images.py, makes each layer both ways below FOLDER (default: /var/tmp, which must be a disk: EROFS
mounts no file of a tmpfs), stacks them with overlayfs and uses them. Prints medians. Needs root, mkfs.erofs
(erofs-utils), and a kernel with EROFS that mounts files (CONFIG_EROFS_FS_BACKED_BY_FILE, Linux 6.12). Runs in a private
copy of the host; leaves only the examples' cache.
"""

import argparse
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
import images


def run(*command):
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if result.returncode != 0:
        raise bench.Failed(f"{' '.join(map(str, command))}: {result.stderr.decode(errors='replace')[-500:]}")


def timed(body):
    started = time.perf_counter()
    body()
    return time.perf_counter() - started


def sync(folder):
    run("sync", "-f", folder)


def stat_all(root):
    for parent, _, names in os.walk(root):
        for name in names:
            os.lstat(os.path.join(parent, name))


def read_all(root):
    for parent, _, names in os.walk(root):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    while file.read(1 << 20):
                        pass


def used(folder):
    return int(subprocess.run(["du", "-sk", folder], capture_output=True, check=True).stdout.split()[0]) * 1024


def measure(tars, folder, mount_count=50):
    figures = {"directories": {}, "EROFS": {}}
    trees, packed, mounted, merged = (folder / name for name in ("trees", "packed", "mounted", "merged"))
    for each in (trees, packed, mounted, merged):
        each.mkdir()

    def unpack():
        for tar in tars:
            (trees / tar.stem).mkdir()
            run("tar", "-xf", tar, "-C", trees / tar.stem)

    figures["directories"]["make, s"] = timed(unpack)
    figures["directories"]["flush, s"] = timed(lambda: sync(trees))

    def pack():
        for tar in tars:
            run("mkfs.erofs", "-x1", packed / f"{tar.stem}.erofs", trees / tar.stem)

    # What a tool needs that cannot read the tar itself: the tree first.
    figures["EROFS"]["make, s"] = figures["directories"]["make, s"] + timed(pack)
    figures["EROFS"]["  of it packing, s"] = figures["EROFS"]["make, s"] - figures["directories"]["make, s"]
    figures["EROFS"]["flush, s"] = timed(lambda: sync(packed))
    figures["directories"]["on disk, MB"], figures["EROFS"]["on disk, MB"] = used(trees) / 1e6, used(packed) / 1e6

    def mount_images():
        for tar in tars:
            (mounted / tar.stem).mkdir(exist_ok=True)
            run("mount", "-t", "erofs", "-o", "ro", packed / f"{tar.stem}.erofs", mounted / tar.stem)

    figures["EROFS"]["mount the layers, ms"] = timed(mount_images) * 1000
    for kind, root in (("directories", trees), ("EROFS", mounted)):
        lower = ":".join(str(root / tar.stem) for tar in reversed(tars))

        def stack():
            for _ in range(mount_count):
                run("mount", "-t", "overlay", "-o", f"ro,lowerdir={lower}", "overlay", merged)
                run("umount", merged)

        figures[kind]["overlay on and off, ms"] = timed(stack) * 1000 / mount_count
        run("mount", "-t", "overlay", "-o", f"ro,lowerdir={lower}", "overlay", merged)
        figures[kind]["read all, first, s"] = timed(lambda: read_all(merged))
        figures[kind]["read all again, s"] = timed(lambda: read_all(merged))
        figures[kind]["stat all, s"] = timed(lambda: stat_all(merged))
        run("umount", merged)
    for tar in tars:
        run("umount", mounted / tar.stem)
    figures["directories"]["remove, s"] = timed(lambda: shutil.rmtree(trees))
    figures["EROFS"]["remove, s"] = timed(lambda: shutil.rmtree(packed))
    shutil.rmtree(mounted)
    shutil.rmtree(merged)
    return figures


def inside(options):
    folder = Path(options.inside)
    source = images.cached_images()
    tars = []
    with tarfile.open(images.archive(source, images.FORMS[0])) as archive:
        for entry in archive:
            if entry.name.endswith(".tar"):
                tars.append(folder / Path(entry.name).name)
                with open(tars[-1], "wb") as file:
                    shutil.copyfileobj(archive.extractfile(entry), file)
    print(f"image: {(source / 'what').read_text()}; load {os.getloadavg()[0]:.1f}", flush=True)
    runs = []
    for _ in range(options.repeat):
        place = folder / "run"
        place.mkdir()
        runs.append(measure(tars, place))
        place.rmdir()
    print(f"{'':24}{'directories':>14}{'EROFS':>14}")
    for name in dict.fromkeys(name for kind in runs[0].values() for name in kind):
        values = [statistics.median(run[kind][name] for run in runs) if name in runs[0][kind] else None
                  for kind in ("directories", "EROFS")]
        print(f"{name:24}" + "".join(f"{value:14.2f}" if value is not None else f"{'-':>14}" for value in values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disk", default="/var/tmp")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options)
    if not shutil.which("mkfs.erofs") or "erofs" not in Path("/proc/filesystems").read_text():
        sys.exit("mkfs.erofs or the kernel's EROFS is missing")
    with tempfile.TemporaryDirectory(prefix="gantry-layers-", dir=options.disk) as folder:
        return subprocess.run([str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--repeat",
                               str(options.repeat)]).returncode


if __name__ == "__main__":
    sys.exit(main())
