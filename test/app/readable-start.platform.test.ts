import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { main } from '../support/entries.ts'
import { onTerminal, skipWithoutTerminal as skip } from '../support/pseudo-terminal.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
mkdirSync(join(models, 'broken/1'), { recursive: true })
writeFileSync(join(models, 'broken/1/manifest.json'), '{')

for (const processes of ['1', '2'])
  t.test(`on a terminal a start is for people; ${processes} processes`, { skip }, async (t) => {
    const { text, type, ended } = onTerminal(t, [process.execPath, main], {
      MULTIGATE_MODELS: models,
      MULTIGATE_PORT: '0',
      MULTIGATE_WORKERS: '1',
      MULTIGATE_WARM_UP_MS: '0',
      MULTIGATE_DRAIN_DELAY_MS: '0',
      MULTIGATE_PROCESSES: processes,
      MULTIGATE_DEFAULT_MODEL: 'ads',
      NO_COLOR: '1',
    })
    await until(() => text().includes('Ctrl-C stops it.') && (processes === '1' || text().includes('All 2 processes')))
    t.match(text(), /multigate listens at http:\/\/127\.0\.0\.1:\d+\r\n/)
    t.match(text(), /Console {2}http/)
    t.match(text(), /✓ ads 1 {2}\d+\.\d s\r\n/)
    t.match(text(), /✗ broken 1 {2}.+\r\n/)
    t.equal(text().split('✓ ads').length, 2, 'each model has one line')
    t.notMatch(text(), /"level"|\p{Cc}\[/u, 'neither JSON nor colours')
    const [, command] = /Try it:\s+(curl .*?)\r\n/.exec(text()) ?? []
    const { stdout } = await promisify(execFile)('sh', ['-c', command!])
    t.match(JSON.parse(stdout), { model: 'ads', predictions: [{}] }, 'the request that it shows works')
    type('\u0003')
    t.equal(await ended, 0)
  })

t.test(
  'npm start stops in order at one Ctrl-C, which reaches it twice, and immediately at another',
  { skip },
  async (t) => {
    for (const [again, code] of [
      [false, 0],
      [true, 130],
    ] as const) {
      const { text, type, ended } = onTerminal(t, ['npm', 'start'], {
        MULTIGATE_MODELS: models,
        MULTIGATE_PORT: '0',
        MULTIGATE_WORKERS: '1',
        MULTIGATE_WARM_UP_MS: '0',
        MULTIGATE_DRAIN_DELAY_MS: again ? '600000' : '500',
      })
      await until(() => text().includes('Ctrl-C stops it.'))
      type('\u0003')
      await until(() => text().includes('stopping'))
      if (again)
        await until(() => {
          type('\u0003')
          return text().includes('second SIGINT')
        })
      t.equal(await ended, code)
      t.equal(/(?<!\w)stopped/.test(text()), !again)
    }
  },
)

t.test('JSON lines where the settings ask for them', { skip }, async (t) => {
  const { text } = onTerminal(t, [process.execPath, main], {
    MULTIGATE_MODELS: models,
    MULTIGATE_PORT: '0',
    MULTIGATE_WARM_UP_MS: '0',
    MULTIGATE_LOG_FORMAT: 'pino',
  })
  await until(() => text().includes('"msg":"ready"') || text().includes('"msg":"not ready"'))
  t.notMatch(text(), 'Try it')
})
