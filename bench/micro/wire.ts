/** The codec, the envelope and the picking of single arguments: what every message goes through. */
import { decodeValue, encoderFor, encodeValue } from '../../src/wire/codec.js';
import { Envelope, encodeEnvelope } from '../../src/wire/envelope.js';
import { pickArguments } from '../../src/wire/pick.js';
import { ARGUMENTS, type Micro } from './micro.js';

/** A Date needs docket's own writer. */
const RICH = { ...ARGUMENTS, at: new Date(0), seen: new Set([1, 2]) };
const PLAIN_BYTES = encodeValue(ARGUMENTS, 'args');
const RICH_BYTES = encodeValue(RICH, 'args');
const MESSAGE = messageOf(ARGUMENTS);

export const WIRE: readonly Micro[] = [
  micro('codec: encode plain arguments', () => encodeValue(ARGUMENTS, 'args')),
  micro('codec: encode arguments with a Date and a Set', () => encodeValue(RICH, 'args')),
  micro('codec: decode plain arguments', () => decodeValue(PLAIN_BYTES)),
  micro('codec: decode arguments with a Date and a Set', () => decodeValue(RICH_BYTES)),
  micro('envelope: write a message', () => messageOf(ARGUMENTS)),
  micro('envelope: read the head of a message', () => new Envelope(MESSAGE)),
  micro('pick: one argument of a message', () => pickArguments(new Envelope(MESSAGE).args, ['attempt'])),
];

function messageOf(args: object): Buffer {
  return encodeEnvelope(encoderFor(args, 'args'), 'send-mail', 0, 'an-id', args);
}

function micro(name: string, run: () => unknown): Micro {
  return { name, items: 1, run };
}
