"""`config` says of a stack what the engine then does."""

import json
import sqlite3
import unittest

from harness import EngineCase

STACK = """
    services:
      web:
        image: busybox
        command: ["sleep", "60"]
        init: true
        stop_grace_period: 1s
        environment: {B: "2", A: "${VALUE:-1}"}
        labels: [tier=front]
        deploy: {replicas: 2}
    """


class ConfigTest(EngineCase):
    def up(self, name, text=STACK):
        folder = self.stack(text, name)
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        self.addCleanup(lambda: self.gantry_ok("down", "-v", "-t", "0", folder=folder))
        return folder

    def labels(self, stack):
        """The labels that the engine has stored for the containers of a stack."""
        with sqlite3.connect(f"file:{self.root}/data/state.db?mode=ro", uri=True) as database:
            rows = database.execute("SELECT body FROM records WHERE kind = 'container'").fetchall()
        found = [json.loads(body).get("labels", {}) for body, in rows]
        return [labels for labels in found if labels.get("com.docker.compose.project") == stack]

    def test_hash_is_the_label_of_the_containers(self):
        folder = self.up("hashed")
        name, digest = self.gantry_ok("config", "--hash", "web", folder=folder).stdout.split()
        self.assertEqual(name, "web")
        found = [labels["com.docker.compose.config-hash"] for labels in self.labels("hashed")]
        self.assertEqual(found, [digest, digest])
        changed = self.gantry_ok("config", "--hash", "web", folder=folder, env={"VALUE": "9"}).stdout.split()[1]
        self.assertNotEqual(changed, digest)

    def test_what_config_prints_is_the_same_stack(self):
        folder = self.up("printed")
        printed = self.gantry_ok("config", folder=folder).stdout
        with open(f"{folder}/again.yaml", "w") as file:
            file.write(printed)
        plan = self.gantry("-f", "again.yaml", "plan", "--detailed-exitcode", folder=folder)
        self.assertEqual(plan.returncode, 0, plan.stdout + plan.stderr)

    def test_images_get_the_digests_of_the_engine(self):
        folder = self.up("digests")
        printed = self.gantry_ok("config", "--resolve-image-digests", "--format", "json", folder=folder).stdout
        image = json.loads(printed)["services"]["web"]["image"]
        self.assertRegex(image, r"busybox(:latest)?@sha256:[0-9a-f]{64}$")
        missing = self.stack("services: {a: {image: not-there}}", "missing")
        refused = self.gantry("config", "--resolve-image-digests", folder=missing)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("not-there", refused.stderr)


if __name__ == "__main__":
    unittest.main()
