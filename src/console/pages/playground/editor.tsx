import { useEffect, useMemo, useState } from 'preact/hooks'
import { Answers } from './answers.tsx'
import { Candidates } from './candidates.tsx'
import { Compare } from './compare.tsx'
import { ContextForm } from './field-input.tsx'
import { Gates } from './gates.tsx'
import { Importance } from './importance.tsx'
import { ProblemList, Refusal } from './notices.tsx'
import { RequestCode } from './request-code.tsx'
import {
  bodyOf,
  type Candidate,
  type Form,
  mapProblems,
  nameAt,
  optionsFor,
  type Place,
  type Problem,
  placeOf,
  placesOf,
  type Target,
} from './state/form.ts'
import type { Field, Task } from './state/model.ts'
import { ecpm, type Standing, scoreNames } from './state/ranking.ts'
import { createVocabularies, type Known } from './state/server.ts'
import type { Shared } from './state/state-codec.ts'
import { ranked, useHistory, usePlaceToLookInto, useStandings, useUnknown } from './state/use-history.ts'
import { usePredict } from './state/use-predict.ts'
import { type Other, WhatMatters } from './what-matters.tsx'

interface EditorProps {
  target: Target
  fields: readonly Field[]
  tasks: readonly Task[]
  known: Known
  others: readonly string[]
  /** The version that `fields` and `tasks` describe. */
  described: string
  shared: Shared
  onShared(shared: Shared): void
  /** Describes the model again. */
  onAgain(): void
}

/** A request to edit, and its answers. */
export function Editor({ target, fields, tasks, known, others, described, shared, onShared, onAgain }: EditorProps) {
  const { form } = shared
  const by = shared.by !== undefined && scoreNames(tasks).includes(shared.by) ? shared.by : (tasks[0]?.name ?? '')
  const choose = (chosen: number) => onShared({ ...shared, chosen })
  const setForm = (form: Form) => onShared({ ...shared, form })
  const vocabularies = useMemo(() => createVocabularies(target.model, described), [target.model, described])
  useEffect(() => () => vocabularies.close(), [vocabularies])

  const body = useMemo(() => bodyOf(target, form, optionsFor(tasks)), [target, form, tasks])
  // The server ranks by ecpm alone: other orders are a sort of the answer.
  const plainBody = useMemo(() => bodyOf(target, form, by === ecpm ? { rank: { by } } : {}), [target, form, by])
  const predicted = usePredict(body, form)
  const { now, before } = useHistory(predicted.answer, predicted.about)
  const { standings, earlier } = useStandings(now, before, by, tasks)

  const problems: readonly Problem[] =
    predicted.error?.problem?.errors ?? (predicted.error ? [] : (predicted.answer?.errors ?? []))
  const map = useMemo(() => mapProblems(problems), [problems])
  const [place, setPlace] = useState<Place>()
  const [why, setWhy] = useState<{ other: number }>()
  const selectedIndex = usePlaceToLookInto(form, shared.chosen, standings, by)
  const selected = form.candidates[selectedIndex]
  const name = nameAt(form.candidates, selectedIndex)
  const isAnswerable = map.context.size === 0 && !map.candidates.has(selectedIndex)
  const single = useMemo(
    () =>
      isAnswerable && selected !== undefined
        ? bodyOf(target, { ...form, candidates: [selected] }, { gates: true })
        : undefined,
    [target, form.context, selected, isAnswerable],
  )
  const unknown = useUnknown(now)
  const places = placesOf(fields, form.moved)

  return (
    <>
      <div class="notices">
        <Refusal error={problems.length > 0 ? undefined : predicted.error} retryIn={predicted.retryIn} />
        <ProblemList
          problems={problems}
          candidateName={(index) => nameAt(form.candidates, index)}
          // A new object each time: the reader may go to the same field again.
          onGo={({ path }) => setPlace(placeOf(path))}
        />
      </div>
      {now !== undefined && now.answer.version !== described && (
        <p class="notice row">
          Version {now.answer.version} answers by now; the form is that of version {described}.
          <button type="button" onClick={onAgain}>
            Take its form
          </button>
        </p>
      )}
      <div class="playground">
        <ContextForm
          fields={fields}
          shown={places.context}
          context={form.context}
          problems={map.context}
          unknown={unknown}
          vocabularies={vocabularies}
          goTo={place?.part === 'context' ? place : undefined}
          onValues={(context) => setForm({ ...form, context })}
        />
        <div class="stack">
          <Answers
            {...{ tasks, now, standings, by }}
            before={earlier}
            busy={predicted.busy}
            isOld={predicted.error !== undefined}
            selected={selected?.key}
            onBy={(by) => onShared({ ...shared, by })}
            onSelect={choose}
            onWhy={(first, other) => {
              choose(first)
              setWhy({ other })
            }}
          />
          <Gates tasks={tasks} body={single} name={name} />
        </div>
      </div>
      <Candidates
        {...{ form, fields, tasks, standings, vocabularies, setForm }}
        columnFields={places.candidates}
        problems={map.candidates}
        selected={selected?.key}
        goTo={place?.part === 'candidates' ? place : undefined}
        onSelect={choose}
      />
      <Compare
        {...{ target, others, form, now, standings, tasks, by }}
        against={shared.against}
        onAgainst={(against) => onShared({ ...shared, against })}
      />
      <div class="cards">
        <WhatMatters
          {...{ target, fields, tasks, by, name, why }}
          reference={known.reference}
          values={isAnswerable && selected !== undefined ? { ...form.context, ...selected.values } : undefined}
          others={othersOf(form, selected, standings)}
        />
        <Importance {...{ target, fields, tasks, known, by }} />
      </div>
      <RequestCode body={plainBody} fields={fields} />
    </>
  )
}

/** The candidates beside the selected one, best first; those without an answer are left out. */
function othersOf(form: Form, selected: Candidate | undefined, standings: ReadonlyMap<number, Standing>): Other[] {
  return ranked(form.candidates, standings).flatMap(({ key, name, values, standing }): Other[] => {
    const { rank, prediction } = standing ?? {}
    if (key === selected?.key || rank === undefined || !prediction) return []
    return [{ key, name, values: { ...form.context, ...values }, rank, prediction }]
  })
}
