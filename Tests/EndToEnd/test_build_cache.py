"""What a build does again and what not, and the mounts of RUN: caches, secrets, agents, folders."""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import textwrap
import threading
import unittest

from build_harness import BuildCase

SOURCES = """
    FROM busybox
    RUN echo first > /first
    COPY one /one
    RUN cat /one > /second
    COPY two /two
    RUN cat /two > /third
    """

# Asks the agent at the path of its argument for its keys, and prints the answer.
ASK = """
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, words[1], sizeof address.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    char text[500];
    if (connect(s, (void *)&address, sizeof address) != 0 || write(s, "\\0\\0\\0\\1\\13", 5) != 5) return 1;
    for (size_t length = 0; length < 80;) {
        ssize_t n = read(s, text, sizeof text);
        if (n <= 0) return 2;
        fwrite(text, 1, n, stdout);
        length += n;
    }
    return 0;
}
"""


class BuildCacheTest(BuildCase):
    def states(self, progress, *words):
        return [progress.of(word) for word in words]

    def sources(self, dockerfile=SOURCES):
        """Two contexts have no step in common."""
        first = f"FROM busybox\nENV CONTEXT={BuildCase.folder_count}\n"
        return self.context(textwrap.dedent(dockerfile).replace("FROM busybox\n", first, 1), {
            "one": "1\n", "two": "2\n", "folder/a": "a", "folder/b": "b"})

    def write(self, folder, name, text):
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)

    # Files

    def test_nothing_is_done_twice(self):
        folder = self.sources()
        words = ("RUN echo first", "COPY one", "RUN cat /one", "COPY two", "RUN cat /two")
        self.assertEqual(self.states(self.build_ok(folder, "-t", "cache:1"), *words), ["DONE"] * 5)
        first = self.identity("cache:1")
        self.assertEqual(self.states(self.build_ok(folder, "-t", "cache:1"), *words), ["CACHED"] * 5)
        self.assertEqual(self.identity("cache:1"), first)
        # Not by an engine that was started anew, either.
        self.engine.terminate()
        self.engine.wait()
        self.log.close()
        self.start_engine()
        self.assertEqual(self.states(self.build_ok(folder, "-t", "cache:1"), *words), ["CACHED"] * 5)
        # Nor for the same files in another folder, with other times.
        copy = f"{folder}-copy"
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        for name in ("one", "two"):
            os.chmod(f"{copy}/{name}", 0o644)
        self.assertEqual(self.states(self.build_ok(copy), *words), ["CACHED"] * 5)

    def test_content_counts_and_not_the_time(self):
        folder = self.sources()
        self.build_ok(folder)
        words = ("RUN echo first", "COPY one", "RUN cat /one", "COPY two", "RUN cat /two")
        os.utime(f"{folder}/one", (1, 1))
        os.utime(f"{folder}/two")
        self.assertEqual(self.states(self.build_ok(folder), *words), ["CACHED"] * 5)
        # From the changed step on.
        self.write(folder, "two", "two\n")
        self.assertEqual(self.states(self.build_ok(folder), *words), ["CACHED"] * 3 + ["DONE"] * 2)
        # Same size and time, other content.
        before = os.stat(f"{folder}/one")
        self.write(folder, "one", "I\n")
        os.utime(f"{folder}/one", ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertEqual(self.states(self.build_ok(folder), *words), ["CACHED"] + ["DONE"] * 4)
        # Back again: both are still known.
        self.write(folder, "one", "1\n")
        self.write(folder, "two", "2\n")
        self.assertEqual(self.states(self.build_ok(folder), *words), ["CACHED"] * 5)
        os.chmod(f"{folder}/one", 0o755)
        self.assertEqual(self.states(self.build_ok(folder), *words)[:2], ["CACHED", "DONE"])

    def test_what_is_not_copied_does_not_count(self):
        folder = self.sources("FROM busybox\nCOPY folder /folder\nCOPY o* /o/\n")
        self.write(folder, ".dockerignore", "folder/ignored\nignored\n")
        self.build_ok(folder)
        for name in ("unrelated", "folder/ignored", "ignored"):
            self.write(folder, name, "new")
        progress = self.build_ok(folder)
        self.assertEqual(self.states(progress, "COPY folder", "COPY o*"), ["CACHED"] * 2)
        # A new match of the wildcard counts, a new name in the folder, too; and a file that is gone.
        self.write(folder, "other", "new")
        self.assertEqual(self.states(self.build_ok(folder), "COPY folder", "COPY o*"), ["CACHED", "DONE"])
        self.write(folder, "folder/c", "c")
        self.assertEqual(self.build_ok(folder).of("COPY folder"), "DONE")
        os.unlink(f"{folder}/folder/a")
        self.assertEqual(self.build_ok(folder).of("COPY folder"), "DONE")
        os.rename(f"{folder}/folder/b", f"{folder}/folder/d")
        self.assertEqual(self.build_ok(folder).of("COPY folder"), "DONE")
        os.unlink(f"{folder}/folder/d")
        os.symlink("c", f"{folder}/folder/d")
        self.assertEqual(self.build_ok(folder).of("COPY folder"), "DONE")
        os.unlink(f"{folder}/folder/d")
        os.symlink("x", f"{folder}/folder/d")
        self.assertEqual(self.build_ok(folder).of("COPY folder"), "DONE")

    # Words

    def test_text_counts(self):
        def build(run, env="A=1", label="l=1"):
            return self.build_ok(f"FROM busybox\nENV {env}\nLABEL {label}\n{run}\n")

        build("RUN echo text")
        self.assertEqual(build("RUN echo text").of("RUN"), "CACHED")
        self.assertEqual(build("RUN echo other").of("RUN"), "DONE")
        self.assertEqual(build("RUN echo text", env="A=2").of("RUN"), "DONE")
        self.assertEqual(build('RUN ["echo", "text"]').of("RUN"), "DONE")
        self.assertEqual(build("# comment\nrun \\\n echo text").of("echo text"), "CACHED")
        for change in ("USER web", "WORKDIR /tmp", 'SHELL ["/bin/ash", "-c"]'):
            with self.subTest(change):
                self.assertEqual(build(f"{change}\nRUN echo text").of("RUN"), "DONE")

    def test_arguments_count_where_they_can_be_seen(self):
        folder = self.sources("""
            FROM busybox
            RUN echo before
            ARG WHO=me
            COPY one /one
            RUN echo after
            """)
        self.build_ok(folder)
        words = ("RUN echo before", "COPY one", "RUN echo after")
        changed = self.build_ok(folder, "--build-arg", "WHO=you")
        self.assertEqual(self.states(changed, *words), ["CACHED", "CACHED", "DONE"])
        unknown = self.build(folder, "--build-arg", "NOBODY=1")
        self.assertEqual(unknown.returncode, 0)
        proxied = self.build_ok(folder, "--build-arg", "HTTP_PROXY=http://proxy.invalid:1")
        self.assertEqual(self.states(proxied, *words), ["CACHED"] * 3)
        # The default, said.
        self.assertEqual(self.states(self.build_ok(folder, "--build-arg", "WHO=me"), *words), ["CACHED"] * 3)
        self.build_ok("FROM busybox\nRUN echo $HTTP_PROXY > /p\n", "-t", "proxy:1", "--build-arg", "HTTP_PROXY=http://p:1")
        self.assertEqual(self.file("proxy:1", "/p"), "http://p:1\n")
        self.assertNotIn("http://p:1", self.gantry_ok("history", "--no-trunc", "proxy:1").stdout)

    def test_labels_and_names_do_not_run_anything(self):
        folder = self.sources()
        self.build_ok(folder, "-t", "label:1")
        progress = self.build_ok(folder, "-t", "label:2", "--label", "new=1")
        self.assertEqual(self.states(progress, "RUN cat /one", "RUN cat /two"), ["CACHED"] * 2)
        self.assertNotEqual(self.identity("label:1"), self.identity("label:2"))

    # Stages

    def test_no_cache(self):
        folder = self.context("""
            FROM busybox AS one
            RUN date +%N > /same; echo x > /x
            FROM busybox AS two
            RUN echo two > /two
            FROM busybox
            COPY --from=one /x /x
            COPY --from=two /two /two
            RUN echo last
            """)
        words = ("RUN date", "RUN echo two", "COPY --from=one", "COPY --from=two", "RUN echo last")
        self.build_ok(folder)
        self.assertEqual(self.states(self.build_ok(folder), *words), ["CACHED"] * 5)
        self.assertEqual(self.states(self.build_ok(folder, "--no-cache"), *words), ["DONE"] * 5)
        # What is taken over of it is what it was: content decides.
        filtered = self.build_ok(folder, "--no-cache-filter", "one")
        self.assertEqual(self.states(filtered, *words), ["DONE", "CACHED", "CACHED", "CACHED", "CACHED"])

    def test_unused_stages_are_skipped(self):
        progress = self.build_ok("""
            FROM nobody.invalid/unknown AS far
            RUN exit 1
            FROM busybox AS broken
            RUN exit 2
            FROM busybox AS used
            RUN echo used > /x
            FROM busybox
            COPY --from=used /x /x
            """)
        self.assertIsNone(progress.of("RUN exit 2"))
        self.assertEqual(progress.of("RUN echo used"), "DONE")

    def test_independent_stages_run_side_by_side(self):
        folder = self.context("""
            FROM busybox AS one
            RUN cat /proc/uptime > /1; sleep 3; cat /proc/uptime >> /1
            FROM busybox AS two
            RUN cat /proc/uptime > /2; sleep 3; cat /proc/uptime >> /2
            FROM busybox AS three
            RUN cat /proc/uptime > /3; sleep 3; cat /proc/uptime >> /3
            FROM busybox
            COPY --from=one /1 /
            COPY --from=two /2 /
            COPY --from=three /3 /
            """)
        self.build_ok(folder, "-t", "parallel:1")
        times = [[float(line.split()[0]) for line in self.file("parallel:1", f"/{n}").splitlines()] for n in (1, 2, 3)]
        # There was a time when all three ran.
        self.assertLess(max(begun for begun, _ in times), min(ended for _, ended in times), times)

    def test_base_counts(self):
        folder = self.context("FROM moving:1\nCOPY --link one /linked/one\nRUN cat /version > /seen\n", {"one": "1"})
        self.build_ok("FROM busybox\nRUN echo old > /version\n", "-t", "moving:1")
        self.build_ok(folder, "-t", "on:1")
        self.build_ok("FROM busybox\nRUN echo new > /version\n", "-t", "moving:1")
        progress = self.build_ok(folder, "-t", "on:1")
        self.assertEqual(progress.of("RUN cat /version"), "DONE")
        # A linked layer stands on nothing.
        self.assertEqual(progress.of("COPY --link"), "CACHED")
        self.assertEqual(self.file("on:1", "/seen"), "new\n")

    def test_cache_without_the_image(self):
        folder = self.sources()
        self.build_ok(folder, "-t", "gone:1")
        self.gantry_ok("rmi", "gone:1")
        self.build_ok(folder, "-t", "gone:1")
        self.assertEqual(self.file("gone:1", "/third"), "2\n")
        self.gantry_ok("rmi", "gone:1")
        self.gantry_ok("system", "prune", "-a", "-f")
        self.gantry_ok("load", "-i", f"{self.root}/busybox.tar")
        self.build_ok(folder, "-t", "gone:1")
        self.assertEqual(self.file("gone:1", "/third"), "2\n")
        self.assertEqual(self.gantry_ok("image", "verify", "gone:1").stdout, "gone:1: ok\n")

    def test_cache_folder_that_cannot_be_written(self):
        place = f"{self.root}/cache-blocked"
        os.makedirs(f"{place}/gantry-cache.tar")
        self.assertIn("gantry-cache.tar", self.build_fails("FROM busybox\nRUN true\n", "--cache-to", f"type=local,dest={place}"))
        self.assertEqual(os.listdir(place), ["gantry-cache.tar"])

    def test_poisoned_records(self):
        """What lies in the store under a step's key is looked at before it is believed."""
        folder = self.sources()
        self.build_ok(folder, "-t", "poison:1")
        store = f"{self.root}/data/images"
        self.engine.terminate()
        self.engine.wait()
        self.log.close()
        records = []
        for parent, _, names in os.walk(store):
            if not any(part in os.path.relpath(parent, store).split("/") for part in ("blobs", "layers", "tmp")):
                records += [os.path.join(parent, name) for name in names if name != "index.json"]
        records = [path for path in records if "cache" in path.lower() or "build" in path.lower()]
        for index, path in enumerate(records):
            text = [b"", b"{}", b"\x00" * 100, b'{"layer": "../../../../etc"}', b"x" * 100_000][index % 5]
            with open(path, "wb") as file:
                file.write(text)
        self.start_engine()
        self.assertNotEqual(records, [])
        self.build_ok(folder, "-t", "poison:2")
        self.assertEqual(self.file("poison:2", "/third"), "2\n")
        self.assertEqual(self.gantry_ok("image", "verify", "poison:2").stdout, "poison:2: ok\n")

    # Mounts

    def test_cache_mounts_persist(self):
        folder = self.context("""
            FROM busybox
            ARG n
            RUN --mount=type=cache,target=/var/cache/x echo $n >> /var/cache/x/log; cp /var/cache/x/log /log
            """)
        self.build_ok(folder, "-t", "mount:1", "--build-arg", "n=1")
        self.build_ok(folder, "-t", "mount:1", "--build-arg", "n=2")
        self.assertEqual(self.file("mount:1", "/log"), "1\n2\n")
        self.assertIsNone(self.file("mount:1", "/var/cache/x/log"))
        # --no-cache is about steps; what tools keep stays.
        self.build_ok(folder, "-t", "mount:1", "--build-arg", "n=3", "--no-cache")
        self.assertEqual(self.file("mount:1", "/log"), "1\n2\n3\n")

    def test_options_of_cache_mounts(self):
        self.build_ok("""
            FROM busybox AS seed
            RUN mkdir /s && echo seed > /s/seed
            FROM busybox
            RUN --mount=type=cache,id=one,target=/a echo shared > /a/file
            RUN --mount=type=cache,id=one,target=/b cat /b/file > /one
            RUN --mount=type=cache,id=two,target=/a ls /a | wc -l > /two
            RUN --mount=type=cache,id=three,target=/c,from=seed,source=/s cat /c/seed > /three
            RUN --mount=type=cache,id=four,target=/d,mode=0711,uid=5,gid=6 stat -c '%a %u %g' /d > /four
            RUN --mount=type=cache,id=one,target=/a,readonly sh -c 'echo x > /a/new || echo refused' > /five
            USER web
            RUN --mount=type=cache,id=five,target=/e,uid=1000 touch /e/mine && ls -n /e > /tmp/six
            """, "-t", "mounts:1")
        self.assertEqual(self.file("mounts:1", "/one"), "shared\n")
        self.assertEqual(self.file("mounts:1", "/two").strip(), "0")
        self.assertEqual(self.file("mounts:1", "/three"), "seed\n")
        self.assertEqual(self.file("mounts:1", "/four"), "711 5 6\n")
        self.assertEqual(self.file("mounts:1", "/five"), "refused\n")
        self.assertIn(" 1000 ", self.file("mounts:1", "/tmp/six"))

    def build_pair(self, sharing):
        """Two builds at once whose steps use one cache for a while; what they saw. Who may see the other waits for it."""
        results = {}
        see = "i=0; until test $(ls /c | wc -l) -gt 1 -o $i -gt 200; do sleep 0.1; i=$((i+1)); done; sleep 1"
        stay = see if sharing == "shared" else "sleep 0.6"

        def build(name):
            text = ("FROM busybox\nRUN --mount=type=cache,id=pair-" + sharing + ",target=/c,sharing=" + sharing + f" "
                    f"ls /c > /before; touch /c/{name}; {stay}; ls /c > /after; rm -f /c/{name}\n")
            result = self.build(text, "-t", f"pair-{sharing}-{name}:1")
            results[name] = result.returncode

        threads = [threading.Thread(target=build, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {"one": 0, "two": 0})
        return [self.file(f"pair-{sharing}-{name}:1", "/after").split() for name in ("one", "two")]

    def test_locked_caches(self):
        # One after the other: nobody saw the other's file.
        self.assertEqual(sorted(map(len, self.build_pair("locked"))), [1, 1])

    def test_private_caches(self):
        self.assertEqual(sorted(map(len, self.build_pair("private"))), [1, 1])

    def test_shared_caches(self):
        self.assertEqual(max(map(len, self.build_pair("shared"))), 2)

    def test_folders_of_the_context_and_of_stages(self):
        folder = self.context("""
            FROM busybox AS one
            RUN echo of the stage > /file
            FROM busybox
            RUN --mount=type=bind,target=/ctx cat /ctx/a > /a; echo x > /ctx/new || echo refused > /refused
            RUN --mount=target=/ctx,source=sub,rw echo new > /ctx/b; echo new > /ctx/c; cat /ctx/b /ctx/c > /b
            RUN --mount=from=one,source=/file,target=/mnt/file cat /mnt/file > /c
            RUN --mount=from=busybox,target=/base ls /base/bin/busybox > /d
            RUN --mount=target=/ctx ls /ctx/sub > /e
            """, {"a": "a\n", "sub/b": "b\n"})
        self.build_ok(folder, "-t", "bind:1")
        self.assertEqual(self.file("bind:1", "/a"), "a\n")
        self.assertEqual(self.file("bind:1", "/refused"), "refused\n")
        self.assertEqual(self.file("bind:1", "/b"), "new\nnew\n")
        self.assertEqual(self.file("bind:1", "/c"), "of the stage\n")
        self.assertEqual(self.file("bind:1", "/d"), "/base/bin/busybox\n")
        # What was written is gone, in the next step and in the folder itself.
        self.assertEqual(self.file("bind:1", "/e"), "b\n")
        self.assertEqual(os.listdir(f"{folder}/sub"), ["b"])
        with open(f"{folder}/sub/b") as file:
            self.assertEqual(file.read(), "b\n")
        # It is an input like any other.
        self.write(folder, "a", "A\n")
        progress = self.build_ok(folder, "-t", "bind:1")
        self.assertEqual(progress.of("target=/ctx cat"), "DONE")
        self.assertEqual(self.file("bind:1", "/a"), "A\n")

    def test_memory(self):
        self.build_ok("""
            FROM busybox
            RUN mkdir /t && echo below > /t/file
            RUN --mount=type=tmpfs,target=/t,size=2m ls /t | wc -l > /seen; df -k /t | tail -n 1 > /size; echo x > /t/x
            """, "-t", "memory:1")
        self.assertEqual(self.file("memory:1", "/seen").strip(), "0")
        self.assertEqual(self.file("memory:1", "/size").split()[1], "2048")
        self.assertEqual(self.file("memory:1", "/t/file"), "below\n")
        self.assertIsNone(self.file("memory:1", "/t/x"))

    # Secrets

    def secret(self, text):
        handle, path = tempfile.mkstemp(prefix="gantry-e2e-secret-")
        os.write(handle, text.encode())
        os.close(handle)
        self.addCleanup(os.unlink, path)
        return path

    def test_secrets_are_there_and_nowhere_else(self):
        canary, other = "canary-of-a-file-91c3", "canary-of-the-environment-5b7e"
        folder = self.context("""
            FROM busybox
            RUN --mount=type=secret,id=key wc -c < /run/secrets/key > /length; stat -c '%a %u' /run/secrets/key > /mode
            RUN --mount=type=secret,id=key,target=/root/.key,mode=0440,uid=5,gid=6 stat -c '%a %u %g' /root/.key > /own
            RUN --mount=type=secret,id=word,env=WORD test "$WORD" = canary-of-the-$(echo environment)-5b7e && env | wc -l > /n
            RUN --mount=type=secret,id=word cat /run/secrets/word | wc -c > /length-too
            RUN --mount=type=secret,id=nobody ls /run/secrets > /none 2>&1 || true
            RUN ls -a /run/secrets /root > /left 2>&1 || true
            """)
        arguments = ("-t", "secret:1", "--secret", f"id=key,src={self.secret(canary)}", "--secret", "id=word,env=MY_WORD")
        result = self.build(folder, *arguments, env={"MY_WORD": other})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.file("secret:1", "/length").strip(), str(len(canary)))
        self.assertEqual(self.file("secret:1", "/mode"), "400 0\n")
        self.assertEqual(self.file("secret:1", "/own"), "440 5 6\n")
        self.assertEqual(self.file("secret:1", "/length-too").strip(), str(len(other)))
        self.assertNotIn("key", self.file("secret:1", "/left"))
        for word in (canary, other):
            self.assertNotIn(word, result.stdout + result.stderr)
            self.assertEqual(self.find_in_data(word), [])
            self.assertNotIn(word, self.gantry_ok("history", "--no-trunc", "secret:1").stdout)
        # Another value is no reason to do the step again.
        again = self.build_ok(folder, *arguments[:3], f"id=key,src={self.secret('another-canary-77aa')}", *arguments[4:],
                              env={"MY_WORD": "x"})
        self.assertEqual(again.of("/length;"), "CACHED")
        self.assertEqual(self.find_in_data("another-canary-77aa"), [])

    def test_secrets_that_are_missing(self):
        text = self.build_fails("FROM busybox\nRUN --mount=type=secret,id=key,required=true true\n")
        self.assertIn("key", text)
        self.assertIn("Dockerfile:2", text)
        self.assertIn("no such file", self.build_fails("FROM busybox\n", "--secret", "id=a,src=/no/such/file").lower())
        text = self.build_fails("FROM busybox\nRUN --mount=type=secret,id=v,required true\n", "--secret", "id=v,env=NOT_SET_HERE", code=2)
        self.assertIn("NOT_SET_HERE", text)

    def test_secret_of_a_step_that_fails(self):
        canary = "canary-of-a-failure-20ff"
        text = self.build_fails("FROM busybox\nRUN --mount=type=secret,id=key cp /run/secrets/key /tmp/kept; exit 1\n",
                                "--secret", f"id=key,src={self.secret(canary)}")
        self.assertNotIn(canary, text)
        self.assertEqual(self.find_in_data(canary), [], "what a failed step wrote is gone")

    # An agent

    @unittest.skipUnless(shutil.which("cc"), "cc is missing")
    def test_agent(self):
        folder = tempfile.mkdtemp(prefix="gantry-e2e-agent-")
        self.addCleanup(shutil.rmtree, folder)
        for name in ("first", "second"):
            self.start_agent(f"{folder}/{name}", name.encode())
        context = self.context("""
            FROM busybox
            COPY --chmod=755 ask /bin/ask
            RUN --mount=type=ssh ask $SSH_AUTH_SOCK > /one
            RUN --mount=type=ssh,id=named,target=/agent,uid=1000,mode=0660 ask /agent > /two
            RUN echo "[$SSH_AUTH_SOCK]" > /none; ls /agent > /left 2>&1 || true
            """, {"ask.c": ASK})
        subprocess.run(["cc", "-static", "-O1", "-o", f"{context}/ask", f"{context}/ask.c"], check=True)
        self.build_ok(context, "-t", "agent:1", "--ssh", "default", "--ssh", f"named={folder}/second",
                      env={"SSH_AUTH_SOCK": f"{folder}/first"})
        self.assertIn("the key of first", self.file("agent:1", "/one"))
        self.assertIn("the key of second", self.file("agent:1", "/two"))
        self.assertEqual(self.file("agent:1", "/none"), "[]\n")
        text = self.build_fails("FROM busybox\nRUN --mount=type=ssh,required=true true\n")
        self.assertIn("ssh", text.lower())

    def start_agent(self, path, name):
        """Answers every request with a list of one key (the agent protocol: draft-miller-ssh-agent, section 4.4)."""
        def text(content):
            return struct.pack(">I", len(content)) + content

        body = struct.pack(">BI", 12, 1) + text(text(b"ssh-ed25519") + text(bytes(32))) + text(b"the key of " + name)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.addCleanup(listener.close)

        def serve(connection):
            try:
                while connection.recv(100):
                    connection.sendall(text(body))
            except OSError:
                pass  # The other side knows enough.
            connection.close()

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()


if __name__ == "__main__":
    unittest.main()
