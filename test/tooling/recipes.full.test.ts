import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../../..')

t.test('the recipes of docs/recipes.md work as written', async (t) => {
  const script = join(root, 'scripts/check-recipes.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { cwd: root, encoding: 'utf8' })
  t.equal(status, 0, stdout + stderr)
  for (const recipe of ['an architecture', 'a compiler pass', 'an operator', 'a protocol', 'a setting'])
    t.match(stdout, `Add ${recipe}: `)
})
