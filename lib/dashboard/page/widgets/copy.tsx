// Text that is there to be copied.
import { useEffect, useRef, useState } from 'preact/hooks'
import { useSettings } from '../settings.js'

export function CopyBox ({ text, what, lines = false }: { text: string, what: string, lines?: boolean }) {
  const { say, announce } = useSettings()
  const shown = useRef<HTMLElement>(null)
  const [done, setDone] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => { setDone(false) }, 3000)
    return () => { clearTimeout(timer) }
  }, [done])
  const copy = async (): Promise<void> => {
    const copied = await toClipboard(text, shown.current!)
    setDone(copied)
    announce(say(copied ? 'copied' : 'copy.failed'))
  }
  return (
    <div class={`copy ${lines ? 'lines' : ''}`} part='copy'>
      <pre tabIndex={0} role='group' aria-label={what}><code ref={shown}>{text}</code></pre>
      <button type='button' part='button' aria-label={done ? undefined : say('copy.what', { what })} onClick={copy}>{say(done ? 'copied.short' : 'copy')}</button>
    </div>
  )
}

/** Without TLS there is no clipboard to write to, but what is selected can be copied; failing that, the reader finds it selected. */
async function toClipboard (text: string, shown: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    getSelection()?.selectAllChildren(shown)
    return document.execCommand('copy')
  }
}
