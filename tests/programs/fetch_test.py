"""Runs examples/fetch as its users do: against its own site, and against servers here that do what is asked of them.

    fetch_test.py FETCH [unittest's arguments]

Everything stays on the loopback interface. Where order matters the servers and the program hand over to each other.
"""

import contextlib
import os
import pathlib
import pty
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

FETCH = ""
PATIENCE = 60  # seconds until a program that hangs is a failure; sanitized ones are slow


class WebServer:
    """HTTP for tests: the path says what to do with the connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.release = threading.Event()  # lets /wait answer
        self.meeting = threading.Barrier(8)
        self.lock = threading.Lock()
        self.open, self.most_open = 0, 0
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError, threading.BrokenBarrierError):
            with self.lock:
                self.open += 1
                self.most_open = max(self.most_open, self.open)
            request = b""
            while not request.endswith(b"\r\n\r\n") and (more := connection.recv(4096)):
                request += more
            path = request.split()[1].decode()
            headers = dict(line.lower().split(": ", 1) for line in request.decode().splitlines()[1:] if line)
            self.answer(connection, path.split("?")[0].split("/"), headers)
            with self.lock:
                self.open -= 1

    def answer(self, connection, path, headers):
        send = connection.sendall
        kind = path[1]
        if kind == "wait":
            self.release.wait(PATIENCE)
        if kind == "meet":  # answers when eight are here
            self.meeting.wait(PATIENCE)
        if kind == "size":
            send(whole(b"x" * int(path[2])))
        elif kind == "host":
            send(whole(headers["host"].encode()))
        elif kind == "status":
            send(b"HTTP/1.1 %s Because\r\nContent-Length: 4\r\n\r\nnope" % path[2].encode())
        elif kind == "early":
            send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(b"late"))
        elif kind == "chunks":
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n")
        elif kind == "close":
            send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
        elif kind == "redirect":
            rest = "/".join(path[2:])
            location = rest if "://" in rest else "/" + rest
            send(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode())
        elif kind == "loop":
            send(b"HTTP/1.1 301 Moved\r\nLocation: loop\r\n\r\n")
        elif kind == "rubbish":
            send(b"220 mail.example ready\r\n")
        elif kind == "truncated":
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        elif kind == "half":
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000)
            self.release.wait(PATIENCE)
        elif kind == "nothing":
            pass
        elif kind == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            send(whole(b"hello"))

    def close(self):
        self.release.set()
        self.meeting.abort()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def whole(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def make_certificate(directory, name, alternative_names):
    """A certificate that signs itself, made by OpenSSL's own program."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative_names}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=PATIENCE)
    return certificate, key


class TlsWebServer(WebServer):
    """The same over TLS. /cut ends the connection without TLS's own end."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__()

    def url(self, path, host="127.0.0.1"):
        return f"https://{host}:{self.port}{path}"

    def serve(self, connection):
        with contextlib.suppress(OSError):
            super().serve(self.context.wrap_socket(connection, server_side=True))

    def answer(self, connection, path, headers):
        super().answer(connection, ["", "close"] if path[1] == "cut" else path, headers)
        if path[1] != "cut":
            connection.unwrap()


class NameServer:
    """DNS for tests: names that end in .here are 127.0.0.1, those in .silent get no answer, all others do not exist."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            packet, client = self.socket.recvfrom(2000)
            if not packet:
                self.socket.close()
                return
            end = packet.index(b"\0", 12)
            question = packet[12:end + 5]
            name, kind = packet[12:end].lower(), packet[end + 1:end + 3]
            known = name.endswith(b"\x04here")
            if name.endswith(b"\x06silent"):
                continue
            records = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if known and kind == b"\0\1" else b""
            header = packet[:2] + (b"\x81\x80" if known else b"\x81\x83") + struct.pack(">4H", 1, bool(records), 0, 0)
            self.socket.sendto(header + question + records, client)

    def close(self):
        self.socket.sendto(b"", self.socket.getsockname())  # closing alone does not wake the thread


