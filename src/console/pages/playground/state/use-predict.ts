import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { AskError, key } from '../../../api/client.ts'
import type { PredictBody } from './form.ts'
import type { Prediction } from './ranking.ts'
import type { Replacement } from './replace.ts'
import { type Answer, predict } from './server.ts'

export interface Predicted<About> {
  /** The last that succeeded. */
  answer: Answer | undefined
  /** The subject of the answer. */
  about: About | undefined
  /** Why the newest body has no answer. */
  error: AskError | undefined
  /** The newest body is asked, or about to be: `answer` and `error` are those of an earlier one. */
  busy: boolean
  /** Seconds after which it is asked again by itself; undefined where it is not. */
  retryIn: number | undefined
}

/** So long nothing may change before it is asked, ms: somebody who types is not answered letter by letter. */
const quiet = 150

/** Seconds until a refused or failed request is sent again: each time twice as many, up to the last. */
const firstRetry = 2
const lastRetry = 16

/** Refusals that pass by themselves. */
const passing = new Set<unknown>([0, 429, 503, 504])

interface State<About> extends Omit<Predicted<About>, 'busy'> {
  /** The body whose answer, or error, came last. */
  text: string | undefined
  isAsking: boolean
}

const nothing = {
  answer: undefined,
  about: undefined,
  error: undefined,
  text: undefined,
  isAsking: false,
  retryIn: undefined,
}

/**
 * The answer to a body, asked again whenever that changes: the newest request wins, earlier ones are aborted. Undefined
 * asks for nothing. `about`: what the body asks about, given back with its answer, which may come when it is another by
 * now.
 */
export function usePredict<About>(
  body: PredictBody | Record<string, unknown> | undefined,
  about?: About,
): Predicted<About> {
  const [state, setState] = useState<State<About>>(nothing)
  // Thousands of candidates are long: once per body, not per rendering.
  const text = useMemo(() => (body === undefined ? undefined : JSON.stringify(body)), [body])
  const presented = key.value
  const newest = useRef({ body, about })
  newest.current = { body, about }

  useEffect(() => {
    if (text === undefined) {
      setState(nothing)
      return
    }
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    let retry = firstRetry
    const run = async () => {
      const { body, about } = newest.current
      setState((before) => ({ ...before, isAsking: true }))
      try {
        const answer = await predict(body!, controller.signal)
        if (!controller.signal.aborted)
          setState({ answer, about, error: undefined, text, isAsking: false, retryIn: undefined })
      } catch (error) {
        if (controller.signal.aborted) return
        const asked = AskError.of(error)
        const retryIn = passing.has(asked.status) ? retry : undefined
        setState((before) => ({ ...before, error: asked, text, isAsking: false, retryIn }))
        if (retryIn === undefined) return
        timer = setTimeout(run, 1000 * retryIn)
        retry = Math.min(2 * retry, lastRetry)
      }
    }
    timer = setTimeout(run, quiet)
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [text, presented])

  // From the rendering of a new body on, not only once it is sent.
  return { ...state, busy: text !== undefined && (state.isAsking || state.text !== text) }
}

/** The answers to a plan, by request. */
export interface Outcome {
  plan: Replacement
  predictions: (Prediction | null)[][]
}

interface Replaced {
  outcomes?: Outcome[]
  error?: AskError
  busy: boolean
  /** There were outcomes, of other values. */
  isStale?: boolean | undefined
}

/**
 * Asks plans when the reader wants it, one after the other. `content`: what they are about; another one makes answers
 * stale.
 */
export function useReplaced(content: string): Replaced & { run(plans: readonly Replacement[]): Promise<void> } {
  const [state, setState] = useState<Replaced>({ busy: false })
  const running = useRef<AbortController | undefined>(undefined)

  // Before the page is drawn, so before the reader can ask about the new content.
  useLayoutEffect(() => {
    setState(({ outcomes, isStale }) => ({ busy: false, isStale: outcomes !== undefined || isStale }))
    return () => running.current?.abort()
  }, [content])

  const run = async (plans: readonly Replacement[]) => {
    const controller = new AbortController()
    running.current?.abort()
    running.current = controller
    setState({ busy: true })
    try {
      const outcomes: Outcome[] = []
      for (const plan of plans) {
        const predictions: Outcome['predictions'] = []
        for (const { body } of plan.requests) predictions.push((await predict(body, controller.signal)).predictions)
        outcomes.push({ plan, predictions })
      }
      if (!controller.signal.aborted) setState({ outcomes, busy: false })
    } catch (error) {
      if (controller.signal.aborted) return
      setState({ error: AskError.of(error), busy: false })
    }
  }

  return { ...state, run }
}
