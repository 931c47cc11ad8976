/** Messages that nobody should have written: they are put away with a reason, and the worker goes on. */

import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { type Fleet, openFleet, shareWorker } from '../support/fleet.js';
import { describeEachMode } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { encoderFor } = await importBuilt<typeof import('../../src/wire/codec.js')>('wire/codec.js');
const { encodeEnvelope } = await importBuilt<typeof import('../../src/wire/envelope.js')>('wire/envelope.js');

const packr = new Packr({ useRecords: false });
const message = (task: string, args: object = {}, ttlMs = 60_000) =>
  encodeEnvelope(encoderFor(args, 'args'), task, ttlMs, 'id', args);
/** A message whose arguments are these bytes. */
const withArguments = (task: string, args: Buffer) => Buffer.concat([message(task).subarray(0, -1), args]);

describeEachMode('a message', (url, threads) => {
  async function write(fleet: Fleet, fields: Record<string, string | Buffer>): Promise<string> {
    return String(await fleet.redis.callBuffer('XADD', [fleet.key('work'), '*', ...Object.entries(fields).flat()]));
  }

  async function quarantined(fleet: Fleet): Promise<Record<string, string>[]> {
    const entries = await fleet.redis.xrange(fleet.key('failures'), '-', '+');
    return entries.map(([, fields]) =>
      Object.fromEntries(Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]])),
    );
  }

  async function expectGoesOn(fleet: Fleet): Promise<void> {
    expect(await (await fleet.docket.add('echo', { value: 'still here' })).result()).toBe('still here');
    await waitFor(async () => (await fleet.pending()) === 0);
    expect(await fleet.redis.xlen(fleet.key('work'))).toBe(0);
  }

  const shared = shareWorker(url, { threads });
  const whole = message('noop', { text: 'hello' });
  test.each<[string, Record<string, string | Buffer>, RegExp]>([
    ['that is garbage', { m: Buffer.from('not a message at all') }, /not a docket message/],
    ['that is random bytes', { m: Buffer.from('97c3ff01a50b7e', 'hex') }, /./],
    ['that is empty', { m: '' }, /truncated/],
    ['that is missing', { x: 'y' }, /truncated/],
    ['that is cut off in its header', { m: whole.subarray(0, 5) }, /truncated/],
    ['with too few fields', { m: packr.pack([1, 'noop', 60_000, 1, 'id', null]) }, /6 fields/],
    ['that is a record instead of a list', { m: packr.pack({ task: 'noop' }) }, /not a docket message/],
    ['whose task is no text', { m: packr.pack([1, 42, 60_000, 1, 'id', null, {}]) }, /expected text/],
    [
      'whose attempt is no number',
      { m: packr.pack([1, 'noop', 60_000, 'first', 'id', null, {}]) },
      /expected a number/,
    ],
  ])('%s is kept as a failure with the reason', async (_, fields, reason) => {
    const { fleet, running } = shared();
    const before = (await quarantined(fleet)).length;
    await write(fleet, fields);
    const [entry] = (await waitFor(async () => {
      const entries = (await quarantined(fleet)).slice(before);
      return entries.length > 0 && entries;
    })) as Record<string, string>[];
    expect(entry!.line).toMatch(reason);
    expect(running.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    await expectGoesOn(fleet);
  });

  test('that cannot be read fails the execution it stands for', async () => {
    const fleet = await openFleet(url());
    const execution = await fleet.docket.add('noop', {}, { key: 'k' });
    const [[id]] = (await fleet.redis.xrange(fleet.key('work'), '-', '+')) as [[string, string[]]];
    await fleet.redis.xdel(fleet.key('work'), id);
    const broken = await write(fleet, { k: 'k', m: 'garbage' });
    await fleet.redis.hset(fleet.key('run:k'), 'e', `w${broken}`);
    await fleet.worker({ threads });
    await expect(execution.result()).rejects.toThrow('not a docket message');
    await expectGoesOn(fleet);
  });

  test('that cannot be read does not touch an execution that it does not stand for', async () => {
    const fleet = await openFleet(url());
    const execution = await fleet.docket.add('echo', { value: 7 }, { key: 'k', when: '1h' });
    const { lines } = await fleet.worker({ threads });
    await write(fleet, { k: 'k', m: 'garbage' });
    await waitFor(() => lines.some(({ level }) => level === 'error'));
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('failures'))) === 1);
    await execution.sync();
    expect([execution.state, execution.error]).toEqual(['scheduled', null]);
    fleet.leavesWork();
  });

  test('of a newer version is rerouted as it is, uncharged', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ threads });
    const newer = packr.pack([3, 'echo', 60_000, 1, 'from-the-future', { new: 'header' }, 'a', 'b', 'c']);
    await write(fleet, { m: newer });
    await waitFor(async () => (await fleet.redis.zcard(fleet.key('schedule'))) === 1);
    expect(await fleet.redis.zrange(fleet.key('schedule'), '0', '-1')).toEqual(['lfrom-the-future']);
    const kept = await fleet.redis.hgetBuffer(fleet.key('parked:from-the-future'), 'm');
    expect(kept?.equals(newer)).toBe(true);
    expect(await fleet.redis.xlen(fleet.key('failures'))).toBe(0);
    expect(lines.some(({ level, message: line }) => level === 'warn' && line.includes('is rerouted'))).toBe(true);
    await expectGoesOn(fleet);
    fleet.leavesWork();
  });

  test.each([
    ['are cut off', withArguments('echo', Buffer.from([0x81, 0xa5, 0x76]))],
    ['are an unknown kind of value', withArguments('echo', Buffer.from([0xc1]))],
    ['claim to be larger than the message', withArguments('echo', Buffer.from('dfffffffff', 'hex'))],
    ['are 10,000 levels deep', withArguments('echo', Buffer.alloc(10_000, 0x91))],
  ])('whose arguments %s fails its execution, and its thread lives', async (_, m) => {
    const { fleet, running } = shared();
    const { lines } = running;
    await write(fleet, { m });
    const line = await waitFor(() => lines.find(({ message: text }) => text.startsWith('echo failed')));
    expect(line!.message).toContain('UndecodableValueError');
    expect(lines.some(({ message: text }) => text.includes('thread died'))).toBe(false);
    await waitFor(async () => (await fleet.pending()) === 0);
  });

  test('with a key __proto__ in its arguments changes no prototype', async () => {
    const fleet = await openFleet(url());
    const hostile = Buffer.concat([
      Buffer.from('82a5', 'hex'),
      Buffer.from('value'),
      Buffer.from('81a9', 'hex'),
      Buffer.from('__proto__'),
      Buffer.from('81a8', 'hex'),
      Buffer.from('polluted'),
      Buffer.from('c3a9', 'hex'),
      Buffer.from('__proto__'),
      Buffer.from('81a8', 'hex'),
      Buffer.from('polluted'),
      Buffer.from('c3', 'hex'),
    ]);
    const id = await write(fleet, { k: 'h', m: withArguments('pollution', hostile) });
    await fleet.redis.hset(fleet.key('run:h'), 's', 'queued', 'g', '1', 'e', `w${id}`, 't', 'pollution');
    await fleet.worker({ threads });
    const execution = (await waitFor(() => fleet.docket.getExecution('h')))!;
    expect(await execution.result()).toEqual({ inherited: false, polluted: false });
    fleet.leavesWork();
  });
});
