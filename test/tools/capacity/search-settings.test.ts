import t from 'tap'
import {
  alternatives,
  confirm,
  formatSettings,
  groups,
  searchSettings,
  type Trial,
  type TunedSettings,
} from '../../../src/tools/capacity/tuned-settings.ts'

const defaults: TunedSettings = {
  MULTIGATE_PROCESSES: 1,
  MULTIGATE_WORKERS: 0,
  MULTIGATE_MAX_BATCH_ROWS: 256,
  MULTIGATE_MAX_DELAY_MS: 0,
}

t.test('alternatives differ from each other, and from the settings in force', async (t) => {
  const layouts = (cores: number, now = defaults) =>
    alternatives('processes', now, cores).map(
      (settings) => `${settings.MULTIGATE_PROCESSES}×${settings.MULTIGATE_WORKERS}`,
    )
  t.same(layouts(1), [])
  t.same(layouts(2), ['1×1', '2×1'])
  t.same(layouts(4), ['1×3', '2×2', '4×1'])
  t.same(layouts(16), ['1×15', '2×8', '4×4', '8×2', '16×1', '2×7', '4×3'])
  t.same(layouts(2, { ...defaults, MULTIGATE_WORKERS: 1 }), ['2×1'])
  t.equal(alternatives('delay', { ...defaults, MULTIGATE_MAX_DELAY_MS: 2 }, 2).length, 1)
})

t.test('only settings that differ are named', async (t) => {
  t.equal(formatSettings(defaults, defaults), '')
  t.equal(
    formatSettings({ ...defaults, MULTIGATE_PROCESSES: 2, MULTIGATE_WORKERS: 1 }, defaults),
    'MULTIGATE_PROCESSES=2 MULTIGATE_WORKERS=1',
  )
})

/** Goodput is the product of what each setting gives. */
function goodputOf(settings: TunedSettings): number {
  const { MULTIGATE_PROCESSES, MULTIGATE_MAX_BATCH_ROWS, MULTIGATE_MAX_DELAY_MS } = settings
  const rows: Record<number, number> = { 64: 1, 256: 1.1, 1024: 1.3 }
  return (
    1000 *
    (MULTIGATE_PROCESSES === 2 ? 1.2 : 1) *
    rows[MULTIGATE_MAX_BATCH_ROWS]! *
    (MULTIGATE_MAX_DELAY_MS > 0 ? 0.5 : 1)
  )
}

t.test('the search keeps the best of each group and stops what is clearly worse', async (t) => {
  const needed: number[] = []
  const measure = async (settings: TunedSettings, least: number): Promise<Trial> => {
    needed.push(least)
    const goodput = goodputOf(settings)
    return { settings, goodput, stopped: goodput < least }
  }
  const { trials, best } = await searchSettings(defaults, groups, 2, measure)
  t.same(best.settings, {
    ...defaults,
    MULTIGATE_PROCESSES: 2,
    MULTIGATE_WORKERS: 1,
    MULTIGATE_MAX_BATCH_ROWS: 1024,
  })
  t.equal(trials.length, 1 + 2 + 2 + 2)
  t.same(
    trials.filter(({ stopped }) => stopped).map(({ settings }) => settings.MULTIGATE_MAX_DELAY_MS),
    [0.5, 2],
  )
  t.equal(needed[0], 0, 'the first settings are always measured')
  t.ok(Math.abs(needed.at(-1)! - 0.85 * 1000 * 1.2 * 1.3) < 1e-6)
  const some = await searchSettings(defaults, ['delay'], 2, measure)
  t.equal(some.best, some.trials[0])
  t.equal(some.trials.length, 3)
})

t.test('a gain within noise is no gain', async (t) => {
  for (const [before, after, confirmed] of [
    [[100, 104, 98], [120, 125, 118], true],
    [[100, 104, 98], [120, 103, 118], false],
    [[100, 100, 100], [103, 104, 104], false],
    [[100, 100, 100], [100, 100, 100], false],
    [[100, 100, 100], [80, 80, 80], false],
  ] as const)
    t.equal(confirm([...before], [...after]).confirmed, confirmed, `${before} ${after}`)
  t.equal(confirm([100, 90, 110], [120, 200, 150]).gain, 0.5)
})
