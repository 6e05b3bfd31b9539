// Measures feature tables: import, opening and reads, beside a Map of objects and LMDB.
import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { type OpenTable, openTable } from '../../src/model/serving/tables/open-table.ts'
import type { TableDescription } from '../../src/schemas/feature-table.ts'
import { cli } from '../entries.ts'
import { experiment, type Log, temporaryFolder } from '../experiment.ts'
import { mebibytes, tableOf, whole } from '../markdown.ts'
import { listOf, positive } from '../options.ts'
import { writeCsv, writeParquet } from './ad-files.ts'
import { keyName, keyOf, listSeparator } from './ads.ts'
import { measureDeltas, rate } from './delta-under-traffic.ts'
import { type Draw, drawUniform, drawZipf, measureReads } from './reads.ts'
import { lmdbStore, mapStore, type Store, tableStore } from './stores.ts'

type Row = Record<string, string>

/** The plainest alternatives. */
const others = ['map', 'lmdb'] as const
type Other = (typeof others)[number]

/** An import of a file, in a process of its own. */
interface Import {
  folder: string
  seconds: number
  /** Peak, of the process. */
  memory: number
  description: TableDescription
}

export default experiment({
  description: 'Measure feature tables: import, opening, and reads by key',
  options: {
    rows: ['<number>', 'ads', Number, 10_000_000],
    reads: ['<number>', 'keys that are looked up of each store, for each distribution', Number, 2_000_000],
    served: ['<number>', 'ads of the table that changes while it is served', Number, 1_000_000],
    quiet: ['<seconds>', 'length of the phases in which that table does not change', positive, 10],
    beside: ['<names>', `what else is measured, of ${others.join(',')}`, listOf<Other>(others), [...others]],
  },
  async run({ rows: ads, reads, served, quiet, beside }, { machine, log }) {
    const { date, processor, cores, loadBefore, versions } = machine
    const folder = await temporaryFolder()
    const imports: Row[] = []
    let last: Import | undefined
    for (const [format, write] of [
      ['CSV', writeCsv],
      ['Parquet', writeParquet],
    ] as const) {
      const file = join(folder, `ads.${format.toLowerCase()}`)
      log(`writing ${whole(ads)} ads as ${format}`)
      await write(file, ads)
      last = await importFile(file, join(folder, format))
      imports.push({ format, 'file, MiB': mebibytes((await stat(file)).size), ...describeImport(last, ads) })
      log(JSON.stringify(imports.at(-1)))
      await rm(file)
      if (format === 'CSV') await rm(join(folder, format), { recursive: true })
    }
    const { folder: version, description } = last!
    const { cold, seconds, opened } = await openFromDisk(version)
    log(`${cold ? 'cold' : 'warm'}: answered from after ${seconds.toFixed(3)} s`)
    const stores = await measureStores(opened, { ads, reads, beside, folder: join(folder, 'lmdb') }, log)
    const changed = Math.min(100_000, served)
    const deltas = await measureDeltas(join(folder, 'served'), { ads: served, changed, quiet }, log)
    return `# Feature tables

${date}, ${processor}, ${cores} cores, load ${loadBefore.toFixed(1)} before, Node ${versions.node}. ${whole(ads)} ads with 20 features: 8 categories of 3 to
100,000 different strings, 8 decimal numbers, 3 integers, a list of up to 4 tags. Made by \`npm run loadtest -- features\`.

## Import

From the start of reading to the last file on the disk, in a process of its own; memory is its peak.

${tableOf(imports)}

## Bytes per row

${tableOf([bytesPerRow(description)], 0)}

## Opening

${(seconds * 1000).toFixed(0)} ms until 100 keys are answered from, ${cold ? 'with no page of the files in memory' : 'with the files in memory: they could not be dropped from it'}.

## Reads

On one thread, 100 keys at a time; ${whole(reads)} random keys of each distribution. Found: the row is known. Fetched: all 20 values
are read, strings of the table as codes. The Map has as many ads as fit into Node's heap. LMDB has a record per ad, and
reads it into an object.

${tableOf(stores)}

## Deltas under traffic

The price of ${whole(changed)} ads changes in a table of ${whole(served)} that ads-funnel reads, while ${rate} requests a second ask for 100 ids
each. The server looks for deltas every .2 s. The command that writes them runs on the same machine.

${tableOf(deltas)}
`
  },
})

