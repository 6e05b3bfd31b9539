import { useState } from 'preact/hooks'
import { askModels } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { hrefOf } from '../../base/router.ts'
import { Card } from '../../parts/controls.tsx'
import { date, decimal, number, orDash } from '../../parts/format.ts'
import { useSearch } from '../../parts/pager.tsx'
import { Empty, Pending, Stale } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { driftWord, subjectOf } from './drift-rows.ts'
import { isLoaded, type Model, stateTones, type Version } from './words.ts'

const modelsPerPage = 20

/** Every model of the folder, with its versions. */
export function ModelList() {
  const { data, error, again } = useAsk(askModels, [], { everySeconds: 5 })
  const { shown, pager, field } = useSearch('models', data?.models ?? [], modelsPerPage, ({ name }) => name)
  if (data === undefined)
    return (
      <div class="page">
        <h1>Models</h1>
        <Pending what="models" error={error} again={again} />
      </div>
    )
  return (
    <div class="page models">
      <div class="heading">
        <h1>Models</h1>
        {error !== undefined && <Stale message={error.message} />}
        {field('Search', 'row small')}
      </div>
      <p class="muted">
        A model is a folder with versions. Requests that name no version are answered by the highest one that has
        loaded, or the pinned one.
      </p>
      {data.feature_tables !== undefined && (
        <p>
          Requests may name keys of{' '}
          <a href={hrefOf('tables')}>
            {data.feature_tables === 1 ? '1 feature table' : `${number(data.feature_tables, 9)} feature tables`}
          </a>
          .
        </p>
      )}
      {data.unreadable !== undefined && (
        <div class="notice bad" role="status">
          <strong>The models folder can’t be read.</strong>
          <p>
            <bdi>{data.unreadable}</bdi>. Loaded versions go on serving; new versions are not found.
          </p>
        </div>
      )}
      {data.models.length === 0 && data.unreadable === undefined && (
        <Empty title="The folder has no models">Versions that arrive appear here.</Empty>
      )}
      {data.models.length > 0 && shown.length === 0 && <Empty title="No model has this name" />}
      {shown.map((model) => (
        <ModelCard key={model.name} model={model} />
      ))}
      {pager}
    </div>
  )
}

function ModelCard({ model }: { model: Model }) {
  const { name, default_version: answering, problem, unloaded, versions } = model
  return (
    <Card
      id={`model-${name}`}
      title={
        <span class="name">
          {answering === undefined ? (
            <bdi>{name}</bdi>
          ) : (
            <a href={hrefOf('models', [name, answering])}>
              <bdi>{name}</bdi>
            </a>
          )}
        </span>
      }
      beside={
        <span class="row">
          {model.default && <span class="pill">default model</span>}
          {unloaded && <span class="pill warning">unloaded</span>}
          {model.pin !== undefined && <span class="pill">pinned to version {model.pin}</span>}
          {answering === undefined && <span class="pill bad">does not answer</span>}
        </span>
      }
    >
      {problem !== undefined && (
        <p class="notice warning">
          <bdi>{problem}</bdi>
        </p>
      )}
      {versions.slice(0, mostVersions).map(
        ({ version, error }) =>
          error !== undefined && (
            <p key={version} class="notice bad reason">
              Version {version} failed to load: <bdi>{error}</bdi>
            </p>
          ),
      )}
      {versions.slice(0, mostVersions).map((version) => (
        <Broken key={version.version} model={model} version={version} />
      ))}
      {versions.length === 0 ? (
        <p class="muted">It has no version.</p>
      ) : (
        <VersionTable model={model} versions={versions} />
      )}
    </Card>
  )
}

/**
 * The parts of another version's contract that a version breaks; it has replaced that other, or must not replace it.
 * Where it failed for that, its error says so.
 */
export function Broken({ model, version }: { model: Pick<Model, 'default_version'>; version: Version | undefined }) {
  if (version?.incompatible === undefined || version.error !== undefined) return null
  const { with: former, problems } = version.incompatible
  const outcome = version.version === model.default_version ? '' : ' and does not take over'
  return (
    <p class="notice warning reason">
      Version {version.version} is incompatible with version {former}
      {outcome}: <bdi>{problems.slice(0, mostProblems).join('; ')}</bdi>
      {problems.length > mostProblems && `; and ${problems.length - mostProblems} more`}
    </p>
  )
}

