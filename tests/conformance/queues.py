"""Queues: order, room, races of cancellations with items, joining, shutting down."""

import asyncio
from asyncio import LifoQueue, PriorityQueue, Queue, create_task, sleep

from scenario import attempt, attempt_now, scenario, trace, turns

SHUTDOWN = "documentation of asyncio.Queue.shutdown; test_asyncio.test_queues: the tests of shutdown"


async def getting(queue, name):
    await attempt(name, queue.get())


async def putting(queue, item):
    await attempt(f"put {item}", queue.put(item))


async def join(*tasks):
    for t in tasks:
        await t


@scenario("queue: first in, first out, for items and for getters")
async def _():
    queue = Queue()
    getters = [create_task(getting(queue, n)) for n in "abc"]
    await sleep(0)
    for item in (1, 2, 3):
        await queue.put(item)
    await join(*getters)
    for item in (4, 5):
        queue.put_nowait(item)
    trace(queue.qsize(), await queue.get(), await queue.get(), queue.empty())


@scenario("queue: a full one keeps putters waiting, in order")
async def _():
    queue = Queue(1)
    putters = [create_task(putting(queue, n)) for n in (1, 2, 3)]
    await turns(3)
    trace("full", queue.full(), "size", queue.qsize(), "maxsize", queue.maxsize)
    for _ in range(3):
        trace("got", await queue.get())
        await turns(2)
    await join(*putters)


@scenario("queue: nothing there, no room")
async def _():
    queue = Queue(1)
    attempt_now("get", queue.get_nowait)
    queue.put_nowait(1)
    attempt_now("put", lambda: queue.put_nowait(2))
    attempt_now("get", queue.get_nowait)


@scenario("queue: last in, first out")
async def _():
    queue = LifoQueue()
    for item in (1, 2, 3):
        queue.put_nowait(item)
    trace([await queue.get() for _ in range(3)])


@scenario("queue: the smallest first")
async def _():
    queue = PriorityQueue()
    for item in (3, 1, 2, 1):
        queue.put_nowait(item)
    trace([await queue.get() for _ in range(4)])


@scenario("queue: a cancelled getter is passed over")
async def _():
    queue = Queue()
    a, b = create_task(getting(queue, "a")), create_task(getting(queue, "b"))
    await sleep(0)
    a.cancel("not you")
    queue.put_nowait(1)
    await join(a, b)


@scenario("queue: cancelled when there is an item for it, a getter leaves it to the next")
async def _():
    queue = Queue()
    a, b = create_task(getting(queue, "a")), create_task(getting(queue, "b"))
    await sleep(0)
    queue.put_nowait(1)
    a.cancel("too late for you")
    await join(a, b)
    trace("size", queue.qsize())


@scenario("queue: cancelled when there is an item for it, the only getter leaves it there")
async def _():
    queue = Queue()
    a = create_task(getting(queue, "a"))
    await sleep(0)
    queue.put_nowait(1)
    queue.put_nowait(2)
    a.cancel()
    await a
    trace("size", queue.qsize(), "got", await queue.get(), await queue.get())


@scenario("queue: a cancelled putter puts nothing")
async def _():
    queue = Queue(1)
    queue.put_nowait(0)
    a, b = create_task(putting(queue, 1)), create_task(putting(queue, 2))
    await sleep(0)
    a.cancel("not you")
    await a
    trace("got", await queue.get())
    await b
    trace("got", await queue.get(), "empty", queue.empty())


@scenario("queue: cancelled when there is room for it, a putter leaves that to the next")
async def _():
    queue = Queue(1)
    queue.put_nowait(0)
    a, b = create_task(putting(queue, 1)), create_task(putting(queue, 2))
    await sleep(0)
    trace("got", queue.get_nowait())
    a.cancel("too late for you")
    await join(a, b)
    trace("got", queue.get_nowait(), "empty", queue.empty())


@scenario(
    "queue: an item that a getter is to have, and somebody who does not wait",
    differs="nobody takes what is promised to a waiter (API.md, 1): queue_empty; asyncio lets it be stolen",
    expected="""
        - thief: returned 1
        + thief: queue empty
        - getter: returned 2
        + getter: returned 1
    """,
)
async def _():
    queue = Queue()
    getter = create_task(getting(queue, "getter"))
    await sleep(0)
    queue.put_nowait(1)
    attempt_now("thief", queue.get_nowait)
    await turns(2)
    if not getter.done():
        queue.put_nowait(2)
    await getter


