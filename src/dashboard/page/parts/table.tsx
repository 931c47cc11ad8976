/** A table; on a phone each row becomes a card, whose values carry the names of their columns. */
import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  readonly name: string;
  /** Smaller, below the name. */
  readonly note?: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly kind?: 'number' | 'main' | 'wide' | 'actions';
}

interface Props<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
}

export function Table<Row>({ label, columns, rows, keyOf }: Props<Row>) {
  return (
    <div class="table-frame">
      <table aria-label={label}>
        <thead>
          <tr>
            {columns.map(({ name, note, kind }) => (
              <th key={name} scope="col" class={kind}>
                {kind === 'actions' ? <span class="hidden">{name}</span> : name}
                {note && <small>{note}</small>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ name, cell, kind }) => (
                <td key={name} class={kind} data-label={name}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
