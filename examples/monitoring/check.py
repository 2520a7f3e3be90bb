"""Prometheus has what is true of the containers: their states, their processor time, and that one was killed."""

import urllib.parse

from checking import ask, eventually, example, require

URL = "http://127.0.0.1:8040"


def query(text):
    """What a query gives: the labels and the number of each series."""
    answer = ask(f"{URL}/api/v1/query?" + urllib.parse.urlencode({"query": text}))
    require(answer.status == 200, f"{text}: {answer.status} {answer.text}")
    return [(sample["metric"], float(sample["value"][1])) for sample in answer.json()["data"]["result"]]


def value(text):
    samples = query(text)
    return samples[0][1] if samples else None


with example("monitoring") as this:
    this.step("gantry up")
    this.up("--build")
    require("<title>Gantry</title>" in ask(URL).text, "no dashboard")
    status = ask(f"{URL}/api/v1/admin/tsdb/snapshot", "POST", b"").status
    require(status in (404, 405), "more than queries gets through")
    this.step("the engine and its containers")
    eventually(30, "that the engine answers", lambda: value("gantry_up") == 1)
    samples = query('gantry_container_state{stack="monitoring",state="running"} == 1')
    running = {labels["service"] for labels, _ in samples}
    require(running == {"dashboard", "prometheus", "exporter", "busy"}, f"running, they say, are {running}")
    this.step("processor time as the kernel counts it")
    rate = 'container:cpu:rate{service="busy"}'
    eventually(60, "a share of the processor for busy near its limit of 0.2", lambda: 0.15 < (value(rate) or 0) < 0.25)
    memory = value('gantry_container_memory_bytes{service="prometheus"}')
    require(memory and 5e6 < memory < 1e9, f"Prometheus has {memory} bytes")
    this.step("a container that is killed")
    this.gantry("kill", "busy")
    eventually(30, "a restart that is counted", lambda: value('gantry_container_restarts_total{service="busy"}') == 1)
    this.step("a stack more is seen: the figures are the engine's, not this file's")
    this.gantry("run", "-d", "--no-deps", "busy", "sleep", "60")
    both = 'gantry_container_state{state="running",service="busy"} == 1'
    eventually(30, "the new container", lambda: len(query(both)) == 2)
