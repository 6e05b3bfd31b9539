import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'

const root = join(import.meta.dirname, '../../..')
const folder = join(root, '.github/workflows')
const { engines, scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

interface Workflow {
  on?: { schedule?: { cron: string }[] }
  permissions?: Record<string, string>
  jobs: Record<
    string,
    { steps: { uses?: string; run?: string }[]; strategy?: { matrix: { node?: string[]; script?: string[] } } }
  >
}

const workflows = readdirSync(folder).map((file) => ({
  file,
  workflow: parse(readFileSync(join(folder, file), 'utf8')) as Workflow,
}))

t.test('workflows read the repository, and use actions of a major version', async (t) => {
  t.ok(workflows.length > 0)
  for (const { file, workflow } of workflows) {
    t.same(workflow.permissions, { contents: 'read' }, file)
    const used = Object.values(workflow.jobs).flatMap(({ steps }) => steps.flatMap(({ uses }) => uses ?? []))
    t.same(
      used.filter((uses) => !/^[\w-]+\/[\w/-]+@v\d+$/.test(uses)),
      [],
      file,
    )
  }
})

t.test('workflows run scripts that exist', async (t) => {
  for (const { file, workflow } of workflows)
    for (const { run = '' } of Object.values(workflow.jobs).flatMap(({ steps }) => steps))
      for (const [, name] of run.matchAll(/npm run (?:--\S+ )*([\w:]+)/g)) t.ok(name! in scripts, `${file}: ${name}`)
})

t.test('what a workflow runs of .ci/ is there, and can be run', async (t) => {
  const ran = new Set(
    workflows.flatMap(({ file }) => readFileSync(join(folder, file), 'utf8').match(/\.ci\/\w+/g) ?? []),
  )
  t.ok(ran.size > 0)
  for (const script of ran) t.ok(statSync(join(root, script)).mode & 0o100, script)
})

t.test('every night all tests run, and what takes too long for them', async (t) => {
  const { workflow } = workflows.find(({ file }) => file === 'nightly.yml')!
  t.match(workflow.on?.schedule, [{ cron: /^\d+ \d+ \* \* \*$/ }])
  t.same(workflow.jobs.nightly!.strategy!.matrix.script, ['.ci/full', '.ci/nightly'])
  t.ok(workflow.jobs.nightly!.steps.some(({ run }) => /^\$\{\{ matrix\.script \}\}$/.test(run ?? '')))
})

t.test('tests run on the oldest Node that package.json allows', async (t) => {
  const { workflow } = workflows.find(({ file }) => file === 'ci.yml')!
  const versions = workflow.jobs.test!.strategy!.matrix.node!
  t.equal(engines.node.match(/\d+/)[0], versions[0])
  t.equal(versions.at(-1), 'latest')
})
