-- Acknowledges executions that have ended and keep nothing, no record and no permits: removes their entries from one
-- stream, and writes nothing else.
-- KEYS  stream
-- ARGV  ids, separated by spaces: one argument is cheaper to send than hundreds
-- Reply indexes (from 0) of the entries that were no longer there: they had been redelivered
local ids = {}
for id in string.gmatch(ARGV[1], '%S+') do
  ids[#ids + 1] = id
end
local fenced = {}
if redis.call('XACK', KEYS[1], GROUP, unpack(ids)) == #ids then
  redis.call('XDEL', KEYS[1], unpack(ids))
  return fenced
end
for i, id in ipairs(ids) do
  if redis.call('XDEL', KEYS[1], id) == 0 then
    fenced[#fenced + 1] = i - 1
  end
end
return fenced
