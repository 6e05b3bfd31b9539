import { useMemo, useState } from 'preact/hooks'
import { askDetails } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { ReadChips } from '../../parts/chips.tsx'
import { Pairs } from '../../parts/controls.tsx'
import { number } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Count, chipOf } from '../playground/list-fates.tsx'
import { bodyOf, type Candidate, candidatesOf, nameOf, optionsFor } from '../playground/state/form.ts'
import { fatesOf, sequenceOf, type Unknown, unknownIn, weightsOf } from '../playground/state/lists.ts'
import { type Field, isItem, itemsOf, textOfValue, type Values, valueAt } from '../playground/state/model.ts'
import type { Prediction } from '../playground/state/ranking.ts'
import { type Predicted, usePredict } from '../playground/state/use-predict.ts'
import { type BodyValues, describeVector, namesOf, valuesOfBody } from './body-values.ts'
import type { RequestRecord } from './stages.ts'

/** Candidates and columns side by side: a page is as wide as a part of the screen. */
const rowsPerPage = 10
const columnsPerPage = 6

/** Values that are shown at each end of a long list. */
const ends = 3
const endsInCell = 2

interface ShownValuesProps {
  record: RequestRecord
  values: BodyValues
  /** Whether the model may be asked the same again. */
  canAsk: boolean
}

/** The context and the candidates of a request; on demand, which of their values the model does not take. */
export function ShownValues({ record, values: given, canAsk }: ShownValuesProps) {
  const { model, version } = record
  const [isAsked, setIsAsked] = useState(false)
  const { data: details, error: unread } = useAsk(model === undefined ? undefined : () => askDetails(model, version), [
    model,
    version,
  ])
  const { fields = [], tasks = [] } = details ?? {}
  const keyName = details?.entities?.find(({ side }) => side === 'candidate')?.key
  const values = useMemo(() => valuesOfBody(record, keyName) ?? given, [record, given, keyName])
  const candidates = useMemo(() => candidatesOf(values.candidates), [values])
  const body = useMemo(() => {
    if (!isAsked || model === undefined) return undefined
    return bodyOf({ model, version }, { context: values.context, candidates, moved: [] }, optionsFor(tasks))
  }, [isAsked, details, values])
  const { answer, error, busy } = usePredict(body)
  const predictions = answer?.predictions ?? []
  // Each answer has what is unknown of the context; a candidate with a problem has no answer.
  const unknownOf = (row: Values, prediction: Prediction | null | undefined) =>
    prediction ? unknownIn(row, prediction) : undefined
  const answered = predictions.find((prediction) => prediction !== null)
  const contextNames = namesOf([values.context], fields)
  return (
    <>
      {canAsk && details !== undefined && (
        <div class="actions">
          <button type="button" onClick={() => setIsAsked(!isAsked)}>
            {isAsked ? 'Remove the marks' : 'Mark unknown and cut values'}
          </button>
          <span class="small muted" role="status">
            {!isAsked ? 'This asks the model once more.' : statusOf({ answer, error, busy })}
          </span>
        </div>
      )}
      {contextNames.length > 0 && (
        <>
          <h4>Context</h4>
          <Pairs
            rows={contextNames.map((name) => [
              name,
              <ShownValue
                key={name}
                {...{ fields, name, ends }}
                values={values.context}
                unknown={unknownOf(values.context, answered)}
              />,
            ])}
          />
        </>
      )}
      <Candidates
        {...{ fields, candidates, keyName }}
        unknownOf={(place) => unknownOf(values.candidates[place]!, predictions[place])}
      />
      {unread !== undefined && <p class="small muted">What its fields take can’t be read: {unread.message}.</p>}
    </>
  )
}

