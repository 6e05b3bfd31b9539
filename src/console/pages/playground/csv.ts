/** A table of text. */
export interface Table {
  header: string[]
  rows: string[][]
}

const delimiters = [',', ';', '\t'] as const

/**
 * Reads CSV (RFC 4180) with a header row, separated by commas, semicolons or tabs, as spreadsheets copy it. Empty lines are
 * left out. Throws where a quotation mark is not closed, or a row is longer than the header.
 */
export function readCsv(text: string): Table {
  const clean = text.replace(/^\uFEFF/, '')
  const records = split(clean, delimiterOf(clean))
  const [header, ...rows] = records
  if (header === undefined) throw new Error('There is nothing to read')
  const names = header.map((name) => name.trim())
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) !== i)
  if (twice !== undefined) throw new Error(`Two columns are called ${twice}`)
  for (const [i, row] of rows.entries())
    if (row.length > names.length)
      throw new Error(`Row ${i + 1} has ${row.length} values, but the header has ${names.length} columns`)
  return { header: names, rows }
}

/** The one that is most frequent in the header, outside quotation marks. */
function delimiterOf(text: string): string {
  const header = text.replace(/"(?:[^"]|"")*"/g, '').split(/\r?\n/, 1)[0] ?? ''
  const count = (delimiter: string) => header.split(delimiter).length
  return delimiters.reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best))
}

function split(text: string, delimiter: string): string[][] {
  const records: string[][] = []
  let record: string[] = []
  let at = 0
  const end = () => {
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
  }
  while (at < text.length) {
    const { value, next } = text[at] === '"' ? quoted(text, at, delimiter) : plain(text, at, delimiter)
    record.push(value)
    at = next
    if (text[at] === delimiter) {
      at++
      // A delimiter at the very end begins an empty value.
      if (at === text.length) record.push('')
      else continue
    }
    at = afterLine(text, at)
    end()
  }
  return records
}

interface Cell {
  value: string
  /** Where its delimiter stands, or its line ends. */
  next: number
}

function plain(text: string, from: number, delimiter: string): Cell {
  let at = from
  while (at < text.length && text[at] !== delimiter && text[at] !== '\n' && text[at] !== '\r') at++
  return { value: text.slice(from, at), next: at }
}

function quoted(text: string, from: number, delimiter: string): Cell {
  let value = ''
  let at = from + 1
  for (;;) {
    const close = text.indexOf('"', at)
    if (close < 0) throw new Error('A quotation mark is not closed')
    value += text.slice(at, close)
    at = close + 1
    if (text[at] !== '"') break
    value += '"'
    at++
  }
  const rest = plain(text, at, delimiter)
  return { value: value + rest.value, next: rest.next }
}

function afterLine(text: string, at: number): number {
  if (text[at] === '\r' && text[at + 1] === '\n') return at + 2
  return text[at] === '\r' || text[at] === '\n' ? at + 1 : at
}
