"""Counts visits in Redis, so every replica counts on, whoever is asked."""

import os
import socket

import flask
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

app = flask.Flask(__name__)
# A Redis that restarts costs a moment, not an error. Meanwhile its name leads nowhere, which is an OSError.
store = redis.Redis.from_url(
    os.environ["REDIS_URL"], socket_timeout=3, retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), 12),
    retry_on_error=[redis.ConnectionError, redis.TimeoutError, OSError])


@app.get("/")
def visit():
    return f"Visit {store.incr('visits')}, served by {socket.gethostname()}.\n", {"Content-Type": "text/plain"}


@app.get("/healthz")
def health():
    store.ping()
    return "well\n"
