import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * `node build/loadtest/profile.js <file.cpuprofile>`: the functions with the most self time in a V8
 * profile, as shares of the thread's busy time.
 */

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  /** Microseconds before each sample. */
  timeDeltas: number[]
}

const shown = 30
const [file] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: node build/loadtest/profile.js <file.cpuprofile>')
  process.exit(1)
}

const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, 'utf8')) as CpuProfile
const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
const times = new Map<string, number>()
samples.forEach((id, i) => {
  const name = names.get(id) ?? '?'
  times.set(name, (times.get(name) ?? 0) + timeDeltas[i]!)
})
const total = [...times.values()].reduce((sum, time) => sum + time, 0)
const idle = times.get('(idle)') ?? 0
times.delete('(idle)')
const busy = total - idle
console.log(
  `${(total / 1e6).toFixed(1)} s, of which ${((busy / total) * 100).toFixed(0)} % busy; self time as a share of the busy time:`,
)
for (const [name, time] of [...times].sort((a, b) => b[1] - a[1]).slice(0, shown))
  console.log(`${((time / busy) * 100).toFixed(1).padStart(5)} %  ${name}`)

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const path = url.startsWith('file:') ? relative(process.cwd(), fileURLToPath(url)) : url
  return `${functionName || '(anonymous)'}${path ? `  ${path}:${lineNumber + 1}` : ''}`
}
