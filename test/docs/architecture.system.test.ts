import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { stagesOf } from '../support/request-path.ts'

const root = join(import.meta.dirname, '../../..')
const page = 'docs/architecture.md'

/** Whether the page names such a module: its own rule. */
const isNamed = (module: string) => /^(?:server|model)\//.test(module) && !module.startsWith('server/metrics/')

t.test('the path of a request on the page is the one that requests take', async (t) => {
  const stops = stagesOf(readFileSync(join(root, page), 'utf8')).flatMap(({ modules }) => modules)
  t.same(
    stops.filter((module) => !existsSync(join(root, 'src', module))),
    [],
    `modules that ${page} names and src/ has not: have they been renamed?`,
  )
  t.same(
    stops.filter((module, i) => stops.indexOf(module) !== i),
    [],
    `modules that ${page} names twice`,
  )
  // A process of its own, whose threads run single modules: to count calls, V8 forgets the coverage of the process.
  const { NODE_V8_COVERAGE: _, TEST_SCRIPTS: __, ...env } = process.env
  const script = join(root, 'scripts/count-modules.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--json', join(root, 'build/src')], { env })
  const byRequest: Record<string, string[]> = JSON.parse(stdout)
  const ran = new Set(Object.values(byRequest).flat())
  const kinds = (module: string) => Object.keys(byRequest).filter((kind) => byRequest[kind]!.includes(module))
  t.same(
    [...ran].filter((module) => isNamed(module) && !stops.includes(module)).map((m) => `${m} (${kinds(m).join(', ')})`),
    [],
    `modules that ran, and in no stage of ${page}: add each, where it runs`,
  )
  t.same(
    stops.filter((module) => !ran.has(module)),
    [],
    `modules that ${page} names, and no request ran: remove each`,
  )
})
