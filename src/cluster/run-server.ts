import { resolve } from 'node:path'
import closeWithGrace from 'close-with-grace'
import { checkAccess, openToAll } from '../app/check-access.ts'
import { checkModelsFolder } from '../app/models-folder.ts'
import { graceOf } from '../app/shutdown.ts'
import { failStart, type Start } from '../app/start.ts'
import { collectSeldom } from '../app/v8-flags.ts'
import { type ConfigurationFlags, type ReadConfiguration, readConfiguration } from '../config/configuration.ts'
import type { Configuration } from '../schemas/configuration.ts'

/** Serves until a signal says stop. A server that can't start says why and ends the process with 1. */
export async function runServer(flags: ConfigurationFlags, start?: Start): Promise<void> {
  try {
    const read = readConfiguration(process.env, flags)
    checkAccess(read.configuration)
    await (read.configuration.MULTIGATE_PROCESSES > 1 ? runSeveral(read, start) : runOne(read, start))
  } catch (error) {
    failStart(error)
  }
}

async function runOne({ configuration, unknown }: ReadConfiguration, start: Start | undefined): Promise<void> {
  collectSeldom()
  const { serve } = await import('../app/listen.ts')
  const server = await serve(configuration)
  const { log } = server
  warn(log, configuration, unknown)
  start?.over()
  closeWithGrace({ ...graceOf(configuration), logger: log }, async ({ err }) => {
    if (err) log.error({ err }, 'stopping after an unforeseen error')
    await server.close()
  })
}

async function runSeveral({ configuration, unknown }: ReadConfiguration, start: Start | undefined): Promise<void> {
  // Before anything is started, and once for all.
  await checkModelsFolder(resolve(configuration.MULTIGATE_MODELS), configuration)
  const { startPrimary } = await import('./primary.ts')
  const primary = await startPrimary(configuration, (closing) => {
    closing.then(
      () => process.exit(0),
      (error) => {
        log.error(error)
        process.exit(1)
      },
    )
  })
  const { log } = primary
  warn(log, configuration, unknown)
  start?.over()
  closeWithGrace(
    {
      ...graceOf(configuration),
      logger: log,
      onSecondSignal: (signal) => {
        log.error(`second ${signal}, exiting`)
        primary.kill()
      },
      onTimeout: (delay) => {
        log.error(`killed by timeout (${delay}ms)`)
        primary.kill()
      },
    },
    async ({ err }) => {
      if (err) log.error({ err }, 'stopping after an unforeseen error')
      await primary.close()
    },
  )
}

/** Warns once at startup, whatever the number of processes. */
function warn(log: { warn(message: string): void }, configuration: Configuration, unknown: readonly string[]): void {
  for (const name of unknown) log.warn(`${name} is not a setting of multigate; see multigate serve --help`)
  for (const open of openToAll(configuration)) log.warn(open)
}
