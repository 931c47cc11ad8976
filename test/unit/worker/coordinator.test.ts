/** The coordinator with its real parts, on a server inside this process. */
import { randomUUID } from 'node:crypto';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { Docket } from '../../../src/client/docket.js';
import { internalsOf } from '../../../src/client/internals.js';
import { Service } from '../../../src/core/service.js';
import { TaskCounters } from '../../../src/observe/task-counters.js';
import { keysOf } from '../../../src/redis/keys.js';
import { ConnectionPool } from '../../../src/worker/connection-pool.js';
import { Coordinator } from '../../../src/worker/coordinator.js';
import { AttemptBudget } from '../../../src/worker/intake/attempt-budget.js';
import { resolveWorkerOptions } from '../../../src/worker/options.js';
import { openConnection } from '../../support/built.js';
import { recordingLogger } from '../../support/logger.js';
import { deferred } from '../../support/wait.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const GUARDS = ['StrikeGuard', 'PauseGuard', 'CancelListener'];
const KEEPERS = ['DeadlineEnforcer', 'ProgressWriter', 'PartitionLog', 'SummaryLogger', 'HistoryWriter', 'Leases'];
const SUPPLIERS = ['Intake', 'Reclaimer', 'Scheduler', 'Seeder'];

/** Names the services in the order in which they start and stop. */
function watchServices() {
  const started: string[] = [];
  const stopped: string[] = [];
  const { start, stop } = Service.prototype;
  vi.spyOn(Service.prototype, 'start').mockImplementation(function (this: Service) {
    started.push(this.constructor.name);
    start.call(this);
  });
  vi.spyOn(Service.prototype, 'stop').mockImplementation(function (this: Service) {
    stopped.push(this.constructor.name);
    return stop.call(this);
  });
  return { started, stopped };
}

async function open() {
  const url = `memory://coordinator-${randomUUID()}`;
  const docket = new Docket({ name: 'order', url });
  onTestFinished(() => docket.close());
  const [commands, blocking, subscriber] = await Promise.all([
    openConnection(url, 'commands'),
    openConnection(url, 'blocking'),
    openConnection(url, 'subscriber'),
  ]);
  const connections = { commands, blocking, subscriber };
  const settings = resolveWorkerOptions({ threads: 0, tasks: {}, minimumCheckInterval: '50ms' });
  const pool = new ConnectionPool(connections, {
    docket: internalsOf(docket).settings,
    settings,
    watch: { logFailure: () => {}, watch: () => {} },
  });
  onTestFinished(() => pool.close());
  const coordinator = new Coordinator({
    docket: internalsOf(docket).settings,
    settings,
    connections: pool,
    logger: recordingLogger().logger,
    attemptBudget: new AttemptBudget(),
    counters: new TaskCounters(),
    onBroken: () => {},
  });
  return { coordinator, connections, signal: new AbortController().signal };
}

test('services start in their order, and stop in theirs', async () => {
  const { coordinator, signal } = await open();
  const { started, stopped } = watchServices();
  await coordinator.start(signal);
  expect(started).toEqual([...GUARDS, ...KEEPERS, ...SUPPLIERS, 'Heartbeat']);
  await coordinator.drain();
  expect(stopped.slice(0, SUPPLIERS.length)).toEqual(SUPPLIERS);
  expect(stopped.slice(SUPPLIERS.length).sort()).toEqual([...GUARDS, ...KEEPERS, 'Heartbeat'].sort());
});

test.each(['cancel', 'strikes', 'paused'] as const)(
  'nothing else starts while %s cannot be heard of',
  async (channel) => {
    const { coordinator, connections, signal } = await open();
    const { started } = watchServices();
    const { subscriber } = connections;
    const subscribe = subscriber.subscribe.bind(subscriber);
    const isAsked = deferred();
    const mayBeHeard = deferred();
    vi.spyOn(subscriber, 'subscribe').mockImplementation(async (...channels: unknown[]) => {
      if (channels[0] === keysOf('order')[channel]) {
        isAsked.resolve();
        await mayBeHeard.promise;
      }
      return await subscribe(...(channels as [string]));
    });
    const starting = coordinator.start(signal);
    await isAsked.promise;
    await new Promise((resolve) => setTimeout(resolve, 50)); // time for the threads to start
    expect(started).toEqual(GUARDS);
    mayBeHeard.resolve();
    await starting;
    expect(started).toContain('Intake');
    await coordinator.drain();
  },
);

test('a worker says why it takes no work, from its start to its end', async () => {
  const { coordinator, signal } = await open();
  expect(coordinator.notReadyBecause()).toBe('the worker is starting');
  await coordinator.start(signal);
  expect(coordinator.notReadyBecause()).toBeNull();
  const drained = coordinator.drain();
  expect(coordinator.notReadyBecause()).toBe('the worker is draining');
  await drained;
});
