"""Uses weft as other projects do: installed and found by pkg-config, or as a Meson subproject.

    packaging_test.py shared|static|subproject PROGRAM.cpp --meson MESON --source ROOT --build BUILD -- COMPILER...

Each way builds the program in a temporary folder, with nothing of this tree on its include path but what
that way gives it, and runs it.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SUBPROJECT_USER = """
project('outside', 'cpp', default_options: ['cpp_std=c++20'])
executable('outside', 'outside.cpp', dependencies: dependency('weft'))
"""


def run(*command, **environment):
    print("$", *command, flush=True)
    return subprocess.run(
        [str(word) for word in command], env=os.environ | environment, check=True, text=True, stdout=subprocess.PIPE,
    ).stdout


def install(arguments, folder):
    """Installs into `folder` as a package builder does, and returns where the libraries went and how to ask pkg-config."""
    run(arguments.meson, "install", "-C", arguments.build, "--no-rebuild", "--destdir", folder)
    [description] = folder.rglob("weft.pc")
    libraries = description.parent.parent
    prefix = next(line for line in description.read_text().splitlines() if line.startswith("prefix="))
    prefix = folder / prefix.removeprefix("prefix=").lstrip("/")

    def pkg_config(*options):
        # pkg-config would find libcares relative to the redefined prefix too, where it is not; it needs no -I there.
        return run(
            "pkg-config", f"--define-variable=prefix={prefix}", *options, "weft",
            PKG_CONFIG_PATH=str(description.parent),
        ).split()

    public = arguments.source / "include"
    for header in public.rglob("*.hpp"):
        installed = prefix / "include" / header.relative_to(public)
        assert installed.read_text() == header.read_text(), f"{installed} is not {header}"
    return libraries, pkg_config


def compile_outside(arguments, folder, flags):
    program = folder / "outside"
    run(*arguments.compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", arguments.program, "-o", program, *flags)
    return program


def shared(arguments, folder):
    libraries, pkg_config = install(arguments, folder / "staging")
    for archive in libraries.glob("*.a"):
        archive.unlink()
    flags = pkg_config("--cflags", "--libs")
    private = [flag for flag in flags
               if "boost" in flag or "cares" in flag or "uring" in flag or flag in ("-lssl", "-lcrypto")]
    assert not private, f"{private}: what weft uses inside is no business of its users"
    run(compile_outside(arguments, folder, flags), LD_LIBRARY_PATH=str(libraries))


def static(arguments, folder):
    libraries, pkg_config = install(arguments, folder / "staging")
    for library in libraries.glob("*.so*"):
        library.unlink()
    run(compile_outside(arguments, folder, pkg_config("--static", "--cflags", "--libs")))


def subproject(arguments, folder):
    (folder / "meson.build").write_text(SUBPROJECT_USER)
    shutil.copy(arguments.program, folder / "outside.cpp")
    (folder / "subprojects").mkdir()
    (folder / "subprojects/weft").symlink_to(arguments.source)
    build = folder / "build"
    print(run(
        arguments.meson, "setup", "--wrap-mode=forcefallback", "--force-fallback-for=weft",
        "-Dweft:default_library=static", build, folder, CXX=" ".join(arguments.compiler),
    ))
    run("ninja", "-C", build)
    targets = run(arguments.meson, "introspect", "--targets", build)
    assert "test-main" not in targets, "the tests of a subproject are not its user's"
    run(build / "outside")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["shared", "static", "subproject"])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--meson", required=True)
    parser.add_argument("--source", required=True, type=pathlib.Path)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("compiler", nargs="+")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            globals()[arguments.way](arguments, pathlib.Path(temporary))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error}\n{error.stdout or ''}")
