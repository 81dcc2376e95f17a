// A table that becomes a list of cards where there is little room. Its roles are said: what looks like no table is none to a browser.
import type { ComponentChildren } from 'preact'

export interface Column<Row> {
  readonly name: string
  readonly title: string
  /** Its title is for those alone who do not see the table. */
  readonly quiet?: boolean
  cell (row: Row): ComponentChildren
}

export function Table<Row> ({ title, columns, rows, idOf }: {
  title: string, columns: ReadonlyArray<Column<Row>>, rows: readonly Row[], idOf: (row: Row) => string
}) {
  return (
    <table role='table' aria-label={title} part='table'>
      <thead role='rowgroup'>
        <tr role='row'>
          {columns.map(({ name, title, quiet }) => <th key={name} role='columnheader' scope='col' class={name}>{quiet === true ? <span class='hidden'>{title}</span> : title}</th>)}
        </tr>
      </thead>
      <tbody role='rowgroup'>
        {rows.map((row) => (
          <tr key={idOf(row)} role='row'>
            {columns.map(({ name, title, quiet, cell }) => (
              <td key={name} role='cell' class={name}>
                {quiet !== true && <span class='cell-title' aria-hidden='true'>{title}</span>}
                <div>{cell(row)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** Instead of a table that would have no rows. */
export function Empty ({ title, text, children }: { title: string, text?: string, children?: ComponentChildren }) {
  return (
    <div class='empty' part='empty'>
      <p class='empty-title'>{title}</p>
      {text !== undefined && <p>{text}</p>}
      {children}
    </div>
  )
}
