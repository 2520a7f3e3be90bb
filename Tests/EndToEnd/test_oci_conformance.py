"""What the programs of runtime-tools' `validation` look at, by their names: docs/oci.md says which are left out, and why.

<https://github.com/opencontainers/runtime-tools/tree/master/validation>
"""

import glob
import json
import os
import subprocess
import time

from oci_harness import OCI, OCITestCase


class Conformance(OCITestCase):
    def inside(self, script, **changes):
        """What a shell in the container prints."""
        self.config("sh", "-c", script, **changes)
        result = self.oci("run", "a", options=["--log", os.path.join(self.folder, "log")])
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def changed(self, key, value, **linux):
        """The template's `linux` with one list changed."""
        config = self.config("true")
        return {**linux, key: value(config["linux"].get(key, []))}


class Life(Conformance):
    def test_create(self):
        self.config("true")
        for arguments in (["create"], ["create", "a", "b"]):
            self.assertNotEqual(self.oci(*arguments).returncode, 0)
        self.create("a")
        self.assertNotEqual(self.oci("create", "a").returncode, 0)
        self.assertNotEqual(self.oci("create", "--bundle", "/nosuch", "b").returncode, 0)

    def test_delete_only_create_resources(self):
        # A cgroup that was there before, with a process of somebody else's, stays.
        path = "/sys/fs/cgroup/unified/oci-own" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup/oci-own"
        os.makedirs(path + "/other", exist_ok=True)
        self.addCleanup(lambda: [os.rmdir(p) for p in glob.glob("/sys/fs/cgroup/*/oci-own") if p != path])
        self.addCleanup(lambda: (os.rmdir(path + "/other"), os.path.isdir(path) and os.rmdir(path)))
        self.config("true", linux={"cgroupsPath": "/oci-own/mine"})
        self.oci("run", "a", check=True)
        self.assertFalse(os.path.exists(path + "/mine"))
        self.assertTrue(os.path.exists(path + "/other"))

    def test_hooks_stdin(self):
        # Of the status that hooks are told: "creating" is over when the first one runs.
        log = os.path.join(self.folder, "states")
        names = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
        hook = [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >> {log}; echo >> {log}"]}]
        self.config("sleep", "0.5", hooks={name: hook for name in names})
        self.oci("run", "a", check=True)
        with open(log) as file:
            states = [json.loads(line) for line in file]
        self.assertEqual([state["status"] for state in states],
                         ["created", "created", "created", "running", "stopped"])
        for state in states:
            self.assertEqual((state["id"], state["bundle"]), ("a", os.path.realpath(self.folder)))
            self.assertTrue({"ociVersion", "id", "status", "bundle"} <= set(state))
        self.assertTrue(all(state["pid"] > 0 for state in states[:4]))

    def test_kill_and_kill_no_effect(self):
        self.config("sleep", "1000")
        self.assertNotEqual(self.oci("kill", "a", "KILL").returncode, 0)
        self.create("a")
        self.oci("kill", "a", "KILL", check=True)
        self.wait_for("a", "stopped")
        self.assertNotEqual(self.oci("kill", "a", "KILL").returncode, 0)
        self.assertEqual(self.status("a"), "stopped")

    def test_killsig(self):
        for name, code in (("TERM", 15), ("USR1", 10), ("15", 15)):
            self.config("sh", "-c", f"trap 'exit 42' {code}; echo ready; while :; do sleep 0.05; done")
            process = subprocess.Popen(
                [OCI, "--root", self.root, "run", f"k{name}"], cwd=self.folder, stdout=subprocess.PIPE)
            self.assertEqual(process.stdout.readline(), b"ready\n")
            self.oci("kill", f"k{name}", name, check=True)
            self.assertEqual(process.wait(20), 42)
            process.stdout.close()

    def test_pidfile(self):
        self.config("sleep", "1000")
        path = os.path.join(self.folder, "pid")
        self.create("a", "--pid-file", path)
        with open(path) as file:
            self.assertEqual(file.read(), str(self.state("a")["pid"]))

    def test_poststart_and_poststart_fail(self):
        # After the program was executed; a failure ends the container since the specification 1.3.
        seen = os.path.join(self.folder, "rootfs/tmp/started")
        self.config("sh", "-c", "sleep 1000", hooks={"poststart": [
            {"path": "/bin/sh", "args": ["sh", "-c", f"grep -z sleep /proc/$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')/cmdline > {seen}"],
             "env": ["PATH=/bin:/usr/bin"]}]})
        self.assertEqual(self.launch("run -d", "a"), 0, self.output("a"))
        with open(seen) as file:
            self.assertIn("sleep", file.read())
        self.config("sleep", "1000", hooks={"poststart": [{"path": "/bin/false"}]})
        self.create("b")
        self.assertNotEqual(self.oci("start", "b").returncode, 0)
        self.wait_for("b", "stopped")

    def test_prestart_fail_and_poststop_fail(self):
        log = os.path.join(self.folder, "after")
        stop = {"path": "/bin/sh", "args": ["sh", "-c", f"echo stopped >> {log}"]}
        self.config("true", hooks={"prestart": [{"path": "/bin/false"}]})
        self.assertNotEqual(self.oci("create", "a").returncode, 0)
        self.assertNotEqual(self.oci("state", "a").returncode, 0)
        self.config("true", hooks={"poststop": [{"path": "/bin/false"}, stop]})
        self.oci("run", "b", check=True)
        with open(log) as file:
            self.assertEqual(file.read(), "stopped\n")

    def test_start(self):
        self.config("sleep", "1000")
        self.assertNotEqual(self.oci("start").returncode, 0)
        self.assertNotEqual(self.oci("start", "a").returncode, 0)
        self.create("a")
        self.oci("start", "a", check=True)
        self.assertNotEqual(self.oci("start", "a").returncode, 0)
        self.assertEqual(self.status("a"), "running")

    def test_state(self):
        self.assertNotEqual(self.oci("state").returncode, 0)
        self.assertNotEqual(self.oci("state", "nosuch").returncode, 0)
        self.config("sleep", "1000", annotations={"a": "b"})
        self.create("a")
        state = self.state("a")
        self.assertEqual({key: state[key] for key in ("id", "status", "bundle", "annotations")},
                         {"id": "a", "status": "created", "bundle": os.path.realpath(self.folder),
                          "annotations": {"a": "b"}})

    def test_state_while_hooks_run(self):
        states = os.path.join(self.folder, "states")
        script = f"{OCI} --root {self.root} state a > {states}"
        self.config("sleep", "1000", hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]})
        self.create("a")
        with open(states) as file:
            state = json.load(file)
        self.assertEqual((state["status"], state["pid"]), ("creating", self.state("a")["pid"]))


