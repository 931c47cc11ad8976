/** How threads learn the credentials that only functions of the coordinator know. */
import { MessageChannel } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { answerCredentials, receivedConnection, sentConnection } from '../../../src/channel/credentials.js';
import type { ServerConnectionOptions } from '../../../src/core/server-connection.js';

function passwordInThread(options: ServerConnectionOptions): Promise<string> {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  answerCredentials(port1, options);
  const received = receivedConnection(sentConnection(options), port2);
  port2.ref();
  return (received.password as () => Promise<string>)();
}

test('a thread gets what the function returns', async () => {
  expect(await passwordInThread({ password: async () => 'token' })).toBe('token');
});

test('a thread gets no text made of what is none', async () => {
  await expect(passwordInThread({ password: () => undefined as never })).rejects.toThrow('returned undefined');
  await expect(passwordInThread({ password: () => Promise.reject(new Error('no vault')) })).rejects.toThrow('no vault');
});
