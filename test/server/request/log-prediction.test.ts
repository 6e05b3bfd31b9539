import t from 'tap'
import type { RequestIds } from '../../../src/server/prediction-log/prediction-log.ts'
import type { Exchange } from '../../../src/server/request/admit.ts'
import { beginLog } from '../../../src/server/request/log-prediction.ts'
import type { Guard } from '../../../src/server/security/guard.ts'
import type { Key } from '../../../src/server/security/keyring.ts'

t.test('only who may administer the server has a request recorded that sampling leaves out', async (t) => {
  const guard = {} as Guard
  const keyOf = (scope: 'predict' | 'admin') => ({ id: scope, scopes: new Set([scope]) }) as unknown as Key
  const isAlways = (context: { guard?: Guard; admin: boolean }, key?: Key, header: string | undefined = 'always') => {
    let asked: RequestIds | undefined
    const log = {
      begin: (ids: RequestIds) => {
        asked = ids
        return undefined
      },
      ended: () => undefined,
      unread: () => undefined,
      state: { full: 0, too_large: 0, waiting: 0 },
    }
    const exchange = { id: 'one', key, headers: { 'x-multigate-log': header } } as unknown as Exchange
    beginLog(log, context, exchange, Buffer.alloc(0))
    return asked!.isAlways
  }
  t.equal(isAlways({ admin: true }), true)
  t.equal(isAlways({ admin: false }), false)
  t.equal(isAlways({ admin: true }, undefined, 'yes'), false)
  t.equal(isAlways({ admin: true, guard }, keyOf('admin')), true)
  t.equal(isAlways({ admin: false, guard }, keyOf('admin')), true)
  t.equal(isAlways({ admin: true, guard }, keyOf('predict')), false)
  t.equal(isAlways({ admin: true, guard }), false, 'predictions that are open to all')
})
