"""`gantry watch` and `up --watch`: changes of files reach the containers as the rules say."""

import os
import shutil
import signal
import subprocess
import threading
import time

from harness import GANTRY, EngineCase, wait_until

SERVICE = """
    services:
      web:
        image: busybox
        command: ["sh", "-c", "echo started >> /starts; trap 'exit 0' TERM; while true; do sleep 0.1; done"]
        stop_grace_period: 1s
"""


class Watch:
    """A running `gantry watch`, its messages read as they come."""

    def __init__(self, case, folder, *arguments, command="watch", program=None):
        self.process = subprocess.Popen(
            program or [GANTRY, command, *arguments], cwd=folder, env=case.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self):
        return "\n".join(self.lines)

    def count(self, text):
        return sum(text in line for line in self.lines)

    def wait(self, text, times=1, seconds=20):
        try:
            wait_until(lambda: self.count(text) >= times or self.process.poll() is not None, seconds, text)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None
        if self.count(text) < times:
            raise AssertionError(f"watch ended with {self.process.returncode} before {text!r}\n{self.text}")

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        self.reader.join(timeout=5)
        self.process.stdout.close()
        return code


class WatchCase(EngineCase):
    @classmethod
    def environment(cls):
        # Where locks are.
        return super().environment() | {"GANTRY_EXEC_ROOT": f"{cls.root}/run"}

    def prepare(self, rules, service=SERVICE, extra=""):
        name = self.id().rsplit(".", 1)[1].replace("_", "")[:40].lower()
        text = "\n".join(line[4:] for line in service.strip("\n").splitlines()) + "\n" + extra
        if rules:
            text += "    develop:\n      watch:\n" + "".join(f"      - {rule}\n" for rule in rules)
        folder = self.stack(text, name)
        self.folder = folder
        self.addCleanup(lambda: self.gantry("down", "-v", "-t", "0", folder=folder))
        os.makedirs(f"{folder}/src", exist_ok=True)
        return folder

    def _outcome_failed(self):
        result = self._outcome.result
        return any(test is self for test, _ in result.failures + result.errors) or not self._outcome.success

    def start(self, *arguments, command="watch", ready="Watch enabled"):
        watch = Watch(self, self.folder, *arguments, command=command)
        self.addCleanup(watch.end, signal.SIGKILL)
        self.addCleanup(lambda: self._outcome_failed() and print(f"\n{self.id()} said:\n{watch.text}"))
        watch.wait(ready)
        return watch

    def write(self, name, text="text", mode=0o644):
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def inside(self, *command, index=1):
        result = self.gantry("exec", "-T", "--index", str(index), "web", *command, folder=self.folder)
        return result.stdout.strip()

    def content(self, path, index=1):
        return self.inside("cat", path, index=index)

    def tree(self, path):
        """Names below a folder, which is there or not."""
        text = self.inside("sh", "-c", f"cd {path} 2>/dev/null && find . -mindepth 1 | sort")
        return [line[2:] for line in text.splitlines()]

    def starts(self):
        return self.inside("cat", "/starts").splitlines().count("started")


