// Builds Helm 3, which the tests of the chart need, from its Go module into the user's cache folder; prints its path.
// That takes two to three minutes, once per machine.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runGo } from './go.mjs'
import { takeLock } from './lock.mjs'
import { cacheFolder } from './setup-steps.mjs'

const version = 'v3.22.0'
const helm = join(cacheFolder, `helm-${version}`)
const partial = `${helm}.${process.pid}`

mkdirSync(cacheFolder, { recursive: true })
// Several test files ask for it at the same time; one builds it.
if (!existsSync(helm)) await takeLock(helm)
try {
  if (!existsSync(helm)) build()
  console.log(helm)
} catch (error) {
  console.error(`Helm can't be built: ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(partial, { recursive: true, force: true })
}

function build() {
  runGo(['install', '-trimpath', '-ldflags=-s -w', `helm.sh/helm/v3/cmd/helm@${version}`], { GOBIN: partial })
  renameSync(join(partial, 'helm'), helm)
}
