// Runs random sequences against the model: `--minutes N` of them, or the one that `--seed S --path P` names, as a
// failure prints them.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' }, path: { type: 'string' } },
});
const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31));
const settings = {
  MODEL_SEED: seed,
  ...(values.path ? { MODEL_PATH: values.path } : { MODEL_MINUTES: values.minutes }),
};
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const test = spawn(process.execPath, [vitest, 'run', 'test/model'], {
  stdio: 'inherit',
  env: { ...process.env, ...settings },
});
test.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
