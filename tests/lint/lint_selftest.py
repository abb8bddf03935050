"""A lint that finds nothing may be a lint that looks at nothing: each rule is shown a tree that breaks it."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from lint import Tree

GOOD_TREE = {
    "meson.build": "project('weft', 'cpp')\n",
    "CHANGELOG.md": "# Changelog\n" * 700,
    "lib/meson.build": "weft_layers = [\n    'kernel', # the lowest\n    'engine',\n    'task',\n    'http',\n    'dns',\n]\n",
    "lib/kernel/meson.build": "weft_sources += files('fiber.cpp')\n",
    "lib/kernel/fiber.cpp": '#include "kernel/fiber.hpp"\n#include <boost/fiber/context.hpp>\n',
    "lib/kernel/fiber.hpp": "#include <weft/error.hpp>\n",
    "lib/engine/meson.build": "weft_sources += files('epoll.cpp', 'io_uring.cpp')\n",
    "lib/engine/epoll.cpp": '#include "kernel/fiber.hpp"\n#include <sys/epoll.h>\n// /proc/self and https://a.b/c/d\n',
    "lib/engine/io_uring.cpp": "#include <liburing.h>\n",
    "lib/dns/meson.build": "weft_sources += files('resolver.cpp')\n",
    "lib/dns/resolver.cpp": "#include <ares.h>\n#include <weft/task.hpp>\n",
    "include/meson.build": (
        "weft_headers_by_layer = {\n    'kernel': [\n        'weft/error.hpp',\n    ],\n"
        "    'task': ['weft/boost_bridge.hpp', 'weft/task.hpp'],\n    'http': ['weft/http/client.hpp'],\n"
        "    'umbrella': [\n        'weft/weft.hpp',\n    ],\n}\n"
    ),
    "include/weft/error.hpp": "#include <stdexcept>\n",
    "include/weft/task.hpp": "#include <weft/error.hpp>\n",
    "include/weft/boost_bridge.hpp": "#include <weft/task.hpp>\n#include <boost/fiber/all.hpp>\n",
    "include/weft/http/client.hpp": "#include <boost/beast.hpp>\n",
    "include/weft/weft.hpp": "#include <weft/task.hpp>\n",
    "tests/kernel/meson.build": "layer_tests = files('fiber_test.cpp')\n",
    "tests/kernel/fiber_test.cpp": "#include <boost/fiber/mutex.hpp>\n#include <weft/task.hpp>\n",
    "tests/bench/meson.build": "files('bench.cpp')\n",
    "tests/bench/bench.cpp": "#include <boost/fiber/all.hpp>\n",
    "examples/meson.build": "files('fetch/main.cpp')\n",
    "examples/fetch/main.cpp": "#include <boost/context/fiber.hpp>\n",
    "build/plain/generated.cpp": "#include <ares.h>\n",
    ".git/util.cpp": "\n",
}

# By rule: what is wrong, and the files that make the good tree so.
BAD_TREES = {
    "order": {
        "an internal include points up": {"lib/kernel/fiber.hpp": '#include "engine/engine.hpp"\n'},
        "a public include points up": {"lib/kernel/fiber.cpp": "\n#include <weft/task.hpp>\n"},
        "a public header points up": {"include/weft/error.hpp": "#include <weft/task.hpp>\n"},
        "a header points up to the umbrella": {"include/weft/task.hpp": "#include <weft/weft.hpp>\n"},
        "a relative include points up": {"lib/kernel/fiber.hpp": '#  include "../engine/engine.hpp"\n'},
    },
    "restricted": {
        "Boost outside the kernel": {"lib/engine/epoll.cpp": "#include <boost/intrusive/list.hpp>\n"},
        "Boost in another layer's test": {
            "tests/task/task_test.cpp": "#include <boost/fiber/all.hpp>\n",
            "tests/task/meson.build": "layer_tests = files('task_test.cpp')\n",
        },
        "Boost in a public header": {"include/weft/error.hpp": "#include <boost/config.hpp>\n"},
        "c-ares in a public header": {"include/weft/task.hpp": "#include <ares.h>\n"},
        "c-ares outside dns": {"lib/engine/epoll.cpp": "#include <ares_dns.h>\n"},
        "OpenSSL outside tls": {"lib/dns/resolver.cpp": "#include <openssl/ssl.h>\n"},
        "liburing outside the engine": {"lib/kernel/fiber.cpp": "#include <liburing/io_uring.h>\n"},
    },
    "public": {
        "Boost reachable through the bridge": {"include/weft/weft.hpp": "#include <weft/boost_bridge.hpp>\n"},
        "an internal header in a public one": {"include/weft/task.hpp": '#include "kernel/fiber.hpp"\n'},
    },
    "listed": {
        "a source that is not built": {"lib/kernel/timer.cpp": "\n"},
        "a public header that is not installed": {"include/weft/timer.hpp": "\n"},
        "a test that does not run": {"tests/kernel/timer_test.cpp": "\n"},
    },
    "names": {
        "a file named after nothing": {"lib/kernel/string_utils.hpp": "\n"},
        "a folder named after nothing": {"lib/common/fiber.hpp": "\n"},
        "a stray file at the top": {"NOTES.md": "\n"},
    },
    "machine": {
        "somebody's home": {"tools/test": "cd /home/" "me/weft\n"},
        "an absolute include": {"lib/kernel/fiber.hpp": '#include "' '/usr/include/stdio.h"\n'},
    },
    "unfinished": {
        "something left to do": {"lib/kernel/fiber.hpp": "// TO" "DO: finish\n"},
        "something left broken": {"meson.build": "# FIX" "ME\n"},
    },
    "length": {
        "a source that is too long": {"lib/kernel/fiber.hpp": "\n" * 601},
    },
    "layers": {
        "headers of an unknown layer": {
            "include/meson.build": GOOD_TREE["include/meson.build"].replace("'http':", "'htttp':"),
            "include/weft/http/client.hpp": "\n",
        },
    },
}


def write_tree(root, files):
    for path, text in files.items():
        file = pathlib.Path(root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def findings_in(files):
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, files)
        return Tree(root).check()


class LintTest(unittest.TestCase):
    def test_a_good_tree_passes(self):
        self.assertEqual(findings_in(GOOD_TREE), [])

    def test_each_rule_is_enforced(self):
        for rule, trees in BAD_TREES.items():
            for what, files in trees.items():
                with self.subTest(what):
                    findings = findings_in(GOOD_TREE | files)
                    self.assertTrue(any(f"[{rule}]" in finding for finding in findings), findings)
                    self.assertEqual([f for f in findings if f"[{rule}]" not in f], [])

    def test_every_rule_has_a_bad_tree(self):
        source = pathlib.Path(__file__).with_name("lint.py").read_text()
        rules = set(re.findall(r'self\.report\(.*?, "(\w+)"', source))
        self.assertEqual(rules, set(BAD_TREES))

    def test_a_finding_names_the_line(self):
        findings = findings_in(GOOD_TREE | BAD_TREES["order"]["a public include points up"])
        self.assertEqual(
            findings,
            ["lib/kernel/fiber.cpp:2: [order] kernel includes <weft/task.hpp> of task, which comes after it"],
        )

    def test_the_program_reports_failure(self):
        with tempfile.TemporaryDirectory() as root:
            write_tree(root, GOOD_TREE | BAD_TREES["length"]["a source that is too long"])
            lint = pathlib.Path(__file__).with_name("lint.py")
            result = subprocess.run([sys.executable, lint, root], capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stdout.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
