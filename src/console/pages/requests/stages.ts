import type { RequestRecord } from '../../../schemas/requests.ts'

export type { RequestRecord }

export interface Stage {
  name: 'receive' | 'read' | 'queue' | 'compute' | 'write'
  /** A sentence about what happens in it. */
  about: string
  colour: string
}

export const stages: readonly Stage[] = [
  { name: 'receive', about: 'Its body comes from the client.', colour: 'var(--series-5)' },
  { name: 'read', about: 'The body is parsed, and its values become tensors.', colour: 'var(--series-1)' },
  { name: 'queue', about: 'Its rows wait for a worker.', colour: 'var(--series-2)' },
  { name: 'compute', about: 'Workers compute its rows, in batches with other requests.', colour: 'var(--series-3)' },
  { name: 'write', about: 'The answer is written and sent to the client.', colour: 'var(--series-4)' },
]

/** A stage of a request: when it began and how long it took, ms. */
export interface StageTime {
  stage: Stage
  start: number
  ms: number
}

/** How long a stage of a request took, ms; undefined where it was not reached. */
export function msOf(record: RequestRecord, { name }: Stage): number | undefined {
  const { receive_ms, read_ms } = record
  // Part of it.
  if (name === 'read' && read_ms !== undefined) return read_ms - (receive_ms ?? 0)
  return record[`${name}_ms`]
}

/** The stages that a request reached, in order. */
export function timesOf(record: RequestRecord): StageTime[] {
  let start = 0
  return stages.flatMap((stage) => {
    const ms = msOf(record, stage)
    if (ms === undefined) return []
    const time = { stage, start, ms }
    start += ms
    return [time]
  })
}

/** The share that each stage has in the time of all these requests. */
export function sharesOf(records: readonly RequestRecord[]): { stage: Stage; share: number }[] {
  const total = records.reduce((sum, { total_ms }) => sum + total_ms, 0)
  return stages.map((stage) => {
    const ms = records.reduce((sum, record) => sum + (msOf(record, stage) ?? 0), 0)
    return { stage, share: total > 0 ? ms / total : 0 }
  })
}

export const listNames = ['slow', 'failed', 'recent'] as const
export type ListName = (typeof listNames)[number]

/** The reader's choice of what to look at: in the fragment, so that it can be shared. */
export interface Filter {
  list: ListName | undefined
  /** '' for all. */
  model: string
  /** The id of its key, or its address; '' for all. */
  client: string
  /** A status or the code of a problem; '' for all. */
  status: string
  /** Id of the chosen request; '' for none. */
  id: string
}

export function filterOf(query: URLSearchParams): Filter {
  return {
    list: listNames.find((name) => name === query.get('list')),
    model: query.get('model') ?? '',
    client: query.get('client') ?? '',
    status: query.get('status') ?? '',
    id: query.get('id') ?? '',
  }
}

export function queryOf(filter: Filter): Record<string, string> {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined && value !== ''))
}

/** The value of a request that each filter compares. */
export const readers = {
  model: ({ model }: RequestRecord): string | undefined => model,
  client: ({ client }: RequestRecord): string | undefined => client,
  status: ({ status, code }: RequestRecord): string | undefined => code ?? String(status),
}

export function matching(records: readonly RequestRecord[], filter: Filter): RequestRecord[] {
  const wanted = (['model', 'client', 'status'] as const).filter((name) => filter[name] !== '')
  return records.filter((record) => wanted.every((name) => readers[name](record) === filter[name]))
}

/** The values of a filter that occur, the chosen one among them. */
export function valuesOf(
  records: readonly RequestRecord[],
  read: (record: RequestRecord) => string | undefined,
  chosen: string,
): string[] {
  const found = new Set(records.map(read).filter((value) => value !== undefined))
  if (chosen !== '') found.add(chosen)
  return [...found].sort()
}
