import fc from 'fast-check'

export interface RandomCases {
  /**
   * The seed of every property. It is new for each process unless it is given, so that each run tries others; a failure
   * prints it.
   */
  seed: number
  /**
   * The seed of a property that also asserts what was among its cases, which a third of them may lack: the same each
   * time, unless `FULL` asks for all.
   */
  steadySeed: number
  /**
   * How many of `all` random cases a test runs: a third, or `usual`, unless `FULL` asks for all. It is for cases that
   * are each judged on their own; a count that a statistic or a limit needs stays as it is.
   */
  randomCases(all: number, usual?: number): number
}

/**
 * Reads how many random cases the tests run, and of which seed.
 *
 *   FULL=1                    all of them, as in .ci/full; FULL=20: twenty times as many
 *   MULTIGATE_TEST_SEED=17    those of that seed
 */
export function readRandomCases(env: Record<string, string | undefined>, now: () => number): RandomCases {
  const times = readNumber(env, 'FULL')
  // fast-check's seeds are of 32 bits.
  const seed = readNumber(env, 'MULTIGATE_TEST_SEED') ?? now() % 2 ** 31
  return {
    seed,
    steadySeed: times === undefined ? 1 : seed,
    randomCases: (all, usual = Math.ceil(all / 3)) => (times === undefined ? usual : all * times),
  }
}

export const { seed, steadySeed, randomCases } = readRandomCases(process.env, Date.now)

// 100 is fast-check's own number.
fc.configureGlobal({ numRuns: randomCases(100), seed })

export { fc }

function readNumber(env: Record<string, string | undefined>, name: string): number | undefined {
  const text = env[name]
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} must be a whole number from 1`)
  return value
}
