import { ModelError } from '../../base/errors.ts'
import { listNames } from '../../base/names.ts'
import { noModel } from '../../model/serving/registry/find.ts'
import type { Lease, Registry } from '../../model/serving/registry/registry.ts'
import type { Scope } from '../../schemas/keys.ts'
import type { Key } from './keyring.ts'

/**
 * Parts of the interface that can be open to all while others need a key; `console`: its page and scripts, which hold
 * no secrets and ask for a key; `unknown`: paths that nothing answers.
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

/** The view of the models that requests get. */
export type ModelView = Pick<Registry, 'acquire' | 'list' | 'live' | 'mode' | 'requireScan'>

/** The models that a key opens; all of them where it names none, or where no key is asked for. */
export function viewFor(registry: Registry, key: Key | null | undefined): ModelView {
  return key?.models === undefined ? registry : restrict(registry, key.models)
}

/** As if there were no other models. A key for one model need not name it. */
function restrict(registry: Registry, models: ReadonlySet<string>): ModelView {
  const list = () => registry.list().filter(({ name }) => models.has(name))
  const names = () => list().map(({ name }) => name)
  const [only] = models.size === 1 ? models : []
  return {
    mode: registry.mode,
    list,
    live: () => registry.live().filter(({ name }) => models.has(name)),
    requireScan: () => registry.requireScan(),
    acquire(name = only, version, label): Lease {
      registry.requireScan()
      const asked = name ?? defaultOf(registry, models)
      if (asked === undefined) {
        const message = `The request names no model, and there is no default model; the key opens ${listNames(names())}`
        throw new ModelError('MODEL_NOT_FOUND', message)
      }
      // One that is gone, too: the registry's own message would list all models.
      if (!names().includes(asked)) throw noModel(asked, names())
      return registry.acquire(asked, version, label)
    },
  }
}

function defaultOf(registry: Registry, models: ReadonlySet<string>): string | undefined {
  return registry.list().find(({ name, default: isDefault }) => isDefault && models.has(name))?.name
}
