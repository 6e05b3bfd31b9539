import { ModelError } from '../../model/base/errors.ts'
import { listNames } from '../../model/base/known-names.ts'
import { noModel } from '../../model/registry/find.ts'
import type { Lease, Registry } from '../../model/registry/registry.ts'
import type { Key } from './keyring.ts'

/** What requests may learn of the models. */
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
