"""The works of tests/bench on asyncio: `asyncio_peer.py` lists them, `asyncio_peer.py WORK` prints one's nanoseconds for each operation.

A work does here what the benchmark of the same name does on weft.
"""

import asyncio
import sys
import threading
import time

works = {}


def work(name, operations):
    """Registers a coroutine function that does `operations` operations."""

    def register(function):
        works[name] = (function, operations)
        return function

    return register


N = 10_000


@work("yield, 2 fibers", N)
async def yields():
    async def turn():
        for _ in range(N // 2):
            await asyncio.sleep(0)

    await asyncio.gather(turn(), turn())


@work("park+wake, 2 fibers", N)
async def ring():
    loop = asyncio.get_running_loop()
    places = [loop.create_future(), loop.create_future()]

    async def place(i):
        for _ in range(N // 2):
            await places[i]
            places[i] = loop.create_future()
            if not places[1 - i].done():
                places[1 - i].set_result(None)

    tasks = [asyncio.create_task(place(i)) for i in range(2)]
    await asyncio.sleep(0)
    places[0].set_result(None)
    await asyncio.gather(*tasks)


@work("semaphore hand-over", N)
async def semaphores():
    a, b = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def other():
        for _ in range(N // 2):
            await a.acquire()
            b.release()

    task = asyncio.create_task(other())
    for _ in range(N // 2):
        a.release()
        await b.acquire()
    await task


@work("mutex, uncontended", N)
async def mutex():
    lock = asyncio.Lock()
    for _ in range(N):
        async with lock:
            pass


@work("mutex, 10 fibers contend", N)
async def contended_mutex():
    lock = asyncio.Lock()

    async def contend():
        for _ in range(N // 10):
            async with lock:
                await asyncio.sleep(0)

    await asyncio.gather(*(contend() for _ in range(10)))


@work("condition, ping-pong", N)
async def condition():
    changed = asyncio.Condition()
    turn = 0

    async def play(mine):
        nonlocal turn
        for _ in range(N // 2):
            async with changed:
                await changed.wait_for(lambda: turn == mine)
                turn = 1 - mine
                changed.notify()

    await asyncio.gather(play(0), play(1))


@work("queue of one, hand-over", N)
async def queue():
    items = asyncio.Queue(1)

    async def consume():
        for _ in range(N):
            await items.get()

    task = asyncio.create_task(consume())
    for i in range(N):
        await items.put(i)
    await task


async def nothing():
    pass


@work("create+join", N)
async def join_one():
    for _ in range(N):
        await asyncio.create_task(nothing())


@work("create+join, 1000 alive", N)
async def join_thousand():
    for _ in range(N // 1000):
        for task in [asyncio.create_task(nothing()) for _ in range(1000)]:
            await task


@work("group of 1000 children", N)
async def group():
    for _ in range(N // 1000):
        async with asyncio.TaskGroup() as children:
            for _ in range(1000):
                children.create_task(nothing())


@work("gather of 1000", N)
async def gather():
    for _ in range(N // 1000):
        await asyncio.gather(*(nothing() for _ in range(1000)))


@work("timeout, body does not block", N)
async def timeout():
    for _ in range(N):
        async with asyncio.timeout(1):
            pass


@work("park, cancel, join", N)
async def cancel():
    for _ in range(N // 1000):
        tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(1000)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@work("round trip between threads", 1000)
async def threads():
    here = asyncio.get_running_loop()
    there = asyncio.new_event_loop()
    thread = threading.Thread(target=there.run_forever)
    thread.start()
    for _ in range(1000):
        back = here.create_future()
        there.call_soon_threadsafe(here.call_soon_threadsafe, back.set_result, None)
        await back
    there.call_soon_threadsafe(there.stop)
    thread.join()
    there.close()


@work("to_thread", 1000)
async def to_thread():
    for _ in range(1000):
        await asyncio.to_thread(int)


def main():
    if len(sys.argv) < 2:
        print("\n".join(works))
        return
    function, operations = works[sys.argv[1]]

    async def timed():
        start = time.perf_counter_ns()
        await function()
        return time.perf_counter_ns() - start

    print(asyncio.run(timed()) / operations)


main()