function statusOf({ answer, error, busy }: Pick<Predicted<unknown>, 'answer' | 'error' | 'busy'>): string {
  if (busy) return 'Asking …'
  if (error !== undefined) return `Nothing is marked: ${error.message}`
  if (answer === undefined) return ''
  const bad = answer.predictions.filter((prediction) => prediction === null).length
  const unmarked = bad === 0 ? '' : ` Candidates with problems are not marked: ${number(bad, 9)}.`
  return `Marked as version ${answer.version} takes them now.${unmarked}`
}

interface CandidatesProps {
  fields: readonly Field[]
  candidates: readonly Candidate[]
  keyName: string | undefined
  /** The unknown values of the candidate in this place. */
  unknownOf(place: number): Unknown | undefined
}

/** The candidates, some rows and columns at a time. */
function Candidates({ fields, candidates, keyName, unknownOf }: CandidatesProps) {
  const all = candidates.map(({ values }) => values)
  const names = namesOf(all, fields).filter((name) => name !== 'id')
  const rows = usePages('candidates', candidates, rowsPerPage)
  const columns = usePages('columns', names, columnsPerPage)
  if (all.every((values) => Object.keys(values).length === 0)) return null
  const nameAt = (i: number) => nameOf(rows.shown[i]!, rows.first + i, keyName)
  return (
    <>
      <h4>Candidates</h4>
      {columns.pager}
      <Table
        label="Table of candidates"
        rows={rows.shown}
        rowKey={({ key }) => key}
        columns={[
          { title: 'Candidate', heads: true, cell: (_, i) => <bdi>{nameAt(i)}</bdi> },
          ...columns.shown.map(
            (name): Column<Candidate> => ({
              key: name,
              title: <bdi>{name}</bdi>,
              class: 'given',
              cell: ({ values }, i) => (
                <ShownValue
                  {...{ fields, name, values }}
                  label={`${name} of ${nameAt(i)}`}
                  ends={endsInCell}
                  unknown={unknownOf(rows.first + i)}
                />
              ),
            }),
          ),
        ]}
      />
      {rows.pager}
    </>
  )
}

interface ShownValueProps {
  fields: readonly Field[]
  name: string
  /** Names the value for readers of a screen; default: the field. */
  label?: string
  /** Those of the context, or of the candidate. */
  values: Values
  /** Undefined where the model has not been asked, or gave no answer: nothing is marked. */
  unknown: Unknown | undefined
  /** Values that are shown at each end of a long list. */
  ends: number
}

/** A value of a request: a list as chips, a vector in a few words. */
function ShownValue({ fields, name, label = name, values, unknown, ends }: ShownValueProps) {
  const field = fields.find((one) => one.name === name)
  const value = valueAt(values, name)
  const items = itemsOf(value)
  if (value === undefined) return <span class="muted">–</span>
  if (isItem(value)) {
    const isUnknown = unknown?.get(name)?.has(value) ?? false
    return isUnknown ? <ReadChips name={label} chips={[chipOf(value, 'unknown')]} ends={1} /> : <bdi>{value}</bdi>
  }
  if (field?.length !== undefined) return <span class="vector">{describeVector(items)}</span>
  const fates = field && unknown ? fatesOf(field, values, sequenceOf(field, fields), unknown) : undefined
  const weights = 'weights' in value ? weightsOf(value) : []
  const chips = items.map((item, at) => ({
    ...chipOf(item, fates?.of[at]),
    ...(weights[at] !== undefined && { weight: textOfValue(weights[at]) }),
  }))
  return (
    <div class="list-input">
      <ReadChips name={label} chips={chips} ends={ends} />
      <p class="small muted">
        {field?.list !== undefined && fates !== undefined ? (
          <Count field={field} fates={fates} />
        ) : (
          lengthOf(items.length, field?.list?.max)
        )}
      </p>
    </div>
  )
}

/** How many values a list has, and how many of them count at most. */
function lengthOf(length: number, max: number | undefined): string {
  if (length === 0) return 'an empty list'
  const count = length === 1 ? '1 value' : `${number(length, 9)} values`
  return max !== undefined && length > max ? `${count}, of which at most ${number(max, 9)} count` : count
}