/** Most problems of a version that are named. */
const mostProblems = 5

/** Most versions of a model that the list shows. */
const mostVersions = 8

function VersionTable({ model, versions }: { model: Model; versions: Version[] }) {
  const [all, setAll] = useState(false)
  const shown = all ? versions : versions.slice(0, mostVersions)
  return (
    <>
      <Table
        class="versions"
        label={`Versions of ${model.name}`}
        rows={shown}
        rowKey={({ version }) => version}
        columns={[
          {
            title: 'Version',
            cell: ({ version, state }) =>
              isLoaded(state) ? (
                <a href={hrefOf('models', [model.name, version])}>Version {version}</a>
              ) : (
                `Version ${version}`
              ),
          },
          { title: 'State', cell: (version) => <State model={model} version={version} /> },
          {
            title: 'Quality: AUC on the test rows',
            attributes: () => ({ class: 'small', 'data-title': 'AUC' }),
            cell: ({ auc = {} }) => <Areas areas={Object.entries(auc)} />,
          },
          {
            title: 'Drift of live traffic',
            attributes: () => ({ class: 'small', 'data-title': 'Drift' }),
            cell: ({ version, state, drift }) =>
              isLoaded(state) ? (
                <DriftNote drift={drift} href={hrefOf('models', [model.name, version], { section: 'drift' })} />
              ) : (
                <span class="muted">–</span>
              ),
          },
        ]}
      />
      {versions.length > mostVersions && (
        <div class="actions">
          <button type="button" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? 'Show fewer' : `Show all ${versions.length} versions`}
          </button>
        </div>
      )}
    </>
  )
}

function State({ model, version: one }: { model: Model; version: Version }) {
  const { version, state, activate_at: activates } = one
  const labels = Object.entries(model.labels ?? {}).filter(([, labelled]) => labelled === version)
  return (
    <>
      <span class="row">
        <StatePills model={model} version={one} />
        {labels.map(([label]) => (
          <span key={label} class="pill">
            label <bdi>{label}</bdi>
          </span>
        ))}
      </span>
      {activates !== undefined && (
        <p class="small muted">
          {state === 'scheduled' || state === 'not_loaded' ? 'takes effect' : 'took effect'} {date(activates)}
        </p>
      )}
    </>
  )
}

/** The state of a version, and what it does in its model. */
export function StatePills({ model, version: one }: { model: ModelState; version: Version | undefined }) {
  if (one === undefined) return null
  const { version, state } = one
  return (
    <>
      <span class={`pill ${stateTones[state]}`}>{state.replace('_', ' ')}</span>
      {version === model.default_version && <span class="pill">answers</span>}
      {version === model.pin && <span class="pill">pinned</span>}
    </>
  )
}

type ModelState = Pick<Model, 'default_version' | 'pin'>

/** Most tasks whose AUC the list shows. */
const mostAreas = 3

function Areas({ areas }: { areas: [task: string, auc: number | null][] }) {
  if (areas.length === 0) return <span class="muted">–</span>
  const more = areas.length - mostAreas
  return (
    <>
      {areas.slice(0, mostAreas).map(([task, auc]) => (
        <span key={task} class="figure">
          <bdi>{task}</bdi> {orDash(auc, (value) => decimal(value, 3))}
        </span>
      ))}
      {more > 0 && <span class="muted">{more === 1 ? 'and 1 task' : `and ${more} tasks`}</span>}
    </>
  )
}

function DriftNote({ drift, href }: { drift: Version['drift']; href: string }) {
  if (drift === undefined) return <span class="muted">too few values, or no reference</span>
  const { word, tone } = driftWord(drift.psi)
  return (
    <span class="row">
      <span class={`pill ${tone}`}>{word}</span>
      {drift.psi >= 0.1 && (
        <span>
          most:{' '}
          <a href={href}>
            <bdi>{drift.kind === 'length' ? subjectOf({ kind: 'length', name: drift.name }) : drift.name}</bdi>
          </a>{' '}
          (PSI {number(drift.psi)})
        </span>
      )}
    </span>
  )
}
