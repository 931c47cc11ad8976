/** Finds one execution by its key, or some by task, state and arguments. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ExecutionFilterJson, ExecutionRowJson, FoundJson, TotalsJson } from '../../api.js';
import { changes, get } from '../lib/api.js';
import { countText } from '../lib/format.js';
import { live } from '../lib/live.js';
import { go } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { CancelAll } from '../parts/cancel-all.js';
import { RowTable } from '../parts/execution-rows.js';
import { Button, Empty, Problem } from '../parts/ui.js';

const STATES = ['', 'scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled'] as const;

export function Find({ query }: { query: URLSearchParams }) {
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

/** What is looked for. */
type Sought = Required<ExecutionFilterJson>;

interface Search {
  readonly rows: readonly ExecutionRowJson[];
  readonly lookedAt: number;
  /** Where it goes on; `null` at the end. */
  readonly next: string | null;
  readonly isLooking: boolean;
  readonly error: Error | null;
}

const BEGINNING: Search = { rows: [], lookedAt: 0, next: null, isLooking: true, error: null };
/** How many rows are looked for in one go, and for how many answers at most: the server looks at 1,000 executions for each. */
const ROWS = 200;
const ANSWERS = 50;

/** Looks through the executions answer by answer. It stops when there is enough to see, and offers to go on. */
function Found(sought: Sought) {
  const [search, setSearch] = useState(BEGINNING);
  const going = useRef(new AbortController());
  const id = JSON.stringify(sought);
  const look = async (from: Search) => {
    going.current.abort();
    const mine = new AbortController();
    going.current = mine;
    let found: Search = { ...from, isLooking: true, error: null };
    setSearch(found);
    const enough = found.rows.length + ROWS;
    try {
      for (let answers = 0; answers < ANSWERS && found.rows.length < enough; answers++) {
        const { executions, lookedAt, next } = await get<FoundJson>(
          'find',
          { ...sought, after: found.next },
          mine.signal,
        );
        found = { ...found, rows: [...found.rows, ...executions], lookedAt: found.lookedAt + lookedAt, next };
        setSearch(found);
        if (next === null) break;
      }
    } catch (error) {
      if (!mine.signal.aborted) found = { ...found, error: error as Error };
    }
    if (going.current === mine) setSearch({ ...found, isLooking: false });
  };
  useEffect(() => {
    void look(BEGINNING);
    return () => {
      going.current.abort();
      going.current = new AbortController();
    };
  }, [id, useStore(changes)]);
  const { rows, next, isLooking, error } = search;
  const isNothing = rows.length === 0 && !isLooking && !error;
  return (
    <>
      <Problem error={error} isMinor={true} />
      <div class="found">
        <Progress of={search} sought={sought} />
        {isLooking && <Button onClick={() => going.current.abort()}>Stop</Button>}
        {!isLooking && next !== null && <Button onClick={() => void look(search)}>Look further</Button>}
        {(rows.length > 0 || next !== null || isLooking) && <CancelAll key={id} of={sought} />}
      </div>
      {rows.length > 0 && <RowTable rows={rows} list="found" />}
      {isNothing && (
        <Empty title={next ? 'Nothing found so far' : 'Nothing is found'}>
          {next
            ? 'There is more to look through.'
            : 'What has ended is found by its state, and only as long as it is kept.'}
        </Empty>
      )}
    </>
  );
}

function Progress({ of: { rows, lookedAt, next, isLooking }, sought }: { of: Search; sought: Sought }) {
  const totals = useStore(live)?.totals;
  const isDone = !isLooking && next === null;
  const total = totals && totalOf(sought.state, totals);
  const of = total === undefined || total < lookedAt ? '' : ` of ${countText(total)}`;
  return (
    <output class="muted">
      {isLooking && 'Looking … '}
      {countText(rows.length)} found; looked through {isDone ? `all ${countText(lookedAt)}` : countText(lookedAt) + of}
    </output>
  );
}

/** How many executions there are to look through; `undefined` where that is not known. */
function totalOf(state: string, { queued, running, waiting, paused, scheduled }: TotalsJson): number | undefined {
  const streams = queued + running;
  if (state === '') return streams + waiting + paused + scheduled;
  if (state === 'queued') return streams + waiting + paused;
  return { running, scheduled }[state];
}
