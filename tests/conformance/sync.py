"""Lock, semaphore, event, condition, barrier: order, and races of cancellations with what is handed over."""

import asyncio
from asyncio import Barrier, BoundedSemaphore, CancelledError, Condition, Event, Lock, Semaphore, create_task, sleep

from scenario import attempt, attempt_now, scenario, trace, turns


async def holding(lock, name):
    """Takes it, tells so, keeps it for a turn, and gives it back."""
    try:
        async with lock:
            trace(name, "has it")
            await sleep(0)
    except CancelledError as error:
        trace(name, error)


def start(lock, *names):
    return [create_task(holding(lock, name)) for name in names]


async def join(tasks):
    for t in tasks:
        await t


@scenario("lock: first in, first out")
async def _():
    lock = Lock()
    await join(start(lock, "a", "b", "c", "d"))


@scenario("lock: a cancelled waiter is passed over")
async def _():
    lock = Lock()
    await lock.acquire()
    a, b, c = tasks = start(lock, "a", "b", "c")
    await sleep(0)
    b.cancel("not you")
    lock.release()
    await join(tasks)


@scenario("lock: cancelled when it has been handed over, the waiter passes it on")
async def _():
    lock = Lock()
    await lock.acquire()
    a, b = tasks = start(lock, "a", "b")
    await sleep(0)
    lock.release()
    a.cancel("too late for you")
    await join(tasks)


@scenario("lock: cancelled and then handed over goes to the next")
async def _():
    lock = Lock()
    await lock.acquire()
    a, b = tasks = start(lock, "a", "b")
    await sleep(0)
    a.cancel("just before")
    lock.release()
    await join(tasks)


@scenario("lock: who comes when it is promised does not overtake")
async def _():
    lock = Lock()
    await lock.acquire()
    tasks = start(lock, "waiter")
    await sleep(0)
    lock.release()
    await attempt("newcomer", holding(lock, "newcomer"))
    await join(tasks)


@scenario("lock: the last waiter is cancelled, and the lock is free")
async def _():
    lock = Lock()
    await lock.acquire()
    (a,) = start(lock, "a")
    await sleep(0)
    lock.release()
    a.cancel()
    await a
    await holding(lock, "main")


@scenario("lock: to unlock what nobody locked is refused")
async def _():
    attempt_now("unlock", Lock().release)


@scenario(
    "lock: to unlock what another task locked",
    differs="refused: it belongs to who locked it, as std::mutex does (API.md, 7)",
    expected="""
        - unlock: returned
        + unlock: misuse
    """,
)
async def _():
    lock = Lock()

    async def owner():
        await lock.acquire()
        await turns(3)
        if lock.locked():
            lock.release()

    t = create_task(owner())
    await sleep(0)
    attempt_now("unlock", lock.release)
    await t


@scenario("lock: an exception in the block gives it back")
async def _():
    lock = Lock()

    async def failing():
        async with lock:
            raise ValueError()

    await attempt("block", failing())
    await holding(lock, "main")


@scenario("semaphore: so many at once, and then in order")
async def _():
    await join(start(Semaphore(2), "a", "b", "c", "d", "e"))


@scenario("semaphore: a release wakes one, two releases two")
async def _():
    semaphore = Semaphore(0)

    async def acquire(name):
        await semaphore.acquire()
        trace(name)

    tasks = [create_task(acquire(n)) for n in "abc"]
    await sleep(0)
    semaphore.release()
    await turns(2)
    trace("one")
    semaphore.release()
    semaphore.release()
    await turns(2)
    trace("two more")
    await join(tasks)


@scenario("semaphore: cancelled when it has been handed over, the waiter passes the permit on")
async def _():
    semaphore = Semaphore(1)
    await semaphore.acquire()
    a, b = tasks = start(semaphore, "a", "b")
    await sleep(0)
    semaphore.release()
    a.cancel("too late for you")
    await join(tasks)
    await holding(semaphore, "main")


