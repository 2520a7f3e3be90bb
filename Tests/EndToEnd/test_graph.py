"""The stack as a picture, with what runs."""

import os
import unittest
import xml.dom.minidom

from harness import EngineCase, wait_until


class GraphTest(EngineCase):
    def test_all_formats(self):
        folder = self.stack("""
            services:
              web: {image: busybox, command: sleep infinity, init: true, stop_grace_period: 0s, depends_on: [db],
                    ports: ["127.0.0.1:18081:80"], deploy: {replicas: 2}}
              db: {image: busybox, command: "false", volumes: ["data:/data"]}
            volumes: {data: {}}
            """, "graph")
        self.assertIn('"service:web" -> "service:db"', self.gantry_ok("graph", folder=folder).stdout)
        self.assertNotIn("ready", self.gantry_ok("graph", folder=folder).stdout)
        self.gantry_ok("up", "-d", folder=folder)

        def is_shown():
            mermaid = self.gantry_ok("graph", "--format", "mermaid", folder=folder).stdout
            return "2/2 ready" in mermaid and ":::bad" in mermaid

        wait_until(is_shown, what="what runs and what failed", interval=0.2)
        self.assertNotIn("ready", self.gantry_ok("graph", "--no-live", folder=folder).stdout)
        self.gantry_ok("graph", "-o", "stack.svg", folder=folder)
        picture = xml.dom.minidom.parse(os.path.join(folder, "stack.svg"))
        texts = [node.firstChild.data for node in picture.getElementsByTagName("text")]
        for text in ("graph", "web", "db", "2/2 ready", "127.0.0.1:18081", "/data"):
            self.assertIn(text, texts)
        wrong = self.gantry("graph", "--format", "png", folder=folder)
        self.assertEqual(wrong.returncode, 2)
        self.gantry_ok("down", "-v", folder=folder)


if __name__ == "__main__":
    unittest.main()
