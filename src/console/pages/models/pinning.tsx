import { useEffect, useRef, useState } from 'preact/hooks'
import { AskError, ask, client } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { askAdmin, type Details, type Model } from './words.ts'

interface Change {
  /** What its button says. */
  title: string
  /** What will happen, in a sentence. */
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
  const { data: isAdmin } = useAsk(askAdmin, [])
  const [asked, setAsked] = useState<Change>()
  const [done, setDone] = useState('')
  const changes = changesOf(details, version)
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
          {changes.map((change) => (
            <button key={change.title} type="button" onClick={() => setAsked(change)}>
              {change.title} …
            </button>
          ))}
        </div>
      ) : (
        <p class="muted">
          {isAdmin === false && 'This server does not let clients administer it (MULTIGATE_ADMIN). '}
          In a shell beside the folder of models, this serves version {version}:{' '}
          <code>
            multigate pin {name} {version}
          </code>
          , and this the highest one again: <code>multigate unpin {name}</code>
        </p>
      )}
      <p role="status">{done}</p>
      {asked !== undefined && (
        <Confirm
          change={asked}
          onClose={(status) => {
            setAsked(undefined)
            if (status === undefined) return
            setDone(`Done. Version ${status.default_version ?? '–'} answers now.`)
            again()
          }}
        />
      )}
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

/** Asks a second time. `onClose` receives the model's new status, if it was changed. */
function Confirm({ change, onClose }: { change: Change; onClose(status?: Model): void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [isSending, setSending] = useState(false)
  const [error, setError] = useState<AskError>()

  useEffect(() => dialog.current?.showModal(), [])

  async function send(): Promise<void> {
    setSending(true)
    setError(undefined)
    try {
      onClose(await change.send())
    } catch (failure) {
      setError(failure instanceof AskError ? failure : new AskError(String(failure)))
      setSending(false)
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby="pin-title" onClose={() => onClose()}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        <h2 id="pin-title">{change.title}?</h2>
        <p>
          <bdi>{change.effect}</bdi>
        </p>
        {error !== undefined && (
          <p class="notice bad" role="alert">
            Nothing has changed. <bdi>{error.message}</bdi>
          </p>
        )}
        <div class="actions">
          <button type="submit" class="primary" disabled={isSending}>
            {isSending ? 'Changing …' : change.title}
          </button>
          <button type="button" disabled={isSending} onClick={() => dialog.current?.close()}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  )
}
