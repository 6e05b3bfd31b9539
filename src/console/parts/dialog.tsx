import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

interface DialogProps {
  /** The id of its heading. */
  id: string
  title: string
  class?: string
  isOpen?: boolean
  /** While it is being sent nothing else can be done. */
  isBusy?: boolean
  /** The text of the button that sends it, and of the one that does not. */
  submit: string
  cancel?: string
  /** More buttons. */
  actions?: ComponentChildren
  onSubmit(form: HTMLFormElement): void
  /** It was closed without being sent. */
  onClose(): void
  children: ComponentChildren
}

/** A form above the page. */
export function Dialog({ id, title, class: name, isOpen = true, isBusy = false, ...props }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)

  useEffect(() => {
    if (!isOpen) dialog.current?.close()
    else if (!dialog.current?.open) dialog.current?.showModal()
  }, [isOpen])

  return (
    <dialog ref={dialog} class={name} aria-labelledby={id} onClose={() => props.onClose()}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault()
          props.onSubmit(event.currentTarget)
        }}
      >
        <h2 id={id}>{title}</h2>
        {props.children}
        <div class="actions">
          <button type="submit" class="primary" disabled={isBusy}>
            {props.submit}
          </button>
          {props.actions}
          <button type="button" disabled={isBusy} onClick={() => dialog.current?.close()}>
            {props.cancel ?? 'Cancel'}
          </button>
        </div>
      </form>
    </dialog>
  )
}
