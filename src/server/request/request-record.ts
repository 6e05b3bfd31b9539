/** A request that has ended: its stages, in ms, add up to `total_ms`. */
export interface RequestRecord {
  request_id?: string
  /** ISO 8601. */
  ended?: string
  method: string
  url: string
  status: number
  model: string | undefined
  version: string | undefined
  rows: number | undefined
  tasks: string[] | undefined
  read_ms?: number
  queue_ms?: number
  compute_ms?: number
  write_ms?: number
  total_ms: number
  /** Where bodies are kept: as redact-body.ts leaves it. */
  body?: unknown
}