class Namespaces(Conformance):
    def test_linux_ns_itype_and_nopath(self):
        # One of its own for each that is listed, the runtime's for each that is not.
        kinds = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
        listed = self.inside("for i in pid net ipc uts cgroup mnt; do readlink /proc/self/ns/$i; done").split()
        own = [os.readlink(f"/proc/self/ns/{name}") for name in [*kinds.values(), "mnt"]]
        self.assertEqual([a == b for a, b in zip(listed, own)], [False] * 6)
        for kind, name in kinds.items():
            if kind == "uts":
                continue  # A host name needs one.
            linux = self.changed("namespaces", lambda list: [item for item in list if item["type"] != kind])
            self.assertEqual(self.inside(f"readlink /proc/self/ns/{name}", linux=linux).strip(),
                             os.readlink(f"/proc/self/ns/{name}"), kind)

    def test_linux_ns_path(self):
        for kind, name in (("network", "net"), ("ipc", "ipc"), ("pid", "pid"), ("uts", "uts")):
            holder = subprocess.Popen(["unshare", f"--{name}", *(["--fork"] if kind == "pid" else []), "sleep", "1000"])
            try:
                path = self.namespace_of(holder.pid, name, "pid_for_children" if kind == "pid" else name)
                linux = self.changed("namespaces", lambda list: [
                    item for item in list if item["type"] != kind] + [{"type": kind, "path": path}])
                hostname = {"hostname": None} if kind == "uts" else {}
                self.assertEqual(self.inside(f"readlink /proc/self/ns/{name}", linux=linux, **hostname).strip(),
                                 os.readlink(path), kind)
            finally:
                for child in subprocess.run(["pgrep", "-P", str(holder.pid)], capture_output=True, text=True).stdout.split():
                    os.kill(int(child), 9)
                holder.kill()
                holder.wait()

    def namespace_of(self, pid, name, link):
        own = os.readlink(f"/proc/self/ns/{name}")
        for _ in range(500):
            try:
                # Empty until its first process is there.
                if os.readlink(f"/proc/{pid}/ns/{link}") != own:
                    return f"/proc/{pid}/ns/{link}"
            except OSError:
                pass
            time.sleep(0.01)
        self.fail(f"no {name} namespace")

    def test_linux_ns_path_type(self):
        # A path of another kind is an error, and so is one to nothing.
        for path in ("/proc/self/ns/ipc", "/nosuch", "proc/self/ns/net"):
            linux = self.changed("namespaces", lambda list: [
                item for item in list if item["type"] != "network"] + [{"type": "network", "path": path}])
            self.config("true", linux=linux)
            self.assertNotEqual(self.oci("run", "a").returncode, 0, path)

    def test_a_mount_namespace_is_never_joined(self):
        linux = self.changed("namespaces", lambda list: [
            item for item in list if item["type"] != "mount"] + [{"type": "mount", "path": "/proc/self/ns/mnt"}])
        self.config("true", linux=linux)
        self.assertIn("mount namespace", self.oci("run", "a").stderr)
        linux = self.changed("namespaces", lambda list: [{**item, "path": ""} for item in list])
        self.inside("true", linux=linux)

    def test_linux_uid_mappings(self):
        maps = [{"containerID": 0, "hostID": 1000, "size": 2000}]
        linux = self.changed("namespaces", lambda list: [*list, {"type": "user"}], uidMappings=maps, gidMappings=maps)
        os.chmod(self.folder, 0o755)
        self.assertEqual(self.inside("cat /proc/self/uid_map /proc/self/gid_map", linux=linux).split(),
                         ["0", "1000", "2000"] * 2)

    def test_devices_of_a_user_namespace(self):
        # Nowhere on the host, with ids of the container's.
        maps = [{"containerID": 0, "hostID": 1000, "size": 2000}]
        device = {"path": "/dev/inner", "type": "c", "major": 1, "minor": 5, "fileMode": 0o644, "uid": 10, "gid": 11}
        linux = self.changed("namespaces", lambda list: [*list, {"type": "user"}], uidMappings=maps, gidMappings=maps,
                             devices=[device])
        os.chmod(self.folder, 0o755)
        os.chmod(os.path.join(self.folder, "rootfs"), 0o777)
        output = self.inside("stat -c '%a %u %g %t:%T' /dev/inner; head -c 3 /dev/inner | wc -c", linux=linux)
        self.assertEqual(output.split("\n")[:2], ["644 10 11 1:5", "3"])


