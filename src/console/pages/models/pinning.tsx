import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { AskError, ask, askModels, client } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { Select } from '../../parts/controls.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import type { Details, Model, Version } from './words.ts'

interface Change {
  /** The label of its button. */
  title: string
  /** A sentence about what will happen. */
  effect: string
  send(): Promise<Model>
}

interface PinningProps {
  details: Details
  version: string
  again(): void
}

/** Which version answers, and how to change that. */
export function Pinning({ details, version, again }: PinningProps) {
  const { name, default_version: answering, pin } = details
  const { data } = useAsk(askModels, [name])
  const isAdmin = data?.administration
  const [asked, setAsked] = useState<Change>()
  const [done, setDone] = useState('')
  const [chosen, setChosen] = useState(() => firstChoice(details, version))
  const choices = details.versions.filter(canAnswer).map((one) => one.version)
  const changes = changesOf(details, choices.includes(chosen) ? chosen : version)
  return (
    <>
      <p>Rollouts: all requests that name no version go to version {answering ?? '–'}.</p>
      <p>
        {pin === undefined
          ? 'No version is pinned: the highest one that loads answers requests that name none.'
          : `Version ${pin} is pinned: it answers, whatever higher versions arrive.`}
      </p>
      {isAdmin === true ? (
        <div class="actions">
          <Select class="row small" label="Version to serve" value={chosen} options={choices} onChange={setChosen} />
          {changes.map((change) => (
            <button key={change.title} type="button" onClick={() => setAsked(change)}>
              {change.title} …
            </button>
          ))}
        </div>
      ) : (
        <p class="muted">
          {isAdmin === false &&
            'This address, or your key, does not allow administration (MULTIGATE_ADMIN, scope admin). '}
          <Commands model={name} version={chosen} />
        </p>
      )}
      <p role="status">{done}</p>
      {asked !== undefined && (
        <Confirm
          change={asked}
          commands={<Commands model={name} version={chosen} />}
          onClose={(status) => {
            setAsked(undefined)
            setDone('')
            if (status === undefined) return
            setDone(`Done. Version ${status.default_version ?? '–'} answers now.`)
            again()
          }}
        />
      )}
    </>
  )
}

/** A version that was only refused for what it breaks answers where it is pinned. */
const canAnswer = ({ state, incompatible }: Version) => state !== 'failed' || incompatible !== undefined

/** The version that is shown, or where it answers, the one before it. */
function firstChoice({ default_version: answering, versions }: Details, version: string): string {
  if (version !== answering) return version
  const lower = versions.find((one) => canAnswer(one) && BigInt(one.version) < BigInt(version))
  return lower?.version ?? version
}

/** The same from a shell. */
function Commands({ model, version }: { model: string; version: string }) {
  return (
    <>
      In a shell beside the folder of models, this serves version {version}:{' '}
      <code>
        multigate pin {model} {version}
      </code>
      , and this the highest one again: <code>multigate unpin {model}</code>
    </>
  )
}

function changesOf({ name, default_version: answering, pin, versions }: Details, version: string): Change[] {
  const pinTo = (chosen: string) => () =>
    ask(client.POST('/models/{model}/pin', { params: { path: { model: name } }, body: { version: chosen } }))
  const changes: Change[] = []
  if (version !== pin) {
    const isBack = answering !== undefined && BigInt(version) < BigInt(answering)
    changes.push({
      title: isBack ? `Roll back to version ${version}` : `Pin version ${version}`,
      effect:
        version === answering
          ? `Version ${version} of ${name} goes on answering, even when higher versions arrive.`
          : `Version ${version} of ${name} answers all requests that name no version, in place of version ${answering ?? '–'}, in all processes, until it is unpinned.`,
      send: pinTo(version),
    })
  }
  if (pin !== undefined) {
    const highest = versions.find(({ state }) => state !== 'failed' && state !== 'scheduled')?.version
    changes.push({
      title: 'Unpin',
      effect: `The highest version of ${name} that loads answers again${highest === undefined ? '' : `: now version ${highest}`}.`,
      send: () => ask(client.POST('/models/{model}/unpin', { params: { path: { model: name } } })),
    })
  }
  return changes
}

interface ConfirmProps {
  change: Change
  /** Shown to those who may not change it here. */
  commands: ComponentChildren
  onClose(status?: Model): void
}

/** Asks a second time. `onClose` receives the model's new status, if it was changed. */
function Confirm({ change, commands, onClose }: ConfirmProps) {
  const [isSending, setSending] = useState(false)
  const [error, setError] = useState<AskError>()

  async function send(): Promise<void> {
    setSending(true)
    setError(undefined)
    try {
      onClose(await change.send())
    } catch (failure) {
      setError(AskError.of(failure))
      setSending(false)
    }
  }

  return (
    <Dialog
      id="pin-title"
      title={`${change.title}?`}
      isBusy={isSending}
      submit={isSending ? 'Changing …' : change.title}
      onSubmit={send}
      onClose={onClose}
    >
      <p>
        <bdi>{change.effect}</bdi>
      </p>
      {error !== undefined && (
        <p class="notice bad" role="alert">
          {error.status === 0 ? 'It is not known whether this has changed.' : 'Nothing has changed.'}{' '}
          <bdi>{error.message}</bdi> {error.status === 403 && commands}
        </p>
      )}
    </Dialog>
  )
}
