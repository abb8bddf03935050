"""Futures, the loop's callbacks and timers, run and runner."""

import asyncio
from asyncio import CancelledError, create_task, current_task, get_running_loop, sleep

from scenario import Failure, attempt, attempt_now, new_runner, now, park, scenario, trace, turns


def future():
    return get_running_loop().create_future()


@scenario("future: a value wakes who waits")
async def _():
    f = future()

    async def waiter():
        trace("got", await f)

    t = create_task(waiter())
    await sleep(0)
    f.set_result(5)
    trace("set, done", f.done(), "cancelled", f.cancelled())
    await t


@scenario("future: an exception reaches who waits")
async def _():
    f = future()
    t = create_task(attempt("waiter", f))
    await sleep(0)
    f.set_exception(Failure("broken"))
    await t


@scenario("future: set twice is refused")
async def _():
    f = future()
    f.set_result(1)
    attempt_now("value", lambda: f.set_result(2))
    attempt_now("exception", lambda: f.set_exception(Failure("x")))
    trace(await f)


@scenario("future: cancelled, it throws at who waits, whose task goes on")
async def _():
    f = future()

    async def waiter():
        await attempt("waiter", f)
        trace("requests", current_task().cancelling())
        await sleep(0)
        trace("goes on")

    t = create_task(waiter())
    await sleep(0)
    trace("cancel", f.cancel("not today"), "again", f.cancel(), "cancelled", f.cancelled())
    await t


@scenario("future: cancelled after it was set: too late")
async def _():
    f = future()
    f.set_result(1)
    trace("cancel", f.cancel(), "cancelled", f.cancelled(), "got", await f)


@scenario(
    "future: to set a cancelled one",
    differs="set_value says false (API.md, 7): whoever computed the value need not fail because nobody wants it",
    expected="""
        - set: invalid state
        + set: returned false
    """,
)
async def _():
    f = future()
    f.cancel()
    attempt_now("set", lambda: f.set_result(1))


@scenario(
    "future: who waits is cancelled",
    differs="the future is left as it was, as std::future would be; asyncio cancels it",
    expected="""
          waiter: cancelled
        - future cancelled true
        + future cancelled false
    """,
)
async def _():
    f = future()
    t = create_task(attempt("waiter", f))
    await sleep(0)
    t.cancel()
    await t
    trace("future cancelled", f.cancelled())


@scenario("future: many who wait go on in order")
async def _():
    f = future()

    async def waiter(name):
        trace(name, "got", await f)

    tasks = [create_task(waiter(n)) for n in "abc"]
    await sleep(0)
    f.set_result(1)
    for t in tasks:
        await t


@scenario("future: set, and then the waiter is cancelled before it has run")
async def _():
    f = future()
    t = create_task(attempt("waiter", f))
    await sleep(0)
    f.set_result(1)
    t.cancel("won")
    await t
    trace("future cancelled", f.cancelled())


@scenario("callbacks run in order, those they queue a turn later")
async def _():
    loop = get_running_loop()

    def first():
        trace("first")
        loop.call_soon(trace, "queued by the first")

    loop.call_soon(first)
    loop.call_soon(trace, "second")
    await sleep(0)
    trace("a turn later")
    await sleep(0)
    trace("two turns later")


@scenario("callbacks and tasks take their turns in one order")
async def _():
    loop = get_running_loop()

    async def child(name):
        trace("task", name)
        await sleep(0)
        trace("task", name, "again")

    tasks = [create_task(child(1))]
    loop.call_soon(trace, "callback 1")
    tasks.append(create_task(child(2)))
    loop.call_soon(trace, "callback 2")
    for t in tasks:
        await t


@scenario("a callback that was cancelled does not run")
async def _():
    loop = get_running_loop()
    handle = loop.call_soon(trace, "never")
    handle.cancel()
    timer = loop.call_later(1, trace, "never")
    loop.call_soon(timer.cancel)
    await sleep(2)
    trace("cancelled", handle.cancelled(), timer.cancelled())


@scenario("a callback that throws is reported, and the loop goes on")
async def _():
    def bad():
        raise Failure("in the callback")

    get_running_loop().call_soon(bad)
    get_running_loop().call_soon(trace, "the next")
    await turns(2)


