import type { EnginePool } from '../../src/model/engines/pool/engine-pool.ts'

export interface HeldPool {
  pool: EnginePool
  /** From now on calls wait in the engine. */
  hold(): void
  /** Lets all go on that wait. */
  release(): void
  /** From now on calls throw this; undefined: they work again. */
  fail(error: Error | undefined): void
  /** Resolves once so many calls wait in the engine. */
  holding(calls: number): Promise<void>
}

/** A real pool as slow, or as broken, as a test says. */
export function createHeldPool(inner: EnginePool): HeldPool {
  let held = false
  let failure: Error | undefined
  let waiting: (() => void)[] = []
  let watchers: { calls: number; resolve(): void }[] = []
  const look = () => {
    for (const { calls, resolve } of watchers) if (waiting.length >= calls) resolve()
    watchers = watchers.filter(({ calls }) => waiting.length < calls)
  }
  return {
    pool: {
      ...inWorkers(inner),
      async load(source) {
        const graph = await inner.load(source)
        return {
          ...graph,
          async run(batch, wanted, listener) {
            if (failure) throw failure
            if (held) {
              await new Promise<void>((resolve) => {
                waiting.push(resolve)
                look()
              })
            }
            return graph.run(batch, wanted, listener)
          },
        }
      },
    },
    hold() {
      held = true
    },
    release() {
      held = false
      for (const resolve of waiting) resolve()
      waiting = []
    },
    fail(error) {
      failure = error
    },
    holding(calls) {
      return new Promise((resolve) => {
        watchers.push({ calls, resolve })
        look()
      })
    },
  }
}

/** The pool without the calling thread: even the cheapest call goes to a worker. */
export function inWorkers({ openSmall: _, ...pool }: EnginePool): EnginePool {
  return pool
}