class Files(Conformance):
    def test_default(self):
        # Of the specification's default file systems, devices and links.
        output = self.inside("awk '{print $2, $3}' /proc/mounts; ls /dev; for i in fd stdin ptmx; do readlink /dev/$i; done")
        for line in ("/proc proc", "/sys sysfs", "/dev/pts devpts", "/dev/shm tmpfs"):
            self.assertIn(line, output)
        for name in ("null", "zero", "full", "random", "urandom", "tty"):
            self.assertIn(f"{name}\n", output)
        self.assertIn("/proc/self/fd\n/proc/self/fd/0\npts/ptmx", output)

    def test_linux_devices(self):
        devices = [
            {"type": "c", "path": "/dev/test1", "major": 10, "minor": 666, "fileMode": 0o432},
            {"type": "b", "path": "/dev/test2", "major": 8, "minor": 666, "fileMode": 0o432, "uid": 1, "gid": 2},
            {"type": "p", "path": "/dev/test3", "major": 8, "minor": 666, "fileMode": 0o432},
            {"type": "u", "path": "/other/test4", "major": 1, "minor": 3}]
        output = self.inside("stat -c '%F %a %u %g %t:%T' /dev/test1 /dev/test2 /dev/test3 /other/test4",
                             linux={"devices": devices})
        self.assertEqual(output.splitlines(), [
            "character special file 432 0 0 a:29a", "block special file 432 1 2 8:29a", "fifo 432 0 0 0:0",
            "character special file 666 0 0 1:3"])

    def test_linux_masked_and_readonly_paths(self):
        root = os.path.join(self.folder, "rootfs")
        os.makedirs(f"{root}/masked/dir")
        for path in ("masked/file", "masked/dir/inner", "tmp/fixed"):
            with open(f"{root}/{path}", "w") as file:
                file.write("secret")
        output = self.inside(
            "cat /masked/file; ls /masked/dir; echo x > /tmp/fixed || echo kept; cat /tmp/fixed",
            linux={"maskedPaths": ["/masked/file", "/masked/dir", "/nosuch"], "readonlyPaths": ["/tmp/fixed", "/none"]})
        self.assertEqual(output, "kept\nsecret")
        for key in ("maskedPaths", "readonlyPaths"):
            self.config("true", linux={key: ["relative"]})
            self.assertNotEqual(self.oci("run", "a").returncode, 0)

    def test_linux_rootfs_propagation(self):
        for name, mark in (("shared", "shared:"), ("slave", "master:"), ("private", " - "), ("unbindable", "unbindable")):
            output = self.inside("head -1 /proc/self/mountinfo; grep ' / / ' /proc/self/mountinfo; "
                                 "awk '$5 == \"/\"' /proc/self/mountinfo", linux={"rootfsPropagation": name})
            if name != "slave":  # Without a shared mount of the host's there is no master to be told.
                self.assertIn(mark, output)
        self.config("true", linux={"rootfsPropagation": "nosuch"})
        self.assertNotEqual(self.oci("run", "a").returncode, 0)

    def test_mounts(self):
        source = os.path.join(self.folder, "source")
        os.makedirs(source)
        config = self.config("true")
        mounts = config["mounts"] + [
            {"destination": "/tmp/bound", "type": "bind", "source": source, "options": ["bind", "ro", "mode=755"]},
            {"destination": "/tmp/new/deep", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "noexec", "size=64k", "mode=1777"]}]
        output = self.inside("grep /tmp /proc/mounts; touch /tmp/bound/x || echo fixed", mounts=mounts)
        lines = output.splitlines()
        self.assertIn(" ro,", lines[0])
        self.assertRegex(lines[1], "/tmp/new/deep tmpfs rw,nosuid,noexec,.*size=64k")
        self.assertEqual(lines[2], "fixed")

    def test_root_readonly_true(self):
        self.assertEqual(self.inside("touch /x || echo fixed", root={"readonly": True}), "fixed\n")

    def test_linux_mount_label_and_process_apparmor_profile(self):
        # Without such a module: a label of mounts is warned of, a profile that is not a mere default is an error.
        if os.path.exists("/sys/fs/selinux/enforce") or os.path.isdir("/sys/kernel/security/apparmor"):
            self.skipTest("this kernel has a security module")
        self.inside("true", linux={"mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0"})
        self.inside("true", process={"apparmorProfile": "docker-default"})
        self.config("true", process={"apparmorProfile": "acme_secure_profile"})
        self.assertIn("AppArmor", self.oci("run", "a").stderr)
        self.config("sleep", "1000")
        self.assertEqual(self.launch("run -d", "b"), 0)
        self.assertIn("AppArmor", self.oci("exec", "--apparmor", "acme", "b", "true").stderr)
        self.assertIn("SELinux", self.oci("exec", "--process-label", "a:b:c:s0", "b", "true").stderr)


