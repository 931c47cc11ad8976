/**
 * The worker's metrics for Prometheus. Loaded only when there is a port for them. Nothing is stored here: each scrape reads
 * the counters, so counting costs one increment whether anything scrapes or not.
 */
import { type Metric, Registry } from 'prom-client';
import { BOUNDS_MS, type Histogram } from './histogram.js';
import type { Routes } from './http.js';
import { processMetrics } from './process-metrics.js';
import { COUNTS, type Count, type TaskCounters } from './task-counters.js';

/** The values of a worker that a scrape reads. */
export interface MetricsSource {
  readonly docket: string;
  /** Version of this package. */
  readonly version: string;
  readonly worker: string;
  readonly counters: TaskCounters;
  /** Returns, by label, how many attempts have begun and are still on their threads, and how many of them run. */
  onThreads(): ReadonlyMap<string, { readonly begun: number; readonly running: number }>;
  threads(): number;
  strikes(): number;
  pauses(): number;
  /** Returns the partitions that the worker reads, each with the reason why it takes no work of it, if there is one. */
  partitions(): readonly { readonly partition: string; readonly reason: string | null }[];
  /** Returns how many links to Redis broke, by the role of the connection. */
  disruptions(): Readonly<Record<string, number>>;
  /** Returns the delays of the coordinator's event loop: the quantiles since the last call. */
  loopDelay(): LoopDelay;
  /** Measures the whole docket; `null` when the server does not answer soon enough. */
  gauges(): Promise<DocketGauges | null>;
}

/** What a scrape tells of the whole docket. */
export interface DocketGauges {
  /** Executions that are due and that no worker has taken. */
  readonly queued: number;
  readonly scheduled: number;
  /** Executions that wait for a permit. */
  readonly waiting: number;
  /** Live workers. */
  readonly workers: number;
  /** For how long the next queued execution has been due, in milliseconds; 0 when there is none. */
  readonly oldestQueuedMs: number;
  /** Executions that wait because their task is paused. */
  readonly paused: number;
  /** Failures that are kept. */
  readonly failures: number;
}

export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Since the worker began, for the summary. */
  readonly totalMs: number;
  readonly count: number;
}

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels?: Labels;
  /** Further labels, always the same object: prom-client formats it once, which makes a scrape three times as fast. */
  readonly sharedLabels: Labels;
  readonly value: number;
  /** Differs from the name of the metric for the parts of a histogram or summary. */
  readonly metricName?: string;
}

type Samples = Iterable<Sample> | Promise<Iterable<Sample>>;

const HELP: Readonly<Record<Count, string>> = {
  added: 'Executions added by tasks of this worker, or through its docket object.',
  replaced: 'Executions placed with replace by tasks of this worker, or through its docket object.',
  scheduled: 'Executions among the added and replaced that were due later.',
  cancelled: 'Executions that ended here as cancelled: by cancel, or because a limit dropped them.',
  stricken: 'Executions that a strike kept from running here, or from being added by tasks of this worker.',
  superseded: 'Outcomes that were discarded because the key or the lease had passed to another execution or worker.',
  started: 'Attempts that began.',
  completed: 'Attempts that ended by themselves, whatever their outcome.',
  succeeded: 'Attempts that succeeded.',
  failed: 'Executions that failed for good.',
  retried: 'Attempts that failed and were followed by another.',
  perpetuated: 'Next runs of perpetual tasks that were placed.',
  redelivered: 'Deliveries of executions whose earlier worker or thread was lost.',
  poisoned: 'Executions that failed because they ended their threads or processes too often; failed counts them too.',
};

/** Returns the pages of the metrics port. */
export function metricsRoutes(source: MetricsSource): Routes {
  const registry = registryOf(source);
  const page = async () => {
    const [own, others] = await Promise.all([registry.metrics(), processMetrics.metrics()]);
    return { status: 200, contentType: registry.contentType, body: `${own}\n${others}` };
  };
  return new Map([['/metrics', page]]);
}

