import { useEffect, useMemo, useState } from 'preact/hooks'
import { Answers } from './answers.tsx'
import { Candidates } from './candidates.tsx'
import { Compare } from './compare.tsx'
import { ContextForm } from './field-input.tsx'
import { Gates } from './gates.tsx'
import { Importance } from './importance.tsx'
import { ProblemList, Refusal } from './notices.tsx'
import { RequestCode } from './request-code.tsx'
import { candidateKey } from './state/entities.ts'
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
import type { Field, Task, Values } from './state/model.ts'
import { type Standing, scoreNames } from './state/ranking.ts'
import { createVocabularies, type Known } from './state/server.ts'
import type { Shared } from './state/state-codec.ts'
import { ranked, useHistory, usePlaceToLookInto, useStandings, useUnknown } from './state/use-history.ts'
import { usePredict } from './state/use-predict.ts'
import { useStored } from './state/use-stored.ts'
import { type Other, WhatMatters } from './what-matters.tsx'

interface EditorProps {
  target: Target
  /** Those of the form, and those of the model without keys. */
  fields: readonly Field[]
  modelFields: readonly Field[]
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
export function Editor(props: EditorProps) {
  const { target, fields, modelFields, tasks, known, others, described, shared, onShared, onAgain } = props
  const { form } = shared
  const by = shared.by !== undefined && scoreNames(tasks).includes(shared.by) ? shared.by : (tasks[0]?.name ?? '')
  const choose = (chosen: number) => onShared({ ...shared, chosen })
  const setForm = (form: Form) => onShared({ ...shared, form })
  const vocabularies = useMemo(() => createVocabularies(target.model, described), [target.model, described])
  useEffect(() => () => vocabularies.close(), [vocabularies])

  const keyName = candidateKey(fields)
  const hasKeys = fields.some(({ keyOf }) => keyOf !== undefined)
  const body = useMemo(() => bodyOf(target, form, optionsFor(tasks, hasKeys)), [target, form, tasks])
  const predicted = usePredict(body, form)
  const { now, before } = useHistory(predicted.answer, predicted.about)
  const { stored, whole, code } = useStored(target, form, by, fields, now)
  const { standings, earlier } = useStandings(now, before, by, tasks)

  const problems: readonly Problem[] =
    predicted.error?.problem?.errors ?? (predicted.error ? [] : (predicted.answer?.errors ?? []))
  const map = useMemo(() => mapProblems(problems), [problems])
  const [place, setPlace] = useState<Place>()
  const [why, setWhy] = useState<{ other: number }>()
  const selectedIndex = usePlaceToLookInto(form, shared.chosen, standings, by)
  const selected = form.candidates[selectedIndex]
  const name = nameAt(form.candidates, selectedIndex, keyName)
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
          candidateName={(index) => nameAt(form.candidates, index, keyName)}
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
          notes={stored.context}
          problems={map.context}
          unknown={unknown}
          vocabularies={vocabularies}
          goTo={place?.part === 'context' ? place : undefined}
          onValues={(context) => setForm({ ...form, context })}
        />
        <div class="stack">
          <Answers
            {...{ tasks, now, standings, by, keyName }}
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
        {...{ form, fields, tasks, standings, vocabularies, stored, setForm }}
        columnFields={places.candidates}
        problems={map.candidates}
        selected={selected?.key}
        goTo={place?.part === 'candidates' ? place : undefined}
        onSelect={choose}
      />
      <Compare
        {...{ target, others, form, whole, now, standings, tasks, by }}
        ownFields={fields}
        against={shared.against}
        onAgainst={(against) => onShared({ ...shared, against })}
      />
      <div class="cards">
        <WhatMatters
          {...{ target, tasks, by, name, why }}
          fields={modelFields}
          reference={known.reference}
          values={isAnswerable ? rowOf(whole, selectedIndex) : undefined}
          others={othersOf({ form, whole, keyName }, selected, standings)}
        />
        <Importance {...{ target, tasks, known, by }} fields={modelFields} />
      </div>
      <RequestCode {...code} fields={fields} />
    </>
  )
}

/** All values of a candidate, those of the context among them. */
function rowOf({ context, candidates }: Form, index: number): Values | undefined {
  const candidate = candidates[index]
  return candidate && { ...context, ...candidate.values }
}

/**
 * The candidates beside the selected one, best first; those without an answer are left out. `whole`: the form with the
 * values of tables.
 */
function othersOf(
  { form, whole, keyName }: { form: Form; whole: Form; keyName: string | undefined },
  selected: Candidate | undefined,
  standings: ReadonlyMap<number, Standing>,
): Other[] {
  const valuesOf = new Map(whole.candidates.map(({ key, values }) => [key, values]))
  return ranked(form.candidates, standings, keyName).flatMap(({ key, name, standing }): Other[] => {
    const { rank, prediction } = standing ?? {}
    if (key === selected?.key || rank === undefined || !prediction) return []
    return [{ key, name, values: { ...whole.context, ...valuesOf.get(key) }, rank, prediction }]
  })
}
