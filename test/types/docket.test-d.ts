/** What the compiler must accept and refuse about dockets. Checked by `tsc`, never run. */
import {
  Agenda,
  type CancelResult,
  call,
  collection,
  Docket,
  type DocketOptions,
  type Execution,
  type ExecutionDetails,
  type ExecutionEvent,
  type ExecutionProgress,
  type ExecutionState,
  exponentialRetry,
  type Failure,
  type Percentiles,
  type Progress,
  type RetryReport,
  type Snapshot,
  StrikeList,
  type StrikeValue,
  task,
  type WorkerInfo,
} from 'docket';
import { Worker } from 'docket/worker';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...same: Equal<Expected, Actual> extends true ? [] : [never]
) => void;

const charge = task(
  'charge',
  { retry: exponentialRetry({ attempts: 5 }) },
  async ({ orderId }: { orderId: number; region: string }) => ({ charged: orderId }),
);
const sweep = task('sweep', async (_args: {}) => {});
const page = task('page', ({ size }: { size?: number }) => size ?? null);
const hello = task('hello', async ({ name }: { name: string }) => `hi ${name}`);
const spin = task('spin', ({ n }: { n: number }) => n * 2);
const tasks = collection(charge, sweep, page, hello, spin);

// ---------------------------------------------------------------- by value, on any docket
const plain = new Docket();
const execution = await plain.add(charge, { orderId: 1, region: 'eu' }, { key: 'k', when: '10m' });
expectType<Execution<{ charged: number }>>()(execution);
expectType<{ charged: number }>()(await execution.result({ timeout: '5s' }));
expectType<string>()(await (await plain.add(hello, { name: 'x' })).result());
expectType<void>()(await (await plain.add(sweep)).result());
expectType<number | null>()(await (await plain.add(page, {}, { when: new Date() })).result());
// @ts-expect-error arguments are required
await plain.add(charge);
// @ts-expect-error one is missing
await plain.add(charge, { orderId: 1 });
// @ts-expect-error one is unknown
await plain.add(charge, { orderId: 1, region: 'x', nope: 1 });
// @ts-expect-error one has the wrong type
await plain.add(spin, { n: '2' });
// @ts-expect-error not a duration
await plain.add(sweep, {}, { when: 'tomorrow' });
// @ts-expect-error a key is text
await plain.add(sweep, {}, { key: 7 });
// @ts-expect-error there is no such option
await plain.add(sweep, {}, { wehn: '5m' });

// ---------------------------------------------------------------- by name, on a docket that is typed with no tasks
expectType<Execution<unknown>>()(await plain.add('hello', { name: 'x' }));
await plain.add('sweep');
await plain.add('hello', { name: 'x' }, { key: 'k', when: '10m' });
await plain.replace('hello', { name: 'x' }, { key: 'k' });
await plain.addMany([call('hello', { name: 'x' }, { when: '5m' }), call(hello, { name: 'x' })]);
await new Agenda().add('hello', { name: 'x' }).scatter(plain, { over: '1h' });
// @ts-expect-error arguments are an object with named fields
await plain.add('hello', 'x');

// ---------------------------------------------------------------- by name, typed from the collection
const docket = new Docket<typeof tasks>();
expectType<number>()(await (await docket.add('spin', { n: 2 })).result());
expectType<string>()(await (await docket.add('hello', { name: 'x' })).result());
expectType<{ charged: number }>()(await (await docket.add('charge', { orderId: 1, region: 'eu' })).result());
expectType<{ charged: number }>()(await (await docket.add(charge, { orderId: 1, region: 'eu' })).result());
await docket.add('sweep');
await docket.add('page', { size: 3 }, { key: 'k' });
// @ts-expect-error wrong type
await docket.add('spin', { n: '2' });
// @ts-expect-error unknown argument
await docket.add('spin', { n: 2, m: 3 });
// @ts-expect-error no task of that name
await docket.add('nope', {});
// @ts-expect-error arguments are required
await docket.add('hello');

// ---------------------------------------------------------------- the collection as a value
const knowing = new Docket({ tasks });
expectType<number>()(await (await knowing.add('spin', { n: 2 })).result());
// @ts-expect-error no task of that name
await knowing.add('nope', {});

