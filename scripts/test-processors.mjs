// Runs the tests that depend on the processor once for each class of processors that this machine can play.
//   npm run test:processors                                  those named below
//   npm run test:processors -- test/base/processor.test.ts   the named files
// `ONEDNN_MAX_CPU_ISA` makes oneDNN and multigate's detection narrower; `npm test` runs as the machine is.
// The last line is `N passed, N failed, N skipped`; a class that can't be played counts as one skipped assertion.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { classOf, detectProcessor, processorClasses } from '../build/src/base/processor.js'
import { fastPrecisions, instructionsOf } from '../build/src/model/graph/onednn/instructions.js'

process.chdir(join(import.meta.dirname, '..'))

/** Quick tests that compile int8, and choose among precisions. */
const always = [
  'test/tools/evaluate/quantize-precision.system.test.ts',
  'test/model/graph/compile/choose-precision.system.test.ts',
  'test/model/graph/compile/compile.test.ts',
  'test/model/graph/int8/quantise.system.test.ts',
  'test/server/compiled.system.test.ts',
]
/** Those of what oneDNN computes, for the classes on which it is used. */
const ofOnednn = [
  'test/model/graph/onednn/cut-products.system.test.ts',
  'test/model/graph/onednn/joined-requests.system.test.ts',
  'test/model/graph/onednn/leading-part.system.test.ts',
  'test/model/graph/onednn/library.system.test.ts',
  'test/model/graph/onednn/mixture.system.test.ts',
  'test/model/graph/onednn/odd-graphs.system.test.ts',
  'test/model/engines/plan/int8-onednn.system.test.ts',
]

const total = { passed: 0, failed: 0, skipped: 0 }
const own = classOf(detectProcessor())
for (const name of processorClasses) {
  const played = { ONEDNN_MAX_CPU_ISA: name, DNNL_MAX_CPU_ISA: '' }
  if (name === own) console.log(`── ${name}: this machine, as which \`npm test\` runs`)
  else if (classOf(detectProcessor({ env: played })) !== name) {
    console.log(`── ${name}: SKIPPED, as ${own ?? process.arch} can't play it`)
    total.skipped++
  } else add(run(name, played))
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exit(total.failed > 0 ? 1 : 0)

function filesFor(name) {
  if (process.argv.length > 2) return process.argv.slice(2)
  return fastPrecisions(instructionsOf(name)).length > 0 ? [...always, ...ofOnednn] : always
}

/** Runs the files on a class of processors; answers the counts of their last line. */
function run(name, played) {
  console.log(`── ${name}`)
  const child = spawnSync(process.execPath, ['scripts/test.mjs', ...filesFor(name)], {
    env: { ...process.env, ...played },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 2 ** 20,
  })
  process.stdout.write(child.stdout)
  const count = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(child.stdout)
  const [passed, failed, skipped] = (count ?? []).slice(1).map((text) => Number(text ?? 0))
  return { passed: passed ?? 0, failed: failed || (child.status === 0 ? 0 : 1), skipped: skipped ?? 0 }
}

function add(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key]
}
