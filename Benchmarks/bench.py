#!/usr/bin/env python3
"""Times Gantry on the commands people wait for, and Docker Engine with docker-compose beside it where installed.

    bench.py [--gantry PROGRAM] [--repeat N] [--sides gantry,docker] [--json FILE] [--check]

Cases: `up` and `down` of 1, 10 and 30 replicas of a busybox service, an `up` that has nothing to do at 30 replicas, and
`run --rm SERVICE true`. Then memory with 30 replicas running. Each side has an engine of its own in a private copy of
the host (Tests/EndToEnd/private_host.sh), with its own data, network, cgroups and processes: the host's own engines,
links and firewall are not touched, and nothing is left. The sides run one after the other. Needs root, python3 and a
static busybox; builds nothing.
"""

import argparse
import json
import os
import platform
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRIVATE_HOST = HERE.parent / "Tests/EndToEnd/private_host.sh"
IMAGE_MAKER = HERE.parent / "examples/images/image.py"
DEFAULT_GANTRY = HERE.parent / ".build/release/gantry"
REPLICAS = (1, 10, 30)
ENGINE_START_SECONDS = 30
COMMAND_SECONDS = 300
# What must hold (--check): times faster than Docker, and bytes of private memory a container's supervisor may have.
SPEED_GOAL = 8.0
SPEED_GOAL_CASES = ("up 30", "run --rm")
SUPERVISOR_GOAL_BYTES = 1_500_000

# The process ends at SIGTERM, so `down` measures the engine and not a grace period.
STACK = """\
services:
  web:
    image: busybox:latest
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $$!; done"]
    scale: {replicas}
"""


class Failed(Exception):
    pass


def run(command, environment):
    """Seconds that the command took. Its output goes to a file: a pipe would make the command wait for its reader. It is
    waited for by its descriptor: Python's own wait with a time limit looks only after 0.5, 1.5, 3.5 ms and so on."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment)
        descriptor = os.pidfd_open(child.pid)
        ended = select.select([descriptor], [], [], COMMAND_SECONDS)[0]
        seconds = time.perf_counter() - started
        os.close(descriptor)
        if not ended:
            child.kill()
        status = child.wait() if ended else f"none in {COMMAND_SECONDS} s"
        if status != 0:
            output.seek(0)
            tail = output.read()[-2000:].decode(errors="replace")
            raise Failed(f"{' '.join(map(str, command))}: status {status}\n{tail}")
    return seconds


def memory(pid):
    """Bytes of a process: `private` (its alone) and `pss` (with its share of what it shares)."""
    fields = {"private": 0, "pss": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        if name in ("Private_Clean:", "Private_Dirty:"):
            fields["private"] += int(value) * 1024
        elif name == "Pss:":
            fields["pss"] = int(value) * 1024
    return fields


def processes():
    """Process id to the name it was started under: its first argument, for the program itself may be a sealed copy."""
    names = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        except OSError:
            continue
        if first:
            names[int(pid)] = os.path.basename(first)
    return names


class Side:
    """One engine and the command line that drives it."""

    def __init__(self, folder):
        self.folder, self.engine = Path(folder), None
        self.socket = self.folder / "engine.sock"
        self.stack = self.folder / "bench" / "compose.yaml"
        self.stack.parent.mkdir()

    def start(self):
        log = open(self.folder / "engine.log", "wb")
        self.engine = subprocess.Popen(
            self.engine_command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + ENGINE_START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or self.engine.poll() is not None:
                tail = (self.folder / "engine.log").read_bytes()[-2000:].decode(errors="replace")
                raise Failed(f"the engine does not answer\n{tail}")
            time.sleep(0.1)

    def answers(self):
        """Asked directly: Gantry's command line would start an engine of its own when none answers."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ENGINE_START_SECONDS)
                connection.connect(str(self.socket))
                connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
                return b" 200 " in connection.recv(100)
        except OSError:
            return False

    def stop(self):
        if self.engine is not None and self.engine.poll() is None:
            self.engine.send_signal(signal.SIGTERM)
            try:
                self.engine.wait(30)
            except subprocess.TimeoutExpired:
                self.engine.kill()

    def environment(self):
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "GANTRY_HOST": f"unix://{self.socket}",
                "COMPOSE_INTERACTIVE_NO_CLI": "1", "COMPOSE_HTTP_TIMEOUT": "600"}

    def scale(self, replicas):
        self.stack.write_text(STACK.format(replicas=replicas))

    def compose(self, *arguments):
        return run([*self.compose_command(), "-f", str(self.stack), *arguments], self.environment())

    def load(self, archive):
        run([*self.load_command(), "load", "-i", archive], self.environment())


