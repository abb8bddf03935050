"""Holds the source tree to the rules that a compiler does not check.

    lint.py ROOT    prints one line per finding, `path:line: [rule] what`, and exits with 1 if there is any.

The order of the layers is read from lib/meson.build and the layer of each public header from include/meson.build:
those are the lists that the build itself uses, so they cannot go stale unnoticed.
"""

import ast
import os
import pathlib
import re
import sys

# Who may include another library's headers: the layers by name. Their tests may too.
RESTRICTED = {  # library: (its includes, the layers that may have them)
    "Boost": (re.compile(r"<boost/"), {"kernel", "http"}),
    "c-ares": (re.compile(r"<ares"), {"dns"}),
    "OpenSSL": (re.compile(r"<openssl/"), {"tls"}),
    "liburing": (re.compile(r"<liburing"), {"engine"}),
}
FREE_OF_RESTRICTIONS = ("tests/bench/", "tests/lint/", "examples/")

TOP_LEVEL = {
    "meson.build", "meson_options.txt", "lib", "include", "tests", "examples", "tools", "README.md", "CHANGELOG.md",
}
MAX_LINES = 600
CPP = {".hpp", ".cpp", ".h", ".c"}
EMPTY_NAMES = {"util", "utils", "common", "misc", "helper", "helpers"}
NO_LIMIT_ON_LENGTH = {".md"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])')
# What only one machine has: somebody's home, a checkout, an absolute include. /etc, /proc, /dev, /usr are everybody's.
MACHINE_PATH = re.compile(r"(?<![\w.~}\-])/(?:home|root|work|Users|mnt|media)/\w|/tmp/bui[l]d|#\s*include\s*[<\"]/")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")


