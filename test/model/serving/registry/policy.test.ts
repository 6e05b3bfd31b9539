import t from 'tap'
import { compareVersions } from '../../../../src/base/names.ts'
import { type Actions, type KnownVersion, nextActions } from '../../../../src/model/serving/registry/policy.ts'
import type { SourceVersion } from '../../../../src/model/serving/registry/source.ts'
import type { VersionState } from '../../../../src/schemas/models.ts'
import { fc } from '../../../support/cases.ts'

interface Case {
  name: string
  mode?: 'latest' | 'all'
  /**
   * Versions on disk; `2'` is version 2 with a changed manifest, `2@9` takes effect at 9, `2@?` has a broken schedule.
   * It is 5.
   */
  disk: string
  labels?: Record<string, string>
  pin?: string
  serving?: string
  kept?: string
  /** The version that is to answer, where a case is about that. */
  target?: string
  /** Versions known, e.g. `1 ready, 2 failed`. */
  known?: string
  load?: string
  refresh?: string
  unload?: string
  refuse?: string
  forget?: string
  scheduled?: string
}

const cases: Case[] = [
  { name: 'nothing is done for nothing', disk: '' },
  { name: 'the highest version is loaded', disk: '1 2 3', load: '3' },
  { name: 'the highest version is that of the highest number', disk: '9 10', load: '10' },
  { name: 'nothing is done while the highest answers', disk: '1 2', known: '2 ready' },
  { name: 'nothing is done while the highest is loaded', disk: '1 2', known: '2 loading' },
  { name: 'where the highest failed, the next lower is loaded', disk: '1 2 3', known: '3 failed', load: '2' },
  { name: 'where two failed, the third is loaded', disk: '1 2 3', known: '2 failed, 3 failed', load: '1' },
  { name: 'where all failed, nothing is left to do', disk: '1 2', known: '1 failed, 2 failed' },
  { name: 'a new version is loaded beside the old one', disk: '1 2', known: '1 ready', load: '2' },
  { name: 'the old version stays while the new one is loaded', disk: '1 2', known: '1 ready, 2 loading' },
  { name: 'the old version goes when the new one answers', disk: '1 2', known: '1 ready, 2 ready', unload: '1' },
  { name: 'the old version stays when the new one failed', disk: '1 2', known: '1 ready, 2 failed' },
  { name: 'a version that answers is read again when its files change', disk: "1'", known: '1 ready', refresh: '1' },
  { name: 'but not while they are as they were', disk: '1', known: '1 ready' },
  { name: 'unless a file beside them has changed', disk: '1', known: '1 outdated', refresh: '1' },
  { name: 'nor when a higher one answers', disk: "1' 2", known: '1 ready, 2 ready', unload: '1' },
  { name: 'what drains already is left alone', disk: '1 2', known: '1 draining, 2 ready' },
  {
    name: 'a failed version with a changed manifest is tried again',
    disk: "1 2'",
    known: '1 ready, 2 failed',
    forget: '2',
    load: '2',
  },
  { name: 'a version that an I/O error stopped waits for its retry', disk: '1 2', known: '1 ready, 2 waiting' },
  {
    name: 'a version whose retry is due is loaded again',
    disk: '1 2',
    known: '1 ready, 2 due',
    forget: '2',
    load: '2',
  },
  { name: 'a changed version whose refresh met an I/O error waits, too', disk: "1'", known: '1 stale-waiting' },
  { name: 'and is refreshed when its retry is due', disk: "1'", known: '1 stale-due', refresh: '1' },
  { name: 'a failed version that is gone is forgotten', disk: '1', known: '1 ready, 2 failed', forget: '2' },
  { name: 'a model that is gone is unloaded', disk: '', known: '1 ready', unload: '1' },
  { name: 'a failed version of a model that is gone is forgotten', disk: '', known: '1 failed', forget: '1' },
  { name: 'when the highest is gone, the next is loaded first', disk: '1', known: '2 ready', load: '1' },
  { name: 'when the highest is gone and the next answers, it goes', disk: '1', known: '1 ready, 2 ready', unload: '2' },
  { name: 'a version that is gone stays where all that is left failed', disk: '1', known: '1 failed, 2 ready' },
  {
    name: 'a version that came back while it drains is loaded when it has drained',
    disk: '1',
    known: '1 draining, 2 ready',
  },
  { name: 'a labelled version is loaded beside the highest', disk: '1 2 3', labels: { stable: '1' }, load: '3 1' },
  { name: 'a labelled version stays', disk: '1 2', labels: { stable: '1' }, known: '1 ready, 2 ready' },
  {
    name: 'a label moved takes its old version along',
    disk: '1 2 3',
    labels: { stable: '2' },
    known: '1 ready, 2 ready, 3 ready',
    unload: '1',
  },
  { name: 'a label of no version does nothing', disk: '1', labels: { stable: '7' }, known: '1 ready' },
  {
    name: 'a labelled version that failed is left alone',
    disk: '1 2',
    labels: { stable: '1' },
    known: '1 failed, 2 ready',
  },
  { name: 'all versions are loaded, the highest first', mode: 'all', disk: '1 3 2', load: '3 2 1' },
  { name: 'all versions stay', mode: 'all', disk: '1 2', known: '1 ready, 2 ready' },
  { name: 'of all versions, one that failed is left alone', mode: 'all', disk: '1 2', known: '1 ready, 2 failed' },
  {
    name: 'of all versions, one that is gone is unloaded',
    mode: 'all',
    disk: '2',
    known: '1 ready, 2 ready',
    unload: '1',
  },
  {
    name: 'of all versions, one that is gone stays until its successor answers',
    mode: 'all',
    disk: '2',
    known: '1 ready, 2 loading',
  },
  { name: 'a pinned version is loaded, and no higher one', disk: '1 2 3', pin: '2', load: '2', target: '2' },
  {
    name: 'what serves stays until the pinned version answers',
    disk: '1 2 3',
    pin: '2',
    serving: '3',
    known: '2 loading, 3 ready',
    target: '2',
  },
  {
    name: 'a higher version goes when the pinned one answers',
    disk: '1 2 3',
    pin: '2',
    serving: '3',
    known: '2 ready, 3 ready',
    unload: '3',
  },
  {
    name: 'or stays for a while, to be rolled back to',
    disk: '1 2 3',
    pin: '2',
    serving: '2',
    kept: '3',
    known: '2 ready, 3 ready',
  },
  {
    name: 'a version that is kept goes when its folder does',
    disk: '2',
    serving: '2',
    kept: '1',
    known: '1 ready, 2 ready',
    unload: '1',
  },
  { name: 'a version that is kept is not loaded for that', disk: '1 2', serving: '2', kept: '1', known: '2 ready' },
  {
    name: 'the version that was kept makes room for the next',
    disk: '1 2 3',
    serving: '2',
    kept: '1',
    known: '1 ready, 2 ready',
    load: '3',
    unload: '1',
  },
  {
    name: 'a pin at a version that is not there leaves what serves, though a higher one is there',
    disk: '1 2 3',
    pin: '9',
    serving: '2',
    known: '2 ready',
    target: '2',
  },
  {
    name: 'so does a pin at a version that failed',
    disk: '1 2 3',
    pin: '1',
    serving: '2',
    known: '1 failed, 2 ready',
    target: '2',
  },
  { name: 'where nothing serves, it is as if there were no such pin', disk: '1 2', pin: '9', load: '2', target: '2' },
  {
    name: 'a pinned version that serves stays, though its folder is gone',
    disk: '2 3',
    pin: '1',
    serving: '1',
    known: '1 ready',
    target: '1',
  },
  { name: 'unless the whole model is', disk: '', pin: '1', serving: '1', known: '1 ready', unload: '1' },
  {
    name: 'of all versions, the pinned one is loaded first',
    mode: 'all',
    disk: '1 2 3',
    pin: '2',
    load: '2 3 1',
    target: '2',
  },
  {
    name: 'of all versions, none goes for a pin',
    mode: 'all',
    disk: '1 2 3',
    pin: '2',
    serving: '3',
    known: '1 ready, 2 ready, 3 ready',
  },
  {
    name: 'a version is loaded before its time',
    disk: '1 2@9',
    known: '1 ready',
    load: '2',
    target: '1',
    scheduled: '2',
  },
  { name: 'and then waits for it', disk: '1 2@9', known: '1 ready, 2 ready', target: '1', scheduled: '2' },
  { name: 'it answers when its time has come', disk: '1 2@5', known: '1 ready, 2 ready', target: '2', unload: '1' },
  { name: 'a time long ago means immediately', disk: '1 2@1', known: '1 ready', load: '2', target: '2' },
  { name: 'what answers is loaded first', disk: '1 2@9', load: '1 2', target: '1', scheduled: '2' },
  { name: 'where all versions wait, none answers', disk: '1@9', known: '1 ready', scheduled: '1' },
  {
    name: 'of several that wait, the one whose time comes first is loaded',
    disk: '1 2@9 3@8 4@9',
    known: '1 ready',
    load: '3',
    scheduled: '4 3 2',
  },
  { name: 'of one time, the highest', disk: '1 2@9 3@9', known: '1 ready', load: '3', scheduled: '3 2' },
  {
    name: 'where that failed, the next',
    disk: '1 2@9 3@8',
    known: '1 ready, 3 failed',
    load: '2',
    target: '1',
    scheduled: '3 2',
  },
  {
    name: 'one that failed is not the target when its time has come',
    disk: '1 2@5',
    known: '1 ready, 2 failed',
    target: '1',
  },
  { name: 'one below the target is not loaded', disk: '1@9 2', known: '2 ready', target: '2', scheduled: '1' },
  {
    name: 'a higher version without a time answers first, and one below it is not needed any more',
    disk: '1 2@9 3',
    known: '1 ready, 2 ready, 3 ready',
    serving: '1',
    target: '3',
    unload: '1 2',
    scheduled: '2',
  },
  {
    name: 'one that is gone before its time is unloaded',
    disk: '1',
    serving: '1',
    known: '1 ready, 2 ready',
    target: '1',
    unload: '2',
  },
  {
    name: 'a pin does not wait',
    disk: '1 2@9',
    pin: '2',
    serving: '1',
    known: '1 ready, 2 ready',
    target: '2',
    unload: '1',
  },
  {
    name: 'below a pin, none is loaded in advance',
    disk: '1 2@9',
    pin: '1',
    known: '1 ready',
    target: '1',
    scheduled: '2',
  },
  {
    name: 'a pinned version stays when the time of a higher one comes',
    disk: '1 2@5',
    pin: '1',
    known: '1 ready',
    target: '1',
  },
  {
    name: 'of all versions, those that wait are loaded too',
    mode: 'all',
    disk: '1 2@9 3@8',
    load: '1 3 2',
    target: '1',
    scheduled: '3 2',
  },
  {
    name: 'a labelled version is loaded, whatever its time',
    disk: '1 2@9 3@8',
    labels: { next: '2' },
    known: '1 ready, 3 ready',
    load: '2',
    scheduled: '3 2',
  },
  {
    name: 'what is kept for a roll-back makes room for the next',
    disk: '1 2 3@9',
    serving: '2',
    kept: '1',
    known: '1 ready, 2 ready',
    load: '3',
    unload: '1',
    scheduled: '3',
  },
  {
    name: 'a version that answers waits again when its time is put off, once another answers',
    disk: '1 2@9',
    serving: '2',
    known: '2 ready',
    load: '1',
    target: '1',
    scheduled: '2',
  },
  {
    name: 'the only version that answers stays, though its time is put off',
    disk: '2@9',
    serving: '2',
    known: '2 ready',
    target: '2',
  },
  {
    name: 'a clock that is set back takes nothing back',
    disk: '1 2@9',
    serving: '2',
    known: '1 ready, 2 activated',
    target: '2',
    unload: '1',
  },
  {
    name: 'a broken schedule is loaded, to fail',
    disk: '1 2@?',
    known: '1 ready',
    load: '2',
    target: '1',
    scheduled: '2',
  },
  {
    name: 'it does not keep the next from being loaded',
    disk: '1 2@9 3@?',
    known: '1 ready',
    load: '3 2',
    scheduled: '3 2',
  },
  {
    name: 'a version that waits does not answer when its schedule breaks',
    disk: '1 2@?',
    serving: '1',
    known: '1 ready, 2 ready',
    target: '1',
    scheduled: '2',
  },
  { name: 'one that answers goes on', disk: '1 2@?', serving: '2', known: '2 ready', target: '2' },
  {
    name: 'an incompatible version does not take over, and is refused',
    disk: '1 2',
    serving: '1',
    known: '1 ready, 2 incompatible',
    target: '1',
    refuse: '2',
  },
  {
    name: 'it makes way for one that is compatible, higher or lower',
    disk: '1 2 3',
    serving: '1',
    known: '1 ready, 3 incompatible',
    load: '2',
    target: '2',
  },
  {
    name: 'where nothing answers yet, it stays until another one does',
    disk: '1 2',
    known: '2 incompatible',
    load: '1',
    target: '1',
  },
  {
    name: 'a pin serves it',
    disk: '1 2',
    pin: '2',
    serving: '1',
    known: '1 ready, 2 incompatible',
    target: '2',
    unload: '1',
  },
  {
    name: 'a label keeps it, to be asked for by name',
    disk: '1 2',
    labels: { next: '2' },
    serving: '1',
    known: '1 ready, 2 incompatible',
    target: '1',
  },
  {
    name: 'of all versions, it stays too',
    mode: 'all',
    disk: '1 2',
    serving: '1',
    known: '1 ready, 2 incompatible',
    target: '1',
  },
  {
    name: 'it is refused before its time, and the next one loaded',
    disk: '1 2@9 3@8',
    serving: '1',
    known: '1 ready, 3 incompatible',
    load: '2',
    refuse: '3',
    target: '1',
    scheduled: '3 2',
  },
  {
    name: 'it is refused before its time',
    disk: '1 2@9',
    serving: '1',
    known: '1 ready, 2 incompatible',
    target: '1',
    refuse: '2',
    scheduled: '2',
  },
]

