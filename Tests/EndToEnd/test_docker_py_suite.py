"""docker-py's own integration tests, as they come in its source package, against the engine."""

import os
import re
import subprocess
import sys
import unittest

from docker_harness import CLIENTS, ClientCase
from harness import busybox_image

SUITE = f"{CLIENTS}/docker-py"
# What pytest ends with then; all else is a fault of the run itself.
SOME_FAILED = 1

# About swarms, which this engine is never part of, and plugins, which it has none of.
SWARM = ("api_config", "api_plugin", "api_secret", "api_service", "api_swarm", "models_nodes", "models_services",
         "models_swarm")
# About files of the client's own.
CLIENT = ("context_api", "credentials")
NETWORKS = "api_network_test.py::TestNetworks::"
IMAGES = "api_image_test.py::"
COLLECTION = "models_images_test.py::ImageCollectionTest::"
EXCEPT = {
    # They begin with `swarm init`.
    f"{NETWORKS}test_create_inspect_network_with_scope", f"{NETWORKS}test_create_network_attachable",
    f"{NETWORKS}test_create_network_ingress",
    # The library cannot do it over a Unix socket.
    "api_container_test.py::AttachContainerTest::test_run_container_reading_socket_ws",
    # They pull from Docker Hub.
    f"{IMAGES}PullImageTest::test_pull", f"{IMAGES}PullImageTest::test_pull_streaming",
    f"{IMAGES}ImportImageTest::test_get_load_image", f"{IMAGES}PruneImagesTest::test_prune_images",
    f"{IMAGES}InspectDistributionTest::test_inspect_distribution",
    "models_containers_test.py::ContainerCollectionTest::test_run_with_image_that_does_not_exist",
    *(COLLECTION + name for name in (
        "test_list", "test_list_with_repository", "test_pull", "test_pull_multiple", "test_pull_with_sha",
        "test_pull_with_tag")),
    "models_images_test.py::ImageTest::test_tag_and_remove",
    # The images of their own have that user.
    "api_exec_test.py::ExecTest::test_exec_command_as_user",
}


@unittest.skipUnless(os.path.isdir(SUITE), "docker-py's tests were not fetched")
class DockerPySuite(ClientCase):
    def test_what_docker_py_expects(self):
        config = {"Cmd": ["/bin/sh"],
                  "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
        for tag in ("alpine:3.10", "alpine:latest", "busybox:latest"):
            archive = f"{self.root}/image.tar"
            busybox_image(archive, tag=tag, config=config, files={"var/opt/file": "/dev/null"})
            self.gantry_ok("load", "-i", archive)
        folder = "tests/integration"
        out = [f"--ignore={folder}/{name}_test.py" for name in SWARM + CLIENT] + [f"--ignore={folder}/credentials"]
        for name in sorted(EXCEPT):
            out += ["--deselect", f"{folder}/{name}"]
        home = f"{self.root}/home"
        os.makedirs(home)
        environment = dict(
            os.environ, DOCKER_HOST=f"unix://{self.socket}", HOME=home, PYTHONPATH=f"{CLIENTS}/python",
            PYTHONDONTWRITEBYTECODE="1")

        def run(*options):
            return subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "--timeout=120", "-o", f"cache_dir={self.root}/cache", *options,
                 folder, *out],
                cwd=SUITE, env=environment, capture_output=True, text=True, timeout=1200)

        results = [run()]
        # Some are written for a machine that has nothing else to do: only what fails alone, too, has failed.
        if results[0].returncode == SOME_FAILED:
            print(f"once more: {results[0].stdout[-2000:]}")
            results.append(run("--last-failed", "--last-failed-no-failures=none"))
        said = "".join(result.stdout[-20_000:] + result.stderr for result in results)
        self.assertEqual(results[-1].returncode, 0, said)
        passed = [re.search(r"(\d+) passed", result.stdout.splitlines()[-1]) for result in results]
        self.assertGreater(sum(int(found[1]) for found in passed if found), 230, said[-1000:])


if __name__ == "__main__":
    unittest.main()
