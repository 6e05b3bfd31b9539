import type { Scope } from '../../schemas/keys.ts'

/**
 * Parts of the interface that can be open to all while others need a key; `console`: its page and scripts, which hold no
 * secrets and ask for a key; `unknown`: paths that nothing answers.
 */
export type Area = 'probes' | 'docs' | 'console' | 'unknown' | Scope

/** Areas that can be open to all; administration never is. */
export const openAreas: readonly Area[] = ['probes', 'docs', 'metrics', 'predict']

/** The first that fits a route's path, below the application's prefix; what fits none is for `predict`. */
const areas: [RegExp, Area][] = [
  [/^\/(?:livez|readyz|v2\/health\/(?:live|ready))$/, 'probes'],
  [/^\/(?:console\/assets\/.*)?$/, 'console'],
  [/^\/docs(?:\/.*)?$/, 'docs'],
  [/^\/(?:metrics|console\/live)$/, 'metrics'],
  [/^\/(?:v2\/repository|debug)\//, 'admin'],
  [/^\/models\/:model\/(?:pin|unpin)$/, 'admin'],
]

/** The area of a route; undefined: that no route answers. */
export function areaOf(path: string | undefined): Area {
  if (path === undefined) return 'unknown'
  return areas.find(([pattern]) => pattern.test(path))?.[1] ?? 'predict'
}
