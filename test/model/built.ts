/** The parts of docket that the model drives: the stores, as producers, workers and sweepers call them, one call at a time. */
import { importBuilt } from '../support/built.js';

export const keysModule = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
export const schema = await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');
export const scripts =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');
export const script = await importBuilt<typeof import('../../src/redis/script.js')>('redis/script.js');
export const producers =
  await importBuilt<typeof import('../../src/redis/producer-store.js')>('redis/producer-store.js');
export const deliveries =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
export const admissions =
  await importBuilt<typeof import('../../src/redis/admission-store.js')>('redis/admission-store.js');
export const schedules =
  await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');
export const sweeps = await importBuilt<typeof import('../../src/redis/sweep-store.js')>('redis/sweep-store.js');
export const pauses = await importBuilt<typeof import('../../src/redis/pause-store.js')>('redis/pause-store.js');
export const strikes = await importBuilt<typeof import('../../src/redis/strike-store.js')>('redis/strike-store.js');
export const failures = await importBuilt<typeof import('../../src/redis/failure-store.js')>('redis/failure-store.js');
export const moveStore = await importBuilt<typeof import('../../src/redis/move-store.js')>('redis/move-store.js');
export const cancels = await importBuilt<typeof import('../../src/redis/cancel-store.js')>('redis/cancel-store.js');
export const reader = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');
export const envelopes = await importBuilt<typeof import('../../src/wire/envelope.js')>('wire/envelope.js');
export const codec = await importBuilt<typeof import('../../src/wire/codec.js')>('wire/codec.js');
export const workerDelivery = await importBuilt<typeof import('../../src/worker/delivery.js')>('worker/delivery.js');
export const settlements =
  await importBuilt<typeof import('../../src/worker/settle/settlements.js')>('worker/settle/settlements.js');
export const clientMoves = await importBuilt<typeof import('../../src/client/moves.js')>('client/moves.js');
