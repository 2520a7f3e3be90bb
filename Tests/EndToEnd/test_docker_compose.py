"""Docker Compose 2, unchanged, against the engine: what it prints, what it ends with, and what runs then."""

import json
import os
import re
import socket
import textwrap
import time
import unittest

from docker_harness import CLIENTS, ClientCase
from harness import free_port

COMPOSE = f"{CLIENTS}/docker-compose"
# Ends at once when it is asked to.
WAITS = "trap 'exit 0' TERM; sleep 1000 & wait"


@unittest.skipUnless(os.path.exists(COMPOSE), "Docker Compose 2 is not there: fetch_clients.sh")
class ComposeCase(ClientCase):
    program = COMPOSE

    def project(self, text, name="shop", **files):
        """A folder with a Compose file and others; commands run in there."""
        self.folder = os.path.join(self.root, name)
        os.makedirs(self.folder, exist_ok=True)
        for file, content in {"compose.yaml": text, **files}.items():
            with open(os.path.join(self.folder, file), "w") as out:
                out.write(textwrap.dedent(content))

    def edit(self, old, new):
        path = f"{self.folder}/compose.yaml"
        with open(path) as file:
            text = file.read()
        self.assertIn(old, text)
        with open(path, "w") as file:
            file.write(text.replace(old, new))

    def compose(self, command, **options):
        return self.client(command, folder=self.folder, **options)

    def up(self, options=""):
        return self.ok(f"up -d {options}", folder=self.folder)

    def rows(self, *rows):
        self.table(rows, folder=self.folder)

    def ids(self):
        """Container name to id, of all that there are."""
        return {entry["Names"][0][1:]: entry["Id"] for entry in self.ask("GET", "/containers/json?all=1")[1]}

    def states(self):
        text = self.ok("ps -a --format json", folder=self.folder)
        return {entry["Name"]: entry["State"] for entry in map(json.loads, text.splitlines())}