class Processes(Conformance):
    def test_process_and_user(self):
        user = {"uid": 10, "gid": 20, "umask": 0o27, "additionalGids": [30, 5]}
        output = self.inside("id -u; id -g; id -G; umask; pwd; echo $A", process={
            "user": user, "cwd": "/tmp", "env": ["PATH=/bin", "A=b c"]})
        self.assertEqual(output.split("\n")[:6], ["10", "20", "20 5 30", "0027", "/tmp", "b c"])

    def test_process_rlimits_and_fail(self):
        limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
        self.assertEqual(self.inside("ulimit -Sn; ulimit -Hn; ulimit -c", process={"rlimits": limits}).split(),
                         ["100", "200", "0"])
        for bad in ([{"type": "RLIMIT_TEST", "soft": 1, "hard": 1}], limits + limits,
                    [{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}]):
            self.config("true", process={"rlimits": bad})
            self.assertNotEqual(self.oci("run", "a").returncode, 0)

    def test_process_oom_score_adj(self):
        self.assertEqual(self.inside("cat /proc/self/oom_score_adj", process={"oomScoreAdj": 500}).strip(), "500")

    def test_hostname(self):
        self.assertEqual(self.inside("hostname; cat /proc/sys/kernel/domainname", hostname="outer",
                                     domainname="inner.example"), "outer\ninner.example\n")

    def test_linux_sysctl(self):
        self.assertEqual(self.inside("cat /proc/sys/net/ipv4/ip_forward", linux={"sysctl": {"net.ipv4.ip_forward": "1"}}),
                         "1\n")

    def test_linux_seccomp(self):
        rules = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"}]}
        self.assertIn("no getcwd", self.inside("/bin/busybox pwd -P || echo no getcwd", linux={"seccomp": rules},
                                               process={"cwd": "/tmp", "env": ["PATH=/bin"]}))

    def test_linux_cgroups(self):
        for path in ("/oci-conformance/x", "oci-conformance/x"):
            resources = {"cpu": {"shares": 1024, "quota": 100000, "period": 50000, "cpus": "0", "mems": "0"},
                         "memory": {"limit": 50 << 20}, "devices": [
                             {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
                             {"allow": False, "type": "b", "major": 8, "minor": 20, "access": "rw"}]}
            self.config("sleep", "1000", linux={"cgroupsPath": path, "resources": resources})
            self.create("a")
            found = {}
            for file in ("cpu.cfs_quota_us", "cpuset.cpus", "memory.limit_in_bytes", "cpu.max", "memory.max"):
                for place in glob.glob(f"/sys/fs/cgroup/*/oci-conformance/x/{file}") + glob.glob(
                        f"/sys/fs/cgroup/oci-conformance/x/{file}"):
                    with open(place) as text:
                        found[file] = text.read().strip()
            self.assertEqual(found.get("cpu.cfs_quota_us") or found.get("cpu.max", "").split()[0], "100000")
            self.assertEqual(found["cpuset.cpus"], "0")
            self.assertEqual(found.get("memory.limit_in_bytes") or found.get("memory.max"), str(50 << 20))
            self.oci("delete", "--force", "a", check=True)
        for place in glob.glob("/sys/fs/cgroup/*/oci-conformance") + glob.glob("/sys/fs/cgroup/oci-conformance"):
            os.rmdir(place)


    def test_every_user_may_read_its_limits(self):
        # Under its own name of the cgroup and, without a cgroup namespace, under the host's.
        for keep in (True, False):
            linux = self.changed("namespaces", lambda list: [
                item for item in list if keep or item["type"] != "cgroup"], resources={"memory": {"limit": 50 << 20}})
            output = self.inside("cd /sys/fs/cgroup; cat memory.max || cat memory/memory.limit_in_bytes", linux=linux,
                                 process={"user": {"uid": 1000, "gid": 1000}})
            self.assertEqual(output.strip(), str(50 << 20))


class Fields(Conformance):
    def test_fields_that_are_not_carried_out(self):
        log = os.path.join(self.folder, "log")
        for change, words in (({"linux": {"netDevices": {"eth0": {}}}}, "netDevices"),
                              ({"linux": {"intelRdt": {"closID": "x"}}}, "intelRdt"), ({"vm": {}}, "vm is")):
            self.config("true", **change)
            self.assertIn(words, self.oci("run", "a").stderr)
        self.inside("true", windows={}, solaris={}, unknown={"x": 1})
        with open(log) as file:
            text = file.read()
        self.assertIn("windows", text)
        self.assertIn("solaris", text)

    def test_hooks_inherit_the_environment_unless_they_have_one(self):
        log = os.path.join(self.folder, "environment")
        hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo $MARK >> {log}"]}
        self.config("true", hooks={"createRuntime": [hook, {**hook, "env": ["PATH=/bin"]}], "poststop": [hook]})
        self.oci("run", "a", check=True, env=dict(os.environ, MARK="here"))
        with open(log) as file:
            self.assertEqual(file.read(), "here\n\nhere\n")

    def test_a_process_in_a_frozen_group_of_others_is_deleted(self):
        freezer = "/sys/fs/cgroup/freezer"
        if not os.path.exists(f"{freezer}/cgroup.procs"):
            self.skipTest("no freezer of version 1")
        self.config("sleep", "1000")
        self.assertEqual(self.launch("run -d", "a"), 0)
        os.makedirs(f"{freezer}/frozen")
        self.addCleanup(os.rmdir, f"{freezer}/frozen")
        for name, text in (("cgroup.procs", str(self.state("a")["pid"])), ("freezer.state", "FROZEN")):
            with open(f"{freezer}/frozen/{name}", "w") as file:
                file.write(text)
        self.oci("delete", "--force", "a", check=True)

    def test_features_are_what_configurations_may_say(self):
        features = json.loads(self.oci("features", check=True).stdout)["linux"]
        seccomp = features["seccomp"]
        for action in seccomp["actions"]:
            if action in ("SCMP_ACT_NOTIFY", "SCMP_ACT_ALLOW"):
                continue
            self.inside("true", linux={"seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW", "flags": seccomp["supportedFlags"],
                "architectures": [name for name in seccomp["archs"] if name.endswith(("X86", "X32", "X86_64"))],
                "syscalls": [{"names": ["swapoff"], "action": action, "args": [
                    {"index": 0, "value": 1, "op": name} for name in seccomp["operators"]]}]}})
        self.assertEqual((features["netDevices"]["enabled"], features["intelRdt"]["enabled"]), (False, False))
        self.assertTrue(features["mountExtensions"]["idmap"]["enabled"])
