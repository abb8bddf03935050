"""Cancellation: before, while and after; messages, counts, and what swallowing it means."""

import asyncio
from asyncio import CancelledError, create_task, current_task, sleep

from scenario import Failure, attempt, attempt_now, now, park, scenario, trace, turns


async def parked():
    """Tells of the cancellation and passes it on."""
    trace("child: start")
    try:
        await park()
    except CancelledError as error:
        trace("child:", error)
        raise


@scenario("cancelled before its first turn, a task never runs")
async def _():
    t = create_task(parked())
    trace("cancel", t.cancel("too early"))
    await attempt("get", t)
    trace("cancelled", t.cancelled(), "requests", t.cancelling())


@scenario("cancelled while it waits")
async def _():
    t = create_task(parked())
    await sleep(0)
    trace("cancel", t.cancel("enough"), "done", t.done())
    await attempt("get", t)
    trace("cancelled", t.cancelled())


@scenario("cancelled after its end: too late")
async def _():
    async def child():
        return 3

    t = create_task(child())
    await t
    trace("cancel", t.cancel(), "requests", t.cancelling())
    trace("result", t.result(), "cancelled", t.cancelled())


@scenario("a cancellation without a message has none")
async def _():
    t = create_task(parked())
    await sleep(0)
    t.cancel()
    await attempt("get", t)


@scenario("a swallowed cancellation is over, but still counted")
async def _():
    async def child():
        await attempt("first wait", park())
        trace("requests", current_task().cancelling())
        await sleep(1)
        trace("slept on")
        return 4

    t = create_task(child())
    await sleep(0)
    t.cancel()
    await attempt("get", t)
    trace("cancelled", t.cancelled(), "requests", t.cancelling())


@scenario("each request is delivered, one after another")
async def _():
    async def child():
        for _ in range(3):
            await attempt("wait", park())
        trace("requests", current_task().cancelling())

    t = create_task(child())
    for n in (1, 2, 3):
        await sleep(0)
        t.cancel(f"number {n}")
    await attempt("get", t)


@scenario("two requests before the first turn are delivered as one, with the last message")
async def _():
    async def child():
        trace("never")

    t = create_task(child())
    t.cancel("one")
    t.cancel("two")
    await attempt("get", t)
    trace("requests", t.cancelling())


@scenario(
    "two requests while it waits are delivered as one",
    differs="the last message is the one delivered (API.md, 3); asyncio does so only where the task does not wait",
    expected="""
          requests 2
        - wait: cancelled(one)
        + wait: cancelled(two)
          slept on
          get: returned
    """,
)
async def _():
    async def child():
        await attempt("wait", park())
        await sleep(1)
        trace("slept on")

    t = create_task(child())
    await sleep(0)
    t.cancel("one")
    t.cancel("two")
    trace("requests", t.cancelling())
    await attempt("get", t)


@scenario("uncancel counts down, and not below nothing")
async def _():
    async def child():
        await attempt("wait", park())
        me = current_task()
        trace("requests", me.cancelling())
        trace("uncancel", me.uncancel(), me.uncancel(), me.uncancel())

    t = create_task(child())
    await sleep(0)
    t.cancel()
    t.cancel()
    await t


@scenario(
    "uncancel to nothing withdraws what was not delivered",
    since=(3, 13),
    source="documentation of asyncio.Task.uncancel, changed in 3.13; test_asyncio.test_tasks: test_uncancel_resets_must_cancel",
    expected="""
        requests 1
        uncancel 0
        slept on
        get: returned
    """,
)
async def _():
    async def child():
        me = current_task()
        me.cancel()
        trace("requests", me.cancelling())
        trace("uncancel", me.uncancel())
        await sleep(1)
        trace("slept on")

    await attempt("get", create_task(child()))


@scenario("uncancel with a request left withdraws nothing")
async def _():
    async def child():
        me = current_task()
        me.cancel()
        me.cancel("left")
        trace("uncancel", me.uncancel())
        await attempt("sleep", sleep(1))

    await attempt("get", create_task(child()))


