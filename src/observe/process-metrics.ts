/**
 * The metrics of this process, as prom-client collects them: CPU, memory, file descriptors, garbage collections. They have no
 * labels of docket's: they belong to the process, even if several workers run in it.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * The names that are passed on. prom-client has more: some break the rules for names, and the coordinator's event loop has a
 * metric of docket's own.
 */
const CHOSEN = /^(process_|nodejs_heap_size_|nodejs_external_memory_bytes$|nodejs_gc_duration_seconds$)/;

/** The metrics of this process. Made once: prom-client watches garbage collections as long as the process lives. */
export const processMetrics: Registry = chosenMetrics();

function chosenMetrics(): Registry {
  const all = new Registry();
  collectDefaultMetrics({ register: all });
  const chosen = new Registry();
  for (const { name } of all.getMetricsAsArray()) {
    if (CHOSEN.test(name)) chosen.registerMetric(all.getSingleMetric(name)!);
  }
  return chosen;
}
