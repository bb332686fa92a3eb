# shellcheck shell=bash
# Tools that build for other targets: Debian's compiler, standard libraries for it, and linkers.
#
# The standard libraries are built from Debian's sources and saved in
# ${XDG_CACHE_HOME:-~/.cache}/patcher-std, a folder for rustc's --sysroot. Needs Debian 12 or later.
# The cargo in the path drives the compiler. Zig links for all systems but Windows.

std=${XDG_CACHE_HOME:-$HOME/.cache}/patcher-std
rustc=/usr/bin/rustc
# The compiler and the sources of its standard library.
rust_packages=(rustc-web rust-web-src)
zig_packages=(cargo-zigbuild==0.24.1 ziglang==0.17.1)
glibc=2.17
zig_folder=$target/zig
mingw_packages=(gcc-mingw-w64-x86-64)

# Installs Python packages for zig, and others, into $zig_folder, and puts it into the path.
install_zig() {
    [ -d "$zig_folder" ] || python3 -m venv "$zig_folder"
    "$zig_folder/bin/pip" install --quiet "${zig_packages[@]}" "$@"
    PATH=$zig_folder/bin:$PATH
}

# Prints the path of the linker for Windows.
find_linker() {
    command -v x86_64-w64-mingw32-gcc || command -v x86_64-w64-mingw32-gcc-win32
}

# Makes cargo use Debian's compiler and, for Windows, Debian's linker.
use_rustc() {
    local linker
    unset RUSTC_WRAPPER CARGO_BUILD_TARGET
    export RUSTC=$rustc RUSTFLAGS=--sysroot=$std
    linker=$(find_linker || true)
    export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$linker CC_x86_64_pc_windows_gnu=$linker
}

# Calls cargo for a target: cross_cargo build|check|test TARGET [ARGUMENT...]
cross_cargo() {
    local command=$1 target=$2 cargo=(cargo-zigbuild "${1/build/zigbuild}")
    case $target in
        *-linux-gnu) target=$target.$glibc ;;
        *-windows-gnu) cargo=(cargo "$command") ;;
    esac
    "${cargo[@]}" --quiet --locked --target "$target" "${@:3}"
}

# Builds the standard library for a target, unless the same compiler has built it before.
build_std() (
    target=$1 libraries=$std/lib/rustlib
    host=$($rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu
    mkdir -p "$libraries"
    # Two runs must not build the same library at once.
    exec 8> "$std/lock"
    flock 8
    # Build scripts and procedural macros use the library that Debian has built.
    ln -sfn "$host" "$libraries/"
    version=$($rustc --version --verbose)
    [ ! -L "$libraries/$target" ] || return 0
    [ "$(cat "$libraries/$target/built-by" 2> /dev/null)" != "$version" ] || return 0
    printf 'building the standard library for %s: %s\n' "$target" "${version%%$'\n'*}"
    work=$(mktemp -d -p "$std")
    trap 'rm -rf "$work"' EXIT
    cargo init --quiet --lib --vcs none --name empty "$work/empty"
    printf '\n[workspace]\n' >> "$work/empty/Cargo.toml"
    # Programs that abort on a panic need one crate that is built so. The rest unwinds.
    printf '%s\n' '#!/bin/sh' \
        'case " $* " in *" --crate-name panic_abort "*) set -- "$@" -Cpanic=abort ;; esac' \
        'exec "$@"' > "$work/wrapper"
    chmod +x "$work/wrapper"
    cd "$work/empty"
    # The stable compiler takes unstable options with RUSTC_BOOTSTRAP. Bitcode is for the link-time
    # optimization of programs.
    env RUSTC_WRAPPER="$work/wrapper" RUSTFLAGS=-Cembed-bitcode=yes RUSTC=$rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_DIR="$work/target" cargo build --quiet --release --target "$target" \
        -Z build-std=std,test,proc_macro,panic_abort,panic_unwind
    mkdir -p "$work/library/lib"
    find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libempty-*' \
        -exec cp -t "$work/library/lib" {} +
    printf '%s' "$version" > "$work/library/built-by"
    rm -rf "${libraries:?}/$target"
    mv "$work/library" "$libraries/$target"
)
