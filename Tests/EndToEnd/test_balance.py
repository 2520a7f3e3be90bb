"""A service's replicas share its port: scaled up and down under load from another namespace, while replicas and the engine
are killed. `GANTRY_BALANCE_ROUNDS` says how often (5)."""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

from harness import wait_until
from load_harness import HOST, PORT, LoadCase, run

ROUNDS = int(os.environ.get("GANTRY_BALANCE_ROUNDS", "5"))
REPLICAS = 20
# A replica that was killed may be met until the engine has heard of it; one that was killed while no engine ran, until
# one runs again. More than half a second was seen where six wanted each processor.
NOTICE_SECONDS = 3.0

STACK = """
    services:
      web:
        image: traffic
        command: ["sh", "-c", "exec /bin/traffic serve 80 $$(hostname)"]
        ports: ["8080:80"]
        healthcheck: {test: "nc 127.0.0.1 80 < /dev/null | grep -q .", interval: 5s, start_period: 20s, start_interval: 100ms}
        restart: always
        stop_grace_period: 3s
    networks:
      default:
        # Little more than twenty: an address that is not given back is missed.
        ipam: {config: [{subnet: 10.213.7.0/27}]}
    """

class BalanceTest(LoadCase):
    def picture(self):
        """What one replica more would leave behind."""
        ruleset = json.loads(run("nft", "-j", "list", "ruleset"))["nftables"]
        elements = sum(len(entry[kind].get("elem", [])) for entry in ruleset for kind in ("set", "map") if kind in entry)
        chains = sorted(entry["chain"]["name"] for entry in ruleset if "chain" in entry)
        rules = sum("rule" in entry for entry in ruleset)
        links = [link["ifname"] for link in json.loads(run("ip", "-j", "link"))]
        return {"elements": elements, "chains": chains, "rules": rules,
                "ends": sum(name.startswith("gv") for name in links)}

    def scale(self, folder, replicas):
        self.gantry_ok("up", "-d", "--wait", "--scale", f"web={replicas}", folder=folder, timeout=120)

    def test_scaling_under_load_with_kills(self):
        folder = self.stack(STACK, "balance")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        seed = int(os.environ.get("GANTRY_BALANCE_SEED", random.randrange(1 << 32)))
        chance = random.Random(seed)
        self.scale(folder, 1)
        self.scale(folder, 2)
        self.scale(folder, 1)
        # The kernel takes a veth away a moment after its namespace, the engine unused chains after a second.
        calm = wait_until(lambda: (now := self.picture())["ends"] == 1 and not any(
            chain.startswith("turn") for chain in now["chains"]) and now, what="one interface and no idle chain")
        clients = self.load()
        kills, outages = [], []
        for round_number in range(ROUNDS):
            with self.subTest(round=round_number, seed=seed):
                engine_dies = chance.random() < 0.4
                killer = threading.Timer(chance.uniform(0, 0.3), self.kill_a_replica, (chance, kills))
                killer.start()
                if engine_dies:
                    up = threading.Thread(target=self.gantry, args=("up", "-d", "--scale", f"web={REPLICAS}"),
                                          kwargs={"folder": folder, "timeout": 120})
                    up.start()
                    time.sleep(chance.uniform(0, 0.4))
                    begun = time.monotonic()
                    self.kill_engine()
                    up.join()
                    time.sleep(chance.uniform(0, 0.2))
                    self.kill_a_replica(chance, kills)
                    self.start_engine()
                    outages.append((begun, time.monotonic()))
                killer.join()
                self.scale(folder, REPLICAS)
                wait_until(lambda: len(self.pids(folder)) == REPLICAS, 20, "all replicas")
                self.kill_a_replica(chance, kills)
                self.scale(folder, 1)
        wait_until(lambda: len(self.pids(folder)) == 1, 20, "one replica")
        answers, failures = self.end(clients)
        self.assertGreater(len(answers), REPLICAS)
        self.assertGreater(sum(answers.values()), 50 * ROUNDS)
        unexplained = [failure for failure in failures if not self.explained(failure, kills, outages)]
        print(f"\nbalance: {ROUNDS} rounds, {sum(answers.values())} answers of {len(answers)} replicas, {len(kills)} "
              f"replicas and {len(outages)} engines killed, {len(failures)} connections met a dead replica, "
              f"{len(unexplained)} failed for no such reason", file=sys.stderr)
        for begun, ended, text in unexplained[:20]:
            before = [kill for kill in kills if kill <= ended]
            print(f"balance: {text} at {begun:.3f}, last kill {before and before[-1]}, outages {outages}", file=sys.stderr)
        self.assertEqual(unexplained[:5], [])
        wait_until(lambda: self.picture() == calm, 20, f"{calm} as before")

    def kill_a_replica(self, chance, kills):
        pids = self.replica_processes()
        if len(pids) < 2:
            return  # The last one serves.
        kills.append(time.monotonic())
        try:
            os.kill(chance.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            kills.pop()

    def replica_processes(self):
        """By the kernel, for no engine may be there to be asked: the programs that serve, not those that end."""
        lines = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True).stdout.splitlines()
        return [int(line.split()[0]) for line in lines if "/bin/traffic serve 80" in line and "sh -c" not in line]

    def explained(self, failure, kills, outages):
        """A connection may fail that met a replica which had just been killed."""
        begun, ended, _ = failure
        for killed in kills:
            noticed = killed + NOTICE_SECONDS
            for start, end in outages:
                if start - NOTICE_SECONDS <= killed <= end:
                    noticed = max(noticed, end + NOTICE_SECONDS)
            if begun <= noticed and ended >= killed:
                return True
        return False

    def test_without_a_healthcheck_a_replica_joins_when_it_listens(self):
        text = "\n".join(line for line in STACK.splitlines() if "healthcheck" not in line)
        folder = self.stack(text.replace("exec /bin/traffic", "sleep 0.5; exec /bin/traffic"), "listening")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        self.gantry_ok("up", "-d", folder=folder)
        self.assertTrue(wait_until(self.reachable, what="the first replica"))
        clients = self.load()
        self.gantry_ok("up", "-d", "--scale", "web=4", folder=folder)
        first = self.meet(4)
        # A change that replaces all of them, one after the other.
        self.stack(text.replace("sleep 0.5", "sleep 0.4").replace("exec /bin/traffic", "sleep 0.1; exec /bin/traffic"),
                   "listening")
        self.gantry_ok("up", "-d", "--scale", "web=4", folder=folder)
        second = self.meet(4, but=first)
        answers, failures = self.end(clients)
        self.assertEqual(failures[:5], [])
        self.assertEqual(set(answers), first | second)

    def meet(self, count, but=frozenset()):
        """Waits until so many replicas were met, and the clients of the load had time to meet them too."""
        met = set()

        def has_met_all():
            met.update({self.reachable()} - {""} - but)
            return len(met) >= count

        wait_until(has_met_all, what=f"{count} replicas")
        time.sleep(2)
        return met

    def reachable(self):
        return subprocess.run(["ip", "netns", "exec", "client", "busybox", "nc", HOST, str(PORT)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()

    def test_even_shares_and_no_failure_while_replicas_change(self):
        """Without a kill not one connection fails."""
        folder = self.stack(STACK, "even")
        self.addCleanup(self.gantry, "down", "-t", "0", folder=folder)
        self.scale(folder, 4)
        counts = collections.Counter()
        for _ in range(200):
            output = run("ip", "netns", "exec", "client", "busybox", "nc", HOST, str(PORT))
            counts[output.strip()] += 1
        self.assertEqual(sorted(counts.values()), [50, 50, 50, 50])
        clients = self.load()
        for replicas in (1, 6, 2, 9, 3, 1, 4):
            self.scale(folder, replicas)
        answers, failures = self.end(clients)
        self.assertEqual(failures[:5], [])
        self.assertGreater(sum(answers.values()), 100)


if __name__ == "__main__":
    unittest.main()
