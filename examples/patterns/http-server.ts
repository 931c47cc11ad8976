/** A web server answers at once with the key of the work, and tells about the work under that key. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { collection, type Docket, task } from 'docket';

export const about = 'a web server adds work for each POST, and answers GET with its state';

const hash = task('hash', async ({ password }: { password: string }) => {
  const { scryptSync } = await import('node:crypto');
  return scryptSync(password, 'salt', 32).toString('hex'); // keeps a core busy, but not the one of the web server
});

export const tasks = collection(hash);

function serve(docket: Docket) {
  return createServer(async (request, response) => {
    const reply = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    try {
      if (request.method === 'POST') {
        const { key } = await docket.add(hash, { password: 'correct horse' });
        return reply(202, { key });
      }
      const execution = await docket.getExecution(request.url!.slice(1));
      return execution ? reply(200, { state: execution.state }) : reply(404, {});
    } catch (error) {
      console.error(error);
      reply(503, {});
    }
  });
}

export async function demonstrate(docket: Docket): Promise<void> {
  const server = serve(docket).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const posted = await fetch(url, { method: 'POST' });
  const { key } = (await posted.json()) as { key: string };
  console.log(`POST answered ${posted.status}`);
  let state = '';
  while (state !== 'completed') {
    await sleep(20);
    ({ state } = (await (await fetch(`${url}/${key}`)).json()) as { state: string });
  }
  console.log(`GET says ${state}`);
  server.close();
}
