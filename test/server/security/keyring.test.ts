import { createHash } from 'node:crypto'
import t from 'tap'
import { Keyring } from '../../../src/server/security/keyring.ts'

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const entry = (id: string, more: object = {}) => ({
  id,
  sha256: sha256(`the key of ${id}`),
  scopes: ['predict'],
  ...more,
})
const file = (...keys: object[]) => JSON.stringify({ keys })

t.test('a key is found by what a client presents', async (t) => {
  const ring = new Keyring(
    file(
      entry('a', { models: ['ads'], expires: '2027-01-31T00:00:00Z', requests_per_second: 5 }),
      entry('b', { scopes: ['metrics', 'admin'] }),
    ),
  )
  t.match(ring.find('the key of a'), {
    id: 'a',
    scopes: new Set(['predict']),
    models: new Set(['ads']),
    expires: Date.UTC(2027, 0, 31),
    requestsPerSecond: 5,
    rowsPerSecond: undefined,
  })
  t.match(ring.find('the key of b'), { id: 'b', models: undefined, expires: Number.POSITIVE_INFINITY })
  for (const wrong of ['', 'the key of c', 'the key of a ', sha256('the key of a'), 'x'.repeat(1_000_000)])
    t.equal(ring.find(wrong), undefined, wrong.slice(0, 20))
})

t.test('a file that is wrong says where, and quotes nothing of it', async (t) => {
  for (const [text, message] of [
    ['', 'it is empty'],
    ['  \n', 'it is empty'],
    ['{"keys": [', 'it is not JSON'],
    ['[]', 'it must be an object'],
    ['{}', '/keys is required'],
    [file({ ...entry('a'), sha256: 'secret' }), /^\/keys\/0\/sha256 /],
    [file(entry('a b')), /^\/keys\/0\/id /],
    [file(entry('a', { scopes: [] })), /^\/keys\/0\/scopes /],
    [file(entry('a', { scopes: ['root'] })), /^\/keys\/0\/scopes\/0 /],
    [file(entry('a', { models: [] })), /^\/keys\/0\/models /],
    [file(entry('a', { rows_per_second: 0 })), /^\/keys\/0\/rows_per_second /],
    [file(entry('a', { expires: '1' })), /^\/keys\/0\/expires must be an ISO 8601 time/],
    [
      file(entry('a', { models: ['ads'], scopes: ['predict', 'admin'] })),
      /^\/keys\/0\/models goes with the scope predict/,
    ],
    [file(entry('a', { expires: 'soon' })), /^\/keys\/0\/expires must be an ISO 8601 time/],
    [file(entry('a', { limit: 1 })), /^\/keys\/0\/limit is not known here/],
    [file(entry('a'), entry('a', { sha256: sha256('other') })), '/keys/1/id a is there twice'],
    [file(entry('a'), entry('b', { sha256: sha256('the key of a') })), '/keys/1/sha256 is that of another entry'],
  ] as const) {
    t.throws(() => new Keyring(text), { message }, text.slice(0, 60))
  }
})
