"""`gantry-oci` as an engine calls it."""

import glob
import json
import os
import signal
import socket
import subprocess
import threading
import time

from harness import wait_until
from oci_harness import OCI, OCITestCase, read_terminal, receive_terminal


class Lifecycle(OCITestCase):
    def test_run_answers_the_programs_output_and_code(self):
        self.config("sh", "-c", "echo out; echo err >&2; exit 7")
        result = self.oci("run", "a")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (7, "out\n", "err\n"))
        self.assertEqual(self.oci("list", "-q").stdout, "")

    def test_run_is_ended_by_a_signal_that_it_passes_on(self):
        self.config("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
        process = subprocess.Popen([OCI, "--root", self.root, "run", "a"], cwd=self.folder, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 5)
        process.stdout.close()

    def test_states_from_creation_to_deletion(self):
        self.config("sleep", "1000")
        self.create("a", "--pid-file", os.path.join(self.folder, "pid"))
        state = self.state("a")
        self.assertEqual(state["status"], "created")
        self.assertEqual(state["bundle"], os.path.realpath(self.folder))
        with open(os.path.join(self.folder, "pid")) as file:
            self.assertEqual(int(file.read()), state["pid"])
        self.assertIn("not stopped", self.oci("delete", "a").stderr)
        self.oci("start", "a", check=True)
        self.assertEqual(self.status("a"), "running")
        self.assertNotEqual(self.oci("start", "a").returncode, 0)
        self.oci("pause", "a", check=True)
        self.assertEqual(self.status("a"), "paused")
        self.assertNotEqual(self.oci("exec", "a", "true").returncode, 0)
        self.oci("resume", "a", check=True)
        self.assertEqual(self.status("a"), "running")
        self.oci("kill", "a", "KILL", check=True)
        self.wait_for("a", "stopped")
        self.assertIn("container not running", self.oci("kill", "a").stderr)
        self.assertNotEqual(self.oci("start", "a").returncode, 0)
        self.oci("delete", "a", check=True)
        self.assertIn("does not exist", self.oci("state", "a").stderr)
        self.assertNotEqual(self.oci("delete", "a").returncode, 0)
        self.oci("delete", "--force", "a", check=True)

    def test_a_program_that_was_killed_from_outside_is_stopped(self):
        self.config("sleep", "1000")
        self.create("a")
        os.kill(self.state("a")["pid"], signal.SIGKILL)
        self.wait_for("a", "stopped")
        self.assertEqual(self.state("a")["pid"], 0)
        self.oci("delete", "a", check=True)
        self.started.remove("a")

    def test_no_cgroup_is_left(self):
        self.config("true", linux={"cgroupsPath": "/gantry-oci-test/x"})
        self.oci("run", "a", check=True)
        self.assertEqual(glob.glob("/sys/fs/cgroup/*/gantry-oci-test/x"), [])
        for path in glob.glob("/sys/fs/cgroup/*/gantry-oci-test"):
            os.rmdir(path)

    def test_of_two_that_create_one_id_one_does(self):
        self.config("sleep", "1000")
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(self.launch("create", "a"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(codes), [0, 1, 1, 1])
        self.assertEqual(self.status("a"), "created")
        self.started = ["a"]

    def test_of_two_starts_one_is_refused(self):
        self.config("sleep", "1000")
        self.create("a")
        starts = [
            subprocess.Popen([OCI, "--root", self.root, "start", "a"], stderr=subprocess.DEVNULL) for _ in range(3)]
        self.assertEqual(sorted(start.wait(10) for start in starts), [0, 1, 1])

    def test_a_container_without_a_process_is_created_and_not_started(self):
        self.config(process=None)
        self.create("a")
        self.assertIn("no process", self.oci("start", "a").stderr)
        self.assertEqual(self.status("a"), "created")

    def test_a_missing_program_is_told_at_the_creation(self):
        self.config("nosuch")
        self.assertEqual(self.launch("create", "a"), 1)
        self.assertIn("executable file not found in $PATH", self.output("a"))
        self.config("/etc/passwd")
        self.assertEqual(self.launch("create", "a"), 1)
        self.assertIn("permission denied", self.output("a"))

    def test_the_configuration_is_taken_once(self):
        self.config("sh", "-c", "echo first")
        self.create("a")
        self.config("sh", "-c", "echo second")
        self.oci("start", "a", check=True)
        self.wait_for("a", "stopped")
        self.assertEqual(self.output("a"), "first\n")

    def test_kill_all_reaches_processes_of_the_hosts_pid_namespace(self):
        config = self.config("sh", "-c", "sleep 1000 & echo ready; sleep 1000")
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "pid"]
        self.config("sh", "-c", "sleep 1000 & echo ready; sleep 1000", linux=config["linux"])
        self.assertEqual(self.launch("run -d", "a"), 0)
        wait_until(lambda: self.output("a") == "ready\n", what="the program")
        processes = json.loads(self.oci("ps", "-f", "json", "a", check=True).stdout)
        self.assertGreaterEqual(len(processes), 2)
        self.oci("kill", "a", "KILL", check=True)
        self.wait_for("a", "stopped")
        wait_until(lambda: not any(alive(pid) for pid in processes), what="all processes to end")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Streams(OCITestCase):
    def listener(self):
        path = os.path.join(self.folder, "console")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.addCleanup(listener.close)
        return path, listener

    def test_a_terminal_goes_over_the_console_socket(self):
        # The kernel drops what is unread when the terminal's session ends, so it does not end at once.
        self.config("sh", "-c", "tty; stty size; test -c /dev/console && echo console; sleep 3",
                    process={"consoleSize": {"height": 30, "width": 90}})
        with open(os.path.join(self.folder, "config.json")) as file:
            config = json.load(file)
        config["process"]["terminal"] = True
        with open(os.path.join(self.folder, "config.json"), "w") as file:
            json.dump(config, file)
        path, listener = self.listener()
        self.create("a", "--console-socket", path)
        master = receive_terminal(listener)
        self.assertTrue(os.get_blocking(master))
        self.oci("start", "a", check=True)
        self.assertEqual(read_terminal(master), "/dev/pts/0\n30 90\nconsole\n")

    def test_exec_with_a_console_socket(self):
        self.config("sleep", "1000")
        self.launch("run -d", "a")
        path, listener = self.listener()
        pid_file = os.path.join(self.folder, "pid")
        self.oci("exec", "-t", "-d", "--console-socket", path, "--pid-file", pid_file, "a", "sh", "-c",
                 "tty; sleep 3", check=True)
        self.assertRegex(read_terminal(receive_terminal(listener)), "^/dev/pts/[0-9]+\n$")
        with open(pid_file) as file:
            self.assertGreater(int(file.read()), 1)

    def test_a_terminal_in_front_is_copied(self):
        self.config("sh", "-c", "read word; echo got $word; tty; sleep 3; exit 3", process={"terminal": True})
        import pty
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execv(OCI, [OCI, "--root", self.root, "run", "a"])
        os.write(master, b"hello\n")
        output = read_terminal(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 3)
        self.assertIn("got hello\n/dev/pts/0\n", output)

    def test_a_console_socket_and_a_terminal_go_together(self):
        self.config("true", process={"terminal": True})
        self.assertEqual(self.launch("create", "a"), 1)
        self.assertIn("--console-socket", self.output("a"))
        self.config("true")
        self.assertEqual(self.launch("create", "a", "--console-socket", "/nowhere"), 1)

    def test_preserved_descriptors_are_the_programs(self):
        self.config("sh", "-c", "cat <&3; echo to4 >&4; ls /proc/self/fd")
        (read_end, write_end), (back, to) = os.pipe(), os.pipe()
        os.write(write_end, b"through 3\n")
        os.close(write_end)
        # subprocess keeps numbers, so the two are put where `--preserve-fds` looks.
        def place():
            os.dup2(read_end, 103), os.dup2(to, 104)
            os.dup2(103, 3), os.dup2(104, 4)
            os.closerange(5, 200)
        result = self.oci("run", "--preserve-fds", "2", "a", preexec_fn=place, close_fds=False)
        os.close(to)
        self.assertEqual(result.returncode, 0, result.stderr)
        with os.fdopen(back) as file:
            self.assertEqual(file.read(), "to4\n")
        # `ls` has the folder itself open besides.
        self.assertEqual(result.stdout.split("\n")[0], "through 3")
        self.assertEqual(result.stdout.split()[2:], ["0", "1", "2", "3", "4", "5"])
        os.close(read_end)

    def test_sockets_of_the_caller_are_announced(self):
        self.config("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&3")
        read_end, write_end = os.pipe()
        os.write(write_end, b"hello\n")
        os.close(write_end)
        def place():
            os.dup2(read_end, 103), os.dup2(103, 3)
            os.closerange(4, 200)
        environment = dict(os.environ, LISTEN_FDS="1")
        environment.pop("LISTEN_PID", None)
        result = self.oci("run", "a", preexec_fn=place, close_fds=False, env=environment)
        os.close(read_end)
        self.assertEqual(result.stdout, "1 1\nhello\n", result.stderr)


class Hooks(OCITestCase):
    def hook(self, name, body="", **keywords):
        script = f'read -r state; printf "%s\\n" "{name} $A $state" >> {self.folder}/log; {body}'
        return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=b", "PATH=/bin:/usr/bin"], **keywords}

    def lines(self):
        with open(os.path.join(self.folder, "log")) as file:
            return [(line.split(" ", 2)[0], line.split(" ", 2)[1], json.loads(line.split(" ", 2)[2])) for line in file]

    def test_order_and_state(self):
        names = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
        hooks = {name: [self.hook(name), self.hook(name + "2")] for name in names}
        # It runs inside: its log is on the container's output.
        hooks["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /started; echo >> /started; pwd >> /started"]}]
        self.config("sh", "-c", "cat /started; sleep 1000", hooks=hooks, annotations={"a": 'quo"te'})
        self.create("a")
        pid = self.state("a")["pid"]
        self.assertEqual(
            [line[0] for line in self.lines()],
            ["prestart", "prestart2", "createRuntime", "createRuntime2", "createContainer", "createContainer2"])
        for _, variable, state in self.lines():
            self.assertEqual(variable, "b")
            self.assertEqual((state["id"], state["status"]), ("a", "created"))
            self.assertEqual(state["bundle"], os.path.realpath(self.folder))
            self.assertEqual(state["annotations"], {"a": 'quo"te'})
        self.assertEqual([line[2]["pid"] for line in self.lines()], [pid] * 4 + [1] * 2)
        self.oci("start", "a", check=True)
        self.assertEqual([(line[0], line[2]["status"], line[2]["pid"]) for line in self.lines()[6:]],
                         [("poststart", "running", pid), ("poststart2", "running", pid)])
        wait_until(lambda: self.output("a").endswith("/\n"), what="the program")
        self.assertEqual(json.loads(self.output("a").splitlines()[0])["status"], "created")
        self.oci("delete", "--force", "a", check=True)
        self.assertEqual([(line[0], line[2]["status"]) for line in self.lines()[8:]],
                         [("poststop", "stopped"), ("poststop2", "stopped")])

    def test_the_mounts_are_there_before_the_root_is_changed(self):
        self.config("cat", "/tmp/late", hooks={"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", f"mount | grep -q {self.folder}/rootfs/proc && "
                                         f"echo late > {self.folder}/rootfs/tmp/late"],
             "env": ["PATH=/bin:/usr/bin"]}]})
        result = self.oci("run", "a")
        self.assertEqual(result.stdout, "late\n", result.stderr)

    def test_a_hook_that_fails_stops_the_creation(self):
        for kind in ("prestart", "createRuntime", "createContainer"):
            self.config("true", hooks={kind: [self.hook(kind, "echo because >&2; exit 3")]})
            self.assertEqual(self.launch("create", "a"), 1)
            self.assertRegex(self.output("a"), f"{kind} hook /bin/sh: exit code 3: because")
            self.assertIn("does not exist", self.oci("state", "a").stderr)

    def test_a_hook_that_fails_stops_the_start(self):
        self.config("true", hooks={"startContainer": [{"path": "/bin/false"}]})
        self.create("a")
        self.assertIn("startContainer", self.oci("start", "a").stderr)
        self.wait_for("a", "stopped")
        self.config("sleep", "1000", hooks={"poststart": [{"path": "/bin/false"}]})
        self.create("b")
        self.assertIn("poststart", self.oci("start", "b").stderr)
        self.wait_for("b", "stopped")

    def test_a_failed_poststop_is_a_warning(self):
        self.config("true", hooks={"poststop": [{"path": "/bin/false"}, self.hook("second")]})
        result = self.oci("run", "a")
        self.assertEqual(result.returncode, 0)
        self.assertIn("poststop", result.stderr)
        self.assertEqual(self.lines()[0][0], "second")

    def test_a_hook_that_hangs_is_killed(self):
        self.config("true", hooks={"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]})
        started = time.monotonic()
        self.assertEqual(self.launch("create", "a"), 1)
        self.assertLess(time.monotonic() - started, 20)
        self.assertIn("did not end in time", self.output("a"))

    def test_a_hook_need_not_read_its_input(self):
        self.config("true", annotations={"large": "x" * 200_000}, hooks={"prestart": [{"path": "/bin/true"}]})
        self.oci("run", "a", check=True)


class Processes(OCITestCase):
    def setUp(self):
        super().setUp()
        self.config("sleep", "1000", hostname="inner")
        self.assertEqual(self.launch("run -d", "a"), 0)

    def test_exec(self):
        result = self.oci("exec", "-e", "A=b", "--cwd", "/tmp", "-u", "12:34", "a", "sh", "-c",
                          "echo $A; pwd; id -u; id -g; hostname; exit 4")
        self.assertEqual((result.returncode, result.stdout), (4, "b\n/tmp\n12\n34\ninner\n"), result.stderr)
        self.assertEqual(self.oci("exec", "a", "cat", input="text").stdout, "text")
        self.assertIn("not found", self.oci("exec", "a", "nosuch").stderr)

    def test_exec_of_a_process_file(self):
        path = os.path.join(self.folder, "process.json")
        with open(path, "w") as file:
            json.dump({"args": ["/bin/sh", "-c", "echo $B; id -u; grep CapEff /proc/self/status"], "cwd": "/",
                       "env": ["B=c", "PATH=/bin"], "user": {"uid": 0, "gid": 0},
                       "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"],
                                        "permitted": ["CAP_CHOWN"]}}, file)
        result = self.oci("exec", "--process", path, "a")
        self.assertEqual(result.stdout, "c\n0\nCapEff:\t0000000000000001\n", result.stderr)

    def test_capabilities_of_an_added_process(self):
        result = self.oci("exec", "--cap", "CAP_NET_ADMIN", "a", "grep", "CapEff", "/proc/self/status")
        self.assertEqual(int(result.stdout.split()[1], 16) >> 12 & 1, 1, result.stderr)
        result = self.oci("exec", "--no-new-privs", "a", "grep", "NoNewPrivs", "/proc/self/status")
        self.assertEqual(result.stdout.split()[1], "1")

    def test_listings(self):
        # Its streams are ours: a pipe would wait for it.
        subprocess.run([OCI, "--root", self.root, "exec", "-d", "a", "sleep", "1001"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        processes = json.loads(self.oci("ps", "--format", "json", "a", check=True).stdout)
        self.assertEqual(len(processes), 2)
        table = self.oci("ps", "a", check=True).stdout
        self.assertIn("sleep 1001", table)
        self.assertEqual(len(table.splitlines()), 3)
        self.assertEqual(self.oci("list", "-q", check=True).stdout, "a\n")
        self.assertEqual(json.loads(self.oci("list", "-f", "json", check=True).stdout)[0]["status"], "running")
        self.assertRegex(self.oci("list", check=True).stdout, "(?s)^ID .*\na +[0-9]+ +running ")

    def test_limits_are_changed(self):
        cgroup = "gantry/a"
        self.oci("update", "--memory", "64m", "--pids-limit", "50", "--cpu-quota", "50000", "--cpu-period", "100000",
                 "a", check=True)
        self.assertEqual(value(cgroup, "memory", "memory.limit_in_bytes", "memory.max"), "67108864")
        self.assertEqual(value(cgroup, "pids", "pids.max", "pids.max"), "50")
        change = {"memory": {"limit": 32 << 20, "swap": 0}, "cpu": {"shares": 0, "period": 0}, "pids": {"limit": -1}}
        self.oci("update", "-r", "-", "a", input=json.dumps(change), check=True)
        self.assertEqual(value(cgroup, "memory", "memory.limit_in_bytes", "memory.max"), str(32 << 20))
        self.assertEqual(value(cgroup, "pids", "pids.max", "pids.max"), "max")
        stats = json.loads(self.oci("events", "--stats", "a", check=True).stdout)
        self.assertEqual(stats["data"]["memory"]["usage"]["limit"], 32 << 20)

    def test_only_its_own_cgroups_are_shown(self):
        with open(os.path.join(self.folder, "config.json")) as file:
            config = json.load(file)
        namespaces = [n for n in config["linux"]["namespaces"] if n["type"] != "cgroup"]
        self.config("sh", "-c", "cat /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/cgroup.procs 2> /dev/null; "
                    "touch /sys/fs/cgroup/x || echo read-only",
                    linux={"namespaces": namespaces})
        self.assertEqual(self.oci("run", "b").stdout.split()[0], "1")
        self.assertIn("read-only", self.oci("run", "b").stdout)


def value(cgroup, controller, one, two):
    for path in (f"/sys/fs/cgroup/{controller}/{cgroup}/{one}", f"/sys/fs/cgroup/{cgroup}/{two}"):
        if os.path.exists(path):
            with open(path) as file:
                return file.read().strip()
    raise AssertionError(f"no {controller} of {cgroup}")


class Messages(OCITestCase):
    def test_the_log_that_engines_read(self):
        log = os.path.join(self.folder, "log")
        result = self.oci("state", "nope", options=["--log", log, "--log-format", "json"])
        self.assertEqual(result.returncode, 1)
        with open(log) as file:
            entry = json.loads(file.read())
        self.assertEqual((entry["level"], entry["msg"]), ("error", "container 'nope' does not exist"))
        self.assertRegex(entry["time"], "^[0-9]{4}-[0-9-]+T[0-9:]+Z$")
        self.oci("state", "nope", options=["--log", log])
        with open(log) as file:
            self.assertRegex(file.readlines()[1], 'time=".*" level=error msg="container .nope. does not exist"')

    def test_warnings_do_not_go_to_the_containers_output(self):
        config = self.config("true")
        config["process"]["capabilities"]["bounding"].append("CAP_NOSUCH")
        self.config("true", process=config["process"])
        log = os.path.join(self.folder, "log")
        result = self.oci("run", "a", options=["--log", log], check=True)
        self.assertEqual(result.stderr, "")
        with open(log) as file:
            self.assertIn("CAP_NOSUCH", file.read())

    def test_what_is_wrong_is_said_before_anything_is_done(self):
        cases = [
            ({"ociVersion": "2.0.0"}, "unknown version"), ({"ociVersion": "one"}, "not a version"),
            ({"process": {"cwd": "tmp"}}, "absolute"), ({"process": {"args": []}}, "must not be empty"),
            ({"process": {"rlimits": [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]}}, "RLIMIT_NOSUCH"),
            ({"root": {"path": "nosuch"}}, "nosuch"), ({"linux": {"cgroupsPath": "/a/../b"}}, "cgroupsPath"),
            ({"linux": {"cgroupsPath": "a:b:c"}}, "systemd"), ({"linux": {"intelRdt": {}}}, "intelRdt"),
            ({"hooks": {"poststop": [{"path": "true"}]}}, "absolute"),
            ({"hooks": {"poststop": [{"path": "/bin/true", "timeout": 0}]}}, "timeout"),
        ]
        for change, message in cases:
            self.config("true", **change)
            result = self.oci("run", "a")
            self.assertEqual((result.returncode, message in result.stderr), (1, True), (change, result.stderr))
            self.assertEqual(self.oci("list", "-q").stdout, "")

    def test_ids(self):
        self.config("true")
        for name in ("../x", "a/b", ".a", "a b", "ä", "a" * 300):
            self.assertNotEqual(self.oci("run", name).returncode, 0, name)
        self.oci("run", "a_B+1.-", check=True)

    def test_global_options(self):
        self.config("true")
        self.oci("run", "a", check=True, options=["--debug", "--rootless=false", "--criu", "x", "--systemd-cgroup=false",
                                                  "--cgroup-manager", "disabled"])
        self.assertIn("systemd", self.oci("list", options=["--systemd-cgroup"]).stderr)
        self.assertIn("systemd", self.oci("list", options=["--cgroup-manager=systemd"]).stderr)
        self.assertIn("--nosuch", self.oci("list", options=["--nosuch", "x"]).stderr)
        self.assertIn("spec: 1.", self.oci("--version", check=True).stdout)
        features = json.loads(self.oci("features", check=True).stdout)
        self.assertEqual(features["ociVersionMin"], "1.0.0")
        self.assertIn("rbind", features["mountOptions"])
