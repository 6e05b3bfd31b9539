import type { TObject } from 'typebox'
import * as Type from 'typebox'
import { isObject } from '../../../schemas/json.ts'
import { aitm } from './aitm.ts'
import type { Architecture } from './architecture.ts'
import { esmm } from './esmm.ts'
import { mixtureOfExperts } from './mixture-of-experts.ts'
import { multiGate } from './multi-gate.ts'
import { ple } from './ple.ts'
import { sharedBottom } from './shared-bottom.ts'
import { singleTask } from './single-task.ts'

/** Every architecture, in the order of documents and messages. */
export const architectures: readonly Architecture[] = [
  sharedBottom,
  mixtureOfExperts,
  multiGate,
  aitm,
  ple,
  esmm,
  singleTask,
]

export const architectureNames = architectures.map(({ name }) => name)

/** All names that a spec or manifest may give: canonical ones, then aliases. */
export const knownNames = [...architectureNames, ...architectures.flatMap(({ aliases = [] }) => aliases).sort()]

/** The name that an alias stands for; any other text unchanged. */
export function canonicalArchitecture(name: string): string {
  return architectures.find(({ aliases }) => aliases?.includes(name))?.name ?? name
}

/** Undefined for a name that is not built in, as of a graph that was trained elsewhere. */
export function findArchitecture(name: string): Architecture | undefined {
  return architectures.find((architecture) => architecture.name === name)
}

/** The architecture of options that were checked. */
export function architectureOf(name: string): Architecture {
  return findArchitecture(name)!
}

/** A built-in architecture and its options. */
export const BuiltInArchitecture = Type.Union(
  architectures.map(({ name, options, description }) =>
    Type.Object({ name: Type.Literal(name), ...options }, { additionalProperties: false, description }),
  ),
  { description: 'A built-in architecture with its options' },
)

/** The schema of a spec or manifest, complete: its `architecture` is a built-in one. */
export function withArchitectures<Schema extends TObject>(schema: Schema): Schema {
  return { ...schema, properties: { ...schema.properties, architecture: Type.Optional(BuiltInArchitecture) } }
}

/**
 * A spec or manifest, as read and not yet checked, whose `architecture.name` may be an alias: a copy with the canonical
 * name.
 */
export function withCanonicalArchitecture(written: unknown): unknown {
  if (!isObject(written) || !isObject(written.architecture) || typeof written.architecture.name !== 'string')
    return written
  const name = canonicalArchitecture(written.architecture.name)
  return { ...written, architecture: { ...written.architecture, name } }
}
