import type { Command } from 'commander'
import t from 'tap'
import { createServeCommand, flagOf, ignoredPort, readConfiguration } from '../../src/base/configuration.ts'
import { Configuration } from '../../src/schemas/configuration.ts'

const keys = Object.keys(Configuration.properties) as (keyof Configuration)[]
const properties = Configuration.properties as unknown as Record<keyof Configuration, { default: unknown }>

/** The settings that `multigate serve` takes from these arguments. */
async function parse(...args: string[]): Promise<Partial<Record<keyof Configuration, string>>> {
  let given: Partial<Record<keyof Configuration, string>> = {}
  const command = createServeCommand(async (flags) => {
    given = flags
  })
  quiet(command)
  await command.parseAsync(args, { from: 'user' })
  return given
}

function quiet(command: Command): Command {
  return command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
}

const messageOf = (env: Record<string, string>) => {
  try {
    readConfiguration(env, {})
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing is wrong'
}

t.test('without variables and flags every value is its default', async (t) => {
  const { configuration, unknown } = readConfiguration({}, {})
  for (const key of keys) t.equal(configuration[key], properties[key].default, key)
  t.same(unknown, [])
})

t.test('variables are read as what they are', async (t) => {
  const { configuration } = readConfiguration(
    {
      MULTIGATE_PORT: '8080',
      MULTIGATE_HOST: '0.0.0.0',
      MULTIGATE_MAX_DELAY_MS: '0.5',
      MULTIGATE_LOG_REQUESTS: 'true',
      MULTIGATE_VERSIONS: 'all',
    },
    {},
  )
  t.match(configuration, {
    MULTIGATE_PORT: 8080,
    MULTIGATE_HOST: '0.0.0.0',
    MULTIGATE_MAX_DELAY_MS: 0.5,
    MULTIGATE_LOG_REQUESTS: true,
    MULTIGATE_VERSIONS: 'all',
  })
})

t.test('auto is a number of processes', async (t) => {
  t.equal(readConfiguration({ MULTIGATE_PROCESSES: 'auto' }, {}).configuration.MULTIGATE_PROCESSES, 0)
  const flags = await parse('--processes', 'auto')
  t.equal(readConfiguration({}, flags).configuration.MULTIGATE_PROCESSES, 0)
  t.match(messageOf({ MULTIGATE_PROCESSES: 'many' }), /MULTIGATE_PROCESSES/)
  t.match(messageOf({ MULTIGATE_WORKERS: 'auto' }), /MULTIGATE_WORKERS/)
})

t.test('an empty address is not that of all networks, nor an empty folder the current one', async (t) => {
  t.match(messageOf({ MULTIGATE_HOST: '' }), /MULTIGATE_HOST must have at least 1 character/)
  t.match(messageOf({ MULTIGATE_MODELS: '' }), /MULTIGATE_MODELS must have at least 1 character/)
})

t.test('a flag wins over its variable, and leaves others alone', async (t) => {
  const env = { MULTIGATE_PORT: '8080', MULTIGATE_WORKERS: '3' }
  const { configuration } = readConfiguration(env, { MULTIGATE_PORT: '9090' })
  t.match(configuration, { MULTIGATE_PORT: 9090, MULTIGATE_WORKERS: 3 })
})

t.test('a flag wins over a variable that is wrong', async (t) => {
  t.equal(readConfiguration({ MULTIGATE_PORT: 'x' }, { MULTIGATE_PORT: '1' }).configuration.MULTIGATE_PORT, 1)
})

t.test('variables of others are no business of ours', async (t) => {
  t.same(readConfiguration({ PATH: '/bin', PORT: 'x', MULTIGATE: '1' }, {}).unknown, [])
})

t.test('PORT counts where nothing else says the port; the log warns where it has no effect', async (t) => {
  const told = (env: Record<string, string>, flags = {}) => {
    const { configuration } = readConfiguration(env, flags)
    return [configuration.MULTIGATE_PORT, ignoredPort(env, configuration)]
  }
  t.same(told({}), [3000, undefined])
  t.same(told({ PORT: '8080' }), [8080, undefined])
  t.same(told({ PORT: '8080', MULTIGATE_PORT: '8080' }), [8080, undefined])
  const ignored = (port: string, used: number) =>
    `PORT is "${port}", which has no effect: MULTIGATE_PORT (--port) is ${used}`
  t.same(told({ PORT: '8080', MULTIGATE_PORT: '9090' }), [9090, ignored('8080', 9090)])
  t.same(told({ PORT: '8080' }, { MULTIGATE_PORT: '1' }), [1, ignored('8080', 1)])
  for (const port of ['', 'x', '65536', '80.5', 'tcp://10.0.0.1:80'])
    t.same(told({ PORT: port }), [3000, ignored(port, 3000)])
})

t.test('variables that begin like ours and are none are listed', async (t) => {
  const env = { MULTIGATE_PROT: '1', MULTIGATE_PORT: '1', MULTIGATE_: '', MULTIGATE_toString: '' }
  t.same(readConfiguration(env, {}).unknown, ['MULTIGATE_PROT', 'MULTIGATE_', 'MULTIGATE_toString'])
})

const wrong: Record<string, string[]> = {
  MULTIGATE_PORT: ['x', '', '-1', '65536', '80.5'],
  MULTIGATE_VERSIONS: ['newest', ''],
  MULTIGATE_POLL_SECONDS: ['-1', 'never'],
  MULTIGATE_ENGINE: ['torch'],
  MULTIGATE_WORKERS: ['-1', '1.5', '257'],
  MULTIGATE_MAX_BATCH_ROWS: ['0'],
  MULTIGATE_MAX_DELAY_MS: ['1001', 'NaN'],
  MULTIGATE_MAX_QUEUE_ROWS: ['0'],
  MULTIGATE_MAX_REQUEST_ROWS: ['0', '1000001'],
  MULTIGATE_MAX_BODY_BYTES: ['1'],
  MULTIGATE_DEADLINE_MS: ['0', '600001'],
  MULTIGATE_DRAIN_DELAY_MS: ['0.5'],
  MULTIGATE_LOG_LEVEL: ['loud'],
  MULTIGATE_LOG_REQUESTS: ['yes', '2'],
}
for (const [key, values] of Object.entries(wrong)) {
  for (const value of values) {
    t.test(`${key}=${value} is refused by name`, async (t) => {
      t.match(messageOf({ [key]: value }), key)
    })
  }
}

t.test('a wrong value is reported once, with what it may be', async (t) => {
  t.equal(messageOf({ MULTIGATE_PORT: 'x' }), 'MULTIGATE_PORT must be an integer, not "x"')
  t.equal(
    messageOf({ MULTIGATE_ENGINE: 'torch' }),
    'MULTIGATE_ENGINE must be one of auto, onnx, tensorflow, not "torch"',
  )
})

t.test('a number without end is refused, whatever the bounds', async (t) => {
  for (const value of ['Infinity', '-Infinity', '1e999']) {
    t.equal(messageOf({ MULTIGATE_WORKERS: value }), `MULTIGATE_WORKERS must be an integer, not "${value}"`)
    t.equal(messageOf({ MULTIGATE_MAX_DELAY_MS: value }), `MULTIGATE_MAX_DELAY_MS must be a number, not "${value}"`)
  }
})

t.test('a text may look like a number without end', async (t) => {
  t.equal(readConfiguration({ MULTIGATE_MODELS: 'Infinity' }, {}).configuration.MULTIGATE_MODELS, 'Infinity')
})

t.test('every wrong value is told at once', async (t) => {
  const message = messageOf(Object.fromEntries(Object.entries(wrong).map(([key, [value]]) => [key, value ?? ''])))
  for (const key of Object.keys(wrong)) t.match(message, key)
})

t.test('every variable has a flag', async (t) => {
  const command = createServeCommand(async () => undefined)
  t.same(command.options.map(({ long }) => long).sort(), keys.map(flagOf).sort())
  t.equal(flagOf('MULTIGATE_MAX_QUEUE_ROWS'), '--max-queue-rows')
})

t.test('help names every variable, and its default', async (t) => {
  const help = createServeCommand(async () => undefined)
    .helpInformation()
    .replace(/\s+/g, ' ')
  for (const key of keys) {
    const value = properties[key].default
    t.match(help, `(${key}; default: ${value === '' ? 'none' : value})`)
  }
})

t.test('flags that are not given say nothing', async (t) => {
  t.same(await parse(), {})
})

t.test('flags are handed on as text', async (t) => {
  t.same(await parse('--port', '80', '--max-queue-rows=9', '--engine', 'onnx'), {
    MULTIGATE_PORT: '80',
    MULTIGATE_MAX_QUEUE_ROWS: '9',
    MULTIGATE_ENGINE: 'onnx',
  })
})

t.test('a yes-or-no flag needs no value', async (t) => {
  t.same(await parse('--log-requests'), { MULTIGATE_LOG_REQUESTS: 'true' })
  t.same(await parse('--log-requests', 'false'), { MULTIGATE_LOG_REQUESTS: 'false' })
})

t.test('every default is taken back as a flag', async (t) => {
  const args = keys.map((key) => `${flagOf(key)}=${properties[key].default}`)
  t.same(readConfiguration({}, await parse(...args)), readConfiguration({}, {}))
})

t.test('a flag that is none is refused', async (t) => {
  await t.rejects(parse('--prot', '80'), { message: /unknown option --prot; did you mean --port\?/ })
})

t.test('a flag without its value is refused', async (t) => {
  await t.rejects(parse('--port'), { message: /--port needs a value/ })
})

t.test('a flag that is none of its choices is refused, with the choices', async (t) => {
  const flags = await parse('--engine', 'torch')
  t.throws(() => readConfiguration({}, flags), {
    message: 'MULTIGATE_ENGINE (--engine) must be one of auto, onnx, tensorflow, not "torch"',
  })
})

t.test('everything that is wrong with the flags is reported together', async (t) => {
  const written: string[] = []
  const command = createServeCommand(async () => undefined)
    .exitOverride()
    .configureOutput({ writeErr: (text) => written.push(text) })
  const args = ['--prot', '80', '--max-queue-rows', 'x', '--engine', 'foo', 'models', '--models', '--log-requets=true']
  const error: unknown = await command.parseAsync(args, { from: 'user' }).catch((error) => error)
  t.match(error, { exitCode: 2 })
  const text = written.join('')
  for (const expected of [
    /unknown option --prot; did you mean --port\?/,
    /unknown option --log-requets; did you mean --log-requests\?/,
    /unexpected argument "models"/,
    /--models needs a value/,
    /MULTIGATE_MAX_QUEUE_ROWS \(--max-queue-rows\) must be an integer, not "x"/,
    /MULTIGATE_ENGINE \(--engine\) must be one of auto, onnx, tensorflow, not "foo"/,
  ])
    t.match(text, expected)
})
