"""`gantry dashboard`: who gets in, what is passed on, and, where Chromium is installed, what a browser shows."""

import http.client
import json
import re
import signal
import subprocess
import threading
import time
import unittest

from browser import PROGRAM, Browser
from harness import GANTRY, EngineCase, free_port, wait_until

STACK = """
    services:
      web:
        image: busybox
        command: sh -c 'while :; do echo "web $(hostname) says hello"; sleep 0.2; done'
        depends_on: {api: {condition: service_healthy}}
        stop_grace_period: 0s
        deploy: {replicas: 2}
      api:
        image: busybox
        command: sh -c 'echo VERSION; echo oops >&2; exec sleep infinity'
        init: true
        depends_on: {db: {condition: service_started}, init: {condition: service_completed_successfully}}
        healthcheck: {test: "TEST", interval: 500ms, retries: 2, start_period: 2s, start_interval: 100ms}
        stop_grace_period: 0s
        deploy: {replicas: 3, update_config: {parallelism: 1, delay: DELAY, monitor: 300ms, order: start-first}}
      db:
        image: busybox
        command: sleep infinity
        init: true
        mem_limit: 32m
        stop_grace_period: 0s
      init:
        image: busybox
        command: echo done
    """
# What a browser would take for markup, where a stack file and a container can put it.
EVIL = "<img src=x onerror=\"window.pwned=1;document.title='pwned'\"><script>window.pwned=1</script>"


class DashboardCase(EngineCase):
    def setUp(self):
        self.begin()

    def begin(self, *arguments):
        self.process = subprocess.Popen(
            [GANTRY, "dashboard", "--no-open", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(), cwd=self.root, stdin=subprocess.DEVNULL)
        self.address = self.process.stdout.readline().strip()
        match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([0-9a-f]{64})", self.address)
        self.assertTrue(match, self.address or self.process.stderr.read())
        self.port, self.token = int(match[1]), match[2]

    def tearDown(self):
        self.end()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=20)
        error = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        self.assertEqual((code, error), (0, ""))

    def ask(self, path, cookie=None, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie:
            headers["Cookie"] = cookie
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer, body

    def enter(self):
        answer, _ = self.ask(f"/?token={self.token}")
        self.assertEqual(answer.status, 200)
        return answer.headers["Set-Cookie"].split(";")[0]

    def up(self, version="one", test="true", delay="0s", name="shop", more=""):
        text = STACK.replace("VERSION", version).replace("TEST", test).replace("DELAY", delay) + more
        folder = self.stack(text, name)
        return folder, self.gantry("up", "-d", "--wait", folder=folder, timeout=120)


class DashboardAccessTest(DashboardCase):
    def test_the_address_works_once(self):
        self.assertEqual(self.ask("/")[0].status, 403)
        self.assertEqual(self.ask("/api/stacks")[0].status, 403)
        answer, body = self.ask(f"/?token={self.token}")
        self.assertEqual(answer.status, 200)
        self.assertNotIn(self.token, body)
        cookie = answer.headers["Set-Cookie"]
        self.assertRegex(cookie, rf"^gantry_dashboard_{self.port}=[0-9a-f]{{64}}; HttpOnly; SameSite=Strict; Path=/$")
        self.assertNotIn(self.token, cookie)
        self.assertEqual(self.ask(f"/?token={self.token}")[0].status, 403)
        answer, body = self.ask("/", cookie.split(";")[0])
        self.assertEqual(answer.status, 200)
        self.assertIn("<title>Gantry</title>", body)
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")

    def test_one_of_many_gets_in(self):
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.ask(f"/?token={self.token}")[0].status))
                   for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(found), [200] + [403] * 15)

    def test_other_names_and_origins_get_nothing(self):
        cookie = self.enter()
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{self.port}"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
            answer, body = self.ask("/api/stacks", cookie, **headers)
            self.assertEqual(answer.status, 403, headers)
            self.assertEqual(answer.headers.get("Access-Control-Allow-Origin"), None)
        self.assertEqual(self.ask("/api/stacks", cookie, Origin=f"http://127.0.0.1:{self.port}")[0].status, 200)
        self.assertEqual(self.ask("/api/stacks", cookie, Host=f"localhost:{self.port}")[0].status, 200)

    def test_it_only_reads(self):
        cookie = self.enter()
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            self.assertEqual(self.ask("/api/stacks", cookie, method)[0].status, 405)
        for path in ("/containers/json", "/api/containers/json", "/api/engine/stop", "/api/images/json", "/api/info",
                     "/api/stacks/x/apply", "/api/stacks/..%2Fcontainers/json/containers", "/v1.43/containers/json"):
            self.assertIn(self.ask(path, cookie)[0].status, (400, 404), path)
        self.assertTrue(self.answers())

    def test_only_loopback_listens(self):
        with open(f"/proc/{self.process.pid}/net/tcp") as file:
            places = [line.split()[1] for line in file if f":{self.port:04X} " in line and " 0A " in line]
        self.assertEqual(places, [f"0100007F:{self.port:04X}"])

    def test_a_port_can_be_chosen_and_be_taken(self):
        self.end()
        port = free_port()
        self.begin("--port", str(port))
        self.assertEqual(self.port, port)
        result = self.gantry("dashboard", "--no-open", "--port", str(port))
        self.assertEqual(result.returncode, 1)
        self.assertIn("the port is in use", result.stderr)

    def test_an_interrupt_ends_it_with_streams_open(self):
        cookie = self.enter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/api/events", headers={"Cookie": cookie})
        self.assertEqual(connection.getresponse().status, 200)
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self.assertLess(time.monotonic() - began, 15)
        connection.close()


