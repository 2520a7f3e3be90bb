"""Pulls and collections whose engine is killed at random moments: the store stays whole, and the next attempt goes on."""

import hashlib
import http.client
import io
import json
import os
import random
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

from harness import BUSYBOX, GANTRY, EngineCase, Relay, free_port, wait_until

KILL_COUNT = 20
LAYER_COUNT = 6
# Bytes that were on their way when the engine was killed: sent by the registry, not yet in the store. Each of the four
# connections has a socket buffer and the piece being written.
LOST_BYTES_PER_KILL = 4 * 1_500_000
SEED = 6

CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}/store}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class CountingRelay(Relay):
    """Lets `bytes_per_second` of answers through, and counts them."""

    def __init__(self, target):
        self.bytes_per_second, self.byte_count, self.lock = None, 0, threading.Lock()
        super().__init__(target)

    def before(self, data, is_answer):
        if is_answer and self.bytes_per_second:
            time.sleep(len(data) / self.bytes_per_second)

    def after(self, data, is_answer):
        if is_answer:
            with self.lock:
                self.byte_count += len(data)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def random_layer(generator, number):
    """A tar of one large file that does not pack, and many small ones; the first layer brings busybox."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        def add(name, data, mode=0o644):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        if number == 0:
            with open(BUSYBOX, "rb") as file:
                add("bin/busybox", file.read(), 0o755)
        add(f"noise-{number}", generator.randbytes(3_000_000))
        for index in range(400):
            add(f"small/{number}/file-{index}", generator.randbytes(generator.randrange(2000)))
    return stream.getvalue()


def tree_of_tar(layer):
    """Path to digest of each file."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {entry.name: sha256(tar.extractfile(entry).read()) for entry in tar if entry.isreg()}


def tree_of_folder(root):
    found = {}
    for parent, _, names in os.walk(root):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = sha256(file.read())
    return found


class KilledEngine(EngineCase):
    """What both kinds of tests look at."""

    @classmethod
    def store(cls, *names):
        return os.path.join(cls.root, "data/images", *names)

    def check_store(self, layers):
        """Everything that has its final name is whole. `layers`: diff id to tar of those that may be there."""
        for name in os.listdir(self.store("blobs/sha256")):
            with open(self.store("blobs/sha256", name), "rb") as file:
                self.assertEqual(sha256(file.read()), name, "a blob that is not what its name says")
        images = []
        # Missing in a store that never had an image.
        if os.path.exists(self.store("index.json")):
            with open(self.store("index.json")) as file:
                images = json.load(file)["images"]
        for image in images:
            for layer in image["layers"]:
                self.assertTrue(os.path.isdir(self.store("layers", layer["diffID"].split(":")[1], "fs")))
                self.assertTrue(os.path.isfile(self.store("blobs/sha256", layer["blob"].split(":")[1])))
        for name in os.listdir(self.store("layers")):
            if name in layers:
                self.assertEqual(tree_of_folder(self.store("layers", name, "fs")), tree_of_tar(layers[name]))

    def start_again(self):
        self.start_engine()
        wait_until(lambda: not os.listdir(self.store("tmp")), what="what the killed engine left to be removed")


@unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is missing")
class KilledPullTest(KilledEngine):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="gantry-e2e-home-")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.port = free_port()
        with open(f"{cls.home}/config.yml", "w") as file:
            file.write(CONFIG.format(root=cls.home, port=cls.port))
        cls.registry = subprocess.Popen(
            ["docker-registry", "serve", f"{cls.home}/config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.registry.wait)
        cls.addClassCleanup(cls.registry.kill)
        wait_until(cls.listens, what="the registry")
        super().setUpClass()
        cls.push(random.Random(SEED))

    @classmethod
    def listens(cls):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", cls.port)) == 0

    @classmethod
    def push(cls, generator):
        """The image, written into the registry by hand: its layers are what the tests compare with."""
        layers = [random_layer(generator, number) for number in range(LAYER_COUNT)]
        cls.layers = {sha256(layer): layer for layer in layers}
        cls.byte_count = sum(map(len, layers))
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/busybox", "sha256sum", "/noise-5"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]}}).encode()

        def put(data, kind):
            connection = http.client.HTTPConnection("127.0.0.1", cls.port)
            connection.request("POST", "/v2/big/blobs/uploads/")
            answer = connection.getresponse()
            answer.read()
            place = answer.headers["Location"]
            connection.request("PUT", f"{place}&digest=sha256:{sha256(data)}", body=data,
                               headers={"Content-Type": "application/octet-stream"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            assert answer.status == 201, answer.status
            return {"mediaType": kind, "digest": f"sha256:{sha256(data)}", "size": len(data)}

        kind = "application/vnd.oci.image"
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": put(config, f"{kind}.config.v1+json"),
            "layers": [put(layer, f"{kind}.layer.v1.tar") for layer in layers]})
        connection = http.client.HTTPConnection("127.0.0.1", cls.port)
        connection.request("PUT", "/v2/big/manifests/1", body=manifest,
                           headers={"Content-Type": f"{kind}.manifest.v1+json"})
        assert connection.getresponse().status == 201
        connection.close()

    def forget_everything(self):
        self.kill_engine()
        shutil.rmtree(self.store())
        self.start_again()

    def pull(self, image):
        return subprocess.Popen([GANTRY, "pull", image], env=self.environment(), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def test_twenty_kills(self):
        generator = random.Random(SEED)
        relay = CountingRelay(self.port)
        self.addCleanup(relay.listener.close)
        image = f"localhost:{relay.port}/big:1"
        kills, kills_of_chain, chain_start, chain_lengths = 0, 0, 0, []

        def end_of_chain():
            fetched = relay.byte_count - chain_start
            self.assertLess(fetched, self.byte_count + kills_of_chain * LOST_BYTES_PER_KILL + 200_000)
            self.assertIn("big", self.gantry_ok("images").stdout)
            self.check_store(self.layers)
            self.assertEqual(set(os.listdir(self.store("layers"))) & set(self.layers), set(self.layers))
            chain_lengths.append(kills_of_chain)

        while kills < KILL_COUNT:
            # As fast as it goes, and so slowly that kills fall into the transfer; four layers arrive at a time.
            relay.bytes_per_second = generator.choice([None, 2_000_000])
            before = relay.byte_count
            had = self.bytes_had()
            pull = self.pull(image)
            time.sleep(generator.uniform(0.02, 0.5 if relay.bytes_per_second is None else 1.5))
            if pull.poll() is not None:
                self.assertEqual(pull.returncode, 0)
                end_of_chain()
                self.forget_everything()
                kills_of_chain, chain_start = 0, relay.byte_count
                continue
            self.kill_engine()
            pull.wait()
            kills, kills_of_chain = kills + 1, kills_of_chain + 1
            self.assertGreaterEqual(self.bytes_had(), had, "what was fetched before is gone")
            self.start_again()
            self.assertLessEqual(relay.byte_count - before, self.byte_count - had + LOST_BYTES_PER_KILL)
            self.check_store(self.layers)
            if "localhost" not in self.gantry_ok("images").stdout:
                continue
            # The kill came after the image had got its name.
            end_of_chain()
            self.forget_everything()
            kills_of_chain, chain_start = 0, relay.byte_count

        relay.bytes_per_second = None
        had, before = self.bytes_had(), relay.byte_count
        self.gantry_ok("pull", image)
        self.assertLess(relay.byte_count - before, self.byte_count - had + 200_000, "fetched again what was there")
        end_of_chain()
        print(f"kills of each pull until it succeeded: {chain_lengths}", end=" ", flush=True)
        self.check_it_runs(image)
        # A restart collects; what is left belongs to the image.
        self.kill_engine()
        self.start_again()
        for folder in ("partial", "pulls", "tmp"):
            self.assertEqual(os.listdir(self.store(folder)), [], folder)
        left = [name for name in os.listdir(self.store()) if name.startswith("index.json.")]
        self.assertEqual(left, [])

    def bytes_had(self):
        """Of the image's layers: those that are there, and what there is of others."""
        had = {}
        for folder in ("partial", "blobs/sha256"):
            for name in os.listdir(self.store(folder)):
                if name in self.layers:
                    had[name] = max(had.get(name, 0), os.path.getsize(self.store(folder, name)))
        return sum(had.values())

    def check_it_runs(self, image):
        folder = self.stack(f"services: {{sum: {{image: \"{image}\"}}}}", "killed")
        result = self.gantry_ok("run", "-T", "--rm", "sum", folder=folder)
        expected = next(tree["noise-5"] for tree in map(tree_of_tar, self.layers.values()) if "noise-5" in tree)
        self.assertIn(expected, result.stdout)
        self.gantry_ok("down", "-t", "0", folder=folder)


class KilledCollectionTest(KilledEngine):
    def garbage(self, generator):
        """Layers and blobs of no image, as a load leaves them that ends just before its last step."""
        for _ in range(40):
            name = sha256(generator.randbytes(8))
            for index in range(30):
                os.makedirs(self.store("layers", name, "fs", f"folder-{index}"))
            with open(self.store("blobs/sha256", name), "wb") as file:
                file.write(generator.randbytes(100))

    def test_what_is_in_use_survives(self):
        generator = random.Random(SEED)
        folder = self.stack("services: {web: {image: busybox, command: [sleep, '1000'], stop_grace_period: 0s}}", "used")
        self.gantry_ok("up", "-d", folder=folder)
        with open(self.store("index.json")) as file:
            [image] = json.load(file)["images"]
        layer = image["layers"][0]["diffID"].split(":")[1]
        before = tree_of_folder(self.store("layers", layer, "fs/etc"))
        for _ in range(KILL_COUNT):
            self.kill_engine()
            self.garbage(generator)
            log = subprocess.DEVNULL
            engine = subprocess.Popen(
                [GANTRY, "engine", "--data-root", f"{self.root}/data", "--exec-root", f"{self.root}/run",
                 "--host", f"unix://{self.socket}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            time.sleep(generator.uniform(0.01, 0.25))
            engine.kill()
            engine.wait()
            self.start_again()
            self.assertEqual(tree_of_folder(self.store("layers", layer, "fs/etc")), before)
            self.assertEqual(self.gantry_ok("exec", "-T", "web", "echo", "here", folder=folder).stdout, "here\n")
        wait_until(lambda: os.listdir(self.store("layers")) == [layer], what="the garbage to be gone")
        self.assertEqual(self.gantry_ok("run", "-T", "--rm", "web", "echo", "new", folder=folder).stdout, "new\n")
        self.gantry_ok("down", "-t", "0", folder=folder)


if __name__ == "__main__":
    unittest.main()
