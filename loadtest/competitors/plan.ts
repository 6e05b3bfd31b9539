import type { FormName } from './forms.ts'
import type { Candidates } from './queries.ts'
import type { Scenario } from './scenarios.ts'
import { type ServerKind, type ServerName, type Setup, servers } from './servers.ts'

/** A unit of measurement: a server, a scenario and a kind of request. */
export interface Cell {
  server: ServerName
  scenario: Scenario
  form: FormName
  candidates: Candidates
}

/** Cells that one process can answer, one after the other. */
export interface Session {
  server: ServerName
  model: Scenario['model']
  setup: Setup
  cells: Cell[]
}

/** In requests of one row, every candidate is new. */
export function planCells(names: readonly ServerName[], chosen: readonly Scenario[]): Cell[] {
  return chosen.flatMap((scenario) =>
    names.flatMap((server) => {
      const kind: ServerKind = servers[server]
      const all = Math.max(...scenario.rows) > 1 ? kind.candidates : kind.candidates.slice(0, 1)
      return kind.forms.flatMap((form) => all.map((candidates) => ({ server, scenario, form, candidates })))
    }),
  )
}

/** As few processes per server as its set-ups allow; servers alternate, in a different order each time. */
export function planSessions(cells: readonly Cell[], turn: number): Session[] {
  const sessions = new Map<string, Session>()
  for (const cell of cells) {
    const { model } = cell.scenario
    const setup = servers[cell.server].setup(cell.scenario)
    const key = JSON.stringify([cell.server, model, setup])
    const session = sessions.get(key) ?? { server: cell.server, model, setup, cells: [] }
    session.cells.push(cell)
    sessions.set(key, session)
  }
  const all = [...sessions.values()]
  return all.map((_, i) => all[(i + turn) % all.length]!)
}
