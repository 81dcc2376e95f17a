// A modal dialog: the browser's own, which keeps the focus inside.
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { catchFocus } from './focus.js'
import { Said } from './said.js'

export interface DialogProps {
  readonly title: string
  /** Told when it is closed, by whatever way. */
  onClose (): void
  /** May Escape close it? Told instead where not. */
  readonly onEscape?: (() => void) | undefined
  readonly wide?: boolean
  readonly children: ComponentChildren
}

export function Dialog ({ title, onClose, onEscape, wide = false, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    const root = dialog.current!.getRootNode() as ShadowRoot
    const opener = root.activeElement
    dialog.current!.showModal()
    // A browser gives the focus back to what opened a dialog that is closed, not one that is taken away.
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
      catchFocus(root)
    }
  }, [])
  return (
    <dialog
      ref={dialog} aria-labelledby={heading} part='dialog' class={wide ? 'wide' : ''}
      onCancel={(event) => {
        event.preventDefault()
        ;(onEscape ?? onClose)()
      }}
      // A browser that insists closes it all the same, at the second Escape in a row. It tells so, too, of one that was taken away.
      onClose={({ currentTarget }) => {
        if (!currentTarget.isConnected) return
        if (onEscape === undefined) onClose()
        else currentTarget.showModal()
      }}
    >
      <h2 id={heading} tabIndex={-1}>{title}</h2>
      {children}
      <Said />
    </dialog>
  )
}
