import { describe, expect, test } from 'vitest';
import { LimitArgumentError } from '../../../../src/core/errors.js';
import type { Entry } from '../../../../src/redis/entry.js';
import { concurrencyLimit } from '../../../../src/tasks/policies.js';
import { WIRE_VERSION } from '../../../../src/wire/envelope.js';
import { AttemptBudget } from '../../../../src/worker/intake/attempt-budget.js';
import { Catalog } from '../../../../src/worker/intake/catalog.js';
import { type Classified, type Criteria, classify } from '../../../../src/worker/intake/classify.js';
import { entryOf, messageOf, NO_PIPELINE } from '../deliveries.js';

const CATALOG = new Catalog({
  tasks: [
    { name: 'resize', policies: {} },
    { name: 'charge', policies: { limits: [concurrencyLimit('customer')] } },
  ],
  fallback: null,
});

function classified(rest: Partial<Entry> = {}, criteria: Partial<Criteria> = {}): Classified {
  const nothingStruck = { reasonStruck: () => null };
  const attemptBudget = new AttemptBudget();
  const guards = { pauseGuard: { isPaused: () => false }, strikeGuard: nothingStruck };
  return classify(entryOf(rest), { catalog: CATALOG, ...guards, attemptBudget, ...PLACED, ...criteria });
}

/** Everything is in its partition. */
const PLACED = { pipeline: NO_PIPELINE, misplacedFor: () => null };

const charge = (args: object) => messageOf({ task: 'charge', args });
const paused = { isPaused: (task: string) => task === 'resize' || task === 'unheard-of' };
const struck = { reasonStruck: () => "struck: task 'charge'" };
const spent = new AttemptBudget([['k', 0]]);

describe('an entry is', () => {
  test('lean without a record and without limits', () => {
    const found = classified({ record: null });
    expect(found.kind).toBe('lean');
    expect(found).toMatchObject({ delivery: { token: 'w17-3', policies: {} } });
  });

  test('recorded with a record and without limits', () => {
    expect(classified().kind).toBe('recorded');
  });

  test.each(['k', null])('limited when its task has limits, which then must be passed (record %j)', (record) => {
    expect(classified({ record, message: charge({ customer: 'ada' }) })).toMatchObject({
      kind: 'limited',
      checks: [{ kind: 'permit', key: 'charge:customer:s=ada', max: 1 }],
    });
  });

  test('over budget when this worker has run its key as often as it may', () => {
    expect(classified({}, { attemptBudget: spent }).kind).toBe('over-budget');
    expect(classified({ record: 'other' }, { attemptBudget: spent }).kind).toBe('recorded');
  });

  test.each([{}, { customer: { id: 1 } }])('uncountable by a limit with the arguments %j', (args) => {
    const found = classified({ message: charge(args) });
    expect(found).toMatchObject({ kind: 'uncountable', error: expect.any(LimitArgumentError) });
  });

  test('paused when its task is, whatever else would become of it', () => {
    const criteria = { pauseGuard: paused, strikeGuard: struck, attemptBudget: spent };
    expect(classified({}, criteria).kind).toBe('paused');
    expect(classified({ message: messageOf({ task: 'unheard-of' }) }, criteria).kind).toBe('paused');
    expect(classified({ message: charge({}) }, criteria).kind).toBe('struck');
  });

  test('struck, by the strike that is named', () => {
    expect(classified({}, { strikeGuard: struck })).toMatchObject({ kind: 'struck', reason: "struck: task 'charge'" });
  });

  test('unroutable when its task is unknown, or its message of a newer version', () => {
    expect(classified({ message: messageOf({ task: 'crop' }) }).kind).toBe('unroutable');
    const message = messageOf();
    message[1] = WIRE_VERSION + 1;
    expect(classified({ message }).kind).toBe('unroutable');
  });

  test.each([
    ['no message', null],
    ['no docket message', Buffer.from('nonsense')],
    ['arguments that a limit cannot read', charge({ customer: 'ada' }).subarray(0, -1)],
  ])('unreadable with %s', (_, message) => {
    expect(classified({ message })).toEqual({ kind: 'unreadable', reason: expect.stringMatching(/./) });
  });
});

describe('what comes first decides', () => {
  const newer = messageOf({ task: 'charge' });
  newer[1] = WIRE_VERSION + 1;

  test.each([
    ['what nobody here can run is not looked up among the strikes', { message: newer }, 'unroutable'],
    ['a strike is found before a limit counts', { message: charge({}) }, 'struck'],
  ] as const)('%s', (_, rest, kind) => {
    expect(classified(rest, { strikeGuard: struck, attemptBudget: spent }).kind).toBe(kind);
  });

  test('what its limits cannot count is not left to other workers', () => {
    expect(classified({ message: charge({}) }, { attemptBudget: spent }).kind).toBe('uncountable');
  });

  test('what this worker may run no more is not admitted', () => {
    const message = charge({ customer: 'ada' });
    expect(classified({ message }, { attemptBudget: spent }).kind).toBe('over-budget');
  });
});

test('to classify counts nothing', () => {
  const attemptBudget = new AttemptBudget([['k', 1]]);
  for (let times = 0; times < 3; times++) expect(classified({}, { attemptBudget }).kind).toBe('recorded');
  expect(attemptBudget.spentKeys).toEqual([]);
});
