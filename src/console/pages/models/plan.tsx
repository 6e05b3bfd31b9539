import { Lines, Pairs, Stats } from '../../parts/controls.tsx'
import { bytes, compact, date, milliseconds, number, percent } from '../../parts/format.ts'
import { Table } from '../../parts/table.tsx'
import { text } from './differences.ts'
import type { Details, Plan, Version } from './words.ts'

interface PlanProps {
  plan: Plan | undefined
  memory: Details['memory']
  deltas: Version['deltas']
}

/** How the version is computed. */
export function PlanSection({ plan, memory, deltas }: PlanProps) {
  if (plan === undefined) return <p class="muted">Nothing is known of it.</p>
  const { passes = [], notes, costs, catalogue, products } = plan
  return (
    <>
      <p>{summaryOf(plan)}</p>
      <Stats
        figures={[
          ['Engine', plan.engine],
          ['Precision', plan.precision, products && `products: ${products}`],
          ['Workers', number(plan.workers)],
          ['Largest batch', number(plan.max_batch_rows, 9), 'rows'],
          ['Split by side', plan.split_by_side ? 'yes' : 'no'],
          ['Ready after', plan.compiled ? milliseconds(1000 * plan.compile_seconds) : '–'],
        ]}
      />
      <Lines class="notice" texts={notes} />
      {passes.length > 0 && <Passes passes={passes} />}
      <Costs costs={costs} isCompiled={plan.compiled} />
      {plan.int8_check && <PrecisionCheck precision="int8" check={plan.int8_check} />}
      {plan.bfloat16_check && <PrecisionCheck precision="bfloat16" check={plan.bfloat16_check} />}
      {catalogue !== undefined && (
        <p>
          A catalogue of {number(catalogue.rows, 9)} candidates, computed ahead of requests on {date(catalogue.made_at)}{' '}
          and kept as {catalogue.precision}, takes {bytes(catalogue.bytes)}.
        </p>
      )}
      {deltas !== undefined && <Deltas deltas={deltas} />}
      {memory !== undefined && <Memory memory={memory} />}
    </>
  )
}

function summaryOf({ compiled, split_by_side: isSplit }: Plan): string {
  if (!compiled) return 'The graph runs as it was saved.'
  if (!isSplit) return 'The graph was compiled: rewritten so that it computes the same with less work.'
  return 'The graph was compiled: rewritten so that it computes the same with less work. It is also split by side, so that the context can be computed once per request, and what depends on a candidate alone cached; requests use that where it is cheaper.'
}

function Passes({ passes }: { passes: NonNullable<Plan['passes']> }) {
  const [saved] = passes
  const last = passes.at(-1)!
  const share = saved!.multiplications === 0 ? 1 : last.multiplications / saved!.multiplications
  return (
    <>
      <h3>What the compiler did</h3>
      <p class="muted">
        {`Multiplications per row: ${number(saved!.multiplications, 9)} before, ${number(last.multiplications, 9)} after (${share <= 1 ? '−' : '+'}${percent(Math.abs(1 - share))}). Operations of the graph: ${saved!.nodes} before, ${last.nodes} after. A pass may add multiplications to save operations.`}
      </p>
      <Table
        label="Passes of the compiler"
        rows={passes}
        columns={[
          { title: 'Pass', cell: ({ pass }) => pass },
          { title: 'Changes', value: ({ changes }) => changes, format: String },
          { title: 'Operations', value: ({ nodes }) => nodes, format: String },
          {
            title: 'Multiplications per row',
            value: (one) => one.multiplications,
            format: (count) => number(count, 9),
          },
          { title: 'Constants', value: (one) => one.bytes, format: bytes },
        ]}
      />
    </>
  )
}

const variantNames: Record<string, string> = {
  saved: 'the graph as saved',
  full: 'the whole graph, compiled',
  shared_context: 'context once per request',
  candidate_encoder: 'candidate part alone, to be cached',
  cached: 'with cached candidates',
}

/** Candidates of the request whose cost is given as an example. */
const exampleRows = 100

const microseconds = (value: number) => `${number(value)} µs`

