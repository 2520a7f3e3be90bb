"""Jobs are done by all workers, and finished by workers that are asked to stop; a killed worker comes back."""

from checking import ask, eventually, example, require

URL = "http://127.0.0.1:8020/"
PRIMES_BELOW = {100_000: 9592, 300_000: 25997}


def queue(count, limit):
    answers = [ask(URL + "jobs", body={"limit": limit}) for _ in range(count)]
    require(all(answer.status == 202 for answer in answers), f"jobs were not taken: {[a.status for a in answers]}")
    return {answer.json()["id"] for answer in answers}


def done(identifiers, limit):
    """The jobs' results, when all are there."""
    jobs = [job for job in ask(URL + "jobs").json() if job["id"] in identifiers]
    require(all(job["state"] in ("PENDING", "STARTED", "SUCCESS") for job in jobs), f"a job failed: {jobs}")
    results = [job["result"] for job in jobs if job["state"] == "SUCCESS"]
    require(all(result["primes"] == PRIMES_BELOW[limit] for result in results), f"wrong: {results}")
    return results if len(results) == len(identifiers) else None


with example("worker-queue") as this:
    this.step("gantry up")
    this.up("--build")
    this.step("thirty jobs for three workers")
    jobs = queue(30, 100_000)
    results = eventually(60, "thirty jobs", lambda: done(jobs, 100_000))
    require(len({result["worker"] for result in results}) == 3, "not all workers had a part in it")
    require("25" in ask(URL).text and ask(URL + "jobs", body={"limit": "many"}).status == 400, "the page is wrong")
    this.step("five workers, then one: what they have begun they finish")
    jobs = queue(12, 300_000)
    this.gantry("scale", "worker=5")
    this.gantry("scale", "worker=1")
    eventually(60, "twelve jobs", lambda: done(jobs, 300_000))
    this.step("the worker is killed")
    this.gantry("kill", "worker")
    jobs = queue(3, 100_000)
    eventually(60, "jobs after the worker was killed", lambda: done(jobs, 100_000))
