// Where the focus goes when what had it is gone.

/** Once it is drawn: if the focus fell out of everything, to the heading of the section that is shown. */
export function catchFocus (root: ShadowRoot): void {
  requestAnimationFrame(() => {
    if (document.activeElement === null || document.activeElement === document.body) root.querySelector<HTMLElement>('section > h2')?.focus()
  })
}
