import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { encoderOf } from '../../../src/model/serving/features/encoder.ts'
import type { LoadedModel } from '../../../src/model/serving/prediction/loaded-model.ts'
import { logFiles, readRecords } from '../../../src/prediction-log/log-records.ts'
import type { Manifest } from '../../../src/schemas/manifest.ts'
import { putEntry } from '../../../src/server/prediction-log/entry.ts'
import { LogWriter } from '../../../src/server/prediction-log/log-writer.ts'
import type { EntryHeader, WriterRequest, WriterState } from '../../../src/server/prediction-log/messages.ts'
import { loggedVersion } from '../../../src/server/prediction-log/prediction-log.ts'
import { createRing, RingWriter } from '../../../src/server/prediction-log/ring.ts'
import { predictFormat } from '../../../src/server/protocols/predict/predict-format.ts'
import { temporaryFolder } from '../../support/bundle.ts'

t.test('values are judged by vocabularies until these are too large for the thread', async (t) => {
  const folder = await temporaryFolder(t)
  const text = await readFile('models/ads-funnel/1/manifest.json', 'utf8')
  const ring = createRing(1 << 20)
  const { port1, port2 } = new MessageChannel()
  const settings = {
    ...{ folder: join(folder, 'log'), models: folder, instance: 'a', fileBytes: 1e6, fileSeconds: 60 },
    ...{ maxBytes: 1e6, maxDays: 7, secret: undefined, bounds: { maxDepth: 10, maxValues: 1000 } as never },
  }
  const put = async (number: number, version: string, manifestText: string) => {
    await mkdir(join(folder, 'ads-funnel', version), { recursive: true })
    await writeFile(join(folder, 'ads-funnel', version, 'manifest.json'), manifestText)
    const manifest = { ...(JSON.parse(text) as Manifest), version }
    const limits = { maxRequestRows: 10, maxListValues: 10, maxDelayMs: 0 }
    const model = { manifest, encoder: encoderOf(manifest), tensors: { inputs: [] }, manifestless: false, limits }
    const request = { type: 'version', number, version: loggedVersion(model as unknown as LoadedModel) } as const
    port2.postMessage(request satisfies WriterRequest)
    const header = { number, at: 0, request_id: version, protocol: 'predict', outcome: 'ok', ms: { total: 1 } }
    const sampling = { sampled_by: 'rate', sample_rate: 1 }
    const body = Buffer.from(
      JSON.stringify({
        context: { country: 'XX', hour: 1, segment: 's1' },
        candidates: [{ id: '\ud800\\ud800\u{1f600}' }],
      }),
    )
    const parts = [Buffer.from(body), new Float32Array(2), new Int32Array()] as const
    t.ok(putEntry(new RingWriter(ring), { ...header, ...sampling } as EntryHeader, ...parts))
  }
  await put(0, '1', text)
  // As of millions of values.
  await put(1, '2', text + ' '.repeat(2 ** 26))
  await put(2, '3', text)
  const last = new Promise<WriterState>((resolve) => port2.on('message', resolve))
  port2.postMessage({ type: 'close' } satisfies WriterRequest)
  new LogWriter({ settings, ring }, port1, new Map([['predict', predictFormat]])).start()
  t.match(await last, { records: 3, repaired: 3, dropped: { disk: 0, unreadable: 0 } })
  const unknown: unknown[] = []
  for (const file of await logFiles(settings.folder))
    for await (const { text, record } of readRecords(file)) {
      unknown.push([record.version, record.unknown])
      t.ok(text.includes('"id":"\ufffd\\\\ud800\u{1f600}"'), 'half of a surrogate pair is replaced')
    }
  t.same(unknown.sort(), [
    ['1', ['country']],
    ['2', undefined],
    ['3', ['country']],
  ])
})
