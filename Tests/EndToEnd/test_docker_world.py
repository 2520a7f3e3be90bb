"""The docker command line against the engine: networks, ports, mounts, files, and what others hear of it."""

import os
import re
import subprocess
import tarfile
import threading
import unittest

from docker_harness import DOCKER, ID, VERSION, DockerCase
from harness import free_port, wait_until


class Surroundings(DockerCase):
    def test_networks(self):
        self.ok("network create front")
        self.ok("network create back")
        self.ok("run -d --name web --network front --network-alias www busybox sh -c "
                "'echo served > /www/index.html; httpd -f -h /www'")
        self.table([
            # Started is not yet listening.
            ("run --rm --network front busybox sh -c 'until wget -qO- http://web; do sleep 0.1; done'", 0, "served\n"),
            ("run --rm --network front busybox wget -qO- http://www", 0, "served\n"),
            ("run --rm --network back busybox sh -c 'wget -T 1 -qO- http://web || exit 1'", 1, ""),
            ("run --rm --network none busybox ip -o link", 0, re.compile(r"^1: lo:[^\n]*\n$")),
            ("run --rm --network host busybox sh -c 'ip -o link'", 0, re.compile("lo:")),
            ("run --rm --network container:web busybox wget -qO- http://127.0.0.1", 0, "served\n"),
            ("run --rm --name lost --network nosuch busybox true", 125, "", "network nosuch not found"),
            ("rename web shown", 0, ""),
            ("run --rm --network front busybox wget -qO- http://shown", 0, "served\n"),
            ("network rm bridge", 1, "", "pre-defined network"),
            ("network ls --format {{.Name}}", 0, re.compile("bridge\n")),
            ("network rm front", 1, "", "front"),
        ])
        if VERSION >= (25, 0):
            self.table([("run --rm --network front --network back busybox sh -c 'ip -o -4 addr | grep -c eth'", 0,
                         "2\n")])
        self.ok("network connect --alias other back shown")
        self.table([("run --rm --network back busybox wget -qO- http://other", 0, "served\n")])

    def test_names_in_another_containers_network(self):
        """One in another's network goes by the names of that one, and asks its networks' name server."""
        self.ok("network create shared")
        self.ok("network create later")
        self.ok("run -d --name db --network shared busybox sleep 1000")
        self.ok("run -d --name far --network later busybox sleep 1000")
        self.ok("run -d --name web --network shared -h webhost --add-host given:10.9.8.7 busybox sleep 1000")
        files = [self.ok(f"exec web cat /etc/{name}") + "\n" for name in ("hosts", "hostname", "resolv.conf")]
        self.assertIn("nameserver 127.0.0.11", files[2])
        self.ok("run -d --name guest --network container:web busybox sleep 1000")
        self.table([
            ("exec guest cat /etc/hosts", 0, files[0]),
            ("exec guest cat /etc/hostname", 0, files[1]),
            ("exec guest cat /etc/resolv.conf", 0, files[2]),
            ("exec guest sh -c 'hostname; echo $HOSTNAME'", 0, "webhost\nwebhost\n"),
            ("exec guest ping -c 1 given -W 1", 1, re.compile("PING given \\(10.9.8.7\\)")),
            ("exec guest nslookup db", 0, re.compile("Name:\tdb")),
            ("inspect -f {{.Config.Hostname}} guest", 0, "webhost\n"),
            ("run --rm --network container:guest busybox sh -c 'hostname; nslookup db'", 0,
             re.compile("webhost\n(.*\n)*Name:\tdb")),
            ("network connect later web", 0, ""),
            ("exec guest nslookup far", 0, re.compile("Name:\tfar")),
            ("network disconnect shared web", 0, ""),
            ("exec guest nslookup db", 1, re.compile("can't find db")),
        ])
        self.assertEqual(self.inspect("guest", "{{.HostsPath}}"), self.inspect("web", "{{.HostsPath}}"))

    def test_what_another_containers_network_takes_no_word_of(self):
        self.ok("run -d --name web busybox sleep 1000")
        shared = "create --network container:web"
        links = "can't be used with links. This would result in undefined behavior"
        self.table([
            (f"{shared} --dns 192.0.2.1 busybox true", 1, "", "conflicting options: dns and the network mode"),
            (f"{shared} --add-host a:192.0.2.1 busybox true", 1, "",
             "conflicting options: custom host-to-IP mapping and the network mode"),
            (f"{shared} --link web busybox true", 1, "", f"conflicting options: container type network {links}"),
            (f"{shared} --mac-address 02:00:00:00:00:01 busybox true", 1, "",
             "conflicting options: mac-address and the network mode"),
            (f"{shared} -h name busybox true", 1, "", "conflicting options: hostname and the network mode"),
            (f"{shared} -p 80 busybox true", 1, "",
             "conflicting options: port publishing and the container type network mode"),
            ("create --network host --link web busybox true", 1, "",
             f"conflicting options: host type networking {links}"),
            (f"{shared} busybox true", 0, ID),
        ])

    def test_names_in_the_hosts_network(self):
        host = os.uname().nodename
        with open("/etc/hosts") as file:
            hosts = file.read()
        self.table([
            ("run --rm --network host busybox hostname", 0, host + "\n"),
            ("run --rm --network host busybox sh -c 'echo $HOSTNAME'", 0, host + "\n"),
            ("run --rm --network host busybox cat /etc/hosts", 0, hosts),
            ("run --rm --network host --add-host given:10.9.8.7 busybox cat /etc/hosts", 0,
             re.compile(r"^127.0.0.1\tlocalhost\n::1\tlocalhost [^\n]*\n(f[ef]0[^\n]*\n){4}10.9.8.7\tgiven\n$")),
            ("run --rm --network host -h mine busybox hostname", 0, "mine\n"),
            # The name is in a namespace of its own all the same.
            ("run --rm --network host --cap-add SYS_ADMIN busybox hostname other", 0, ""),
            ("create --name on-host --network host busybox true", 0, ID),
            ("inspect -f {{.Config.Hostname}} on-host", 0, host + "\n"),
        ])
        self.assertEqual(os.uname().nodename, host)

    def test_names_in_a_services_network(self):
        folder = self.stack("""
            services:
              db: {image: busybox, command: sleep 1000, stop_grace_period: 0s}
              web: {image: busybox, command: sleep 1000, stop_grace_period: 0s, hostname: webhost}
              guest: {image: busybox, command: sleep 1000, stop_grace_period: 0s, network_mode: "service:web"}
              host: {image: busybox, command: sleep 1000, stop_grace_period: 0s, network_mode: host}
              own:
                image: busybox
                command: sleep 1000
                stop_grace_period: 0s
                network_mode: "service:web"
                hostname: own
                extra_hosts: ["given:10.9.8.7"]
            """, "names")
        self.gantry_ok("up", "-d", folder=folder)
        def inside(service, command):
            return self.gantry_ok("exec", "-T", service, "sh", "-c", command, folder=folder).stdout

        self.assertEqual(inside("guest", "hostname"), "webhost\n")
        self.assertEqual(inside("guest", "cat /etc/hosts"), inside("web", "cat /etc/hosts"))
        self.assertIn("Name:\tdb", inside("guest", "nslookup db"))
        self.assertEqual(inside("host", "hostname"), os.uname().nodename + "\n")
        self.assertEqual(inside("own", "hostname; cat /etc/hostname"), "own\nown\n")
        self.assertIn("10.9.8.7\tgiven\n", inside("own", "cat /etc/hosts"))
        self.assertIn("Name:\tdb", inside("own", "nslookup db"))
        self.gantry_ok("down", folder=folder)

    def test_ports(self):
        port = free_port()
        serve = "busybox sh -c 'echo served > /www/index.html; httpd -f -h /www'"
        self.ok(f"run -d --name web -p {port}:80 {serve}")
        wait_until(lambda: self.get_or_none(port) == "served", what="the published port")
        result = self.docker(f"run -d --name twin -p {port}:80 {serve}")
        self.assertEqual(result.returncode, 125)
        self.assertIn("port is already allocated", result.stderr)
        self.assertEqual(self.inspect("twin", "{{.State.Status}}"), "created")
        self.ok("stop -t 0 web")
        self.ok("start twin")
        wait_until(lambda: self.get_or_none(port) == "served", what="the port of the other")
        self.ok(f"run -d --name random -P --expose 80 {serve}")
        chosen = int(self.ok("port random 80").splitlines()[0].rsplit(":", 1)[1])
        wait_until(lambda: self.get_or_none(chosen) == "served", what="the random port")
        self.assertIn(f"0.0.0.0:{chosen}->80/tcp", self.ok("ps -f name=random --format {{.Ports}}"))

    def get_or_none(self, port):
        try:
            return self.get(port)
        except OSError:
            return None

    def test_mounts(self):
        folder = f"{self.root}/shared"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/file", "w") as file:
            file.write("from the host\n")
        self.table([
            (f"run --rm -v {folder}:/mnt busybox cat /mnt/file", 0, "from the host\n"),
            (f"run --rm -v {folder}:/mnt:ro busybox touch /mnt/x", 1, "", "Read-only"),
            (f"run --rm -v {self.root}/made-up:/mnt busybox ls /mnt", 0, ""),
            (f"run --rm --mount type=bind,source={folder},target=/mnt,readonly busybox cat /mnt/file", 0,
             "from the host\n"),
            ("run --rm --mount type=bind,source=/no/such/folder,target=/mnt busybox true", 125, "",
             "bind source path does not exist"),
            ("run --rm -v kept:/data busybox sh -c 'echo kept > /data/file'", 0, ""),
            ("run --rm --mount type=volume,source=kept,target=/data busybox cat /data/file", 0, "kept\n"),
            ("run --rm --mount type=tmpfs,target=/t,tmpfs-size=2m busybox sh -c 'df -k /t | tail -1'", 0,
             re.compile("2048")),
            ("run -d --name holder -v /anonymous -v kept:/data busybox sleep 1000", 0, ID),
            ("run --rm --volumes-from holder busybox cat /data/file", 0, "kept\n"),
            ("run --rm --volumes-from holder:ro busybox touch /data/x", 1, "", "Read-only"),
            ("run --rm --mount type=volume,source=kept,target=/x --mount type=tmpfs,target=/x busybox true", 125, "",
             "Duplicate mount point"),
        ])
        self.assertEqual(len(self.volumes()), 2)
        self.ok("rm -f -v holder")
        self.assertEqual(self.volumes(), ["kept"])

    def volumes(self):
        return [volume["Name"] for volume in self.api("/system/df")["Volumes"]]

    def test_links(self):
        self.ok("run -d --name db busybox sh -c 'echo linked > /www/index.html; httpd -f -h /www'")
        self.table([("run --rm --link db:store busybox sh -c 'until wget -qO- http://store; do sleep 0.1; done'", 0,
                     "linked\n")])

    def test_copy_commit_export(self):
        path = f"{self.root}/note"
        with open(path, "w") as file:
            file.write("a note\n")
        self.ok("create --name one busybox cat /tmp/note")
        self.table([
            (f"cp {path} one:/tmp/note", 0, ""),
            ("start -a one", 0, "a note\n"),
            (f"cp one:/etc/passwd {self.root}/passwd", 0, ""),
            ("cp one:/no/such /tmp", 1, "", "o"),
            ("commit -m 'with a note' one snap:1", 0, re.compile("^sha256:[0-9a-f]{64}\n$")),
            ("run --rm snap:1 cat /tmp/note", 0, "a note\n"),
            (f"export -o {self.root}/whole.tar one", 0, ""),
        ])
        with open(f"{self.root}/passwd") as file:
            self.assertIn("root:", file.read())
        with tarfile.open(f"{self.root}/whole.tar") as tar:
            self.assertIn("tmp/note", tar.getnames())
        self.ok("rmi snap:1")

    def test_prune(self):
        self.ok("run --name gone -l keep=no busybox true")
        self.ok("create --name fresh busybox true")
        self.ok("run -d --name up busybox sleep 1000")
        self.assertIn("Total reclaimed space", self.ok("container prune -f --filter label=keep=no"))
        self.assertEqual(self.ok("ps -a --format {{.Names}}"), "up\nfresh")
        self.ok("container prune -f")
        self.assertEqual(self.ok("ps -a --format {{.Names}}"), "up")

    def test_compose_labels_make_no_stack(self):
        """A client's labels are its own: nothing of a stack of ours follows from them."""
        self.ok("run -d --name demo-web-1 -l com.docker.compose.project=demo -l com.docker.compose.service=web "
                "busybox sleep 1000")
        folder = self.stack("services: {other: {image: busybox, command: sleep 1000, stop_grace_period: 0s}}\n", "demo")
        self.gantry_ok("up", "-d", "--remove-orphans", folder=folder)
        self.assertEqual([entry["service"] for entry in self.api("/stacks/demo/containers")], ["other"])
        self.gantry_ok("down", folder=folder)
        self.assertEqual(self.inspect("demo-web-1", "{{.State.Running}}"), "true")

    def test_events(self):
        events = subprocess.Popen(
            [DOCKER, "events", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment())
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(line.strip() for line in events.stdout))
        reader.start()
        wait_until(lambda: self.ask("GET", "/info")[1]["NEventsListener"] > 0, what="the listener")
        self.docker("run --rm --name brief busybox true")
        self.ok("run -d --name long busybox sleep 1000")
        self.ok("exec long true")
        self.ok("stop -t 0 long")
        self.ok("rename long longer")
        self.ok("rm longer")
        try:
            wait_until(lambda: "destroy longer" in seen, what="the last event")
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}")
        finally:
            events.kill()
            reader.join()
            events.stdout.close()
            events.wait()
        brief = [line.split()[0] for line in seen if line.endswith(" brief")]
        self.assertEqual(brief, ["create", "attach", "start", "die", "destroy"])
        long = [line for line in seen if line.endswith(" long")]
        self.assertEqual(
            [line.rsplit(" ", 1)[0] for line in long],
            ["create", "start", "exec_create: true", "exec_start: true", "exec_die", "kill", "kill", "die", "stop"])


if __name__ == "__main__":
    unittest.main()
