/** Asks the ports of a worker, as Prometheus and an orchestrator do. */
import { Exposition } from './exposition.js';
import type { Line } from './logger.js';

/** Where a worker says that it serves a page. */
export function pageOf({ lines }: { readonly lines: readonly Line[] }, path: string): string {
  const pages = lines.flatMap(({ fields }) => (fields.pages as string[] | undefined) ?? []);
  const page = pages.find((one) => new URL(one).pathname === path);
  if (!page) throw new Error(`nothing listens for ${path}`);
  return page;
}

export async function scrape(worker: { readonly lines: readonly Line[] }): Promise<Exposition> {
  const answer = await fetch(pageOf(worker, '/metrics'));
  if (answer.status !== 200) throw new Error(`/metrics answers ${answer.status}`);
  return new Exposition(await answer.text());
}

export async function ask(url: string): Promise<{ status: number; body: { status: string; reason?: string } }> {
  const answer = await fetch(url);
  return { status: answer.status, body: (await answer.json()) as { status: string; reason?: string } };
}
