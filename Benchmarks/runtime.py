#!/usr/bin/env python3
"""Times what starting a container costs, beside what the kernel alone needs for it, and beside other runtimes.

    runtime.py [--gantry PROGRAM] [--rounds N] [--peers LIST] [--json FILE] [--check]

An engine of its own in a private copy of the host (Tests/EndToEnd/private_host.sh) makes, starts and removes bridged
busybox containers with limits, through its HTTP API over connections that stay open: one after the other, and eight at
once. `floor.c` does the same kernel work in the same places, with no checks, in alternating rounds. Then `run --rm … true`
from shell to shell, of Gantry and of those of runc, crun, docker and podman that are installed; memory; a container with
6 MB; and 500 containers at once. Needs root, cc, python3 and a static busybox; leaves nothing.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench
from bench import Failed

HERE = Path(__file__).resolve().parent
SEQUENTIAL, PARALLEL, WORKERS, MANY = 40, 160, 8, 500
PEERS = ("runc", "crun", "docker", "podman")
# What must hold (--check).
START_GOAL = 2.0  # create and start, times the floor's start and end of `true`
RATE_GOAL = 250.0  # containers a second, eight at once
RUN_GOAL_MS = 25.0
SUPERVISOR_GOAL_BYTES = 500_000
MANY_GOAL = 1.5  # start of the 500th, times that of the first

STACK = """\
services:
  web:
    image: busybox:latest
    command: ["sleep", "3600"]
    mem_limit: {memory}
    pids_limit: 512
    cpus: 1.5
networks:
  default:
    ipam: {{config: [{{subnet: 10.201.0.0/16}}]}}
