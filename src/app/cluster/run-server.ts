import { resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import {
  type ConfigurationFlags,
  ignoredPort,
  type ReadConfiguration,
  readConfiguration,
} from '../../base/configuration.ts'
import { availableCores } from '../../model/engines/pool/cores.ts'
import type { Configuration } from '../../schemas/configuration.ts'
import { checkAccess, openToAll } from '../check-access.ts'
import { checkModelsFolder } from '../models-folder.ts'
import { stopOnSignals } from '../shutdown.ts'
import { failStart, openFilesProblem, type Start } from '../start.ts'
import { collectSeldom } from '../v8-flags.ts'
import type { ChosenProcesses } from './choose-processes.ts'

/** Serves until a signal says stop. A server that can't start says why and ends the process with 1. */
export async function runServer(flags: ConfigurationFlags, start?: Start): Promise<void> {
  let adminPort: number | undefined
  try {
    const read = await withProcesses(readConfiguration(process.env, flags))
    checkAccess(read.configuration)
    adminPort = read.configuration.MULTIGATE_ADMIN_PORT
    // Worker threads and child processes look for the library themselves.
    if (flags.MULTIGATE_ONEDNN !== undefined) process.env.MULTIGATE_ONEDNN = flags.MULTIGATE_ONEDNN
    await (read.configuration.MULTIGATE_PROCESSES > 1 ? runSeveral(read, start) : runOne(read, start))
  } catch (error) {
    failStart(error, { adminPort })
  }
}

/** The configuration, with the number of processes that was chosen where it leaves that open. */
interface Run extends ReadConfiguration {
  chosen?: ChosenProcesses
}

async function withProcesses(read: ReadConfiguration): Promise<Run> {
  const { configuration } = read
  if (configuration.MULTIGATE_PROCESSES > 0) return read
  const { chooseProcesses } = await import('./choose-processes.ts')
  const chosen = await chooseProcesses(resolve(configuration.MULTIGATE_MODELS), availableCores())
  return { ...read, configuration: { ...configuration, MULTIGATE_PROCESSES: chosen.processes }, chosen }
}

async function runOne({ configuration, unknown, chosen }: Run, start: Start | undefined): Promise<void> {
  collectSeldom()
  const [{ createLogger }, { startPool }] = await Promise.all([import('../logging.ts'), import('../load-options.ts')])
  const log = createLogger(configuration, { listsModels: true })
  await checkModelsFolder(resolve(configuration.MULTIGATE_MODELS), configuration)
  // Its threads start while the rest of the server is loaded, which then waits for it.
  const pool = startPool(configuration, log)
  pool.catch(() => undefined)
  const { serve } = await import('../listen.ts')
  const server = await serve(configuration, { log, pool })
  report(log, configuration, unknown, chosen)
  start?.over()
  stopOnSignals(configuration, log, () => server.close())
}

async function runSeveral({ configuration, unknown, chosen }: Run, start: Start | undefined): Promise<void> {
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
  report(log, configuration, unknown, chosen)
  start?.over()
  stopOnSignals(configuration, log, () => primary.close(), primary.kill)
}

/** Logs once at startup, whatever the number of processes. */
function report(
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
  configuration: Configuration,
  unknown: readonly string[],
  chosen: ChosenProcesses | undefined,
): void {
  if (chosen !== undefined) log.info(chosen, 'MULTIGATE_PROCESSES=auto')
  const port = ignoredPort(process.env, configuration)
  if (port !== undefined) log.warn(port)
  for (const name of unknown) log.warn(`${name} is not a setting of multigate; see multigate serve --help`)
  for (const open of openToAll(configuration)) log.warn(open)
  const fewFiles = openFilesProblem(configuration)
  if (fewFiles !== undefined) log.warn(fewFiles)
}
