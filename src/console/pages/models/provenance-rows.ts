import { date, number } from '../../parts/format.ts'
import type { Details } from './words.ts'

type Given = NonNullable<Details['provenance']>

/** How a version came to be, as names and values; what the manifest does not say is left out. */
export function provenanceRows(given: Given): [string, string][] {
  const { created, command, data, rows, epochs, kept, from, calibration, seed, threads, engine, multigate } = given
  const found: [string, string | undefined][] = [
    ['Made', created === undefined ? undefined : dateOf(created)],
    ['Command', command],
    ['Data', data],
    [
      'Rows',
      rows &&
        `${number(rows.train, 12)} to train, ${number(rows.validation, 12)} to validate, ${number(rows.test, 12)} to test`,
    ],
    ['Epochs', epochs?.toString()],
    ['Kept', kept && `epoch ${kept.epoch}, best by ${kept.metric}: ${number(kept.value, 5)}`],
    ['Started from', from],
    [
      'Recalibrated',
      calibration && `from ${calibration.from} on ${number(calibration.rows, 12)} rows: ${calibration.data}`,
    ],
    ['Seed', seed?.toString()],
    ['Threads', threads?.toString()],
    ['Trained by', engine],
    ['multigate', multigate],
  ]
  return found.filter((row): row is [string, string] => row[1] !== undefined)
}

/** A manifest may say anything. */
const dateOf = (text: string) => (Number.isNaN(Date.parse(text)) ? text : date(text))
