"""The jobs, and where they are queued. The front end and the workers both import this."""

import os
import pathlib
import socket
import time

import celery
from celery.signals import heartbeat_sent

ALIVE = pathlib.Path("/run/worker/alive")

app = celery.Celery("jobs", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    # A job is taken off the queue when it is done, not when it is begun, and workers take one at a time: what a worker
    # that was killed had begun is done by another. They look for such jobs every 100 s.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": 15},
    broker_connection_retry_on_startup=True,
    result_expires=3600,
    task_track_started=True,
)


@heartbeat_sent.connect
def worker_lives(**_):
    ALIVE.touch()


@app.task
def count_primes(limit):
    """How many primes there are below a limit: slow on purpose, by trial division."""
    begun = time.monotonic()
    primes = []
    for number in range(2, limit):
        for prime in primes:
            if prime * prime > number:
                primes.append(number)
                break
            if number % prime == 0:
                break
        else:
            primes.append(number)
    return {"primes": len(primes), "seconds": round(time.monotonic() - begun, 2), "worker": socket.gethostname()}
