"""What Gantry's engine and the kernel know of its containers, in Prometheus's text format.

The engine is asked over its socket (docs/api.md); processor time, memory and processes are read from the containers'
cgroups, of version 1 or 2, at GANTRY_CGROUPS. Both happen when /metrics is asked for: there is nothing to keep.
"""

import datetime
import glob
import http.client
import http.server
import json
import os
import signal
import socket
import sys
import time
import urllib.parse

SOCKET = os.environ.get("GANTRY_SOCKET", "/run/gantry.sock")
CGROUPS = os.environ.get("GANTRY_CGROUPS", "/host/cgroup")
PORT = 9200
SECONDS = 5
STATES = ("created", "running", "paused", "restarting", "exited", "dead")


class EngineConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(SOCKET)


def engine(path):
    connection = EngineConnection("gantry")
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"GET {path}: {response.status} {body[:200]!r}")
        return json.loads(body)
    finally:
        connection.close()


def read_number(*path):
    """The number in a cgroup's file, or nothing: the container may just have ended, or the controller not be there."""
    try:
        with open(os.path.join(*path)) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def read_field(field, *path):
    try:
        with open(os.path.join(*path)) as file:
            return next((int(line.split()[1]) for line in file if line.split()[0] == field), None)
    except OSError:
        return None


def group_of(hierarchy, identifier):
    """A container's cgroup. An engine whose data folder is not the usual one has a name of its own: gantry_1a2b3c4d."""
    groups = glob.glob(os.path.join(CGROUPS, hierarchy, "gantry*", identifier))
    return groups[0] if groups else os.path.join(CGROUPS, hierarchy, "gantry", identifier)


def usage(identifier):
    """Processor seconds, bytes of memory without the page cache that could go, and processes."""
    if os.path.exists(os.path.join(CGROUPS, "cgroup.controllers")):
        group = group_of("", identifier)
        micros, memory = read_field("usage_usec", group, "cpu.stat"), read_number(group, "memory.current")
        cache, pids = read_field("inactive_file", group, "memory.stat"), read_number(group, "pids.current")
    else:
        # Version 1, with version 2 beside it for what needs no controller, such as processor time.
        group = group_of("memory", identifier)
        micros = read_field("usage_usec", group_of("unified", identifier), "cpu.stat")
        memory = read_number(group, "memory.usage_in_bytes")
        cache = read_field("total_inactive_file", group, "memory.stat")
        pids = read_number(group_of("pids", identifier), "pids.current")
    seconds = None if micros is None else micros / 1e6
    return seconds, None if memory is None else max(0, memory - (cache or 0)), pids


class Page:
    """Metrics in the text format: each with its help and type once, before its samples."""

    def __init__(self):
        self.metrics = {}

    def add(self, name, kind, text, value, **labels):
        if value is None:
            return
        samples = self.metrics.setdefault(name, (kind, text, []))[2]
        quoted = [f"{label}={json.dumps(str(content), ensure_ascii=False)}" for label, content in labels.items()]
        samples.append(f"{name}{{{','.join(quoted)}}} {value}" if quoted else f"{name} {value}")

    def text(self):
        lines = []
        for name, (kind, text, samples) in self.metrics.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples]
        return "\n".join(lines) + "\n"


def add_container(page, container):
    labels = {"stack": container["stack"], "service": container["service"], "container": container["name"]}
    for state in STATES:
        page.add("gantry_container_state", "gauge", "1 for the state that the container is in.",
                 int(container["state"] == state), state=state, **labels)
    if health := container.get("health"):
        page.add("gantry_container_healthy", "gauge", "1 if its last healthchecks went well.",
                 int(health == "healthy"), **labels)
    page.add("gantry_container_restarts_total", "counter", "Restarts by its policy.", container["restarts"], **labels)
    if container["state"] != "running":
        return
    started = datetime.datetime.fromisoformat(container["startedAt"][:19] + "+00:00")
    page.add("gantry_container_start_time_seconds", "gauge", "When it was started.", int(started.timestamp()), **labels)
    seconds, memory, pids = usage(container["id"])
    page.add("gantry_container_cpu_seconds_total", "counter", "Processor time.", seconds, **labels)
    page.add("gantry_container_memory_bytes", "gauge", "Memory without inactive page cache.", memory, **labels)
    page.add("gantry_container_processes", "gauge", "Processes and threads.", pids, **labels)


def metrics():
    page, begun = Page(), time.monotonic()
    try:
        page.add("gantry_engine_info", "gauge", "The engine's version.", 1, version=engine("/version")["Version"])
        stacks = engine("/stacks")
        page.add("gantry_stacks", "gauge", "Stacks that have containers.", len(stacks))
        for stack in stacks:
            for container in engine(f"/stacks/{urllib.parse.quote(stack['name'], safe='')}/containers"):
                add_container(page, container)
        images = engine("/images/json")
        page.add("gantry_images", "gauge", "Images in the store.", len(images))
        page.add("gantry_engine_answer_seconds", "gauge", "How long all of these questions took.",
                 round(time.monotonic() - begun, 6))
        reachable = 1
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print(f"the engine: {error!r}", file=sys.stderr)
        reachable = 0
    page.add("gantry_up", "gauge", "1 if the engine answered all questions.", reachable)
    return page.text()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/metrics":
            self.send_error(404)
            return
        body = metrics().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Prometheus asks every few seconds; that is nothing to log."""


if __name__ == "__main__":
    # As the first process of its container it is asked to stop by SIGTERM, and has no default for that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()
