import { askVersion } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { hrefOf } from '../../base/router.ts'
import { Card } from '../../parts/controls.tsx'
import { decimal, own } from '../../parts/format.ts'
import { FirstOf } from '../../parts/pager.tsx'
import { Pending } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { type Comparison, differencesOf } from './differences.ts'
import { ComparedWith } from './evaluation.tsx'
import type { Details, Quality } from './words.ts'

/** Two versions side by side: the older one first. */
export function Compare({ details, against }: { details: Details; against: string }) {
  const { name, version } = details
  const { data: other, error, again } = useAsk(() => askVersion(name, against), [name, against])
  if (other === undefined) return <Pending what={`version ${against}`} error={error} again={again} />
  const isNewer = BigInt(version ?? 0) > BigInt(against)
  const [before, after] = isNewer ? [other, details] : [details, other]
  const parts = differencesOf(before, after)
  const same = parts.filter(({ rows }) => rows.length === 0).map(({ title }) => title)
  return (
    <>
      <p>
        {same.length === parts.length
          ? `Nothing changed in version ${after.version}, compared with version ${before.version}, except for figures below.`
          : `What changed in version ${after.version}, compared with version ${before.version}.`}{' '}
        <a href={hrefOf('models', [name, version!])}>Show version {version} alone</a>
      </p>
      {after.evaluated && <ComparedWith model={name} version={after.version!} before={before.version!} />}
      <QualityTable before={before} after={after} />
      {parts.map((part) => part.rows.length > 0 && <Part key={part.title} part={part} before={before} after={after} />)}
      {same.length > 0 && <p class="muted">Without a difference: {same.join(', ')}.</p>}
    </>
  )
}

interface Sides {
  before: Details
  after: Details
}

interface Figure {
  title: string
  read(quality: Quality): number | null
  /** Its value where all is well. */
  best: number
  /** Standard error by chance; undefined where there is no simple estimate. */
  error?(quality: Quality): number
}

const figures: Figure[] = [
  { title: 'AUC', read: ({ auc }) => auc, best: 1, error: errorOfAuc },
  { title: 'Normalised entropy', read: ({ normalised_entropy: entropy }) => entropy, best: 0 },
  {
    title: 'Calibration ratio',
    read: ({ calibration_ratio: ratio }) => ratio,
    best: 1,
    // The observed rate is a share of rows.
    error: ({ rows, positives }) => Math.sqrt((1 - positives / rows) / positives),
  },
]

/** Hanley and McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982. */
function errorOfAuc({ auc, rows, positives }: Quality): number {
  const area = auc ?? 0.5
  const negatives = rows - positives
  const [both, either] = [area / (2 - area) - area ** 2, (2 * area ** 2) / (1 + area) - area ** 2]
  return Math.sqrt((area * (1 - area) + (positives - 1) * both + (negatives - 1) * either) / (positives * negatives))
}

function QualityTable({ before, after }: Sides) {
  const names = [...new Set([...(before.tasks ?? []), ...(after.tasks ?? [])].map((task) => task.name))].slice(0, 50)
  const rows = names.flatMap((task) =>
    figures.map(
      (figure): QualityRow => ({
        task,
        figure,
        was: own(before.quality, task),
        is: own(after.quality, task),
      }),
    ),
  )
  const testRows = ({ quality = {} }: Details) => Object.values(quality)[0]?.rows
  const isOther = testRows(before) !== testRows(after)
  return (
    <Card id="compare-quality" title="Quality">
      <p class="muted">
        Each version was measured on its own test rows when it was made.
        {isOther && ' Their numbers of rows differ, so they were not the same rows.'} A difference within two standard
        errors may be chance: the estimate treats the test rows of both as independent, so it calls few differences
        real. For normalised entropy there is no estimate. <code>multigate compare</code> judges both versions on the
        same rows, with intervals.
      </p>
      <Table
        label="Quality of both versions"
        rows={rows}
        columns={[
          { title: 'Task', text: ({ task }) => task },
          { title: 'Metric', cell: ({ figure }) => figure.title },
          { title: `Version ${before.version}`, value: ({ figure, was }) => was && figure.read(was), format: figures4 },
          { title: `Version ${after.version}`, value: ({ figure, is }) => is && figure.read(is), format: figures4 },
          { title: 'Change', cell: (row) => <Change {...row} /> },
        ]}
      />
    </Card>
  )
}

const figures4 = (value: number) => decimal(value, 4)

interface QualityRow {
  task: string
  figure: Figure
  was: Quality | undefined
  is: Quality | undefined
}

function Change({ figure, was, is }: QualityRow) {
  const [before, after] = [was && figure.read(was), is && figure.read(is)]
  if (typeof before !== 'number' || typeof after !== 'number') return null
  return (
    <span class="row">
      <span class="small">{`${after < before ? '−' : '+'}${figures4(Math.abs(after - before))}`}</span>
      {figure.error === undefined ? (
        <span class="pill">not judged</span>
      ) : (
        <Verdict
          gain={Math.abs(before - figure.best) - Math.abs(after - figure.best)}
          error={Math.hypot(figure.error(was!), figure.error(is!))}
        />
      )}
    </span>
  )
}

/** A difference of more than two standard errors is called one. */
function Verdict({ gain, error }: { gain: number; error: number }) {
  if (gain === 0) return <span class="pill">the same</span>
  if (!(Math.abs(gain) > 2 * error)) return <span class="pill">may be chance</span>
  return <span class={`pill ${gain > 0 ? 'good' : 'warning'}`}>{gain > 0 ? 'better' : 'worse'}</span>
}

/** Most lines of a part. */
const mostRows = 100

function Part({ part: { title, rows }, before, after }: Sides & { part: Comparison }) {
  return (
    <Card id={`compare-${title}`} title={title}>
      <Table
        label={`Table: ${title}`}
        rows={rows.slice(0, mostRows)}
        columns={[
          { title: 'What', text: ({ name }) => name },
          { title: `Version ${before.version}`, class: 'wide', text: (row) => row.before },
          { title: `Version ${after.version}`, class: 'wide', text: (row) => row.after },
        ]}
      />
      <FirstOf most={mostRows} total={rows.length} what="differences" />
    </Card>
  )
}
