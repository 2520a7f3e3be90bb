#!/usr/bin/env python3
"""Times the name server of containers beside dnsmasq and aardvark-dns, where these are installed.

    dns.py [--supervisor PROGRAM] [--rounds N] [--count N] [--containers N] [--check]

Every server answers the same name with three addresses, in network namespaces of a private copy of the host
(Tests/EndToEnd/private_host.sh); rounds are interleaved. `per core` is answers by processor time of the server;
`p99` under load is with 32 questions under way. The memory (Pss) of ours is with so many containers, each with sockets
in a namespace of its own. Needs root, cc, python3 and iproute2; leaves nothing.
"""

import argparse
import array
import ctypes
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLONE_NEWNET = 0x40000000
GOAL_PER_SECOND, GOAL_P99_MICROSECONDS = 20_000, 2_000
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
LIBC = ctypes.CDLL(None, use_errno=True)



def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


class Gantry:
    """Speaks the language of Sources/NetworkService as an engine does."""

    name, process_name = "gantry", "gantry-network"

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def start(self):
        subprocess.run([self.program, "network", self.folder], check=True)
        self.engine = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.engine.connect(f"{self.folder}/network.sock")
        hello = self.engine.recv(65536)
        self.pid = struct.unpack(">I", hello[6:10])[0]
        zone = bytes([0, 2]) + text("zone") + struct.pack(">III", 1, 0, 1) + text("web")
        zone += struct.pack(">I", len(ADDRESSES)) + b"".join(text(socket.inet_aton(each)) for each in ADDRESSES)
        self.engine.send(zone)

    def serve(self, scope):
        """In the calling thread's network namespace."""
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for each in (udp, tcp):
            each.bind(("127.0.0.11", 53))
        tcp.listen(64)
        rights = array.array("i", [udp.fileno(), tcp.fileno()])
        self.engine.sendmsg(
            [bytes([0, 4]) + text(scope) + text("zone")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        udp.close()
        tcp.close()

    def stop(self):
        self.engine.send(bytes([0, 255]))
        wait_for(lambda: not os.path.exists(f"/proc/{self.pid}"), "the end of the network process")


class Program:
    """A server in the foreground."""

    def __init__(self, name, command):
        self.name = self.process_name = name
        self.command = command

    def start(self):
        self.process = None

    def serve(self, scope):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid

    def stop(self):
        self.process.kill()
        self.process.wait()


def wait_for(condition, what):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise SystemExit(f"dns: waited in vain for {what}")


def processor_seconds(name):
    """Of every process of this name: some put themselves into the background. Nanoseconds count (/proc/PID/schedstat)."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "comm").read_text().strip() == name[:15]:
                for task in (folder / "task").iterdir():
                    total += int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            continue
    return total


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def ask(tool, address, count, window):
    result = subprocess.run([tool, address, "53", "web", str(count), str(window)], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"dns: {address}: {result.stderr.strip()}")
    answered, lost, seconds, median, p99 = result.stdout.split()
    return int(answered), int(lost), float(seconds), float(median), float(p99)


def servers(arguments, folder):
    made = [(Gantry(arguments.supervisor, folder), "127.0.0.11")]
    if shutil.which("dnsmasq"):
        records = [f"--host-record=web,{each}" for each in ADDRESSES]
        made.append((Program("dnsmasq", [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces",
            "--listen-address=127.0.0.11", "--except-interface=none", "--user=root", "--pid-file=", *records]),
            "127.0.0.11"))
    aardvark = shutil.which("aardvark-dns") or "/usr/lib/podman/aardvark-dns"
    if os.access(aardvark, os.X_OK):
        config = Path(folder, "aardvark")
        config.mkdir()
        lines = [f"{index:064x} {address}  web" for index, address in enumerate(ADDRESSES)]
        # It looks names up by who asks: the client has an address of the network.
        lines += [f"{99:064x} 10.0.0.254  client"]
        (config / "net").write_text("10.0.0.254\n" + "\n".join(lines) + "\n")
        made.append((Program("aardvark-dns", [aardvark, "--config", str(config), "-p", "53", "run"]), "10.0.0.254"))
    return made


def measure(arguments, tool, server, address):
    """In a namespace of its own, made by the caller."""
    before = processor_seconds(server.process_name)
    loaded = ask(tool, address, arguments.count, 32)
    spent = processor_seconds(server.process_name) - before
    serial = ask(tool, address, arguments.count // 4, 1)
    return {
        "rate": loaded[0] / loaded[2], "per_core": loaded[0] / max(spent, 0.01), "loaded_p99": loaded[4],
        "median": serial[3], "p99": serial[4], "lost": loaded[1] + serial[1],
    }


def run(arguments):
    with tempfile.TemporaryDirectory() as folder:
        tool = f"{folder}/dnsq"
        subprocess.run(["cc", "-O2", "-o", tool, HERE / "dnsq.c"], check=True)
        results = {}
        made = servers(arguments, folder)
        for server, address in made:
            if LIBC.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run("ip link set lo up; ip address add 10.0.0.254/24 dev lo", shell=True, check=True)
            server.namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            server.start()
            server.serve("bench")
            time.sleep(0.5)
        try:
            for _ in range(arguments.rounds):
                for server, address in made:
                    LIBC.setns(server.namespace, CLONE_NEWNET)
                    results.setdefault(server.name, []).append(measure(arguments, tool, server, address))
            ours = made[0][0]
            alone = pss(ours.pid)
            for number in range(arguments.containers):
                LIBC.unshare(CLONE_NEWNET)
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                ours.serve(f"container-{number}")
            ask(tool, "127.0.0.11", 1000, 32)
            memory = (alone, pss(ours.pid))
        finally:
            for server, _ in made:
                server.stop()
        return results, memory


def show(arguments, results, memory):
    print(f"{'server':<14}{'answers/s':>11}{'per core':>10}{'p99 loaded':>12}{'median':>9}{'p99':>9}{'lost':>6}")
    for name, rounds in results.items():
        middle = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        print(f"{name:<14}{middle['rate']:>11,.0f}{middle['per_core']:>10,.0f}{middle['loaded_p99']:>9,.0f} us"
              f"{middle['median']:>6,.1f} us{middle['p99']:>6,.1f} us{sum(each['lost'] for each in rounds):>6}")
    print(f"gantry's memory (Pss): {memory[0]:,} KiB, with {arguments.containers} containers {memory[1]:,} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--supervisor", default=str(HERE.parent / ".build/release/gantry-supervisor"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--private", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.private:
        host = HERE.parent / "Tests/EndToEnd/private_host.sh"
        os.execv(host, [str(host), sys.executable, __file__, "--private", *sys.argv[1:]])
    results, memory = run(arguments)
    show(arguments, results, memory)
    ours = results["gantry"]
    if arguments.check and (
            statistics.median(each["per_core"] for each in ours) < GOAL_PER_SECOND
            or statistics.median(each["loaded_p99"] for each in ours) > GOAL_P99_MICROSECONDS):
        raise SystemExit("dns: the goal is missed")


if __name__ == "__main__":
    main()
