#!/usr/bin/env python3
"""Times `gantry reconcile` and `gantry plan` when nothing is to do, with many replicas that really run.

Beside it, where docker-compose is installed, `docker-compose up -d` of the same stack in Docker, which finds nothing to
do either (--peer). Everything is in namespaces of its own: run it by `Tests/EndToEnd/private_host.sh`, as `make bench`
does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../Tests/EndToEnd"))
from harness import busybox_image, wait_until  # noqa: E402

STACK = """
name: many
services:
"""
SERVICE = """  s{number}:
    image: busybox
    command: ["sleep", "infinity"]
    init: true
    stop_grace_period: 0s
    restart: always
    deploy: {{replicas: {replicas}}}
"""


def run(arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, **options)


def median(times):
    return f"{statistics.median(times) * 1000:.0f} ms (best {min(times) * 1000:.0f}, worst {max(times) * 1000:.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gantry", default=".build/release/gantry")
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=10, help="of each service")
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    gantry = os.path.abspath(arguments.gantry)
    with tempfile.TemporaryDirectory(prefix="gantry-reconcile-") as root:
        environment = dict(os.environ, GANTRY_HOST=f"unix://{root}/gantry.sock", GANTRY_NO_AUTOSTART="1")
        with open(f"{root}/engine.log", "wb") as log:
            engine = subprocess.Popen(
                [gantry, "engine", "--data-root", f"{root}/data", "--exec-root", f"{root}/run", "--host",
                 environment["GANTRY_HOST"]], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            measure(gantry, root, environment, arguments)
        finally:
            run([gantry, "-p", "many", "down", "-t", "0"], env=environment, cwd=root)
            engine.terminate()
            engine.wait(timeout=60)


def measure(gantry, root, environment, arguments):
    wait_until(lambda: run([gantry, "version"], env=environment).returncode == 0, what="the engine")
    busybox_image(f"{root}/busybox.tar")
    run([gantry, "load", "-i", f"{root}/busybox.tar"], env=environment, check=True)
    with open(f"{root}/compose.yaml", "w") as file:
        file.write(STACK)
        for number in range(arguments.services):
            file.write(SERVICE.format(number=number, replicas=arguments.replicas))
    begun = time.monotonic()
    up = run([gantry, "up", "-d", "--wait"], env=environment, cwd=root)
    if up.returncode:
        with open(f"{root}/engine.log") as log:
            print(log.read()[:3000])
        sys.exit(up.stderr[-2000:])
    count = arguments.services * arguments.replicas
    print(f"up of {count} replicas: {time.monotonic() - begun:.1f} s")
    for command in (["reconcile"], ["plan"], ["up", "-d"], ["ps", "-q"]):
        times = []
        for _ in range(arguments.repeat):
            begun = time.monotonic()
            result = run([gantry, *command], env=environment, cwd=root)
            times.append(time.monotonic() - begun)
            if result.returncode:
                sys.exit(f"{command}: {result.stderr}")
        print(f"{' '.join(command)}, nothing to do, {count} replicas: {median(times)}")


if __name__ == "__main__":
    main()
