import t from 'tap'
import { allSettings, readConfiguration } from '../../src/base/configuration.ts'
import { hostSettings, modelSettings, readSettings, settingName } from '../../src/base/settings.ts'

const { configuration: defaults } = readConfiguration({}, {})

t.test('settings go by their names or their variables, as values or as texts', async (t) => {
  t.equal(settingName('MULTIGATE_MAX_QUEUE_ROWS'), 'maxQueueRows')
  t.same(readSettings({}, allSettings), defaults)
  const expected = {
    ...defaults,
    MULTIGATE_PORT: 0,
    MULTIGATE_MAX_DELAY_MS: 1.5,
    MULTIGATE_LOG_REQUESTS: true,
    MULTIGATE_REQUIRED_MODELS: 'a,b',
  }
  const named = { port: 0, maxDelayMs: 1.5, logRequests: true, requiredModels: ['a', 'b'], models: undefined }
  t.same(readSettings(named, allSettings), expected)
  t.same(
    readSettings(
      { MULTIGATE_PORT: '0', MULTIGATE_MAX_DELAY_MS: '1.5', logRequests: 'true', requiredModels: 'a,b' },
      allSettings,
    ),
    expected,
  )
})

t.test('the environment makes no difference', async (t) => {
  process.env.MULTIGATE_PORT = '7'
  t.teardown(() => {
    delete process.env.MULTIGATE_PORT
  })
  t.equal(readSettings({}, allSettings).MULTIGATE_PORT, defaults.MULTIGATE_PORT)
})

t.test('what is wrong is said by the name it was given', async (t) => {
  const fails = (settings: object, message: string | RegExp, allowed = allSettings) =>
    t.throws(() => readSettings(settings, allowed), { message })
  fails({ prot: 1 }, /^prot is no setting here; there are host, port, models, /)
  fails({ port: 1 }, /^port is no setting here; there are engine, cache, /, [...modelSettings])
  fails({ port: 1, MULTIGATE_PORT: 1 }, 'MULTIGATE_PORT is given twice, as port too')
  fails(
    { port: 70000, maxBatchRows: 'many' },
    'port must be at most 65535, not "70000"; maxBatchRows must be an integer, not "many"',
  )
  fails({ MULTIGATE_PORT: true }, 'MULTIGATE_PORT must be an integer, not "true"')
  fails({ engine: 'torch' }, 'engine must be one of auto, onnx, tensorflow, not "torch"')
  fails({ deadlineMs: Number.POSITIVE_INFINITY }, /deadlineMs must be/)
  fails({ models: null }, 'models must be text, a number or a boolean, not null')
  fails({ models: { folder: 'x' } }, /models must be text, a number or a boolean, not \{/)
  fails({ requiredModels: [1] }, /requiredModels must be/)
})

t.test('every setting is either a model’s, a host’s, or the service’s', async (t) => {
  for (const key of [...modelSettings, ...hostSettings]) t.ok(allSettings.includes(key), key)
  t.notOk(modelSettings.some((key) => (hostSettings as readonly string[]).includes(key)))
})
