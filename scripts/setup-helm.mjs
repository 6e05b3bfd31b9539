// Builds Helm 3, which the tests of the chart need, from its Go module into the user's cache folder; prints its path.
// That takes two to three minutes, once per machine.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, runGo } from './go.mjs'

const version = 'v3.22.0'
const helm = join(cacheFolder, `helm-${version}`)
const partial = `${helm}.${process.pid}`

if (!existsSync(helm)) {
  mkdirSync(partial, { recursive: true })
  try {
    runGo(['install', '-trimpath', '-ldflags=-s -w', `helm.sh/helm/v3/cmd/helm@${version}`], { GOBIN: partial })
    renameSync(join(partial, 'helm'), helm)
  } catch (error) {
    console.error(`Helm can't be built: ${error.message}`)
    process.exitCode = 1
  }
  rmSync(partial, { recursive: true, force: true })
}
if (process.exitCode === undefined) console.log(helm)
