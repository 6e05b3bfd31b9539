import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Candidate, type Form, nameOf } from './form.ts'
import { type Unknown, unknownIn } from './lists.ts'
import { valueAt } from './model.ts'
import { type Prediction, placeToLookInto, ranksOf, type Standing, scoreOf } from './ranking.ts'
import type { Answer } from './server.ts'

/** A form and what it was answered. */
export interface Answered {
  form: Form
  answer: Answer
  /** By the key of the candidate. */
  predictions: ReadonlyMap<number, Prediction | null>
}

/** The last answer, and that before the last edit. */
export interface History {
  now: Answered | undefined
  before: Answered | undefined
}

/** An answer to the form whose candidates it lists in the same order. */
export function answeredBy(answer: Answer, form: Form): Answered {
  return {
    form,
    answer,
    predictions: new Map(form.candidates.map(({ key }, i) => [key, answer.predictions[i] ?? null])),
  }
}

/** Remembers an answer back. Candidates in another order are no edit. */
export function useHistory(answer: Answer | undefined, form: Form | undefined): History {
  const [history, setHistory] = useState<History>({ now: undefined, before: undefined })

  // A form is remembered with its answer alone. Before the page is drawn: what else it says of the answer is of the
  // same one.
  useLayoutEffect(() => {
    if (answer === undefined || form === undefined) return
    const now = answeredBy(answer, form)
    setHistory((earlier) => ({
      now,
      before: earlier.now !== undefined && isSame(earlier.now.form, form) ? earlier.before : earlier.now,
    }))
  }, [answer])

  return history
}

/** The values of the context that the model doesn't know: those are unknown in all candidates. */
export function useUnknown(now: Answered | undefined): Unknown {
  return useMemo(() => {
    const first = now?.answer.predictions.find((one) => one !== null)
    return unknownIn(now?.form.context ?? {}, first)
  }, [now])
}

type Tasks = Parameters<typeof standingsOf>[2]

/**
 * Ranks and predictions, now and before the last edit. The reader may choose another order in between, which is no
 * movement.
 */
export function useStandings(now: Answered | undefined, before: Answered | undefined, by: string, tasks: Tasks) {
  const ordered = useRef({ now, by })
  if (ordered.current.now !== now) ordered.current = { now, by }
  const former = ordered.current.by === by ? before : undefined
  return {
    standings: useMemo(() => standingsOf(now, by, tasks), [now, by, tasks]),
    earlier: useMemo(() => standingsOf(former, by, tasks), [former, by, tasks]),
  }
}

/**
 * The place of the candidate to look into: the best one of the first answer in this order, until the reader chooses. An
 * edit that changes the ranks shows what it does to the same candidate.
 */
export function usePlaceToLookInto(
  { candidates }: Form,
  chosen: number | undefined,
  standings: ReadonlyMap<number, Standing>,
  by: string,
): number {
  const looked = useRef<{ by: string; key: number | undefined }>({ by, key: undefined })
  if (looked.current.by !== by) looked.current = { by, key: undefined }
  const { key } = looked.current
  // One with a problem has no answer.
  const isAnswered = key !== undefined && standings.get(key)?.rank !== undefined
  const place = placeToLookInto(candidates, chosen ?? (isAnswered ? key : undefined), standings)
  if (standings.size > 0) looked.current.key = candidates[place]?.key
  return place
}

/** Ranks and predictions by the key of the candidate. */
export function standingsOf(
  answered: Answered | undefined,
  by: string,
  tasks: readonly { name: string; product?: string[] | undefined }[],
): Map<number, Standing> {
  if (answered === undefined) return new Map()
  const { form, predictions } = answered
  const scores = form.candidates.map(({ key, values }) =>
    scoreOf(predictions.get(key), valueAt(values, 'bid'), by, tasks),
  )
  const ranks = ranksOf(scores)
  return new Map(
    form.candidates.map(({ key, values }, i) => [
      key,
      { rank: ranks[i], score: scores[i], prediction: predictions.get(key) ?? null, values },
    ]),
  )
}

/** A candidate with its name and its answer. */
export interface Ranked extends Candidate {
  name: string
  standing: Standing | undefined
}

/** Best first; those without a rank last, as the request has them. `keyName`: that of candidates in a table. */
export function ranked(
  candidates: readonly Candidate[],
  standings: ReadonlyMap<number, Standing>,
  keyName?: string,
): Ranked[] {
  const rankOf = ({ standing }: Ranked) => standing?.rank ?? candidates.length + 1
  return candidates
    .map((candidate, i) => ({
      ...candidate,
      name: nameOf(candidate, i, keyName),
      standing: standings.get(candidate.key),
    }))
    .sort((a, b) => rankOf(a) - rankOf(b))
}

/** Values are replaced, never changed: the same objects are the same values. */
function isSame(a: Form, b: Form): boolean {
  if (a.context !== b.context || a.candidates.length !== b.candidates.length) return false
  const earlier = new Map(a.candidates.map(({ key, values }) => [key, values]))
  return b.candidates.every(({ key, values }) => earlier.get(key) === values)
}
