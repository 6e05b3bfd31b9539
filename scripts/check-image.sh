#!/usr/bin/env bash
# Builds the image from the Dockerfile, runs it as it would be run, and asks it for predictions.
#   scripts/check-image.sh              with docker or podman where one runs, else with buildah
# Checks: it becomes ready; it answers a model's golden rows with the probabilities that its manifest gives; its health
# check passes; it does not run as root; it has its labels and a bill of materials; koffi loads; it adds at most 150 MB
# to its base; on SIGTERM it ends by itself; it starts again with the compiled graphs of the first time. Leaves nothing
# behind; prints the image's size and how long both starts took.
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

version=$(node -p 'require("./package.json").version')
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
build=(--tag "$image" --file Dockerfile --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
  --build-arg "CREATED=$(date --utc +%Y-%m-%dT%H:%M:%SZ)")
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
    const { User, Cmd, Healthcheck, Labels } = image.Docker?.config ?? image.Config
    const labels = Object.entries(Labels ?? {}).map(([key, value]) => `${key}=${value}`)
    const fields = { user: [User || "root"], command: Cmd, health: Healthcheck?.Test.slice(1), labels }
    for (const word of fields[field] ?? []) process.stdout.write(word + "\0")' "$work/inspect" "$1"
}
mapfile -d '' user < <(inspect user)
mapfile -d '' command < <(inspect command)
mapfile -d '' health < <(inspect health)
mapfile -d '' labels < <(inspect labels)
for label in "version=$version" "revision=$revision" licenses=Apache-2.0 title=multigate "base.name=docker.io/library/node:"; do
  [[ " ${labels[*]}" == *" org.opencontainers.image.$label"* ]] || die "it has no label org.opencontainers.image.$label"
done
[[ " ${labels[*]}" =~ \ org.opencontainers.image.created=20[0-9-]+T ]] || die "it has no label with the time of its build"
case ${user[0]} in root | root:* | 0 | 0:*) die "its user is root" ;; esac
[ ${#command[@]} -gt 0 ] || die "it has no command"
[ ${#health[@]} -gt 0 ] || die "it has no health check"

if [ "$engine" = buildah ]; then
  container=$(buildah from --pull-never "$image")
  inside() { buildah run --env "MULTIGATE_PORT=$port" "$container" -- "$@"; }
  # In a process group of its own, which is then what gets the signals.  This isolation has the machine's own network.
  start() {
    setsid bash -c 'echo $$ >"$1/pid"; shift; exec "$@"' - "$work" \
      buildah run --env "MULTIGATE_PORT=$port" "$container" -- "${command[@]}" >"$work/log" 2>&1 </dev/null &
    main=$!
  }
  running() { kill -0 "$main" 2>/dev/null; }
  terminate() { kill -TERM -- "-$(cat "$work/pid")"; }
  logs() { :; }
else
  container=$("$engine" create --publish "127.0.0.1:$port:3000" "$image")
  start() { "$engine" start "$container" >/dev/null; }
  inside() { "$engine" exec "$container" "$@"; }
  running() { [ "$("$engine" inspect --format '{{.State.Running}}' "$container")" = true ]; }
  terminate() { "$engine" kill --signal TERM "$container" >/dev/null; }
  logs() { "$engine" logs "$container" >"$work/log" 2>&1 || true; }
fi

# Starts the server, waits until it is ready, and sets `seconds` to how long that took, by its own log.
start_server() {
  local began ready=
  began=$(date +%s%3N)
  start
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
  seconds=$(sed -n 's/.*"time":\([0-9]*\).*"msg":"ready".*/\1/p' "$work/log" | tail -n 1 | awk -v b="$began" '{ printf "%.1f", ($1 - b) / 1000 }')
}
stop_server() {
  terminate
  for _ in $(seq 60); do
    running || break
    sleep 0.5
  done
  ! running || die "it still runs half a minute after SIGTERM"
  logs
}

say "running ${command[*]} as ${user[0]}"
start_server
first=$seconds
[ "$(inside node -p 'process.getuid()')" != 0 ] || die "it runs as root"
inside "${health[@]}" || die "its health check says that it is ill"
node -e "
  (async () => {
    const page = await (await fetch('http://127.0.0.1:$port/')).text()
    const [script] = /console\/assets\/main-[^\"]+\.js/.exec(page)
    if (!(await fetch('http://127.0.0.1:$port/' + script)).ok) process.exit(1)
  })().catch(() => process.exit(1))
" || die "its console is not there"
inside node -e '
  const bill = JSON.parse(require("node:fs").readFileSync("sbom.cdx.json", "utf8"))
  for (const name of ["fastify", "onnxruntime-node"])
    if (!bill.components.some((component) => component.name === name)) throw new Error(`${name} is missing`)' || die "its bill of materials"
inside node -e 'require("koffi")' || die "it can't load koffi, which calls oneDNN"
# shellcheck disable=SC2016
inside sh -c 'node dist/cli.js verify --url "http://127.0.0.1:$MULTIGATE_PORT" --models "$MULTIGATE_MODELS"' ||
  { logs; die "its answers"; }
added=$(inside du --summarize --block-size=1000000 --total /app /models | awk 'END { print $1 }')
[ "$added" -le 150 ] || die "it adds $added MB to its base, more than 150"
stop_server

# The container keeps what it compiled.
start_server
stop_server

if [ "$engine" = buildah ]; then size=$(buildah images --format '{{.Size}}' "$image")
else size=$("$engine" image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }'); fi
say "works; ready in $first s, and in $seconds s with compiled graphs; size $size, $added MB more than its base"
