"""Task groups: who is cancelled when, what is thrown."""

import asyncio
from asyncio import CancelledError, TaskGroup, create_task, current_task, sleep

from scenario import Failure, attempt, now, park, scenario, trace, turns


async def failing(seconds, message):
    await sleep(seconds)
    raise Failure(message)


async def failing_at_once(n):
    raise Failure(f"at once, {n}")


async def told(name):
    """Tells of a cancellation and passes it on."""
    try:
        await park()
    except CancelledError:
        trace(name, "cancelled at", now())
        raise


@scenario("a group ends when its last child has")
async def _():
    async def child(seconds):
        await sleep(seconds)
        trace("child ends at", now())
        return seconds

    async with TaskGroup() as group:
        tasks = [group.create_task(child(s)) for s in (2, 1)]
        trace("body ends at", now())
    trace("group ends at", now(), [t.result() for t in tasks])


@scenario("a group without children ends at once")
async def _():
    async with TaskGroup():
        trace("body")
    trace("end")


@scenario("a child that fails cancels its siblings and the body")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(told("sibling"))
            group.create_task(failing(1, "broken"))
            await told("body")

    await attempt("group", body())
    trace("requests", current_task().cancelling())
    await sleep(1)
    trace("at", now())


@scenario("a child that fails before the body waits does not stop it until then")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(failing(0, "broken"))
            trace("body runs on")
            await attempt("body", sleep(5))
            trace("body swallowed it at", now())

    await attempt("group", body())


@scenario("a child that fails when the body has ended")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(told("sibling"))
            group.create_task(failing(1, "broken"))
        trace("never")

    await attempt("group", body())


@scenario(
    "a group takes its own request back, whenever a child failed",
    since=(3, 13),
    source="documentation of asyncio.TaskGroup, changed in 3.13; test_asyncio.test_taskgroups: test_cancelling_level_preserved",
    expected="""
        group: group[failure(0)]
        requests 0
        group: group[failure(1)]
        requests 0
        group: group[failure(2)]
        requests 0
    """,
)
async def _():
    async def body(n):
        async with TaskGroup() as group:
            group.create_task(failing(n, n))
            group.create_task(park())
            await sleep(1)

    for n in (0, 1, 2):
        await attempt("group", body(n))
        trace("requests", current_task().cancelling())


@scenario("two children fail in one turn")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(failing(1, "first"))
            group.create_task(failing(1, "second"))

    await attempt("group", body())


@scenario("children that fail without ever waiting")
async def _():
    async def body():
        async with TaskGroup() as group:
            for n in (1, 2):
                group.create_task(failing(0, f"after a yield, {n}"))
                group.create_task(failing_at_once(n))
            group.create_task(told("sibling"))

    await attempt("group", body())


@scenario("a child that succeeds in the turn in which its sibling fails")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(failing(1, "broken"))
            child = group.create_task(sleep(1, "value"))
            try:
                await park()
            finally:
                trace("child", child.result())

    await attempt("group", body())


@scenario("a sibling that fails while it is cancelled")
async def _():
    async def sibling():
        try:
            await park()
        except CancelledError:
            await sleep(2)
            raise Failure("while cleaning up")

    async def body():
        async with TaskGroup() as group:
            group.create_task(sibling())
            group.create_task(failing(1, "broken"))

    await attempt("group", body())
    trace("at", now())


@scenario("a sibling that swallows its cancellation")
async def _():
    async def sibling():
        await attempt("sibling", park())
        await sleep(2)
        trace("sibling ends at", now())

    async def body():
        async with TaskGroup() as group:
            group.create_task(sibling())
            group.create_task(failing(1, "broken"))

    await attempt("group", body())
    trace("at", now())


@scenario("a body that fails")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(told("child"))
            await sleep(1)
            raise Failure("body")

    await attempt("group", body())


@scenario(
    "a body that fails, and then a child",
    differs="the failures are in the order in which they happened (API.md, 6); asyncio puts the body's last",
    expected="""
        - group: group[failure(child), failure(body)]
        + group: group[failure(body), failure(child)]
    """,
)
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            raise Failure("child")

    async def body():
        async with TaskGroup() as group:
            group.create_task(child())
            await sleep(1)
            raise Failure("body")

    await attempt("group", body())


@scenario("a child that fails, and then the body while it is cut off")
async def _():
    async def body():
        async with TaskGroup() as group:
            group.create_task(failing(1, "child"))
            try:
                await park()
            except CancelledError:
                raise Failure("body")

    await attempt("group", body())


@scenario("a child that ends cancelled by itself is no failure")
async def _():
    async def body():
        async with TaskGroup() as group:
            a = group.create_task(told("a"))
            b = group.create_task(sleep(2, "value"))
            await sleep(1)
            a.cancel()
            trace("b", await b)

    await attempt("group", body())
    trace("at", now())


@scenario("a body that waits for a child that was cancelled")
async def _():
    async def body():
        async with TaskGroup() as group:
            child = group.create_task(told("child"))
            group.create_task(told("sibling"))
            await sleep(1)
            child.cancel("child only")
            await child

    await attempt("group", body())
    trace("requests", current_task().cancelling())


@scenario("cancelled from outside while the body runs")
async def _():
    async def parent():
        async with TaskGroup() as group:
            group.create_task(told("child"))
            await told("body")

    t = create_task(parent())
    await sleep(1)
    t.cancel("from outside")
    await attempt("get", t)
    trace("requests", t.cancelling())


