"""Tasks are kept: over a restarted database, replaced containers, and a down and up."""

from checking import ask, eventually, example, require

URL = "http://127.0.0.1:8010/tasks"


def titles():
    answer = ask(URL)
    require(answer.status == 200, f"answered with {answer.status}: {answer.text}")
    return [task["title"] for task in answer.json()]


with example("node-postgres") as this:
    this.step("gantry up")
    this.up("--build")
    require(titles() == [], "a new list is not empty")
    this.step("tasks are made, done and removed")
    made = [ask(URL, body={"title": title}) for title in ("load", "lash", "sail")]
    require([answer.status for answer in made] == [201] * 3, "tasks were not made")
    first, second, _ = (answer.json()["id"] for answer in made)
    require(ask(f"{URL}/{first}", "PATCH", {"done": True}).json()["done"] is True, "a task was not done")
    require(ask(f"{URL}/{second}", "DELETE").status == 200, "a task was not removed")
    require(ask(f"{URL}/{second}").status == 404, "a removed task is there")
    require(ask(URL, body={"title": ""}).status == 400, "a task without a title was taken")
    require(ask(URL, body={"title": "x'); DROP TABLE task; --"}).status == 201, "a strange title was not taken")
    kept = ["load", "sail", "x'); DROP TABLE task; --"]
    require(titles() == kept, f"the list is {titles()}")
    replicas = {ask(URL).headers["X-Served-By"] for _ in range(40)}
    require(len(replicas) == 2, f"{len(replicas)} replicas answered, not 2")
    this.step("the database restarts")
    this.gantry("restart", "db")
    eventually(30, "the list after the database restarted", lambda: ask(URL).status == 200 and titles() == kept)
    this.step("down and up: the volume is kept, the schema is applied again")
    this.gantry("down")
    this.up()
    require(titles() == kept, f"after down and up the list is {titles()}")
    this.step("the password is in no environment and in no image")
    password = open(f"{this.folder}/secrets/db_password.txt").read().strip()
    require(password not in this.gantry("exec", "-T", "api", "env"), "the password is in the environment")
    require("yes" not in this.gantry("exec", "-T", "api", "sh", "-c", "[ ! -e /srv/app/secrets ] || echo yes"),
            "the password is in the image")
