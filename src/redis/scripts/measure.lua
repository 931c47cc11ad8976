-- Reads numbers of the whole docket that take one look each: how many workers are alive, and when the executions that are read
-- next became due.
-- KEYS  work, front, workers
-- ARGV  prefix
-- Reply now (ms), live workers, due time of the next entry of each stream that has one
--@include now
local prefix = ARGV[1]
--@include fields
--@include streams
local reply = { digits(now), redis.call('ZCOUNT', KEYS[3], '(' .. digits(now), '+inf') }
for _, letter in ipairs(STREAM_LETTERS) do
  local stream = stream_of(letter)
  if redis.call('EXISTS', stream) == 1 then
    local last = '-'
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local info = fields_of(group)
      if info.name == GROUP then
        last = '(' .. info['last-delivered-id']
      end
    end
    local entry = redis.call('XRANGE', stream, last, '+', 'COUNT', 1)[1]
    if entry then
      reply[#reply + 1] = fields_of(entry[2])[ENTRY.due] or string.match(entry[1], '^%d+')
    end
  end
end
return reply
