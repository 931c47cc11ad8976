/** What the compiler must accept and refuse about the options of tasks. Checked by `tsc`, never run. */
import { type } from 'arktype';
import {
  call,
  collection,
  concurrencyLimit,
  configure,
  cooldown,
  cron,
  type Dependency,
  Docket,
  debounce,
  depends,
  type Execution,
  exponentialRetry,
  type PerpetualPolicy,
  perpetual,
  rateLimit,
  retry,
  type SharedDependency,
  type StandardSchema,
  shared,
  type Task,
  task,
  type UnknownArgument,
} from 'docket';
import * as v from 'valibot';
import { z } from 'zod';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...same: Equal<Expected, Actual> extends true ? [] : [never]
) => void;

class Db {
  query(sql: string): string {
    return sql;
  }
  [Symbol.dispose](): void {}
}

// ---------------------------------------------------------------- dependencies
async function* openDb() {
  yield new Db();
}
const pool = shared(async () => new Db());
const customer = depends(async ({ customerId }: { customerId: string }, ctx) => ({ id: customerId, name: ctx.key }));
expectType<SharedDependency<Db>>()(pool);
const repository = shared(({ pool, worker }) => ({ pool, name: worker.name }), { uses: { pool } });
expectType<SharedDependency<{ pool: Db; name: string }>>()(repository);
// @ts-expect-error a shared dependency uses shared ones only
shared(() => 1, { uses: { own: depends(() => 2) } });
// @ts-expect-error it does not use that
shared(({ other }) => other, { uses: { pool } });
expectType<Dependency<{ id: string; name: string }, { customerId: string }>>()(customer);
expectType<Dependency<Db, {}>>()(depends(openDb));
expectType<Dependency<number, {}>>()(
  depends(function* () {
    yield 1;
  }),
);
expectType<Dependency<string, {}>>()(depends(() => 'plain'));
shared(({ docket, worker, logger }) => {
  logger.info(`${worker.name} ${worker.threadId}`);
  return docket;
});
// @ts-expect-error what threads share has no arguments
shared(({ customerId }: { customerId: string }) => customerId);
// @ts-expect-error a factory is a function
depends(new Db());

const config = depends(() => ({ region: 'eu' }));
const region = depends((_args: {}, { config }) => config.region, { uses: { config } });
const invoice = depends((_args: { invoiceId: number }, { customer }) => customer.name, { uses: { customer } });
// @ts-expect-error it does not use that
depends((_args: {}, { other }) => other, { uses: { config } });

// ---------------------------------------------------------------- all options at once
const charge = task(
  'charge',
  {
    retry: exponentialRetry({ attempts: 5 }),
    timeout: '30s',
    limits: [concurrencyLimit('customerId', { max: 2 }), concurrencyLimit('region'), rateLimit({ max: 9, per: '1s' })],
    logged: { orderId: 'value', region: 'length' },
    uses: { db: depends(openDb), pool, customer },
  },
  async ({ orderId, customerId, region }: { orderId: number; customerId: string; region: string }, ctx) => {
    expectType<Db>()(ctx.db);
    const text: string = ctx.db.query(customerId) + ctx.pool.query(region) + ctx.customer.name;
    ctx.timeout.extend('5s');
    ctx.timeout.extend();
    expectType<number>()(ctx.timeout.remaining());
    if (orderId < 0) ctx.retry.after('5s');
    expectType<Execution<unknown>>()(ctx.execution);
    // @ts-expect-error this task is not perpetual
    ctx.perpetual.cancel();
    // @ts-expect-error nor has it this dependency
    void ctx.config;
    return { charged: orderId, text };
  },
);
type Charge = { orderId: number; customerId: string; region: string };
expectType<Task<'charge', Charge, { charged: number; text: string }>>()(charge);

// ---------------------------------------------------------------- perpetual, timeout
const sweep = task('sweep', { perpetual: perpetual({ every: '5m', automatic: true }) }, async (_args: {}, ctx) => {
  ctx.perpetual.every = '1m';
  expectType<number>()(ctx.perpetual.every);
  ctx.perpetual.after(500);
  ctx.perpetual.at(new Date());
  ctx.perpetual.perpetuate({ page: 2 });
  ctx.perpetual.cancel();
  // @ts-expect-error not a duration
  ctx.perpetual.every = 'often';
  // @ts-expect-error no timeout declared
  ctx.timeout.extend();
  // @ts-expect-error no retry declared
  ctx.retry.after(1);
});
expectType<Task<'sweep', {}, void>>()(sweep);
task('report', { perpetual: cron('0 6 * * *') }, async (_args: {}, { perpetual, logger }) => {
  perpetual.cancel();
  logger.info('x');
});
declare const sometimes: PerpetualPolicy | undefined;
const conditional = task('conditional', sometimes ? { perpetual: sometimes } : {}, (_args: {}) => 1);
expectType<Task<'conditional', {}, number>>()(conditional);
// @ts-expect-error a policy is made with its function
task('bad', { perpetual: { every: '5m' } }, () => {});
// @ts-expect-error not a duration
task('bad', { timeout: 'soon' }, () => {});
// @ts-expect-error limits are made with their functions
task('bad', { limits: [{ max: 1 }] }, () => {});
// @ts-expect-error shown by value or by length
task('bad', { logged: { n: 'hash' } }, ({ n }: { n: number }) => n);
// @ts-expect-error a dependency is made with depends() or shared()
task('bad', { uses: { db: new Db() } }, () => {});

