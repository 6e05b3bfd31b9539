import t from 'tap'
import { createReadableLog } from '../../src/app/readable-log.ts'

const configuration = { MULTIGATE_PROCESSES: 1, MULTIGATE_CONSOLE: true, MULTIGATE_ADMIN_PORT: 0 }
const start = (options: Partial<Parameters<typeof createReadableLog>[0]> = {}) => {
  const read = createReadableLog({ configuration, listsModels: true, colours: false, now: () => 4200, ...options })
  return (msg: string, fields: object = {}, level = 30) =>
    read(JSON.stringify({ level, time: 0, pid: 7, ...fields, msg }))
}
const loading = { docs: 'http://127.0.0.1:3000/docs', models: '/models', workers: 2, engine: 'onnx' }

t.test('the start of a server: where it is, its models, and when it is ready', async (t) => {
  const read = start()
  t.equal(read('listening at http://127.0.0.1:3000'), '', 'the addresses follow')
  const header = read('loading models', loading)
  t.match(header, 'multigate listens at http://127.0.0.1:3000\n')
  t.match(header, /Console {2}http:\/\/127\.0\.0\.1:3000\/\n {2}API {6}http:\/\/127\.0\.0\.1:3000\/docs\n/)
  t.match(header, 'Loading the models of /models, 2 workers:')
  t.equal(read('model loaded', { model: 'ads', version: '3', seconds: 0.412 }), '  ✓ ads 3  0.4 s\n')
  t.equal(
    read('model failed to load', { model: 'shop', version: '1', reason: 'no graph' }, 50),
    '  ✗ shop 1  no graph\n',
  )
  t.equal(read('ready', { models: ['ads/3'] }), '\nReady after 4.2 s: 1 model.\n')
})

t.test('the console is where administration is, and nowhere if it is off', async (t) => {
  const apart = start({ configuration: { ...configuration, MULTIGATE_ADMIN_PORT: 3001 } })
  apart('administration at http://127.0.0.1:3001')
  t.match(apart('loading models', loading), 'Console  http://127.0.0.1:3001/\n')
  const off = start({ configuration: { ...configuration, MULTIGATE_CONSOLE: false } })
  t.notMatch(off('loading models', loading), 'Console')
})

t.test('of several processes one lists its models', async (t) => {
  const several = { ...configuration, MULTIGATE_PROCESSES: 2 }
  const primary = start({ configuration: several })
  t.match(primary('listening at http://127.0.0.1:3000', { processes: 2 }), /Console[\s\S]*API/)
  t.equal(primary('all processes are ready', { processes: 2 }), 'All 2 processes are ready.\n')
  const first = start({ configuration: several })
  t.match(first('loading models', loading), /^\nLoading the models/)
  const second = start({ configuration: several, listsModels: false })
  t.equal(second('loading models', loading), '')
  t.equal(second('model loaded', { model: 'ads', version: '3', seconds: 1 }), '')
  t.equal(second('ready', { models: ['ads/3'] }), '  process 7 is ready\n')
})

t.test('other lines have their time, level and fields; what is no log line stays', async (t) => {
  const read = start()
  t.match(read('another version answers', { model: 'ads' }), /^\d\d:\d\d:\d\d another version answers model=ads\n$/)
  t.match(read('not ready', { reasons: ['x'] }, 40), /^\d\d:\d\d:\d\d warn not ready reasons=\["x"\]\n$/)
  t.match(read('broken', { err: { stack: 'Error: x\n    at y' } }, 50), /error broken\nError: x\n {4}at y\n$/)
  const plain = createReadableLog({ configuration, listsModels: true, colours: false, now: () => 0 })
  t.equal(plain('no JSON\n'), 'no JSON\n')
})

t.test('names and reasons move no cursor; colours only where they are wanted', async (t) => {
  const read = start()
  for (const line of [
    read('model loaded', { model: 'a\u001b[2J', version: '\r', seconds: 1 }),
    read('model failed to load', { model: 'a', version: '1', reason: '\u001b]0;x\u0007\u009b' }, 50),
    read('x\u001b[0m', { model: '\u001b[1m' }),
  ])
    t.notMatch(line.slice(0, -1), /\p{Cc}/u)
  t.match(start({ colours: true })('model loaded', { model: 'a', version: '1', seconds: 1 }), '\u001b[32m✓')
})
