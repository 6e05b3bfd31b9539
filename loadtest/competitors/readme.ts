const begin = '<!-- competitors -->'
const end = '<!-- /competitors -->'

/** A text with the table between its markers. Throws where it has none. */
export function withTable(text: string, table: string): string {
  const [from, to] = places(text)
  return `${text.slice(0, from)}\n${table}\n${text.slice(to)}`
}

/** The table between a text's markers. Throws where it has none. */
export function tableOf(text: string): string {
  return text.slice(...places(text)).trim()
}

function places(text: string): [number, number] {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error(`there is no ${begin} … ${end}`)
  return [from, to]
}
