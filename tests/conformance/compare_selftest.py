"""A comparison that finds nothing may compare nothing: each way to differ is shown to it, with a stand-in for weft's program."""

import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = pathlib.Path(__file__).parent
PYTHON_HALF = """
    from scenario import scenario, trace

    @scenario("one")
    async def _():
        trace("first")
        trace("second")
"""
DIFFERING = """
    from scenario import scenario, trace

    @scenario("one", differs="because", expected='''
          first
        - second
        + other
    ''')
    async def _():
        trace("first")
        trace("second")
"""
NEWER = """
    from scenario import scenario, trace

    @scenario("one", since=(%s), source="the documentation", expected='''
        first
        second
    ''')
    async def _():
        trace("first")
        trace("%s")
"""
GOOD_WEFT = "=== one\nfirst\nsecond\n"
README = "# Head\n<!-- scenarios -->\n<!-- end of scenarios -->\ntail\n"


class Stage:
    """A folder with a topic, and a program that prints what weft's half is said to print."""

    def __init__(self, python_half, weft_output, ending=""):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        (self.root / "topic.py").write_text(textwrap.dedent(python_half))
        (self.root / "topic.cpp").write_text("\n")
        self.program = self.root / "weft"
        self.program.write_text(
            f"#!{sys.executable}\nimport os, sys\n"
            f"print('topic' if '--topics' in sys.argv else {weft_output!r}, end='', flush=True)\n{ending}\n"
        )
        self.program.chmod(0o755)

    def run(self, *arguments):
        environment = {**os.environ, "CONFORMANCE_FOLDER": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(
            [sys.executable, str(HERE / "compare.py"), *arguments], capture_output=True, text=True, env=environment,
        )
        return ended.returncode, ended.stdout + ended.stderr


class CompareTest(unittest.TestCase):
    def stage(self, *arguments):
        stage = Stage(*arguments)
        self.addCleanup(stage.folder.cleanup)
        return stage

    def compare(self, python_half, weft_output, ending="", name=()):
        stage = self.stage(python_half, weft_output, ending)
        return stage.run(str(stage.program), "topic", *name)

    def assert_passes(self, *arguments, **more):
        status, output = self.compare(*arguments, **more)
        self.assertEqual(status, 0, output)

    def assert_finds(self, what, *arguments, **more):
        status, output = self.compare(*arguments, **more)
        self.assertEqual(status, 1, output)
        self.assertIn(what, output)
        return output

    def test_equal_traces_pass(self):
        self.assert_passes(PYTHON_HALF, GOOD_WEFT)
        self.assert_passes(PYTHON_HALF, GOOD_WEFT, name=["one"])

    def test_another_line_is_shown_in_a_diff(self):
        output = self.assert_finds("one", PYTHON_HALF, "=== one\nfirst\nother\n")
        self.assertIn("    -second\n    +other\n", output)
        self.assertIn("     first\n", output)

    def test_a_missing_line_an_additional_one_and_another_order(self):
        self.assert_finds("-second", PYTHON_HALF, "=== one\nfirst\n")
        self.assert_finds("+third", PYTHON_HALF, GOOD_WEFT + "third\n")
        self.assert_finds("-second", PYTHON_HALF, "=== one\nsecond\nfirst\n")

    def test_a_scenario_that_exists_on_one_side_only(self):
        self.assert_finds("weft's half does not exist", PYTHON_HALF, "=== another\nfirst\nsecond\n")
        self.assert_finds("another\nPython's half does not exist", PYTHON_HALF, GOOD_WEFT + "=== another\nx\n")
        self.assert_finds("there is no scenario two", PYTHON_HALF, GOOD_WEFT, name=["two"])

    def test_a_trace_that_is_empty(self):
        half = PYTHON_HALF.replace("trace(", "str(")
        self.assert_finds("the trace is empty", half, "=== one\n")

    def test_a_stated_difference(self):
        self.assert_passes(DIFFERING, "=== one\nfirst\nother\n")
        self.assert_finds("stated for weft", DIFFERING, GOOD_WEFT)
        self.assert_finds("stated for weft", DIFFERING, "=== one\nfirst\nthird\n")
        self.assert_finds("stated for Python", DIFFERING.replace('trace("second")', 'trace("changed")'),
                          "=== one\nfirst\nother\n")
        self.assert_finds("states a difference and shows none", DIFFERING.replace("+ other", "+ second"), GOOD_WEFT)
        self.assert_finds("begins with neither", DIFFERING.replace("- second", "second"), GOOD_WEFT)

    def test_a_scenario_for_a_newer_python(self):
        future, present = NEWER % ("99, 0", "anything"), NEWER % ("3, 11", "second")
        self.assert_passes(future, GOOD_WEFT)
        self.assert_finds("stated for weft", future, "=== one\nfirst\nother\n")
        self.assert_passes(present, GOOD_WEFT)
        self.assert_finds("stated for Python", NEWER % ("3, 11", "other"), GOOD_WEFT)
        self.assert_finds("states the expected trace and its source", future.replace("source=", "differs="), GOOD_WEFT)

    def test_a_program_that_dies_fails_or_complains(self):
        self.assert_finds("status 3, in or after 'one'", PYTHON_HALF, GOOD_WEFT, "sys.exit(3)")
        self.assert_finds("status -6, in or after 'one'", PYTHON_HALF, GOOD_WEFT, "os.abort()")
        self.assert_finds("weft's half does not exist", PYTHON_HALF, "", "os.abort()")
        self.assert_finds("wrote to standard error\n    oh", PYTHON_HALF, GOOD_WEFT, "print('oh', file=sys.stderr)")
        two = PYTHON_HALF + PYTHON_HALF.replace("one", "two").replace('trace("first")', "import os; os._exit(4)")
        self.assert_finds("Python ended with status 4, in or after 'two'", two, GOOD_WEFT + "=== two\nfirst\nsecond\n")
        three = two + PYTHON_HALF.replace("one", "three")
        self.assert_finds("three\nPython's half did not get that far", three, GOOD_WEFT + "=== three\nfirst\nsecond\n")

    def test_a_program_that_is_not_there(self):
        stage = self.stage(PYTHON_HALF, GOOD_WEFT)
        status, output = stage.run(str(stage.root / "nowhere"), "topic")
        self.assertEqual(status, 1, output)
        self.assertIn("weft could not be started", output)

    def test_what_leaves_a_scenario_is_part_of_its_trace(self):
        half = PYTHON_HALF.replace('trace("second")', "raise ValueError()")
        self.assert_passes(half, "=== one\nfirst\nleft the scenario: misuse\n")

    def test_the_table(self):
        stage = self.stage(DIFFERING, GOOD_WEFT)
        readme = stage.root / "README.md"
        readme.write_text(README)
        check = ["--table", str(readme), str(stage.program), "topic"]
        status, output = stage.run(*check)
        self.assertEqual(status, 1)
        self.assertIn("not up to date", output)
        self.assertEqual(stage.run("--write-table", str(readme), "topic")[0], 0)
        self.assertIn("| one | 3.11 | because |", readme.read_text())
        self.assertIn("1 scenarios in 1 topics, 1 of them", readme.read_text())
        self.assertTrue(readme.read_text().endswith("tail\n"))
        self.assertEqual(stage.run(*check)[0], 0)
        (stage.root / "forgotten.py").write_text("")
        (stage.root / "forgotten.cpp").write_text("")
        status, output = stage.run(*check)
        self.assertEqual(status, 1)
        self.assertIn("there are ['forgotten', 'topic']", output)


if __name__ == "__main__":
    unittest.main()
