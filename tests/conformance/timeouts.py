"""Deadlines: timeout, timeout_at, wait_for; races, nesting, rescheduling."""

import asyncio
from asyncio import CancelledError, create_task, current_task, sleep, timeout, timeout_at, wait_for

from scenario import Failure, attempt, attempt_now, now, park, pass_time, scenario, trace, turns


async def after(seconds, value):
    await sleep(seconds)
    return value


@scenario("a body that is done in time")
async def _():
    async with timeout(10) as scope:
        await sleep(1)
        trace("slept")
    trace("at", now(), "expired", scope.expired(), "requests", current_task().cancelling())


@scenario("a body that is cut off")
async def _():
    async def body():
        async with timeout(1):
            try:
                await park()
            except CancelledError as error:
                trace("body: cut off at", now(), error)
                raise

    await attempt("timeout", body())
    trace("requests", current_task().cancelling())
    await sleep(1)
    trace("at", now())


@scenario("a body that fails in time")
async def _():
    async def body():
        async with timeout(1):
            raise Failure("early")

    await attempt("timeout", body())
    await sleep(2)
    trace("at", now())


@scenario("no time at all, and a body that waits")
async def _():
    async def body(seconds):
        async with timeout(seconds):
            trace("body")
            await sleep(5)

    await attempt("zero", body(0))
    await attempt("negative", body(-1))
    trace("at", now())


@scenario("no time at all, and a body that does not wait")
async def _():
    async def body():
        async with timeout(0):
            trace("body")
        trace("no error")
        await sleep(1)

    await attempt("timeout", body())
    trace("requests", current_task().cancelling())


@scenario("a body that swallows the cut and returns")
async def _():
    async def body():
        async with timeout(1) as scope:
            await attempt("wait", park())
            await sleep(5)
            trace("went on, expired", scope.expired())
        return "value"

    await attempt("timeout", body())
    trace("at", now(), "requests", current_task().cancelling())


@scenario("a body that turns the cut into an error")
async def _():
    async def body():
        async with timeout(1):
            try:
                await park()
            except CancelledError:
                raise Failure("instead")

    await attempt("timeout", body())
    trace("requests", current_task().cancelling())


@scenario("cleaning up may take longer than the deadline")
async def _():
    async def body():
        async with timeout(1):
            try:
                await park()
            except CancelledError:
                await sleep(5)
                trace("cleaned up at", now())
                raise

    await attempt("timeout", body())


@scenario("nested: the inner deadline comes first")
async def _():
    async def inner():
        async with timeout(1):
            await park()

    async def outer():
        async with timeout(3):
            await attempt("inner", inner())
            await sleep(1)
            trace("outer goes on at", now())

    await attempt("outer", outer())


@scenario("nested: the outer deadline comes first")
async def _():
    async def inner():
        async with timeout(3):
            await park()

    async def outer():
        async with timeout(1):
            await attempt("inner", inner())
            trace("outer: swallowed at", now())
            await sleep(1)

    await attempt("outer", outer())
    trace("at", now(), "requests", current_task().cancelling())


@scenario("nested: both deadlines come at once, and one error leaves")
async def _():
    async def outer():
        async with timeout(1) as first:
            try:
                async with timeout(1) as second:
                    await park()
            except BaseException as error:
                trace("inner:", error)
                raise
            finally:
                trace("expired", first.expired(), second.expired())

    await attempt("outer", outer())
    trace("requests", current_task().cancelling())
    await sleep(1)
    trace("at", now())


@scenario("nested: the outer deadline comes while the inner one's cut is being cleaned up")
async def _():
    async def inner():
        async with timeout(1):
            try:
                await park()
            except CancelledError:
                trace("cleaning up at", now())
                await sleep(10)
                trace("never")

    async def outer():
        async with timeout(2):
            await inner()

    await attempt("outer", outer())
    trace("at", now(), "requests", current_task().cancelling())


@scenario("a deadline that is put off")
async def _():
    async def body():
        async with timeout(1) as scope:
            scope.reschedule(3)
            await sleep(2)
            trace("at", now(), "when", scope.when(), "expired", scope.expired())
            await park()

    await attempt("timeout", body())
    trace("at", now())


@scenario("a deadline that is brought forward, even to the past")
async def _():
    async def body(when):
        async with timeout(10) as scope:
            await sleep(1)
            scope.reschedule(when)
            await park()

    await attempt("timeout", body(2))
    trace("at", now())
    await attempt("timeout", body(1))
    trace("at", now())


@scenario("a deadline that is taken away, and set again")
async def _():
    async def body():
        async with timeout(1) as scope:
            scope.reschedule(None)
            await sleep(5)
            trace("at", now())
            scope.reschedule(6)
            await park()

    await attempt("timeout", body())
    trace("at", now())


@scenario("no deadline to begin with")
async def _():
    async def body():
        async with timeout(None) as scope:
            await sleep(5)
            scope.reschedule(7)
            await park()

    await attempt("timeout", body())
    trace("at", now())


@scenario(
    "a deadline that has passed cannot be put off",
    differs="invalid_state where asyncio has a RuntimeError (API.md, 5)",
    expected="""
          wait: cancelled
        - reschedule: misuse
        + reschedule: invalid state
          timeout: returned
    """,
)
async def _():
    async def body():
        async with timeout(1) as scope:
            await attempt("wait", park())
            attempt_now("reschedule", lambda: scope.reschedule(9))

    await attempt("timeout", body())


