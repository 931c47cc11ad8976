-- Looks through a page of a stream for executions under keys. Only reads.
-- KEYS  the stream
-- ARGV  the id after which the page begins ('-' at first), number of entries to look at
-- Reply the id of the last entry that was looked at ('' at the end of the stream), keys and ids of executions with records
--@include fields

local found, looked_at, bytes, last = {}, 0, 0, ''
local first, count, ask, is_more = ARGV[1], tonumber(ARGV[2]), 4, true
-- Reads a few entries at first, then as many as the sizes of those before suggest.
while is_more and looked_at < count and bytes < BATCH_BYTES do
  ask = math.min(ask, count - looked_at)
  local entries = redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', ask)
  for _, entry in ipairs(entries) do
    local moving = fields_of(entry[2])
    bytes = bytes + string.len(moving[ENTRY.message] or '')
    found[#found + 1] = moving[ENTRY.key]
    last = entry[1]
  end
  looked_at = looked_at + #entries
  is_more = #entries == ask
  first = '(' .. last
  ask = math.min(4 * ask, math.ceil((BATCH_BYTES - bytes) * looked_at / (bytes + 1)))
end
return { is_more and last or '', found }