@scenario("semaphore: a cancelled waiter is passed over")
async def _():
    semaphore = Semaphore(0)
    a, b = tasks = start(semaphore, "a", "b")
    await sleep(0)
    a.cancel("not you")
    semaphore.release()
    await join(tasks)


@scenario("semaphore: who comes when the permit is promised does not overtake")
async def _():
    semaphore = Semaphore(0)
    tasks = start(semaphore, "waiter")
    await sleep(0)
    semaphore.release()
    await holding(semaphore, "newcomer")
    await join(tasks)


@scenario("semaphore: permits cannot be negative, nor more than bounded")
async def _():
    attempt_now("negative", lambda: [Semaphore(-1)] and None)
    bounded = BoundedSemaphore(1)
    attempt_now("too many", bounded.release)
    await bounded.acquire()
    attempt_now("one", bounded.release)


@scenario("event: wakes all, in order, and stays set")
async def _():
    event = Event()

    async def waiter(name):
        await event.wait()
        trace(name)

    tasks = [create_task(waiter(n)) for n in "abc"]
    await sleep(0)
    event.set()
    trace("set", event.is_set())
    await join(tasks)
    await waiter("late")


@scenario("event: cleared at once, it has woken all the same")
async def _():
    event = Event()

    async def waiter(name):
        await event.wait()
        trace(name, "set:", event.is_set())

    tasks = [create_task(waiter(n)) for n in "ab"]
    await sleep(0)
    event.set()
    event.clear()
    await join(tasks)
    late = create_task(waiter("late"))
    await turns(3)
    trace("late done", late.done())
    event.set()
    await late


@scenario("event: a cancelled waiter, before and after it is set")
async def _():
    event = Event()

    async def waiter(name):
        await attempt(name, event.wait())

    a, b, c = [create_task(waiter(n)) for n in "abc"]
    await sleep(0)
    a.cancel("before")
    event.set()
    b.cancel("after")
    trace("set", event.is_set())
    for t in (a, b, c):
        await t


async def notified(condition, name):
    async with condition:
        trace(name, "waits")
        await condition.wait()
        trace(name, "has it")


@scenario("condition: notify wakes one, in order; notify_all the rest")
async def _():
    condition = Condition()
    tasks = [create_task(notified(condition, n)) for n in "abcd"]
    await turns(2)
    async with condition:
        condition.notify()
    await turns(4)
    trace("one")
    async with condition:
        condition.notify_all()
    await join(tasks)


@scenario("condition: whoever is notified waits for the lock")
async def _():
    condition = Condition()
    t = create_task(notified(condition, "waiter"))
    await sleep(0)
    async with condition:
        condition.notify()
        await turns(3)
        trace("main still has it")
    await t


@scenario("condition: a notification that nobody waits for is gone")
async def _():
    condition = Condition()
    async with condition:
        condition.notify_all()
    t = create_task(notified(condition, "waiter"))
    await turns(3)
    trace("done", t.done())
    async with condition:
        condition.notify()
    await t


@scenario("condition: a cancelled wait has the lock when it throws")
async def _():
    condition = Condition()

    async def waiter():
        async with condition:
            await attempt("wait", condition.wait())
            await turns(3)
            trace("waiter gives it back")

    t = create_task(waiter())
    await sleep(0)
    t.cancel("enough")
    await turns(2)
    async with condition:
        trace("main has it")
    await t


@scenario("condition: cancelled while it waits for the lock again")
async def _():
    condition = Condition()

    async def waiter():
        async with condition:
            await attempt("wait", condition.wait())
            trace("waiter has it")

    t = create_task(waiter())
    await sleep(0)
    async with condition:
        condition.notify()
        await turns(2)
        t.cancel()
        await turns(2)
        trace("main gives it back")
    await t


