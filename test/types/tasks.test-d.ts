/** What the compiler must accept and refuse about tasks. Checked by `tsc`, never run. */
import type { AddOptions, AddRest, ArgumentsOf, ResultOf } from '../../src/tasks/call.js';
import { call } from '../../src/tasks/call.js';
import { collection } from '../../src/tasks/collection.js';
import type { TaskContext, TaskDocket } from '../../src/tasks/context.js';
import type { Execution } from '../../src/tasks/execution.js';
import { exponentialRetry, perpetual, type RetryPolicy, retry } from '../../src/tasks/policies.js';
import { type AnyTask, type Task, task } from '../../src/tasks/task.js';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...same: Equal<Expected, Actual> extends true ? [] : [never]
) => void;

// ---------------------------------------------------------------- declaring
const hello = task('hello', async ({ name }: { name: string }) => `hi ${name}`);
expectType<Task<'hello', { name: string }, string>>()(hello);

const spin = task('spin', ({ n }: { n: number }, { throwIfCancelled }) => {
  throwIfCancelled();
  return n * 2;
});
expectType<Task<'spin', { n: number }, number>>()(spin);

const sweep = task('sweep', async (_args: {}, { logger }) => {
  logger.info('x');
  logger.info({ n: 1 }, 'x');
  logger.info({ n: 1 });
  logger.info('%s of %d', 'x', 1);
  logger.error(new Error('x'));
  logger.error({} as unknown, 'x'); // whatever was caught
  // @ts-expect-error fields come before the message
  logger.info('x', { n: 1 });
});
expectType<Task<'sweep', {}, void>>()(sweep);

const bare = task('bare', () => {});
expectType<Task<'bare', {}, void>>()(bare);

const page = task('page', ({ size }: { size?: number }) => size ?? null);
expectType<Task<'page', { size?: number }, number | null>>()(page);

const charge = task(
  'charge',
  { retry: exponentialRetry({ attempts: 5 }) },
  async ({ orderId }: { orderId: number; region: string }, ctx) => {
    if (orderId < 0) ctx.retry.after('5s');
    if (orderId > 9) ctx.retry.at(new Date());
    // @ts-expect-error not a duration
    ctx.retry.after('soon');
    return { charged: orderId };
  },
);
expectType<Task<'charge', { orderId: number; region: string }, { charged: number }>>()(charge);

task('plain', (_args: {}, ctx) => {
  expectType<TaskContext>()(ctx);
  // @ts-expect-error no retry declared
  ctx.retry.after('5s');
});
task('no policy', {}, (_args: {}, ctx) => {
  // @ts-expect-error no retry declared
  ctx.retry.after('5s');
});
task('scheduled at run time', (_args: {}, ctx) => {
  ctx.perpetual?.cancel();
  ctx.timeout?.extend('5s');
  ctx.retry?.after('5s');
  // @ts-expect-error it may have been added without
  ctx.perpetual.cancel();
});
declare const sometimes: RetryPolicy | undefined;
const conditional = task('conditional', sometimes ? { retry: sometimes } : {}, (_args: {}) => 1);
expectType<Task<'conditional', {}, number>>()(conditional);

// @ts-expect-error a policy is made with its function
task('bad', { retry: { attempts: 3 } }, () => {});
// @ts-expect-error there is no such option
task('bad', { retries: retry() }, () => {});
// @ts-expect-error arguments are one object
task('bad', (n: number) => n);
// @ts-expect-error a task has one parameter and the context
task('bad', (_args: {}, _ctx: TaskContext, _more: string) => {});
// @ts-expect-error attempts are a number or 'forever'
retry({ attempts: 'always' });
// @ts-expect-error the name cannot be changed
hello.name = 'hello';

// ---------------------------------------------------------------- collecting
const tasks = collection(charge, sweep, hello, spin, page);
expectType<typeof charge>()(tasks.charge);
expectType<'charge' | 'sweep' | 'hello' | 'spin' | 'page'>()(null as never as keyof typeof tasks);
const any: readonly AnyTask[] = [charge, sweep, hello, spin, page, bare];
void any;
// @ts-expect-error no task of that name
void tasks.nope;
// @ts-expect-error not a task
collection(hello, () => {});

expectType<{ name: string }>()(null as never as ArgumentsOf<typeof hello>);
expectType<string>()(null as never as ResultOf<typeof hello>);
expectType<void>()(null as never as ResultOf<typeof sweep>);

// ---------------------------------------------------------------- calling, by value
declare const docket: TaskDocket;
const execution = await docket.add(charge, { orderId: 1, region: 'eu' }, { key: 'k', when: '10m' });
expectType<Execution<{ charged: number }>>()(execution);
expectType<{ charged: number }>()(await execution.result({ timeout: '5s' }));
await docket.add(sweep);
expectType<boolean>()(await docket.runNow('k'));
for await (const { nextRuns } of docket.schedules({ task: sweep })) expectType<readonly Date[]>()(nextRuns);
expectType<number>()((await docket.history({ task: 'charge', minutes: 15 }))[0]!.started);
expectType<string>()((await docket.stats())[0]!.task);
expectType<number>()((await docket.cancelMany({ task: charge })).removed);
for await (const { key } of docket.list({ task: charge, where: { orderId: 1 } })) expectType<string>()(key);
await docket.add(sweep, {}, { when: new Date() });
await docket.add(page);
await docket.add(page, { size: 3 });
// @ts-expect-error arguments are required
await docket.add(charge);
// @ts-expect-error one is missing
await docket.add(charge, { orderId: 1 });
// @ts-expect-error one is unknown
await docket.add(charge, { orderId: 1, region: 'x', nope: 1 });
// @ts-expect-error one has the wrong type
await docket.add(spin, { n: '2' });
// @ts-expect-error not a duration
await docket.add(sweep, {}, { when: 'tomorrow' });
await docket.add(page, {}, { retry: retry(), timeout: '5s', perpetual: perpetual(), until: new Date(), times: 2 });
// @ts-expect-error a policy is made with its function
await docket.add(page, {}, { perpetual: { kind: 'perpetual', everyMs: 5, isAutomatic: false } });

// ---------------------------------------------------------------- calling, by name
declare function add<K extends keyof typeof tasks>(
  name: K,
  ...rest: AddRest<ArgumentsOf<(typeof tasks)[K]>>
): Promise<Execution<ResultOf<(typeof tasks)[K]>>>;
expectType<number>()(await (await add('spin', { n: 2 })).result());
expectType<string>()(await (await add('hello', { name: 'x' })).result());
await add('sweep');
// @ts-expect-error wrong type
await add('spin', { n: '2' });
// @ts-expect-error no task of that name
await add('nope', {});
// @ts-expect-error arguments are required
await add('hello');

// ---------------------------------------------------------------- calling, in batches
const many = await docket.addMany([call(hello, { name: 'a' }), call(hello, { name: 'b' }, { key: 'b' })]);
expectType<string>()(await many[0]!.result());
const mixed = await docket.addMany([call(hello, { name: 'a' }), call(spin, { n: 1 }), call(sweep)]);
expectType<string | number | void>()(await mixed[0]!.result());
const options: AddOptions = { key: 'k' };
const generated = await docket.addMany([1, 2, 3].map((n) => call(spin, { n }, options)));
expectType<Execution<number>[]>()(generated);
// @ts-expect-error unknown argument
call(hello, { nome: 'a' });
// @ts-expect-error arguments are required
call(hello);
// @ts-expect-error a call, not a task
await docket.addMany([hello]);