// ---------------------------------------------------------------- batches
const many = await docket.addMany([call(hello, { name: 'a' }), call(hello, { name: 'b' }, { key: 'b' })]);
expectType<Execution<string>[]>()(many);
const mixed = await docket.addMany([call(hello, { name: 'a' }), call(spin, { n: 1 }), call(sweep)]);
expectType<string | number | void>()(await mixed[0]!.result());
expectType<Execution<number>[]>()(await docket.addMany(new Set([call(spin, { n: 1 })])));
// @ts-expect-error unknown argument
call(hello, { nome: 'a' });
// @ts-expect-error arguments are required
call(spin);
// @ts-expect-error a task is no call
await docket.addMany([hello]);

// ---------------------------------------------------------------- finding, waiting
const found = await docket.getExecution('k');
expectType<Execution<unknown> | null>()(found);
expectType<unknown>()(await found?.result());
await execution.result({ deadline: new Date(), signal: AbortSignal.timeout(5_000) });
// @ts-expect-error not a duration
await execution.result({ timeout: 'soon' });
// @ts-expect-error a deadline is a point in time
await execution.result({ deadline: '5s' });
// @ts-expect-error a handle is read-only
execution.key = 'other';

// ---------------------------------------------------------------- progress, subscribing
expectType<ExecutionProgress>()(execution.progress);
expectType<number>()(execution.progress.current);
expectType<string | null>()(execution.progress.message);
expectType<Date | null>()(execution.progress.updatedAt);
expectType<Promise<void>>()(execution.progress.increment(2));
expectType<Promise<void>>()(execution.progress.setMessage(null));
for await (const event of execution.subscribe()) {
  expectType<ExecutionEvent>()(event);
  if (event.type === 'state') expectType<ExecutionState>()(event.state);
  else expectType<number>()(event.total);
  // @ts-expect-error only states have it
  event.state;
}
task('reports', (_args: {}, ctx) => {
  expectType<Progress>()(ctx.progress);
  expectType<void>()(ctx.progress.increment());
  expectType<void>()(ctx.progress.setMessage(null));
  // @ts-expect-error a total is a number
  ctx.progress.setTotal('7');
  // @ts-expect-error counted by increment
  ctx.progress.current = 7;
});
task('taken', { uses: {} }, (_args: {}, { progress: { increment, setTotal } }) => [increment(), setTotal(3)]);

// ---------------------------------------------------------------- options
class PaymentDeclined extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}
new Docket({ name: 'x', url: 'memory://', executionTtl: 0, maxPayloadBytes: 1_000, errors: [PaymentDeclined] });
const options: DocketOptions<typeof tasks> = { executionTtl: '1.5h', heartbeatInterval: 500, tasks };
expectType<Docket<typeof tasks>>()(new Docket(options));
new Docket({ durability: { replicas: 1, timeout: '1s' } });
// @ts-expect-error for how long?
new Docket({ durability: { replicas: 1 } });
// @ts-expect-error not a duration
new Docket({ executionTtl: '15 minutes' });
// @ts-expect-error not a class of errors
new Docket({ errors: [Date] });
// @ts-expect-error there is no such option
new Docket({ ttl: '15m' });
// @ts-expect-error not tasks
new Docket({ tasks: { hello: () => {} } });

// ---------------------------------------------------------------- workers serve any docket
new Worker(docket, { tasks: new URL('./tasks.js', import.meta.url), threads: 4, concurrency: 64 });
new Worker(plain, { tasks, threads: 0 });

// ---------------------------------------------------------------- agendas, typed like add
const agenda = new Agenda<typeof tasks>();
agenda.add(hello, { name: 'a' }).add('spin', { n: 1 }, { key: 'k' }).add('sweep').add(page);
expectType<Execution<unknown>[]>()(await agenda.scatter(docket, { over: '1h', start: new Date(), jitter: '5s' }));
await agenda.scatter(plain, { over: 60_000, start: '10m' });
// @ts-expect-error the time is what the agenda decides
agenda.add(hello, { name: 'a' }, { when: '5m' });
// @ts-expect-error unknown argument
agenda.add(hello, { nome: 'a' });
// @ts-expect-error arguments are required
agenda.add('hello');
// @ts-expect-error no task of that name
agenda.add('nope', {});
// @ts-expect-error spread over what?
await agenda.scatter(docket, {});

