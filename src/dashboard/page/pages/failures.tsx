/** What failed: in groups by task and error, and one by one; to be retried or discarded. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { FailureGroupJson, FailureGroupsJson, FailureRowJson, FailuresJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { get, type Parameters } from '../lib/api.js';
import { countText, plural } from '../lib/format.js';
import { nowMs } from '../lib/live.js';
import { go, href } from '../lib/router.js';
import { useData, useReading } from '../lib/use-data.js';
import { type Column, Table } from '../parts/table.js';
import { Button, Choice, Empty, Heading, Loading, Panel, Priority, Problem, TaskName, Time } from '../parts/ui.js';

const SPANS = [
  ['all', 0],
  ['24 h', 1_440],
  ['1 h', 60],
] as const;

/** How often groups are counted again at most, which takes some requests. */
const COUNT_EVERY_MS = 10_000;

export function Failures({ query }: { query: URLSearchParams }) {
  const [task, error, before] = ['task', 'error', 'before'].map((name) => query.get(name)) as [Text, Text, Text];
  const minutes = Number(query.get('minutes')) || 0;
  const since = useMemo(() => (minutes > 0 ? nowMs() - minutes * 60_000 : null), [minutes]);
  const { data, error: problem } = useData<FailuresJson>('failures', { task, error, since, before }, 5_000);
  const groups = useGroups({ task, error, since });
  if (!data) return problem ? <Problem error={problem} isMinor={true} /> : <Loading />;
  const isFiltered = task !== null || error !== null || since !== null;
  const filter = { ...(task && { task }), ...(error && { errorName: error }), ...(since !== null && { since }) };
  const choose = (value: number) => go(['failures'], { task, error, minutes: value > 0 ? String(value) : null });
  const isEmpty = data.failures.length === 0;
  return (
    <>
      <Heading title="Failures">
        <Choice label="How far back" options={SPANS} chosen={minutes} onChoose={choose} />
        {!isEmpty && <AllButtons filter={filter} count={countOf(groups)} isFiltered={isFiltered} />}
      </Heading>
      <Problem error={problem} isMinor={true} />
      {(task !== null || error !== null) && (
        <p class="filter">
          {task && <span class="chip">task {task}</span>}
          {error && <span class="chip">error {error}</span>}
          <a href={href(['failures'])}>show all</a>
        </p>
      )}
      {isEmpty && before === null ? (
        <Empty title={isFiltered ? 'Nothing failed like this' : 'Nothing has failed'}>
          {isFiltered
            ? 'It was retried or discarded, or is no longer kept.'
            : 'An execution that fails for good is kept here with its arguments, to be looked at and run again.'}
        </Empty>
      ) : (
        <>
          {groups !== null && groups.length > 0 && !(task && error) && <Groups of={groups} />}
          <List of={data} query={query} />
        </>
      )}
    </>
  );
}

type Text = string | null;

/** Counts all failures that match, page by page; `null` until all are counted. */
function useGroups(filter: Parameters): readonly FailureGroupJson[] | null {
  const read = async (signal: AbortSignal) => {
    const sums = new Map<string, FailureGroupJson>();
    for (let before: string | null | undefined; before !== null; ) {
      const page: FailureGroupsJson = await get('failure-groups', { ...filter, before }, signal);
      for (const group of page.groups) {
        const name = JSON.stringify([group.task, group.errorName]);
        const known = sums.get(name);
        sums.set(name, known ? { ...known, count: known.count + group.count } : group);
      }
      before = page.next;
    }
    return [...sums.values()].sort((a, b) => b.count - a.count);
  };
  return useReading(`groups ${JSON.stringify(filter)}`, read, COUNT_EVERY_MS).data;
}

function countOf(groups: readonly FailureGroupJson[] | null): number | null {
  return groups?.reduce((sum, { count }) => sum + count, 0) ?? null;
}

interface AllProps {
  readonly filter: { readonly task?: string; readonly errorName?: string; readonly since?: number };
  /** `null` until they are counted. */
  readonly count: number | null;
  readonly isFiltered: boolean;
}

/** Changes all that match the filter and failed before the page was asked: not what nobody has seen. */
function AllButtons({ filter, count, isFiltered }: AllProps) {
  if (!useMayChange()) return null;
  const apply = (name: string, verb: string, text: string) => {
    const body = { filter: { ...filter, until: nowMs() } };
    const title = `${verb} ${plural(count ?? 0, 'failure')}?`;
    void act(name, body, { title, text, action: verb, isDangerous: name === 'discard' });
  };
  return (
    <>
      <Button kind="primary" isDisabled={count === null} onClick={() => apply('retry', 'Retry', RETRY_TEXT)}>
        Retry all{isFiltered && ' of these'}
      </Button>
      <Button isDisabled={count === null} onClick={() => apply('discard', 'Discard', DISCARD_TEXT)}>
        Discard all{isFiltered && ' of these'}
      </Button>
    </>
  );
}

const RETRY_TEXT = 'They are added again with the same keys and arguments, and their attempts are counted from 1.';
const DISCARD_TEXT = 'They are removed for good, with their arguments.';