// ---------------------------------------------------------------- what is not an argument
const misspelt = task(
  'bad',
  { limits: [concurrencyLimit('customr')] },
  async ({ customerId }: { customerId: string }) => {
    void customerId;
  },
);
expectType<UnknownArgument<'customr'>>()(misspelt);
// @ts-expect-error unknown argument
collection(misspelt);
const shown = task('bad', { logged: { ordr: 'value' } }, ({ order }: { order: number }) => order);
expectType<UnknownArgument<'ordr'>>()(shown);
expectType<UnknownArgument<'a' | 'b'>>()(
  task('bad', { limits: [cooldown('a', { window: '1s' }), debounce('b', { settle: 1 })] }, (_: { c: 1 }) => {}),
);
const needy = task('bad', { uses: { customer } }, async ({ x }: { x: number }) => x);
expectType<UnknownArgument<'a dependency needs arguments this task does not have'>>()(needy);
// @ts-expect-error a dependency needs customerId
collection(needy);
// @ts-expect-error a dependency of the dependency needs customerId
collection(task('bad', { uses: { invoice } }, async ({ invoiceId }: { invoiceId: number }) => invoiceId));
task('good', { uses: { invoice } }, async (_args: { invoiceId: number; customerId: string }, ctx) => {
  expectType<string>()(ctx.invoice);
});
const where = task('where', { uses: { region } }, async (_args: {}, { region }) => region.toUpperCase());
expectType<Task<'where', {}, string>>()(where);

// ---------------------------------------------------------------- input: callers give its input, the body gets its output
declare const schema: StandardSchema<{ at: string; n?: number }, { at: Date; n: number }>;
const parsed = task('parsed', { input: schema, limits: [concurrencyLimit('at')] }, async ({ at, n }, ctx) => {
  expectType<Date>()(at);
  expectType<number>()(n);
  return at.getTime() + n + ctx.attempt;
});
expectType<Task<'parsed', { at: string; n?: number }, number>>()(parsed);
expectType<UnknownArgument<'on'>>()(task('bad', { input: schema, logged: { on: 'value' } }, () => {}));

const zodded = task(
  'zodded',
  { input: z.object({ at: z.coerce.date<string>(), n: z.number().default(1) }) },
  (args) => {
    expectType<{ at: Date; n: number }>()(args);
  },
);
expectType<Task<'zodded', { at: string; n?: number | undefined }, void>>()(zodded);
const valibot = v.object({ at: v.pipe(v.string(), v.toDate()), n: v.optional(v.number(), 1) });
const valid = task('valid', { input: valibot, retry: retry() }, (args, ctx) => {
  expectType<{ at: Date; n: number }>()(args);
  if (args.n > 9) ctx.retry.after(1);
});
expectType<Task<'valid', { at: string; n?: number | undefined }, void>>()(valid);
const arked = task('arked', { input: type({ at: 'string.date.parse', n: 'number = 1' }) }, (args) => {
  expectType<{ at: Date; n: number }>()(args);
});
expectType<Task<'arked', { at: string; n?: number }, void>>()(arked);
// @ts-expect-error not a schema
task('bad', { input: { at: 'string' } }, () => {});
// @ts-expect-error the dependency gets what the body gets: the schema's output, without customerId
collection(task('bad', { input: schema, uses: { customer } }, () => {}));

// ---------------------------------------------------------------- in dockets
const tasks = collection(parsed, where, charge, sweep);
const docket = new Docket<typeof tasks>();
expectType<number>()(
  await (await docket.add(charge, { orderId: 1, customerId: 'c', region: 'eu' })).result().then(() => 1),
);
expectType<number>()(await (await docket.add('parsed', { at: '2026-01-01' })).result());
await docket.addMany([call(parsed, { at: '2026-01-01', n: 2 })]);
// @ts-expect-error callers give the schema's input
await docket.add(parsed, { at: new Date() });
// @ts-expect-error callers give the schema's input
call(parsed, { at: new Date() });
// @ts-expect-error what is not a task cannot be added
await docket.add(misspelt, { customerId: 'c' });

// ---------------------------------------------------------------- worker configuration
class PaymentDeclined extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}
configure({ uses: { pool, config, db: depends(openDb) }, fallback: where, errors: [PaymentDeclined] });
configure({});
configure({ retry: exponentialRetry(), timeout: '5m', limits: [concurrencyLimit({ max: 9, scope: 'db' })] });
// @ts-expect-error not every task has this argument
configure({ limits: [concurrencyLimit('customerId')] });
// @ts-expect-error a chain is declared with its task
configure({ perpetual: perpetual() });
// @ts-expect-error around every execution there are no arguments to rely on
configure({ uses: { customer } });
// @ts-expect-error not a task
configure({ fallback: () => {} });
// @ts-expect-error not a class of errors
configure({ errors: [Date] });
