import type { ComponentChildren } from 'preact'
import type { AskError, Schemas } from '../../api/client.ts'
import { Select } from '../../parts/controls.tsx'
import { number } from '../../parts/format.ts'
import { messageOf, type Problem, placeOf, type Target } from './state/form.ts'

/** Problems that are listed: more would bury the page. */
const mostListed = 8

/** The problems of the request, on top, each with a way to its field. */
export function ProblemList({
  problems,
  candidateName,
  onGo,
}: {
  problems: readonly Problem[]
  candidateName(index: number): string
  onGo(problem: Problem): void
}) {
  const isWhole = problems.some(({ path }) => placeOf(path)?.part !== 'candidates')
  return (
    <section aria-label="Problems" aria-live="polite">
      {problems.length > 0 && (
        <div class="notice bad problems">
          <strong>
            {problems.length === 1 ? 'One problem' : `${number(problems.length, 9)} problems`}.{' '}
            {isWhole
              ? `Nothing is answered until ${problems.length === 1 ? 'it is' : 'they are'} solved.`
              : 'Candidates without a problem are answered.'}
          </strong>
          <ul>
            {problems.slice(0, mostListed).map((problem) => (
              <li key={problem.path}>
                {placeOf(problem.path) === undefined ? (
                  <code>{problem.path}</code>
                ) : (
                  <button type="button" class="link" onClick={() => onGo(problem)}>
                    <bdi>{titleOf(problem, candidateName)}</bdi>
                  </button>
                )}{' '}
                {messageOf(problem)}
              </li>
            ))}
          </ul>
          {problems.length > mostListed && <p>{number(problems.length - mostListed, 9)} more</p>}
        </div>
      )}
    </section>
  )
}

function titleOf({ path }: Problem, candidateName: (index: number) => string): string {
  const place = placeOf(path)
  if (place === undefined) return path
  if (place.part === 'context') return place.field
  const name = candidateName(place.index)
  return place.field === undefined ? name : `${place.field} of ${name}`
}

/** Why there is no answer, where no field is to blame. */
export function Refusal({ error, retryIn }: { error: AskError | undefined; retryIn: number | undefined }) {
  return (
    <div aria-live="polite">
      {error !== undefined && (
        <div class={retryIn === undefined ? 'notice bad' : 'notice warning'}>
          <strong>{titleOfRefusal(error)}</strong>
          <p>{error.message}</p>
          {error.problem?.code === 'QUEUE_FULL' && (
            <p>
              The console’s requests are admitted last, so that they take no capacity from others. The answers below are
              older.
            </p>
          )}
          {retryIn !== undefined && <p>The page asks again by itself in {retryIn} seconds.</p>}
        </div>
      )}
    </div>
  )
}

function titleOfRefusal({ status, problem }: AskError): string {
  if (status === 0) return 'No answer'
  if (problem?.code === 'QUEUE_FULL') return 'The server is busy'
  return problem?.title ?? 'That failed'
}

type ModelStatus = Schemas['ModelStatus']

interface HeadingProps {
  models: readonly ModelStatus[]
  target: Target
  onTarget(target: Target): void
  children?: ComponentChildren
}

/** Chooses the model and the version. */
export function Heading({ models, target, onTarget, children }: HeadingProps) {
  const model = models.find(({ name }) => name === target.model)
  const versions = answering(model)
  return (
    <>
      <div class="heading">
        <h1>Playground</h1>
        {children}
      </div>
      <p class="muted">
        Ask a model what you like, change a value, and see what its answers do. Nothing you type is stored on the
        server.
      </p>
      <div class="targets">
        <Select
          label="Model"
          value={target.model}
          options={[...(model === undefined ? [target.model] : []), ...models.map(({ name }) => name)]}
          onChange={(chosen) => onTarget({ model: chosen })}
        />
        {(versions.length > 1 || target.version !== undefined) && (
          <Select
            label="Version"
            value={target.version ?? ''}
            options={[
              ['', `default (${model?.default_version ?? 'none'})`],
              ...(target.version !== undefined && !versions.includes(target.version) ? [target.version] : []),
              ...versions,
            ]}
            onChange={(version) => onTarget({ model: target.model, version: version || undefined })}
          />
        )}
      </div>
    </>
  )
}

/** Versions that answer. */
export function answering(model: ModelStatus | undefined): string[] {
  return model?.versions.filter(({ state }) => state === 'ready').map(({ version }) => version) ?? []
}
