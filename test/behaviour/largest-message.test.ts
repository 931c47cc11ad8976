/** Messages as large as a docket allows, all the way through a worker: run, retried and kept, in bounded memory. */
import { readFileSync } from 'node:fs';
import { PayloadTooLargeError } from 'docket';
import { expect, test } from 'vitest';
import { collect } from '../support/collect.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { type Command, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';

const MIB = 1024 * 1024;
const MOST_BYTES = 16 * MIB;
/** Arguments of that size, encoded. */
const textOf = (bytes: number) => 'x'.repeat(bytes - 1_000);

/** The most memory that a process had, in bytes. */
function peakMemory({ process: { pid } }: Command): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

describeOnOwnRedis('a message of 16 MiB', (redis) => {
  test('is run, retried and kept as a failure in bounded memory, and a larger one is refused', async () => {
    const fleet = await openFleet(redis().url, { maxPayloadBytes: MOST_BYTES });
    const { docket, probe } = fleet;
    const worker = fleet.command(['--threads', '1']);
    await worker.ready();
    const before = peakMemory(worker);
    const heavy = await docket.add('atOnce', { probe, until: 9, text: textOf(MOST_BYTES) }, { key: 'heavy' });
    await expect(heavy.result()).rejects.toThrow('attempt 4 fails');
    const attempts = (await fleet.steps()).map((step) => step.split(' ')[1]);
    expect([...new Set(attempts)]).toEqual(['1', '2', '3', '4']);
    expect(peakMemory(worker) - before).toBeLessThan(400 * MIB);
    const [failure] = await collect(docket.failures());
    expect(failure).toMatchObject({ key: 'heavy', attempts: 4, errorLine: 'Error: attempt 4 fails' });
    expect((failure!.args() as { text: string }).text).toHaveLength(MOST_BYTES - 1_000);

    await expect(docket.add('noop', { text: 'x'.repeat(MOST_BYTES) })).rejects.toThrow(PayloadTooLargeError);
    await (await docket.add('noop')).result();
    const errors = worker.lines.filter(({ level }) => level === 'error').map(({ message }) => message);
    expect(errors).toEqual(['atOnce failed: Error: attempt 4 fails']);
  }, 120_000);
});

describeOnOwnRedis('a message that takes longer to send than a server may be silent', (redis) => {
  test('is added over a slow link, and its result comes back over a slow link of its worker', async () => {
    const proxy = await faultyProxy(redis().socket);
    const bytes = 32 * MIB;
    const { docket, worker } = await openFleet(proxy.url, { maxPayloadBytes: bytes });
    const { lines } = await worker();
    for (const role of ['producer', 'commands'] as const) proxy.narrow(role, 3_000_000);
    const added = await docket.add('noop', { text: textOf(bytes) });
    await added.result();
    const bulky = await docket.add('bulky', { bytes: bytes - 1_000 });
    expect(await bulky.result()).toHaveLength(bytes - 1_000);
    expect(lines.filter(({ message }) => /broke|trying again|lost/.test(message))).toEqual([]);
  }, 120_000);
});
