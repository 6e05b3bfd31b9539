import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { gate, model, settled, setUp } from '../../../support/controlled.ts'

t.test('each model counts in the state of its best version', async (t) => {
  const { registry, broken, held, disk } = setUp({
    models: { bad: ['1'], good: ['1', '2'], off: ['1'], slow: ['1'], waiting: ['1'] },
    defaultModel: 'good',
  })
  disk.models = [...disk.models, model('void', [], { problem: 'void has no version' })]
  broken.set('bad/1', 'damaged').set('good/2', 'damaged')
  const loading = gate()
  held.set('slow/1', loading.promise)
  const done = registry.reconcile()
  await settled()
  const unloaded = registry.unload('off')
  t.same(registry.summary(), {
    states: { ready: 1, loading: 2, failed: 1, unloaded: 1, empty: 1 },
    answering: { good: '1' },
    failed: [
      { name: 'bad', version: '1', reason: 'unforeseen', message: 'damaged' },
      { name: 'good', version: '2', reason: 'unforeseen', message: 'damaged' },
    ],
    incompatible: [],
    scheduled: [],
    missing: 0,
    unreadable: undefined,
  })
  loading.open()
  await Promise.all([done, unloaded])
  t.same(registry.summary().states, { ready: 3, loading: 0, failed: 1, unloaded: 1, empty: 1 })
  t.same(registry.summary().answering, { good: '1', slow: '1', waiting: '1' })
})

t.test('a failed version counts by the kind of its failure, until it is gone or loads', async (t) => {
  const { registry, disk, errors } = setUp({ models: { ads: ['1', '2', '3'] } })
  errors.set('ads/3', new ModelError('INVALID_BUNDLE', 'damaged'))
  errors.set('ads/2', new ModelError('UNSUPPORTED_GRAPH', 'odd'))
  await registry.reconcile()
  t.same(registry.summary().failed, [
    { name: 'ads', version: '3', reason: 'invalid_bundle', message: 'damaged' },
    { name: 'ads', version: '2', reason: 'unsupported_graph', message: 'odd' },
  ])
  disk.models = [model('ads', ['1', '3'])]
  await registry.reconcile()
  t.same(registry.summary().failed, [{ name: 'ads', version: '3', reason: 'invalid_bundle', message: 'damaged' }])
  errors.clear()
  disk.models = [model('ads', [], { versions: [{ version: '3', stamp: 'new' }] })]
  await registry.reconcile()
  t.same(registry.summary().failed, [])
})