class WholeProject(ComposeCase):
    """One project from its build to its removal."""

    def setUp(self):
        self.port = free_port()
        self.project(
            f"""
            services:
              db:
                image: busybox
                command: sh -c "mkdir -p /www; echo from db > /www/index.html; echo ready; httpd -p 80 -h /www; {WAITS}"
                healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 300ms, retries: 100}}
                volumes: [data:/data]
                networks: [back]
                secrets: [token]
                configs:
                  - {{source: conf, target: /etc/app.conf}}
                  - {{source: inline, target: /etc/inline.conf}}
              init:
                image: busybox
                command: echo initialised
                networks: [back]
              web:
                build: {{context: ., args: {{V: 7}}, labels: {{from: compose}}}}
                depends_on:
                  db: {{condition: service_healthy}}
                  init: {{condition: service_completed_successfully}}
                ports: ["127.0.0.1:{self.port}:80"]
                environment: {{GREETING: hello}}
                networks:
                  back: {{aliases: [www]}}
                  front:
            networks: {{back: , front: }}
            volumes: {{data: }}
            secrets: {{token: {{file: ./token}}}}
            configs: {{conf: {{file: ./conf}}, inline: {{content: "x=1"}}}}
            """,
            token="secret\n", conf="setting\n",
            Dockerfile=f"""
            FROM busybox
            ARG V=0
            RUN mkdir -p /www && echo built $V > /www/index.html
            CMD ["sh", "-c", "echo $GREETING; httpd -p 80 -h /www; {WAITS}"]
            """)

    def test_project(self):
        built = self.ok("build", folder=self.folder)
        self.assertRegex(built, r"(?s)Step 3/4 : RUN.*Successfully tagged shop-web:latest")
        self.up()
        self.rows(
            ("ps -a --format '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}'", 0,
             re.compile(r"db running healthy 0\ninit exited  0\nweb running  0\n")),
            ("ps --services", 0, "db\nweb\n"),
            ("images", 0, re.compile(r"shop-web-1 +shop-web +latest .*(seconds?|minutes?) ago")),
            ("logs --no-color web init", 0, re.compile(r"(?m)^web-1 +\| hello$")),
            ("logs --no-color web init", 0, re.compile(r"(?m)^init-1 +\| initialised$")),
            ("logs -t --no-log-prefix db", 0, re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]{18}Z ready\n$")),
            ("port web 80", 0, f"127.0.0.1:{self.port}\n"),
            ("exec -T db cat /run/secrets/token /etc/app.conf /etc/inline.conf", 0, "secret\nsetting\nx=1"),
            ("exec -T web wget -qO- http://db/", 0, "from db\n"),
            ("exec -T db wget -qO- http://www/", 0, "built 7\n"),
            ("exec -T web sh -c 'exit 7'", 7, ""),
            ("exec -T -e A=1 -w /tmp -u web db sh -c 'echo $A $PWD $(id -un)'", 0, "1 /tmp web\n"),
            ("top web", 0, re.compile("httpd -p 80 -h /www")),
            ("volumes --format '{{.Name}}'", 0, "shop_data\n"),
            ("ls --format json", 0, re.compile(r'"Name":"shop","Status":"running\(2\)"')),
            ("stats --no-stream --format '{{.Name}} {{.PIDs}}' web", 0, re.compile(r"shop-web-1 [1-9]")),
            ("config --services", 0, re.compile("^(db|init|web)\n(db|init|web)\n(db|init|web)\n$")),
            ("cp conf web:/tmp/copied", 0, ""),
            ("exec -T web cat /tmp/copied", 0, "setting\n"),
            ("cp web:/www/index.html -", 0, re.compile("built 7")),
            ("run --rm -T db echo once", 0, "once\n"),
            ("run --rm -T --no-deps web sh -c 'exit 4'", 4, ""),
            ("export web -o web.tar", 0, ""),
            ("commit web committed:1", 0, ""),
        )
        self.assertEqual(self.get(self.port), "built 7")
        piped = self.compose("exec -T db cat", input="typed\n")
        self.assertEqual((piped.returncode, piped.stdout), (0, "typed\n"), piped.stderr)
        # What is as it should be stays.
        before = self.ids()
        self.up("--wait")
        self.assertEqual(self.ids(), before)
        self.assertEqual(len(before), 3)
        self.ok("down -v --rmi local", folder=self.folder)
        self.assertEqual(self.ids(), {})
        self.assertEqual([each["Name"] for each in self.ask("GET", "/networks")[1]], ["bridge", "host", "none"])
        self.assertEqual(self.ask("GET", "/volumes")[1]["Volumes"], [])
        self.assertEqual(self.ask("GET", "/images/shop-web/json")[0], 404)
        self.ask("DELETE", "/images/committed:1")


