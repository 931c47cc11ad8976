/** The parser that the metrics are judged by must itself refuse what promtool refuses. */
import { expect, test } from 'vitest';
import { metricsRoutes } from '../../../src/observe/metrics.js';
import { TaskCounters } from '../../../src/observe/task-counters.js';
import { Exposition } from '../../support/exposition.js';

const HEAD = '# HELP a_total About it.\n# TYPE a_total counter\n';

test.each([
  ['no end of the last line', `${HEAD}a_total 1`],
  ['a sample without a family', 'b 1\n'],
  ['a sample of another family', `${HEAD}b 1\n`],
  ['no value', `${HEAD}a_total\n`],
  ['a value that is none', `${HEAD}a_total Nan\n`],
  ['a quote that is not escaped', `${HEAD}a_total{x="a"b"} 1\n`],
  ['a label twice', `${HEAD}a_total{x="a",x="b"} 1\n`],
  ['a sample twice', `${HEAD}a_total{x="a"} 1\na_total{x="a"} 2\n`],
  ['a counter below 0', `${HEAD}a_total -1\n`],
  ['a counter without _total', '# HELP a About it.\n# TYPE a counter\na 1\n'],
  ['a family twice', `${HEAD}a_total 1\n${HEAD}`],
  ['a gauge with quantiles', '# HELP g About it.\n# TYPE g gauge\ng{quantile="0.5"} 1\n'],
  ['a summary without a sum', '# HELP s About it.\n# TYPE s summary\ns{quantile="0.5"} 1\ns_count 1\n'],
  ['a histogram without +Inf', '# HELP h About it.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'],
])('%s is refused', (_, text) => {
  expect(() => new Exposition(text)).toThrow();
});

test('names with quotes, backslashes and line ends come through whole', async () => {
  const counters = new TaskCounters();
  const names = ['a"b', 'a\\b', 'a\nb', 'a\\nb', '{x="y"}', 'ü 💳', ' '];
  counters.addTasks(names);
  for (const name of names) counters.of(name).started += 1;
  const routes = metricsRoutes({
    docket: 'd',
    version: '1.2.3',
    worker: 'w"\n',
    counters,
    onThreads: () => new Map([['a"b', { begun: 2, running: 1 }]]),
    threads: () => 1,
    strikes: () => 0,
    pauses: () => 0,
    partitions: () => [],
    disruptions: () => ({}),
    loopDelay: () => ({ p50Ms: 0, p99Ms: 1, maxMs: 2, totalMs: 3, count: 4 }),
    gauges: async () => null,
  });
  const page = await routes.get('/metrics')!();
  expect([page.status, page.contentType]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  const exposition = new Exposition(page.body);
  expect(exposition.families.get('docket_coordinator_loop_delay_seconds')?.type).toBe('summary');
  expect(exposition.samples('docket_tasks_started_total').map(({ labels }) => labels.task)).toEqual(names);
  expect(exposition.value('docket_tasks_started_total', { task: 'a"b', worker: 'w"\n' })).toBe(3);
});
