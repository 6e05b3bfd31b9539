import t from 'tap'
import { ModelError } from '../../../src/base/errors.ts'
import type { Registry } from '../../../src/model/serving/registry/registry.ts'
import { viewFor } from '../../../src/server/security/areas.ts'
import type { Key } from '../../../src/server/security/keyring.ts'

const names = ['ads', 'feed', 'secret']
const registry = {
  mode: 'latest',
  list: () => names.map((name) => ({ name, default: name === 'secret', versions: [] })),
  live: () => names.map((name) => ({ name, version: '1', model: {} })),
  requireScan: () => undefined,
  acquire: (name = 'secret', version?: string) => ({
    model: { name, version },
    isPinned: false,
    release: () => undefined,
  }),
} as unknown as Registry
const keyFor = (...models: string[]) => ({ models: new Set(models) }) as unknown as Key
const acquired = (view: ReturnType<typeof viewFor>, ...asked: Parameters<Registry['acquire']>) =>
  (view.acquire(...asked).model as unknown as { name: string }).name

t.test('without a key, or with one for all models, it is the registry itself', async (t) => {
  t.equal(viewFor(registry, undefined), registry)
  t.equal(viewFor(registry, { models: undefined } as Key), registry)
})

t.test('other models are as if they were not there', async (t) => {
  const view = viewFor(registry, keyFor('ads', 'feed', 'gone'))
  t.same(
    view.list().map(({ name }) => name),
    ['ads', 'feed'],
  )
  t.same(
    view.live().map(({ name }) => name),
    ['ads', 'feed'],
  )
  t.equal(acquired(view, 'feed'), 'feed')
  for (const name of ['secret', 'sekret', 'nothing', 'gone'])
    t.throws(() => view.acquire(name), {
      code: 'MODEL_NOT_FOUND',
      message: `There is no model called "${name}"; the folder has ads, feed`,
    })
  t.throws(() => view.acquire(), {
    code: 'MODEL_NOT_FOUND',
    message: /names no model.* the key opens ads(, | and )feed/,
  })
})

t.test('the default model is the default where the key opens it; of one model it is that', async (t) => {
  t.equal(acquired(viewFor(registry, keyFor('ads', 'secret'))), 'secret')
  t.equal(acquired(viewFor(registry, keyFor('ads'))), 'ads')
})

t.test('before the folder has been read, no model is said not to exist', async (t) => {
  const unread = () => {
    throw new ModelError('NOT_READY', 'not read yet')
  }
  const view = viewFor(
    { ...registry, list: () => [], requireScan: unread } as unknown as Registry,
    keyFor('ads', 'feed'),
  )
  for (const name of ['ads', 'secret', undefined]) t.throws(() => view.acquire(name), { code: 'NOT_READY' })
  t.throws(() => view.requireScan(), { code: 'NOT_READY' })
})
