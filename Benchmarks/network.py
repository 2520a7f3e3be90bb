#!/usr/bin/env python3
"""Times the way into a container through a published port, beside plain routing through a bridge and beside Docker.

    network.py [--gantry PROGRAM] [--rounds N] [--seconds S] [--ports N] [--sides SIDES] [--json FILE] [--check]

Each side is a private copy of the host (Tests/EndToEnd/private_host.sh) with a client in a namespace of its own, joined
to the host by a veth. `routing` is the floor: the client reaches the address of a namespace behind a bridge, with no
firewall and no connection tracking at all. `dnat` is that with one rule that translates the host's address: the least
that publishing a port costs in this kernel. `gantry` and `docker` run the same program in a container and publish its
ports. The sides are measured in turn, round by round: throughput of one connection, a byte there and back, and new
connections. Then each engine brings up a service with many published ports, and one more with a single port. Needs root,
cc, python3, iproute2 and a static busybox; leaves nothing.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
from bench import Failed

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Tests/EndToEnd"))
HOST, CLIENT, CONTAINER = "198.51.100.1", "198.51.100.2", "10.88.0.2"
SERVE, ECHO, SINK = 8080, 8081, 8082
FIRST_PORT = 20000
# What must hold (--check): a published port costs at most this part of plain routing.
GOAL = 0.05
# The sides that have no engine.
FLOORS = ("routing", "dnat")
SETTLE_SECONDS = 1

STACK = """\
services:
  web:
    image: traffic:latest
    command: ["sh", "-c", "/bin/traffic echo 81 & /bin/traffic sink 82 & exec /bin/traffic serve 80 web"]
    ports: ["8080:80", "8081:81", "8082:82"]
"""
MANY = """\
services:
  many:
    image: traffic:latest
    command: ["/bin/traffic", "serve", "{first}", "many"]
    ports: ["{first}-{last}:{first}-{last}"]
  one:
    image: traffic:latest
    command: ["/bin/traffic", "serve", "80", "one"]
    ports: ["8090:80"]
"""


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def make_client():
    os.makedirs("/run/netns", exist_ok=True)
    sh("ip", "netns", "add", "client")
    sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", "client")
    sh("ip", "address", "add", f"{HOST}/24", "dev", "lan0")
    sh("ip", "link", "set", "lan0", "up")
    for words in ("link set lo up", f"address add {CLIENT}/24 dev eth0", "link set eth0 up",
                  f"route add default via {HOST}"):
        sh("ip", "-n", "client", *words.split())


def make_floor(program, translates):
    """A bridge with one namespace behind it, and the host as a router; the processes that serve there."""
    if translates:
        ports = f"{SERVE}, {ECHO}, {SINK}"
        sh("nft", "add table ip floor; add chain ip floor translate { type nat hook prerouting priority dstnat; }; "
           f"add rule ip floor translate ip daddr {HOST} tcp dport {{ {ports} }} dnat to {CONTAINER}")
    sh("sysctl", "-qw", "net.ipv4.ip_forward=1")
    sh("ip", "link", "add", "floor0", "type", "bridge", "forward_delay", "0")
    sh("ip", "address", "add", "10.88.0.1/24", "dev", "floor0")
    sh("ip", "link", "set", "floor0", "up")
    sh("ip", "netns", "add", "server")
    sh("ip", "link", "add", "floor1", "type", "veth", "peer", "name", "eth0", "netns", "server")
    sh("ip", "link", "set", "floor1", "master", "floor0", "up")
    for words in ("link set lo up", f"address add {CONTAINER}/24 dev eth0", "link set eth0 up",
                  "route add default via 10.88.0.1"):
        sh("ip", "-n", "server", *words.split())
    modes = (["serve", str(SERVE), "web"], ["echo", str(ECHO)], ["sink", str(SINK)])
    return [subprocess.Popen(["ip", "netns", "exec", "server", program, *mode]) for mode in modes]


def measure(program, address, seconds):
    def client(mode, port):
        words = sh("ip", "netns", "exec", "client", program, mode, address, str(port), str(seconds)).split()
        return [float(word) for word in words]

    (gigabits,) = client("pour", SINK)
    _, ping, _, _ = client("ping", ECHO)
    rate, median, _, errors = client("connect", SERVE)
    if errors:
        raise Failed(f"{errors:.0f} connections failed")
    return {"gigabits": gigabits, "ping": ping, "connections": rate, "connect": median}


def many_ports(side, count):
    """Seconds to bring up a service with `count` ports, then one with one port beside it, and to take both down."""
    side.stack.write_text(MANY.format(first=FIRST_PORT, last=FIRST_PORT + count - 1))
    many = side.compose("up", "-d", "many")
    # As a container that is added later: what is there is not looked at again.
    one = side.compose("up", "-d", "--no-deps", "one")
    proxies = sum(name == "docker-proxy" for name in bench.processes().values())
    return {"many": many, "one": one, "down": side.compose("down"), "proxies": proxies}


def run_inside(options):
    """One side, inside its private host: measures once for each line that it reads, and answers with one."""
    folder, name = Path(options.inside), options.sides
    program = str(folder.parent / "traffic")
    make_client()
    side, children = None, []
    try:
        if name in FLOORS:
            children = make_floor(program, translates=name == "dnat")
        else:
            side = bench.Gantry(folder, options.gantry) if name == "gantry" else bench.Docker(folder)
            side.start()
            side.load(str(folder.parent / "traffic.tar"))
            side.stack.write_text(STACK)
            side.compose("up", "-d")
        time.sleep(SETTLE_SECONDS)
        print(json.dumps({"version": side.version() if side else "the kernel alone"}), flush=True)
        for line in sys.stdin:
            if line == "measure\n":
                answer = measure(program, CONTAINER if name == "routing" else HOST, options.seconds)
            else:
                side.compose("down")
                answer = many_ports(side, options.ports)
            print(json.dumps(answer), flush=True)
    finally:
        if side:
            side.stop()
        for child in children:
            child.kill()


class Inside:
    def __init__(self, name, options, folder):
        self.name, inside = name, Path(folder) / name
        inside.mkdir()
        self.child = subprocess.Popen(
            [str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", str(inside), "--sides", name, "--gantry",
             str(options.gantry), "--seconds", str(options.seconds), "--ports", str(options.ports)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.answer()["version"]

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise Failed(f"{self.name}: the benchmark ended with status {self.child.wait()}")
        return json.loads(line)

    def ask(self, what):
        self.child.stdin.write(f"{what}\n")
        self.child.stdin.flush()
        return self.answer()

    def end(self):
        self.child.stdin.close()
        self.child.wait()


ROWS = (("gigabits", "throughput, Gbit/s", 1), ("ping", "there and back, µs", -1),
        ("connections", "new connections/s", 1), ("connect", "connection, µs", -1))


def print_table(rounds, many, versions, count):
    floors = [floor for floor in FLOORS if {floor, "gantry"} <= rounds.keys()]
    print(f"\n{'median of rounds':26}" + "".join(f"{name:>12}" for name in rounds)
          + "".join(f"{'of ' + floor:>12}" for floor in floors))
    for key, title, _ in ROWS:
        line = f"{title:26}" + "".join(f"{median(results, key):12.1f}" for results in rounds.values())
        print(line + "".join(f"{share(rounds, key, floor):12.1%}" for floor in floors))
    for key, title in (("many", f"up with {count} ports, s"), ("one", "one more port, s"), ("down", "down, s"),
                       ("proxies", "proxy processes")):
        print(f"{title:26}" + "".join(f"{many[name][key]:12.3f}" if name in many else " " * 12 for name in rounds))
    for name, version in versions.items():
        print(f"{name}: {version}")


def median(results, key):
    return statistics.median(result[key] for result in results)


def share(rounds, key, floor):
    """Median of Gantry's figure as a part of the floor's in the same round: the machine's weather falls out."""
    return statistics.median(ours[key] / theirs[key] for ours, theirs in zip(rounds["gantry"], rounds[floor]))


