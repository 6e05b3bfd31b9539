import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ServedTable, TableList } from '../../schemas/entity-details.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/own-models.ts'
import { json } from '../request/route-docs.ts'
import { keyOfRequest } from '../security/guarded.ts'
import { describeTables } from './describe-entities.ts'

const example: TableList = {
  tables: [
    {
      name: 'ads',
      version: '3',
      digest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      rows: 1_000_000,
      bytes: 96_000_000,
      source: 'ads.parquet',
      created_at: '2026-12-01T03:00:00.000Z',
      changed_at: '2026-12-01T09:00:00.000Z',
      deltas: { applied: 4, rows: 1200, bytes: 140_000, last_applied_at: '2026-12-01T09:00:02.000Z', refused: null },
      read_by: [
        {
          model: 'shop',
          version: '2',
          entity: 'ad',
          key: 'ad_id',
          keys: { found: 81_200, unknown: 17, examples: ['ad-9000001'] },
        },
      ],
    },
  ],
}

/** `GET /tables`: the feature tables that are read. */
export async function featureTableRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  app.route({
    method: 'GET',
    url: '/tables',
    schema: {
      operationId: 'listTables',
      tags: ['models'],
      summary: 'List feature tables: versions, rows, deltas, and the models that read them',
      description: 'Counts of keys are those of the process that responds.',
      response: {
        200: json('TableList', 'Every feature table that is read', example),
        ...problemResponses('INTERNAL'),
      },
    },
    handler: async (request): Promise<TableList> => ({ tables: tablesFor(request, context) }),
  })
}

/** All tables; of a key for some models, those that these read. */
export function tablesFor(request: FastifyRequest, context: ServerContext): ServedTable[] {
  const tables = describeTables(modelsOf(request, context.registry), context)
  const isForAll = keyOfRequest(request)?.models === undefined
  return isForAll ? tables : tables.filter(({ read_by: readers }) => readers.length > 0)
}
