"""A worker and its broker in one process: there is no network to reach another."""

from celery import Celery
from celery.signals import worker_ready

app = Celery("shop", broker="memory://", worker_redirect_stdouts=False)


@app.task
def add(one: int, other: int) -> int:
    return one + other


@app.task
def report(total: int) -> None:
    print(f"the worker has added up {total}")
    app.control.shutdown()


@worker_ready.connect
def begin(**_: object) -> None:
    (add.s(40, 2) | report.s()).delay()
