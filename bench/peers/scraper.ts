/** Reads a page at an interval, as Prometheus does. */
import { setTimeout as sleep } from 'node:timers/promises';

const [page, everyMs] = process.argv.slice(2) as [string, string];
process.once('disconnect', () => process.exit());
for (;;) {
  await fetch(page)
    .then((response) => response.text())
    .catch(() => '');
  await sleep(Number(everyMs));
}
