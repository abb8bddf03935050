"""Lets weft's TLS talk to programs that nobody here wrote: curl, openssl s_client and s_server.

    tls_peers_test.py PEER [unittest's arguments]

PEER is peer.cpp. The certificates are made by OpenSSL's own program, in a temporary folder.
"""

import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import peers_test
from peers_test import Running, run, text

PEER = ""
PATIENCE = peers_test.PATIENCE


class Conversation:
    """A program that is talked to through its standard input and output."""

    def __init__(self, *words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.timer = threading.Timer(PATIENCE, self.process.kill)
        self.timer.start()
        self.heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def hear(self, words):
        """Reads until the words have come, and forgets all up to them."""
        while words not in self.heard:
            part = self.process.stdout.read1(4096)
            assert part, f"it ended without saying {words!r}: {self.heard.decode(errors='replace')}"
            self.heard += part
        self.heard = self.heard.split(words, 1)[1]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.root = cls.certificate("root", None, "basicConstraints=critical,CA:TRUE")
        cls.server = cls.certificate("server", cls.root, "subjectAltName=DNS:localhost,IP:127.0.0.1")
        cls.client = cls.certificate("client", cls.root, "extendedKeyUsage=clientAuth")
        cls.stranger = cls.certificate("stranger", None, "extendedKeyUsage=clientAuth")

    @classmethod
    def certificate(cls, name, issuer, extension):
        certificate, key = str(cls.folder / f"{name}.pem"), str(cls.folder / f"{name}.key")
        signed = [] if issuer is None else ["-CA", issuer[0], "-CAkey", issuer[1]]
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-addext", extension, "-keyout", key, "-out", certificate, *signed)
        return certificate, key

    def serving(self, kind, *more):
        return Running(PEER, "serve-tls", kind, *self.server, *more, said="port")


class Curl(Case):
    def curl(self, server, path, *words, **more):
        return run("curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", self.root[0], *words,
                   f"https://localhost:{server.value}{path}", **more)

    def test_it_gets_and_posts_pages_in_both_versions(self):
        with self.serving("http") as server:
            for version in ("--tls-max", "1.2"), ("--tlsv1.3",):
                for size in (0, 1, 16384, 3_000_000):
                    self.assertEqual(self.curl(server, f"/text/{size}", *version), text(size))
                self.assertEqual(self.curl(server, "/chunks/200000", *version), text(200_000))
                self.assertEqual(self.curl(server, "/echo", *version, "--data-binary", "@-", data=text(2_000_000)), text(2_000_000))

    def test_it_agrees_on_the_protocol(self):
        with self.serving("http") as server:
            said = subprocess.run(["curl", "--verbose", "--silent", "--noproxy", "*", "--cacert", self.root[0],
                                   f"https://localhost:{server.value}/text/5"], capture_output=True, timeout=PATIENCE)
            self.assertIn("http/1.1", [line for line in said.stderr.decode().splitlines() if "ALPN" in line][-1])

    def test_it_refuses_what_is_not_vouched_for(self):
        with self.serving("http") as server:
            run("curl", "--silent", "--noproxy", "*", f"https://localhost:{server.value}/text/5", status=60)
            self.assertEqual(self.curl(server, "/text/5"), text(5))

    def test_its_certificate_is_asked_for_and_verified(self):
        with self.serving("http", self.root[0]) as server:
            shown = lambda who: ("--cert", who[0], "--key", who[1])
            self.assertEqual(self.curl(server, "/text/5", *shown(self.client)), text(5))
            for words in ((), shown(self.stranger)):
                with self.subTest(words), self.assertRaises(AssertionError):
                    self.curl(server, "/text/5", *words)


class Client(Case):
    """openssl s_client and a server of weft."""

    def s_client(self, server, *words):
        return Conversation("openssl", "s_client", "-connect", f"127.0.0.1:{server.value}", "-servername", "localhost",
                            "-CAfile", self.root[0], "-verify_return_error", *words)

    def test_keys_are_changed_in_the_middle(self):
        with self.serving("echo") as server, self.s_client(server, "-tls1_3") as client:
            client.hear(b"Verify return code: 0 (ok)")
            for command in (b"K\n", b"k\n", b"K\n"):  # with and without asking us to change ours
                client.say(command)
                client.hear(b"KEYUPDATE")
                client.say(b"still here\n")
                client.hear(b"still here")

    def test_renegotiation_is_refused(self):
        with self.serving("echo") as server, self.s_client(server, "-tls1_2") as client:
            client.hear(b"Verify return code: 0 (ok)")
            client.say(b"before\n")
            client.hear(b"before")
            client.say(b"R\n")
            client.hear(b"RENEGOTIATING")
            client.hear(b"no renegotiation")

    def test_sessions_are_resumed(self):
        session = str(self.folder / "session")
        for version in ("-tls1_2", "-tls1_3"):
            with self.serving("echo") as server:
                for words, said in (("-sess_out", b"New, "), ("-sess_in", b"Reused, ")):
                    with self.s_client(server, version, words, session) as client:
                        client.hear(said)
                        client.say(b"here\n")
                        client.hear(b"here\n")
                        client.say(b"Q\n")
                        client.process.wait(PATIENCE)

    def test_old_versions_and_bad_certificates_are_refused(self):
        with self.serving("echo", self.root[0]) as server:
            with self.s_client(server, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") as client:
                client.hear(b"alert")
            with self.s_client(server, "-cert", self.stranger[0], "-key", self.stranger[1]) as client:
                client.hear(b"alert unknown ca")
            with self.s_client(server, "-cert", self.client[0], "-key", self.client[1]) as client:
                client.hear(b"Verify return code: 0 (ok)")
                client.say(b"let in\n")
                client.hear(b"let in")


class Server(Case):
    """openssl s_server and a client of weft."""

    def s_server(self, *words):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        certificate, key = self.server
        server = Conversation("openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", certificate, "-key", key,
                              "-CAfile", self.root[0], *words)
        server.hear(b"ACCEPT")
        return server

    def test_lines_come_back_and_the_session_is_resumed(self):
        for version in ("-tls1_2", "-tls1_3"):
            with self.s_server("-rev", version):
                lines = run(PEER, "connect-tls", self.port, self.root[0], "100").decode().splitlines()
                name = "TLSv1.2" if version == "-tls1_2" else "TLSv1.3"
                reversed_lines = [f"line {i}"[::-1] for i in range(100)]
                self.assertEqual(lines, [*reversed_lines, name + " new", *reversed_lines, name + " resumed"])

    def test_our_certificate_is_shown(self):
        with self.s_server("-rev", "-Verify", "2", "-verify_return_error"):
            run(PEER, "connect-tls", self.port, self.root[0], "3", *self.client)
        with self.s_server("-rev", "-Verify", "2", "-verify_return_error"):
            run(PEER, "connect-tls", self.port, self.root[0], "3", status=1)

    def test_a_server_that_nobody_vouches_for_is_refused_by_name(self):
        with self.s_server("-rev"):
            done = subprocess.run([PEER, "connect-tls", self.port, self.stranger[0], "1"], capture_output=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1)
            self.assertIn("does not come from a trusted authority", done.stderr.decode())

    def test_a_server_that_dies_is_no_end(self):
        with self.s_server() as server:
            client = subprocess.Popen([PEER, "connect-tls", self.port, self.root[0], "1"], stderr=subprocess.PIPE)
            server.hear(b"line 0")
            server.process.kill()
            said = client.communicate(timeout=PATIENCE)[1].decode()
            self.assertEqual(client.returncode, 1)
            self.assertTrue("ended before TLS's end of it" in said or "reset" in said, said)


if __name__ == "__main__":
    PEER = sys.argv.pop(1)
    unittest.main(verbosity=2)