class Gantry(Side):
    def __init__(self, folder, program):
        super().__init__(folder)
        self.program = str(program)

    def engine_command(self):
        return [self.program, "engine", "--data-root", str(self.folder / "data"),
                "--exec-root", "/run/gantry-bench", "--host", f"unix://{self.socket}"]

    def compose_command(self):
        return [self.program]

    def load_command(self):
        return [self.program]

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.strip()

    def memory(self):
        everything = processes()
        supervisors = [memory(pid) for pid, name in everything.items() if name == "gantry-supervisor"]
        engines = [memory(pid) for pid, name in everything.items() if name == os.path.basename(self.program)]
        return supervisors, engines


class Docker(Side):
    def engine_command(self):
        return ["dockerd", "--data-root", str(self.folder / "data"), "--exec-root", "/run/docker-bench",
                "--pidfile", str(self.folder / "pid"), "--host", f"unix://{self.socket}"]

    def compose_command(self):
        return ["docker-compose"]

    def load_command(self):
        return ["docker"]

    def version(self):
        engine = subprocess.run(["dockerd", "--version"], capture_output=True, text=True).stdout.split(",")[0]
        compose = subprocess.run(["docker-compose", "--version"], capture_output=True, text=True).stdout.split(",")[0]
        return f"{engine.strip()}, {compose.strip()}"

    def memory(self):
        everything = processes()
        shims = [memory(pid) for pid, name in everything.items() if name.startswith("containerd-shim")]
        engines = [memory(pid) for pid, name in everything.items() if name in ("dockerd", "containerd")]
        return shims, engines


def measure(side, repeat, say):
    """Case name to its list of seconds, and the memory figures with the most replicas running."""
    times, figures = {}, {}

    def timed(case, *arguments):
        times.setdefault(case, []).append(side.compose(*arguments))

    side.scale(1)
    side.compose("up", "-d")
    side.compose("down")
    for replicas in REPLICAS:
        side.scale(replicas)
        say(f"up and down of {replicas}")
        for _ in range(repeat):
            timed(f"up {replicas}", "up", "-d")
            if replicas == max(REPLICAS):
                timed(f"up {replicas}, no change", "up", "-d")
                if not figures:
                    figures = memory_figures(side, replicas)
            timed(f"down {replicas}", "down")
    say("run --rm")
    side.scale(1)
    side.compose("run", "-T", "--rm", "web", "true")  # makes the network, which stays
    for _ in range(repeat):
        timed("run --rm", "run", "-T", "--rm", "web", "true")
    side.compose("down")
    return times, figures


def memory_figures(side, replicas):
    time.sleep(2)
    supervisors, engines = side.memory()
    if len(supervisors) < replicas:
        raise Failed(f"{replicas} containers but {len(supervisors)} supervising processes")
    return {
        "supervisor_private_bytes_median": statistics.median(each["private"] for each in supervisors),
        "supervisor_private_bytes_max": max(each["private"] for each in supervisors),
        "engine_pss_bytes": sum(each["pss"] for each in engines),
    }


def run_inside(options):
    """One side, inside its private host; the results go to a file."""
    folder = Path(options.inside)
    side = Gantry(folder, options.gantry) if options.sides == "gantry" else Docker(folder)
    result = {"version": side.version()}
    try:
        side.start()
        side.load(str(folder.parent / "busybox.tar"))
        times, figures = measure(side, options.repeat, lambda text: print(f"  {options.sides}: {text}", file=sys.stderr))
        result |= {"seconds": times, "memory": figures}
    finally:
        side.stop()
    (folder / "result.json").write_text(json.dumps(result))


