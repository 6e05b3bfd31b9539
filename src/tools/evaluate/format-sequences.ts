import { formatTable } from '../../base/terminal.ts'
import type { AttentionRow, SequenceUse } from '../../schemas/sequence-use.ts'

/** Golden rows, and items of each, that are shown as text. */
const shownRows = 3
const shownItems = 5

/** How long lists are, and what attention looks at in them, as text. */
export function formatSequences(sequences: readonly SequenceUse[]): string {
  return sequences.map(formatSequence).join('\n')
}

function formatSequence({ name, fields, max, lengths, attention }: SequenceUse): string {
  const { mean, p10, median, p90, most, empty, cut } = lengths
  const lists = fields.length === 1 && fields[0] === name ? '' : ` (${fields.join(', ')})`
  const title = `${name}${lists}: ${mean.toFixed(1)} values on average; 10 % of the lists have at most ${p10}, half ${median}, 90 % ${p90}, the longest ${most}; ${percent(empty)} are empty, and ${percent(cut)} have more than ${max}`
  const rows = attention?.rows.slice(0, shownRows).map((row) => formatRow(attention.kind, row)) ?? []
  return [title, ...rows].join('\n')
}

function formatRow(kind: string, { row, target, items, more }: AttentionRow): string {
  const compared = Object.entries(target).map(([field, value]) => `${field} ${value ?? 'missing'}`)
  const shown = items.slice(0, shownItems)
  const lines = shown.map(({ values, weight, share }) => [
    ...Object.values(values).map(String),
    weight.toFixed(4),
    percent(share),
  ])
  const left = more + items.length - shown.length
  const table = formatTable(
    [...Object.keys(items[0]!.values), 'weight', 'share'],
    lines,
    Object.keys(items[0]!.values).length,
  )
  return [
    `  ${kind} in golden row ${row}, ${compared.join(', ')}:`,
    table.replaceAll(/^/gm, '    '),
    ...(left > 0 ? [`    ${left} more of less weight`] : []),
  ].join('\n')
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
