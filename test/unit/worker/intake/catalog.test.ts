import { describe, expect, test } from 'vitest';
import { LimitArgumentError, UndecodableValueError } from '../../../../src/core/errors.js';
import { concurrencyLimit, cooldown, rateLimit } from '../../../../src/tasks/policies.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { Envelope, encodeEnvelope } from '../../../../src/wire/envelope.js';
import { Catalog } from '../../../../src/worker/intake/catalog.js';

function envelopeOf(task: string, args: object = {}): Envelope {
  return new Envelope(encodeEnvelope(encoderFor(args, 'args'), task, 0, null, args));
}

const PLAIN = { name: 'plain', policies: { timeoutMs: 5 } };
const CHARGE = { name: 'charge', policies: { limits: [concurrencyLimit('customer')] } };

describe('the policies of a task', () => {
  test('are its own', () => {
    const catalog = new Catalog({ tasks: [PLAIN, CHARGE], fallback: { timeoutMs: 9 } });
    expect(catalog.policiesOf('plain')).toEqual({ timeoutMs: 5 });
    expect(catalog.policiesOf('charge')).toEqual(CHARGE.policies);
  });

  test('are those of the fallback when the task is unknown', () => {
    const catalog = new Catalog({ tasks: [PLAIN], fallback: { timeoutMs: 9 } });
    expect(catalog.policiesOf('other')).toEqual({ timeoutMs: 9 });
  });

  test.each(['other', '', 'constructor', '__proto__'])('are none for %j when there is no fallback', (task) => {
    const catalog = new Catalog({ tasks: [PLAIN], fallback: null });
    expect(catalog.policiesOf(task)).toBeNull();
    expect(catalog.checksOf(envelopeOf(task))).toBeNull();
  });
});

describe('the checks of an execution', () => {
  test('are those of its task, by its arguments', () => {
    const catalog = new Catalog({ tasks: [PLAIN, CHARGE], fallback: null });
    const checks = catalog.checksOf(envelopeOf('charge', { customer: 'ada' }));
    expect(checks).toEqual([{ kind: 'permit', key: 'charge:customer:s=ada', max: 1 }]);
  });

  test('are none without limits, whatever the fallback has', () => {
    const fallback = { limits: [cooldown({ window: '1s' })] };
    const catalog = new Catalog({ tasks: [PLAIN, { name: 'free', policies: { limits: [] } }], fallback });
    expect(catalog.checksOf(envelopeOf('plain'))).toBeNull();
    expect(catalog.checksOf(envelopeOf('free'))).toBeNull();
  });

  test('are counted together for all tasks that the fallback runs for, and apart from those of any task', () => {
    const limits = [cooldown({ window: '1s' }), rateLimit('a', { max: 1, per: '1s' }), concurrencyLimit({ max: 2 })];
    const catalog = new Catalog({ tasks: [{ name: 'known', policies: { limits } }], fallback: { limits } });
    const keysOf = (task: string) => catalog.checksOf(envelopeOf(task, { a: 1 }))!.map(({ key }) => key);
    expect(keysOf('unknown')).toEqual(keysOf('unheard-of'));
    expect(keysOf('known').filter((key) => keysOf('unknown').includes(key))).toEqual([]);
  });

  test('have names that the server can tell apart from what stands around them', () => {
    const limits = [cooldown({ window: '1s' }), concurrencyLimit({ max: 2 }), concurrencyLimit('a')];
    const catalog = new Catalog({ tasks: [{ name: 'two words', policies: { limits } }], fallback: { limits } });
    for (const task of ['two words', 'unknown']) {
      for (const { key } of catalog.checksOf(envelopeOf(task, { a: 'b c' }))!) expect(key).toMatch(/^\S+$/);
    }
  });

  test('cannot be told without the argument that is counted, nor from what are no arguments', () => {
    const catalog = new Catalog({ tasks: [CHARGE], fallback: null });
    expect(() => catalog.checksOf(envelopeOf('charge', { client: 1 }))).toThrow(LimitArgumentError);
    const { bytes } = envelopeOf('charge', { customer: 'ada' });
    const cut = new Envelope(bytes.subarray(0, bytes.length - 1));
    expect(() => catalog.checksOf(cut)).toThrow(UndecodableValueError);
  });
});

test('its tasks are those of the manifest, with their policies', () => {
  expect(new Catalog({ tasks: [PLAIN, CHARGE], fallback: {} }).tasks).toEqual([PLAIN, CHARGE]);
});