class Changes(ComposeCase):
    """What Compose makes anew when its file has changed, and what it keeps."""

    def test_recreation(self):
        self.project(f"""
            services:
              a: {{image: busybox, command: sh -c "{WAITS}", environment: {{A: one}}, volumes: [kept:/kept, /own]}}
              b: {{image: busybox, command: sh -c "{WAITS}"}}
            volumes: {{kept: }}
            """)
        self.up()
        self.rows(("exec -T a sh -c 'echo named > /kept/f; echo anonymous > /own/f'", 0, ""))
        before = self.ids()
        self.edit("A: one", "A: two")
        self.up()
        after = self.ids()
        self.assertNotEqual(after["shop-a-1"], before["shop-a-1"])
        self.assertEqual(after["shop-b-1"], before["shop-b-1"])
        self.rows(("exec -T a sh -c 'echo $A; cat /kept/f /own/f'", 0, "two\nnamed\nanonymous\n"))
        self.up("--force-recreate -V a")
        self.rows(("exec -T a sh -c 'cat /kept/f; ls /own'", 0, "named\n"))
        self.up("--scale b=3")
        self.assertEqual(set(self.ids()), {"shop-a-1", "shop-b-1", "shop-b-2", "shop-b-3"})
        self.ok("scale b=1", folder=self.folder)
        self.assertEqual(set(self.ids()), {"shop-a-1", "shop-b-1"})
        # A service that is gone from the file.
        self.edit("  b:", "  c:")
        self.assertIn("orphan", self.compose("up -d").stderr)
        self.up("--remove-orphans")
        self.assertEqual(set(self.ids()), {"shop-a-1", "shop-c-1"})
        self.ok("down -v", folder=self.folder)

    def test_networks(self):
        """A fixed address goes from a container to the one in its place; a changed network is made anew."""
        self.project(f"""
            services:
              a:
                image: busybox
                command: sh -c "{WAITS}"
                networks: {{fixed: {{ipv4_address: 10.77.0.10}}, other: }}
            networks:
              fixed: {{labels: {{a: b}}, ipam: {{config: [{{subnet: 10.77.0.0/24}}]}}}}
              other:
            """)
        self.up()
        address = ("exec -T a ip -4 addr", 0, re.compile(r"inet 10\.77\.0\.10/24"))
        self.rows(address)
        before = self.ids()
        self.up("--force-recreate")
        self.assertNotEqual(self.ids(), before)
        self.rows(address)
        network = self.ask("GET", "/networks/shop_fixed")[1]["Id"]
        self.edit("a: b", "a: c")
        self.up()
        changed = self.ask("GET", "/networks/shop_fixed")[1]
        self.assertNotEqual(changed["Id"], network)
        self.assertEqual([each["Name"] for each in changed["Containers"].values()], ["shop-a-1"])
        self.ok("down -v", folder=self.folder)

    def test_links(self):
        self.project(f"""
            services:
              a: {{image: busybox, command: sh -c "{WAITS}", links: ["b:friend"]}}
              b: {{image: busybox, command: sh -c "{WAITS}"}}
              c: {{image: busybox, command: sh -c "{WAITS}"}}
            """)
        self.up()
        resolves = ("exec -T a nslookup friend", 0, re.compile("Name:\tfriend"))
        self.rows(resolves, ("exec -T c nslookup friend", 1, re.compile("can't find friend")))
        # The name leads to the container that has taken the other's place.
        self.up("--force-recreate --no-deps b")
        self.rows(resolves)
        self.ok("down", folder=self.folder)


class Lifecycle(ComposeCase):
    def test_states(self):
        self.project(f"""
            services:
              a: {{image: busybox, command: sh -c "{WAITS}", restart: unless-stopped}}
              b:
                image: busybox
                command: sh -c "{WAITS}"
                depends_on: {{a: {{condition: service_started, restart: true}}}}
              done: {{image: busybox, command: sh -c 'exit 3'}}
            """)
        self.ok("create", folder=self.folder)
        self.assertEqual(set(self.states().values()), {"created"})
        self.up()
        self.rows(
            ("stop a", 0, ""), ("ps -a --format '{{.State}} {{.ExitCode}}' a", 0, "exited 0\n"),
            ("start a", 0, ""), ("ps --format '{{.State}}' a", 0, "running\n"),
            ("pause a", 0, ""), ("ps --format '{{.State}}' a", 0, "paused\n"), ("unpause a", 0, ""),
            ("kill -s KILL b", 0, ""), ("ps -a --format '{{.State}} {{.ExitCode}}' b", 0, "exited 137\n"),
            ("start b", 0, ""),
        )
        begun = lambda name: self.ask("GET", f"/containers/{name}/json")[1]["State"]["StartedAt"]
        before = (begun("shop-a-1"), begun("shop-b-1"))
        self.ok("restart a", folder=self.folder)
        after = (begun("shop-a-1"), begun("shop-b-1"))
        self.assertNotEqual(after[0], before[0])
        self.assertNotEqual(after[1], before[1])
        self.rows(
            ("ps -a --format '{{.State}} {{.ExitCode}}' done", 0, "exited 3\n"), ("rm -f done", 0, re.compile("shop-done-1")),
            ("ps -a --format '{{.Name}}' done", 0, ""),
        )
        # It ends with the engine's last event, which it takes for an error.
        events = self.compose(f"events --json --since 10m --until {int(time.time()) + 1}").stdout
        self.assertRegex(events, r'"action":"kill".*"service":"b"')
        # A stopped container holds no network: as with Docker it cannot be started without it.
        self.ok("stop", folder=self.folder)
        self.assertEqual(self.ask("DELETE", "/networks/shop_default")[0], 204)
        failed = self.compose("start a")
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("network shop_default not found", failed.stderr)
        self.up()
        self.assertEqual(self.states(), {"shop-a-1": "running", "shop-b-1": "running", "shop-done-1": "exited"})
        self.ok("down", folder=self.folder)

    def test_wait(self):
        self.project("""
            services:
              a: {image: busybox, command: sh -c 'until test -e /go; do sleep 0.1; done; exit 5'}
            """)
        self.up()
        self.rows(("exec -d a sh -c 'sleep 5; touch /go'", 0, ""),
                  ("wait a", 5, re.compile("exited with status code 5")))
        self.rows(("up --wait", 1, "", "container shop-a-1 exited (5)"))
        self.ok("down -t 0", folder=self.folder)


