// Builds Helm 3, which the tests of the chart need, from its Go module into the user's cache folder; prints its path.
// That takes two to three minutes, once per machine.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { runGo } from './go.mjs'
import { cacheFolder } from './setup-steps.mjs'

const version = 'v3.22.0'
const helm = join(cacheFolder, `helm-${version}`)
const partial = `${helm}.${process.pid}`
const lock = `${helm}.lock`

mkdirSync(cacheFolder, { recursive: true })
// Several test files ask for it at the same time; one builds it.
while (!existsSync(helm) && !takeLock()) await setTimeout(500)
try {
  if (!existsSync(helm)) build()
  console.log(helm)
} catch (error) {
  console.error(`Helm can't be built: ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(partial, { recursive: true, force: true })
  if (owner() === process.pid) rmSync(lock)
}

function build() {
  runGo(['install', '-trimpath', '-ldflags=-s -w', `helm.sh/helm/v3/cmd/helm@${version}`], { GOBIN: partial })
  renameSync(join(partial, 'helm'), helm)
}

/** Whether this process may build: no other one that is alive does. */
function takeLock() {
  if (!alive(owner())) rmSync(lock, { force: true })
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    return false
  }
}

function owner() {
  try {
    return Number(readFileSync(lock, 'utf8'))
  } catch {
    return undefined
  }
}

function alive(pid) {
  try {
    // Signal 0 only asks; an empty file is about to be written, and 0 stands for this process' own group.
    return pid !== undefined && process.kill(pid, 0)
  } catch {
    return false
  }
}