class DashboardAnswersTest(DashboardCase):
    def test_what_it_passes_on(self):
        folder, result = self.up()
        self.assertEqual(result.returncode, 0, result.stderr)
        cookie = self.enter()
        read = lambda path: json.loads(self.ask(path, cookie)[1])
        self.assertEqual([each["name"] for each in read("/api/stacks")], ["shop"])
        services = {each["name"]: each for each in read("/api/stacks/shop/services")}
        self.assertEqual(set(services), {"web", "api", "db", "init"})
        self.assertEqual(services["web"]["dependsOn"], [{"service": "api", "condition": "service_healthy"}])
        self.assertEqual(services["api"]["replicas"], 3)
        self.assertEqual(len(read("/api/stacks/shop/containers")), 7)
        rollout = {each["service"]: each for each in read("/api/stacks/shop/rollout")["services"]}
        self.assertEqual((rollout["api"]["updated"], rollout["api"]["replicas"]), (3, 3))
        self.assertEqual(read("/api/stacks/shop/drift")["entries"], [])
        self.assertEqual(read("/api/stacks/shop/plan")["changes"], [])
        self.assertIn("gantry_container_cpu_usage_seconds_total{", self.ask("/api/metrics", cookie)[1])
        self.assertEqual(read("/api/session")["engine"], self.socket)
        answer, body = self.ask("/api/stacks/none/services", cookie)
        self.assertEqual((answer.status, "none" in json.loads(body)["message"]), (404, True))
        self.logs_go_on(cookie, folder)
        self.gantry_ok("down", "-t", "0", folder=folder)

    def logs_go_on(self, cookie, folder):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/api/stacks/shop/services/api/logs?tail=10", headers={"Cookie": cookie})
        answer = connection.getresponse()
        lines = [json.loads(answer.readline()) for _ in range(6)]
        self.assertEqual({line["container"] for line in lines}, {f"shop-api-{number}" for number in (1, 2, 3)})
        self.assertEqual({(line["text"], line["isError"]) for line in lines}, {("one", False), ("oops", True)})
        # Of a replica that comes later, too.
        self.gantry_ok("scale", "api=4", folder=folder)
        later = [json.loads(answer.readline()) for _ in range(2)]
        self.assertEqual({line["container"] for line in later}, {"shop-api-4"})
        connection.close()


