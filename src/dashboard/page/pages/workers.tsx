/** The live workers: their threads, their load, and what they can run. */
import type { WorkerJson } from '../../api.js';
import { live } from '../lib/live.js';
import { useStore } from '../lib/store.js';
import { type Column, Table } from '../parts/table.js';
import { Empty, Heading, Loading, Time } from '../parts/ui.js';

export function Workers() {
  const state = useStore(live);
  if (!state) return <Loading />;
  return (
    <>
      <Heading title="Workers" />
      {state.workers.length === 0 ? (
        <Empty title="There are no live workers">
          Start one: <code>docket worker --tasks ./tasks.js</code>. New executions wait until then.
        </Empty>
      ) : (
        <Table label="Workers" columns={COLUMNS} rows={state.workers} keyOf={({ id }) => id} />
      )}
    </>
  );
}

const COLUMNS: readonly Column<WorkerJson>[] = [
  {
    name: 'Worker',
    kind: 'main',
    cell: ({ name, id, takesWork }) => (
      <>
        <span class="key" title={id}>
          {name}
        </span>{' '}
        {!takesWork && (
          <span class="chip warn" title="It is draining, or its connection does not answer">
            takes no work
          </span>
        )}
      </>
    ),
  },
  {
    name: 'Load',
    kind: 'wide',
    cell: ({ running, concurrency }) => (
      <div class="progress">
        <progress
          value={concurrency > 0 ? Math.min(1, running / concurrency) : 0}
          max={1}
          aria-label={`${running} of ${concurrency}`}
        />
        <span class="progress-text">
          {running} of {concurrency} at once
        </span>
      </div>
    ),
  },
  { name: 'Threads', kind: 'number', cell: ({ threads }) => threads },
  { name: 'Last seen', cell: ({ lastSeen }) => <Time at={lastSeen} /> },
  {
    name: 'Tasks',
    kind: 'wide',
    cell: ({ tasks, hasFallback }) => (
      <details>
        <summary>
          {tasks.length} tasks{hasFallback && ', and all others'}
        </summary>
        {tasks.join(', ')}
      </details>
    ),
  },
];
