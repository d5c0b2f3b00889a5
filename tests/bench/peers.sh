#!/usr/bin/env bash
# Builds the peers that paired.py compares with, each from its package on PyPI:
#
#   tests/bench/peers.sh FOLDER [llama] [ov]     both when none is named; about 15 minutes on two cores
#
# FOLDER/llama/bin gets llama-bench, llama-batched-bench and llama-server, compiled for this CPU from the llama.cpp in
# llama-cpp-python's source; FOLDER/ov is a virtual environment with openvino-genai. Then: paired.py --peers FOLDER.
set -euo pipefail

if [ $# = 0 ] || [ "$1" = --help ]; then
  sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
peers=("$@")
[ ${#peers[@]} != 0 ] || peers=(llama ov)

build_llama() {
  local source
  mkdir -p "$folder/src"
  if ! compgen -G "$folder/src/llama_cpp_python-*/vendor/llama.cpp" >/dev/null; then
    /usr/bin/python3 -m pip download --no-binary llama-cpp-python --no-deps --dest "$folder/src" \
      llama-cpp-python
    tar -xzf "$folder"/src/llama_cpp_python-*.tar.gz -C "$folder/src"
  fi
  source=$(compgen -G "$folder/src/llama_cpp_python-*/vendor/llama.cpp" | tail -n 1)
  cmake -S "$source" -B "$folder/llama" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_UI=OFF \
    -DLLAMA_BUILD_WEBUI=OFF -DBUILD_SHARED_LIBS=OFF
  if grep -q amx_int8 /proc/cpuinfo; then
    # g++ 12 takes the tiles' configuration for dead stores and removes it: these kernels crash then.
    sed -i '/^build .*amx\/mmq\.cpp\.o:/,/^$/s/^ *FLAGS = .*/& -O2 -fno-tree-dse -fno-dse/' \
      "$folder/llama/build.ninja"
  fi
  nice ninja -C "$folder/llama" llama-bench llama-batched-bench llama-server
}

build_ov() {
  /usr/bin/python3 -m venv "$folder/ov"
  "$folder/ov/bin/pip" install openvino-genai
}

for peer in "${peers[@]}"; do
  case $peer in
    llama | ov) "build_$peer" ;;
    *) echo "peers.sh: no peer $peer: llama or ov" >&2; exit 2 ;;
  esac
done
