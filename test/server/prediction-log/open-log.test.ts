import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import type { LoadedModel } from '../../../src/model/serving/prediction/loaded-model.ts'
import { putEntry } from '../../../src/server/prediction-log/entry.ts'
import { LogWriter } from '../../../src/server/prediction-log/log-writer.ts'
import type { EntryHeader, WriterSettings, WriterState } from '../../../src/server/prediction-log/messages.ts'
import { openLog } from '../../../src/server/prediction-log/open-log.ts'
import { createRing, RingWriter } from '../../../src/server/prediction-log/ring.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { until } from '../../support/until.ts'

const bounds = { maxDepth: 10, maxValues: 1000 } as unknown as WriterSettings['bounds']
const settings = (folder: string): WriterSettings => ({
  ...{ folder, models: folder, instance: 'a', fileBytes: 1e6, fileSeconds: 1, maxBytes: 1e6, maxDays: 7 },
  ...{ secret: undefined, bounds },
})

t.test('requests that come as fast as they are written keep nothing else waiting', async (t) => {
  const folder = await temporaryFolder(t)
  const ring = createRing(65_536)
  const writer = new RingWriter(ring)
  const header = { at: 0, request_id: 'r', protocol: 'predict', outcome: 'invalid_request', ms: { total: 1 } }
  const put = () => putEntry(writer, header as EntryHeader, Buffer.alloc(0), new Float32Array(), new Int32Array())
  let isFed = true
  const fed = {
    ...settings(folder),
    get bounds() {
      if (isFed) put()
      return bounds
    },
  }
  const { port1, port2 } = new MessageChannel()
  const first = new Promise<WriterState>((resolve) => port2.once('message', resolve))
  new LogWriter({ settings: fed, ring }, port1, new Map()).start()
  put()
  t.match(await first, { problem: undefined, dropped: { disk: 0, unreadable: 0 } })
  t.ok(writer.used > 0, 'more are waiting')
  isFed = false
  port2.postMessage({ type: 'close' })
  await until(() => writer.used === 0)
})

t.test('a thread that takes the place of one that died knows the versions', async (t) => {
  const folder = await temporaryFolder(t)
  const script = join(folder, 'thread.mjs')
  await writeFile(
    script,
    `import { existsSync, writeFileSync } from 'node:fs'
    import { parentPort } from 'node:worker_threads'
    const died = ${JSON.stringify(join(folder, 'died'))}
    parentPort.on('message', ({ type, number }) => {
      if (type === 'close') process.exit()
      if (!existsSync(died)) {
        writeFileSync(died, '')
        process.exit(1)
      }
      parentPort.postMessage({ records: number + 7, bytes: 0, dropped: { disk: 0, unreadable: 0 }, disk: 0 })
    })`,
  )
  const { log, written, close } = openLog({
    ...{ settings: settings(folder), script: pathToFileURL(script), ringBytes: 65_536 },
    ...{
      onProblem: () => undefined,
      onUnreadable: () => undefined,
      rates: { rate: 1, failed: 1, slow: 1 },
      slowMs: 1000,
    },
  })
  t.teardown(close)
  const model = { manifest: { features: [] }, encoder: { source: { columns: [] } } } as unknown as LoadedModel
  const none = { headerLength: undefined, key: undefined, target: undefined, rank: undefined, problems: undefined }
  const logged = log.begin({ id: 'r', traceId: undefined, body: Buffer.from('{}'), isAlways: false })!
  log.ended(logged, {
    ...none,
    protocol: 'predict',
    model,
    isPinned: false,
    outcome: 'ok',
    deadlineMs: undefined,
    ms: { total: 1 } as never,
  })
  await until(async () => written().records === 7)
})
