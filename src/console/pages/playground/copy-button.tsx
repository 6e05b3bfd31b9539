import { useEffect, useState } from 'preact/hooks'

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
