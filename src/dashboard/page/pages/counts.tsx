/** Whose work fills the docket: executions counted by task and by the value of an argument; to be found, or struck. */
import type { ValueCountJson, ValueCountsJson } from '../../api.js';
import { useMayChange } from '../lib/act.js';
import { countText, plural } from '../lib/format.js';
import { go, href } from '../lib/router.js';
import { useData } from '../lib/use-data.js';
import { type Column, Table } from '../parts/table.js';
import { Empty, Loading, Problem, TaskName } from '../parts/ui.js';
import { StrikeButton } from './strikes.js';

/** A count takes seconds of a long backlog, so it is made again only now and then. */
const EVERY_MS = 30_000;

export function Counts({ query }: { query: URLSearchParams }) {
  const [task, by] = ['task', 'by'].map((name) => query.get(name) ?? '') as [string, string];
  const count = (event: SubmitEvent) => {
    event.preventDefault();
    go(
      ['executions', 'count'],
      Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>,
    );
  };
  return (
    <>
      <form class="bar" onSubmit={count} key={query.toString()}>
        <label>
          Task
          <input name="task" defaultValue={task} autoComplete="off" placeholder="any" />
        </label>
        <label class="grow">
          Count by the argument
          <input name="by" defaultValue={by} autoComplete="off" placeholder="customerId" />
        </label>
        <button type="submit" class="button primary">
          Count
        </button>
      </form>
      <Counted task={task} by={by} />
    </>
  );
}

function Counted({ task, by }: { task: string; by: string }) {
  const mayChange = useMayChange();
  const { data, error } = useData<ValueCountsJson>('value-counts', { task, by }, EVERY_MS);
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  if (data.counts.length === 0) return <Empty title="There is nothing to count">No execution waits or runs.</Empty>;
  const value: Column<ValueCountJson> = { name: by, kind: 'main', cell: (row) => <Value of={row} by={by} /> };
  const strike: Column<ValueCountJson> = {
    name: 'Strike',
    kind: 'actions',
    cell: ({ task, value }) =>
      value && <StrikeButton terms={{ task, parameter: by, operator: '==', value: value.json }} text={value.text} />,
  };
  const columns = [TASK, ...(by ? [value] : []), NUMBER, ...(by && mayChange ? [strike] : [])];
  return (
    <>
      <Problem error={error} />
      <Table
        label="Executions by task and argument"
        columns={columns}
        rows={data.counts}
        keyOf={(row) => JSON.stringify([row.task, row.value?.json, row.value === null, row.hiddenValues > 0])}
      />
      <Note of={data} />
    </>
  );
}

const NUMBER: Column<ValueCountJson> = { name: 'Executions', kind: 'number', cell: ({ count }) => countText(count) };
const TASK: Column<ValueCountJson> = { name: 'Task', cell: ({ task }) => <TaskName of={task} /> };

/** A value leads to its executions. */
function Value({ of: { task, value, hiddenValues }, by }: { of: ValueCountJson; by: string }) {
  if (value)
    return <a href={href(['executions', 'find'], { task, where: `${by}=${value.text}`, q: '1' })}>{value.text}</a>;
  if (hiddenValues === 0) return <span class="muted">none</span>;
  return <span class="muted">{plural(hiddenValues, 'value')}, not shown: the task does not name it in logged</span>;
}

function Note({ of: { counts, more, lookedAt, isWhole } }: { of: ValueCountsJson }) {
  if (more === 0 && isWhole) return null;
  return (
    <p class="muted note">
      {more > 0 && `The largest ${countText(counts.length)} of ${countText(counts.length + more)} counts. `}
      {!isWhole && `Counted among the first ${countText(lookedAt)} executions.`}
    </p>
  );
}
