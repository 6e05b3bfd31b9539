/** Keys of an entity that requests named. */
export interface EntityCount {
  /** That its table has. */
  found: number
  unknown: number
  /** The last different ones that are unknown, shortened. */
  examples: string[]
}

/** Examples of unknown keys that are kept for each entity, and the most UTF-16 units of each. */
const mostExamples = 10
const longestExample = 64

/** Keys that requests named, by entity: in bounded memory, however many are unknown. */
export class EntityCounts {
  readonly byEntity = new Map<string, EntityCount>()

  /** `unknown`: all of them, or some of `count`. */
  add(entity: string, found: number, unknown: readonly string[], count = unknown.length): void {
    let counts = this.byEntity.get(entity)
    if (counts === undefined) {
      counts = { found: 0, unknown: 0, examples: [] }
      this.byEntity.set(entity, counts)
    }
    counts.found += found
    counts.unknown += count
    for (const key of unknown.slice(-mostExamples)) {
      const example = key.length > longestExample ? beginningOf(key) : key
      if (counts.examples.includes(example)) continue
      counts.examples.push(example)
      if (counts.examples.length > mostExamples) counts.examples.shift()
    }
  }
}

/** A copy: a slice would keep the whole key in memory. */
function beginningOf(key: string): string {
  return Buffer.from(key.slice(0, longestExample), 'utf16le').toString('utf16le')
}
