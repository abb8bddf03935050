"""asyncio_test.py PROGRAM SOURCE: the program, and the Python that its source opens with, both print what the source says.

The comment at the top of the source has the sections `Python:`, `Prints:` and, where something is typed, `Input:`; their lines
are indented by four spaces more.
"""

import subprocess
import sys


def sections(source):
    """The indented lines below each heading of the opening comment."""
    found, current = {}, None
    with open(source) as lines:
        for line in lines:
            if not line.startswith("//"):
                break
            text = line[3:].rstrip("\n")
            if text in ("Python:", "Prints:", "Input:"):
                current = found.setdefault(text[:-1], [])
            elif current is not None and (text.startswith("    ") or not text):
                current.append(text[4:])
    return {name: "\n".join(lines).strip("\n") + "\n" for name, lines in found.items()}


def check(what, command, typed, expected):
    run = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60)
    if run.returncode != 0 or run.stdout != expected:
        sys.exit(f"{what} ended with {run.returncode} and printed\n{run.stdout}instead of\n{expected}{run.stderr}")


program, source = sys.argv[1:]
opening = sections(source)
if not {"Python", "Prints"} <= opening.keys():
    sys.exit(f"{source}: its opening comment must have the sections Python and Prints")
check("the program", [program], opening.get("Input", ""), opening["Prints"])
check("the Python", ["/usr/bin/python3", "-X", "utf8", "-c", opening["Python"]], opening.get("Input", ""), opening["Prints"])
