/** How the rows of a catalogue are stored. int8 has a scale per row. */
export type RowPrecision = 'float32' | 'bfloat16' | 'int8'

/** Describes a catalogue: the kept parts of candidates, computed before the first request. */
export interface CatalogueDescription {
  /** Version of the format of these files. */
  format: number
  /** Identifies the plan; see `planDigest`. */
  plan: string
  /** int32 words of a key. */
  keyWords: number
  /** Width of each kept layer's part, in order; a row is all of them. */
  widths: number[]
  rows: number
  precision: RowPrecision
  /** When it was made, ms since 1970. */
  made: number
  /** Folder of its files, beside this description. */
  folder: string
  /** Size and SHA-256 of every file; for files too large to hash at each start, the time of the last change, ms. */
  files: Record<string, { bytes: number; sha256: string; changed?: number }>
}

/** A catalogue whose files fit a plan; it can be sent to another thread. */
export interface ReadyCatalogue {
  /** Absolute path of the folder of its files. */
  folder: string
  description: CatalogueDescription
  /** [places, 2]: slot + 1 (0: an empty place) and hash of its key; in memory that the threads share. */
  index: Int32Array
}

/** Candidates that workers took from a catalogue, and its size. */
export interface CatalogueStats {
  /** Candidates whose parts came from the catalogue, not from the graph. */
  hits: number
  rows: number
  /** Bytes of its files, which are mapped, and of the index, which is in memory. */
  bytes: number
}

/** Bytes of a catalogue's files: those that are mapped, and the index, which is read into memory. */
export function catalogueBytes({ files }: Pick<CatalogueDescription, 'files'>): number {
  return Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0)
}
