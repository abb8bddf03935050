"""Lets weft talk to programs that nobody here wrote: curl, socat, dnsmasq, dig.

    peers_test.py PEER [unittest's arguments]

PEER is peer.cpp. Everything stays on the loopback interface and in a temporary folder. tools/install-packages installs
the programs; without one of them its tests fail.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

PEER = ""
PATIENCE = 60  # seconds until a program that hangs is a failure; sanitized ones are slow
os.environ["PATH"] += ":/usr/sbin"  # dnsmasq


def text(size):
    """The same as peer.cpp's."""
    parts, have, i = [], 0, 0
    while have < size:
        parts.append(f"{i * 7919}\n")
        have += len(parts[-1])
        i += 1
    return "".join(parts)[:size].encode()


def run(*words, data=b"", status=0):
    """What a program writes to standard output. It must end with that status."""
    done = subprocess.run(words, input=data, capture_output=True, timeout=PATIENCE)
    assert done.returncode == status, f"{words} ended with {done.returncode}: {done.stderr.decode()}"
    return done.stdout


class Running:
    """A program that serves while the block runs; it must end well when it is told to."""

    def __init__(self, *words, said=None, status=0):
        self.words, self.said, self.status = words, said, status

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL)
        if self.said is not None:
            line = self.process.stdout.readline().decode().strip()
            assert line.startswith(self.said), f"{self.words} said {line!r}: {self.told()}"
            self.value = line.removeprefix(self.said).strip()
        return self

    def told(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()
        if kind is None and self.status is not None:
            assert self.process.returncode == self.status, f"{self.words} ended with {self.process.returncode}: {self.told()}"
        self.errors.close()


class Case(unittest.TestCase):
    needs = ()

    def setUp(self):
        for program in self.needs:
            self.assertTrue(shutil.which(program), f"{program} is missing; tools/install-packages test installs it")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Curl(Case):
    needs = ("curl",)

    def curl(self, *words, **more):
        return run("curl", "--silent", "--show-error", "--noproxy", "*", *words, **more)

    def serving(self, *words):
        return Running(PEER, "serve", "http", *words, said="port")

    def test_it_gets_pages_of_any_size_whole_and_in_chunks(self):
        with self.serving() as server:
            for size in (0, 1, 1000, 65536, 5_000_000):
                for kind in ("text", "chunks"):
                    got = self.curl(f"http://127.0.0.1:{server.value}/{kind}/{size}")
                    self.assertEqual(got, text(size))
            self.assertEqual(self.curl(f"http://127.0.0.1:{server.value}/bytewise/3000"), text(3000))
            self.assertEqual(self.curl("--head", f"http://127.0.0.1:{server.value}/text/77").split()[-1], b"77")
            self.curl("--fail", f"http://127.0.0.1:{server.value}/nothing", status=22)

    def test_it_gets_many_pages_over_one_connection(self):
        with self.serving() as server:
            urls = [f"http://127.0.0.1:{server.value}/text/{1000 + i}" for i in range(50)]
            got = self.curl("--write-out", "%{stderr}%{num_connects}", *urls)
            self.assertEqual(got, b"".join(text(1000 + i) for i in range(50)))
            done = subprocess.run(
                ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{num_connects}\n", *urls[:1],
                 *(word for url in urls[1:] for word in ("--output", "/dev/null", url))],
                capture_output=True, timeout=PATIENCE, check=True)
            self.assertEqual(sum(map(int, done.stdout.split())), 1)

    def test_it_posts_what_comes_back(self):
        with self.serving() as server:
            for size in (1, 5000, 3_000_000):  # from a megabyte on curl asks first: Expect: 100-continue
                got = self.curl("--data-binary", "@-", f"http://127.0.0.1:{server.value}/echo", data=text(size))
                self.assertEqual(got, text(size))

    def test_a_slow_reader_holds_the_writer_back(self):
        with self.serving() as server:
            got = self.curl("--limit-rate", "4M", f"http://127.0.0.1:{server.value}/text/6000000")
            self.assertEqual(got, text(6_000_000))

    def test_clients_that_go_away_in_the_middle_disturb_nobody(self):
        with self.serving() as server:
            url = f"http://127.0.0.1:{server.value}/text/80000000"
            leaving = [subprocess.Popen(["curl", "--silent", "--noproxy", "*", "--limit-rate", "100k", "--output", "/dev/null", url])
                       for _ in range(5)]
            for client in leaving:
                self.addCleanup(client.wait)
                self.addCleanup(client.kill)
            self.assertEqual(self.curl(f"http://127.0.0.1:{server.value}/text/1000"), text(1000))
            for client in leaving:
                client.kill()
                client.wait()
            self.assertEqual(self.curl(f"http://127.0.0.1:{server.value}/text/1000"), text(1000))

    def test_many_at_once(self):
        with self.serving() as server:
            pages = [word for i in range(100) for word in ("--output", str(self.folder / str(i)),
                                                           f"http://127.0.0.1:{server.value}/chunks/{i * 997}")]
            self.curl("--parallel", "--parallel-immediate", "--parallel-max", "50", *pages)
            for i in range(100):
                self.assertEqual((self.folder / str(i)).read_bytes(), text(i * 997))

    def test_over_ipv6_and_over_unix_sockets(self):
        with self.serving("::1") as server:
            self.assertEqual(self.curl(f"http://[::1]:{server.value}/text/100"), text(100))
        path = str(self.folder / "socket")
        with Running(PEER, "serve-unix", "http", path, said="ready"):
            self.assertEqual(self.curl("--unix-socket", path, "http://x/chunks/200000"), text(200000))
        self.assertFalse(os.path.exists(path))
        name = f"weft-peers-{os.getpid()}"
        with Running(PEER, "serve-unix", "http", "@" + name, said="ready"):
            self.assertEqual(self.curl("--abstract-unix-socket", name, "http://x/text/300"), text(300))


