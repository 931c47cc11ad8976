/**
 * A table, which turns into a list of cards where there is no room for it: each row a card, whose values carry the names of
 * their columns. Columns that say by what they sort have buttons in their heads.
 */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

export interface Column<Row> {
  readonly name: string;
  /** What stands in the head in place of the name. */
  readonly head?: ComponentChildren;
  /** Smaller, below the name. */
  readonly note?: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly kind?: 'number' | 'main' | 'wide' | 'actions';
  /** By what rows are sorted; `null` comes last. */
  readonly sortBy?: (row: Row) => number | string | null;
}

interface Props<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
}

interface Order {
  readonly name: string;
  readonly isDescending: boolean;
}

export function Table<Row>({ label, columns, rows, keyOf }: Props<Row>) {
  const [order, setOrder] = useState<Order | null>(null);
  return (
    <div class="table-frame">
      <table aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.name} of={column} order={order} onOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted(rows, columns, order).map((row) => (
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

interface HeadProps<Row> {
  readonly of: Column<Row>;
  readonly order: Order | null;
  readonly onOrder: (order: Order | null) => void;
}

function Head<Row>({ of: { name, head, note, kind, sortBy }, order, onOrder }: HeadProps<Row>) {
  const text = head ?? (kind === 'actions' ? <span class="hidden">{name}</span> : name);
  const small = note && <small>{note}</small>;
  if (!sortBy) {
    return (
      <th scope="col" class={kind}>
        {text}
        {small}
      </th>
    );
  }
  const present = order?.name === name ? order : null;
  const direction = present && (present.isDescending ? 'descending' : 'ascending');
  return (
    <th scope="col" class={kind} aria-sort={direction ?? 'none'}>
      <button type="button" class={`sort ${direction ?? ''}`} onClick={() => onOrder(following(name, present))}>
        {text}
      </button>
      {small}
    </th>
  );
}

/** The largest first, then the smallest first, then as before. */
function following(name: string, present: Order | null): Order | null {
  if (!present) return { name, isDescending: true };
  return present.isDescending ? { name, isDescending: false } : null;
}

function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: Order | null): readonly Row[] {
  const sortBy = order && columns.find(({ name }) => name === order.name)?.sortBy;
  if (!sortBy) return rows;
  const direction = order.isDescending ? -1 : 1;
  return [...rows].sort((rowA, rowB) => {
    const [a, b] = [sortBy(rowA), sortBy(rowB)];
    if (a === b) return 0;
    if (a === null || b === null) return a === null ? 1 : -1;
    return a < b ? -direction : direction;
  });
}