def run_side(name, options, folder):
    inside = Path(folder) / name
    inside.mkdir()
    arguments = [str(PRIVATE_HOST), sys.executable, __file__, "--inside", str(inside), "--sides", name,
                 "--gantry", str(options.gantry), "--repeat", str(options.repeat)]
    child = subprocess.Popen(arguments)
    try:
        status = child.wait()
    except BaseException:
        child.terminate()  # it takes down all it started, then ends
        child.wait()
        raise
    if status != 0:
        raise Failed(f"{name}: the benchmark ended with status {status}")
    return json.loads((inside / "result.json").read_text())


def print_table(results):
    gantry, docker = results.get("gantry"), results.get("docker")
    print(f"\n{'seconds, median (least)':26}" + "".join(f"{name:>20}" for name in results)
          + ("     times faster" if gantry and docker else ""))
    for case in next(iter(results.values()))["seconds"]:
        line = f"{case:26}"
        for result in results.values():
            values = result["seconds"][case]
            line += f"{statistics.median(values):11.3f} ({min(values):.3f})"
        if gantry and docker:
            line += f"{ratio(results, case):17.1f}"
        print(line)
    for key, title in (("supervisor_private_bytes_median", "supervisor, private MB"),
                       ("supervisor_private_bytes_max", "  the largest"),
                       ("engine_pss_bytes", "engine, PSS MB")):
        print(f"{title:26}" + "".join(f"{result['memory'][key] / 1e6:20.2f}" for result in results.values()))
    for name, result in results.items():
        print(f"{name}: {result['version']}")


def ratio(results, case):
    docker, gantry = (statistics.median(results[side]["seconds"][case]) for side in ("docker", "gantry"))
    return docker / gantry


def print_goals(results):
    """One line a goal that can be judged; whether all were met."""
    goals = []
    if "gantry" in results:
        largest = results["gantry"]["memory"]["supervisor_private_bytes_max"]
        goals.append((f"supervisor at most {SUPERVISOR_GOAL_BYTES / 1e6:.1f} MB private",
                      largest <= SUPERVISOR_GOAL_BYTES, f"{largest / 1e6:.2f} MB"))
    if {"gantry", "docker"} <= results.keys():
        for case in SPEED_GOAL_CASES:
            goals.append((f"{case}: {SPEED_GOAL:.0f} times faster", ratio(results, case) >= SPEED_GOAL,
                          f"{ratio(results, case):.1f}"))
    for text, met, value in goals:
        print(f"goal {'met' if met else 'MISSED'}: {text} ({value})")
    return all(met for _, met, _ in goals)


def choose_sides(options):
    if options.sides:
        return options.sides.split(",")
    found = ["gantry"]
    if all(shutil.which(program) for program in ("dockerd", "docker", "docker-compose")):
        found.append("docker")
    else:
        print("dockerd or docker-compose is not installed: Gantry alone", file=sys.stderr)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(DEFAULT_GANTRY), help=f"default: {DEFAULT_GANTRY}")
    parser.add_argument("--repeat", type=int, default=5, help="times each case is measured (default 5)")
    parser.add_argument("--sides", help="gantry, docker or gantry,docker (default: what is installed)")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return run_inside(options)
    if os.geteuid() != 0:
        sys.exit("bench.py: needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.gantry = os.path.abspath(options.gantry)
    sides = choose_sides(options)
    if "gantry" in sides and not os.access(options.gantry, os.X_OK):
        sys.exit(f"bench.py: no program {options.gantry}; run `make build` first")
    with tempfile.TemporaryDirectory(prefix="gantry-bench.") as folder:
        subprocess.run([sys.executable, str(IMAGE_MAKER), "busybox", "--output", f"{folder}/busybox.tar"], check=True)
        results = {side: run_side(side, options, folder) for side in sides}
    print_table(results)
    met = print_goals(results)
    if options.json:
        host = {"kernel": platform.release(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
        Path(options.json).write_text(json.dumps({"host": host, "repeat": options.repeat, **results}, indent=1) + "\n")
    if options.check and not met:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"bench.py: {error}")