class Socat(Case):
    needs = ("socat",)
    SIZE = 2_000_000

    def test_it_talks_to_servers_and_half_closes(self):
        path, name = str(self.folder / "socket"), f"weft-socat-{os.getpid()}"
        with Running(PEER, "serve", "echo", said="port") as tcp, Running(PEER, "serve", "echo", "::1", said="port") as six, \
                Running(PEER, "serve-unix", "echo", path, said="ready"), Running(PEER, "serve-unix", "echo", "@" + name, said="ready"):
            for where in (f"TCP4:127.0.0.1:{tcp.value}", f"TCP6:[::1]:{six.value}", f"UNIX-CONNECT:{path}", f"ABSTRACT-CONNECT:{name}"):
                with self.subTest(where):
                    self.assertEqual(run("socat", "-t30", "-", where, data=text(self.SIZE)), text(self.SIZE))

    def serve(self, address):
        """socat as a server that sends back what it gets, and where it listens."""
        server = Running("socat", "-d", "-d", address, "EXEC:cat", status=None)
        server.__enter__()
        self.addCleanup(server.__exit__, None)
        while "listening on" not in server.told() and "receiving on" not in server.told():
            self.assertIsNone(server.process.poll(), server.told())
        return server.told()

    def test_it_serves_clients(self):
        path, name = str(self.folder / "socket"), f"weft-socat-server-{os.getpid()}"
        said = self.serve("TCP4-LISTEN:0,bind=127.0.0.1,fork")
        port = said.split("listening on")[1].split("127.0.0.1:")[1].split()[0]
        self.serve(f"UNIX-LISTEN:{path},fork")
        self.serve(f"ABSTRACT-LISTEN:{name},fork")
        for where in (f"127.0.0.1:{port}", f"unix:{path}", f"unix:@{name}"):
            with self.subTest(where):
                self.assertEqual(run(PEER, "connect", where, str(self.SIZE)), text(self.SIZE))

    def test_datagrams_come_back(self):
        path = str(self.folder / "datagrams")
        with Running(PEER, "datagrams", "127.0.0.1:0", said="bound") as four, Running(PEER, "datagrams", "[::1]:0", said="bound") as six, \
                Running(PEER, "datagrams", f"unix:{path}", said="bound"):
            mine = str(self.folder / "mine")
            for where in (f"UDP4-CONNECT:{four.value}", f"UDP6-CONNECT:{six.value}", f"UNIX-SENDTO:{path},bind={mine}"):
                with self.subTest(where):
                    self.assertEqual(run("socat", "-T1", "-b70000", "-", where, data=text(9000)), text(9000))

    def test_datagrams_are_answered(self):
        port = free_port()
        self.serve(f"UDP4-RECVFROM:{port},bind=127.0.0.1,fork")
        self.assertEqual(run(PEER, "send", f"127.0.0.1:{port}", "a datagram"), b"a datagram\n")


