import { useEffect, useRef } from 'preact/hooks'
import { keyAsked, setKey } from '../api/key.ts'

/** Asks for a key where the server wants one. */
export function KeyForm() {
  const dialog = useRef<HTMLDialogElement>(null)
  const reason = keyAsked.value

  useEffect(() => {
    if (reason !== undefined) {
      if (!dialog.current?.open) dialog.current?.showModal()
    } else dialog.current?.close()
  }, [reason])

  return (
    <dialog ref={dialog} aria-labelledby="key-title" onClose={() => (keyAsked.value = undefined)}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault()
          const field = event.currentTarget.elements.namedItem('key') as HTMLInputElement
          setKey(field.value.trim())
          field.value = ''
        }}
      >
        <h2 id="key-title">Key</h2>
        <p>{reason} The tab keeps it until you close it; nothing else does.</p>
        <label>
          Key
          <input name="key" type="password" autocomplete="off" required spellcheck={false} />
        </label>
        <div class="actions">
          <button type="submit" class="primary">
            Use this key
          </button>
          <button type="button" onClick={() => (keyAsked.value = undefined)}>
            Not now
          </button>
        </div>
      </form>
    </dialog>
  )
}
