import type { FastifyReply, FastifyRequest } from 'fastify'

/** Bytes of a body that is read and thrown away, so that the connection can be used again. */
const smallBody = 64 * 1024

/** Has the connection of a refused request closed, unless its body is small: a large one is not read. */
export function closeUnlessSmall({ headers }: FastifyRequest, reply: FastifyReply): void {
  const isChunked = headers['transfer-encoding'] !== undefined
  if (isChunked || Number(headers['content-length'] ?? 0) > smallBody) reply.header('connection', 'close')
}
