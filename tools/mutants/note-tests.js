// In a test process: notes which test ran from when to when, and how it ended, a line of JSON each. A server that is started
// here writes its log beside them (redis-server).
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';

const folder = process.env.MUTANTS_NOTES;
process.env.MUTANTS_PROCESS = String(process.pid);

const note = (event) => {
  appendFileSync(join(folder, `tests-${process.pid}.jsonl`), `${JSON.stringify({ at: Date.now(), ...event })}\n`);
};

const fullName = (task) => (task.suite?.name ? `${fullName(task.suite)} ${task.name}` : task.name);

beforeAll(() => note({ file: expect.getState().testPath }));
beforeEach(({ task }) => note({ test: fullName(task), file: task.file.filepath }));
afterEach(({ task }) =>
  note({
    ended: fullName(task),
    file: task.file.filepath,
    state: task.result?.state,
    error: task.result?.errors?.[0]?.message?.slice(0, 300),
  }),
);
afterAll(() => note({ over: true }));
