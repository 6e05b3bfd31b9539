import Type, { type Static } from 'typebox'
import { excerptOf } from '../model/base/address-credentials.ts'
import { reasonOf } from '../model/base/errors.ts'
import { check } from '../schemas/check.ts'
import { LiveModel, LiveProcess, LiveSample } from '../schemas/live.ts'
import type { ProblemItem } from '../schemas/problem.ts'

/** The parts of a `sample` event that are shown; others may be of a newer release. */
const Shown = Type.Object({
  fine: Type.Array(LiveSample),
  models: Type.Array(LiveModel),
  processes: Type.Array(LiveProcess),
})
export type ShownUpdate = Static<typeof Shown>

/** Reads the data of a `sample` event, or says why it can't be read. */
export function readUpdate(data: string): { update: ShownUpdate } | { unreadable: string } {
  const problems: ProblemItem[] = []
  try {
    const update = check(Shown, JSON.parse(data), '', problems) as ShownUpdate
    const [first] = problems
    if (first === undefined) return { update }
    return { unreadable: printable(`${first.path || 'the event'} ${first.message}`) }
  } catch (error) {
    return { unreadable: printable(reasonOf(error)) }
  }
}

/** Text of a service moves no cursor. */
function printable(text: string): string {
  return excerptOf(text.replace(/\p{C}/gu, ' '), 200)
}
