import { type Signal, signal } from '@preact/signals'
import { listValues } from './server.ts'

export interface Vocabulary {
  values: readonly string[]
  /** In all; there may be more than are loaded. */
  total: number
  state: 'unread' | 'loading' | 'complete' | 'failed'
}

/** The vocabularies of a version, each read when somebody first looks into it. */
export interface Vocabularies {
  of(field: { name: string; values?: { count: number; first: string[] } | undefined }): Signal<Vocabulary>
  /** Reads it, if that has not been done. */
  read(field: string): void
  close(): void
}

/** Values per request, the most that the server gives. */
const perPage = 1000

/** Values that are loaded of one field: others can be typed. */
const mostValues = 50_000

export function createVocabularies(model: string, version: string): Vocabularies {
  const known = new Map<string, Signal<Vocabulary>>()
  const left = new AbortController()

  async function load(field: string, vocabulary: Signal<Vocabulary>): Promise<void> {
    const values: string[] = []
    try {
      let { total } = vocabulary.value
      while (values.length < Math.min(total, mostValues)) {
        const page = await listValues({ model, version, field }, { offset: values.length, limit: perPage }, left.signal)
        if (page.values.length === 0) break
        values.push(...page.values)
        total = page.total
        vocabulary.value = { values: [...values], total, state: 'loading' }
      }
      vocabulary.value = { ...vocabulary.value, state: 'complete' }
    } catch {
      // The values that are known are offered, and it is tried again when somebody looks again.
      if (!left.signal.aborted) vocabulary.value = { ...vocabulary.value, state: 'failed' }
    }
  }

  return {
    of({ name, values }) {
      let found = known.get(name)
      if (found === undefined) {
        found = signal({ values: values?.first ?? [], total: values?.count ?? 0, state: 'unread' })
        known.set(name, found)
      }
      return found
    },
    read(field) {
      const vocabulary = known.get(field)
      if (vocabulary === undefined || !['unread', 'failed'].includes(vocabulary.value.state)) return
      vocabulary.value = { ...vocabulary.value, state: 'loading' }
      load(field, vocabulary)
    },
    close: () => left.abort(),
  }
}

/** The first `most` values that fit a search, those that begin with it first, and the number of all that fit. */
export function search(values: readonly string[], text: string, most: number): { found: string[]; count: number } {
  const wanted = text.toLocaleLowerCase()
  if (wanted === '') return { found: values.slice(0, most), count: values.length }
  const begin: string[] = []
  const contain: string[] = []
  for (const value of values) {
    const at = value.toLocaleLowerCase().indexOf(wanted)
    if (at === 0) begin.push(value)
    else if (at > 0) contain.push(value)
  }
  return { found: [...begin, ...contain].slice(0, most), count: begin.length + contain.length }
}
