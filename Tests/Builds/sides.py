"""The builders: each builds a case and tells the image's tree and configuration."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from contexts import BUILDAH, BUILDKIT, CLASSIC

ROOT = Path(__file__).resolve().parent.parent.parent
for place in ("Tests/Images", "Benchmarks"):
    sys.path.insert(0, str(ROOT / place))
import bench  # noqa: E402
from trees import Failed, layers_of_gantry, merged, run  # noqa: E402

BUILD_SECONDS = 120
IMAGE = "case:1"


def build(command, environment=None):
    """Raises Failed with what the builder said last."""
    try:
        result = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=environment, timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"not built in {BUILD_SECONDS} s") from error
    if result.returncode != 0:
        raise Failed(result.stdout.decode(errors="replace").strip()[-1500:])


def tree_of(lower, folder):
    return merged(lower, folder) if lower else {}


class Gantry:
    name = "gantry"

    def __init__(self, folder, program):
        self.folder, self.program = folder / "gantry", str(program)
        self.folder.mkdir()
        self.engine = bench.Gantry(self.folder, program)
        self.engine.start()

    def stop(self):
        self.engine.stop()

    def load(self, archive):
        self.engine.load(str(archive))

    def build(self, context, dockerfile, options, image=IMAGE):
        # `image build` knows no services; a stray stack file would not matter.
        build([self.program, "image", "build", "--progress", "plain", "--no-cache", "-t", image, "-f", dockerfile,
               *options, context], self.engine.environment())

    def take(self):
        """(tree, configuration) of what was built last, which is removed."""
        store = self.folder / "data/images"
        images = json.loads((store / "index.json").read_text())["images"]
        [image] = [each for each in images if any(IMAGE in str(name) for name in each["names"])]
        digest = run(self.program, "image", "inspect", "-f", "{{.Id}}", IMAGE, env=self.engine.environment()).strip()
        config = json.loads((store / "blobs/sha256" / digest.removeprefix("sha256:")).read_text())
        tree = tree_of(layers_of_gantry(store, image), self.folder)
        run(self.program, "rmi", "-f", IMAGE, env=self.engine.environment())
        return tree, config


class DockerEngine:
    """dockerd, which both of Docker's builders live in."""

    def __init__(self, folder):
        self.folder = folder / "docker"
        self.folder.mkdir()
        self.engine = bench.Docker(self.folder)
        command = self.engine.engine_command()
        self.engine.engine_command = lambda: [*command, "-s", "overlay2", "--bridge=none", "--iptables=false"]
        self.engine.start()
        self.client = [docker_client(), "-H", f"unix://{self.engine.socket}"]

    def stop(self):
        self.engine.stop()

    def load(self, archive):
        run(*self.client, "load", "-q", "-i", archive)


def docker_client():
    """A client that brings BuildKit's part with it: newer ones leave that to buildx."""
    for program in ("/usr/bin/docker", shutil.which("docker")):
        if program and os.access(program, os.X_OK):
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if version.startswith("Docker version 20."):
                return program
    return shutil.which("docker")


class Docker:
    def __init__(self, engine, name):
        self.engine, self.name = engine, name
        self.environment = {**os.environ, "DOCKER_BUILDKIT": "1" if name == BUILDKIT else "0"}

    def build(self, context, dockerfile, options, image=IMAGE):
        build([*self.engine.client, "build", "--network", "none", "--no-cache", "-t", image, "-f", dockerfile,
               *(["--progress", "plain"] if self.name == BUILDKIT else []), *options, context], self.environment)

    def take(self):
        [image] = json.loads(run(*self.engine.client, "image", "inspect", IMAGE))
        data = image["GraphDriver"]["Data"] or {}
        lower = [data.get("UpperDir", ""), *data.get("LowerDir", "").split(":")]
        tree = tree_of([each for each in lower if each], self.engine.folder)
        digest = image["Id"].removeprefix("sha256:")
        config = (self.engine.folder / "data/image/overlay2/imagedb/content/sha256" / digest).read_text()
        run(*self.engine.client, "rmi", "-f", IMAGE)
        return tree, json.loads(config)


class Buildah:
    name = BUILDAH

    def __init__(self, folder):
        self.folder = folder / "buildah"
        self.folder.mkdir()
        # Its run folder on what `private_host.sh` unmounts with everything else.
        self.command = ["buildah", "--root", self.folder / "store", "--runroot", "/run/buildah",
                        "--storage-driver", "overlay"]

    def stop(self):
        pass

    def load(self, archive):
        # With a folder: `docker-archive:` would make `localhost/base:1` of the name in it.
        run(*self.command, "pull", "-q", f"docker-archive:{archive}")

    def build(self, context, dockerfile, options, image=IMAGE):
        build([*self.command, "bud", "--isolation", "oci", "--network", "none", "--format", "docker", "--layers",
               "--no-cache", "--pull-never", "-t", image, "-f", dockerfile, *options, context])

    def take(self):
        found = json.loads(run(*self.command, "inspect", "--type", "image", f"localhost/{IMAGE}"))
        store = self.folder / "store"
        images = json.loads((store / "overlay-images/images.json").read_text())
        [top] = [each.get("layer") for each in images if each["id"] == found["FromImageID"]]
        parents = {each["id"]: each.get("parent")
                   for each in json.loads((store / "overlay-layers/layers.json").read_text())}
        lower = []
        while top:
            lower.append(store / "overlay" / top / "diff")
            top = parents[top]
        tree = tree_of(lower, self.folder)
        run(*self.command, "rmi", "-f", f"localhost/{IMAGE}")
        return tree, json.loads(found["Config"])


def start_sides(folder, names, program):
    """Name to builder of those that are wanted and installed, and what must be stopped."""
    sides, engines = {}, []
    if "gantry" in names:
        sides["gantry"] = Gantry(folder, program)
        engines.append(sides["gantry"])
    if {CLASSIC, BUILDKIT} & set(names):
        if shutil.which("dockerd") and docker_client():
            engine = DockerEngine(folder)
            engines.append(engine)
            sides |= {name: Docker(engine, name) for name in (CLASSIC, BUILDKIT) if name in names}
        else:
            print("skipped: docker is not installed")
    if BUILDAH in names:
        if shutil.which("buildah"):
            sides[BUILDAH] = Buildah(folder)
            engines.append(sides[BUILDAH])
        else:
            print("skipped: buildah is not installed")
    return sides, engines
