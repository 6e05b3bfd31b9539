import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosServer } from './server.ts'

/** A shipped model that no client asks for: it is changed while processes are killed. */
export const changedModel = 'census-income'

export interface Changes {
  /**
   * How many were answered. Resolves when the model answers in all processes again; rejects where a change was not
   * answered.
   */
  stop(): Promise<number>
}

/** Longest time for a change, ms: it takes less than a second, and a process that starts is waited for. */
const patience = 30_000
/** Connections go to the processes in turn: each gets some of these. */
const looks = 4

const repository = `/v2/repository/models/${changedModel}`
const changes: readonly [path: string, body: string][] = [
  [`${repository}/unload`, '{}'],
  [`${repository}/load`, '{}'],
  [`/models/${changedModel}/pin`, '{"version": "1"}'],
  [`/models/${changedModel}/unpin`, '{}'],
]

/**
 * Posts to the administration port, again where the process that was asked dies, or is not ready; nothing else excuses
 * a change without its answer.
 */
export async function postUntilAnswered({ ask }: ChaosServer, path: string, body?: string): Promise<void> {
  const limit = performance.now() + patience
  for (;;) {
    const answer = await ask(path, { method: 'POST', timeout: patience, ...(body && { body }) }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === undefined) throw error
        return error
      },
    )
    if (!(answer instanceof Error) && answer.status === 200) return
    const reason = answer instanceof Error ? answer.message : `${answer.status} ${answer.text}`
    if (performance.now() > limit) throw new Error(`${path} is answered by ${reason} for ${patience / 1000} s`)
    await sleep(100)
  }
}

/** Unloads, loads, pins and unpins the model over and over, two at a time, until it is stopped. */
export function startChanges(server: ChaosServer): Changes {
  let isOver = false
  let answered = 0
  const work = Promise.all(
    [0, 2].map(async (first) => {
      for (let i = first; !isOver; i++, answered++) await postUntilAnswered(server, ...changes[i % changes.length]!)
    }),
  )
  // Reported by `stop`.
  work.catch(() => undefined)

  return {
    async stop() {
      isOver = true
      await work
      for (const change of changes.filter(([path]) => /\/(?:load|unpin)$/.test(path))) {
        await postUntilAnswered(server, ...change)
        answered++
      }
      const index = () => server.ask('/v2/repository/index', { method: 'POST', body: '{"ready": true}' })
      const served = await Promise.all(Array.from({ length: looks }, index))
      const other = served.find(({ text }) => !text.includes(`"${changedModel}"`))
      if (other !== undefined) throw new Error(`${changedModel} is loaded, but a process serves ${other.text}`)
      return answered
    },
  }
}
