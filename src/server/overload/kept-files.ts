import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { KeptAnswer } from './kept-answer.ts'

/** Content types of a web page's files. */
const types: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
}

/** The files of a folder of this package: each is read once, when somebody asks for it, and stays in memory. */
export interface KeptFiles {
  /** Sends a file; undefined where the folder has none of this name. */
  send(name: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> | undefined
}

/** `headers` of every file. Compressed forms beside a file, `.br` and `.gz`, are sent to clients that take them. */
export async function keepFiles(folder: string, headers: Record<string, string>): Promise<KeptFiles> {
  const names = new Set(await readdir(folder))
  const kept = new Map<string, Promise<KeptAnswer>>()

  async function read(name: string): Promise<KeptAnswer> {
    const bytes = (file: string) => readFile(join(folder, file))
    const coded = {
      ...(names.has(`${name}.br`) && { br: await bytes(`${name}.br`) }),
      ...(names.has(`${name}.gz`) && { gzip: await bytes(`${name}.gz`) }),
    }
    return new KeptAnswer(await bytes(name), types[extname(name)]!, headers, coded)
  }

  return {
    send(name, request, reply) {
      if (!names.has(name) || types[extname(name)] === undefined) return undefined
      let file = kept.get(name)
      if (file === undefined) {
        file = read(name)
        kept.set(name, file)
        // Such as too few file descriptors: the next to ask tries again.
        file.catch(() => kept.delete(name))
      }
      return file.then((answer) => answer.send(request, reply))
    },
  }
}
