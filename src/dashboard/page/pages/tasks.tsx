/** The tasks: rates and times of the last hour, and whether they are paused or struck. */
import { useState } from 'preact/hooks';
import type { HistoryJson, PercentilesJson, TaskJson, TasksJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { countText, spansText } from '../lib/format.js';
import { href } from '../lib/router.js';
import { useData } from '../lib/use-data.js';
import { Sparkline } from '../parts/sparkline.js';
import { type Column, Table } from '../parts/table.js';
import { Button, Choice, Empty, Heading, Loading, Panel, Problem } from '../parts/ui.js';
import { CHART_SPANS, Charts } from './overview.js';

/** A day of all tasks is too much to be read at once. */
const SPANS = [
  ['15 min', 15],
  ['1 h', 60],
] as const;

export function Tasks({ query }: { query: URLSearchParams }) {
  const [minutes, setMinutes] = useState<number>(60);
  const mayChange = useMayChange();
  const { data, error } = useData<TasksJson>('tasks', { minutes }, 3_000);
  const chosen = query.get('task');
  if (!data) return error ? <Problem error={error} isMinor={true} /> : <Loading />;
  return (
    <>
      <Heading title="Tasks">
        <Choice label="How far back" options={SPANS} chosen={minutes} onChoose={setMinutes} />
      </Heading>
      <Problem error={error} isMinor={true} />
      {chosen !== null && <OneTask name={chosen} />}
      {data.tasks.length === 0 ? (
        <Empty title="No task is known">
          Start a worker that has some: <code>docket worker --tasks ./tasks.js</code>
        </Empty>
      ) : (
        <Table
          label="Tasks"
          columns={mayChange ? [...COLUMNS, ACTIONS] : COLUMNS}
          rows={data.tasks}
          keyOf={({ task }) => task}
        />
      )}
    </>
  );
}

function OneTask({ name }: { name: string }) {
  const [minutes, setMinutes] = useState<number>(60);
  const { data, error } = useData<HistoryJson>('history', { task: name, minutes }, 5_000);
  const links = (
    <span class="buttons">
      <Choice label="How far back the charts go" options={CHART_SPANS} chosen={minutes} onChoose={setMinutes} />
      <a href={href(['failures'], { task: name })}>failures</a>
      <a href={href(['executions', 'find'], { task: name, q: '1' })}>executions</a>
      <a href={href(['tasks'])}>close</a>
    </span>
  );
  return (
    <Panel title={name} aside={links}>
      <Problem error={error} isMinor={true} />
      {data && <Charts points={data.points} />}
    </Panel>
  );
}

const COLUMNS: readonly Column<TaskJson>[] = [
  {
    name: 'Task',
    kind: 'main',
    cell: (of) => (
      <>
        <a class="task" href={href(['tasks'], { task: of.task })}>
          {of.task}
        </a>{' '}
        {of.pauses.length > 0 && (
          <span class="chip warn" title={of.pauses.map(({ reason }) => reason).join(', ')}>
            paused
          </span>
        )}
        {of.isStruck && <span class="chip bad">struck</span>}
        <Policies of={of} />
      </>
    ),
    sortBy: ({ task }) => task,
  },
  {
    name: 'Started',
    cell: ({ stats }) => (stats ? <Sparkline values={stats.startedByMinute} /> : '–'),
    sortBy: ({ stats }) => stats?.started ?? null,
  },
  {
    name: 'Succeeded',
    kind: 'number',
    cell: ({ stats }) => (stats ? countText(stats.succeeded) : '–'),
    sortBy: ({ stats }) => stats?.succeeded ?? null,
  },
  {
    name: 'Failed',
    kind: 'number',
    cell: ({ stats }) => (
      <span class={stats && stats.failed > 0 ? 'text-bad' : ''}>{stats ? countText(stats.failed) : '–'}</span>
    ),
    sortBy: ({ stats }) => stats?.failed ?? null,
  },
  {
    name: 'Retried',
    kind: 'number',
    cell: ({ stats }) => (stats ? countText(stats.retried) : '–'),
    sortBy: ({ stats }) => stats?.retried ?? null,
  },
  {
    name: 'Waiting',
    note: 'p50 / p95 / p99',
    kind: 'number',
    cell: ({ stats }) => <Percentiles of={stats?.waiting ?? null} />,
    sortBy: ({ stats }) => stats?.waiting?.p95Ms ?? null,
  },
  {
    name: 'Duration',
    note: 'p50 / p95 / p99',
    kind: 'number',
    cell: ({ stats }) => <Percentiles of={stats?.duration ?? null} />,
    sortBy: ({ stats }) => stats?.duration?.p95Ms ?? null,
  },
  {
    name: 'Workers',
    kind: 'number',
    cell: ({ workers }) => (workers === 0 ? <span class="text-warn">none</span> : workers),
  },
];

function Policies({ of: { policies, doPoliciesDiffer } }: { of: TaskJson }) {
  if (policies === null) return null;
  return (
    <div class="policies muted">
      {policies.length === 0 ? 'runs once' : policies.join(' · ')}{' '}
      {doPoliciesDiffer && (
        <span class="chip warn" title="Live workers have different policies for it, as during a deploy">
          workers differ
        </span>
      )}
    </div>
  );
}

function Percentiles({ of }: { of: PercentilesJson | null }) {
  if (!of) return <>–</>;
  return <span class="nowrap">{spansText([of.p50Ms, of.p95Ms, of.p99Ms])}</span>;
}

const ACTIONS: Column<TaskJson> = {
  name: 'Actions',
  kind: 'actions',
  cell: (task) => <TaskActions of={task} />,
};

function TaskActions({ of: { task, pauses, isStruck } }: { of: TaskJson }) {
  const terms = { task, parameter: null, operator: null };
  const question = {
    title: `Strike ${task}?`,
    text: 'New executions are not added, and waiting ones are cancelled when a worker reads them. To keep them, pause the task instead.',
    action: 'Strike',
    isDangerous: true,
  };
  return (
    <>
      {pauses.length > 0 ? (
        <Button kind="small" label={`Resume ${task}`} onClick={() => void act('resume', { task })}>
          Resume
        </Button>
      ) : (
        <Button kind="small" label={`Pause ${task}`} onClick={() => void act('pause', { task })}>
          Pause
        </Button>
      )}
      {isStruck ? (
        <Button kind="small" label={`Restore ${task}`} onClick={() => void act('restore', terms)}>
          Restore
        </Button>
      ) : (
        <Button kind="small" label={`Strike ${task}`} onClick={() => void act('strike', terms, question)}>
          Strike
        </Button>
      )}
    </>
  );
}
