import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { AskError } from '../../../api/client.ts'
import { type Asked, useAsk } from '../../../api/use-ask.ts'
import type { PredictBody } from './form.ts'
import type { Prediction } from './ranking.ts'
import type { Replacement } from './replace.ts'
import { type Answer, predict } from './server.ts'

export interface Predicted<About> extends Pick<Asked<unknown>, 'error' | 'retryIn'> {
  /** The last that succeeded. */
  answer: Answer | undefined
  /** The subject of the answer. */
  about: About | undefined
  /** The newest body is asked, or about to be: `answer` and `error` are those of an earlier one. */
  busy: boolean
}

/** Somebody who types is not answered letter by letter, and a server under load not asked immediately. */
const patience = { quiet: 150, retry: [2, 16] } as const

/**
 * The answer to a body, asked again whenever that changes: the newest request wins. Undefined asks for nothing.
 * `about`: what the body asks about, given back with its answer, which may come when it is another by now.
 */
export function usePredict<About>(
  body: PredictBody | Record<string, unknown> | undefined,
  about?: About,
): Predicted<About> {
  // Thousands of candidates are long: once per body, not per rendering.
  const text = useMemo(() => (body === undefined ? undefined : JSON.stringify(body)), [body])
  const newest = useRef({ body, about })
  newest.current = { body, about }
  const asking = async (signal: AbortSignal) => {
    const { body, about } = newest.current
    return { answer: await predict(body!, signal), about }
  }
  const { data, error, retryIn, loading } = useAsk(text === undefined ? undefined : asking, [text], patience)
  return { answer: data?.answer, about: data?.about, error, retryIn, busy: loading }
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
