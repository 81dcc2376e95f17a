// A list of short texts, one a line.
import { Field } from '../widgets/field.js'

export function LinesField ({ label, hint, value, onChange, fault }: {
  label: string, hint: string, value: string, onChange: (value: string) => void, fault: string | null
}) {
  return (
    <Field label={label} hint={hint} fault={fault}>
      {(control) => (
        <textarea {...control} rows={2} spellcheck={false} autocapitalize='off' value={value} onInput={(event) => { onChange(event.currentTarget.value) }} />
      )}
    </Field>
  )
}
