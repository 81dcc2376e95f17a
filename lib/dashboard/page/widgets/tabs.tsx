// Sections of which one is shown, after https://www.w3.org/WAI/ARIA/apg/patterns/tabs/.
import type { ComponentChildren } from 'preact'
import { useId, useRef } from 'preact/hooks'

export interface TabsProps<N extends string> {
  readonly label: string
  readonly tabs: ReadonlyArray<{ readonly name: N, readonly title: string }>
  readonly chosen: N | null
  onChoose (name: N): void
  readonly children: ComponentChildren
}

export function Tabs<N extends string> ({ label, tabs, chosen, onChoose, children }: TabsProps<N>) {
  const id = useId()
  const list = useRef<HTMLDivElement>(null)
  if (tabs.length < 2) return <>{children}</>

  const onKeyDown = (event: KeyboardEvent): void => {
    const place = tabs.findIndex(({ name }) => name === chosen)
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key]
    // With another key it is the browser's own, such as Alt and left to go back.
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    const next = (to + tabs.length) % tabs.length
    onChoose(tabs[next]!.name)
    ;(list.current!.children[next] as HTMLElement).focus()
  }
  return (
    <>
      <div class='tabs' part='tabs' role='tablist' aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {tabs.map(({ name, title }) => (
          <button
            key={name} type='button' role='tab' part='tab' id={`${id}-${name}`} aria-controls={`${id}-panel`}
            aria-selected={name === chosen} tabIndex={name === chosen ? 0 : -1} onClick={() => { onChoose(name) }}
          >
            {title}
          </button>
        ))}
      </div>
      <div role='tabpanel' id={`${id}-panel`} aria-labelledby={`${id}-${chosen ?? ''}`} key={chosen}>{children}</div>
    </>
  )
}