@scenario("a task that cancels itself runs on until it waits")
async def _():
    async def child():
        current_task().cancel("by myself")
        trace("still running")
        await attempt("sleep(0)", sleep(0))
        await sleep(0)
        trace("and on")

    await attempt("get", create_task(child()))


@scenario(
    "a request that the task never met",
    differs="the value stands, and cancelled() is false (API.md, 3); asyncio throws the value away",
    expected="""
        - get: cancelled
        + get: returned 6
        - cancelled true
        + cancelled false
    """,
)
async def _():
    async def child():
        current_task().cancel()
        return 6

    t = create_task(child())
    await attempt("get", t)
    trace("cancelled", t.cancelled())


@scenario("an exception stands, whatever was requested")
async def _():
    async def child():
        current_task().cancel()
        raise Failure("all the same")

    t = create_task(child())
    await attempt("get", t)
    trace("cancelled", t.cancelled())


@scenario("cleaning up may wait")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            trace("cleaning up at", now())
            await sleep(2)
            trace("cleaned up at", now())
            raise

    t = create_task(child())
    await sleep(1)
    t.cancel("the end")
    await attempt("get", t)


@scenario("a second request cuts the cleaning up short")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            trace("cleaning up at", now())
            await sleep(10)
            trace("never")

    t = create_task(child())
    await sleep(0)
    t.cancel("first")
    await sleep(1)
    t.cancel("second")
    await attempt("get", t)
    trace("at", now(), "requests", t.cancelling())


@scenario("a handler for errors lets a cancellation pass")
async def _():
    async def child():
        try:
            await park()
        except Exception:
            trace("never")

    t = create_task(child())
    await sleep(0)
    t.cancel()
    await attempt("get", t)


@scenario("a cancellation that is turned into an error is one")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            raise Failure("instead")

    t = create_task(child())
    await sleep(0)
    t.cancel()
    await attempt("get", t)
    trace("cancelled", t.cancelled(), "requests", t.cancelling())


@scenario("who waits for a task passes its cancellation on")
async def _():
    inner = create_task(parked())

    async def waiter():
        await attempt("waiter", inner)
        trace("inner done", inner.done(), "cancelled", inner.cancelled())

    outer = create_task(waiter())
    await sleep(0)
    outer.cancel("from outside")
    await outer


@scenario("a chain of waiters ends from the inside")
async def _():
    async def link(name, next_one):
        try:
            await (next_one if next_one else park())
        except CancelledError as error:
            trace(name, error)
            raise

    c = create_task(link("c", None))
    b = create_task(link("b", c))
    a = create_task(link("a", b))
    await turns(2)
    a.cancel("down the chain")
    await attempt("get", a)
    trace("requests", a.cancelling(), b.cancelling(), c.cancelling())


@scenario(
    "the awaited task swallows what was passed on",
    differs="the waiter was cancelled and is told so when the task has ended (API.md, 3); asyncio loses the cancellation",
    expected="""
          inner: cancelled
        - waiter: returned 8
        + waiter: cancelled
          inner cancelled false
    """,
)
async def _():
    async def child():
        await attempt("inner", park())
        return 8

    inner = create_task(child())

    async def waiter():
        await attempt("waiter", inner)

    outer = create_task(waiter())
    await turns(2)
    outer.cancel()
    await outer
    trace("inner cancelled", inner.cancelled())


@scenario(
    "the awaited task fails when the cancellation is passed on",
    differs="the waiter was cancelled and is told so when the task has ended (API.md, 3); asyncio loses the cancellation",
    expected="""
        - waiter: failure(while cleaning up)
        + waiter: cancelled
          inner's exception failure(while cleaning up)
    """,
)
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            raise Failure("while cleaning up")

    inner = create_task(child())

    async def waiter():
        await attempt("waiter", inner)

    outer = create_task(waiter())
    await turns(2)
    outer.cancel()
    await outer
    trace("inner's exception", inner.exception())


