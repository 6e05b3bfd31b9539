import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { Check } from 'typebox/value'
import { PredictionLogStatus } from '../../../src/schemas/prediction-log-status.ts'
import { problems } from '../../../src/server/errors/error-handler.ts'
import { type LogStatus, sumCounts } from '../../../src/server/prediction-log/log-status.ts'
import type { Siblings } from '../../../src/server/request/context.ts'
import { predictionLogRoutes } from '../../../src/server/routes/prediction-log.ts'
import { logCounts, logStatus } from '../../support/log-counts.ts'

async function ask(
  t: Test,
  context: { logStatus?: LogStatus; peers?: Pick<Siblings, 'logCounts'>; admin?: boolean },
): Promise<{ status: number; body: any }> {
  const app = Fastify().setSerializerCompiler(() => JSON.stringify)
  t.teardown(() => app.close())
  await app.register(problems)
  await app.register(predictionLogRoutes, { context: { admin: true, ...context } as never })
  const answer = await app.inject('/debug/prediction-log')
  return { status: answer.statusCode, body: answer.json() }
}

const file = { name: 'a.jsonl', bytes: 7, written_at: '2026-12-02T14:22:41.120Z', open: true }

t.test('where it is off, it says so', async (t) => {
  t.same(await ask(t, {}), { status: 200, body: { log: null } })
})

t.test('only administrators see it', async (t) => {
  const { status, body } = await ask(t, { logStatus: logStatus(), admin: false })
  t.equal(status, 403)
  t.match(body, { code: 'FORBIDDEN', detail: /MULTIGATE_ADMIN=true/ })
})

t.test('settings, counts, files and the problem of the disk', async (t) => {
  const counts = logCounts({ records: 5, bytes: 900, waiting: 30, disk: 400, dropped: { disk: 2 }, problem: 'ENOSPC' })
  const status = logStatus({ counts: () => counts, files: async () => ({ newest: [file], missing: 'too_many' }) })
  const { body } = await ask(t, { logStatus: status })
  t.equal(Check(PredictionLogStatus, body), true)
  t.same(body.log, {
    settings: status.settings,
    records: 5,
    bytes: 900,
    dropped: { full: 0, too_large: 0, disk: 2, unreadable: 0 },
    buffer: { bytes: 30, max_bytes: 1000 },
    disk: { bytes: 400, max_bytes: 1_000_000 },
    problem: 'ENOSPC',
    files: { newest: [file], missing: 'too_many' },
  })
  const { body: healthy } = await ask(t, { logStatus: logStatus() })
  t.equal(Check(PredictionLogStatus, healthy), true)
  t.notOk('problem' in healthy.log)
})

t.test('of all processes: counts are added, and each has a buffer; the folder is one', async (t) => {
  const all = sumCounts([
    logCounts({ records: 5, bytes: 10, waiting: 30, disk: 400, dropped: { full: 1, unreadable: 1 } }),
    logCounts({ records: 7, bytes: 20, waiting: 5, disk: 500, dropped: { full: 2, too_large: 3 }, problem: 'EROFS' }),
  ])
  const { body } = await ask(t, { logStatus: logStatus(), peers: { logCounts: async () => all } })
  t.match(body.log, {
    records: 12,
    bytes: 30,
    dropped: { full: 3, too_large: 3, disk: 0, unreadable: 1 },
    buffer: { bytes: 35, max_bytes: 2000 },
    disk: { bytes: 500 },
    problem: 'EROFS',
  })
  t.equal(sumCounts([]), undefined)
})

t.test('where nobody can answer for all processes, this one does for itself', async (t) => {
  const counts = logCounts({ records: 3 })
  const { body } = await ask(t, {
    logStatus: logStatus({ counts: () => counts }),
    peers: { logCounts: async () => undefined },
  })
  t.match(body.log, { records: 3, buffer: { max_bytes: 1000 } })
})
