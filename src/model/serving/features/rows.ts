import { isObject, pointer } from '../../../schemas/json.ts'
import { KeyList } from '../../contracts/key-list.ts'
import type { CandidateId } from '../../contracts/prediction.ts'
import { CandidateKeys, type Candidates, fetchOne, type KeySurroundings, setId } from './candidate-keys.ts'
import {
  bidProblem,
  bidRequired,
  checkRowCount,
  type EncodedContext,
  encodeContext,
  givenApart,
  givenTwice,
  noBids,
  repeatContext,
  unknownField,
  withoutBad,
} from './context.ts'
import type { LayoutEntity } from './entities.ts'
import { keyProblem } from './entities.ts'
import { LeftOut, widthsOf } from './fetched.ts'
import { describeValue, requiredMessage } from './field.ts'
import type { FieldColumn } from './field-column.ts'
import type { EncodedRequest, EncodeOptions, Layout } from './layout.ts'
import type { ListPath } from './lists.ts'
import { maxViolations, Violations } from './problems.ts'

/** The first form of a request: named features, one object per candidate. */
export function encodeRows(layout: Layout, context: unknown, given: unknown, options: EncodeOptions): EncodedRequest {
  const problems = options.problems ?? new Violations()
  const shared = encodeContext(layout, context, problems, options)
  if (given === undefined) return contextAlone(layout, context, shared, problems, options)
  const entity = layout.entities?.candidate
  const candidates = candidatesOf(given, entity, problems)
  checkRowCount(candidates.length, options)
  const partial = options.partial && problems.leaveOut()

  const rows = candidates.length
  const encoded: EncodedRequest = {
    requested: rows,
    problems: problems.list,
    placeOf: (row) => `/candidates/${row}`,
    ...repeatContext(layout, shared, rows, options),
  }
  const { lists } = shared
  const left = options.leavesOut === false ? undefined : new LeftOut()
  const { fetched: notes } = options
  const around: KeySurroundings = { given: shared.given, lists, problems, left, notes }
  const keys = entity && new CandidateKeys(layout, entity, candidates, encoded, around)
  if (
    keys?.plain &&
    problems.list.length === 0 &&
    shared.required.every((slot) => entity!.slots.has(slot)) &&
    !options.bids
  )
    return { ...encoded, oneContext: true }
  const wanted: Wanted = {
    ...around,
    keys,
    required: entity ? shared.required.filter((slot) => !entity.slots.has(slot)) : shared.required,
    bid: options.bids === true,
    searched: false,
    oneContext: true,
  }
  if (lists !== undefined) lists.pathOf = pathOfList
  const bad = new Uint8Array(rows)
  for (let row = 0; row < rows; row++) {
    if (!encodeRow(layout, wanted, candidates, row, encoded, problems, partial)) bad[row] = 1
  }
  encoded.oneContext = wanted.oneContext
  return withoutBad(encoded, bad, { partial, problems, left }, widthsOf(layout))
}

/** The candidates of a request. Throws INVALID_REQUEST where there are none. */
function candidatesOf(given: unknown, entity: LayoutEntity | undefined, problems: Violations): Candidates {
  if (given instanceof KeyList) return entity ? given : given.texts()
  if (Array.isArray(given) && given.length > 0) return given
  const message = Array.isArray(given)
    ? 'must have at least one candidate'
    : `must be an array of objects or an object of columns, not ${describeValue(given)}`
  problems.add('/candidates', message)
  problems.throwIfAny()
  throw new Error('unreachable')
}

/** Fields that candidates must not give, and must give. */
interface Wanted extends KeySurroundings {
  required: readonly FieldColumn[]
  keys: CandidateKeys | undefined
  bid: boolean
  /** Whether `reportAbsent` has removed fields that no candidate has. */
  searched: boolean
  /** Whether no candidate has given a field of the context. */
  oneContext: boolean
}

function contextAlone(
  layout: Layout,
  context: unknown,
  shared: EncodedContext,
  problems: Violations,
  options: EncodeOptions,
): EncodedRequest {
  if (context === undefined) problems.add('', 'must have candidates, a context, or tensors (sparse, dense)')
  else if (isObject(context))
    for (const slot of shared.required) problems.add(`/context${pointer(slot.name)}`, requiredMessage)
  if (options.bids) problems.add('/options/rank/by', noBids)
  problems.throwIfAny()
  return {
    requested: 1,
    problems: [],
    placeOf: () => '/context',
    ...repeatContext(layout, shared, 1, options),
  }
}