@unittest.skipUnless(PROGRAM, "Chromium is not installed: apt-get install chromium")
class DashboardBrowserTest(DashboardCase):
    def setUp(self):
        super().setUp()
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def node(self, service):
        return f"document.querySelector('.node[data-service=\"{service}\"]')"

    def test_a_running_stack(self):
        folder, result = self.up()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.browser.open(self.address)
        self.browser.wait("document.querySelectorAll('.node').length === 4")
        self.assertEqual(self.browser.evaluate("location.href.includes('token')"), False)
        self.browser.wait("document.querySelector('.summary-words').textContent === 'All services are ready'")
        counts = self.browser.evaluate(
            "Object.fromEntries([...document.querySelectorAll('.node')].map("
            "(node) => [node.dataset.service, node.querySelector('.node-count').textContent]))")
        self.assertEqual(counts, {"web": "2/2", "api": "3/3", "db": "1/1", "init": "1/1"})
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('.edges path.edge').length"), 3)
        # From left to right, who waits stands before what is waited for.
        left = self.browser.evaluate(
            "Object.fromEntries([...document.querySelectorAll('.node')].map("
            "(node) => [node.dataset.service, node.getBoundingClientRect().left]))")
        self.assertLess(left["web"], left["api"])
        self.assertLess(left["api"], left["db"])
        self.follows_the_keyboard()
        self.browser.wait("document.querySelector('.lines').textContent.includes('says hello')")
        self.browser.wait("/MiB/.test(document.querySelector('.detail .plots').textContent)")
        self.goes_along(folder)
        own = [url for url in self.browser.requests if not url.startswith(f"http://127.0.0.1:{self.port}/")]
        self.assertEqual([url for url in own if url != "about:blank"], [])
        self.assertEqual(self.browser.problems, [])
        self.gantry_ok("down", "-t", "0", folder=folder)
        self.browser.wait("!document.getElementById('empty').hidden")
        self.browser.dark(True)
        back = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        self.assertEqual(back, "rgb(14, 17, 22)")

    def follows_the_keyboard(self):
        self.browser.evaluate(f"{self.node('api')}.click()")
        self.browser.wait("document.querySelector('.detail h2').textContent === 'api'")
        self.browser.evaluate(f"{self.node('api')}.focus()")
        self.browser.press("ArrowLeft")
        self.browser.wait("document.querySelector('.detail h2').textContent === 'web'")
        self.assertEqual(self.browser.evaluate("document.activeElement.dataset.service"), "web")

    def goes_along(self, folder):
        """What happens is seen without reloading."""
        self.gantry_ok("scale", "web=4", folder=folder)
        self.browser.wait(f"{self.node('web')}.querySelector('.node-count').textContent === '4/4'")
        self.browser.wait("document.querySelectorAll('.replicas tbody tr').length === 4")
        self.browser.evaluate("document.getElementById('tab-events').click()")
        self.browser.wait("document.querySelector('.events').textContent.includes('shop-web-4')")
        process = self.pids(folder)["shop-db-1"]
        with open(f"/proc/{process}/cgroup") as file:
            groups = [line.strip().split(":", 2) for line in file]
        one = next((path for _, controllers, path in groups if "memory" in controllers.split(",")), None)
        path = (f"/sys/fs/cgroup/memory{one}/memory.limit_in_bytes" if one
                else f"/sys/fs/cgroup{groups[-1][2]}/memory.max")
        with open(path, "w") as file:
            file.write(str(64 << 20))
        self.browser.evaluate("document.getElementById('tab-changes').click()")
        self.browser.wait("/memory|limits/.test(document.getElementById('panel-changes').textContent)")
        self.browser.evaluate("document.getElementById('tab-logs').click()")

    def test_an_update_and_a_failure(self):
        folder, result = self.up()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.browser.open(self.address)
        self.browser.wait(f"{self.node('api')}?.querySelector('.node-count').textContent === '3/3'")
        self.browser.evaluate(f"{self.node('api')}.click()")
        thread = threading.Thread(target=lambda: self.up("two", delay="3s"))
        thread.start()
        self.browser.wait(f"{self.node('api')}.classList.contains('updating')")
        self.browser.wait("/[12] of 3 updated/.test(document.querySelector('.rollout').textContent)")
        thread.join()
        self.browser.wait(f"{self.node('api')}.classList.contains('ready')")
        self.browser.wait("document.querySelector('.lines').textContent.includes('two')")
        self.up("two", test="false")
        self.browser.wait(f"{self.node('api')}.classList.contains('failed')")
        self.browser.wait("document.querySelector('.summary-words').textContent.includes('api')")
        self.assertEqual(self.browser.problems, [])
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_other_peoples_text_stays_text(self):
        """Log lines, commands, labels, images and messages that are markup."""
        folder = self.stack("""
            services:
              evil:
                image: busybox
                command: ["sh", "-c", "while :; do echo \\"$$TEXT\\"; echo \\"$$TEXT\\" >&2; sleep 0.2; done"]
                environment: {TEXT: %s}
                labels: {"<b>label</b>": %s}
                stop_grace_period: 0s
            """ % (json.dumps(EVIL), json.dumps(EVIL)), "evil")
        self.gantry_ok("up", "-d", folder=folder)
        self.browser.open(self.address)
        self.browser.wait("document.querySelector('.lines')?.textContent.includes('onerror')")
        # The engine lets no such names through; an answer that has them all the same is shown as it is.
        hostile = json.dumps(EVIL)
        self.browser.evaluate(f"""(async () => {{
            const judge = (await import('/figures.js')).judge;
            const {{ Graph }} = await import('/graph.js');
            const {{ Detail }} = await import('/detail.js');
            const {{ Changes }} = await import('/changes.js');
            const {{ History }} = await import('/figures.js');
            for (const id of ['graph', 'detail', 'panel-changes']) document.getElementById(id).replaceChildren();
            const evil = {hostile};
            const container = {{ id: evil, name: evil, service: evil, number: evil, oneOff: false, image: evil,
              state: 'exited', exitCode: evil, note: evil, createdAt: evil, restarts: 1, labels: {{ [evil]: evil }} }};
            const service = judge({{ name: evil, image: evil, replicas: 1, dependsOn: [{{ service: evil, condition: evil }}] }},
              [container], {{ service: evil, replicas: 2, updated: 1, ready: 0, state: 'failed', problems: [{{ message: evil }}] }});
            new Graph(() => {{}}).render([{{ ...service, dependsOn: [] }}], evil);
            new Detail().render(evil, service, new History(), Date.now());
            const entry = {{ address: evil, class: evil, detail: evil, policy: evil, repair: evil, since: evil }};
            new Changes().render({{ drift: {{ entries: [entry], repaired: [evil] }},
              plan: {{ changes: [{{ address: evil, action: evil, name: evil, reason: evil, fields: [{{ path: evil }}] }}] }} }}, 0);
        }})()""")
        shown = self.browser.evaluate(
            "[...document.querySelectorAll('.node-name, .detail h2, .problems li, .entry strong, .entry-text')]"
            ".filter((element) => element.textContent.includes('onerror=')).length")
        self.assertGreaterEqual(shown, 6)
        time.sleep(1)
        self.assertEqual(self.browser.evaluate("window.pwned ?? null"), None)
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('#main img, #main script, #main b').length"), 0)
        self.assertNotIn("pwned", self.browser.evaluate("document.title"))
        # Markup would not even be made: the browser refuses it (trusted types).
        refused = "try { document.body.innerHTML = '<b>x</b>'; 'made' } catch (error) { error.name }"
        self.assertEqual(self.browser.evaluate(refused), "TypeError")
        self.gantry_ok("down", "-t", "0", folder=folder)

    def test_the_end_is_told(self):
        folder = self.up_box("end", "sleep infinity")
        self.browser.open(self.address)
        self.browser.wait("document.querySelectorAll('.node').length === 1")
        self.process.terminate()
        self.process.wait(timeout=20)
        self.browser.wait("document.getElementById('trouble').textContent.includes('has ended')")
        self.gantry_ok("down", "-t", "0", folder=folder)


if __name__ == "__main__":
    unittest.main()
