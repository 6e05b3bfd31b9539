import t from 'tap'
import type { GraphStats } from '../../../src/model/contracts/engine.ts'
import { createCacheRates } from '../../../src/server/console/reading.ts'

/** A model whose cache has these counts, and how often it was asked. */
function aModel() {
  const cache = { hits: 0, misses: 0, bytes: 0, entries: 0, evictions: 0 }
  const model = {
    cache,
    asked: 0,
    graphStats: async () => {
      model.asked++
      return { cache } as GraphStats
    },
  }
  return model
}

t.test('rates are those between two questions, five seconds apart, and stand until the next', async (t) => {
  let at = 100
  const read = createCacheRates(() => at)
  const model = aModel()
  const rates = async (rows: number) => (await read([{ model: 'ads', version: '1', rows }], () => model)).get('ads/1')
  t.equal(await rates(0), undefined)
  t.equal(model.asked, 0, 'a version without rows is not asked')
  at = 104
  Object.assign(model.cache, { hits: 30, misses: 20, bytes: 1000 })
  t.equal(await rates(50), undefined)
  at = 110
  t.same(await rates(50), { hits: 3, misses: 2, bytes: 1000 }, 'it had counted nothing before')
  at = 114
  model.cache.hits = 80
  t.same(await rates(100), { hits: 3, misses: 2, bytes: 1000 })
  t.equal(model.asked, 1)
  at = 120
  t.same(await rates(100), { hits: 5, misses: 0, bytes: 1000 })
  at = 125
  t.match(await rates(100), { hits: 0, misses: 0, bytes: 1000 }, 'no new rows')
  t.equal(model.asked, 2)
  at = 130
  Object.assign(model.cache, { hits: 1, misses: 40 })
  t.same(await rates(101), { hits: 0, misses: 2, bytes: 1000 }, 'counts that began again are not negative')
})

t.test('what was counted before the first question is of no known time', async (t) => {
  const read = createCacheRates(() => 100)
  const model = aModel()
  Object.assign(model.cache, { hits: 1000, bytes: 10 })
  const rates = await read([{ model: 'ads', version: '1', rows: 1000 }], () => model)
  t.same([...rates], [['ads/1', { hits: 0, misses: 0, bytes: 10 }]])
})

t.test('a version that is gone, or does not answer, has no rates; only some are asked each time', async (t) => {
  let at = 0
  const read = createCacheRates(() => at)
  const models = Array.from({ length: 20 }, aModel)
  const versions = models.map((_, i) => ({ model: 'ads', version: String(i), rows: 1 }))
  const modelOf = ({ version }: { version: string }) => models[Number(version)]
  const names = async () => [...(await read(versions, modelOf)).keys()]
  t.equal((await names()).length, 8)
  at = 5
  t.equal((await names()).length, 16)
  at = 10
  t.equal((await names()).length, 20)
  t.ok(models.every(({ asked }) => asked === 1))
  at = 15
  versions.length = 1
  versions[0]!.rows++
  models[0]!.graphStats = async () => {
    throw new Error('its worker ended')
  }
  t.same(await names(), [])
})
