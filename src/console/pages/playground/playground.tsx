import { useEffect, useState } from 'preact/hooks'
import { askModels, askVersion, type Schemas } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { hrefOf, type Route, replaceAddress } from '../../base/router.ts'
import { Empty, Pending } from '../../parts/states.tsx'
import { Editor } from './editor.tsx'
import { answering, Heading } from './notices.tsx'
import { RawInputs } from './raw-inputs.tsx'
import { CopyButton } from './request-code.tsx'
import { drawForm } from './state/draw.ts'
import { byKeys, withKeys } from './state/entities.ts'
import { firstModel } from './state/first-model.ts'
import { type First, firstShared } from './state/first-shared.ts'
import { nextKey, type Target } from './state/form.ts'
import type { Entity, Field, Task } from './state/model.ts'
import { type Details, type Known, loadKnown, nothingKnown } from './state/server.ts'
import { encodeShared, longestState, type Shared } from './state/state-codec.ts'

/** Seconds between two looks at which versions answer. */
const lookSeconds = 15

/** Asks a model, with values that the reader edits. */
export function PlaygroundPage({ route }: { route: Route }) {
  const { data, error, again } = useAsk(askModels, [], { everySeconds: lookSeconds })
  if (data === undefined)
    return (
      <div class="page">
        <h1>Playground</h1>
        <Pending what="models" error={error} again={again} />
      </div>
    )
  const { models } = data
  const [named, version] = route.path
  const model = named ?? firstModel(models.map((one) => ({ ...one, answers: answering(one).length > 0 })))
  if (model === undefined)
    return (
      <div class="page">
        <h1>Playground</h1>
        <Empty title="No model answers yet">
          <p>Put one into the models folder; the page looks again by itself.</p>
        </Empty>
      </div>
    )
  return <Loaded models={models} target={{ model, version }} route={route} />
}

interface LoadedProps {
  models: Schemas['ModelList']['models']
  target: Target
  route: Route
}

interface Begun extends First {
  details: Details
  /** Its fields, and the keys of its entities. */
  formFields: readonly Field[]
  known: Known
  /** Where it began: another address begins again. */
  route: Route
  /** When, ms: each begins with an empty history. */
  at: number
}

/** Describes the model, and reads the address. */
function Loaded({ models, target, route }: LoadedProps) {
  const { model, version } = target
  const asked = useAsk(() => begin(target, route), [model, version, route])
  const [shared, setShared] = useState<Shared>()
  const begun = asked.data?.route === route ? asked.data : undefined

  useEffect(() => setShared(undefined), [route])

  const heading = (children?: preact.ComponentChildren) => (
    <Heading
      models={models}
      target={target}
      onTarget={(next) => goTo(next, keepCompared(shared ?? begun?.shared, next, target, models))}
    >
      {children}
    </Heading>
  )
  if (begun === undefined)
    return (
      <div class="page">
        {heading()}
        <Pending what={model} error={asked.loading ? undefined : asked.error} again={asked.again} />
      </div>
    )
  const { details, known, note } = begun
  const fields = (details.fields ?? noFields) as readonly Field[]
  const failed = details.versions.filter(({ error }) => error !== undefined).slice(0, mostFailed)
  const current = shared ?? begun.shared
  const change = (next: Shared) => setShared(next)
  return (
    <div class="page">
      {heading(
        <Tools
          {...{ target, fields, known, shared: current }}
          entities={details.entities}
          onShared={change}
          isChanged={shared !== undefined}
        />,
      )}
      {note !== undefined && (
        <p class="notice" role="status">
          {note}
        </p>
      )}
      {details.version === undefined ? (
        <Empty title={`${model} does not answer now`}>
          {details.problem !== undefined && <p>{details.problem}</p>}
          {failed.map(({ version, error }) => (
            <p key={version}>
              Version {version} failed to load: <bdi>{error}</bdi>
            </p>
          ))}
          {details.problem === undefined && failed.length === 0 && <p>No version of it is loaded.</p>}
          <button type="button" onClick={asked.again}>
            Look again
          </button>
        </Empty>
      ) : fields.length === 0 ? (
        <RawInputs
          {...{ target, details }}
          inputs={current.inputs}
          onInputs={(inputs) => change({ ...current, inputs })}
        />
      ) : (
        <Editor
          key={begun.at}
          {...{ target, known }}
          fields={begun.formFields}
          modelFields={fields}
          described={details.version}
          onAgain={asked.again}
          tasks={(details.tasks ?? noTasks) as readonly Task[]}
          others={othersOf(models, target)}
          shared={current}
          onShared={change}
        />
      )}
    </div>
  )
}

