/**
 * Looks whether each permit belongs to an entry that is there, and whether as many are counted as are held. Both hold after every
 * script, so a permit that was not released is seen before a sweep of the workers mends that.
 */
import { STREAM, STREAM_NAMES } from '../support/built.js';
import type { Partition } from './world.js';

const LOOK = `
  local found, counts = {}, {}
  local permits = redis.call('HGETALL', KEYS[1])
  for i = 1, #permits, 2 do
    local token, needs = permits[i], permits[i + 1]
    local stream = KEYS[2 + string.find(ARGV[1], string.sub(token, 1, 1), 1, true)]
    local id = string.sub(token, 2)
    if #redis.call('XRANGE', stream, id, id) == 0 then
      found[#found + 1] = 'the entry ' .. token .. ' is gone, and still holds ' .. needs
    end
    for name in string.gmatch(needs, '(%S+) %d+') do
      counts[name] = (counts[name] or 0) + 1
    end
  end
  local taken = redis.call('HGETALL', KEYS[2])
  for i = 1, #taken, 2 do
    local held = counts[taken[i]] or 0
    if tonumber(taken[i + 1]) ~= held then
      found[#found + 1] = taken[i + 1] .. ' permits of ' .. taken[i] .. ' are counted, and ' .. held .. ' are held'
    end
    counts[taken[i]] = nil
  end
  for name, held in pairs(counts) do
    found[#found + 1] = 'no permit of ' .. name .. ' is counted, and ' .. held .. ' are held'
  end
  return found`;

/** Returns what is wrong with the permits of a partition, in words. */
export async function strayPermits({ redis, prefix }: Pick<Partition, 'redis' | 'prefix'>): Promise<string[]> {
  const keys = ['slots', 'held', ...STREAM_NAMES].map((name) => prefix + name);
  const letters = STREAM_NAMES.map((name) => STREAM[name]).join('');
  return (await redis.eval(LOOK, keys.length, ...keys, letters)) as string[];
}
