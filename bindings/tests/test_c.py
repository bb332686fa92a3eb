"""The C library: programs in C and C++ compile without a warning, update and are rolled back."""

import ctypes
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


def compile_with_pkg_config(prefix, folder, version):
    """Compiles the example in C with the flags of pkg-config. Returns the program."""
    program = folder / f"app-{version}"
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    flags = run("pkg-config", "--cflags", "--libs", "patcher", env=environment).split()
    flags = [*WARNINGS, f'-DVERSION="{version}"', "-Wl,-rpath,$ORIGIN", *flags]
    run("gcc", "-std=c11", C / "examples/app.c", *flags, "-o", program)
    return program


def compile_with_cmake(prefix, folder, version):
    """Compiles both examples with CMake. Returns the program in C++."""
    build = folder / f"cmake-{version}"
    run("cmake", "-S", C / "examples", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DVERSION={version}")
    run("cmake", "--build", build)
    return build / "app_cpp"


def files(compile_app, prefix, folder, version):
    return {
        "bin/app": compile_app(prefix, folder, version),
        "bin/libpatcher.so": stripped(BINDINGS / "libpatcher.so", folder),
        "bin/patcher-helper": stripped(PROGRAMS / "patcher-helper", folder),
    }


@pytest.mark.parametrize(
    "compile_app, valgrind",
    [(compile_with_pkg_config, False), (compile_with_pkg_config, True), (compile_with_cmake, False)],
)
def test_a_program_updates_and_is_rolled_back(world, prefix, compile_app, valgrind):
    world.publish("1.0.0", files(compile_app, prefix, world.folder, "1"))
    world.install()
    world.publish("2.0.0", files(compile_app, prefix, world.folder, "2"))
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
    world.publish("3.0.0", files(compile_app, prefix, world.folder, "3"))
    assert start("3") == "2 runs\n"
    wait_for("the rollback", lambda: "2 is back" in world.output())
    assert world.version() == "2.0.0" and "it ended with exit code 7" in world.helper_log()
    assert start() == "2 runs\n"


def test_wrong_arguments_are_errors(world):
    library = ctypes.CDLL(str(BINDINGS / "libpatcher.so"))
    for name in ["patcher_config_new", "patcher_error_code", "patcher_error_message"]:
        getattr(library, name).restype = ctypes.c_void_p
    app, error = ctypes.c_void_p(), ctypes.c_void_p()

    def fails(code, name, *arguments):
        assert getattr(library, name)(*arguments, ctypes.byref(error)) == 2
        assert ctypes.string_at(library.patcher_error_code(error)) == code
        assert ctypes.string_at(library.patcher_error_message(error))
        library.patcher_error_free(error)

    fails(b"bad-setting", "patcher_app_new", None, ctypes.byref(app))
    for root, value in [(None, None), (b"/root", None), (b"/root", b"\xff")]:
        config = ctypes.c_void_p(library.patcher_config_new(root))
        library.patcher_config_channel(config, value)
        fails(b"bad-setting", "patcher_app_new", config, ctypes.byref(app))
        library.patcher_config_free(config)
    config = ctypes.c_void_p(library.patcher_config_new(str(world.root).encode()))
    fails(b"no-key", "patcher_app_new", config, ctypes.byref(app))
    library.patcher_config_trusted_key(config, world.key.read_bytes())
    assert library.patcher_app_new(config, ctypes.byref(app), None) == 0
    fails(b"bad-setting", "patcher_start", None, None, None)
    fails(b"bad-setting", "patcher_skip", app, b"app", b"new")
    fails(b"bad-setting", "patcher_check_component", app, b"../app", None, None)
    fails(b"bad-setting", "patcher_download", None, None, None, None, None)
    fails(b"bad-setting", "patcher_restart", None)
    fails(b"nothing-to-roll-back", "patcher_roll_back", app)
    watch = [app, 9, ctypes.c_uint64(1), ctypes.c_uint64(1), None, None, None]
    fails(b"bad-setting", "patcher_watch", *watch)
    # What may be NULL, is.
    assert library.patcher_restart(None, None) == 2
    for name in ["app", "config", "error", "updates", "staged", "watcher", "cancel", "text"]:
        getattr(library, f"patcher_{name}_free")(None)
    library.patcher_app_free(app)
    library.patcher_config_free(config)
