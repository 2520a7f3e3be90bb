"""The counter goes on over new containers, more replicas, a restarted Redis, and a down and up."""

from checking import ask, eventually, example, require

URL = "http://127.0.0.1:8000/"


def visit():
    answer = ask(URL)
    require(answer.status == 200, f"answered with {answer.status}: {answer.text}")
    number, _, replica = answer.text.removeprefix("Visit ").partition(", served by ")
    return int(number), replica


with example("flask-redis") as this:
    this.step("gantry up")
    this.up("--build")
    require([visit()[0] for _ in range(3)] == [1, 2, 3], "the first visits are not 1, 2 and 3")
    this.step("three replicas")
    this.up("--scale", "web=3")
    visits = [visit() for _ in range(60)]
    require([number for number, _ in visits] == list(range(4, 64)), "a visit was missed, or counted twice")
    require(len({replica for _, replica in visits}) == 3, "not all replicas answered")
    this.step("Redis restarts")
    this.gantry("restart", "redis")
    eventually(20, "the counter after Redis restarted", lambda: visit()[0] >= 64)
    this.step("down and up: the volume is kept")
    last = visit()[0]
    this.gantry("down")
    this.up()
    require(visit()[0] == last + 1, "the count was lost")
    this.step("the application is not root, and may not change itself")
    require(this.gantry("exec", "-T", "web", "id", "-u").strip() == "10001", "runs as another user")
    require("denied" in this.gantry("exec", "-T", "web", "sh", "-c", "touch /srv/app/x 2>&1 || true"), "may write")
    this.step("gantry watch: an edit of the application is served")
    with this.background("watch") as said:
        eventually(20, "that it watches", lambda: "Watch enabled" in said())
        this.edit("app/counter.py", 'f"Visit', 'f"Call')
        eventually(20, "the edit", lambda: ask(URL).text.startswith("Call "))