for (const { name, mode = 'latest', disk, labels = {}, known = '', load = '', refresh = '', ...more } of cases) {
  const { pin, serving, kept, ...gone } = more
  t.test(name, async (t) => {
    const {
      load: loads,
      refresh: refreshes,
      target,
      ...rest
    } = nextActions({
      mode,
      source: source(disk),
      labels,
      known: states(known),
      pin,
      serving,
      kept,
      time: 5,
    })
    t.same(
      { load: loads.map(({ version }) => version), refresh: refreshes.map(({ version }) => version), ...rest },
      {
        load: words(load),
        refresh: words(refresh),
        unload: words(gone.unload ?? ''),
        refuse: words(gone.refuse ?? ''),
        forget: words(gone.forget ?? ''),
        scheduled: words(gone.scheduled ?? ''),
      },
    )
    if (gone.target !== undefined) t.equal(target, gone.target)
  })
}

t.test('versions are ordered by number, however long', async (t) => {
  const versions = ['10', '9', '1', '100', '99', '999999999999999999', '999999999999999998']
  t.same(versions.sort(compareVersions), ['1', '9', '10', '99', '100', '999999999999999998', '999999999999999999'])
})

t.test('a version is as high as itself', async (t) => {
  t.equal(compareVersions('12', '12'), 0)
})

