import { realpath } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import type { Log } from '../../app/load-options.ts'
import { createLogger } from '../../app/logging.ts'
import { serveMetrics } from '../../app/serve-metrics.ts'
import { hideCredentials } from '../../base/address-credentials.ts'
import type { RunContext } from '../../base/command.ts'
import { readConfiguration } from '../../base/configuration.ts'
import { reasonOf } from '../../base/errors.ts'
import { showProgress } from '../../base/terminal.ts'
import type { ObjectStore } from '../stores/object-store.ts'
import { folderOf, openStore } from '../stores/open-store.ts'
import { keepShipping } from './keep-shipping.ts'
import { createShipMetrics } from './metrics.ts'
import { type ShipPass, Shipper } from './shipper.ts'

export interface ShipCommandOptions {
  to: string
  removeDays?: number
  /** Seconds; undefined: once. */
  interval?: number
  port?: number
  host?: string
}

/** Runs `multigate log ship` until it is done or stopped; resolves with the exit code. */
export async function runShip(folder: string, options: ShipCommandOptions, context: RunContext): Promise<number> {
  const { configuration } = readConfiguration(process.env, {})
  const log = createLogger(configuration)
  const store = await openTarget(options.to, folder)
  const metrics = createShipMetrics()
  const progress = showProgress(context.err)
  const shipper = new Shipper({
    ...{ folder, store, removeDays: options.removeDays },
    now: Date.now,
    onBytes: metrics.bytes,
    onFile: (done, all) => progress('shipping', `${done} of ${all} files`),
  })
  const terminated = new AbortController()
  const onSigterm = () => terminated.abort(new Error('terminated'))
  process.once('SIGTERM', onSigterm)
  const interrupted = new AbortController()
  // The command line is interrupted by SIGTERM, too, whose other listeners are called in the same turn.
  const onAbort = () => setImmediate(() => terminated.signal.aborted || interrupted.abort(context.signal.reason))
  context.signal.addEventListener('abort', onAbort)
  const signals = { interrupted: interrupted.signal, terminated: terminated.signal }
  try {
    if (options.interval === undefined)
      return await shipOnce(shipper, log, AbortSignal.any([context.signal, terminated.signal])).finally(() =>
        progress(''),
      )
    const server =
      options.port === undefined
        ? undefined
        : await serveMetrics(metrics.registry, options.port, options.host ?? configuration.MULTIGATE_HOST, log)
    log.info({ folder, to: store.name, interval: options.interval }, 'shipping')
    await keepShipping(shipper, {
      ...signals,
      interval: options.interval * 1000,
      onPass(pass) {
        progress('')
        metrics.passed(pass)
        report(pass, log)
      },
      onFailure(error) {
        progress('')
        metrics.passed(undefined)
        log.error({ reason: reasonOf(error) }, 'the pass failed; nothing is lost')
      },
    })
    server?.close()
    server?.closeAllConnections()
    return 0
  } finally {
    process.removeListener('SIGTERM', onSigterm)
    context.signal.removeEventListener('abort', onAbort)
  }
}

async function shipOnce(shipper: Shipper, log: Log, signal: AbortSignal): Promise<number> {
  const pass = await shipper.run(signal)
  report(pass, log, true)
  return pass.problems.length + pass.waiting === 0 ? 0 : 1
}

function report({ sent, removed, present, waiting, problems }: ShipPass, log: Log, always = false): void {
  for (const file of sent) log.info({ file }, 'file shipped')
  for (const file of removed) log.info({ file }, 'file removed: it was shipped')
  for (const reason of problems) log.error({ reason }, 'not shipped')
  if (always || sent.length + removed.length + problems.length > 0) log.info({ present, waiting }, 'pass done')
}

/** Opens the store of an address. Rejects for one that is no store, or lies within the folder that is shipped. */
async function openTarget(address: string, folder: string): Promise<ObjectStore> {
  const store = await openStore(address, true)
  if (store === undefined) throw new Error(`${hideCredentials(address)}: --to takes a folder, s3:// and gs://`)
  if (folderOf(address) === undefined) return store
  const real = (path: string) => realpath(path).catch(() => resolve(path))
  const way = relative(await real(folder), await real(store.name))
  if (way === '' || !/^\.\.(?:\/|$)/.test(way))
    throw new Error(`${address} is inside of ${folder}: its files would be shipped, too`)
  return store
}
