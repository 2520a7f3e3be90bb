"""The rendered pages are served, an edited page too once it is built, and the image has nothing else in it."""

from checking import ask, example, require

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
    this.step("a page is edited")
    this.edit("site/content/posts/tides.md", "title: Tides", "title: Tides and currents")
    this.up("--build")
    require("Tides and currents" in page(), "the front page is the old one")
    require("Tides and currents" in page("posts/tides/"), "the old page is still served")
    this.step("the image has the pages and one program")
    files = this.gantry("exec", "-T", "web", "/bin/busybox", "find", "/bin", "/site", "-type", "f").split()
    require("/bin/busybox" in files and len(files) < 12, f"there is more in it: {files}")
