import type { ModelAuthors } from '../../model/serving/registry/authors.ts'
import { byAdministrator, byCommand, byFile, bySchedule } from '../../model/serving/registry/authors.ts'
import type { Reading, Readings } from './reading.ts'
import { problemsOfTables } from './table-changes.ts'
import { type Change, error, info, warning } from './traffic-changes.ts'

/** Changes of the models of all processes together: each looks at the folder by itself, at slightly different times. */
export function changesOfModels(before: Readings, now: Readings): Change[] {
  const changes: Change[] = changesOfPins(before, now)
  const [earlier, later] = [servingOf(before), servingOf(now)]
  for (const [model, versions] of later)
    for (const version of versions) {
      const known = earlier.get(model)
      if (known?.has(version)) continue
      const after = known === undefined ? '' : `, after version ${[...known].join(' and ')}`
      const by = authorOf(now, model, ({ serving }, { condition }) =>
        condition.serving[model] === version ? serving : undefined,
      )
      const text = `Version ${version} of ${model} answers${after}${by === undefined ? '' : ` (${describeAuthor(by)})`}`
      changes.push({ ...info('version_serves', text), model, ...(by !== undefined && { by }) })
    }
  for (const model of earlier.keys())
    if (!later.has(model) && now.answered.length > 0) {
      const by = authorOf(now, model, ({ unloaded }) => unloaded)
      const why =
        by === undefined ? 'it was unloaded, or its folder was removed' : `it was unloaded (${describeAuthor(by)})`
      const text = `No version of ${model} answers any more: ${why}`
      changes.push({ ...error('model_unserved', text), model, ...(by !== undefined && { by }) })
    }
  const conditions = ({ answered }: Readings) => answered.map(({ condition }) => condition)
  const known = new Set(problemsOf(before).map(({ text }) => text))
  changes.push(...problemsOf(now).filter(({ text }) => !known.has(text)))
  const unreadable = (readings: Readings) => conditions(readings).find((condition) => condition.unreadable)?.unreadable
  const reason = unreadable(now)
  if (reason !== undefined)
    // For as long as it lasts.
    changes.push(
      error(
        'folder_unreadable',
        `The models folder can’t be read (${reason}): loaded models go on serving, new versions are not found`,
      ),
    )
  else if (unreadable(before) !== undefined && now.answered.length > 0)
    changes.push(info('folder_readable', 'The models folder can be read again'))
  const missing = (readings: Readings) => Math.max(0, ...conditions(readings).map((condition) => condition.missing))
  if (missing(now) > missing(before))
    changes.push(
      error(
        'models_missing',
        `${missing(now)} models vanished from the folder together; they go on serving for a while`,
      ),
    )
  return changes
}

/** Versions that failed, are incompatible, or whose plans could not be stored, and refused tables; once for all. */
export function problemsOf(readings: Readings): Change[] {
  const ofVersions = readings.answered.flatMap(({ condition: { failed, incompatible, unstored } }) => [
    ...failed.map(({ model, version, reason }) => ({
      ...error('version_failed', `Version ${version} of ${model} failed to load: ${reason}`),
      model,
    })),
    ...incompatible.map(({ model, version, reason }) => ({
      ...warning('version_incompatible', `Version ${version} of ${model} answers, and is ${reason}`),
      model,
    })),
    ...unstored.map(({ model, version, reason }) =>
      warning('plan_unstored', `The compiled plan of ${model}/${version} can’t be stored: ${reason}`),
    ),
  ])
  const all = [...ofVersions, ...problemsOfTables(readings)]
  return [...new Map(all.map((change) => [change.text, change])).values()]
}

/** Versions that answer in any process, by model. */
function servingOf({ answered }: Readings): Map<string, Set<string>> {
  const serving = new Map<string, Set<string>>()
  for (const { condition } of answered)
    for (const [model, version] of Object.entries(condition.serving))
      serving.set(model, (serving.get(model) ?? new Set()).add(version))
  return serving
}

/** Pins that changed, once for all processes: each finds out by itself. */
function changesOfPins(before: Readings, now: Readings): Change[] {
  const earlier = new Set(pinsOf(before).map(keyOfPin))
  const added = new Map(pinsOf(now).map((pin) => [keyOfPin(pin), pin]))
  return [...added].flatMap(([key, { model, version, by }]): Change[] => {
    if (earlier.has(key)) return []
    const who = describeAuthor(by)
    return version === undefined
      ? [{ ...info('version_unpinned', `No version of ${model} is pinned any more (${who})`), model, by }]
      : [{ ...info('version_pinned', `Version ${version} of ${model} is pinned (${who})`), model, by }]
  })
}

const pinsOf = ({ answered }: Readings) =>
  answered.flatMap(({ condition: { authors = {} } }) =>
    Object.entries(authors).flatMap(([model, { pin }]) => (pin === undefined ? [] : [{ model, ...pin }])),
  )
const keyOfPin = ({ model, version, by }: ReturnType<typeof pinsOf>[number]) => `${model} ${version} ${by}`

/** The author that `read` finds in any process. */
function authorOf(
  { answered }: Readings,
  model: string,
  read: (authors: ModelAuthors, reading: Reading) => string | undefined,
): string | undefined {
  for (const reading of answered) {
    const { [model]: authors } = reading.condition.authors ?? {}
    const by = authors && read(authors, reading)
    if (by !== undefined) return by
  }
  return undefined
}

const words: Record<string, string> = {
  [byAdministrator]: 'by an administrator without a key',
  [byCommand]: 'by the command pin or unpin',
  [byFile]: 'by a change of the files',
  [bySchedule]: 'by its schedule',
}

/** Who it was, for people. */
const describeAuthor = (by: string): string => (Object.hasOwn(words, by) ? words[by]! : `by the key ${by}`)
