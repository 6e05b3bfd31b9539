import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** Where the build puts the console's files. */
const root = join(import.meta.dirname, '../../../console')

/** Scripts, styles and connections of this server alone, and the script in the page; no page may frame the console. */
const headersOf = (page: string) => ({
  'content-security-policy': [
    "default-src 'none'",
    `script-src 'self' ${scriptHash(page)}`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
})

function scriptHash(page: string): string {
  const [, script = ''] = /<script>(.*?)<\/script>/s.exec(page) ?? []
  return `'sha256-${createHash('sha256').update(script).digest('base64')}'`
}

/**
 * `GET /` and its scripts and styles below `/console/`: files of the package, compressed when it was built. All paths in the page
 * are relative to its own, so that it works below any prefix, also below one that a proxy strips: no server knows that. Only
 * the page itself can add a slash that is missing at the end of its address.
 */
export async function consoleFiles(app: FastifyInstance): Promise<void> {
  const page = await readFile(join(root, 'index.html'), 'utf8')
  const headers = headersOf(page)

  app.addHook('onSend', async (_request, reply, payload) => {
    reply.headers(headers)
    return payload
  })
  app.get('/', { schema: { hide: true } }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page),
  )
  await app.register(fastifyStatic, {
    root: join(root, 'assets'),
    prefix: '/console/assets/',
    schemaHide: true,
    decorateReply: false,
    index: false,
    preCompressed: true,
    // Their names change with their contents.
    immutable: true,
    maxAge: '365d',
  })
}
