import type { Live, Sample } from '../../api/live.ts'
import { compact, duration, milliseconds, percent } from '../../parts/format.ts'
import { outcomeName, shedName } from './names.ts'

interface Finding {
  tone: 'warning' | 'bad'
  title: string
  text: string
}

/** What deserves attention, most urgent first: what it is, and where to look. */
export function Findings({ live }: { live: Live }) {
  const findings = findingsOf(live)
  if (findings.length === 0) return null
  return (
    <div class="findings" role="status">
      {findings.map(({ tone, title, text }) => (
        <div key={title} class={`notice ${tone}`}>
          <strong>{title}</strong> {text}
        </div>
      ))}
    </div>
  )
}

export function findingsOf({
  state,
  reason: noStream,
  fine,
  silent,
  unstored,
  failed,
  unready,
  clockAhead,
  models,
}: Live): Finding[] {
  const found: Finding[] = []
  if (state === 'lost')
    found.push({
      tone: 'bad',
      title: 'The server sends no figures now.',
      text: `${noStream}. These are from before; the page goes on trying.`,
    })
  if (unready.length > 0) found.push({ tone: 'bad', title: 'The service is not ready.', text: sentence(unready) })
  if (silent.length > 0)
    found.push({
      tone: 'bad',
      title: `${silent.length === 1 ? 'A process does' : `${silent.length} processes do`} not answer.`,
      text: `Process ${silent.join(', ')} is stopped, or very busy; its figures are missing here.`,
    })
  if (failed.length > 0)
    found.push({
      tone: 'warning',
      title: `${failed.length === 1 ? 'A version' : `${failed.length} versions`} failed to load.`,
      text: `${failed
        .slice(0, 3)
        .map(({ model, version, reason }) => `${model}/${version}: ${reason.replaceAll('_', ' ')}`)
        .join('; ')}. The versions before answer on; Models has the reasons.`,
    })
  if (unstored.length > 0)
    found.push({
      tone: 'warning',
      title: 'Compiled plans can’t be stored.',
      text: `${unstored
        .slice(0, 3)
        .map(({ model, version, reason }) => `${model}/${version}: ${reason}`)
        .join('; ')}. Each start compiles them again.`,
    })
  if (Math.abs(clockAhead) > 30_000)
    found.push({
      tone: 'warning',
      title: `The server’s clock is ${duration(Math.abs(clockAhead) / 1000)} ${clockAhead > 0 ? 'ahead of' : 'behind'} yours.`,
      text: 'One of the two is wrong. Times on these pages are by your clock; those in logs are by the server’s.',
    })
  // Older ones are of another time: there are none while nobody watches.
  const recent = fine.filter(({ at }) => at > Date.now() - 15_000).slice(-10)
  const newest = recent.at(-1)
  if (newest === undefined) return found
  const rate = (read: (sample: Sample) => Record<string, number>) => sums(recent.map(read))
  const shed = rate((sample) => sample.shed)
  const requests = mean(recent.map((sample) => sample.requests))
  const [reason] = largest(shed)
  const shedRate = total(shed)
  if (reason !== undefined && shedRate > 0.001 * requests)
    found.push({
      tone: 'bad',
      title: `${percent(Math.min(1, shedRate / Math.max(requests, shedRate)), 2)} of the requests in the last ten seconds are refused or dropped.`,
      text: `The most frequent reason: ${shedName(reason)}. ${bottleneck(newest)}${mostOf(models)}`,
    })
  const others = Object.fromEntries(
    Object.entries(rate((sample) => sample.failed)).filter(
      ([name]) => !['queue_full', 'deadline_exceeded', 'cancelled'].includes(name),
    ),
  )
  const [code] = largest(others)
  if (code !== undefined && total(others) > 0.001 * requests)
    found.push({
      tone: code === 'invalid_request' ? 'warning' : 'bad',
      title: `${percent(total(others) / Math.max(requests, total(others)), 2)} of the requests in the last ten seconds fail.`,
      text: `The most frequent error: ${outcomeName(code)}. Requests has single ones, with the places that are wrong.`,
    })
  const p99 = newest.stages.total?.p99
  if (p99 !== undefined && p99 > 0.8 * newest.deadline_ms)
    found.push({
      tone: 'warning',
      title: `The slowest requests ${p99 > newest.deadline_ms ? 'miss' : 'come close to'} their deadline.`,
      text: `p99 is ${milliseconds(p99)}, the deadline ${milliseconds(newest.deadline_ms)}. ${bottleneck(newest)}`,
    })
  return found
}

const sentence = (parts: string[]) => `${parts.slice(0, 3).join('; ')}.`

function bottleneck({ loop_busy, workers_busy, cores }: Sample): string {
  if (workers_busy > 0.85 && workers_busy >= loop_busy)
    return 'The workers are the limit: the models cost more than the machine has.'
  if (loop_busy > 0.85 && cores < 0.6)
    return 'The event loop is held up although it gets little of a core: other programs take the cores.'
  if (loop_busy > 0.85) return 'The event loop is the limit: more processes would help.'
  return 'Neither the workers nor the event loop is busy all the time: it comes in bursts, or other work takes the cores.'
}

/** The model that most candidates are for, where there are several. */
function mostOf(models: Live['models']): string {
  const candidates = models.reduce((sum, model) => sum + model.candidates, 0)
  const [first] = [...models].sort((a, b) => b.candidates - a.candidates)
  if (first === undefined || models.length < 2 || first.candidates < candidates / 2) return ''
  return ` ${percent(first.candidates / candidates, 2)} of the candidates are for ${first.model}: ${compact(first.candidates)} per second.`
}

function sums(rates: Record<string, number>[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const one of rates)
    for (const [name, rate] of Object.entries(one)) found[name] = (found[name] ?? 0) + rate / rates.length
  return found
}

const total = (rates: Record<string, number>) => Object.values(rates).reduce((sum, rate) => sum + rate, 0)
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
const largest = (rates: Record<string, number>) => Object.entries(rates).sort(([, a], [, b]) => b - a)[0] ?? []
