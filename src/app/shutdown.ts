import { constants } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger } from 'fastify'
import { longestStop } from '../base/configuration.ts'
import type { Configuration } from '../schemas/configuration.ts'

/**
 * Signals of a thread that has broken. One that is caught in JavaScript returns to the very instruction that broke, for
 * ever: left alone, they end the process immediately, and its supervisor starts another.
 */
const faults = ['SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGABRT'] as const

/** Signals that a terminal sends to each process that it runs: npm passes its own on, so its child receives two. */
const ofTerminal = ['SIGINT', 'SIGHUP'] as const

/** Time in which npm passes a signal on, ms: up to 70 on a busy machine. People take longer to press Ctrl-C again. */
const longestCopy = 300

/**
 * Stops the process on a signal or an uncaught exception, which `stop` receives. A second signal, or the end of the
 * time to stop, ends it immediately, after `kill`.
 */
export function stopOnSignals(
  configuration: Configuration,
  log: Pick<FastifyBaseLogger, 'error'>,
  stop: (err: Error | undefined) => Promise<void>,
  kill = () => {},
): void {
  const end = (reason: string) => {
    log.error(reason)
    kill()
  }
  const actionOf = createSignalActions(() => performance.now())
  const { close } = closeWithGrace(
    {
      delay: longestStop(configuration),
      skip: [...faults, ...ofTerminal],
      logger: log,
      onSecondSignal: (signal) => end(`second ${signal}, exiting`),
      onTimeout: (delay) => end(`killed by timeout (${delay}ms)`),
    },
    async ({ err, signal }) => {
      actionOf(signal ?? 'none')
      if (err) log.error({ err }, 'stopping after an unforeseen error')
      await stop(err)
    },
  )
  for (const signal of ofTerminal)
    process.on(signal, () => {
      const action = actionOf(signal)
      if (action === 'stop') close()
      if (action !== 'end') return
      end(`second ${signal}, exiting`)
      process.exit(128 + constants.signals[signal])
    })
}

/** Decides what each signal does; one that follows its like within `longestCopy` is a copy, and does nothing. */
export function createSignalActions(now: () => number): (signal: string) => 'stop' | 'end' | undefined {
  let first: { signal: string; at: number } | undefined
  return (signal) => {
    if (first === undefined) {
      first = { signal, at: now() }
      return 'stop'
    }
    return signal === first.signal && now() - first.at < longestCopy ? undefined : 'end'
  }
}

/** Half of a long round trip, ms: so much earlier than the server a client takes itself for connected. */
const longestHandshake = 100

/**
 * Resolves when the listener may close: clients that have connected during the drain delay wait to be accepted by then.
 */
export async function drained({ MULTIGATE_DRAIN_DELAY_MS: delay }: Configuration): Promise<void> {
  // Without a delay nobody is promised anything.
  await setTimeout(delay === 0 ? 0 : delay + longestHandshake)
}
