import { expect, test } from 'vitest';
import { explainReply, movedTo, refusalOf } from '../../../src/redis/reply-errors.js';

const SHA = 'aa359c347814a96a9e71963e21c9c5cdf3162876';

test.each([
  ["OOM command not allowed when used memory > 'maxmemory'.", "the server's memory is full: raise its maxmemory"],
  ['NOREPLICAS Not enough good replicas to write.', 'the server has too few good replicas to take writes: mend them'],
  ["READONLY You can't write against a read only replica.", 'the server is a replica, which takes no writes: give'],
  ['MISCONF Errors writing to the AOF file: No space left on device', 'the server cannot save its data, so it'],
  ["NOPERM this user has no permissions to run the 'time' command", 'the user lacks a right: run docket doctor'],
])('the meaning of %s comes before the words of the server', (words, meaning) => {
  const text = explainReply(new Error(`${words} script: ${SHA}, on @user_script:225.`));
  expect(text.startsWith(meaning)).toBe(true);
  expect(text.endsWith(`(${words})`)).toBe(true);
});

test('any other error is told in the words of the server, without the place in a script', () => {
  expect(explainReply(new Error(`WRONGTYPE Operation against a key script: ${SHA}, on @user_script:1.`))).toBe(
    'WRONGTYPE Operation against a key',
  );
  expect(explainReply(new Error('Connection is closed.'))).toBe('Connection is closed.');
});

test.each<[string, ReturnType<typeof refusalOf>]>([
  ['MOVED 3999 127.0.0.1:6381', 'elsewhere'],
  ["READONLY You can't write against a read only replica.", 'elsewhere'],
  [`READONLY You can't write against a read only replica. script: ${SHA}, on @user_script:3.`, 'elsewhere'],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'elsewhere'],
  ['UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)', 'elsewhere'],
  ['ASK 3999 127.0.0.1:6381', 'later'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'later'],
  ['CLUSTERDOWN Hash slot not served', 'later'],
  ['LOADING Redis is loading the dataset in memory', 'later'],
  ['UNBLOCKED the stream key no longer exists', null],
  ["NOGROUP No such key '{d}:work' or consumer group 'workers'", null],
  ['ERR a value that says MOVED', null],
  ['Connection is closed.', null],
])('%s: %s', (text, refusal) => {
  expect(refusalOf(new Error(text))).toBe(refusal);
});

test('a node that has moved a slot names the one that has it', () => {
  expect(movedTo(new Error('MOVED 3999 127.0.0.1:6381'))).toEqual({ host: '127.0.0.1', port: 6381 });
  expect(movedTo(new Error('MOVED 3999 2001:db8::1:6381'))).toEqual({ host: '2001:db8::1', port: 6381 });
  expect(movedTo(new Error('MOVED 3999 :6381'))).toEqual({ host: '', port: 6381 });
  expect(movedTo(new Error('MOVED 3999 ?:6381'))).toEqual({ host: '', port: 6381 });
  expect(movedTo(new Error("READONLY You can't write"))).toBeNull();
});