function Costs({ costs, isCompiled }: { costs: Plan['costs']; isCompiled: boolean }) {
  if (!isCompiled) return null
  return (
    <>
      <h3>What a call costs</h3>
      {costs === undefined ? (
        <p class="muted">
          No measurement of its graphs is kept. <code>multigate compile --report</code> measures before and after.
        </p>
      ) : (
        <>
          {costs.full_graph === 'saved' ? null : <Gain variants={costs.variants} />}
          <p class="muted">
            {`Measured on ${date(costs.measured_at)}, with ${costs.machine}. Each request takes the variant that is cheapest for it.${costs.full_graph === 'saved' ? ' The graph as saved takes the place of the whole graph, compiled: it is cheaper here.' : ''}`}
          </p>
          <CostTable variants={costs.variants} />
        </>
      )}
    </>
  )
}

type Cost = NonNullable<Plan['costs']>['variants'][number]

const exampleCost = ({ call_us: call, row_us: row }: Cost) => call + exampleRows * row

/**
 * The gain of compiling in a request whose candidates are not cached; nothing where the saved graph was not measured.
 */
function Gain({ variants }: { variants: Cost[] }) {
  const saved = variants.find(({ variant }) => variant === 'saved')
  if (saved === undefined) return null
  const compiled = variants.filter(({ variant }) => variant === 'full' || variant === 'shared_context')
  const cheapest = compiled.reduce((least, cost) => (exampleCost(cost) < exampleCost(least) ? cost : least))
  const [before, now] = [exampleCost(saved), exampleCost(cheapest)]
  const text = `A request with ${exampleRows} candidates takes ${microseconds(before)} by the graph as saved and ${microseconds(now)} compiled: ${number(before / now)} times faster. The cheapest way for it here is ${cheapest.variant === 'full' ? 'the whole graph' : 'to compute the context once'}.`
  return <p>{text}</p>
}

function CostTable({ variants }: { variants: Cost[] }) {
  const savedFirst = [...variants].sort((a, b) => Number(b.variant === 'saved') - Number(a.variant === 'saved'))
  return (
    <Table
      label="Costs of calls"
      rows={savedFirst}
      columns={[
        { title: 'Graph', cell: ({ variant }) => variantNames[variant] ?? variant },
        { title: 'Per call', value: ({ call_us }) => call_us, format: microseconds },
        { title: 'Per row', value: ({ row_us }) => row_us, format: microseconds },
        { title: `${exampleRows} candidates`, value: exampleCost, format: microseconds },
      ]}
    />
  )
}

function PrecisionCheck({ precision, check }: { precision: string; check: NonNullable<Plan['int8_check']> }) {
  return (
    <>
      <h3>Check of {precision}</h3>
      <p>
        {check.passed ? 'Passed' : 'Failed'} on {number(check.rows, 9)} rows, compared with float32.
      </p>
      <Lines texts={check.reasons} />
      <Table
        label={`${precision} and float32`}
        rows={check.tasks}
        columns={[
          { title: 'Task', text: ({ task }) => task },
          { title: 'Loss of AUC', value: (one) => one.auc_loss, format: number },
          { title: 'Change of the mean', value: (one) => one.mean_change, format: percent },
          { title: 'Largest difference of logits', value: (one) => one.logit_max, format: number },
        ]}
      />
    </>
  )
}

function Deltas({ deltas }: { deltas: NonNullable<Version['deltas']> }) {
  return (
    <>
      <h3>Live tables</h3>
      <Pairs rows={Object.entries(deltas).map(([name, value]) => [name.replaceAll('_', ' '), text(value)])} />
    </>
  )
}

function Memory({ memory }: { memory: NonNullable<Details['memory']> }) {
  const parts: [string, number | undefined][] = [
    ['Graph as saved', memory.weights],
    ['Compiled graphs', memory.variants],
    ['Large tables', memory.tables],
    ['Cached candidates', memory.cache],
    ['Catalogue', memory.catalogue],
  ]
  return (
    <>
      <h3>Memory in this process</h3>
      <Stats
        figures={parts.flatMap(([name, value]) =>
          value === undefined ? [] : [[name, value === 0 ? compact(0) : bytes(value)] as const],
        )}
      />
    </>
  )
}
