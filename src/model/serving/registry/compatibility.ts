import { isMissing, isTransient, ModelError } from '../../../base/errors.ts'
import { compareVersions } from '../../../base/names.ts'
import { type Contract, compareContracts, listProblems } from '../prediction/compare-contracts.ts'
import type { SourceVersion } from './source.ts'

/** The problems that clients have when a version answers in the place of another. */
export interface Incompatibility {
  /** The other version. */
  with: string
  /** Sentences of `compareContracts`; at least one. */
  problems: readonly string[]
  /** Versions between the two that can't be served, and so are not compared; at least one. */
  skipped?: string[]
}

/** A comparison that versions between the two were left out of. */
export interface Gap {
  /** The other version; undefined where there is none. */
  with: string | undefined
  skipped: string[]
}

/**
 * Reads what a version on disk accepts and answers. Rejects where that can't be read: such a version can't have
 * answered, unless the error may pass.
 */
export type ReadContract = (version: string) => Promise<Contract>

interface Known {
  version: string
  contract: Contract
}

/** The versions below one, where none answers. */
interface Below {
  /** The version that would have answered. */
  former: Known | undefined
  /** Versions above it that can't have answered. */
  skipped: string[]
  /** Where an I/O error keeps the former one from being known: the version that can't be read now. */
  unread: string | undefined
}

/**
 * Compares the versions of one model with the one that answers, or where none answers yet, with the one that would have
 * answered before it, so that a restart decides as a running server did.
 */
export class Compatibility {
  readonly #read: ReadContract
  readonly #refuses: boolean
  /** Contracts on disk, by version and stamp; only until a version answers. */
  readonly #onDisk = new Map<string, Promise<Contract | undefined | 'unread'>>()
  /** By version, until one answers. */
  #below = new Map<string, Below>()
  readonly #compared = new WeakMap<Contract, WeakMap<Contract, readonly string[]>>()

  /** `refuses`: versions that are incompatible with the one before them don't take over. */
  constructor(read: ReadContract, refuses: boolean) {
    this.#read = read
    this.#refuses = refuses
  }

  /**
   * Finds out, where no version answers, what would have answered before each of these versions: the next lower one, or
   * where incompatible versions are refused, the one at which they end if they appear one after the other. `broken`:
   * those of them that can't be served.
   */
  async lookBack(versions: readonly SourceVersion[], broken: readonly SourceVersion[]): Promise<void> {
    const below = new Map<string, Below>()
    const ascending = [...versions].sort((a, b) => compareVersions(a.version, b.version))
    const whole = ascending.filter((version) => !broken.includes(version))
    // Where each version takes over, only what the highest one is compared with is of use.
    const compared = this.#refuses ? whole : whole.slice(-2)
    let now: Below = { former: undefined, skipped: [], unread: undefined }
    for (const next of ascending) {
      const { version } = next
      below.set(version, now)
      if (next === whole.at(-1)) break
      const isBroken = broken.includes(next)
      if (!isBroken && !compared.includes(next)) continue
      const contract = isBroken ? undefined : await this.#contractOf(next)
      if (contract === 'unread') now = { ...now, unread: version }
      else if (contract === undefined) now = { ...now, skipped: [...now.skipped, version] }
      else if (now.former === undefined || this.#compare(now.former.contract, contract).length === 0)
        now = { ...now, former: { version, contract }, skipped: [] }
    }
    this.#below = below
  }

  /** From now on a version answers. */
  forget(): void {
    this.#onDisk.clear()
    this.#below.clear()
  }

  /** The version that this one is compared with. */
  formerOf(version: string, answering: Known | undefined): string | undefined {
    return (answering ?? this.#below.get(version)?.former)?.version
  }

  /** The incompatibility that the version brings when it takes over; undefined where nothing breaks. */
  of(version: string, contract: Contract, answering: Known | undefined): Incompatibility | undefined {
    const former = answering ?? this.#below.get(version)?.former
    if (former === undefined) return undefined
    const problems = this.#compare(former.contract, contract)
    const gap = this.gapOf(version, answering)
    return problems.length === 0 ? undefined : { with: former.version, problems, ...(gap && { skipped: gap.skipped }) }
  }

  /** Where incompatible versions are refused: what the comparison of this one leaves out. */
  gapOf(version: string, answering: Known | undefined): Gap | undefined {
    const { former, skipped = [] } = (answering === undefined && this.#below.get(version)) || {}
    return this.#refuses && skipped.length > 0 ? { with: former?.version, skipped } : undefined
  }

  /**
   * The reason why the version may not take over: its incompatibility, or that the version that would have answered
   * before it can't be read now.
   */
  objection(version: string, contract: Contract, answering: Known | undefined): Incompatibility | undefined {
    const unread = answering === undefined ? this.#below.get(version)?.unread : undefined
    return unread === undefined
      ? this.of(version, contract, answering)
      : { with: unread, problems: ["what it accepts can't be read now"] }
  }

  /** Whether clients notice nothing when one answers in the place of the other, in either direction. */
  isSame(a: Contract, b: Contract): boolean {
    return this.#compare(a, b).length === 0 && this.#compare(b, a).length === 0
  }

  #compare(before: Contract, after: Contract): readonly string[] {
    if (before === after) return []
    const compared = this.#compared.get(before) ?? new WeakMap<Contract, readonly string[]>()
    this.#compared.set(before, compared)
    const found = compared.get(after) ?? compareContracts(before, after)
    compared.set(after, found)
    return found
  }

  /** Undefined where the version can't have answered; `unread` after an I/O error, to be read again. */
  #contractOf({ version, stamp }: SourceVersion): Promise<Contract | undefined | 'unread'> {
    const key = `${version}\n${stamp}`
    let contract = this.#onDisk.get(key)
    if (contract === undefined) {
      contract = this.#read(version).catch((error) => {
        if (!isTransient(error) || isMissing(error)) return undefined
        this.#onDisk.delete(key)
        return 'unread'
      })
      this.#onDisk.set(key, contract)
    }
    return contract
  }
}

/** Describes what the version breaks, for operators. */
export function describeIncompatibility({ with: former, problems, skipped }: Incompatibility): string {
  const gap = skipped ? `; ${describeGap({ with: former, skipped })}` : ''
  return `incompatible with version ${former}: ${listProblems(problems)}${gap}`
}

export function describeGap({ with: former, skipped }: Gap): string {
  const other = former === undefined ? 'no version' : `version ${former}`
  return `compared with ${other}, since version${skipped.length === 1 ? '' : 's'} ${skipped.join(', ')} could not be served`
}

export function incompatibleError(incompatibility: Incompatibility): ModelError {
  return new ModelError('INCOMPATIBLE', describeIncompatibility(incompatibility))
}
