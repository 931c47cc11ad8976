import { expect, test } from 'vitest';
import { Service } from '../../../src/core/service.js';
import { Services } from '../../../src/worker/services.js';
import { deferred } from '../../support/wait.js';

function setUp() {
  const calls: string[] = [];
  class Recorded extends Service {
    readonly becomesReady = deferred();
    readonly ready = this.becomesReady.promise;
    readonly #name: string;

    constructor(name: string) {
      super();
      this.#name = name;
    }

    override start(): void {
      calls.push(`start ${this.#name}`);
    }

    override async stop(): Promise<void> {
      calls.push(`stop ${this.#name}`);
    }

    protected async run(): Promise<void> {}
  }
  const guards = [new Recorded('guard 1'), new Recorded('guard 2')] as const;
  const services = new Services({
    guards,
    keepers: [new Recorded('keeper 1'), new Recorded('keeper 2')],
    suppliers: [new Recorded('supplier 1'), new Recorded('supplier 2')],
    heartbeat: new Recorded('heartbeat'),
  });
  return { services, guards, calls };
}

test('the guards start first, and are waited for', async () => {
  const { services, guards, calls } = setUp();
  let areReady = false;
  const ready = services.startGuards().then(() => {
    areReady = true;
  });
  expect(calls).toEqual(['start guard 1', 'start guard 2']);
  guards[1].becomesReady.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(areReady).toBe(false);
  guards[0].becomesReady.resolve();
  await ready;
});

test('nothing brings in work before the keepers run, nor is it announced before that', () => {
  const { services, calls } = setUp();
  services.start();
  const keepers = ['start keeper 1', 'start keeper 2'];
  expect(calls).toEqual([...keepers, 'start supplier 1', 'start supplier 2', 'start heartbeat']);
});

test('the suppliers stop alone, and everything else when it is not needed any more', async () => {
  const { services, calls } = setUp();
  await services.stopSuppliers();
  expect(calls.splice(0)).toEqual(['stop supplier 1', 'stop supplier 2']);
  await services.stop();
  expect(calls.sort()).toEqual(['stop guard 1', 'stop guard 2', 'stop heartbeat', 'stop keeper 1', 'stop keeper 2']);
});

test('whatever stops is waited for', async () => {
  const stopping = deferred();
  class Slow extends Service {
    override async stop(): Promise<void> {
      await stopping.promise;
    }

    protected async run(): Promise<void> {}
  }
  const services = new Services({ guards: [], keepers: [new Slow()], suppliers: [new Slow()], heartbeat: new Slow() });
  for (const stop of [services.stopSuppliers(), services.stop()]) {
    const early = await Promise.race([stop.then(() => false), Promise.resolve(true)]);
    expect(early).toBe(true);
  }
  stopping.resolve();
  await services.stop();
});

test.each([
  ['the suppliers', (services: Services) => services.stopSuppliers()],
  ['the others', (services: Services) => services.stop()],
])('nothing starts once %s are being stopped: nobody would stop it', async (_, stop) => {
  const { services, calls } = setUp();
  const stopping = stop(services);
  calls.splice(0);
  await services.startGuards();
  services.start();
  await stopping;
  expect(calls).toEqual([]);
});
