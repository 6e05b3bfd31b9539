import { signal } from '@preact/signals'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { base, key } from '../../api/client.ts'
import { Card, Choice, Scroll } from '../../parts/controls.tsx'
import { number } from '../../parts/format.ts'
import type { Field } from './state/model.ts'
import { type Language, languages, snippetOf } from './state/snippets.ts'

/** Lines that are shown: the copied text has all of them. */
const shownLines = 2000

/** Another version keeps the reader's choice. */
const language = signal<Language>('curl')

/** The request as a program. */
export function RequestCode({
  body,
  columns = body,
  fields,
  inputsOnly = false,
}: {
  body: object
  /** The same where all candidates have the same features, for tritonclient. */
  columns?: object
  fields: readonly Field[]
  /** The body has no named fields, which tritonclient's form needs. */
  inputsOnly?: boolean
}) {
  const hasKey = key.value !== ''
  const code = useMemo(
    () =>
      snippetOf(
        language.value,
        { url: base.href.replace(/\/$/, ''), hasKey },
        language.value === 'triton' ? columns : body,
        fields,
      ),
    [language.value, hasKey, body, columns, fields],
  )
  const lines = code.split('\n')
  const options = (Object.entries(languages) as [Language, string][]).filter(
    ([name]) => !(inputsOnly && name === 'triton'),
  )
  return (
    <Card
      id="code-title"
      class="request-code"
      title="The request"
      beside={<CopyButton title="Copy the request" text={() => code} />}
    >
      <p class="small muted">
        Asks the same from your own program.
        {hasKey && ' Put your key into the environment variable MULTIGATE_KEY first.'}
      </p>
      <Choice<Language>
        label="Language"
        value={language.value}
        options={options}
        onChange={(chosen) => {
          language.value = chosen
        }}
      />
      <Scroll label="The request as a program">
        <pre dir="ltr">{lines.slice(0, shownLines).join('\n')}</pre>
      </Scroll>
      {lines.length > shownLines && (
        <p class="small muted">{number(lines.length - shownLines, 9)} more lines are copied, but not shown.</p>
      )}
    </Card>
  )
}

/** Copies a text, and says whether that worked. */
export function CopyButton({ text, title }: { text: () => string; title: string }) {
  const [said, setSaid] = useState('')
  useEffect(() => {
    if (said === '') return
    const timer = setTimeout(() => setSaid(''), 3000)
    return () => clearTimeout(timer)
  }, [said])
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text())
      setSaid('Copied')
    } catch {
      setSaid('The browser does not allow it here')
    }
  }
  return (
    <span class="row">
      <button type="button" onClick={copy}>
        {title}
      </button>
      <span class="small muted" role="status">
        {said}
      </span>
    </span>
  )
}
