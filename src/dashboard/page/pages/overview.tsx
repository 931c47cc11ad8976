/** How the docket is doing: what is wrong now, how much work there is, and the last hour or day. */
import { useMemo, useState } from 'preact/hooks';
import type { FindingJson, FindingsJson, HistoryJson, LiveJson, TasksJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { countText, plural, relativeText, spanText } from '../lib/format.js';
import { clock, link, live, nowMs } from '../lib/live.js';
import { href } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { useData } from '../lib/use-data.js';
import { Chart, type Series } from '../parts/chart.js';
import { RunningTable } from '../parts/running.js';
import { Button, Choice, Empty, Heading, Loading, Panel, Problem } from '../parts/ui.js';

export function Overview() {
  const state = useStore(live);
  const isLive = useStore(link) === 'live'; // while it is not, they are of before; then they are read again
  const mayChange = useMayChange();
  const isPaused = state?.pauses.some(({ task }) => task === null) ?? false;
  const pause = () =>
    void act('pause', { task: null }, { title: 'Pause the whole docket?', text: PAUSE_TEXT, action: 'Pause' });
  return (
    <>
      <Heading title="Overview">{mayChange && !isPaused && <Button onClick={pause}>Pause the docket</Button>}</Heading>
      {isLive && <Findings />}
      {state ? <Totals state={state} /> : <Loading />}
      <Failing />
      <History />
      {state && (
        <Panel title="Running now" aside={<a href={href(['executions'])}>all executions</a>}>
          {state.running.length > 0 ? (
            <RunningTable rows={state.running.slice(0, 8)} />
          ) : (
            <Empty title="Nothing is running">{nextStep(state)}</Empty>
          )}
        </Panel>
      )}
    </>
  );
}

const PAUSE_TEXT = 'Nothing more starts until it is resumed. Running executions continue, and nothing is lost.';

function nextStep({ workers, totals }: LiveJson) {
  if (workers.length === 0) {
    return (
      <>
        There are no workers. Start one: <code>docket worker --tasks ./tasks.js</code>
      </>
    );
  }
  if (totals.queued + totals.scheduled > 0) return <>There is work, but none of it is due or allowed to run now.</>;
  return (
    <>
      {plural(workers.length, 'worker')} waiting for work. Try one: <code>docket tasks sleep 10s</code>
    </>
  );
}

/** What is about the server and its settings, and is so for weeks. */
const ABOUT_SERVER: readonly string[] = ['memory', 'persistence', 'eviction', 'clock', 'server'];

function Findings() {
  const { data } = useData<FindingsJson>('findings', {}, 15_000);
  if (!data) return null;
  const isMinor = ({ check, status }: FindingJson) => status !== 'fail' && ABOUT_SERVER.includes(check);
  const minor = data.findings.filter(isMinor);
  return (
    <>
      <FindingList of={data.findings.filter((finding) => !isMinor(finding))} label="What is wrong now" />
      {minor.length > 0 && (
        <details class="minor">
          <summary>{plural(minor.length, 'remark')} on the Redis server</summary>
          <FindingList of={minor} label="Remarks on the Redis server" />
        </details>
      )}
    </>
  );
}

function FindingList({ of, label }: { of: readonly FindingJson[]; label: string }) {
  if (of.length === 0) return null;
  return (
    <ul class="findings" aria-label={label}>
      {of.map(({ check, status, detail, advice }) => (
        <li key={check} class={`callout ${status}`}>
          <span>
            <CheckName of={check} />: {detail}
            {advice && <span class="muted"> → {advice}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Where an operator looks further, by the check of the doctor. */
const PAGE_OF: Readonly<Record<string, readonly string[]>> = {
  'failing tasks': ['failures'],
  failures: ['failures'],
  backlog: ['executions', 'count'],
  pauses: ['tasks'],
  waiting: ['limits'],
  workers: ['workers'],
  'silent workers': ['executions', 'running'],
  'unknown tasks': ['executions', 'scheduled'],
};

function CheckName({ of }: { of: string }) {
  const path = PAGE_OF[of];
  return <strong>{path ? <a href={href(path)}>{of}</a> : of}</strong>;
}

/** Minutes in which a task must have failed to be shown, and how many such tasks are. */
const FAILING_MINUTES = 15;
const MOST_FAILING = 5;

/** The tasks that fail now, those with the most failures first. */
function Failing() {
  const { data } = useData<TasksJson>('tasks', { minutes: FAILING_MINUTES }, 10_000);
  const failing = (data?.tasks ?? [])
    .flatMap(({ task, stats }) => (stats && stats.failed > 0 ? [{ task, ...stats }] : []))
    .sort((a, b) => b.failed - a.failed);
  if (failing.length === 0) return null;
  return (
    <Panel title="Failing" aside={<span class="muted">in the last {FAILING_MINUTES} minutes</span>}>
      <ul class="failing">
        {failing.slice(0, MOST_FAILING).map(({ task, failed, succeeded }) => (
          <li key={task}>
            <a href={href(['failures'], { task })}>{task}</a>
            <span>
              <span class="text-bad">{countText(failed)} failed</span>, {countText(succeeded)} succeeded
            </span>
          </li>
        ))}
      </ul>
      {failing.length > MOST_FAILING && (
        <p class="muted note">
          and {plural(failing.length - MOST_FAILING, 'task')} more: see <a href={href(['tasks'])}>all tasks</a>
        </p>
      )}
    </Panel>
  );
}

function Totals({ state: { totals, workers, oldestDue } }: { state: LiveJson }) {
  useStore(clock);
  const able = workers.filter(({ takesWork }) => takesWork).length;
  const draining = workers.filter(({ isDraining }) => isDraining).length;
  const { running, queued, scheduled, waiting, paused, failures } = totals;
  const age = oldestDue === null ? null : `oldest due ${relativeText(oldestDue, nowMs())}`;
  return (
    <div class="tiles">
      <Tile name="Running" count={running} path={['executions']} />
      <Tile name="Queued" count={queued} path={['executions', 'queued']} note={age} />
      <Tile name="Scheduled" count={scheduled} path={['executions', 'scheduled']} />
      <Tile
        name="Waiting"
        count={waiting + paused}
        path={['executions', 'waiting']}
        note={paused > 0 && `${countText(paused)} paused`}
      />
      <Tile name="Failures" count={failures} path={['failures']} isBad={failures > 0} />
      <Tile
        name="Workers"
        count={able}
        path={['workers']}
        isBad={able === 0}
        note={draining > 0 && `${draining} draining`}
      />
    </div>
  );
}

interface TileProps {
  readonly name: string;
  readonly count: number;
  readonly path: readonly string[];
  readonly isBad?: boolean;
  readonly note?: string | false | null;
}

function Tile({ name, count, path, isBad = false, note = null }: TileProps) {
  return (
    <a class={isBad ? 'tile bad' : 'tile'} href={href(path)}>
      <span class="tile-name">{name}</span>
      <span class="tile-count">{countText(count)}</span>
      {note && <span class="tile-name">{note}</span>}
    </a>
  );
}

export const CHART_SPANS = [
  ['1 h', 60],
  ['6 h', 360],
  ['24 h', 1_440],
] as const;

function History() {
  const [minutes, setMinutes] = useState<number>(60);
  const { data, error } = useData<HistoryJson>('history', { minutes }, 5_000);
  const buttons = <Choice label="How far back" options={CHART_SPANS} chosen={minutes} onChoose={setMinutes} />;
  return (
    <Panel title="History" aside={buttons}>
      <Problem error={error} isMinor={true} />
      {data && <Charts points={data.points} />}
    </Panel>
  );
}

export function Charts({ points }: HistoryJson) {
  const times = useMemo(() => points.map(({ at }) => at / 1_000), [points]);
  const counts = useMemo(
    (): Series[] => [
      { name: 'succeeded', colour: 'accent', values: points.map(({ succeeded }) => succeeded), isFilled: true },
      { name: 'failed', colour: 'bad', values: points.map(({ failed }) => failed) },
      { name: 'retried', colour: 'warn', values: points.map(({ retried }) => retried) },
    ],
    [points],
  );
  const durations = useMemo(
    (): Series[] => [
      { name: 'duration p95', colour: 'accent', values: points.map(({ duration }) => duration?.p95Ms ?? null) },
      { name: 'waiting p95', colour: 'warn', values: points.map(({ waiting }) => waiting?.p95Ms ?? null) },
    ],
    [points],
  );
  const each = points.length > 1 ? (points[1]!.at - points[0]!.at) / 60_000 : 1;
  const unit = each === 1 ? 'minute' : `${each} minutes`;
  return (
    <div class="charts">
      <Chart label={`Attempts per ${unit}`} times={times} series={counts} format={compact} />
      <Chart label="Waiting and duration" times={times} series={durations} format={spanText} />
    </div>
  );
}

const compactNumbers = new Intl.NumberFormat(undefined, { notation: 'compact' });

function compact(value: number): string {
  return compactNumbers.format(value);
}
