import { expect, onTestFinished, test, vi } from 'vitest';
import { deferred, waitFor } from '../../support/wait.js';
import { fakeConnection, linkOf } from './links.js';

test('a link can be used while its connection is ready, and says when it is ready again', () => {
  const connection = fakeConnection();
  const link = linkOf(connection);
  let told = 0;
  link.onUsable(() => {
    told += 1;
  });
  expect(link.isUsable).toBe(true);
  connection.status = 'reconnecting';
  expect(link.isUsable).toBe(false);
  connection.status = 'ready';
  connection.emit('ready');
  expect([link.isUsable, told]).toEqual([true, 1]);
});

test('it is down from the moment its connection breaks until the connection is ready again', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const connection = fakeConnection();
  const link = linkOf(connection);
  expect(link.downMs).toBe(0);
  connection.emit('close');
  vi.advanceTimersByTime(300);
  connection.emit('close'); // an attempt to connect failed
  vi.advanceTimersByTime(200);
  expect(link.downMs).toBe(500);
  connection.emit('ready');
  expect(link.downMs).toBe(0);
});

test('it cannot be used from the refusal of a write until that write succeeds', async () => {
  const link = linkOf();
  const write = link.track();
  await expect(write.attempt(async () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  expect(link.isUsable).toBe(false);
  await link.track().attempt(async () => 'another write says nothing about this one');
  expect(link.isUsable).toBe(false);
  expect(await write.attempt(async () => 'taken')).toBe('taken');
  expect(link.isUsable).toBe(true);
});

test('a write that is given up no longer counts', async () => {
  const link = linkOf();
  const write = link.track();
  await write.attempt(async () => Promise.reject(new Error('refused'))).catch(() => {});
  write.end();
  expect(link.isUsable).toBe(true);
});

test('it cannot be used while a write has waited long for its answer, and says when the answer has come', async () => {
  const link = linkOf(fakeConnection(), 30); // a third of the lease is long
  const answer = deferred();
  const written = link.track().attempt(() => answer.promise);
  expect(link.isUsable).toBe(true);
  await waitFor(() => !link.isUsable);
  let isUsable: boolean | undefined;
  link.onUsable(() => {
    isUsable = link.isUsable;
  });
  answer.resolve();
  await written;
  expect(isUsable).toBe(true);
});
