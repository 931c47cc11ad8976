import { expect, test } from 'vitest';
import { explainReply } from '../../../src/redis/reply-errors.js';

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
