import type { RequestRecord } from './stages.ts'

export type ListName = 'slow' | 'failed' | 'recent'

/** What the reader looks at: in the fragment, so that it can be shared. */
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
  const list = query.get('list')
  return {
    list: list === 'slow' || list === 'failed' || list === 'recent' ? list : undefined,
    model: query.get('model') ?? '',
    client: query.get('client') ?? '',
    status: query.get('status') ?? '',
    id: query.get('id') ?? '',
  }
}

export function queryOf(filter: Filter): Record<string, string> {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined && value !== ''))
}

export const statusOf = ({ status, code }: RequestRecord): string => code ?? String(status)

export function matching(records: readonly RequestRecord[], { model, client, status }: Filter): RequestRecord[] {
  return records.filter(
    (record) =>
      (model === '' || record.model === model) &&
      (client === '' || record.client === client) &&
      (status === '' || statusOf(record) === status),
  )
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