class Foreground(ComposeCase):
    """Compose attached to the containers."""

    def setUp(self):
        self.project("""
            services:
              # The other one has its trap when this one ends.
              short: {image: busybox, command: sh -c 'echo one; echo two >&2; sleep 2; exit 5'}
              long: {image: busybox, command: "sh -c 'trap \\"echo bye; exit 0\\" TERM; echo begun; sleep 1000 & wait'"}
              asks: {image: busybox, command: "sh -c 'echo ask; read x; echo got $$x; tty'", tty: true, stdin_open: true}
              shell: {image: busybox, command: sh, tty: true, stdin_open: true}
            """)

    def tearDown(self):
        self.client("down -t 0", folder=self.folder)
        super().tearDown()

    def test_up(self):
        result = self.compose("up --no-color --abort-on-container-exit short long")
        self.assertEqual(result.returncode, 5, result.stderr)
        for line in ("short-1  | one", "short-1  | two", "short-1 exited with code 5", "long-1 exited with code 0"):
            self.assertIn(line, result.stdout + result.stderr)
        result = self.compose("up --no-color --exit-code-from long --no-log-prefix short long")
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.compose("up --no-color --no-log-prefix short")
        self.assertRegex(result.stdout, "(?m)^one$")
        self.assertRegex(result.stderr, "(?m)^two$")

    def test_interrupted(self):
        code, text = self.in_terminal("up long", [("begun", "\x03")], folder=self.folder)
        self.assertRegex(text, r"(?s)Gracefully.*bye.*exited with code 0")
        self.assertEqual(self.states(), {"shop-long-1": "exited"})

    def test_logs_follow(self):
        self.up("short long")
        code, text = self.in_terminal("logs -f long", [("begun", "\x03")], folder=self.folder)
        self.assertEqual(code, 130, text)
        self.rows(("logs --tail 1 --no-log-prefix long", 0, "begun\n"), ("logs nosuch", 1, "", "no such service"))

    def test_terminals(self):
        code, text = self.in_terminal("run --rm asks", [("ask", "one\r"), ("got one", "")], folder=self.folder)
        self.assertEqual(code, 0, text)
        self.assertIn("/dev/pts/0", text)
        code, text = self.in_terminal("run --rm shell", [("# ", "exit 9\r")], folder=self.folder)
        self.assertEqual(code, 9, text)
        self.up("long")
        code, text = self.in_terminal("exec long sh", [("# ", "tty; exit 4\r")], folder=self.folder)
        self.assertEqual(code, 4, text)
        self.assertIn("/dev/pts/", text)
        self.assertEqual(set(self.ids()), {"shop-long-1"})


