import t from 'tap'
import { heldOf } from '../../../../src/model/serving/registry/folder-view.ts'
import { answering, model, settled, setUp } from '../../../support/controlled.ts'

interface Case {
  name: string
  before: string
  gone: string
  /** With when each was first missed. */
  held?: Record<string, number>
  now?: number
  /** ms; default: 300. */
  unloadAfterMs?: number
  expected: Record<string, number>
}

const cases: Case[] = [
  { name: 'nothing is held where nothing is gone', before: 'a b c', gone: '', expected: {} },
  {
    name: 'all that vanish together are held',
    before: 'a b c',
    gone: 'a b c',
    expected: { a: 1000, b: 1000, c: 1000 },
  },
  { name: 'more than half are held', before: 'a b c', gone: 'a c', expected: { a: 1000, c: 1000 } },
  { name: 'half are not', before: 'a b c d', gone: 'a c', expected: {} },
  { name: 'one of several is not', before: 'a b c', gone: 'b', expected: {} },
  { name: 'one of two is not', before: 'a b', gone: 'b', expected: {} },
  { name: 'both of two are', before: 'a b', gone: 'a b', expected: { a: 1000, b: 1000 } },
  { name: 'the only one is', before: 'a', gone: 'a', expected: { a: 1000 } },
  { name: 'since they were first missed', before: 'a', gone: 'a', held: { a: 800 }, expected: { a: 800 } },
  { name: 'and no longer than that', before: 'a', gone: 'a', held: { a: 700 }, expected: {} },
  { name: 'what is back is not', before: 'a b', gone: 'b', held: { a: 800, b: 800 }, expected: { b: 800 } },
  {
    name: 'what goes later is held for as long as the others were',
    before: 'a b c',
    gone: 'a b c',
    held: { a: 800, b: 800 },
    expected: { a: 800, b: 800, c: 1000 },
  },
  {
    name: 'one that goes while few are held is not',
    before: 'a b c d e',
    gone: 'a b',
    held: { a: 800 },
    expected: { a: 800 },
  },
  { name: 'a time of 0 holds none', before: 'a b', gone: 'a b', unloadAfterMs: 0, expected: {} },
]

for (const { name, before, gone, held = {}, now = 1000, unloadAfterMs = 300, expected } of cases) {
  t.test(name, async (t) => {
    const words = (text: string) => text.split(' ').filter(Boolean)
    const next = heldOf({
      before: words(before),
      gone: words(gone),
      held: new Map(Object.entries(held)),
      now,
      unloadAfterMs,
    })
    t.same(Object.fromEntries(next), expected)
  })
}

t.test('models that vanish together go on serving, are reported once, and go when their time is over', async (t) => {
  const { registry, disk, clock, events, loaded } = setUp({
    models: { a: ['1'], b: ['1'], c: ['1'] },
    unloadAfterMs: 300_000,
  })
  await registry.reconcile()
  const all = disk.models
  disk.models = [all[0]!]
  for (let look = 0; look < 3; look++) {
    await registry.reconcile()
    await settled()
    clock.now += 10_000
  }
  t.equal(answering(registry, 'b'), 'b/1')
  t.same(registry.unreadyReasons(), [])
  t.same(events.slice(3), ['problem: most models vanished from the folder together and keep serving for 300 s: b, c'])
  t.same(registry.missing(), ['b', 'c'])
  t.match(registry.list(), [
    { name: 'a', problem: undefined },
    { name: 'b', problem: /it vanished from the folder together with most others/ },
    { name: 'c', problem: /it vanished/ },
  ])
  clock.now += 280_000
  await registry.reconcile()
  await settled()
  t.same(events.slice(4), ['unloaded b/1', 'unloaded c/1'])
  t.throws(() => registry.acquire('b'), { code: 'MODEL_NOT_FOUND' })
  t.equal(loaded.get('a/1')?.closes, 0)
  t.same(registry.missing(), [])
})

t.test('a folder that is empty for a moment unloads nothing, and loads nothing anew when it is back', async (t) => {
  const { registry, disk, loads, events } = setUp({ models: { a: ['1'], b: ['1'] }, unloadAfterMs: 300_000 })
  await registry.reconcile()
  const all = disk.models
  disk.models = []
  await registry.reconcile()
  // As where each model is a volume of its own.
  disk.models = all.map(({ name }) => model(name, [], { problem: `${name} has no version` }))
  await registry.reconcile()
  t.equal(answering(registry, 'a'), 'a/1')
  disk.models = all
  await registry.reconcile()
  await settled()
  t.same(loads, ['a/1', 'b/1'])
  t.same(events.slice(2), ['problem: most models vanished from the folder together and keep serving for 300 s: a, b'])
  t.same(registry.missing(), [])
  t.notOk('problem' in registry.list()[0]!)
})

t.test('a single model or version that goes is unloaded with the next look', async (t) => {
  const { registry, disk, events } = setUp({ models: { a: ['1'], b: ['1'] }, unloadAfterMs: 300_000 })
  await registry.reconcile()
  disk.models = [model('b', ['1', '2'])]
  await registry.reconcile()
  await settled()
  t.same(events.slice(2).sort(), ['loaded b/2 in 0.5 s', 'unloaded a/1', 'unloaded b/1'])
  disk.models = [model('b', ['1'])]
  await registry.reconcile()
  await settled()
  t.equal(answering(registry, 'b'), 'b/1')
})
