import type { ArchitectureName, ArchitectureOptions } from '../../../schemas/architecture.ts'
import { aitm } from './aitm.ts'
import type { Architecture } from './architecture.ts'
import { esmm } from './esmm.ts'
import { mixtureOfExperts } from './mixture-of-experts.ts'
import { multiGate } from './multi-gate.ts'
import { ple } from './ple.ts'
import { sharedBottom } from './shared-bottom.ts'
import { singleTask } from './single-task.ts'

type OptionsOf<Name> = Extract<ArchitectureOptions, { name: Name }>

/** Every architecture by its name in a training specification and in a manifest. */
const architectures: { readonly [Name in ArchitectureName]: Architecture<OptionsOf<Name>> } = {
  shared_bottom: sharedBottom,
  mixture_of_experts: mixtureOfExperts,
  multi_gate: multiGate,
  aitm,
  ple,
  esmm,
  single_task: singleTask,
}

export function architectureOf(name: ArchitectureName): Architecture {
  return architectures[name]
}

/** Undefined for a name that is not built in, as of a graph that was trained elsewhere. */
export function findArchitecture(name: string): Architecture | undefined {
  return Object.hasOwn(architectures, name) ? architectures[name as ArchitectureName] : undefined
}
