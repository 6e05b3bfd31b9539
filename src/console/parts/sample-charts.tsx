import { valueFor } from '../../base/maps.ts'
import { mostFrequent } from '../../schemas/outcomes.ts'
import { meanRates } from '../api/averages.ts'
import type { LiveEvent, Sample } from '../api/live-figures.ts'
import { Chart, type ChartProps, type Series } from './chart.tsx'

const tones = { warning: 'warning', error: 'bad' } as const

/** The value of a sample that a line shows; null where nothing was measured. */
export type Read = (sample: Sample) => number | null

/** A chart over time. */
export interface Plan extends Pick<ChartProps, 'title' | 'format' | 'about' | 'atLeast'> {
  /** By their labels. */
  lines?: Record<string, Read>
  /** Lines of what occurs, the most frequent ones, with words for their names. */
  rates?(sample: Sample): Record<string, number>
  nameOf?(name: string): string
}

export interface ChartsProps {
  samples: Sample[]
  events: LiveEvent[]
  /** The id of the heading, and its text, which is hidden. */
  id: string
  title: string
  plans: Plan[]
}

/** Charts of the live figures, beside each other. */
export function Charts({ samples, events, id, title, plans }: ChartsProps) {
  const unbroken = withGaps(samples)
  const at = unbroken.map((moment) => moment.at)
  // Notes would bury them.
  const marks = events.flatMap(({ at, text, severity }) =>
    severity === 'info' ? [] : { at, text, tone: tones[severity] },
  )
  const line = (label: string, read: Read): Series => ({
    label,
    values: unbroken.map(({ sample }) => (sample === undefined ? null : read(sample))),
  })
  return (
    <section class="cards" aria-labelledby={id}>
      <h2 id={id} class="hidden">
        {title}
      </h2>
      {plans.map(({ lines = {}, rates, nameOf = String, ...plan }) => {
        const series = Object.entries(lines).map(([label, read]) => line(label, read))
        const names = rates === undefined ? [] : namesOf(samples, rates)
        for (const name of names)
          series.push({ ...line(nameOf(name), (sample) => rates!(sample)[name] ?? 0), colour: placeOf(name) })
        return (
          <Chart
            key={plan.title}
            {...plan}
            {...{ at, marks }}
            series={series.length > 0 ? series : [line('none', () => 0)]}
          />
        )
      })}
    </section>
  )
}

/** Samples with a moment without values where some are missing: a line across would say what nobody measured. */
function withGaps(samples: Sample[]): { at: number; sample?: Sample }[] {
  return samples.flatMap((sample, i) => {
    const before = samples[i - 1]
    // A sample by the second may follow one by ten.
    const isGap = before !== undefined && sample.at - before.at > 2500 * Math.max(sample.seconds, before.seconds)
    return isGap ? [{ at: before.at + 1 }, { at: sample.at, sample }] : [{ at: sample.at, sample }]
  })
}

const places = new Map<string, number>()

/** A name keeps its colour, whichever others come and go. */
function placeOf(name: string): number {
  return valueFor(places, name, () => places.size)
}

/** Names that occur, the most frequent first: at most as many as a chart has colours for. */
function namesOf(samples: Sample[], read: (sample: Sample) => Record<string, number>): string[] {
  return mostFrequent(meanRates(samples, read))
    .slice(0, 3)
    .map(([name]) => name)
}