@scenario("timers run in the order of their times")
async def _():
    loop = get_running_loop()
    begin = loop.time()
    for n in (3, 1, 2):
        loop.call_later(n, lambda n=n: trace("timer", n, "at", now()))
    loop.call_at(begin + 2.5, trace, "at two and a half")
    await sleep(4)


@scenario(
    "timers of one time",
    differs="in the order in which they were made (API.md, 9); asyncio's heap gives no order",
    expected="""
          0
        - 2
          1
        + 2
          3
          4
    """,
)
async def _():
    for n in range(5):
        get_running_loop().call_later(1, trace, n)
    await sleep(2)


@scenario("a timer cancels another of the same time")
async def _():
    loop = get_running_loop()
    loop.call_later(1, lambda: second.cancel())
    second = loop.call_later(1, trace, "never")
    await sleep(2)
    trace("cancelled", second.cancelled())


@scenario("a timer of no time, or less, runs at once")
async def _():
    loop = get_running_loop()
    for seconds in (0, -1):
        loop.call_later(1, trace, "later")
        loop.call_later(seconds, lambda: trace("at once, at", now()))
        await sleep(2)


@scenario("run returns what its function returns, and throws what it throws")
def _():
    async def value():
        return 5

    async def failing():
        raise Failure("main")

    async def cancelling():
        current_task().cancel("myself")
        await sleep(1)

    for main in (value, failing, cancelling):
        with new_runner() as runner:
            attempt_now("run", lambda: runner.run(main()))


@scenario("run ends the tasks that are left, and waits for them")
def _():
    async def left():
        try:
            await park()
        except CancelledError:
            trace("cleaning up")
            await sleep(1)
            trace("cleaned up")
            raise

    async def main():
        create_task(left())
        await sleep(0)
        trace("main ends")

    with new_runner() as runner:
        runner.run(main())
    trace("run ends")


@scenario("run: a task that was left fails at the end")
def _():
    async def left():
        try:
            await park()
        except CancelledError:
            raise Failure("at the end")

    async def main():
        create_task(left())
        await sleep(0)

    with new_runner() as runner:
        attempt_now("run", lambda: runner.run(main()))
    trace("run ends")


@scenario("run: a task that was left before its first turn")
def _():
    async def left():
        trace("started")
        await attempt_quietly(park())

    async def main():
        create_task(left())
        trace("main ends")

    with new_runner() as runner:
        runner.run(main())
    trace("run ends")


@scenario("run: a task that was left swallows its end")
def _():
    async def left():
        await attempt_quietly(park())
        for n in (1, 2):
            await sleep(1)
            trace("still here", n)

    async def main():
        create_task(left())
        await sleep(0)

    with new_runner() as runner:
        runner.run(main())
    trace("run ends")


async def attempt_quietly(awaitable):
    try:
        await awaitable
    except CancelledError:
        trace("swallowed")


@scenario("run within run is refused")
async def _():
    coroutine = sleep(0)
    attempt_now("run", lambda: asyncio.run(coroutine))
    coroutine.close()


@scenario("runner: several runs on one loop, and tasks go on in the next")
def _():
    async def first():
        async def counting():
            for n in (1, 2, 3):
                trace("count", n)
                await sleep(1)

        create_task(counting())
        await sleep(0)
        return "first"

    async def second():
        await sleep(1.5)
        return "second"

    with new_runner() as runner:
        trace(runner.run(first()))
        trace(runner.run(second()))
    trace("closed")


@scenario("runner: goes on after a run that failed")
def _():
    async def failing():
        raise Failure("first")

    async def fine():
        return "second"

    with new_runner() as runner:
        attempt_now("run", lambda: runner.run(failing()))
        attempt_now("run", lambda: runner.run(fine()))


@scenario(
    "runner: a run on a closed one",
    differs="invalid_state where asyncio has a RuntimeError (API.md, 1: the object is not in a state that allows it)",
    expected="""
        - run: misuse
        + run: invalid state
    """,
)
def _():
    runner = new_runner()
    runner.run(sleep(0))
    runner.close()
    runner.close()
    coroutine = sleep(0)
    attempt_now("run", lambda: runner.run(coroutine))
    coroutine.close()
