/** Models that go on serving although they are gone from the folder, with when each was first missed, ms. */
export type Held = ReadonlyMap<string, number>

export interface VanishInput {
  /** Models that had versions at the last look, those that are held included. */
  before: readonly string[]
  /** Which of these have none now. */
  gone: readonly string[]
  held: Held
  now: number
  /** How long a model is held, ms. */
  unloadAfterMs: number
}

/**
 * Which models that are gone from the folder are to go on serving: a pure function.
 *
 * Where all models vanish between two looks, or more than half of them, that looks like a volume that dropped, and each of them
 * is held until it has been gone for `unloadAfterMs`. So does the only model that there is, but not one of two: a folder that
 * still holds half of its models is in order. A held model stays held, whatever becomes of the others, until it is back or its
 * time is over.
 */
export function heldOf({ before, gone, held, now, unloadAfterMs }: VanishInput): Map<string, number> {
  const fault = gone.length * 2 > before.length
  const next = new Map<string, number>()
  for (const name of gone) {
    const since = held.get(name) ?? (fault ? now : undefined)
    if (since !== undefined && now - since < unloadAfterMs) next.set(name, since)
  }
  return next
}