const version = fc.integer({ min: 1, max: 5 }).map(String)
const situation = fc.record({
  mode: fc.constantFrom('latest' as const, 'all' as const),
  disk: fc.uniqueArray(
    fc.oneof(
      fc.record({ version, stamp: fc.constantFrom('old', 'new') }),
      fc.record({ version, stamp: fc.constantFrom('old', 'new'), activateAt: fc.constantFrom(1, 5, 9) }),
      fc.record({ version, stamp: fc.constantFrom('old', 'new'), problem: fc.constant('is broken') }),
    ),
    { selector: (entry) => entry.version },
  ),
  known: fc.uniqueArray(
    fc.record({
      version,
      state: fc.constantFrom<VersionState>('ready', 'failed', 'draining'),
      stamp: fc.constantFrom('old', 'new'),
      bare: fc.boolean(),
      incompatible: fc.boolean(),
    }),
    { selector: (entry) => entry.version },
  ),
  labels: fc.dictionary(fc.constantFrom('a', 'b'), version),
  pin: fc.option(version, { nil: undefined }),
  serving: fc.option(version, { nil: undefined }),
  kept: fc.option(version, { nil: undefined }),
})

t.test('whatever the states, the only version that answers is never taken away while any is on disk', async () => {
  fc.assert(
    fc.property(situation, ({ mode, disk, known, labels, pin, serving, kept }) => {
      const actions = nextActions({ mode, source: disk, labels, known, pin, serving, kept, time: 5 })
      const unload = [...actions.unload, ...actions.refuse]
      const ready = known.filter(({ state }) => state === 'ready').map((entry) => entry.version)
      return disk.length === 0 || unload.length === 0 || ready.some((entry) => !unload.includes(entry))
    }),
  )
})