def literal_after(text, assignment):
    """The Python value of the Meson list or dictionary that `assignment` is given; both languages write them alike."""
    start = text.index(assignment) + len(assignment)
    opening = text[start:].lstrip()[0]
    closing = {"[": "\n]", "{": "\n}"}[opening]
    end = text.index(closing, start) + len(closing)
    return ast.literal_eval(text[start:end].strip())


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.findings = []
        self.layers = literal_after((self.root / "lib/meson.build").read_text(), "weft_layers =")
        by_layer = literal_after((self.root / "include/meson.build").read_text(), "weft_headers_by_layer =")
        # The umbrella header stands above every layer.
        self.rank = {layer: rank for rank, layer in enumerate(self.layers + ["umbrella"])}
        self.layer_of_header = {}
        for layer, headers in by_layer.items():
            if layer in self.rank:
                self.layer_of_header |= {header: layer for header in headers}
            else:
                self.report("include/meson.build", 0, "layers", f"{layer} is no layer")
        self.files = list(self.walk())
        self.text = {path: (self.root / path).read_text(errors="replace") for path in self.files}

    def walk(self):
        """Paths of the project's own files: neither hidden folders nor build folders nor subprojects."""
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(
                name for name in folders
                if not name.startswith(".") or name == ".ci"
                if name not in ("__pycache__", "subprojects")
                if not (name.startswith("build") and folder == str(self.root))
                if not os.path.exists(os.path.join(folder, name, "meson-private"))
            )
            for name in sorted(names):
                if name == ".git":   # of a linked work tree, where it is a file
                    continue
                yield pathlib.Path(folder, name).relative_to(self.root).as_posix()

    def report(self, path, line, rule, what):
        self.findings.append(f"{path}:{line}: [{rule}] {what}")

    def includes(self, path):
        for number, line in enumerate(self.text.get(path, "").splitlines(), 1):
            if found := INCLUDE.match(line):
                yield number, found.group(1)

    def layer_of_file(self, path):
        """The layer that a file of lib/, include/ or tests/ belongs to, or None."""
        parts = path.split("/")
        if parts[0] == "include":
            return self.layer_of_header.get(path.removeprefix("include/"))
        if parts[0] in ("lib", "tests") and len(parts) > 2 and parts[1] in self.rank:
            return parts[1]
        return None

    def layer_of_include(self, path, include):
        """The layer that an include in `path` leads to, or None if it leads out of the project."""
        target = include[1:-1]
        if target.startswith("."):
            target = os.path.normpath(f"{path}/../{target}").removeprefix("lib/").removeprefix("include/")
        if target in self.layer_of_header:
            return self.layer_of_header[target]
        folder = target.split("/")[0]
        return folder if "/" in target and folder in self.rank else None

    def check_order(self):
        for path in self.files:
            layer = self.layer_of_file(path)
            if layer is None or path.startswith("tests/"):
                continue
            for number, include in self.includes(path):
                other = self.layer_of_include(path, include)
                if other is not None and self.rank[other] > self.rank[layer]:
                    self.report(path, number, "order", f"{layer} includes {include} of {other}, which comes after it")

    def is_bridge(self, path):
        """The header that brings weft and Boost.Fiber together, its source and its test, may include Boost by name."""
        return path.split("/")[-1].startswith("boost")

    def check_restricted(self):
        for path in self.files:
            if pathlib.Path(path).suffix not in CPP or path.startswith(FREE_OF_RESTRICTIONS):
                continue
            for number, include in self.includes(path):
                for library, (pattern, layers) in RESTRICTED.items():
                    if not pattern.match(include):
                        continue
                    public = path.startswith("include/")
                    allowed = self.layer_of_file(path) in (layers & {"http"} if public else layers)
                    if not allowed and not (library == "Boost" and self.is_bridge(path)):
                        where = "in a public header" if public else f"outside {' and '.join(sorted(layers))}/"
                        self.report(path, number, "restricted", f"{library} {where}")

    def check_public(self):
        """Public headers include each other as users do, and none leads to another library through the bridge."""
        exempt = {path for path in self.files if path.startswith("include/") and
                  (self.is_bridge(path) or path.startswith("include/weft/http/"))}
        for path in self.files:
            if not path.startswith("include/"):
                continue
            for number, include in self.includes(path):
                if include[0] == '"':
                    self.report(path, number, "public", f"{include} in a public header: write <weft/...>")
                if path not in exempt and f"include/{include[1:-1]}" in exempt:
                    self.report(path, number, "public", f"{include} makes another library reachable")

    def check_listed(self):
        """Every source and public header is named in a meson.build on its way up: what is not built is not tested. One that
        appends the suffix to names may name it without."""

        def named(path, text):
            return f"'{path}'" in text or f"+ '{path.suffix}'" in text and f"'{path.with_suffix('')}'" in text

        for path in map(pathlib.PurePosixPath, self.files):
            if path.parts[0] == "include" and path.suffix in CPP or path.suffix in {".cpp", ".c"}:
                folders = path.parents[:-1]
                if not any(named(path.relative_to(f), self.text.get(f"{f}/meson.build", "")) for f in folders):
                    self.report(path, 0, "listed", "is named in no meson.build")

    def check_names(self):
        for path in self.files:
            for part in path.split("/"):
                if EMPTY_NAMES & set(re.split(r"[^a-z]+", part.lower())):
                    self.report(path, 0, "names", f"{part} does not say what is in it")
        for entry in os.scandir(self.root):
            hidden_or_built = entry.name.startswith((".", "build")) or entry.name == "subprojects"
            if entry.name not in TOP_LEVEL and not hidden_or_built:
                self.report(entry.name, 0, "names", "does not belong in the top folder")

    def check_text(self):
        for path, text in self.text.items():
            lines = text.splitlines()
            for number, line in enumerate(lines, 1):
                if MACHINE_PATH.search(line):
                    self.report(path, number, "machine", "a path that only one machine has")
                if UNFINISHED.search(line):
                    self.report(path, number, "unfinished", "a note about work that is not done: do it, or leave it out")
            if len(lines) > MAX_LINES and pathlib.Path(path).suffix not in NO_LIMIT_ON_LENGTH:
                self.report(path, len(lines), "length", f"more than {MAX_LINES} lines: split it by concept")

    def check(self):
        self.check_order()
        self.check_restricted()
        self.check_public()
        self.check_listed()
        self.check_names()
        self.check_text()
        return self.findings


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    findings = Tree(sys.argv[1]).check()
    print("\n".join(findings) or "nothing found")
    sys.exit(1 if findings else 0)
