"""The C library: programs in C and C++ compile without a warning, update and are rolled back."""

import os
import shutil
import subprocess

import pytest
from conftest import BINDINGS, PROGRAMS, ROOT, run, stripped, wait_for

C = ROOT / "bindings/c"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installs the library as a user does."""
    prefix = tmp_path_factory.mktemp("prefix")
    run(C / "install.sh", prefix, BINDINGS)
    return prefix


def compile_app(compiler, prefix, folder, version):
    """Compiles the example with the flags of pkg-config. Returns the program."""
    program = folder / f"app-{version}"
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    flags = run("pkg-config", "--cflags", "--libs", "patcher", env=environment).split()
    language = ["-x", "c++", "-std=c++17"] if "++" in compiler else ["-x", "c", "-std=c11"]
    flags = [*WARNINGS, f'-DVERSION="{version}"', "-Wl,-rpath,$ORIGIN", "-x", "none", *flags]
    run(compiler, *language, C / "examples/app.c", *flags, "-o", program)
    return program


def files(compiler, prefix, folder, version):
    return {
        "bin/app": compile_app(compiler, prefix, folder, version),
        "bin/libpatcher.so": stripped(BINDINGS / "libpatcher.so", folder),
        "bin/patcher-helper": stripped(PROGRAMS / "patcher-helper", folder),
    }


@pytest.fixture(params=["gcc", "g++"])
def compiler(request):
    return request.param


@pytest.mark.parametrize("valgrind", [False, True])
def test_a_program_updates_and_is_rolled_back(world, prefix, compiler, valgrind):
    if valgrind and compiler == "g++":
        pytest.skip("valgrind sees the same library")
    world.publish("1.0.0", files(compiler, prefix, world.folder, "1"))
    world.install()
    world.publish("2.0.0", files(compiler, prefix, world.folder, "2"))
    program = world.root / "app/bin/app"
    wrapper = []
    if valgrind:
        assert shutil.which("valgrind"), "valgrind is not installed"
        wrapper = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]
    environment = {**os.environ, "KEY": world.key.read_text()}

    def start(*arguments):
        done = subprocess.run([*wrapper, program, *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout

    # Version 1 confirms, downloads version 2 and hands over. Version 2 starts and confirms.
    assert start() == "1 runs\n"
    wait_for("version 2", lambda: "2 runs" in world.output())
    wait_for("its confirmation", lambda: world.swap() is None)
    assert world.version() == "2.0.0"
    # Version 3 ends with an error, and version 2 returns.
    world.publish("3.0.0", files(compiler, prefix, world.folder, "3"))
    assert start("3") == "2 runs\n"
    wait_for("the rollback", lambda: "2 is back" in world.output())
    assert world.version() == "2.0.0" and "it ended with exit code 7" in world.helper_log()
    assert start() == "2 runs\n"
