// What is wrong with the fields of a form, by the member of the request's body that each fills.

export type Faults = Partial<Record<'label' | 'scopes' | 'allowedOrigins' | 'allowedIps' | 'expiresAt', string>>

/** Once it is drawn: the first field that says it is wrong, also one that was folded away. */
export function focusFirstFault (form: HTMLFormElement): void {
  requestAnimationFrame(() => {
    const field = form.querySelector<HTMLElement>('[aria-invalid="true"]')
    const folded = field?.closest('details')
    if (folded != null) folded.open = true
    field?.focus()
  })
}
