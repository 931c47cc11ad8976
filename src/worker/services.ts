/**
 * The background services of a worker. Owns the order in which they start and stop:
 *
 *   start   guards, which then learn what must not run  >  keepers  >  suppliers  >  heartbeat
 *   stop    suppliers  >  (the drain)  >  heartbeat, keepers and guards
 *
 * Nothing is read before the guards are ready and the keepers run, and they run until the last delivery is settled. The
 * heartbeat starts last, because it says that this worker takes work, and has stopped before the worker leaves the list.
 *
 * The stop is final: a start that comes late, because a server answered late, starts nothing that nobody would stop.
 */
import type { Service } from '../core/service.js';

/** A service that must be ready before anything is read. */
export interface Guard extends Service {
  /** Resolves when the service is ready. May stay pending when the service is stopped first. */
  readonly ready: Promise<void>;
}

/** The services, list by list in the order in which they start. */
export interface ServiceLists {
  /** Services that know what must not run. */
  readonly guards: readonly Guard[];
  /** Services that look after the deliveries of this worker. */
  readonly keepers: readonly Service[];
  /** Services that bring in work. */
  readonly suppliers: readonly Service[];
  /** The service that announces that this worker takes work. */
  readonly heartbeat: Service;
}

export class Services {
  readonly #lists: ServiceLists;
  #isStopping = false;

  constructor(lists: ServiceLists) {
    this.#lists = lists;
  }

  /** Starts the guards; resolves when all of them are ready. Does nothing once the services are being stopped. */
  async startGuards(): Promise<void> {
    if (this.#isStopping) return;
    const { guards } = this.#lists;
    for (const guard of guards) guard.start();
    await Promise.all(guards.map((guard) => guard.ready));
  }

  /** Starts the other services, once the guards are ready. Does nothing once the services are being stopped. */
  start(): void {
    if (this.#isStopping) return;
    const { keepers, suppliers, heartbeat } = this.#lists;
    for (const keeper of keepers) keeper.start();
    for (const supplier of suppliers) supplier.start();
    heartbeat.start();
  }

  /** Resolves when no more work comes in. */
  async stopSuppliers(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#lists.suppliers.map((supplier) => supplier.stop()));
  }

  /** Stops the other services, once no delivery is left in this worker. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const { guards, keepers, heartbeat } = this.#lists;
    await Promise.all([heartbeat, ...keepers, ...guards].map((service) => service.stop()));
  }
}
