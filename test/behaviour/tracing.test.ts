/** Spans of OpenTelemetry, from the producer to each attempt, whatever lies between. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { call, collection, concurrencyLimit, perpetual, retry, task } from 'docket';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runModule } from '../support/child.js';
import { fixture, openFleet } from '../support/fleet.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
});
afterEach(() => exporter.reset());
afterAll(() => {
  trace.disable();
  context.disable();
});

const spans = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name);
const linksOf = ({ links }: ReadableSpan) => links.map((link) => link.context.spanId);
const idOf = (span: ReadableSpan | undefined) => span!.spanContext().spanId;
const traceOf = (span: ReadableSpan | undefined) => span!.spanContext().traceId;

function refuse(): never {
  throw new Error('broken');
}

describeEachServer('tracing:', (url) => {
  const stage = setStage(url);

  test('an attempt has a span of its own trace, with a link to the span of its add', async () => {
    const greet = task('greet', ({ name }: { name: string }) => `hello ${name}`);
    stage.work(collection(greet));
    await (await stage.docket().add(greet, { name: 'ada' }, { key: 'k-1' })).result();
    await waitFor(() => spans('docket.run greet').length === 1);
    const [add] = spans('docket.add greet');
    const [run] = spans('docket.run greet');
    expect([add!.kind, run!.kind]).toEqual([SpanKind.PRODUCER, SpanKind.CONSUMER]);
    expect(linksOf(run!)).toEqual([idOf(add)]);
    expect(traceOf(run)).not.toBe(traceOf(add));
    expect(run!.parentSpanContext).toBeUndefined();
    const about = { 'docket.name': stage.name, 'docket.task': 'greet', 'docket.key': 'k-1' };
    expect(add!.attributes).toEqual({ ...about, 'docket.disposition': 'scheduled' });
    expect(run!.attributes).toMatchObject({ ...about, 'docket.attempt': 1, 'docket.outcome': 'completed' });
  });

  test.each([
    ['a record', '15m'],
    ['no record', 0],
  ] as const)('the link outlives a schedule, a wait for a permit and a retry, with %s', async (_, executionTtl) => {
    const held = deferred();
    const started = deferred();
    let ran = 0;
    const block = task('block', { limits: [concurrencyLimit({ max: 1, scope: 'one' })] }, async () => {
      started.resolve();
      await held.promise;
    });
    const options = {
      retry: retry({ attempts: 2, delay: '20ms' }),
      limits: [concurrencyLimit({ max: 1, scope: 'one' })],
    };
    const charge = task('charge', options, (_args: {}, ctx) => {
      ran += 1;
      if (ctx.attempt === 1) throw new RangeError('not yet');
    });
    const docket = stage.docket({ executionTtl });
    stage.work(collection(block, charge), { concurrency: 2 });
    await docket.add(block);
    await started.promise;
    await docket.add(charge, {}, { when: '30ms' });
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 1);
    held.resolve();
    await waitFor(() => ran === 2 && spans('docket.run charge').length === 2);
    const [add] = spans('docket.add charge');
    const [first, second] = spans('docket.run charge');
    expect([linksOf(first!), linksOf(second!)]).toEqual([[idOf(add)], [idOf(add)]]);
    expect([first!.attributes['docket.attempt'], second!.attributes['docket.attempt']]).toEqual([1, 2]);
    expect(first!.status).toEqual({ code: SpanStatusCode.ERROR, message: 'not yet' });
    expect(first!.events.map(({ name, attributes }) => [name, attributes?.['exception.type']])).toEqual([
      ['exception', 'RangeError'],
    ]);
    expect(first!.attributes['docket.outcome']).toBe('retry');
    expect(second!.status.code).toBe(SpanStatusCode.UNSET);
  });

  test('adds of a task are traced below its attempt, and so are its own spans', async () => {
    const child = task('child', () => {});
    const parent = task('parent', async (_: {}, ctx) => {
      await trace.getTracer('mine').startActiveSpan('own work', async (span) => {
        await (await ctx.docket.add(child)).result();
        span.end();
      });
    });
    stage.work(collection(parent, child), { concurrency: 2 });
    await (await stage.docket().add(parent)).result();
    await waitFor(() => spans('docket.run parent').length === 1);
    const [run] = spans('docket.run parent');
    const [own] = spans('own work');
    const [add] = spans('docket.add child');
    expect(own!.parentSpanContext?.spanId).toBe(idOf(run));
    expect(add!.parentSpanContext?.spanId).toBe(idOf(own));
    expect(linksOf(spans('docket.run child')[0]!)).toEqual([idOf(add)]);
  });

  test('a batch has one span, to which every attempt links, and all runs of a chain link to its beginning', async () => {
    const step = task('step', () => {});
    const chain = task('chain', { perpetual: perpetual({ every: 0 }) }, (_: {}, ctx) => {
      if (spans('docket.run chain').length >= 2) ctx.perpetual.cancel();
    });
    await stage.docket().addMany([call(step, {}), call(step, {}), call(chain, {}, { key: 'chain' })]);
    await stage.finish(collection(step, chain));
    const [batch] = spans('docket.addMany');
    expect(batch!.attributes).toMatchObject({ 'docket.count': 3 });
    const runs = [...spans('docket.run step'), ...spans('docket.run chain')];
    expect(runs.length).toBe(5);
    expect(runs.map(linksOf)).toEqual(runs.map(() => [idOf(batch)]));
  });

  test('replace, cancel, strike and restore have spans below what is active, and errors are recorded', async () => {
    const docket = stage.docket();
    const step = task('step', () => {});
    await trace.getTracer('mine').startActiveSpan('request', async (span) => {
      await docket.replace(step, {}, { key: 'k', when: '1h' });
      await docket.cancel('k');
      await docket.strike(step);
      await docket.restore(step);
      await expect(docket.add(step, {}, { key: '' })).rejects.toThrow('key');
      span.end();
    });
    const [request] = spans('request');
    const names = [
      'docket.replace step',
      'docket.cancel',
      'docket.strike step',
      'docket.restore step',
      'docket.add step',
    ];
    for (const name of names) expect(spans(name)[0]!.parentSpanContext?.spanId).toBe(idOf(request));
    expect(spans('docket.cancel')[0]!.attributes).toEqual({ 'docket.name': stage.name, 'docket.key': 'k' });
    expect(spans('docket.add step')[0]!.status.code).toBe(SpanStatusCode.ERROR);
  });

  test('an execution that was added without a trace runs without a link', async () => {
    const step = task('step', () => {});
    trace.disable();
    await stage.docket().add(step);
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
    await stage.finish(collection(step));
    expect(spans('docket.run step').map(linksOf)).toEqual([[]]);
  });

  test.each([
    ['an object without a prototype', () => Object.create(null), '[Object]'],
    [
      'an error whose message cannot be read',
      () => Object.defineProperty(new Error('x'), 'message', { get: refuse }),
      'Error: ',
    ],
  ])('what an attempt throws is described on its span when it cannot be read: %s', async (_, make, message) => {
    const odd = task('odd', () => {
      throw make();
    });
    stage.work(collection(odd));
    const execution = await stage.docket().add(odd);
    await expect(execution.result()).rejects.toThrow();
    await waitFor(() => spans('docket.run odd').length === 1);
    const [run] = spans('docket.run odd');
    expect(run!.status).toEqual({ code: SpanStatusCode.ERROR, message });
    expect(run!.events.map(({ attributes }) => attributes?.['exception.message'])).toEqual([message]);
    expect(run!.attributes['docket.outcome']).toBe('failed');
  });
});

describeEachServer('tracing that fails', (url) => {
  const stage = setStage(url);
  const greet = task('greet', ({ name }: { name: string }) => `hello ${name}`);

  /** Registers another provider for this test. */
  function traceWith(options: ConstructorParameters<typeof BasicTracerProvider>[0]): void {
    trace.disable();
    trace.setGlobalTracerProvider(new BasicTracerProvider(options));
    onTestFinished(() => {
      trace.disable();
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
    });
  }

  const quiet = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} };

  test.each([
    ['sampler', { sampler: { shouldSample: refuse, toString: () => 'broken' } }],
    ['beginning of a span', { spanProcessors: [{ ...quiet, onStart: refuse }] }],
    ['end of a span', { spanProcessors: [{ ...quiet, onEnd: refuse }] }],
  ])('in its %s changes nothing of what is added, run and failed', async (_, options) => {
    traceWith(options);
    await expectOutcomes();
  });

  test('in its context manager changes nothing, either', async () => {
    context.disable();
    const broken = { active: refuse, with: refuse, bind: refuse, enable: () => broken, disable: () => broken };
    context.setGlobalContextManager(broken);
    onTestFinished(() => {
      context.disable();
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    });
    await expectOutcomes();
  });

  async function expectOutcomes(): Promise<void> {
    const ran: number[] = [];
    const bad = task('bad', { retry: retry({ attempts: 2 }) }, (_args: {}, { attempt }) => {
      ran.push(attempt);
      throw new RangeError('no luck');
    });
    const docket = stage.docket();
    stage.work(collection(greet, bad));
    expect(await (await docket.add(greet, { name: 'ada' })).result()).toBe('hello ada');
    const [first, second] = await docket.addMany([call(greet, { name: 'eve' }), call(bad, {})]);
    expect(await first!.result()).toBe('hello eve');
    await expect(second!.result()).rejects.toThrow(RangeError);
    expect(ran).toEqual([1, 2]);
    await (await docket.replace(greet, { name: 'bob' }, { key: 'k' })).result();
    await docket.cancel('k');
    await expect(docket.add(greet, { name: 'ada' }, { key: '' })).rejects.toThrow('key');
  }
});

describeOnRedis('tracing on threads:', (url) => {
  test('attempts are traced by what the task module registers in its thread', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: fixture('traced.js'), threads: 1 });
    await (await fleet.docket.add('traced', {})).result();
    const found = await (await fleet.docket.add('spans', {})).result();
    const [add] = spans('docket.add traced');
    expect(found).toEqual([{ name: 'docket.run traced', links: [traceOf(add)] }]);
  });
});

describe('without a provider,', () => {
  test('the tracing API is not loaded', async () => {
    const ended = await runModule(`
      import { createRequire } from 'node:module';
      import { Docket, task } from 'docket';
      const docket = new Docket({ url: 'memory://' });
      await docket.add(task('note', () => {}));
      await docket.close();
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(loaded.filter((file) => file.includes('opentelemetry')).length);
    `);
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0/) });
  });
});
