"""Makes the pictures of docs/dashboard.md: Tests/EndToEnd/run.sh dashboard_pictures. Needs Chromium."""

import os
import threading
import time
import unittest

from browser import PROGRAM, Browser
from harness import wait_until
from test_dashboard import DashboardCase

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")
IMAGES = ["shop/web:12", "shop/api:4.1", "shop/api:4.2", "shop/worker:2.0", "postgres:17", "redis:8.0", "rabbitmq:4.1",
          "shop/assets:31"]
STACK = r"""
    x-work: &work
      stop_grace_period: 0s
      restart: always
    services:
      web:
        <<: *work
        image: shop/web:12
        command: ["sh", "-c", "while :; do echo \"10.89.2.$$((RANDOM % 200)) GET /products/$$((RANDOM % 900)) 200 $$((RANDOM % 9000 + 400))\"; BURN; done"]
        depends_on: {api: {condition: service_healthy}, assets: {condition: service_started}}
        deploy: {replicas: 2}
      assets:
        <<: *work
        image: shop/assets:31
        command: sleep infinity
      api:
        <<: *work
        image: shop/api:VERSION
        command: ["sh", "-c", "x=$$(head -c 12m /dev/zero | tr '\\0' x); sleep WARM; touch /tmp/up; while :; do echo \"level=info msg=\\\"order $$((RANDOM % 9000 + 1000)) placed\\\" took=$$((RANDOM % 40 + 3))ms\"; BURN; BURN; done"]
        depends_on: {db: {condition: service_healthy}, cache: {condition: service_started}, migrate: {condition: service_completed_successfully}}
        healthcheck: {test: "test -e /tmp/up", interval: 1s, start_period: 30s, start_interval: 200ms}
        deploy: {replicas: 4, update_config: {parallelism: 1, order: start-first, monitor: 1s, delay: 2s}}
      worker:
        <<: *work
        image: shop/worker:2.0
        command: ["sh", "-c", "while :; do if [ -e /v/break ] && (mkdir /v/bad 2>/dev/null && hostname > /v/who || [ \"$$(cat /v/who)\" = \"$$(hostname)\" ]); then echo 'queue: connection refused (rabbitmq:5672)' >&2; exit 1; fi; echo \"job $$((RANDOM)) done\"; BURN; done"]
        depends_on: {queue: {condition: service_healthy}, db: {condition: service_healthy}}
        volumes: ["jobs:/v"]
        deploy: {replicas: 3}
      db:
        <<: *work
        image: postgres:17
        command: ["sh", "-c", "x=$$(head -c 64m /dev/zero | tr '\\0' x); while :; do BURN; done"]
        healthcheck: {test: "true", interval: 5s, start_period: 5s, start_interval: 200ms}
      cache:
        <<: *work
        image: redis:8.0
        command: ["sh", "-c", "x=$$(head -c 24m /dev/zero | tr '\\0' x); sleep infinity & wait"]
      queue:
        <<: *work
        image: rabbitmq:4.1
        command: sleep infinity
        healthcheck: {test: "true", interval: 5s, start_period: 5s, start_interval: 200ms}
      migrate:
        image: shop/api:4.1
        command: ["echo", "schema is at 42"]
        depends_on: {db: {condition: service_healthy}}
    volumes: {jobs: {}}
    """
# Some work, more or less of it, and a rest.
BURN = "i=0; while [ $$i -lt $$((RANDOM % 3000 + 400)) ]; do i=$$((i+1)); done; usleep $$((RANDOM * 6 + 200000))"


@unittest.skipUnless(PROGRAM, "Chromium is not installed")
class DashboardPictures(DashboardCase):
    @classmethod
    def start_engine(cls):
        cls.socket = "/run/gantry.sock"  # Where it usually is; this /run is the test's own.
        super().start_engine()

    def write(self, version, warm="0.5"):
        text = STACK.replace("BURN", BURN).replace("VERSION", version).replace("WARM", warm)
        return self.stack(text, "shop")

    def test_pictures(self):
        for image in IMAGES:
            self.gantry_ok("tag", "busybox", image)
        quiet = self.stack("services: {blog: {image: busybox, command: sleep infinity, stop_grace_period: 0s}}", "blog")
        self.gantry_ok("up", "-d", folder=quiet)
        folder = self.write("4.1")
        self.gantry_ok("up", "-d", "--wait", folder=folder, timeout=120)
        with Browser(1280, 800) as browser:
            browser.open(self.address)
            browser.wait("document.querySelectorAll('#stacks button').length === 2")
            browser.evaluate("location.hash = '#shop/api/logs'")
            browser.wait("document.querySelectorAll('.node').length === 8")
            time.sleep(75)  # The plots are to have a line.
            browser.screenshot(f"{DOCS}/dashboard-running.png")
            self.write("4.2", "4")
            update = threading.Thread(target=lambda: self.gantry_ok("up", "-d", "--wait", folder=folder, timeout=180))
            update.start()
            browser.wait("/2 of 4 updated/.test(document.querySelector('.rollout').textContent)"
                         " && document.querySelector('.replicas .starting') !== null", seconds=120)
            time.sleep(1)
            browser.screenshot(f"{DOCS}/dashboard-rollout.png")
            update.join()
            self.gantry_ok("exec", "-T", "worker", "touch", "/v/break", folder=folder)
            browser.evaluate("location.hash = '#shop/worker/logs'")
            wait_until(lambda: any(each["restarts"] > 2 for each in self.api("/stacks/shop/containers")),
                       what="the restarts", seconds=60)
            browser.wait("document.querySelector('.failures').textContent.includes('restarted')"
                         " && document.querySelector('.node[data-service=worker]').classList.contains('failed')")
            time.sleep(0.5)
            browser.screenshot(f"{DOCS}/dashboard-failed.png")
            self.assertEqual(browser.problems, [])
        self.gantry_ok("down", "-v", "-t", "0", folder=folder)
        self.gantry_ok("down", "-t", "0", folder=quiet)
