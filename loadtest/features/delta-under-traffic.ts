import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { TableList } from '../../src/schemas/entity-details.ts'
import { createRandom } from '../../src/tools/data/random.ts'
import { quantile } from '../../src/tools/load/open-loop.ts'
import { adId, adsFunnel, draw, ids } from '../by-id.ts'
import { createPacedClient } from '../clients.ts'
import { cli } from '../entries.ts'
import type { Log } from '../experiment.ts'
import { mebibytes } from '../markdown.ts'
import { type Multigate, proportionalMemory, withMultigate } from '../multigate.ts'

/** Requests of 100 ids per second, at a steady pace. */
export const rate = 100

/** Deltas that are measured. */
const deltas = 3

type Row = Record<string, string>

/** How much is measured. */
interface Size {
  /** Ads of the table. */
  ads: number
  /** Ads of a delta. */
  changed: number
  /** Length of phases in which nothing changes, s. */
  quiet: number
}

/**
 * Changes prices, again and again, in a table of ads that requests by id read meanwhile. Resolves with a row for each
 * phase.
 */
export async function measureDeltas(folder: string, { ads, changed, quiet }: Size, log: Log): Promise<Row[]> {
  await mkdir(folder)
  log(`delta: importing ${ads} ads`)
  const subject = await adsFunnel(folder, ads)
  const random = createRandom(7)
  const bodies = Array.from({ length: 500 }, () => draw(subject, ids, 100, random).toString())
  const prices = join(folder, 'prices.csv')
  const settings = { MULTIGATE_POLL_SECONDS: '0.2', MULTIGATE_DEADLINE_MS: '10000' }
  return withMultigate({ models: subject.models, settings }, async (server) => {
    const client = createPacedClient(server, bodies, rate)
    await client.during(() => sleep(500 * quiet))
    const rows: Row[] = []
    const add = async (phase: string, work: () => Promise<string>) => {
      const { result, times } = await client.during(work)
      const [p50, p99, longest] = [0.5, 0.99, 1].map((part) => quantile(times, part).toFixed(1)) as [
        string,
        string,
        string,
      ]
      const memory = mebibytes((await proportionalMemory(server.pid)).all)
      rows.push({
        phase,
        'took, s': result,
        'p50, ms': p50,
        'p99, ms': p99,
        'longest, ms': longest,
        'memory, MiB': memory,
      })
      log(JSON.stringify(rows.at(-1)))
    }
    await add('no delta', () => sleep(1000 * quiet, ''))
    for (let sequence = 1; sequence <= deltas; sequence++) {
      const first = random.integer(ads)
      const lines = Array.from(
        { length: changed },
        (_, i) => `${adId((first + 7 * i) % ads)},${random.integer(500) / 100}`,
      )
      await writeFile(prices, `key,price\n${lines.join('\n')}\n`)
      const took = async (work: () => Promise<unknown>) => {
        const began = performance.now()
        await work()
        return ((performance.now() - began) / 1000).toFixed(2)
      }
      const arguments_ = [cli, 'features', 'delta', 'ads', prices, '--models', subject.models]
      await add(`delta ${sequence}: written by the command`, () =>
        took(() => promisify(execFile)(process.execPath, arguments_)),
      )
      await add(`delta ${sequence}: until it is in effect`, () => took(() => untilApplied(server, sequence)))
    }
    await add('after them', () => sleep(1000 * quiet, ''))
    return rows
  })
}

async function untilApplied({ url }: Multigate, sequence: number): Promise<void> {
  for (;;) {
    const { tables } = (await (await fetch(`${url}/tables`)).json()) as TableList
    const { applied, refused } = tables.find(({ name }) => name === 'ads')!.deltas
    if (refused) throw new Error(JSON.stringify(refused))
    if (applied === sequence) return
    await sleep(20)
  }
}
