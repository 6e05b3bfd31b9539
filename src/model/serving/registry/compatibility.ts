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

/**
 * Compares the versions of one model with the one that answers, or where none answers yet, with the one that would have
 * answered before it, so that a restart decides as a running server did.
 */
export class Compatibility {
  readonly #read: ReadContract
  readonly #refuses: boolean
  /** Contracts on disk, by version and stamp; only until a version answers. */
  readonly #onDisk = new Map<string, Promise<Contract | undefined | 'unread'>>()
  /** The version that each version is compared with until one answers. */
  #before = new Map<string, Known>()
  /** Where an I/O error keeps that from being known: the version that can't be read now. */
  #unread = new Map<string, string>()
  readonly #compared = new WeakMap<Contract, WeakMap<Contract, readonly string[]>>()

  /** `refuses`: versions that are incompatible with the one before them don't take over. */
  constructor(read: ReadContract, refuses: boolean) {
    this.#read = read
    this.#refuses = refuses
  }

  /**
   * Finds out, where no version answers, what would have answered before each of these versions: the next lower one, or
   * where incompatible versions are refused, the one at which they end if they appear one after the other.
   */
  async lookBack(versions: readonly SourceVersion[]): Promise<void> {
    const before = new Map<string, Known>()
    const unread = new Map<string, string>()
    const ascending = [...versions].sort((a, b) => compareVersions(a.version, b.version))
    let last: Known | undefined
    let lastUnread: string | undefined
    const follow = (version: string) => {
      if (last !== undefined) before.set(version, last)
      if (lastUnread !== undefined) unread.set(version, lastUnread)
    }
    for (const [i, { version }] of ascending.entries()) {
      follow(version)
      if (i === ascending.length - 1) break
      // Where each version takes over, only what the highest one is compared with is of use.
      if (!this.#refuses && i < ascending.length - 2) continue
      const contract = await this.#contractOf(ascending[i]!)
      if (contract === 'unread') lastUnread = version
      else if (contract !== undefined && (last === undefined || this.#compare(last.contract, contract).length === 0))
        last = { version, contract }
    }
    this.#before = before
    this.#unread = unread
  }

  /** From now on a version answers. */
  forget(): void {
    this.#onDisk.clear()
    this.#before.clear()
    this.#unread.clear()
  }

  /** The version that this one is compared with. */
  formerOf(version: string, answering: Known | undefined): string | undefined {
    return (answering ?? this.#before.get(version))?.version
  }

  /** The incompatibility that the version brings when it takes over; undefined where nothing breaks. */
  of(version: string, contract: Contract, answering: Known | undefined): Incompatibility | undefined {
    const former = answering ?? this.#before.get(version)
    if (former === undefined) return undefined
    const problems = this.#compare(former.contract, contract)
    return problems.length === 0 ? undefined : { with: former.version, problems }
  }

  /**
   * The reason why the version may not take over: its incompatibility, or that the version that would have answered
   * before it can't be read now.
   */
  objection(version: string, contract: Contract, answering: Known | undefined): Incompatibility | undefined {
    const unread = answering === undefined ? this.#unread.get(version) : undefined
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
export function describeIncompatibility({ with: former, problems }: Incompatibility): string {
  return `incompatible with version ${former}: ${listProblems(problems)}`
}

export function incompatibleError(incompatibility: Incompatibility): ModelError {
  return new ModelError('INCOMPATIBLE', describeIncompatibility(incompatibility))
}
