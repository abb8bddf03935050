"""Tasks: starting, ending, results, callbacks, what nobody took."""

import asyncio
from asyncio import create_task, current_task, sleep

from scenario import Failure, attempt, attempt_now, now, park, scenario, trace, turns


@scenario("tasks start in the next turn, first in first out")
async def _():
    async def child(name):
        trace("child", name)

    tasks = [create_task(child(n)) for n in (1, 2, 3)]
    trace("created")
    await sleep(0)
    trace("one turn later:", [t.done() for t in tasks])


@scenario("tasks take turns when they yield")
async def _():
    async def child(name):
        for step in (1, 2, 3):
            trace(name, step)
            await sleep(0)

    tasks = [create_task(child(n)) for n in ("a", "b", "c")]
    for t in tasks:
        await t


@scenario("a child of a child starts a turn after it")
async def _():
    async def grandchild():
        trace("grandchild")

    async def child():
        trace("child: start")
        t = create_task(grandchild())
        trace("child: created")
        await t
        trace("child: end")

    first = create_task(child())

    async def second():
        trace("second")

    await create_task(second())
    await first


@scenario("sleepers wake in the order of their deadlines")
async def _():
    async def child(seconds):
        await sleep(seconds)
        trace("slept", seconds, "now", now())

    tasks = [create_task(child(s)) for s in (3, 1, 2)]
    for t in tasks:
        await t


@scenario("two sleepers with one deadline wake in the order in which they went to sleep")
async def _():
    async def child(name):
        await sleep(1)
        trace(name)

    tasks = [create_task(child(n)) for n in ("a", "b")]
    for t in tasks:
        await t


@scenario("sleeping for no time, or less, is yielding")
async def _():
    async def child():
        trace("child")

    create_task(child())
    await sleep(-1)
    trace("slept -1, now", now())
    create_task(child())
    await sleep(0)
    trace("slept 0, now", now())


@scenario("a result can be had as often as one likes, by as many as like")
async def _():
    async def child():
        await sleep(1)
        return 7

    t = create_task(child())

    async def waiter(name):
        trace(name, "got", await t)

    waiters = [create_task(waiter(n)) for n in ("a", "b", "c")]
    for w in waiters:
        await w
    trace("again:", await t, t.result())


@scenario("waiting for a task that is done does not wait")
async def _():
    async def child():
        return 1

    done = create_task(child())
    await sleep(0)

    async def other():
        trace("other")

    create_task(other())
    trace("got", await done)
    await sleep(0)
    trace("end")


@scenario("an exception is thrown at everybody who waits, each time")
async def _():
    async def child():
        await sleep(0)
        raise Failure("broken")

    t = create_task(child())

    async def waiter(name):
        await attempt(name, t)

    waiters = [create_task(waiter(n)) for n in ("a", "b")]
    for w in waiters:
        await w
    await attempt("again", t)
    trace("exception", t.exception(), "cancelled", t.cancelled())


@scenario("an unfinished task has neither result nor exception")
async def _():
    t = create_task(park())
    attempt_now("result", t.result)
    attempt_now("exception", t.exception)
    trace("done", t.done(), "cancelled", t.cancelled())
    t.cancel()
    await attempt("get", t)


@scenario(
    "the exception of a cancelled task",
    differs="exception() gives the `cancelled`; it does not throw it (API.md, 3)",
    expected="""
          done true cancelled true
        - exception: cancelled
        + exception: returned cancelled
          result: cancelled
    """,
)
async def _():
    t = create_task(park())
    await sleep(0)
    t.cancel()
    await turns(2)
    trace("done", t.done(), "cancelled", t.cancelled())
    attempt_now("exception", t.exception)
    attempt_now("result", t.result)


@scenario("a task that throws a cancellation itself ends cancelled")
async def _():
    async def child():
        raise asyncio.CancelledError("by itself")

    t = create_task(child())
    await attempt("get", t)
    trace("cancelled", t.cancelled(), "requests", t.cancelling())


@scenario("a task has a name, and can be given another")
async def _():
    async def child():
        trace("I am", current_task().get_name())
        current_task().set_name("else")
        trace("I am", current_task().get_name())

    t = create_task(child(), name="someone")
    await t
    trace(t.get_name())


@scenario("each task is its own current task, also after it waited")
async def _():
    tasks = {}

    async def child(name):
        for _ in range(2):
            trace(name, "is itself:", current_task() is tasks[name])
            await sleep(0)

    for name in ("a", "b"):
        tasks[name] = create_task(child(name))
    for t in tasks.values():
        await t


@scenario(
    "the current task in a callback",
    differs="there is none: current_task() throws no_running_task, it gives no empty handle (API.md, 3)",
    expected="""
        - callback: returned
        + callback: misuse
    """,
)
async def _():
    asyncio.get_running_loop().call_soon(lambda: attempt_now("callback", current_task))
    await turns(2)


@scenario("all_tasks are the unfinished ones, the caller too")
async def _():
    def names():
        return sorted(t.get_name() for t in asyncio.all_tasks())

    async def child():
        trace("in the child:", names())

    current_task().set_name("main")
    parked = create_task(park(), name="parked")
    short = create_task(child(), name="short")
    trace("created:", names())
    await short
    trace("one ended:", names())
    parked.cancel()
    await attempt("get", parked)
    trace("both ended:", names())


