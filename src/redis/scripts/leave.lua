-- The last act of a worker that stops. It is no longer listed, and its consumers are deleted unless something is still
-- pending on them: that is redelivered when its lease runs out.
--
-- The last one that leaves a partition that is forgotten deletes what would stay there for ever, if it is empty. The version of the
-- strikes stays, and the number of the last placement: by that version, whatever names an old layout is refused there.
-- KEYS  work, front, workers, the worker's own hash
-- ARGV  consumer, prefix, '1' when the partition is forgotten
--@include now
local prefix = ARGV[2]
--@include streams
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
for letter in pairs(stream_keys) do
  local stream = stream_of(letter)
  if redis.call('EXISTS', stream) == 1 and #redis.call('XPENDING', stream, GROUP, '-', '+', 1, ARGV[1]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, ARGV[1])
  end
end

local function is_empty()
  local places = { KEY.schedule, KEY.waiting, KEY.failures, KEY.wakes, KEY.layout_change } -- a change may be adding it again
  for at, place in ipairs(places) do
    places[at] = prefix .. place
  end
  return count_entries() == 0 and redis.call('EXISTS', unpack(places)) == 0
end

local is_last = ARGV[3] == '1' and redis.call('ZCOUNT', KEYS[3], digits(now), '+inf') == 0
if is_last and is_empty() then
  for letter in pairs(stream_keys) do
    redis.call('DEL', stream_of(letter))
  end
  redis.call('DEL', KEYS[3], prefix .. KEY.automatic, prefix .. KEY.ended)
end
return 1
