import closeWithGrace from 'close-with-grace'
import { type ConfigurationFlags, readConfiguration } from './configuration.ts'
import { reasonOf } from './model/errors.ts'
import { type RunningServer, serve } from './serve.ts'

/** Longest time for what was accepted to be answered after the drain delay, ms; then the process ends all the same. */
const longestDrain = 30_000

/** Serves until a signal says stop. A server that can't start says why and ends the process with 1. */
export async function runServer(flags: ConfigurationFlags): Promise<void> {
  let server: RunningServer
  try {
    const { configuration, unknown } = readConfiguration(process.env, flags)
    server = await serve(configuration)
    for (const name of unknown) {
      server.fastify.log.warn(`${name} is not a setting of multigate; see multigate serve --help`)
    }
    const delay = configuration.MULTIGATE_DRAIN_DELAY_MS + longestDrain
    closeWithGrace({ delay, logger: server.fastify.log }, async ({ err }) => {
      if (err) server.fastify.log.error({ err }, 'stopping after an unforeseen error')
      await server.close()
    })
  } catch (error) {
    const hint = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? '; --port chooses another' : ''
    console.error(`multigate can't start: ${reasonOf(error)}${hint}`)
    process.exit(1)
  }
}
