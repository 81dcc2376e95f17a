// A labelled field of a form, with its hint and what is wrong with it.
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

interface FieldProps {
  readonly label: string
  readonly hint?: string | undefined
  /** null: nothing is wrong. */
  readonly fault?: string | null | undefined
  /** Given what ties the control to its label, hint and fault. */
  children (control: { id: string, 'aria-describedby': string | undefined, 'aria-invalid': boolean }): ComponentChildren
}

export function Field ({ label, hint, fault = null, children }: FieldProps) {
  const id = useId()
  const described = [hint === undefined ? null : `${id}-hint`, fault === null ? null : `${id}-fault`].filter((name) => name !== null).join(' ')
  return (
    <div class='field' part='field'>
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': described === '' ? undefined : described, 'aria-invalid': fault !== null })}
      {hint !== undefined && <p class='hint' id={`${id}-hint`}>{hint}</p>}
      {fault !== null && <p class='fault' id={`${id}-fault`}>{fault}</p>}
    </div>
  )
}

export interface Choice<V extends string> { readonly value: V, readonly label: string }

/** One of a few, all of them in sight. */
export function Choices<V extends string> ({ label, choices, value, onChange, compact = false }: {
  label: string, choices: ReadonlyArray<Choice<V>>, value: V, onChange: (value: V) => void, compact?: boolean
}) {
  const name = useId()
  return (
    <fieldset class={compact ? 'segments' : 'choices'} part='field'>
      <legend class={compact ? 'hidden' : ''}>{label}</legend>
      {choices.map((choice) => (
        <label key={choice.value}>
          <input type='radio' name={name} value={choice.value} checked={choice.value === value} onChange={() => { onChange(choice.value) }} />
          <span>{choice.label}</span>
        </label>
      ))}
    </fieldset>
  )
}

/** One of many. */
export function Select<V extends string> ({ label, choices, value, onChange, fault = null }: {
  label: string, choices: ReadonlyArray<Choice<V>>, value: V, onChange: (value: V) => void, fault?: string | null
}) {
  return (
    <Field label={label} fault={fault}>
      {(control) => (
        <select {...control} value={value} onChange={(event) => { onChange(event.currentTarget.value as V) }}>
          {choices.map((choice) => <option key={choice.value} value={choice.value}>{choice.label}</option>)}
        </select>
      )}
    </Field>
  )
}
