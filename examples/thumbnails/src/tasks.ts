/** The tasks of the service. Worker threads load this module, so a busy image never keeps the web server waiting. */
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collection, concurrencyLimit, cron, exponentialRetry, task } from 'docket';
import sharp from 'sharp';

export const WIDTHS = [64, 128, 256, 512, 1_024] as const;
const CUSTOMER = 'customerId';

/** Where photos, thumbnails and reports are. The web server and all workers must see the same folder. */
export const FOLDER = process.env.PHOTOS_FOLDER ?? 'photos';
export const photoFile = (photo: string) => join(FOLDER, `${photo}.original`);
export const thumbnailFile = (photo: string, width: number) => join(FOLDER, `${photo}.${width}.webp`);
export const reportFile = (day: string) => join(FOLDER, `report-${day}.json`);

/** What is known of a photo once its thumbnails are there. */
export interface Thumbnails {
  readonly photo: string;
  readonly customerId: string;
  readonly widths: readonly number[];
  readonly beganAt: Date;
  readonly endedAt: Date;
}

export const makeThumbnails = task(
  'make-thumbnails',
  {
    retry: exponentialRetry({ attempts: 3 }),
    timeout: '1m',
    limits: [concurrencyLimit(CUSTOMER, { max: 2 })], // a customer with a thousand photos does not keep others waiting
  },
  async ({ photo, customerId }: { photo: string; customerId: string }, ctx): Promise<Thumbnails> => {
    const beganAt = new Date();
    const original = await readFile(photoFile(photo));
    ctx.progress.setTotal(WIDTHS.length);
    for (const width of WIDTHS) {
      ctx.throwIfCancelled();
      const image = await sharp(original).rotate().resize({ width, withoutEnlargement: true }).webp().toBuffer();
      await replaceFile(thumbnailFile(photo, width), image);
      ctx.progress.increment();
    }
    ctx.logger.info({ photo, customerId }, 'made the thumbnails');
    return { photo, customerId, widths: WIDTHS, beganAt, endedAt: new Date() };
  },
);

/** Runs each night at three. Workers start its chain by themselves, once in the whole fleet. */
export const nightlyReport = task(
  'nightly-report',
  { perpetual: cron('0 3 * * *', { timezone: 'Europe/Berlin', automatic: true }) },
  async (_args: {}, ctx) => {
    const files = await readdir(FOLDER).catch(() => []);
    const photos = files.filter((file) => file.endsWith('.original')).length;
    const thumbnails = files.filter((file) => file.endsWith('.webp')).length;
    const report = { day: ctx.when.toISOString().slice(0, 10), photos, thumbnails };
    await replaceFile(reportFile(report.day), JSON.stringify(report));
  },
);

export const tasks = collection(makeThumbnails, nightlyReport);

/** Writes a file whole or not at all: a task may run twice, and may end at any time. */
async function replaceFile(file: string, content: string | Uint8Array): Promise<void> {
  const part = `${file}.${process.pid}-${Math.random().toString(36).slice(2)}.part`;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(part, content);
  await rename(part, file);
}
