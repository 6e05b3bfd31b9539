# Sourced by .ci/run, .ci/full and .ci/nightly: their steps, and what they install on a fresh Debian machine with Node, as root.
export CI=true DEBIAN_FRONTEND=noninteractive
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0 failed=0 skipped=0

# step SECONDS TITLE COMMAND…: output goes to the terminal and to a log.
step() {
  local limit=$1 title=$2 start=$SECONDS status
  shift 2
  echo "── $title"
  timeout --kill-after=10 "$limit" "$@" </dev/null 2>&1 | tee "$logs/last"
  status=${PIPESTATUS[0]}
  [ "$status" -ne 124 ] || echo "$title: stopped after $limit s"
  echo "── $title: $([ "$status" -eq 0 ] && echo done || echo "failed ($status)") in $((SECONDS - start)) s"
  return "$status"
}

count() { if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

# measure SECONDS TITLE COMMAND…: wrong answers and failed requests are failures; times are told, never judged, even where
# they exceed the limit.
measure() {
  step "$@"
  case $? in
    0) passed=$((passed + 1)) ;;
    124 | 137) echo "$2 takes too long on this machine: not counted" ;;
    *) failed=$((failed + 1)) ;;
  esac
}

# beside FUNCTION…: runs functions of steps beside each other, such as a compiler beside a download. What each prints follows
# when all have ended; their counts add up.
beside() {
  local lane counts
  for lane; do
    mkdir "$logs/$lane"
    (
      logs=$logs/$lane passed=0 failed=0 skipped=0
      "$lane"
      echo "$passed $failed $skipped" >"$logs/counts"
    ) >"$logs/$lane.log" 2>&1 &
  done
  wait
  for lane; do
    cat "$logs/$lane.log"
    read -ra counts <"$logs/$lane/counts" || counts=(0 1 0)
    passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
  done
}

packages() {
  local missing=()
  # Where a container engine runs, scripts/check-image.sh takes that.
  docker info >/dev/null 2>&1 || podman info >/dev/null 2>&1 || command -v buildah >/dev/null || missing+=(buildah)
  [ ! -e ../shared/tools/base-image.sh ] || command -v debootstrap >/dev/null || missing+=(debootstrap)
  # For examples and pages of documents.
  command -v curl >/dev/null || missing+=(curl)
  # For the native part of TensorFlow; Python also for oneDNN, and for tritonclient and Keras, which tests install.
  command -v g++ >/dev/null || missing+=(g++)
  command -v make >/dev/null || missing+=(make)
  python3 -m pip --version >/dev/null 2>&1 || missing+=(python3 python3-pip)
  if grep -rqs playwright-core test && ! command -v chromium >/dev/null; then missing+=(chromium); fi
  # For the load test; without it a generator in JavaScript takes more of the cores.
  command -v wrk >/dev/null || missing+=(wrk)
  # For promtool, which reads the metrics.
  command -v promtool >/dev/null || missing+=(prometheus)
  # A registry of artefacts, for multigate sync.
  command -v docker-registry >/dev/null || missing+=(docker-registry)
  # For a fleet of servers behind a load balancer.
  command -v haproxy >/dev/null || missing+=(haproxy)
  command -v ip >/dev/null || missing+=(iproute2)
  # Certificates for tests of TLS.
  command -v openssl >/dev/null || missing+=(openssl)
  # Checks the unit of systemd.
  command -v systemd-analyze >/dev/null || missing+=(systemd)
  # An emulator, for the tests of arm64 in the full tier.
  [ -z "${FULL:-}" ] || command -v qemu-aarch64 >/dev/null || missing+=(qemu-user libstdc++6-arm64-cross)
  # For clocks that jump (loadtest -- chaos).
  command -v faketime >/dev/null || missing+=(faketime)
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${missing[*]}"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
export -f packages

# prepare [FUNCTION…]: the functions run beside the last part, which leaves a core idle.
prepare() {
  step 210 packages bash -c packages || echo "some packages are missing; what needs them will say so"
  step 180 dependencies node scripts/setup.mjs --tools --no-build || { echo "0 passed, 1 failed"; exit 1; }
  beside native_tools "$@"
}

native_tools() {
  step 200 'native TensorFlow' npm run --silent setup:tensorflow ||
    echo "native TensorFlow is not available: the tests use the wasm backend instead, and say so"
  step 200 oneDNN npm run --silent setup:onednn ||
    echo "oneDNN is not available: the tests of bfloat16 are skipped, and say so"
  step 900 Helm node scripts/setup-helm.mjs || echo "Helm can't be built: the tests of the chart are skipped, and say so"
  step 60 'data sets' node scripts/data.mjs census-income movielens ||
    echo "a data set is missing: the tests that need it are skipped, and say so"
}

# run_tests SECONDS COMMAND…: adds the assertions that the tests' last line counts.
run_tests() {
  local status wrong=0
  step "$1" tests "${@:2}"
  status=$?
  if [[ $(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$logs/last" | tail -n 1) =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
    wrong=${BASH_REMATCH[2]}
    passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
  fi
  # Such as a run that did not compile, or was stopped.
  if [ "$status" -ne 0 ] && [ "$wrong" -eq 0 ]; then wrong=1; fi
  failed=$((failed + wrong))
}

# The last line, and the exit code.
summarise() {
  local summary="$passed passed, $failed failed"
  [ "$skipped" -eq 0 ] || summary+=", $skipped skipped"
  echo "$summary"
  [ "$failed" -eq 0 ]
}
