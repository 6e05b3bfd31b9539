import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface HostileOptions {
  port: number
  /** The authority that the clients trust (PEM). */
  authority: string
  key: string
  /** Folder of models, with ads-funnel in it. */
  models: string
  seed: number
}

/** One block of hostile clients. */
export interface HostileReport {
  cases: number
  /** Answers by status. */
  answers: Record<string, number>
  /** Answers that are no HTTP, or errors of the server's own. */
  faults: string[]
}

export interface HostileClients {
  /** They begin; `stop` makes them leave, and resolves with what they saw. */
  play(): { stop(): Promise<HostileReport> }
  end(): void
}

/** Longest time until they have left, ms. */
const patience = 20_000

/** The fuzz test's clients, in a process of their own, which must not delay the well-behaved ones. */
export async function startHostileClients(options: HostileOptions): Promise<HostileClients> {
  const script = fileURLToPath(new URL('./hostile-process.js', import.meta.url))
  const child = fork(script, [JSON.stringify(options)])
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the process of the hostile clients ended with ${code}`)
  })
  ended.catch(() => undefined)
  const next = async () => (await Promise.race([once(child, 'message'), ended]))[0]
  await next()
  return {
    play() {
      const report = next()
      report.catch(() => undefined)
      child.send('play')
      return {
        async stop() {
          child.send('pause')
          const late = new Promise<never>((_, reject) => {
            setTimeout(() => reject(new Error('hostile clients do not leave')), patience).unref()
          })
          return (await Promise.race([report, late])) as HostileReport
        },
      }
    },
    end: () => child.kill('SIGKILL'),
  }
}
