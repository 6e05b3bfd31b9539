#!/usr/bin/env bash
# Installs the competitors that are not written in JavaScript, each into its own virtual environment,
# FOLDER/<competitor>.
#   bash loadtest/competitors/setup.sh FOLDER [COMPETITOR …]
# Skips competitors that are installed with the same pinned packages. Prints progress on standard error, and one line
# per competitor on standard output: `<competitor>: ready` or `<competitor>: not installed: <why>`.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?a folder}
shift
[ $# -gt 0 ] || set -- fastapi mosec rust triton
mkdir -p "$folder"

say() { echo "$*" >&2; }

# The first Python for which VERSIONS (an expression of sys.version_info) is true; with `shared`, one with a shared
# library.
python_for() {
  local versions=$1 shared=${2:-} candidate
  for candidate in ${MULTIGATE_COMPETITORS_PYTHON:-} python3.12 python3 python3.13 python3.11 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3 "$(uv python find 3.12 2>/dev/null)"; do
    if "$candidate" - "$versions" "$shared" <<'PYTHON' >/dev/null 2>&1; then
import os, sys, sysconfig
version = sys.version_info[:2]
library = os.path.join(sysconfig.get_config_var("LIBDIR"), f"libpython{version[0]}.{version[1]}.so")
sys.exit(not (eval(sys.argv[1]) and (sys.argv[2] == "" or os.path.exists(library))))
PYTHON
      command -v "$candidate"
      return
    fi
  done
  return 1
}

install_packages() {
  local competitor=$1 python=$2 requirements=$here/requirements/$1.txt
  say "$competitor: installing $(paste -sd ' ' "$requirements") for $("$python" --version)"
  rm -rf "${folder:?}/$competitor"
  if command -v uv >/dev/null; then
    uv venv --quiet --python "$python" "$folder/$competitor" &&
      uv pip install --quiet --python "$folder/$competitor/bin/python" --requirement "$requirements"
  else
    "$python" -m venv "$folder/$competitor" && "$folder/$competitor/bin/pip" install --quiet --requirement "$requirements"
  fi >&2
}

# tritonserver looks for its Python backend's stub only next to the backend; the stub needs Python's shared library.
finish_triton() {
  local python=$folder/triton/bin/python server version
  server=$("$python" -c 'import os, sysconfig; print(os.path.join(sysconfig.get_paths()["purelib"], "pytriton", "tritonserver"))')
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  install -m 755 "$server/python_backend_stubs/$version/triton_python_backend_stub" "$server/backends/python/" &&
    chmod +x "$server/bin/tritonserver" &&
    ln -sfn "$server" "$folder/triton/tritonserver" &&
    ln -sfn "$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')" "$folder/triton/python-library"
}

# Built with the crates of its Cargo.toml; it uses the library of the Python package.
finish_rust() {
  local library
  say "rust: compiling (half a minute)"
  library=$("$folder/rust/bin/python" -c 'import glob, os, onnxruntime; print(glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*"))[0])')
  cp -r "$here/servers/rust" "$folder/rust/source" &&
    (cd "$folder/rust/source" && cargo build --release --quiet >&2) &&
    cp "$folder/rust/source/target/release/competitor" "$folder/rust/competitor" &&
    rm -rf "$folder/rust/source/target" &&
    ln -sfn "$library" "$folder/rust/libonnxruntime.so"
}

for competitor in "$@"; do
  requirements=$here/requirements/$competitor.txt
  if cmp -s "$requirements" "$folder/$competitor/installed.txt"; then
    echo "$competitor: ready"
    continue
  fi
  case $competitor in
    triton) needs='a Python 3.12 with a shared library (libpython3.12.so)' python=$(python_for 'version == (3, 12)' shared) ;;
    rust) needs='Cargo, and Python 3.11 to 3.13' python=$(command -v cargo >/dev/null && python_for '(3, 11) <= version <= (3, 13)') ;;
    *) needs='Python 3.11 to 3.13' python=$(python_for '(3, 11) <= version <= (3, 13)') ;;
  esac
  if [ -z "$python" ]; then
    echo "$competitor: not installed: it needs $needs; MULTIGATE_COMPETITORS_PYTHON may name one"
  elif ! install_packages "$competitor" "$python"; then
    echo "$competitor: not installed: the installation failed, see above"
  elif [ "$competitor" = triton ] && ! finish_triton; then
    echo "$competitor: not installed: the wheel has no Python backend for this Python"
  elif [ "$competitor" = rust ] && ! finish_rust; then
    echo "$competitor: not installed: it does not compile, see above"
  else
    cp "$requirements" "$folder/$competitor/installed.txt"
    echo "$competitor: ready"
  fi
done
