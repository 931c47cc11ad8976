// Makes one Lua source of a script: includes resolved, names of the schema replaced by their values, comments removed.

/** The names of the schema as Lua writes them, each with the text that takes its place. */
export function luaNames(schema) {
  const names = new Map();
  for (const [name, value] of Object.entries(schema)) {
    names.set(name, literal(value));
    if (Array.isArray(value)) names.set(`unpack(${name})`, value.map(literal).join(', '));
    else if (typeof value === 'object') {
      for (const [member, inner] of Object.entries(value)) names.set(`${name}.${snakeCase(member)}`, literal(inner));
    }
  }
  return names;
}

/** Returns the Lua spelling of a TypeScript name. */
export function snakeCase(name) {
  return name.replace(/-/g, '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

// A comment, a text, or a name in capitals that is not Redis' own.
const TOKEN =
  /--.*|'(?:\\.|[^'\\\n])*'|\b(?!(?:unpack\()?(?:KEYS|ARGV)\b)(?:unpack\([A-Z][A-Z0-9_]*\)|[A-Z][A-Z0-9_]*\b(?:\.\w+)?)/g;
const INCLUDE = /^--@include (\w+)$/;

/**
 * Returns the source of `file`, read by `read`. Names that the schema does not have are left as they are and added to
 * `problems`, with file and line.
 */
export function substitute(file, read, names, problems) {
  const source = read(file);
  const replaced = source.replace(TOKEN, (token, offset) => {
    if (token.startsWith('--')) {
      const [, included] = INCLUDE.exec(token) ?? [];
      return included === undefined ? '' : substitute(`_${included}.lua`, read, names, problems);
    }
    if (token.startsWith("'")) return token;
    const value = names.get(token);
    if (value === undefined) problems.push(`${file}:${lineAt(source, offset)}: schema.ts has no ${token}`);
    return value ?? token;
  });
  return replaced
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n');
}

function literal(value) {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value.replace(/[\\']/g, '\\$&')}'`;
  if (Array.isArray(value)) return `{ ${value.map(literal).join(', ')} }`;
  return `{ ${Object.entries(value)
    .map(([key, inner]) => `[${literal(key)}] = ${literal(inner)}`)
    .join(', ')} }`;
}

function lineAt(text, offset) {
  return text.slice(0, offset).split('\n').length;
}
