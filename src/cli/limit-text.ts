/** Names of limits, as people read them. */

/**
 * Reads the name a limit counts under, `task`, `task:argument:value`, `@scope` or `@scope:value`, each part percent-encoded:
 * `lim:c:s=z` is `lim c 'z'`. What is no such name stays as it is.
 */
export function limitText(name: string): string {
  try {
    return name.split(':').map(partText).join(' ');
  } catch {
    return name; // of another version, perhaps
  }
}

function partText(part: string, index: number, parts: readonly string[]): string {
  const isValue = index > 0 && index === parts.length - 1;
  if (!isValue) return part === OF_FALLBACK ? 'the fallback' : decodeURIComponent(part);
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

/** Stands for the name of the fallback, which is empty. */
const OF_FALLBACK = '%';
