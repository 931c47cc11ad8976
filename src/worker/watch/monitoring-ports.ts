/**
 * Serves the health and the metrics of a worker on its ports.
 *
 * They open before anything else, so that a port that is taken is reported at once and an orchestrator's probes are answered
 * while tasks load, and they close last.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { within } from '../../core/service.js';
import type { PartitionDetail } from '../../observe/health.js';
import type { HttpServer, Routes } from '../../observe/http.js';
import type { LoopDelay, MetricsSource } from '../../observe/metrics.js';
import type { TaskCounters } from '../../observe/task-counters.js';
import type { Logger } from '../../tasks/context.js';
import type { Coordinator } from '../coordinator.js';
import type { WorkerSettings } from '../options.js';
import { versionOfPackage } from '../version.js';
import type { ConnectionWatch } from './connection-watch.js';
import { EventLoopWatch } from './event-loop-watch.js';

/** Time between two samples of the event loop's delay: 50 wake-ups a second cost a thousandth of a core. */
const LOOP_RESOLUTION_MS = 20;
/** The bounds of the time between two probes of the event loop. */
const SHORTEST_PROBE_MS = 250;
const LONGEST_PROBE_MS = 1_000;
/** A delay is measured too short by one probe at most, which is little beside the quarter of a lease that is warned of. */
const PROBES_IN_A_LEASE = 30;
/** The maximum time for which a scrape waits for the server. */
const PATIENCE_MS = 1_000;

export interface MonitoringPortsOptions {
  /** Name of the docket. */
  readonly docket: string;
  readonly settings: WorkerSettings;
  /** `null` when nothing is counted, which is never so with a metrics port. */
  readonly counters: TaskCounters | null;
  readonly connectionWatch: Pick<ConnectionWatch, 'disruptions'>;
  readonly logger: Logger;
}

interface Port {
  readonly port: number;
  /** The option that names it. */
  readonly option: string;
  readonly routes: Routes;
}

export class MonitoringPorts {
  readonly #options: MonitoringPortsOptions;
  readonly #loop: EventLoopWatch;
  readonly #servers: HttpServer[] = [];
  #histogram: IntervalHistogram | undefined;
  /** How long all delays of the event loop took, and how many there were, up to the last scrape. */
  #delaysMs = 0;
  #delays = 0;
  #coordinator: Coordinator | null = null;
  /** The queries about the docket that have no answer yet. */
  #asking: ReturnType<MetricsSource['gauges']> | null = null;

  constructor(options: MonitoringPortsOptions) {
    const { settings, logger } = options;
    this.#options = options;
    const warnsAfterMs = settings.threads === 0 ? settings.leaseMs / 4 : null;
    this.#loop = new EventLoopWatch({ logger, warnsAfterMs, probeEveryMs: probeEveryMs(settings.leaseMs) });
  }

  /** @throws PortUnavailableError */
  async open(): Promise<void> {
    const { settings, logger } = this.#options;
    if (settings.healthcheckPort !== null || settings.threads === 0) this.#loop.start(); // else nothing asks it
    const ports = await this.#ports();
    if (ports.length === 0) return;
    const { serve } = await import('../../observe/http.js');
    for (const { port, option, routes } of ports) {
      const server = await serve(routes, settings.httpHost, port, option);
      this.#servers.push(server);
      const pages = [...routes.keys()].map((path) => `${server.origin}${path}`);
      logger.info({ pages }, `the pages of this worker are at ${server.origin}`);
    }
  }

  /** Lets `coordinator` answer from now on. */
  attach(coordinator: Coordinator): void {
    this.#coordinator = coordinator;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#histogram?.disable();
    await this.#loop.stop();
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  /** Returns the ports to open, with their routes: a single one when both options name the same port. */
  async #ports(): Promise<Port[]> {
    const { healthcheckPort, metricsPort } = this.#options.settings;
    const ports: Port[] = [];
    if (metricsPort !== null) ports.push({ port: metricsPort, option: 'metricsPort', routes: await this.#metrics() });
    if (healthcheckPort === null) return ports;
    const routes = await this.#health();
    const shared = ports[0];
    if (shared && shared.port === healthcheckPort && healthcheckPort > 0) {
      return [{ ...shared, routes: new Map([...shared.routes, ...routes]) }];
    }
    return [...ports, { port: healthcheckPort, option: 'healthcheckPort', routes }];
  }

  async #health(): Promise<Routes> {
    const { healthRoutes } = await import('../../observe/health.js');
    return healthRoutes({
      loopDelayMs: () => this.#loop.delayMs,
      maximumLoopDelayMs: this.#options.settings.leaseMs,
      notReadyBecause: () => (this.#coordinator ? this.#coordinator.notReadyBecause() : 'the worker is starting'),
      pauses: () => this.#coordinator?.pauses ?? [],
      partitions: () => this.#stalledPartitions(),
    });
  }

  /** Returns the partitions of which no work is taken, where there are others. */
  #stalledPartitions(): PartitionDetail[] {
    const health = this.#coordinator?.partitionHealth() ?? [];
    if (health.length < 2) return [];
    return health.flatMap(({ partition, reason }) => (reason === null ? [] : [{ partition, reason }]));
  }

  async #metrics(): Promise<Routes> {
    const { docket, settings, counters, connectionWatch } = this.#options;
    this.#histogram = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    this.#histogram.enable();
    const { metricsRoutes } = await import('../../observe/metrics.js');
    return metricsRoutes({
      docket,
      version: versionOfPackage(),
      worker: settings.name,
      counters: counters!,
      onThreads: () => this.#coordinator?.onThreads() ?? new Map(),
      threads: () => this.#coordinator?.threads ?? 0,
      strikes: () => this.#coordinator?.strikes ?? 0,
      pauses: () => this.#coordinator?.pauses.length ?? 0,
      partitions: () => this.#coordinator?.partitionHealth() ?? [],
      disruptions: () => connectionWatch.disruptions,
      loopDelay: () => this.#loopDelay(),
      gauges: () => this.#gauges(),
    });
  }

  #loopDelay(): LoopDelay {
    const histogram = this.#histogram!;
    // Node measures from one sample to the next.
    const delayMs = (ns: number) => Math.max(0, ns / 1e6 - LOOP_RESOLUTION_MS);
    if (histogram.count > 0) {
      this.#delaysMs += delayMs(histogram.mean) * histogram.count;
      this.#delays += histogram.count;
    }
    const isEmpty = histogram.count === 0;
    const [p50Ms, p99Ms] = [delayMs(histogram.percentile(50)), delayMs(histogram.percentile(99))];
    const quantiles = isEmpty ? { p50Ms: 0, p99Ms: 0, maxMs: 0 } : { p50Ms, p99Ms, maxMs: delayMs(histogram.max) };
    histogram.reset();
    return { ...quantiles, totalMs: this.#delaysMs, count: this.#delays };
  }

  /** Asks the server once at a time, because commands wait while it is unreachable. */
  async #gauges(): ReturnType<MetricsSource['gauges']> {
    if (!this.#coordinator) return null;
    this.#asking ??= this.#coordinator
      .gauges()
      .catch(() => null)
      .finally(() => {
        this.#asking = null;
      });
    return (await within(this.#asking, PATIENCE_MS)) ?? null;
  }
}

function probeEveryMs(leaseMs: number): number {
  return Math.max(SHORTEST_PROBE_MS, Math.min(LONGEST_PROBE_MS, leaseMs / PROBES_IN_A_LEASE));
}
