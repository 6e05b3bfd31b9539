import { createHash } from 'node:crypto'
import t from 'tap'
import { type Area, areaOf } from '../../../src/server/security/areas.ts'
import { Guard } from '../../../src/server/security/guard.ts'
import { Keyring } from '../../../src/server/security/keyring.ts'

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const keyring = new Keyring(
  JSON.stringify({
    keys: [
      { id: 'asks', sha256: sha256('k1'), scopes: ['predict'], requests_per_second: 2 },
      { id: 'scrapes', sha256: sha256('k2'), scopes: ['metrics'] },
      { id: 'rules', sha256: sha256('k3'), scopes: ['predict', 'admin'], expires: '2027-01-01T00:00:00Z' },
    ],
  }),
)

function start(open: Area[] = ['probes', 'docs']) {
  const clock = { now: 0, wall: Date.UTC(2026, 0, 1) }
  const guard = new Guard({ keyring, open: new Set(open), now: () => clock.now, wallClock: () => clock.wall })
  const enter = (key: string | undefined, area: Area) =>
    guard.enter(key === undefined ? {} : { authorization: `Bearer ${key}` }, area)
  return { guard, clock, enter }
}

t.test('open areas need no key', async (t) => {
  const { enter } = start()
  t.equal(enter(undefined, 'probes'), undefined)
  t.equal(enter('wrong', 'docs'), undefined)
  t.equal(start(['predict']).enter(undefined, 'predict'), undefined)
})

t.test('what opens what', async (t) => {
  const { enter } = start()
  t.match(enter(undefined, 'predict'), { code: 'UNAUTHORIZED', reason: 'missing', detail: /Authorization: Bearer/ })
  t.match(enter('k', 'predict'), { code: 'UNAUTHORIZED', reason: 'unknown' })
  t.match(enter('k1', 'predict'), { id: 'asks' })
  t.match(enter('k1', 'metrics'), { code: 'FORBIDDEN', reason: 'scope', detail: /asks lacks the scope metrics/ })
  t.match(enter('k1', 'admin'), { code: 'FORBIDDEN' })
  t.match(enter('k2', 'metrics'), { id: 'scrapes' })
  t.match(enter('k2', 'predict'), { code: 'FORBIDDEN' })
  t.match(enter('k3', 'admin'), { id: 'rules' })
  t.match(enter('k2', 'unknown'), { id: 'scrapes' }, 'any key gets the 404 of an unknown path')
  t.match(enter(undefined, 'unknown'), { reason: 'missing' })
  t.equal(
    start(['predict']).enter(undefined, 'unknown'),
    undefined,
    'no key is needed for it where predictions are open',
  )
  t.match(start([]).enter('k2', 'docs'), { id: 'scrapes' }, 'any key opens the documentation')
})

t.test('both headers are read, in any case of the scheme', async (t) => {
  const { guard } = start()
  t.match(guard.enter({ 'x-api-key': 'k3' }, 'predict'), { id: 'rules' })
  t.match(guard.enter({ authorization: 'bearer   k3' }, 'predict'), { id: 'rules' })
  t.match(guard.enter({ authorization: 'Basic k3' }, 'predict'), { reason: 'missing' })
  t.match(guard.enter({ authorization: 'Bearer k3 k1' }, 'predict'), { reason: 'missing' })
  t.match(guard.enter({ authorization: 'Bearer ' }, 'predict'), { reason: 'missing' })
})

t.test('a key that has expired opens nothing, and opens again if the clock is set back', async (t) => {
  const { clock, enter } = start()
  clock.wall = Date.UTC(2027, 0, 1)
  t.match(enter('k3', 'predict'), { code: 'UNAUTHORIZED', reason: 'expired' })
  clock.wall -= 1
  t.match(enter('k3', 'predict'), { id: 'rules' })
})

t.test('limits say when to come again; refused requests use nothing', async (t) => {
  const { clock, enter } = start()
  t.match(enter('k1', 'metrics'), { reason: 'scope' })
  t.match([enter('k1', 'predict'), enter('k1', 'predict')], [{ id: 'asks' }, { id: 'asks' }])
  t.match(enter('k1', 'predict'), { code: 'RATE_LIMITED', reason: 'rate', retryAfterSeconds: 0.5 })
  clock.now = 501
  t.match(enter('k1', 'predict'), { id: 'asks' })
})

t.test('other keys, from the next request on', async (t) => {
  const { guard, enter } = start()
  guard.replace(new Keyring('{"keys": []}'))
  t.match(enter('k1', 'predict'), { reason: 'unknown' })
})

t.test('areas of paths', async (t) => {
  for (const [path, area] of [
    ['/livez', 'probes'],
    ['/v2/health/ready', 'probes'],
    ['/', 'console'],
    ['/console/assets/*', 'console'],
    ['/console/live', 'metrics'],
    ['/docs', 'docs'],
    ['/docs/static/*', 'docs'],
    ['/metrics', 'metrics'],
    ['/v2/repository/models/:model/load', 'admin'],
    ['/debug/slow', 'admin'],
    ['/debug/requests', 'admin'],
    ['/debug/prediction-log', 'admin'],
    ['/debug/requests/:request_id', 'admin'],
    ['/predict', 'predict'],
    ['/v2/models/:model/infer', 'predict'],
    ['/models', 'predict'],
    ['/tables', 'predict'],
    ['/models/:model', 'predict'],
    ['/models/:model/versions/:version', 'predict'],
    ['/models/:model/versions/:version/distributions', 'predict'],
    ['/models/:model/versions/:version/evaluation', 'predict'],
    ['/models/:model/pin', 'admin'],
    ['/models/:model/unpin', 'admin'],
    ['', 'predict'],
    ['/docsecret', 'predict'],
    ['/livez/x', 'predict'],
  ] as const)
    t.equal(areaOf(path), area, path)
})
