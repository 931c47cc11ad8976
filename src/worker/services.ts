/**
 * The background services of a worker. Owns the order in which they start and stop:
 *
 *   start   guards, which then learn what must not run  >  keepers  >  suppliers  >  heartbeat
 *   stop    suppliers  >  (the drain)  >  heartbeat, keepers and guards
 *
 * Nothing is read before the guards are ready and the keepers run, and they run until the last delivery is settled. The
 * heartbeat starts last, because it says that this worker takes work, and has stopped before the worker leaves the list.
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

  constructor(lists: ServiceLists) {
    this.#lists = lists;
  }

  /** Starts the guards; resolves when all of them are ready. */
  async startGuards(): Promise<void> {
    const { guards } = this.#lists;
    for (const guard of guards) guard.start();
    await Promise.all(guards.map((guard) => guard.ready));
  }

  /** Starts the other services, once the guards are ready. */
  start(): void {
    const { keepers, suppliers, heartbeat } = this.#lists;
    for (const keeper of keepers) keeper.start();
    for (const supplier of suppliers) supplier.start();
    heartbeat.start();
  }

  /** Resolves when no more work comes in. */
  async stopSuppliers(): Promise<void> {
    await Promise.all(this.#lists.suppliers.map((supplier) => supplier.stop()));
  }

  /** Stops the other services, once no delivery is left in this worker. */
  async stop(): Promise<void> {
    const { guards, keepers, heartbeat } = this.#lists;
    await Promise.all([heartbeat, ...keepers, ...guards].map((service) => service.stop()));
  }
}
