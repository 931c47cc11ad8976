-- Lists one page of the chains that have records, in the order of their keys.
-- KEYS  chains
-- ARGV  prefix, the key after which it begins ('' at the start), number of keys to look at, task ('' for all)
-- Reply now, the key after which the next page begins ('' when all were looked at), then for each chain: key, state, task, due time
--       ('' when it was due as it was placed), generation, chain, last run ('' for none)
--@include now
local prefix, after, count, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
--@include states
--@include chains
--@include live_chain
local first = after == '' and '-' or '(' .. after
local keys = redis.call('ZRANGE', KEYS[1], first, '+', 'BYLEX', 'LIMIT', 0, count)
local reply = { digits(now), #keys == count and keys[count] or '' }
for _, key in ipairs(keys) do
  local record = live_chain(key)
  if record and (wanted == '' or record[2] == wanted) then
    reply[#reply + 1] = key
    for i = 1, 6 do
      reply[#reply + 1] = record[i] or ''
    end
  end
end
return reply
