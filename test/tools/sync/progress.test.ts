import t from 'tap'
import { createCopyProgress } from '../../../src/tools/sync/progress.ts'

function start(isTTY: boolean) {
  const written: string[] = []
  const begun: [string, number][] = []
  const clock = { now: 0 }
  const progress = createCopyProgress(
    { isTTY, write: (text) => written.push(text) },
    ({ model, version }, bytes) => begun.push([`${model}/${version}`, bytes]),
    () => clock.now,
  )
  t.teardown(progress.stop)
  return { progress, written, begun, clock }
}

t.test('on a terminal: the version, and how much of it has come', async (t) => {
  const { progress, written, begun, clock } = start(true)
  progress.bytes(7)
  progress.begin({ model: 'ads', version: '2' }, 3e6)
  progress.bytes(1e6)
  clock.now = 100
  progress.bytes(1e6)
  clock.now = 200
  progress.bytes(1.5e6)
  progress.stop()
  progress.stop()
  t.same(written, [
    '\r\u001b[Kcopying ads/2: 0.0 of 3.0 MB …',
    '\r\u001b[Kcopying ads/2: 2.0 of 3.0 MB …',
    '\r\u001b[Kcopying ads/2: 3.0 of 3.0 MB …',
    '\r\u001b[K',
  ])
  t.same(begun, [])
})

t.test('elsewhere: a line per version', async (t) => {
  const { progress, written, begun } = start(false)
  progress.begin({ model: 'ads', version: '2' }, 3e6)
  progress.bytes(1e6)
  progress.begin({ model: 'ads', version: '1' }, 5)
  progress.stop()
  t.same(written, [])
  t.same(begun, [
    ['ads/2', 3e6],
    ['ads/1', 5],
  ])
})
