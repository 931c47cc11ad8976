/** The executions: running, queued, scheduled, waiting, and the search. */
import type { ExecutionsJson } from '../../api.js';
import { countText } from '../lib/format.js';
import { live } from '../lib/live.js';
import { href } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { useData } from '../lib/use-data.js';
import { LISTS, type List, RowTable } from '../parts/execution-rows.js';
import { RunningTable } from '../parts/running.js';
import { Empty, Heading, Loading, Problem } from '../parts/ui.js';
import { Counts } from './counts.js';
import { Find } from './find.js';

export function Executions({ list, query }: { list: string; query: URLSearchParams }) {
  const state = useStore(live);
  const { running = 0, queued = 0, scheduled = 0, waiting = 0, paused = 0 } = state?.totals ?? {};
  const counts = { running, queued, scheduled, waiting: waiting + paused };
  return (
    <>
      <Heading title="Executions" />
      <nav class="tabs" aria-label="Kinds of executions">
        {LISTS.map((one) => (
          <a key={one} href={href(['executions', one])} aria-current={list === one ? 'page' : undefined}>
            {one} <span class="count">{countText(counts[one])}</span>
          </a>
        ))}
        <a href={href(['executions', 'find'])} aria-current={list === 'find' ? 'page' : undefined}>
          find
        </a>
        <a href={href(['executions', 'count'])} aria-current={list === 'count' ? 'page' : undefined}>
          count
        </a>
      </nav>
      {list === 'count' && <Counts query={query} />}
      {list === 'count' ? null : list === 'find' ? (
        <Find query={query} />
      ) : list === 'running' ? (
        <Running />
      ) : (
        <Listed list={list as List} />
      )}
    </>
  );
}

function Running() {
  const state = useStore(live);
  if (!state) return <Loading />;
  const { running, totals } = state;
  if (running.length === 0) return <Empty title="Nothing is running">{EMPTY.running}</Empty>;
  return (
    <>
      <RunningTable rows={running} />
      <Cut shown={running.length} total={totals.running} />
    </>
  );
}

const EMPTY = {
  running: 'Executions appear here as soon as a worker takes them.',
  queued: 'Workers have taken all that is due.',
  scheduled: 'Add an execution for later with the option when, or give its task a schedule.',
  waiting: 'No limit holds anything up, and no task is paused.',
} as const;

function Listed({ list }: { list: List }) {
  const { data, error } = useData<ExecutionsJson>('executions', { list });
  if (!data) return error ? <Problem error={error} isMinor={true} /> : <Loading />;
  if (data.executions.length === 0) return <Empty title={`Nothing is ${list}`}>{EMPTY[list]}</Empty>;
  return (
    <>
      <Problem error={error} isMinor={true} />
      <RowTable rows={data.executions} list={list} />
      <Cut shown={data.executions.length} total={data.total} />
    </>
  );
}

function Cut({ shown, total }: { shown: number; total: number }) {
  if (shown >= total) return null;
  return (
    <p class="muted note">
      The first {countText(shown)} of {countText(total)}. Look for others with{' '}
      <a href={href(['executions', 'find'])}>find</a>.
    </p>
  );
}