@scenario("who waits for a cancelled task is not cancelled itself")
async def _():
    inner = create_task(parked())

    async def waiter():
        await attempt("waiter", inner)
        trace("requests", current_task().cancelling())
        await sleep(0)
        trace("waiter goes on")

    outer = create_task(waiter())
    await turns(2)
    inner.cancel("inner only")
    await outer


@scenario(
    "of two who wait for one task, cancelling one cancels the other's task",
    differs="everybody who waits is given the message; asyncio gives it to the first",
    expected="""
          child: start
          child: cancelled(b is cancelled)
          a: cancelled(b is cancelled)
          a requests 0
        - b: cancelled
        + b: cancelled(b is cancelled)
          b requests 1
    """,
)
async def _():
    inner = create_task(parked())

    async def waiter(name):
        await attempt(name, inner)
        trace(name, "requests", current_task().cancelling())

    a = create_task(waiter("a"))
    b = create_task(waiter("b"))
    await turns(2)
    b.cancel("b is cancelled")
    await a
    await b


@scenario("a cancellation in the turn in which the sleep is over wins")
async def _():
    async def child():
        await attempt("sleep", sleep(1))
        trace("at", now())

    async def canceller():
        await sleep(1)
        trace("cancel", t.cancel("just in time"))

    first = create_task(canceller())
    await sleep(0)
    t = create_task(child())
    await t
    await first


@scenario("a cancellation after the awaited task's end, before its waiter has run, wins")
async def _():
    async def child():
        return 1

    inner = create_task(child())

    async def waiter():
        await attempt("waiter", inner)

    outer = create_task(waiter())
    await sleep(0)
    trace("inner done", inner.done(), "cancel", outer.cancel("won"))
    await outer


@scenario("cancelled by a callback")
async def _():
    t = create_task(parked())
    await sleep(0)
    asyncio.get_running_loop().call_soon(lambda: trace("callback: cancel", t.cancel("from a callback")))
    await attempt("get", t)


@scenario("cancelled by two who do not know each other")
async def _():
    async def child():
        await attempt("first", park())
        await attempt("second", park())

    t = create_task(child())

    async def canceller(name):
        t.cancel(name)
        await sleep(0)

    await sleep(0)
    await create_task(canceller("one"))
    await create_task(canceller("two"))
    await t
    trace("requests", t.cancelling())


@scenario("a request meant for the past: cancel, then the task waits for something that is ready")
async def _():
    async def child():
        lock = asyncio.Lock()
        queue = asyncio.Queue()
        event = asyncio.Event()
        event.set()
        current_task().cancel("later")
        await lock.acquire()
        trace("locked")
        await queue.put(1)
        trace("put")
        trace("got", await queue.get())
        await event.wait()
        trace("event")
        await attempt("the first real wait", sleep(0))

    await create_task(child())


@scenario("a cancelled sleeper leaves no deadline behind")
async def _():
    async def child():
        await sleep(1000)

    t = create_task(child())
    await sleep(1)
    t.cancel()
    await attempt("get", t)
    await sleep(2)
    trace("at", now())


@scenario("cancelled tasks end in the order in which they were cancelled")
async def _():
    async def child(name):
        try:
            await park()
        finally:
            trace(name, "ends")

    tasks = [create_task(child(n)) for n in (0, 1, 2, 3)]
    await sleep(0)
    for n in (2, 0, 3, 1):
        tasks[n].cancel()
    for t in tasks:
        await attempt("get", t)


@scenario("cancelling a task in its last wait, and once more when it is over")
async def _():
    async def child():
        await attempt("wait", park())
        return 2

    t = create_task(child())
    await sleep(0)
    trace("cancel", t.cancel())
    await sleep(0)
    attempt_now("cancel", t.cancel)
    trace("result", t.result(), "requests", t.cancelling())
