/** Owns the rule that arguments are private. */
import type { DashboardSettings } from './options.js';
import type { Source } from './source.js';

/** Tells which arguments of a task may be shown: all of them if the operator says so, otherwise those that it logs. */
export async function shownArguments(
  source: Source,
  { showsArguments }: Pick<DashboardSettings, 'showsArguments'>,
  task: string | null,
): Promise<(name: string) => boolean> {
  if (showsArguments) return () => true;
  const workers = task === null ? [] : await source.workers();
  const logged = workers.map(({ logged = {} }) => (Object.hasOwn(logged, task!) ? logged[task!]! : []));
  const names = new Set(logged.flat());
  return (name) => names.has(name);
}