"""


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def summary(values):
    return {"p10": percentile(values, 0.1), "median": statistics.median(values), "p90": percentile(values, 0.9)}


class Connection:
    """One connection that stays open, with as little between the clock and the engine as Python allows."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)

    def ask(self, method, path, body=b""):
        self.socket.sendall(b"%s %s HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                            % (method, path, len(body), body))
        data = self.socket.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self.more()
        head, answer = data[:end].lower(), data[end + 4:]
        if data[9:10] != b"2":
            raise Failed(f"{method.decode()} {path.decode()}: {data.decode(errors='replace')}")
        start = head.find(b"content-length:")
        length = int(head[start + 15:].split(b"\r\n", 1)[0]) if start >= 0 else 0
        while len(answer) < length:
            answer += self.more()
        return answer

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Failed("the engine closed the connection")
        return data

    def create_and_start(self, path, body):
        """Id, milliseconds to make it and to make and start it."""
        begun = time.perf_counter()
        identifier = json.loads(self.ask(b"POST", path, body))["id"].encode()
        created = time.perf_counter()
        self.ask(b"POST", b"/containers/%s/start" % identifier)
        return identifier, (created - begun) * 1e3, (time.perf_counter() - begun) * 1e3

    def remove(self, identifier):
        self.ask(b"DELETE", b"/containers/%s?force=true" % identifier)


class Api:
    """The engine's API with the request that `gantry run` would send."""

    def __init__(self, side):
        self.side, self.path = side, str(side.socket)
        self.request = self.body = b""

    def use(self, memory="256m", remove=True):
        self.side.stack.write_text(STACK.format(memory=memory))
        self.side.compose("run", "-T", "--rm", "web", "true")  # makes the network, which stays
        options = ["--rm"] if remove else []
        self.request, self.body = capture(
            [*self.side.compose_command(), "-f", str(self.side.stack), "run", "-T", "--no-interactive", *options, "web",
             "sleep", "3600"], self.side)

    def sequential(self, count):
        """Lists of milliseconds: create, create and start, all with the removal."""
        connection, figures = Connection(self.path), {"create": [], "start": [], "cycle": []}
        for _ in range(count):
            begun = time.perf_counter()
            identifier, created, started = connection.create_and_start(self.request, self.body)
            connection.remove(identifier)
            for name, value in (("create", created), ("start", started), ("cycle", (time.perf_counter() - begun) * 1e3)):
                figures[name].append(value)
        return figures

    def parallel(self, count, workers):
        """Containers a second, in processes of their own: Python's threads would wait for each other."""
        begun, children = time.perf_counter(), []
        for _ in range(workers):
            child = os.fork()
            if child == 0:
                try:
                    self.sequential(count // workers)
                    os._exit(0)
                except BaseException as error:
                    print(error, file=sys.stderr)
                    os._exit(1)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        if any(statuses):
            raise Failed("a worker failed")
        return count // workers * workers / (time.perf_counter() - begun)

    def round_trip_ms(self):
        connection, values = Connection(self.path), []
        for _ in range(200):
            begun = time.perf_counter()
            connection.ask(b"GET", b"/_ping")
            values.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(values)


def capture(command, side):
    """Path and body of the `run` request that a command would send, caught by a listener that answers nothing."""
    path = str(side.folder / "capture.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        child = subprocess.Popen(command, env={**side.environment(), "GANTRY_HOST": f"unix://{path}"},
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        listener.settimeout(bench.ENGINE_START_SECONDS)
        try:
            while True:
                connection = listener.accept()[0]
                connection.settimeout(bench.ENGINE_START_SECONDS)
                data = connection.recv(1 << 20)
                if data.startswith(b"POST") and b"/run HTTP" in data:
                    break
                connection.close()  # a look whether an engine answers
            head, body = data.split(b"\r\n\r\n", 1)
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(1 << 20)
        finally:
            child.kill()
            child.wait()
    os.unlink(path)
    return head.split(b" ")[1], body


def floor(program, folder, count, workers):
    answer = subprocess.run([program, "-n", str(count), "-j", str(workers), "-d", folder, "-v", "--json"],
                            check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def take_share():
    """In the private host's own cgroup: against a loaded machine the container side needs its share, both sides alike."""
    shares = Path("/sys/fs/cgroup/cpu/cpu.shares")
    if shares.exists():
        shares.write_text("262144")


def settle():
    """Namespaces and interfaces are taken apart for some time after a round."""
    time.sleep(0.5)


def measure_starts(api, options, folder, program, say):
    """Rounds of ours and the floor, alternating; figures are medians over all, rates those of the rounds."""
    ours, kernel = {"create": [], "start": [], "cycle": []}, {"start": [], "ended": [], "cycle": []}
    rates, kernel_rates = [], []
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for name, values in api.sequential(SEQUENTIAL).items():
            ours[name] += values
        settle()
        alone = floor(program, folder, SEQUENTIAL, 1)
        for name in kernel:
            kernel[name].append(alone[name])
        settle()
        rates.append(api.parallel(PARALLEL, WORKERS))
        settle()
        kernel_rates.append(floor(program, folder, PARALLEL, WORKERS)["containers_per_second"])
        settle()
    return {
        "gantry_ms": {name: summary(values) for name, values in ours.items()},
        "floor_ms": {name: {key: statistics.median(each[key] for each in values) for key in ("p10", "median", "p90")}
                     for name, values in kernel.items()},
        "gantry_per_second": summary(rates), "floor_per_second": summary(kernel_rates),
        "round_trip_ms": api.round_trip_ms(),
    }


def measure_commands(commands, rounds, environment):
    """Milliseconds of each command, alternating, from its start to its end."""
    times = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(bench.run(command, environment) * 1e3)
            time.sleep(0.05)
    return {name: summary(values) for name, values in times.items()}


def measure_memory(side, api):
    """A busybox that may have 6 MB, and 500 containers at once: their starts, their supervisors' memory, the engine's."""
    api.use(memory="6m")
    small = bench.run([*side.compose_command(), "-f", str(side.stack), "run", "-T", "--rm", "web", "true"], side.environment())
    api.use(remove=False)
    connection, started, identifiers = Connection(api.path), [], []
    for _ in range(MANY):
        identifier, _, milliseconds = connection.create_and_start(api.request, api.body)
        identifiers.append(identifier)
        started.append(milliseconds)
    time.sleep(1)
    supervisors, engines = side.memory()
    if len(supervisors) < MANY:
        raise Failed(f"{MANY} containers but {len(supervisors)} supervisors")
    first, last = statistics.median(started[:20]), statistics.median(started[-20:])
    begun = time.perf_counter()
    remove_all(api, identifiers)
    return {
        "small_ms": small * 1e3, "first_ms": first, "last_ms": last, "ratio": last / first,
        "removal_seconds": time.perf_counter() - begun,
        "supervisor_private_bytes_median": statistics.median(each["private"] for each in supervisors),
        "supervisor_private_bytes_max": max(each["private"] for each in supervisors),
        "engine_pss_bytes": sum(each["pss"] for each in engines),
    }


def remove_all(api, identifiers):
    def work(mine):
        connection = Connection(api.path)
        for identifier in mine:
            connection.remove(identifier)
    threads = [threading.Thread(target=work, args=(identifiers[n::WORKERS],)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bundle(folder, program):
    """An OCI bundle of busybox, as runtimes without an engine take it; its network namespace has no interface."""
    root = Path(folder) / program
    (root / "rootfs/bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "rootfs/bin/busybox")
    os.link(root / "rootfs/bin/busybox", root / "rootfs/bin/true")
    subprocess.run([program, "spec"], cwd=root, check=True)
    config = json.loads((root / "config.json").read_text())
    config["process"] |= {"args": ["true"], "terminal": False}
    (root / "config.json").write_text(json.dumps(config))
    return [program, "--root", str(root / "state"), "run", "--bundle", str(root), "bench"]


def run_inside(options):
    """Inside the private host: one engine and what is compared with it there; the results go to a file."""
    take_share()
    folder = Path(options.inside)
    (folder / "engine").mkdir()
    side = bench.Gantry(folder / "engine", options.gantry)
    say = lambda text: print(f"  {text}", file=sys.stderr)
    result = {"version": side.version()}
    try:
        side.start()
        side.load(str(folder / "busybox.tar"))
        api = Api(side)
        api.use()
        api.sequential(SEQUENTIAL)
        result["starts"] = measure_starts(api, options, str(folder), str(folder / "floor"), say)
        say("run --rm")
        commands = {"gantry": [*side.compose_command(), "-f", str(side.stack), "run", "-T", "--rm", "web", "true"]}
        for program in ("runc", "crun"):
            if program in options.peers and shutil.which(program):
                commands[program] = bundle(folder, program)
        result["run_ms"] = measure_commands(commands, 8 * options.rounds, side.environment())
        say(f"memory, {MANY} containers")
        result["memory"] = measure_memory(side, api)
    finally:
        side.stop()
    (folder / "result.json").write_text(json.dumps(result))


def run_docker(options):
    take_share()
    folder = Path(options.inside)
    (folder / "dockerd").mkdir()
    side = bench.Docker(folder / "dockerd")
    try:
        side.start()
        side.load(str(folder / "busybox.tar"))
        command = ["docker", "run", "--rm", "busybox:latest", "true"]
        bench.run(command, side.environment())
        figures = measure_commands({"docker": command}, 2 * options.rounds, side.environment())
    finally:
        side.stop()
    (folder / "result.json").write_text(json.dumps(figures))


def run_podman(options):
    take_share()
    folder = Path(options.inside)
    podman = ["podman", "--root", str(folder / "podman"), "--runroot", "/run/podman", "--cgroup-manager", "cgroupfs",
              "--events-backend", "file"]
    bench.run([*podman, "load", "-i", str(folder / "busybox.tar")], dict(os.environ))
    command = [*podman, "run", "--rm", "busybox:latest", "true"]
    bench.run(command, dict(os.environ))
    figures = measure_commands({"podman": command}, 2 * options.rounds, dict(os.environ))
    (folder / "result.json").write_text(json.dumps(figures))


def run_private(part, options, folder):
    child = subprocess.Popen(
        [str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--part", part, "--gantry",
         str(options.gantry), "--rounds", str(options.rounds), "--peers", options.peers])
    try:
        status = child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if status != 0:
        raise Failed(f"{part}: the benchmark ended with status {status}")
    return json.loads(Path(folder, "result.json").read_text())


def print_results(result):
    starts, memory = result["starts"], result["memory"]
    print(f"\n{'milliseconds':40}{'p10':>8}{'median':>8}{'p90':>8}")
    rows = [("gantry: create", starts["gantry_ms"]["create"]), ("gantry: create and start", starts["gantry_ms"]["start"]),
            ("gantry: create, start, remove", starts["gantry_ms"]["cycle"]),
            ("floor: executed", starts["floor_ms"]["start"]), ("floor: executed, ended, reaped", starts["floor_ms"]["ended"]),
            ("floor: all, removed", starts["floor_ms"]["cycle"])]
    rows += [(f"{name} run --rm … true", values) for name, values in result["run_ms"].items()]
    for title, values in rows:
        print(f"{title:40}" + "".join(f"{values[key]:8.2f}" for key in ("p10", "median", "p90")))
    print(f"{'an empty request, client and all':40}{'':8}{starts['round_trip_ms']:8.2f}")
    print(f"{'containers a second, 8 at once':40}{'':8}{starts['gantry_per_second']['median']:8.0f}"
          f"   (floor {starts['floor_per_second']['median']:.0f})")
    print(f"{MANY} at once: first {memory['first_ms']:.2f} ms, last {memory['last_ms']:.2f} ms,"
          f" removed in {memory['removal_seconds']:.2f} s")
    print(f"supervisor, private MB: {memory['supervisor_private_bytes_median'] / 1e6:.2f}"
          f" (largest {memory['supervisor_private_bytes_max'] / 1e6:.2f});"
          f" engine, PSS MB: {memory['engine_pss_bytes'] / 1e6:.1f}; busybox with 6 MB: {memory['small_ms']:.0f} ms")


def print_goals(result):
    starts, memory = result["starts"], result["memory"]
    ratio = starts["gantry_ms"]["start"]["median"] / starts["floor_ms"]["ended"]["median"]
    rate, run = starts["gantry_per_second"]["median"], result["run_ms"]["gantry"]["median"]
    largest = memory["supervisor_private_bytes_max"]
    goals = [
        (f"create and start at most {START_GOAL:.0f} times the floor", ratio <= START_GOAL, f"{ratio:.2f}"),
        (f"{RATE_GOAL:.0f} containers a second, 8 at once", rate >= RATE_GOAL, f"{rate:.0f}"),
        (f"run --rm in {RUN_GOAL_MS:.0f} ms", run <= RUN_GOAL_MS, f"{run:.1f}"),
        (f"supervisor at most {SUPERVISOR_GOAL_BYTES / 1e6:.1f} MB private", largest <= SUPERVISOR_GOAL_BYTES,
         f"{largest / 1e6:.2f}"),
        (f"the {MANY}th starts in {MANY_GOAL} times the first's time", memory["ratio"] <= MANY_GOAL, f"{memory['ratio']:.2f}"),
    ]
    for text, met, value in goals:
        print(f"goal {'met' if met else 'MISSED'}: {text} ({value})")
    return all(met for _, met, _ in goals)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY), help=f"default: {bench.DEFAULT_GANTRY}")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"default: {','.join(PEERS)}")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return {"gantry": run_inside, "docker": run_docker, "podman": run_podman}[options.part](options)
    if os.geteuid() != 0:
        sys.exit("runtime.py: needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.gantry = os.path.abspath(options.gantry)
    with tempfile.TemporaryDirectory(prefix="gantry-bench.") as folder:
        subprocess.run([sys.executable, str(bench.IMAGE_MAKER), "busybox", "--output", f"{folder}/busybox.tar"], check=True)
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", f"{folder}/floor", str(HERE / "floor.c")], check=True)
        result = run_private("gantry", options, folder)
        for peer, program in (("docker", "dockerd"), ("podman", "podman")):
            if peer in options.peers and shutil.which(program):
                print(f"  {peer}", file=sys.stderr)
                try:
                    result["run_ms"] |= run_private(peer, options, folder)
                except Failed as error:
                    print(f"left out: {error}", file=sys.stderr)
    print_results(result)
    met = print_goals(result)
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    if options.check and not met:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"runtime.py: {error}")
