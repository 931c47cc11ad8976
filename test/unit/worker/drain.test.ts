import { describe, expect, test, vi } from 'vitest';
import { monotonicMs } from '../../../src/core/clock.js';
import type { Delivery } from '../../../src/worker/delivery.js';
import { type DrainedPartition, type DrainOptions, drain } from '../../../src/worker/drain.js';
import { stopTime } from '../../support/fake-time.js';
import { recordingLogger } from '../../support/logger.js';
import { deferred } from '../../support/wait.js';
import { deliveryWith } from './deliveries.js';

const NEVER = new Promise<never>(() => {});

/** A worker whose parts record what is asked of them; `running` executions end only when they are interrupted, if then. */
function setUp({ running = 0, isStubborn = false, partition = {}, ...rest }: Partial<DrainOptions> & Setting = {}) {
  const calls: string[] = [];
  const record = (call: string) => async () => void calls.push(call);
  const { logger, lines } = recordingLogger();
  let size = running;
  const graces: number[] = [];
  const queued = deliveryWith({ record: 'queued' });
  const revoked = deliveryWith({ record: 'revoked' });
  const parts: PartitionParts = {
    services: { stopSuppliers: record('stop suppliers'), stop: record('stop services') },
    rerouter: { idle: record('rerouter idle') },
    mover: { idle: async () => {} },
    settler: { idle: record('settler idle'), isIdle: true },
    link: { downMs: 0 },
    ...partition,
  };
  const { services, rerouter, mover, settler, link } = parts;
  const options: DrainOptions = {
    partitions: [
      {
        services,
        pipeline: { rerouter, mover, settler },
        context: { link },
        leave: record('leave'),
      },
    ],
    dispatcher: {
      get size() {
        return size;
      },
      close: () => {
        calls.push('close dispatcher');
        return [queued];
      },
      waitUntilEmpty: record('wait until empty'),
      interruptAll: () => {
        calls.push('interrupt runs');
        if (!isStubborn) size = 0;
      },
      takeBackUnstarted: () => {
        calls.push('take back unstarted');
        return [revoked];
      },
    },
    supervisor: {
      stop: async (graceMs) => {
        calls.push('end threads');
        graces.push(graceMs);
      },
    },
    failureNotifier: { isNeeded: false, idle: async () => {}, close: () => {} },
    drainTimeoutMs: 1_000,
    abortGraceMs: 100,
    logger,
    requeueUnstarted: (deliveries: readonly Delivery[]) => {
      calls.push(`requeue ${deliveries.map(({ record }) => record)}`);
    },
    stopShared: record('stop shared'),
    ...rest,
  };
  return { options, calls, lines, graces };
}

interface Setting {
  readonly running?: number;
  readonly isStubborn?: boolean;
  readonly partition?: Partial<PartitionParts>;
}

/** What the drain asks of the parts of one partition. */
type PartitionParts = Pick<DrainedPartition, 'services'> & DrainedPartition['pipeline'] & DrainedPartition['context'];

const BEFORE = ['stop suppliers', 'close dispatcher', 'requeue queued', 'wait until empty'];
const AFTER = [
  ...['end threads', 'take back unstarted', 'requeue revoked'],
  ...['rerouter idle', 'settler idle', 'stop shared', 'stop services', 'leave'],
];

describe('a worker drains in steps', () => {
  test('and when all runs end in time nobody is interrupted', async () => {
    const { options, calls, lines } = setUp();
    await drain(options);
    expect(calls).toEqual([...BEFORE, ...AFTER]);
    expect(lines).toEqual([]);
  });

  test('and asks running attempts to stop before it ends the threads', async () => {
    const { options, calls, lines } = setUp({ running: 2 });
    await drain(options);
    expect(calls).toEqual([...BEFORE, 'interrupt runs', 'wait until empty', ...AFTER]);
    expect(lines).toMatchObject([{ level: 'warn', fields: { running: 2 } }]);
  });

  test('and ends the threads of what does not stop all the same', async () => {
    const { options, calls } = setUp({ running: 1, isStubborn: true });
    await drain(options);
    expect(calls).toEqual([...BEFORE, 'interrupt runs', 'wait until empty', ...AFTER]);
  });
});

describe('a drain that has modules to tell of failures', () => {
  test('tells them once everything is written, while there are threads, and nothing after that', async () => {
    const { options, calls } = setUp();
    const record = (call: string) => async () => void calls.push(call);
    const close = () => void calls.push('close notifier');
    const failureNotifier = { isNeeded: true, idle: record('notifier idle'), close };
    await drain({ ...options, failureNotifier });
    expect(calls).toEqual([...BEFORE, 'settler idle', 'notifier idle', 'close notifier', ...AFTER]);
  });
});

