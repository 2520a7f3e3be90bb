#!/usr/bin/env python3
"""Times `config` on large stacks, for Gantry and for docker-compose beside it where installed.

    config.py [--gantry PROGRAM] [--compose PROGRAM] [--repeat N] [--services N,N,…] [--json FILE] [--check]

A stack is split over files of 100 services each, with anchors, merge keys, variables, short and long syntax. Gantry
reads them by `include`; docker-compose 1, which has no `include`, gets them with `-f`. A file of each program's own
output is written, so that all of the work is done. Runs of the programs alternate. Needs no engine and builds nothing.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT_GANTRY = HERE.parent / ".build/release/gantry"
PER_FILE = 100
# What must hold (--check) at 1,000 services: seconds and bytes.
SECONDS_GOAL = 0.150
BYTES_GOAL = 200_000_000

HEAD = """\
x-base: &base
  image: "registry.example.com/base:${TAG:-1}"
  restart: unless-stopped
  environment: &environment
    LOG_LEVEL: ${LOG_LEVEL:-info}
    MODE: "production"
services:
"""
SERVICE = """\
  svc{i}:
    <<: *base
    image: "registry.example.com/app:{i}"
    command: ["serve", "--id", "{i}"]
    environment:
      <<: *environment
      NAME: svc{i}
    ports: ["{port}:80"]
    volumes: ["data:/data", "./conf:/etc/app:ro"]
    networks: [front]
    depends_on: [svc{before}]
    healthcheck:
      test: curl -f http://localhost/
      interval: 10s
    labels: ["com.example.id={i}"]
"""
TAIL = "networks: {front: {}}\nvolumes: {data: {}}\n"


def write_stack(folder, count):
    """The included files' names, and the file that includes them."""
    names = []
    for start in range(0, count, PER_FILE):
        last = min(start + PER_FILE, count)
        text = HEAD
        for i in range(start, last):
            service = SERVICE.format(i=i, next=(i + 1) % count, before=i - 1, port=10000 + i)
            text += service if i > start else service.replace(f"    depends_on: [svc{i - 1}]\n", "")
        names.append(f"part{start // PER_FILE}.yaml")
        (folder / names[-1]).write_text(text + TAIL)
    whole = "name: big\ninclude:\n" + "".join(f"  - {name}\n" for name in names)
    (folder / "compose.yaml").write_text(whole)
    return names


def run(command, folder):
    """Seconds and peak bytes of one run."""
    with open(folder / "output", "wb") as output:
        started = time.perf_counter()
        child = os.posix_spawn(
            command[0], command, {**os.environ, "COMPOSE_PROJECT_NAME": "big"},
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)])
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"config.py: {' '.join(command)} failed:\n" + (folder / "output").read_text()[-2000:])
    return seconds, usage.ru_maxrss * 1024


def measure(programs, counts, repeat):
    results = {}
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="gantry-bench.") as name:
            folder = Path(name)
            parts = write_stack(folder, count)
            commands = {"gantry": [programs["gantry"], "-f", f"{folder}/compose.yaml", "config"]}
            if "compose" in programs:
                files = [word for part in parts for word in ("-f", f"{folder}/{part}")]
                commands["compose"] = [programs["compose"], *files, "config"]
            runs = {side: [] for side in commands}
            for _ in range(repeat):
                for side, command in commands.items():
                    runs[side].append(run(command, folder))
            results[count] = {
                side: {"seconds": statistics.median(r[0] for r in found), "least": min(r[0] for r in found),
                       "bytes": max(r[1] for r in found)} for side, found in runs.items()}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(DEFAULT_GANTRY), help=f"default: {DEFAULT_GANTRY}")
    parser.add_argument("--compose", default=shutil.which("docker-compose"), help="default: docker-compose of the PATH")
    parser.add_argument("--repeat", type=int, default=7, help="times each case is measured (default 7)")
    parser.add_argument("--services", default="1000,2000,4000", help="sizes of the stacks")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    options = parser.parse_args()
    programs = {"gantry": os.path.abspath(options.gantry)}
    if options.compose:
        programs["compose"] = options.compose
    results = measure(programs, [int(count) for count in options.services.split(",")], options.repeat)
    print(f"{'services':>8} {'program':10} {'median s':>9} {'least s':>9} {'peak MB':>8} {'ms a service':>12}")
    for count, sides in results.items():
        for side, found in sides.items():
            print(f"{count:8} {side:10} {found['seconds']:9.3f} {found['least']:9.3f} {found['bytes'] / 1e6:8.1f} "
                  f"{found['seconds'] * 1000 / count:12.3f}")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    goal = results.get(1000, {}).get("gantry")
    met = goal is None or goal["seconds"] <= SECONDS_GOAL and goal["bytes"] <= BYTES_GOAL
    print(f"goal {'met' if met else 'MISSED'}: 1,000 services in {SECONDS_GOAL} s and {BYTES_GOAL // 10**6} MB")
    if options.check and not met:
        sys.exit(1)


if __name__ == "__main__":
    main()
