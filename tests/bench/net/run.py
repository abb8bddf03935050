"""Echo servers side by side:
`run.py BUILD [--connections 1,100,1000,10000 | --visits 4,50,500] [--seconds S] [--passes N] [--only NAME,…]`.

BUILD is the folder with the programs beside this file, built. Each server is pinned to one processor and the load to
another; the servers take turns within a pass, so that a machine that changes its speed does so for all. What counts is the
server's processor time for each request, its least over the passes and their median, and its ratio to the bare epoll loop's in
the same pass, the median: on a machine that others use, too, only that can be compared. The load is as fast as one processor
can be, and so are the requests per second; latencies are medians of the passes. With --visits a request is a whole visit: a
connection that is made, has one byte echoed, and is closed, by so many clients at once. What a server writes to standard error
is shown, its last lines, only if the server did not last.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
SERVER_CPU, LOAD_CPU = "0", "1"
YARDSTICK = "bare epoll"
HOW_TO_BUILD = "`ninja bench-net` in the build folder builds all whose libraries are installed (tools/bench net does it, too)"


def servers(build):
    python = "/usr/bin/python3"
    return {
        "weft epoll": ([build / "weft_echo"], {"WEFT_ENGINE": "epoll"}),
        "weft io_uring": ([build / "weft_echo"], {"WEFT_ENGINE": "io_uring"}),
        "weft sockets epoll": ([build / "weft_socket_echo"], {"WEFT_ENGINE": "epoll"}),
        "weft sockets io_uring": ([build / "weft_socket_echo"], {"WEFT_ENGINE": "io_uring"}),
        "bare epoll": ([build / "epoll_echo"], {}),
        "bare io_uring": ([build / "uring_echo"], {}),
        "Asio callbacks": ([build / "asio_callbacks_echo"], {}),
        "Asio coroutines": ([build / "asio_coroutines_echo"], {}),
        "libuv": ([build / "libuv_echo"], {}),
        "Go": ([build / "go_echo"], {}),
        "uvloop": ([python, HERE / "asyncio_echo.py", "uvloop"], {}),
        "asyncio": ([python, HERE / "asyncio_echo.py"], {}),
    }


def chosen(table, only):
    """Those named, or all that are there."""
    there = {name: entry for name, entry in table.items() if shutil.which(str(entry[0][0]))}
    if not only:
        return there
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in table:
            sys.exit(f"run.py: --only: there is no server '{name}'; there are: {', '.join(table)}")
        if name not in there:
            sys.exit(f"run.py: --only: '{name}' needs {table[name][0][0]}, which is not there; {HOW_TO_BUILD}")
    return {name: there[name] for name in names}


class Syscalls:
    """Counts a process's system calls from begin(), before its first connection, to end(), where perf can."""

    def __init__(self, pid):
        self.pid, self.perf = pid, None

    def begin(self):
        if not shutil.which("perf"):
            return
        self.out = tempfile.NamedTemporaryFile("r")
        self.perf = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", self.out.name, "-p", str(self.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)   # until it counts

    def end(self):
        if not self.perf:
            return None
        self.perf.send_signal(2)
        self.perf.wait()
        for line in self.out.read().splitlines():
            if "raw_syscalls" in line and line.split(",")[0].isdigit():
                return int(line.split(",")[0])
        return None


class DidNotLast(Exception):
    """A server, or the load, ended too soon; says how the server did, with the end of its standard error."""


def measure(load, command, environment, connections, seconds, count_syscalls):
    with tempfile.TemporaryFile() as complaints:
        server = subprocess.Popen(["taskset", "-c", SERVER_CPU, *map(str, command)], stdout=subprocess.PIPE, stderr=complaints,
                                  text=True, env={**os.environ, **environment})
        try:
            result = put_load_on(server, load, connections, seconds, count_syscalls)
            if not result:
                with contextlib.suppress(subprocess.TimeoutExpired):   # its end may be what ended the load
                    server.wait(timeout=0.5)
            alive = server.poll() is None
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
        if result:
            return result
        raise DidNotLast("\n".join(["did not last" if alive else f"did not last: ended with {server.returncode}",
                                    *("    " + line for line in last_lines(complaints))]))


def last_lines(file, count=4):
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4096))
    return [line[:200] for line in file.read().decode(errors="replace").splitlines()[-count:]]


def put_load_on(server, load, connections, seconds, count_syscalls):
    """None: the server did not begin, or not all connections were served to the end."""
    port = server.stdout.readline().strip()
    if not port:
        return None
    syscalls = Syscalls(server.pid)
    if count_syscalls:
        syscalls.begin()
    client = subprocess.Popen(
        ["taskset", "-c", LOAD_CPU, str(load), str(server.pid), port, str(connections), str(seconds)],
        stdout=subprocess.PIPE, text=True)
    line = client.stdout.readline()
    calls = syscalls.end() if count_syscalls else None
    if client.wait() != 0 or not line:
        return None
    result = json.loads(line)
    requests = result["requests"]
    if not requests:
        return None
    return {
        "cpu": result["used"] / requests * 1e6, "rate": requests / result["seconds"], "p50": result["p50"], "p99": result["p99"],
        "p999": result["p999"], "memory": result["memory"], "calls": None if calls is None else calls / result["all"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--connections", default="1,100,1000,10000")
    parser.add_argument("--visits", default="")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("run.py: needs two processors, one for the server and one for the load")

    table = chosen(servers(options.build), options.only)
    load, requests = (options.build / "visits", "visit") if options.visits else (options.build / "load", "request")
    if not shutil.which(str(load)):
        sys.exit(f"run.py: {load} is not there; {HOW_TO_BUILD}")
    for connections in map(int, (options.visits or options.connections).split(",")):
        results = {name: [] for name in table}
        calls, ends = {}, {}
        for number in range(options.passes + 1):   # the last one counts system calls, which disturbs the rest
            for name, (command, environment) in table.items():
                last = number == options.passes
                try:
                    one = measure(load, command, environment, connections,
                                  min(options.seconds, 1) if last else options.seconds, last)
                except DidNotLast as end:
                    ends[name] = end
                    continue
                if last:
                    calls[name] = one["calls"]
                else:
                    results[name].append({**one, "pass": number})
        yardstick = {p["pass"]: p["cpu"] for p in results.get(YARDSTICK, ())}
        print(f"\n{connections:6} at once     us CPU/{requests:7}: least   median    ratio{requests + 's/s':>13}      p50      p99    "
              f"p99.9 us   syscalls/{requests:7}   KiB/connection")
        for name, passes in sorted(results.items(), key=lambda r: min((p["cpu"] for p in r[1]), default=1e9)):
            if not passes:
                print(f"{name:24} {ends.get(name, 'was not measured')}")
                continue
            middle = {key: statistics.median(p[key] for p in passes) for key in passes[0] if key != "calls"}
            count = calls.get(name)
            ratios = [p["cpu"] / yardstick[p["pass"]] for p in passes if p["pass"] in yardstick]
            ratio = format(statistics.median(ratios), "8.3f") if ratios else "       -"
            print(f"{name:24} {min(p['cpu'] for p in passes):15.2f} {middle['cpu']:8.2f} {ratio}   {middle['rate']:10.0f} "
                  f"{middle['p50']:8.1f} {middle['p99']:8.1f} {middle['p999']:8.1f}      "
                  f"{'-' if count is None else format(count, '10.2f'):>10}        {middle['memory']:10.2f}", flush=True)


main()
