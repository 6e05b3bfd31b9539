import type { FastifyInstance } from 'fastify'
import type { PredictionLogStatus } from '../../schemas/prediction-log-status.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { adminOnly } from '../request/admin-only.ts'
import type { ServerContext } from '../request/context.ts'
import { json } from '../request/route-docs.ts'

const example: PredictionLogStatus = {
  log: {
    settings: {
      folder: '/var/log/multigate/predictions',
      format: 'jsonl',
      ...{ sample: 0.01, failed: 1, slow: 1, slow_ms: 1000 },
      ...{ file_bytes: 67_108_864, file_seconds: 300, max_days: 7 },
    },
    records: 81_200,
    bytes: 501_300_000,
    dropped: { full: 0, too_large: 2, disk: 0, unreadable: 0 },
    buffer: { bytes: 12_400, max_bytes: 33_554_432 },
    disk: { bytes: 2_100_000_000, max_bytes: 10_737_418_240 },
    files: {
      newest: [
        {
          model: 'ads-funnel',
          version: '1',
          name: '20261202T142116283Z-ranker_0-17.jsonl',
          bytes: 1_310_720,
          written_at: '2026-12-02T14:22:41.120Z',
          open: true,
        },
      ],
    },
  },
}

/** `GET /debug/prediction-log`: where it is written and whether it can be, without what it records. */
export async function predictionLogRoutes(
  app: FastifyInstance,
  { context }: { context: Pick<ServerContext, 'logStatus' | 'peers' | 'admin' | 'allowedHosts'> },
): Promise<void> {
  const { logStatus, peers } = context
  app.route({
    method: 'GET',
    url: '/debug/prediction-log',
    schema: {
      operationId: 'predictionLog',
      tags: ['operation'],
      summary: 'The prediction log: settings, counts, the problem of the disk, and its newest files',
      description:
        'Of all processes, without what it records. Only where administration is enabled (`MULTIGATE_ADMIN`).',
      response: {
        200: json('PredictionLogStatus', '`log` is null unless `MULTIGATE_PREDICTION_LOG` is set', example),
        ...problemResponses('UNAUTHORIZED', 'FORBIDDEN', 'RATE_LIMITED', 'INTERNAL'),
      },
    },
    onRequest: adminOnly(context),
    handler: async (): Promise<PredictionLogStatus> => {
      if (logStatus === undefined) return { log: null }
      const [ofAll, files] = await Promise.all([peers?.logCounts(), logStatus.files()])
      const { processes, records, bytes, dropped, waiting, disk, problem } = ofAll ?? logStatus.counts()
      return {
        log: {
          settings: logStatus.settings,
          records,
          bytes,
          dropped,
          buffer: { bytes: waiting, max_bytes: processes * logStatus.bufferBytes },
          disk: { bytes: disk, max_bytes: logStatus.diskBytes },
          ...(problem !== undefined && { problem }),
          files,
        },
      }
    },
  })
}
