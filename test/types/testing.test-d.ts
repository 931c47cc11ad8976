/** What the compiler must accept and refuse about `docket/testing`. Checked by `tsc`, never run. */
import { collection, type Docket, type Execution, task } from 'docket';
import {
  type AddedExecution,
  assertNoTaskAdded,
  assertTaskAdded,
  assertTaskCompleted,
  assertTaskFailed,
  openTestDocket,
  recordingDocket,
  runTask,
} from 'docket/testing';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...same: Equal<Expected, Actual> extends true ? [] : [never]
) => void;

const charge = task('charge', async ({ orderId }: { orderId: number; region?: string }) => ({ charged: orderId }));
const sweep = task('sweep', () => {});
const tasks = collection(charge, sweep);
declare function placeOrder(docket: Docket): Promise<void>;

// ---------------------------------------------------------------- a task alone
const run = await runTask(charge, { orderId: 1 }, { attempt: 2, dependencies: { anything: 1 } });
expectType<{ charged: number } | undefined>()(run.result);
if (run.outcome === 'completed') expectType<{ charged: number }>()(run.result);
else expectType<unknown>()(run.error);
expectType<void | undefined>()((await runTask(sweep)).result);
// @ts-expect-error arguments are required
await runTask(charge);
// @ts-expect-error one has the wrong type
await runTask(charge, { orderId: '1' });
// @ts-expect-error one is unknown
await runTask(charge, { orderId: 1, nope: 1 });
// @ts-expect-error no such option
await runTask(charge, { orderId: 1 }, { attempts: 2 });
// @ts-expect-error no task
await runTask('charge', {});

// ---------------------------------------------------------------- a recording docket
const recorder = recordingDocket({ tasks });
await placeOrder(recordingDocket());
expectType<Execution<{ charged: number }>>()(await recorder.add('charge', { orderId: 1 }));
expectType<readonly AddedExecution[]>()(recorder.added);
expectType<readonly AddedExecution<{ orderId: number; region?: string }>[]>()(
  assertTaskAdded(recorder, charge, { args: { orderId: 1 }, key: 'k', when: '10m', times: 1 }),
);
assertNoTaskAdded(recorder, sweep);
assertNoTaskAdded(recorder);
// @ts-expect-error one has the wrong type
assertTaskAdded(recorder, charge, { args: { orderId: '1' } });
// @ts-expect-error one is unknown
assertTaskAdded(recorder, charge, { args: { nope: 1 } });
// @ts-expect-error it would say twice how many there are
assertNoTaskAdded(recorder, charge, { times: 2 });
// @ts-expect-error not a duration
assertTaskAdded(recorder, charge, { when: 'soon' });

// ---------------------------------------------------------------- a test docket
await using kit = await openTestDocket({ tasks });
await kit.docket.add('charge', { orderId: 1 });
// @ts-expect-error not a task of the collection
await kit.docket.add('other', {});
await kit.advance('1h');
// @ts-expect-error not a duration
await kit.advance('an hour');
expectType<Promise<readonly AddedExecution<{ orderId: number; region?: string }>[]>>()(
  assertTaskAdded(kit, charge, { args: { orderId: 1 } }),
);
const [completed] = await assertTaskCompleted(kit, charge, { args: { region: 'eu' } });
expectType<{ charged: number } | undefined>()(completed?.result);
await assertTaskFailed(kit, charge, { error: /declined/ });
// @ts-expect-error only a failed execution has an error
await assertTaskCompleted(kit, charge, { error: 'x' });
// @ts-expect-error a recorder runs nothing
await assertTaskCompleted(recorder, charge);
