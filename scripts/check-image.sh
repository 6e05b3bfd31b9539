#!/usr/bin/env bash
# Builds the image from the Dockerfile, runs it as it would be run, and asks it for predictions.
#   scripts/check-image.sh              with docker or podman where one runs, else with buildah
# Checks: it becomes ready; it answers a model's golden rows with the probabilities that its manifest gives; its health
# check passes; it does not run as root; on SIGTERM it ends by itself.  Leaves nothing behind; prints the image's size.
set -euo pipefail
cd "$(dirname "$0")/.."

image=localhost/multigate:check-$$
container=
work=$(mktemp -d)
port=$(node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')

say() { echo "image: $*"; }
die() {
  say "failed: $*"
  [ ! -s "$work/log" ] || { say "its output was:"; tail -n 40 "$work/log"; }
  exit 1
}

if docker info >/dev/null 2>&1; then engine=docker
elif podman info >/dev/null 2>&1; then engine=podman
elif command -v buildah >/dev/null; then engine=buildah
else die "needs docker, podman or buildah (Debian: apt-get install buildah)"; fi

cleanup() {
  if [ "$engine" = buildah ]; then
    [ ! -s "$work/pid" ] || kill -KILL -- "-$(cat "$work/pid")" 2>/dev/null || true
    [ -z "$container" ] || buildah rm "$container" >/dev/null 2>&1 || true
    buildah rmi "$image" >/dev/null 2>&1 || true
  else
    [ -z "$container" ] || "$engine" rm -f "$container" >/dev/null 2>&1 || true
    "$engine" rmi "$image" >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

build=(--tag "$image" --file Dockerfile)
if [ -f "$HOME/.npmrc" ]; then build+=(--secret "id=npmrc,src=$HOME/.npmrc"); fi
if [ "$engine" = buildah ]; then
  # Neither needs privileges that a container or a plain build machine lacks.
  export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
  if [ -e ../shared/tools/base-image.sh ]; then
    # A local stand-in for the base image, where no image registry can be reached.
    base=$(sed -n 's/^ARG NODE_IMAGE=//p' Dockerfile)
    major=${base#node:}
    bash ../shared/tools/base-image.sh "$base" "${major%%-*}" >"$work/base" 2>&1 || { cat "$work/base"; die "no base image"; }
    build+=(--pull-never)
  fi
  # Docker's format: OCI's has no place for the health check.
  build+=(--format docker)
fi

say "building with $engine"
started=$SECONDS
case $engine in
  buildah) buildah bud "${build[@]}" . >"$work/log" 2>&1 || die "the build" ;;
  podman) podman build --format docker "${build[@]}" . >"$work/log" 2>&1 || die "the build" ;;
  docker) DOCKER_BUILDKIT=1 docker build "${build[@]}" . >"$work/log" 2>&1 || die "the build" ;;
esac
: >"$work/log"
say "built in $((SECONDS - started)) s"

# The image's configuration: user, then the strings of command and health check, each ending in NUL.
if [ "$engine" = buildah ]; then buildah inspect --type image "$image" >"$work/inspect"
else "$engine" image inspect "$image" >"$work/inspect"; fi
inspect() {
  node -e '
    const [file, field] = process.argv.slice(1)
    const [image] = [JSON.parse(require("node:fs").readFileSync(file, "utf8"))].flat()
    const { User, Cmd, Healthcheck } = image.Docker?.config ?? image.Config
    const fields = { user: [User || "root"], command: Cmd, health: Healthcheck?.Test.slice(1) }
    for (const word of fields[field] ?? []) process.stdout.write(word + "\0")' "$work/inspect" "$1"
}
mapfile -d '' user < <(inspect user)
mapfile -d '' command < <(inspect command)
mapfile -d '' health < <(inspect health)
case ${user[0]} in root | root:* | 0 | 0:*) die "its user is root" ;; esac
[ ${#command[@]} -gt 0 ] || die "it has no command"
[ ${#health[@]} -gt 0 ] || die "it has no health check"

if [ "$engine" = buildah ]; then
  container=$(buildah from --pull-never "$image")
  inside() { buildah run --env "MULTIGATE_PORT=$port" "$container" -- "$@"; }
  # In a process group of its own, which is then what gets the signals.  This isolation has the machine's own network.
  setsid bash -c 'echo $$ >"$1/pid"; shift; exec "$@"' - "$work" \
    buildah run --env "MULTIGATE_PORT=$port" "$container" -- "${command[@]}" >"$work/log" 2>&1 </dev/null &
  main=$!
  running() { kill -0 "$main" 2>/dev/null; }
  terminate() { kill -TERM -- "-$(cat "$work/pid")"; }
  logs() { :; }
else
  container=$("$engine" run --detach --publish "127.0.0.1:$port:3000" "$image")
  inside() { "$engine" exec "$container" "$@"; }
  running() { [ "$("$engine" inspect --format '{{.State.Running}}' "$container")" = true ]; }
  terminate() { "$engine" kill --signal TERM "$container" >/dev/null; }
  logs() { "$engine" logs "$container" >"$work/log" 2>&1 || true; }
fi

say "running ${command[*]} as ${user[0]}"
ready=
for _ in $(seq 120); do
  running || { logs; die "it ended at once"; }
  if node -e "fetch('http://127.0.0.1:$port/readyz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"; then
    ready=yes
    break
  fi
  sleep 0.5
done
logs
[ -n "$ready" ] || die "it is not ready after a minute"
[ "$(inside node -p 'process.getuid()')" != 0 ] || die "it runs as root"
inside "${health[@]}" || die "its health check says that it is ill"

node scripts/check-server.mjs "http://127.0.0.1:$port" models || { logs; die "its answers"; }

terminate
for _ in $(seq 60); do
  running || break
  sleep 0.5
done
! running || die "it still runs half a minute after SIGTERM"
logs

if [ "$engine" = buildah ]; then size=$(buildah images --format '{{.Size}}' "$image")
else size=$("$engine" image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }'); fi
say "works; size $size"
