"""Real answers of the engine against schemas/openapi.yaml. That the document has every route, and no other, is
checked by Tests/EngineTests/OpenAPITests.swift."""

import http.client
import io
import json
import os
import socket
import threading
import time
import unittest

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

from harness import EngineCase, wait_until

SCHEMAS = os.path.join(os.path.dirname(__file__), "../../schemas")

STACK = """
services:
  web:
    image: busybox
    command: ["sh", "-c", "echo started; httpd -f -p 80"]
    stop_grace_period: 0s
    networks: [front]
    ports: ["127.0.0.1::80"]
    environment: {LOG: %(log)s, DB_PASSWORD: hunter2}
    volumes: ["data:/var/data"]
    healthcheck: {test: ["CMD", "true"], interval: 200ms, start_period: 5s}
    deploy: {replicas: 2, update_config: {order: start-first}}
  once:
    image: busybox
    command: "true"
    depends_on: [web]
  clock:
    image: busybox
    command: echo tick
    x-gantry: {schedule: "0 4 1 1 *"}
networks: {front: {}}
volumes: {data: {}}
configs: {unused: {content: x}}
"""


def moved(value, place):
    """A copy whose references into its own document lead to `place` in another one."""
    if isinstance(value, dict):
        return {key: place + item[1:] if key == "$ref" and item.startswith("#/") else moved(item, place)
                for key, item in value.items() if key not in ("$id", "$schema")}
    return [moved(item, place) for item in value] if isinstance(value, list) else value


def joined(value):
    """With what is written as a reference to plan.schema.json as one to where that is put."""
    if isinstance(value, dict):
        return {key: item.replace("plan.schema.json", "#/plan").replace("/plan#/", "/plan/") if key == "$ref"
                else joined(item) for key, item in value.items()}
    return [joined(item) for item in value] if isinstance(value, list) else value


def load_document():
    with open(f"{SCHEMAS}/openapi.yaml") as file:
        document = joined(yaml.safe_load(file))
    with open(f"{SCHEMAS}/plan.schema.json") as file:
        document["plan"] = moved(json.load(file), "#/plan")
    return document


class Contract:
    """The document, and what of it has been seen."""

    def __init__(self):
        self.document = load_document()
        self.seen = set()

    def validator(self, schema):
        return jsonschema.Draft202012Validator({**schema, "components": self.document["components"],
                                                "plan": self.document["plan"]})

    def content(self, method, path, status):
        operation = self.document["paths"][path][method.lower()]
        answer = operation["responses"].get(str(status), operation["responses"].get("default"))
        if "$ref" in answer:
            answer = self.document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
        return answer.get("content", {})

    def problems(self, method, path, status, kind, body):
        """What is wrong with an answer, by the schema that the document has for it."""
        operation = self.document["paths"][path][method.lower()]
        if str(status) not in operation["responses"]:
            return [f"status {status} is not listed"]
        content = self.content(method, path, status)
        if not content:
            return [] if not body else ["a body, and none is listed"]
        kind = kind.split(";")[0]
        if kind not in content:
            return [f"type {kind} is not listed"]
        validator = self.validator(content[kind].get("schema", {}))
        is_stream = kind == "application/x-ndjson" or path == "/events"
        values = [json.loads(line) for line in body.splitlines()] if is_stream else [json.loads(body)]
        self.seen.add(f"{method} {path}")
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
                for value in values for error in validator.iter_errors(value)]

    def request_problems(self, method, path, body):
        content = self.document["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
                for error in self.validator(schema).iter_errors(body)]