async function importFile(file: string, models: string): Promise<Import> {
  await mkdir(models)
  const options = ['--key', keyName, '--models', models, '--json']
  if (file.endsWith('.csv')) options.push('--list', `tags=${listSeparator}`)
  const child = spawn(process.execPath, [cli, 'features', 'import', file, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let memory = 0
  const timer = setInterval(async () => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
    memory = Math.max(memory, 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0))
  }, 100)
  const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr)])
  clearInterval(timer)
  if (output === '') throw new Error(`the import failed: ${problems}`)
  const {
    folder,
    seconds,
    replaced: _,
    ...description
  } = JSON.parse(output) as Import & { replaced: number } & TableDescription
  return { folder, seconds, memory, description: description as unknown as TableDescription }
}

function describeImport({ seconds, memory }: Import, ads: number): Row {
  return {
    'import, s': seconds.toFixed(1),
    'rows per s': whole(ads / seconds),
    'memory, MiB': mebibytes(memory),
  }
}

function bytesPerRow({ files, rows, row_bytes: rowBytes, key }: TableDescription): Row {
  const of = (file: string) => (files[file]!.bytes / rows).toFixed(1)
  return {
    'key and values': `${rowBytes}`,
    'of which key': `${key.width}`,
    index: of('index.bin'),
    strings: of('strings.bin'),
    lists: of('lists.bin'),
    all: (Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0) / rows).toFixed(1),
  }
}

/** Opens a table, after its files were dropped from memory where the system can, and answers from it. */
async function openFromDisk(folder: string): Promise<{ cold: boolean; seconds: number; opened: OpenTable }> {
  // Whatever an opening loads once is not the table's.
  ;(await openTable(folder)).close()
  let cold = true
  for (const name of ['rows.bin', 'index.bin', 'strings.bin', 'lists.bin'])
    await promisify(execFile)('dd', [`if=${join(folder, name)}`, 'iflag=nocache', 'count=0']).catch(() => {
      cold = false
    })
  const started = performance.now()
  const opened = await openTable(folder)
  const store = tableStore(opened.table, opened.close)
  store.fetch(Array.from({ length: 100 }, (_, i) => keyOf(Math.floor((i * store.ads) / 100))))
  return { cold, seconds: (performance.now() - started) / 1000, opened }
}

/** The table and others, each open alone. */
async function measureStores(
  { table, close }: OpenTable,
  { ads, reads, beside, folder }: { ads: number; reads: number; beside: readonly Other[]; folder: string },
  log: Log,
): Promise<Row[]> {
  const rows: Row[] = []
  const measure = async (store: Store) => {
    // All pages are in memory, as after minutes of traffic.
    measureReads(store.fetch, drawUniform(store.ads), reads / 2)
    const row: Row = { store: store.name, ads: whole(store.ads), 'bytes per ad': whole(store.bytes / store.ads) }
    const draws: [string, Draw][] = [
      ['uniform', drawUniform(store.ads)],
      ['Zipf', drawZipf(store.ads)],
    ]
    for (const [name, draw] of draws)
      for (const [what, ask] of [
        ['found', store.find],
        ['fetched', store.fetch],
      ] as const)
        row[`${what} per s, ${name}`] = whole(measureReads(ask, draw, reads))
    await store.close()
    rows.push(row)
    log(JSON.stringify(row))
  }
  await measure(tableStore(table, close))
  if (beside.includes('map')) await measure(mapStore(ads))
  if (beside.includes('lmdb')) {
    const lmdb = await lmdbStore(ads, folder)
    if (lmdb) await measure(lmdb)
    else log('LMDB is not measured: npm can not install it')
  }
  return rows
}
