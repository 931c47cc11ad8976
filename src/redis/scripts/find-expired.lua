-- Looks at one page of the pending entries of a stream, in the order of ids, for leases that have run out. XPENDING could
-- filter by itself, but goes through all pending entries when few have expired.
-- KEYS  stream
-- ARGV  lease (ms), entries to look at, id to begin at
-- Reply the id to go on at ('' when all were looked at), then ids whose lease has run out ... (each with its consumer)
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { '' }
end
local lease, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local pending = redis.call('XPENDING', KEYS[1], GROUP, ARGV[3], '+', count)
local reply = { #pending == count and '(' .. pending[count][1] or '' }
for _, entry in ipairs(pending) do
  if entry[3] >= lease then
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = entry[2]
  end
end
return reply
