#!/usr/bin/env python3
"""Prints, as a markdown table, what Security/probe.sh says inside the default containers of Gantry, Docker and Podman.

    Tests/EndToEnd/private_host.sh Tests/Security/compare.py

Gantry's column is Tests/ContainerRuntimeTests/Security/gantry.txt, which a test holds against the running runtime
(SecurityTableTests). Docker and Podman run with folders of their own, without networks. Needs root, dockerd, podman, cc
and busybox; whichever engine is missing gets no column.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent / "ContainerRuntimeTests"
START_SECONDS = 30


def run(*arguments, **options):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=120, **options).stdout


def parse(text):
    rows = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        rows[name.rstrip(":")] = value.strip()
    return rows


def make_root(folder):
    root = folder / "root"
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/busybox\n")
    shutil.copy(TESTS / "Security/probe.sh", root / "probe.sh")
    run("cc", "-static", "-O1", "-o", str(root / "calls"), str(TESTS / "Programs/calls.c"))
    archive = folder / "root.tar"
    run("tar", "-C", str(root), "-cf", str(archive), ".")
    return archive


def namespaces():
    return " ".join(os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns"))


COMMAND = ["--network", "none", "--env", f"HOST_NAMESPACES={namespaces()}", "probe", "/bin/busybox", "sh", "/probe.sh"]


def docker(folder, archive):
    socket = f"unix://{folder}/docker.sock"
    log = open(folder / "dockerd.log", "w")
    engine = subprocess.Popen(
        ["dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile",
         str(folder / "pid"), "--host", socket, "--bridge", "none", "--iptables=false", "--ip6tables=false"],
        stdout=log, stderr=log)
    try:
        client = ["docker", "--host", socket]
        end = time.monotonic() + START_SECONDS
        while subprocess.run(client + ["info"], capture_output=True).returncode != 0:
            if time.monotonic() > end or engine.poll() is not None:
                raise RuntimeError(f"dockerd did not start: {(folder / 'dockerd.log').read_text()[-500:]}")
            time.sleep(0.2)
        run(*client, "import", str(archive), "probe")
        version = run(*client, "version", "--format", "{{.Server.Version}}").strip()
        return f"Docker {version}", parse(run(*client, "run", "--rm", *COMMAND))
    finally:
        engine.terminate()
        engine.wait(30)


def podman(folder, archive):
    client = ["podman", "--root", str(folder / "podman"), "--runroot", str(folder / "podman-run"), "--cgroup-manager",
              "cgroupfs", "--storage-driver", "vfs", "--events-backend", "none"]
    run(*client, "import", str(archive), "probe")
    version = run(*client, "version", "--format", "{{.Client.Version}}").strip()
    return f"Podman {version}", parse(run(*client, "run", "--rm", *COMMAND))


def cell(value):
    return value.replace("|", "\\|") if value else "–"


def main():
    columns = [("Gantry", parse((TESTS / "Security/gantry.txt").read_text()))]
    with tempfile.TemporaryDirectory(prefix="gantry-compare-") as name:
        folder = pathlib.Path(name)
        archive = make_root(folder)
        for program, measure in (("dockerd", docker), ("podman", podman)):
            if not shutil.which(program):
                continue
            try:
                columns.append(measure(folder, archive))
            except (RuntimeError, subprocess.SubprocessError) as error:
                print(f"{program}: {error} {getattr(error, 'stderr', '')}", file=sys.stderr)
    print("| | " + " | ".join(name for name, _ in columns) + " |")
    print("| --- " * (len(columns) + 1) + "|")
    names = list(dict.fromkeys(key for _, rows in columns for key in rows))
    for key in names:
        print(f"| {key} | " + " | ".join(cell(rows.get(key, "")) for _, rows in columns) + " |")


main()