def free_port():
    """One that is free for UDP and TCP."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]
            except OSError:
                continue
    raise AssertionError("no free port")


class Dnsmasq(Case):
    """What the resolver finds is what dig finds, both asking dnsmasq."""

    needs = ("dnsmasq", "dig")

    RECORDS = (
        "--host-record=one.weft.test,192.0.2.1,2001:db8::1",
        "--host-record=many.weft.test,192.0.2.10", "--host-record=many.weft.test,192.0.2.11",
        "--host-record=many.weft.test,192.0.2.12",
        "--cname=alias.weft.test,one.weft.test", "--cname=second.weft.test,alias.weft.test",
        "--mx-host=weft.test,mail.weft.test,10", "--mx-host=weft.test,backup.weft.test,20",
        "--srv-host=_http._tcp.weft.test,one.weft.test,8080,1,5",
        "--txt-record=weft.test,hello,world",
        *(f"--txt-record=long.weft.test,{i:03}-{'x' * 200}" for i in range(20)),  # more than a datagram holds: TCP
        "--ptr-record=9.2.0.192.in-addr.arpa,nine.weft.test",
    )

    def setUp(self):
        super().setUp()
        for _ in range(5):
            self.port = free_port()
            server = subprocess.Popen(
                ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-poll", "--pid-file=",
                 "--log-facility=-", *(["--user=root", "--group="] if os.getuid() == 0 else []), "--listen-address=127.0.0.1", "--bind-interfaces",
                 f"--port={self.port}", "--local=/test/", "--local-ttl=60", *self.RECORDS],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.addCleanup(server.stdout.close)
            self.addCleanup(server.wait)
            self.addCleanup(server.kill)
            said = b""
            while b"started" not in said and (line := server.stdout.readline()):
                said += line
            if b"started" in said:
                self.server = f"127.0.0.1:{self.port}"
                return
            if b"in use" not in said:
                break
        self.fail(said.decode())

    def dig(self, name, kind):
        lines = run("dig", "@127.0.0.1", "-p", str(self.port), "+short", "+tries=2", "+time=5", name, kind).decode().splitlines()
        return sorted(line.replace('" "', "") for line in lines)

    def query(self, name, kind):
        return sorted(run(PEER, "query", self.server, kind, name).decode().splitlines())

    def test_every_type_of_record(self):
        for name, kind, count in (("one.weft.test", "A", 1), ("one.weft.test", "AAAA", 1), ("many.weft.test", "A", 3),
                                  ("weft.test", "MX", 2), ("weft.test", "TXT", 1), ("_http._tcp.weft.test", "SRV", 1),
                                  ("alias.weft.test", "CNAME", 1), ("9.2.0.192.in-addr.arpa", "PTR", 1)):
            with self.subTest(name + " " + kind):
                found = self.query(name, kind)
                self.assertEqual(found, self.dig(name, kind))
                self.assertEqual(len(found), count)

    def test_an_answer_longer_than_a_datagram_comes_by_tcp(self):
        found = self.query("long.weft.test", "TXT")
        self.assertEqual(len(found), 20)
        self.assertEqual(found, self.dig("long.weft.test", "TXT"))

    def test_aliases_are_followed_to_the_addresses(self):
        self.assertEqual(self.query("second.weft.test", "A"), ["192.0.2.1"])
        found = run(PEER, "lookup", self.server, "second.weft.test").decode().split()
        self.assertEqual(sorted(found), ["192.0.2.1", "2001:db8::1"])

    def test_a_name_that_does_not_exist_is_told_from_one_without_such_records(self):
        reasons = set()
        for name, kind in (("none.weft.test", "A"), ("one.weft.test", "MX")):
            done = subprocess.run([PEER, "query", self.server, kind, name], capture_output=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1)
            self.assertIn(name, done.stderr.decode())
            reasons.add(done.stderr.decode().rsplit(":", 1)[1])
        self.assertEqual(len(reasons), 2, reasons)


if __name__ == "__main__":
    PEER = sys.argv.pop(1)
    unittest.main(verbosity=2)