@scenario("a task that waits for itself is told so")
async def _():
    box = []

    async def child():
        await attempt("itself", box[0])

    box.append(create_task(child()))
    await box[0]


@scenario("a task whose handle was dropped goes on")
async def _():
    async def child():
        await sleep(0)
        trace("still here")

    create_task(child())
    await turns(3)


@scenario("done callbacks run in order of registration, a turn after the end")
async def _():
    async def child():
        trace("child ends")

    t = create_task(child())
    t.add_done_callback(lambda done: trace("first", done is t))
    t.add_done_callback(lambda done: trace("second", done.done()))
    await sleep(0)
    trace("a turn later")
    await sleep(0)
    trace("two turns later")


@scenario("a done callback of a task that is done runs in the next turn")
async def _():
    async def child():
        pass

    t = create_task(child())
    await t
    t.add_done_callback(lambda done: trace("callback"))
    trace("added")
    await sleep(0)
    trace("end")


@scenario("a done callback can be taken back")
async def _():
    async def child():
        pass

    def callback(done):
        trace("never")

    t = create_task(child())
    t.add_done_callback(callback)
    t.add_done_callback(lambda done: trace("the other"))
    trace("removed", bool(t.remove_done_callback(callback)))
    trace("again", bool(t.remove_done_callback(callback)))
    await turns(3)


@scenario("a done callback that throws is reported and stops nothing")
async def _():
    async def child():
        pass

    def bad(done):
        raise Failure("in the callback")

    t = create_task(child())
    t.add_done_callback(bad)
    t.add_done_callback(lambda done: trace("the next"))
    await turns(3)


@scenario("done callbacks see a cancelled task")
async def _():
    t = create_task(park())
    t.add_done_callback(lambda done: trace("done", done.done(), "cancelled", done.cancelled()))
    await sleep(0)
    t.cancel("enough")
    await turns(3)


@scenario("an exception that nobody took is reported when the last handle dies")
async def _():
    async def child():
        raise Failure("lost")

    t = create_task(child())
    await turns(2)
    trace("still held")
    t = None
    await turns(2)
    trace("end")


@scenario("an exception that was looked at is not reported")
async def _():
    async def child():
        raise Failure("seen")

    t = create_task(child())
    await turns(2)
    trace(t.exception())
    t = None
    await turns(2)
    trace("end")


@scenario("waiting for the end alone takes no exception")
async def _():
    async def child():
        raise Failure("only waited for")

    t = create_task(child())
    await asyncio.wait([t])
    trace("ended")
    t = None
    await turns(2)
    trace("end")


@scenario("a cancelled task that nobody asked is not reported")
async def _():
    t = create_task(park())
    await sleep(0)
    t.cancel()
    t = None
    await turns(3)
    trace("end")


EAGER = "documentation of asyncio.eager_task_factory; test_asyncio.test_eager_task_factory"


@scenario(
    "an eager task runs until it first waits, before create_task returns",
    since=(3, 12), source=EAGER,
    expected="""
        child: start
        created, done false
        main: waits
        child: end
        got 5
    """,
)
async def _():
    async def child():
        trace("child: start")
        await sleep(0)
        trace("child: end")
        return 5

    t = asyncio.Task(child(), loop=asyncio.get_running_loop(), eager_start=True)
    trace("created, done", t.done())
    trace("main: waits")
    trace("got", await t)


@scenario(
    "an eager task that never waits is done at once",
    since=(3, 12), source=EAGER,
    expected="""
        child
        done true
        got 5
        failing
        done true
        get: failure(eager)
    """,
)
async def _():
    async def child():
        trace("child")
        return 5

    async def failing():
        trace("failing")
        raise Failure("eager")

    loop = asyncio.get_running_loop()
    t = asyncio.Task(child(), loop=loop, eager_start=True)
    trace("done", t.done())
    trace("got", t.result())
    t = asyncio.Task(failing(), loop=loop, eager_start=True)
    trace("done", t.done())
    await attempt("get", t)


@scenario(
    "an eager task is the current one while it runs, and its creator afterwards",
    since=(3, 12), source=EAGER,
    expected="""
        main
        eager
        main
        eager
        main
    """,
)
async def _():
    async def child():
        trace(current_task().get_name())
        await sleep(0)
        trace(current_task().get_name())

    current_task().set_name("main")
    trace(current_task().get_name())
    t = asyncio.Task(child(), loop=asyncio.get_running_loop(), name="eager", eager_start=True)
    trace(current_task().get_name())
    await t
    trace(current_task().get_name())


@scenario(
    "an eager task is cancelled at the wait it began with",
    since=(3, 12), source=EAGER,
    expected="""
        child: start
        child: cancelled(early)
        get: cancelled(early)
    """,
)
async def _():
    async def child():
        trace("child: start")
        try:
            await park()
        except asyncio.CancelledError as error:
            trace("child:", error)
            raise

    t = asyncio.Task(child(), loop=asyncio.get_running_loop(), eager_start=True)
    t.cancel("early")
    await attempt("get", t)
