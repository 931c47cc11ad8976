/** A worker that is closed while it starts: whatever it waits for at that moment, nothing of it is left. */
import { expect, test } from 'vitest';
import { runModule } from '../support/child.js';
import { describeOnRedis } from '../support/suites.js';

/** About as many commands as a worker without work sends until it is ready. */
const MOST_COMMANDS = 24;

/** Closes one worker after the other, each as it has sent one command more than the one before, and says what was logged. */
const CLOSES_EARLY = `
  import { Redis } from 'ioredis';
  import { Docket, task } from 'docket';
  import { Worker } from 'docket/worker';

  let left = 0;
  let onSent = () => {};
  const send = Redis.prototype.sendCommand;
  Redis.prototype.sendCommand = function (...args) {
    const reply = send.apply(this, args);
    left -= 1;
    if (left === 0) onSent();
    return reply;
  };
  const say = (fields, message) => console.log(message, fields.error);
  const logger = { debug() {}, info() {}, warn: say, error: say };
  const tasks = { work: task('work', () => 1) };
  for (let count = 1; count <= ${MOST_COMMANDS}; count++) {
    const docket = new Docket({ tasks });
    const worker = new Worker(docket, { tasks, threads: 0, logger });
    left = count;
    const sent = new Promise((resolve) => { onSent = resolve; });
    const running = worker.runForever();
    await sent;
    await worker.close();
    await running;
    await docket.close();
  }
  console.log('closed');
`;

describeOnRedis('a worker that is closed while it starts', (url) => {
  test('goes on with nothing, whatever it waits for, and lets the process end', { timeout: 60_000 }, async () => {
    const ended = await runModule(CLOSES_EARLY, { DOCKET_URL: url(), DOCKET_NAME: `early-${process.pid}` });
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'closed\n', stderr: '' });
  });
});
