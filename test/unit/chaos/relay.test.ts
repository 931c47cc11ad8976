/** The relay between a client and a server does to a link what it is told, and nothing else. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { openRelay, type Relay } from '../../support/relay.js';
import { waitFor } from '../../support/wait.js';

let relay: Relay;
/** What has reached the server, over all links. */
let arrived: string;
/** Links that the server has. */
let accepted: Set<Socket>;

beforeEach(async () => {
  [arrived, accepted] = ['', new Set()];
  const server = createServer((socket) => {
    accepted.add(socket);
    socket.on('error', () => {}).on('close', () => accepted.delete(socket));
    socket.on('data', (data) => {
      arrived += data;
      socket.write(`<${data}>`);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const opened = await openRelay((server.address() as AddressInfo).port);
  relay = opened;
  onTestFinished(async () => {
    await opened.close();
    server.close();
  });
});

interface Client {
  readonly socket: Socket;
  heard(): string;
}

async function client(): Promise<Client> {
  const socket = connect(relay.port, '127.0.0.1').on('error', () => {});
  let heard = '';
  socket.on('data', (data) => {
    heard += data;
  });
  await once(socket, 'connect');
  onTestFinished(() => void socket.destroy());
  return { socket, heard: () => heard };
}

/** A client whose link has been used. */
async function used(): Promise<Client> {
  const one = await client();
  one.socket.write('hello');
  await waitFor(() => one.heard() === '<hello>');
  return one;
}

test('an open link passes everything in both directions', async () => {
  expect((await used()).socket.destroyed).toBe(false);
});

test('a cut breaks old links and new ones, and is over when it is mended', async () => {
  const old = await used();
  relay.set({ kind: 'cut' });
  await waitFor(() => old.socket.destroyed);
  const late = await client();
  await waitFor(() => late.socket.destroyed);
  relay.set({ kind: 'open' });
  expect((await used()).socket.destroyed).toBe(false);
});

test('a stalled link passes nothing and stays open; then all of it arrives in order', async () => {
  const one = await used();
  relay.set({ kind: 'stalled' });
  one.socket.write('a');
  one.socket.write('b');
  const other = await client();
  other.socket.write('c');
  relay.set({ kind: 'stalled' }); // said twice, it is the same
  expect([arrived, one.socket.destroyed, other.socket.destroyed]).toEqual(['hello', false, false]);
  relay.set({ kind: 'open' });
  await waitFor(() => one.heard().replaceAll(/[<>]/g, '') === 'helloab' && other.heard() === '<c>');
});

test('a half-open link has ended for the server, and its client does not notice until it is over', async () => {
  const one = await used();
  relay.set({ kind: 'half-open' });
  await waitFor(() => accepted.size === 0);
  one.socket.write('lost');
  expect(one.socket.destroyed).toBe(false);
  relay.set({ kind: 'open' });
  await waitFor(() => one.socket.destroyed);
  expect(arrived).toBe('hello');
});

test('on a deaf link what is sent arrives, and the answers come when it is over', async () => {
  const one = await used();
  relay.set({ kind: 'deaf' });
  one.socket.write('again');
  await waitFor(() => arrived === 'helloagain');
  expect(one.heard()).toBe('<hello>');
  relay.set({ kind: 'open' });
  await waitFor(() => one.heard() === '<hello><again>');
});

test('on an unanswered link what is sent arrives, and the link breaks in place of the answer', async () => {
  const one = await used();
  relay.set({ kind: 'unanswered' });
  one.socket.write('again');
  await waitFor(() => one.socket.destroyed);
  expect([arrived, one.heard()]).toEqual(['helloagain', '<hello>']);
});

test('what is late or sliced arrives whole', async () => {
  const text = 'x'.repeat(1_000);
  for (const condition of [{ kind: 'late', ms: 5 } as const, { kind: 'sliced', bytes: 7 } as const]) {
    relay.set(condition);
    const one = await client();
    one.socket.write(text);
    expect(await waitFor(() => one.heard().replaceAll(/[<>]/g, '') === text)).toBe(true);
  }
});

test('a condition of one role hits the links that have named it, and no others', async () => {
  const [worker, producer] = [await used(), await used()];
  worker.socket.write('docket:blocking:w');
  producer.socket.write('docket:producer:p');
  await waitFor(() => worker.heard().includes('blocking') && producer.heard().includes('producer'));
  relay.set({ kind: 'cut' }, 'blocking');
  await waitFor(() => worker.socket.destroyed);
  producer.socket.write('still here');
  expect(await waitFor(() => producer.heard().includes('still here'))).toBe(true);
});

test.each([
  { kind: 'cut' },
  { kind: 'stalled' },
  { kind: 'half-open' },
  { kind: 'deaf' },
  { kind: 'unanswered' },
  { kind: 'late', ms: 1 },
  { kind: 'sliced', bytes: 2 },
] as const)('it counts what $kind hits, and nothing while the link is open', async (condition) => {
  const one = await used();
  expect(relay.hits).toBe(0);
  relay.set(condition);
  one.socket.write('again');
  await waitFor(() => relay.hits > 0);
});

test('links can be abandoned: they pass nothing for good and stay open, and new ones work', async () => {
  const old = await used();
  relay.abandonAll();
  old.socket.write('lost');
  await waitFor(() => relay.hits > 0);
  relay.set({ kind: 'open' });
  await used();
  expect([arrived, old.heard(), old.socket.destroyed]).toEqual(['hellohello', '<hello>', false]);
  old.socket.destroy();
  await waitFor(() => accepted.size === 1);
});

test('all links can be broken at once, and new ones work', async () => {
  const one = await used();
  relay.breakAll();
  await waitFor(() => one.socket.destroyed);
  expect((await used()).socket.destroyed).toBe(false);
});
