// Loads ../schema.ts where Node cannot read TypeScript by itself (before 22.18): its values, and the comments beside them.
import { readFileSync } from 'node:fs';
import ts from 'typescript';

const url = new URL('../schema.ts', import.meta.url);

/**
 * The exports of the schema by their names. Each has a `value` and a `doc`, and a group also has `members`: the same of
 * each of its properties.
 */
export async function loadSchema() {
  const values = await import(asModule(url));
  const docs = readDocs();
  const item = (name, value) => ({ value, doc: docs.get(name) ?? '' });
  return new Map(
    Object.entries(values).map(([name, value]) => [
      name,
      {
        ...item(name, value),
        members: new Map(
          isGroup(value) ? Object.entries(value).map(([key, it]) => [key, item(`${name}.${key}`, it)]) : [],
        ),
      },
    ]),
  );
}

function isGroup(value) {
  return typeof value === 'object' && !Array.isArray(value);
}

/** A TypeScript file as a URL to import, with what it imports in it. */
function asModule(file) {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions });
  const linked = outputText.replace(
    /from '(\.[^']+)\.js'/g,
    (_, path) => `from '${asModule(new URL(`${path}.ts`, file))}'`,
  );
  return `data:text/javascript;base64,${Buffer.from(linked).toString('base64')}`;
}

/** Comments by what they stand before: `NAME`, or `NAME.property`. */
function readDocs() {
  const docs = new Map();
  const source = ts.createSourceFile(url.pathname, readFileSync(url, 'utf8'), ts.ScriptTarget.Latest, true);
  const visit = (node, path) => {
    const isNamed = ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node);
    const inner = isNamed ? [...path, node.name.text] : path;
    if (isNamed) {
      const [comment] = ts.getJSDocCommentsAndTags(node);
      docs.set(inner.join('.'), ts.getTextOfJSDocComment(comment?.comment)?.replace(/\s+/g, ' ') ?? '');
    }
    ts.forEachChild(node, (child) => visit(child, inner));
  };
  visit(source, []);
  return docs;
}
