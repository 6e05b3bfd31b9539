import type { FastifyInstance } from 'fastify'
import { type InferReply, infer } from './infer-body.ts'

/** Sends a body, as it is or as JSON, to a model's `:predict`, or to another path below `/v1/models`. */
export function serving(
  fastify: FastifyInstance,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<InferReply> {
  const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  return infer(fastify, { payload, headers }, `/v1/models/${path}`)
}

// Two rows for a model of the test's features.
export const context = { country: 'DE', hour: 21 }
export const candidates = [
  { campaign: 'c9', price: 1.25 },
  { campaign: 'c1', price: 0, views: 4 },
]
export const instances = candidates.map((candidate) => ({ ...context, ...candidate }))
export const columns = {
  country: ['DE', 'DE'],
  hour: [21, 21],
  campaign: ['c9', 'c1'],
  price: [1.25, 0],
  views: [0, 4],
}
