/**
 * The ports a worker can be watched by. They open before anything else, so that a port that is taken is told at once and the
 * probes of an orchestrator are answered while tasks load, and close last.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { HttpServer, Routes } from '../../observe/http.js';
import type { LoopDelay, MetricsSource } from '../../observe/metrics.js';
import type { TaskCounters } from '../../observe/task-counters.js';
import type { Logger } from '../../tasks/context.js';
import type { Coordinator } from '../coordinator.js';
import type { WorkerSettings } from '../options.js';
import type { ConnectionWatch } from './connection-watch.js';
import { EventLoopWatch } from './event-loop-watch.js';

/** Delays are sampled so often: 50 wake-ups a second cost a thousandth of a core. */
const LOOP_RESOLUTION_MS = 20;
/** A scrape does not wait longer for the server. */
const PATIENCE_MS = 1_000;

export class MonitoringPorts {
  /** What is counted; `null` when nobody would read it. */
  readonly tally: TaskCounters | null;
  readonly #docket: string;
  readonly #settings: WorkerSettings;
  readonly #logger: Logger;
  readonly #loop: EventLoopWatch;
  readonly #servers: HttpServer[] = [];
  readonly #links: ConnectionWatch;
  #histogram: IntervalHistogram | undefined;
  #coordinator: Coordinator | null = null;
  #asking: ReturnType<MetricsSource['depths']> | null = null;

  constructor(
    docket: string,
    settings: WorkerSettings,
    tally: TaskCounters | null,
    links: ConnectionWatch,
    logger: Logger,
  ) {
    this.#docket = docket;
    this.#settings = settings;
    this.tally = tally;
    this.#links = links;
    this.#logger = logger;
    const warnsAfterMs = settings.threads === 0 ? settings.leaseMs / 4 : null;
    this.#loop = new EventLoopWatch({ logger, warnsAfterMs });
  }

  /** @throws PortUnavailableError */
  async open(): Promise<void> {
    const { healthcheckPort, metricsPort, httpHost } = this.#settings;
    this.#loop.start();
    const ports: { readonly port: number; readonly option: string; readonly routes: Routes }[] = [];
    if (metricsPort !== null) {
      this.#histogram = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
      this.#histogram.enable();
      const { metricsRoutes } = await import('../../observe/metrics.js');
      ports.push({ port: metricsPort, option: 'metricsPort', routes: metricsRoutes(this.#metrics()) });
    }
    if (healthcheckPort !== null) {
      const { healthRoutes } = await import('../../observe/health.js');
      const routes = healthRoutes({
        loopDelayMs: () => this.#loop.delayMs,
        maximumLoopDelayMs: this.#settings.leaseMs,
        notReadyBecause: () => (this.#coordinator ? this.#coordinator.notReadyBecause() : 'the worker is starting'),
      });
      const shared = ports[0];
      if (shared && shared.port === healthcheckPort && healthcheckPort > 0) {
        ports[0] = { ...shared, routes: new Map([...shared.routes, ...routes]) };
      } else ports.push({ port: healthcheckPort, option: 'healthcheckPort', routes });
    }
    if (ports.length === 0) return;
    const { serve } = await import('../../observe/http.js');
    for (const { port, option, routes } of ports) {
      const server = await serve(routes, httpHost, port, option);
      this.#servers.push(server);
      const pages = [...routes.keys()].map((path) => `${server.origin}${path}`);
      this.#logger.info({ pages }, `listens on ${server.origin}`);
    }
  }

  /** From now on this is who is asked. */
  watch(coordinator: Coordinator): void {
    this.#coordinator = coordinator;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#histogram?.disable();
    await this.#loop.stop();
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  #metrics(): MetricsSource {
    return {
      docket: this.#docket,
      worker: this.#settings.name,
      counters: this.tally!,
      onThreads: () => this.#coordinator?.onThreads() ?? new Map(),
      threads: () => this.#coordinator?.threads ?? 0,
      strikes: () => this.#coordinator?.strikes ?? 0,
      disruptions: () => this.#links.disruptions,
      loopDelay: () => this.#loopDelay(),
      depths: () => this.#depths(),
    };
  }

  #loopDelay(): LoopDelay {
    const histogram = this.#histogram!;
    // Node counts from one sample to the next.
    const delayMs = (ns: number) => Math.max(0, ns / 1e6 - LOOP_RESOLUTION_MS);
    const isEmpty = histogram.count === 0;
    const [p50Ms, p99Ms] = [delayMs(histogram.percentile(50)), delayMs(histogram.percentile(99))];
    const delay = isEmpty ? { p50Ms: 0, p99Ms: 0, maxMs: 0 } : { p50Ms, p99Ms, maxMs: delayMs(histogram.max) };
    histogram.reset();
    return delay;
  }

  /** Commands wait for a server that is away, so only one may wait at a time. */
  async #depths(): Promise<Awaited<ReturnType<MetricsSource['depths']>>> {
    if (!this.#coordinator) return null;
    this.#asking ??= this.#coordinator
      .depths()
      .catch(() => null)
      .finally(() => {
        this.#asking = null;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, null);
    });
    return await Promise.race([this.#asking, late]).finally(() => clearTimeout(timer));
  }
}
