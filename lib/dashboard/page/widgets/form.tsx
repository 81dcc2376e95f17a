// A form whose faults are told beside its fields, by itself and not by the browser.
import type { ComponentChildren, RefObject } from 'preact'
import type { ApiError } from '../api.js'
import { FailureNotice } from './notice.js'

export interface FormProps {
  readonly form?: RefObject<HTMLFormElement | null>
  readonly class?: string
  readonly failure: ApiError | null
  /** Members of the request's body that have a field here: what is wrong with them is said there. */
  readonly fields: readonly string[]
  onSubmit (): unknown
  readonly children: ComponentChildren
}

export function Form ({ form, class: name, failure, fields, onSubmit, children }: FormProps) {
  return (
    <form
      ref={form ?? null} class={name ?? ''} noValidate onSubmit={(event) => {
        event.preventDefault()
        onSubmit()
      }}
    >
      <FailureNotice failure={failure?.field != null && fields.includes(failure.field) ? null : failure} />
      {children}
    </form>
  )
}
