import type { ComponentChildren } from 'preact'
import type { Schemas } from '../../api/client.ts'
import { bytes, date, duration, number, percent } from '../../parts/format.ts'

export type ServedTable = Schemas['ServedTable']
export type TableDetails = Omit<ServedTable, 'read_by'>
export type KeyCounts = ServedTable['read_by'][number]['keys']

/** When its rows changed last. */
export const changedAt = ({ created_at: created, changed_at: changed }: TableDetails): string => changed ?? created

/** `2 hr`: since its rows changed last. */
export const ageOf = (table: TableDetails): string => duration(secondsSince(changedAt(table)))

export const isStale = (table: TableDetails, maxAge: number | undefined): boolean =>
  maxAge !== undefined && secondsSince(changedAt(table)) > maxAge

const secondsSince = (time: string) => Math.max(0, (Date.now() - Date.parse(time)) / 1000)

const moment = (time: string) => `${date(time)}, ${duration(secondsSince(time))} ago`

/** The version of a table that is read, for a list of pairs. */
export function factsOf(table: TableDetails): [name: string, value: ComponentChildren][] {
  const { version, rows, bytes: size, source, created_at: created, changed_at: changed, deltas, refused } = table
  return [
    ['Version', version],
    ['Rows', number(rows, 12)],
    ['Bytes', bytes(size)],
    ['Imported from', source],
    ['Imported', moment(created)],
    ['Last delta', changed && moment(changed)],
    [
      'Deltas applied',
      deltas.applied === 0
        ? 'none'
        : `${number(deltas.applied, 9)}, with ${number(deltas.rows, 9)} changed rows (${bytes(deltas.bytes)})`,
    ],
    ['Delta refused', deltas.refused && <Refused what={deltas.refused.file} reason={deltas.refused.reason} />],
    ['Version refused', refused && <Refused what={`Version ${refused.version}`} reason={refused.problem} />],
  ].flatMap(([name, value]): [string, ComponentChildren][] => (value ? [[String(name), value]] : []))
}

function Refused({ what, reason }: { what: string; reason: string }) {
  return (
    <span class="problem">
      <bdi>{what}</bdi>: <bdi>{reason}</bdi>
    </span>
  )
}

/** Keys that requests named, and the last that the table lacks. */
export function Keys({ keys: { found, unknown, examples } }: { keys: KeyCounts }) {
  const all = found + unknown
  if (all === 0) return <>none yet</>
  return (
    <>
      {`${number(found, 12)} found, ${number(unknown, 12)} unknown (${percent(unknown / all)})`}
      {examples.length > 0 && (
        <div class="small muted">
          last unknown: <bdi>{examples.map((key) => (key === '' ? '(empty)' : key)).join(', ')}</bdi>
        </div>
      )}
    </>
  )
}
