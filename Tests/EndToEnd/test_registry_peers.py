"""Images that change hands by way of a registry: what Gantry pushes, Docker and Podman run and umoci unpacks, and the
reverse. Over a registry without TLS and over one with a certificate of an authority of its own."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import EngineCase, busybox_image, free_port, wait_until

CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}/store}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
"""
DOCKER_FOLDER = "/etc/docker"
DOCKERFILE = """FROM {base}
USER 0
RUN ["/bin/busybox", "sh", "-c", "rm /etc/group; echo {who} > /made-by; mkfifo /pipe"]
"""


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout.strip()


def unmount_below(folder):
    with open("/proc/self/mounts") as mounts:
        points = [line.split()[1] for line in mounts]
    for point in reversed(points):
        if point.startswith(folder):
            subprocess.run(["umount", "-l", point], check=False)


class Registry:
    """docker-registry in `root`, with TLS where there is a certificate."""

    def __init__(self, root, certificate=None):
        os.makedirs(root)
        self.port = free_port()
        self.host = f"localhost:{self.port}"
        tls = f", tls: {{certificate: {certificate}.crt, key: {certificate}.key}}" if certificate else ""
        with open(f"{root}/config.yml", "w") as file:
            file.write(CONFIG.format(root=root, port=self.port, tls=tls))
        self.process = subprocess.Popen(
            ["docker-registry", "serve", f"{root}/config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self):
        self.process.kill()
        self.process.wait()


def certificate_of_own_authority(folder):
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-batch"]
    run(*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.crt")
    run(*new, "-subj", "/CN=localhost", "-keyout", f"{folder}/server.key", "-out", f"{folder}/server.csr")
    with open(f"{folder}/names", "w") as file:
        file.write("subjectAltName=DNS:localhost")
    run("openssl", "x509", "-req", "-in", f"{folder}/server.csr", "-CA", f"{folder}/ca.crt", "-CAkey",
        f"{folder}/ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{folder}/names", "-out",
        f"{folder}/server.crt")
    return f"{folder}/server"


@unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"), "docker-registry or skopeo is missing")
class RegistryPeersTest(EngineCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gantry-e2e-peers-")
        cls.addClassCleanup(shutil.rmtree, cls.work)
        if not os.path.isdir(DOCKER_FOLDER):
            raise unittest.SkipTest(f"there is no {DOCKER_FOLDER} to put certificates into")
        # Of this test's own mount namespace; Gantry, Docker and Podman all look there.
        run("mount", "-t", "tmpfs", "tmpfs", DOCKER_FOLDER)
        cls.addClassCleanup(run, "umount", DOCKER_FOLDER)
        run("mount", "-t", "tmpfs", "tmpfs", cls.work)
        cls.addClassCleanup(run, "umount", cls.work)
        certificate = certificate_of_own_authority(cls.work)
        cls.registries = {"plain": Registry(f"{cls.work}/plain"), "tls": Registry(f"{cls.work}/tls", certificate)}
        for registry in cls.registries.values():
            cls.addClassCleanup(registry.end)
        trusted = f"{DOCKER_FOLDER}/certs.d/{cls.registries['tls'].host}"
        os.makedirs(trusted)
        shutil.copy(f"{cls.work}/ca.crt", f"{trusted}/ca.crt")
        cls.docker = cls.start_docker()
        cls.podman = ["podman", "--root", f"{cls.work}/pd", "--runroot", f"{cls.work}/pdr", "--tmpdir",
                      f"{cls.work}/pdt", "--cgroup-manager", "cgroupfs"]
        super().setUpClass()

    @classmethod
    def start_docker(cls):
        if not (shutil.which("dockerd") and shutil.which("docker")):
            return None
        address = f"unix://{cls.work}/docker.sock"
        engine = subprocess.Popen(
            ["dockerd", "--data-root", f"{cls.work}/docker", "--exec-root", f"{cls.work}/docker-run", "--pidfile",
             f"{cls.work}/docker.pid", "-H", address, "--bridge=none", "--iptables=false", "--ip-forward=false"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            engine.terminate()
            engine.wait(timeout=30)
            unmount_below(f"{cls.work}/docker")

        cls.addClassCleanup(end)
        docker = ["docker", "-H", address]
        wait_until(lambda: subprocess.run([*docker, "version"], capture_output=True).returncode == 0, 30, "dockerd")
        return docker

    def pushed(self, registry, name):
        """An image that Gantry loaded and pushed under this name."""
        image = f"{registry.host}/{name}"
        # Buildah builds upon no image that has layers and no history.
        busybox_image(
            f"{self.root}/pushed.tar", tag=image, files={"made-by": __file__},
            config={"Cmd": ["/bin/cat", "/made-by"], "Env": ["PATH=/bin"], "User": "1000:1000"},
            history=[{"created": "2026-01-01T00:00:00Z", "created_by": "by hand"}])
        self.gantry_ok("load", "-i", f"{self.root}/pushed.tar")
        self.gantry_ok("push", image)
        with open(__file__) as file:
            return image, file.read().strip()

    def check_in_gantry(self, image, made_by):
        """Pulls an image that another made, and looks at it from inside."""
        self.gantry_ok("pull", image)
        more = "command: [sleep, '1000'], stop_grace_period: 0s, pull_policy: never"
        folder = self.stack(f"services: {{web: {{image: \"{image}\", {more}}}}}")
        self.gantry_ok("up", "-d", folder=folder)
        try:
            script = "cat /made-by; test ! -e /etc/group && test -p /pipe && echo changed"
            said = self.gantry_ok("exec", "-T", "web", "sh", "-c", script, folder=folder).stdout
            self.assertEqual(said, f"{made_by}\nchanged\n")
        finally:
            self.gantry_ok("down", "-t", "0", folder=folder)

    def test_docker(self):
        if not self.docker:
            self.skipTest("docker is missing")
        for word, registry in self.registries.items():
            with self.subTest(word):
                image, expected = self.pushed(registry, "docker/ours:1")
                run(*self.docker, "pull", "-q", image)
                self.assertEqual(run(*self.docker, "run", "--rm", "--network", "none", image), expected)
                theirs = f"{registry.host}/docker/theirs:1"
                folder = tempfile.mkdtemp(dir=self.work)
                with open(f"{folder}/Dockerfile", "w") as file:
                    file.write(DOCKERFILE.format(base=image, who="docker"))
                run(*self.docker, "build", "-q", "--network", "none", "-t", theirs, folder,
                    env={**os.environ, "DOCKER_BUILDKIT": "0"})
                run(*self.docker, "push", "-q", theirs)
                self.check_in_gantry(theirs, "docker")

    @unittest.skipUnless(shutil.which("podman") and shutil.which("buildah"), "podman or buildah is missing")
    def test_podman(self):
        self.addCleanup(unmount_below, f"{self.work}/pd")
        # crun does not run where both kinds of cgroups are mounted.
        runtime = ["--runtime", "runc"] if shutil.which("runc") else []
        for word, registry in self.registries.items():
            with self.subTest(word):
                insecure = [f"--tls-verify={str(word == 'tls').lower()}"]
                image, expected = self.pushed(registry, "podman/ours:1")
                run(*self.podman, "pull", "-q", *insecure, image)
                self.assertEqual(run(*self.podman, *runtime, "run", "--rm", "--network", "none", image), expected)
                folder = tempfile.mkdtemp(dir=self.work)
                with open(f"{folder}/Containerfile", "w") as file:
                    file.write(DOCKERFILE.format(base=image, who="podman"))
                for form, packing in (("oci", "zstd"), ("docker", "gzip")):
                    theirs = f"{registry.host}/podman/{form}:1"
                    run(*self.podman, "build", "-q", "--isolation", "chroot", "--network", "host", "--format", form,
                        "--pull-never", "-t", theirs, folder)
                    run(*self.podman, "push", "-q", "--compression-format", packing, *insecure, theirs)
                    self.check_in_gantry(theirs, "podman")

    @unittest.skipUnless(shutil.which("umoci"), "umoci is missing")
    def test_umoci(self):
        registry = self.registries["plain"]
        image, expected = self.pushed(registry, "umoci/ours:1")
        folder = tempfile.mkdtemp(dir=self.work)
        copy = ["skopeo", "--insecure-policy", "copy", "-q"]
        run(*copy, "--src-tls-verify=false", f"docker://{image}", f"oci:{folder}/layout:1")
        run("umoci", "unpack", "--image", f"{folder}/layout:1", f"{folder}/bundle")
        tree = f"{folder}/bundle/rootfs"
        with open(f"{tree}/made-by") as file:
            self.assertEqual(file.read().strip(), expected)
        with open(f"{folder}/bundle/config.json") as file:
            self.assertEqual(json.load(file)["process"]["user"]["uid"], 1000)
        os.unlink(f"{tree}/etc/group")
        os.mkfifo(f"{tree}/pipe")
        with open(f"{tree}/made-by", "w") as file:
            file.write("umoci\n")
        run("umoci", "repack", "--image", f"{folder}/layout:2", f"{folder}/bundle")
        theirs = f"{registry.host}/umoci/theirs:1"
        run(*copy, "--dest-tls-verify=false", f"oci:{folder}/layout:2", f"docker://{theirs}")
        self.check_in_gantry(theirs, "umoci")

    def test_without_the_authority_nothing_is_pulled(self):
        registry = self.registries["tls"]
        image, _ = self.pushed(registry, "tls/app:1")
        trusted = f"{DOCKER_FOLDER}/certs.d/{registry.host}/ca.crt"
        os.rename(trusted, trusted + ".away")
        try:
            refused = self.gantry("pull", image)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("is not trusted", refused.stderr)
        finally:
            os.rename(trusted + ".away", trusted)
        self.gantry_ok("pull", image)


if __name__ == "__main__":
    unittest.main()
