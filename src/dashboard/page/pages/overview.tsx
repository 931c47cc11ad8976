/** How the docket is doing: what is wrong now, how much work there is, and the last hour or day. */
import { useMemo, useState } from 'preact/hooks';
import type { FindingsJson, HistoryJson, LiveJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { countText, plural, spanText } from '../lib/format.js';
import { link, live } from '../lib/live.js';
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

const PAUSE_TEXT = 'Nothing new starts until it is resumed. What runs goes on, and nothing is lost.';

function nextStep({ workers, totals }: LiveJson) {
  if (workers.length === 0) {
    return (
      <>
        There are no workers. Start one: <code>docket worker --tasks ./tasks.js</code>
      </>
    );
  }
  if (totals.queued + totals.scheduled > 0) return <>There is work, but nothing is due or may run now.</>;
  return (
    <>
      {plural(workers.length, 'worker')} wait for work. Try one: <code>docket tasks sleep 10s</code>
    </>
  );
}

function Findings() {
  const { data } = useData<FindingsJson>('findings', {}, 15_000);
  if (!data || data.findings.length === 0) return null;
  return (
    <ul class="findings" aria-label="What is wrong now">
      {data.findings.map(({ check, status, detail, advice }) => (
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

function Totals({ state: { totals, workers } }: { state: LiveJson }) {
  const able = workers.filter(({ takesWork }) => takesWork);
  const tiles: readonly (readonly [string, number, readonly string[], string?])[] = [
    ['Running', totals.running, ['executions']],
    ['Queued', totals.queued, ['executions', 'queued']],
    ['Scheduled', totals.scheduled, ['executions', 'scheduled']],
    ['Waiting', totals.waiting, ['executions', 'waiting']],
    ...(totals.paused > 0 ? [['Paused', totals.paused, ['executions', 'waiting']] as const] : []),
    ['Failures', totals.failures, ['failures'], totals.failures > 0 ? 'bad' : ''],
    ['Workers', able.length, ['workers'], able.length === 0 ? 'bad' : ''],
  ];
  return (
    <div class="tiles">
      {tiles.map(([name, count, path, kind = '']) => (
        <a key={name} class={`tile ${kind}`} href={href(path)}>
          <span class="tile-name">{name}</span>
          <span class="tile-count">{countText(count)}</span>
        </a>
      ))}
    </div>
  );
}

const SPANS = [
  ['1 h', 60],
  ['6 h', 360],
  ['24 h', 1_440],
] as const;

function History() {
  const [minutes, setMinutes] = useState<number>(60);
  const { data, error } = useData<HistoryJson>('history', { minutes }, 5_000);
  const buttons = <Choice label="How far back" options={SPANS} chosen={minutes} onChoose={setMinutes} />;
  return (
    <Panel title="History" aside={buttons}>
      <Problem error={error} />
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