t.test('whatever the states and outcomes, doing as told comes to an end', async () => {
  fc.assert(
    fc.property(situation, fc.func(fc.boolean()), ({ mode, disk, known, labels, pin, serving, kept }, succeeds) => {
      let states: KnownVersion[] = known
      for (let round = 0; round < 20; round++) {
        const actions = nextActions({ mode, source: disk, labels, known: states, pin, serving, kept, time: 5 })
        if (count(actions) === 0) return true
        states = [
          ...states
            .filter(
              (entry) =>
                ![...actions.unload, ...actions.forget, ...actions.refresh.map((one) => one.version)].includes(
                  entry.version,
                ),
            )
            .map(
              (entry): KnownVersion =>
                actions.refuse.includes(entry.version) ? { ...entry, state: 'failed', incompatible: false } : entry,
            ),
          ...[...actions.load, ...actions.refresh].map(
            (entry): KnownVersion => ({ ...entry, state: succeeds(entry.version) ? 'ready' : 'failed' }),
          ),
        ]
      }
      return false
    }),
  )
})

function count({ load, unload, refuse, forget }: Actions): number {
  return load.length + unload.length + refuse.length + forget.length
}

function words(text: string): string[] {
  return text === '' ? [] : text.split(' ')
}

function source(text: string): SourceVersion[] {
  return words(text).map((word) => {
    const [, version, changed, time] = /^(\d+)('?)(?:@(.+))?$/.exec(word)!
    const schedule = time === undefined ? {} : time === '?' ? { problem: 'is broken' } : { activateAt: Number(time) }
    return { version: version!, stamp: changed ? 'new' : 'old', ...schedule }
  })
}

function states(text: string): KnownVersion[] {
  const entries = text === '' ? [] : text.split(', ')
  return entries.map((entry) => {
    const [version, word] = entry.split(' ') as [string, keyof typeof shorthand | VersionState]
    return {
      version,
      stamp: 'old',
      ...(word in shorthand ? shorthand[word as never] : { state: word as VersionState }),
    }
  })
}

const shorthand = {
  activated: { state: 'ready', activated: 9 },
  incompatible: { state: 'ready', incompatible: true },
  outdated: { state: 'ready', outdated: true },
  waiting: { state: 'failed', retry: 'waiting' },
  due: { state: 'failed', retry: 'due' },
  'stale-waiting': { state: 'ready', retry: 'waiting' },
  'stale-due': { state: 'ready', retry: 'due' },
} satisfies Record<string, Partial<KnownVersion>>