def start(*arguments, **options):
    # Whoever runs the tests may ignore SIGINT, and that is inherited.
    default_sigint = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen([FETCH, *arguments], text=True, stdin=options.pop("stdin", subprocess.DEVNULL),
                            stdout=subprocess.PIPE, stderr=options.pop("stderr", subprocess.PIPE),
                            preexec_fn=default_sigint, **options)


def fetch(*arguments, stdin=""):
    """Exit status, standard output, standard error."""
    process = start(*arguments, stdin=subprocess.PIPE)
    try:
        output, errors = process.communicate(stdin, PATIENCE)
    finally:
        process.kill()
    return process.returncode, output, errors


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.web = WebServer()
        self.addCleanup(self.web.close)
        self.names = NameServer()
        self.addCleanup(self.names.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def line_of(self, output, url):
        lines = [line for line in output.splitlines() if f" {url}" in line]
        self.assertEqual(len(lines), 1, output)
        return lines[0]

    def check_one(self, url, status, *words, options=()):
        """Fetches one URL and looks at its line and at the exit status."""
        code, output, errors = fetch(*options, url)
        line = self.line_of(output, url)
        self.assertEqual(code, status, output + errors)
        for word in words:
            self.assertIn(word, line)
        return line


class OwnSite(FetchTest):
    def test_without_urls_every_page_of_the_site_gives_what_it_promises(self):
        code, output, errors = fetch()
        self.assertEqual(code, 0, output + errors)
        self.assertIn("500 pages", output)
        self.assertIn("every page gave what its kind promises, in both runs", output)
        for words in ("one after another", "concurrently", "no such name", "connection refused", "timed out",
                      "malformed answer", "truncated answer", "closed without an answer", "too large",
                      "too many redirects", "TLS failed"):
            self.assertIn(words, output)

    def test_the_total_timeout_ends_it(self):
        code, output, _ = fetch("--total-timeout", "0.5")
        self.assertEqual(code, 1)
        self.assertIn("stopped after 500 ms", output)
        self.assertRegex(output, r"one after another: \d+ of 500 pages were fetched")

    def test_ctrl_c_ends_it(self):
        process = start()
        self.assertIn("500 pages", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, output + errors)
        self.assertRegex(output, r"one after another: \d+ of 500 pages were fetched")


class Calls(FetchTest):
    def test_help(self):
        code, output, errors = fetch("--help")
        self.assertEqual((code, errors), (0, ""))
        for option in ("--concurrency", "--timeout", "--total-timeout", "--output", "--dns", "--input", "--max-body",
                       "--cacert", "--insecure"):
            self.assertIn(option, output)

    def test_a_wrong_call_exits_with_2_names_the_value_and_does_nothing(self):
        file = self.directory / "file"
        file.write_text("")
        good = self.web.url("/")
        for arguments, value in (
                (["--concurrency", "0", good], "'0'"),
                (["--concurrency", "many", good], "'many'"),
                (["--timeout", "-3", good], "'-3'"),
                (["--timeout", "nan", good], "'nan'"),
                (["--total-timeout=soon", good], "'soon'"),
                (["--max-body", "1T", good], "'1T'"),
                (["--dns", "127.0.0.1:70000", good], "'127.0.0.1:70000'"),
                (["--dns", "nowhere", good], "'nowhere'"),
                (["--output", str(file), good], f"'{file}'"),
                (["--output", "/dev/null/x", good], "'/dev/null/x'"),
                (["--input", "/no/such/file"], "'/no/such/file'"),
                (["--input", str(self.directory)], f"'{self.directory}'"),
                (["--input"], "--input"),
                (["--cacert", "/no/such/file", good], "'/no/such/file'"),
                (["--cacert", str(file), good], f"'{file}'"),
                (["--insecure=yes", good], "--insecure"),
                (["--fast", good], "'--fast'"),
                (["example.com", good], "'example.com'"),
                (["gopher://h/", good], "'gopher'"),
                (["http://h:65536/", good], "65536"),
                (["http://h:0/", good], "port 0 "),
                (["http://a*b/", good], "'a*b'"),
                ([f"http://{'a' * 64}/", good], "a" * 64),
        ):
            with self.subTest(arguments):
                code, output, errors = fetch(*arguments)
                self.assertEqual((code, output), (2, ""), errors)
                self.assertIn(value, errors)
        self.assertEqual(self.web.most_open, 0)

    def test_closed_standard_descriptors_do_no_harm(self):
        url = self.web.url("/")
        closed = subprocess.run(["sh", "-c", '"$0" --input - "$1" <&- >&- 2>&-', FETCH, url], timeout=PATIENCE)
        self.assertEqual(closed.returncode, 0)

    def test_no_urls_in_the_input_is_no_failure(self):
        code, output, _ = fetch("--input", "-", stdin="\n# none\n")
        self.assertEqual(code, 0)
        self.assertIn("0 of 0 URLs", output)


class Answers(FetchTest):
    def test_bodies_of_every_framing(self):
        self.check_one(self.web.url("/size/1000000"), 0, "200", "1.00 MB")
        self.check_one(self.web.url("/size/0"), 0, "200", " 0 B")
        self.check_one(self.web.url("/chunks"), 0, "200", " 7 B")
        self.check_one(self.web.url("/close"), 0, "200", " 13 B")

    def test_an_answer_of_1xx_is_not_the_answer(self):
        self.check_one(self.web.url("/early"), 0, "200", " 4 B")

    def test_a_status_from_400_is_a_failure_with_its_reason(self):
        self.check_one(self.web.url("/status/404"), 1, "404", "Because")
        self.check_one(self.web.url("/status/500"), 1, "500")
        self.check_one(self.web.url("/status/304"), 0, "304")

    def test_redirects_are_followed_ten_times(self):
        self.check_one(self.web.url("/redirect" * 10 + "/size/5"), 0, "200", " 5 B", "10 redirects")
        self.check_one(self.web.url("/redirect" * 11 + "/size/5"), 1, "FAIL", "too many redirects")
        self.check_one(self.web.url("/loop"), 1, "FAIL", "too many redirects", "'loop'")

    def test_the_host_header_says_the_port(self):
        self.fetch_to_files(self.web.url("/host", host="some.here"))
        self.assertEqual(self.files(), [f"some.here:{self.web.port}".encode()])

    def fetch_to_files(self, *urls):
        code, output, errors = fetch("--dns", self.names.address, "--output", str(self.directory / "new/out"), *urls)
        self.assertEqual(code, 0, output + errors)

    def files(self):
        return [path.read_bytes() for path in sorted((self.directory / "new/out").iterdir())]

    def test_output_files_are_whole_unique_and_inside_the_directory(self):
        urls = [self.web.url(path) for path in ("/size/100000", "/size/100000", "/size/100000?q", "/../../size/7",
                                                "/.../size/8", "/size/9/" + "long" * 100, "/size/0", "/chunks")]
        self.fetch_to_files(*urls)
        self.assertEqual(sorted(map(len, self.files())), sorted([100000] * 3 + [7, 5, 9, 0, 7]))
        self.assertEqual([path.name for path in self.directory.iterdir()], ["new"])
        for path in (self.directory / "new/out").iterdir():
            self.assertRegex(path.name, r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")
        self.fetch_to_files(*urls)  # nothing is overwritten
        self.assertEqual(len(self.files()), 2 * len(urls))

    def test_a_failed_fetch_leaves_no_file(self):
        code, _, _ = fetch("--output", str(self.directory / "out"), self.web.url("/truncated"), self.web.url("/status/404"))
        self.assertEqual(code, 1)
        self.assertEqual(list((self.directory / "out").iterdir()), [])

    def test_an_interrupted_fetch_leaves_no_file(self):
        out = self.directory / "out"
        process = start("--output", str(out), self.web.url("/size/5"), self.web.url("/half"))
        self.assertIn("/size/5", process.stdout.readline())
        give_up = time.monotonic() + PATIENCE
        while len(list(out.iterdir())) < 2 and time.monotonic() < give_up:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130)
        self.assertEqual([path.stat().st_size for path in out.iterdir()], [5])


class Https(FetchTest):
    def setUp(self):
        super().setUp()
        self.certificate, key = make_certificate(self.directory, "server", "DNS:localhost,DNS:secure.here,IP:127.0.0.1")
        self.tls = TlsWebServer(self.certificate, key)
        self.addCleanup(self.tls.close)
        self.trusting = ("--cacert", str(self.certificate))

    def test_bodies_come_through_tls(self):
        self.check_one(self.tls.url("/size/1000000"), 0, "200", "1.00 MB", options=self.trusting)
        self.check_one(self.tls.url("/chunks"), 0, "200", " 7 B", options=self.trusting)
        self.check_one(self.tls.url("/close"), 0, "200", " 13 B", options=self.trusting)
        self.check_one(self.tls.url("/host", "localhost"), 0, "200", options=self.trusting)

    def test_a_redirect_may_lead_into_tls_and_out_of_it(self):
        self.check_one(self.web.url("/redirect/" + self.tls.url("/size/7")), 0, "200", " 7 B", options=self.trusting)
        self.check_one(self.tls.url("/redirect/" + self.web.url("/size/8")), 0, "200", " 8 B", options=self.trusting)

    def test_a_name_of_a_chosen_name_server_is_the_name_that_is_verified(self):
        dns = ("--dns", self.names.address)
        self.check_one(self.tls.url("/", "secure.here"), 0, "200", options=(*self.trusting, *dns))
        self.check_one(self.tls.url("/", "other.here"), 1, "FAIL", "not trusted", "not for other.here",
                       options=(*self.trusting, *dns))

    def test_a_server_that_nobody_vouches_for_is_not_trusted_unless_that_is_asked_for(self):
        self.check_one(self.tls.url("/size/5"), 1, "FAIL", "not trusted", "self-signed certificate")
        self.check_one(self.tls.url("/size/5"), 0, "200", " 5 B", options=("--insecure",))

    def test_a_certificate_for_another_host_is_not_trusted(self):
        certificate, key = make_certificate(self.directory, "other", "DNS:other.example")
        other = TlsWebServer(certificate, key)
        self.addCleanup(other.close)
        self.check_one(other.url("/"), 1, "FAIL", "not trusted", "for other.example, not for 127.0.0.1",
                       options=("--cacert", str(certificate)))

    def test_a_body_that_is_cut_is_no_whole_body(self):
        self.check_one(self.tls.url("/cut"), 1, "FAIL", "truncated answer", options=self.trusting)

    def test_http_and_https_do_not_mix(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def greet():
                with listener.accept()[0] as client:
                    client.sendall(b"220 mail.example ready\r\n")
                    client.recv(10000)  # else the end would be a reset
            threading.Thread(target=greet, daemon=True).start()
            self.check_one("https://127.0.0.1:%d/" % listener.getsockname()[1], 1, "FAIL", "TLS failed", "wrong version number")
        self.check_one(self.tls.url("/").replace("https:", "http:"), 1, "FAIL")


class Failures(FetchTest):
    def test_each_has_its_words(self):
        self.check_one(self.web.url("/rubbish"), 1, "FAIL", "malformed answer")
        self.check_one(self.web.url("/truncated"), 1, "FAIL", "truncated answer", "9 of 100")
        self.check_one(self.web.url("/nothing"), 1, "FAIL", "closed without an answer")
        self.check_one(self.web.url("/reset"), 1, "FAIL", "connection lost")
        self.check_one(self.web.url("/redirect/http://a*b/"), 1, "FAIL", "malformed answer", "a*b")

    def test_nobody_listens(self):
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            url = "http://127.0.0.1:%d/" % bound.getsockname()[1]
            self.check_one(url, 1, "FAIL", "connection refused")

    def test_a_body_beyond_the_limit(self):
        self.check_one(self.web.url("/size/1001"), 1, "FAIL", "too large", "1.00 kB", options=["--max-body", "1k"])
        self.check_one(self.web.url("/size/1000"), 0, "200", options=["--max-body", "1k"])

    def test_names(self):
        options = ["--dns", self.names.address]
        self.check_one(self.web.url("/", host="www.here"), 0, "200", options=options)
        self.check_one(self.web.url("/", host="www.nowhere"), 1, "FAIL", "no such name", "www.nowhere", options=options)
        self.check_one(self.web.url("/", host="www.silent"), 1, "FAIL", "timed out",
                       options=[*options, "--timeout", "0.3"])

    def test_a_timeout_ends_one_url_and_not_the_others(self):
        slow, quick = self.web.url("/wait"), self.web.url("/quick")
        code, output, _ = fetch("--timeout", "0.3", slow, quick)
        self.assertEqual(code, 1)
        self.assertIn("timed out: after 300 ms", self.line_of(output, slow))
        self.assertIn("200", self.line_of(output, quick))
        self.assertIn("2 of 2 URLs finished, 1 ok, 1 failed", output)

    def test_the_total_timeout_ends_them_all(self):
        slow, quick = self.web.url("/wait"), self.web.url("/quick")
        code, output, _ = fetch("--total-timeout", "0.5", slow, quick)
        self.assertEqual(code, 1)
        self.assertIn("not finished", self.line_of(output, slow))
        self.assertIn("200", self.line_of(output, quick))
        self.assertIn("stopped after 500 ms: 1 of 2 URLs finished", output)


class ManyAtOnce(FetchTest):
    def test_urls_are_fetched_at_the_same_time(self):
        code, output, _ = fetch(*(self.web.url(f"/meet/{i}") for i in range(8)))  # none is answered alone
        self.assertEqual(code, 0, output)
        self.assertIn("8 of 8 URLs finished, 8 ok, 0 failed", output)

    def test_no_more_at_once_than_the_concurrency_allows(self):
        urls = [self.web.url(f"/{i}") for i in range(40)]
        code, output, _ = fetch("--concurrency", "1", *urls)
        self.assertEqual(code, 0, output)
        seen = [line.split()[-1] for line in output.splitlines()[:-1]]
        self.assertEqual(seen, urls)  # one after another: in order

    def test_urls_come_from_standard_input_and_from_a_file(self):
        urls = [self.web.url(f"/{i}") for i in range(3)]
        code, output, _ = fetch("--input", "-", urls[0], stdin=f"{urls[1]}\n# no\n\n{urls[2]}")
        self.assertEqual(code, 0, output)
        self.assertIn("3 of 3 URLs", output)
        listed = self.directory / "list"
        listed.write_text("\n".join(urls))
        code, output, _ = fetch(f"--input={listed}")
        self.assertEqual(code, 0, output)
        for url in urls:
            self.line_of(output, url)
        code, output, errors = fetch("--input", "-", stdin=f"{urls[0]}\nhttp://a b/\n")
        self.assertEqual((code, output), (2, ""))
        self.assertIn("standard input, line 2: illegal character ' ' in 'http://a b/'", errors)

    def test_ctrl_c_prints_what_is_finished(self):
        quick, slow = self.web.url("/quick"), self.web.url("/wait")
        process = start(slow, quick)
        line = process.stdout.readline()
        self.assertIn(quick, line)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("interrupted: 1 of 2 URLs finished, 1 ok, 0 failed", output)

    def test_ctrl_c_while_standard_input_is_awaited(self):
        process = start("--input", "-", self.web.url("/"), stdin=subprocess.PIPE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)  # nothing tells when it reads
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        self.assertEqual(process.returncode, 130)
        process.communicate()

    def test_a_terminal_gets_a_progress_bar(self):
        terminal, other_end = pty.openpty()
        process = start(self.web.url("/1"), self.web.url("/2"), stderr=other_end)
        os.close(other_end)
        output, _ = process.communicate(timeout=PATIENCE)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while more := os.read(terminal, 1000):
                shown += more
        os.close(terminal)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"/2", shown)
        self.assertIn(b"#", shown)
        self.assertNotIn("#", output)


if __name__ == "__main__":
    FETCH = sys.argv.pop(1)
    unittest.main(verbosity=2)
