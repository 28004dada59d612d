#!/bin/sh
# Install qredit into a virtual environment, without root.
#
#   scripts/install.sh run    what `qredit` needs
#   scripts/install.sh dev    that, and what the tests and linters need
#
# Environment:
#   PYTHON       interpreter to use; otherwise the first of python3.14 ... python3.11, python3, python that is >= 3.11
#   VENV         where the virtual environment goes; default .venv
#   TORCH        auto | cpu | cuda; auto is cpu on Linux without nvidia-smi, else the plain package
#   TORCH_INDEX  package index with CPU builds of torch, as the "CPU" choice of PyTorch's installation page gives it
set -eu

cd "$(dirname "$0")/.."
extra=${1:-run}
VENV=${VENV:-.venv}
TORCH=${TORCH:-auto}
TORCH_INDEX=${TORCH_INDEX:-}

say() { printf '%s\n' "$*" >&2; }

stop() {
    say ""
    for line in "$@"; do say "$line"; done
    exit 1
}

is_recent() {
    # A pyenv or Xcode shim may exist and still not run: only running it tells.
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_recent "$PYTHON" || stop "PYTHON=$PYTHON does not run or is older than 3.11: name another one."
        printf '%s\n' "$PYTHON"
        return
    fi
    for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if is_recent "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    stop "No Python 3.11 or newer was found on PATH (python3.14 ... python3.11, python3, python)." \
        "Install one, or name it:  make install PYTHON=/path/to/python3"
}

has_pip() { "$VENV/bin/python" -m pip --version >/dev/null 2>&1; }

made() {
    # Ubuntu's python3 has `venv` but no `ensurepip`: the command fails and leaves half an environment behind.
    if reason=$("$@" 2>&1) && has_pip; then return 0; fi
    rm -rf "$VENV"
    say "  not with \`$*\`: $(printf '%s\n' "${reason:-no pip in it}" | tail -n 1)"
    return 1
}

make_venv() {
    python=$1
    say "Making $VENV with $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
    trap 'rm -rf "$VENV"; exit 130' INT TERM HUP
    if made "$python" -m venv "$VENV" ||
        made uv venv --quiet --seed --python "$python" "$VENV" ||
        made "$python" -m virtualenv --quiet "$VENV" ||
        made virtualenv --quiet --python "$python" "$VENV"; then
        trap - INT TERM HUP
        return
    fi
    stop "No virtual environment could be made with $python; the reasons stand above. Often its \`venv\` lacks \`ensurepip\`." \
        "Any one of these helps, and none needs administrator rights:" \
        "  - install \`uv\` into your home directory, as its documentation shows, and run this again" \
        "  - get virtualenv's single file \`virtualenv.pyz\` from its documentation and run:  $python virtualenv.pyz $VENV" \
        "  - name another Python:  make install PYTHON=/path/to/python3"
}

pip_install() {
    # PIP_USER in the environment would make pip refuse to install into a virtual environment.
    PIP_USER=0 "$VENV/bin/python" -m pip install --no-input --disable-pip-version-check "$@"
}

torch_kind() {
    case $TORCH in
        cpu | cuda) printf '%s\n' "$TORCH" ;;
        auto)
            if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then
                printf 'cpu\n'
            else
                printf 'plain\n'
            fi
            ;;
        *) stop "TORCH=$TORCH: it must be auto, cpu or cuda." ;;
    esac
}

install_torch() {
    version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' constraints.txt)
    [ -n "$version" ] || stop "constraints.txt has no line \`torch==VERSION\`."
    kind=$(torch_kind)
    # Without torch's own line pip says that there is no such build, instead of a conflict between `X` and `X+cpu`.
    sed '/^torch==/d' constraints.txt >"$VENV/torch-constraints.txt"
    if [ "$kind" = cpu ] && [ "$(uname -s)" = Linux ]; then
        install_cpu_torch "$version"
    else
        pip_install -c "$VENV/torch-constraints.txt" "torch==$version"
    fi
}

install_cpu_torch() {
    # The plain package brings several GB of CUDA libraries. The local version `+cpu` can only be a CPU build, so where
    # there is none, pip stops after a look at the index, and nothing large is ever downloaded by accident.
    if [ -n "$TORCH_INDEX" ]; then
        set -- "$1" --extra-index-url "$TORCH_INDEX"
    else
        set -- "$1"
    fi
    wanted="torch==$1+cpu"
    shift
    if pip_install -c "$VENV/torch-constraints.txt" "$@" "$wanted"; then return; fi
    stop "No CPU build of torch could be installed as \`$wanted\`; pip's reason stands above." \
        "Without a graphics card, take the CPU build: choose \"CPU\" on PyTorch's installation page and give the URL it shows:" \
        "  make quickstart TORCH_INDEX=URL" \
        "(or configure that URL as pip's extra-index-url). The plain package works too, but downloads several GB of CUDA libraries:" \
        "  make quickstart TORCH=cuda"
}

has_torch() {
    "$VENV/bin/python" - <<'PYTHON' >/dev/null 2>&1
import importlib.metadata, re, sys
wanted = re.search(r"^torch==([0-9.]+)", open("constraints.txt").read(), re.M).group(1)
sys.exit(importlib.metadata.version("torch").split("+")[0] != wanted)
PYTHON
}

case $extra in
    run) what=. ;;
    dev) what='.[dev]' ;;
    *) stop "usage: scripts/install.sh run|dev" ;;
esac
case $VENV in
    *' '*) stop "VENV=$VENV: the name must not hold a space." ;;
esac

if [ ! -e "$VENV" ]; then
    python=$(find_python)
    make_venv "$python"
elif ! has_pip; then
    stop "$VENV is there, but is no working virtual environment with pip. Delete it and run this again:  rm -rf $VENV"
elif ! is_recent "$VENV/bin/python"; then
    stop "$VENV holds a Python older than 3.11. Delete it and run this again:  rm -rf $VENV"
fi
torch_kind >/dev/null
has_torch || install_torch
pip_install -c constraints.txt -e "$what"

touch "$VENV/.installed-run"
[ "$extra" != dev ] || touch "$VENV/.installed-dev"