@unittest.skipUnless(jsonschema, "jsonschema and PyYAML are not installed: apt install python3-jsonschema python3-yaml")
class OpenAPI(EngineCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contract = Contract()

    def call(self, method, path, body=None, status=200, query="", **names):
        """The answer, held against the document; `path` as the document has it."""
        target = path.format(**names) + query
        connection = http.client.HTTPConnection("gantry", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(self.socket)
        if isinstance(body, dict):
            self.assertEqual(self.contract.request_problems(method, path, body), [], f"the test's own {method} {path}")
            body = json.dumps(body)
        connection.request(method, target, body=body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.assertEqual(answer.status, status, f"{method} {target}: {data[:500]}")
        problems = self.contract.problems(method, path, status, answer.headers.get("Content-Type", ""), data)
        self.assertEqual(problems, [], f"{method} {target}: {data[:2000].decode()}")
        if answer.headers.get("Content-Type") == "application/x-ndjson" or path == "/events":
            return [json.loads(line) for line in data.splitlines()]
        return json.loads(data) if data else None

    def recorded(self, folder, *arguments):
        """The bodies that the command line sends, by path, and the answers that it gets."""
        requests = []
        relay = UnixRelay(f"{folder}/relay.sock", self.socket)
        try:
            result = self.gantry(*arguments, folder=folder, env={"GANTRY_HOST": f"unix://{relay.path}"})
        finally:
            relay.close()
        for sent, received in relay.exchanges():
            head, _, body = sent.partition(b"\r\n\r\n")
            method, target = head.split(b" ")[:2]
            requests.append((method.decode(), target.decode().split("?")[0], body, received))
        return result, requests

    def test_every_look_at_stacks(self):
        folder = self.stack(STACK % {"log": "info"}, "spec")
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        self.stack(STACK % {"log": "debug"}, "spec")
        self.gantry_ok("up", "-d", "--wait", folder=folder)
        for path, operations in self.contract.document["paths"].items():
            if path.startswith("/stacks") and "get" in operations:
                answer = self.call("GET", path, name="spec")
                self.assertTrue(answer, f"GET {path} has nothing to show")
        containers = self.call("GET", "/stacks/{name}/containers", name="spec")
        self.assertEqual({entry["service"] for entry in containers} & {"web", "once"}, {"web", "once"})
        self.assertTrue(any(entry["ports"] and entry.get("health") for entry in containers))
        self.assertEqual(len(self.call("GET", "/stacks/{name}/revisions", name="spec")), 2)
        self.assertTrue(self.call("GET", "/stacks/{name}/services", name="spec"))
        self.call("GET", "/stacks/{name}/plan", name="spec")
        self.call("GET", "/stacks/{name}/drift", query="?deep=1&services=web,once", name="spec")
        # Others have meddled with it.
        self.gantry_ok("exec", "-T", "web", "touch", "/found", folder=folder)
        report = self.call("GET", "/stacks/{name}/drift", query="?deep=1", name="spec")
        self.assertEqual({entry["class"] for entry in report["entries"]}, {"inside"}, report)
        self.call("POST", "/stacks/{name}/jobs/{job}/run", name="spec", job="clock")
        wait_until(lambda: self.call("GET", "/stacks/{name}/jobs", name="spec")[0]["runs"], what="a run")
        self.call("POST", "/stacks/{name}/jobs/{job}/suspend", status=204, name="spec", job="clock")
        self.call("POST", "/stacks/{name}/jobs/{job}/resume", status=204, name="spec", job="clock")
        for path in ("/stacks/{name}/revisions", "/stacks/{name}/rollout", "/stacks/{name}/jobs"):
            self.call("GET", path, status=404, name="nosuch")

    def test_plan_diff_apply_and_wait(self):
        folder = self.stack(STACK % {"log": "info"}, "posts")
        self.check_recorded(folder, "plan", "--out", "saved.json")
        with open(f"{folder}/saved.json") as file:
            saved = json.load(file)["saved"]
        self.assertEqual(self.call("POST", "/stacks/{name}/plan/check", saved, name="posts")["stale"], [])
        self.check_recorded(folder, "apply", "saved.json")
        self.stack(STACK % {"log": "debug"}, "posts")
        result, requests = self.check_recorded(folder, "plan")
        self.assertIn("/stacks/posts/plan", [path for _, path, _, _ in requests], result.stderr)
        self.check_recorded(folder, "diff")
        self.check_recorded(folder, "drift")
        self.check_recorded(folder, "up", "-d", "--wait")
        self.check_recorded(folder, "rollback")
        self.check_recorded(folder, "scale", "web=1")
        self.check_recorded(folder, "restart", "web")
        self.check_recorded(folder, "run", "--rm", "once")
        lines = self.call("POST", "/stacks/{name}/wait", {"services": ["web"], "goal": "healthy"}, name="posts")
        self.assertEqual(list(lines[-1]), ["done"])
        late = self.call("POST", "/stacks/{name}/wait",
                         {"services": ["web"], "goal": "completed", "timeout": 300_000_000}, name="posts")
        self.assertEqual(list(late[-1]), ["failed"])
        again = self.call("POST", "/stacks/{name}/apply", {
            "services": [], "scale": {}, "forceRecreate": True, "noRecreate": False, "removeOrphans": False,
            "noStart": False, "noDependencies": False, "wait": True}, name="posts")
        self.assertGreater(again[-1]["done"]["changes"], 0)
        self.assertTrue(any("object" in line for line in again))
        for verb in ("stop", "start", "kill"):
            self.assertIn("done", self.call("POST", f"/stacks/{{name}}/{verb}", {"services": ["web"]}, name="posts")[-1])
        self.check_recorded(folder, "down", "-v")
        wanted = {"plan", "plan/check", "diff", "apply", "drift", "wait", "rollback", "restart", "run", "down"}
        self.assertEqual(wanted - {name.removeprefix("POST /stacks/{name}/") for name in self.contract.seen}, set())

    def check_recorded(self, folder, *arguments):
        """A command of ours speaks as the document says, in both directions."""
        result, requests = self.recorded(folder, *arguments)
        self.assertIn(result.returncode, (0, 2), f"{arguments}: {result.stdout}{result.stderr}")
        self.assertTrue(requests)
        for method, target, body, received in requests:
            path = self.documented(target)
            if "/stacks" in path:
                if body:
                    problems = self.contract.request_problems(method, path, json.loads(body))
                    self.assertEqual(problems, [], f"what {arguments} sends to {path}")
                status, kind, data = received
                self.assertEqual(self.contract.problems(method, path, status, kind, data), [], f"{arguments}: {target}")
        return result, requests

    def documented(self, target):
        parts = target.split("/")
        for path in sorted(self.contract.document["paths"], key=lambda path: path.count("{")):
            pattern = path.split("/")
            if len(pattern) == len(parts) and all(
                    a == b or a.startswith("{") for a, b in zip(pattern, parts, strict=True)):
                return path
        raise AssertionError(f"{target} is not in the document")

    def test_failures(self):
        folder = self.stack("""
            services:
              bad:
                image: busybox
                command: ["sh", "-c", "echo why; exit 3"]
                healthcheck: {test: ["CMD", "false"], interval: 100ms}
            """, "fails")
        _, requests = self.recorded(folder, "up", "-d", "--wait")
        bodies = [(path, received) for _, path, _, received in requests if path.endswith("/apply")]
        self.assertTrue(bodies)
        for _, (status, kind, data) in bodies:
            self.assertEqual(self.contract.problems("POST", "/stacks/{name}/apply", status, kind, data), [])
        kinds = [next(iter(json.loads(line))) for line in bodies[-1][1][2].splitlines()]
        self.assertEqual((kinds[-1], "failure" in kinds), ("failed", True), kinds)
        self.call("POST", "/stacks/{name}/plan", "{", status=400, name="fails")
        self.gantry_ok("down", folder=folder)

    def test_the_rest_of_our_own(self):
        self.assertEqual(self.call("GET", "/images/{name}/verify", name="busybox")["Problems"], [])
        self.call("GET", "/images/{name}/verify", status=404, name="nosuch")
        self.call("GET", "/network-graph")
        lines = self.call("POST", "/build/batch", {"checks": False, "builds": [self.build("FROM busybox\nRUN true")]})
        self.assertEqual(list(lines[-1]), ["done"])
        lines = self.call("POST", "/build/batch", {"checks": False, "builds": [self.build("FROM busybox\nRUN false")]})
        self.assertEqual(list(lines[-1]), ["failed"])
        self.call("POST", "/volumes/create", {"Name": "told"}, status=201)
        self.call("DELETE", "/volumes/{name}", status=204, name="told")
        self.gantry_ok("tag", "busybox", "told:1")
        events = self.call("GET", "/events", query=f"?since=0&until={time.time():.6f}")
        self.assertLessEqual({"image", "volume"}, {event["Type"] for event in events})

    def build(self, dockerfile):
        return {"name": "", "context": {"none": {}}, "isTemporary": False, "dockerfileText": dockerfile,
                "arguments": {}, "labels": {}, "tags": ["built:1"], "contexts": {}, "noCache": False,
                "noCacheFilter": [], "pull": False, "cacheFrom": [], "cacheTo": [], "platforms": [], "secrets": [],
                "agents": {}, "allow": [], "extraHosts": [], "ulimits": {}, "privileged": False}

    def test_what_is_not_documented_is_found(self):
        """The check itself: a member more, one less, or of another type is a problem."""
        good = {"name": "a", "configFiles": [], "states": {"running": 1}}
        for change, found in (({}, 0), ({"more": 1}, 1), ({"name": None}, 1), ({"states": {"gone": 1}}, 1)):
            body = json.dumps([{**good, **change}]).encode()
            problems = self.contract.problems("GET", "/stacks", 200, "application/json", body)
            self.assertEqual(len(problems), found, problems)
        self.assertEqual(len(self.contract.problems("GET", "/stacks", 200, "application/json", b'[{"name": "a"}]')), 2)
        self.assertTrue(self.contract.problems("GET", "/stacks", 418, "application/json", b"[]"))
        plan = {"$ref": "#/plan"}
        self.assertTrue(list(self.contract.validator(plan).iter_errors({"stack": "a"})))


class UnixRelay:
    """Stands between a client and the engine's socket, and keeps what they say."""

    def __init__(self, path, target):
        self.path, self.target, self.kept = path, target, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.threads = []
        self.sockets = []
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            self.sockets += [client, server]
            exchange = (bytearray(), bytearray())
            self.kept.append(exchange)
            for source, sink, record in ((client, server, exchange[0]), (server, client, exchange[1])):
                thread = threading.Thread(target=self.carry, args=(source, sink, record), daemon=True)
                thread.start()
                self.threads.append(thread)

    @staticmethod
    def carry(source, sink, record):
        try:
            while data := source.recv(1 << 16):
                record += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def exchanges(self):
        """What was sent, and the answer's status, type and body."""
        for sent, received in self.kept:
            if sent:
                yield bytes(sent), self.parsed(bytes(sent), bytes(received))

    @staticmethod
    def parsed(sent, received):
        class Given:
            def makefile(self, *_, **__):
                return io.BytesIO(received)

        answer = http.client.HTTPResponse(Given(), method=sent.split(b" ")[0].decode())
        answer.begin()
        data = b"" if answer.status == 101 else answer.read()
        return answer.status, answer.headers.get("Content-Type", ""), data

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        self.accepting.join(5)
        for thread in self.threads:
            thread.join(5)
        for end in self.sockets:
            end.close()
