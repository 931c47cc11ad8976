import { Command, type Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { commandBytes, writeScriptsFast } from '../../../src/redis/command-bytes.js';

const texts = [0, 1, 9, 10, 63, 64, 65, 99, 100, 1_000, 70_000].flatMap((length) => [
  'x'.repeat(length),
  'ü'.repeat(length),
  `${'x'.repeat(length)}€`,
  '👋'.repeat(length),
]);

test('a command is written byte by byte as ioredis writes it', () => {
  const buffers = texts.map((text) => Buffer.from(text));
  for (const args of [[], ['a'], texts, buffers, [...texts, ...buffers], new Array(1_000).fill('key')]) {
    const written = new Command('EVALSHA', [...args]).toWritable(null as never);
    expect(commandBytes('EVALSHA', args).equals(Buffer.from(written))).toBe(true);
  }
});

test('text that is not well-formed is written as ioredis writes it', () => {
  const args = ['\ud800', `${'x'.repeat(100)}\udc00`, 'a\ud800b'];
  const written = new Command('EVALSHA', args).toWritable(null as never);
  expect(commandBytes('EVALSHA', args).equals(Buffer.from(written))).toBe(true);
});

test('scripts that are called with bytes are written so, and other commands as ioredis writes them', () => {
  const sent: Command[] = [];
  const redis = { sendCommand: (command: Command) => void sent.push(command) };
  writeScriptsFast(redis as unknown as Redis);
  const commands = [
    new Command('EVALSHA', ['sha', 1, 'key', Buffer.from([0, 255])]),
    new Command('EVALSHA', ['sha', 1, 'key', 'ü']),
    new Command('SET', ['key', Buffer.from([0, 255])]),
  ];
  for (const command of commands) redis.sendCommand(command);
  expect(sent).toEqual(commands);
  expect(sent.map(({ toWritable }) => toWritable !== Command.prototype.toWritable)).toEqual([true, false, false]);
  const [script] = sent as [Command];
  const written = Buffer.from(Command.prototype.toWritable.call(script, null as never));
  expect(Buffer.from(script.toWritable(null as never)).equals(written)).toBe(true);
});
