"""The rendered pages are served; a page that is edited gets there under load without a request that fails."""

import time

from checking import Load, ask, eventually, example, require

URL = "http://127.0.0.1:8030/"


def page(path="", status=200):
    answer = ask(URL + path)
    require(answer.status == status, f"/{path} answered with {answer.status}")
    return answer.text


with example("static-site") as this:
    this.step("gantry up")
    this.up("--build")
    front = page()
    require("Notes from the harbour" in front, "the title, a build argument, is not on the page")
    require(front.index("Tides") < front.index("What a gantry is"), "the newest post is not the first")
    require("<table>" in page("posts/cranes/"), "Markdown was not rendered")
    page("posts/none/", 404)
    this.step("a page is edited, under load")
    this.edit("site/content/posts/tides.md", "title: Tides", "title: Tides and currents")
    with Load(lambda: "Tides and currents" in page()) as load:
        this.up("--build")
        time.sleep(1)
    this.step(f"{load.requests} requests, {len(load.failures)} failed")
    require(not load.failures, f"requests failed: {load.failures[:5]}")
    require(load.counts.get(True, 0) > 0 and load.counts.get(False, 0) > 0, f"not both versions were seen: {load.counts}")
    require("Tides and currents" in page("posts/tides/"), "the old page is still served")
    this.step("the image has the pages and one program")
    files = this.gantry("exec", "-T", "web", "/bin/busybox", "find", "/bin", "/site", "-type", "f").split()
    require("/bin/busybox" in files and len(files) < 12, f"there is more in it: {files}")