function registryOf(source: MetricsSource): Registry {
  const { docket, worker, counters } = source;
  const registry = new Registry();
  const common = { docket, worker };
  const labelsOfTasks = new Map<string, Labels>();
  const ofTask = (task: string): Labels => {
    const labels = labelsOfTasks.get(task) ?? { ...common, task };
    labelsOfTasks.set(task, labels);
    return labels;
  };
  // prom-client normally keeps the counts itself. Here they are kept elsewhere, and it only writes them out.
  const register = (name: string, type: string, help: string, samples: () => Samples) => {
    const get = async () => ({ name, type, help, aggregator: 'sum', values: [...(await samples())] });
    registry.registerMetric({ name, get } as unknown as Metric);
  };
  const gauge = (name: string, help: string, value: () => number) =>
    register(name, 'gauge', help, () => [{ sharedLabels: common, value: value() }]);

  for (const count of COUNTS) {
    register(`docket_tasks_${count}_total`, 'counter', HELP[count], () => {
      const begun = count === 'started' ? source.onThreads() : null;
      return Array.from(counters.tasks(), ([task, counts]) => ({
        sharedLabels: ofTask(task),
        value: counts[count] + (begun?.get(task)?.begun ?? 0),
      }));
    });
  }
  register('docket_tasks_running', 'gauge', 'Attempts that are running now.', () => {
    const onThreads = source.onThreads();
    return Array.from(counters.tasks(), ([task]) => ({
      sharedLabels: ofTask(task),
      value: onThreads.get(task)?.running ?? 0,
    }));
  });
  const histogram = (name: string, help: string, part: 'duration' | 'punctuality') =>
    register(name, 'histogram', help, () =>
      [...counters.tasks()]
        .filter(([, counts]) => counts.started > 0) // the others would be many lines of zeros
        .flatMap(([task, counts]) => [...bucketsOf(name, ofTask(task), counts[part])]),
    );
  histogram('docket_task_duration_seconds', 'How long attempts took.', 'duration');
  histogram('docket_task_punctuality_seconds', 'How long after their due time attempts began.', 'punctuality');

  let asking: ReturnType<MetricsSource['gauges']> | undefined;
  const docketGauge = (name: string, help: string, value: (gauges: DocketGauges) => number) =>
    register(name, 'gauge', help, async () => {
      asking ??= source.gauges().finally(() => {
        asking = undefined; // the gauges of a scrape share one answer
      });
      const gauges = await asking;
      return gauges ? [{ sharedLabels: common, value: value(gauges) }] : [];
    });
  const queued = 'Executions in the whole docket that are due and that no worker has taken.';
  docketGauge('docket_queue_depth', queued, (gauges) => gauges.queued);
  const oldest = 'For how long the next queued execution of the docket has been due; 0 when there is none.';
  docketGauge('docket_queue_oldest_age_seconds', oldest, (gauges) => gauges.oldestQueuedMs / 1_000);
  const scheduled = 'Executions in the whole docket that are scheduled for later.';
  docketGauge('docket_schedule_depth', scheduled, (gauges) => gauges.scheduled);
  const waiting = 'Executions in the whole docket that wait for a permit of a concurrency limit.';
  docketGauge('docket_executions_waiting', waiting, (gauges) => gauges.waiting);
  const paused = 'Executions in the whole docket that wait because their task is paused.';
  docketGauge('docket_executions_paused', paused, (gauges) => gauges.paused);
  gauge('docket_paused', 'Pauses that are in effect: of tasks, and of the whole docket.', () => source.pauses());
  const failures = 'Failures of the whole docket that are kept: docket failures lists them.';
  docketGauge('docket_failures_kept', failures, (gauges) => gauges.failures);
  const workers = 'Workers of the docket whose heartbeats have not expired.';
  docketGauge('docket_workers', workers, (gauges) => gauges.workers);
  register('docket_build_info', 'gauge', 'Always 1; the labels are the versions of docket and of Node.', () => [
    { labels: { version: source.version, node: process.version }, sharedLabels: common, value: 1 },
  ]);
  gauge('docket_strikes_in_effect', 'Strikes that are in effect.', () => source.strikes());
  gauge('docket_threads', 'Threads of this worker that can run tasks.', () => source.threads());
  const up =
    'Whether this worker takes work of a partition: 1, or 0 while the server of the partition does not answer.';
  register('docket_partition_up', 'gauge', up, () =>
    source.partitions().map(({ partition, reason }) => ({
      labels: { partition },
      sharedLabels: common,
      value: reason === null ? 1 : 0,
    })),
  );
  register('docket_redis_disruptions_total', 'counter', 'Links to Redis that broke.', () =>
    Object.entries(source.disruptions()).map(([connection, value]) => ({
      labels: { connection },
      sharedLabels: common,
      value,
    })),
  );
  const delayName = 'docket_coordinator_loop_delay_seconds';
  const delays = "Delays of the coordinator's event loop; the quantiles are of those since the last scrape.";
  register(delayName, 'summary', delays, () => {
    const { p50Ms, p99Ms, maxMs, totalMs, count } = source.loopDelay();
    const sample = (quantile: string, ms: number) => ({
      labels: { quantile },
      sharedLabels: common,
      value: ms / 1_000,
    });
    return [
      sample('0.5', p50Ms),
      sample('0.99', p99Ms),
      sample('1', maxMs),
      { metricName: `${delayName}_sum`, sharedLabels: common, value: totalMs / 1_000 },
      { metricName: `${delayName}_count`, sharedLabels: common, value: count },
    ];
  });
  return registry;
}

function* bucketsOf(name: string, sharedLabels: Labels, { counts, sumMs }: Histogram): Iterable<Sample> {
  let value = 0;
  for (const [i, boundMs] of BOUNDS_MS.entries()) {
    value += counts[i]!;
    yield { metricName: `${name}_bucket`, labels: { le: String(boundMs / 1_000) }, sharedLabels, value };
  }
  value += counts[BOUNDS_MS.length]!;
  yield { metricName: `${name}_bucket`, labels: { le: '+Inf' }, sharedLabels, value };
  yield { metricName: `${name}_sum`, sharedLabels, value: sumMs / 1_000 };
  yield { metricName: `${name}_count`, sharedLabels, value };
}