/** Writes one candidate into its row; returns false if it has a problem. */
function encodeRow(
  layout: Layout,
  wanted: Wanted,
  candidates: Candidates,
  row: number,
  encoded: EncodedRequest,
  problems: Violations,
  partial: boolean,
): boolean {
  const { keys } = wanted
  const candidate = keys ? keys.candidateOf(row) : candidates.at(row)
  if (!isObject(candidate)) {
    const expected = keys ? `an object or a key, ${keys.entity.key}` : 'an object'
    problems.add(`/candidates/${row}`, `must be ${expected}, not ${describeValue(candidate)}`)
    return false
  }
  let good = keys === undefined || keys.check(row, candidate, encoded)
  const wrong = (name: string, message: string | (() => string)) => {
    if (!problems.full) problems.add(`/candidates/${row}${pointer(name)}`, message)
    good = false
  }
  let requiredSeen = 0
  /** Entities of the context whose keys the candidate gives. */
  let fetched: LayoutEntity[] | undefined
  for (const name in candidate) {
    // No further problem would be listed.
    if (!good && problems.full) return false
    const value = candidate[name]
    const slot = layout.byName.get(name)
    if (slot === undefined) {
      const entity = layout.entities?.byKey.get(name)
      if (entity !== undefined) {
        if (entity === keys?.entity) continue
        wanted.oneContext = false
        fetched = [...(fetched ?? []), entity]
        if (!fetchOne(layout, entity, row, candidate, encoded, wanted)) good = false
        continue
      }
      const message = reserved(name, value, row, encoded, layout)
      if (message !== undefined) wrong(name, message)
      continue
    }
    if (wanted.given.has(slot)) {
      wrong(name, givenTwice)
      continue
    }
    if (slot.ofContext) wanted.oneContext = false
    if (typeof slot.encoder.missing === 'string' && !keys?.entity.slots.has(slot)) requiredSeen++
    if (slot.group !== undefined) {
      if (!wanted.lists!.take(slot, value, row)) good = false
      continue
    }
    const code = slot.encoder.encode(value)
    if (typeof code === 'string') wrong(name, code)
    else if (slot.sparse) encoded.sparse[row * layout.sparse.length + slot.column] = code
    else encoded.dense[row * layout.dense.length + slot.column] = code
  }
  if (wanted.lists !== undefined && !encodeLists(layout, wanted, encoded, row, problems)) good = false
  const isFetched = (slot: FieldColumn) => fetched?.some(({ slots }) => slots.has(slot)) === true
  if (fetched !== undefined)
    for (const slot of wanted.required) if (isFetched(slot) && !Object.hasOwn(candidate, slot.name)) requiredSeen++
  const lacks = requiredSeen < wanted.required.length
  const lacksBid = wanted.bid && !Object.hasOwn(candidate, 'bid')
  if (!lacks && !lacksBid) return good
  if (!wanted.searched) reportAbsent(wanted, keys?.candidates ?? (candidates as unknown[]), problems, partial, layout)
  for (const slot of wanted.required) {
    if (Object.hasOwn(candidate, slot.name) || isFetched(slot)) continue
    wrong(slot.name, requiredMessage)
    if (problems.full) break
  }
  if (lacksBid && wanted.bid) wrong('bid', bidRequired)
  return good
}

const pathOfList: ListPath = ({ name }, row) => `/candidates/${row}${pointer(name)}`

/** Encodes the lists that a candidate has given; those that it has not stay as in the context. */
function encodeLists(
  layout: Layout,
  { given, lists }: Wanted,
  encoded: EncodedRequest,
  row: number,
  problems: Violations,
): boolean {
  let good = true
  for (const group of layout.groups) {
    const taken = lists!.taken(group)
    if (taken === undefined) continue
    const apart = group.members.find((slot) => given.has(slot))
    if (apart !== undefined) {
      if (!problems.full) problems.add(pathOfList(taken, row), givenApart(apart))
      lists!.leave(group)
      good = false
    } else if (!lists!.encode(group, encoded, row)) good = false
  }
  return good
}

/**
 * Reports fields that neither the context nor any candidate has, once, on the field's own side, and removes them from
 * `wanted`. If bad rows are left out, fields of candidates are reported per row instead.
 */
function reportAbsent(
  wanted: Wanted,
  candidates: readonly unknown[],
  problems: Violations,
  partial: boolean,
  { entities, byName }: Layout,
): void {
  wanted.searched = true
  const first = candidates.findIndex(isObject)
  const inNone = (name: string) => {
    // A key stands for the fields of its entity.
    const keys = entities?.all.filter(({ slots }) => slots.has(byName.get(name)!)).map(({ key }) => key) ?? []
    const names = [name, ...keys]
    return candidates.every((candidate) => !isObject(candidate) || !names.some((one) => Object.hasOwn(candidate, one)))
  }
  // A problem of the context rejects the request, even if bad rows are left out.
  const ofRequest = partial ? new Violations() : problems
  const absent = new Set<FieldColumn>()
  let searches = 0
  for (const slot of wanted.required) {
    const inContext = slot.encoder.field.side === 'context'
    if (Object.hasOwn(candidates[first] as object, slot.name) || (partial && !inContext)) continue
    // Each search leads to a problem, here or at its row.
    if (++searches > maxViolations) break
    if (!inNone(slot.name)) continue
    absent.add(slot)
    if (inContext) ofRequest.add(`/context${pointer(slot.name)}`, requiredMessage)
    else ofRequest.add(`/candidates/${first}${pointer(slot.name)}`, requiredMessage + noneHas(candidates))
  }
  if (partial) ofRequest.throwIfAny()
  wanted.required = wanted.required.filter((slot) => !absent.has(slot))
  if (!wanted.bid || partial || !inNone('bid')) return
  problems.add(`/candidates/${first}/bid`, bidRequired + noneHas(candidates))
  wanted.bid = false
}

function noneHas({ length }: readonly unknown[]): string {
  return length === 1 ? '' : `; none of the ${length} candidates has it`
}

/** Stores a candidate's `id` or `bid`; returns a message for an invalid value or an unknown name. */
function reserved(
  name: string,
  value: unknown,
  row: number,
  encoded: EncodedRequest,
  layout: Layout,
): string | (() => string) | undefined {
  if (name === 'id') {
    const message = keyProblem(value)
    if (message !== undefined) return message
    setId(encoded, row, value as CandidateId)
    return undefined
  }
  if (name === 'bid') {
    const message = bidProblem(value)
    if (message !== undefined) return message
    encoded.bids ??= new Array(encoded.requested)
    encoded.bids[row] = value as number
    return undefined
  }
  return () => unknownField(name, '/candidates', layout)
}
