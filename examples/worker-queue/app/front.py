"""Queues jobs, and shows what became of them."""

import os

import flask
import redis

import jobs

LIMIT = 2_000_000
SHOWN = 200

app = flask.Flask(__name__)
store = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


def state_of(job):
    result = jobs.count_primes.AsyncResult(job)
    return {"id": job, "state": result.state, "result": result.result if result.successful() else None}


@app.get("/")
def overview():
    return flask.render_template("overview.html", jobs=[state_of(job) for job in store.lrange("jobs", 0, SHOWN - 1)])


@app.post("/jobs")
def queue_job():
    """Form or JSON: `limit`, up to which to count primes."""
    fields = flask.request.get_json() if flask.request.is_json else flask.request.form
    try:
        limit = int(fields["limit"])
    except (KeyError, TypeError, ValueError):
        flask.abort(400, "limit is a number")
    if not 0 < limit <= LIMIT:
        flask.abort(400, f"limit is at most {LIMIT}")
    job = jobs.count_primes.delay(limit).id
    store.lpush("jobs", job)
    store.ltrim("jobs", 0, SHOWN - 1)
    if flask.request.is_json:
        return {"id": job}, 202
    return flask.redirect("/", 303)


@app.get("/jobs")
def list_jobs():
    return flask.jsonify([state_of(job) for job in store.lrange("jobs", 0, SHOWN - 1)])


@app.get("/jobs/<job>")
def show_job(job):
    return state_of(job)


@app.get("/healthz")
def health():
    store.ping()
    return "well\n"