@scenario(
    "condition: a notified waiter that is cancelled passes the notification on",
    since=(3, 13),
    source="documentation of asyncio.Condition.notify; test_asyncio.test_locks: test_cancelled_wakeup",
    expected="""
        a: cancelled
        b: returned true
        c done false
        c: cancelled
    """,
)
async def _():
    condition = Condition()

    async def waiter(name):
        async with condition:
            await attempt(name, condition.wait())

    a, b, c = [create_task(waiter(n)) for n in "abc"]
    await turns(2)
    async with condition:
        condition.notify()
    a.cancel()
    await a
    await b
    await turns(3)
    trace("c done", c.done())
    c.cancel()
    await c


@scenario("condition: waiting until something is true")
async def _():
    condition = Condition()
    items = []

    async def waiter():
        async with condition:
            await condition.wait_for(lambda: len(items) > 2)
            trace("items", items)

    t = create_task(waiter())
    await sleep(0)
    for n in (1, 2, 3):
        async with condition:
            items.append(n)
            trace("item", n)
            condition.notify()
        await turns(3)
    await t


@scenario("condition: to wait without the lock is refused")
async def _():
    await attempt("wait", Condition().wait())


@scenario(
    "condition: to notify without the lock",
    differs="allowed, as for std::condition_variable (API.md, 7)",
    expected="""
        - notify: misuse
        + notify: returned
    """,
)
async def _():
    attempt_now("notify", Condition().notify)


async def party(barrier, name):
    await attempt(name, barrier.wait())


@scenario("barrier: the last to come lets all go; numbers in order of arrival")
async def _():
    barrier = Barrier(3)

    async def arrive(name, results):
        results[name] = await barrier.wait()

    results = {}
    tasks = [create_task(arrive(n, results)) for n in "ab"]
    await turns(2)
    trace("waiting", barrier.n_waiting, "of", barrier.parties)
    await arrive("c", results)
    await join(tasks)
    trace([results[n] for n in "abc"], "waiting", barrier.n_waiting)


@scenario("barrier: round after round")
async def _():
    barrier = Barrier(2)

    async def rounds(results):
        for _ in range(3):
            results.append(await barrier.wait())

    a, b = [], []
    await join([create_task(rounds(a)), create_task(rounds(b))])
    trace([x + y for x, y in zip(a, b)], "waiting", barrier.n_waiting)


@scenario("barrier: for one alone it never waits")
async def _():
    barrier = Barrier(1)
    await party(barrier, "a")
    await party(barrier, "a")


@scenario("barrier: a cancelled party leaves without breaking it")
async def _():
    barrier = Barrier(2)
    a = create_task(party(barrier, "a"))
    await sleep(0)
    a.cancel("leave")
    await a
    trace("broken", barrier.broken, "waiting", barrier.n_waiting)
    results = []

    async def arrive():
        results.append(await barrier.wait())

    await join([create_task(arrive()), create_task(arrive())])
    trace(sorted(results))


@scenario("barrier: aborted, it is broken for all until it is reset")
async def _():
    barrier = Barrier(3)
    tasks = [create_task(party(barrier, n)) for n in "ab"]
    await sleep(0)
    await barrier.abort()
    await join(tasks)
    trace("broken", barrier.broken)
    await party(barrier, "late")
    await barrier.reset()
    trace("broken", barrier.broken)
    await join([create_task(arrive_at(barrier)) for _ in range(3)])
    trace("passed")


async def arrive_at(barrier):
    await barrier.wait()


@scenario("barrier: reset, it sends those who wait away and is as new")
async def _():
    barrier = Barrier(2)
    t = create_task(party(barrier, "a"))
    await sleep(0)
    await barrier.reset()
    await t
    trace("broken", barrier.broken, "waiting", barrier.n_waiting)
    await join([create_task(arrive_at(barrier)) for _ in range(2)])
    trace("passed")


@scenario("barrier: of no parties is refused")
async def _():
    attempt_now("none", lambda: [Barrier(0)] and None)