@scenario("queue: join waits until everything is done")
async def _():
    queue = Queue()
    await queue.join()
    trace("nothing to wait for")
    for item in (1, 2):
        queue.put_nowait(item)

    async def worker():
        while True:
            item = await queue.get()
            await sleep(1)
            trace("done with", item)
            queue.task_done()

    t = create_task(worker())
    await queue.join()
    trace("joined")
    t.cancel()
    await attempt("worker", t)


@scenario("queue: more done than there was is refused")
async def _():
    queue = Queue()
    queue.put_nowait(1)
    queue.get_nowait()
    attempt_now("once", queue.task_done)
    attempt_now("twice", queue.task_done)


@scenario("queue: producers and consumers through little room")
async def _():
    queue = Queue(2)
    got = []

    async def producer(first):
        for n in range(first, first + 4):
            await queue.put(n)

    async def consumer():
        for _ in range(4):
            got.append(await queue.get())

    await join(*[create_task(f) for f in (producer(10), consumer(), producer(20), consumer())])
    trace(sorted(got), queue.empty())


@scenario(
    "queue: shut down, it gives what it has and takes nothing",
    since=(3, 13), source=SHUTDOWN,
    expected="""
        put: queue shut down
        put_nowait: queue shut down
        get: returned 1
        get_nowait: returned 2
        get: queue shut down
        get_nowait: queue shut down
    """,
)
async def _():
    queue = Queue()
    queue.put_nowait(1)
    queue.put_nowait(2)
    queue.shutdown()
    await attempt("put", queue.put(3))
    attempt_now("put_nowait", lambda: queue.put_nowait(3))
    await attempt("get", queue.get())
    attempt_now("get_nowait", queue.get_nowait)
    await attempt("get", queue.get())
    attempt_now("get_nowait", queue.get_nowait)


@scenario(
    "queue: shut down at once, it drops what it has",
    since=(3, 13), source=SHUTDOWN,
    expected="""
        size 0
        get: queue shut down
        joined
    """,
)
async def _():
    queue = Queue()
    queue.put_nowait(1)
    queue.put_nowait(2)
    queue.shutdown(immediate=True)
    trace("size", queue.qsize())
    await attempt("get", queue.get())
    await queue.join()
    trace("joined")


@scenario(
    "queue: shutting down wakes those who wait for items",
    since=(3, 13), source=SHUTDOWN,
    expected="""
        a: queue shut down
        b: queue shut down
    """,
)
async def _():
    queue = Queue()
    tasks = [create_task(getting(queue, n)) for n in "ab"]
    await sleep(0)
    queue.shutdown()
    await join(*tasks)


@scenario(
    "queue: shutting down wakes those who wait for room, and what is there stays",
    since=(3, 13), source=SHUTDOWN,
    expected="""
        put 1: queue shut down
        put 2: queue shut down
        get: returned 0
        get: queue shut down
    """,
)
async def _():
    queue = Queue(1)
    queue.put_nowait(0)
    tasks = [create_task(putting(queue, n)) for n in (1, 2)]
    await sleep(0)
    queue.shutdown()
    await join(*tasks)
    await attempt("get", queue.get())
    await attempt("get", queue.get())


@scenario(
    "queue: join after a shutdown still waits for what was taken",
    since=(3, 13), source=SHUTDOWN,
    expected="""
        joined false
        joined true
    """,
)
async def _():
    queue = Queue()
    queue.put_nowait(1)
    queue.put_nowait(2)
    await queue.get()
    t = create_task(queue.join())
    await sleep(0)
    queue.shutdown(immediate=True)
    await turns(3)
    trace("joined", t.done())
    queue.task_done()
    await turns(3)
    trace("joined", t.done())


@scenario(
    "queue: shut down twice",
    since=(3, 13), source=SHUTDOWN,
    expected="""
        get: returned 1
        get: queue shut down
    """,
)
async def _():
    queue = Queue()
    queue.put_nowait(1)
    queue.put_nowait(2)
    queue.shutdown()
    queue.shutdown()
    await attempt("get", queue.get())
    queue.shutdown(immediate=True)
    await attempt("get", queue.get())
