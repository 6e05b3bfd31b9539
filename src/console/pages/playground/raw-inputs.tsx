import { useMemo } from 'preact/hooks'
import { isObject } from '../../../schemas/json.ts'
import { Card } from '../../parts/controls.tsx'
import { milliseconds, number } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Unanswered } from './answers.tsx'
import { Refusal } from './notices.tsx'
import { RequestCode } from './request-code.tsx'
import { exampleInputs } from './state/draw.ts'
import type { Target } from './state/form.ts'
import type { Prediction } from './state/ranking.ts'
import type { Details } from './state/server.ts'
import { usePredict } from './state/use-predict.ts'

const rowsPerPage = 20

interface RawInputsProps {
  target: Target
  details: Details
  inputs: string | undefined
  onInputs(inputs: string): void
}

/** A model without a manifest has no named fields: its tensors are typed as JSON. */
export function RawInputs({ target, details, inputs, onInputs }: RawInputsProps) {
  const tensors = details.inputs ?? []
  const example = useMemo(() => exampleInputs(tensors), [details])
  const text = inputs ?? example
  const read = useMemo(() => parse(text), [text])
  const { model, version } = target
  const body = useMemo(
    () => read.inputs && { model, ...(version === undefined ? {} : { version }), inputs: read.inputs },
    [read, model, version],
  )
  const { answer, error, busy, retryIn } = usePredict(body)
  const problems = error?.problem?.errors ?? []
  return (
    <>
      <p class="notice">
        This model has no manifest, so its fields have no names and its values no meaning that the server knows. It
        takes tensors: an array per input of the graph, with one entry per row.
      </p>
      <Refusal error={problems.length > 0 ? undefined : error} retryIn={retryIn} />
      <div class="cards">
        <Card id="inputs-title" title="Inputs">
          <Table
            label="Inputs of the graph"
            rows={tensors}
            columns={[
              { title: 'Input', heads: true, text: ({ name }) => name },
              { title: 'Type', cell: ({ dtype }) => dtype },
              { title: 'Shape', cell: ({ shape }) => <code>[{['rows', ...shape].join(', ')}]</code> },
            ]}
          />
          <label>
            Inputs as JSON
            <textarea
              rows={14}
              class="mono"
              spellcheck={false}
              dir="ltr"
              value={text}
              aria-invalid={read.problem !== undefined || problems.length > 0}
              aria-describedby="inputs-problem"
              onInput={(event) => onInputs(event.currentTarget.value)}
            />
          </label>
          <div id="inputs-problem" class="problem" aria-live="polite">
            {read.problem}
            {problems.map(({ path, message }) => (
              <p key={path}>
                <code>{path}</code> {message}
              </p>
            ))}
          </div>
        </Card>
        <Card
          id="outputs-title"
          title="Answers"
          status={busy ? 'Asking …' : answer ? `Version ${answer.version} took ${milliseconds(answer.ms)}` : ''}
        >
          {answer ? <Outputs predictions={answer.predictions} /> : <Unanswered busy={busy} />}
        </Card>
      </div>
      {body !== undefined && <RequestCode body={body} fields={[]} inputsOnly />}
    </>
  )
}

/** Names of outputs that are shown: a graph may have hundreds. */
const mostOutputs = 20

function Outputs({ predictions }: { predictions: readonly (Prediction | null)[] }) {
  const { shown, first, pager } = usePages('rows', predictions, rowsPerPage)
  const names = Object.keys(predictions.find((row) => row !== null) ?? {}).slice(0, mostOutputs)
  return (
    <>
      <Table
        label="Answers per row"
        rows={shown}
        columns={[
          { title: 'Row', number: true, heads: true, cell: (_, i) => number(first + i + 1, 9) },
          ...names.map(
            (name): Column<Prediction | null> => ({
              title: <bdi>{name}</bdi>,
              number: true,
              cell: (row) => textOf(row?.[name]),
            }),
          ),
        ]}
      />
      {pager}
    </>
  )
}

/** Characters of a tensor that are shown. */
const longestTensor = 60

function textOf(value: unknown): string {
  if (typeof value === 'number') return number(value, 6)
  const text = JSON.stringify(value) ?? '–'
  return text.length > longestTensor ? `${text.slice(0, longestTensor)} …` : text
}

function parse(text: string): { inputs?: Record<string, unknown>; problem?: string } {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return { inputs: value }
    return { problem: 'It must be an object: an array for the name of each input.' }
  } catch (error) {
    return { problem: `This is not JSON yet: ${(error as Error).message}` }
  }
}
