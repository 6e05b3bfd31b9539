import { median } from '../../../model/base/median.ts'
import { milliseconds, number } from '../../parts/format.ts'
import { msOf, type RequestRecord, type StageTime } from './stages.ts'

/** Requests to compare one with. */
export interface Others {
  /** Which they are: the last ones, which are like all, or the slowest ones alone. */
  kind: 'recent' | 'slow'
  records: readonly RequestRecord[]
}

/** Fewer do not say what is usual. */
const fewest = 5

/** From this many times the median on, a time stands out. */
const outstanding = 2

const titles = { receive: 'Receiving', read: 'Reading', queue: 'Waiting', compute: 'Compute', write: 'Writing' }

export interface Usual {
  text: string
  /** It took much longer than usual, and its rows don't explain that: something else than the request did. */
  isUnexplained: boolean
}

/** How the time of a stage compares with other answered requests of the model, and whether its rows explain it. */
export function compareWithUsual(record: RequestRecord, { stage, ms }: StageTime, { kind, records }: Others): Usual {
  const others = records.filter(
    (one) => one.request_id !== record.request_id && one.model === record.model && one.status < 400,
  )
  const times = others.flatMap((one) => msOf(one, stage) ?? [])
  if (times.length < fewest)
    return usually(`Too few other ${kind} requests of this model are recorded to say what is usual: ${times.length}.`)
  const usual = median(times)
  const of = `${number(times.length)} other ${kind} requests of this model`
  const ratio = ms / usual
  if (!(ratio >= outstanding)) {
    if (stage.name === 'queue' && ratio >= 1 / outstanding && usual > waitsLong * computeOf(others))
      return usually(
        `It was not alone: the median of ${of} is ${milliseconds(usual)}, much longer than they computed. The server had more to do than it could.`,
      )
    const size = ratio < 1 / outstanding ? 'less time than usual' : 'about as long as usual'
    return usually(`${titles[stage.name]} took ${size}: the median of ${of} is ${milliseconds(usual)}.`)
  }
  const size = usual > 0 ? `${number(ratio, 2)} times` : 'more than'
  const { text, isUnexplained } = whetherRowsExplain(record, others, ratio)
  return {
    text: `${titles[stage.name]} took ${size} the median (${milliseconds(usual)}) of ${of}.${text}`,
    isUnexplained,
  }
}

/** From this many times the time of computing on, waiting is no usual one. */
const waitsLong = 3

const computeOf = (records: readonly RequestRecord[]): number =>
  median(records.flatMap(({ compute_ms }) => compute_ms ?? []))

const usually = (text: string): Usual => ({ text, isUnexplained: false })

/** More rows take longer in every stage. */
function whetherRowsExplain({ rows }: RequestRecord, others: readonly RequestRecord[], ratio: number): Usual {
  const counts = others.flatMap((one) => one.rows ?? [])
  if (rows === undefined || counts.length === 0) return { text: '', isUnexplained: true }
  const usual = median(counts)
  const rowRatio = rows / usual
  const does =
    rowRatio < outstanding
      ? 'does not explain that'
      : ratio / rowRatio < outstanding
        ? 'explains that'
        : 'explains only a part of that'
  return {
    text: ` Its number of rows ${does}: ${number(rows)}, against a median of ${number(usual)}.`,
    isUnexplained: ratio / rowRatio >= outstanding,
  }
}