// ---------------------------------------------------------------- looking in
expectType<number>()(await docket.clear());
const snapshot: Snapshot = await docket.snapshot({ limit: 5 });
expectType<Date | null>()(snapshot.running[0]!.since);
expectType<string>()(snapshot.waiting[0]!.waitingFor);
expectType<string | null>()(snapshot.future[0]!.waitingFor);
expectType<WorkerInfo[]>()(await docket.workers());
expectType<WorkerInfo[]>()(await docket.taskWorkers(hello));
expectType<string | null>()(execution.waitingFor);
expectType<number>()(await (await docket.redis).incr(docket.key('visits')));
// @ts-expect-error a snapshot is read-only
snapshot.totals.queued = 0;
// ---------------------------------------------------------------- failures
for await (const failure of plain.failures({ task: charge, since: new Date() })) {
  expectType<Failure>()(failure);
  expectType<unknown>()(failure.args());
  expectType<'failed' | 'quarantined'>()(failure.kind);
}
expectType<Failure | null>()(await plain.failure('1-0'));
expectType<RetryReport>()(await plain.retry(['1-0']));
expectType<number>()(await plain.discard({ task: 'charge' }));
// @ts-expect-error nothing is selected: `{}` selects all
await plain.retry();
// @ts-expect-error there is no such part
plain.failures({ error: 'TypeError' });

// The history: times are null where nothing ended.
const [minute] = await docket.history({ task: 'any', minutes: 15 });
expectType<Percentiles | null>()(minute!.waiting);
expectType<readonly number[]>()((await docket.stats({ minutes: 5 }))[0]!.startedByMinute);
// @ts-expect-error each task is counted by its name
await docket.history({ task: 7 });
// @ts-expect-error stats are of all tasks
await docket.stats({ task: 'any' });
// ---------------------------------------------------------------- strikes
expectType<void>()(await plain.strike(charge));
await plain.strike('charge');
await plain.strike(charge, 'orderId', '>', 1_000);
await plain.strike(null, 'customerId', '==', 'c');
await plain.strike(null, 'at', 'between', [new Date(0), new Date(1)]);
expectType<boolean>()(await plain.restore(null, 'x', '!=', null));
await docket.restore('charge', 'orderId', '<=', 10n);
// @ts-expect-error there is no such operator
await plain.strike(charge, 'orderId', '=~', 1);
// @ts-expect-error an object has no order and no equal
await plain.strike(charge, 'orderId', '==', { id: 1 });
// @ts-expect-error a parameter is named
await plain.strike(charge, 7, '==', 1);
expectType<'scheduled' | 'already_scheduled' | 'struck'>()(execution.disposition);

const flags = new StrikeList({ name: 'd', onWarning: (problem) => problem.length });
expectType<boolean>()(flags.isStricken({ customerId: 'x' }));
expectType<boolean>()(flags.isStricken(charge, { orderId: 1 }));
expectType<boolean>()(flags.isStricken('charge'));
expectType<Promise<void>>()(flags.strike(null, 'customerId', '==', 'x' satisfies StrikeValue));
expectType<void>()(await flags.connect());
// @ts-expect-error arguments are an object
flags.isStricken(charge, 7);
// @ts-expect-error there is no such option
new StrikeList({ docket: 'd' });
task('breaker', async (_args: {}, ctx) => await ctx.docket.strike(charge, 'orderId', '==', 1));

async function inspecting(docket: Docket, execution: Execution<number>): Promise<void> {
  expectType<CancelResult>()(await docket.cancel('k'));
  expectType<CancelResult>()(await execution.cancel());
  const { outcome } = await docket.cancel('k');
  expectType<'removed' | 'stopping' | 'ended already' | 'unknown'>()(outcome);
  expectType<ExecutionDetails | null>()(await docket.show('k'));
  for await (const { state } of docket.list({ task: charge, where: { orderId: 1 }, state: ['failed', 'queued'] })) {
    expectType<ExecutionState>()(state);
  }
  for await (const _ of execution.subscribe({ signal: AbortSignal.timeout(1) }));
  await docket.cancelMany({ task: 'charge', state: 'queued' });
  // @ts-expect-error: it has ended, so it cannot be cancelled
  await docket.cancelMany({ state: 'failed' });
  // @ts-expect-error: an object cannot be compared
  docket.list({ where: { orderId: {} } });
}
void inspecting;
