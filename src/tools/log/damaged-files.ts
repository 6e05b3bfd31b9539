import { counted, type Terminal } from '../../base/terminal.ts'
import { type LogFile, type LogLine, readRecords } from '../../prediction-log/log-records.ts'
import { DamagedFile } from '../../prediction-log/parse-record.ts'

/** The damaged files that a command has met: one does not keep it from the others. */
export class DamagedFiles {
  readonly #problems: string[] = []

  /** Does something with a file. Rejects as it does, unless the file is damaged. */
  async spare(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error
      this.#problems.push(error.message)
    }
  }

  /** Names the files. False where there are any. */
  report(err: Terminal, what: string): boolean {
    for (const problem of this.#problems) err.write(`${problem}\n`)
    if (this.#problems.length > 0) err.write(`${what}: ${counted(this.#problems.length, 'damaged file')}\n`)
    return this.#problems.length === 0
  }
}

/** How the records of files are read. */
export interface Reading {
  /** Does without the rest of damaged files, and names these. */
  skipDamaged: boolean
  err: Terminal
  signal: AbortSignal
}

/** The records of a file. Rejects with a DamagedFile, unless damaged files are skipped. */
export async function* readLog(file: LogFile, { skipDamaged, err, signal }: Reading): AsyncGenerator<LogLine> {
  try {
    yield* readRecords(file, signal)
  } catch (error) {
    if (!(skipDamaged && error instanceof DamagedFile)) throw error
    err.write(`warning: the rest of a damaged file is left out: ${error.message}\n`)
  }
}
