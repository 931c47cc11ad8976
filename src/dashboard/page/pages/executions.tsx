/** The executions: running, queued, scheduled, waiting, and those that are looked for. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ExecutionRowJson, ExecutionsJson, FoundJson } from '../../api.js';
import { useMayChange } from '../lib/act.js';
import { get } from '../lib/api.js';
import { countText, plural } from '../lib/format.js';
import { live } from '../lib/live.js';
import { go, href } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { useData } from '../lib/use-data.js';
import { CancelButton, RunNowButton, RunningTable } from '../parts/running.js';
import { type Column, Table } from '../parts/table.js';
import { Button, Empty, Heading, KeyLink, Loading, Problem, State, TaskName, Time } from '../parts/ui.js';
import { Counts } from './counts.js';

const LISTS = ['running', 'queued', 'scheduled', 'waiting'] as const;
type List = (typeof LISTS)[number];

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
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  if (data.executions.length === 0) return <Empty title={`Nothing is ${list}`}>{EMPTY[list]}</Empty>;
  return (
    <>
      <Problem error={error} />
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

const KEY: Column<ExecutionRowJson> = { name: 'Execution', kind: 'main', cell: ({ key }) => <KeyLink of={key} /> };
const TASK: Column<ExecutionRowJson> = { name: 'Task', cell: ({ task }) => <TaskName of={task} /> };
const ATTEMPT: Column<ExecutionRowJson> = { name: 'Attempt', kind: 'number', cell: ({ attempt }) => attempt };
const DUE: Column<ExecutionRowJson> = { name: 'Due', cell: ({ when }) => <Time at={when} /> };
const WAITS: Column<ExecutionRowJson> = {
  name: 'Waits for',
  cell: ({ waitsFor, hasWorker }) =>
    waitsFor ?? (hasWorker === false ? <span class="text-warn">a worker that has its task</span> : '–'),
};

function RowTable({ rows, list }: { rows: readonly ExecutionRowJson[]; list: List | 'found' }) {
  const mayChange = useMayChange();
  const state: Column<ExecutionRowJson> = { name: 'State', cell: ({ state }) => <State of={state} /> };
  const own = {
    running: [],
    queued: [DUE, WAITS],
    scheduled: [DUE, WAITS],
    waiting: [WAITS],
    found: [state, DUE, WAITS],
  };
  const actions: Column<ExecutionRowJson> = {
    name: 'Actions',
    kind: 'actions',
    cell: ({ key, state }) => (
      <>
        {state === 'scheduled' && <RunNowButton of={key} />}
        {['scheduled', 'queued', 'running'].includes(state) && (
          <CancelButton of={key} isRunning={state === 'running'} />
        )}
      </>
    ),
  };
  const columns = [KEY, TASK, ...own[list], ATTEMPT, ...(mayChange ? [actions] : [])];
  return <Table label="Executions" columns={columns} rows={rows} keyOf={({ key }) => key} />;
}

const STATES = ['', 'scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled'] as const;

/** Finds one execution by its key, or some by task, state and arguments. */
function Find({ query }: { query: URLSearchParams }) {
  const [task, state, where] = ['task', 'state', 'where'].map((name) => query.get(name) ?? '');
  const isAsked = query.size > 0;
  const byKey = (event: SubmitEvent) => {
    event.preventDefault();
    const key = String(new FormData(event.target as HTMLFormElement).get('key')).trim();
    if (key) go(['execution', key]);
  };
  const byFilter = (event: SubmitEvent) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>;
    go(['executions', 'find'], { ...given, q: '1' });
  };
  return (
    <>
      <form class="bar" onSubmit={byKey}>
        <label class="grow">
          Key or id
          <input id="find-key" name="key" autoComplete="off" spellcheck={false} placeholder="charge-42" />
        </label>
        <button type="submit" class="button primary">
          Show
        </button>
      </form>
      <form class="bar" onSubmit={byFilter} key={query.toString()}>
        <label>
          Task
          <input name="task" defaultValue={task} autoComplete="off" />
        </label>
        <label>
          State
          <select name="state" defaultValue={state}>
            {STATES.map((one) => (
              <option key={one} value={one} selected={one === state}>
                {one || 'not ended'}
              </option>
            ))}
          </select>
        </label>
        <label class="grow">
          Arguments
          <input name="where" defaultValue={where} autoComplete="off" placeholder="customerId=c-1 rows=3" />
        </label>
        <button type="submit" class="button">
          Find
        </button>
      </form>
      {isAsked && <Found task={task!} state={state!} where={where!} />}
    </>
  );
}

interface Sought {
  readonly task: string;
  readonly state: string;
  readonly where: string;
}

/** Reads page after page as they are asked for: looking through a long backlog is not done in one go. */
function Found(sought: Sought) {
  const [rows, setRows] = useState<readonly ExecutionRowJson[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [isReading, setReading] = useState(true);
  const [error, setError] = useState<Error | null>(null);
  const id = JSON.stringify(sought);
  const present = useRef(id);
  present.current = id;
  const read = async (after: string | null, before: readonly ExecutionRowJson[]) => {
    setReading(true);
    setError(null);
    try {
      const found = await get<FoundJson>('find', { ...sought, after });
      if (present.current !== id) return;
      setRows([...before, ...found.executions]);
      setNext(found.next);
    } catch (error) {
      if (present.current === id) setError(error as Error);
    }
    setReading(false);
  };
  useEffect(() => void read(null, []), [id]);
  return (
    <>
      <Problem error={error} />
      {rows.length > 0 && <RowTable rows={rows} list="found" />}
      {rows.length === 0 && !isReading && !error && (
        <Empty title={next ? 'Nothing yet' : 'Nothing is found'}>
          {next
            ? 'There is more to look through.'
            : 'What has ended is found by its state, and only as long as it is kept.'}
        </Empty>
      )}
      {isReading && <Loading />}
      {next !== null && !isReading && (
        <p class="note">
          <Button onClick={() => void read(next, rows)}>Look further</Button>{' '}
          <span class="muted">{plural(rows.length, 'execution')} so far</span>
        </p>
      )}
    </>
  );
}
