/** The schedules: what runs again and again, when next, and how the last run ended. */
import type { ScheduleJson, SchedulesJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { countText, plural } from '../lib/format.js';
import { useData } from '../lib/use-data.js';
import { RunNowButton } from '../parts/running.js';
import { type Column, Table } from '../parts/table.js';
import { Button, Empty, Heading, KeyLink, Loading, Problem, State, TaskName, Time } from '../parts/ui.js';

export function Schedules() {
  const mayChange = useMayChange();
  const { data, error } = useData<SchedulesJson>('schedules');
  if (!data) return error ? <Problem error={error} isMinor={true} /> : <Loading />;
  return (
    <>
      <Heading title="Schedules" />
      <Problem error={error} isMinor={true} />
      {data.schedules.length === 0 ? (
        <Empty title="There are no schedules">
          Declare one for a task with <code>cron(…)</code> or <code>perpetual(…)</code>, or add an execution with the
          option <code>perpetual</code>.
        </Empty>
      ) : (
        <Table
          label="Schedules"
          columns={mayChange ? [...COLUMNS, ACTIONS] : COLUMNS}
          rows={data.schedules}
          keyOf={({ key }) => key}
        />
      )}
      {data.isCut && <p class="muted note">The first {countText(data.schedules.length)} are listed.</p>}
    </>
  );
}

const COLUMNS: readonly Column<ScheduleJson>[] = [
  { name: 'Schedule', kind: 'main', cell: ({ key }) => <KeyLink of={key} /> },
  { name: 'Task', cell: ({ task }) => <TaskName of={task} /> },
  {
    name: 'Runs',
    kind: 'wide',
    cell: ({ description, expression, timezone, runsLeft, until }) => (
      <>
        {description}
        {expression !== null && (
          <div class="muted">
            <code>{expression}</code> {timezone}
          </div>
        )}
        {runsLeft !== null && <div class="muted">{plural(runsLeft, 'run')} left</div>}
        {until !== null && (
          <div class="muted">
            ends <Time at={until} />
          </div>
        )}
      </>
    ),
  },
  {
    name: 'Next',
    cell: ({ nextRuns }) =>
      nextRuns.length === 0 ? (
        <span class="muted">–</span>
      ) : (
        <>
          <Time at={nextRuns[0]!} />
          {nextRuns.length > 1 && (
            <div class="muted">
              then <Time at={nextRuns[1]!} />
              {nextRuns[2] !== undefined && (
                <>
                  , <Time at={nextRuns[2]} />
                </>
              )}
            </div>
          )}
        </>
      ),
  },
  {
    name: 'Last run',
    cell: ({ last }) =>
      last === null ? (
        <span class="muted">none yet</span>
      ) : (
        <>
          <State of={last.state} /> <Time at={last.at} />
          {last.errorLine !== null && (
            <div class="muted clip" title={last.errorLine}>
              {last.errorLine}
            </div>
          )}
        </>
      ),
  },
];

const ACTIONS: Column<ScheduleJson> = {
  name: 'Actions',
  kind: 'actions',
  cell: ({ key, isAutomatic }) => (
    <>
      <RunNowButton of={key} />
      <EndButton of={key} isAutomatic={isAutomatic} />
    </>
  ),
};

function EndButton({ of, isAutomatic }: { of: string; isAutomatic: boolean }) {
  const note = isAutomatic ? ' Workers do not start it again by themselves.' : '';
  const text = `'${of}' will not run again. If it is running, it is asked to stop.${note}`;
  const question = { title: 'End this schedule?', text, action: 'End it', isDangerous: true };
  return (
    <Button kind="small" label={`End ${of}`} onClick={() => void act('cancel', { key: of }, question)}>
      End
    </Button>
  );
}
