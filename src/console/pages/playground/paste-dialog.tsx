import { useState } from 'preact/hooks'
import { Dialog } from '../../parts/dialog.tsx'
import type { Field } from './state/model.ts'
import { type Pasted, readPasted } from './state/paste.ts'

interface PasteDialogProps {
  fields: readonly Field[]
  /** The text that the reader pasted on the page already. */
  text: string
  onPasted(pasted: Pasted, replaces: boolean): void
  onClose(): void
}

/** From this length on, in characters, a pasted text is set as a whole. */
const longText = 10_000

/** Takes candidates, or a whole body, from elsewhere. */
export function PasteDialog({ fields, text: given, onPasted, onClose }: PasteDialogProps) {
  const [text, setText] = useState(given)
  const [replaces, setReplaces] = useState(true)
  const [problem, setProblem] = useState('')

  const take = () => {
    try {
      onPasted(readPasted(text, fields), replaces)
      onClose()
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  const readClipboard = async () => {
    try {
      setText(await navigator.clipboard.readText())
      setProblem('')
    } catch {
      setProblem('The browser does not let this page read the clipboard. Paste with your keyboard instead.')
    }
  }

  return (
    <Dialog
      id="paste-title"
      class="wide"
      title="Paste candidates"
      submit="Use them"
      actions={
        <button type="button" onClick={readClipboard}>
          Read the clipboard
        </button>
      }
      onSubmit={take}
      onClose={onClose}
    >
      <p id="paste-about">
        CSV with a header row, as a spreadsheet copies it; a JSON array of candidates; or a whole body of{' '}
        <code>POST /predict</code>, with its context.
      </p>
      <label>
        Candidates
        <textarea
          rows={10}
          value={text}
          spellcheck={false}
          dir="auto"
          class="mono"
          placeholder={'id,bid,campaign,price\nad-1,0.8,c9,1.25'}
          aria-describedby={problem === '' ? 'paste-about' : 'paste-about paste-problem'}
          aria-invalid={problem !== ''}
          onPaste={(event) => {
            const pasted = event.clipboardData?.getData('text/plain') ?? ''
            if (pasted.length < longText) return
            // Line by line, a browser takes seconds to insert thousands.
            event.preventDefault()
            const { selectionStart, selectionEnd } = event.currentTarget
            setText(text.slice(0, selectionStart) + pasted + text.slice(selectionEnd))
          }}
          onInput={(event) => {
            setText(event.currentTarget.value)
            setProblem('')
          }}
        />
      </label>
      <p id="paste-problem" class="problem" role="alert">
        {problem}
      </p>
      <label class="check">
        <input type="checkbox" checked={replaces} onChange={(event) => setReplaces(event.currentTarget.checked)} />
        Replace the candidates that are there
      </label>
    </Dialog>
  )
}
