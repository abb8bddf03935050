"""Plays the scenarios of a topic in Python and in weft, side by side, and compares the traces line by line.

    compare.py PROGRAM TOPIC [NAME]           all scenarios of a topic, or one; prints what differs, exits with 1 if anything does
    compare.py --table README PROGRAM TOPIC…  is README's table of scenarios up to date, and is no topic left out?
    compare.py --write-table README TOPIC…    brings it up to date

PROGRAM is weft's half; Python's half runs in the Python that runs this. CONFORMANCE_FOLDER names another folder of topics.
"""

import difflib
import importlib
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import scenario

OLDEST = (3, 11)
SKIPPED = 77  # what Meson takes for "skipped"
PATIENCE = 50  # seconds; what a scenario waits for is never real time
HERE = pathlib.Path(__file__).parent
FOLDER = pathlib.Path(os.environ.get("CONFORMANCE_FOLDER", HERE))


def scenarios_of(topic):
    sys.path.insert(0, str(FOLDER))
    scenario.SCENARIOS.clear()
    sys.modules.pop(topic, None)
    importlib.import_module(topic)
    return dict(scenario.SCENARIOS)


def play(command):
    """The traces by scenario, in order, and what went wrong with the process, or None."""
    wrong = None
    try:
        ended = subprocess.run(command, capture_output=True, timeout=PATIENCE)
        output, errors = ended.stdout, ended.stderr
        if ended.returncode != 0:
            wrong = f"ended with status {ended.returncode}"
    except subprocess.TimeoutExpired as late:
        output, errors = late.stdout or b"", late.stderr or b""
        wrong = f"had not ended after {PATIENCE} seconds; killed"
    except OSError as error:
        return {}, f"could not be started: {error}"
    traces = {}
    lines = None
    for line in output.decode(errors="replace").splitlines():
        if line.startswith("=== "):
            lines = traces.setdefault(line[4:], [])
        elif lines is not None:
            lines.append(line)
    if wrong and traces:
        wrong += f", in or after {list(traces)[-1]!r}"
    if errors.strip():
        wrong = (wrong or "wrote to standard error") + "\n" + textwrap.indent(errors.decode(errors="replace"), "    ")
    return traces, wrong


def difference(want, got, want_name, got_name):
    """A diff that shows all lines; None if there is no difference."""
    if want == got:
        return None
    lines = difflib.unified_diff(want, got, want_name, got_name, lineterm="", n=1000)
    return "\n".join("    " + line for line in lines)


def judge(one, python, weft):
    """What is wrong with a scenario's two traces, as a list of texts. python is None if it could not be played."""
    wrong = []
    if weft is None:
        return ["weft's half does not exist, or did not get that far"]
    if python is None and one.since <= sys.version_info[:2]:
        return ["Python's half did not get that far"]

    def expect(want, got, want_name, got_name):
        if diff := difference(want, got, want_name, got_name):
            wrong.append(diff)

    if python is not None and one.python_lines is not None:
        expect(one.python_lines, python, "stated for Python", "Python")
    if one.weft_lines is not None:
        expect(one.weft_lines, weft, "stated for weft", "weft")
    else:
        expect(python, weft, "Python", "weft")
    if one.differs and one.python_lines == one.weft_lines:
        wrong.append("states a difference and shows none")
    return wrong


def compare(program, topic, name=None):
    every = scenarios_of(topic)
    stated = {n: one for n, one in every.items() if name in (None, n)}
    python, python_wrong = play([sys.executable, str(HERE / "play.py"), str(FOLDER), topic] + ([name] if name else []))
    weft, weft_wrong = play(program + [topic] + ([name] if name else []))
    findings = []
    for n, one in stated.items():
        findings += [f"{n}\n{what}" for what in judge(one, python.get(n), weft.get(n))]
        if weft.get(n) == []:
            findings.append(f"{n}\nthe trace is empty: nothing was compared")
    findings += [f"{n}\nPython's half does not exist" for n in weft if n not in every]
    findings += [f"{half} {wrong}" for half, wrong in (("Python", python_wrong), ("weft", weft_wrong)) if wrong]
    if not stated:
        findings.append(f"there is no scenario {name or 'at all'}")
    played = len([n for n in stated if n in python])
    differing = len([one for one in stated.values() if one.differs])
    print(f"{topic}: {len(stated)} scenarios, {played} of them played by Python {sys.version.split()[0]} too, "
          f"{differing} with a stated difference")
    for finding in findings:
        print(f"\n{finding}")
    return 1 if findings else 0


def table_of(topics):
    lines = []
    for topic in topics:
        lines += [f"### {topic}", "", "| scenario | Python | difference |", "|---|---|---|"]
        for name, one in scenarios_of(topic).items():
            since = ".".join(map(str, one.since)) + (f": {one.source}" if one.source else "")
            lines.append(f"| {name} | {since} | {one.differs or ''} |".replace(" |  |", " | |"))
        lines.append("")
    return "\n".join(lines)


TABLE = re.compile(r"(?<=<!-- scenarios -->\n).*(?=<!-- end of scenarios -->)", re.DOTALL)


def with_table(text, topics):
    if not TABLE.search(text):
        raise SystemExit("the README has no place for the table of scenarios")
    table = table_of(topics)
    count = sum(line.startswith("| ") for line in table.splitlines()) - len(topics)
    differing = sum(not line.endswith("| |") for line in table.splitlines() if line.startswith("| ")) - len(topics)
    head = f"\n{count} scenarios in {len(topics)} topics, {differing} of them with a difference on purpose.\n\n"
    return TABLE.sub(lambda _: head + table, text)


def check_table(readme, program, topics):
    findings = []
    there = subprocess.run(program + ["--topics"], capture_output=True, text=True, check=True).stdout.split()
    sources = [path.stem for path in FOLDER.glob("*.cpp") if path.with_suffix(".py").exists()]
    for what, some in (("PROGRAM", there), (str(FOLDER.name), sources)):
        if sorted(some) != sorted(topics):
            findings.append(f"tested are the topics {sorted(topics)}, in {what} there are {sorted(some)}")
    text = pathlib.Path(readme).read_text()
    if with_table(text, topics) != text:
        findings.append(f"the table is not up to date; run: compare.py --write-table README.md {' '.join(topics)}")
    print("\n".join(findings) or "the table is up to date")
    return 1 if findings else 0


def main(arguments):
    if sys.version_info[:2] < OLDEST:
        print(f"needs Python {OLDEST[0]}.{OLDEST[1]}")
        return SKIPPED
    if arguments[:1] == ["--table"] and len(arguments) > 3:
        return check_table(arguments[1], [arguments[2]], arguments[3:])
    if arguments[:1] == ["--write-table"] and len(arguments) > 2:
        readme = pathlib.Path(arguments[1])
        readme.write_text(with_table(readme.read_text(), arguments[2:]))
        return 0
    if len(arguments) not in (2, 3) or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    return compare([arguments[0]], *arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
