import t from 'tap'
import { sortIndexes } from '../../../src/model/quality/ranking.ts'
import { createRandom } from '../../../src/tools/data/random.ts'

t.test('orders as a stable sort by comparison does', async (t) => {
  const random = createRandom(3)
  const kinds: Record<string, () => number> = {
    probabilities: () => random.uniform(),
    'numbers of both signs': () => random.normal() * 10 ** random.integer(20),
    'many ties': () => random.integer(50) / 50,
    float32: () => Math.fround(random.uniform()),
    'zeros of both signs': () => [0, -0, 1, -1][random.integer(4)]!,
    'a constant': () => 0.25,
    extremes: () =>
      [Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, Number.NEGATIVE_INFINITY][random.integer(4)]!,
  }
  for (const [name, draw] of Object.entries(kinds))
    for (const length of [0, 1, 10, 4095, 4096, 30_000]) {
      const values = Array.from({ length }, draw)
      const expected = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b)
      t.same([...sortIndexes(values)], expected, `${length} ${name}`)
    }
})
