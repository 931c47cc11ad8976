/** The running executions, with live progress. */
import type { RunningJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { type Column, Table } from './table.js';
import { Button, KeyLink, Priority, ProgressBar, TaskName, Time } from './ui.js';

const COLUMNS: readonly Column<RunningJson>[] = [
  {
    name: 'Execution',
    kind: 'main',
    cell: ({ key, priority }) => (
      <>
        <KeyLink of={key} /> <Priority of={priority} />
      </>
    ),
  },
  { name: 'Task', cell: ({ task }) => <TaskName of={task} /> },
  { name: 'Progress', kind: 'wide', cell: ({ progress }) => <ProgressBar of={progress} /> },
  { name: 'Attempt', kind: 'number', cell: ({ attempt }) => attempt },
  { name: 'Worker', cell: ({ worker }) => worker },
  {
    name: 'Started',
    cell: ({ since }) => (since === null ? <span class="muted">not begun</span> : <Time at={since} />),
  },
];

export function RunningTable({ rows }: { rows: readonly RunningJson[] }) {
  const mayChange = useMayChange();
  const columns = mayChange ? [...COLUMNS, CANCEL] : COLUMNS;
  return <Table label="Running executions" columns={columns} rows={rows} keyOf={({ key }) => key} />;
}

const CANCEL: Column<RunningJson> = {
  name: 'Cancel',
  kind: 'actions',
  cell: ({ key }) => <CancelButton of={key} isRunning={true} />,
};

export function CancelButton({ of, isRunning }: { of: string; isRunning: boolean }) {
  const text = isRunning
    ? `'${of}' is asked to stop. If it is the run of a schedule, the schedule ends.`
    : `'${of}' is removed. If it is the run of a schedule, the schedule ends.`;
  const question = { title: 'Cancel this execution?', text, action: 'Cancel it', isDangerous: true };
  return (
    <Button kind="small" label={`Cancel: ${of}`} onClick={() => void act('cancel', { key: of }, question)}>
      Cancel
    </Button>
  );
}

export function RunNowButton({ of }: { of: string }) {
  return (
    <Button kind="small" label={`Run now: ${of}`} onClick={() => void act('run-now', { key: of })}>
      Run now
    </Button>
  );
}
