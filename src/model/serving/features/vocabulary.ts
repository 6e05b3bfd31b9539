/** Looks up the index of a value. */
export interface Vocabulary {
  /** Undefined for an unknown value. The first look-up fills the table, unless `fill` has. */
  indexOf(value: string): number | undefined
  /** Adds up to `count` values to the table; returns whether any are left. */
  fill(count: number): boolean
}

export function createVocabulary(values: readonly string[]): Vocabulary {
  const indices = new Map<string, number>()
  let next = 0
  const fill = (count: number): boolean => {
    const end = Math.min(values.length, next + count)
    while (next < end) indices.set(values[next]!, next++)
    return next < values.length
  }
  return {
    indexOf(value) {
      if (next < values.length) fill(values.length)
      return indices.get(value)
    },
    fill,
  }
}

/** Values of a vocabulary that are handled in one turn of the event loop: a few milliseconds. */
export const vocabularyChunk = 20_000

/**
 * Fills the tables of all vocabularies in chunks, one per turn of the event loop, so that requests to other models are
 * answered meanwhile: a table of a million values takes most of a second. `turn` resolves in the next turn.
 */
export async function fillVocabularies(
  fields: Iterable<{ vocabulary?: Vocabulary | undefined }>,
  turn: () => Promise<void>,
): Promise<void> {
  for (const { vocabulary } of fields) while (vocabulary?.fill(vocabularyChunk)) await turn()
}