/** How many groups are listed. */
const MOST_GROUPS = 50;

function Groups({ of }: { of: readonly FailureGroupJson[] }) {
  const aside = (
    <span class="muted">
      {plural(countOf(of)!, 'failure')}
      {of.length > MOST_GROUPS && `; the ${MOST_GROUPS} largest of ${countText(of.length)} groups`}
    </span>
  );
  return (
    <Panel title="By error" aside={aside}>
      <Table
        label="Failures by task and error"
        columns={GROUP_COLUMNS}
        rows={of.slice(0, MOST_GROUPS)}
        keyOf={({ task, errorName }) => JSON.stringify([task, errorName])}
      />
    </Panel>
  );
}

const GROUP_COLUMNS: readonly Column<FailureGroupJson>[] = [
  {
    name: 'Error',
    kind: 'main',
    cell: ({ task, errorName }) => (
      <a href={href(['failures'], { task, error: errorName })}>{errorName ?? 'no error'}</a>
    ),
    sortBy: ({ errorName }) => errorName,
  },
  { name: 'Task', cell: ({ task }) => <TaskName of={task} />, sortBy: ({ task }) => task },
  { name: 'Failures', kind: 'number', cell: ({ count }) => countText(count), sortBy: ({ count }) => count },
  { name: 'Newest', cell: ({ newest }) => <Time at={newest} />, sortBy: ({ newest }) => newest },
];

interface ListProps {
  readonly of: FailuresJson;
  readonly query: URLSearchParams;
}

function List({ of: { failures, next }, query }: ListProps) {
  const mayChange = useMayChange();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    const present = new Set(failures.map(({ id }) => id));
    setChosen((before) => new Set([...before].filter((id) => present.has(id))));
  }, [failures]);
  const choose = (id: string) =>
    setChosen((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  const areAllChosen = chosen.size > 0 && chosen.size === failures.length;
  const chooseAll = () => setChosen(areAllChosen ? new Set() : new Set(failures.map(({ id }) => id)));
  const choice: Column<FailureRowJson> = {
    name: 'Choose',
    kind: 'actions',
    head: <input type="checkbox" checked={areAllChosen} aria-label="Choose all on this page" onChange={chooseAll} />,
    cell: ({ id, key }) => (
      <input type="checkbox" checked={chosen.has(id)} aria-label={`Choose ${key ?? id}`} onChange={() => choose(id)} />
    ),
  };
  const isFirst = !query.has('before');
  return (
    <Panel title={isFirst ? 'Newest' : 'Older'} aside={mayChange && <ChosenButtons chosen={chosen} />}>
      {failures.length === 0 ? (
        <Empty title="There are none further back">They were retried or discarded meanwhile.</Empty>
      ) : (
        <Table
          label="Failures"
          columns={mayChange ? [choice, ...COLUMNS] : COLUMNS}
          rows={failures}
          keyOf={({ id }) => id}
        />
      )}
      {(next !== null || !isFirst) && (
        <p class="note pages">
          {!isFirst && <a href={hrefBefore(query, null)}>Newest</a>}
          {next !== null && <a href={hrefBefore(query, next)}>Older</a>}
        </p>
      )}
    </Panel>
  );
}

function hrefBefore(query: URLSearchParams, before: string | null): string {
  return href(['failures'], { ...Object.fromEntries(query), before });
}

function ChosenButtons({ chosen }: { chosen: ReadonlySet<string> }) {
  const apply = (name: string) => {
    const title = `Discard ${plural(chosen.size, 'failure')}?`;
    const question = { title, text: DISCARD_TEXT, action: 'Discard', isDangerous: true };
    void act(name, { ids: [...chosen] }, name === 'discard' ? question : undefined);
  };
  return (
    <div class="buttons">
      <Button kind="small" isDisabled={chosen.size === 0} onClick={() => apply('retry')}>
        Retry {chosen.size || ''} chosen
      </Button>
      <Button kind="small" isDisabled={chosen.size === 0} onClick={() => apply('discard')}>
        Discard {chosen.size || ''} chosen
      </Button>
    </div>
  );
}

const COLUMNS: readonly Column<FailureRowJson>[] = [
  {
    name: 'Execution',
    kind: 'main',
    cell: ({ id, key, priority }) => (
      <>
        <a class="key" href={href(['failures', id])} title={key ?? id}>
          {key ?? id}
        </a>{' '}
        <Priority of={priority} />
      </>
    ),
  },
  { name: 'Task', cell: ({ task }) => <TaskName of={task} /> },
  {
    name: 'Error',
    kind: 'wide',
    cell: ({ errorLine, kind }) => (
      <span class="clip" title={errorLine}>
        {kind === 'quarantined' && <span class="chip">can never run</span>} {errorLine}
      </span>
    ),
  },
  { name: 'Attempts', kind: 'number', cell: ({ attempts }) => attempts },
  { name: 'Failed', cell: ({ failedAt }) => <Time at={failedAt} /> },
];
