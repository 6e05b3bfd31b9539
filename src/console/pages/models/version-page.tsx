import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { askVersion } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { hrefOf } from '../../base/router.ts'
import { Card, Pairs, Select } from '../../parts/controls.tsx'
import { Pending, Stale } from '../../parts/states.tsx'
import { Architecture } from './architecture.tsx'
import { Compare } from './compare.tsx'
import { provenanceRows } from './differences.ts'
import { Drift } from './drift.tsx'
import { Entities } from './entities.tsx'
import { Evaluation } from './evaluation.tsx'
import { Fields } from './fields.tsx'
import { Broken, StatePills } from './model-list.tsx'
import { Pinning } from './pinning.tsx'
import { PlanSection } from './plan.tsx'
import { Tasks } from './tasks.tsx'
import { type Details, isLoaded } from './words.ts'

interface Section {
  id: string
  title: string
  note?(details: Details): string
  /** Default: always. */
  isShown?(details: Details): boolean
  body(details: Details, version: string, again: () => void): ComponentChildren
}

const sections: readonly Section[] = [
  { id: 'architecture', title: 'Architecture', body: (details) => <Architecture details={details} /> },
  {
    id: 'fields',
    title: 'Fields',
    note: ({ fields = [] }) => `${fields.length} in all`,
    body: ({ name, fields = [], crossed }, version) => (
      <Fields {...{ fields, crossed, version }} model={name} playground={hrefOf('playground', [name, version])} />
    ),
  },
  {
    id: 'entities',
    title: 'Entities',
    isShown: ({ entities = [] }) => entities.length > 0,
    body: ({ entities = [] }) => <Entities entities={entities} />,
  },
  {
    id: 'tasks',
    title: 'Tasks and quality',
    body: ({ tasks = [], quality = {} }) => <Tasks tasks={tasks} quality={quality} />,
  },
  {
    id: 'evaluation',
    title: 'Evaluation',
    isShown: ({ evaluated }) => evaluated === true,
    body: ({ name }, version) => <Evaluation model={name} version={version} />,
  },
  {
    id: 'drift',
    title: 'Drift',
    body: ({ name, fields = [] }, version) => <Drift model={name} {...{ version, fields }} />,
  },
  {
    id: 'plan',
    title: 'Plan',
    body: ({ plan, memory, versions }, version) => (
      <PlanSection {...{ plan, memory }} deltas={versions.find((one) => one.version === version)?.deltas} />
    ),
  },
  {
    id: 'provenance',
    title: 'Provenance',
    body: ({ provenance = {} }) => <Provenance provenance={provenance} />,
  },
  {
    id: 'serving',
    title: 'Serving and rollback',
    body: (details, version, again) => <Pinning {...{ details, version, again }} />,
  },
]

interface VersionPageProps {
  model: string
  version: string | undefined
  against: string | undefined
  section: string | undefined
}

/** A version in full, or beside another one. */
export function VersionPage({ model, version, against, section }: VersionPageProps) {
  const { data, error, again } = useAsk(() => askVersion(model, version), [model, version], { everySeconds: 5 })
  const isThere = data !== undefined

  useEffect(() => {
    if (!isThere || section === undefined) return
    const heading = document.getElementById(section)
    heading?.scrollIntoView()
    heading?.focus({ preventScroll: true })
  }, [isThere, section])

  if (data === undefined)
    return (
      <div class="page models">
        <Crumbs model={model} />
        <h1>
          <bdi>{model}</bdi>
          {version !== undefined && ` version ${version}`}
        </h1>
        <Pending what="the version" error={error} again={again} />
      </div>
    )
  return (
    <div class="page models">
      <Crumbs model={model} />
      <Heading details={data} stale={error?.message} />
      {data.description !== undefined && (
        <p>
          <bdi>{data.description}</bdi>
        </p>
      )}
      <Broken model={data} version={data.versions.find((one) => one.version === data.version)} />
      <Versions details={data} against={against} />
      {data.version === undefined ? (
        <p class="notice warning">No version of this model answers. The list of models has the reasons.</p>
      ) : against !== undefined && against !== data.version ? (
        <Compare details={data} against={against} />
      ) : (
        <Sections details={data} version={data.version} again={again} />
      )}
    </div>
  )
}

function Crumbs({ model }: { model: string }) {
  return (
    <nav class="small" aria-label="You are here">
      <a href={hrefOf('models')}>Models</a> / <bdi>{model}</bdi>
    </nav>
  )
}

function Heading({ details, stale }: { details: Details; stale: string | undefined }) {
  const { name, version, versions } = details
  return (
    <div class="heading">
      <h1 class="name">
        <bdi>{name}</bdi> {version !== undefined && <span class="muted">version {version}</span>}
      </h1>
      {stale !== undefined && <Stale message={stale} />}
      <StatePills model={details} version={versions.find((one) => one.version === version)} />
    </div>
  )
}

/** Links to the versions, and what to compare with. */
function Versions({ details, against }: { details: Details; against: string | undefined }) {
  const { name, version, versions } = details
  const loaded = versions.filter(({ state }) => isLoaded(state)).map((one) => one.version)
  if (version === undefined || loaded.length < 2) return null
  return (
    <div class="row choices">
      <Select
        class="row small"
        label="Version"
        value={version}
        options={loaded}
        onChange={(chosen) => {
          location.hash = hrefOf('models', [name, chosen])
        }}
      />
      <Select
        class="row small"
        label="Compare with"
        value={against ?? ''}
        options={[
          ['', 'nothing'],
          ...loaded.filter((one) => one !== version).map((one) => [one, `version ${one}`] as const),
        ]}
        onChange={(other) => {
          location.hash = hrefOf('models', [name, version], other === '' ? {} : { against: other })
        }}
      />
    </div>
  )
}

function Sections({ details, version, again }: { details: Details; version: string; again(): void }) {
  const shown = sections.filter(({ isShown }) => isShown?.(details) ?? true)
  return (
    <>
      <nav class="sections small" aria-label="Sections">
        {shown.map(({ id, title }) => (
          <a key={id} href={hrefOf('models', [details.name, version], { section: id })}>
            {title}
          </a>
        ))}
      </nav>
      {shown.map(({ id, title, note, body }) => (
        <Card key={id} id={id} title={title} focusable note={note?.(details)}>
          {body(details, version, again)}
        </Card>
      ))}
    </>
  )
}

type Given = NonNullable<Details['provenance']>

/** How the version came to be. */
function Provenance({ provenance }: { provenance: Given }) {
  const rows = provenanceRows(provenance)
  if (rows.length === 0) return <p class="muted">Its manifest does not say how it was made.</p>
  return <Pairs rows={rows} />
}
