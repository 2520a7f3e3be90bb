"""Every class of drift, made on the real kernel behind the engine's back: seen, repaired by event without a restart
where the process lives, and left alone where the policy says so."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

from harness import EngineCase, busybox_image, wait_until


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True).stdout


def cgroup_file(pid, name):
    """The host's path of a control file of a process's cgroup."""
    with open(f"/proc/{pid}/cgroup") as file:
        groups = [line.rstrip("\n").split(":", 2) for line in file]
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split() for line in file]
    for _, controllers, path in groups:
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            fits = kind == "cgroup2" if not controllers else kind == "cgroup" and controllers.split(",")[0] in options
            full = f"{mount[4]}{path}/{name}"
            if fits and os.path.exists(full):
                return full
    raise AssertionError(f"no {name} for {pid}: {groups}")


def read(path):
    with open(path) as file:
        return file.read().strip()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


# Far more than it takes: the machine may be busy. What is seen without an event is seen by a look each 30 seconds; this is
# less, so that such a look does not mostly stand in for an event that did not come.
BY_EVENT_SECONDS = 15


class DriftCase(EngineCase):
    def up(self, name, drift="repair", extra="", top="", command="sleep 1000"):
        folder = self.stack(f"""
            services:
              web:
                image: busybox
                command: {command}
                stop_grace_period: 0s
                restart: always
                mem_limit: 64m
                x-gantry: {{drift: {drift}}}
            {extra}
            x-gantry: {{drift: {drift}}}
            {top}
            """.replace("            ", ""), name)
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        # Only what has once been whole can have lost something.
        wait_until(lambda: self.api(f"/stacks/{name}/revisions")[-1]["isStable"], what="a stable revision")
        return folder

    def tearDown(self):
        # The firewall is one for all stacks: another one would repair it.
        for stack in json.loads(self.gantry_ok("ls", "-a", "--format", "json").stdout or "[]"):
            self.gantry_ok("-p", stack["Name"], "down", "-v", "-t", "0", "--remove-orphans")

    def entries(self, folder, *arguments):
        return json.loads(self.gantry_ok("drift", "--format", "json", *arguments, folder=folder).stdout)["entries"]

    def found(self, folder, kind, *arguments):
        return [entry for entry in self.entries(folder, *arguments) if entry["class"] == kind]

    def expect_entry(self, folder, kind, text, *arguments):
        entry = wait_until(
            lambda: next((e for e in self.found(folder, kind, *arguments) if re.search(text, e["detail"])), None),
            10, f"{kind}: {text}: {self.entries(folder, *arguments)}")
        self.assertEqual(entry["policy"], "warn")
        return entry

    def repairs(self, folder):
        name = os.path.basename(folder)
        return self.api(f"/stacks/{name}/drift")["repaired"]

    def pid(self, folder):
        return next(iter(self.pids(folder).values()))

    def interface(self, folder):
        """The host's end of the only container's interface."""
        index = re.search(r"eth0@if(\d+)", sh(f"nsenter -t {self.pid(folder)} -n ip -o link show eth0")).group(1)
        return next(line.split(":")[1].split("@")[0].strip() for line in sh("ip -o link").splitlines()
                    if line.startswith(f"{index}:"))

    def bridge(self, folder):
        return re.search(r"master (\S+)", sh(f"ip -o link show {self.interface(folder)}")).group(1)

    def check(self, kind, make, is_broken, text, listed=True):
        """Made under `repair` it is put right within seconds in the same process; under `warn` it is listed and left,
        until `reconcile`; under `ignore` it is neither."""
        for policy in ("repair", "warn", "ignore"):
            with self.subTest(kind=kind, policy=policy):
                folder = self.up(f"{kind}-{policy}".replace("_", ""), f"{{{kind}: {policy}}}")
                pid = self.pid(folder)
                make(folder)
                if policy == "repair":
                    begin = time.monotonic()
                    wait_until(lambda: not is_broken(folder), 60, f"the repair of {kind}", 0.005)
                    self.assertLess(time.monotonic() - begin, BY_EVENT_SECONDS)
                    wait_until(lambda: any(re.search(text, line) for line in self.repairs(folder)), 30, "the note")
                    wait_until(lambda: not self.found(folder, kind), 30, "nothing to be left")
                elif policy == "warn":
                    self.expect_entry(folder, kind, text)
                    # Nothing is said to have been done.
                    self.assertTrue(all("gantry " in entry["repair"] for entry in self.found(folder, kind)))
                    self.assertEqual(self.gantry("drift", "--detailed-exitcode", folder=folder).returncode, 2)
                    time.sleep(1)
                    self.assertTrue(is_broken(folder))
                else:
                    time.sleep(1)
                    self.assertTrue(is_broken(folder))
                    self.assertEqual(self.found(folder, kind), [])
                self.assertEqual(self.pid(folder), pid, "the container was restarted")
                if policy == "warn":
                    self.gantry_ok("reconcile", folder=folder)
                    self.assertFalse(is_broken(folder))
                    self.assertEqual(self.pid(folder), pid, "the container was restarted")
                    self.assertEqual(self.gantry("drift", "--detailed-exitcode", folder=folder).returncode, 0)
                self.gantry_ok("down", folder=folder)


class Limits(DriftCase):
    def memory(self, folder):
        for name in ("memory.limit_in_bytes", "memory.max"):
            try:
                return cgroup_file(self.pid(folder), name)
            except AssertionError:
                continue
        raise AssertionError("no memory controller")

    def test_memory(self):
        self.check(
            "limits", lambda folder: write(self.memory(folder), str(32 << 20)),
            lambda folder: read(self.memory(folder)) != str(64 << 20), r"memory\.(limit_in_bytes|max)")

    def test_others_and_those_that_were_never_set(self):
        folder = self.up("others")
        pid = self.pid(folder)
        quota = "cpu.cfs_quota_us" if not os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "cpu.max"
        wanted = {quota: "-1" if quota != "cpu.max" else "max 100000", "pids.max": "2048"}
        for name, value in wanted.items():
            path = cgroup_file(pid, name)
            self.assertEqual(read(path), value)
            write(path, "20000")
            wait_until(lambda: read(path) == value, BY_EVENT_SECONDS, name)
        self.assertEqual(self.pid(folder), pid)

    def test_a_live_change_of_limits_is_no_drift(self):
        folder = self.up("live")
        pid = self.pid(folder)
        with open(f"{folder}/compose.yaml") as file:
            text = file.read()
        for size in ("96m", "48m"):
            write(f"{folder}/compose.yaml", text.replace("64m", size))
            self.gantry_ok("up", "-d", folder=folder)
            self.assertEqual(self.entries(folder), [])
        self.assertEqual((self.pid(folder), read(self.memory(folder))), (pid, str(48 << 20)))
        self.assertEqual([line for line in self.repairs(folder) if "memory" in line], [])


class Pauses(DriftCase):
    def freeze(self, folder, frozen=True):
        pid = self.pid(folder)
        try:
            write(cgroup_file(pid, "cgroup.freeze"), "1" if frozen else "0")
        except AssertionError:
            write(cgroup_file(pid, "freezer.state"), "FROZEN" if frozen else "THAWED")

    def is_frozen(self, folder):
        pid = self.pid(folder)
        try:
            return "frozen 1" in read(cgroup_file(pid, "cgroup.events"))
        except AssertionError:
            return read(cgroup_file(pid, "freezer.state")) == "FROZEN"

    def test_by_policy(self):
        folder = self.up("thawed", "{paused: repair}")
        pid = self.pid(folder)
        self.freeze(folder)
        wait_until(lambda: not self.is_frozen(folder), BY_EVENT_SECONDS, "its processes to go on")
        self.assertEqual(self.pid(folder), pid)

    def test_left_by_default_and_let_go_after_a_while(self):
        folder = self.up("debugged", "{exited: repair}")
        self.freeze(folder)
        self.expect_entry(folder, "paused", "frozen")
        self.assertEqual(self.ps(folder)[0]["State"], "paused")
        time.sleep(1)
        self.gantry_ok("reconcile", folder=folder)
        self.assertTrue(self.is_frozen(folder))
        self.freeze(folder, False)
        wait_until(lambda: not self.found(folder, "paused"), 30, "it to be forgotten")
        self.gantry_ok("down", folder=folder)
        folder = self.up("late", "{paused_max: 2s}")
        self.freeze(folder)
        begin = time.monotonic()
        wait_until(lambda: not self.is_frozen(folder), 10, "its processes to go on")
        self.assertGreater(time.monotonic() - begin, 1.5)

    def test_a_command_s_pause_is_a_wish(self):
        folder = self.up("wished", "{paused: repair}")
        name = self.ps(folder)[0]["Name"]
        pid = self.pid(folder)
        self.api_status(f"/containers/{name}/pause", 204)
        time.sleep(1)
        self.assertTrue(self.is_frozen(folder))
        self.assertEqual(self.entries(folder), [])
        self.kill_engine()
        self.start_engine()
        time.sleep(1)
        self.assertTrue(self.is_frozen(folder))
        self.api_status(f"/containers/{name}/unpause", 204)
        self.assertFalse(self.is_frozen(folder))
        self.assertEqual(self.pid(folder), pid)
        self.freeze(folder)
        self.gantry_ok("down", folder=folder, timeout=20)

    def api_status(self, path, status):
        import http.client
        import socket

        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request("POST", path)
        self.assertEqual(connection.getresponse().status, status)
        connection.close()


class Networks(DriftCase):
    def inside(self, folder, command, check=True):
        return sh(f"nsenter -t {self.pid(folder)} -n {command}", check)

    def has_address(self, folder):
        return "inet 1" in self.inside(folder, "ip -4 addr show dev eth0", check=False)

    def test_an_address_in_the_container(self):
        self.check(
            "network", lambda folder: self.inside(folder, "ip addr flush dev eth0"),
            lambda folder: not self.has_address(folder), "address on .* is missing")

    def test_the_pair(self):
        folder = self.up("pair")
        pid = self.pid(folder)
        interface = self.interface(folder)
        sh(f"ip link del {interface}")
        wait_until(lambda: self.has_address(folder) and "default via" in self.inside(folder, "ip route"), 10,
                   "the pair to be there again", 0.005)
        self.assertEqual((self.pid(folder), self.interface(folder)), (pid, interface))
        for command in (f"ip link set {interface} down", f"ip link set {interface} nomaster"):
            sh(command)
            wait_until(lambda: "master" in sh(f"ip link show {interface}") and ",UP" in sh(f"ip link show {interface}"),
                       10, f"the repair after {command}")
        self.inside(folder, "ip link set eth0 down")
        wait_until(lambda: "default via" in self.inside(folder, "ip route"), 10, "eth0 to be up")
        self.inside(folder, "ip route del default")
        wait_until(lambda: "default via" in self.inside(folder, "ip route"), 10, "the route to be there")
        self.assertEqual(self.pid(folder), pid)
        wait_until(lambda: self.entries(folder) == [], 30, "nothing to be left")

    def test_the_bridge(self):
        folder = self.up("bridge")
        pid, bridge, interface = self.pid(folder), self.bridge(folder), self.interface(folder)
        addresses = sh(f"ip -4 -o addr show {bridge}").split("inet ")[1].split()[0]
        for command in (f"ip link del {bridge}", f"ip link set {bridge} down", f"ip addr flush dev {bridge}",
                        f"ip route del $(ip route | grep 'dev {bridge} ' | head -1 | cut -d' ' -f1)"):
            sh(command)
            wait_until(
                lambda: f"inet {addresses}" in sh(f"ip addr show {bridge}", check=False)
                and f"dev {bridge}" in sh("ip route") and f"master {bridge}" in sh(f"ip link show {interface}"),
                10, f"the repair after {command}")
        self.assertEqual(self.pid(folder), pid)
        wait_until(lambda: self.entries(folder) == [], 30, "nothing to be left")

    def test_what_a_container_with_net_admin_does_is_its_own(self):
        folder = self.up("vpn", command="sleep 1000\n    cap_add: [NET_ADMIN]")
        self.inside(folder, "ip route del default")
        time.sleep(1)
        self.assertEqual(self.entries(folder), [])
        self.assertNotIn("default", self.inside(folder, "ip route"))

    def table(self, folder):
        tables = [line.split()[2] for line in sh("nft list tables").splitlines() if "inet gantry" in line]
        return next(table for table in tables if self.bridge(folder) in sh(f"nft list table inet {table}"))

    def test_the_firewall(self):
        whole = {}

        def rules():
            # Without what a counter says.
            return re.sub(r"packets \d+ bytes \d+", "", sh("nft -s list ruleset"))

        def flush(folder):
            whole["rules"] = rules()
            sh(f"nft flush table inet {self.table(folder)}")

        self.check("firewall", flush, lambda folder: rules() != whole["rules"], "rules were changed")

    def test_every_part_of_the_table_comes_back(self):
        folder = self.up("parts", command='httpd -f -p 80\n    ports: ["18080:80"]')
        pid, table = self.pid(folder), self.table(folder)
        wait_until(lambda: "18080" in sh(f"nft list table inet {table}"), 10, "the port")
        whole = sh(f"nft -s list table inet {table}")
        chain = next(line.split()[1] for line in whole.splitlines() if line.strip().startswith("chain "))
        for command in (f"nft delete table inet {table}", f"nft flush chain inet {table} {chain}",
                        f"nft add rule inet {table} {chain} drop", "nft flush ruleset",
                        f"nft flush map inet {table} ports4", f"nft add chain inet {table} mine"):
            sh(command, check=False)
            wait_until(lambda: sh(f"nft -s list table inet {table}", check=False) == whole, 10, command)
        self.assertEqual(self.pid(folder), pid)

    def test_parameters_of_the_bridge(self):
        def path(folder):
            return f"/proc/sys/net/ipv4/conf/{self.bridge(folder)}/forwarding"

        self.check("sysctl", lambda folder: write(path(folder), "0"), lambda folder: read(path(folder)) != "1",
                   "kernel parameters of its bridge were changed|parameters")

    def test_the_resolver(self):
        def service():
            lines = sh("ps -eo pid,args").splitlines()
            return [int(line.split()[0]) for line in lines if f"network {self.root}" in line and "grep" not in line]

        folder = self.up("resolver", "{dns: warn}")
        pid = self.pid(folder)
        for number in service():
            os.kill(number, signal.SIGKILL)
        self.expect_entry(folder, "dns", "resolver is missing")
        time.sleep(1)
        self.assertEqual(len(self.found(folder, "dns")), 1)
        self.gantry_ok("reconcile", folder=folder)
        self.assertEqual(self.entries(folder), [])
        answer = self.gantry_ok("exec", "-T", "web", "nslookup", "web", folder=folder).stdout
        self.assertIn("Address", answer)
        self.assertEqual(self.pid(folder), pid)

    def test_somebody_else_on_the_bridge(self):
        folder = self.up("guests", "{exited: repair}")
        sh(f"ip link add guest0 type veth peer name guest1; ip link set guest0 master {self.bridge(folder)}")
        try:
            self.expect_entry(folder, "foreign", "guest0 is plugged into it")
        finally:
            sh("ip link del guest0")
        self.assertEqual(self.entries(folder), [])


class Containers(DriftCase):
    def test_one_that_ended(self):
        for policy in ("repair", "warn", "ignore"):
            with self.subTest(policy=policy):
                folder = self.up(f"ended-{policy}", f"{{exited: {policy}}}")
                pid = self.pid(folder)
                os.kill(pid, signal.SIGKILL)
                if policy == "repair":
                    wait_until(lambda: set(self.pids(folder).values()) - {pid}, 10, "another process")
                    continue
                time.sleep(1.5)
                self.assertEqual(self.pids(folder), {})
                if policy == "warn":
                    self.expect_entry(folder, "exited", "exited \\(137\\)")
                    self.gantry_ok("reconcile", folder=folder)
                    self.assertEqual(self.entries(folder), [])
                else:
                    self.assertEqual(self.entries(folder), [])

    def test_one_that_was_removed(self):
        for policy in ("repair", "warn"):
            with self.subTest(policy=policy):
                folder = self.up(f"removed-{policy}", f"{{deleted: {policy}}}")
                entry = self.ps(folder)[0]
                self.api_raw("DELETE", f"/containers/{entry['ID']}?force=true")
                if policy == "repair":
                    wait_until(lambda: self.pids(folder), 10, "another one")
                    continue
                time.sleep(1)
                self.assertEqual(self.ps(folder, "-a"), [])
                self.expect_entry(folder, "deleted", "it is gone")
                self.gantry_ok("reconcile", folder=folder)
                self.assertEqual(len(self.pids(folder)), 1)

    def test_one_whose_files_were_removed(self):
        folder = self.up("files", "{deleted: repair, exited: repair}")
        entry = next(iter(self.api("/stacks/files/containers")))
        old = entry["id"]
        self.gantry_ok("stop", folder=folder)
        shutil.rmtree(f"{self.root}/data/containers/{old}")
        time.sleep(1)
        self.gantry_ok("start", folder=folder, timeout=30)
        wait_until(lambda: self.pids(folder), 10, "another one")
        self.assertNotEqual(self.api("/stacks/files/containers")[0]["id"], old)

    def api_raw(self, method, path):
        import http.client
        import socket

        connection = http.client.HTTPConnection("gantry")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        connection.request(method, path)
        connection.getresponse().read()
        connection.close()

    def test_orphans(self):
        other = "  old: {image: busybox, command: sleep 1000, stop_grace_period: 0s}"
        folder = self.up("orphans", "{orphan: warn}", extra=other)
        self.up("orphans", "{orphan: warn}")
        self.expect_entry(folder, "orphan", "orphans-old-1")
        self.up("orphans", "{orphan: repair}")
        wait_until(lambda: [e["Service"] for e in self.ps(folder, "-a")] == ["web"], 10, "the orphan to go")

    def test_inside(self):
        folder = self.up("inside", "{exited: repair}", command="sleep 1000\n    tmpfs: [/scratch]\n    volumes: [/data]")
        self.assertEqual(self.entries(folder, "--deep"), [])
        run = ("exec", "-T", "web", "sh", "-c")
        self.gantry_ok(*run, "echo x > /etc/motd; echo x > /data/x; echo x > /scratch/x; rm /etc/group", folder=folder)
        details = [entry["detail"] for entry in self.found(folder, "inside", "--deep")]
        self.assertEqual(sorted(details), ["added /etc/motd", "deleted /etc/group"])
        self.assertEqual(self.entries(folder), [], "only a deep look tells")
        shell = subprocess.Popen([*self.gantry_command(), "exec", "-T", "web", "sleep", "100"], cwd=folder,
                                 env=self.environment(), stdin=subprocess.DEVNULL)
        try:
            self.expect_entry(folder, "inside", r"process \d+ \(sleep\) was not started", "--deep")
        finally:
            shell.kill()
            shell.wait()

    def gantry_command(self):
        from harness import GANTRY

        return [GANTRY]


class Files(DriftCase):
    def test_the_stack_file(self):
        folder = self.up("edited", "{exited: repair}")
        self.assertEqual(self.gantry("drift", "--detailed-exitcode", folder=folder).returncode, 0)
        with open(f"{folder}/compose.yaml") as file:
            text = file.read()
        write(f"{folder}/compose.yaml", text.replace("sleep 1000", "sleep 1001"))
        entry = self.expect_entry(folder, "stack", "command changed")
        self.assertEqual((entry["address"], entry["source"]["line"]), ("services.web", 5))
        self.assertIn("services.web", self.gantry_ok("drift", folder=folder).stdout)
        self.assertIn("| `services.web` | stack | command changed |",
                      self.gantry_ok("drift", "--format", "markdown", folder=folder).stdout)

    def test_contents(self):
        folder = self.stack("", "contents")
        write(f"{folder}/app.conf", "one")
        write(f"{folder}/key", "hush-hush-1")
        extra = "    configs: [app]\n    secrets: [key]"
        top = "configs: {app: {file: ./app.conf}}\nsecrets: {key: {file: ./key}}"
        folder = self.up("contents", "{exited: repair}", extra=extra, top=top)
        self.assertEqual(self.entries(folder), [])
        write(f"{folder}/app.conf", "two")
        write(f"{folder}/key", "hush-hush-2")
        # By event: nobody asks meanwhile.
        wait_until(lambda: "app.conf was changed" in read(f"{self.root}/engine-output.log"), BY_EVENT_SECONDS,
                   "the engine's word")
        report = self.gantry_ok("drift", "--format", "json", folder=folder).stdout
        self.assertEqual([(e["address"], e["class"], e["policy"]) for e in json.loads(report)["entries"]],
                         [("configs.app", "content", "warn"), ("secrets.key", "content", "warn")])
        self.assertNotIn("hush", report + read(f"{self.root}/engine-output.log"))
        os.remove(f"{folder}/key")
        wait_until(lambda: any("is gone" in e["detail"] for e in self.api("/stacks/contents/drift")["entries"]),
                   BY_EVENT_SECONDS, "the lost file")
        write(f"{folder}/app.conf", "one")
        write(f"{folder}/key", "hush-hush-1")
        wait_until(lambda: self.entries(folder) == [], 30, "all to be well")

    def test_a_moved_tag(self):
        folder = self.up("tags", "{exited: repair}")
        archive = f"{self.root}/other.tar"
        busybox_image(archive, config={"Cmd": ["sh"], "Env": ["PATH=/bin", "NEW=1"]})
        pid = self.pid(folder)
        self.gantry_ok("load", "-i", archive)
        self.expect_entry(folder, "image", "leads to [0-9a-f]{12} now, not to [0-9a-f]{12}")
        self.assertEqual(self.pid(folder), pid)
        self.gantry_ok("load", "-i", f"{self.root}/busybox.tar")
        self.assertEqual(self.entries(folder), [])

    def test_a_lost_volume_is_asked_about(self):
        extra = "    volumes: [data:/data]"
        folder = self.up("volumes", "{exited: repair}", extra=extra, top="volumes: {data: {}}")
        self.gantry_ok("exec", "-T", "web", "sh", "-c", "echo kept > /data/file", folder=folder)
        place = f"{self.root}/data/volumes/volumes_data/_data"
        os.rename(place, f"{self.root}/saved")
        self.expect_entry(folder, "volume", "volumes_data is gone")
        os.kill(self.pid(folder), signal.SIGKILL)
        time.sleep(2)
        self.assertEqual((self.pids(folder), os.path.exists(place)), ({}, False), "an empty one took its place")
        result = self.gantry("up", "-d", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("--recreate-volume data", result.stderr)
        os.rename(f"{self.root}/saved", place)
        wait_until(lambda: self.pids(folder), 10, "it to go on with what came back")
        self.assertEqual(read(f"{place}/file"), "kept")
        shutil.rmtree(place)
        self.expect_entry(folder, "volume", "volumes_data is gone")
        self.gantry_ok("up", "-d", "--recreate-volume", "data", folder=folder)
        self.assertEqual(os.listdir(place), [])
        self.assertEqual(self.found(folder, "volume"), [])


class Patterns(DriftCase):
    def test_ignored_ones_and_services(self):
        folder = self.up("patterns", "{limits: warn}", extra="  other: {image: busybox, command: sleep 1000}")
        path = next(p for p in (self.file(folder, n) for n in ("memory.limit_in_bytes", "memory.max")) if p)
        write(path, str(32 << 20))
        self.expect_entry(folder, "limits", "memory")
        self.assertEqual(self.entries(folder, "other"), [])
        self.assertEqual(len(self.entries(folder, "web")), 1)
        result = self.gantry("drift", "nobody", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        with open(f"{folder}/compose.yaml") as file:
            text = file.read()
        write(f"{folder}/compose.yaml", text.replace(
            "x-gantry: {drift: {limits: warn}}\n\n", "x-gantry: {drift: {ignore: [services.web.limits]}}\n"))

    def file(self, folder, name):
        try:
            return cgroup_file(self.pids(folder)["patterns-web-1"], name)
        except AssertionError:
            return None

    def test_wrong_policies_are_told_with_what_was_meant(self):
        folder = self.stack("""
            services:
              web: {image: busybox, x-gantry: {drift: {limit: warn, volume: repair}}}
            """, "wrong")
        text = self.gantry("config", folder=folder).stderr
        self.assertIn("limits", text)
        self.assertNotEqual(self.gantry("drift", folder=folder).returncode, 0)


class Parameters(DriftCase):
    def test_those_of_a_service(self):
        service = 'sleep 1000\n    sysctls: {net.ipv4.ip_local_port_range: "20000 30000", net.ipv4.conf.eth0.rp_filter: "2"}'
        for policy in ("repair", "warn"):
            folder = self.up(f"own-{policy}", f"{{sysctl: {policy}}}", command=service)
            pid = self.pid(folder)
            self.assertEqual(self.entries(folder), [])
            # This one the kernel tells of.
            sh(f"nsenter -t {pid} -n sysctl -qw net.ipv4.conf.eth0.rp_filter=0")
            if policy == "repair":
                wait_until(lambda: self.value(pid, "conf/eth0/rp_filter") == "2", BY_EVENT_SECONDS, "the parameter")
            # Of this one it does not: whoever asks makes the engine look, and so does its next sweep.
            sh(f"nsenter -t {pid} -n sysctl -qw net.ipv4.ip_local_port_range='1 2'")
            if policy == "repair":
                self.entries(folder)
                wait_until(lambda: self.value(pid, "ip_local_port_range").split() == ["20000", "30000"],
                           BY_EVENT_SECONDS, "it")
                wait_until(lambda: self.entries(folder) == [], 30, "nothing to be left")
            else:
                details = {entry["detail"] for entry in self.found(folder, "sysctl")}
                self.assertEqual(details, {"net.ipv4.conf.eth0.rp_filter was changed",
                                           "net.ipv4.ip_local_port_range was changed"})
                self.gantry_ok("reconcile", folder=folder)
                self.assertEqual(self.entries(folder), [])
            self.assertEqual(self.pid(folder), pid)
            self.gantry_ok("down", folder=folder)

    def value(self, pid, name):
        return sh(f"nsenter -t {pid} -n cat /proc/sys/net/ipv4/{name}").strip()


class Boots(DriftCase):
    def test_processes_of_another_boot_are_nobody_s(self):
        folder = self.up("boots")
        entry = self.api("/stacks/boots/containers")[0]
        self.kill_engine()
        os.kill(self.supervisor(entry["id"]), signal.SIGKILL)
        os.kill(entry["pid"], signal.SIGKILL)
        # The numbers belong to another process now, as they may after a boot.
        other = subprocess.Popen(["sleep", "1000"])
        try:
            state = f"{self.root}/run/containers/{entry['id']}/state"
            text = read(state)
            start = read(f"/proc/{other.pid}/stat").rsplit(")", 1)[1].split()[19]
            self.assertIn(str(entry["pid"]), text)
            text = re.sub(r"\b(supervisor|init)=\d+", rf"\1={other.pid}", text)
            write(state, re.sub(r"\b(supervisor|init)-start=\d+", rf"\1-start={start}", text) + "\n")
            write(f"{self.root}/run/boot-id", "00000000-0000-0000-0000-000000000000\n")
            self.start_engine()
            wait_until(lambda: self.pids(folder), 10, "the container to run again")
            self.assertNotEqual(self.pid(folder), other.pid)
            self.assertIsNone(other.poll(), "somebody else's process was killed")
            self.assertEqual(self.entries(folder), [])
        finally:
            other.kill()
            other.wait()

    def supervisor(self, container):
        return next(int(line.split()[0]) for line in sh("ps -eo pid,args").splitlines()
                    if "gantry-supervisor" in line and container in line)
