"""Waiting for many: gather, shield, wait, as_completed."""

import asyncio
from asyncio import CancelledError, FIRST_COMPLETED, FIRST_EXCEPTION, as_completed, create_task, current_task, gather, shield
from asyncio import sleep, wait

from scenario import Failure, attempt, now, park, scenario, trace, turns


async def after(seconds, value):
    await sleep(seconds)
    return value


async def failing(seconds, message):
    await sleep(seconds)
    raise Failure(message)


async def told(name):
    """Tells of a cancellation and passes it on."""
    try:
        await park()
    except CancelledError as error:
        trace(name, error, "at", now())
        raise


def task_after(seconds, value):
    return create_task(after(seconds, value), name=value)


def names(tasks):
    """Of a set of tasks, which asyncio does not order."""
    return sorted(t.get_name() for t in tasks)


async def waited(tasks, **more):
    done, pending = await wait(tasks, **more)
    trace("at", now(), "done", names(done), "pending", names(pending))


async def end(*tasks):
    """Ends what a scenario leaves behind."""
    for t in tasks:
        t.cancel()
    await wait(tasks)


@scenario("gather gives results in the order of its arguments")
async def _():
    trace(await gather(after(3, "a"), after(1, "b"), after(2, "c")), "at", now())
    trace(await gather(create_task(after(2, "d")), after(1, "e")), "at", now())


@scenario("gather of nothing")
async def _():
    trace(await gather())


@scenario("gather of tasks that are done")
async def _():
    a, b = task_after(0, "a"), task_after(0, "b")
    await a
    await b
    trace(await gather(a, b))


@scenario("gather of one task twice")
async def _():
    t = task_after(1, "a")
    trace(await gather(t, t))


@scenario("gather of tasks: the first exception comes at once, the others run on")
async def _():
    slow = task_after(5, "slow")
    await attempt("gather", gather(slow, create_task(failing(1, "broken"))))
    trace("at", now(), "slow done", slow.done())
    trace("slow", await slow, "at", now())


@scenario("gather of tasks: the second exception is not reported")
async def _():
    tasks = [create_task(failing(n, f"number {n}")) for n in (1, 2)]
    await attempt("gather", gather(*tasks))
    tasks = None
    await sleep(5)
    trace("at", now())


@scenario("gather with return_exceptions")
async def _():
    cancelled = create_task(park())
    asyncio.get_running_loop().call_later(2, cancelled.cancel)
    tasks = create_task(after(3, "a")), create_task(failing(1, "broken")), cancelled
    await attempt("gather", gather(*tasks, return_exceptions=True))
    trace("at", now())


@scenario("gather: a child that is cancelled by itself")
async def _():
    child, sibling = create_task(told("child")), create_task(told("sibling"))
    asyncio.get_running_loop().call_later(1, child.cancel)
    await attempt("gather", gather(child, sibling))
    trace("at", now(), "requests", current_task().cancelling(), "sibling done", sibling.done())
    await end(sibling)


@scenario(
    "gather of tasks, cancelled from outside, cancels them all and waits",
    differs="it throws when all have ended, as get does (API.md, 3); asyncio when the first has",
    expected="""
          a cancelled(from outside) at 1
          b cancelled(from outside) at 1
        + cleaned up at 4
          get: cancelled(from outside)
        - at 1 [true, false, true]
        + at 4 [true, true, true]
    """,
)
async def _():
    async def slowly():
        try:
            await park()
        except CancelledError:
            await sleep(3)
            trace("cleaned up at", now())
            raise

    children = [create_task(told("a")), create_task(slowly()), create_task(told("b"))]

    async def parent():
        await gather(*children)

    t = create_task(parent())
    await sleep(1)
    t.cancel("from outside")
    await attempt("get", t)
    trace("at", now(), [c.cancelled() for c in children])


@scenario("gather with return_exceptions, cancelled from outside, throws all the same")
async def _():
    async def parent():
        await gather(told("a"), told("b"), return_exceptions=True)

    t = create_task(parent())
    await sleep(1)
    t.cancel("from outside")
    await attempt("get", t)


@scenario("gather, cancelled from outside, and a child swallows it")
async def _():
    async def child():
        await attempt("child", park())
        return "value"

    t = create_task(child())

    async def parent():
        await attempt("gather", gather(t, told("other")))

    p = create_task(parent())
    await sleep(1)
    p.cancel()
    await p
    trace("child", t.result())


@scenario("gather, cancelled from outside in the turn in which all are done")
async def _():
    children = [task_after(0, "a"), task_after(0, "b")]

    async def parent():
        await attempt("gather", gather(*children))

    t = create_task(parent())
    await turns(2)
    trace([c.done() for c in children])
    t.cancel("won")
    await t


@scenario(
    "gather of functions: the first exception ends the others",
    differs="it owns what it starts, cancels the rest and waits for them (API.md, 4); asyncio lets them run on",
    expected="""
        + other cancelled at 1
        + gather: failure(broken)
        + at 1
        - gather: failure(broken)
        - at 1
        - other cancelled at 3
          end
    """,
)
async def _():
    async def other():
        try:
            await sleep(5)
        except CancelledError:
            trace("other cancelled at", now())
            raise

    other_task = create_task(other())
    await attempt("gather", gather(other_task, failing(1, "broken")))
    trace("at", now())
    await sleep(2)
    await end(other_task)
    trace("end")