describe('a drain divides its time', () => {
  stopTime();

  test('so that attempts have all but the grace to end, and the grace after they were asked to stop', async () => {
    const { options } = setUp({ running: 1, isStubborn: true });
    const waits: number[] = [];
    const dispatcher = Object.assign(options.dispatcher, {
      waitUntilEmpty: async (ms: number) => {
        waits.push(ms);
        await vi.advanceTimersByTimeAsync(ms);
      },
    });
    await drain({ ...options, dispatcher });
    expect(waits).toEqual([900, 100]);
  });

  test('so that suppliers which do not stop leave the grace to attempts', async () => {
    const { options } = setUp({ running: 1, isStubborn: true });
    const waits: number[] = [];
    const dispatcher = Object.assign(options.dispatcher, {
      waitUntilEmpty: async (ms: number) => void waits.push(ms),
    });
    Object.assign(options.partitions[0]!.services, { stopSuppliers: () => NEVER });
    const drained = drain({ ...options, dispatcher });
    await vi.advanceTimersByTimeAsync(900);
    expect(waits).toEqual([0, 100]);
    await vi.advanceTimersByTimeAsync(2_000);
    await drained;
  });

  test('so that modules which are told of failures leave the grace to the threads', async () => {
    const { options, graces } = setUp();
    const failureNotifier = { isNeeded: true, idle: () => NEVER, close: () => {} };
    const drained = drain({ ...options, failureNotifier });
    await vi.advanceTimersByTimeAsync(900);
    expect(graces).toEqual([100]);
    await drained;
  });
});

describe('a drain is not over', () => {
  test.each<[string, (waits: Promise<void>) => Partial<DrainOptions> & Setting]>([
    ['what moves to another partition has moved', (moved) => ({ partition: { mover: { idle: () => moved } } })],
    ['the services that partitions share have stopped', (stopped) => ({ stopShared: () => stopped })],
  ])('before %s', async (_, settingFor) => {
    const waited = deferred();
    const { options } = setUp({ ...settingFor(waited.promise), drainTimeoutMs: 600_000 });
    const over = vi.fn();
    const drained = drain(options).then(over);
    await new Promise((resolve) => setImmediate(resolve));
    expect(over).not.toHaveBeenCalled();
    waited.resolve();
    await drained;
  });
});

describe('a drain is over in time', () => {
  test('although suppliers wait for a Redis that is away', async () => {
    const { options, calls } = setUp({ drainTimeoutMs: 150 });
    const [partition] = options.partitions;
    Object.assign(partition!.services, { stopSuppliers: () => NEVER });
    const startMs = monotonicMs();
    await drain(options);
    expect(monotonicMs() - startMs).toBeGreaterThanOrEqual(49); // all but the grace
    // The drain does not wait for a Redis that does not answer, but the services stop all the same.
    expect(calls).toEqual([...BEFORE, ...AFTER].filter((call) => !/stop suppliers|rerouter idle/.test(call)));
  });

  test('although nothing can be settled, with half a second for the last commands, and stops its services', async () => {
    const { options, calls } = setUp({
      partition: { settler: { idle: () => NEVER, isIdle: false } },
      drainTimeoutMs: 1,
      abortGraceMs: 0,
    });
    const startMs = monotonicMs();
    await drain(options);
    expect(monotonicMs() - startMs).toBeGreaterThanOrEqual(499);
    expect(calls.slice(-4)).toEqual(['rerouter idle', 'stop shared', 'stop services', 'leave']);
  });

  test('long before its deadline when Redis is away and there is nothing to write', async () => {
    const services = { stopSuppliers: () => NEVER, stop: () => NEVER };
    const { options, calls } = setUp({ partition: { link: { downMs: 1_001 }, services }, drainTimeoutMs: 600_000 });
    await drain(options);
    expect(calls.slice(-2)).toEqual(['settler idle', 'stop shared']);
  });

  test('and waits half of its time for a Redis that is away when there is something to write', async () => {
    const link = { downMs: 0 };
    let isWritten = false;
    const idle = async () => {
      link.downMs = 299_000;
      await new Promise((resolve) => setImmediate(resolve)); // a drain that waits for nothing is over before
      isWritten = true;
    };
    const { options } = setUp({ partition: { link, settler: { idle, isIdle: false } }, drainTimeoutMs: 600_000 });
    await drain(options);
    expect(isWritten).toBe(true);
    link.downMs = 300_001;
    const stuck = setUp({
      partition: { link, settler: { idle: () => NEVER, isIdle: false } },
      drainTimeoutMs: 600_000,
    });
    await drain(stuck.options);
  });

  test('when one of two partitions is away, and the other one is written all the same', async () => {
    const away = { ...setUp().options.partitions[0]!, context: { link: { downMs: 1_001 } } };
    const services = { stopSuppliers: () => NEVER, stop: () => NEVER };
    const { options, calls } = setUp({ drainTimeoutMs: 600_000 });
    await drain({ ...options, partitions: [{ ...away, services }, ...options.partitions] });
    expect(calls.slice(-5)).toEqual(['rerouter idle', 'settler idle', 'stop shared', 'stop services', 'leave']);
  });

  test('and gives threads the grace, but never more than is left', async () => {
    const { options, graces } = setUp();
    await drain(options);
    await drain({ ...options, drainTimeoutMs: 0 });
    expect(graces).toEqual([100, 0]);
  });
});