@scenario("a point in time for a deadline, also in the past")
async def _():
    async def body(when):
        async with timeout_at(when):
            await park()

    await attempt("timeout", body(2))
    trace("at", now())
    await attempt("timeout", body(1))
    trace("at", now())


@scenario("cancelled from outside before the deadline")
async def _():
    async def child():
        async with timeout(5) as scope:
            try:
                await park()
            finally:
                trace("expired", scope.expired())

    t = create_task(child())
    await sleep(1)
    t.cancel("from outside")
    await attempt("get", t)


@scenario("cancelled from outside in the turn of the deadline")
async def _():
    async def child():
        async with timeout(1):
            await park()

    asyncio.get_running_loop().call_later(1, lambda: t.cancel("from outside"))
    t = create_task(child())
    await attempt("get", t)
    trace("at", now(), "requests", t.cancelling())


@scenario("cancelled from outside when the deadline has passed and nobody has noticed")
async def _():
    async def child():
        async with timeout(1):
            await park()

    t = create_task(child())
    await sleep(0)
    pass_time(2)
    t.cancel("from outside")
    await attempt("get", t)
    trace("at", now(), "requests", t.cancelling())


@scenario("the deadline comes while a cancellation is being cleaned up")
async def _():
    async def child():
        async with timeout(2):
            try:
                await park()
            except CancelledError as error:
                trace("cleaning up:", error)
                await attempt("cleaning up", sleep(5))
                raise

    t = create_task(child())
    await sleep(1)
    t.cancel("from outside")
    await attempt("get", t)
    trace("at", now(), "requests", t.cancelling())


@scenario("the deadline comes in the turn in which the body's wait is over")
async def _():
    async def child():
        async with timeout(1):
            await sleep(1)
            trace("never")

    await attempt("timeout", create_task(child()))
    trace("at", now())


@scenario("one timeout after another in one task")
async def _():
    async def body(n):
        async with timeout(1):
            await sleep(n)

    for n in (2, 0, 3, 0):
        await attempt("timeout", body(n))
        trace("at", now(), "requests", current_task().cancelling())


@scenario("each task has its own deadline")
async def _():
    async def child(limit):
        async with timeout(limit):
            await sleep(2)

    tasks = [create_task(child(limit)) for limit in (3, 1)]
    for t in tasks:
        await attempt("get", t)


@scenario("wait_for a function: in time, too late, failing")
async def _():
    async def failing():
        raise Failure("early")

    await attempt("in time", wait_for(after(1, "value"), 2))
    await attempt("too late", wait_for(after(5, "value"), 2))
    await attempt("failing", wait_for(failing(), 2))
    await attempt("without a limit", wait_for(after(1, "value"), None))
    trace("at", now())


@scenario(
    "wait_for a function, and no time at all",
    differs="the function runs until its first check, as in timeout(0) (API.md, 5); asyncio does not start it",
    expected="""
        - zero: timeout
        + body
        + zero: returned value
        + body
          zero, waiting: timeout
    """,
)
async def _():
    async def body(seconds):
        trace("body")
        if seconds > 0:
            await sleep(seconds)
        return "value"

    await attempt("zero", wait_for(body(0), 0))
    await attempt("zero, waiting", wait_for(body(1), 0))


@scenario("wait_for a task: in time, too late, failing")
async def _():
    async def failing():
        await sleep(1)
        raise Failure("early")

    await attempt("in time", wait_for(create_task(after(1, "value")), 2))
    late = create_task(after(5, "value"))
    await attempt("too late", wait_for(late, 2))
    trace("at", now(), "done", late.done(), "cancelled", late.cancelled())
    await attempt("failing", wait_for(create_task(failing()), 2))


@scenario("wait_for a task that is done, and no time at all")
async def _():
    t = create_task(after(0, "value"))
    await t
    await attempt("zero", wait_for(t, 0))
    await attempt("negative", wait_for(t, -1))


@scenario("wait_for waits for the end of the task that it cancels")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            await sleep(3)
            trace("cleaned up at", now())
            raise

    await attempt("wait_for", wait_for(create_task(child()), 1))


@scenario("wait_for a task that swallows the cut and has a value")
async def _():
    async def child():
        await attempt("wait", park())
        return "all the same"

    await attempt("wait_for", wait_for(create_task(child()), 1))


@scenario("wait_for a task that fails when it is cut")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            raise Failure("while cleaning up")

    await attempt("wait_for", wait_for(create_task(child()), 1))


@scenario("wait_for passes a cancellation on to the task")
async def _():
    inner = create_task(after(10, "value"))

    async def waiter():
        await attempt("waiter", wait_for(inner, 5))

    outer = create_task(waiter())
    await sleep(1)
    outer.cancel("from outside")
    await outer
    trace("inner cancelled", inner.cancelled(), "at", now())


@scenario("wait_for a task that somebody else cancels")
async def _():
    inner = create_task(after(10, "value"))

    async def waiter():
        await attempt("waiter", wait_for(inner, 5))
        trace("requests", current_task().cancelling())

    outer = create_task(waiter())
    await sleep(1)
    inner.cancel("inner only")
    await outer


@scenario(
    "wait_for: cancelled from outside in the turn in which the task ends",
    since=(3, 12),
    source="documentation of asyncio.wait_for, changed in 3.12; test_asyncio.test_waitfor",
    expected="""
        inner done true
        waiter: cancelled(won)
    """,
)
async def _():
    inner = create_task(after(0, "value"))

    async def waiter():
        await attempt("waiter", wait_for(inner, 5))

    outer = create_task(waiter())
    await turns(2)
    trace("inner done", inner.done())
    outer.cancel("won")
    await outer
