/** What executions wait for, and the names of limits, as text for people. */
import { WAITS_FOR_RESUME } from '../core/states.js';

/** Says what an execution waits for, as `waitingFor` names it. */
export function waitText(waitingFor: string): string {
  return waitingFor === WAITS_FOR_RESUME ? 'its task is paused' : `limit ${limitText(waitingFor)}`;
}

/**
 * Makes the name of a limit readable. A name is `task`, `task:argument:value`, `@scope` or `@scope:value`, with each part
 * percent-encoded and the value tagged with its type: `lim:c:s=z` becomes `lim c 'z'`. Any other text stays as it is.
 */
export function limitText(name: string): string {
  try {
    return name.split(':').map(partText).join(' ');
  } catch {
    return name; // perhaps of another version of docket
  }
}

function partText(part: string, index: number, parts: readonly string[]): string {
  const isValue = index > 0 && index === parts.length - 1;
  if (!isValue) return part === FALLBACK_NAME ? 'the fallback' : decodeURIComponent(part);
  const [, tag, encoded = ''] = /^([a-z])=(.*)$/s.exec(part) ?? [];
  const text = decodeURIComponent(encoded);
  switch (tag) {
    case 's':
      return `'${text}'`;
    case 'i':
      return text.startsWith('-') ? `-${BigInt(`0x${text.slice(1)}`)}` : `${BigInt(`0x${text}`)}`;
    case 'd':
      return new Date(Number(text)).toISOString();
    case 'h':
      return '(a long text)';
    default:
      return tag === undefined ? decodeURIComponent(part) : text;
  }
}

/** Stands for the fallback task, whose name is empty. */
const FALLBACK_NAME = '%';
