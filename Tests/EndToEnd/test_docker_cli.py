"""The docker command line against the engine: what it prints, and what it ends with."""

import datetime
import json
import os
import re
import time
import unittest

from docker_harness import ID, DockerCase
from harness import free_port, wait_until


class Running(DockerCase):
    def test_foreground(self):
        self.table([
            ("run --rm busybox echo hello", 0, "hello\n"),
            ("run --rm busybox sh -c 'echo out; echo err >&2'", 0, "out\n", "err"),
            ("run --rm busybox sh -c 'exit 3'", 3, ""),
            ("run --rm busybox sh -c 'exit 137'", 137, ""),
            ("run --rm busybox false", 1, ""),
            ("run --rm busybox nosuch", 127, "", "executable file not found in $PATH"),
            ("run --rm busybox /no/such", 127, "", "no such file or directory"),
            ("run --rm busybox /etc/passwd", 126, "", "permission denied"),
            ("run --rm --no-such-flag busybox", 125, "", "unknown flag"),
            ("run --rm --name -bad busybox true", 125, "", "Invalid container name"),
            ("run --rm --workdir relative busybox true", 125, "", "needs to be an absolute path"),
            ("run --rm --memory 1m busybox true", 125, "", "Minimum memory limit allowed is 6MB"),
            ("run --rm --restart always busybox true", 125, ""),
            ("run --rm --log-driver syslog busybox true", 125, "", "no log driver named 'syslog'"),
            ("run --rm --runtime kata busybox true", 125, "", "unknown or invalid runtime name: kata"),
            ("run --rm --entrypoint '' busybox echo plain", 0, "plain\n"),
            ("run --rm --entrypoint /bin/echo busybox with args", 0, "with args\n"),
            ("run --rm -e A=1 -e B= busybox sh -c 'echo $A-$B-'", 0, "1--\n"),
            ("run --rm -w /tmp busybox pwd", 0, "/tmp\n"),
            ("run --rm -u 1000:1000 busybox id -u", 0, "1000\n"),
            ("run --rm -u web busybox id -un", 0, "web\n"),
            ("run --rm -h inside busybox hostname", 0, "inside\n"),
            ("ps -aq", 0, ""),
        ])

    def test_what_the_host_has_not_is_refused_at_once(self):
        count = os.sysconf("SC_NPROCESSORS_ONLN")
        with open("/sys/devices/system/cpu/online") as file:
            online = file.read().strip()
        self.ok("create --name other -v /data busybox true")
        range_text = f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        self.table([
            ("create --cap-add FOO busybox true", 1, "", 'invalid CapAdd: unknown capability: "CAP_FOO"'),
            ("create --cap-drop cap_foo busybox true", 1, "", 'invalid CapDrop: unknown capability: "CAP_FOO"'),
            ("create --cpuset-cpus 4999 busybox true", 1, "",
             f"Requested CPUs are not available - requested 4999, available: {online}"),
            ("create --cpuset-cpus 0-4999 busybox true", 1, "", "Requested CPUs are not available"),
            *[(f"create --cpuset-cpus {text} busybox true", 1, "", f"Invalid value {text} for cpuset cpus")
              for text in ("a", "0-", "1-0", "0,,0", "+0", "99999999999999999999")],
            (f"create --cpus {count + 0.01} busybox true", 1, "", range_text),
            ("create --volumes-from other:bogus busybox true", 1, "", "invalid mode: bogus"),
            ("create --volumes-from other:ro,rw busybox true", 1, "", "invalid mode: ro,rw"),
            ("create --volumes-from other:nocopy busybox true", 1, "", "invalid mode: nocopy"),
            ("ps -aq", 0, re.compile(r"^\w{12}\n$")),
            (f"run --rm --cap-add net_admin --cap-drop ALL --cpuset-cpus 0,0-0 --cpus {count} busybox true", 0, ""),
            ("run --rm --volumes-from other:ro,z busybox touch /data/x", 1, "", "Read-only"),
            ("run --rm --volumes-from other:rw busybox touch /data/x", 0, ""),
        ])

    def test_input(self):
        result = self.docker("run --rm -i busybox cat", input="typed\n")
        self.assertEqual((result.returncode, result.stdout), (0, "typed\n"), result.stderr)
        result = self.docker("run --rm -i busybox wc -c", input="x" * 200_000)
        self.assertEqual(result.stdout.strip(), "200000", result.stderr)
        # Without -i there is none.
        result = self.docker("run --rm busybox cat", input="typed\n")
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)

    def test_output_is_whole(self):
        """Nothing that a short run prints is lost, and a long one is in order."""
        for _ in range(10):
            self.table([("run --rm busybox echo x", 0, "x\n")])
        result = self.docker("run --rm busybox seq 1 200000")
        self.assertEqual(result.stdout, "".join(f"{number}\n" for number in range(1, 200001)))

    def test_missing_image(self):
        result = self.docker("run --rm --pull never nosuch:7 true")
        self.assertEqual(result.returncode, 125)
        self.assertIn("No such image: nosuch:7", result.stderr)

    def test_detached(self):
        self.table([
            ("run -d --name one busybox sleep 1000", 0, ID),
            ("run -d --name one busybox true", 125, "", 'The container name "/one" is already in use by container'),
            ("exec one echo inside", 0, "inside\n"),
            ("stop -t 0 one", 0, "one\n"),
            ("wait one", 0, "137\n"),
            ("start one", 0, "one\n"),
            ("kill one", 0, "one\n"),
            ("rm one", 0, "one\n"),
            ("rm one", 1, "", "No such container: one"),
        ])

    def test_terminal(self):
        code, text = self.in_terminal("run --rm -it busybox sh", [("# ", "tty; echo $((40+2)); exit 5\r")])
        self.assertIn("/dev/pts/", text)
        self.assertIn("42", text)
        self.assertEqual(code, 5)

    def test_terminal_detach(self):
        self.ok("run -dit --name box busybox sh")
        code, _ = self.in_terminal("attach box", [("", "\r"), ("# ", "\x10\x11")])
        self.assertEqual(self.inspect("box", "{{.State.Running}}"), "true")
        code, text = self.in_terminal("attach box", [("", "\r"), ("# ", "exit 4\r")])
        self.assertEqual(code, 4, text)

    def test_process_options(self):
        self.table([
            ("run --rm --init busybox sh -c 'cat /proc/1/comm'", 0, re.compile("gantry|init")),
            ("run --rm --read-only busybox touch /x", 1, "", "Read-only file system"),
            ("run --rm --tmpfs /scratch:size=1m busybox sh -c 'df -k /scratch | tail -1'", 0, re.compile("1024")),
            ("run --rm --tmpfs /scratch:exec busybox sh -c 'grep /scratch /proc/mounts'", 0,
             re.compile(r"^(?!.*noexec)", re.S)),
            ("run --rm --shm-size 8m busybox sh -c 'df -k /dev/shm | tail -1'", 0, re.compile("8192")),
            ("run --rm --ulimit nofile=123:456 busybox sh -c 'ulimit -n; ulimit -Hn'", 0, "123\n456\n"),
            ("run --rm --device /dev/null:/dev/nothing:rw busybox sh -c 'echo x > /dev/nothing && cat /dev/nothing'", 0, ""),
            ("run --rm busybox sh -c 'grep CapBnd /proc/self/status'", 0, "CapBnd:\t00000000a80425fb\n"),
            ("run --rm --cap-drop ALL busybox sh -c 'grep CapEff /proc/self/status'", 0,
             re.compile("0000000000000000")),
            ("run --rm --cap-add NOSUCH busybox true", 125, "", "NOSUCH"),
            ("run --rm --sysctl net.ipv4.ip_unprivileged_port_start=99 busybox cat "
             "/proc/sys/net/ipv4/ip_unprivileged_port_start", 0, "99\n"),
            ("run --rm --add-host db:10.9.8.7 busybox grep db /etc/hosts", 0, "10.9.8.7\tdb\n"),
            ("run --rm --dns-search a.test --dns-opt ndots:3 busybox cat /etc/resolv.conf", 0,
             re.compile("search a.test\noptions ndots:3")),
            ("run --rm --pid host busybox sh -c 'test $$ -gt 1'", 0, ""),
            ("run --rm --uts host busybox hostname", 0, os.uname().nodename + "\n"),
            ("run --rm --group-add 4242 busybox id -G", 0, re.compile("4242")),
            ("run --rm --oom-score-adj 77 busybox cat /proc/self/oom_score_adj", 0, "77\n"),
            ("run --rm --privileged busybox sh -c 'test -e /dev/kmsg'", 0, ""),
            ("run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status", 0,
             "NoNewPrivs:\t1\n"),
            ("run --rm --memory 32m --cpus 0.5 --pids-limit 50 busybox true", 0, ""),
            ("run --rm --gpus all busybox true", 125, "", "could not select device driver"),
        ])


