import { useMemo, useState } from 'preact/hooks'
import { Scroll } from '../../parts/controls.tsx'
import { milliseconds, number } from '../../parts/format.ts'
import { Pager, pageOf, pageWithin } from '../../parts/pager.tsx'
import { Empty, Loading } from '../../parts/states.tsx'
import { Refusal } from './notices.tsx'
import { RequestCode } from './request-code.tsx'
import { exampleInputs, type TensorShape } from './state/draw.ts'
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
        <section class="card" aria-labelledby="inputs-title">
          <h2 id="inputs-title">Inputs</h2>
          <Shapes tensors={tensors} />
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
        </section>
        <section class="card" aria-labelledby="outputs-title">
          <header>
            <h2 id="outputs-title">Answers</h2>
            <span class="small muted" role="status">
              {busy ? 'Asking …' : answer ? `Version ${answer.version} took ${milliseconds(answer.ms)}` : ''}
            </span>
          </header>
          {answer ? (
            <Outputs predictions={answer.predictions} />
          ) : busy ? (
            <Loading what="answers" />
          ) : (
            <Empty title="No answer yet" />
          )}
        </section>
      </div>
      {body !== undefined && <RequestCode body={body} fields={[]} inputsOnly />}
    </>
  )
}

function Shapes({ tensors }: { tensors: readonly TensorShape[] }) {
  return (
    <Scroll label="Inputs of the graph">
      <table>
        <thead>
          <tr>
            <th>Input</th>
            <th>Type</th>
            <th>Shape</th>
          </tr>
        </thead>
        <tbody>
          {tensors.map(({ name, dtype, shape }) => (
            <tr key={name}>
              <th scope="row">
                <bdi>{name}</bdi>
              </th>
              <td>{dtype}</td>
              <td>
                <code>[{['rows', ...shape].join(', ')}]</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

/** Names of outputs that are shown: a graph may have hundreds. */
const mostOutputs = 20

function Outputs({ predictions }: { predictions: readonly (Prediction | null)[] }) {
  const [page, setPage] = useState(0)
  const first = pageWithin(page, rowsPerPage, predictions.length) * rowsPerPage
  const names = Object.keys(predictions.find((row) => row !== null) ?? {}).slice(0, mostOutputs)
  return (
    <>
      <Scroll label="Answers per row">
        <table>
          <thead>
            <tr>
              <th class="number">Row</th>
              {names.map((name) => (
                <th key={name} class="number">
                  <bdi>{name}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {pageOf(predictions, page, rowsPerPage).map((row, i) => (
              <tr key={i}>
                <th scope="row" class="number">
                  {number(first + i + 1, 9)}
                </th>
                {names.map((name) => (
                  <td key={name} class="number">
                    {shown(row?.[name])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <Pager what="rows" page={page} size={rowsPerPage} total={predictions.length} onPage={setPage} />
    </>
  )
}

/** Characters of a tensor that are shown. */
const longestTensor = 60

function shown(value: unknown): string {
  if (typeof value === 'number') return number(value, 6)
  const text = JSON.stringify(value) ?? '–'
  return text.length > longestTensor ? `${text.slice(0, longestTensor)} …` : text
}

function parse(text: string): { inputs?: Record<string, unknown>; problem?: string } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { inputs: value as Record<string, unknown> }
    return { problem: 'It must be an object: an array for the name of each input.' }
  } catch (error) {
    return { problem: `This is not JSON yet: ${(error as Error).message}` }
  }
}
