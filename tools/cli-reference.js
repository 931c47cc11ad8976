// Writes the part of docs/cli.md behind its marker from the commands themselves. With --check it writes nothing and fails when
// that part is stale. It reads the built commands: build first.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { docketCommand } from '../dist/src/cli/docket.js';

const PAGE = fileURLToPath(new URL('../docs/cli.md', import.meta.url));
const MARKER = '<!-- What follows is written by npm run docs:cli. -->\n';

/** The page with its reference written again. */
function withReference(page) {
  const [head] = page.split(MARKER);
  const program = docketCommand();
  const sections = [globalOptions(program), ...program.commands.flatMap((command) => sectionsOf(command, 'docket', 2))];
  return `${head}${MARKER}\n${sections.join('\n\n')}\n`;
}

function globalOptions(program) {
  const options = program.options.filter(({ long }) => long !== '--version');
  return `## Options of every command\n\n${optionTable(options)}`;
}

/** The section of a command, and those of its subcommands. */
function sectionsOf(command, parent, depth) {
  const name = `${parent} ${command.name()}`;
  const aliases = command.name() === 'worker' ? ' The same command is installed as `docket-worker`.' : '';
  const parts = [`${'#'.repeat(depth)} ${name}`, `${escaped(command.description())}${aliases}`];
  parts.push(`\`\`\`console\n$ ${[name, ...command.usage().split(' ')].join(' ')}\n\`\`\``);
  const given = command.registeredArguments;
  if (given.length > 0) parts.push(argumentTable(given));
  const options = command.options.filter(({ long, hidden }) => !hidden && long !== '--version');
  if (options.length > 0) parts.push(optionTable(options));
  const shown = command.commands.filter((subcommand) => subcommand.name() !== 'help');
  return [parts.join('\n\n'), ...shown.flatMap((subcommand) => sectionsOf(subcommand, name, depth + 1))];
}

function argumentTable(given) {
  return table(
    ['argument', 'meaning'],
    given.map((one) => [
      `\`${one.name()}${one.variadic ? '…' : ''}\`${one.required ? '' : ' (optional)'}`,
      meaning(one),
    ]),
  );
}

function optionTable(options) {
  const hasVariables = options.some(({ envVar }) => envVar);
  return table(
    ['option', 'meaning', ...(hasVariables ? ['variable'] : [])],
    options.map((one) => [
      `\`${one.flags}\``,
      meaning(one),
      ...(hasVariables ? [one.envVar ? `\`${one.envVar}\`` : ''] : []),
    ]),
  );
}

/** The description with the choices and the default, as the help shows them. */
function meaning({ description, argChoices, defaultValue, defaultValueDescription, negate }) {
  const notes = [];
  if (argChoices) notes.push(`one of ${argChoices.map((choice) => `\`${choice}\``).join(', ')}`);
  const value = defaultValueDescription ?? (negate || typeof defaultValue === 'boolean' ? undefined : defaultValue);
  if (value !== undefined) notes.push(`default: \`${value}\``);
  return `${escaped(description)}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
}

/** Text for Markdown: what looks like a tag or a column must not be one. */
function escaped(text) {
  return text.replace(/[<>|]/g, (character) => ({ '<': '&lt;', '>': '&gt;', '|': '\\|' })[character]);
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const page = readFileSync(PAGE, 'utf8');
const written = withReference(page);
if (page !== written && process.argv.includes('--check')) {
  console.error('docs/cli.md is stale: run npm run docs:cli and commit it');
  process.exitCode = 1;
} else if (page !== written) {
  writeFileSync(PAGE, written);
}