class Looking(DockerCase):
    def test_list(self):
        self.ok("run -d --name up -l color=red -l size=big busybox sleep 1000")
        self.docker("run --name gone -l color=blue busybox sh -c 'exit 3'")
        self.ok("create --name fresh busybox true")
        names = "--format {{.Names}}"
        self.table([
            (f"ps {names}", 0, "up\n"),
            (f"ps -a {names}", 0, "fresh\ngone\nup\n"),
            (f"ps -a --no-trunc {names} -n 1", 0, "fresh\n"),
            (f"ps -l {names}", 0, "fresh\n"),
            (f"ps -a -f status=exited {names}", 0, "gone\n"),
            (f"ps -a -f status=created {names}", 0, "fresh\n"),
            (f"ps -f status=exited {names}", 0, "gone\n"),
            (f"ps -a -f exited=3 {names}", 0, "gone\n"),
            (f"ps -a -f exited=4 {names}", 0, ""),
            (f"ps -a -f label=color=red -f label=size {names}", 0, "up\n"),
            (f"ps -a -f label=color {names}", 0, "gone\nup\n"),
            (f"ps -a -f name=^g {names}", 0, "gone\n"),
            (f"ps -a -f name=^/up$ {names}", 0, "up\n"),
            (f"ps -a -f ancestor=busybox {names}", 0, "fresh\ngone\nup\n"),
            (f"ps -a -f ancestor=nosuch {names}", 0, ""),
            (f"ps -a -f before=gone {names}", 0, "up\n"),
            (f"ps -a -f since=gone {names}", 0, "fresh\n"),
            (f"ps -a -f network=bridge -f status=running {names}", 0, "up\n"),
            (f"ps -a -f health=none {names}", 0, "fresh\ngone\nup\n"),
            ("ps -f nosuch=1", 1, "", "invalid filter 'nosuch"),
            ("ps -a -f status=nosuch", 1, "", "invalid filter"),
            ("ps --format {{.Status}}", 0, re.compile(r"^Up (Less than a second|\d+ seconds?)\n$")),
            ("ps -a -f name=gone --format {{.Status}}", 0, re.compile(r"^Exited \(3\) .+ ago\n$")),
            ("ps -a -f name=fresh --format {{.Status}}", 0, "Created\n"),
            ("ps --no-trunc --format '{{.Image}} {{.Command}} {{.State}} {{.Label \"color\"}} {{.Networks}}'", 0,
             'busybox "sleep 1000" running red bridge\n'),
            ("ps -s --format {{.Size}}", 0, re.compile(r"\(virtual ")),
        ])
        identifier = self.inspect("up", "{{.Id}}")
        self.table([
            (f"ps -f id={identifier[:8]} {names}", 0, "up\n"),
            ("ps -q --no-trunc", 0, identifier + "\n"),
            ("ps -q", 0, identifier[:12] + "\n"),
        ])

    def test_inspect(self):
        self.ok("run -d --name one -e A=b -l k=v -p 127.0.0.1::80 -v data:/data -v /tmp:/host:ro --restart "
                "on-failure:3 --memory 64m --cap-add NET_ADMIN --hostname h --stop-signal INT busybox sleep 1000")
        self.table([
            ("inspect -f '{{.Name}} {{.State.Status}} {{.State.Running}} {{.Path}} {{.Args}}' one", 0,
             "/one running true sleep [1000]\n"),
            ("inspect -f '{{.Config.Image}} {{.Config.Hostname}} {{.Config.Labels.k}} {{.Config.StopSignal}}' one", 0,
             "busybox h v INT\n"),
            ("inspect -f '{{json .Config.Env}}' one", 0, re.compile(r'\["A=b","PATH=/bin"\]')),
            ("inspect -f '{{json .Config.Cmd}} {{json .Config.Entrypoint}}' one", 0, '["sleep","1000"] null\n'),
            ("inspect -f '{{.HostConfig.Memory}} {{.HostConfig.CapAdd}} {{.HostConfig.RestartPolicy.Name}} "
             "{{.HostConfig.RestartPolicy.MaximumRetryCount}}' one", 0,
             re.compile(r"^67108864 \[(CAP_)?NET_ADMIN\] on-failure 3\n$")),
            ("inspect -f '{{.HostConfig.NetworkMode}} {{.HostConfig.ShmSize}} {{.HostConfig.LogConfig.Type}}' one", 0,
             re.compile("^(bridge|default) 67108864 json-file\n$")),
            ("inspect -f '{{range .Mounts}}{{.Type}}:{{.Name}}:{{.Destination}}:{{.RW}} {{end}}' one", 0,
             "volume:data:/data:true bind::/host:false \n"),
            ("inspect -f '{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostIp}}' one", 0, "127.0.0.1\n"),
            ("inspect -f '{{with index .NetworkSettings.Networks \"bridge\"}}{{.IPAddress}} {{.Gateway}}{{end}}' one",
             0, re.compile(r"^\d+\.\d+\.\d+\.\d+ \d+\.\d+\.\d+\.\d+\n$")),
            ("inspect -f '{{.Created}} {{.State.StartedAt}}' one", 0,
             re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z \d{4}-")),
            ("inspect -f '{{.State.FinishedAt}}' one", 0, "0001-01-01T00:00:00Z\n"),
            ("inspect --type container nosuch", 1, "[]\n", "No such container: nosuch"),
            ("inspect nosuch", 1, "[]\n", "No such object: nosuch"),
        ])
        document = self.api("/containers/one/json")
        for name in ("Args", "Config", "Created", "Driver", "HostConfig", "Id", "Image", "Mounts", "Name",
                     "NetworkSettings", "Path", "Platform", "RestartCount", "State"):
            self.assertIn(name, document)
        self.assertNotIn("SizeRw", document)
        self.assertIn("SizeRw", self.api("/containers/one/json?size=1"))
        # Containers of a stack are told in the same words.
        folder = self.stack("""
            services:
              web:
                image: busybox
                command: sleep 1000
                mem_limit: 32m
                cap_add: [NET_ADMIN]
                stop_grace_period: 0s
            """, "shop")
        self.gantry_ok("up", "-d", folder=folder)
        self.table([
            ("inspect -f '{{.HostConfig.Memory}} {{.HostConfig.CapAdd}} {{.HostConfig.NetworkMode}}' shop-web-1", 0,
             "33554432 [NET_ADMIN] shop_default\n"),
            ("ps -f label=com.docker.compose.project=shop --format {{.Names}}", 0, "shop-web-1\n"),
        ])
        self.gantry_ok("down", folder=folder)

    def test_logs(self):
        self.ok("run --name talk busybox sh -c 'echo one; echo two >&2; sleep 0.05; echo three'")
        self.table([
            ("logs talk", 0, "one\nthree\n", "two\n"),
            ("logs -n 1 talk", 0, "three\n"),
            ("logs -t talk", 0, re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one\n")),
            ("logs --since 2020-01-01T00:00:00Z talk", 0, "one\nthree\n"),
            ("logs --until 2020-01-01T00:00:00Z talk", 0, ""),
            ("logs -f talk", 0, "one\nthree\n"),
            ("logs nosuch", 1, "", "o such container: nosuch"),
        ])
        self.ok("run -d --name later busybox sh -c 'echo first; sleep 0.5; echo last'")
        self.table([("logs -f later", 0, "first\nlast\n")])
        self.ok("create --name never busybox true")
        self.table([("logs never", 0, "")])
        self.ok("run --name mute --log-driver none busybox echo x")
        result = self.docker("logs mute")
        self.assertEqual(result.returncode, 1)
        self.assertIn("configured logging driver does not support reading", result.stderr)

    def test_top_stats_port_diff(self):
        port = free_port()
        self.ok(f"run -d --name one -p {port}:80 -p 127.0.0.1:{port + 1}:81/udp busybox sleep 1000")
        self.table([
            ("top one", 0, re.compile(r"PID.*\n.*sleep 1000")),
            ("top one -o pid,args", 0, re.compile(r"^PID +COMMAND\n\d+ +sleep 1000\n$")),
            ("top one -o args", 1, "", "PID"),
            ("stats --no-stream --format '{{.Name}} {{.PIDs}}' one", 0, "one 1\n"),
            ("stats --no-stream --format '{{.Name}} {{.MemUsage}}'", 0, re.compile(r"^one [\d.]+[KM]iB / ")),
            ("port one 80", 0, re.compile(f"0.0.0.0:{port}\n")),
            ("port one 81/udp", 0, f"127.0.0.1:{port + 1}\n"),
            ("port one 9", 1, "", "No public port '9"),
            ("diff one", 0, ""),
            ("exec one sh -c 'echo x > /tmp/new; rm /etc/group'", 0, ""),
            ("diff one", 0, re.compile(r"C /tmp\n")),
            ("diff one", 0, re.compile(r"A /tmp/new\n")),
            ("diff one", 0, re.compile(r"D /etc/group\n")),
            ("stop -t 0 one", 0, "one\n"),
            ("top one", 1, "", "is not running"),
            ("stats --no-stream --format {{.Name}} one", 0, re.compile("one|--")),
        ])


class Steering(DockerCase):
    def test_lifecycle(self):
        self.table([
            ("create --name one busybox sh -c 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done'", 0, ID),
            ("start one", 0, "one\n"),
            ("start one", 0, "one\n"),
        ])
        # Before its trap, the signal is not heard.
        wait_until(lambda: self.docker("logs one").stdout == "ready\n", what="the first trap")
        self.table([
            ("pause one", 0, "one\n"),
            ("ps --format {{.Status}}", 0, re.compile(r"\(Paused\)")),
            ("pause one", 1, "", "already paused"),
            ("exec one true", 1, "", "is paused"),
            ("rm one", 1, "", "You cannot remove a paused container"),
            ("unpause one", 0, "one\n"),
            ("unpause one", 1, "", "is not paused"),
            ("rm one", 1, "", "Stop the container before attempting removal or force remove"),
            ("stop one", 0, "one\n"),
            ("inspect -f '{{.State.ExitCode}} {{.State.Status}}' one", 0, "7 exited\n"),
            ("stop one", 0, "one\n"),
            ("kill one", 1, "", "is not running"),
            ("restart -t 0 one", 0, "one\n"),
            ("rename one two", 0, ""),
            ("inspect -f {{.Name}} two", 0, "/two\n"),
            ("rename two two", 1, "", "same name"),
            ("rename nosuch x1", 1, "", "o such container"),
        ])
        wait_until(lambda: self.docker("logs two").stdout == "ready\n" * 2, what="the second trap")
        self.table([
            ("kill -s TERM two", 0, "two\n"),
            ("wait two", 0, "7\n"),
            ("kill -s NOSUCH two", 1, ""),
            ("rm -f two", 0, "two\n"),
            ("ps -aq", 0, ""),
        ])

    def test_start_attached(self):
        self.ok("create --name one -i busybox sh -c 'cat; exit 6'")
        result = self.docker("start -a -i one", input="again\n")
        self.assertEqual((result.returncode, result.stdout), (6, "again\n"), result.stderr)
        result = self.docker("start -a -i one", input="and again\n")
        self.assertEqual((result.returncode, result.stdout), (6, "and again\n"), result.stderr)

    def test_attach(self):
        self.ok("run -d --name one busybox sh -c 'sleep 5; echo seen; exit 9'")
        result = self.docker("attach one")
        self.assertEqual((result.returncode, result.stdout), (9, "seen\n"), result.stderr)
        self.table([("attach one", 1, "", "cannot attach to a stopped container")])

    def test_exec(self):
        self.ok("run -d --name one -e A=outer busybox sleep 1000")
        self.table([
            ("exec one sh -c 'echo out; echo err >&2; exit 4'", 4, "out\n", "err\n"),
            ("exec -e B=2 -w /tmp one sh -c 'echo $A $B; pwd'", 0, "outer 2\n/tmp\n"),
            ("exec -u 1000 one id -u", 0, "1000\n"),
            ("exec one nosuch", 126, re.compile("executable file not found|^$")),
            ("exec one /etc/passwd", 126, re.compile("permission denied|^$")),
            ("exec -d one touch /tmp/detached", 0, ""),
            ("exec --privileged one sh -c 'grep CapEff /proc/self/status'", 0, re.compile("CapEff")),
        ])
        wait_until(lambda: self.docker("exec one test -e /tmp/detached").returncode == 0, what="the detached command")
        result = self.docker("exec -i one cat", input="through\n")
        self.assertEqual(result.stdout, "through\n", result.stderr)
        code, text = self.in_terminal("exec -it one sh", [("# ", "tty; stty size; exit 8\r")])
        self.assertIn("/dev/pts/", text)
        self.assertEqual(code, 8)
        self.ok("stop -t 0 one")
        self.table([("exec one true", 1, "", "is not running")])

    def test_update(self):
        self.ok("run -d --name one --memory 64m busybox sleep 1000")
        self.table([
            ("update --memory 96m --memory-swap 192m --pids-limit 77 --restart unless-stopped one", 0, "one\n"),
            ("inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}' one", 0,
             "100663296 77 unless-stopped\n"),
            ("update --memory 1m one", 1, "", "Minimum memory limit"),
        ])

    def test_wait_ends_with_removal(self):
        self.ok("run -d --rm --name brief busybox sh -c 'sleep 4; exit 12'")
        self.table([("wait brief", 0, "12\n")])
        wait_until(lambda: not self.docker("ps -aq").stdout, what="the container to be gone")

    def test_restart_policies(self):
        self.ok("run -d --name flaky --restart on-failure:2 busybox sh -c 'exit 5'")
        wait_until(lambda: self.inspect("flaky", "{{.RestartCount}} {{.State.Status}}") == "2 exited",
                   what="both restarts")
        self.ok("run -d --name always --restart always busybox sh -c 'sleep 0.1'")
        wait_until(lambda: int(self.inspect("always", "{{.RestartCount}}")) >= 2, what="two restarts")
        self.ok("stop -t 0 always")
        time.sleep(0.5)
        self.assertEqual(self.inspect("always", "{{.State.Status}}"), "exited")
        self.ok("run -d --name killed --restart always busybox sleep 1000")
        self.ok("kill killed")
        time.sleep(0.4)
        self.assertEqual(self.inspect("killed", "{{.State.Status}}"), "exited")

    def test_another_engine_takes_over(self):
        self.ok("run -d --name stays --restart unless-stopped busybox sleep 1000")
        self.ok("run -d --name stopped --restart unless-stopped busybox sleep 1000")
        self.ok("run -d --name always --restart always busybox sleep 1000")
        port = free_port()
        self.ok(f"run -d --name web -p {port}:80 busybox sh -c 'echo served > /www/index.html; httpd -f -h /www'")
        pid = self.inspect("stays", "{{.State.Pid}}")
        self.ok("stop -t 0 stopped always")
        self.kill_engine()
        self.start_engine()
        wait_until(lambda: self.inspect("always", "{{.State.Running}}") == "true", what="always to run again")
        self.assertEqual(self.inspect("stopped", "{{.State.Running}}"), "false")
        self.assertEqual(self.inspect("stays", "{{.State.Pid}}"), pid)
        wait_until(lambda: self.served(port) == "served", what="the port to answer")
        self.table([(f"run --rm -p {port}:80 busybox true", 125, "", "port is already allocated")])

    def served(self, port):
        try:
            return self.get(port)
        except OSError:
            return None

    def test_health(self):
        self.ok("run -d --name one --health-cmd 'test -e /tmp/well' --health-interval 100ms --health-retries 2 "
                "busybox sleep 1000")
        health = "{{.State.Health.Status}}"
        wait_until(lambda: self.inspect("one", health) == "unhealthy", what="unhealthy")
        self.table([("ps --format {{.Status}}", 0, re.compile(r"\(unhealthy\)")),
                    ("ps -q -f health=unhealthy", 0, re.compile(r"^\w{12}\n$")),
                    ("exec one touch /tmp/well", 0, "")])
        wait_until(lambda: self.inspect("one", health) == "healthy", what="healthy")
        self.assertEqual(self.inspect("one", "{{.State.Health.FailingStreak}}"), "0")
        self.assertNotEqual(self.inspect("one", "{{len .State.Health.Log}}"), "0")

    def test_health_over_the_images(self):
        """What a container says of its healthcheck goes before what its image says."""
        folder = f"{self.root}/checked"
        os.makedirs(folder)
        with open(f"{folder}/Dockerfile", "w") as file:
            file.write("FROM busybox\nHEALTHCHECK --interval=7s --retries=9 CMD false\n")
        self.ok(f"build -q -t checked {folder}")
        image = {"Test": ["CMD-SHELL", "false"], "Interval": 7 * 10**9, "Retries": 9}
        for options, expected in [
                ("", image), ("--health-interval 1s", image | {"Interval": 10**9}),
                ("--health-cmd true --health-timeout 2s", image | {"Test": ["CMD-SHELL", "true"], "Timeout": 2 * 10**9}),
                ("--no-healthcheck", image | {"Test": ["NONE"]})]:
            with self.subTest(options):
                self.ok(f"create --name one {options} checked true")
                self.assertEqual(json.loads(self.inspect("one", "{{json .Config.Healthcheck}}")), expected)
                self.ok("rm one")
        self.ok("create --name one --health-cmd true busybox true")
        self.assertEqual(self.inspect("one", "{{json .Config.Healthcheck}}"), '{"Test":["CMD-SHELL","true"]}')

    def test_health_log(self):
        self.ok("run -d --name one --health-cmd 'sleep 0.3; echo well' --health-interval 50ms busybox sleep 1000")
        def log():
            return json.loads(self.inspect("one", "{{json .State.Health.Log}}"))

        wait_until(lambda: len(log()) == 5, what="five entries")
        first = log()[0]["Start"]
        wait_until(lambda: log()[0]["Start"] != first, what="another entry")
        entries = log()
        self.assertEqual(len(entries), 5)
        for entry in entries:
            took = time_of(entry["End"]) - time_of(entry["Start"])
            self.assertTrue(0.3 <= took < 10, entry)
            self.assertEqual((entry["ExitCode"], entry["Output"]), (0, "well\n"))


def time_of(text):
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", text)).timestamp()


if __name__ == "__main__":
    unittest.main()
