"""What a stack file says of limits, namespaces and privileges reaches the kernel."""

import json
import os
import unittest

from harness import EngineCase


def cgroup(pid, controller):
    """The container's folder in the hierarchy that has `controller`, v1 or v2."""
    unified = None
    with open(f"/proc/{pid}/cgroup") as file:
        for line in file:
            _, names, path = line.strip().split(":", 2)
            if controller in names.split(","):
                return "/sys/fs/cgroup/" + names + path if os.path.isdir("/sys/fs/cgroup/" + names) else (
                    "/sys/fs/cgroup/" + controller + path)
            if not names:
                unified = path
    root = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"
    return root + unified


class ConfinementTest(EngineCase):
    def run_box(self, options, name="confined"):
        folder = self.stack("""
            services:
              box:
                image: busybox
                command: sleep 600
                stop_grace_period: 0s
            """, name)
        with open(os.path.join(folder, "compose.yaml"), "a") as file:
            for line in options.strip().splitlines():
                file.write("    " + line + "\n")
        result = self.gantry("up", "-d", folder=folder)
        self.addCleanup(lambda: self.gantry("down", "-t", "0", folder=folder))
        return folder, result

    def inside(self, folder, *command):
        return self.gantry("exec", "-T", "box", *command, folder=folder).stdout.strip()

    def test_limits(self):
        folder, result = self.run_box("""
mem_limit: 64m
mem_swappiness: 10
cpu_quota: 50000
cpu_period: 200000
cpu_shares: 512
pids_limit: 50
cgroup_parent: /gantry-e2e-parent
""")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("warning", result.stderr)
        pid = next(iter(self.pids(folder).values()))

        def read(controller, one, two):
            path = cgroup(pid, controller)
            self.assertIn("gantry-e2e-parent", path)
            for file in (one, two):
                if os.path.exists(f"{path}/{file}"):
                    with open(f"{path}/{file}") as text:
                        return text.read().split()
            self.fail(f"{path} has neither {one} nor {two}")

        self.assertEqual(read("memory", "memory.limit_in_bytes", "memory.max"), ["67108864"])
        self.assertEqual(read("pids", "pids.max", "pids.max"), ["50"])
        self.assertIn(read("cpu", "cpu.cfs_quota_us", "cpu.max"), (["50000"], ["50000", "200000"]))
        self.gantry_ok("down", "-t", "0", folder=folder)
        for where, names, _ in os.walk("/sys/fs/cgroup"):
            for name in [name for name in names if name == "gantry-e2e-parent"]:
                os.rmdir(os.path.join(where, name))
                names.remove(name)

    def test_what_cannot_be_had_is_a_warning(self):
        folder, result = self.run_box("oom_score_adj: -900\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        pid = next(iter(self.pids(folder).values()))
        with open(f"/proc/{pid}/oom_score_adj") as file:
            if file.read().strip() != "-900":
                self.assertIn("warning: container confined-box-1: oom_score_adj", result.stderr)

    def test_security_options(self):
        profile = {"defaultAction": "SCMP_ACT_ALLOW",
                   "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
        folder = self.stack("", "confined")
        with open(os.path.join(folder, "profile.json"), "w") as file:
            json.dump(profile, file)
        folder, result = self.run_box("""
security_opt: ["seccomp=profile.json", "no-new-privileges", "systempaths=unconfined"]
""")
        self.assertEqual(result.returncode, 0, result.stderr)
        refused = self.gantry("exec", "-T", "box", "mkdir", "/new", folder=folder)
        self.assertIn("No space left on device", refused.stderr + refused.stdout)
        self.assertIn("NoNewPrivs:\t1", self.inside(folder, "cat", "/proc/1/status"))
        self.assertEqual(self.inside(folder, "sh", "-c", "grep -c ' /proc/' /proc/self/mountinfo"), "0")

    def test_security_options_that_are_none(self):
        for option, text in (("seccomp=nowhere.json", "nowhere.json"), ("seccmp=x", "unknown security option"),
                             ("seccomp=broken.json", "seccomp")):
            folder = self.stack("", "confined")
            with open(os.path.join(folder, "broken.json"), "w") as file:
                file.write('{"syscalls": 7}')
            folder, result = self.run_box(f'security_opt: ["{option}"]')
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(text, result.stderr)
            self.gantry_ok("down", folder=folder)

    def test_namespaces_of_the_host(self):
        folder, result = self.run_box("uts: host\ncgroup: host\npid: host\nipc: host\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        pid = next(iter(self.pids(folder).values()))
        for kind in ("uts", "cgroup", "pid", "ipc"):
            self.assertEqual(os.readlink(f"/proc/{pid}/ns/{kind}"), os.readlink(f"/proc/self/ns/{kind}"), kind)

    def test_devices_by_rule(self):
        folder, result = self.run_box('device_cgroup_rules: ["c 10:200 rw"]\ncap_add: [MKNOD]\n')
        self.assertEqual(result.returncode, 0, result.stderr)
        for minor, works in ((200, True), (229, False)):
            self.inside(folder, "mknod", f"/tmp/d{minor}", "c", "10", str(minor))
            opened = self.gantry("exec", "-T", "box", "sh", "-c", f"exec 3<>/tmp/d{minor}", folder=folder)
            denied = "Operation not permitted" in opened.stderr + opened.stdout
            self.assertEqual(denied, not works, opened.stderr)
        folder, result = self.run_box('device_cgroup_rules: ["c 10 rw"]\n', "rules")
        self.assertIn("device_cgroup_rules", result.stderr)


if __name__ == "__main__":
    unittest.main()