@scenario("gather within gather")
async def _():
    async def pair(name):
        return await gather(after(1, name + "1"), after(2, name + "2"))

    trace(await gather(pair("a"), pair("b")), "at", now())
    await attempt("failing", gather(pair("c"), gather(failing(1, "deep"), after(0, "d"))))


@scenario("shield passes the result and the exception on")
async def _():
    await attempt("result", shield(task_after(1, "value")))
    await attempt("exception", shield(create_task(failing(1, "broken"))))
    done = task_after(0, "done")
    await done
    await attempt("done", shield(done))


@scenario("shield: cancelling who waits does not cancel the task")
async def _():
    inner = task_after(5, "value")

    async def waiter():
        await attempt("waiter", shield(inner))
        trace("at", now())

    t = create_task(waiter())
    await sleep(1)
    t.cancel("waiter only")
    await t
    trace("inner", await inner, "at", now())


@scenario("shield: cancelling the task cancels who waits, but makes no request of it")
async def _():
    inner = create_task(told("inner"))

    async def waiter():
        await attempt("waiter", shield(inner))
        trace("requests", current_task().cancelling())

    t = create_task(waiter())
    await sleep(1)
    inner.cancel()
    await t


@scenario("shield: nobody is left to take the exception")
async def _():
    async def waiter():
        await attempt("waiter", shield(create_task(failing(2, "unheard"))))

    t = create_task(waiter())
    await sleep(1)
    t.cancel()
    await t
    await sleep(5)
    trace("at", now())


@scenario("shield in a timeout: the task outlives the deadline")
async def _():
    inner = task_after(5, "value")

    async def body():
        async with asyncio.timeout(1):
            await shield(inner)

    await attempt("timeout", body())
    trace("inner", await inner, "at", now())


@scenario("shield twice, for two who wait")
async def _():
    inner = task_after(3, "value")

    async def waiter(name):
        await attempt(name, shield(inner))

    a, b = create_task(waiter("a")), create_task(waiter("b"))
    await sleep(1)
    a.cancel()
    await a
    await b


@scenario("wait for all")
async def _():
    await waited([task_after(2, "a"), task_after(1, "b"), create_task(failing(3, ""), name="c")])


@scenario("wait for the first to be done")
async def _():
    tasks = [task_after(2, "a"), task_after(1, "b")]
    await waited(tasks, return_when=FIRST_COMPLETED)
    await waited(tasks, return_when=FIRST_COMPLETED)
    await waited(tasks)


@scenario("wait for the first to be done: two in one turn")
async def _():
    tasks = [task_after(2, "a"), task_after(1, "b"), task_after(1, "c")]
    await waited(tasks, return_when=FIRST_COMPLETED)
    await end(*tasks)


@scenario("wait for the first exception")
async def _():
    tasks = [task_after(1, "a"), create_task(failing(2, "broken"), name="b"), task_after(3, "c")]
    await waited(tasks, return_when=FIRST_EXCEPTION)
    trace(tasks[1].exception())
    await end(*tasks)


@scenario("wait for the first exception: there is none")
async def _():
    await waited([task_after(1, "a"), task_after(2, "b")], return_when=FIRST_EXCEPTION)


@scenario("wait for the first exception: a cancelled task is none")
async def _():
    parked = create_task(park(), name="parked")
    asyncio.get_running_loop().call_later(1, parked.cancel)
    await waited([task_after(2, "a"), parked], return_when=FIRST_EXCEPTION)


@scenario("wait with a time limit cancels nothing and throws nothing")
async def _():
    tasks = [task_after(1, "a"), task_after(3, "b")]
    await waited(tasks, timeout=2)
    await waited(tasks, timeout=0)
    await waited(tasks, timeout=9)


@scenario("wait, cancelled from outside, leaves the tasks alone")
async def _():
    tasks = [task_after(2, "a"), task_after(3, "b")]

    async def waiter():
        await wait(tasks)

    t = create_task(waiter())
    await sleep(1)
    t.cancel("waiter only")
    await attempt("waiter", t)
    await waited(tasks)


@scenario("wait for nothing is refused")
async def _():
    await attempt("wait", wait([]))


@scenario("as_completed gives tasks in the order in which they end")
async def _():
    for t in as_completed([task_after(3, "a"), task_after(1, "b"), create_task(failing(2, "broken"))]):
        await attempt("next", t)
        trace("at", now())


@scenario("as_completed with a time limit, which counts from the call")
async def _():
    tasks = [task_after(1, "a"), task_after(9, "b")]

    async def everyone():
        for t in as_completed(tasks, timeout=3):
            trace(await t, "at", now())
            await sleep(1)

    await attempt("as_completed", everyone())
    trace("at", now(), "b done", tasks[1].done())
    await end(*tasks)


@scenario("as_completed, left early, leaves the rest running")
async def _():
    tasks = [task_after(1, "a"), task_after(2, "b")]
    for t in as_completed(tasks):
        trace(await t, "at", now())
        break
    trace(await tasks[1], "at", now())


@scenario("as_completed, cancelled from outside, leaves the tasks alone")
async def _():
    tasks = [task_after(1, "a"), task_after(3, "b")]

    async def waiter():
        for t in as_completed(tasks):
            trace(await t, "at", now())

    t = create_task(waiter())
    await sleep(2)
    t.cancel("waiter only")
    await attempt("waiter", t)
    trace(await tasks[1], "at", now())


@scenario("as_completed of nothing")
async def _():
    for t in as_completed([]):
        trace("never")
    trace("end")
