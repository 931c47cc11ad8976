/** The rows of executions that do not run now, or were found. */
import type { ExecutionRowJson } from '../../api.js';
import { useMayChange } from '../lib/act.js';
import { CancelButton, RunNowButton } from './running.js';
import { type Column, Table } from './table.js';
import { KeyLink, Priority, State, TaskName, Time } from './ui.js';

export const LISTS = ['running', 'queued', 'scheduled', 'waiting'] as const;
export type List = (typeof LISTS)[number];

const KEY: Column<ExecutionRowJson> = {
  name: 'Execution',
  kind: 'main',
  cell: ({ key, priority }) => (
    <>
      <KeyLink of={key} /> <Priority of={priority} />
    </>
  ),
};
const TASK: Column<ExecutionRowJson> = { name: 'Task', cell: ({ task }) => <TaskName of={task} /> };
const ATTEMPT: Column<ExecutionRowJson> = { name: 'Attempt', kind: 'number', cell: ({ attempt }) => attempt };
const DUE: Column<ExecutionRowJson> = { name: 'Due', cell: ({ when }) => <Time at={when} /> };
const WAITS: Column<ExecutionRowJson> = {
  name: 'Waits for',
  cell: ({ waitsFor, hasWorker }) =>
    waitsFor ?? (hasWorker === false ? <span class="text-warn">a worker that has its task</span> : '–'),
};

export function RowTable({ rows, list }: { rows: readonly ExecutionRowJson[]; list: List | 'found' }) {
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
