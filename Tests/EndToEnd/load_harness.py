"""An image whose server answers with a text, and clients in another namespace that connect to it one after the other."""

import collections
import json
import os
import subprocess
import sys

from harness import EngineCase, busybox_image

CLIENTS = 4
HOST, PORT = "198.51.100.1", 8080
TRAFFIC_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Benchmarks/traffic.c")

# Runs in the client's namespace: connections one after the other, each failure with its time on a line.
CLIENT = """
import json, select, socket, sys, time
answers, failures = {}, []
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    begun = time.monotonic()
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3) as connection:
            answer = connection.recv(100).decode().strip()
            if not answer: raise OSError("closed without an answer")
            answers[answer] = answers.get(answer, 0) + 1
    except OSError as error:
        failures.append([begun, time.monotonic(), f"{type(error).__name__} {error}"])
        if len(failures) > 5000: break
print(json.dumps([answers, failures]))
"""


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class LoadCase(EngineCase):
    @classmethod
    def setUpClass(cls):
        os.makedirs("/run/netns", exist_ok=True)
        run("ip", "netns", "add", "client")
        run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", "client")
        run("ip", "address", "add", "198.51.100.1/24", "dev", "lan0")
        run("ip", "link", "set", "lan0", "up")
        for words in ("link set lo up", "address add 198.51.100.2/24 dev eth0", "link set eth0 up",
                      "route add default via 198.51.100.1"):
            run("ip", "-n", "client", *words.split())
        super().setUpClass()
        program = f"{cls.root}/traffic"
        run("cc", "-O2", "-static", "-o", program, TRAFFIC_SOURCE)
        archive = f"{cls.root}/traffic.tar"
        busybox_image(archive, tag="traffic:latest", files={"bin/traffic": program})
        cls.gantry_ok("load", "-i", archive)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        run("ip", "link", "delete", "lan0")
        run("ip", "netns", "delete", "client")

    def load(self, address=HOST):
        clients = [
            subprocess.Popen(
                ["ip", "netns", "exec", "client", sys.executable, "-c", CLIENT, address, str(PORT)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(CLIENTS)
        ]
        for client in clients:
            self.assertEqual(client.stdout.readline(), "ready\n")
        return clients

    def end(self, clients):
        answers, failures = collections.Counter(), []
        for client in clients:
            output, _ = client.communicate("end\n", timeout=30)
            counts, failed = json.loads(output)
            answers.update(counts)
            failures += failed
        return answers, sorted(failures)
