"""Logs: nothing is missed, nothing is shown twice, nothing waits for a reader, and the disk is bounded."""

import os
import signal
import subprocess
import time
import unittest

from harness import GANTRY, EngineCase, wait_until


class LogsTest(EngineCase):
    def follow(self, folder, *arguments):
        """`gantry logs -f` into a file; answers process and file."""
        path = os.path.join(folder, "followed.txt")
        with open(path, "wb") as output, open(path + ".err", "wb") as errors:
            process = subprocess.Popen(
                [GANTRY, "logs", "-f", "--no-log-prefix", "--no-color", *arguments], cwd=folder,
                env=self.environment(), stdout=output, stderr=errors, stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        return process, path

    def tail(self, path):
        with open(path + ".err") as file:
            return file.read()[-500:]

    def numbers(self, path):
        with open(path, "rb") as file:
            return [int(line.split()[1]) for line in file.read().splitlines() if line.startswith(b"line ")]

    def test_follower_goes_on_after_the_engine_was_killed(self):
        folder = self.up_box(
            "follow", "i=0; while true; do i=$$((i+1)); echo line $$i; echo line $$i >&2; usleep 300; done")
        process, path = self.follow(folder)
        for _ in range(3):
            count = len(self.numbers(path))
            wait_until(lambda: len(self.numbers(path)) > count + 200, what=f"lines after {count}: {self.tail(path)}")
            self.kill_engine()
            time.sleep(0.2)
            self.start_engine()
        count = len(self.numbers(path))
        wait_until(lambda: len(self.numbers(path)) > count + 200, what="lines after the last crash")
        self.assertIsNone(process.poll())
        self.gantry_ok("restart", "-t", "0", folder=folder)
        wait_until(lambda: self.numbers(path).count(1) == 4, 30, "the second run")
        process.kill()
        process.wait()
        numbers = self.numbers(path)
        # Two streams, so every number comes twice; the second run starts at one again.
        first = numbers[:next(index for index, number in enumerate(numbers) if index > 100 and number == 1)]
        for number in range(1, max(first) - 1):
            self.assertEqual(first.count(number), 2, f"line {number} of {max(first)}")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_rotation_bounds_the_disk_and_a_follower_misses_nothing(self):
        folder = self.stack("""
            services:
              box:
                image: busybox
                # No faster than a follower reads on a busy machine: what was rotated away, nobody can read.
                command:
                  - sh
                  - -c
                  - |
                    i=0
                    while [ $$i -lt 4000 ]; do
                      i=$$((i+1)); echo line $$i; [ $$((i % 50)) -gt 0 ] || usleep 60000
                    done
                    exec sleep 600
                stop_grace_period: 0s
                logging: {driver: local, options: {max-size: 20k, max-file: "3"}}
            """, "rotate")
        up = self.gantry_ok("up", "-d", folder=folder)
        self.assertNotIn("logging", up.stderr)
        process, path = self.follow(folder, "--tail", "1")
        wait_until(lambda: self.numbers(path)[-1:] == [4000], 60, "the last line")
        numbers = self.numbers(path)
        self.assertEqual(numbers, list(range(numbers[0], 4001)))
        identity = self.ps(folder)[0]["ID"]
        files = [os.path.join(where, name) for where, _, names in os.walk(f"{self.root}/data") for name in names
                 if name.startswith("container.log") and identity[:12] in where]
        self.assertEqual(len(files), 3, files)
        self.assertLessEqual(sum(os.path.getsize(file) for file in files), 3 * 20 * 1024)
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_container_does_not_wait_for_a_reader(self):
        folder = self.up_box(
            "slow", "yes 0123456789012345678901234567890123456789 | head -c 20000000; touch /done; sleep 600")
        reader = subprocess.Popen(
            [GANTRY, "logs", "-f", "box"], cwd=folder, env=self.environment(), stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: (reader.kill(), reader.stdout.close(), reader.wait()))
        wait_until(lambda: self.gantry("exec", "-T", "box", "test", "-e", "/done", folder=folder).returncode == 0,
                   120, "all output, with nobody reading")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_options_that_are_none(self):
        for options, text in (("{max-size: much}", "max-size is no size"), ("{max-file: 0}", "max-file is no number"),
                              ("{max-files: 3}", "unknown logging option 'max-files'")):
            folder = self.stack(f"""
                services:
                  box: {{image: busybox, command: "true", logging: {{options: {options}}}}}
                """, "options")
            result = self.gantry("up", "-d", folder=folder)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(text, result.stderr)
            self.gantry_ok("down", folder=folder)

    def test_nothing_is_kept_without_a_driver(self):
        folder = self.stack("""
            services:
              box: {image: busybox, command: "echo gone", logging: {driver: none}}
            """, "none")
        self.gantry_ok("up", "-d", folder=folder)
        result = self.gantry("logs", folder=folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("is not kept", result.stderr)
        self.gantry_ok("down", folder=folder)


if __name__ == "__main__":
    unittest.main()
