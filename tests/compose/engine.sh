#!/usr/bin/env bash
# Gives a Debian 12 host without a container engine one that docker-compose can drive: podman behind
# a Docker-compatible socket, with a debian:bookworm-slim made by debootstrap, so that no image
# registry is needed.
#
#   export $(tests/compose/engine.sh up)   where docker and docker-compose find it;
#                                          takes about 70 s the first time, 3 s later
#   tests/compose/engine.sh down           stops the service; images stay for the next time
#
# Exit code 3: this host cannot run containers; the last line says why. State is in
# $AORTA_ENGINE_STATE (default /var/tmp/aorta-engine). The base image holds this host's apt sources:
# never publish it.
#
# What this engine does not do: run health checks by itself (it has no systemd timers), and
# understand heredocs in a Dockerfile.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../tools" && pwd)
source "$tools/common.sh"

state=${AORTA_ENGINE_STATE:-/var/tmp/aorta-engine}
socket=$state/podman.sock
image=docker.io/library/debian:bookworm-slim
export CONTAINERS_STORAGE_CONF=$state/storage.conf CONTAINERS_CONF=$state/containers.conf

alive() { [ -S "$socket" ] && kill -0 "$(cat "$state/service.pid" 2>/dev/null)" 2>/dev/null; }

configure() {
  mkdir -p "$state"/{storage,run,networks}
  local files procs pids
  files=$(ulimit -Hn) procs=$(ulimit -Hu) pids=$(cat /proc/sys/kernel/pid_max)
  [ "$files" != unlimited ] || files=1048576
  [ "$procs" != unlimited ] && [ "$procs" -le "$pids" ] || procs=$pids
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "$state/storage" "$state/run" >"$CONTAINERS_STORAGE_CONF"
  cat >"$CONTAINERS_CONF" <<C
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$procs:$procs"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
network_config_dir = "$state/networks"
C
}

# A bridge has the lowest address of its ports, so its own changes while containers come: unless it
# says so, those that came first cannot reach it, and its name server, for up to a minute.
announce_bridges() {
  local name
  for name in all default; do
    echo 1 >"/proc/sys/net/ipv4/conf/$name/arp_notify" ||
      say "net.ipv4.conf.$name.arp_notify cannot be set: containers may be deaf to names at first"
  done
}

# Where this host gets its packages from.
mirror() {
  cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
    grep -v '^ *#' | grep -o 'https\?://[^ ]*' | grep -v security | sed -n 1p
}

make_base_image() {
  if podman image exists "$image"; then return; fi
  say "Making $image by debootstrap"
  local rootfs=$state/rootfs
  rm -rf --one-file-system "$rootfs"
  debootstrap --variant=minbase bookworm "$rootfs" "$(mirror)" >"$state/debootstrap.log" 2>&1 ||
    die "debootstrap failed: see $state/debootstrap.log" 3
  : >"$rootfs/etc/hostname"
  rm -f "$rootfs/etc/resolv.conf" "$rootfs/etc/apt/sources.list"
  cp /etc/apt/sources.list.d/debian.sources "$rootfs/etc/apt/sources.list.d/" 2>/dev/null ||
    cp /etc/apt/sources.list "$rootfs/etc/apt/"
  cp /etc/apt/apt.conf.d/99* "$rootfs/etc/apt/apt.conf.d/" 2>/dev/null || true  # such as a proxy
  tar -C "$rootfs" --numeric-owner --exclude='./var/cache/apt/archives/*.deb' \
    --exclude='./var/lib/apt/lists/*' -c . |
    podman import -q --change 'CMD ["bash"]' - "$image" >/dev/null
  rm -rf --one-file-system "$rootfs"
}

start_service() {
  # The caller's folder may go while the service stays.
  (cd / && exec podman system service --time=0 "unix://$socket") \
    >"$state/service.log" 2>&1 </dev/null &
  echo $! >"$state/service.pid"
  disown
  local tries=100
  until podman --remote --url "unix://$socket" info >/dev/null 2>&1; do
    tries=$((tries - 1))
    kill -0 "$(cat "$state/service.pid")" && [ $tries -gt 0 ] ||
      die "podman's service does not answer: see $state/service.log" 3
    sleep 0.1
  done
}

up() {
  [ "$(id -u)" = 0 ] || die "starting a container engine needs root" 3
  install_packages engine >&2 || die "podman cannot be installed here" 3
  configure
  announce_bridges
  alive || start_service
  make_base_image >&2
  podman run --rm "$image" true >/dev/null 2>"$state/trial.log" ||
    die "this host cannot run containers: $(tail -1 "$state/trial.log")" 3
  printf 'DOCKER_HOST=unix://%s\nCONTAINER_HOST=unix://%s\n' "$socket" "$socket"
}

down() {
  if alive; then kill "$(cat "$state/service.pid")"; fi
  rm -f "$state/service.pid" "$socket"
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  *) sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