def print_goals(rounds):
    met = True
    for floor in FLOORS:
        if not {floor, "gantry"} <= rounds.keys():
            continue
        for key, title, sign in ROWS[:2]:
            part = share(rounds, key, floor)
            good = part >= 1 - GOAL if sign > 0 else part <= 1 + GOAL
            print(f"goal {'met' if good else 'MISSED'}: {title} within {GOAL:.0%} of {floor} ({part:.1%})")
            met = met and good
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY), help=f"default: {bench.DEFAULT_GANTRY}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default 2)")
    parser.add_argument("--ports", type=int, default=1000, help="of the service with many (default 1000)")
    parser.add_argument("--sides", help="some of routing,gantry,docker (default: what is installed)")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return run_inside(options)
    if os.geteuid() != 0:
        sys.exit("network.py: needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.gantry = os.path.abspath(options.gantry)
    names = options.sides.split(",") if options.sides else [*FLOORS, *bench.choose_sides(options)]
    with tempfile.TemporaryDirectory(prefix="gantry-bench.") as folder:
        sh("cc", "-O2", "-static", "-o", f"{folder}/traffic", str(HERE / "traffic.c"))
        from harness import busybox_image

        busybox_image(f"{folder}/traffic.tar", tag="traffic:latest", files={"bin/traffic": f"{folder}/traffic"})
        sides = []
        try:
            for name in names:
                sides.append(Inside(name, options, folder))
            rounds = {side.name: [] for side in sides}
            for number in range(options.rounds):
                print(f"  round {number + 1} of {options.rounds}", file=sys.stderr)
                for side in sides:
                    rounds[side.name].append(side.ask("measure"))
            many = {}
            for side in sides:
                if side.name not in FLOORS:
                    print(f"  {side.name}: {options.ports} ports", file=sys.stderr)
                    many[side.name] = side.ask("many")
            versions = {side.name: side.version for side in sides}
        finally:
            for side in sides:
                side.end()
    print_table(rounds, many, versions, options.ports)
    met = print_goals(rounds)
    if options.json:
        Path(options.json).write_text(json.dumps({"rounds": rounds, "many": many, "versions": versions}, indent=1) + "\n")
    if options.check and not met:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"network.py: {error}")
