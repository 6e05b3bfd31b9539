// Prints the files that define the custom resources in deploy/: YAML in the Go modules of those who define them.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { runGo } from './go.mjs'

/** By module: files, relative to it. */
const definitions = {
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': [
    'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
    'example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml',
  ],
  'github.com/kedacore/keda/v2@v2.17.2': ['config/crd/bases/keda.sh_scaledobjects.yaml'],
  'github.com/argoproj/argo-rollouts@v1.8.3': [
    'manifests/crds/rollout-crd.yaml',
    'manifests/crds/analysis-template-crd.yaml',
  ],
  'github.com/kserve/kserve@v0.15.2': [
    'config/crd/full/serving.kserve.io_servingruntimes.yaml',
    'config/crd/full/serving.kserve.io_inferenceservices.yaml',
  ],
}

try {
  // Together: they are fetched at the same time.
  const answers = runGo(['mod', 'download', '-json', ...Object.keys(definitions)])
  const modules = answers.split(/^(?=\{)/m).map((text) => JSON.parse(text))
  for (const { Path, Version, Dir, Error: problem } of modules) {
    if (problem) throw new Error(problem)
    for (const file of definitions[`${Path}@${Version}`]) {
      if (!existsSync(join(Dir, file))) throw new Error(`${Path}@${Version} has no ${file}`)
      console.log(join(Dir, file))
    }
  }
} catch (error) {
  console.error(`definitions of custom resources can't be had: ${error.message}`)
  process.exitCode = 1
}
