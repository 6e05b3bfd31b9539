/** A stage of the table in docs/architecture.md. */
export interface Stage {
  name: string
  /** Paths below src/, such as `server/body/pieces.ts`, in their order. */
  modules: string[]
  mayFailWith: string[]
}

/**
 * The stages of the section that follows a `POST /predict`. Their modules are written like "`server/` app;
 * `server/body/` pieces, raw-body".
 */
export function stagesOf(page: string): Stage[] {
  const section = page.split('\n## ').find((section) => section.startsWith('The path of a '))
  if (section === undefined) throw new Error('docs/architecture.md has no section "The path of a …"')
  const rows = section.split('\n').filter((line) => line.startsWith('| '))
  // A heading, and the line below it.
  return rows.slice(2).map((row) => {
    const [name = '', modules = '', codes = ''] = row
      .split('|')
      .slice(1)
      .map((cell) => cell.trim())
    return {
      name,
      modules: modules.split('; ').flatMap(modulesOf),
      mayFailWith: codes === '' ? [] : codes.split(', '),
    }
  })
}

function modulesOf(group: string): string[] {
  const [, room, names] = /^`([\w/-]+\/)` ([\w, -]+)$/.exec(group) ?? []
  if (room === undefined || names === undefined)
    throw new Error(`docs/architecture.md: "${group}" is not like "\`server/body/\` pieces, raw-body"`)
  return names.split(', ').map((name) => `${room}${name}.ts`)
}