@scenario("cancelled from outside when the body has ended")
async def _():
    async def parent():
        async with TaskGroup() as group:
            group.create_task(told("child"))
        trace("never")

    t = create_task(parent())
    await sleep(1)
    t.cancel("from outside")
    await attempt("get", t)
    trace("requests", t.cancelling())


@scenario("cancelled from outside, and the children take their time")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            await sleep(3)
            trace("child cleaned up at", now())
            raise

    async def parent():
        async with TaskGroup() as group:
            group.create_task(child())

    t = create_task(parent())
    await sleep(1)
    t.cancel()
    await attempt("get", t)
    trace("at", now())


@scenario("cancelled from outside twice, the second time while the children take their time")
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            await sleep(3)
            trace("child cleaned up at", now())
            raise

    async def parent():
        async with TaskGroup() as group:
            group.create_task(child())

    t = create_task(parent())
    await sleep(1)
    t.cancel()
    await sleep(1)
    t.cancel()
    await attempt("get", t)
    trace("at", now(), "requests", t.cancelling())


@scenario(
    "cancelled from outside, and a child fails meanwhile: the cancellation stays pending",
    since=(3, 13),
    source="documentation of asyncio.TaskGroup, changed in 3.13; test_asyncio.test_taskgroups: test_taskgroup_24 and following",
    expected="""
        group: group[failure(while cleaning up)]
        requests 1
        the next wait: cancelled
    """,
)
async def _():
    async def child():
        try:
            await park()
        except CancelledError:
            raise Failure("while cleaning up")

    async def group_of_one():
        async with TaskGroup() as group:
            group.create_task(child())

    async def parent():
        await attempt("group", group_of_one())
        trace("requests", current_task().cancelling())
        await attempt("the next wait", sleep(1))

    t = create_task(parent())
    await sleep(1)
    t.cancel()
    await t


@scenario("children add children")
async def _():
    async def child(group, depth):
        trace("child", depth)
        if depth > 0:
            group.create_task(child(group, depth - 1))
        await sleep(1)
        trace("child", depth, "ends at", now())

    async with TaskGroup() as group:
        group.create_task(child(group, 2))
    trace("group ends at", now())


@scenario("no child can be added to a group that is being cancelled")
async def _():
    async def child(group):
        try:
            await park()
        except CancelledError:
            await attempt("adding", lambda: add(group))
            raise

    def add(group):
        coroutine = told("never")
        try:
            group.create_task(coroutine)
        finally:
            coroutine.close()

    async def body():
        async with TaskGroup() as group:
            group.create_task(child(group))
            group.create_task(failing(1, "broken"))

    await attempt("group", body())


@scenario("nested groups: a failure inside becomes a group within the group")
async def _():
    async def inner():
        async with TaskGroup() as group:
            group.create_task(failing(1, "inner"))
            group.create_task(told("inner sibling"))

    async def body():
        async with TaskGroup() as group:
            group.create_task(inner())
            group.create_task(told("outer sibling"))

    await attempt("group", body())


@scenario("nested groups: a failure outside cancels the group inside")
async def _():
    async def body():
        async with TaskGroup() as outer:
            outer.create_task(failing(1, "outer"))
            async with TaskGroup() as inner:
                inner.create_task(told("inner child"))
                await told("inner body")

    await attempt("group", body())
    trace("requests", current_task().cancelling())


@scenario("nested groups: children of both fail in one turn")
async def _():
    async def body():
        async with TaskGroup() as outer:
            outer.create_task(failing(1, "outer"))
            async with TaskGroup() as inner:
                inner.create_task(failing(1, "inner"))

    await attempt("group", body())
    await sleep(1)
    trace("at", now())


@scenario("a failure that is caught around an inner group stays there")
async def _():
    async def inner():
        async with TaskGroup() as group:
            group.create_task(failing(1, "inner"))

    async def body():
        async with TaskGroup() as group:
            group.create_task(sleep(3))
            await attempt("inner", inner())
            await sleep(1)
            trace("body goes on at", now())

    await attempt("outer", body())
    trace("at", now())


@scenario("a group in a timeout: the deadline cancels the children")
async def _():
    async def body():
        async with asyncio.timeout(2):
            async with TaskGroup() as group:
                group.create_task(told("child"))
                group.create_task(sleep(1))

    await attempt("timeout", body())
    trace("at", now(), "requests", current_task().cancelling())


@scenario("timeouts in a group: one child's deadline is a failure")
async def _():
    async def child(limit):
        async with asyncio.timeout(limit):
            await sleep(5)

    async def body():
        async with TaskGroup() as group:
            group.create_task(child(2))
            group.create_task(told("sibling"))

    await attempt("group", body())
    trace("at", now())


@scenario("a child that fails in the turn of the deadline around the group")
async def _():
    async def body():
        async with asyncio.timeout(1):
            async with TaskGroup() as group:
                group.create_task(failing(1, "broken"))

    await attempt("timeout", body())
    trace("requests", current_task().cancelling())
    await sleep(1)
    trace("at", now())


@scenario("a task group ends early by the documentation's recipe, or by cancel()")
async def _():
    class Terminate(Exception):
        pass

    async def terminate():
        raise Terminate()

    async def body():
        try:
            async with TaskGroup() as group:
                group.create_task(told("child"))
                await sleep(1)
                group.create_task(terminate())
        except* Terminate:
            pass
        trace("group ended at", now())

    await attempt("body", body())


@scenario("one group after another")
async def _():
    async def body(n):
        async with TaskGroup() as group:
            for i in range(n):
                group.create_task(failing(i, str(i)))
            group.create_task(turns(3))

    for n in (0, 1, 0, 2):
        await attempt("group", body(n))
