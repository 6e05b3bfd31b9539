import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fc, readRandomCases, seed } from '../support/cases.ts'

const folder = join(import.meta.dirname, '../../../test')
const now = () => 2 ** 40 + 5

t.test('a third of the cases, and all of them with FULL', async (t) => {
  const few = readRandomCases({ FULL: '' }, now)
  t.same(
    [1, 4, 300].map((all) => few.randomCases(all)),
    [1, 2, 100],
  )
  t.equal(few.randomCases(40, 2), 2)
  const all = readRandomCases({ FULL: '1' }, now)
  t.equal(all.randomCases(300), 300)
  t.equal(all.randomCases(40, 2), 40)
  t.equal(readRandomCases({ FULL: '20' }, now).randomCases(300), 6000)
  for (const FULL of ['0', '-1', '1.5', 'yes'])
    t.throws(() => readRandomCases({ FULL }, now), { message: 'FULL must be a whole number from 1' })
})

t.test('a seed is new each time, unless it is given', async (t) => {
  const seeds = (env: Record<string, string>) => {
    const { seed, steadySeed } = readRandomCases(env, now)
    return [seed, steadySeed]
  }
  t.same(seeds({}), [5, 1])
  t.same(seeds({ FULL: '1' }), [5, 5])
  t.same(seeds({ MULTIGATE_TEST_SEED: '17' }), [17, 1])
  t.same(seeds({ MULTIGATE_TEST_SEED: '17', FULL: '1' }), [17, 17])
  t.throws(() => seeds({ MULTIGATE_TEST_SEED: 'x' }), { message: 'MULTIGATE_TEST_SEED must be a whole number from 1' })
})

t.test('a property that fails prints its seed and its case', async (t) => {
  t.throws(() => fc.assert(fc.property(fc.nat(), () => false)), {
    message: new RegExp(`seed: ${seed}, path: "0(:0)*"[^]*Counterexample: \\[0\\]`),
  })
})

t.test('every property takes its number of cases and its seed from there', async (t) => {
  const own = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => {
    if (!file.endsWith('.ts') || file === 'support/cases.ts') return false
    // One sample is no number of cases.
    return /^import .*'fast-check'|numRuns: (?!1\b)\d|\bruns: \d/m.test(readFileSync(join(folder, file), 'utf8'))
  })
  t.same(own, [])
})