const noTasks: readonly Task[] = []
const noFields: readonly Field[] = []

/** Versions whose failure is shown. */
const mostFailed = 3

async function begin(target: Target, route: Route): Promise<Begun> {
  const { model, version } = target
  const details = await askVersion(model, version, `Version ${version} of ${model}`)
  const known = details.version === undefined ? nothingKnown : await loadKnown(model, details.version)
  const formFields = withKeys((details.fields ?? noFields) as readonly Field[], details.entities)
  const first = await firstShared(route.query, details, known)
  return { ...first, details, formFields, known, route, at: performance.now() }
}

/** Who goes to the version that is compared goes on comparing the same two. */
function keepCompared(
  shared: Shared | undefined,
  next: Target,
  former: Target,
  models: LoadedProps['models'],
): Shared | undefined {
  const nameOf = ({ model, version }: Target) =>
    `${model}/${version ?? models.find(({ name }) => name === model)?.default_version}`
  return shared?.against === nameOf(next) ? { ...shared, against: nameOf(former) } : shared
}

/** Another model keeps what fits it. */
async function goTo({ model, version }: Target, shared: Shared | undefined): Promise<void> {
  const state = shared === undefined ? '' : await encodeShared(shared)
  const isShort = state !== '' && state.length <= longestState
  location.hash = hrefOf('playground', version === undefined ? [model] : [model, version], isShort ? { s: state } : {})
}

/** So long nothing may change before the address does, ms: browsers take few changes per second. */
const quiet = 400

interface ToolsProps {
  target: Target
  fields: readonly Field[]
  entities: readonly Entity[] | undefined
  known: Known
  shared: Shared
  isChanged: boolean
  onShared(shared: Shared): void
}

function Tools({ target, fields, entities, known, shared, isChanged, onShared }: ToolsProps) {
  const [isTooLong, setTooLong] = useState(false)
  const { model, version } = target

  useEffect(() => {
    if (!isChanged) return
    let left = false
    const timer = setTimeout(async () => {
      const state = await encodeShared(shared)
      if (left) return
      const fits = state.length <= longestState
      setTooLong(!fits)
      replaceAddress('playground', version === undefined ? [model] : [model, version], fits ? { s: state } : {})
    }, quiet)
    return () => {
      left = true
      clearTimeout(timer)
    }
  }, [shared, isChanged])

  const surprise = () => {
    const drawn = drawForm(fields, known.rows, known.reference, Math.random, nextKey(shared.form.candidates))
    onShared({ ...shared, form: byKeys(drawn, entities, shared.form), chosen: undefined })
  }
  return (
    <div class="actions">
      {fields.length > 0 && (
        <button type="button" onClick={surprise} title="Draws a context and candidates">
          Surprise me
        </button>
      )}
      {isTooLong ? (
        <span class="small muted" role="status">
          Too long for a link: copy the request instead.
        </span>
      ) : (
        <CopyButton title="Copy link" text={() => location.href} />
      )}
    </div>
  )
}

/** Everything else that answers, as `model/version`; versions of the same model first. */
function othersOf(models: LoadedProps['models'], { model, version }: Target): string[] {
  const all = models.flatMap((one) => answering(one).map((number) => ({ one, number })))
  return all
    .filter(({ one, number }) => one.name !== model || number !== (version ?? one.default_version))
    .sort((a, b) => Number(b.one.name === model) - Number(a.one.name === model))
    .map(({ one, number }) => `${one.name}/${number}`)
}