class SyncTest(WatchCase):
    RULE = "{action: sync, path: ./src, target: /app}"

    def test_new_changed_and_removed_files(self):
        self.prepare([self.RULE])
        self.write("src/old", "1")
        watch = self.start()
        # Without initial_sync nothing is copied at the start.
        self.assertEqual(self.tree("/app"), [])
        # Moved in, or a busy machine would make several batches of them.
        self.write("beside/new", "2", mode=0o755)
        self.write("beside/sub/deep/file", "3")
        for name in ("new", "sub"):
            os.rename(f"{self.folder}/beside/{name}", f"{self.folder}/src/{name}")
        wait_until(lambda: self.tree("/app") == ["new", "sub", "sub/deep", "sub/deep/file"], what="new files")
        self.assertEqual(self.inside("stat", "-c", "%a", "/app/new"), "755")
        watch.wait('Syncing service "web" after 4 changes were detected')
        self.write("src/old", "changed")
        wait_until(lambda: self.content("/app/old") == "changed", what="a changed file")
        os.remove(f"{self.folder}/src/new")
        shutil.rmtree(f"{self.folder}/src/sub")
        wait_until(lambda: self.tree("/app") == ["old"], what="removed files")
        self.assertEqual(self.starts(), 1)
        self.assertEqual(watch.end(), 130)
        self.assertIn("Watch disabled", watch.lines[-1])

    def test_a_save_is_there_within_a_moment(self):
        self.prepare([self.RULE])
        self.start()
        began = time.monotonic()
        self.write("src/file")
        wait_until(lambda: self.content("/app/file") == "text", what="the file")
        self.assertLess(time.monotonic() - began, 15)

    def test_each_rule_removes_what_it_copied(self):
        self.prepare(["{action: sync, path: ./src, target: /scripts, include: ['**/*.js']}", self.RULE])
        self.start()
        self.write("src/lib/x.js")
        self.write("src/lib/y.css")
        wait_until(lambda: "lib/x.js" in self.tree("/scripts") and "lib/y.css" in self.tree("/app"), what="the copies")
        shutil.rmtree(f"{self.folder}/src/lib")
        wait_until(lambda: self.tree("/app") == [] and "lib/x.js" not in self.tree("/scripts"), what="the removal")

    def test_renamed_folder(self):
        self.prepare([self.RULE])
        self.write("src/one/two/file", "1")
        self.start()
        self.write("src/one/two/other", "2")
        wait_until(lambda: self.content("/app/one/two/other") == "2", what="a first copy")
        os.rename(f"{self.folder}/src/one", f"{self.folder}/src/uno")
        wait_until(lambda: self.tree("/app") == ["uno", "uno/two", "uno/two/file", "uno/two/other"], what="the new name")
        self.write("src/uno/two/file", "later")
        wait_until(lambda: self.content("/app/uno/two/file") == "later", what="a change under the new name")

    def test_file_and_folder_and_link_take_each_others_place(self):
        self.prepare([self.RULE])
        self.start()
        self.write("src/x", "file")
        self.write("src/y/file")
        wait_until(lambda: self.tree("/app") == ["x", "y", "y/file"], what="the first state")
        os.remove(f"{self.folder}/src/x")
        shutil.rmtree(f"{self.folder}/src/y")
        self.write("src/x/file", "in a folder")
        os.symlink("x/file", f"{self.folder}/src/y")
        wait_until(lambda: self.tree("/app") == ["x", "x/file", "y"], what="the second state")
        self.assertEqual(self.content("/app/y"), "in a folder")
        self.assertEqual(self.inside("readlink", "/app/y"), "x/file")
        # A link to a folder that has what the folder in its place had.
        self.write("other/file", "not of the rule")
        shutil.rmtree(f"{self.folder}/src/x")
        os.symlink("../other", f"{self.folder}/src/x")
        wait_until(lambda: self.inside("readlink", "/app/x") == "../other", what="the third state")
        self.assertEqual(self.tree("/app"), ["x", "y"])

    def test_what_is_ignored_stays_out(self):
        self.prepare(["{action: sync, path: ./src, target: /app, ignore: [node_modules/, '**/*.log']}"],
                     service=SERVICE.replace("image: busybox", "build: ./src"))
        self.write("src/Dockerfile", "FROM busybox\n")
        self.write("src/.dockerignore", "secret\n*.md\n")
        watch = self.start()
        for name in ("node_modules/a/b.js", "x.log", "deep/y.log", "secret", "read.md", ".git/HEAD", "main.c~",
                     ".main.c.swp", ".idea/w.xml"):
            self.write(f"src/{name}")
        self.write("src/main.c")
        self.write("src/deep/read.md")
        wait_until(lambda: {"main.c", "deep/read.md"} <= set(self.tree("/app")), what="what counts")
        time.sleep(0.5)
        self.assertEqual(self.tree("/app"), ["deep", "deep/read.md", "main.c"], watch.text)

    def test_include(self):
        self.prepare(["{action: sync, path: ./src, target: /app, include: ['*.go', 'web/**']}"])
        self.start()
        for name in ("a.txt", "sub/b.go", "a.go", "web/x/y.css"):
            self.write(f"src/{name}")
        wait_until(lambda: self.tree("/app") == ["a.go", "web", "web/x", "web/x/y.css"], what="the chosen ones")

    def test_every_replica_also_one_that_is_stopped(self):
        self.prepare([self.RULE], extra="    deploy: {replicas: 3}\n")
        self.start()
        self.write("src/gone", "soon")
        wait_until(lambda: self.content("/app/gone", index=3) == "soon", what="the first copy")
        self.gantry_ok("stop", "-t", "0", folder=self.folder)
        self.write("src/file", "late")
        os.remove(f"{self.folder}/src/gone")
        time.sleep(1)
        self.gantry_ok("start", folder=self.folder)
        for index in (1, 2, 3):
            wait_until(lambda: self.content("/app/file", index) == "late", what="the copy")
            wait_until(lambda: self.inside("ls", "/app", index=index) == "file", what="the removal")

    def test_files_belong_to_the_services_user(self):
        self.prepare([self.RULE], extra="    user: web\n    tmpfs: []\n",
                     service=SERVICE.replace("echo started >> /starts; ", ""))
        self.start()
        self.write("src/file")
        wait_until(lambda: self.tree("/app") == ["file"], what="the file")
        self.assertEqual(self.inside("stat", "-c", "%u:%g", "/app/file"), "1000:1000")
        # The folder /app was made for it, and is root's; it goes all the same.
        os.remove(f"{self.folder}/src/file")
        wait_until(lambda: self.tree("/app") == [], what="its removal")

    def test_a_volume_below_the_target_is_not_emptied(self):
        self.prepare([self.RULE], extra="    volumes: ['data:/app/data']\n")
        with open(f"{self.folder}/compose.yaml", "a") as file:
            file.write("volumes: {data: {}}\n")
        watch = self.start()
        self.write("src/data/file")
        self.write("src/other")
        wait_until(lambda: self.tree("/app") == ["data", "data/file", "other"], what="the files")
        self.inside("touch", "/app/data/own")
        shutil.rmtree(f"{self.folder}/src/data")
        self.write("src/other", "changed with it")
        watch.wait("something is mounted there")
        wait_until(lambda: self.content("/app/other") == "changed with it", what="what can be done")
        self.assertIn("data/own", self.tree("/app"))

    def test_a_single_file_saved_by_renaming(self):
        self.prepare(["{action: sync, path: ./app.conf, target: /etc/app/}"])
        self.write("app.conf", "1")
        self.start()
        self.write("app.conf.tmp", "2")
        os.rename(f"{self.folder}/app.conf.tmp", f"{self.folder}/app.conf")
        wait_until(lambda: self.content("/etc/app/app.conf") == "2", what="the saved file")
        self.write("other", "no business of the rule")
        time.sleep(0.4)
        self.assertEqual(self.tree("/etc/app"), ["app.conf"])

    def test_a_folder_that_goes_and_comes_back(self):
        self.prepare([self.RULE])
        watch = self.start()
        self.write("src/a", "1")
        self.inside("sh", "-c", "true")
        wait_until(lambda: self.content("/app/a") == "1", what="the first copy")
        self.inside("touch", "/app/made-inside")
        os.rename(f"{self.folder}/src", f"{self.folder}/elsewhere")
        wait_until(lambda: self.tree("/app") == ["made-inside"], what="the removal")
        os.rename(f"{self.folder}/elsewhere", f"{self.folder}/src")
        wait_until(lambda: self.tree("/app") == ["a", "made-inside"], what="its return")
        self.write("src/a", "2")
        wait_until(lambda: self.content("/app/a") == "2", what=f"a change afterwards\n{watch.text}")

    def test_many_files_at_once(self):
        """More than the kernel's queue holds while nobody reads: what is lost is found again."""
        self.prepare([self.RULE])
        watch = self.start()
        watch.process.send_signal(signal.SIGSTOP)
        with open("/proc/sys/fs/inotify/max_queued_events") as file:
            limit = int(file.read())
        os.makedirs(f"{self.folder}/src/many")
        for number in range(limit // 3 + 100):
            with open(f"{self.folder}/src/many/{number % 500}", "w") as file:
                file.write(str(number))
        last = limit // 3 + 99
        watch.process.send_signal(signal.SIGCONT)
        wait_until(lambda: len(self.tree("/app/many")) == 500, 30, "all files")
        wait_until(lambda: self.content(f"/app/many/{last % 500}") == str(last), what="the last content")
        self.write("src/later", "1")
        wait_until(lambda: self.content("/app/later") == "1", what="what comes later")

    def test_initial_sync(self):
        self.prepare(["{action: sync, path: ./src, target: /app, initial_sync: true, ignore: [no]}"])
        for name in ("a", "sub/b", "no", "Dockerfile", "sub/compose.yaml"):
            self.write(f"src/{name}")
        watch = self.start()
        self.assertEqual(self.tree("/app"), ["a", "sub", "sub/b"])
        self.assertEqual(watch.count('Syncing service "web" with 2 files at the start'), 1)
        self.write("src/sub/b", "more")
        wait_until(lambda: self.content("/app/sub/b") == "more", what="a change")

    def test_the_engine_is_replaced_meanwhile(self):
        self.prepare([self.RULE])
        watch = self.start()
        self.kill_engine()
        self.write("src/file", "while it was away")
        watch.wait("engine")
        self.start_engine()
        wait_until(lambda: self.content("/app/file") == "while it was away", what=f"the copy\n{watch.text}")


class ActionTest(WatchCase):
    def test_restart(self):
        self.prepare(["{action: restart, path: ./src}"])
        watch = self.start()
        self.write("src/conf")
        watch.wait('service(s) ["web"] restarted')
        wait_until(lambda: self.starts() == 2, what="the restart")
        self.assertEqual(self.tree("/app"), [])

    def test_sync_and_restart(self):
        self.prepare(["{action: sync+restart, path: ./src, target: /app}"])
        watch = self.start()
        self.write("src/conf", "new")
        watch.wait('service(s) ["web"] restarted')
        self.assertEqual(watch.count('Syncing service "web" after 1 changes were detected'), 1)
        self.assertEqual(self.content("/app/conf"), "new")
        wait_until(lambda: self.starts() == 2, what="the restart")

    def test_sync_and_exec(self):
        rule = ("{action: sync+exec, path: ./src, target: /app, exec: {command: "
                "\"sh -c 'echo ran $WORD as $(id -u) in $(pwd) with $(cat /app/new/conf)'\", "
                "user: web, working_dir: /tmp, environment: [WORD=it]}}")
        self.prepare([rule.replace("$", "$$")])
        watch = self.start()
        # Moved in, or a busy machine would make several batches of them.
        for name in ("a", "b"):
            self.write(f"beside/{name}")
        self.write("beside/conf", "this")
        os.rename(f"{self.folder}/beside", f"{self.folder}/src/new")
        watch.wait("ran it as 1000 in /tmp with this")
        time.sleep(0.3)
        self.assertEqual(watch.count("ran it"), 1)
        self.assertEqual(self.starts(), 1)

    def test_a_command_that_fails_is_said_and_watching_goes_on(self):
        self.prepare(["{action: sync+exec, path: ./src, target: /app, exec: {command: sh -c 'test -e /app/good'}}"])
        watch = self.start()
        self.write("src/bad")
        watch.wait("the command of a watch rule ended with code 1 in")
        self.write("src/good")
        wait_until(lambda: "good" in self.tree("/app"), what="the next change")
        self.assertIsNone(watch.process.poll())

    def test_ctrl_c_ends_a_command(self):
        self.prepare(["{action: sync+exec, path: ./src, target: /app, exec: {command: sh -c 'echo going; sleep 60'}}"])
        watch = self.start()
        self.write("src/file")
        watch.wait("going")
        began = time.monotonic()
        self.assertEqual(watch.end(), 130)
        self.assertLess(time.monotonic() - began, 15)

    def test_no_up_starts_nothing(self):
        self.prepare(["{action: sync, path: ./src, target: /app}"])
        watch = self.start("--no-up")
        self.assertEqual(self.ps(self.folder, "-a"), [])
        self.write("src/file")
        watch.wait("service 'web' has no container to copy files into")
        self.gantry_ok("up", "-d", folder=self.folder)
        self.write("src/file", "again")
        wait_until(lambda: self.content("/app/file") == "again", what="the copy")

    def test_only_the_named_services(self):
        self.prepare(["{action: sync, path: ./src, target: /app}"])
        with open(f"{self.folder}/compose.yaml", "a") as file:
            file.write("  other:\n    image: busybox\n    command: sleep 100\n    stop_grace_period: 0s\n"
                       "    develop: {watch: [{action: restart, path: ./src}]}\n")
        watch = self.start("web")
        self.assertEqual([row["Service"] for row in self.ps(self.folder)], ["web"])
        self.write("src/file")
        watch.wait("Syncing service")
        time.sleep(0.5)
        self.assertEqual(watch.count("restarted"), 0)

    def test_sigterm(self):
        self.prepare(["{action: restart, path: ./src}"])
        watch = self.start()
        self.assertEqual(watch.end(signal.SIGTERM), 143)
        self.assertEqual(len(self.ps(self.folder)), 1)


class RefusalTest(WatchCase):
    def refused(self, *arguments):
        result = self.gantry("watch", *arguments, folder=self.folder, timeout=20)
        self.assertNotEqual(result.returncode, 0, result.stderr)
        return result.stderr

    def test_nothing_to_watch(self):
        self.prepare([])
        self.assertIn("none of the selected services is configured for watch", self.refused())

    def test_rules_that_cannot_work(self):
        for rule, text in [
            ("{action: sync, path: ./src}", "needs the key 'target'"),
            ("{action: rebuild, path: ./src}", "cannot be watched with the action rebuild without a build context"),
            ("{action: sync+exec, path: ./src, target: /app}", "with the action sync+exec without a command"),
            ("{action: sync, path: ./src, target: /app, ignore: ['a[']}", "syntax error in pattern"),
        ]:
            with self.subTest(rule=rule):
                self.prepare([rule])
                message = self.refused()
                self.assertIn(text, message)
                self.assertEqual(self.api(f"/stacks/{os.path.basename(self.folder)}/containers"), [])

    def test_unknown_service(self):
        self.prepare(["{action: restart, path: ./src}"])
        self.assertIn("no such service", self.refused("wbe"))

    def test_a_project_is_watched_by_one(self):
        self.prepare(["{action: sync, path: ./src, target: /app}"])
        first = self.start()
        for arguments in (["watch"], ["up", "--watch"]):
            result = self.gantry(*arguments, folder=self.folder, timeout=20)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(f"are watched already, by process {first.process.pid}", result.stderr)
        # Another project of the same folder is not the same.
        other = self.start("-p", f"{os.path.basename(self.folder)}-other")
        self.addCleanup(lambda: self.gantry("-p", f"{os.path.basename(self.folder)}-other", "down", "-t", "0",
                                            folder=self.folder))
        self.assertEqual(other.end(), 130)
        # Neither one that was killed nor one that has ended is in the way.
        first.end(signal.SIGKILL)
        self.assertEqual(self.start("--no-up").end(), 130)
        self.start("--no-up")

    def test_a_bind_mount_is_not_watched(self):
        self.prepare(["{action: sync, path: ./src, target: /app}", "{action: restart, path: ./other}"],
                     extra="    volumes: ['./src:/data']\n")
        watch = self.start()
        self.assertIn("is also a bind mount of service 'web' and is not watched", watch.text)
        self.write("src/file")
        time.sleep(0.5)
        self.assertEqual(watch.count("Syncing"), 0)

    def limited(self, count, *arguments):
        """What this user namespace may have of inotify's watches."""
        return ["unshare", "-Ur", "sh", "-c", f'echo {count} > /proc/sys/user/max_inotify_watches && exec "$0" "$@"',
                GANTRY, "watch", *arguments]

    def test_the_watch_limit_reached_later(self):
        self.prepare(["{action: sync, path: ./src, target: /app}"])
        watch = Watch(self, self.folder, program=self.limited(20))
        self.addCleanup(watch.end, signal.SIGKILL)
        watch.wait("Watch enabled")
        for number in range(50):
            self.write(f"src/{number}/file")
        watch.wait("no inotify watch is left for")
        self.write("src/more")
        wait_until(lambda: "more" in self.tree("/app"), what="what is still watched")
        self.assertIsNone(watch.process.poll())

    def test_the_watch_limit_is_named(self):
        self.prepare(["{action: restart, path: ./src}"])
        for number in range(50):
            os.makedirs(f"{self.folder}/src/{number}")
        result = subprocess.run(
            self.limited(20), cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=20)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("no inotify watch is left for", result.stderr)
        self.assertIn("/proc/sys/fs/inotify/max_user_watches", result.stderr)


class UpTest(WatchCase):
    def test_logs_and_changes(self):
        service = SERVICE.replace("echo started >> /starts", "echo started >> /starts; echo hello from inside")
        self.prepare(["{action: sync+restart, path: ./src, target: /app}"], service=service)
        up = self.start("--watch", command="up")
        up.wait("hello from inside")
        self.write("src/file", "new")
        up.wait('service(s) ["web"] restarted')
        up.wait("hello from inside", times=2)
        self.assertEqual(self.content("/app/file"), "new")
        self.assertEqual(up.end(), 130)
        self.assertEqual(self.ps(self.folder), [])

    def test_it_stays_when_everything_has_ended(self):
        service = SERVICE.replace("while true; do sleep 0.1; done", "exit 0")
        self.prepare(["{action: restart, path: ./src}"], service=service)
        up = self.start("-w", command="up")
        up.wait("exited with code 0")
        self.write("src/file")
        up.wait("restarted")
        up.wait("exited with code 0", times=2)
        self.assertIsNone(up.process.poll())

    def test_rebuild(self):
        self.prepare(["{action: rebuild, path: ./src}"], service=SERVICE.replace("image: busybox", "build: ./src"))
        self.write("src/Dockerfile", "FROM busybox\nCOPY version /version\n")
        self.write("src/version", "1")
        up = self.start("--watch", command="up")
        self.write("src/version", "2")
        up.wait('service(s) ["web"] successfully built')
        wait_until(lambda: self.content("/version") == "2", 30, f"the new container\n{up.text}")
        result = self.gantry("up", "--watch", "--no-build", folder=self.folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--no-build contradicts", result.stderr)

    def test_it_contradicts_detaching(self):
        self.prepare(["{action: restart, path: ./src}"])
        result = self.gantry("up", "-d", "--watch", folder=self.folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--watch stays", result.stderr)


class RebuildTest(WatchCase):
    """Images are built on the harness's own, so that no registry is needed."""

    def prepare_build(self, rules, dockerfile="FROM busybox\nCOPY . /app\n"):
        self.prepare(rules, service=SERVICE.replace("image: busybox", "build: ./src"))
        self.write("src/Dockerfile", dockerfile)
        self.write("src/version", "1")
        # Equal files would make one image for several tests.
        self.write("src/test", self.id())

    def dangling(self):
        return self.gantry_ok("images", "-f", "dangling=true", "-q").stdout.split()

    def test_the_image_is_built_and_the_container_replaced(self):
        self.prepare_build(["{action: rebuild, path: ./src}"])
        before = self.dangling()
        watch = self.start()
        self.assertEqual(self.content("/app/version"), "1")
        pids = self.pids(self.folder)
        self.write("src/version", "2")
        watch.wait('Rebuilding service(s) ["web"] after changes were detected...')
        watch.wait('service(s) ["web"] successfully built')
        wait_until(lambda: self.content("/app/version") == "2", 30, f"the new container\n{watch.text}")
        self.assertNotEqual(self.pids(self.folder), pids)
        self.write("src/version", "3")
        watch.wait('successfully built', times=2)
        wait_until(lambda: self.content("/app/version") == "3", 30, f"the third container\n{watch.text}")
        # The images before have lost their name, and are gone.
        wait_until(lambda: self.dangling() == before, what="the old images to go")

    def test_old_images_may_stay(self):
        self.prepare_build(["{action: rebuild, path: ./src}"])
        before = self.dangling()
        watch = self.start("--prune=false", "--quiet")
        self.assertNotIn("FROM", watch.text)
        self.write("src/version", "2")
        watch.wait('successfully built')
        wait_until(lambda: self.content("/app/version") == "2", 30, f"the new container\n{watch.text}")
        time.sleep(0.5)
        self.assertEqual(len(self.dangling()), len(before) + 1)

    def test_a_build_that_fails_changes_nothing(self):
        self.prepare_build(["{action: rebuild, path: ./src}"])
        watch = self.start()
        pids = self.pids(self.folder)
        self.write("src/Dockerfile", "FROM busybox\nRUN echo it is broken; false\n")
        watch.wait("it is broken")
        watch.wait("error")
        self.assertEqual(self.pids(self.folder), pids)
        self.write("src/Dockerfile", "FROM busybox\nRUN echo whole > /whole\n")
        watch.wait('successfully built')
        wait_until(lambda: self.content("/whole") == "whole", 30, f"the new container\n{watch.text}")

    def test_beside_other_rules(self):
        self.prepare_build(["{action: rebuild, path: ./src/package.json}",
                            "{action: sync, path: ./src, target: /app, ignore: [package.json]}"])
        self.write("src/package.json", "1")
        watch = self.start()
        pids = self.pids(self.folder)
        self.write("src/version", "synced")
        wait_until(lambda: self.content("/app/version") == "synced", what="the copy")
        self.assertEqual(self.pids(self.folder), pids)
        self.write("src/package.json", "2")
        watch.wait('successfully built')
        wait_until(lambda: self.content("/app/package.json") == "2", 30, f"the new container\n{watch.text}")
        self.assertEqual(self.content("/app/version"), "synced")

    def test_ctrl_c_ends_a_build(self):
        self.prepare_build(["{action: rebuild, path: ./src}"])
        watch = self.start()
        self.write("src/Dockerfile", "FROM busybox\nRUN echo going; sleep 60\n")
        watch.wait("going")
        began = time.monotonic()
        self.assertEqual(watch.end(), 130)
        self.assertLess(time.monotonic() - began, 20)
