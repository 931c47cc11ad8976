-- Acknowledges executions that have ended and keep nothing, no record and no permits: removes their entries from one
-- stream, and writes nothing else.
-- KEYS  stream
-- ARGV  ids, separated by spaces: one argument is cheaper to send than hundreds
-- Reply indexes (from 0) of the entries that were no longer there: they had been redelivered
--@include acknowledge
--@include words
local ids = words_of(ARGV[1])
local fenced = {}
if redis.call('XACK', KEYS[1], GROUP, unpack(ids)) == #ids then
  delete_acknowledged(KEYS[1], ids)
  return fenced
end
for i, id in ipairs(ids) do
  if redis.call('XDEL', KEYS[1], id) == 0 then
    fenced[#fenced + 1] = i - 1
  end
end
return fenced
