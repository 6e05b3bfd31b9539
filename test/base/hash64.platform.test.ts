import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { farmhash64, xxhash64 } from '../../src/base/hash64.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { fc, randomCases, seed } from '../support/cases.ts'
import { pythonWith } from '../support/python.ts'

/* Hashes of random texts against the Python packages that other teams' pipelines use. */

const python = await pythonWith(['pyfarmhash==0.5.1', 'xxhash==4.1.0'])

t.test(
  `random texts fall into the buckets of other libraries (seed ${seed})`,
  { skip: typeof python === 'string' && python },
  async (t) => {
    if (typeof python === 'string') return
    const text = fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 24 }),
      fc.string({ unit: 'binary-ascii', maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 100 }),
    )
    const known = fc.constantFrom(0, 1, 42, 2 ** 31, 2 ** 32 - 1)
    const one = fc.tuple(text, fc.oneof(known, fc.integer({ min: 0, max: 2 ** 32 - 1 })))
    const numRuns = randomCases(6000)
    const cases = fc.sample(one, { numRuns, seed })
    const buckets = fc.sample(fc.integer({ min: 1, max: 2 ** 31 - 1 }), { numRuns, seed })
    const file = join(await temporaryFolder(t), 'cases.json')
    await writeFile(file, JSON.stringify(cases))
    const answers: [farmhash: string, xxhash: string][] = JSON.parse(await python.run('hashes/hash.py', [file]))
    const expected = answers.map((hashes, i) => hashes.map((hash) => Number(BigInt(hash) % BigInt(buckets[i]!))))
    t.same(
      cases.map(([text, seed], i) => [farmhash64(buckets[i]!)(text), xxhash64(buckets[i]!, seed)(text)]),
      expected,
    )
  },
)
