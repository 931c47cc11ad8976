// Holds the last report of `npm run test:coverage` (all tests, not a part of them) against a floor for each room.
import { existsSync, readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Percent that must be covered. Raise a floor when coverage has risen; do not lower one to let a change pass. */
const FLOORS = {
  'src/redis': { lines: 90, branches: 80, functions: 90 },
  'src/worker': { lines: 90, branches: 80, functions: 90 },
};

const root = fileURLToPath(new URL('..', import.meta.url));
const report = `${root}/coverage/coverage-summary.json`;
if (!existsSync(report)) {
  console.error('there is no report of coverage: run npm run test:coverage');
  process.exit(2);
}
const files = Object.entries(JSON.parse(readFileSync(report, 'utf8'))).map(([file, counts]) => ({
  path: relative(root, file).split(sep).join('/'),
  counts,
}));

for (const [room, floors] of Object.entries(FLOORS)) {
  const inside = files.filter(({ path }) => path.startsWith(`${room}/`));
  for (const [measure, floor] of Object.entries(floors)) {
    const total = inside.reduce((sum, { counts }) => sum + counts[measure].total, 0);
    const covered = inside.reduce((sum, { counts }) => sum + counts[measure].covered, 0);
    const percent = total === 0 ? 0 : (100 * covered) / total;
    const line = `${room}: ${percent.toFixed(1)} % of ${measure} covered, the floor is ${floor} %`;
    if (percent >= floor) console.log(line);
    else {
      console.error(`${line}: too little`);
      process.exitCode = 1;
    }
  }
}
