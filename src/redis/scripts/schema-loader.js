// Loads ../schema.ts, which Node cannot read by itself before 22.18.
import { readFileSync } from 'node:fs';
import ts from 'typescript';

const url = new URL('../schema.ts', import.meta.url);

/** Returns the exports of the schema, and its comments by the names they describe: `GROUP`, or `GROUP.name`. */
export async function loadSchema() {
  return { values: await import(asModule(url)), docs: readDocs() };
}

/** Returns a URL from which a TypeScript file can be imported, with its own imports inlined. */
function asModule(file) {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions });
  const linked = outputText.replace(
    /from '(\.[^']+)\.js'/g,
    (_, path) => `from '${asModule(new URL(`${path}.ts`, file))}'`,
  );
  return `data:text/javascript;base64,${Buffer.from(linked).toString('base64')}`;
}

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
