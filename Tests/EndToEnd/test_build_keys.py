"""What a step's place in the cache depends on, where a mistake would give somebody the wrong layer."""

import unittest

from build_harness import BuildCase


class BuildKeysTest(BuildCase):
    def states(self, progress, *words):
        return [progress.of(word) for word in words]

    def test_what_was_made_anew_is_what_others_take(self):
        folder = self.context("""
            FROM busybox AS one
            RUN cat /proc/uptime > /time; echo x > /x
            FROM busybox
            COPY --from=one /x /x
            COPY --from=one /time /time
            RUN cat /time > /copied
            """)
        words = ("RUN cat /proc/uptime", "COPY --from=one /x", "COPY --from=one /time", "RUN cat /time")
        self.build_ok(folder, "-t", "anew:1")
        self.assertEqual(self.states(self.build_ok(folder, "-t", "anew:1"), *words), ["CACHED"] * 4)
        before = self.file("anew:1", "/time")
        # Content decides: the one file is what it was.
        filtered = self.build_ok(folder, "-t", "anew:2", "--no-cache-filter", "one")
        self.assertEqual(self.states(filtered, *words), ["DONE", "CACHED", "DONE", "DONE"])
        self.assertNotEqual(self.file("anew:2", "/time"), before)
        self.assertEqual(self.file("anew:2", "/copied"), self.file("anew:2", "/time"))
        self.assertEqual(self.states(self.build_ok(folder, "-t", "anew:3"), *words), ["CACHED"] * 4)
        self.assertEqual(self.identity("anew:3"), self.identity("anew:2"))

    def test_what_stands_on_an_imported_layer_is_not_kept(self):
        """Whoever makes a cache image says which layer is which step: that must not reach a build without it."""
        folder = self.context("FROM busybox\nCOPY one /one\nRUN cat /one > /two\n", {"one": "imported\n"})
        cache = f"type=local,dest={self.root}/cache-keys"
        self.build_ok(self.context("FROM busybox\nCOPY one /one\n", {"one": "imported\n"}), "--cache-to", cache)
        self.gantry_ok("builder", "prune", "-a", "-f")
        words = ("COPY one", "RUN cat /one")
        imported = self.build_ok(folder, "--cache-from", cache.replace("dest", "src"))
        self.assertEqual(self.states(imported, *words), ["CACHED", "DONE"])
        self.assertEqual(self.states(self.build_ok(folder), *words), ["DONE", "DONE"])
        self.assertEqual(self.states(self.build_ok(folder), *words), ["CACHED", "CACHED"])

    def test_time_stamps_are_part_of_a_step(self):
        folder = self.context("FROM busybox\nCOPY one /one\nWORKDIR /made\nRUN echo 1 > /1\n", {"one": "stamped\n"})
        words = ("COPY one", "WORKDIR", "RUN echo 1")
        self.build_ok(folder, "-t", "stamp:1")
        stamped = self.build_ok(folder, "-t", "stamp:2", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
        self.assertEqual(self.states(stamped, *words), ["DONE"] * 3)
        self.assertTrue(self.inspect("stamp:2", "{{.Created}}").startswith("2001-09-09T01:46:40"))
        again = self.build_ok(folder, "-t", "stamp:3", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
        self.assertEqual(self.states(again, *words), ["CACHED"] * 3)
        self.assertEqual(self.identity("stamp:3"), self.identity("stamp:2"))

    def test_limits_are_part_of_a_command(self):
        folder = self.context("FROM busybox\nRUN ulimit -n > /n; df -k /dev/shm | tail -n 1 > /shm\n")
        self.build_ok(folder, "-t", "limit:1")
        self.build_ok(folder, "-t", "limit:2", "--ulimit", "nofile=100:100", "--shm-size", "3m")
        self.assertEqual(self.file("limit:2", "/n"), "100\n")
        self.assertIn("3072", self.file("limit:2", "/shm"))
        self.assertNotEqual(self.file("limit:1", "/n"), "100\n")

    def test_names_of_owners_are_the_stages_own(self):
        text = """
            FROM busybox AS files
            RUN echo x > /x
            FROM busybox
            RUN echo 'app:x:UID:7::/:/bin/sh' >> /etc/passwd
            COPY --link --from=files --chown=app /x /x
            RUN stat -c %u /x > /owner
            """
        for uid in ("71", "72"):
            self.build_ok(self.context(text.replace("UID", uid)), "-t", f"owner:{uid}")
            self.assertEqual(self.file(f"owner:{uid}", "/owner"), uid + "\n")

    def test_triggers_of_an_image_that_is_a_context(self):
        self.build_ok("FROM busybox\nONBUILD RUN echo triggered > /triggered\n", "-t", "trigger:1")
        folder = self.context("FROM base\nRUN echo last\n")
        self.build_ok(folder, "-t", "triggered:1", "--build-context", "base=docker-image://trigger:1")
        self.assertEqual(self.file("triggered:1", "/triggered"), "triggered\n")

    def test_heredocs_need_no_context(self):
        self.gantry_ok("build", "-t", "heredoc:1", "-", input="FROM busybox\nCOPY <<EOF /x\nhere\nEOF\n")
        self.assertEqual(self.file("heredoc:1", "/x"), "here\n")

    def test_sources_of_mounts_are_names(self):
        folder = self.context("FROM busybox\nRUN --mount=type=bind,source=a[1],target=/m cat /m > /x\n",
                              {"a[1]": "brackets\n", "a1": "wildcard\n"})
        self.build_ok(folder, "-t", "named:1")
        self.assertEqual(self.file("named:1", "/x"), "brackets\n")

    def test_a_cache_that_a_command_names_twice(self):
        self.build_ok("""
            FROM busybox
            RUN --mount=type=cache,id=twice,target=/a,sharing=locked --mount=type=cache,id=twice,target=/b \\
                echo same > /a/x; cat /b/x > /x
            """, "-t", "twice:1")
        self.assertEqual(self.file("twice:1", "/x"), "same\n")

    def test_a_first_content_that_fails_is_tried_again(self):
        folder = self.context("FROM busybox\nRUN --mount=type=cache,id=seed,source=seed,target=/c,from=seeds cat /c/x\n")
        seeds = self.context(files={"other": "x"})
        self.build_fails(folder, "--build-context", f"seeds={seeds}")
        with_files = self.context(files={"seed/x": "filled\n"})
        self.build_ok(folder, "--build-context", f"seeds={with_files}")


if __name__ == "__main__":
    unittest.main()
