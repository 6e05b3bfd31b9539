import { describeIncompatibility } from '../../src/model/serving/registry/compatibility.ts'
import { Registry, type RegistryEvent, type RegistryOptions } from '../../src/model/serving/registry/registry.ts'
import type { SourceModel } from '../../src/model/serving/registry/source.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { createFakeLoadedModel, type FakeLoadedModel } from './fakes/loaded-model.ts'

export interface Setup extends Partial<Omit<RegistryOptions, 'load' | 'source' | 'onEvent'>> {
  /** Versions on disk, by model. */
  models?: Record<string, string[]>
  /** The last step of a load. */
  beforeLoaded?(name: string, free: () => void): Promise<void>
}

/** A registry over a folder and loads that the test controls. */
export function setUp({ models = { ads: ['1'] }, beforeLoaded, ...options }: Setup = {}) {
  const disk = {
    models: Object.entries(models).map(([name, versions]) => model(name, versions)),
    error: undefined as Error | undefined,
  }
  /** Versions that fail to load, with their reasons. */
  const broken = new Map<string, string>()
  const errors = new Map<string, Error>()
  /** The promise that the load of a version waits for. */
  const held = new Map<string, Promise<void>>()
  const loads: string[] = []
  const events: string[] = []
  /** That it is ready, and that another version answers. */
  const turns: string[] = []
  const clock = { now: 0 }
  const loaded = new Map<string, FakeLoadedModel>()
  const closing = new Map<string, Promise<void>>()
  /** Versions without a manifest. */
  const manifestless = new Set<string>()
  /** Versions whose files have the same content as when they were loaded. */
  const same = new Set<string>()
  /** The parts of a version's manifest that are particular. */
  const manifests = new Map<string, Partial<Manifest>>()
  /** Versions whose contracts were read from the disk. */
  const reads: string[] = []
  /** Those whose contracts can't be read. */
  const unreadable = new Map<string, Error>()
  const registry = new Registry({
    source: async () => {
      if (disk.error) throw disk.error
      return disk.models
    },
    load: async (name, version, { free, loaded: former }) => {
      const key = `${name}/${version}`
      loads.push(key)
      if (former !== undefined && same.has(key)) return former
      clock.now += 500
      await held.get(key)
      const reason = broken.get(key)
      const error = errors.get(key)
      if (error !== undefined) throw error
      if (reason !== undefined) throw new Error(reason)
      await beforeLoaded?.(name, free)
      const model = createFakeLoadedModel(name, version, closing.get(key), manifestless.has(key), manifests.get(key))
      loaded.set(key, model)
      return model
    },
    readContract: async (name, version) => {
      const key = `${name}/${version}`
      reads.push(key)
      const error = unreadable.get(key)
      if (error !== undefined) throw error
      return createFakeLoadedModel(name, version, undefined, manifestless.has(key), manifests.get(key))
    },
    mode: 'latest',
    defaultModel: undefined,
    requiredModels: [],
    now: () => clock.now,
    onEvent: (event) => {
      if (event.type === 'ready') turns.push('ready')
      else if (event.type === 'switched') turns.push(`${event.name} ${event.from} → ${event.version}`)
      else if (event.type === 'incompatible')
        events.push(`${event.name}/${event.version} ${describeIncompatibility(event.incompatibility)}`)
      else events.push(text(event))
    },
    ...options,
  })
  return {
    registry,
    disk,
    broken,
    errors,
    held,
    loads,
    events,
    turns,
    clock,
    loaded,
    closing,
    manifestless,
    same,
    manifests,
    reads,
    unreadable,
  }
}

export function model(name: string, versions: string[], rest: Partial<SourceModel> = {}): SourceModel {
  return { name, versions: versions.map((version) => ({ version, stamp: 'old' })), labels: {}, ...rest }
}

function text(event: Exclude<RegistryEvent, { type: 'ready' | 'switched' | 'incompatible' }>): string {
  if (event.type === 'problem') return `problem: ${event.message}`
  const name = `${event.type} ${event.name}/${event.version}`
  return event.type === 'loaded' ? `${name} in ${event.seconds} s` : name
}

/** A promise, and how to resolve it. */
export function gate() {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

/** Lets every promise that can settle do so. */
export const settled = () => new Promise((resolve) => setImmediate(resolve))

export const answering = (registry: Registry, name?: string, version?: string, label?: string) => {
  const lease = registry.acquire(name, version, label)
  lease.release()
  return `${lease.model.manifest.name}/${lease.model.manifest.version}`
}
/** States of the versions that were loaded, or failed to. */
export const states = (registry: Registry) =>
  registry
    .list()
    .flatMap(({ name, versions }) =>
      versions.flatMap(({ version, state }) => (state === 'not_loaded' ? [] : [`${name}/${version} ${state}`])),
    )
