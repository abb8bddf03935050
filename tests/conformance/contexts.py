"""Context variables, and threads: to_thread, executors, calls from other threads."""

import asyncio
import threading
from asyncio import create_task, gather, get_running_loop, sleep, to_thread
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

from scenario import Failure, attempt, attempt_now, new_runner, scenario, trace, turns


@scenario("context: a task starts with a copy of its creator's values")
async def _():
    var = ContextVar("var", default="initial")

    async def child(name):
        trace(name, var.get())
        var.set(name)
        await sleep(0)
        trace(name, var.get())

    first = create_task(child("first"))
    var.set("main")
    second = create_task(child("second"))
    await first
    await second
    trace("main", var.get())


@scenario("context: gathered functions do not see each other's values")
async def _():
    var = ContextVar("var", default=0)

    async def child(n):
        before = var.get()
        var.set(n)
        await sleep(0)
        return [before, var.get()]

    var.set(7)
    trace(await gather(child(1), child(2)), var.get())


@scenario("context: a callback has its creator's values as they were")
async def _():
    var = ContextVar("var", default="initial")
    loop = get_running_loop()

    def callback(name):
        trace(name, var.get())
        var.set(name)

    loop.call_soon(callback, "first")
    var.set("main")
    loop.call_soon(callback, "second")
    loop.call_later(1, callback, "later")
    await sleep(2)
    trace("main", var.get())


@scenario("context: a done callback has the values of who registered it")
async def _():
    var = ContextVar("var", default="initial")

    async def child():
        var.set("child")

    t = create_task(child())
    var.set("main")
    t.add_done_callback(lambda done: trace("callback", var.get()))
    await turns(3)


@scenario("context: reset gives the value before back")
async def _():
    var = ContextVar("var", default="initial")
    a = var.set("a")
    b = var.set("b")
    var.reset(b)
    trace(var.get())
    var.reset(a)
    trace(var.get())


@scenario("context: a token is of no use in another task")
async def _():
    var = ContextVar("var", default="initial")
    token = var.set("main")

    async def child():
        attempt_now("reset", lambda: var.reset(token))
        trace(var.get())

    await create_task(child())


@scenario("context: a runner's values persist from run to run")
def _():
    var = ContextVar("var", default="initial")

    async def main(value):
        trace(var.get())
        var.set(value)

    with new_runner() as runner:
        runner.run(main("first"))
        runner.run(main("second"))
    trace("outside", var.get())


@scenario("context: a thread job starts with a copy")
async def _():
    var = ContextVar("var", default="initial")

    def job():
        value = var.get()
        var.set("job")
        return value

    var.set("main")
    trace(await to_thread(job), var.get())


@scenario("to_thread gives the value, and throws the exception")
async def _():
    def failing():
        raise Failure("in the thread")

    await attempt("value", to_thread(lambda a, b: a + b, 1, 2))
    await attempt("exception", to_thread(failing))


@scenario("to_thread: tasks go on meanwhile")
async def _():
    go = threading.Event()

    def job():
        go.wait()
        return "job"

    async def other():
        for n in (1, 2):
            trace("other", n)
            await sleep(0)
        go.set()

    t = create_task(other())
    trace(await to_thread(job))
    await t


@scenario(
    "to_thread: cancelled while the job runs",
    differs="who waits stays until the job has ended, which may use what the waiter owns (API.md, 8)",
    expected="""
        - job runs, waiter done true
        + job runs, waiter done false
          waiter: cancelled(leave)
    """,
)
async def _():
    started, go = threading.Event(), threading.Event()

    def job():
        started.set()
        go.wait()

    t = create_task(to_thread(job))
    while not started.is_set():
        await sleep(0)
    t.cancel("leave")
    await turns(3)
    trace("job runs, waiter done", t.done())
    go.set()
    await attempt("waiter", t)


@scenario("a pool of one thread does one thing after another")
async def _():
    order = []
    with ThreadPoolExecutor(1) as pool:
        await gather(*[get_running_loop().run_in_executor(pool, order.append, n) for n in (1, 2, 3)])
    trace(order)


@scenario("a thread runs something in the loop and has its result, or its exception")
async def _():
    loop = get_running_loop()

    async def value():
        await sleep(0)
        return 5

    async def failing():
        raise Failure("in the loop")

    def job():
        attempt_now("value", asyncio.run_coroutine_threadsafe(value(), loop).result)
        attempt_now("exception", asyncio.run_coroutine_threadsafe(failing(), loop).result)

    await to_thread(job)


@scenario("callbacks from a thread run in order")
async def _():
    loop = get_running_loop()

    def job():
        for n in (1, 2, 3):
            loop.call_soon_threadsafe(trace, "callback", n)

    await to_thread(job)
    await turns(2)
