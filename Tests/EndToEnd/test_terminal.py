"""What a terminal shows while a stack changes: a live tree, drawn without flicker, with the cursor given back."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

from harness import GANTRY, EngineCase, wait_until

WAITING = """
    services:
      db:
        image: busybox
        command: ["sh", "-c", "sleep 5; touch /ready; exec sleep 1000"]
        stop_grace_period: 0s
        healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 1s, start_interval: 200ms, start_period: 30s}
      web:
        image: busybox
        command: ["sleep", "1000"]
        stop_grace_period: 0s
        deploy: {replicas: 4}
        depends_on: {db: {condition: service_healthy}}
    """


class Screen:
    """As much of a terminal (ECMA-48) as the program uses. Lines that have left at the top stay in `lines`."""

    def __init__(self, rows):
        self.rows, self.lines, self.row, self.column = rows, [""], 0, 0
        self.is_cursor_shown = True

    @property
    def top(self):
        return max(0, len(self.lines) - self.rows)

    def take(self, text):
        while text:
            sequence = re.match(r"\x1b\[(\??)(\d*)(?:;\d+)*([A-Za-z])", text)
            if sequence:
                self.control(sequence[1], int(sequence[2] or 1), sequence[3])
                text = text[sequence.end():]
                continue
            character, text = text[0], text[1:]
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            else:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
                self.column += 1

    def control(self, private, number, kind):
        if private:
            assert number == 25, f"private mode {number}"
            self.is_cursor_shown = kind == "h"
        elif kind == "A":
            self.row = max(self.top, self.row - number)
        elif kind == "B":
            self.row = min(len(self.lines) - 1, self.row + number)
        elif kind in "KJ":
            self.lines[self.row] = self.lines[self.row][:self.column]
            if kind == "J":
                del self.lines[self.row + 1:]
        else:
            assert kind == "m", f"control sequence {kind}"

    @property
    def text(self):
        return "\n".join(" ".join(line.split()) for line in self.lines)


class Terminal:
    """The program with a terminal of its own."""

    def __init__(self, *arguments, folder, environment, rows=24, columns=80):
        self.screen = Screen(rows)
        self.raw, self.undecoded, self.exit_code = "", b"", None
        self.outside, inside = pty.openpty()
        self.resize(rows, columns)
        environment = {key: value for key, value in environment.items() if key != "NO_COLOR"}
        self.process = subprocess.Popen(
            [GANTRY, *arguments], cwd=folder, env=environment | {"TERM": "xterm-256color"},
            stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inside)

    def resize(self, rows, columns):
        self.screen.rows = rows
        fcntl.ioctl(self.outside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data):
        os.write(self.outside, data)

    def read(self, seconds=0.05):
        """Takes what has come; false at the end."""
        if not select.select([self.outside], [], [], seconds)[0]:
            return True
        try:
            data = self.undecoded + os.read(self.outside, 1 << 16)
        except OSError:
            data = b""
        if not data:
            return False
        cut = len(data)
        while cut and data[cut - 1] & 0xC0 == 0x80:
            cut -= 1
        whole = len(data) if not cut or data[cut - 1] < 0x80 or self.is_whole(data[cut - 1:]) else cut - 1
        self.undecoded, text = data[whole:], data[:whole].decode()
        self.raw += text
        self.screen.take(text)
        return True

    @staticmethod
    def is_whole(data):
        try:
            data.decode()
            return True
        except UnicodeDecodeError:
            return False

    def wait_for(self, text, seconds=30):
        deadline = time.monotonic() + seconds
        while text not in self.screen.text:
            if not self.read() or time.monotonic() > deadline:
                raise AssertionError(f"'{text}' did not come:\n{self.screen.text}")

    def finish(self, seconds=60):
        deadline = time.monotonic() + seconds
        while self.read() and time.monotonic() < deadline:
            pass
        self.exit_code = self.process.wait(timeout=10)
        os.close(self.outside)
        return self.screen


class TerminalTest(EngineCase):
    def open(self, folder, *arguments, **size):
        terminal = Terminal(*arguments, folder=folder, environment=self.environment(), **size)
        self.addCleanup(terminal.process.wait)
        self.addCleanup(terminal.process.kill)
        return terminal

    def test_up_shows_a_tree(self):
        folder = self.stack(WAITING, "tree")
        terminal = self.open(folder, "up", "-d", "--wait")
        terminal.wait_for("web waiting for db to be healthy")
        terminal.wait_for("db health starting")
        self.assertFalse(terminal.screen.is_cursor_shown)
        screen = terminal.finish()
        self.assertEqual(terminal.exit_code, 0, screen.text)
        self.assertTrue(screen.is_cursor_shown)
        lines = [re.sub(r" ?\d+\.\ds", "", line) for line in screen.text.splitlines()]
        self.assertEqual(lines, [
            "[+] tree revision 1 6/6 done", "├ ✔ network default created", "├ ✔ db healthy", "└ ✔ web 4/4 running",
            *(f"{'└' if number == 4 else '├'} ✔ web-{number} running" for number in range(1, 5)),
        ])
        # What does not change is not written again, however long the command takes.
        self.assertLess(terminal.raw.count("network default"), 6, terminal.raw)
        self.assertNotIn("\x1b[2K", terminal.raw)
        self.gantry_ok("down", folder=folder)

    def test_a_small_terminal_is_enough(self):
        folder = self.stack(WAITING, "small")
        terminal = self.open(folder, "up", "-d", "--wait")
        terminal.wait_for("web-4")
        terminal.resize(5, 40)
        # Cut off: only the small picture says it so.
        terminal.wait_for("web waiting for…")
        screen = terminal.finish()
        self.assertEqual(terminal.exit_code, 0, screen.text)
        picture = screen.text.split("[+]")[-1].splitlines()
        self.assertLessEqual(len(picture), 4, screen.text)
        self.assertLess(max(len(line) for line in screen.lines[-len(picture):]), 40)
        self.assertIn("✔ web 4/4 running", screen.text)
        self.gantry_ok("down", folder=folder)

    def test_ctrl_c_gives_the_cursor_back(self):
        folder = self.stack(WAITING, "cancelled")
        terminal = self.open(folder, "up", "-d", "--wait")
        terminal.wait_for("web waiting for db to be healthy")
        terminal.type(b"\x03")
        screen = terminal.finish()
        self.assertEqual(terminal.exit_code, 130, screen.text)
        self.assertTrue(screen.is_cursor_shown)
        self.assertIn("interrupted: the engine goes on by itself", screen.text)
        self.assertNotIn("⠋", screen.text)
        self.gantry_ok("wait", folder=folder)
        self.gantry_ok("down", folder=folder)

    def test_ctrl_z_gives_the_cursor_back_for_a_while(self):
        folder = self.stack(WAITING, "stopped")
        terminal = self.open(folder, "up", "-d", "--wait")
        terminal.wait_for("web waiting for db to be healthy")
        terminal.type(b"\x1a")

        def is_stopped():
            terminal.read()
            with open(f"/proc/{terminal.process.pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "T"
        wait_until(is_stopped, what="the program to be stopped")
        wait_until(lambda: terminal.read() and terminal.screen.is_cursor_shown, seconds=5, what="the cursor")
        os.kill(terminal.process.pid, 18)  # SIGCONT
        screen = terminal.finish()
        self.assertEqual(terminal.exit_code, 0, screen.text)
        self.assertTrue(screen.is_cursor_shown)
        self.assertIn("└ ✔ web 4/4 running", screen.text)
        self.gantry_ok("down", folder=folder)

    def test_what_fails_is_seen(self):
        folder = self.stack("""
            services:
              good: {image: busybox, command: ["sleep", "1000"], stop_grace_period: 0s, deploy: {replicas: 9}}
              bad:
                image: busybox
                command: ["sh", "-c", "sleep 4; exit 3"]
                healthcheck: {test: ["CMD", "false"], start_period: 60s}
                depends_on: [good]
            """, "failing")
        terminal = self.open(folder, "up", "-d", "--wait", rows=8)
        screen = terminal.finish()
        self.assertEqual(terminal.exit_code, 1, screen.text)
        self.assertTrue(screen.is_cursor_shown)
        self.assertRegex(screen.text, r"[├└] ✘ bad exited with 3")
        self.assertIn("✔ good 9/9 running", screen.text)
        self.assertIn("error: container failing-bad-1 exited (3)", screen.text)
        self.gantry_ok("down", folder=folder)

    def test_an_update_shows_how_far_it_is(self):
        text = """
            services:
              web:
                image: busybox
                command: ["sleep", "1000"]
                stop_grace_period: 1s
                deploy: {replicas: 3, update_config: {parallelism: 1, order: stop-first}}
            """
        folder = self.stack(text, "updated")
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        self.stack(text.replace("stop_grace_period", "hostname: other\n                stop_grace_period"), "updated")
        terminal = self.open(folder, "up", "-d", "--wait")
        terminal.wait_for("replaced by revision 2")
        terminal.wait_for("/3 updated, ")
        screen = terminal.finish()
        self.assertEqual(terminal.exit_code, 0, screen.text)
        self.assertIn("└ ✔ web 3/3 running", screen.text)
        # The same on the way back, and down.
        terminal = self.open(folder, "rollback")
        terminal.wait_for("replaced by revision 3")
        self.assertEqual(terminal.finish().is_cursor_shown, True)
        terminal = self.open(folder, "down")
        self.assertIn("└ ✔ web removed", terminal.finish().text)


if __name__ == "__main__":
    unittest.main()