class Settings(ComposeCase):
    """What a file says of a service is so in its container."""

    def test_settings(self):
        self.project(f"""
            services:
              one:
                image: busybox
                init: true
                command: sh -c "trap 'exit 3' USR1; while :; do sleep 0.1; done"
                hostname: onehost
                domainname: example.org
                user: "1000:1000"
                group_add: ["4"]
                working_dir: /tmp
                read_only: true
                tmpfs: ["/scratch:size=1m"]
                cap_drop: [ALL]
                cap_add: [NET_BIND_SERVICE]
                ulimits: {{nofile: {{soft: 100, hard: 200}}}}
                sysctls: {{net.ipv4.ip_unprivileged_port_start: 0}}
                extra_hosts: ["far:10.1.2.3"]
                dns_search: [example.org]
                shm_size: 16m
                stop_signal: SIGUSR1
                security_opt: ["no-new-privileges:true"]
                devices: ["/dev/null:/dev/nothing"]
                logging: {{driver: json-file, options: {{max-size: 1m, labels: team}}}}
                labels: {{team: blue}}
                mem_limit: 64m
                pids_limit: 40
                volumes:
                  - ./host:/host:ro
                  - {{type: bind, source: ./made, target: /made, bind: {{create_host_path: true}}}}
                  - {{type: tmpfs, target: /tt, tmpfs: {{size: 1m}}}}
                  - chosen:/chosen
                post_start: [{{command: touch /scratch/started}}]
              peer:
                image: busybox
                command: sh -c "{WAITS}"
                network_mode: service:one
                pid: service:one
            volumes:
              chosen: {{driver: local, driver_opts: {{type: none, o: bind, device: "{self.root}/shop/chosen"}}}}
            """)
        for folder in ("host", "chosen"):
            os.makedirs(f"{self.folder}/{folder}")
        os.chmod(f"{self.folder}/chosen", 0o777)
        with open(f"{self.folder}/host/file", "w") as file:
            file.write("hosted\n")
        self.up()
        self.rows(
            ("exec -T one sh -c 'id -u; id -G; hostname; hostname -f; pwd; ulimit -n'", 0,
             "1000\n1000 4\nonehost\nonehost.example.org\n/tmp\n100\n"),
            ("exec -T one sh -c 'cat /host/file; ls -d /made /scratch/started; touch /x'", 1,
             "hosted\n/made\n/scratch/started\n", "Read-only file system"),
            ("exec -T one sh -c 'grep -c far /etc/hosts; grep search /etc/resolv.conf'", 0, "1\nsearch example.org\n"),
            ("exec -T one cat /proc/sys/net/ipv4/ip_unprivileged_port_start", 0, "0\n"),
            ("exec -T one grep -E 'CapBnd|NoNewPrivs' /proc/self/status", 0, re.compile(r"0{13}400\nNoNewPrivs:\t1\n")),
            ('exec -T one sh -c "test -c /dev/nothing && df -k /dev/shm /scratch /tt | grep -cE \'^(shm|tmpfs) \'"', 0, "3\n"),
            ("exec -T one sh -c 'echo kept > /chosen/file'", 0, ""),
            ("exec -T peer sh -c 'hostname; ps | grep -c gantry-ini[t]'", 0, re.compile("^onehost\n1\n$")),
            ("stop one", 0, ""), ("ps -a --format '{{.ExitCode}}' one", 0, "3\n"),
        )
        self.ok("down -v -t 0", folder=self.folder)
        # The volume is gone, and the folder that it was in is somebody else's.
        with open(f"{self.folder}/chosen/file") as file:
            self.assertEqual(file.read(), "kept\n")
        self.assertEqual(self.ask("GET", "/volumes")[1]["Volumes"], [])

    def test_what_is_refused(self):
        self.project("""
            services:
              image: {image: "nosuch:7"}
              command: {image: busybox, command: nosuchcommand}
              port: {image: busybox, command: "true", ports: ["127.0.0.1:PORT:1"]}
              volume: {image: busybox, command: "true", volumes: ["nfs:/nfs"]}
              folder: {image: busybox, command: "true", volumes: ["away:/away"]}
            volumes:
              nfs: {driver_opts: {type: nfs, o: addr=192.0.2.1, device: ":/srv"}}
              away: {driver_opts: {type: none, o: bind, device: /no/such/folder}}
            """)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.edit("PORT", str(taken.getsockname()[1]))
            self.rows(
                ("up -d --pull never image", 1, "", "No such image: nosuch:7"),
                ("up -d command", 1, "", "executable file not found in $PATH"),
                ("up -d port", 1, "", "port is already allocated"),
                ("up -d volume", 1, "", "failed to mount local volume: mount :/srv:"),
                ("up -d folder", 1, "", "/no/such/folder"),
                ("up -d nosuch", 1, "", "no such service"),
                ("exec -T port true", 1, "", 'service "port" is not running'),
                ("down -v", 0, ""), ("down -v", 0, ""),
            )


if __name__ == "__main__":
    unittest.main()
