#!/usr/bin/env python3
"""Unpacks images made by different tools with Gantry, Podman and Docker, and compares the trees path by path: type,
mode, owner, modification time, extended attributes, content, link targets, device numbers, which names are one file.

    compare_trees.py [--gantry PROGRAM] [--only WORD]

One line per image; 1 when one differs, or a tool that is installed cannot make its image. What is not installed is
skipped, and said so. Runs in a private copy of the host (Tests/EndToEnd/private_host.sh) on a tmpfs of its own; leaves
nothing but the cache of the examples' images. Needs root.
"""

import argparse
import functools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "Benchmarks"))
sys.dont_write_bytecode = True
import bench  # noqa: E402
import made_by_hand  # noqa: E402
import made_by_tools  # noqa: E402
from trees import (  # noqa: E402
    Failed, by_tar, differences, is_docker_archive, layers_of_gantry, merged, run, skopeo, walk)

LINES_MAX = 12
# What peers do not take: (image, peer) to the words of their refusal. Gantry does; it is compared with the others, and
# with GNU tar where there are none.
REFUSALS = {
    ("hand duplicates", "podman"): "duplicates of file paths not supported",
    ("hand duplicates", "docker"): "duplicates of file paths not supported",
    ("hand sparse old", "podman"): "unhandled tar header type 83",
    ("hand sparse old", "docker"): "unhandled tar header type 83",
    ("umoci replaced", "docker"): "not a directory",
}


def by_gantry(program, archive, folder):
    data = folder / "gantry"
    run("rm", "-rf", data)
    data.mkdir()
    side = bench.Gantry(data, program)
    try:
        side.start()
        side.load(str(archive))
    finally:
        side.stop()
    store = data / "data/images"
    [image] = [each for each in json.loads((store / "index.json").read_text())["images"] if each["names"]]
    return merged(layers_of_gantry(store, image), folder)


def by_podman(podman, archive):
    name = run(*podman, "load", "-q", "-i", archive).strip().splitlines()[-1].split(": ", 1)[1]
    tree = walk(run(*podman, "image", "mount", name).strip())
    run(*podman, "image", "umount", name)
    run(*podman, "rmi", "-f", name)
    return tree


def by_docker(docker, archive, folder):
    if not is_docker_archive(archive):
        converted, plain = folder / "converted.tar", folder / "converted"
        converted.unlink(missing_ok=True)
        # In two steps: an old skopeo writes no zstd into Docker's archives, nor unpacks it on the way.
        skopeo(f"oci-archive:{archive}", f"dir:{plain}", folder, "--dest-decompress")
        skopeo(f"dir:{plain}", f"docker-archive:{converted}:converted:1", folder)
        run("rm", "-rf", plain)
        archive = converted
    name = run(*docker, "load", "-q", "-i", archive).strip().splitlines()[-1].split(": ", 1)[1]
    data = json.loads(run(*docker, "image", "inspect", name))[0]["GraphDriver"]["Data"]
    lower = [data["UpperDir"], *data.get("LowerDir", "").split(":")]
    tree = merged([each for each in lower if each], folder)
    run(*docker, "rmi", "-f", name)
    return tree


def docker_engine(folder):
    """dockerd on a store of its own in `folder`, started, and how to ask it; None where it is not installed."""
    if shutil.which("dockerd") is None or shutil.which("docker") is None:
        print("skipped: docker is not installed")
        return None, None
    (folder / "docker").mkdir()
    engine = bench.Docker(folder / "docker")
    command = engine.engine_command()
    engine.engine_command = lambda: [*command, "-s", "overlay2", "--bridge=none", "--iptables=false"]
    engine.start()
    return engine, ["docker", "-H", f"unix://{folder}/docker/engine.sock"]


def make_images(folder, docker, podman):
    """(name to archive, how many tools failed)"""
    makers = [("hand", ["zstd", "tar"], made_by_hand.make), ("skopeo", ["skopeo"], made_by_hand.make_by_skopeo),
              ("tar", ["tar"], made_by_tools.make_by_tars), ("umoci", ["umoci", "skopeo"], made_by_tools.make_by_umoci),
              ("buildah", ["buildah"], made_by_tools.make_by_buildah), ("debian", [], made_by_tools.make_of_debian)]
    if podman:
        makers.append(("podman", ["buildah"], functools.partial(made_by_tools.make_by_podman, podman=podman)))
    if docker:
        makers.append(("docker", [], functools.partial(made_by_tools.make_by_docker, docker=docker)))
    made, failed = {}, 0
    for word, programs, make in makers:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            print(f"skipped: {', '.join(missing)} is not installed, for the images of {word}")
            continue
        try:
            make(folder, made)
        except (Failed, OSError) as error:
            failed += 1
            print(f"the images of {word} cannot be made: {error}")
    return made, failed


def compare(name, archive, peers, program, folder):
    """One line; the number of peers whose tree is another."""
    began, verdicts, details, wrong = time.time_ns(), [], [], 0
    ours = by_gantry(program, archive, folder)
    if peers and all((name, peer) in REFUSALS for peer in peers):
        peers = peers | {"GNU tar": functools.partial(by_tar, folder=folder)}
    for peer, unpack in peers.items():
        try:
            lines, intended = differences(ours, unpack(archive), began)
        except Failed as error:
            if REFUSALS.get((name, peer), "\0") in str(error):
                verdicts.append(f"{peer} refuses it")
                continue
            lines, intended = [str(error)], 0
        wrong += bool(lines)
        verdicts.append(f"{peer} " + (f"{len(lines)} DIFFER" if lines else "the same")
                        + (f" ({intended} intended)" if intended else ""))
        details += [f"    {peer}: {line}" for line in lines[:LINES_MAX]]
    print(f"{name:24} {len(ours):5} paths: " + ", ".join(verdicts))
    if details:
        print("\n".join(details))
    sys.stdout.flush()
    return wrong


def inside(options):
    folder = Path(options.inside)
    run("mount", "-t", "tmpfs", "-o", "size=8g", "images", folder / "work")
    for archive in folder.glob("debian-*.tar"):
        shutil.move(archive, folder / "work")
    folder = folder / "work"
    podman, peers = None, {}
    if shutil.which("podman"):
        podman = ["podman", "--root", folder / "pd", "--runroot", folder / "pdr", "--tmpdir", folder / "pdt",
                  "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]
        peers["podman"] = functools.partial(by_podman, podman)
    else:
        print("skipped: podman is not installed")
    engine, docker = docker_engine(folder)
    if docker:
        peers["docker"] = functools.partial(by_docker, docker, folder=folder)
    try:
        made, wrong = make_images(folder, docker, podman)
        chosen = {name: archive for name, archive in made.items() if options.only in name}
        for name, archive in chosen.items():
            try:
                wrong += compare(name, archive, peers, options.gantry, folder) > 0
            except (Failed, bench.Failed) as error:
                wrong += 1
                print(f"{name:24} gantry: {error}")
    finally:
        if engine:
            engine.stop()
    print(f"{len(chosen)} images, {wrong} differ or failed")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY))
    parser.add_argument("--only", default="", help="images whose name has this in it")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options)
    with tempfile.TemporaryDirectory(prefix="gantry-trees-") as folder:
        (Path(folder) / "work").mkdir()
        made_by_tools.prepare_debian(ROOT, Path(folder))
        sys.stdout.flush()
        return subprocess.run([
            str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--gantry", options.gantry,
            "--only", options.only]).returncode


if __name__ == "__main__":
    sys.exit(main())
