/** What failed: in groups by task and error, and one by one; to be retried or discarded. */
import { useEffect, useState } from 'preact/hooks';
import type { FailureGroupJson, FailureRowJson, FailuresJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { countText, plural } from '../lib/format.js';
import { nowMs } from '../lib/live.js';
import { href } from '../lib/router.js';
import { useData } from '../lib/use-data.js';
import { type Column, Table } from '../parts/table.js';
import { Button, Empty, Heading, Loading, Panel, Problem, TaskName, Time } from '../parts/ui.js';

export function Failures({ query }: { query: URLSearchParams }) {
  const [task, error] = [query.get('task'), query.get('error')];
  const { data, error: problem } = useData<FailuresJson>('failures', { task, error }, 10_000);
  if (!data) return problem ? <Problem error={problem} /> : <Loading />;
  const isFiltered = task !== null || error !== null;
  const filter = { ...(task && { task }), ...(error && { errorName: error }) };
  return (
    <>
      <Heading title="Failures">
        {data.failures.length > 0 && <AllButtons filter={filter} data={data} isFiltered={isFiltered} />}
      </Heading>
      <Problem error={problem} />
      {isFiltered && (
        <p class="filter">
          {task && <span class="chip">task {task}</span>}
          {error && <span class="chip">error {error}</span>}
          <a href={href(['failures'])}>show all</a>
        </p>
      )}
      {data.failures.length === 0 ? (
        <Empty title={isFiltered ? 'Nothing failed like this' : 'Nothing has failed'}>
          {isFiltered
            ? 'It was retried or discarded, or is no longer kept.'
            : 'An execution that fails for good is kept here with its arguments, to be looked at and run again.'}
        </Empty>
      ) : (
        <>
          {!isFiltered && <Groups of={data} />}
          <List of={data} />
        </>
      )}
    </>
  );
}

interface AllProps {
  readonly filter: { readonly task?: string; readonly errorName?: string };
  readonly data: FailuresJson;
  readonly isFiltered: boolean;
}

/** Changes all that match the filter and failed before the page was asked: not what nobody has seen. */
function AllButtons({ filter, data, isFiltered }: AllProps) {
  if (!useMayChange()) return null;
  const count = isFiltered ? data.counted : data.total;
  const more = isFiltered && data.mayBeMore ? ' or more' : '';
  const many = `${plural(count, 'failure')}${more}`;
  const apply = (name: string, verb: string, text: string) => {
    const body = { filter: { ...filter, until: nowMs() } };
    const question = { title: `${verb} ${many}?`, text, action: verb, isDangerous: name === 'discard' };
    void act(name, body, question);
  };
  return (
    <>
      <Button kind="primary" onClick={() => apply('retry', 'Retry', RETRY_TEXT)}>
        Retry all{isFiltered && ' of these'}
      </Button>
      <Button onClick={() => apply('discard', 'Discard', 'They are removed for good, with their arguments.')}>
        Discard all{isFiltered && ' of these'}
      </Button>
    </>
  );
}

const RETRY_TEXT = 'They are added again with the same keys and arguments, and their attempts are counted from 1.';

function Groups({ of }: { of: FailuresJson }) {
  const columns: readonly Column<FailureGroupJson>[] = [
    {
      name: 'Error',
      kind: 'main',
      cell: ({ task, errorName }) => (
        <a href={href(['failures'], { task, error: errorName })}>{errorName ?? 'no error'}</a>
      ),
    },
    { name: 'Task', cell: ({ task }) => <TaskName of={task} /> },
    { name: 'Failures', kind: 'number', cell: ({ count }) => countText(count) },
    { name: 'Newest', cell: ({ newest }) => <Time at={newest} /> },
  ];
  const aside = of.counted < of.total && <span class="muted">of the newest {countText(of.counted)}</span>;
  return (
    <Panel title="By error" aside={aside}>
      <Table
        label="Failures by task and error"
        columns={columns}
        rows={of.groups}
        keyOf={({ task, errorName }) => JSON.stringify([task, errorName])}
      />
    </Panel>
  );
}

function List({ of: { failures, isCut } }: { of: FailuresJson }) {
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
  const apply = (name: string) => {
    const question = {
      title: `Discard ${plural(chosen.size, 'failure')}?`,
      text: 'They are removed for good, with their arguments.',
      action: 'Discard',
      isDangerous: true,
    };
    void act(name, { ids: [...chosen] }, name === 'discard' ? question : undefined);
  };
  const choice: Column<FailureRowJson> = {
    name: 'Choose',
    kind: 'actions',
    cell: ({ id, key }) => (
      <input type="checkbox" checked={chosen.has(id)} aria-label={`Choose ${key ?? id}`} onChange={() => choose(id)} />
    ),
  };
  const aside = mayChange && (
    <div class="buttons">
      <Button kind="small" isDisabled={chosen.size === 0} onClick={() => apply('retry')}>
        Retry {chosen.size || ''} chosen
      </Button>
      <Button kind="small" isDisabled={chosen.size === 0} onClick={() => apply('discard')}>
        Discard {chosen.size || ''} chosen
      </Button>
    </div>
  );
  return (
    <Panel title="Newest" aside={aside}>
      <Table
        label="Failures"
        columns={mayChange ? [choice, ...COLUMNS] : COLUMNS}
        rows={failures}
        keyOf={({ id }) => id}
      />
      {isCut && <p class="muted note">The newest {countText(failures.length)} are listed.</p>}
    </Panel>
  );
}

const COLUMNS: readonly Column<FailureRowJson>[] = [
  {
    name: 'Execution',
    kind: 'main',
    cell: ({ id, key }) => (
      <a class="key" href={href(['failures', id])} title={key ?? id}>
        {key ?? id}
      </a>
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
