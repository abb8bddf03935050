"""What the Python half of every scenario is written with.

A topic's module holds functions that carry @scenario("name"); TOPIC.cpp holds the same scenarios for weft. A coroutine
function runs as the main task of a loop whose time is virtual; a plain function makes its loops itself, with new_runner().
Both halves tell what happens by trace(); the two traces must be equal line by line. What the words stand for, and how a
difference is stated, is written in README.md.
"""

import asyncio
import inspect
import textwrap

SCENARIOS = {}  # of the topic that is being imported, by name, in order


class Scenario:
    def __init__(self, name, body, since, source, expected, differs):
        self.name = name
        self.body = body
        self.since = since        # the oldest Python that behaves like this
        self.source = source      # where the expected trace of a newer Python comes from
        self.differs = differs    # why weft does something else on purpose, or None
        self.python_lines = None  # what Python has to print, where it is stated
        self.weft_lines = None    # what weft has to print, where it is stated
        if expected is not None:
            self.state(textwrap.dedent(expected).strip("\n").splitlines())

    def state(self, lines):
        """With a difference, lines begin with two spaces, or with `- ` if only Python prints them, `+ ` if only weft."""
        if self.differs is None:
            self.python_lines = self.weft_lines = lines
            return
        if odd := [line for line in lines if line[:2] not in ("  ", "- ", "+ ")]:
            raise ValueError(f"{self.name}: {odd[0]!r} begins with neither spaces nor `- ` nor `+ `")
        self.python_lines = [line[2:] for line in lines if line[0] in " -"]
        self.weft_lines = [line[2:] for line in lines if line[0] in " +"]


def scenario(name, *, since=(3, 11), source=None, expected=None, differs=None):
    """Registers the function under a name that is a sentence.

    expected  the trace; needed where `since` is newer than Python 3.11 (then `source` says where it comes from), and
              where weft differs (then `differs` says why, and the lines are marked)
    """
    if name in SCENARIOS:
        raise ValueError(f"two scenarios are called {name!r}")
    if since > (3, 11) and not (expected and source):
        raise ValueError(f"{name}: a scenario for a newer Python states the expected trace and its source")
    if differs and not expected:
        raise ValueError(f"{name}: a scenario that differs states how")

    def register(body):
        SCENARIOS[name] = Scenario(name, body, since, source, expected, differs)
        return body

    return register


def trace(*what):
    print(*map(text, what), flush=True)


class Failure(Exception):
    """What scenarios throw: an error that nothing else throws."""


def text(value):
    """A value, or an exception, in the words that both halves use."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    if isinstance(value, BaseException):
        return text_of_exception(value)
    return str(value)


def text_of_exception(error):
    if isinstance(error, asyncio.CancelledError):
        return "cancelled" + (f"({error.args[0]})" if error.args and error.args[0] else "")
    if isinstance(error, BaseExceptionGroup):
        return "group" + text(error.exceptions)
    if isinstance(error, Failure):
        return f"failure({error})"
    if isinstance(error, asyncio.TimeoutError):
        return "timeout"
    if isinstance(error, asyncio.InvalidStateError):
        return "invalid state"
    if isinstance(error, asyncio.QueueEmpty):
        return "queue empty"
    if isinstance(error, asyncio.QueueFull):
        return "queue full"
    if type(error).__name__ == "QueueShutDown":
        return "queue shut down"
    if isinstance(error, asyncio.BrokenBarrierError):
        return "broken barrier"
    if isinstance(error, (RuntimeError, ValueError, TypeError)):
        return "misuse"
    return f"{type(error).__name__}: {error}"


async def attempt(label, awaitable):
    """Awaits, or calls, and traces what came of it, whatever it is; so it takes a cancellation, too."""
    try:
        value = await awaitable if inspect.isawaitable(awaitable) else awaitable()
    except BaseException as error:
        trace(f"{label}:", error)
    else:
        trace(f"{label}: returned", *([] if value is None else [value]))


def attempt_now(label, call):
    """The same for a call that does not wait."""
    try:
        value = call()
    except BaseException as error:
        trace(f"{label}:", error)
    else:
        trace(f"{label}: returned", *([] if value is None else [value]))


async def park():
    """Waits until it is cancelled."""
    await asyncio.get_running_loop().create_future()


async def turns(count):
    """Lets everything that is ready run `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)


def now():
    """Seconds since the scenario began."""
    return asyncio.get_running_loop().time()


def pass_time(seconds):
    """Lets time pass as if the caller had computed for so long."""
    asyncio.get_running_loop().now += seconds


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time stands still while anything can run, then jumps to the next deadline."""

    def __init__(self):
        self.now = 0.0
        super().__init__()
        wait = self._selector.select

        def select(timeout):
            if timeout is None:
                return wait(None)
            events = wait(0)
            if not events and timeout > 0:
                self.now += timeout
            return events

        self._selector.select = select
        self.set_exception_handler(report)

    def time(self):
        return self.now

    async def shutdown_default_executor(self, timeout=None):
        """Without the time limit of newer Pythons: virtual time would be up before the threads have ended."""
        await super().shutdown_default_executor()


def report(loop, context):
    message = context["message"]
    if message.startswith("Exception in callback"):
        message = "a callback failed"
    elif message == "Task exception was never retrieved":
        message = "never retrieved"
    elif message == "unhandled exception during asyncio.run() shutdown":
        message = "a task failed at the end"
    trace(f"report: {message}:", context.get("exception"))


def new_runner():
    return asyncio.Runner(loop_factory=VirtualLoop)


def play(one):
    """Runs a scenario. What leaves it is part of the trace."""
    try:
        if inspect.iscoroutinefunction(one.body):
            with new_runner() as runner:
                runner.run(one.body())
        else:
            one.body()
    except BaseException as error:
        trace("left the scenario:", error)
