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
          Start one: <code>docket worker --tasks ./tasks.js</code>. What is added waits until then.
        </Empty>
      ) : (
        <Table label="Workers" columns={COLUMNS} rows={state.workers} keyOf={({ id }) => id} />
      )}
    </>
  );
}

function Unknown() {
  return (
    <span class="muted" title="Its version does not say">
      –
    </span>
  );
}

const COLUMNS: readonly Column<WorkerJson>[] = [
  {
    name: 'Worker',
    kind: 'main',
    sortBy: ({ name }) => name,
    cell: ({ name, id, takesWork, isDraining }) => (
      <>
        <span class="key" title={id}>
          {name}
        </span>{' '}
        {isDraining && (
          <span class="chip" title="It is about to end: it takes nothing more, and lets finish what it has">
            draining
          </span>
        )}
        {!takesWork && !isDraining && (
          <span class="chip warn" title="Its connection does not answer, or it drains and its version does not say so">
            takes no work
          </span>
        )}
      </>
    ),
  },
  {
    name: 'Load',
    kind: 'wide',
    sortBy: ({ running, concurrency }) => running / Math.max(1, concurrency),
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
  { name: 'Threads', kind: 'number', cell: ({ threads }) => threads, sortBy: ({ threads }) => threads },
  { name: 'docket', cell: ({ version }) => version ?? <Unknown />, sortBy: ({ version }) => version },
  { name: 'Node', cell: ({ nodeVersion }) => nodeVersion ?? <Unknown />, sortBy: ({ nodeVersion }) => nodeVersion },
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
