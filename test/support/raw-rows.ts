import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Features, Side } from '../../src/schemas/features.ts'
import { referenceFolder } from './reference.ts'

interface Encoding {
  sparse: { name: string; vocabulary: string[] }[]
  dense: { name: string; shift: number; scale: number }[]
}
interface Answered {
  tasks: string[]
  rows: Record<string, string>[]
  probabilities: number[][]
}

const read = <T>(file: string): T => JSON.parse(readFileSync(join(referenceFolder, file), 'utf8'))

/**
 * Rows as Python read them, the features that encode them as Python did, and what its model answered; `side` of field
 * i.
 */
export function readRawRows(side: (i: number) => Side) {
  const encoding = read<Encoding>('encoding.json')
  const { tasks, rows, probabilities } = read<Answered>('raw_rows.json')
  const features: Features = [
    ...encoding.sparse.map(({ name, vocabulary }, i) => ({
      name,
      side: side(i),
      kind: 'vocabulary' as const,
      // The first is Python's name for whatever is unknown.
      values: vocabulary.slice(1),
      out_of_vocabulary: 'bucket' as const,
      missing: 'error' as const,
    })),
    ...encoding.dense.map(({ name, shift, scale }, i) => ({
      name,
      side: side(i),
      kind: 'numeric' as const,
      scaling: { method: 'standard' as const, mean: shift, deviation: scale },
      missing: 'error' as const,
    })),
  ]
  const numbers = new Set(encoding.dense.map(({ name }) => name))
  const used = new Set(features.map(({ name }) => name))
  const candidates = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row)
        .filter(([name]) => used.has(name))
        .map(([name, value]) => [name, numbers.has(name) ? Number(value) : value]),
    ),
  )
  return { features, candidates, tasks, probabilities }
}
