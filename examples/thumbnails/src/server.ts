/** The web server: takes photos, adds the work, and tells about it. It runs no task itself. */
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import type { Docket } from 'docket';
import Fastify, { type FastifyInstance } from 'fastify';
import { FOLDER, makeThumbnails, nightlyReport, photoFile, thumbnailFile, WIDTHS } from './tasks.js';

const PAGE = new URL('../../public/index.html', import.meta.url);
const MAX_BYTES = 20 * 1024 * 1024;
/** An id of a photo as this server makes it; nothing else becomes part of the name of a file. */
const photo = { type: 'string', format: 'uuid' } as const;

export async function buildServer(docket: Docket): Promise<FastifyInstance> {
  const server = Fastify({ logger: { level: 'warn' } });
  await server.register(multipart, { limits: { fileSize: MAX_BYTES, files: 1 } });

  server.get('/', async (_request, reply) => reply.type('text/html').send(await readFile(PAGE)));

  server.post<{ Params: { customerId: string } }>(
    '/customers/:customerId/photos',
    {
      schema: { params: { type: 'object', properties: { customerId: { type: 'string', pattern: '^[\\w-]{1,64}$' } } } },
    },
    async (request, reply) => {
      const upload = await request.file();
      if (!upload) return reply.code(400).send({ error: 'send one file as multipart/form-data' });
      const id = randomUUID();
      await mkdir(FOLDER, { recursive: true });
      try {
        await pipeline(upload.file, createWriteStream(photoFile(id)));
        if (upload.file.truncated) throw new server.multipartErrors.RequestFileTooLargeError();
        await docket.add(makeThumbnails, { photo: id, customerId: request.params.customerId }, { key: id });
      } catch (error) {
        await rm(photoFile(id), { force: true });
        throw error;
      }
      return reply.code(202).send({ photo: id, state: `/photos/${id}`, events: `/photos/${id}/events` });
    },
  );

  server.get<{ Params: { photo: string } }>(
    '/photos/:photo',
    { schema: { params: { type: 'object', properties: { photo } } } },
    async (request, reply) => {
      const execution = await docket.getExecution(request.params.photo);
      if (!execution) return reply.code(404).send({ error: 'no such photo, or its work is long over' });
      return { state: execution.state, error: execution.error, waitingFor: execution.waitingFor };
    },
  );

  // Progress as server-sent events. The stream ends with the work, or when the browser goes.
  server.get<{ Params: { photo: string } }>(
    '/photos/:photo/events',
    { schema: { params: { type: 'object', properties: { photo } } } },
    async (request, reply) => {
      const execution = await docket.getExecution(request.params.photo);
      if (!execution) return reply.code(404).send({ error: 'no such photo, or its work is long over' });
      const gone = new AbortController();
      request.raw.on('close', () => gone.abort());
      async function* lines() {
        for await (const event of execution!.subscribe({ signal: gone.signal }))
          yield `data: ${JSON.stringify(event)}\n\n`;
      }
      return reply.header('cache-control', 'no-store').type('text/event-stream').send(Readable.from(lines()));
    },
  );

  server.get<{ Params: { photo: string; width: number } }>(
    '/photos/:photo/:width',
    { schema: { params: { type: 'object', properties: { photo, width: { type: 'integer', enum: WIDTHS } } } } },
    async (request, reply) => {
      const { photo, width } = request.params;
      const file = createReadStream(thumbnailFile(photo, width));
      file.once('error', () => reply.code(404).send({ error: 'no such thumbnail (yet)' }));
      await new Promise((resolve) => file.once('open', resolve).once('error', resolve));
      return file.errored ? reply : reply.type('image/webp').send(file);
    },
  );

  // For whoever does not want to wait until three in the morning.
  server.post('/reports', async (_request, reply) => {
    const isDue = await docket.runNow(nightlyReport.name);
    return reply.code(isDue ? 202 : 409).send({ isDue });
  });

  return server;
}
