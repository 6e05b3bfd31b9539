import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { fitting, RecentRows } from '../../../../src/model/serving/prediction/recent-rows.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

const { layout } = createEncoder(exampleManifest().features)
const [ids, numbers] = [layout.sparse.length, layout.dense.length]

/** As an encoder leaves them: in memory that may be larger, and is used again. */
function rowsOf(rows: number, id = 0) {
  return { rows, sparse: new Int32Array((rows + 3) * ids).fill(id), dense: new Float32Array((rows + 3) * numbers) }
}

t.test('rows are copied', async (t) => {
  const recent = new RecentRows()
  const request = rowsOf(2, 1)
  recent.keep(request, layout, 0)
  request.sparse.fill(9)
  t.same(recent.list, [{ rows: 2, sparse: new Int32Array(2 * ids).fill(1), dense: new Float32Array(2 * numbers) }])
})

t.test('of requests that come together one is kept', async (t) => {
  const recent = new RecentRows()
  for (const [rows, now] of [
    [1, 5],
    [2, 6],
    [3, 14],
    [4, 15],
    [5, 25],
  ] as const)
    recent.keep(rowsOf(rows), layout, now)
  t.same(
    recent.list.map(({ rows }) => rows),
    [1, 4, 5],
  )
})

t.test('the last requests are kept, at most 64 and at most a mebibyte', async (t) => {
  const recent = new RecentRows()
  for (let i = 1; i <= 100; i++) recent.keep(rowsOf(i), layout, i * 100)
  t.same(
    recent.list.map(({ rows }) => rows),
    Array.from({ length: 64 }, (_, i) => 37 + i),
  )
  const most = Math.floor((1 << 20) / 4 / (ids + numbers))
  recent.keep(rowsOf(most - 100), layout, 20_000)
  t.same(
    recent.list.map(({ rows }) => rows),
    [100, most - 100],
  )
  recent.keep(rowsOf(most + 1), layout, 30_000)
  t.equal(recent.list.length, 2, 'one that is larger is not kept')
})

t.test('rows fit a layout that has their columns and ids', async (t) => {
  const recent = new RecentRows()
  recent.keep(rowsOf(2), layout, 0)
  recent.keep(rowsOf(1, layout.sparse[0]!.largest + 1_000_000), layout, 100)
  t.same(
    fitting(recent.list, layout).map(({ rows }) => rows),
    [2],
    'an id that no table holds',
  )
  const fewer = createEncoder(exampleManifest().features.slice(1)).layout
  t.same(fitting(recent.list, fewer), [])
})
