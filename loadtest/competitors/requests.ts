import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type RequestContent, writeRequests } from '../request-file.ts'
import { type Form, forms } from './forms.ts'
import { referenceModels } from './models.ts'
import type { Cell } from './plan.ts'
import { createQueries, type Query } from './queries.ts'

type Kind = Pick<Cell, 'scenario' | 'form' | 'candidates'>

/** The requests of every cell; those of one scenario are the same in every form. */
export interface Requests {
  /** Some of them, for checks. */
  sample(kind: Pick<Kind, 'scenario' | 'candidates'>): Query[]
  /** All in a file (request-file.ts), made when first asked for. */
  file(kind: Kind): Promise<{ file: string; count: number; meanBytes: number }>
}

const sampled = 8

/** Files are written to `folder`; the number of requests is divided by `fraction`. */
export function createRequests(folder: string, seed: number, fraction = 1): Requests {
  const files = new Map<string, ReturnType<Requests['file']>>()

  function* queries({ scenario, candidates }: Pick<Kind, 'scenario' | 'candidates'>, count: number): Generator<Query> {
    const draw = createQueries(referenceModels[scenario.model], candidates, seed)
    for (let i = 0; i < count; i++) yield draw(scenario.rows[i % scenario.rows.length]!)
  }

  function* contents(kind: Kind): Generator<RequestContent> {
    const form: Form = forms[kind.form]
    for (const query of queries(kind, Math.ceil(kind.scenario.distinct / fraction)))
      yield form.render(query, referenceModels[kind.scenario.model])
  }

  return {
    sample: (kind) => [...queries(kind, sampled)],
    file(kind) {
      const name = `${kind.scenario.name}-${kind.form}-${kind.candidates}`
      const made =
        files.get(name) ??
        (async () => {
          await mkdir(folder, { recursive: true })
          const file = join(folder, name)
          return { file, ...(await writeRequests(file, contents(kind))) }
        })()
      files.set(name, made)
      return made
    },
  }
}
