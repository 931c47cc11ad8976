// Reads Lua: what may be taken out of a file, one thing at a time, and where to note that a statement has run.
import luaparse from 'luaparse';

/**
 * Returns the mutations of a Lua file, in order: `line` and `column` of what is changed, `kind`, `before` (what is changed),
 * and `source`, the file with that one change.
 *
 * - `drop`: a statement is left out: a call, an assignment, a `return` inside a function or branch, a `break`.
 * - `negate`: the condition of an `if` or `elseif` is negated.
 * - `field`: a field `[name] = value` of a table is left out.
 *
 * Declarations stay, because what uses them would only fail. So does a `return` that is the last statement of a file or of a
 * function: it is what a script or function is for.
 */
export function mutationsOf(source) {
  const found = [];
  const add = (kind, node, change) => {
    const { line, column } = node.loc.start;
    found.push({ kind, line, column: column + 1, before: textOf(source, node), source: change });
  };
  visit(parse(source), (node, parent) => {
    if (node.condition && (node.type === 'IfClause' || node.type === 'ElseifClause')) {
      const [from, to] = node.condition.range;
      add('negate', node.condition, `${source.slice(0, from)}not (${source.slice(from, to)})${source.slice(to)}`);
    }
    if (node.type === 'TableKey') add('field', node, without(source, node.range, ','));
    if (isDroppable(node, parent)) add('drop', node, without(source, node.range));
  });
  return found.sort((one, other) => one.line - other.line || one.column - other.column);
}

/** Returns the file with `mark(name)` put before each statement, except for declarations of functions. */
export function marked(source, mark) {
  let text = source;
  for (const { node, name } of statementsOf(source).reverse()) {
    text = `${text.slice(0, node.range[0])}${mark(name)}${text.slice(node.range[0])}`;
  }
  return text;
}

/** Returns the name of the innermost of these statements at a position. */
export function statementAt(statements, line, column) {
  const isAt = ({ node: { loc } }) => {
    const isBehind = loc.start.line < line || (loc.start.line === line && loc.start.column < column);
    return isBehind && (loc.end.line > line || (loc.end.line === line && loc.end.column >= column));
  };
  return statements.findLast(isAt)?.name;
}

/** The statements that are marked, in order. The name of a statement stays when others of its file change. */
export function statementsOf(source) {
  const found = [];
  visit(parse(source), (node, parent) => {
    if (isBlock(parent) && parent.body.includes(node) && node.type !== 'FunctionDeclaration') found.push(node);
  });
  const counts = new Map();
  return found
    .sort((one, other) => one.range[0] - other.range[0])
    .map((node) => {
      const [line] = source.slice(...node.range).split('\n', 1);
      counts.set(line, (counts.get(line) ?? 0) + 1);
      return { node, name: `${line} (${counts.get(line)})` };
    });
}

function parse(source) {
  return luaparse.parse(source, { luaVersion: '5.1', locations: true, ranges: true, comments: false });
}

const DROPPABLE = ['CallStatement', 'AssignmentStatement', 'ReturnStatement', 'BreakStatement'];

function isDroppable(node, parent) {
  if (!DROPPABLE.includes(node.type) || !isBlock(parent)) return false;
  const isLast = parent.body.at(-1) === node;
  return !(node.type === 'ReturnStatement' && isLast && /^(?:Chunk|FunctionDeclaration)$/.test(parent.type));
}

function isBlock(node) {
  return Array.isArray(node?.body);
}

function without(source, [from, to], separator = '') {
  const end = separator !== '' && source[to] === separator ? to + 1 : to;
  return source.slice(0, from) + source.slice(end);
}

function textOf(source, { range: [from, to] }) {
  return source.slice(from, to).replace(/\s+/g, ' ');
}

function visit(node, enter, parent) {
  enter(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === 'string') visit(child, enter, node);
    }
  }
}
