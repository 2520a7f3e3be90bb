"""docker-compose 1.29.2, the last of the first, unchanged, against the engine."""

import os
import re
import shutil
import subprocess
import textwrap
import unittest

from docker_harness import ClientCase
from harness import free_port

# Debian's is written in Python for the machine's own; another of the name may stand before it in the path.
COMPOSE = next((path for path in ("/usr/bin/docker-compose", shutil.which("docker-compose")) if path
                and os.path.exists(path)), None)
WAITS = "trap 'exit 0' TERM; sleep 1000 & wait"


def is_first():
    if not COMPOSE:
        return False
    told = subprocess.run([COMPOSE, "version", "--short"], capture_output=True, text=True)
    return told.stdout.startswith("1.")


@unittest.skipUnless(is_first(), "docker-compose 1 is not installed: apt-get install docker-compose")
class ComposeOne(ClientCase):
    program = COMPOSE

    @classmethod
    def environment(cls):
        # `exec` in a terminal would run the docker command line.
        return super().environment() | {"COMPOSE_INTERACTIVE_NO_CLI": "1", "COMPOSE_DOCKER_CLI_BUILD": "0"}

    def project(self, text, **files):
        self.folder = os.path.join(self.root, "shop")
        os.makedirs(self.folder, exist_ok=True)
        for file, content in {"docker-compose.yml": text, **files}.items():
            with open(os.path.join(self.folder, file), "w") as out:
                out.write(textwrap.dedent(content))

    def up(self, options=""):
        self.ok(f"up -d {options}", folder=self.folder)

    def rows(self, *rows):
        self.table(rows, folder=self.folder)

    def ids(self):
        return {entry["Names"][0][1:]: entry["Id"] for entry in self.ask("GET", "/containers/json?all=1")[1]}

    def test_project(self):
        port = free_port()
        self.project(
            f"""
            version: "3.8"
            services:
              db:
                image: busybox
                command: sh -c "mkdir -p /www; echo from db > /www/index.html; echo ready; httpd -p 80 -h /www; {WAITS}"
                healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 300ms, retries: 100}}
                volumes: [data:/data]
                networks: [back]
                secrets: [token]
              web:
                build: {{context: ., args: {{V: 7}}, labels: {{from: compose}}, cache_from: [nosuch:1]}}
                depends_on: [db]
                ports: ["127.0.0.1:{port}:80", "81"]
                environment: {{GREETING: hello}}
                networks:
                  back: {{aliases: [www]}}
                  front:
            networks: {{back: , front: }}
            volumes: {{data: }}
            secrets: {{token: {{file: ./token}}}}
            """,
            token="secret\n",
            Dockerfile=f"""
            FROM busybox
            ARG V=0
            RUN mkdir -p /www && echo built $V > /www/index.html
            VOLUME /kept
            CMD ["sh", "-c", "echo $GREETING; httpd -p 80 -h /www; {WAITS}"]
            """)
        self.rows(("build", 0, re.compile(r"(?s)Step 3/5 : RUN.*Successfully tagged shop_web:latest")))
        self.up()
        self.rows(
            ("ps", 0, re.compile(rf"(?s)shop_db_1 .* Up.*shop_web_1 .* Up .*127\.0\.0\.1:{port}->80/tcp")),
            ("images", 0, re.compile("shop_web_1 +shop_web +latest")),
            ("logs --no-color", 0, re.compile(r"(?m)^web_1  \| hello$")),
            ("port web 80", 0, f"127.0.0.1:{port}\n"),
            ("exec -T db cat /run/secrets/token", 0, "secret\n"),
            ("exec -T web wget -qO- http://db/", 0, "from db\n"),
            ("exec -T db wget -qO- http://www/", 0, "built 7\n"),
            ("exec -T web sh -c 'echo kept > /kept/f; exit 7'", 7, ""),
            ("top", 0, re.compile("httpd -p 80 -h /www")),
            ("run --rm -T --no-deps web sh -c 'exit 4'", 4, re.compile("")),
        )
        self.assertEqual(self.get(port), "built 7")
        before = self.ids()
        self.up()
        self.assertEqual(self.ids(), before)
        # A changed service is made anew, and keeps its volumes.
        path = f"{self.folder}/docker-compose.yml"
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("GREETING: hello", "GREETING: changed"))
        self.up()
        after = self.ids()
        self.assertNotEqual(after["shop_web_1"], before["shop_web_1"])
        self.assertEqual(after["shop_db_1"], before["shop_db_1"])
        self.rows(
            ("exec -T web cat /kept/f", 0, "kept\n"),
            ("logs --no-color --tail 1 web", 0, re.compile("changed")),
            ("pause db", 0, ""), ("ps db", 0, re.compile("Paused")), ("unpause db", 0, ""),
            ("restart web", 0, ""), ("stop db", 0, ""), ("ps -a db", 0, re.compile("Exit 0")), ("start db", 0, ""),
            ("kill db", 0, ""), ("ps -a db", 0, re.compile("Exit 137")),
        )
        self.up("--scale db=3")
        self.assertEqual(set(self.ids()), {"shop_db_1", "shop_db_2", "shop_db_3", "shop_web_1"})
        self.up("--scale db=1")
        self.assertEqual(set(self.ids()), {"shop_db_1", "shop_web_1"})
        self.ok("down -v --rmi local", folder=self.folder)
        self.assertEqual(self.ids(), {})
        self.assertEqual([each["Name"] for each in self.ask("GET", "/networks")[1]], ["bridge", "host", "none"])
        self.assertEqual(self.ask("GET", "/images/shop_web/json")[0], 404)

    def test_older_file(self):
        """Links, volumes of another service, its network, and a fixed address that a recreated container takes over."""
        self.project(f"""
            version: "2.4"
            services:
              a:
                image: busybox
                command: sh -c "echo written > /shared/f; {WAITS}"
                volumes: [/shared]
                links: ["b:friend"]
                networks: {{fixed: {{ipv4_address: 10.78.0.10}}}}
              b: {{image: busybox, command: sh -c "{WAITS}", networks: [fixed]}}
              c: {{image: busybox, command: sh -c "{WAITS}", volumes_from: [a], network_mode: "service:a"}}
            networks: {{fixed: {{ipam: {{config: [{{subnet: 10.78.0.0/24}}]}}}}}}
            """)
        self.up()
        checks = [
            ("exec -T a nslookup friend", 0, re.compile("Name:\tfriend")),
            ("exec -T b nslookup friend", 1, re.compile("can't find friend")),
            ("exec -T c cat /shared/f", 0, "written\n"),
            ("exec -T c nslookup b", 0, re.compile("Name:\tb")),
            ("exec -T c ip -4 addr", 0, re.compile(r"inet 10\.78\.0\.10/24")),
        ]
        self.rows(*checks)
        before = self.ids()
        self.up("--force-recreate")
        self.assertFalse(set(self.ids().values()) & set(before.values()))
        self.rows(*checks)
        self.ok("down -v", folder=self.folder)

    def test_attached(self):
        self.project("""
            version: "2.4"
            services:
              # The other one has its trap when this one ends.
              short: {image: busybox, command: sh -c 'echo one; echo two >&2; sleep 2; exit 5'}
              long: {image: busybox, command: "sh -c 'trap \\"echo bye; exit 0\\" TERM; echo begun; sleep 1000 & wait'"}
              # What is said before the client has attached, and what is typed before, is lost.
              asks:
                image: busybox
                command: sh -c 'until read -t 1 x; do echo a name; done; echo got $$x; tty'
                tty: true
                stdin_open: true
            """)
        result = self.client("up --no-color --exit-code-from short short long", folder=self.folder)
        self.assertEqual(result.returncode, 5, result.stderr)
        for line in ("short_1  | one", "short_1  | two", "long_1   | begun", "shop_short_1 exited with code 5"):
            self.assertIn(line, result.stdout)
        code, text = self.in_terminal("up long", [("begun", "\x03")], folder=self.folder)
        self.assertIn("Gracefully stopping", text)
        self.rows(("ps -a long", 0, re.compile("Exit 0")))
        code, text = self.in_terminal("run --rm asks", [("a name", "one\r"), ("got one", "")], folder=self.folder)
        self.assertEqual(code, 0, text)
        self.assertIn("/dev/pts/0", text)
        self.up("long")
        code, text = self.in_terminal("exec long sh", [("# ", "tty; exit 4\r")], folder=self.folder)
        self.assertEqual(code, 4, text)
        code, text = self.in_terminal("logs -f long", [("begun", "\x03")], folder=self.folder)
        self.assertIn("Aborting", text)
        self.ok("down -v", folder=self.folder)


if __name__ == "__main__":
    unittest.main()
