"""Docker's command line where options meet: what cannot be had together, what is not there, what is left out."""

import io
import os
import re
import tarfile
import unittest

from docker_harness import ID, DockerCase


class Edges(DockerCase):
    def test_limits_that_exclude_each_other(self):
        self.ok("run -d --name shares --cpus 0.5 busybox sleep 1000")
        self.ok("run -d --name quota --cpu-quota 20000 busybox sleep 1000")
        refused = "cannot be updated as"
        self.table([
            ("update --cpu-period 50000 shares", 1, "", f"CPU Period {refused} NanoCPUs has already been set"),
            ("update --cpu-quota 50000 shares", 1, "", f"CPU Quota {refused} NanoCPUs has already been set"),
            ("update --cpus 1 quota", 1, "", f"Nano CPUs {refused} CPU Quota has already been set"),
            ("update --cpuset-cpus 999 shares", 1, "", "Requested CPUs are not available"),
            ("update --cpus 1000 shares", 1, "", "range of CPUs is from 0.01"),
            ("exec shares true", 0, ""), ("exec quota true", 0, ""),
            ("update --cpus 0.25 shares", 0, "shares\n"),
            ("update --cpu-quota 30000 quota", 0, "quota\n"),
            ("restart -t 0 shares quota", 0, "shares\nquota\n"),
        ])

    def test_containers_that_are_not_there(self):
        """With the status 404 the client would pull the image, and try again."""
        for option in ("--link nosuch", "--network container:nosuch", "--pid container:nosuch",
                       "--volumes-from nosuch", "--ipc container:nosuch"):
            result = self.docker(f"create {option} busybox true")
            self.assertEqual(result.returncode, 1, option)
            self.assertIn("No such container: nosuch", result.stderr, option)
            self.assertNotIn("Unable to find image", result.stderr, option)

    def test_a_dockerfile_from_standard_input(self):
        """The client appends it to the context without what ends a tar."""
        folder = f"{self.root}/piped"
        os.mkdir(folder)
        with open(f"{folder}/a.txt", "w") as file:
            file.write("a\n")
        built = self.docker("build -t piped -f - .", folder=folder, input="FROM busybox\nCOPY a.txt /\nCMD cat /a.txt\n")
        self.assertEqual(built.returncode, 0, built.stdout + built.stderr)
        self.assertEqual(self.ok("run --rm piped"), "a")
        self.ok("rmi piped")

    def test_a_cut_archive_is_refused(self):
        self.ok("create --name cut busybox true")
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            info = tarfile.TarInfo("file")
            info.size = 700
            tar.addfile(info, io.BytesIO(b"x" * 700))
        for length, status in ((512 + 700, 200), (512 + 699, 400), (512 + 512, 400)):
            connection = self.connection()
            connection.request("PUT", "/containers/cut/archive?path=/tmp", data.getvalue()[:length])
            answer = connection.getresponse()
            self.assertEqual(answer.status // 100, status // 100, (length, answer.read()))
            connection.close()

    def test_options_of_a_volume_driver(self):
        folder = f"{self.root}/there"
        os.mkdir(folder)
        with open(f"{folder}/file", "w") as file:
            file.write("x")
        bind = f"volume-opt=type=none,volume-opt=o=bind,volume-opt=device={folder}"
        self.table([
            (f"run --rm --mount type=volume,src=there,dst=/x,{bind} busybox ls /x", 0, "file\n"),
            ("volume inspect -f '{{json .Options}}' there", 0, re.compile(r'"type":"none"')),
            ("run --rm --mount type=volume,dst=/x,volume-opt=type=tmpfs,volume-opt=device=tmpfs busybox "
             "grep -c ' /x tmpfs ' /proc/mounts", 0, "1\n"),
            ("volume ls -q --filter label=com.docker.volume.anonymous", 0, ""),
            ("create --mount type=volume,src=bad,dst=/x,volume-opt=size=1g busybox", 1, "", "'size' is not supported"),
            ("create --name nameless -v /anon busybox", 0, ID),
            ("volume ls -q --filter label=com.docker.volume.anonymous", 0, ID),
            ("rm -v nameless", 0, "nameless\n"),
            ("volume rm there", 0, "there\n"),
        ])
        self.assertEqual(os.listdir(folder), ["file"])

    def test_what_is_left_out(self):
        self.ok("run --name said busybox sh -c 'echo one; echo two'")
        self.table([
            ("logs --tail -1 said", 0, "one\ntwo\n"), ("logs --tail all said", 0, "one\ntwo\n"),
            ("logs --tail 1 said", 0, "two\n"), ("logs --tail 0 said", 0, ""),
            ("rm said", 0, "said\n"),
            ("system prune -af --volumes --filter label=nothing", 0, re.compile("Total reclaimed space: 0B")),
            ("images -q busybox", 0, re.compile("^[0-9a-f]{12}\n$")),
            ("network create --config-only nco", 1, "", "definitions alone are not supported"),
            ("network create --config-from other nco", 1, "", "definitions alone are not supported"),
            ("network create --ingress nco", 1, "", "swarm"),
        ])

    def test_no_service_is_spoken_of(self):
        for options in ("--security-opt foo=bar", "--log-opt max-size=bogus", "--log-opt bogus=1"):
            result = self.docker(f"create --name plain {options} busybox true")
            self.assertEqual(result.returncode, 1, options)
            self.assertIn(re.search("foo|max-size|bogus", options)[0], result.stderr)
            self.assertNotIn("service", result.stderr)

    def test_a_command_is_started_once(self):
        self.ok("run -d --name once busybox sleep 1000")
        status, created = self.ask("POST", "/containers/once/exec", {"Cmd": ["sh", "-c", "exit 3"]})
        self.assertEqual(status, 201)
        exec_id = created["Id"]
        self.assertEqual(self.started(exec_id, False)[0], 200)
        # As from Docker, the stream is there before it turns out.
        status, text = self.started(exec_id, False)
        self.assertEqual(status, 200)
        self.assertIn(b"has been started already", text)
        self.assertEqual(self.started(exec_id, True)[0], 409)
        self.assertEqual(self.ask("GET", f"/exec/{exec_id}/json")[1]["ExitCode"], 3)

    def started(self, exec_id, detach):
        connection = self.connection()
        body = f'{{"Detach": {str(detach).lower()}}}'
        connection.request("POST", f"/exec/{exec_id}/start", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            connection.close()


if __name__ == "__main__":
    unittest.main()
